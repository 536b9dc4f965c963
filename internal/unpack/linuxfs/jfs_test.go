package linuxfs

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// jfsByHand is a small image by the layout of the kernel's headers alone: a
// folder with a file in two extents, an attribute, a link, a device, and a name
// in several slots.
func jfsByHand() []byte {
	const block = 4096
	b := make([]byte, 32*block)
	u32 := func(at int, v uint32) { le.PutUint32(b[at:], v) }
	pxd := func(at int, count, address uint32) { u32(at, count); u32(at+4, address) }
	copy(b[0x8000:], "JFS1")
	for at, v := range map[int]uint32{4: 1, 8: 32 * 8, 16: block, 24: 512, 32: 8192, 36: 0x10200000} {
		u32(0x8000+at, v)
	}
	b[0x8000+20], b[0x8000+22], b[0x8000+28] = 12, 3, 9
	pxd(0x8000+48, 4, 15)
	// Pages of extents: lines from the third on, each of an offset, a count, an address.
	xtree := func(at int, flag byte, lines ...[3]uint32) {
		b[at+16], b[at+18], b[at+20] = flag, byte(2+len(lines)), 18
		for i, l := range lines {
			u32(at+32+16*i+4, l[0])
			pxd(at+32+16*i+8, l[1], l[2])
		}
	}
	inode := func(at int, fileset, number, mode uint32, size uint32) int {
		for off, v := range map[int]uint32{4: fileset, 8: number, 24: size, 40: 1, 44: 1000, 48: 100, 52: mode, 72: 1e9} {
			u32(at+off, v)
		}
		return at
	}
	// The aggregate's inode 16 maps the map of inodes: its control page and one group page.
	at := inode(0xb000+16*512, 1, 16, 0o100000, 2*block)
	xtree(at+224, 0x83, [3]uint32{0, 2, 17})
	pxd(18*block+3072, 4, 19) // inodes 0 to 31
	files := 19 * block
	slot := func(at, n int, number uint32, next, length byte, name string) {
		p := b[at+32*n:]
		le.PutUint32(p, number)
		p[4], p[5] = next, length
		for i, c := range name {
			le.PutUint16(p[6+2*i:], uint16(c))
		}
	}
	root := inode(files+2*512, 16, 2, 0o040755, 1) + 224
	b[root+16], b[root+17] = 0x83, 3
	copy(b[root+24:], []byte{1, 2, 3})
	slot(root, 1, 4, 0xff, 6, "folder")
	slot(root, 2, 6, 0xff, 4, "link")
	slot(root, 3, 7, 0xff, 3, "dev")
	// The folder has a page of its own.
	folder := inode(files+4*512, 16, 4, 0o040700, 1) + 224
	b[folder+16], b[folder+17], b[folder+24] = 0x85, 1, 1
	pxd(folder+32, 1, 24)
	page := 24 * block
	b[page+16], b[page+17], b[page+20], b[page+21] = 0x02, 1, 128, 1
	pxd(page+24, 1, 24)
	b[page+32] = 5
	slot(page, 5, 5, 7, 20, "a-name-of-s")
	b[page+7*32], b[page+7*32+1] = 0xff, 9
	for i, c := range "ome-lengt" {
		le.PutUint16(b[page+7*32+2+2*i:], uint16(c))
	}
	at = inode(files+5*512, 16, 5, 0o104755, 3*block-5)
	xtree(at+224, 0x83, [3]uint32{0, 1, 27}, [3]uint32{2, 1, 26})
	copy(b[27*block:], bytes.Repeat([]byte("words "), 682))
	copy(b[26*block:], bytes.Repeat([]byte("other "), 682))
	b[at+104] = 0x40 // attributes in the inode
	u32(at+108, 4+4+10+2)
	u32(at+384, 4+4+10+2)
	copy(b[at+388:], "\x00\x09\x02\x00user.note\x00hi")
	b[at+384], b[at+108] = 4+4+10+2, 4+4+10+2
	at = inode(files+6*512, 16, 6, 0o120777, 6)
	copy(b[at+256:], "folder")
	at = inode(files+7*512, 16, 7, 0o020600, 0)
	u32(at+256, 5<<8|1)
	return b
}

func TestJFSByHand(t *testing.T) {
	o := unpacktest.OpenBytes(t, JFS, jfsByHand())
	content := append(bytes.Repeat([]byte("words "), 682), 0, 0, 0, 0)
	content = append(content, make([]byte, 4096)...)
	content = append(content, bytes.Repeat([]byte("other "), 682)...)
	tree := unpack.NewTree(o.Entries)
	e := tree.Entry("folder/a-name-of-some-lengt")
	if e == nil {
		t.Fatalf("%q", tree.Paths())
	}
	got, err := unpack.ReadAll(e.Data, 1<<20)
	if err != nil || !bytes.Equal(got, append(content, 0, 0, 0, 0)[:3*4096-5]) || e.Xattrs["user.note"] != "hi" || e.UID != 1000 {
		t.Errorf("%v: %d bytes, %+v", err, len(got), e)
	}
	if tree.Entry("link").Link != "folder" || tree.Entry("dev").Major != 5 {
		t.Errorf("%+v %+v", tree.Entry("link"), tree.Entry("dev"))
	}
}

// TestJFSSecond: the copy of the table of inodes takes over.
func TestJFSSecond(t *testing.T) {
	b := jfsByHand()
	b = append(b, make([]byte, 4*4096)...)
	copy(b[32*4096:], b[0xb000:0xb000+4*4096])
	le.PutUint32(b[0x8000+52:], 32)
	le.PutUint32(b[0x8000+8:], 36*8)
	clear(b[0xb000 : 0xb000+4*4096])
	if o := unpacktest.OpenBytes(t, JFS, b); len(o.Entries) != 5 {
		t.Errorf("%d entries", len(o.Entries))
	}
}

func TestJFSDamage(t *testing.T) {
	damage(t, JFS, jfsByHand(), unpacktest.Damaged{Rounds: 1000, Unchecked: true})
}

func TestJFSHostile(t *testing.T) {
	b := jfsByHand()
	loop := bytes.Clone(b)
	le.PutUint32(loop[24*4096+5*32:], 4) // the file is its folder
	if o, err := JFS.Open(unpacktest.Input(loop)); err != nil || o.Err == nil || !strings.Contains(o.Err.Error(), "loop") {
		t.Errorf("a loop: %v", err)
	}
	chain := bytes.Clone(b)
	chain[24*4096+7*32] = 7 // the rest of a name follows itself
	chain[24*4096+5*32+5] = 255
	if o, err := JFS.Open(unpacktest.Input(chain)); err != nil || len(o.Entries) == 0 {
		t.Errorf("a chain of slots: %v", err)
	}
	for _, n := range []int{0xe000, 20 * 4096, len(b) - 1} {
		if o, err := JFS.Open(unpacktest.Input(b[:n])); err != nil || o.Err == nil || o.Size != int64(n) {
			t.Errorf("cut to %d: %v", n, err)
		}
	}
	for at, v := range map[int]byte{0: 'X', 4: 9, 16: 1, 20: 11, 24: 3, 28: 4} {
		x := bytes.Clone(b)
		x[0x8000+at] = v
		if _, err := JFS.Open(unpacktest.Input(x)); !errors.Is(err, unpack.ErrNotThis) {
			t.Errorf("byte 0x%x: accepted: %v", at, err)
		}
	}
}

// TestOldCorpus opens images that a kernel has written to.
func TestOldCorpus(t *testing.T) {
	for name, r := range map[string]*unpack.Reader{"jfs": JFS, "reiserfs": ReiserFS} {
		b, err := exec.Command(testtool.Need(t, "xz"), "-dc", unpacktest.Corpus(t, "formats/"+name+".img.xz")).Output()
		if err != nil {
			t.Fatal(err)
		}
		o := unpacktest.OpenBytes(t, r, b)
		s := unpacktest.SummaryOfObject(t, o)
		if want := "-rw-r--r-- 1000:1000 28 faa11db49f32a90b51dfc3f0254f9fd7a7b46d0b570abd47e1943b86d554447a"; s["get_files_test/testfile2"] != want || len(s) != 5 {
			t.Errorf("%s: %q", name, s)
		}
	}
}

func FuzzJFS(f *testing.F) {
	unpacktest.FuzzPatched(f, JFS, nil, jfsByHand())
}
