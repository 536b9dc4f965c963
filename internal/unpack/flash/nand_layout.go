package flash

import (
	"bytes"
	"math/bits"
)

// span is a stretch of a raw page.
type span struct{ at, size int }

// nandSector is one codeword of a page.
type nandSector struct {
	covered []span // what the code covers, in its order
	code    int    // where the code stands
}

// nandLayout is how the pages of a dump lie: content, spare bytes, codes.
type nandLayout struct {
	geometry
	name    string // of the arrangement
	content []span // of a page, in its order
	swap    bool   // i.MX: the byte at the bad block mark's place stands first in the page
	marker  int    // of a bad block; -1 if it can't be told

	ecc     string // how the codes are made; "" if that was not found
	hamming *eccLayout
	sectors []nandSector
	bch     *bch
	mirror  bool
	mask    []byte // what the code is combined with; nil for nothing
}

// separate is content, then spare area.
func separate(g geometry) *nandLayout {
	l := &nandLayout{geometry: g, name: "content, spare area", content: []span{{0, int(g.page)}}, marker: int(g.page)}
	if g.page == 512 {
		l.marker += 5
	}
	return l
}

// covered gathers what a sector's code covers.
func (l *nandLayout) covered(raw []byte, s nandSector) [][]byte {
	list := make([][]byte, 0, 4)
	for _, p := range s.covered {
		list = append(list, raw[p.at:p.at+p.size])
	}
	return list
}

// correct corrects a raw page in place: how many bits, and if a sector is wrong
// beyond correction.
func (l *nandLayout) correct(raw []byte) (fixed int, bad bool) {
	if blank(raw) {
		return 0, false
	}
	switch {
	case l.hamming != nil:
		return l.hamming.checkAll(raw[:l.page], raw[l.page:])
	case l.bch == nil:
		return 0, false
	}
	for _, s := range l.sectors {
		n, ok := l.sector(raw, s)
		fixed += n
		bad = bad || !ok
	}
	return fixed, bad
}

// blank says that all bits are set, as in an erased page.
func blank(b []byte) bool { return b[0] == 0xff && b[len(b)-1] == 0xff && uniform(b) }

func (l *nandLayout) sector(raw []byte, s nandSector) (fixed int, ok bool) {
	pieces := l.covered(raw, s)
	stored := raw[s.code : s.code+l.bch.bytes()]
	diff := l.bch.code(l.bch.remainder(l.mirror, pieces...), l.mirror)
	for i := range diff {
		diff[i] ^= stored[i]
		if l.mask != nil {
			diff[i] ^= l.mask[i]
		}
	}
	n := 0
	for _, p := range pieces {
		n += 8 * len(p)
	}
	at, ok := l.bch.errors(diff, l.mirror, n)
	if !ok {
		return l.unwritten(pieces, stored)
	}
	for _, bit := range at {
		flip(pieces, stored, bit, l.mirror)
	}
	return len(at), true
}

// unwritten clears a sector that was never written but for some bits that fell:
// without a mask its code is none of erased bytes.
func (l *nandLayout) unwritten(pieces [][]byte, stored []byte) (fixed int, ok bool) {
	zeros := 0
	for _, p := range append(pieces, stored) {
		for _, b := range p {
			if zeros += bits.OnesCount8(^b); zeros > l.bch.t {
				return 0, false
			}
		}
	}
	for _, p := range pieces {
		for i := range p {
			p[i] = 0xff
		}
	}
	return zeros, true
}

func flip(pieces [][]byte, stored []byte, bit int, mirror bool) {
	for _, p := range append(pieces, stored) {
		if bit < 8*len(p) {
			if mirror {
				p[bit/8] ^= 1 << (bit % 8)
			} else {
				p[bit/8] ^= 0x80 >> (bit % 8)
			}
			return
		}
		bit -= 8 * len(p)
	}
}

// take appends the content of a page that is right.
func (l *nandLayout) take(dst, raw []byte) []byte {
	if l.swap {
		raw[0], raw[l.page] = raw[l.page], raw[0]
	}
	for _, p := range l.content {
		dst = append(dst, raw[p.at:p.at+p.size]...)
	}
	return dst
}

// erasedMask makes the code of erased bytes erased, as the kernel's software
// does.
func erasedMask(c *bch, n int, mirror bool) []byte {
	m := c.code(c.remainder(mirror, bytes.Repeat([]byte{0xff}, n)), mirror)
	for i := range m {
		m[i] ^= 0xff
	}
	return m
}

// fixedLayouts are the arrangements of controllers whose codes stand at known
// places between the content. page is the content of a page.
func fixedLayouts(g geometry) (list []*nandLayout) {
	for _, t := range []int{4, 8} {
		list = append(list, qualcomm(g, t))
	}
	for _, t := range []int{8, 16, 24} {
		list = append(list, gpmi(g, t, 13))
	}
	out := list[:0]
	for _, l := range list {
		if l != nil {
			out = append(out, l)
		}
	}
	return out
}

// qualcomm is the arrangement of the QPIC controller (qcom_nandc.c): codewords
// of 516 bytes with a code behind; the byte where a page's spare area would
// begin is left out for the bad block mark in each.
func qualcomm(g geometry, t int) *nandLayout {
	n, word := int(g.page/512), map[int]int{4: 528, 8: 532}[t]
	first := int(g.page) - (n-1)*word
	if n < 2 || n*word > int(g.stride()) || first < 1 || first >= 516 {
		return nil
	}
	l := &nandLayout{geometry: g, name: "Qualcomm's codewords", marker: (n-1)*word + first, bch: bchOf(bchParams{13, t, 0x201b})}
	for i := range n {
		at := i * word
		rest := 516 - first
		l.sectors = append(l.sectors, nandSector{covered: []span{{at, first}, {at + first + 1, rest}}, code: at + 517})
		if i == n-1 {
			rest -= 4 * n
		}
		if rest < 0 {
			return nil
		}
		l.content = append(l.content, span{at, first}, span{at + first + 1, rest})
	}
	return l
}

// gpmi is the arrangement of i.MX (gpmi-nand.c): ten bytes of its own, then 512
// bytes of content and their code in turn; the first code covers the ten bytes.
func gpmi(g geometry, t, m int) *nandLayout {
	const meta = 10
	n, code := int(g.page/512), m*t/8
	if n < 2 || meta+n*(512+code) > int(g.stride()) {
		return nil
	}
	l := &nandLayout{geometry: g, name: "i.MX's chunks", marker: -1, bch: bchOf(bchParams{m, t, 0x201b})}
	for i := range n {
		at := meta + i*(512+code)
		s := nandSector{covered: []span{{at, 512}}, code: at + 512}
		if i == 0 {
			s.covered = []span{{0, meta + 512}}
		}
		l.sectors = append(l.sectors, s)
		l.content = append(l.content, span{at, 512})
	}
	return l
}
