package stream

import (
	"github.com/doorward/doorward/internal/unpack"
	"github.com/klauspost/compress/zlib"
)

// zlibMin is the least content of a zlib stream that is believed where only
// its two-byte header and its checksum speak for it.
const zlibMin = 256

// Zlib opens bare zlib streams (RFC 1950), as firmware without a file system
// has them. Only those that are whole and have the right checksum count when
// they are carved.
var Zlib = &unpack.Reader{
	Name:    "zlib",
	Checked: "Go's writer",
	Doc:     "zlib streams (RFC 1950) that stand alone.",
	Magics:  zlibMagics(),
	Carve:   true,
	Open:    openZlib,
}

// zlibMagics are the headers for a window of 32 KiB without a dictionary, each
// with the first byte of a deflate block with codes of its own: stored and
// fixed-code blocks are for small things.
func zlibMagics() []unpack.Magic {
	var list []unpack.Magic
	for _, level := range []byte{0x01, 0x5e, 0x9c, 0xda} {
		for third := range 256 {
			if third>>1&3 == 2 {
				list = append(list, unpack.Magic{At: 0, Bytes: string([]byte{0x78, level, byte(third)})})
			}
		}
	}
	return list
}

func openZlib(in *unpack.Input) (*unpack.Object, error) {
	r, used := unpack.SourceOf(in.Data)
	z, err := zlib.NewReader(r)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	out, err := in.Budget.Decode(z, in.Data.Size())
	if len(out) < zlibMin || err != nil && (!in.Whole || len(out) < unpack.CarvedMin) {
		in.Budget.Release(out)
		return nil, unpack.ErrNotThis
	}
	return unpack.StreamObject(in, "zlib", out, used(), false, err, nil)
}
