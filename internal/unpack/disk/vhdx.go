package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/doorward/doorward/internal/unpack"
)

// VHDX opens disks of Hyper-V ([MS-VHDX], version 8).
var VHDX = &unpack.Reader{
	Name:    "vhdx",
	Doc:     "disks of Hyper-V in version 2: growing and fixed; headers and region tables with their checksums; a log that was not written back is replayed over the image",
	Limits:  "Disks that change another disk are reported with its name. The format has no checksums over content.",
	Checked: "qemu-img 7.2 (random disks, growing and fixed, block sizes); damaged headers, tables and logs made by hand",
	Magics:  []unpack.Magic{{At: 0, Bytes: "vhdxfile"}},
	Open:    openVHDX,
}

const (
	vhdxTableSize = 64 << 10
	vhdxUnit      = 1 << 20 // places in the image count megabytes
	vhdxMaxLog    = 256 << 20
)

// Regions and items of metadata by their GUID.
const (
	vhdxBAT      = "2DC27766-F623-4200-9D64-115E9BFD4A08"
	vhdxMetadata = "8B7CA206-4790-4B9A-B8FE-575F050F886E"
	vhdxFile     = "CAA16737-FA36-4D43-B3B6-33F0AA44E76B"
	vhdxSize     = "2FA54224-CD1B-4876-B211-5DBED83BF4B8"
	vhdxSector   = "8141BF1D-A96F-4709-BA47-F233A8FAAB5F"
	vhdxParent   = "A8D35F2D-B30B-454D-ABF7-D3D84834AB0C"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// vhdxSum checks the CRC-32C of b, whose own field at 4 counts as zero.
func vhdxSum(b []byte) bool {
	sum := crc32.Update(0, castagnoli, b[:4])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, b[8:]) == binary.LittleEndian.Uint32(b[4:])
}

type vhdxRegion struct{ at, size int64 }

type vhdx struct {
	in       *unpack.Input
	data     unpack.Bytes // with the log replayed
	o        *unpack.Object
	regions  map[string]vhdxRegion
	metadata []byte
}

func openVHDX(in *unpack.Input) (*unpack.Object, error) {
	x := &vhdx{in: in, data: in.Data, o: &unpack.Object{Format: "vhdx", Size: in.Data.Size(), Info: map[string]string{}}}
	if creator := unpack.UTF16(unpack.ReadSome(in.Data, 8, 512)); creator != "" {
		x.o.Info["made by"] = creator
	}
	header, err := x.header()
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	if !unpack.OnlyByte(header[48:64], 0) {
		x.replay(header)
	}
	if !x.readRegions() {
		return nil, unpack.ErrNotThis
	}
	if err := x.open(); err != nil {
		addErr(x.o, err)
	}
	return x.o, nil
}

// header is the good one with the higher sequence number.
func (x *vhdx) header() (h []byte, err error) {
	err = errors.New("no good header")
	for _, at := range []int64{64 << 10, 128 << 10} {
		b, bad := unpack.ReadFull(x.in.Data, at, 4096)
		switch {
		case bad != nil || string(b[:4]) != "head" || !vhdxSum(b):
			x.o.Info["headers"] = "one of two is damaged"
		case h == nil || binary.LittleEndian.Uint64(b[8:]) > binary.LittleEndian.Uint64(h[8:]):
			h, err = b, nil
		}
	}
	return h, err
}

// readRegions reads the table of regions, or its copy.
func (x *vhdx) readRegions() bool {
	for _, at := range []int64{192 << 10, 256 << 10} {
		b, err := unpack.ReadFull(x.data, at, vhdxTableSize)
		if err != nil || string(b[:4]) != "regi" || !vhdxSum(b) {
			x.o.Info["region tables"] = "one of two is damaged"
			continue
		}
		x.regions = map[string]vhdxRegion{}
		for i := range min(int(binary.LittleEndian.Uint32(b[8:])), 2047) {
			e := b[16+32*i:]
			at, size := int64(min(binary.LittleEndian.Uint64(e[16:]), 1<<62)), int64(binary.LittleEndian.Uint32(e[24:]))
			x.regions[unpack.GUID(e)] = vhdxRegion{at, size}
		}
		return true
	}
	return false
}

// item is a piece of metadata.
func (x *vhdx) item(guid string) []byte {
	m := x.metadata
	for i := range min(int(binary.LittleEndian.Uint16(m[10:])), 2047) {
		e := m[32+32*i:]
		at, n := int64(binary.LittleEndian.Uint32(e[16:])), int64(binary.LittleEndian.Uint32(e[20:]))
		if unpack.GUID(e) == guid && at >= vhdxTableSize && at+n <= int64(len(m)) {
			return m[at : at+n]
		}
	}
	return nil
}

func (x *vhdx) open() error {
	r := x.regions[vhdxMetadata]
	if r.size < vhdxTableSize || r.size > 16<<20 {
		return errors.New("no metadata")
	}
	var err error
	if x.metadata, err = unpack.ReadFull(x.data, r.at, r.size); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	file, size, ss := x.item(vhdxFile), x.item(vhdxSize), x.item(vhdxSector)
	if string(x.metadata[:8]) != "metadata" || len(file) < 8 || len(size) < 8 || len(ss) < 4 {
		return errors.New("damaged metadata")
	}
	le := binary.LittleEndian
	unit, total, logical := int64(le.Uint32(file)), int64(min(le.Uint64(size), 1<<62)), int64(le.Uint32(ss))
	if unit < vhdxUnit || unit > 256<<20 || unit&(unit-1) != 0 || logical != 512 && logical != 4096 || total > mostVirtual {
		return errors.New("damaged metadata")
	}
	x.o.Info["virtual size"], x.o.Info["block size"] = fmt.Sprint(total), fmt.Sprint(unit)
	if le.Uint32(file[4:])&2 != 0 {
		elsewhere(x.o, "unsupported", "it holds only what differs from another disk, which is not in it: "+x.parent())
		return nil
	}
	return x.disk(unit, total, (1<<23)*logical/unit)
}

// disk looks blocks up in the block allocation table; ratio blocks are followed
// by an entry for a bitmap that only differencing disks have.
func (x *vhdx) disk(unit, total, ratio int64) error {
	r := x.regions[vhdxBAT]
	blocks := (total + unit - 1) / unit
	need := (blocks + max(blocks-1, 0)/ratio) * 8
	if need > r.size || r.at > x.data.Size()-need {
		return errors.New("the block allocation table is too small")
	}
	table, err := unpack.ReadFull(x.data, r.at, need)
	if err != nil {
		return err
	}
	used := newTaken(x.in.Data.Size())
	used.take(0, vhdxUnit)
	for _, r := range x.regions {
		used.take(r.at, min(r.at+r.size, x.in.Data.Size()))
	}
	v := &virtual{name: "vhdx", size: total, unit: unit, look: func(i int64) (place, error) {
		e := binary.LittleEndian.Uint64(table[(i+i/ratio)*8:])
		at := int64(e>>20) * vhdxUnit
		switch state := e & 7; state {
		case 0, 1, 2, 3: // never written, given up
			return place{}, nil
		case 6:
			if e>>20 >= mostVirtual/vhdxUnit {
				return place{}, errors.New("it lies outside")
			}
			return place{data: x.data, at: at}, nil
		default:
			return place{}, fmt.Errorf("a block in state %d", state)
		}
	}}
	v.survey(x.in, x.o, used)
	return nil
}

// parent is what the locator says of the disk that this one changes.
func (x *vhdx) parent() string {
	b := x.item(vhdxParent)
	if len(b) < 20 {
		return "unknown"
	}
	for i := range int(binary.LittleEndian.Uint16(b[18:])) {
		e := b[min(20+12*i, len(b)):]
		if len(e) < 12 {
			break
		}
		text := func(at, n int) string {
			if at > len(b) || n > len(b)-at {
				return ""
			}
			return unpack.UTF16(b[at : at+n])
		}
		le := binary.LittleEndian
		key, value := text(int(le.Uint32(e)), int(le.Uint16(e[8:]))), text(int(le.Uint32(e[4:])), int(le.Uint16(e[10:])))
		if key == "relative_path" || key == "absolute_win32_path" {
			return value
		}
	}
	return "unknown"
}

// vhdxPatch is a sector that the log changes.
type vhdxPatch struct {
	at, size int64
	data     []byte // nil for zeros
}

// replay lays what a log of the header's generation holds over the image
// (section 2.3.3): the last sequence of whole entries that begins where its last
// entry says.
func (x *vhdx) replay(header []byte) {
	le := binary.LittleEndian
	at, size := int64(min(le.Uint64(header[72:]), 1<<62)), int64(le.Uint32(header[68:]))
	if le.Uint16(header[64:]) != 0 || size == 0 || size > vhdxMaxLog || size%vhdxUnit != 0 || at%vhdxUnit != 0 {
		addErr(x.o, errors.New("its log can't be read"))
		return
	}
	log, err := unpack.ReadFull(x.in.Data, at, size)
	if err != nil {
		addErr(x.o, fmt.Errorf("its log: %w", err))
		return
	}
	l := vhdxLog{log, header[48:64]}
	patches, end, ok := l.newest()
	if !ok {
		addErr(x.o, errors.New("its log holds changes that can't be read"))
		return
	}
	x.o.Info["log"] = fmt.Sprintf("replayed: %d sectors", len(patches))
	x.data = layOver(x.in.Data, patches, max(end, x.in.Data.Size()))
}

type vhdxLog struct {
	ring []byte
	guid []byte
}

// vhdxEntry is a whole entry of the log.
type vhdxEntry struct {
	seq      uint64
	at, size int64
	tail     int64
	last     int64 // how large the file must be
	patches  []vhdxPatch
}

// newest finds the sequence with the highest numbers.
func (l vhdxLog) newest() (patches []vhdxPatch, end int64, ok bool) {
	best := uint64(0)
	n := int64(len(l.ring))
	for start := int64(0); start < n; start += 4096 {
		e, good := l.entry(start)
		if !good {
			continue
		}
		first, list, size := e, append([]vhdxPatch{}, e.patches...), e.size
		for size < n {
			next, good := l.entry((e.at + e.size) % n)
			if !good || next.seq != e.seq+1 {
				break
			}
			e, list, size = next, append(list, next.patches...), size+next.size
		}
		if e.tail == first.at && e.seq > best {
			best, patches, end, ok = e.seq, list, e.last, true
		}
	}
	return patches, end, ok
}

// bytes are n bytes of the ring.
func (l vhdxLog) bytes(at, n int64) []byte {
	if at+n <= int64(len(l.ring)) {
		return l.ring[at : at+n]
	}
	return append(bytes.Clone(l.ring[at:]), l.ring[:at+n-int64(len(l.ring))]...)
}

// entry reads and checks what begins at a place.
func (l vhdxLog) entry(at int64) (e vhdxEntry, ok bool) {
	le := binary.LittleEndian
	h := l.bytes(at, 4096)
	size, count := int64(le.Uint32(h[8:])), int64(le.Uint32(h[24:]))
	if string(h[:4]) != "loge" || size == 0 || size%4096 != 0 || size > int64(len(l.ring)) || !bytes.Equal(h[32:48], l.guid) || count > size/32 {
		return e, false
	}
	b := l.bytes(at, size)
	if !vhdxSum(b) {
		return e, false
	}
	e = vhdxEntry{seq: le.Uint64(h[16:]), at: at, size: size, tail: int64(le.Uint32(h[12:])), last: int64(min(le.Uint64(h[56:]), 1<<50))}
	data := (64 + 32*count + 4095) &^ 4095 // where the sectors begin
	for i := range count {
		d := b[64+32*i:]
		to := int64(min(le.Uint64(d[16:]), 1<<62))
		switch {
		case le.Uint64(d[24:]) != e.seq || to%4096 != 0:
			return e, false
		case string(d[:4]) == "zero":
			n := int64(min(le.Uint64(d[8:]), 1<<62))
			e.patches = append(e.patches, vhdxPatch{at: to, size: n})
		case string(d[:4]) == "desc" && data+4096 <= size:
			s := b[data : data+4096]
			if string(s[:4]) != "data" || uint64(le.Uint32(s[4:]))<<32|uint64(le.Uint32(s[4092:])) != e.seq {
				return e, false
			}
			whole := append(bytes.Clone(d[8:16]), s[8:4092]...)
			e.patches = append(e.patches, vhdxPatch{to, 4096, append(whole, d[4:8]...)})
			data += 4096
		default:
			return e, false
		}
	}
	return e, true
}

// layOver is a file with patches, of which the later ones win.
func layOver(base unpack.Bytes, patches []vhdxPatch, size int64) unpack.Bytes {
	cuts := []int64{0, min(base.Size(), size), size}
	for _, p := range patches {
		if p.at < size && p.size > 0 {
			cuts = append(cuts, p.at, min(p.at+p.size, size))
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var list []unpack.Extent
	for i := 1; i < len(cuts); i++ {
		from, to := cuts[i-1], cuts[i]
		e := unpack.Extent{Offset: from, Size: to - from, From: from}
		if from >= base.Size() {
			e.From = unpack.Hole
		}
		for n := len(patches) - 1; n >= 0; n-- {
			if p := patches[n]; p.at <= from && to <= p.at+p.size {
				e.From, e.Kind = int64(n), 'p'
				if p.data == nil {
					e.From, e.Kind = unpack.Hole, 0
				}
				break
			}
		}
		list = append(list, e)
	}
	return unpack.Mapped(list, size, func(e unpack.Extent, p []byte, at int64) (int, error) {
		switch {
		case e.Kind == 'p':
			return copy(p, patches[e.From].data[e.Offset+at-patches[e.From].at:]), nil
		case e.From == unpack.Hole:
			clear(p)
			return len(p), nil
		}
		return base.ReadAt(p, e.From+at)
	})
}
