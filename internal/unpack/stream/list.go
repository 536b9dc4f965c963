package stream

import "github.com/doorward/doorward/internal/unpack"

// List is the readers of this package, in the order in which they are tried.
var List = []*unpack.Reader{
	Gzip,
	XZ,
	Bzip2,
	Zstd,
	LZ4,
	LZO,
	Lzip,
	Compress,
	LZMA,
	Zlib,
	OpenSSL,
}
