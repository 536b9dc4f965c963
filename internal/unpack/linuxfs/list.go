package linuxfs

import "github.com/doorward/doorward/internal/unpack"

// List holds the readers of this package.
var List = []*unpack.Reader{
	F2FS,
}
