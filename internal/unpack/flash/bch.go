package flash

import (
	"math/bits"
	"sync"
)

// bch is a binary BCH code, shortened to what a sector holds: it corrects t bits
// of a codeword of less than 2^m bits (Lin and Costello, Error Control Coding,
// chapter 6; lib/bch.c of Linux has the same order of bits: the first byte's
// highest is the highest power).
type bch struct {
	m, t   int
	degree int // bits of the code
	exp    []uint16
	log    []uint16
	gen    []uint64      // the generator without its highest power, at the high end of the words
	table  [256][]uint64 // what a byte adds to the remainder
}

// bchParams name a code.
type bchParams struct {
	m, t int
	poly uint32 // primitive polynomial of the field
}

var bchKnown sync.Map // bchParams -> *bch

// bchOf makes a code, once.
func bchOf(p bchParams) *bch {
	if c, ok := bchKnown.Load(p); ok {
		return c.(*bch)
	}
	c, _ := bchKnown.LoadOrStore(p, newBCH(p))
	return c.(*bch)
}

func newBCH(p bchParams) *bch {
	n := 1<<p.m - 1
	c := &bch{m: p.m, t: p.t, exp: make([]uint16, 2*n), log: make([]uint16, n+1)}
	x := uint32(1)
	for i := range n {
		c.exp[i], c.exp[i+n] = uint16(x), uint16(x)
		c.log[x] = uint16(i)
		if x <<= 1; x>>p.m != 0 {
			x ^= p.poly
		}
	}
	c.generator(n)
	c.tables()
	return c
}

// generator is the product of x - a^i over i = 1, 3 ... 2t-1 and their
// conjugates.
func (c *bch) generator(n int) {
	g := []uint16{1} // the lowest power first
	seen := map[int]bool{}
	for i := 1; i < 2*c.t; i += 2 {
		for r := i; !seen[r]; r = 2 * r % n {
			seen[r] = true
			g = append(g, 0)
			for k := len(g) - 1; k > 0; k-- {
				g[k] = g[k-1] ^ c.mul(g[k], c.exp[r])
			}
			g[0] = c.mul(g[0], c.exp[r])
		}
	}
	c.degree = len(g) - 1
	c.gen = make([]uint64, (c.degree+63)/64)
	for k := range c.degree {
		if g[c.degree-1-k] != 0 {
			c.gen[k/64] |= 1 << (63 - k%64)
		}
	}
}

func (c *bch) mul(a, b uint16) uint16 {
	if a == 0 || b == 0 {
		return 0
	}
	return c.exp[int(c.log[a])+int(c.log[b])]
}

func (c *bch) tables() {
	for b := range c.table {
		r := make([]uint64, len(c.gen))
		r[0] = uint64(b) << 56
		for range 8 {
			out := r[0]>>63 != 0
			shift(r, 1)
			if out {
				for i := range r {
					r[i] ^= c.gen[i]
				}
			}
		}
		c.table[b] = r
	}
}

func shift(r []uint64, n int) {
	for i := range r {
		r[i] <<= n
		if i+1 < len(r) {
			r[i] |= r[i+1] >> (64 - n)
		}
	}
}

// add takes bytes into the remainder r. With mirror, the lowest bit of a byte
// is its first.
func (c *bch) add(r []uint64, data []byte, mirror bool) {
	for _, b := range data {
		if mirror {
			b = bits.Reverse8(b)
		}
		t := c.table[byte(r[0]>>56)^b]
		shift(r, 8)
		for i := range r {
			r[i] ^= t[i]
		}
	}
}

// bytes is how many the code takes.
func (c *bch) bytes() int { return (c.degree + 7) / 8 }

// code is the code of a remainder as bytes.
func (c *bch) code(r []uint64, mirror bool) []byte {
	out := make([]byte, c.bytes())
	for i := range out {
		out[i] = byte(r[i/8] >> (56 - i%8*8))
		if mirror {
			out[i] = bits.Reverse8(out[i])
		}
	}
	return out
}

// remainder is the one of data.
func (c *bch) remainder(mirror bool, data ...[]byte) []uint64 {
	r := make([]uint64, len(c.gen))
	for _, d := range data {
		c.add(r, d, mirror)
	}
	return r
}

// errors are the places of the wrong bits in a codeword of n bits of data and
// the code, counted from its first bit; ok is false if they are too many. diff
// is the difference of the code that was computed and the one that was read.
func (c *bch) errors(diff []byte, mirror bool, n int) (at []int, ok bool) {
	s := c.syndromes(diff, mirror)
	if s == nil {
		return nil, true
	}
	l := c.locator(s)
	degree := len(l) - 1
	if degree < 1 || degree > c.t {
		return nil, false
	}
	// Chien's search over the bits that are there: bit i has the power total-1-i.
	total, order := n+c.degree, 1<<c.m-1
	step := make([]int, len(l)) // exponents of the terms
	for k, v := range l {
		if v != 0 {
			step[k] = int(c.log[v])
		}
	}
	for p := 0; p < total && len(at) < degree; p++ {
		sum := uint16(0)
		for k, v := range l {
			if v != 0 {
				sum ^= c.exp[(step[k]+k*(order-p))%order]
			}
		}
		if sum == 0 {
			at = append(at, total-1-p)
		}
	}
	return at, len(at) == degree
}

// syndromes are those of a difference of codes; nil if all are zero.
func (c *bch) syndromes(diff []byte, mirror bool) []uint16 {
	s := make([]uint16, 2*c.t+1)
	order := 1<<c.m - 1
	any := false
	for i := range c.degree {
		b := diff[i/8]
		if mirror {
			b = bits.Reverse8(b)
		}
		if b>>(7-i%8)&1 == 0 {
			continue
		}
		any = true
		power := c.degree - 1 - i
		for j := 1; j <= 2*c.t; j += 2 {
			s[j] ^= c.exp[power*j%order]
		}
	}
	if !any {
		return nil
	}
	for j := 2; j <= 2*c.t; j += 2 {
		s[j] = c.mul(s[j/2], s[j/2])
	}
	return s
}

// locator is the polynomial whose roots tell the places, the lowest power first
// (Berlekamp and Massey).
func (c *bch) locator(s []uint16) []uint16 {
	l, b := []uint16{1}, []uint16{1}
	size, gap, last := 0, 1, uint16(1)
	for n := 1; n <= 2*c.t; n++ {
		d := s[n]
		for i := 1; i <= size && i < len(l); i++ {
			d ^= c.mul(l[i], s[n-i])
		}
		if d == 0 {
			gap++
			continue
		}
		f := c.exp[int(c.log[d])+(1<<c.m-1)-int(c.log[last])]
		next := make([]uint16, max(len(l), len(b)+gap))
		copy(next, l)
		for i, v := range b {
			next[i+gap] ^= c.mul(f, v)
		}
		if 2*size < n {
			b, last, size, gap = l, d, n-size, 1
		} else {
			gap++
		}
		l = next
	}
	for len(l) > 1 && l[len(l)-1] == 0 {
		l = l[:len(l)-1]
	}
	if len(l)-1 != size {
		return nil
	}
	return l
}
