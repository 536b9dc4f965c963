package linuxfs

import "github.com/doorward/doorward/internal/unpack"

// List is the readers of this package, in the order in which they are tried.
var List = []*unpack.Reader{
	Ext,
	Btrfs,
	F2FS,
	XFS,
	JFS,
	ReiserFS,
	Minix,
}
