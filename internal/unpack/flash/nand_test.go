package flash

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// nandSpec is a way to write pages, in the words of the drivers: sectors of
// content, how many spare bytes a code covers, where it stands.
type nandSpec struct {
	name      string
	g         geometry
	step      int
	params    bchParams
	mirror    bool
	mask      int // as in maskOf
	at        func(sector int) int
	spare     int // bytes of the sector's slot that are covered
	smart     bool
	codewords string // qualcomm, gpmi, hamming, none
	reads     bool   // as spare area behind pages of the size of a sector
}

// serialCode divides bit by bit.
func serialCode(c *bch, mirror bool, data []byte) []byte {
	r := make([]bool, c.degree) // highest power first
	gen := func(i int) bool { return c.gen[i/64]>>(63-i%64)&1 != 0 }
	for i := range 8 * len(data) {
		bit := data[i/8]>>(7-i%8)&1 != 0
		if mirror {
			bit = data[i/8]>>(i%8)&1 != 0
		}
		out := r[0] != bit
		copy(r, r[1:])
		r[len(r)-1] = false
		if out {
			for k := range r {
				r[k] = r[k] != gen(k)
			}
		}
	}
	code := make([]byte, c.bytes())
	for i, bit := range r {
		switch {
		case bit && mirror:
			code[i/8] |= 1 << (i % 8)
		case bit:
			code[i/8] |= 0x80 >> (i % 8)
		}
	}
	return code
}

// masked is the code as it is stored.
func (s nandSpec) masked(data []byte) []byte {
	c := bchOf(s.params)
	code := serialCode(c, s.mirror, data)
	erased := serialCode(c, s.mirror, bytes.Repeat([]byte{0xff}, len(data)))
	for i := range code {
		switch s.mask {
		case 1:
			code[i] ^= ^erased[i]
		case 2:
			code[i] ^= 0xff
		}
	}
	return code
}

// page writes a page with its codes, and says which bytes each code covers, with
// itself.
func (s nandSpec) page(content []byte) (raw []byte, words [][]int) {
	raw = bytes.Repeat([]byte{0xff}, int(s.g.stride()))
	n := int(s.g.page) / s.step
	slot := int(s.g.spare) / n
	word := func(covered []int, code int) {
		data := make([]byte, len(covered))
		for i, at := range covered {
			data[i] = raw[at]
		}
		for i, b := range s.masked(data) {
			raw[code+i] = b
			if i < bchOf(s.params).degree/8 { // what a last byte has besides the code is not looked at
				covered = append(covered, code+i)
			}
		}
		words = append(words, covered)
	}
	switch s.codewords {
	case "hamming":
		copy(raw, content)
		l := eccLayouts(s.g)[0]
		if s.smart {
			l = eccLayouts(s.g)[len(eccLayouts(s.g))/2]
		}
		for k := range l.steps() {
			code := l.code.code(content[k*256 : k*256+256])
			var covered []int
			for i := range 256 {
				covered = append(covered, k*256+i)
			}
			for i, p := range l.places(k) {
				raw[int(s.g.page)+p] = code[i]
			}
			words = append(words, covered)
		}
	case "none":
		copy(raw, content)
	case "qualcomm":
		size := map[int]int{4: 528, 8: 532}[s.params.t]
		first := int(s.g.page) - (n-1)*size
		for k := range n {
			var covered []int
			for i := range 517 {
				at := k*size + i
				if i == first {
					continue // the mark
				}
				covered = append(covered, at)
				take := 516
				if k == n-1 {
					take -= 4 * n
				}
				if len(covered) <= take {
					raw[at] = content[0]
					content = content[1:]
				}
			}
			word(covered, k*size+517)
		}
	case "gpmi":
		e := s.params.m * s.params.t / 8
		for k := range n {
			copy(raw[10+k*(512+e):], content[k*512:k*512+512])
		}
		raw[0], raw[s.g.page] = raw[s.g.page], 0xff
		for k := range n {
			var covered []int
			from := 10 + k*(512+e)
			if k == 0 {
				from = 0
			}
			for i := from; i < 10+k*(512+e)+512; i++ {
				covered = append(covered, i)
			}
			word(covered, 10+k*(512+e)+512)
		}
	default:
		copy(raw, content)
		for k := range n {
			for i := range s.spare {
				raw[int(s.g.page)+k*slot+i] = byte(0xff - i*k%3)
			}
			raw[s.g.page] = 0xff
		}
		for k := range n {
			var covered []int
			for i := range s.step {
				covered = append(covered, k*s.step+i)
			}
			for i := range s.spare {
				covered = append(covered, int(s.g.page)+k*slot+i)
			}
			word(covered, int(s.g.page)+s.at(k))
		}
	}
	return raw, words
}

func line(base, step int) func(int) int { return func(k int) int { return base + k*step } }

var nandSpecs = []nandSpec{
	{name: "Linux Hamming 512", g: geometry{512, 16}, step: 512, codewords: "hamming"},
	{name: "Linux Hamming 2048", g: geometry{2048, 64}, step: 2048, codewords: "hamming"},
	{name: "SmartMedia Hamming 2048", g: geometry{2048, 64}, step: 2048, codewords: "hamming", smart: true},
	{name: "Linux BCH 4", g: geometry{2048, 64}, step: 512, params: bchParams{13, 4, 0x201b}, mask: 1, at: line(64-4*7, 7)},
	{name: "Linux BCH 8", g: geometry{4096, 224}, step: 512, params: bchParams{13, 8, 0x201b}, mask: 1, at: line(224-8*13, 13)},
	{name: "Linux BCH 12 of 1024", g: geometry{4096, 128}, step: 1024, params: bchParams{14, 12, 0x4443}, mask: 1, at: line(128-4*21, 21)},
	{name: "OMAP BCH 8", g: geometry{2048, 64}, step: 512, params: bchParams{13, 8, 0x201b}, at: line(2, 14)},
	{name: "Broadcom BCH 4", g: geometry{2048, 64}, step: 512, params: bchParams{14, 4, 0x5803}, at: line(9, 16), spare: 9},
	{name: "Broadcom BCH 4 mirrored", g: geometry{2048, 64}, step: 512, params: bchParams{13, 4, 0x201b}, mirror: true, at: line(9, 16), spare: 9},
	{name: "Amlogic BCH 8", g: geometry{512, 16}, step: 512, params: bchParams{13, 8, 0x201b}, at: line(2, 16), spare: 2},
	{name: "MediaTek BCH 12", g: geometry{1024, 32}, step: 1024, params: bchParams{14, 12, 0x4443}, mirror: true, at: line(8, 32), spare: 8},
	{name: "24 bits of 1024", g: geometry{8192, 640}, step: 1024, params: bchParams{14, 24, 0x4443}, mask: 2, at: line(8, 80), spare: 8},
	{name: "Qualcomm 4", g: geometry{2048, 64}, step: 512, params: bchParams{13, 4, 0x201b}, codewords: "qualcomm"},
	{name: "Qualcomm 8", g: geometry{4096, 256}, step: 512, params: bchParams{13, 8, 0x201b}, codewords: "qualcomm"},
	{name: "i.MX 8", g: geometry{2048, 64}, step: 512, params: bchParams{13, 8, 0x201b}, codewords: "gpmi", mirror: true},
	{name: "i.MX 16", g: geometry{4096, 224}, step: 512, params: bchParams{13, 16, 0x201b}, codewords: "gpmi"},
}

// dump writes content with codes; every page gets up to as many wrong bits per
// codeword as wrong gives.
func (s nandSpec) dump(content []byte, wrong func(page int) int) (dump []byte, flipped int) {
	r := rand.New(rand.NewPCG(3, uint64(len(content))))
	for i := 0; i < len(content); i += int(s.g.page) {
		c := content[i : i+int(s.g.page)]
		if bytes.Count(c, []byte{0xff}) == len(c) {
			dump = append(dump, bytes.Repeat([]byte{0xff}, int(s.g.stride()))...)
			continue
		}
		raw, words := s.page(c)
		for _, w := range words {
			for _, at := range r.Perm(len(w))[:wrong(i/int(s.g.page))] {
				raw[w[at]] ^= 1 << r.IntN(8)
				flipped++
			}
		}
		dump = append(dump, raw...)
	}
	return dump, flipped
}

// most is how many wrong bits of a codeword are corrected.
func (s nandSpec) most() int {
	switch s.codewords {
	case "hamming":
		return 1
	case "none":
		return 0
	}
	return s.params.t
}

// chip is content of a chip: mixed bytes, with erased and zeroed pages.
func chip(g geometry) []byte {
	pages := 192
	switch {
	case g.page >= 8192:
		pages = 64
	case g.page >= 4096:
		pages = 128
	}
	b := unpacktest.MixedBytes(pages * int(g.page))
	for i := 0; i < len(b); i += int(g.page) {
		switch n := i / int(g.page); {
		case n%16 == 3:
			copy(b[i:], bytes.Repeat([]byte{0}, int(g.page)))
		case n >= pages-30 && n < pages-20:
			copy(b[i:], bytes.Repeat([]byte{0xff}, int(g.page)))
		}
	}
	return b
}

func TestNAND(t *testing.T) {
	for _, s := range nandSpecs {
		t.Run(s.name, func(t *testing.T) {
			content := chip(s.g)
			dump, flipped := s.dump(content, func(page int) int {
				if page%3 != 1 {
					return 0
				}
				return page % (s.most() + 1)
			})
			o := unpacktest.OpenBytes(t, NAND, dump)
			if len(o.Parts) != 1 || len(o.Gaps) != 0 {
				t.Fatalf("%d parts, gaps %v, %v", len(o.Parts), o.Gaps, o.Info)
			}
			if got := unpacktest.PartBytes(t, o.Parts[0]); !bytes.Equal(got, content) {
				t.Errorf("the content differs: %v", o.Info)
			}
			if o.Info["corrected bits"] != strconv.Itoa(flipped) || flipped == 0 {
				t.Errorf("corrected %s of %d bits", o.Info["corrected bits"], flipped)
			}
			// Pieces at any place read the same.
			for i := range 20 {
				at := int64(i * len(content) / 21)
				if got := unpack.ReadSome(o.Parts[0].Data, at, 5000); !bytes.Equal(got, content[at:min(at+5000, int64(len(content)))]) {
					t.Errorf("at 0x%x", at)
				}
			}
		})
	}
}

// A page beyond correction is a gap, and its bytes are as they were read; a
// block with a mark is none.
func TestNANDBeyondCorrection(t *testing.T) {
	s := nandSpecs[3]
	content := chip(s.g)
	dump, _ := s.dump(content, func(page int) int { return map[int]int{70: 40, 71: 40, 100: 40}[page] })
	copy(dump[2112*64*2+2048:], []byte{0, 0}) // the third block is marked
	o := unpacktest.OpenBytes(t, NAND, dump)
	want := []unpack.Gap{{Offset: 70 * 2112, Size: 2 * 2112}, {Offset: 100 * 2112, Size: 2112}}
	if len(o.Gaps) != 2 || o.Info["pages beyond correction"] != "3" || o.Info["blocks marked as bad"] != "1" {
		t.Fatalf("%v %v", o.Gaps, o.Info)
	}
	for i, g := range o.Gaps {
		if g.Offset != want[i].Offset || g.Size != want[i].Size || g.Reason != "damaged" {
			t.Errorf("%+v", g)
		}
	}
}

// Without codes that are known, UBI's headers or a file system prove the layout.
func TestNANDByContent(t *testing.T) {
	for _, g := range []geometry{{2048, 64}, {4096, 256}} {
		ubi := ubinize(t, []string{"-p", fmt.Sprint(64 * g.page), "-m", fmt.Sprint(g.page)}, map[string][]byte{"a": unpacktest.MixedBytes(600 << 10), "b": unpacktest.MixedBytes(90 << 10)}, "a static", "b dynamic")
		s := nandSpec{g: g, step: int(g.page), codewords: "none"}
		dump, _ := s.dump(ubi, func(int) int { return 0 })
		o := unpacktest.OpenBytes(t, NAND, dump)
		if len(o.Parts) != 1 || !bytes.Equal(unpacktest.PartBytes(t, o.Parts[0]), ubi) || o.Info["page size"] != fmt.Sprint(g.page) {
			t.Errorf("%v", o.Info)
		}
	}
}

// YAFFS keeps its spare areas, whatever lies before it.
func TestNANDWithYAFFS(t *testing.T) {
	s := nandSpecs[1]
	boot := unpacktest.MixedBytes(256 << 10)
	dump, _ := s.dump(boot, func(int) int { return 1 })
	image := yaffsOf(t, s.g)
	all := append(bytes.Clone(dump), image...)
	o := unpacktest.OpenBytes(t, NAND, all)
	if len(o.Parts) != 2 || o.Parts[0].Name != "pages-0x0" || o.Parts[1].Name != fmt.Sprintf("yaffs-0x%x", len(dump)) {
		t.Fatalf("%+v", o.Parts)
	}
	if !bytes.Equal(unpacktest.PartBytes(t, o.Parts[0]), boot) || !bytes.HasPrefix(unpacktest.PartBytes(t, o.Parts[1]), image) {
		t.Error("the parts differ")
	}
	// Nothing but YAFFS is left to its reader.
	if _, err := NAND.Open(unpacktest.Input(image)); err != unpack.ErrNotThis {
		t.Error(err)
	}
}

// Bytes of the length of a dump that are none.
func TestNANDIsNot(t *testing.T) {
	mixed := unpacktest.MixedBytes(2112 * 64 * 8)
	ubi := ubinize(t, []string{"-p", "128KiB", "-m", "2048"}, map[string][]byte{"a": unpacktest.MixedBytes(33 * 2048 * 62)}, "a static")
	for name, b := range map[string][]byte{
		"noise": unpacktest.Noise(1, 2112*64*8), "mixed": mixed, "erased": bytes.Repeat([]byte{0xff}, 2112*640), "zeros": make([]byte, 2112*640),
		"ubi": append(ubi, bytes.Repeat([]byte{0xff}, (2112*64-len(ubi)%(2112*64)))...), "text": bytes.Repeat([]byte("all work and no play\n"), 2112*64),
	} {
		if _, err := NAND.Open(unpacktest.Input(b)); err != unpack.ErrNotThis {
			t.Errorf("%s: %v", name, err)
		}
	}
	in := &unpack.Input{Context: context.Background(), Data: unpack.Slice(mixed), Budget: unpack.NewBudget(unpack.Limits{})}
	if _, err := NAND.Open(in); err != unpack.ErrNotThis {
		t.Error("opened while carving")
	}
	o := nandPages{data: unpack.Slice(mixed), l: separate(geometry{2048, 64})}
	if _, err := o.ReadAt(make([]byte, 1), o.Size()); err != io.EOF {
		t.Error(err)
	}
}

func FuzzNAND(f *testing.F) {
	for _, i := range []int{0, 3, 12, 14} {
		s := nandSpecs[i]
		dump, _ := s.dump(chip(s.g)[:s.g.page*64], func(int) int { return 1 })
		f.Add(dump)
	}
	unpacktest.Fuzz(f, NAND)
}

// yaffsOf is an image of some files, filled up to whole blocks.
func yaffsOf(t *testing.T, g geometry) []byte {
	t.Helper()
	p := newYAFFSPacker(t, int(g.page), int(g.spare), 2, binary.LittleEndian)
	p.folder(yaffsTree(t), 1)
	size := int(g.stride()) * 64
	return append(p.out, bytes.Repeat([]byte{0xff}, (size-len(p.out)%size)%size)...)
}
