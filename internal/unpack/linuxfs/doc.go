// Package linuxfs opens the file systems that Linux writes to disks, cards and
// flash behind a controller: ext, f2fs, XFS, btrfs and older ones.
//
// All of them are read where they lie: Open walks the folders, and the content
// of a file is mapped when it is read. Checksums are verified where the format
// has them.
package linuxfs
