package flash

import (
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// yaffsPacker makes YAFFS images as mkyaffs2image and the kernel do, page by
// page. It shares nothing with the reader.
type yaffsPacker struct {
	t      testing.TB
	page   int
	spare  int
	at     int // of the tags
	order  binary.ByteOrder
	first  bool // YAFFS 1
	noCode bool // tags without ECC
	seq    uint32
	out    []byte
	next   uint32
	links  map[uint64]uint32
}

func newYAFFSPacker(t testing.TB, page, spare, at int, order binary.ByteOrder) *yaffsPacker {
	return &yaffsPacker{t: t, page: page, spare: spare, at: at, order: order, seq: 0x1000, next: 257, links: map[uint64]uint32{}}
}

// put writes a page with its tags.
func (p *yaffsPacker) put(content []byte, object, chunk, bytes uint32) {
	b := make([]byte, p.page+p.spare)
	for i := range b {
		b[i] = 0xff
	}
	copy(b[:p.page], content)
	switch {
	case p.first:
		p.tags1(b[p.page:], object, chunk, bytes)
	case p.spare == 0:
		for i, v := range []uint32{p.seq, object, chunk, bytes} {
			p.order.PutUint32(b[p.page-16+4*i:], v)
		}
	default:
		t := b[p.page+p.at:]
		for i, v := range []uint32{p.seq, object, chunk, bytes} {
			p.order.PutUint32(t[4*i:], v)
		}
		if !p.noCode {
			p.code(t)
		}
	}
	p.out = append(p.out, b...)
}

// code writes the ECC of 16 bytes of tags, bit by bit.
func (p *yaffsPacker) code(t []byte) {
	var col byte
	var line, prime uint32
	for i := range uint32(16) {
		for bit := range uint32(8) {
			if t[i]>>bit&1 == 0 {
				continue
			}
			line ^= i
			prime ^= ^i
			for k := range uint32(3) {
				if bit>>k&1 != 0 {
					col ^= 2 << (2 * k)
				} else {
					col ^= 1 << (2 * k)
				}
			}
		}
	}
	t[16] = col
	p.order.PutUint32(t[20:], line)
	p.order.PutUint32(t[24:], prime)
}

// tags1 writes the tags of YAFFS 1: bit fields as the compiler lays them out.
func (p *yaffsPacker) tags1(s []byte, object, chunk, bytes uint32) {
	fields := [][2]uint32{{chunk, 20}, {0, 2}, {bytes & 0x3ff, 10}, {object, 18}, {0, 12}, {bytes >> 10, 2}}
	pack := func() (b [8]byte) {
		bit := 0
		for _, f := range fields {
			for i := range int(f[1]) {
				at := bit + i // from the lowest bit
				v := f[0] >> i & 1
				if p.order == binary.BigEndian {
					at = bit + int(f[1]) - 1 - i // from the highest
					b[at/8] |= byte(v << (7 - at%8))
				} else {
					b[at/8] |= byte(v << (at % 8))
				}
			}
			bit += int(f[1])
		}
		return b
	}
	b := pack()
	code := uint32(0)
	for i := range uint32(64) {
		if b[i/8]>>(i%8)&1 == 1 {
			code ^= i + 1
		}
	}
	fields[4][0] = code
	b = pack()
	for i, at := range []int{0, 1, 2, 3, 6, 7, 11, 12} {
		s[at] = b[i]
	}
}

type yaffsFacts struct {
	kind, parent, mode, uid, gid, mtime, size, equal, device, shrink uint32
	name, link                                                       string
}

func (p *yaffsPacker) header(object uint32, f yaffsFacts) {
	b := make([]byte, 512)
	for i := range b {
		b[i] = 0xff
	}
	put := func(at int, v uint32) { p.order.PutUint32(b[at:], v) }
	put(0, f.kind)
	put(4, f.parent)
	clear(b[10:266])
	copy(b[10:265], f.name)
	put(268, f.mode)
	put(272, f.uid)
	put(276, f.gid)
	put(284, f.mtime)
	if f.kind == 1 {
		put(292, f.size)
	}
	if f.equal != 0 {
		put(296, f.equal)
	}
	if f.kind == 3-1 {
		clear(b[300:460])
		copy(b[300:459], f.link)
	}
	put(460, f.device)
	if f.shrink != 0 {
		put(508, 1)
		put(492, 1)
	}
	p.put(b, object, 0, 0xffff)
}

func (p *yaffsPacker) data(object uint32, from int, content []byte) {
	room := p.page
	if p.spare == 0 {
		room -= 16
	}
	for len(content) > 0 {
		n := min(room, len(content))
		p.put(content[:n], object, uint32(from/room)+1, uint32(n))
		content, from = content[n:], from+n
	}
}

// folder writes all that is in a folder.
func (p *yaffsPacker) folder(dir string, parent uint32) {
	list, err := os.ReadDir(dir)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range list {
		path := filepath.Join(dir, e.Name())
		fi, err := os.Lstat(path)
		if err != nil {
			p.t.Fatal(err)
		}
		st := fi.Sys().(*syscall.Stat_t)
		id := p.next
		p.next++
		f := yaffsFacts{parent: parent, name: e.Name(), mode: st.Mode, uid: st.Uid, gid: st.Gid, mtime: uint32(st.Mtim.Sec)}
		if old := p.links[st.Ino]; old != 0 {
			f.kind, f.equal = 4, old
			p.header(id, f)
			continue
		}
		p.links[st.Ino] = id
		switch mode := fi.Mode(); {
		case mode.IsDir():
			f.kind = 3
			p.header(id, f)
			p.folder(path, id)
		case mode&fs.ModeSymlink != 0:
			f.kind = 2
			f.link, _ = os.Readlink(path)
			p.header(id, f)
		case mode.IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				p.t.Fatal(err)
			}
			f.kind, f.size = 1, uint32(len(content))
			p.header(id, f)
			p.data(id, 0, content)
		default:
			f.kind, f.device = 5, uint32(st.Rdev)
			p.header(id, f)
		}
	}
}
