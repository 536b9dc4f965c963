package mcu

import "github.com/doorward/doorward/internal/unpack"

// List is the readers of this package, in the order in which they are tried.
var List = []*unpack.Reader{
	ESPFlash, // before what it starts with, a program
	IntelHex,
	SRecord,
	UF2,
	DfuSe,
	MCUboot,
	GBL,
	ZigbeeOTA,
	ESPImage,
	ESPTable,
	NVS,
}

// Last is the readers without a magic, which are tried on what no other opened.
var Last = []*unpack.Reader{
	ESPOTA,
	DFU,
	CortexM,
}
