package flash

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

// The codes of an erased sector as the OMAP driver of Linux has them, inverted,
// in a table (omap2.c: bch4_polynomial, bch8_polynomial).
func TestBCHOfErasedSector(t *testing.T) {
	erased := bytes.Repeat([]byte{0xff}, 512)
	for bits, want := range map[int]string{4: "2813cc3996ac7f", 8: "ef512e09ed939ac29779e524b5"} {
		c := bchOf(bchParams{13, bits, 0x201b})
		got := c.code(c.remainder(false, erased), false)
		for i := range got {
			got[i] ^= 0xff
		}
		if hex.EncodeToString(got) != want {
			t.Errorf("%d bits: %x, want %s", bits, got, want)
		}
	}
}

func TestBCHCorrects(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, p := range []bchParams{{13, 4, 0x201b}, {13, 8, 0x201b}, {14, 4, 0x5803}, {14, 24, 0x4443}, {14, 40, 0x4443}} {
		for _, mirror := range []bool{false, true} {
			c := bchOf(p)
			for n := range p.t + 4 {
				data := make([]byte, 512+r.IntN(200))
				for i := range data {
					data[i] = byte(r.Uint32())
				}
				code := c.code(c.remainder(mirror, data), mirror)
				word := append(bytes.Clone(data), code...)
				bad := bytes.Clone(word)
				for _, bit := range r.Perm(8*len(data) + c.degree)[:n] {
					if mirror {
						bad[bit/8] ^= 1 << (bit % 8)
					} else {
						bad[bit/8] ^= 0x80 >> (bit % 8)
					}
				}
				diff := c.code(c.remainder(mirror, bad[:len(data)]), mirror)
				for i := range diff {
					diff[i] ^= bad[len(data)+i]
				}
				at, ok := c.errors(diff, mirror, 8*len(data))
				if n > p.t {
					if ok && n <= p.t+1 {
						t.Errorf("%v: %d wrong bits were corrected by %d", p, n, len(at))
					}
					continue
				}
				if !ok || len(at) != n {
					t.Fatalf("%v mirror %t: %d wrong bits: %v %t", p, mirror, n, at, ok)
				}
				for _, bit := range at {
					if mirror {
						bad[bit/8] ^= 1 << (bit % 8)
					} else {
						bad[bit/8] ^= 0x80 >> (bit % 8)
					}
				}
				if !bytes.Equal(bad, word) {
					t.Fatalf("%v: not corrected", p)
				}
			}
		}
	}
}
