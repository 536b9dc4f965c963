package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// VMDK opens disks of VMware (Virtual Disk Format 5.0; for those of ESX before
// 5, block/vmdk.c of QEMU).
var VMDK = &unpack.Reader{
	Name:    "vmdk",
	Doc:     "disks of VMware: growing ones, packed ones as in OVA files (streamOptimized, with markers and footer), the COWD extents of ESX; in a folder also flat and split ones by their descriptor",
	Limits:  "Disks that change another disk are reported with its name. An extent of a split disk that does not lie in a folder with its descriptor is opened by itself. seSparse extents are not read. Only packed disks have checksums over content.",
	Checked: "qemu-img 7.2 with all of its subformats (random disks); damaged tables and COWD extents made by hand",
	Magics:  []unpack.Magic{{At: 0, Bytes: "KDMV\x01\x00\x00\x00"}, {At: 0, Bytes: "KDMV\x02\x00\x00\x00"}, {At: 0, Bytes: "KDMV\x03\x00\x00\x00"}, {At: 0, Bytes: "COWD\x01\x00\x00\x00"}},
	Open:    openVMDK,
	Folder:  vmdkFolder,
}

// Flags of the header.
const (
	vmdkRedundant = 1 << 1
	vmdkZeroGrain = 1 << 2
	vmdkPacked    = 1 << 16
	vmdkMarkers   = 1 << 17
)

const (
	vmdkAtEnd      = 0xffffffffffffffff // the directory's place: see the footer
	vmdkDescriptor = 64 << 10
)

// vmdk is an extent with tables.
type vmdk struct {
	data             unpack.Bytes
	flags            uint32
	size, grain      int64 // bytes
	perTable         int64
	directory, other []byte // places of tables; other are the copies
	tables, grains   *unpack.BlockCache
}

func openVMDK(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, sector)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	v := &vmdk{data: in.Data, tables: unpack.NewBlockCache(8 << 20), grains: unpack.NewBlockCache(16 << 20)}
	o := &unpack.Object{Format: "vmdk", Size: in.Data.Size(), Info: map[string]string{}}
	if string(h[:4]) == "COWD" {
		return v.openCOWD(in, o, h)
	}
	le := binary.LittleEndian
	if le.Uint64(h[56:]) == vmdkAtEnd {
		foot := unpack.ReadSome(in.Data, in.Data.Size()-1024, sector)
		if len(foot) < sector || string(foot[:4]) != "KDMV" {
			o.Err = errors.New("cut off: its footer, which knows where everything is, is missing")
			return o, nil
		}
		h = foot
	}
	if string(h[73:77]) != "\n \r\n" && le.Uint32(h[8:])&1 != 0 {
		return nil, unpack.ErrNotThis // changed by a transfer as text
	}
	text := unpack.ReadSome(in.Data, clampSectors(le.Uint64(h[28:])), min(clampSectors(le.Uint64(h[36:])), vmdkDescriptor))
	d := parseVMDK(text)
	if o.Format = "vmdk"; d.kind != "" {
		o.Format += " " + d.kind
	}
	v.flags, v.size, v.grain, v.perTable = le.Uint32(h[8:]), clampSectors(le.Uint64(h[12:])), clampSectors(le.Uint64(h[20:])), int64(le.Uint32(h[44:]))
	o.Info["virtual size"] = fmt.Sprint(v.size)
	if d.parent != "" {
		return elsewhere(o, "unsupported", fmt.Sprintf("it holds only what differs from the disk %q, which is not in it", d.parent)), nil
	}
	if v.flags&vmdkPacked != 0 && le.Uint16(h[77:]) != 1 {
		return elsewhere(o, "unsupported", "an unknown compression"), nil
	}
	return v.open(in, o, clampSectors(le.Uint64(h[56:])), clampSectors(le.Uint64(h[48:])))
}

// clampSectors is a count of sectors in bytes, an impossible one as something
// that no check lets pass.
func clampSectors(n uint64) int64 { return int64(min(n, 1<<50)) * sector }

// open reads the directory.
func (v *vmdk) open(in *unpack.Input, o *unpack.Object, at, copyAt int64) (*unpack.Object, error) {
	if v.grain < sector || v.grain > 64<<20 || v.grain&(v.grain-1) != 0 || v.perTable < 1 || v.perTable > 1<<16 || v.size > mostVirtual {
		return nil, unpack.ErrNotThis
	}
	span := v.grain * v.perTable
	n := (v.size + span - 1) / span * 4
	var err error
	if v.directory, err = unpack.ReadFull(in.Data, at, n); err != nil {
		o.Err = fmt.Errorf("its directory: %w", err)
		return o, nil
	}
	v.directory = bytes.Clone(v.directory) // it is mended below
	if v.flags&vmdkRedundant != 0 && copyAt != 0 {
		if v.other, err = unpack.ReadFull(in.Data, copyAt, n); err != nil {
			addErr(o, fmt.Errorf("the copy of its directory: %w", err))
		}
	}
	used := newTaken(in.Data.Size())
	used.take(0, sector)
	used.take(at, at+n)
	for i := int64(0); i < n/4; i++ {
		if at := v.tableAt(v.directory, i); at > 0 && at <= in.Data.Size()-v.perTable*4 {
			if !used.take(at, at+v.perTable*4) {
				addErr(o, fmt.Errorf("a table at 0x%x lies on something else", at))
				clear(v.directory[4*i : 4*i+4])
			}
		}
	}
	if err := v.compare(in); err != nil {
		addErr(o, err)
	}
	disk := &virtual{name: "vmdk", size: v.size, unit: v.grain, look: v.look}
	disk.survey(in, o, used)
	return o, nil
}

func (v *vmdk) tableAt(directory []byte, i int64) int64 {
	return int64(binary.LittleEndian.Uint32(directory[4*i:])) * sector
}

// compare holds the tables against their copies.
func (v *vmdk) compare(in *unpack.Input) error {
	for i := int64(0); i < int64(len(v.other))/4 && in.Context.Err() == nil; i++ {
		a, b := v.tableAt(v.directory, i), v.tableAt(v.other, i)
		if a == 0 && b == 0 {
			continue
		}
		p, err1 := unpack.ReadFull(v.data, a, v.perTable*4)
		q, err2 := unpack.ReadFull(v.data, b, v.perTable*4)
		if a == 0 || b == 0 || err1 != nil || err2 != nil || string(p) != string(q) {
			return fmt.Errorf("table %d and its copy differ", i)
		}
	}
	return nil
}

// look finds a grain.
func (v *vmdk) look(i int64) (place, error) {
	table, index := i/v.perTable, i%v.perTable
	rest := v.perTable - index
	at := v.tableAt(v.directory, table)
	if at == 0 {
		return place{run: rest}, nil
	}
	t, err := v.tables.Get(at, func(at int64) ([]byte, int64, error) {
		b, err := unpack.ReadFull(v.data, at, v.perTable*4)
		return b, 0, err
	}, nil)
	if err != nil {
		return place{run: rest}, err
	}
	n := int64(binary.LittleEndian.Uint32(t.Data[4*index:]))
	switch {
	case n == 0 || n == 1 && v.flags&vmdkZeroGrain != 0:
		return place{}, nil
	case v.flags&vmdkPacked != 0:
		if n*sector >= v.data.Size() {
			return place{}, errors.New("it lies outside")
		}
		return place{data: &vmdkGrain{v, i, n * sector}, free: true}, nil
	}
	return place{data: v.data, at: n * sector}, nil
}

// vmdkGrain is a packed grain.
type vmdkGrain struct {
	v     *vmdk
	i, at int64
}

// Size implements unpack.Bytes.
func (g *vmdkGrain) Size() int64 { return g.v.grain }

// ReadAt implements unpack.Bytes.
func (g *vmdkGrain) ReadAt(p []byte, off int64) (int, error) {
	b, err := g.v.grains.Get(g.i, func(int64) ([]byte, int64, error) {
		out, err := g.unpack()
		return out, 0, err
	}, nil)
	if err != nil {
		return 0, err
	}
	return unpack.Slice(b.Data).ReadAt(p, off)
}

// unpack decodes a grain: its first sector's number on the disk, the size of the
// packed bytes, and those.
func (g *vmdkGrain) unpack() ([]byte, error) {
	v, le := g.v, binary.LittleEndian
	head := int64(4)
	if v.flags&vmdkMarkers != 0 {
		head = 12
	}
	h, err := unpack.ReadFull(v.data, g.at, head)
	if err != nil {
		return nil, err
	}
	if head == 12 && le.Uint64(h) != uint64(g.i*v.grain/sector) {
		return nil, errors.New("its marker says that it belongs elsewhere")
	}
	n := int64(le.Uint32(h[head-4:]))
	if n > 2*v.grain+sector {
		return nil, errors.New("a damaged marker")
	}
	src, err := unpack.ReadFull(v.data, g.at+head, n)
	if err != nil {
		return nil, err
	}
	out := make([]byte, v.grain)
	got, err := unpack.Decompress("zlib", src, out)
	if last := v.size - g.i*v.grain; err == nil && int64(got) < min(v.grain, last) {
		err = errors.New("a packed grain is too short")
	}
	return out, err
}

// openCOWD opens the extents of ESX: 32-bit fields, tables of 4096 grains.
func (v *vmdk) openCOWD(in *unpack.Input, o *unpack.Object, h []byte) (*unpack.Object, error) {
	u32 := func(i int) int64 { return int64(binary.LittleEndian.Uint32(h[i:])) }
	o.Format = "vmdk COWD"
	v.size, v.grain, v.perTable = u32(12)*sector, u32(16)*sector, 4096
	o.Info["virtual size"] = fmt.Sprint(v.size)
	return v.open(in, o, u32(20)*sector, 0)
}

// vmdkText is what the text of a descriptor says.
type vmdkText struct {
	kind, parent string
	extents      []vmdkExtent
}

// vmdkExtent is a line such as: RW 4192256 SPARSE "disk-s001.vmdk" 0
type vmdkExtent struct {
	size   int64
	kind   string // SPARSE, FLAT, ZERO, VMFS, VMFSSPARSE
	file   string
	offset int64
}

func parseVMDK(text []byte) (d vmdkText) {
	parent := ""
	for line := range strings.Lines(unpack.CString(text)) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch key = strings.ToLower(strings.TrimSpace(key)); {
		case ok && key == "createtype":
			d.kind = value
		case ok && key == "parentfilenamehint":
			parent = value
		case ok && key == "parentcid" && !strings.EqualFold(value, "ffffffff"):
			d.parent = "unknown"
		case strings.HasPrefix(line, "RW ") || strings.HasPrefix(line, "RDONLY "):
			var access string
			var e vmdkExtent
			before, rest, _ := strings.Cut(line, `"`)
			file, after, _ := strings.Cut(rest, `"`)
			if n, _ := fmt.Sscan(before, &access, &e.size, &e.kind); n == 3 && e.size >= 0 && e.size < 1<<40 {
				e.file, e.size = file, e.size*sector
				fmt.Sscan(after, &e.offset)
				d.extents = append(d.extents, e)
			}
		}
	}
	if d.parent != "" && parent != "" {
		d.parent = parent
	}
	return d
}
