package volume

import "github.com/doorward/doorward/internal/unpack"

// List holds the readers of this package, in the order in which they are tried.
var List = []*unpack.Reader{
	ISO9660, // before UDF and partition tables, which it may be too
	UDF,
	NTFS,
	HFSPlus,
	BitLocker,
	Zisofs,
}
