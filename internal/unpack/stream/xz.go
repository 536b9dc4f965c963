package stream

import (
	"errors"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/lzma"
)

// XZ opens .xz files.
var XZ = &unpack.Reader{
	Name:    "xz",
	Checked: "xz",
	Doc:     "xz streams (file format 1.2), all checks, with the filters for x86, ARM, Thumb, ARM64, PowerPC, SPARC, IA-64 and delta.",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\xfd7zXZ\x00"}},
	Carve:   true,
	Open:    openXZ,
}

func openXZ(in *unpack.Input) (*unpack.Object, error) {
	layout, err := lzma.Scan(in.Data)
	if errors.Is(err, lzma.ErrNotXZ) && layout.Streams == 0 {
		return nil, unpack.ErrNotThis
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
		err = fmt.Errorf("%w: %w", unpack.ErrUnsupported, err)
	}
	return unpack.StreamObject(in, "xz", out, size, true, err, nil)
}

func decodeXZ(in *unpack.Input, layout *lzma.Layout) (unpack.Slice, error) {
	out, err := in.Budget.Room(layout.Unpacked, layout.Size)
	if err != nil {
		return out[:0], err
	}
	at := int64(0)
	for i := range layout.Blocks {
		b := &layout.Blocks[i]
		packed, err := unpack.ReadAll(unpack.Window(in.Data, b.Offset, b.Packed), in.Budget.Limits.Memory)
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
