package archive

import "github.com/doorward/doorward/internal/unpack"

// List is the readers of this package, in the order in which they are tried.
var List = []*unpack.Reader{
	Deb, // before Ar, which it is too
	Ar,
	Cpio,
	OCI, // before Tar, which it is too
	Tar,
	RPM,
	SevenZip,
	Cab,
	Rar,
	LHA,
	ARJ,
	Xar,
	Pbzx,
	WIM,
	CHM,
	Zip,
}

// Last is the readers without a magic, which are tried on what no other opened.
var Last = []*unpack.Reader{
	ZipBehind,
}
