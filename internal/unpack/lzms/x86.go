package lzms

import "encoding/binary"

const (
	x86Window = 65535 // two uses of a target within it show that it is code
	x86Reach  = 1023  // how far behind such a place code is believed
)

// untranslate turns absolute targets of x86 instructions back into relative
// ones, where the packer took the bytes for code.
func untranslate(b []byte) {
	if len(b) <= 17 {
		return
	}
	used := make([]int, 1<<16)
	for i := range used {
		used[i] = -x86Window - 1
	}
	code := -x86Reach - 1 // the last place that is believed to be code
	for i := 1; i < len(b)-16; {
		n, reach := instruction(b[i:]), x86Reach
		switch {
		case b[i] == 0xe9:
			i += 5
			continue
		case n == 0:
			i++
			continue
		case n == 1:
			reach /= 2
		}
		p := b[i+n:]
		if i-code <= reach {
			binary.LittleEndian.PutUint32(p, binary.LittleEndian.Uint32(p)-uint32(i))
		}
		target := uint16(i) + binary.LittleEndian.Uint16(p)
		end := i + n + 3
		if end-used[target] <= x86Window {
			code = end
		}
		used[target] = end
		i = end + 1
	}
}

// instruction is how many bytes come before the target; 0 if there is none.
func instruction(b []byte) int {
	switch b[0] {
	case 0xff: // call
		if b[1] == 0x15 {
			return 2
		}
	case 0xf0: // lock add
		if b[1] == 0x83 && b[2] == 0x05 {
			return 3
		}
	case 0x48, 0x4c: // lea, mov
		if b[2]&7 == 5 && (b[1] == 0x8d || b[1] == 0x8b && b[0] == 0x48 && b[2]&0xf0 == 0) {
			return 3
		}
	case 0xe8: // call
		return 1
	}
	return 0
}
