package flash

import (
	"bytes"
	"fmt"
	"io"

	"github.com/doorward/doorward/internal/unpack"
)

// geometry is how a dump of NAND lies in a file: pages, each followed by its
// spare area.
type geometry struct {
	page, spare int64
}

func (g geometry) stride() int64 { return g.page + g.spare }

// geometries are the usual ones.
var geometries = []geometry{
	{2048, 64}, {512, 16}, {4096, 128}, {4096, 224}, {4096, 256}, {2048, 128}, {2048, 112}, {4096, 218}, {4096, 216}, {1024, 32}, {8192, 256},
	{8192, 448}, {8192, 640}, {8192, 744}, {16384, 1280},
}

// eccLayout is where the kernel's software ECC has its codes in the spare area.
type eccLayout struct {
	name string
	code hamming
	at   []int // of each code, three bytes or as in split
	// split are the places of the code's bytes one by one, where they don't lie
	// together.
	split [][3]int
}

func (l *eccLayout) places(step int) [3]int {
	if l.split != nil {
		return l.split[step]
	}
	return [3]int{l.at[step], l.at[step] + 1, l.at[step] + 2}
}

func (l *eccLayout) steps() int { return max(len(l.at), len(l.split)) }

// run are n codes in a row from a place on.
func run(name string, smart bool, at, n int) *eccLayout {
	l := &eccLayout{name: name, code: hamming{smart}}
	for i := range n {
		l.at = append(l.at, at+3*i)
	}
	return l
}

// eccLayouts returns the layouts of the kernel for a geometry
// (nand_ooblayout_sp_ops and nand_ooblayout_lp_ops), and YAFFS 1's own.
func eccLayouts(g geometry) (list []*eccLayout) {
	for _, smart := range []bool{false, true} {
		switch g {
		case geometry{512, 16}:
			list = append(list,
				&eccLayout{name: "Hamming", code: hamming{smart}, split: [][3]int{{0, 1, 2}, {3, 6, 7}}},
				&eccLayout{name: "Hamming (YAFFS)", code: hamming{smart}, at: []int{8, 13}})
		case geometry{2048, 64}, geometry{4096, 128}:
			n := int(g.page / hammingStep)
			list = append(list, run("Hamming", smart, int(g.spare)-3*n, n))
		}
	}
	return list
}

// erasedCode says that a code was never written.
func erasedCode(c [3]byte) bool { return c == [3]byte{0xff, 0xff, 0xff} }

// check compares a page with its spare area and corrects single bits in place:
// how many, and if a step is beyond that. An unwritten code of a page that has
// content is no error: not every writer makes codes.
func (l *eccLayout) check(page, spare []byte) (fixed int, bad bool) {
	for i := range l.steps() {
		stored := l.stored(spare, i)
		if erasedCode(stored) {
			continue
		}
		n := l.code.correct(page[i*hammingStep:(i+1)*hammingStep], stored[:])
		fixed += max(0, n)
		bad = bad || n < 0
	}
	return fixed, bad
}

// checkAll does the same where all pages are known to have codes: what looks
// unwritten is the code of zeros, say, unless it makes no sense.
func (l *eccLayout) checkAll(page, spare []byte) (fixed int, bad bool) {
	coded := false
	for i := range l.steps() {
		coded = coded || !erasedCode(l.stored(spare, i))
	}
	if coded {
		return l.steadily(page, spare)
	}
	before := bytes.Clone(page)
	if fixed, bad = l.steadily(page, spare); bad {
		copy(page, before)
		return 0, false
	}
	return fixed, false
}

// steadily corrects every step.
func (l *eccLayout) steadily(page, spare []byte) (fixed int, bad bool) {
	for i := range l.steps() {
		stored := l.stored(spare, i)
		n := l.code.correct(page[i*hammingStep:(i+1)*hammingStep], stored[:])
		fixed += max(0, n)
		bad = bad || n < 0
	}
	return fixed, bad
}

// stored is a step's code as it was read.
func (l *eccLayout) stored(spare []byte, step int) [3]byte {
	p := l.places(step)
	return [3]byte{spare[p[0]], spare[p[1]], spare[p[2]]}
}

// fits counts the steps of a page whose code is right, or off by a bit, which
// chance makes one in 2000 times, and those where it is wrong. Uniform data
// prove nothing.
func (l *eccLayout) fits(page, spare []byte) (good, wrong int) {
	for i := range l.steps() {
		stored := l.stored(spare, i)
		step := page[i*hammingStep : (i+1)*hammingStep]
		switch {
		case uniform(step):
		case l.code.correct(bytes.Clone(step), stored[:]) >= 0:
			good++
		default:
			wrong++
		}
	}
	return good, wrong
}

func uniform(b []byte) bool { return len(b) == 0 || bytes.Count(b, b[:1]) == len(b) }

// eccSample is how many pages tell which layout it is.
const eccSample = 64

// findECC says which layout's codes the pages from a place on have; nil if
// none.
func findECC(data unpack.Bytes, g geometry) *eccLayout {
	for _, l := range eccLayouts(g) {
		good, wrong := 0, 0
		for i := range int64(eccSample) {
			raw := unpack.ReadSome(data, i*g.stride(), g.stride())
			if int64(len(raw)) < g.stride() {
				break
			}
			a, b := l.fits(raw[:g.page], raw[g.page:])
			good, wrong = good+a, wrong+b
		}
		if good >= 2 && good > 4*wrong {
			return l
		}
	}
	return nil
}

// pages are the pages of a dump without the spare areas, corrected by their
// ECC if it is known.
type pages struct {
	data unpack.Bytes
	g    geometry
	ecc  *eccLayout
}

// Size implements unpack.Bytes. What is no whole page at the end is not in it.
func (p *pages) Size() int64 { return p.data.Size() / p.g.stride() * p.g.page }

// ReadAt implements unpack.Bytes. A page beyond what its code can correct is an
// error.
func (p *pages) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= p.Size() {
		return 0, io.EOF
	}
	if int64(len(b)) > p.Size()-off {
		b, err = b[:p.Size()-off], io.EOF
	}
	buf := make([]byte, p.g.stride())
	for n < len(b) {
		index, in := (off+int64(n))/p.g.page, (off+int64(n))%p.g.page
		k := min(p.g.page-in, int64(len(b)-n))
		page := buf
		if got, bad := p.data.ReadAt(buf, index*p.g.stride()); got < len(buf) {
			return n, noEOF(bad)
		}
		if p.ecc != nil {
			if _, bad := p.ecc.check(page[:p.g.page], page[p.g.page:]); bad {
				return n, fmt.Errorf("page %d of the flash is damaged beyond what its ECC corrects", index)
			}
		}
		n += copy(b[n:], page[in:in+k])
	}
	return n, err
}

func noEOF(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
