package flash

import (
	"bytes"
	"fmt"
	"math/bits"

	"github.com/doorward/doorward/internal/unpack"
)

const (
	nandSample = 24       // pages by which a layout is found
	nandBlock  = 32       // pages: the smallest erase block
	nandLeast  = 64 << 10 // bytes of the smallest dump
)

// adjacent are geometries of sectors with a spare area each: pages of
// controllers that interleave them.
var nandGeometries = append(geometries[:len(geometries):len(geometries)],
	geometry{512, 26}, geometry{512, 27}, geometry{512, 28}, geometry{512, 32}, geometry{1024, 42}, geometry{1024, 45}, geometry{1024, 54}, geometry{1024, 56}, geometry{1024, 64}, geometry{16384, 1216}, geometry{16384, 1664}, geometry{16384, 2208})

// findNAND finds the layout of a dump; nil if it can't be told for sure. The
// codes prove a layout; without codes that are known, what lies in the pages
// must do it.
func findNAND(in *unpack.Input) *nandLayout {
	size := in.Data.Size()
	var fits []geometry
	for _, g := range nandGeometries {
		if size%(g.stride()*nandBlock) == 0 {
			fits = append(fits, g)
		}
	}
	for _, g := range fits {
		s := samplePages(in.Data, g)
		if l := s.hamming(in.Data); l != nil {
			return l
		}
		if l := s.fixed(); l != nil {
			return l
		}
		if l := s.search(); l != nil {
			return l
		}
	}
	for _, g := range fits {
		if structured(in, g) {
			return separate(g)
		}
	}
	return nil
}

// sample is some pages of a dump that have content.
type sample struct {
	g     geometry
	pages [][]byte
}

// samplePages takes pages from the start on, then from all over the dump.
func samplePages(data unpack.Bytes, g geometry) sample {
	s := sample{g: g}
	total := data.Size() / g.stride()
	look := func(i int64) {
		raw := unpack.ReadSome(data, i*g.stride(), g.stride())
		if int64(len(raw)) == g.stride() && !uniform(raw[:g.page]) && len(s.pages) < nandSample {
			s.pages = append(s.pages, raw)
		}
	}
	for i := range min(total, nandSample) {
		look(i)
	}
	for i := range int64(256) {
		if at := nandSample + i*max(1, (total-nandSample)/256); at < total {
			look(at)
		}
	}
	return s
}

// hamming looks for the kernel's one-bit codes.
func (s sample) hamming(data unpack.Bytes) *nandLayout {
	for _, h := range eccLayouts(s.g) {
		good, wrong := 0, 0
		for _, raw := range s.pages {
			a, b := h.fits(raw[:s.g.page], raw[s.g.page:])
			good, wrong = good+a, wrong+b
		}
		if good >= 4 && good > 4*wrong {
			l := separate(s.g)
			l.hamming, l.ecc = h, h.name
			return l
		}
	}
	return nil
}

// fixed looks for the codes of controllers that have them at known places.
func (s sample) fixed() *nandLayout {
	for _, l := range fixedLayouts(s.g) {
		for _, mirror := range []bool{false, true} {
			for mask := range 3 {
				l.mirror = mirror
				if s.right(l, mask) {
					return s.settled(l)
				}
			}
		}
	}
	return nil
}

// maskOf is one of the ways to combine a code: as it is, so that erased bytes
// have an erased code, inverted.
func maskOf(kind int, c *bch, n int, mirror bool) []byte {
	switch kind {
	case 1:
		return erasedMask(c, n, mirror)
	case 2:
		return bytes.Repeat([]byte{0xff}, c.bytes())
	}
	return nil
}

// right says that most sectors have the code that a layout says.
func (s sample) right(l *nandLayout, mask int) bool {
	good, wrong := 0, 0
	for _, raw := range s.pages {
		for _, sector := range l.sectors {
			pieces := l.covered(raw, sector)
			n := 0
			for _, p := range pieces {
				n += len(p)
			}
			if all := bytes.Join(pieces, nil); uniform(all[:n-1]) {
				continue
			}
			l.mask = maskOf(mask, l.bch, n, l.mirror)
			if sameCode(l.bch, l.bch.code(l.bch.remainder(l.mirror, pieces...), l.mirror), l.mask, raw[sector.code:]) {
				good++
			} else {
				wrong++
			}
			if wrong > 16 && good == 0 {
				return false
			}
		}
	}
	return good >= 4 && 8*good >= wrong // chance makes none of these codes
}

// sameCode compares a code with the stored one, in the bytes that it fills.
func sameCode(c *bch, code, mask, stored []byte) bool {
	for i := range c.degree / 8 {
		b := code[i]
		if mask != nil {
			b ^= mask[i]
		}
		if b != stored[i] {
			return false
		}
	}
	return true
}

// settled finishes a layout of chunks.
func (s sample) settled(l *nandLayout) *nandLayout {
	l.ecc = eccName(l)
	if l.marker < 0 {
		marks, metas := 0, 0
		for _, raw := range s.pages {
			if raw[l.page] == 0xff {
				marks++
			}
			if raw[0] == 0xff {
				metas++
			}
		}
		l.swap = marks == len(s.pages) && metas < len(s.pages)
		if l.swap {
			l.marker = int(l.page)
		}
	}
	return l
}

func eccName(l *nandLayout) string {
	name := fmt.Sprintf("BCH, %d bits of %d bytes", l.bch.t, sum(l.sectors[len(l.sectors)-1].covered))
	if l.mirror {
		name += ", lowest bit first"
	}
	return name
}

func sum(list []span) (n int) {
	for _, s := range list {
		n += s.size
	}
	return n
}

// bchSearched are the codes that are looked for behind sectors of a size: those
// of the kernel's software and of most controllers (GF(2^13) and GF(2^14)), and
// Broadcom's field. The stronger ones of a field come first: the end of their
// codewords looks like a weaker one's.
var bchSearched = map[int][]bchParams{
	512:  {{13, 24, 0x201b}, {13, 16, 0x201b}, {13, 12, 0x201b}, {13, 8, 0x201b}, {13, 4, 0x201b}, {14, 12, 0x5803}, {14, 8, 0x5803}, {14, 4, 0x5803}, {14, 12, 0x4443}, {14, 8, 0x4443}, {14, 4, 0x4443}},
	1024: {{14, 40, 0x4443}, {14, 32, 0x4443}, {14, 24, 0x4443}, {14, 16, 0x4443}, {14, 12, 0x4443}, {14, 8, 0x4443}, {14, 4, 0x4443}, {14, 40, 0x5803}, {14, 24, 0x5803}},
}

// search computes the codes of sectors and looks where in the spare area they
// stand, with and without the spare bytes before them.
func (s sample) search() *nandLayout {
	for _, step := range []int{512, 1024} {
		n := int(s.g.page) / step
		if n == 0 {
			continue
		}
		for _, p := range bchSearched[step] {
			if n*((p.m*p.t+7)/8) > int(s.g.spare) {
				continue
			}
			for _, mirror := range []bool{false, true} {
				h := &hypothesis{sample: s, step: step, n: n, code: bchOf(p), mirror: mirror, votes: map[vote]int{}}
				if l := h.test(); l != nil {
					return l
				}
			}
		}
	}
	return nil
}

// hypothesis is a code at work.
type hypothesis struct {
	sample
	step, n int
	code    *bch
	mirror  bool
	masks   [2][]byte // for a code over the sector alone
	erased  [][]byte  // for one over so many spare bytes, too
	votes   map[vote]int
	asked   int
}

// vote is a place where a sector's code stands.
type vote struct {
	sector, at, mask int
	spare            bool // the code covers the spare bytes of its slot, too
}

func (h *hypothesis) test() *nandLayout {
	h.masks = [2][]byte{erasedMask(h.code, h.step, h.mirror), bytes.Repeat([]byte{0xff}, h.code.bytes())}
	r := h.code.remainder(h.mirror, bytes.Repeat([]byte{0xff}, h.step))
	for range int(h.g.spare) / h.n {
		m := h.code.code(r, h.mirror)
		for i := range m {
			m[i] ^= 0xff
		}
		h.erased = append(h.erased, m)
		h.code.add(r, []byte{0xff}, h.mirror)
	}
	for i, raw := range h.pages {
		for k := range h.n {
			if data := raw[k*h.step : (k+1)*h.step]; !uniform(data) {
				h.asked++
				h.look(raw, k)
			}
		}
		if i >= 7 && h.asked >= 32 && len(h.votes) == 0 {
			return nil
		}
	}
	return h.elect()
}

// look notes the places of a sector's code.
func (h *hypothesis) look(raw []byte, k int) {
	r := h.code.remainder(h.mirror, raw[k*h.step:(k+1)*h.step])
	spare := raw[h.g.page:]
	plain := h.code.code(r, h.mirror)
	for at := 0; at+h.code.bytes() <= len(spare); at++ {
		for mask := range 3 {
			m := [3][]byte{nil, h.masks[0], h.masks[1]}[mask]
			if sameCode(h.code, plain, m, spare[at:]) {
				h.votes[vote{k, at, mask, false}]++
			}
		}
	}
	slot := int(h.g.spare) / h.n
	for at := 1; at+h.code.bytes() <= slot; at++ {
		h.code.add(r, spare[k*slot+at-1:k*slot+at], h.mirror)
		code := h.code.code(r, h.mirror)
		if uniform(code) && code[0] == 0 {
			continue // behind a codeword
		}
		for mask := range 3 {
			m := [3][]byte{nil, h.erased[at], h.masks[1]}[mask]
			if sameCode(h.code, code, m, spare[k*slot+at:]) {
				h.votes[vote{k, k*slot + at, mask, true}]++
			}
		}
	}
}

// elect makes a layout of the places that most sectors have.
func (h *hypothesis) elect() *nandLayout {
	best := make([]vote, h.n)
	count := make([]int, h.n)
	total := 0
	for v, n := range h.votes {
		if n > count[v.sector] || n == count[v.sector] && v.at < best[v.sector].at {
			best[v.sector], count[v.sector] = v, n
		}
	}
	for k, n := range count {
		if n < 2 || best[k].mask != best[0].mask || best[k].spare != best[0].spare {
			return nil
		}
		total += n
	}
	if total < 4 || 8*total < h.asked { // chance makes none of these codes
		return nil
	}
	l := separate(h.g)
	l.bch, l.mirror = h.code, h.mirror
	slot := int(h.g.spare) / h.n
	covered := h.step
	for k, v := range best {
		s := nandSector{covered: []span{{k * h.step, h.step}}, code: int(h.g.page) + v.at}
		if v.spare {
			s.covered = append(s.covered, span{int(h.g.page) + k*slot, v.at - k*slot})
			covered = h.step + v.at - k*slot
		}
		l.sectors = append(l.sectors, s)
	}
	l.mask = maskOf(best[0].mask, h.code, covered, h.mirror)
	l.ecc = eccName(l)
	return l
}

// structured says that something lies in the pages that is whole only without
// the spare areas: headers of UBI at the distance of an erase block with spare
// areas, or a file system that opens.
func structured(in *unpack.Input, g geometry) bool {
	l := separate(g)
	content := &nandPages{data: in.Data, l: l}
	tried := 0
	for at := int64(0); at < in.Data.Size() && tried < 16; at += nandBlock * g.stride() {
		b := unpack.ReadSome(in.Data, at, 64)
		if ec, ok := parseEC(b); ok {
			// An erase block is a power of two without its spare areas, and not with them.
			tried++
			u := &ubiImage{data: unpack.Window(in.Data, at, in.Data.Size()), ec: ec}
			if d := u.findPEB(); d > 0 && d%g.stride() == 0 && bits.OnesCount64(uint64(d/g.stride()*g.page)) == 1 && bits.OnesCount64(uint64(d)) != 1 && u.nextHeader(unpack.NewSlider(u.data), d, d) == d {
				return true
			}
		}
		for _, r := range []*unpack.Reader{Squashfs, JFFS2, Cramfs} {
			if !r.Fits(unpack.Slice(b), b) {
				continue
			}
			tried++
			start := at / g.stride() * g.page
			if opensWell(in, r, unpack.Window(content, start, content.Size()), 4*g.page) && !opensWell(in, r, unpack.Window(in.Data, at, in.Data.Size()), 4*g.page) {
				return true
			}
		}
	}
	return false
}

// opensWell says that a reader opens what begins here without an error, and that
// it is longer than some pages.
func opensWell(in *unpack.Input, r *unpack.Reader, data unpack.Bytes, least int64) bool {
	o, err := r.Open(&unpack.Input{Context: in.Context, Data: data, Budget: unpack.NewBudget(in.Budget.Limits)})
	if err != nil || o == nil || o.Err != nil || len(o.Gaps) > 0 || o.Size < least || len(o.Entries) == 0 {
		return false
	}
	for _, e := range o.Entries {
		if e.Err != nil {
			return false
		}
	}
	return true
}
