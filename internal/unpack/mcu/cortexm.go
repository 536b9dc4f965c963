package mcu

import (
	"encoding/binary"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// CortexM opens raw programs for ARM's Cortex-M by their vector table (ARMv7-M
// architecture, B1.5): a stack in RAM, and handlers that are Thumb code within
// the program.
var CortexM = &unpack.Reader{
	Name:    "cortex-m",
	Doc:     "raw ARM Cortex-M programs, told by their vector table and Thumb code: stack, entry, addresses of the handlers",
	Limits:  "the machine code is not taken apart",
	Checked: "vector tables before Thumb code of a cross compiler; other code and data",
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		size := in.Data.Size()
		b := unpack.ReadSome(in.Data, 0, 64<<10)
		if !in.Whole || size < 512 || size > 32<<20 || len(b) < 512 {
			return nil, unpack.ErrNotThis
		}
		entry, ok := vectors(b, size)
		if !ok || !isThumb(b) {
			return nil, unpack.ErrNotThis
		}
		word := binary.LittleEndian.Uint32(b)
		return &unpack.Object{Format: "cortex-m program", Size: size, Info: map[string]string{"architecture": "thumb", "stack": fmt.Sprintf("0x%08x", word), "entry point": fmt.Sprintf("0x%08x", entry)},
			Parts: []unpack.Part{{Name: "code", Format: unpack.CodePart, Data: unpack.Window(in.Data, 4, size-4), Offset: 4}}}, nil
	},
}

// vectors checks the 16 vectors of the architecture.
func vectors(b []byte, size int64) (entry uint32, ok bool) {
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
	// The stack lies in RAM: 0x20000000 to 0x2fffffff, or below (core-coupled).
	if s := word(0); s%4 != 0 || s < 0x10000000 || s >= 0x30000000 {
		return 0, false
	}
	low, high := word(1), word(1)
	for i := 1; i < 16; i++ {
		v := word(i)
		switch {
		case i >= 7 && i <= 10 || i == 13: // reserved; makers keep sums there
			continue
		case v == 0 && i > 3:
			continue
		case v&1 == 0 || v >= 0x20000000:
			return 0, false
		}
		low, high = min(low, v), max(high, v)
	}
	if int64(high-low) >= size || word(2) == word(0) {
		return 0, false
	}
	return word(1), true
}

// isThumb says that there is much Thumb code at the start.
func isThumb(b []byte) bool {
	for at := 0; at+256 <= len(b); at += 8 << 10 {
		if unpack.CodeArch(b[at:min(at+8<<10, len(b))]) == "thumb" {
			return true
		}
	}
	return false
}
