// Package unpack opens what a buyer holds: bytes in, a tree of nodes out.
//
// A Reader opens one format and stands in one file of a package for its family
// (archive, boot, disk and so on, below this one); formats.All holds them all.
// This package is their contract and what all of them share. Open bytes are an Object: either a tree of entries (a file system
// or an archive) or named parts (a header with its payload, a compressed
// stream with its content). Explore applies readers to an artifact as long as
// something opens, carves raw flash images, and classifies what no reader
// claims.
//
// Everything is random access in and lazily decoded content out. Nothing of an
// artifact is written to disk or executed: a path such as ../../etc is only a
// string. Limits hold for the whole tree; hitting one is reported as unread.
//
// To add a format: one file with its Reader in its family, one line in the
// list.go there, its fixtures and a fuzz target.
package unpack
