package flash

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"math"

	"github.com/doorward/doorward/internal/unpack"
)

// Layouts of a file's content.
const (
	erofsPlain = iota
	erofsFull  // compressed, with an index of eight bytes a cluster
	erofsInline
	erofsCompact // compressed, with an index of two or four bytes a cluster
	erofsChunks
)

type erofsInode struct {
	nid      uint64
	at       int64 // its place
	layout   int
	mode     fs.FileMode
	size     int64
	union    uint32 // the first block, the device, or the form of chunks
	uid, gid uint32
	mtime    int64
	head     int64 // bytes of the inode itself
	xattrs   int64 // bytes of the attributes behind it
}

func (i *erofsInode) isLink() bool { return i.mode&fs.ModeSymlink != 0 }

// tail is the place behind the inode and its attributes.
func (i *erofsInode) tail() int64 { return i.at + i.head + i.xattrs }

// inode reads the inode of a number, which is its place in units of 32 bytes.
func (e *erofs) inode(nid uint64) (*erofsInode, error) {
	at := int64(e.super.MetaBlock) << e.super.BlockBits
	if nid > uint64(e.data.Size()-at)/32 {
		return nil, fmt.Errorf("inode %d lies outside of the file system", nid)
	}
	at += int64(nid) * 32
	b, err := e.read(at, 32)
	if err != nil {
		return nil, err
	}
	format := binary.LittleEndian.Uint16(b)
	i := &erofsInode{nid: nid, at: at, layout: int(format >> 1 & 7), head: 32}
	if format>>4 != 0 || i.layout > erofsChunks {
		return nil, fmt.Errorf("inode %d has the unknown form 0x%x", nid, format)
	}
	if n := int64(binary.LittleEndian.Uint16(b[2:])); n > 0 {
		i.xattrs = 12 + (n-1)*4
	}
	mode := uint32(binary.LittleEndian.Uint16(b[4:]))
	i.mode, i.union = unpack.UnixMode(mode), binary.LittleEndian.Uint32(b[16:])
	if mode>>12 == 0 {
		return nil, fmt.Errorf("inode %d has no type", nid)
	}
	if format&1 == 0 {
		i.size, i.mtime = int64(binary.LittleEndian.Uint32(b[8:])), int64(e.super.BuildTime)
		i.uid, i.gid = uint32(binary.LittleEndian.Uint16(b[24:])), uint32(binary.LittleEndian.Uint16(b[26:]))
		return i, nil
	}
	if b, err = e.read(at, 64); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint64(b[8:])
	if size > math.MaxInt64/2 {
		return nil, fmt.Errorf("inode %d has %d bytes", nid, size)
	}
	i.head, i.size, i.mtime = 64, int64(size), int64(binary.LittleEndian.Uint64(b[32:]))
	i.uid, i.gid = binary.LittleEndian.Uint32(b[24:]), binary.LittleEndian.Uint32(b[28:])
	return i, nil
}

// content opens what an inode holds; nil if it is empty.
func (e *erofs) content(i *erofsInode) (unpack.Bytes, error) {
	if i.size == 0 {
		return nil, nil
	}
	block := int64(1) << e.super.BlockBits
	start := int64(i.union) << e.super.BlockBits
	switch i.layout {
	case erofsPlain:
		return e.extents(i, []unpack.Extent{{Offset: 0, Size: i.size, From: start}})
	case erofsInline:
		whole := (i.size - 1) / block * block
		if rest := i.size - whole; i.tail()%block+rest > block {
			return nil, fmt.Errorf("the end of inode %d reaches behind its block", i.nid)
		}
		return e.extents(i, []unpack.Extent{{Offset: 0, Size: whole, From: start}, {Offset: whole, Size: i.size - whole, From: i.tail()}})
	case erofsChunks:
		return e.chunks(i)
	}
	return e.compressed(i)
}

func (e *erofs) extents(i *erofsInode, list []unpack.Extent) (unpack.Bytes, error) {
	b, err := unpack.Extents(e.data, list, i.size)
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", i.nid, err)
	}
	return b, nil
}

// chunks reads the list of a file's chunks: places of 4 bytes, or records of 8
// with the number of a device. The list stands behind the inode.
func (e *erofs) chunks(i *erofsInode) (unpack.Bytes, error) {
	form := i.union & 0xffff
	if form>>6 != 0 {
		return nil, fmt.Errorf("chunks of the form 0x%x: %w", form, unpack.ErrUnsupported)
	}
	bits := int(e.super.BlockBits) + int(form&0x1f)
	unit := int64(4)
	if form&0x20 != 0 {
		unit = 8
	}
	n := (i.size-1)>>bits + 1
	if e.units += n; e.units > erofsMaxUnits {
		return nil, fmt.Errorf("%w: the files have more than %d chunks", unpack.ErrLimit, erofsMaxUnits)
	}
	table, err := e.read((i.tail()+unit-1)/unit*unit, n*unit)
	if err != nil {
		return nil, fmt.Errorf("list of %d chunks: %w", n, err)
	}
	var list []unpack.Extent
	for c := range n {
		rec := table[c*unit:]
		x := unpack.Extent{Offset: c << bits, From: unpack.Hole}
		x.Size = min(1<<bits, i.size-x.Offset)
		place := binary.LittleEndian.Uint32(rec)
		base := int64(0)
		if unit == 8 {
			place = binary.LittleEndian.Uint32(rec[4:])
			if device := binary.LittleEndian.Uint16(rec[2:]); device > 0 && place != erofsHole {
				if base, err = e.device(device); err != nil {
					return nil, err
				}
			}
		}
		if place != erofsHole {
			x.From = base + int64(place)<<e.super.BlockBits
		}
		if last := len(list) - 1; last >= 0 && x.From != unpack.Hole && list[last].From != unpack.Hole && list[last].From+list[last].Size == x.From {
			list[last].Size += x.Size
			continue
		}
		list = append(list, x)
	}
	return e.extents(i, list)
}

// erofsMaxUnits bounds the entries of all indexes of a file system.
const erofsMaxUnits = 64 << 20

// device is where another device's blocks begin, if they are mapped behind the
// own ones.
func (e *erofs) device(n uint16) (int64, error) {
	if n <= e.super.ExtraDevices && e.super.Incompat&erofsDevices != 0 {
		b, err := e.read((int64(e.super.DeviceSlot)+int64(n)-1)*128, 128)
		if err != nil {
			return 0, err
		}
		if mapped := binary.LittleEndian.Uint32(b[68:]); mapped > 0 && int64(mapped)<<e.super.BlockBits < e.data.Size() {
			return int64(mapped) << e.super.BlockBits, nil
		}
	}
	return 0, fmt.Errorf("the content is on device %d, which is another file: %w", n, unpack.ErrUnsupported)
}
