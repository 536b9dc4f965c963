package flash

import (
	"fmt"
	"io"
	"strconv"

	"github.com/doorward/doorward/internal/unpack"
)

// NAND opens raw dumps of NAND flash, in which each page has its spare area
// behind it or between: the content is one part, corrected by its codes. What
// needs its spare areas (YAFFS) is a part of its own that keeps them.
var NAND = &unpack.Reader{
	Name: "nand",
	Doc: "Raw dumps of NAND flash with their spare areas: 512+16 to 16384+2208 bytes a page, spare area behind the page or behind each sector; corrected by Hamming codes " +
		"(Linux, SmartMedia, YAFFS) and BCH codes wherever they stand in the spare area (Linux software, OMAP, Broadcom, Amlogic, MediaTek and their like, 4 to 40 bits of 512 or 1024 bytes), " +
		"in the codewords of Qualcomm's controllers and the chunks of i.MX.",
	Limits: "Only whole files whose length is a multiple of 32 pages. Other codes (Reed-Solomon, LDPC, Marvell's, scrambled pages of Allwinner and of MLC chips) are not " +
		"corrected; such a dump opens only if UBI, squashfs, jffs2 or cramfs shows its layout, and then with its bits as they were read. Bad blocks are not skipped.",
	Checked: "our writer of dumps in the tests: 16 layouts with random wrong bits; the codes of erased sectors in Linux's OMAP driver",
	Open:    openNAND,
}

func openNAND(in *unpack.Input) (*unpack.Object, error) {
	if !in.Whole || in.Data.Size() < nandLeast {
		return nil, unpack.ErrNotThis
	}
	l := findNAND(in)
	if l == nil {
		return nil, unpack.ErrNotThis
	}
	n := &nand{in: in, l: l, object: &unpack.Object{Format: "nand", Size: in.Data.Size(), Info: map[string]string{
		"page size": strconv.FormatInt(l.page, 10), "spare area": strconv.FormatInt(l.spare, 10), "layout": l.name, "ecc": l.ecc,
	}}}
	if l.ecc == "" {
		n.object.Info["ecc"] = "not known: the bits are as they were read"
	}
	if err := n.scan(); err != nil {
		return nil, err
	}
	if n.yaffs != nil && n.written == n.yaffsBlocks() {
		return nil, unpack.ErrNotThis // its own reader opens it as a whole
	}
	n.parts()
	return n.object, nil
}

// nand is a dump while it is opened.
type nand struct {
	in      *unpack.Input
	l       *nandLayout
	object  *unpack.Object
	yaffs   *yaffsLayout
	blocks  []byte // what each block of some pages is: 0 erased, or
	written int    // blocks with content
	fixed   int
	broken  int // pages
	bad     int // blocks with a mark
}

// Sorts of blocks.
const (
	nandErased = iota
	nandContent
	nandYAFFS
)

// blockPages is how many pages are looked at as one: the erase blocks of all
// chips are a multiple of it.
func (l *nandLayout) blockPages() int64 {
	if l.page > 512 {
		return 2 * nandBlock
	}
	return nandBlock
}

// scan reads all pages once: it counts what was corrected and notes what could
// not be.
func (n *nand) scan() error {
	l := n.l
	size := l.blockPages() * l.stride()
	first := int64(-1) // page of a run that is damaged
	flush := func(end int64) {
		if first >= 0 {
			note := fmt.Sprintf("%d pages beyond what their ECC corrects: they are as they were read", end-first)
			n.object.Gaps = append(n.object.Gaps, unpack.Gap{Offset: first * l.stride(), Size: (end - first) * l.stride(), Reason: "damaged", Note: note})
		}
		first = -1
	}
	for at := int64(0); at < n.in.Data.Size(); at += size {
		if err := n.in.Context.Err(); err != nil {
			return err
		}
		block, err := unpack.ReadFull(n.in.Data, at, min(size, n.in.Data.Size()-at))
		if err != nil {
			return err
		}
		raw := append([]byte(nil), block...)
		kind, marked := n.kind(raw, at), n.marked(raw)
		if marked {
			n.bad++
		}
		n.blocks = append(n.blocks, kind)
		for i := int64(0); i < int64(len(raw)); i += l.stride() {
			fixed, broken := 0, false
			if kind == nandContent && !marked {
				fixed, broken = l.correct(raw[i : i+l.stride()])
			}
			page := (at + i) / l.stride()
			n.fixed += fixed
			switch {
			case !broken:
				flush(page)
			case first < 0:
				first = page
			}
			if broken {
				n.broken++
			}
		}
	}
	flush(n.in.Data.Size() / l.stride())
	if len(n.object.Gaps) > maxNANDGaps {
		n.object.Gaps = []unpack.Gap{{Offset: n.object.Gaps[0].Offset, Size: int64(n.broken) * l.stride(), Reason: "damaged", Note: fmt.Sprintf("%d pages in many places are beyond what their ECC corrects: they are as they were read", n.broken)}}
	}
	for key, count := range map[string]int{"corrected bits": n.fixed, "pages beyond correction": n.broken, "blocks marked as bad": n.bad} {
		if count > 0 || key == "corrected bits" && l.ecc != "" {
			n.object.Info[key] = strconv.Itoa(count)
		}
	}
	return nil
}

const maxNANDGaps = 256

// marked says that a block has the mark of a bad one on its first or second
// page (a byte with many zeros; a bit may have fallen). YAFFS 1 keeps other
// things there, as do pages without codes that are known.
func (n *nand) marked(raw []byte) bool {
	l := n.l
	if l.marker < 0 || l.page == 512 && (l.spare != 16 || l.bch != nil) || l.page == 1024 {
		return false
	}
	for i := range 2 {
		at := i*int(l.stride()) + l.marker
		if at < len(raw) && (raw[at] == 0 || raw[at] == 0xf0 || raw[at] == 0x0f) {
			return true
		}
	}
	return false
}

// kind says what a block holds.
func (n *nand) kind(raw []byte, at int64) byte {
	if blank(raw) {
		return nandErased
	}
	n.written++
	if n.yaffs == nil && n.l.name == separate(n.l.geometry).name {
		for i := int64(0); i < int64(len(raw)) && n.yaffs == nil; i += n.l.stride() {
			if page := raw[i : i+n.l.stride()]; page[0] == 0 && page[3]-1 < yaffsSpecial || page[0]-1 < yaffsSpecial && page[3] == 0 {
				n.yaffs = layoutOf(unpack.Window(n.in.Data, at+i, n.in.Data.Size()), n.l.geometry, page)
			}
		}
	}
	if n.yaffs != nil && n.isYAFFS(raw) {
		return nandYAFFS
	}
	return nandContent
}

// isYAFFS says that all pages with content have tags that make sense together:
// in YAFFS 2 those of a block have one number.
func (n *nand) isYAFFS(raw []byte) bool {
	y, good := n.yaffs, 0
	seq := uint32(0)
	for i := int64(0); i < int64(len(raw)) && i < 8*y.stride(); i += y.stride() {
		page := raw[i : i+y.stride()]
		if blank(page) {
			continue
		}
		t, state := y.tags(page)
		if state != yaffsPlain && state != yaffsProven || !y.first && good > 0 && t.seq != seq {
			return false
		}
		seq = t.seq
		good++
	}
	return good > 0
}

func (n *nand) yaffsBlocks() (count int) {
	for _, k := range n.blocks {
		if k == nandYAFFS {
			count++
		}
	}
	return count
}

// parts cuts the dump where YAFFS begins and ends. Erased blocks belong to what
// is before them.
func (n *nand) parts() {
	l := n.l
	size := l.blockPages() * l.stride()
	for start := 0; start < len(n.blocks); {
		kind, end := n.blocks[start], start+1
		for end < len(n.blocks) && (n.blocks[end] == kind || n.blocks[end] == nandErased || kind == nandErased && n.blocks[end] == nandContent) {
			if kind == nandErased {
				kind = n.blocks[end]
			}
			end++
		}
		at := int64(start) * size
		raw := unpack.Window(n.in.Data, at, int64(end-start)*size)
		part := unpack.Part{Name: fmt.Sprintf("yaffs-0x%x", at), Offset: at, Data: raw}
		if kind != nandYAFFS {
			part.Name, part.Data = fmt.Sprintf("pages-0x%x", at), &nandPages{data: raw, l: l}
			part.Info = map[string]string{"in the chip": fmt.Sprintf("0x%x", at/l.stride()*l.page)}
		}
		if end-start == len(n.blocks) {
			part.Name = ""
		}
		n.object.Parts = append(n.object.Parts, part)
		start = end
	}
}

// nandPages are the pages of a dump without what is not content, corrected.
type nandPages struct {
	data unpack.Bytes
	l    *nandLayout
}

// Size implements unpack.Bytes.
func (p *nandPages) Size() int64 { return p.data.Size() / p.l.stride() * p.l.page }

// ReadAt implements unpack.Bytes. Pages beyond correction come as they were
// read: the object has a gap for them.
func (p *nandPages) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= p.Size() {
		return 0, io.EOF
	}
	if int64(len(b)) > p.Size()-off {
		b, err = b[:p.Size()-off], io.EOF
	}
	stride, page := p.l.stride(), p.l.page
	buf := make([]byte, stride*min(64, (int64(len(b))+2*page-1)/page))
	content := make([]byte, 0, page)
	for n < len(b) {
		index, in := (off+int64(n))/page, (off+int64(n))%page
		got, bad := p.data.ReadAt(buf, index*stride)
		if int64(got) < stride {
			return n, noEOF(bad)
		}
		for raw := buf[:int64(got)/stride*stride]; len(raw) > 0 && n < len(b); raw, in = raw[stride:], 0 {
			p.l.correct(raw[:stride])
			content = p.l.take(content[:0], raw[:stride])
			n += copy(b[n:], content[in:])
		}
	}
	return n, err
}
