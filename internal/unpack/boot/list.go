package boot

import "github.com/doorward/doorward/internal/unpack"

// List is the readers of this package, in the order in which they are tried.
var List = []*unpack.Reader{
	BzImage,
	FIT, // before DTB, which it is too
	DTB,
	FIP,
	GRUB,
	GRUBImage,
	FIS,
	TRX,
	UBootDefaults,
	UImage,
	VMLinux,
	ZBoot,
	ZImage,
}

// Last is the readers without a magic, which are tried on what no other opened.
var Last = []*unpack.Reader{
	RawKernel,
	IPXE,
	BootLoader,
	UBootEnv,
	UImageOther,
}
