package disk

import "github.com/doorward/doorward/internal/unpack"

// First holds those that are known by their end.
var First = []*unpack.Reader{VHDFixed}

// List holds the readers of this package, in the order in which they are tried
// where several could open the same bytes.
var List = []*unpack.Reader{
	AndroidBoot,
	AndroidVendorBoot,
	AndroidSparse,
	AndroidSuper,
	AndroidDTBO,
	AndroidVBMeta,
	AndroidAVBFooter,
	AndroidPayload,
	QCOW2,
	VMDK,
	VDI,
	VHD,
	VHDX,
	Parallels,
	QED,
	ExFAT,
	FAT, // before MBR: its boot sector ends like one
	APM,
	GPT, // before MBR, which protects it
	MBR,
}

// Last holds those without a magic, for what nothing else opens.
var Last = []*unpack.Reader{GPTBackup}
