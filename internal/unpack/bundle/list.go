package bundle

import "github.com/doorward/doorward/internal/unpack"

// List holds this family's readers in the order in which they are tried.
var List = []*unpack.Reader{
	ELF,
	PE,
	Script,
	Asar,
	NodeSEA,
	PyInstaller,
	PYZ,
	CFB,
	NSIS,
	Inno,
}
