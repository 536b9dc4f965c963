package boot

import (
	"encoding/binary"

	"github.com/doorward/doorward/internal/unpack"
)

// kernelELF says whether an ELF file runs on the bare machine (it has no
// interpreter and no dynamic section), and whether a segment lies in the upper
// part of memory, where kernels do.
func kernelELF(data unpack.Bytes) (bare, high bool) {
	h, err := unpack.ReadFull(data, 0, 64)
	if err != nil || h[4] < 1 || h[4] > 2 || h[5] < 1 || h[5] > 2 {
		return false, false
	}
	var order binary.ByteOrder = binary.LittleEndian
	if h[5] == 2 {
		order = binary.BigEndian
	}
	wide := h[4] == 2
	at, size, count := int64(order.Uint32(h[28:])), int64(order.Uint16(h[42:])), int64(order.Uint16(h[44:]))
	if wide {
		at, size, count = int64(order.Uint64(h[32:])), int64(order.Uint16(h[54:])), int64(order.Uint16(h[56:]))
	}
	if kind := order.Uint16(h[16:]); kind != 2 && kind != 3 || size < 32 || count > 64 {
		return false, false
	}
	for range count {
		p, err := unpack.ReadFull(data, at, min(size, 56))
		if err != nil || wide && size < 56 {
			return false, false
		}
		at += size
		switch order.Uint32(p) {
		case 1: // PT_LOAD
			if wide {
				high = high || order.Uint64(p[16:]) >= 1<<63
			} else {
				high = high || order.Uint32(p[8:]) >= 1<<30
			}
		case 2, 3: // PT_DYNAMIC of shared libraries, PT_INTERP
			if !wide || order.Uint32(p) == 3 {
				return false, false
			}
		}
	}
	return true, high
}
