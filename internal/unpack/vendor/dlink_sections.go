package vendor

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// DLink opens the images of D-Link's network storage (DNS-320, DNS-323 and
// their kin): a header with a table of sections, whose name in the header
// differs by product. It is told by its structure alone: pairs of offset and
// size that follow each other without a gap from the header's end on, then for
// each section the XOR of its 32-bit words.
var DLink = &unpack.Reader{
	Name:    "dlink",
	Checked: "an image of Debian for the DNS-320; an independent writer",
	Doc:     "D-Link storage images: a table of sections (kernel, ramdisk, defaults) with XOR checksums before uImages",
	Open:    openDLink,
}

const maxSections = 8

func openDLink(in *unpack.Input) (*unpack.Object, error) {
	head, err := unpack.ReadFull(in.Data, 0, 16*maxSections)
	if err != nil || !in.Whole {
		return nil, unpack.ErrNotThis
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		start := order.Uint32(head)
		if start < 32 || start > 4096 || start%16 != 0 {
			continue
		}
		// The longest table that checks out: a shorter one would take the
		// next pair for checksums.
		for n := maxSections; n >= 2; n-- {
			if t := (sectionTable{order, n, head}); int64(12*n) <= int64(start) && t.fits(in.Data) {
				return t.object(in.Data), nil
			}
		}
	}
	return nil, unpack.ErrNotThis
}

type sectionTable struct {
	order binary.ByteOrder
	n     int
	head  []byte
}

func (t sectionTable) section(i int) (off, size int64) {
	return int64(t.order.Uint32(t.head[8*i:])), int64(t.order.Uint32(t.head[8*i+4:]))
}

func (t sectionTable) sum(i int) uint32 { return t.order.Uint32(t.head[8*t.n+4*i:]) }

// fits says that the sections follow each other to the end of the file, and
// that the checksums of all are right.
func (t sectionTable) fits(data unpack.Bytes) bool {
	next, _ := t.section(0)
	filled := 0
	for i := range t.n {
		off, size := t.section(i)
		if off != next || size > data.Size()-off {
			return false
		}
		if next = off + size; size > 0 {
			filled++
		}
	}
	if filled == 0 || !unpack.OnlyPadding(data, next) {
		return false
	}
	var any uint32 // checksums that are all 0 prove nothing
	for i := range t.n {
		off, size := t.section(i)
		sum, err := t.xorWords(data, off, size)
		if err != nil || sum != t.sum(i) {
			return false
		}
		any |= sum
	}
	return any != 0
}

// xorWords is the XOR of all whole words; bytes after the last one don't count.
func (t sectionTable) xorWords(data unpack.Bytes, off, size int64) (sum uint32, err error) {
	err = unpack.Chunks(data, off, size&^3, func(p []byte) {
		for ; len(p) >= 4; p = p[4:] {
			sum ^= t.order.Uint32(p)
		}
	})
	return sum, err
}

// sectionNames are what the boot loader of these products takes them for.
var sectionNames = []string{"kernel", "ramdisk"}

func (t sectionTable) object(data unpack.Bytes) *unpack.Object {
	start, _ := t.section(0)
	o := &unpack.Object{Format: fmt.Sprintf("dlink %d-byte header", start), Size: data.Size(), Info: map[string]string{}}
	// Behind the table stands the product's name between two marks.
	rest := unpack.ReadSome(data, int64(12*t.n), start-int64(12*t.n))
	if _, behind, ok := bytes.Cut(rest, []byte("\x55\xaa")); ok {
		rest, _, _ = bytes.Cut(behind, []byte("\x55\xaa"))
	}
	if name := printable(rest); name != "" {
		o.Info["product"] = name
	}
	for i := range t.n {
		off, size := t.section(i)
		if size == 0 {
			continue
		}
		p := unpack.Part{Name: fmt.Sprintf("section%d", i), Data: unpack.Window(data, off, size), Offset: off}
		if i < len(sectionNames) {
			p.Format = sectionNames[i]
		}
		o.Parts = append(o.Parts, p)
	}
	return o
}

// printable is the longest run of letters, digits and punctuation in b.
func printable(b []byte) string {
	best, start := "", 0
	for i := 0; i <= len(b); i++ {
		if i == len(b) || b[i] <= ' ' || b[i] > '~' {
			if i-start > len(best) {
				best = string(b[start:i])
			}
			start = i + 1
		}
	}
	return best
}
