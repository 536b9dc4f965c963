package volume

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
)

// apfsRecord is an entry of a tree.
type apfsRecord struct{ key, val []byte }

// apfsPacker fills a container. It knows nothing of the reader but its
// constants; libfsapfs reads what it writes.
type apfsPacker struct {
	image   []byte
	next    int // free block
	records []apfsRecord
	omap    map[uint64]uint64
	perNode int // records of a node at most
	inode   uint64
	links   map[uint64]uint64 // hard links: inode on the machine, here
	sparse  bool              // the last stream had holes
}

const apfsTestBlock = 4096

func (p *apfsPacker) block(n int) []byte {
	end := (n + 1) * apfsTestBlock
	if len(p.image) < end {
		p.image = append(p.image, make([]byte, end-len(p.image))...)
	}
	return p.image[n*apfsTestBlock : end]
}

func (p *apfsPacker) alloc() int {
	p.next++
	return p.next - 1
}

// seal computes a block's checksum the simple way.
func apfsSeal(b []byte) {
	a, c := uint64(0), uint64(0)
	for i := 8; i < len(b); i += 4 {
		a = (a + uint64(binary.LittleEndian.Uint32(b[i:]))) % 0xffffffff
		c = (c + a) % 0xffffffff
	}
	low := 0xffffffff - (a+c)%0xffffffff
	binary.LittleEndian.PutUint64(b, (0xffffffff-(a+low)%0xffffffff)<<32|low)
}

func apfsHead(b []byte, oid uint64, kind, sub uint32) {
	putLE(b[8:], oid)
	putLE(b[16:], 1)
	putLE32(b[24:], kind)
	putLE32(b[28:], sub)
}

// node writes a node. A root has the sizes of entries behind its values.
func (p *apfsPacker) node(b []byte, oid uint64, kind, sub uint32, level int, root, fixed bool, list []apfsRecord, total, nodes int) {
	clear(b)
	le := binary.LittleEndian
	flags, end := 0, len(b)
	if root {
		flags, end = flags|apfsRoot, end-apfsInfo
		kind = kind&^0xffff | apfsBtree
	} else {
		kind = kind&^0xffff | apfsNode
	}
	if level == 0 {
		flags |= apfsLeaf
	}
	size := 8
	if fixed {
		flags, size = flags|apfsFixed, 4
	}
	apfsHead(b, oid, kind, sub)
	le.PutUint16(b[32:], uint16(flags))
	le.PutUint16(b[34:], uint16(level))
	le.PutUint32(b[36:], uint32(len(list)))
	toc := (len(list)*size + 63) &^ 63
	le.PutUint16(b[42:], uint16(toc))
	keys, vals := 56+toc, end
	longKey, longVal := 0, 0
	at := keys
	for i, r := range list {
		vals -= len(r.val)
		copy(b[at:], r.key)
		copy(b[vals:], r.val)
		e := b[56+i*size:]
		if fixed {
			le.PutUint16(e, uint16(at-keys))
			le.PutUint16(e[2:], uint16(end-vals))
		} else {
			for k, n := range []int{at - keys, len(r.key), end - vals, len(r.val)} {
				le.PutUint16(e[2*k:], uint16(n))
			}
		}
		at += len(r.key)
		longKey, longVal = max(longKey, len(r.key)), max(longVal, len(r.val))
	}
	if at > vals {
		panic("a node is too full")
	}
	le.PutUint16(b[44:], uint16(at-keys))
	le.PutUint16(b[46:], uint16(vals-at))
	le.PutUint16(b[48:], 0xffff)
	le.PutUint16(b[52:], 0xffff)
	if root {
		info := b[end:]
		le.PutUint32(info, 0x40) // keys and values are not aligned
		le.PutUint32(info[4:], apfsTestBlock)
		if fixed {
			le.PutUint32(info[8:], 16)
			le.PutUint32(info[12:], 16)
			le.PutUint32(info, 0x10) // children by their blocks
		}
		le.PutUint32(info[16:], uint32(longKey))
		le.PutUint32(info[20:], uint32(longVal))
		le.PutUint64(info[24:], uint64(total))
		le.PutUint64(info[32:], uint64(nodes))
	}
	apfsSeal(b)
}

// tree writes a tree of virtual nodes, whose root has a place already.
func (p *apfsPacker) tree(root int, rootOID uint64) {
	list, level, total, nodes := p.records, 0, len(p.records), 1
	for {
		var up []apfsRecord
		fits := func(r []apfsRecord) bool {
			n := 0
			for _, x := range r {
				n += len(x.key) + len(x.val) + 8
			}
			return n < 3700 && len(r) <= p.perNode
		}
		if fits(list) {
			p.node(p.block(root), rootOID, 0, 14, level, true, false, list, total, nodes)
			p.omap[rootOID] = uint64(root)
			return
		}
		for len(list) > 0 {
			n := 1
			for n < len(list) && fits(list[:n+1]) {
				n++
			}
			at, oid := p.alloc(), uint64(5000+nodes)
			p.node(p.block(at), oid, 0, 14, level, false, false, list[:n], 0, 0)
			p.omap[oid] = uint64(at)
			up = append(up, apfsRecord{list[0].key, binary.LittleEndian.AppendUint64(nil, oid)})
			list, nodes = list[n:], nodes+1
		}
		list, level = up, level+1
	}
}

// objectMap writes the tree of an object map: a leaf, or a root over leaves.
func (p *apfsPacker) objectMap(root int) {
	le := binary.LittleEndian
	var list []apfsRecord
	for oid, at := range p.omap {
		key := le.AppendUint64(le.AppendUint64(nil, oid), 1)
		val := le.AppendUint64(le.AppendUint32(le.AppendUint32(nil, 0), apfsTestBlock), at)
		list = append(list, apfsRecord{key, val})
	}
	sort.Slice(list, func(i, j int) bool { return le.Uint64(list[i].key) < le.Uint64(list[j].key) })
	const physical = 0x40000000
	if len(list) < 50 {
		p.node(p.block(root), uint64(root), physical, apfsOmap, 0, true, true, list, len(list), 1)
		return
	}
	var up []apfsRecord
	total := len(list)
	for len(list) > 0 {
		n, at := min(len(list), 50), p.alloc()
		p.node(p.block(at), uint64(at), physical, apfsOmap, 0, false, true, list[:n], 0, 0)
		up = append(up, apfsRecord{list[0].key, le.AppendUint64(nil, uint64(at))})
		list = list[n:]
	}
	p.node(p.block(root), uint64(root), physical, apfsOmap, 1, true, true, up, total, len(up)+1)
}

func (p *apfsPacker) add(id uint64, kind uint64, rest, val []byte) {
	p.records = append(p.records, apfsRecord{append(binary.LittleEndian.AppendUint64(nil, id|kind<<60), rest...), val})
}

// sorted puts the records in order: by object, kind, and the rest as numbers.
func (p *apfsPacker) sorted() {
	le := binary.LittleEndian
	slices.SortStableFunc(p.records, func(a, b apfsRecord) int {
		x, y := le.Uint64(a.key), le.Uint64(b.key)
		if c := cmp.Or(cmp.Compare(x<<4, y<<4), cmp.Compare(x>>60, y>>60)); c != 0 {
			return c
		}
		switch x >> 60 {
		case apfsExtent:
			return cmp.Compare(le.Uint64(a.key[8:]), le.Uint64(b.key[8:]))
		case apfsName:
			return cmp.Or(cmp.Compare(le.Uint32(a.key[8:])>>10, le.Uint32(b.key[8:])>>10), bytes.Compare(a.key[12:], b.key[12:]))
		}
		return bytes.Compare(a.key[8:], b.key[8:])
	})
}

// name makes an entry of a folder, with its hash.
func (p *apfsPacker) name(dir uint64, name string, file uint64, kind uint16) {
	le := binary.LittleEndian
	var wide []byte
	for _, r := range strings.ToLower(name) {
		wide = le.AppendUint32(wide, uint32(r))
	}
	hash := ^crc32.Checksum(wide, crc32.MakeTable(crc32.Castagnoli))
	key := le.AppendUint32(nil, hash<<10|uint32(len(name)+1))
	val := le.AppendUint16(le.AppendUint64(le.AppendUint64(nil, file), 1e18), kind)
	p.add(dir, apfsName, append(append(key, name...), 0), val)
}

type apfsField struct {
	kind byte
	data []byte
}

// meta makes an inode.
func (p *apfsPacker) meta(id, parent uint64, mode uint32, links, uid, gid, flags uint32, fields ...apfsField) {
	b := make([]byte, 92)
	putLE(b, parent)
	putLE(b[8:], id)
	for _, at := range []int{16, 24, 32, 40} {
		putLE(b[at:], 1.5e18)
	}
	if p.sparse {
		putLE(b[48:], 0x200)
	}
	p.sparse = false
	putLE32(b[56:], links)
	putLE32(b[68:], flags)
	putLE32(b[72:], uid)
	putLE32(b[76:], gid)
	binary.LittleEndian.PutUint16(b[80:], uint16(mode))
	if len(fields) > 0 {
		le := binary.LittleEndian
		head, data := le.AppendUint16(nil, uint16(len(fields))), []byte{}
		for _, f := range fields {
			data = append(data, f.data...)
			data = append(data, make([]byte, -len(data)&7)...)
		}
		head = le.AppendUint16(head, uint16(len(data)))
		for _, f := range fields {
			head = le.AppendUint16(append(head, f.kind, map[byte]byte{4: 2, 8: 0x20}[f.kind]), uint16(len(f.data)))
		}
		b = append(append(b, head...), data...)
	}
	p.add(id, apfsInode, nil, b)
}

func (p *apfsPacker) xattr(id uint64, name string, flags uint16, val []byte) {
	le := binary.LittleEndian
	key := append(append(le.AppendUint16(nil, uint16(len(name)+1)), name...), 0)
	p.add(id, apfsXattr, key, append(le.AppendUint16(le.AppendUint16(nil, flags), uint16(len(val))), val...))
}

// stream stores content: blocks of zeros as holes, runs cut at odd places.
func (p *apfsPacker) stream(id uint64, content []byte) []byte {
	le := binary.LittleEndian
	blocks := (len(content) + apfsTestBlock - 1) / apfsTestBlock
	block := func(i int) []byte {
		return content[i*apfsTestBlock : min((i+1)*apfsTestBlock, len(content))]
	}
	for i := 0; i < blocks; {
		hole := unpack.OnlyByte(block(i), 0)
		n := 1
		for i+n < blocks && n < 40 && unpack.OnlyByte(block(i+n), 0) == hole {
			n++
		}
		at := uint64(0)
		if p.sparse = p.sparse || hole; !hole {
			p.next += i & 1 // apart
			at = uint64(p.next)
			for k := range n {
				copy(p.block(p.alloc()), block(i+k))
			}
		}
		p.add(id, apfsExtent, le.AppendUint64(nil, uint64(i*apfsTestBlock)), le.AppendUint64(le.AppendUint64(le.AppendUint64(nil, uint64(n*apfsTestBlock)), at), 0))
		i += n
	}
	p.add(id, 6, nil, le.AppendUint32(nil, 1))
	ds := make([]byte, 40)
	putLE(ds, uint64(len(content)))
	putLE(ds[8:], uint64(blocks*apfsTestBlock))
	return ds
}

// folder packs a folder of this machine.
func (p *apfsPacker) folder(t testing.TB, dir string, id uint64) {
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		p.file(t, filepath.Join(dir, d.Name()), d.Name(), id)
	}
}

func (p *apfsPacker) file(t testing.TB, path, name string, dir uint64) {
	fi, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	st := fi.Sys().(*syscall.Stat_t)
	kind := uint16(st.Mode >> 12)
	if old := p.links[st.Ino]; old != 0 && st.Nlink > 1 && !fi.IsDir() {
		p.name(dir, name, old, kind)
		return
	}
	p.inode++
	id := p.inode
	p.links[st.Ino] = id
	p.name(dir, name, id, kind)
	fields := []apfsField{{4, append([]byte(name), 0)}}
	links, flags := uint32(st.Nlink), uint32(0)
	switch {
	case fi.IsDir():
		list, _ := os.ReadDir(path)
		links = uint32(len(list))
		defer p.folder(t, path, id)
	case fi.Mode()&fs.ModeSymlink != 0:
		target, _ := os.Readlink(path)
		p.xattr(id, apfsLinkAttr, 2|4, append([]byte(target), 0))
	case fi.Mode().IsRegular():
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if flags = p.compress(id, content); flags == 0 && len(content) > 0 {
			fields = append(fields, apfsField{8, p.stream(id, content)})
		}
		if id%7 == 0 {
			p.xattr(id, "user.small", 2, []byte("value of it"))
		}
		if id%31 == 0 {
			p.inode++
			ds := p.stream(p.inode, bytes.Repeat([]byte("large "), 2000))
			p.xattr(id, "user.large", 1, append(binary.LittleEndian.AppendUint64(nil, p.inode), ds...))
		}
	case fi.Mode()&fs.ModeDevice != 0:
		fields = append(fields, apfsField{14, binary.LittleEndian.AppendUint32(nil, uint32(st.Rdev>>8&0xfff)<<24|uint32(st.Rdev&0xff))})
	}
	p.meta(id, dir, st.Mode, links, st.Uid, st.Gid, flags, fields...)
}

// compress stores some files as macOS does: in the attribute, or in the resource
// fork.
func (p *apfsPacker) compress(id uint64, content []byte) uint32 {
	le := binary.LittleEndian
	head := func(kind uint32) []byte {
		return le.AppendUint64(le.AppendUint32([]byte("fpmc"), kind), uint64(len(content)))
	}
	switch {
	case id%5 == 0 && len(content) > 0 && len(content) < 1000:
		p.xattr(id, hfsCompressed, 2, append(append(head(3), 0xff), content...))
	case id%5 == 1 && len(content) > 70_000:
		var blocks []byte
		n := (len(content) + decmpfsBlock - 1) / decmpfsBlock
		fork := le.AppendUint32(nil, uint32(4*(n+1)))
		for i := range n {
			blocks = append(append(blocks, 6), content[i*decmpfsBlock:min((i+1)*decmpfsBlock, len(content))]...)
			fork = le.AppendUint32(fork, uint32(4*(n+1)+len(blocks)))
		}
		p.xattr(id, hfsCompressed, 2, head(8))
		p.inode++
		ds := p.stream(p.inode, append(fork, blocks...))
		p.xattr(id, apfsForkAttr, 1, append(le.AppendUint64(nil, p.inode), ds...))
	default:
		return 0
	}
	return apfsCompressed
}

// fill makes the trees of a volume whose root and map have their blocks.
func (p *apfsPacker) fill(t testing.TB, dir string, rootBlock int, rootOID uint64, mapBlock int) {
	p.omap, p.links, p.inode = map[uint64]uint64{}, map[uint64]uint64{}, 30
	list, _ := os.ReadDir(dir)
	p.name(1, "root", 2, 4)
	p.name(1, "private-dir", 3, 4)
	p.meta(2, 1, 0o40755, uint32(len(list)), 0, 0, 0, apfsField{4, []byte("root\x00")})
	p.meta(3, 1, 0o40755, 0, 0, 0, 0, apfsField{4, []byte("private-dir\x00")})
	p.folder(t, dir, 2)
	p.sorted()
	p.tree(rootBlock, rootOID)
	p.objectMap(mapBlock)
}

// makeAPFS is a small container of its own, with a volume for each folder.
func makeAPFS(t testing.TB, perNode int, dirs ...string) []byte {
	p := &apfsPacker{next: 10 + 10*len(dirs), perNode: perNode}
	volumes := map[uint64]uint64{}
	le := binary.LittleEndian
	super := make([]byte, apfsTestBlock)
	for i, dir := range dirs {
		at := 10 + 10*i // superblock, map, its tree, the root
		v := p.block(at)
		apfsHead(v, uint64(1026+i), apfsVolume, 0)
		copy(v[32:], "APSB")
		putLE(v[56:], 1)
		putLE(v[128:], uint64(at+1))
		putLE(v[136:], 2000)
		copy(v[240:], "0123456789abcdef")
		putLE(v[264:], apfsPlain)
		copy(v[704:], "Disk "+string(rune('A'+i)))
		apfsSeal(v)
		m := p.block(at + 1)
		apfsHead(m, uint64(at+1), 0x40000000|apfsOmap, 0)
		putLE(m[48:], uint64(at+2))
		apfsSeal(m)
		p.records = nil
		p.fill(t, dir, at+3, 2000, at+2)
		volumes[uint64(1026+i)] = uint64(at)
		putLE(super[184+8*i:], uint64(1026+i))
	}
	m := p.block(5)
	apfsHead(m, 5, 0x40000000|apfsOmap, 0)
	putLE(m[48:], 6)
	apfsSeal(m)
	p.omap = volumes
	p.objectMap(6)
	apfsHead(super, 1, 0x80000000|apfsSuper, 0)
	copy(super[32:], "NXSB")
	le.PutUint32(super[36:], apfsTestBlock)
	p.block(p.next + 1)
	putLE(super[40:], uint64(len(p.image)/apfsTestBlock))
	putLE(super[64:], 2)
	copy(super[72:], "fedcba9876543210")
	putLE32(super[104:], 3)
	putLE(super[112:], 1)
	putLE(super[160:], 5)
	putLE32(super[180:], 100)
	apfsSeal(super)
	copy(p.block(0), super)
	copy(p.block(2), super)
	return p.image
}
