package flash

import (
	"encoding/binary"
	"fmt"
	"io"
	"strconv"

	"github.com/doorward/doorward/internal/unpack"
)

// YAFFS opens YAFFS 1 and 2 where it starts with an object's header, as images
// do. Layout: yaffs_guts.h, yaffs_packedtags2.c and yaffs_tagscompat.c of the
// YAFFS sources.
var YAFFS = &unpack.Reader{
	Name: "yaffs",
	Doc: "YAFFS 1 and 2 file systems in both byte orders, with the spare areas of 512 to 16384-byte pages or with tags in the pages; " +
		"the newest version of each file, deleted files, hard links, extended attributes.",
	Limits: "Older versions of files that still exist are not listed; dumps whose controller moved the tags to other places than the " +
		"start of the spare area need their ECC to be found.",
	Checked: "our packer for the tests with 9 layouts in both byte orders and random trees; unyaffs reads 4 of them alike; two real images.",
	Magics:  yaffsMagics(),
	Carve:   true,
	Open:    func(in *unpack.Input) (*unpack.Object, error) { return openYAFFS(in, 1) },
}

// YAFFSRaw opens dumps of partitions, which may start with any page.
var YAFFSRaw = &unpack.Reader{
	Name:    "yaffs",
	Checked: "our packer for the tests",
	Doc:     "The same in dumps of whole partitions, which start with any page of it.",
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		if !in.Whole {
			return nil, unpack.ErrNotThis
		}
		return openYAFFS(in, yaffsSample)
	},
}

// yaffsMagics are the first bytes of a header of the root's children (type,
// parent, an unused sum) and of the root itself.
func yaffsMagics() (list []unpack.Magic) {
	for kind := range byte(yaffsSpecial) {
		for _, m := range []string{string([]byte{kind + 1, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff}), string([]byte{0, 0, 0, kind + 1, 0, 0, 0, 1, 0xff, 0xff})} {
			list = append(list, unpack.Magic{At: 0, Bytes: m})
		}
	}
	return list
}

const (
	yaffsSample = 64      // pages by which a layout is chosen
	yaffsPages  = 4 << 20 // pages of the largest file system
	yaffsGap    = 256     // pages that may be unreadable in a row (bad blocks)
)

func openYAFFS(in *unpack.Input, within int64) (*unpack.Object, error) {
	l := findYAFFS(in.Data, within)
	if l == nil {
		return nil, unpack.ErrNotThis
	}
	y := &yaffs{in: in, l: l, g: unpack.NewGatherer(in), objects: map[uint32]*yaffsObject{}}
	y.scan()
	if y.headers == 0 {
		return nil, unpack.ErrNotThis
	}
	return y.object(), nil
}

// findYAFFS finds the layout in which the pages make sense. The first header
// must stand within some pages from the start.
func findYAFFS(data unpack.Bytes, within int64) *yaffsLayout {
	for _, g := range append(geometries[:len(geometries):len(geometries)], geometry{2048, 0}, geometry{4096, 0}, geometry{512, 0}) {
		if within > 1 && data.Size()%(g.stride()*32) != 0 {
			continue
		}
		for i := range within {
			raw := unpack.ReadSome(data, i*g.stride(), g.stride())
			if int64(len(raw)) < g.stride() {
				break
			}
			if l := layoutOf(data, g, raw); l != nil {
				return l
			}
		}
	}
	return nil
}

// layoutOf looks for the tags of a page that may be a header.
func layoutOf(data unpack.Bytes, g geometry, raw []byte) *yaffsLayout {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		l := &yaffsLayout{geometry: g, order: order}
		if _, ok := l.header(raw[:l.room()]); !ok {
			continue
		}
		for _, need := range []yaffsState{yaffsProven, yaffsPlain} {
			for l.at = 0; l.at <= max(0, g.spare-16) && g.spare != 16; l.at++ {
				if t, state := l.tags(raw); state == need && t.chunk == 0 && (need == yaffsProven || l.at == 0 || l.at == 2) && l.sound(data, need) {
					return l
				}
			}
		}
		l.first = true
		if g.spare != 16 {
			continue
		}
		if t, state := l.tags(raw); state == yaffsProven && t.chunk == 0 && l.sound(data, yaffsProven) {
			return l
		}
	}
	return nil
}

// sound says that the tags of the first pages make sense: proven ones nearly
// alone, others together with headers that do.
func (l *yaffsLayout) sound(data unpack.Bytes, need yaffsState) bool {
	good, bad, headers := 0, 0, 0
	for i := range int64(yaffsSample) {
		raw := unpack.ReadSome(data, i*l.stride(), l.stride())
		if int64(len(raw)) < l.stride() {
			break
		}
		t, state := l.tags(raw)
		switch {
		case state == yaffsErased:
			continue
		case state != need:
			bad++
			continue
		case t.chunk == 0:
			if _, ok := l.header(raw[:l.room()]); !ok {
				bad++
				continue
			}
			headers++
		}
		good++
	}
	switch {
	case headers == 0:
		return false
	case need == yaffsProven && !l.first:
		return good >= bad // more follows the image, maybe
	case l.first:
		return good >= 2 && good >= bad
	}
	return good >= 3 && good > 9*bad
}

// yaffs is an open file system.
type yaffs struct {
	in      *unpack.Input
	l       *yaffsLayout
	g       *unpack.Gatherer
	base    unpack.Bytes // the pages' content
	end     int64        // of the last page
	headers int
	objects map[uint32]*yaffsObject
	bad     int // pages whose tags make no sense
}

// yaffsPage is a page of an object.
type yaffsPage struct {
	seq    uint32
	number int64
	chunk  uint32
	bytes  uint32
	dead   bool
}

// yaffsObject is all that is in the flash about an object.
type yaffsObject struct {
	pages   []yaffsPage
	headers map[int64]yaffsHeader // by the page's number
}

// scan reads the tags of all pages, and the headers.
func (y *yaffs) scan() {
	l, g := y.l, y.g
	batch := max(1, (1<<20)/l.stride())
	unread := int64(0)
	for first := int64(0); ; first += batch {
		raw := unpack.ReadSome(y.in.Data, first*l.stride(), batch*l.stride())
		for n := int64(0); int64(len(raw)) >= l.stride(); n, raw = n+1, raw[l.stride():] {
			unread++
			if y.page(first+n, raw[:l.stride()]) {
				unread, y.end = 0, (first+n+1)*l.stride()
			}
			if unread > yaffsGap || first+n >= yaffsPages || g.Stop() {
				return
			}
		}
		if first*l.stride() >= y.in.Data.Size() || int64(len(raw)) < l.stride() && (first+batch)*l.stride() >= y.in.Data.Size() {
			return
		}
	}
}

// page notes a page; false if it is not of this file system.
func (y *yaffs) page(number int64, raw []byte) bool {
	t, state := y.l.tags(raw)
	if state == yaffsErased {
		return false
	}
	if state == yaffsBad {
		if !uniform(raw) {
			y.bad++
		}
		return false
	}
	if t.object == yaffsCheckpoint || t.object == yaffsSummary {
		return true
	}
	o := y.objects[t.object]
	if o == nil {
		if int64(len(y.objects)) >= y.in.Budget.Limits.Files {
			y.g.Damage(fmt.Errorf("%w: more than %d objects", unpack.ErrLimit, len(y.objects)))
			return false
		}
		o = &yaffsObject{headers: map[int64]yaffsHeader{}}
		y.objects[t.object] = o
	}
	if t.chunk == 0 {
		h, ok := y.l.header(raw[:y.l.room()])
		if !ok {
			y.g.Damage(fmt.Errorf("yaffs: page %d is no header of object %d", number, t.object))
			return true
		}
		o.headers[number] = h
		y.headers++
	}
	o.pages = append(o.pages, yaffsPage{t.seq, number, t.chunk, t.bytes, t.dead})
	return true
}

func (y *yaffs) object() *unpack.Object {
	l := y.l
	version, ecc := "2", ""
	if l.first {
		version = "1"
	}
	p := &pages{data: unpack.Window(y.in.Data, 0, y.end), g: l.geometry}
	if l.spare > 0 {
		if p.ecc = findECC(y.in.Data, l.geometry); p.ecc != nil {
			ecc = p.ecc.name
		}
	}
	y.base = p
	o := &unpack.Object{Format: "yaffs" + version, System: true, Size: y.end, Info: map[string]string{
		"page size": strconv.FormatInt(l.page, 10), "spare area": strconv.FormatInt(l.spare, 10),
	}}
	if l.order == binary.BigEndian {
		o.Format += " big-endian"
	}
	if ecc != "" {
		o.Info["ecc"] = ecc
	}
	y.tree()
	if y.bad > 0 {
		y.g.Damage(fmt.Errorf("yaffs: the tags of %d pages make no sense", y.bad))
	}
	if tail := y.in.Data.Size() % l.stride(); y.in.Whole && tail != 0 && y.end == y.in.Data.Size()-tail {
		y.g.Damage(fmt.Errorf("yaffs: %w: %d bytes of a page at the end", io.ErrUnexpectedEOF, tail))
	}
	y.g.Finish(o)
	return o
}
