package volume

import "github.com/doorward/doorward/internal/unpack"

// First holds those that are known by their end, or lie around what they begin
// with.
var First = []*unpack.Reader{DMG, LVM, MD, MDEnd}

// List holds the readers of this package, in the order in which they are tried.
var List = []*unpack.Reader{
	ISO9660, // before UDF and partition tables, which it may be too
	UDF,
	NTFS,
	HFSPlus,
	APFS,
	HFS,
	BitLocker,
	DMGEncrypted,
	LUKS,
	NILFS2,
	Bcachefs,
	ZFS,
	ReFS,
	Zisofs,
}
