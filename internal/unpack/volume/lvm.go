package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// LVM opens physical volumes of Linux' volume manager (lib/format_text of LVM2).
var LVM = &unpack.Reader{
	Name:    "lvm",
	Doc:     "physical volumes of LVM2: linear and striped logical volumes that lie on this one, images of mirrors; label, header and metadata with their checksums; what lies in no volume is opened too",
	Limits:  "Volumes that reach over several physical ones, thin, cached and RAID 4 to 10 volumes, and the changes of snapshots are reported by name.",
	Checked: "lvm 2.03.16 with 4 layouts (extended, striped, many volumes, two physical ones); mirrors, snapshots, thin volumes and damaged metadata made by hand",
	Magics:  []unpack.Magic{{At: 512, Bytes: lvmLabel}, {At: 0, Bytes: lvmLabel}, {At: 1024, Bytes: lvmLabel}, {At: 1536, Bytes: lvmLabel}},
	Carve:   true,
	Open:    openLVM,
}

const (
	lvmLabel   = "LABELONE"
	lvmArea    = " LVM2 x[5A%r0N*>" // magic of a metadata area
	lvmMaxText = 64 << 20
)

// lvmSum is LVM's CRC-32: zlib's with another start and without the last step.
func lvmSum(b []byte) uint32 { return ^crc32.Update(^uint32(0xf597a6cf), crc32.IEEETable, b) }

// lvm is a physical volume.
type lvm struct {
	in    *unpack.Input
	o     *unpack.Object
	uuid  string // without dashes
	areas [][2]int64
	start int64 // of the first extent, in bytes
	size  int64 // of an extent
	count int64 // extents
	used  []lvmRun
	names map[string]string // physical volumes by their names in the text: the UUIDs
}

// lvmRun is a run of extents of this physical volume.
type lvmRun struct{ first, count int64 }

func openLVM(in *unpack.Input) (*unpack.Object, error) {
	v := &lvm{in: in, o: &unpack.Object{Format: "lvm2", Info: map[string]string{}}}
	if !v.readLabel() {
		return nil, unpack.ErrNotThis
	}
	v.o.Info["UUID"] = v.uuid
	if len(v.areas) == 0 {
		v.o.Gaps = []unpack.Gap{{Size: v.o.Size, Reason: "unsupported", Note: "its metadata lie on another physical volume"}}
		return v.o, nil
	}
	text, err := v.metadata()
	if text == nil {
		v.o.Err = fmt.Errorf("lvm: %w", err)
		return v.o, nil
	}
	group, top, bad := parseLVM(text)
	if bad == nil {
		bad = v.readGroup(group, top)
	}
	if err = errors.Join(err, bad); err != nil {
		v.o.Err = fmt.Errorf("lvm: %w", err)
	}
	return v.o, nil
}

// readLabel reads the label, in one of the first four sectors, and the header
// behind it.
func (v *lvm) readLabel() bool {
	le := binary.LittleEndian
	for i := range int64(4) {
		b, err := unpack.ReadFull(v.in.Data, i*512, 512)
		if err != nil {
			return false
		}
		if string(b[:8]) != lvmLabel || le.Uint64(b[8:]) != uint64(i) || string(b[24:32]) != "LVM2 001" || lvmSum(b[20:]) != le.Uint32(b[16:]) {
			continue
		}
		at := int(le.Uint32(b[20:]))
		if at < 32 || at > 512-40-32 {
			return false
		}
		v.uuid = string(b[at : at+32])
		claimed := int64(min(le.Uint64(b[at+32:]), 1<<60))
		v.o.Size = min(claimed, v.in.Data.Size())
		if claimed > v.in.Data.Size() {
			v.o.Err = &unpack.CutOff{Format: "lvm", Missing: claimed - v.in.Data.Size(), Of: claimed}
		}
		list := 0 // of data areas, then of metadata
		for b = b[at+40:]; len(b) >= 16 && list < 2; b = b[16:] {
			off, size := int64(min(le.Uint64(b), 1<<60)), int64(min(le.Uint64(b[8:]), 1<<60))
			switch {
			case off == 0 && size == 0:
				list++
			case list == 1:
				v.areas = append(v.areas, [2]int64{off, size})
			}
		}
		return v.o.Size > 4096
	}
	return false
}

// metadata is the text of the first good area.
func (v *lvm) metadata() (text []byte, err error) {
	err = errors.New("no metadata")
	for _, a := range v.areas {
		text, bad := v.area(a[0], a[1])
		if bad == nil {
			return text, nil
		}
		err = bad
	}
	return nil, err
}

// area reads the text of an area: a ring behind a header of a sector.
func (v *lvm) area(at, size int64) ([]byte, error) {
	le := binary.LittleEndian
	h, err := unpack.ReadFull(v.in.Data, at, 512)
	switch {
	case err != nil:
		return nil, err
	case string(h[4:20]) != lvmArea || le.Uint32(h[20:]) != 1 || lvmSum(h[4:]) != le.Uint32(h):
		return nil, fmt.Errorf("the header of its metadata: %w", unpack.ErrChecksum)
	}
	off, n, sum, flags := int64(min(le.Uint64(h[40:]), 1<<60)), int64(min(le.Uint64(h[48:]), 1<<60)), le.Uint32(h[56:]), le.Uint32(h[60:])
	switch {
	case n == 0 || flags&1 != 0:
		return nil, errors.New("its metadata are not in use")
	case off < 512 || n > lvmMaxText || n > size-512 || off >= size:
		return nil, errors.New("its metadata lie outside")
	}
	first := min(n, size-off)
	text, err := unpack.ReadFull(v.in.Data, at+off, first)
	if err != nil {
		return nil, err
	}
	if rest := n - first; rest > 0 { // it goes round
		more, err := unpack.ReadFull(v.in.Data, at+512, rest)
		if err != nil {
			return nil, err
		}
		text = slices.Concat(text, more)
	}
	if lvmSum(text) != sum {
		return nil, fmt.Errorf("its metadata: %w", unpack.ErrChecksum)
	}
	return text, nil
}

// readGroup makes parts of the logical volumes.
func (v *lvm) readGroup(name string, g *lvmNode) error {
	v.o.Info["volume group"] = name
	v.size = g.number("extent_size") * 512
	if v.size <= 0 || v.size > 1<<40 {
		return errors.New("damaged metadata")
	}
	v.names = map[string]string{}
	for pv, n := range g.child("physical_volumes").nodes() {
		id := strings.ReplaceAll(n.text("id"), "-", "")
		if v.names[pv] = id; id == v.uuid {
			v.start, v.count = n.number("pe_start")*512, n.number("pe_count")
		}
	}
	if v.start <= 0 || v.count < 0 || v.count > 1<<40 || v.start > 1<<50 {
		return errors.New("its metadata do not know this physical volume")
	}
	lvs := g.child("logical_volumes")
	changes := map[string]string{} // of snapshots
	for _, n := range lvs.nodes() {
		for _, s := range n.nodes() {
			if store := s.text("cow_store"); store != "" {
				changes[store] = s.text("origin")
			}
		}
	}
	for lv, n := range lvs.nodes() {
		data, at, why := v.volume(lvs, n)
		switch origin, ok := changes[lv]; {
		case ok:
			v.gap("unsupported", fmt.Sprintf("%s: the changes of a snapshot of %s", lv, origin))
		case !slices.Contains(n.list("status"), "VISIBLE"):
			// A part of another volume, which says itself why it is unread.
		case why != nil:
			v.gap(unpack.ReasonOf(why), fmt.Sprintf("%s: %v", lv, why))
		default:
			v.o.Parts = append(v.o.Parts, unpack.Part{Name: lv, Data: data, Offset: at, Info: map[string]string{"UUID": n.text("id")}})
		}
	}
	v.free()
	return v.o.Err
}

func (v *lvm) gap(reason, note string) {
	v.o.Gaps = append(v.o.Gaps, unpack.Gap{Reason: reason, Note: note})
}

// lvmKinds are in which words a report says why a volume is unread.
var lvmKinds = map[string]string{"thin": "a thin volume", "thin-pool": "a pool of thin volumes", "cache": "a cached volume", "cache-pool": "a pool of a cache", "snapshot": "changes of a snapshot"}

// volume maps a logical volume.
func (v *lvm) volume(lvs, n *lvmNode) (unpack.Bytes, int64, error) {
	segments := n.number("segment_count")
	if segments <= 0 || segments > 1<<20 {
		return nil, 0, errors.New("it has no segments")
	}
	var list []unpack.Extent
	size := int64(0)
	var why error
	for i := int64(1); i <= segments; i++ {
		s := n.child(fmt.Sprintf("segment%d", i))
		first, count := s.number("start_extent"), s.number("extent_count")
		if s == nil || first*v.size != size || count <= 0 || count > v.count<<10 {
			return nil, 0, errors.New("its segments do not follow each other")
		}
		switch kind := s.text("type"); kind {
		case "striped":
			l, err := v.stripes(s, size, count)
			if err != nil && why == nil {
				why = err
			}
			list = append(list, l...)
		case "raid1", "mirror":
			if segments == 1 {
				return v.mirror(lvs, s)
			}
			return nil, 0, fmt.Errorf("%w: a mirror of several segments", unpack.ErrUnsupported)
		case "zero":
		default:
			if words, ok := lvmKinds[kind]; ok {
				kind = words
			}
			return nil, 0, fmt.Errorf("%w: %s", unpack.ErrUnsupported, kind)
		}
		size += count * v.size
	}
	if why != nil {
		return nil, 0, why
	}
	at := int64(-1)
	if len(list) == 1 {
		at = list[0].From
	}
	b, err := unpack.Extents(v.in.Data, list, size)
	return b, at, err
}

// mirror is the first image of a mirror that lies here.
func (v *lvm) mirror(lvs, s *lvmNode) (unpack.Bytes, int64, error) {
	defer func(used []lvmRun) { v.used = used }(v.used) // the images count themselves
	err := error(unpack.ErrUnsupported)
	for _, name := range append(s.list("raids"), s.list("mirrors")...) {
		if !strings.Contains(name, "image_") {
			continue
		}
		n := lvs.child(name)
		if n == nil || n.child("segment1").text("type") != "striped" {
			continue
		}
		b, at, bad := v.volume(lvs, n)
		if bad == nil {
			return b, at, nil
		}
		err = bad
	}
	return nil, 0, fmt.Errorf("a mirror: %w", err)
}

// stripes maps a segment: on one physical volume in a row, or over several in
// stripes.
func (v *lvm) stripes(s *lvmNode, off, count int64) ([]unpack.Extent, error) {
	stripes := s.list("stripes")
	n := int64(len(stripes) / 2)
	if n == 0 || n != s.number("stripe_count") || count%n != 0 {
		return nil, errors.New("damaged stripes")
	}
	unit := s.number("stripe_size") * 512
	each := count / n // extents on each
	var places []int64
	for i := range n {
		id, known := v.names[stripes[2*i]]
		if !known { // not a physical volume: a part of another one
			return nil, fmt.Errorf("%w: it lies on the volume %s", unpack.ErrUnsupported, stripes[2*i])
		}
		var first int64
		if _, err := fmt.Sscan(stripes[2*i+1], &first); err != nil || first < 0 {
			return nil, errors.New("damaged stripes")
		}
		if id != v.uuid {
			return nil, fmt.Errorf("%w: it lies on the physical volume %s (%s), too", unpack.ErrUnsupported, stripes[2*i], id)
		}
		if first > v.count-each {
			return nil, errors.New("it lies outside of the physical volume")
		}
		v.used = append(v.used, lvmRun{first, each})
		places = append(places, v.start+first*v.size)
	}
	if n == 1 {
		return v.inside(unpack.Extent{Offset: off, Size: count * v.size, From: places[0]})
	}
	if unit <= 0 || v.size%unit != 0 || count*v.size/unit > 1<<22 {
		return nil, fmt.Errorf("%w: stripes of %d bytes", unpack.ErrUnsupported, unit)
	}
	var list []unpack.Extent
	for i := int64(0); i < count*v.size/unit; i++ {
		e, err := v.inside(unpack.Extent{Offset: off + i*unit, Size: unit, From: places[i%n] + i/n*unit})
		if err != nil {
			return nil, err
		}
		list = append(list, e...)
	}
	return list, nil
}

func (v *lvm) inside(e unpack.Extent) ([]unpack.Extent, error) {
	if missing := e.From + e.Size - v.in.Data.Size(); missing > 0 {
		return nil, fmt.Errorf("cut off: %d bytes of it are missing", min(missing, e.Size))
	}
	return []unpack.Extent{e}, nil
}

// free adds what lies in no volume, if it is not padding.
func (v *lvm) free() {
	slices.SortFunc(v.used, func(a, b lvmRun) int { return int(min(max(a.first-b.first, -1), 1)) })
	at := int64(0)
	add := func(to int64) {
		if to <= at {
			return
		}
		data := unpack.Window(v.in.Data, v.start+at*v.size, (to-at)*v.size)
		if !unpack.OnlyPadding(data, 0) {
			from := v.start + at*v.size
			v.o.Parts = append(v.o.Parts, unpack.Part{Name: fmt.Sprintf("unallocated@0x%x", from), Offset: from, Data: data})
		}
	}
	for _, r := range v.used {
		add(r.first)
		if r.first < at && v.o.Err == nil {
			v.o.Err = errors.New("two volumes lie at one place")
		}
		at = max(at, r.first+r.count)
	}
	add(v.count)
}
