package uefi

import "github.com/doorward/doorward/internal/unpack"

// List holds the readers of this family.
var List = []*unpack.Reader{
	FlashDescriptor,
	AMDFlash,
	MEPartitions,
	MEDirectory,
	MEManifest,
	BootPartition,
	CBFS,
	GBB,
	Volume,
	Variables,
	FaultTolerant,
	NVAR,
	Capsule,
	OptionROM,
	ACPITable,
	IntelMicrocode,
	AMDMicrocode,
}

// Last are the readers without a magic.
var Last = []*unpack.Reader{
	FlashMap,
	MELayout,
	CapsuleOther,
	LegacyBIOS,
}
