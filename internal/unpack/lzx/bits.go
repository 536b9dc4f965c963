package lzx

import "encoding/binary"

// bits reads words of 16 bits, little-endian, from their highest bit on.
type bits struct {
	src  []byte
	at   int
	hold uint64 // the next bits, from the top
	have uint
	bad  bool // the source ended
}

// need makes n bits, at most 32, available: zeros behind the end.
func (b *bits) need(n uint) {
	for b.have < n {
		w := uint64(0)
		if b.at+2 <= len(b.src) {
			w = uint64(binary.LittleEndian.Uint16(b.src[b.at:]))
		} else if b.at > len(b.src)+4 {
			b.bad = true
		}
		b.at += 2
		b.hold |= w << (48 - b.have)
		b.have += 16
	}
}

func (b *bits) take(n uint) uint32 {
	if n == 0 {
		return 0
	}
	b.need(n)
	v := uint32(b.hold >> (64 - n))
	b.hold <<= n
	b.have -= n
	return v
}

// toWord drops bits up to the next word.
func (b *bits) toWord() {
	b.hold <<= b.have % 16
	b.have -= b.have % 16
	b.at -= int(b.have / 8) // whole words go back
	b.hold, b.have = 0, 0
}

// toWordAlways does so before the bytes of a stored block: a whole word is
// dropped if none was begun.
func (b *bits) toWordAlways() {
	if b.have%16 == 0 {
		b.take(16)
	}
	b.toWord()
}

const (
	maxBits  = 16
	fastBits = 10
)

// code is a canonical Huffman code: short codes by table, longer ones by
// counting.
type code struct {
	fast    [1 << fastBits]uint16 // symbol<<5 | length
	count   [maxBits + 1]int
	symbols [chars + 8*maxSlots]uint16
}

// set builds the code of given lengths; false if they claim more codes than
// there are.
func (c *code) set(lens []byte) bool {
	c.count = [maxBits + 1]int{}
	for _, n := range lens {
		c.count[n]++
	}
	c.count[0] = 0
	left := 1
	var offset, next [maxBits + 2]int
	for n := 1; n <= maxBits; n++ {
		if left = left<<1 - c.count[n]; left < 0 {
			return false
		}
		offset[n+1] = offset[n] + c.count[n]
		next[n+1] = (next[n] + c.count[n]) << 1
	}
	clear(c.fast[:])
	for s, n := range lens {
		if n == 0 {
			continue
		}
		c.symbols[offset[n]] = uint16(s)
		offset[n]++
		value := next[n]
		next[n]++
		if n <= fastBits {
			for i := range 1 << (fastBits - n) {
				c.fast[value<<(fastBits-n)|i] = uint16(s)<<5 | uint16(n)
			}
		}
	}
	return true
}

// symbol reads a symbol; -1 if the bits are none.
func (b *bits) symbol(c *code) int {
	b.need(maxBits)
	if e := c.fast[b.hold>>(64-fastBits)]; e != 0 {
		b.hold <<= e & 31
		b.have -= uint(e & 31)
		return int(e >> 5)
	}
	value, first, index := 0, 0, 0
	for n := 1; n <= maxBits; n++ {
		value = value<<1 | int(b.hold>>(64-n)&1)
		count := c.count[n]
		if value-first < count {
			b.hold <<= n
			b.have -= uint(n)
			return int(c.symbols[index+value-first])
		}
		index += count
		first = (first + count) << 1
	}
	return -1
}
