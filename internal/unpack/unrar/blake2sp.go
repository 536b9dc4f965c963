package unrar

import (
	"encoding/binary"
	"hash"
	"math/bits"
)

// BLAKE2sp is eight BLAKE2s side by side, each over every eighth block of 64
// bytes, and one over their digests (RFC 7693; J.-P. Aumasson et al., BLAKE2,
// sections 2.6 to 2.10).
const (
	blakeBlock  = 64
	blakeSize   = 32
	blakeLeaves = 8
)

var blakeIV = [8]uint32{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}

var blakeSigma = [10][16]byte{
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
}

// blake is one BLAKE2s of a tree.
type blake struct {
	h    [8]uint32
	n    uint64 // bytes before the buffer
	buf  [blakeBlock]byte
	have int
	last bool // the last of its level
}

// newBlake starts a leaf (depth 0) or the root (depth 1).
func newBlake(offset, depth uint32, last bool) blake {
	b := blake{h: blakeIV, last: last}
	b.h[0] ^= blakeSize | blakeLeaves<<16 | 2<<24
	b.h[2] ^= offset
	b.h[3] ^= depth<<16 | blakeSize<<24
	return b
}

// write takes bytes; the last block is kept until it is known to be the last.
func (b *blake) write(p []byte) {
	for len(p) > 0 {
		if b.have == blakeBlock {
			b.n += blakeBlock
			b.compress(0)
			b.have = 0
		}
		n := copy(b.buf[b.have:], p)
		b.have += n
		p = p[n:]
	}
}

func (b *blake) sum() (out [blakeSize]byte) {
	clear(b.buf[b.have:])
	b.n += uint64(b.have)
	b.compress(0xffffffff)
	for i, v := range b.h {
		binary.LittleEndian.PutUint32(out[4*i:], v)
	}
	return out
}

func (b *blake) compress(final uint32) {
	var m, v [16]uint32
	for i := range m {
		m[i] = binary.LittleEndian.Uint32(b.buf[4*i:])
	}
	copy(v[:], b.h[:])
	copy(v[8:], blakeIV[:])
	v[12] ^= uint32(b.n)
	v[13] ^= uint32(b.n >> 32)
	v[14] ^= final
	if b.last {
		v[15] ^= final
	}
	g := func(a, b, c, d int, x, y uint32) {
		v[a] += v[b] + x
		v[d] = bits.RotateLeft32(v[d]^v[a], -16)
		v[c] += v[d]
		v[b] = bits.RotateLeft32(v[b]^v[c], -12)
		v[a] += v[b] + y
		v[d] = bits.RotateLeft32(v[d]^v[a], -8)
		v[c] += v[d]
		v[b] = bits.RotateLeft32(v[b]^v[c], -7)
	}
	for i := range blakeSigma {
		s := &blakeSigma[i]
		for j := range 4 {
			g(j, 4+j, 8+j, 12+j, m[s[2*j]], m[s[2*j+1]])
		}
		for j := range 4 {
			g(j, 4+(j+1)%4, 8+(j+2)%4, 12+(j+3)%4, m[s[8+2*j]], m[s[9+2*j]])
		}
	}
	for i := range b.h {
		b.h[i] ^= v[i] ^ v[i+8]
	}
}

type blake2sp struct {
	leaves [blakeLeaves]blake
	at     int // in a stripe over all leaves
}

// NewBLAKE2sp is the digest that RAR 5 stores.
func NewBLAKE2sp() hash.Hash {
	h := &blake2sp{}
	h.Reset()
	return h
}

func (h *blake2sp) Reset() {
	for i := range h.leaves {
		h.leaves[i] = newBlake(uint32(i), 0, i == blakeLeaves-1)
	}
	h.at = 0
}

func (h *blake2sp) Size() int      { return blakeSize }
func (h *blake2sp) BlockSize() int { return blakeBlock * blakeLeaves }

func (h *blake2sp) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		piece := p[:min(len(p), blakeBlock-h.at%blakeBlock)]
		h.leaves[h.at/blakeBlock].write(piece)
		h.at = (h.at + len(piece)) % (blakeBlock * blakeLeaves)
		p = p[len(piece):]
	}
	return n, nil
}

func (h *blake2sp) Sum(b []byte) []byte {
	root := newBlake(0, 1, true)
	for _, leaf := range h.leaves { // copies: the sum changes nothing
		sum := leaf.sum()
		root.write(sum[:])
	}
	sum := root.sum()
	return append(b, sum[:]...)
}
