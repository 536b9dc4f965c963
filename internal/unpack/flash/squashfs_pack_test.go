package flash

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/ulikunitz/xz/lzma"
)

// squashPacker makes squashfs of any version, of which no tool is left. It
// shares nothing with the reader: the layout is that of the kernel's
// squashfs_fs.h before 4.0.
type squashPacker struct {
	t       testing.TB
	version int
	order   binary.ByteOrder
	lengths binary.ByteOrder
	magic   string
	minor   int
	block   int
	pack    func([]byte) []byte
	marked  bool // a marker byte in metadata blocks
	noFrags bool
	dir     string

	out           []byte
	inodes, dirs  squashTable
	frag          []byte
	frags         [][2]int // place and size
	users, groups []uint32
	links         map[uint64][2]uint64 // inode of this machine to reference and number
	number        uint64
}

type squashTable struct {
	p   *squashPacker
	out []byte
	buf []byte
}

func (m *squashTable) ref() uint64 { return uint64(len(m.out))<<16 | uint64(len(m.buf)) }

func (m *squashTable) write(b []byte) {
	m.buf = append(m.buf, b...)
	for len(m.buf) >= 8192 {
		m.flush(8192)
	}
}

func (m *squashTable) flush(n int) {
	if n == 0 {
		return
	}
	m.out = append(m.out, m.p.metaBlock(m.buf[:n])...)
	m.buf = m.buf[n:]
}

func (p *squashPacker) metaBlock(b []byte) []byte {
	packed := p.pack(b)
	size := uint16(len(packed))
	if len(packed) >= len(b) {
		packed, size = b, uint16(len(b))|0x8000
	}
	head := make([]byte, 2)
	p.lengths.PutUint16(head, size)
	if p.marked {
		head = append(head, 0xff)
	}
	return append(head, packed...)
}

// bits packs bit fields, value and width by turns.
func (p *squashPacker) bits(pairs ...int) []byte {
	v, at := uint64(0), 0
	for i := 0; i < len(pairs); i += 2 {
		field, w := uint64(pairs[i])&(1<<pairs[i+1]-1), pairs[i+1]
		if p.order == binary.BigEndian {
			v = v<<w | field
		} else {
			v |= field << at
		}
		at += w
	}
	b := make([]byte, 8)
	p.order.PutUint64(b, v)
	if p.order == binary.BigEndian {
		return b[8-at/8:]
	}
	return b[:at/8]
}

func (p *squashPacker) n16(b []byte, v int) []byte { return append(b, p.bits(v, 16)...) }
func (p *squashPacker) n32(b []byte, v int) []byte { return append(b, p.bits(v, 32)...) }
func (p *squashPacker) n64(b []byte, v uint64) []byte {
	return p.order.(binary.AppendByteOrder).AppendUint64(b, v)
}

// place appends a block of data, and returns its entry for a block list.
func (p *squashPacker) place(b []byte) int {
	packed := p.pack(b)
	if len(packed) < len(b) {
		p.out = append(p.out, packed...)
		return len(packed)
	}
	p.out = append(p.out, b...)
	return len(b) | 1<<24
}

func (p *squashPacker) flushFrag() {
	if len(p.frag) > 0 {
		at := len(p.out)
		p.frags = append(p.frags, [2]int{at, p.place(p.frag)})
		p.frag = nil
	}
}

func (p *squashPacker) owner(list *[]uint32, id uint32) int {
	i := slices.Index(*list, id)
	if i < 0 {
		i = len(*list)
		*list = append(*list, id)
	}
	return i
}

// base begins an inode.
func (p *squashPacker) base(kind int, mode fs.FileMode, st *syscall.Stat_t) []byte {
	perm := int(mode.Perm())
	for bit, m := range map[int]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&m != 0 {
			perm |= bit
		}
	}
	mtime := int(st.Mtim.Sec)
	if p.version == 4 {
		b := p.n16(p.n16(nil, kind), perm)
		b = p.n16(p.n16(b, p.owner(&p.users, st.Uid)), p.owner(&p.users, st.Gid))
		return p.n32(p.n32(b, mtime), int(p.number))
	}
	user := p.owner(&p.users, st.Uid)
	group, same := 0, st.Gid == st.Uid
	if !same {
		group = p.owner(&p.groups, st.Gid)
	}
	if p.version == 1 {
		if same {
			group = 15
		}
		if kind >= 6 {
			return append(p.bits(0, 4, perm, 12, user%16, 4, group, 4), p.bits(kind, 4, user/16, 4)...)
		}
		return p.bits(kind+user/16*5, 4, perm, 12, user%16, 4, group, 4)
	}
	if same {
		group = 255
	}
	b := p.bits(kind, 4, perm, 12, user, 8, group, 8)
	if p.version == 3 {
		b = p.n32(p.n32(b, mtime), int(p.number))
	}
	return b
}

// file writes the blocks of a file and returns its inode.
func (p *squashPacker) file(content []byte, mode fs.FileMode, st *syscall.Stat_t) []byte {
	start, frag, fragOffset, size := len(p.out), -1, 0, len(content)
	var list []int
	rest := content
	for len(rest) > 0 {
		b := rest[:min(len(rest), p.block)]
		if len(b) < p.block && p.version > 1 && !p.noFrags {
			break
		}
		if p.version >= 3 && len(bytes.Trim(b, "\x00")) == 0 {
			list = append(list, 0)
		} else {
			list = append(list, p.place(b))
		}
		rest = rest[len(b):]
	}
	if len(rest) > 0 {
		if len(p.frag)+len(rest) > p.block {
			p.flushFrag()
		}
		frag, fragOffset = len(p.frags), len(p.frag)
		p.frag = append(p.frag, rest...)
		if start == len(p.out) {
			start = 0
		}
	}
	kind := 2
	large := p.version == 3 && size > 100_000
	if large {
		kind = 9
	}
	b := p.base(kind, mode, st)
	switch {
	case p.version == 4:
		b = p.n32(p.n32(p.n32(p.n32(b, start), frag), fragOffset), size)
	case large:
		b = p.n64(p.n32(p.n32(p.n64(p.n32(b, 1), uint64(start)), frag), fragOffset), uint64(size))
	case p.version == 3:
		b = p.n32(p.n32(p.n32(p.n64(b, uint64(start)), frag), fragOffset), size)
	case p.version == 2:
		b = p.n32(p.n32(p.n32(p.n32(p.n32(b, int(st.Mtim.Sec)), start), frag), fragOffset), size)
	default:
		b = p.n32(p.n32(p.n32(b, int(st.Mtim.Sec)), start), size)
	}
	for _, n := range list {
		if p.version == 1 {
			b = p.n16(b, n&0x7fff|n>>24<<15)
		} else {
			b = p.n32(b, n)
		}
	}
	return b
}

type squashName struct {
	name   string
	ref    uint64
	number uint64
	kind   int
}

// entry writes the inode of a path, and of all below.
func (p *squashPacker) entry(path string) (ref, number uint64, kind int) {
	fi, err := os.Lstat(path)
	if err != nil {
		p.t.Fatal(err)
	}
	st := fi.Sys().(*syscall.Stat_t)
	if known, ok := p.links[st.Ino]; ok {
		return known[0], known[1], 2
	}
	mode := fi.Mode()
	if mode.IsDir() {
		ref, number = p.folder(path, mode, st)
		return ref, number, 1
	}
	p.number++
	var b []byte
	count := func(b []byte) []byte {
		if p.version >= 3 {
			return p.n32(b, 1)
		}
		return b
	}
	switch {
	case mode.IsRegular():
		content, err := os.ReadFile(path)
		if err != nil {
			p.t.Fatal(err)
		}
		kind, b = 2, p.file(content, mode, st)
	case mode&fs.ModeSymlink != 0:
		target, _ := os.Readlink(path)
		kind, b = 3, count(p.base(3, mode, st))
		if p.version == 4 {
			b = p.n32(b, len(target))
		} else {
			b = p.n16(b, len(target))
		}
		b = append(b, target...)
	case mode&fs.ModeDevice != 0:
		if kind = 4; mode&fs.ModeCharDevice != 0 {
			kind = 5
		}
		b = count(p.base(kind, mode, st))
		if p.version == 4 {
			b = p.n32(b, int(st.Rdev))
		} else {
			b = p.n16(b, int(st.Rdev))
		}
	default:
		kind, b = 6, count(p.base(6, mode, st))
	}
	ref, number = p.inodes.ref(), p.number
	p.inodes.write(b)
	p.links[st.Ino] = [2]uint64{ref, number}
	return ref, number, kind
}

func (p *squashPacker) folder(path string, mode fs.FileMode, st *syscall.Stat_t) (ref, number uint64) {
	list, err := os.ReadDir(path)
	if err != nil {
		p.t.Fatal(err)
	}
	var names []squashName
	for _, e := range list {
		ref, number, kind := p.entry(filepath.Join(path, e.Name()))
		names = append(names, squashName{e.Name(), ref, number, kind})
	}
	start, size := p.dirs.ref(), 0
	for len(names) > 0 {
		n := 1
		for n < len(names) && n < 256 && names[n].ref>>16 == names[0].ref>>16 && int64(int16(names[n].number-names[0].number)) == int64(names[n].number-names[0].number) {
			n++
		}
		run := p.run(names[:n])
		p.dirs.write(run)
		size += len(run)
		names = names[n:]
	}
	p.number++
	ref, number = p.inodes.ref(), p.number
	p.inodes.write(p.folderInode(mode, st, int(start>>16), int(start&0xffff), size, len(list) > 100))
	return ref, number
}

func (p *squashPacker) run(names []squashName) []byte {
	block, first := int(names[0].ref>>16), int(names[0].number)
	var b []byte
	switch p.version {
	case 4:
		b = p.n32(p.n32(p.n32(nil, len(names)-1), block), first)
	case 3:
		b = p.n32(p.n32([]byte{byte(len(names) - 1)}, block), first)
	default:
		b = p.bits(len(names)-1, 8, block, 24)
	}
	for _, n := range names {
		offset, delta := int(n.ref&0xffff), int(n.number)-first
		switch p.version {
		case 4:
			b = p.n16(p.n16(p.n16(p.n16(b, offset), delta), n.kind), len(n.name)-1)
		case 3:
			b = append(b, p.bits(offset, 13, n.kind, 3, len(n.name)-1, 8, delta, 16)...)
		default:
			b = append(b, p.bits(offset, 13, n.kind, 3, len(n.name)-1, 8)...)
		}
		b = append(b, n.name...)
	}
	return b
}

func (p *squashPacker) folderInode(mode fs.FileMode, st *syscall.Stat_t, block, offset, size int, large bool) []byte {
	kind, width := 1, 19
	large = large && p.version > 1
	if large {
		kind, width = 8, 27
	}
	b := p.base(kind, mode, st)
	switch {
	case p.version == 4 && large:
		b = p.n32(p.n32(p.n32(p.n32(b, 2), size+3), block), 1)
		return p.n32(p.n16(p.n16(b, 0), offset), -1)
	case p.version == 4:
		return p.n32(p.n16(p.n16(p.n32(p.n32(b, block), 2), size+3), offset), 1)
	case p.version == 3:
		b = append(p.n32(b, 2), p.bits(size+3, width, offset, 13)...)
		if b = p.n32(b, block); large {
			b = p.n16(b, 0)
		}
		return p.n32(b, 1)
	}
	b = append(b, p.bits(size, width, offset, 13)...)
	b = append(p.n32(b, int(st.Mtim.Sec)), p.bits(block, 24)...)
	if large {
		b = p.n16(b, 0)
	}
	return b
}

// image packs a folder.
func (p *squashPacker) image(dir string) []byte {
	superSize := []int{1: 51, 2: 63, 3: 119, 4: 96}[p.version]
	p.out = make([]byte, superSize)
	p.inodes.p, p.dirs.p, p.links = p, p, map[uint64][2]uint64{}
	root, _, _ := p.entry(dir)
	p.flushFrag()
	p.inodes.flush(len(p.inodes.buf))
	p.dirs.flush(len(p.dirs.buf))
	inodes := len(p.out)
	p.out = append(p.out, p.inodes.out...)
	dirs := len(p.out)
	p.out = append(p.out, p.dirs.out...)
	var table []byte
	for _, f := range p.frags {
		if p.version >= 3 {
			table = p.n32(p.n32(p.n64(table, uint64(f[0])), f[1]), 0)
		} else {
			table = p.n32(p.n32(table, f[0]), f[1])
		}
	}
	frags := p.indexed(table)
	var users, groups int
	list := func(ids []uint32) (b []byte) {
		for _, id := range ids {
			b = p.n32(b, int(id))
		}
		return b
	}
	if p.version == 4 {
		users = p.indexed(list(p.users))
	} else {
		users = len(p.out)
		p.out = append(p.out, list(p.users)...)
		groups = len(p.out)
		p.out = append(p.out, list(p.groups)...)
	}
	copy(p.out, p.super(root, inodes, dirs, frags, users, groups))
	return append(p.out, make([]byte, -len(p.out)&4095)...)
}

// indexed writes a table in metadata blocks, and where these are.
func (p *squashPacker) indexed(table []byte) int {
	var index []byte
	for len(table) > 0 {
		n := min(len(table), 8192)
		if p.version < 3 {
			index = p.n32(index, len(p.out))
		} else {
			index = p.n64(index, uint64(len(p.out)))
		}
		p.out = append(p.out, p.metaBlock(table[:n])...)
		table = table[n:]
	}
	at := len(p.out)
	p.out = append(p.out, index...)
	return at
}

func (p *squashPacker) super(root uint64, inodes, dirs, frags, users, groups int) []byte {
	log := bits.TrailingZeros(uint(p.block))
	b := p.n32([]byte(p.magic), int(p.number))
	if p.version == 4 {
		b = p.n32(p.n32(p.n32(b, 1e9), p.block), len(p.frags))
		b = p.n16(p.n16(p.n16(p.n16(b, 1), log), 0x200), len(p.users))
		b = p.n64(p.n64(p.n16(p.n16(b, 4), 0), root), uint64(len(p.out)))
		b = p.n64(p.n64(b, uint64(users)), ^uint64(0))
		return p.n64(p.n64(p.n64(p.n64(b, uint64(inodes)), uint64(dirs)), uint64(frags)), ^uint64(0))
	}
	flags := 0
	if p.marked {
		flags = 4
	}
	for _, v := range []int{len(p.out), users, groups, inodes, dirs} {
		b = p.n32(b, v)
	}
	b = p.n16(p.n16(b, p.version), p.minor)
	b = append(p.n16(p.n16(b, p.block&0xffff), log), byte(flags), byte(len(p.users)), byte(len(p.groups)))
	b = p.n64(p.n32(b, 1e9), root)
	if p.version >= 2 {
		b = p.n32(p.n32(p.n32(b, p.block), len(p.frags)), frags)
	}
	if p.version == 3 {
		for _, v := range []int{len(p.out), users, groups, inodes, dirs, frags, -1} {
			b = p.n64(b, uint64(v))
		}
	}
	return b
}

func zlibPack(b []byte) []byte {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// lzmaPack packs without an end mark, behind a header of one's choice.
func lzmaPack(lc, lp, pb int, head func(alone []byte) []byte) func([]byte) []byte {
	return func(b []byte) []byte {
		var out bytes.Buffer
		c := lzma.WriterConfig{Properties: &lzma.Properties{LC: lc, LP: lp, PB: pb}, DictCap: 1 << 16, SizeInHeader: true, Size: int64(len(b))}
		w, err := c.NewWriter(&out)
		if err != nil {
			panic(err)
		}
		w.Write(b)
		w.Close()
		return append(head(out.Bytes()[:13]), out.Bytes()[13:]...)
	}
}

func newSquashPacker(t testing.TB, version int, order binary.ByteOrder) *squashPacker {
	magic := "hsqs"
	if order == binary.BigEndian {
		magic = "sqsh"
	}
	return &squashPacker{t: t, version: version, order: order, lengths: order, magic: magic, block: 32768, pack: zlibPack, minor: (version + 1) % 5 / 3}
}
