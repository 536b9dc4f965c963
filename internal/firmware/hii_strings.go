package firmware

import (
	"bytes"
	"encoding/binary"

	"github.com/doorward/doorward/internal/unpack"
)

// UEFI's setup pages come as packages of the human interface infrastructure
// (UEFI 2.10, chapter 33): forms in a byte code (IFR) that name their texts by
// number, and packages of strings for each language.

const (
	hiiForms      = 0x02
	hiiStrings    = 0x04
	hiiHeader     = 4
	hiiLanguage   = 46 // offset of the language's name in a package of strings
	hiiMaxStrings = 1 << 16
	englishMark   = "en-US\x00"
)

var le = binary.LittleEndian

// hiiPackage is the size of a package of a type that stands at an offset; 0 if
// there is none.
func hiiPackage(b []byte, at int64, kind byte) int64 {
	if at < 0 || at+hiiHeader > int64(len(b)) || b[at+3] != kind {
		return 0
	}
	size := int64(b[at]) | int64(b[at+1])<<8 | int64(b[at+2])<<16
	if size <= hiiHeader || size > int64(len(b))-at {
		return 0
	}
	return size
}

// hiiTexts are the strings of a package, by their numbers.
type hiiTexts struct {
	at   int64
	text map[uint16]string
	last uint16
}

// englishTexts reads the packages of English strings of a program.
func englishTexts(b []byte, hits []int64) (list []hiiTexts) {
	for _, hit := range hits {
		at := hit - hiiLanguage
		size := hiiPackage(b, at, hiiStrings)
		if size <= hiiLanguage {
			continue
		}
		p := b[at : at+size]
		head, info := int64(le.Uint32(p[4:])), int64(le.Uint32(p[8:]))
		if head > size || info < hiiLanguage || info > size {
			continue
		}
		if t, ok := parseTexts(p[info:]); ok {
			t.at = at
			list = append(list, t)
		}
	}
	return list
}

// parseTexts walks the blocks of a package of strings (UEFI 2.10, section
// 33.3.6.2). Only one that ends with the end's block is believed.
func parseTexts(b []byte) (t hiiTexts, ok bool) {
	t.text = map[uint16]string{}
	next := 1
	r := &blockReader{b: b}
	add := func(s string) {
		if next < hiiMaxStrings {
			t.text[uint16(next)], t.last = s, uint16(next)
		}
		next++
	}
	for !r.bad && next < hiiMaxStrings {
		switch kind := r.byte(); kind {
		case 0x00:
			return t, !r.bad && len(t.text) > 0
		case 0x10, 0x11:
			r.skip(int(kind & 1))
			add(r.ascii())
		case 0x12, 0x13:
			r.skip(int(kind & 1))
			for n := r.word(); n > 0 && !r.bad; n-- {
				add(r.ascii())
			}
		case 0x14, 0x15:
			r.skip(int(kind & 1))
			add(r.wide())
		case 0x16, 0x17:
			r.skip(int(kind & 1))
			for n := r.word(); n > 0 && !r.bad; n-- {
				add(r.wide())
			}
		case 0x20:
			add(t.text[uint16(r.word())])
		case 0x21:
			next += r.word()
		case 0x22:
			next += int(r.byte())
		case 0x30:
			r.byte()
			r.skip(int(r.byte()) - 3)
		case 0x31:
			r.byte()
			r.skip(r.word() - 4)
		case 0x32:
			r.byte()
			r.skip(r.word() | r.word()<<16 - 6)
		default:
			r.bad = true
		}
	}
	return t, false
}

// blockReader reads fields in order; bad says that one was not there.
type blockReader struct {
	b   []byte
	bad bool
}

func (r *blockReader) skip(n int) {
	if n < 0 || n > len(r.b) {
		r.bad = true
		return
	}
	r.b = r.b[n:]
}

func (r *blockReader) byte() byte {
	if len(r.b) < 1 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *blockReader) word() int { return int(r.byte()) | int(r.byte())<<8 }

func (r *blockReader) ascii() string {
	i := bytes.IndexByte(r.b, 0)
	if i < 0 {
		r.bad = true
		return ""
	}
	s := string(r.b[:i])
	r.b = r.b[i+1:]
	return s
}

func (r *blockReader) wide() string {
	for i := 0; i+1 < len(r.b); i += 2 {
		if r.b[i] == 0 && r.b[i+1] == 0 {
			s := unpack.UTF16(r.b[:i])
			r.b = r.b[i+2:]
			return s
		}
	}
	r.bad = true
	return ""
}
