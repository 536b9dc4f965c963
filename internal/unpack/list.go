package unpack

// List holds every reader, in the order in which they are tried where several
// could open the same bytes: the most specific first.
var List = []*Reader{
	BzImage,
	FIT, // before DTB, which it is too
	DTB,
	Cramfs,
	Ext,
	Squashfs,
	JFFS2,
	TRX,
	UBI,
	UBIFS,
	UBootDefaults,
	UImage,
	VMLinux,
	ZBoot,
	ZImage,

	// Archives.
	Deb, // before Ar, which it is too
	Ar,
	Cpio,
	OCI, // before Tar, which it is too
	Tar,
	Zip,

	// Compressed streams.
	Gzip,
	XZ,
	Bzip2,
	Zstd,
	LZ4,
	LZO,
	LZMA,
	Zlib,
	RawKernel,

	// Without a magic: tried on what no other opened.
	DLink,
	UBootEnv,
	UImageOther,
	ZipBehind,
}
