package flash

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// erofsPacker makes images with what Debian's mkfs.erofs can't write yet:
// other compressors, fragments, shared clusters, long prefixes. It has blocks
// of 4096 bytes and full indexes, and shares nothing with the reader.
type erofsPacker struct {
	meta, data []byte // from block 1; behind the meta blocks
	method     int
	advise     uint16
	packed     []byte // fragments
	prefixes   []byte
	incompat   uint32
}

const erofsMetaBlocks = 8

func (p *erofsPacker) block() uint32 { return 1 + erofsMetaBlocks + uint32(len(p.data)/4096) }

// put appends packed data, padded in front, and returns how many blocks.
func (p *erofsPacker) put(b []byte) int {
	p.data = append(p.data, make([]byte, -len(b)&4095)...)
	p.data = append(p.data, b...)
	return (len(b) + 4095) / 4096
}

func (p *erofsPacker) pack(b []byte) []byte {
	var out bytes.Buffer
	switch p.method {
	case 1:
		raw := lzmaPack(3, 0, 2, func([]byte) []byte { return nil })(b)
		raw[0] = ^byte(0x5d)
		return raw
	case 2:
		w, _ := flate.NewWriter(&out, 9)
		w.Write(b)
		w.Close()
	case 3:
		w, _ := zstd.NewWriter(nil)
		return w.EncodeAll(b, nil)
	}
	return out.Bytes()
}

// inode adds one, with what stands behind it, and returns its number.
func (p *erofsPacker) inode(layout int, mode uint16, size int, union uint32, xattrs, behind []byte) uint64 {
	p.meta = append(p.meta, make([]byte, -len(p.meta)&31)...)
	if n := 64 + len(xattrs) + len(behind); len(p.meta)%4096+n > 4096 && layout == erofsInline {
		p.meta = append(p.meta, make([]byte, -len(p.meta)&4095)...)
	}
	nid := uint64(len(p.meta) / 32)
	b := make([]byte, 64)
	put := binary.LittleEndian
	put.PutUint16(b, uint16(layout)<<1|1)
	if len(xattrs) > 0 {
		put.PutUint16(b[2:], uint16((len(xattrs)-12)/4+1))
	}
	put.PutUint16(b[4:], mode)
	put.PutUint64(b[8:], uint64(size))
	put.PutUint32(b[16:], union)
	p.meta = append(append(append(p.meta, b...), xattrs...), behind...)
	return nid
}

// erofsPiece is a piece of a file, from an offset to the next one's.
type erofsPiece struct {
	start, kind, blocks int
	block               uint32
	part                bool
}

// index makes a full index: the head, then an entry for each cluster.
func (p *erofsPacker) index(pos, size int, list []erofsPiece, head uint64) []byte {
	b := make([]byte, (-pos&7)+16)
	h := b[len(b)-16:]
	binary.LittleEndian.PutUint64(h, head)
	if head>>63 != 0 {
		return b // all of it is a fragment
	}
	binary.LittleEndian.PutUint16(h[4:], p.advise)
	h[6] = byte(p.method | p.method<<4)
	clusters := (size + 4095) / 4096
	for n, k := 0, 0; n < clusters; n++ {
		e := make([]byte, 8)
		if k < len(list) && list[k].start/4096 == n {
			x := list[k]
			advise := uint16(x.kind)
			if x.part {
				advise |= 1 << 15
			}
			binary.LittleEndian.PutUint16(e, advise)
			binary.LittleEndian.PutUint16(e[2:], uint16(x.start%4096))
			binary.LittleEndian.PutUint32(e[4:], x.block)
			k++
		} else {
			d := uint16(n - list[k-1].start/4096)
			if d == 1 && list[k-1].blocks > 1 {
				d = 1<<11 | uint16(list[k-1].blocks)
			}
			binary.LittleEndian.PutUint16(e, clusterNone)
			binary.LittleEndian.PutUint16(e[4:], d)
		}
		b = append(b, e...)
	}
	return b
}

// pieces packs content in pieces of some length.
func (p *erofsPacker) pieces(content []byte, length int) (list []erofsPiece) {
	for at := 0; at < len(content); {
		n := min(length, len(content)-at)
		packed := p.pack(content[at : at+n])
		x := erofsPiece{start: at, kind: clusterHead1, block: p.block()}
		if len(packed) >= n || len(packed) > 4096 && n < 3*4096 {
			x.kind, n = clusterStored, min(4096-at%4096, len(content)-at)
			stored := make([]byte, 4096)
			for i, c := range content[at : at+n] {
				if p.advise&erofsInterlaced != 0 {
					stored[(at+i)%4096] = c
				} else {
					stored[i] = c
				}
			}
			x.blocks = p.put(stored)
		} else {
			x.blocks = p.put(packed)
		}
		list = append(list, x)
		at += n
	}
	return list
}

func (p *erofsPacker) file(content []byte, list []erofsPiece, head uint64) uint64 {
	pos := len(p.meta) + -len(p.meta)&31 + 64
	return p.inode(erofsFull, 0o100644, len(content), 0, nil, p.index(pos, len(content), list, head))
}

type erofsName struct {
	name string
	nid  uint64
}

// image puts everything together. The names must be sorted.
func (p *erofsPacker) image(names []erofsName) []byte {
	head, text := []byte(nil), []byte(nil)
	for _, n := range names {
		head = binary.LittleEndian.AppendUint64(head, n.nid)
		head = binary.LittleEndian.AppendUint16(head, uint16(12*len(names)+len(text)))
		head = append(head, 1, 0)
		text = append(text, n.name...)
	}
	dir := append(head, text...)
	root := p.inode(erofsInline, 0o40755, len(dir), 0, nil, dir)
	packed := uint64(0)
	if len(p.packed) > 0 {
		block := p.block()
		p.data = append(p.data, p.packed...)
		p.data = append(p.data, make([]byte, -len(p.data)&4095)...)
		packed = p.inode(erofsPlain, 0o100644, len(p.packed), block, nil, nil)
	}
	if len(p.meta) > erofsMetaBlocks*4096 {
		panic("too many inodes")
	}
	b := make([]byte, 4096)
	s := b[1024:]
	put := binary.LittleEndian
	put.PutUint32(s, 0xe0f5e1e2)
	put.PutUint32(s[8:], erofsChecked)
	s[12] = 12
	put.PutUint16(s[14:], uint16(root))
	put.PutUint32(s[36:], p.block())
	put.PutUint32(s[40:], 1)
	put.PutUint32(s[80:], p.incompat|erofsZeroPadding|erofsBigPcluster|erofsFragments)
	s[91] = byte(min(1, len(p.prefixes)))
	put.PutUint64(s[96:], packed)
	put.PutUint32(s[4:], ^crc32.Checksum(s, crc32.MakeTable(crc32.Castagnoli)))
	b = append(b, p.meta...)
	b = append(b, make([]byte, (1+erofsMetaBlocks)*4096-len(b))...)
	return append(b, p.data...)
}

// TestEROFSMethods packs with every other compressor, with pieces that begin
// anywhere, stored pieces in both forms, fragments, and shared clusters.
func TestEROFSMethods(t *testing.T) {
	text := unpacktest.MixedBytes(90_000)
	noise := append(unpacktest.Noise(9, 20_000), bytes.Repeat([]byte("text "), 4000)...)
	for method := 1; method <= 3; method++ {
		for _, length := range []int{8192, 13_001, 50_000} {
			for _, advise := range []uint16{erofsBig1, erofsBig1 | erofsInterlaced} {
				p := &erofsPacker{method: method, advise: advise}
				list := p.pieces(text, length)
				names := []erofsName{{"a", p.file(text, list, 0)}, {"b", p.file(noise, p.pieces(noise, length), 0)}}
				want := map[string][]byte{"a": text, "b": noise}
				// The start of the first piece again, and nothing else.
				part := text[:5000]
				first := list[0]
				first.part = true
				if first.kind != clusterStored {
					names = append(names, erofsName{"c", p.file(part, []erofsPiece{first}, 0)})
					want["c"] = part
				}
				// A file that ends in a fragment, and one that is nothing else.
				p.packed = append([]byte("before"), noise[:3000]...)
				cut := list[len(list)-1].start
				p.advise |= erofsFragment
				tail := append(bytes.Clone(text[:cut]), p.packed[6:1006]...)
				list[len(list)-1] = erofsPiece{start: cut, kind: clusterHead1}
				names = append(names, erofsName{"d", p.file(tail, list, 6)}, erofsName{"e", p.file(noise[:2000], nil, 1<<63|6)})
				want["d"], want["e"] = tail, noise[:2000]
				checkEROFS(t, fmt.Sprintf("%d %d %x", method, length, advise), p.image(names), want)
			}
		}
	}
}

func checkEROFS(t *testing.T, name string, img []byte, want map[string][]byte) {
	t.Helper()
	o := unpacktest.OpenBytes(t, EROFS, img)
	tree := unpack.NewTree(o.Entries)
	for file, content := range want {
		e := tree.Entry(file)
		if e == nil || e.Data == nil {
			t.Fatalf("%s: no %s", name, file)
		}
		if got, err := unpack.ReadAll(e.Data, 1<<20); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %s: %d of %d bytes, %v", name, file, len(got), len(content), err)
		}
	}
}

// TestEROFSPrefixes: names of attributes with a long prefix.
func TestEROFSPrefixes(t *testing.T) {
	p := &erofsPacker{incompat: erofsPrefixes, prefixes: []byte("x")}
	p.packed = append([]byte{17, 0, 4}, "overlay.metadata"...) // trusted.
	x := make([]byte, 12)
	x = append(x, 4, 0x80, 3, 0)
	x = append(x, "copyyes\x00"...)
	x = append(x, 3, 6, 1, 0)
	x = append(x, "ima1"...)
	nid := p.inode(erofsInline, 0o100644, 5, 0, x, []byte("hello"))
	o := unpacktest.OpenBytes(t, EROFS, p.image([]erofsName{{"f", nid}}))
	e := unpack.NewTree(o.Entries).Entry("f")
	if e == nil || len(e.Xattrs) != 2 || e.Xattrs["trusted.overlay.metadatacopy"] != "yes" || e.Xattrs["security.ima"] != "1" {
		t.Errorf("%+v", e)
	}
}
