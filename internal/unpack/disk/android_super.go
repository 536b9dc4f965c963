package disk

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// AndroidSuper opens images with dynamic partitions (liblp's metadata_format.h
// of Android).
var AndroidSuper = &unpack.Reader{
	Name:    "super",
	Doc:     "Android super images: dynamic partitions of all slots, by either copy of geometry and metadata, with their checksums",
	Limits:  "Extents on other block devices than the image itself are stated as unread.",
	Checked: "images made by hand by the specification, each table damaged in turn",
	Magics:  []unpack.Magic{{At: lpReserved, Bytes: lpGeometryMagic}, {At: lpReserved + lpGeometry, Bytes: lpGeometryMagic}},
	Carve:   true,
	Open:    openAndroidSuper,
}

const (
	lpGeometryMagic = "gDla"
	lpHeaderMagic   = "0PLA"
	lpReserved      = 4096 // before the geometry
	lpGeometry      = 4096 // each copy
	lpMaxMetadata   = 16 << 20
	lpMaxSlots      = 32
)

type lpImage struct {
	in         *unpack.Input
	o          *unpack.Object
	max, slots int64
	size       int64 // of the first block device
	parts      []lpPart
	taken      []region
}

type lpPart struct {
	name    string
	slot    int64
	size    int64
	extents []unpack.Extent
	group   string
	flags   uint32
	err     error
}

func openAndroidSuper(in *unpack.Input) (*unpack.Object, error) {
	x := &lpImage{in: in, o: &unpack.Object{Format: "android super", Info: map[string]string{}}}
	if !x.geometry() {
		return nil, unpack.ErrNotThis
	}
	read := int64(0)
	for slot := range x.slots {
		if x.slot(slot) {
			read++
		}
	}
	if read == 0 {
		return nil, unpack.ErrNotThis
	}
	x.o.Info["slots"] = fmt.Sprint(x.slots)
	own := []region{{off: lpReserved, size: 2*lpGeometry + 2*x.slots*x.max}}
	x.o.Size = min(max(x.size, own[0].end()), in.Data.Size())
	if x.size > in.Data.Size() {
		addErr(x.o, &unpack.CutOff{Format: "super", Missing: int64(x.size) - in.Data.Size(), Of: int64(x.size)})
	}
	x.addParts()
	layOut(in, x.o, append(own, x.taken...), nil)
	return x.o, nil
}

// geometry reads the first good copy.
func (x *lpImage) geometry() bool {
	for _, at := range []int64{lpReserved, lpReserved + lpGeometry} {
		b, err := unpack.ReadFull(x.in.Data, at, 4096)
		if err != nil || string(b[:4]) != lpGeometryMagic {
			continue
		}
		size := binary.LittleEndian.Uint32(b[4:])
		if size < 52 || size > 4096 || !lpSum(b[:size], 8) {
			continue
		}
		x.max, x.slots = int64(binary.LittleEndian.Uint32(b[40:])), int64(binary.LittleEndian.Uint32(b[44:]))
		if x.max < 256 || x.max > lpMaxMetadata || x.max%512 != 0 || x.slots < 1 || x.slots > lpMaxSlots {
			return false
		}
		if at != lpReserved {
			addErr(x.o, errors.New("the geometry is damaged: its copy was read"))
		}
		return true
	}
	return false
}

// lpSum checks a SHA-256 that lies in the bytes themselves, where it counts as
// zeros.
func lpSum(b []byte, at int) bool {
	c := bytes.Clone(b)
	clear(c[at : at+sha256.Size])
	sum := sha256.Sum256(c)
	return bytes.Equal(sum[:], b[at:at+sha256.Size])
}

// slot reads a slot's metadata, or the copy of it.
func (x *lpImage) slot(slot int64) bool {
	first := int64(lpReserved + 2*lpGeometry)
	for i, at := range []int64{first + slot*x.max, first + (x.slots+slot)*x.max} {
		m, ok := x.metadata(at)
		if !ok {
			continue
		}
		if i > 0 {
			addErr(x.o, fmt.Errorf("the metadata of slot %d are damaged: their copy was read", slot))
		}
		x.read(m, slot)
		return true
	}
	addErr(x.o, fmt.Errorf("the metadata of slot %d are damaged, and so is their copy", slot))
	return false
}

// lpTables are the tables of one slot.
type lpTables struct {
	partitions, extents, groups, devices [][]byte
}

func (x *lpImage) metadata(at int64) (*lpTables, bool) {
	h, err := unpack.ReadFull(x.in.Data, at, 256)
	if err != nil || string(h[:4]) != lpHeaderMagic || binary.LittleEndian.Uint16(h[4:]) != 10 {
		return nil, false
	}
	size, tables := int64(binary.LittleEndian.Uint32(h[8:])), int64(binary.LittleEndian.Uint32(h[44:]))
	if size < 128 || size > 4096 || tables > x.max || size+tables > x.max {
		return nil, false
	}
	b, err := unpack.ReadFull(x.in.Data, at, size+tables)
	if err != nil || !lpSum(b[:size], 12) {
		return nil, false
	}
	if sum := sha256.Sum256(b[size:]); !bytes.Equal(sum[:], b[48:80]) {
		return nil, false
	}
	m := &lpTables{}
	for i, t := range []struct {
		rows *[][]byte
		min  int64
	}{{&m.partitions, 52}, {&m.extents, 24}, {&m.groups, 48}, {&m.devices, 64}} {
		d := b[80+12*i:]
		off, n, row := int64(binary.LittleEndian.Uint32(d)), int64(binary.LittleEndian.Uint32(d[4:])), int64(binary.LittleEndian.Uint32(d[8:]))
		if off > tables || n > 0 && (row < t.min || row > tables || n > (tables-off)/row) {
			return nil, false
		}
		for j := range n {
			*t.rows = append(*t.rows, b[size+off+j*row:][:row])
		}
	}
	return m, len(m.devices) > 0
}

// read takes the partitions of a slot that hold something.
func (x *lpImage) read(m *lpTables, slot int64) {
	x.size = max(x.size, int64(min(binary.LittleEndian.Uint64(m.devices[0][16:]), 1<<50)))
	for _, p := range m.partitions {
		first, n := int64(binary.LittleEndian.Uint32(p[40:])), int64(binary.LittleEndian.Uint32(p[44:]))
		if n == 0 {
			continue
		}
		q := lpPart{name: string(cut0(p[:36])), slot: slot, flags: binary.LittleEndian.Uint32(p[36:])}
		if g := int64(binary.LittleEndian.Uint32(p[48:])); g < int64(len(m.groups)) {
			q.group = string(cut0(m.groups[g][:36]))
		}
		if first > int64(len(m.extents)) || n > int64(len(m.extents))-first {
			addErr(x.o, fmt.Errorf("partition %s has extents that are not in the table", q.name))
			continue
		}
		for _, e := range m.extents[first : first+n] {
			q.add(e)
		}
		x.parts = append(x.parts, q)
	}
}

// add adds an extent: of the image, of zeros, or of another device.
func (p *lpPart) add(e []byte) {
	size := int64(min(binary.LittleEndian.Uint64(e), 1<<41)) * sector
	from := int64(min(binary.LittleEndian.Uint64(e[12:]), 1<<41)) * sector
	switch kind, device := binary.LittleEndian.Uint32(e[8:]), binary.LittleEndian.Uint32(e[20:]); {
	case kind == 1:
		from = unpack.Hole
	case kind != 0 || device != 0:
		p.err = fmt.Errorf("partition %s lies on another device: %w", p.name, unpack.ErrUnsupported)
		return
	}
	p.extents = append(p.extents, unpack.Extent{Offset: p.size, Size: size, From: from})
	p.size = min(p.size+size, 1<<50)
}

// addParts makes parts of the partitions; those that two slots share are one.
func (x *lpImage) addParts() {
	var list []region
	var data []unpack.Bytes
	seen := map[string]bool{}
	for _, p := range x.parts {
		key := fmt.Sprint(p.name, p.extents)
		if seen[key] {
			continue
		}
		seen[key] = true
		if p.err == nil {
			p.err = x.open(&p, &data, &list)
		}
		if p.err != nil {
			addErr(x.o, p.err)
		}
	}
	for i, r := range nameApart(list) {
		x.o.Parts = append(x.o.Parts, unpack.Part{Name: r.name, Data: data[i], Offset: r.off, Info: r.info})
	}
}

func (x *lpImage) open(p *lpPart, data *[]unpack.Bytes, list *[]region) error {
	off := int64(-1)
	for _, e := range p.extents {
		if e.From == unpack.Hole {
			continue
		}
		if off < 0 {
			off = e.From
		}
		x.taken = append(x.taken, region{off: e.From, size: e.Size})
	}
	if err := diskSize(x.in, p.size); err != nil {
		return fmt.Errorf("partition %s: %w", p.name, err)
	}
	b, err := unpack.Extents(x.in.Data, p.extents, p.size)
	if err != nil {
		return fmt.Errorf("partition %s: %w", p.name, err)
	}
	info := map[string]string{"slot": fmt.Sprint(p.slot)}
	if p.group != "" {
		info["group"] = p.group
	}
	if p.flags&1 != 0 {
		info["attributes"] = "read only"
	}
	*data, *list = append(*data, b), append(*list, region{name: p.name, off: off, size: p.size, info: info})
	return nil
}
