package lzx

import (
	"encoding/binary"

	"github.com/doorward/doorward/internal/unpack/huffman"
)

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

// symbol reads a symbol; -1 if the bits are none.
func (b *bits) symbol(c *huffman.Code) int {
	b.need(huffman.MaxBits)
	symbol, n := c.High(b.hold)
	if n == 0 {
		return -1
	}
	b.hold <<= n
	b.have -= n
	return symbol
}
