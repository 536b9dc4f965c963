package flash

import (
	"encoding/binary"
	"io/fs"
	"math/bits"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// Objects that YAFFS knows by number, and bounds of its numbers (yaffs_guts.h).
const (
	yaffsRoot       = 1
	yaffsLost       = 2
	yaffsUnlinked   = 3
	yaffsDeleted    = 4
	yaffsSummary    = 0x10
	yaffsCheckpoint = 0x20
	yaffsMaxObject  = 0x0fffffff
	yaffsLowestSeq  = 0x1000
	yaffsHighestSeq = 0xefffff00
)

// Types of objects.
const (
	yaffsFile = iota + 1
	yaffsSymlink
	yaffsDir
	yaffsHardlink
	yaffsSpecial
)

// yaffsTags say what a page holds.
type yaffsTags struct {
	seq    uint32 // of the block; in YAFFS 1 the serial number of the page
	object uint32
	chunk  uint32 // 0 is the object's header
	bytes  uint32
	dead   bool // YAFFS 1: the page is marked as deleted
}

// yaffsState is what tags are worth.
type yaffsState int

const (
	yaffsErased yaffsState = iota
	yaffsBad
	yaffsPlain  // they make sense
	yaffsProven // and their ECC is right, maybe after a correction
)

// yaffsLayout is where a file system's tags stand.
type yaffsLayout struct {
	geometry       // spare is 0 if the tags are the end of the page
	first    bool  // YAFFS 1
	at       int64 // of the tags in the spare area (YAFFS 2)
	order    binary.ByteOrder
}

// room is how many bytes of content a page has.
func (l *yaffsLayout) room() int64 {
	if l.spare == 0 {
		return l.page - 16
	}
	return l.page
}

// tags reads those of a raw page: content and spare area.
func (l *yaffsLayout) tags(raw []byte) (yaffsTags, yaffsState) {
	if l.first {
		return l.tags1(raw[l.page:])
	}
	if l.spare == 0 {
		return l.tags2(raw[l.page-16:], nil)
	}
	t := raw[l.page+l.at:]
	if len(t) >= 28 {
		return l.tags2(t[:16], t[16:28])
	}
	return l.tags2(t[:16], nil)
}

// tags2 reads the tags of YAFFS 2 (yaffs_packedtags2.c). A header's tags may
// repeat its main facts, with marks in the high bits.
func (l *yaffsLayout) tags2(raw, ecc []byte) (t yaffsTags, state yaffsState) {
	if uniform(raw) && raw[0] == 0xff {
		return t, yaffsErased
	}
	state = yaffsPlain
	if ecc != nil && !uniform(ecc) {
		raw = append([]byte(nil), raw...)
		if state = yaffsProven; !l.correctTags(raw, ecc) {
			return t, yaffsBad
		}
	}
	u32 := func(at int) uint32 { return l.order.Uint32(raw[at:]) }
	t = yaffsTags{seq: u32(0), object: u32(4), chunk: u32(8), bytes: u32(12)}
	if t.chunk>>31 != 0 {
		t.object, t.chunk = t.object&0x0fffffff, 0
	}
	special := t.object == yaffsCheckpoint && t.seq == 0x21
	if t.object == 0 || t.object > yaffsMaxObject || !special && (t.seq < yaffsLowestSeq || t.seq > yaffsHighestSeq) {
		return t, yaffsBad
	}
	if t.chunk > 0 && int64(t.bytes) > l.room() {
		return t, yaffsBad
	}
	return t, state
}

// correctTags checks 16 bytes of tags by their ECC, and corrects one bit.
func (l *yaffsLayout) correctTags(tags, ecc []byte) bool {
	col, line, prime := parities(tags)
	col = col>>2&0x3f ^ ecc[0]
	line ^= l.order.Uint32(ecc[4:])
	prime ^= l.order.Uint32(ecc[8:])
	switch {
	case col == 0 && line == 0 && prime == 0:
		return true
	case line == ^prime && (col^col>>1)&0x15 == 0x15 && line < 16:
		tags[line] ^= 1 << (odd(uint32(col)))
		return true
	}
	return bits.OnesCount32(line)+bits.OnesCount32(prime)+bits.OnesCount8(col) == 1
}

// tags1 reads the tags of YAFFS 1 (yaffs_tagscompat.c): 64 bits spread over a
// spare area of 16 bytes.
func (l *yaffsLayout) tags1(s []byte) (t yaffsTags, state yaffsState) {
	b := [8]byte{s[0], s[1], s[2], s[3], s[6], s[7], s[11], s[12]}
	if uniform(b[:]) && b[0] == 0xff {
		return t, yaffsErased
	}
	low, high := l.order.Uint32(b[:]), l.order.Uint32(b[4:])
	big := l.order == binary.BigEndian
	field := func(v uint32, at, width int) uint32 {
		if big {
			at = 32 - at - width
		}
		return v >> at & (1<<width - 1)
	}
	ecc := field(high, 18, 12)
	// The code covers the bytes with its own field cleared.
	at := 18
	if big {
		at = 2
	}
	l.order.PutUint32(b[4:], high&^(0xfff<<at))
	switch diff := ecc ^ tagsCode(b[:]); {
	case diff > 64:
		return t, yaffsBad
	case diff > 0:
		b[(diff-1)/8] ^= 1 << ((diff - 1) & 7)
		low, high = l.order.Uint32(b[:]), l.order.Uint32(b[4:])
	}
	t = yaffsTags{chunk: field(low, 0, 20), seq: field(low, 20, 2), object: field(high, 0, 18)}
	t.bytes = field(low, 22, 10) | field(high, 30, 2)<<10
	t.dead = bits.OnesCount8(s[4]) < 7
	if t.object == 0 || t.chunk > 0 && int64(t.bytes) > l.page {
		return t, yaffsBad
	}
	return t, yaffsProven
}

// tagsCode is the XOR of the numbers, from 1 on, of the bits that are set.
func tagsCode(b []byte) (code uint32) {
	for i := range 64 {
		if b[i/8]>>(i%8)&1 != 0 {
			code ^= uint32(i + 1)
		}
	}
	return code
}

// yaffsHeader is an object's header (struct yaffs_obj_hdr).
type yaffsHeader struct {
	kind     uint32
	parent   uint32
	name     string
	mode     uint32
	uid, gid uint32
	mtime    uint32
	size     int64
	equal    uint32 // of a hard link: the object
	link     string
	device   uint32
	shrink   bool
	xattrs   map[string]string
}

const yaffsHeaderSize = 512

// header reads a header; ok says that it is one.
func (l *yaffsLayout) header(b []byte) (h yaffsHeader, ok bool) {
	if len(b) < yaffsHeaderSize {
		return h, false
	}
	u32 := func(at int) uint32 { return l.order.Uint32(b[at:]) }
	sum := l.order.Uint16(b[8:])
	h = yaffsHeader{kind: u32(0), parent: u32(4), mode: u32(268), uid: u32(272), gid: u32(276), mtime: u32(284), size: int64(u32(292)), equal: u32(296), device: u32(460)}
	name, ended := cString(b[10:266])
	if h.kind == 0 || h.kind > yaffsSpecial || h.parent == 0 || h.parent > yaffsMaxObject || sum != 0xffff && sum != 0 || !ended {
		return h, false
	}
	h.name = name
	if high := u32(496); high != 0xffffffff && high < 1<<20 {
		h.size |= int64(high) << 32
	}
	if u32(292) == 0xffffffff && u32(496) == 0xffffffff {
		h.size = 0
	}
	h.link, ended = cString(b[300:460])
	shrink := u32(508)
	if l.spare == 0 {
		shrink = u32(492)
	}
	h.shrink = shrink == 1
	switch kind := unpack.UnixMode(h.mode).Type(); h.kind {
	case yaffsFile:
		ok = kind == 0
	case yaffsDir:
		ok = kind == fs.ModeDir
	case yaffsSymlink:
		ok = kind == fs.ModeSymlink && ended
	case yaffsSpecial:
		ok = kind != 0 && kind != fs.ModeDir && kind != fs.ModeSymlink
	default:
		ok = true
	}
	if ok && len(b) > yaffsHeaderSize {
		h.xattrs = l.xattrs(b[yaffsHeaderSize:])
	}
	return h, ok
}

// xattrs reads the attributes behind a header (yaffs_nameval.c): the size of a
// record, its name up to a zero byte, its value.
func (l *yaffsLayout) xattrs(b []byte) (list map[string]string) {
	for len(b) >= 4 {
		n := int64(int32(l.order.Uint32(b)))
		if n < 6 || n > int64(len(b)) {
			break
		}
		name, value, ok := strings.Cut(string(b[4:n]), "\x00")
		if !ok || name == "" {
			break
		}
		if list == nil {
			list = map[string]string{}
		}
		list[name] = value
		b = b[n:]
	}
	return list
}

// cString is the text up to a zero byte, if there is one.
func cString(b []byte) (string, bool) {
	for i, c := range b {
		if c == 0 {
			return string(b[:i]), true
		}
	}
	return "", false
}
