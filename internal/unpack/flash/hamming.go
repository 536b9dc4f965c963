package flash

import "math/bits"

// hamming is the code of SmartMedia over 256 bytes, which corrects one bit and
// sees two: the kernel's software ECC (drivers/mtd/nand/ecc-sw-hamming.c) and
// that of YAFFS. Its three bytes hold, inverted, the parities of the lines
// (bytes with a bit of their address set, and clear), the upper half and the
// lower, then those of the columns.
type hamming struct {
	smart bool // SmartMedia's order: the lower half first
}

const hammingStep = 256

// columns is the parity of columns that each bit of a byte adds, and of the
// byte as a whole in the lowest bit.
var columns = func() (t [256]byte) {
	for b := range t {
		for bit, p := range [8]byte{0x55, 0x59, 0x65, 0x69, 0x95, 0x99, 0xa5, 0xa9} {
			if b>>bit&1 != 0 {
				t[b] ^= p
			}
		}
	}
	return t
}()

// parities are those of columns, and of lines with a bit set and clear.
func parities(data []byte) (col byte, line, prime uint32) {
	for i, b := range data {
		c := columns[b]
		col ^= c
		if c&1 != 0 {
			line ^= uint32(i)
			prime ^= ^uint32(i)
		}
	}
	return col, line, prime
}

// code is the code of 256 bytes.
func (h hamming) code(data []byte) (c [3]byte) {
	col, line, prime := parities(data)
	mixed := uint16(0)
	for bit := range 8 {
		mixed |= uint16(line>>bit&1)<<(2*bit+1) | uint16(prime>>bit&1)<<(2*bit)
	}
	c = [3]byte{^byte(mixed >> 8), ^byte(mixed), ^col | 3}
	if h.smart {
		c[0], c[1] = c[1], c[0]
	}
	return c
}

// correct compares data with their stored code and corrects one bit in place.
// It returns how many bits it corrected, or -1 if the data are wrong beyond
// that.
func (h hamming) correct(data []byte, stored []byte) int {
	now := h.code(data)
	d := [3]byte{now[0] ^ stored[0], now[1] ^ stored[1], (now[2] ^ stored[2]) &^ 3}
	if h.smart {
		d[0], d[1] = d[1], d[0]
	}
	lines, cols := uint32(d[0])<<8|uint32(d[1]), uint32(d[2])>>2
	switch {
	case lines == 0 && cols == 0:
		return 0
	case (lines^lines>>1)&0x5555 == 0x5555 && (cols^cols>>1)&0x15 == 0x15:
		data[odd(lines)] ^= 1 << odd(cols)
		return 1
	case bits.OnesCount32(lines)+bits.OnesCount32(cols) == 1:
		return 1 // in the code itself
	}
	return -1
}

// odd gathers the bits at odd places.
func odd(v uint32) (n uint32) {
	for bit := range 8 {
		n |= v >> (2*bit + 1) & 1 << bit
	}
	return n
}
