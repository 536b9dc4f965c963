// Package volume opens the file systems of discs and desktop computers and the
// containers that they come in: ISO 9660, UDF, NTFS, HFS and HFS+, APFS, Apple's disk images and
// installer packages. The file systems of Linux and of flash chips have
// packages of their own.
//
// One file, or a few that begin with its name, belong to each format.
package volume
