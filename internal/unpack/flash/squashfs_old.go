package flash

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/doorward/doorward/internal/unpack"
)

// squashSuperMax is the longest superblock, that of version 3.
const squashSuperMax = 119

// squashMarked is the flag of old versions for a marker byte in every metadata
// block.
const squashMarked = 0x4

func (s *squashfs) marked() bool { return s.super.Major < 4 && s.super.Flags&squashMarked != 0 }

// parseSuper reads the superblock of any version. The byte order is the one
// in which the version makes sense, whatever the vendor's magic.
func (s *squashfs) parseSuper(head []byte) bool {
	if len(head) < squashSuperSize || !isSquashMagic(string(head[:4])) {
		return false
	}
	s.mixed = string(head[:4]) == "shsq" || string(head[:4]) == "qshs"
	for _, s.order = range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch s.order.Uint16(head[28:]) {
		case 4:
			s.size = squashSuperSize
			binary.Decode(head, s.order, &s.super)
			return s.super.valid()
		case 1, 2, 3:
			return s.parseOldSuper(head)
		}
	}
	return false
}

func isSquashMagic(m string) bool {
	for _, known := range squashMagics() {
		if m == known.Bytes {
			return true
		}
	}
	return false
}

// squashOldSizes are the sizes of the superblocks by version.
var squashOldSizes = [...]int64{1: 51, 2: 63, 3: squashSuperMax}

// parseOldSuper reads the superblock of versions 1 to 3: packed, the tables'
// places as 32-bit numbers in front and, in version 3, as 64-bit numbers behind.
func (s *squashfs) parseOldSuper(head []byte) bool {
	o := s.order
	u32 := func(at int) uint64 { return uint64(o.Uint32(head[at:])) }
	major := o.Uint16(head[28:])
	s.size = squashOldSizes[major]
	if int64(len(head)) < s.size {
		return false
	}
	s.super = squashSuper{
		Inodes: uint32(u32(4)), Major: major, Minor: o.Uint16(head[30:]), BlockLog: o.Uint16(head[34:]), Flags: uint16(head[36]),
		ModTime: uint32(u32(39)), Root: o.Uint64(head[43:]), BytesUsed: u32(8), InodeTable: u32(20), DirTable: u32(24),
		BlockSize: uint32(o.Uint16(head[32:])), XattrTable: ^uint64(0),
	}
	s.oldOwners = squashOwners{u32(12), u32(16), int64(head[37]), int64(head[38])}
	if major >= 2 {
		s.super.BlockSize, s.super.Fragments, s.super.FragTable = uint32(u32(51)), uint32(u32(55)), u32(59)
	}
	if major == 3 {
		u64 := func(at int) uint64 { return o.Uint64(head[at:]) }
		s.super.BytesUsed, s.super.InodeTable, s.super.DirTable, s.super.FragTable = u64(63), u64(87), u64(95), u64(103)
		s.oldOwners.users, s.oldOwners.groups = u64(71), u64(79)
	}
	return s.validOld()
}

// validOld is what valid is for version 4.
func (s *squashfs) validOld() bool {
	p, n := &s.super, s.oldOwners
	table := func(at, from uint64) bool { return at >= from && at < p.BytesUsed }
	return p.validBlocks() && p.Minor < 100 && p.InodeTable >= uint64(s.size) && table(p.DirTable, p.InodeTable+1) &&
		(p.Fragments == 0 || table(p.FragTable, p.DirTable)) &&
		(n.userCount > 0 && table(n.users, p.DirTable)) && (n.groupCount == 0 || table(n.groups, p.DirTable)) &&
		p.Root>>16 < p.DirTable-p.InodeTable && p.Root&0xffff < squashMetaSize
}

// squashOwners are the tables of owners of old versions: plain lists.
type squashOwners struct {
	users, groups         uint64
	userCount, groupCount int64
}

// oldTables reads the tables of owners and fragments. The groups come behind
// the users in one list.
func (s *squashfs) oldTables() error {
	var errs []error
	for _, list := range []struct {
		at    uint64
		count int64
	}{{s.oldOwners.users, s.oldOwners.userCount}, {s.oldOwners.groups, s.oldOwners.groupCount}} {
		raw := make([]byte, list.count*4)
		if list.count > 0 {
			if err := s.readRaw(raw, int64(list.at)); err != nil {
				errs = append(errs, fmt.Errorf("squashfs: table of owners: %w", err))
				clear(raw)
			}
		}
		for ; len(raw) >= 4; raw = raw[4:] {
			s.ids = append(s.ids, s.order.Uint32(raw))
		}
	}
	if n := int64(s.super.Fragments); n > 0 {
		size := int64(8)
		if s.super.Major == 3 {
			size = 16
		}
		raw, err := s.table(int64(s.super.FragTable), n, size)
		errs = append(errs, err)
		for ; int64(len(raw)) >= size; raw = raw[size:] {
			f := squashFragment{int64(s.order.Uint32(raw)), s.order.Uint32(raw[4:])}
			if size == 16 {
				f = squashFragment{int64(s.order.Uint64(raw) & (1<<63 - 1)), s.order.Uint32(raw[8:])}
			}
			s.frags = append(s.frags, f)
		}
	}
	return errors.Join(errs...)
}

// fields reads up to four bit fields, whose widths are whole bytes together. A
// compiler for little-endian machines puts the first into the lowest bits, one
// for big-endian machines into the highest.
func (m *metaReader) fields(widths ...int) (f [4]uint64) {
	sum := 0
	for _, w := range widths {
		sum += w
	}
	v := uint64(0)
	for i, b := range m.take(sum / 8) {
		if m.s.order == binary.BigEndian {
			v = v<<8 | uint64(b)
		} else {
			v |= uint64(b) << (8 * i)
		}
	}
	for i, w := range widths {
		sum -= w
		if m.s.order == binary.BigEndian {
			f[i] = v >> sum & (1<<w - 1)
		} else {
			f[i] = v & (1<<w - 1)
			v >>= w
		}
	}
	return f
}

func oldRun(m *metaReader) (int64, uint64) {
	f := m.fields(8, 24)
	return int64(f[0]) + 1, f[1]
}

func oldName(m *metaReader) (uint64, int) {
	f := m.fields(13, 3, 8)
	return f[0], int(f[2]) + 1
}

// oldInode reads an inode of versions 1 to 3.
func (s *squashfs) oldInode(ref uint64) (*squashInode, error) {
	m := s.metaRef(int64(s.super.InodeTable), ref)
	i := &squashInode{xattr: squashNone, mtime: s.super.ModTime, number: ref + 1}
	kind := s.oldBase(m, i)
	if m.err != nil {
		return nil, m.err
	}
	if kind == 0 || kind > squashExtended+1 || kind > squashSocket && s.super.Major == 1 {
		return nil, fmt.Errorf("unknown type %d", kind)
	}
	extended := kind >= squashExtended
	if extended {
		kind -= squashExtended - 1
	}
	i.mode |= squashTypes[kind]
	switch {
	case kind == squashDir:
		i.readOldFolder(m, extended)
		return i, m.err
	case kind == squashReg:
		i.readOldFile(m, extended)
	default:
		i.readOldOther(m, kind)
	}
	if m.err == nil {
		s.files[ref] = i
	}
	return i, m.err
}

// oldBase reads what all inodes of a version begin with: type, permissions,
// owners. Version 1 has four bits for an owner, and more in the type.
func (s *squashfs) oldBase(m *metaReader, i *squashInode) (kind uint64) {
	const sameAsUser = 0xff
	if s.super.Major > 1 {
		f := m.fields(4, 12, 8, 8)
		kind, i.mode, i.uid, i.gid = f[0], unpack.UnixMode(uint32(f[1])), uint16(f[2]), uint16(f[3])
		if i.gid == sameAsUser {
			i.gid = i.uid
		} else {
			i.gid += uint16(s.oldOwners.userCount)
		}
	} else {
		f := m.fields(4, 12, 4, 4)
		kind, i.mode, i.uid, i.gid = f[0], unpack.UnixMode(uint32(f[1])), uint16(f[2]), uint16(f[3])
		if kind == 0 { // a pipe or a socket
			g := m.fields(4, 4)
			kind, i.uid = g[0], i.uid+16*uint16(g[1])
		} else {
			i.uid += 16 * uint16((kind-1)/5)
			kind = (kind-1)%5 + 1
		}
		if i.gid == 15 {
			i.gid = i.uid
		} else {
			i.gid += uint16(s.oldOwners.userCount)
		}
	}
	if s.super.Major == 3 && m.err == nil {
		i.mtime, i.number = m.u32(), uint64(m.u32())
	}
	return kind
}

func (i *squashInode) readOldFolder(m *metaReader, extended bool) {
	v3 := m.s.super.Major == 3
	if v3 {
		m.u32() // links
	}
	var f [4]uint64
	if extended {
		f = m.fields(27, 13)
	} else {
		f = m.fields(19, 13)
	}
	i.dirSize, i.dirOffset = uint32(f[0]), uint16(f[1])
	if v3 {
		i.dirBlock = m.u32()
		return
	}
	i.mtime = m.u32()
	i.dirBlock = uint32(m.fields(24)[0])
	i.dirSize += 3 // these versions don't count the entries . and ..
}

func (i *squashInode) readOldFile(m *metaReader, extended bool) {
	f := &squashFile{s: m.s, frag: squashNone}
	switch {
	case m.s.super.Major == 3 && extended:
		m.u32() // links
		f.start = int64(m.u64())
		f.frag, f.fragOffset = m.u32(), m.u32()
		f.size = int64(m.u64())
	case m.s.super.Major == 3:
		f.start = int64(m.u64())
		f.frag, f.fragOffset = m.u32(), m.u32()
		f.size = int64(m.u32())
	case m.s.super.Major == 2:
		i.mtime = m.u32()
		f.start = int64(m.u32())
		f.frag, f.fragOffset = m.u32(), m.u32()
		f.size = int64(m.u32())
	default:
		i.mtime = m.u32()
		f.start, f.size = int64(m.u32()), int64(m.u32())
	}
	if m.err == nil {
		i.finishFile(m, f)
	}
}

func (i *squashInode) readOldOther(m *metaReader, kind uint64) {
	if m.s.super.Major == 3 {
		m.u32() // links
	}
	switch i.mode & (fs.ModeSymlink | fs.ModeDevice) {
	case fs.ModeSymlink:
		i.link = string(m.take(int(m.u16())))
	case fs.ModeDevice:
		dev := uint32(m.u16())
		i.major, i.minor = dev>>8, dev&0xff
	}
}
