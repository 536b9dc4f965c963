package unpack

import (
	"errors"
	"fmt"

	"github.com/doorward/doorward/internal/unpack/lzma"
)

// XZ opens .xz files.
var XZ = &Reader{
	Name:   "xz",
	Doc:    "xz streams (file format 1.2), all checks, with the filters for x86, ARM, Thumb, ARM64, PowerPC, SPARC, IA-64 and delta.",
	Magics: []Magic{{0, "\xfd7zXZ\x00"}},
	Carve:  true,
	Open:   openXZ,
}

func openXZ(in *Input) (*Object, error) {
	layout, err := lzma.Scan(in.Data)
	if errors.Is(err, lzma.ErrNotXZ) && layout.Streams == 0 {
		return nil, ErrNotThis
	}
	size := layout.Size
	if err != nil {
		size = in.Data.Size() // its end is not known
	}
	out, decodeErr := decodeXZ(in, layout)
	if decodeErr != nil {
		err = decodeErr
	}
	if errors.Is(err, lzma.ErrFilter) {
		err = fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return StreamObject(in, "xz", out, size, true, err, nil)
}

func decodeXZ(in *Input, layout *lzma.Layout) (Slice, error) {
	out, err := in.Budget.Room(layout.Unpacked, layout.Size)
	if err != nil {
		return out[:0], err
	}
	at := int64(0)
	for i := range layout.Blocks {
		b := &layout.Blocks[i]
		packed, err := ReadAll(Window(in.Data, b.Offset, b.Packed), in.Budget.Limits.Memory)
		if err != nil {
			return out[:at], err
		}
		n, err := b.Decode(out[at:at+b.Unpacked], packed, in.Data)
		at += int64(n)
		if err == nil {
			err = in.Context.Err()
		}
		if err != nil {
			return out[:at], err
		}
	}
	return out, nil
}
