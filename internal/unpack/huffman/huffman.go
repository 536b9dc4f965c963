// Package huffman decodes canonical Huffman codes (RFC 1951, 3.2.2), for readers
// of bits from either end: short codes by table, longer ones by counting.
package huffman

import "math/bits"

// Bounds of what a Code holds.
const (
	MaxBits    = 16
	MaxSymbols = 1024
	fastBits   = 10
)

// Code is a canonical code; its zero value has no codes.
type Code struct {
	fast    [1 << fastBits]uint16 // symbol<<5 | length
	count   [MaxBits + 1]int
	symbols [MaxSymbols]uint16
}

// Set builds the code of the given lengths, at most MaxSymbols of at most
// MaxBits; low says that a code's first bit is the lowest of what is read. It
// is false if the lengths claim more codes than there are.
func (c *Code) Set(lengths []byte, low bool) bool {
	c.count = [MaxBits + 1]int{}
	for _, n := range lengths {
		c.count[n]++
	}
	c.count[0] = 0
	left := 1
	var offset, next [MaxBits + 2]int
	for n := 1; n <= MaxBits; n++ {
		if left = left<<1 - c.count[n]; left < 0 {
			return false
		}
		offset[n+1] = offset[n] + c.count[n]
		next[n+1] = (next[n] + c.count[n]) << 1
	}
	clear(c.fast[:])
	for symbol, n := range lengths {
		if n == 0 {
			continue
		}
		c.symbols[offset[n]] = uint16(symbol)
		offset[n]++
		if n <= fastBits {
			c.quick(next[n], symbol, int(n), low)
		}
		next[n]++
	}
	return true
}

// quick enters a code of n bits into the table, whatever follows it.
func (c *Code) quick(code, symbol, n int, low bool) {
	entry := uint16(symbol)<<5 | uint16(n)
	if low {
		for i := int(bits.Reverse16(uint16(code)) >> (16 - n)); i < 1<<fastBits; i += 1 << n {
			c.fast[i] = entry
		}
		return
	}
	for i := range 1 << (fastBits - n) {
		c.fast[code<<(fastBits-n)|i] = entry
	}
}

// High finds the symbol whose code begins at the highest bit, and its length;
// 0 bits if there is none.
func (c *Code) High(b uint64) (symbol int, n uint) {
	if e := c.fast[b>>(64-fastBits)]; e != 0 {
		return int(e >> 5), uint(e & 31)
	}
	return c.slow(b)
}

// Low does the same from the lowest bit on.
func (c *Code) Low(b uint64) (symbol int, n uint) {
	if e := c.fast[b&(1<<fastBits-1)]; e != 0 {
		return int(e >> 5), uint(e & 31)
	}
	return c.slow(bits.Reverse64(b))
}

func (c *Code) slow(b uint64) (symbol int, n uint) {
	value, first, index := 0, 0, 0
	for n := 1; n <= MaxBits; n++ {
		value = value<<1 | int(b>>(64-n)&1)
		count := c.count[n]
		if value-first < count {
			return int(c.symbols[index+value-first]), uint(n)
		}
		index += count
		first = (first + count) << 1
	}
	return 0, 0
}
