package volume

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

// makeHFSPlus is the HFS+ volume of a disc that xorriso makes of a folder.
func makeHFSPlus(t testing.TB, dir string, args string) []byte {
	t.Helper()
	img := makeISO(t, dir, "xorriso -as mkisofs -R -hfsplus "+args)
	at := bytes.Index(img, []byte("H+\x00\x04")) - hfsHeader
	if at < 0 {
		t.Fatal("no volume on the disc")
	}
	return img[at:]
}

// macNames are the names of a summary as xorriso stores them: Unicode in its
// decomposed form.
func macNames(s unpacktest.Summary) unpacktest.Summary {
	out := unpacktest.Summary{}
	for p, line := range s {
		out[strings.ReplaceAll(p, "é", "e\u0301")] = line
	}
	return out
}

func TestHFSPlusTree(t *testing.T) {
	dir := unpacktest.SampleTree(t)
	os.Remove(filepath.Join(dir, "odd/b\xfcro"))   // names are Unicode
	os.Remove(filepath.Join(dir, "odd/new\nline")) // and without control characters here
	os.Remove(filepath.Join(dir, "var/pipe"))      // nor does xorriso put special files there
	os.Remove(filepath.Join(dir, "var/null"))
	os.Remove(filepath.Join(dir, "var/disk"))
	for _, args := range []string{"", "-hfsplus-block-size 512"} {
		img := makeHFSPlus(t, dir, args)
		o := unpacktest.OpenBytes(t, HFSPlus, img)
		unpacktest.SameSummary(t, macNames(unpacktest.SummaryOfFolder(t, dir)), macNames(unpacktest.SummaryOfObject(t, o)))
		if o.Info["label"] != "ISOIMAGE" || o.Size < 3<<20 || o.Size > int64(len(img)) {
			t.Errorf("%v, size %d of %d", o.Info, o.Size, len(img))
		}
	}
}

func TestHFSPlusRandomTrees(t *testing.T) {
	fewChecks(t, 8)
	rapid.Check(t, func(rt *rapid.T) {
		dir := filepath.Join(t.TempDir(), "tree")
		os.MkdirAll(filepath.Join(dir, "never empty"), 0o755)
		unpacktest.RandomTree(rt, dir)
		o := unpacktest.OpenBytes(t, HFSPlus, makeHFSPlus(t, dir, ""))
		unpacktest.SameSummary(t, macNames(unpacktest.SummaryOfFolder(t, dir)), macNames(unpacktest.SummaryOfObject(t, o)))
	})
}

// hfsImage writes a small volume by hand: a header, and trees of one leaf each.
type hfsImage struct {
	b       []byte
	next    uint32 // free block
	catalog [][]byte
	extents [][]byte
	attrs   [][]byte
}

const hfsTestBlock = 512

// store puts content into blocks, in pieces with a block between them, and
// returns the 80 bytes that describe them. What needs more than eight extents
// goes on in the tree of extents.
func (x *hfsImage) store(id uint32, kind byte, content []byte, pieces int) []byte {
	be := binary.BigEndian
	fork := make([]byte, 80)
	be.PutUint64(fork, uint64(len(content)))
	blocks := (len(content) + hfsTestBlock - 1) / hfsTestBlock
	be.PutUint32(fork[12:], uint32(blocks))
	per := (blocks + pieces - 1) / max(pieces, 1)
	at, slot, out := 0, 0, fork[16:]
	for at < blocks {
		if slot == 8 {
			key := make([]byte, 12+64)
			be.PutUint16(key, 10)
			key[2] = kind
			be.PutUint32(key[4:], id)
			be.PutUint32(key[8:], uint32(at))
			x.extents = append(x.extents, key)
			out, slot = key[12:], 0
		}
		n := min(per, blocks-at)
		be.PutUint32(out[8*slot:], x.next)
		be.PutUint32(out[8*slot+4:], uint32(n))
		if end := (int(x.next) + n + 1) * hfsTestBlock; end > len(x.b) {
			x.b = append(x.b, make([]byte, end-len(x.b))...)
		}
		copy(x.b[int(x.next)*hfsTestBlock:][:n*hfsTestBlock], content[at*hfsTestBlock:])
		at, slot, x.next = at+n, slot+1, x.next+uint32(n)+1
	}
	return fork
}

func hfsKey(parent uint32, name string) []byte {
	be := binary.BigEndian
	k := be.AppendUint32([]byte{0, 0}, parent)
	k = be.AppendUint16(k, uint16(len(name)))
	for _, c := range []byte(name) {
		k = append(k, 0, c)
	}
	be.PutUint16(k, uint16(len(k)-2))
	return k
}

func (x *hfsImage) folder(parent, id uint32, name string) {
	r := make([]byte, 88)
	binary.BigEndian.PutUint16(r, 1)
	binary.BigEndian.PutUint32(r[8:], id)
	x.catalog = append(x.catalog, append(hfsKey(parent, name), r...))
}

func (x *hfsImage) file(parent, id uint32, name string, mode uint16, data, rsrc []byte, change func(r []byte)) {
	r := make([]byte, 248)
	be := binary.BigEndian
	be.PutUint16(r, 2)
	be.PutUint32(r[8:], id)
	be.PutUint16(r[42:], mode)
	copy(r[88:], data)
	copy(r[168:], rsrc)
	if change != nil {
		change(r)
	}
	x.catalog = append(x.catalog, append(hfsKey(parent, name), r...))
}

func (x *hfsImage) attr(id uint32, name string, value []byte) {
	be := binary.BigEndian
	k := be.AppendUint32([]byte{0, 0, 0, 0}, id)
	k = be.AppendUint32(k, 0)
	k = be.AppendUint16(k, uint16(len(name)))
	for _, c := range []byte(name) {
		k = append(k, 0, c)
	}
	be.PutUint16(k, uint16(len(k)-2))
	k = be.AppendUint32(k, 0x10)
	k = append(k, make([]byte, 8)...)
	k = be.AppendUint32(k, uint32(len(value)))
	x.attrs = append(x.attrs, append(k, value...))
}

// tree makes a B-tree of records: a header node and leaves.
func hfsTestTree(records [][]byte) []byte {
	const node = 4096
	be := binary.BigEndian
	tree := make([]byte, node)
	var leaf []byte
	var offs []int
	flush := func() {
		if leaf == nil {
			return
		}
		p := make([]byte, node)
		p[8], p[9] = 0xff, 1
		be.PutUint16(p[10:], uint16(len(offs)))
		copy(p[14:], leaf)
		for i, o := range append(offs, 14+len(leaf)) {
			be.PutUint16(p[node-2-2*i:], uint16(o))
		}
		if n := len(tree)/node - 1; n > 0 {
			be.PutUint32(tree[n*node:], uint32(n+1))
		}
		tree, leaf, offs = append(tree, p...), nil, nil
	}
	for _, r := range records {
		if len(leaf)+len(r)+2*len(offs)+40 > node {
			flush()
		}
		offs = append(offs, 14+len(leaf))
		leaf = append(leaf, r...)
	}
	flush()
	tree[8] = 1
	be.PutUint16(tree[10:], 3)
	if len(tree) > node {
		be.PutUint32(tree[14+10:], 1)
	}
	be.PutUint16(tree[14+18:], node)
	be.PutUint32(tree[14+22:], uint32(len(tree)/node))
	return tree
}

func (x *hfsImage) finish() []byte {
	catalog := x.store(4, 0, hfsTestTree(x.catalog), 1)
	attrs := x.store(8, 0, hfsTestTree(x.attrs), 1)
	extents := x.store(3, 0, hfsTestTree(x.extents), 1)
	x.b = append(x.b, make([]byte, 2048)...)
	h, be := x.b[hfsHeader:], binary.BigEndian
	copy(h, "H+\x00\x04")
	be.PutUint32(h[4:], 0x100)
	be.PutUint32(h[40:], hfsTestBlock)
	be.PutUint32(h[44:], uint32(len(x.b)/hfsTestBlock))
	copy(h[192:], extents)
	copy(h[272:], catalog)
	copy(h[352:], attrs)
	copy(x.b[len(x.b)-1024:], h[:512])
	return x.b
}

// specialHFS is a volume with what xorriso does not write.
func specialHFS(t testing.TB) []byte {
	x := &hfsImage{b: make([]byte, 4096), next: 8}
	text := numbers()
	le, be := binary.LittleEndian, binary.BigEndian
	x.folder(1, 2, "Macintosh HD")
	x.folder(2, 16, hfsPrivate)
	// Scattered in so many pieces that the tree of extents is needed, twice.
	x.file(2, 20, "scattered", 0o100644, x.store(20, 0, []byte(text), 25), x.store(20, 0xff, []byte("resources"), 1), nil)
	x.file(2, 21, "hard", 0o100644, nil, nil, func(r []byte) { be.PutUint32(r[44:], 77); copy(r[48:], "hlnkhfs+") })
	x.file(2, 22, "hard too", 0o100644, nil, nil, func(r []byte) { be.PutUint32(r[44:], 77); copy(r[48:], "hlnkhfs+") })
	x.file(16, 77, "iNode77", 0o104755, x.store(77, 0, []byte("linked"), 1), nil, nil)
	x.file(16, 78, "iNode78", 0o100600, x.store(78, 0, []byte("unlinked"), 1), nil, nil)
	x.file(2, 23, "link", 0o120777, x.store(23, 0, []byte("a:b/c"), 1), nil, nil)
	x.file(2, 24, "tty", 0o020666, nil, nil, func(r []byte) { be.PutUint32(r[44:], 4<<24|65) })
	x.file(2, 25, "a/b", 0o100644, x.store(25, 0, []byte("a Mac's name"), 1), nil, nil)
	x.attr(25, "com.apple.quarantine", []byte("0081;"))
	head := func(kind, size int) []byte {
		return le.AppendUint64(le.AppendUint32([]byte("fpmc"), uint32(kind)), uint64(size))
	}
	x.file(2, 30, "inline zlib", 0o100644, nil, nil, nil)
	x.attr(30, hfsCompressed, append(head(3, 2000), unpacktest.PackBlock(t, "zlib", []byte(text[:2000]))...))
	x.file(2, 31, "inline stored", 0o100644, nil, nil, nil)
	x.attr(31, hfsCompressed, append(head(3, 5), "\xffhello"...))
	// Blocks in the resource fork.
	long := strings.Repeat(text, 10)
	fork := append(be.AppendUint32(nil, 256), make([]byte, 252)...)
	var blocks, table []byte
	count := (len(long) + decmpfsBlock - 1) / decmpfsBlock
	for i := range count {
		p := unpacktest.PackBlock(t, "zlib", []byte(long[i*decmpfsBlock:min(len(long), (i+1)*decmpfsBlock)]))
		table = le.AppendUint32(le.AppendUint32(table, uint32(4+8*count+len(blocks))), uint32(len(p)))
		blocks = append(blocks, p...)
	}
	fork = be.AppendUint32(fork, uint32(4+len(table)+len(blocks)))
	fork = append(append(le.AppendUint32(fork, uint32(count)), table...), blocks...)
	x.file(2, 32, "zlib", 0o100644, nil, x.store(32, 0xff, fork, 3), nil)
	x.attr(32, hfsCompressed, head(4, len(long)))
	for id, name := range map[uint32]string{33: "lzvn", 34: "lzfse"} {
		packed := readFile(t, "testdata/numbers."+name)
		fork := append(le.AppendUint32(le.AppendUint32(nil, 8), uint32(8+len(packed))), packed...)
		x.file(2, id, name, 0o100644, nil, x.store(id, 0xff, fork, 1), nil)
		x.attr(id, hfsCompressed, head(map[string]int{"lzvn": 8, "lzfse": 12}[name], len(text)))
	}
	return x.finish()
}

func TestHFSPlusSpecial(t *testing.T) {
	o := unpacktest.OpenBytes(t, HFSPlus, specialHFS(t))
	tree := unpack.NewTree(o.Entries)
	text := numbers()
	for p, want := range map[string]string{
		"scattered": text, "scattered:rsrc": "resources", "hard": "linked", "hard too": "linked", "a:b": "a Mac's name", "inline zlib": text[:2000], "inline stored": "hello",
		"zlib": strings.Repeat(text, 10), "lzvn": text, "lzfse": text, "[HFS+ private data]/iNode78": "unlinked",
	} {
		e := tree.Entry(p)
		if e == nil {
			t.Errorf("no %q in %q", p, tree.Paths())
			continue
		}
		if e.Data == nil || e.Err != nil {
			t.Errorf("%q: %v", p, e.Err)
			continue
		}
		if b, err := unpack.ReadAll(e.Data, 1<<20); string(b) != want || err != nil {
			t.Errorf("%q: %d bytes instead of %d, %v", p, len(b), len(want), err)
		}
		if e.Deleted != strings.HasSuffix(p, "78") {
			t.Errorf("%q is deleted: %v", p, e.Deleted)
		}
	}
	hard, too := tree.Entry("hard"), tree.Entry("hard too")
	if hard.Inode == 0 || hard.Inode != too.Inode || hard.Mode&os.ModeSetuid == 0 {
		t.Errorf("%v %v", hard, too)
	}
	if e := tree.Entry("link"); e.Link != "a:b/c" {
		t.Errorf("%v", e)
	}
	if e := tree.Entry("tty"); e.Major != 4 || e.Minor != 65 || e.Mode&os.ModeCharDevice == 0 {
		t.Errorf("%v", e)
	}
	if e := tree.Entry("a:b"); e.Xattrs["com.apple.quarantine"] != "0081;" {
		t.Errorf("%v", e.Xattrs)
	}
	if n := len(tree.Paths()); n != 15 {
		t.Errorf("%d: %q", n, tree.Paths())
	}
}

// TestHFSPlusHostile: folders within each other in a ring, leaves in a ring.
func TestHFSPlusHostile(t *testing.T) {
	x := &hfsImage{b: make([]byte, 4096), next: 8}
	x.folder(1, 2, "root")
	x.folder(18, 17, "a")
	x.folder(17, 18, "b")
	x.file(17, 20, "file", 0, nil, nil, nil)
	o, err := HFSPlus.Open(unpacktest.Input(x.finish()))
	if err != nil || o.Err == nil || len(o.Entries) != 4 {
		t.Errorf("%v %v", err, o)
	}
	b := specialHFS(t)
	for i := 0; i+4096 < len(b); i += hfsTestBlock {
		if b[i+8] == 0xff && b[i+9] == 1 {
			binary.BigEndian.PutUint32(b[i:], 1)
		}
	}
	if o, err := HFSPlus.Open(unpacktest.Input(b)); err != nil || o.Err == nil {
		t.Errorf("%v %v", err, o)
	}
}

func TestHFSPlusDamage(t *testing.T) {
	unpacktest.Damage(t, HFSPlus, specialHFS(t), unpacktest.Damaged{Unchecked: true})
}

func FuzzHFSPlus(f *testing.F) {
	unpacktest.FuzzPatched(f, HFSPlus, nil, specialHFS(f))
}
