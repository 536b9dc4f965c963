package linuxfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/doorward/doorward/internal/unpack"
)

// Minix opens the file systems of MINIX. Layout: the kernel's
// include/uapi/linux/minix_fs.h; Tanenbaum, "Operating Systems", 5.6.
var Minix = &unpack.Reader{
	Name:    "minix",
	Doc:     "Minix file systems of versions 1, 2 and 3, both byte orders, names of 14, 30 and 60 bytes",
	Limits:  "Zones of several blocks, which Linux does not read either, are reported as unsupported. The format has no checksums.",
	Checked: "mkfs.minix with 5 option sets, filled by Linux 6.1; both byte orders by an independent converter; random trees",
	Magics:  minixMagics(),
	Carve:   true,
	Open:    openMinix,
}

const minixSuperAt = 1024

// minixKind is one of the formats.
type minixKind struct {
	magic   uint16
	version int
	name    int // room for a name in a folder
}

var minixKinds = []minixKind{{0x137f, 1, 14}, {0x138f, 1, 30}, {0x2468, 2, 14}, {0x2478, 2, 30}, {0x4d5a, 3, 60}}

// minixMagics is the magic together with the state or the padding that follows
// it, to be long enough to search for.
func minixMagics() (list []unpack.Magic) {
	for _, k := range minixKinds {
		for _, order := range []binary.ByteOrder{le, be} {
			if k.version == 3 {
				list = append(list, unpack.Magic{At: minixSuperAt + 24, Bytes: string(minixWord(order, k.magic)) + "\x00\x00"})
				continue
			}
			for state := range uint16(4) {
				list = append(list, unpack.Magic{At: minixSuperAt + 16, Bytes: string(minixWord(order, k.magic)) + string(minixWord(order, state))})
			}
		}
	}
	return list
}

func minixWord(order binary.ByteOrder, v uint16) []byte {
	b := make([]byte, 2)
	order.PutUint16(b, v)
	return b
}

type minix struct {
	minixKind
	data   unpack.Bytes
	order  binary.ByteOrder
	block  int64
	inodes int64
	zones  int64
	first  int64 // zone of contents
	table  int64 // offset of the inodes
	end    int64 // of what is there
	logged int64 // log2 of blocks in a zone
	state  uint16
	walked int64 // bytes of folders listed so far
}

func openMinix(in *unpack.Input) (*unpack.Object, error) {
	sb, err := unpack.ReadFull(in.Data, minixSuperAt, 32)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	m := newMinix(sb)
	if m == nil || !m.plausible() {
		return nil, unpack.ErrNotThis
	}
	m.data = in.Data
	size := m.zones * m.block << m.logged
	m.end = min(size, in.Data.Size())
	o := &unpack.Object{Format: fmt.Sprintf("minix %d", m.version), System: true, Size: m.end, Info: map[string]string{"block size": fmt.Sprint(m.block), "byte order": "little"}}
	if m.order == be {
		o.Info["byte order"] = "big"
	}
	if m.version < 3 && m.state&1 == 0 {
		o.Info["state"] = "was not unmounted cleanly"
	}
	if !m.rooted() && (!in.Whole || m.end < size/2) {
		return nil, unpack.ErrNotThis
	}
	if m.logged != 0 {
		o.Gaps = append(o.Gaps, unpack.Gap{Offset: 0, Size: m.end, Reason: "unsupported", Note: "zones of several blocks"})
		return o, nil
	}
	g := unpack.NewGatherer(in)
	if size > m.end {
		g.Damage(&unpack.CutOff{Format: "minix", Missing: size - m.end, Of: size})
	}
	walk("minix", "", 1, m.load, g)
	g.Finish(o)
	return o, nil
}

// newMinix reads a superblock; nil if it is none.
func newMinix(sb []byte) *minix {
	for _, order := range []binary.ByteOrder{le, be} {
		for _, k := range minixKinds {
			m := &minix{minixKind: k, order: order, block: 1024}
			if k.version == 3 {
				if order.Uint16(sb[24:]) != k.magic {
					continue
				}
				m.inodes, m.zones, m.block = int64(order.Uint32(sb)), int64(order.Uint32(sb[20:])), int64(order.Uint16(sb[28:]))
				m.maps(order.Uint16(sb[6:]), order.Uint16(sb[8:]), order.Uint16(sb[10:]), order.Uint16(sb[12:]))
				return m
			}
			if order.Uint16(sb[16:]) != k.magic {
				continue
			}
			m.inodes, m.zones, m.state = int64(order.Uint16(sb)), int64(order.Uint16(sb[2:])), order.Uint16(sb[18:])
			if k.version == 2 {
				m.zones = int64(order.Uint32(sb[20:]))
			}
			m.maps(order.Uint16(sb[4:]), order.Uint16(sb[6:]), order.Uint16(sb[8:]), order.Uint16(sb[10:]))
			return m
		}
	}
	return nil
}

// maps places the inodes, behind the two maps of bits. A map that is too small
// shows that this is no superblock.
func (m *minix) maps(inodeMap, zoneMap, first, logged uint16) {
	m.first, m.logged = int64(first), int64(logged)
	m.table = (2 + int64(inodeMap) + int64(zoneMap)) * m.block
	if int64(inodeMap)*m.block*8 <= m.inodes || int64(zoneMap)*m.block*8 < m.zones-m.first {
		m.inodes = 0
	}
}

func (m *minix) inodeSize() int64 {
	if m.version == 1 {
		return 32
	}
	return 64
}

// plausible checks the geometry: the zones of contents follow the inodes.
func (m *minix) plausible() bool {
	if m.block < 1024 || m.block > 1<<15 || m.block&(m.block-1) != 0 || m.inodes == 0 || m.zones == 0 || m.logged > 4 {
		return false
	}
	behind := m.table + m.inodes*m.inodeSize()
	first := m.first * m.block << m.logged
	if m.first == 0 { // it does not fit its field
		m.first = (behind + m.block - 1) / m.block
		return m.first > 0xffff && m.first < m.zones
	}
	return first >= behind && first < behind+2*m.block<<m.logged && m.first < m.zones
}

// rooted says that the root folder begins with itself.
func (m *minix) rooted() bool {
	ok := false
	if root, err := m.inode(1); err == nil && root.mode.IsDir() {
		_ = root.list(func(name string, number uint64) bool { ok = name == "." && number == 1; return false })
	}
	m.walked = 0
	return ok
}

// minixInode is an inode with the zones of its content.
type minixInode struct {
	m        *minix
	number   uint64
	mode     fs.FileMode
	uid, gid int
	size     int64
	mtime    uint32
	zone     []uint32
}

func (m *minix) load(number uint64) (inode, error) { return m.inode(number) }

func (m *minix) inode(number uint64) (*minixInode, error) {
	if number == 0 || number > uint64(m.inodes) {
		return nil, fmt.Errorf("inode %d of %d", number, m.inodes)
	}
	p, err := unpack.ReadFull(m.data, m.table+(int64(number)-1)*m.inodeSize(), m.inodeSize())
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	o := m.order
	i := &minixInode{m: m, number: number}
	mode := uint32(o.Uint16(p))
	i.mode = unpack.UnixMode(mode)
	if m.version == 1 {
		i.uid, i.gid, i.size, i.mtime = int(o.Uint16(p[2:])), int(p[12]), int64(o.Uint32(p[4:])), o.Uint32(p[8:])
		for at := 14; at < 32; at += 2 {
			i.zone = append(i.zone, uint32(o.Uint16(p[at:])))
		}
	} else {
		i.uid, i.gid, i.size, i.mtime = int(o.Uint16(p[4:])), int(o.Uint16(p[6:])), int64(o.Uint32(p[8:])), o.Uint32(p[16:])
		for at := 24; at < 64; at += 4 {
			i.zone = append(i.zone, o.Uint32(p[at:]))
		}
	}
	if mode>>12 == 0 || (i.mode.Type() == 0 && mode>>12 != 8) {
		return nil, fmt.Errorf("inode %d: not in use", number)
	}
	return i, nil
}

func (i *minixInode) isDir() bool { return i.mode.IsDir() }

func (i *minixInode) entry(path string) (unpack.Entry, error) {
	e := unpack.Entry{Path: path, Mode: i.mode, UID: i.uid, GID: i.gid, ModTime: unpack.UnixTime(i.mtime), Order: int64(i.zone[0]) * i.m.block}
	if !i.mode.IsDir() {
		e.Inode = i.number
	}
	switch {
	case i.mode.IsRegular() && i.size > 0:
		e.Data = i.open()
	case i.mode&fs.ModeSymlink != 0:
		if i.size > i.m.block {
			e.Err = fmt.Errorf("a link to a path of %d bytes", i.size)
			break
		}
		b, err := unpack.ReadFull(i.open(), 0, i.size)
		e.Link, e.Err = string(b), err
	case i.mode&fs.ModeDevice != 0:
		e.Major, e.Minor = unpack.UnixDevice(i.zone[0])
	}
	return e, nil
}

func (i *minixInode) open() unpack.Bytes {
	return &mapped{name: fmt.Sprintf("minix: inode %d", i.number), size: i.size, find: i.find}
}

// pointers is how many zones a block of pointers names.
func (m *minix) pointers() int64 {
	if m.version == 1 {
		return m.block / 2
	}
	return m.block / 4
}

func (m *minix) pointer(p []byte, index int64) uint32 {
	if m.version == 1 {
		return uint32(m.order.Uint16(p[2*index:]))
	}
	return m.order.Uint32(p[4*index:])
}

var errMinixZone = errors.New("a zone outside of the file system")

// place checks a zone; 0 is a hole.
func (m *minix) place(zone uint32) (int64, error) {
	if zone != 0 && (int64(zone) < m.first || int64(zone) >= m.zones) {
		return 0, errMinixZone
	}
	return int64(zone) * m.block, nil
}

// find follows the pointers to a place of the content: seven in the inode,
// then blocks of pointers of one, two and, but for version 1, three levels.
func (i *minixInode) find(off int64) (piece, error) {
	m := i.m
	index, in := off/m.block, off%m.block
	list, at, span := i.zone[:7], index, int64(1)
	if index < 7 {
		index = 0
	} else {
		index -= 7
		level, reach := 7, m.pointers()
		for ; index >= reach; level++ {
			index -= reach
			if reach *= m.pointers(); level+1 >= len(i.zone) {
				return piece{}, errors.New("a place that no pointer can reach")
			}
		}
		list, at, span = i.zone, int64(level), reach
	}
	zone := list[at]
	for span > 1 && zone != 0 {
		from, err := m.place(zone)
		if err != nil {
			return piece{}, err
		}
		p, err := unpack.ReadFull(m.data, from, m.block)
		if err != nil {
			return piece{}, err
		}
		span /= m.pointers()
		at = index / span
		index %= span
		if zone = m.pointer(p, at); span == 1 {
			return m.run(zone, in, func(n int64) (uint32, bool) {
				if at+n >= m.pointers() {
					return 0, false
				}
				return m.pointer(p, at+n), true
			})
		}
	}
	if zone == 0 { // a hole as wide as the pointers that are missing
		return piece{size: (span-index)*m.block - in}, nil
	}
	return m.run(zone, in, func(n int64) (uint32, bool) {
		if at+n >= int64(len(list)) {
			return 0, false
		}
		return list[at+n], true
	})
}

// run is a zone and those that follow it on the disk too.
func (m *minix) run(zone uint32, in int64, next func(n int64) (uint32, bool)) (piece, error) {
	from, err := m.place(zone)
	if err != nil {
		return piece{}, err
	}
	if zone == 0 {
		return piece{size: m.block - in}, nil
	}
	n := int64(1)
	for ; ; n++ {
		if z, ok := next(n); !ok || int64(z) != int64(zone)+n || int64(z) >= m.zones {
			break
		}
	}
	return piece{data: m.data, from: from + in, size: n*m.block - in}, nil
}

// list reads a folder: the number of an inode, and a name in a fixed room.
func (i *minixInode) list(found func(name string, number uint64) bool) error {
	m := i.m
	number := 2
	if m.version == 3 {
		number = 4
	}
	step := int64(number + m.name)
	// Folders may share their zones, by hostile pointers.
	if m.walked += i.size; m.walked > m.zones*m.block {
		return errors.New("folders take more room than there is")
	}
	var damaged error
	content := i.open()
	for at := int64(0); at < i.size/step*step; {
		p := unpack.ReadSome(content, at, min(i.size/step*step-at, max(m.block, step)))
		if int64(len(p)) < step {
			damaged = errors.Join(damaged, errors.New("a part of it can't be read"))
			at = (at/m.block + 1) * m.block
			continue
		}
		for ; int64(len(p)) >= step; p = p[step:] {
			at += step
			n := uint64(m.order.Uint16(p))
			if m.version == 3 {
				n = uint64(m.order.Uint32(p))
			}
			if n != 0 && !found(unpack.CString(p[number:step]), n) {
				return damaged
			}
		}
	}
	return damaged
}
