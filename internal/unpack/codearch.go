package unpack

import "encoding/binary"

// CodeArch names the architecture of raw machine code, as classification does;
// "" if the bytes are not mostly code.
func CodeArch(b []byte) string { return codeArch(b) }

// codeArch names the architecture of raw machine code by instructions that
// every function has (returns, calls, stack frames) and that are rare by
// chance. It returns "" if no architecture has enough of them.
func codeArch(b []byte) string {
	words := len(b) / 4
	if words < 64 {
		return ""
	}
	best, arch := 0.0, ""
	for _, a := range archMarks {
		hits := 0
		for i := 0; i+4 <= len(b); i += a.step {
			if a.match(b[i : i+4]) {
				hits++
			}
		}
		if share := float64(hits) / float64(len(b)/a.step) / a.least; share > best {
			best, arch = share, a.name
		}
	}
	if best < 1 {
		return ""
	}
	return arch
}

type archMark struct {
	name  string
	step  int
	least float64 // share of words that real code exceeds
	match func(w []byte) bool
}

var archMarks = []archMark{
	{"arm", 4, 0.08, func(w []byte) bool {
		v := binary.LittleEndian.Uint32(w)
		return v>>28 == 0xe && (v == 0xe12fff1e || v>>24 == 0xeb || v>>16 == 0xe92d || v>>16 == 0xe8bd || v>>20 == 0xe59 || v>>20 == 0xe58 || v>>20 == 0xe1a || v>>20 == 0xe3a)
	}},
	{"aarch64", 4, 0.06, func(w []byte) bool {
		v := binary.LittleEndian.Uint32(w)
		return v == 0xd65f03c0 || v>>26 == 0x25 || v>>22 == 0x2a6 || v>>22 == 0x2a5 || v&0xffe0ffe0 == 0xaa0003e0
	}},
	{"mips-le", 4, 0.06, func(w []byte) bool { return mipsMark(binary.LittleEndian.Uint32(w)) }},
	{"mips-be", 4, 0.06, func(w []byte) bool { return mipsMark(binary.BigEndian.Uint32(w)) }},
	{"powerpc", 4, 0.05, func(w []byte) bool {
		v := binary.BigEndian.Uint32(w)
		return v == 0x4e800020 || v == 0x7c0802a6 || v>>16 == 0x9421 || v&0xfc000003 == 0x48000001 || v>>16 == 0x8001
	}},
	{"thumb", 2, 0.04, func(w []byte) bool {
		v := binary.LittleEndian.Uint16(w)
		return v == 0x4770 || v&0xff00 == 0xb500 || v&0xff00 == 0xbd00 || v&0xf800 == 0xf000 && w[3]&0xd0 == 0xd0
	}},
	{"riscv", 2, 0.035, func(w []byte) bool { // of compressed instructions: ret, frames, saved registers
		switch binary.LittleEndian.Uint16(w) {
		case 0x8082, 0x1101, 0x1141, 0x7179, 0x7139, 0x6105, 0x0141, 0xec06, 0xe822, 0xe426, 0xe406, 0xe022, 0x60e2, 0x6442, 0x64a2, 0x60a2, 0x6402, 0xc606, 0xc422, 0x40b2, 0x4422:
			return true
		}
		return false
	}},
	{"x86", 1, 0.012, func(w []byte) bool {
		return w[0] == 0xc3 && (w[1] == 0x90 || w[1] == 0x55 || w[1] == 0x66 || w[1] == 0xcc) || w[0] == 0x55 && w[1] == 0x89 && w[2] == 0xe5 || w[0] == 0x48 && w[1] == 0x89 || w[0] == 0xe8 && (w[3] == 0 || w[3] == 0xff)
	}},
}

func mipsMark(v uint32) bool {
	return v == 0x03e00008 || v>>16 == 0x27bd || v>>16 == 0xafbf || v>>16 == 0x8fbf || v>>26 == 3 || v&0xfc1fffff == 0x0000f809 || v>>16 == 0x8f99
}
