package linuxfs

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/crypto/blake2b"
	"pgregory.net/rapid"
)

func mkbtrfs(t testing.TB, dir, args string) string {
	t.Helper()
	img := blank(t, 128)
	testtool.Run(t, "", "mkfs.btrfs", append(strings.Fields(args), "-q", "--shrink", "--rootdir", dir, img)...)
	return img
}

func TestBtrfsVariants(t *testing.T) {
	testtool.Need(t, "mkfs.btrfs")
	dir := unpacktest.SampleTree(t)
	want := unpacktest.SummaryOfFolder(t, dir)
	delete(want, "var/disk") // mkfs.btrfs forgets which device it is
	delete(want, "var/null")
	for _, args := range []string{
		"", "-L label", "-m dup -d single", "-m single -d dup", "--mixed", "--csum xxhash", "--csum sha256", "--csum blake2", "-n 4096", "-n 65536",
		"-O ^no-holes,^extref,^skinny-metadata", "-R ^free-space-tree",
	} {
		t.Run(strings.ReplaceAll(args, " ", "_"), func(t *testing.T) {
			img := mkbtrfs(t, dir, args)
			o := unpacktest.Open(t, Btrfs, img)
			if info, _ := os.Stat(img); o.Size != info.Size() {
				t.Errorf("size %d of %d", o.Size, info.Size())
			}
			if len(o.Gaps) != 0 || strings.Contains(args, "label") != (o.Info["label"] == "label") {
				t.Errorf("%v, gaps %v", o.Info, o.Gaps)
			}
			unpacktest.SameSummary(t, want, summaryWithout(t, o, "var/disk", "var/null"))
		})
	}
}

func TestBtrfsCorpus(t *testing.T) {
	o := openPacked(t, Btrfs, "formats/btrfs.img.xz")
	unpacktest.SummaryOfObject(t, o)
	if len(o.Entries) != 6 || len(o.Gaps) > 0 {
		t.Errorf("%d entries, gaps %v", len(o.Entries), o.Gaps)
	}
}

func TestBtrfsRandom(t *testing.T) {
	testtool.Need(t, "mkfs.btrfs")
	checks := 0
	rapid.Check(t, func(rt *rapid.T) {
		if checks++; checks > 8 {
			return
		}
		dir := t.TempDir()
		unpacktest.RandomTree(rt, dir)
		args := rapid.SampledFrom([]string{"", "--csum xxhash", "-n 4096", "--mixed -n 4096"}).Draw(rt, "options")
		unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), summaryWithout(t, unpacktest.Open(t, Btrfs, mkbtrfs(t, dir, args))))
	})
}

// btrfsMaker writes file systems by hand, after the documentation of the
// on-disk format: what mkfs.btrfs does not make.
type btrfsMaker struct {
	image []byte
	sums  int
	next  int64 // free metadata, physical in the first copy
	data  int64 // free data, logical
	trees map[uint64][]btrfsMade
	csums []btrfsMade
}

type btrfsMade struct {
	object uint64
	kind   byte
	offset uint64
	body   []byte
}

// Metadata lie at logical 16 MiB, twice; data at 32 MiB, behind them.
const (
	madeNode  = 4096
	madeMeta  = 16 << 20
	madeMetaA = 1 << 20
	madeMetaB = 3 << 20
	madeData  = 32 << 20
	madeDataA = 5 << 20
	madeSize  = 8 << 20
)

func newBtrfsMaker(sums int) *btrfsMaker {
	return &btrfsMaker{image: make([]byte, madeSize), sums: sums, next: madeMetaA, data: madeData, trees: map[uint64][]btrfsMade{}}
}

func (m *btrfsMaker) sum(p []byte) []byte {
	switch m.sums {
	case 0:
		return le.AppendUint32(nil, crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)))
	case 2:
		s := sha256.Sum256(p)
		return s[:]
	}
	s := blake2b.Sum256(p)
	return s[:]
}

func (m *btrfsMaker) add(tree, object uint64, kind byte, offset uint64, body []byte) {
	m.trees[tree] = append(m.trees[tree], btrfsMade{object, kind, offset, body})
}

// inode adds an inode and its name in a folder.
func (m *btrfsMaker) inode(tree, dir, number uint64, name string, mode uint32, size int) {
	b := make([]byte, 160)
	le.PutUint64(b, 7)
	le.PutUint64(b[16:], uint64(size))
	le.PutUint64(b[24:], uint64(size))
	le.PutUint32(b[40:], 1)
	le.PutUint32(b[52:], mode)
	m.add(tree, number, 1, 0, b)
	if name == "" {
		m.add(tree, number, 12, number, append(make([]byte, 8), 2, 0, '.', '.'))
		return
	}
	ref := le.AppendUint64(nil, number)
	m.add(tree, number, 12, dir, append(le.AppendUint16(ref, uint16(len(name))), name...))
	kind := byte(1)
	if mode>>12 == 4 {
		kind = 2
	}
	m.name(tree, dir, btrfsMade{number, 1, 0, nil}, name, kind)
}

func madeKey(object uint64, kind byte, offset uint64) []byte {
	b := append(le.AppendUint64(nil, object), kind)
	return le.AppendUint64(b, offset)
}

// name adds a name to a folder, by hash and by order.
func (m *btrfsMaker) name(tree, dir uint64, to btrfsMade, name string, kind byte) {
	b := le.AppendUint64(madeKey(to.object, to.kind, to.offset), 7)
	b = le.AppendUint16(b, 0)
	b = append(le.AppendUint16(b, uint16(len(name))), kind)
	b = append(b, name...)
	hash := ^crc32.Update(^uint32(0xfffffffe), crc32.MakeTable(crc32.Castagnoli), []byte(name))
	m.add(tree, dir, 84, uint64(hash), b)
	m.add(tree, dir, 96, to.object, b)
}

// extent stores packed bytes and returns the item of an extent: n bytes from
// offset on of what it holds unpacked.
func (m *btrfsMaker) extent(packed []byte, method byte, ram, offset, n int) []byte {
	size := (len(packed) + 4095) &^ 4095
	b := m.image[m.data-madeData+madeDataA:][:size]
	copy(b, packed)
	var sums []byte
	for at := 0; at < size; at += 4096 {
		sums = append(sums, m.sum(b[at:at+4096])...)
	}
	m.csums = append(m.csums, btrfsMade{1<<64 - 10, 128, uint64(m.data), sums})
	e := madeExtent(1, method, ram, uint64(m.data), size, offset, n)
	m.data += int64(size)
	return e
}

func madeExtent(kind, method byte, ram int, at uint64, size, offset, n int) []byte {
	e := le.AppendUint64(nil, 7)
	e = le.AppendUint64(e, uint64(ram))
	e = append(e, method, 0, 0, 0, kind)
	for _, v := range []uint64{at, uint64(size), uint64(offset), uint64(n)} {
		e = le.AppendUint64(e, v)
	}
	return e
}

// block writes a block of a tree, both copies, and returns its logical address.
func (m *btrfsMaker) block(tree uint64, level byte, n int, body func(p []byte)) uint64 {
	p := make([]byte, madeNode)
	logical := uint64(m.next - madeMetaA + madeMeta)
	copy(p[32:], "the file system.")
	le.PutUint64(p[48:], logical)
	le.PutUint64(p[56:], 1|1<<56)
	copy(p[64:], "the chunk tree..")
	le.PutUint64(p[80:], 7)
	le.PutUint64(p[88:], tree)
	le.PutUint32(p[96:], uint32(n))
	p[100] = level
	body(p)
	copy(p, m.sum(p[32:]))
	copy(m.image[m.next:], p)
	copy(m.image[m.next-madeMetaA+madeMetaB:], p)
	m.next += madeNode
	return logical
}

// tree writes a tree and returns its root.
func (m *btrfsMaker) tree(id uint64, items []btrfsMade) (root uint64, level byte) {
	sort.SliceStable(items, func(i, j int) bool {
		a, b := madeKeyBE(items[i]), madeKeyBE(items[j])
		return bytes.Compare(a, b) < 0
	})
	type child struct {
		key []byte
		at  uint64
	}
	var nodes []child
	for first := true; first || len(items) > 0; first = false {
		n, room := 0, madeNode-101
		for n < len(items) && room >= 25+len(items[n].body) {
			room -= 25 + len(items[n].body)
			n++
		}
		at := m.block(id, 0, n, func(p []byte) {
			end := madeNode
			for k, i := range items[:n] {
				end -= len(i.body)
				copy(p[end:], i.body)
				e := append(madeKey(i.object, i.kind, i.offset), 0, 0, 0, 0, 0, 0, 0, 0)
				le.PutUint32(e[17:], uint32(end-101))
				le.PutUint32(e[21:], uint32(len(i.body)))
				copy(p[101+25*k:], e)
			}
		})
		key := make([]byte, 17)
		if n > 0 {
			key = madeKey(items[0].object, items[0].kind, items[0].offset)
		}
		nodes = append(nodes, child{key, at})
		items = items[n:]
	}
	for len(nodes) > 1 {
		level++
		var up []child
		for len(nodes) > 0 {
			n := min(3, len(nodes))
			at := m.block(id, level, n, func(p []byte) {
				for k, c := range nodes[:n] {
					e := le.AppendUint64(le.AppendUint64(bytes.Clone(c.key), c.at), 7)
					copy(p[101+33*k:], e)
				}
			})
			up = append(up, child{nodes[0].key, at})
			nodes = nodes[n:]
		}
		nodes = up
	}
	return nodes[0].at, level
}

func madeKeyBE(i btrfsMade) []byte {
	return be.AppendUint64(append(be.AppendUint64(nil, i.object), i.kind), i.offset)
}

func madeChunk(kind uint64, size int64, at ...int64) []byte {
	b := le.AppendUint64(nil, uint64(size))
	for _, v := range []uint64{2, 65536, kind} {
		b = le.AppendUint64(b, v)
	}
	for _, v := range []uint32{4096, 4096, 4096} {
		b = le.AppendUint32(b, v)
	}
	b = le.AppendUint16(le.AppendUint16(b, uint16(len(at))), 1)
	for _, p := range at {
		b = le.AppendUint64(le.AppendUint64(b, 1), uint64(p))
		b = append(b, "the one device.."...)
	}
	return b
}

// finish writes all trees and the superblock.
func (m *btrfsMaker) finish() []byte {
	m.trees[2], m.trees[4], m.trees[7] = nil, nil, m.csums
	meta := madeChunk(0x26, 2<<20, madeMetaA, madeMetaB) // system, metadata, twice
	m.add(3, 256, 228, madeMeta, meta)
	m.add(3, 256, 228, madeData, madeChunk(1, 2<<20, madeDataA))
	ids := []uint64{}
	for id := range m.trees {
		if id != 1 && id != 3 {
			ids = append(ids, id)
		}
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	for _, id := range ids {
		root, level := m.tree(id, m.trees[id])
		b := make([]byte, 439)
		le.PutUint64(b[160:], 7)
		le.PutUint64(b[168:], 256)
		le.PutUint64(b[176:], root)
		le.PutUint32(b[216:], 1)
		b[238] = level
		le.PutUint64(b[239:], 7)
		m.add(1, id, 132, 0, b)
	}
	sb := make([]byte, 4096)
	le.PutUint64(sb[201:], 1)
	le.PutUint64(sb[209:], madeSize)
	le.PutUint64(sb[217:], madeSize)
	for _, at := range []int{225, 229, 233} {
		le.PutUint32(sb[at:], 4096)
	}
	copy(sb[267:], "the one device..")
	copy(sb[283:], "the file system.")
	m.add(3, 1, 216, 1, sb[201:299])
	copy(sb[32:], "the file system.")
	le.PutUint64(sb[48:], 65536)
	le.PutUint64(sb[56:], 1)
	copy(sb[64:], "_BHRfS_M")
	le.PutUint64(sb[72:], 7)
	root, level := m.tree(1, m.trees[1])
	le.PutUint64(sb[80:], root)
	sb[198] = level
	root, level = m.tree(3, m.trees[3])
	le.PutUint64(sb[88:], root)
	sb[199] = level
	le.PutUint64(sb[112:], madeSize)
	le.PutUint64(sb[120:], 1<<20)
	le.PutUint64(sb[128:], 6)
	le.PutUint64(sb[136:], 1)
	for at, v := range map[int]uint32{144: 4096, 148: madeNode, 152: madeNode, 156: 4096} {
		le.PutUint32(sb[at:], v)
	}
	le.PutUint64(sb[164:], 7)
	le.PutUint64(sb[188:], 0x341)
	le.PutUint16(sb[196:], uint16(m.sums))
	array := append(madeKey(256, 228, madeMeta), meta...)
	le.PutUint32(sb[160:], uint32(len(array)))
	copy(sb[811:], array)
	copy(sb, m.sum(sb[32:]))
	copy(m.image[65536:], sb)
	return m.image
}

// lzoExtent packs as the kernel does.
func lzoExtent(t testing.TB, content []byte) []byte {
	pack := lzopPack(t)
	out := make([]byte, 4)
	for len(content) > 0 {
		n := min(4096, len(content))
		p := pack(content[:n])
		if len(out)/4096 != (len(out)+3)/4096 {
			out = append(out, make([]byte, 4096-len(out)%4096)...)
		}
		out = append(le.AppendUint32(out, uint32(len(p))), p...)
		content = content[n:]
	}
	le.PutUint32(out, uint32(len(out)))
	return out
}

func zlibExtent(p []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write(p)
	w.Close()
	return b.Bytes()
}

// btrfsMadeImage has files of all sorts in the main tree, a subvolume with one
// in it, and a snapshot of it.
func btrfsMadeImage(t testing.TB, sums int) (image []byte, want map[string][]byte) {
	m, want := newBtrfsMaker(sums), map[string][]byte{}
	rnd := rand.New(rand.NewSource(8))
	words := make([]byte, 60_000)
	for k := range words {
		words[k] = "abcd"[rnd.Intn(4)]
	}
	for k := 0; k < len(words); k += 100 {
		copy(words[k:], "the quick brown fox jumps over the lazy dog")
	}
	zst, _ := zstd.NewWriter(nil)
	m.inode(5, 0, 256, "", 0o40755, 0)
	file := func(tree uint64, number uint64, name string, content []byte, extents map[int][]byte) {
		m.inode(tree, 256, number, name, 0o100644, len(content))
		for off, e := range extents {
			m.add(tree, number, 108, uint64(off), e)
		}
		want[fmt.Sprint(tree, " ", name)] = content
	}
	packed := map[byte]func([]byte) []byte{1: zlibExtent, 2: func(p []byte) []byte { return lzoExtent(t, p) }, 3: func(p []byte) []byte { return zst.EncodeAll(p, nil) }}
	for method := byte(1); method <= 3; method++ {
		e := packed[method](words[:57_344])
		name := fmt.Sprint("packed", method)
		file(5, 260+uint64(method), name, words[:57_000], map[int][]byte{0: m.extent(e, method, 57_344, 0, 57_344)})
		// The middle of a packed extent, a hole, its start.
		part := append(append(bytes.Clone(words[8192:20_480]), make([]byte, 8192)...), words[:4096]...)
		x := m.extent(e, method, 57_344, 8192, 12_288)
		y := bytes.Clone(x)
		le.PutUint64(y[37:], 0)
		le.PutUint64(y[45:], 4096)
		file(5, 270+uint64(method), name+" part", part, map[int][]byte{0: x, 20_480: y})
		inline := packed[method](words[:900])
		i := madeExtent(0, method, 900, 0, 0, 0, 0)[:21]
		file(5, 280+uint64(method), name+" inline", words[:900], map[int][]byte{0: append(i, inline...)})
	}
	plain := m.extent(words[:20_480], 0, 20_480, 0, 20_480)
	file(5, 290, "plain", words[:20_000], map[int][]byte{0: plain})
	file(5, 291, "prealloc", append(make([]byte, 8192), words[:4096]...), map[int][]byte{0: madeExtent(2, 0, 8192, uint64(m.data), 8192, 0, 8192), 8192: m.extent(words[:4096], 0, 4096, 0, 4096)})
	file(5, 292, "hole", append(make([]byte, 8192), words[:4096]...), map[int][]byte{0: madeExtent(1, 0, 8192, 0, 0, 0, 8192), 8192: plain[:0:0]})
	m.trees[5][len(m.trees[5])-1].body = plain
	for k := range m.trees[5] {
		if i := &m.trees[5][k]; i.object == 292 && i.kind == 108 && i.offset == 8192 {
			i.body = bytes.Clone(plain)
			le.PutUint64(i.body[45:], 4096)
		} else if i.object == 292 && i.kind == 108 {
			i.body = madeExtent(1, 0, 8192, 0, 0, 0, 8192)
		}
	}
	attr := func(name, value string) []byte {
		b := le.AppendUint64(make([]byte, 17), 7)
		b = le.AppendUint16(le.AppendUint16(b, uint16(len(value))), uint16(len(name)))
		return append(append(b, 8), name+value...)
	}
	m.add(5, 290, 24, 1234, append(attr("user.a", "A"), attr("security.capability", "CAP")...))
	m.add(5, 290, 24, 5678, attr("user.b", strings.Repeat("b", 2000)))
	m.inode(5, 256, 293, "device", 0o020600, 0)
	for k, i := range m.trees[5] {
		if i.kind == 1 && i.object == 293 {
			le.PutUint64(m.trees[5][k].body[56:], 300<<20|70_000)
		}
	}
	// A subvolume with a folder and another subvolume in it, and a snapshot of
	// the first, in which the other is empty.
	for _, tree := range []uint64{257, 258} {
		m.inode(tree, 0, 256, "", 0o40755, 0)
		m.inode(tree, 256, 257, "etc", 0o40755, 0)
		m.inode(tree, 257, 258, "passwd", 0o100644, 10)
		m.add(tree, 258, 108, 0, append(madeExtent(0, 0, 10, 0, 0, 0, 0)[:21], "root::0:0:"...))
		m.name(tree, 256, btrfsMade{259, 132, 1<<64 - 1, nil}, "inner", 2)
	}
	m.inode(259, 0, 256, "", 0o40755, 0)
	file(259, 257, "f", []byte("in the inner one"), map[int][]byte{0: append(madeExtent(0, 0, 16, 0, 0, 0, 0)[:21], "in the inner one"...)})
	m.name(5, 256, btrfsMade{257, 132, 1<<64 - 1, nil}, "@", 2)
	m.name(5, 256, btrfsMade{258, 132, 1<<64 - 1, nil}, "snapshot", 2)
	ref := func(parent, child uint64, name string) {
		b := le.AppendUint64(le.AppendUint64(nil, 256), child)
		m.add(1, parent, 156, child, append(le.AppendUint16(b, uint16(len(name))), name...))
	}
	ref(5, 257, "@")
	ref(5, 258, "snapshot")
	ref(257, 259, "inner")
	return m.finish(), want
}

func TestBtrfsByHand(t *testing.T) {
	for _, sums := range []int{0, 2, 3} {
		b, want := btrfsMadeImage(t, sums)
		o := unpacktest.OpenBytes(t, Btrfs, b)
		tree := unpack.NewTree(o.Entries)
		for name, content := range want {
			if name, ok := strings.CutPrefix(name, "5 "); ok {
				e := tree.Entry(name)
				got, err := unpack.ReadAll(e.Data, 1<<30)
				if e.Err != nil || err != nil || !bytes.Equal(got, content) {
					t.Errorf("%s: %d of %d bytes, %v, %v", name, len(got), len(content), e.Err, err)
				}
				if p := make([]byte, 300); len(content) > 9000 {
					if _, err := e.Data.ReadAt(p, 8200); err != nil || !bytes.Equal(p, content[8200:8500]) {
						t.Errorf("%s: a piece in the middle: %v", name, err)
					}
				}
			}
		}
		if x := tree.Entry("plain").Xattrs; len(x) != 3 || x["user.a"] != "A" || x["security.capability"] != "CAP" || len(x["user.b"]) != 2000 {
			t.Errorf("attributes %.100q", x)
		}
		if e := tree.Entry("device"); e.Major != 300 || e.Minor != 70_000 {
			t.Errorf("device %d,%d", e.Major, e.Minor)
		}
		names := ""
		for _, p := range o.Parts {
			names += p.Name + ": "
			for path := range unpacktest.SummaryOfObject(t, p.Object) {
				names += fmt.Sprint(len(path), " ")
			}
			if e := unpack.NewTree(p.Object.Entries).Entry("etc/passwd"); (e == nil || e.Size() != 10) && p.Name != "@/inner" {
				t.Errorf("%s: %v", p.Name, e)
			}
		}
		if len(o.Parts) != 3 || o.Parts[0].Name != "@" || o.Parts[1].Name != "snapshot" || o.Parts[2].Name != "@/inner" || len(o.Parts[2].Object.Entries) != 2 {
			t.Errorf("parts %s", names)
		}
	}
}

// TestBtrfsMadeIsBtrfs has the official tool read what the test has made.
func TestBtrfsMadeIsBtrfs(t *testing.T) {
	b, want := btrfsMadeImage(t, 0)
	dir := t.TempDir()
	img := filepath.Join(dir, "img")
	os.WriteFile(img, b, 0o644)
	out := filepath.Join(dir, "out")
	os.Mkdir(out, 0o755)
	log, err := exec.Command(testtool.Need(t, "btrfs"), "restore", "-s", "-i", img, out).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	for name, content := range want {
		name = strings.TrimPrefix(strings.Replace(name, "259 ", "@/inner/", 1), "5 ")
		got, err := os.ReadFile(filepath.Join(out, name))
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d of %d bytes, %v", name, len(got), len(content), err)
		}
	}
}

func btrfsReseal(sb []byte) []byte {
	copy(sb, le.AppendUint32(nil, crc32.Checksum(sb[32:4096], crc32.MakeTable(crc32.Castagnoli))))
	return sb
}

// sameFiles fails the test for files that are not as they were made.
func sameFiles(t *testing.T, b []byte, want map[string][]byte) *unpack.Object {
	t.Helper()
	o := unpacktest.OpenBytes(t, Btrfs, b)
	tree := unpack.NewTree(o.Entries)
	for name, content := range want {
		if name, ok := strings.CutPrefix(name, "5 "); ok {
			e := tree.Entry(name)
			if e == nil || e.Data == nil {
				t.Errorf("%s is not there", name)
				continue
			}
			if got, err := unpack.ReadAll(e.Data, 1<<30); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: %d of %d bytes, %v", name, len(got), len(content), err)
			}
		}
	}
	return o
}

// TestBtrfsCopies damages one of two copies.
func TestBtrfsCopies(t *testing.T) {
	image, want := btrfsMadeImage(t, 0)
	b := bytes.Clone(image)
	clear(b[madeMetaA:madeMetaB])
	sameFiles(t, b, want)
	b = bytes.Clone(image)
	for at := madeMetaA + 50; at < madeMetaB; at += 4096 {
		b[at] ^= 1
		b[at+madeMetaB-madeMetaA+4096/2] ^= 2
	}
	if o, err := Btrfs.Open(unpacktest.Input(b)); err != nil || o.Err == nil {
		t.Errorf("both copies are damaged: %v", err)
	}
	// The second superblock.
	b = append(bytes.Clone(image), make([]byte, btrfsMirrorAt+4096-len(image))...)
	sb := b[btrfsMirrorAt:]
	copy(sb, b[65536:][:4096])
	le.PutUint64(sb[48:], btrfsMirrorAt)
	btrfsReseal(sb)
	for _, at := range []int{0, 64, 80, 200} {
		b[65536+at] ^= 1
		if o := sameFiles(t, b, want); !strings.Contains(o.Info["superblock"], "0x4000000") {
			t.Error(o.Info)
		}
		b[65536+at] ^= 1
	}
	in := unpacktest.Input(b[btrfsMirrorAt-65536:])
	if _, err := Btrfs.Open(in); !errors.Is(err, unpack.ErrNotThis) {
		t.Errorf("a copy of the superblock is taken for a file system: %v", err)
	}
}

// TestBtrfsDataCopies damages one copy of data.
func TestBtrfsDataCopies(t *testing.T) {
	testtool.Need(t, "mkfs.btrfs")
	dir := filepath.Join(t.TempDir(), "tree")
	os.Mkdir(dir, 0o755)
	content := make([]byte, 100_000)
	rand.New(rand.NewSource(2)).Read(content)
	os.WriteFile(filepath.Join(dir, "file"), content, 0o644)
	b, err := os.ReadFile(mkbtrfs(t, dir, "-d dup"))
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.Index(b, content[:4096])
	second := first + 1 + bytes.Index(b[first+1:], content[:4096])
	if first < 0 || second <= first {
		t.Fatal("no two copies")
	}
	b[first+10] ^= 1
	b[second+50_000] ^= 1
	sameFiles(t, b, map[string][]byte{"5 file": content})
	b[second+20] ^= 1
	e := unpack.NewTree(unpacktest.OpenBytes(t, Btrfs, b).Entries).Entry("file")
	if _, err := unpack.ReadAll(e.Data, 1<<30); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("both copies are damaged: %v", err)
	}
}

// TestBtrfsNotes has what is said instead of read.
func TestBtrfsNotes(t *testing.T) {
	image, want := btrfsMadeImage(t, 0)
	sb := image[65536:][:4096]
	for name, change := range map[string]func(){
		"synced":       func() { le.PutUint64(sb[96:], 1<<20) },
		"2 devices":    func() { sb[136] = 2 },
		"0x80000000":   func() { sb[191] = 0x80 },
		"raid-stripe":  func() { sb[189] |= 0x40 },
		"extent-tree-": func() { sb[189] |= 0x20 },
	} {
		old := bytes.Clone(sb)
		change()
		btrfsReseal(sb)
		o := unpacktest.OpenBytes(t, Btrfs, image)
		if len(o.Gaps) != 1 || !strings.Contains(o.Gaps[0].Note, name) || o.Gaps[0].Reason != "unsupported" {
			t.Errorf("%s: %v", name, o.Gaps)
		}
		copy(sb, old)
	}
	sb[0] ^= 1
	if o, err := Btrfs.Open(unpacktest.Input(image)); err != nil || o.Err == nil || len(o.Entries) == 0 {
		t.Errorf("a wrong checksum: %v", err)
	}
	in := unpacktest.Input(image)
	in.Whole = false
	if _, err := Btrfs.Open(in); !errors.Is(err, unpack.ErrNotThis) {
		t.Errorf("a candidate with a wrong checksum: %v", err)
	}
	sb[0] ^= 1
	for _, n := range []int{70_000, 2 << 20, 6 << 20, len(image) - 1} {
		if o, err := Btrfs.Open(unpacktest.Input(image[:n])); err != nil || o.Err == nil || o.Size != int64(n) {
			t.Errorf("cut to %d: %v", n, err)
		}
	}
	sameFiles(t, image, want)
}

// TestBtrfsLocate maps addresses of striped chunks of 64 KiB by hand.
func TestBtrfsLocate(t *testing.T) {
	const k = 64 << 10
	b := &btrfs{device: 1, end: 1 << 40}
	stripes := func(n int) (list []btrfsStripe) {
		for i := range n {
			list = append(list, btrfsStripe{1, int64(i+1) << 30})
		}
		return list
	}
	for _, c := range []struct {
		kind      uint64
		sub       int64
		stripes   int
		off, want int64
	}{
		{btrfsRAID0, 1, 2, 5, 1<<30 + 5}, {btrfsRAID0, 1, 2, k + 5, 2<<30 + 5}, {btrfsRAID0, 1, 2, 2*k + 5, 1<<30 + k + 5},
		{btrfsRAID10, 2, 4, 5, 1<<30 + 5}, {btrfsRAID10, 2, 4, k + 5, 3<<30 + 5}, {btrfsRAID10, 2, 4, 3*k + 5, 3<<30 + k + 5},
		{btrfsRAID5, 1, 3, 5, 1<<30 + 5}, {btrfsRAID5, 1, 3, k, 2 << 30}, {btrfsRAID5, 1, 3, 2 * k, 2<<30 + k}, {btrfsRAID5, 1, 3, 3 * k, 3<<30 + k}, {btrfsRAID5, 1, 3, 5 * k, 1<<30 + 2*k},
		{btrfsRAID6, 1, 4, 2*k + 1, 2<<30 + k + 1}, {0x10, 1, 2, 777, 1<<30 + 777},
	} {
		b.chunks = []btrfsChunk{{start: 1 << 20, size: 1 << 24, stripe: k, kind: c.kind, sub: c.sub, stripes: stripes(c.stripes)}}
		places, n, err := b.locate(1<<20 + c.off)
		if err != nil || places[0] != c.want || n <= 0 || c.kind != 0x10 && n != k-c.off%k {
			t.Errorf("kind 0x%x at %d: 0x%x instead of 0x%x, %d, %v", c.kind, c.off, places, c.want, n, err)
		}
	}
	b.device = 9
	if _, _, err := b.locate(1 << 20); !errors.Is(err, errOtherDevice) {
		t.Errorf("another device: %v", err)
	}
	if _, _, err := b.locate(1); err == nil {
		t.Error("an address in no chunk is accepted")
	}
}

func TestXXHash64(t *testing.T) {
	// From the specification of XXH64, and from xxhsum.
	for text, want := range map[string]uint64{"": 0xef46db3751d8e999, "a": 0xd24ec4f1a98c6e5b, "abc": 0x44bc2cf5ad770999,
		"Nobody inspects the spammish repetition": 0xfbcea83c8a378bf1} {
		if got := xxhash64([]byte(text)); got != want {
			t.Errorf("%q: %x", text, got)
		}
	}
}

// btrfsMend makes the checksums of blocks right, for the fuzzer.
func btrfsMend(_ int64, p []byte) {
	if string(p[32:48]) == "the file system." {
		btrfsReseal(p)
	}
}

func TestBtrfsDamage(t *testing.T) {
	image, _ := btrfsMadeImage(t, 0)
	damage(t, Btrfs, image, unpacktest.Damaged{Rounds: 500})
	// With right checksums over damaged blocks; contents may be wrong then.
	unpacktest.Damage(t, compacted(Btrfs, btrfsMend), compact(image), unpacktest.Damaged{Rounds: 500, Unchecked: true})
}

func FuzzBtrfs(f *testing.F) {
	if _, err := exec.LookPath("lzop"); err != nil {
		f.Skip(err)
	}
	image, _ := btrfsMadeImage(f, 0)
	unpacktest.FuzzPatched(f, Btrfs, btrfsMend, image)
}
