package flash

import "github.com/doorward/doorward/internal/unpack"

// List is the readers of this package, in the order in which they are tried.
var List = []*unpack.Reader{
	Cramfs,
	EROFS,
	Squashfs,
	ROMFS,
	JFFS2,
	UBI,
	UBIFS,
	YAFFS,
}

// First are the readers of what hides all else: tried before any other.
var First = []*unpack.Reader{
	NAND,
}

// Last is the readers without a magic, tried on what no other opened.
var Last = []*unpack.Reader{
	YAFFSRaw,
}
