package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

const (
	rpmHeaderMagic = "\x8e\xad\xe8\x01"
	rpmIntro       = 16       // magic, reserved, number of entries, size of the data
	rpmMaxEntries  = 1 << 16  // as rpm itself (hdrchkTags)
	rpmMaxData     = 64 << 20 // rpm allows 256 MiB; real ones stay far below
	rpmMaxValues   = 1 << 20
)

// Types of values in a header (rpm's rpmtag.h).
const (
	rpmInt16 = 3
	rpmInt32 = 4
	rpmInt64 = 5
	rpmText  = 6
	rpmBin   = 7
	rpmTexts = 8
	rpmI18N  = 9
)

var errRPMHeader = errors.New("rpm: damaged header")

// rpmHeader is a header structure: tags with values in one store.
type rpmHeader struct {
	raw   []byte // all of it, from the magic on
	store []byte
	tags  map[uint32]rpmValue
}

type rpmValue struct{ kind, offset, count uint32 }

// readRPMHeader reads the header structure at an offset
// (https://rpm-software-management.github.io/rpm/manual/format_header.html).
func readRPMHeader(b unpack.Bytes, at int64) (*rpmHeader, error) {
	intro, err := unpack.ReadFull(b, at, rpmIntro)
	if err != nil || string(intro[:4]) != rpmHeaderMagic {
		return nil, errRPMHeader
	}
	be := binary.BigEndian
	count, size := int64(be.Uint32(intro[8:])), int64(be.Uint32(intro[12:]))
	if count == 0 || count > rpmMaxEntries || size > rpmMaxData {
		return nil, errRPMHeader
	}
	raw, err := unpack.ReadFull(b, at, rpmIntro+16*count+size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRPMHeader, err)
	}
	h := &rpmHeader{raw: raw, store: raw[rpmIntro+16*count:], tags: make(map[uint32]rpmValue, count)}
	for i := range count {
		e := raw[rpmIntro+16*i:]
		v := rpmValue{be.Uint32(e[4:]), be.Uint32(e[8:]), be.Uint32(e[12:])}
		if v.kind > rpmI18N || int64(v.offset) > size {
			return nil, errRPMHeader
		}
		if _, twice := h.tags[be.Uint32(e)]; !twice {
			h.tags[be.Uint32(e)] = v
		}
	}
	return h, nil
}

// text is the first string of a tag.
func (h *rpmHeader) text(tag uint32) string {
	v, ok := h.tags[tag]
	if !ok || v.kind != rpmText && v.kind != rpmTexts && v.kind != rpmI18N {
		return ""
	}
	s, _, _ := bytes.Cut(h.store[v.offset:], []byte{0})
	return string(s)
}

// texts are all strings of a tag.
func (h *rpmHeader) texts(tag uint32) []string {
	v, ok := h.tags[tag]
	if !ok || v.kind != rpmText && v.kind != rpmTexts && v.kind != rpmI18N {
		return nil
	}
	rest := h.store[v.offset:]
	var list []string
	for range min(v.count, rpmMaxValues) {
		s, after, ok := bytes.Cut(rest, []byte{0})
		if !ok {
			break
		}
		list, rest = append(list, string(s)), after
	}
	return list
}

// numbers are all integers of a tag, whatever their width.
func (h *rpmHeader) numbers(tag uint32) []uint64 {
	v, ok := h.tags[tag]
	width := map[uint32]uint64{2: 1, rpmInt16: 2, rpmInt32: 4, rpmInt64: 8}[v.kind]
	if !ok || width == 0 || uint64(v.offset)+width*uint64(v.count) > uint64(len(h.store)) {
		return nil
	}
	list := make([]uint64, v.count)
	for i := range list {
		p := h.store[uint64(v.offset)+width*uint64(i):]
		for _, c := range p[:width] {
			list[i] = list[i]<<8 | uint64(c)
		}
	}
	return list
}

// number is the first integer of a tag; false if there is none.
func (h *rpmHeader) number(tag uint32) (uint64, bool) {
	if list := h.numbers(tag); len(list) > 0 {
		return list[0], true
	}
	return 0, false
}

// binary is the value of a tag that holds bytes.
func (h *rpmHeader) binary(tag uint32) []byte {
	v, ok := h.tags[tag]
	if !ok || v.kind != rpmBin || uint64(v.offset)+uint64(v.count) > uint64(len(h.store)) {
		return nil
	}
	return h.store[v.offset:][:v.count]
}
