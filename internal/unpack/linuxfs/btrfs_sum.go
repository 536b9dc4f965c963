package linuxfs

import (
	"bytes"
	"crypto/sha256"
	"hash/crc32"
	"math/bits"

	"golang.org/x/crypto/blake2b"
)

// btrfsSums are the checksums, by their number in the superblock.
var btrfsSums = []struct {
	name string
	size int
	sum  func(p []byte) []byte
}{
	{"crc32c", 4, func(p []byte) []byte { return le.AppendUint32(nil, crc32.Checksum(p, castagnoli)) }},
	{"xxhash64", 8, func(p []byte) []byte { return le.AppendUint64(nil, xxhash64(p)) }},
	{"sha256", 32, func(p []byte) []byte { s := sha256.Sum256(p); return s[:] }},
	{"blake2b", 32, func(p []byte) []byte { s := blake2b.Sum256(p); return s[:] }},
}

// checked compares bytes with their checksum.
func (b *btrfs) checked(sum, p []byte) bool {
	s := btrfsSums[b.sumType]
	return bytes.Equal(s.sum(p), sum[:s.size])
}

// Primes of XXH64.
const (
	xx1 uint64 = 0x9e3779b185ebca87
	xx2 uint64 = 0xc2b2ae3d27d4eb4f
	xx3 uint64 = 0x165667b19e3779f9
	xx4 uint64 = 0x85ebca77c2b2ae63
	xx5 uint64 = 0x27d4eb2f165667c5
)

func xxRound(acc, v uint64) uint64 { return bits.RotateLeft64(acc+v*xx2, 31) * xx1 }

// xxhash64 is XXH64 with seed 0, as its specification has it.
func xxhash64(p []byte) uint64 {
	n := uint64(len(p))
	h := xx5
	if len(p) >= 32 {
		one := xx1
		v := [4]uint64{one + xx2, xx2, 0, -one}
		for ; len(p) >= 32; p = p[32:] {
			for k := range v {
				v[k] = xxRound(v[k], le.Uint64(p[8*k:]))
			}
		}
		h = bits.RotateLeft64(v[0], 1) + bits.RotateLeft64(v[1], 7) + bits.RotateLeft64(v[2], 12) + bits.RotateLeft64(v[3], 18)
		for _, x := range v {
			h = (h^xxRound(0, x))*xx1 + xx4
		}
	}
	h += n
	for ; len(p) >= 8; p = p[8:] {
		h = bits.RotateLeft64(h^xxRound(0, le.Uint64(p)), 27)*xx1 + xx4
	}
	if len(p) >= 4 {
		h = bits.RotateLeft64(h^uint64(le.Uint32(p))*xx1, 23)*xx2 + xx3
		p = p[4:]
	}
	for _, c := range p {
		h = bits.RotateLeft64(h^uint64(c)*xx5, 11) * xx1
	}
	h = (h ^ h>>33) * xx2
	h = (h ^ h>>29) * xx3
	return h ^ h>>32
}
