package linuxfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// reiserWriter makes a tree of an inner node and leaves of one object each, by
// the layout of the kernel's header alone.
type reiserWriter struct {
	old    bool // the form of 3.5
	leaves [][]reiserWritten
}

type reiserWritten struct {
	dir, object uint32
	offset      uint64
	kind        byte
	count       uint16
	body        []byte
}

func (w *reiserWriter) key(i reiserWritten) []byte {
	b := le.AppendUint32(le.AppendUint32(nil, i.dir), i.object)
	if w.old || i.kind == 0 || i.kind == 3 {
		b = le.AppendUint32(b, uint32(i.offset))
		return le.AppendUint32(b, map[byte]uint32{0: 0, 1: 0xfffffffe, 2: 0xffffffff, 3: 500}[i.kind])
	}
	return le.AppendUint64(b, i.offset|uint64(i.kind)<<60)
}

func (w *reiserWriter) stat(dir, object uint32, mode uint16, size int, device uint32) reiserWritten {
	b := make([]byte, 44)
	le.PutUint16(b, mode)
	if w.old {
		b = b[:32]
		le.PutUint16(b[2:], 1)
		le.PutUint16(b[4:], 1000)
		le.PutUint16(b[6:], 100)
		le.PutUint32(b[8:], uint32(size))
		le.PutUint32(b[16:], 1e9)
		le.PutUint32(b[24:], device)
	} else {
		le.PutUint32(b[4:], 1)
		le.PutUint64(b[8:], uint64(size))
		le.PutUint32(b[16:], 1000)
		le.PutUint32(b[20:], 100)
		le.PutUint32(b[28:], 1e9)
		le.PutUint32(b[40:], device)
	}
	return reiserWritten{dir, object, 0, 0, 0xffff, b}
}

type reiserName struct {
	name        string
	dir, object uint32
}

func (w *reiserWriter) names(dir, object uint32, list ...reiserName) reiserWritten {
	list = append([]reiserName{{".", dir, object}, {"..", 0, 1}}, list...)
	var heads, names []byte
	size := 0
	for _, n := range list {
		size += 16 + (len(n.name)+7)&^7
	}
	end := size
	for i, n := range list {
		end -= (len(n.name) + 7) &^ 7
		heads = le.AppendUint32(heads, uint32(i+1))
		heads = le.AppendUint32(le.AppendUint32(heads, n.dir), n.object)
		heads = le.AppendUint16(le.AppendUint16(heads, uint16(end)), 4)
		names = append(append([]byte(n.name), make([]byte, -len(n.name)&7)...), names...)
	}
	return reiserWritten{dir, object, 1, 3, uint16(len(list)), append(heads, names...)}
}

func (w *reiserWriter) image() []byte {
	const block = 1024
	b := make([]byte, 100*block)
	sb := b[64<<10:]
	for at, v := range map[int]uint32{0: 100, 8: 70, 12: 18, 20: 0} {
		le.PutUint32(sb[at:], v)
	}
	le.PutUint16(sb[44:], block)
	le.PutUint16(sb[50:], 1)
	copy(sb[52:], "ReIsEr2Fs")
	if w.old {
		copy(sb[52:62], "ReIsErFs\x00\x00")
	}
	le.PutUint16(sb[68:], 3)
	le.PutUint16(sb[70:], 1)
	root := b[70*block:]
	le.PutUint16(root, 2)
	le.PutUint16(root[2:], uint16(len(w.leaves)-1))
	for n, leaf := range w.leaves {
		if n > 0 {
			copy(root[24+16*(n-1):], w.key(leaf[0]))
		}
		le.PutUint32(root[24+16*(len(w.leaves)-1)+8*n:], uint32(71+n))
		p := b[(71+n)*block:][:block]
		le.PutUint16(p, 1)
		le.PutUint16(p[2:], uint16(len(leaf)))
		end := block
		for i, item := range leaf {
			end -= len(item.body)
			copy(p[end:], item.body)
			head := p[24+24*i:]
			copy(head, w.key(item))
			for at, v := range []uint16{item.count, uint16(len(item.body)), uint16(end), 1} {
				if at == 3 && (w.old || item.kind == 3) {
					v = 0
				}
				binary.LittleEndian.PutUint16(head[16+2*at:], v)
			}
		}
	}
	return b
}

// reiserByHand has a folder with a file of two blocks, a hole and a tail, a
// link and a device.
func reiserByHand(old bool) (image, content []byte) {
	w := &reiserWriter{old: old}
	blocks := []byte{90, 0, 0, 0, 0, 0, 0, 0, 92, 0, 0, 0}
	tail := []byte("the tail of a file, which stands in a leaf.....!")
	w.leaves = [][]reiserWritten{
		{w.stat(1, 2, 0o040755, 100, 0), w.names(1, 2, reiserName{"folder", 2, 3}, reiserName{"link", 2, 5}, reiserName{"dev", 2, 6})},
		{w.stat(2, 3, 0o040700, 100, 0), w.names(2, 3, reiserName{"file", 3, 4})},
		{w.stat(2, 5, 0o120777, 6, 0), {2, 5, 1, 2, 0xffff, []byte("folder\x00\x00")}, w.stat(2, 6, 0o020600, 0, 5<<8|1)},
		{w.stat(3, 4, 0o104755, 3*1024+45, 0), {3, 4, 1, 1, 0, blocks}},
		{{3, 4, 3*1024 + 1, 2, 0xffff, tail}},
	}
	b := w.image()
	copy(b[90*1024:91*1024], bytes.Repeat([]byte("first "), 171))
	copy(b[92*1024:93*1024], bytes.Repeat([]byte("third "), 171))
	content = append(append(append(content, b[90*1024:91*1024]...), make([]byte, 1024)...), b[92*1024:93*1024]...)
	return b, append(content, tail[:45]...)
}

func TestReiserFSByHand(t *testing.T) {
	for _, old := range []bool{false, true} {
		b, want := reiserByHand(old)
		o := unpacktest.OpenBytes(t, ReiserFS, b)
		if (o.Format == "reiserfs 3.5") != old {
			t.Errorf("old %v: %s", old, o.Format)
		}
		tree := unpack.NewTree(o.Entries)
		e := tree.Entry("folder/file")
		if e == nil {
			t.Fatalf("%q", tree.Paths())
		}
		if got, err := unpack.ReadAll(e.Data, 1<<20); err != nil || !bytes.Equal(got, want) || e.UID != 1000 || e.ModTime.Unix() != 1e9 {
			t.Errorf("old %v: %v, %d bytes of %d, %+v", old, err, len(got), len(want), e)
		}
		if tree.Entry("link").Link != "folder" || tree.Entry("dev").Major != 5 {
			t.Errorf("%+v %+v", tree.Entry("link"), tree.Entry("dev"))
		}
	}
}

func TestReiserFSDamage(t *testing.T) {
	for _, old := range []bool{false, true} {
		b, _ := reiserByHand(old)
		damage(t, ReiserFS, b, unpacktest.Damaged{Rounds: 1000, Unchecked: true})
	}
}

func TestReiserFSHostile(t *testing.T) {
	b, _ := reiserByHand(false)
	loop := bytes.Clone(b) // the inner node is its own child, and a leaf too
	le.PutUint32(loop[70*1024+24+16*4:], 70)
	if o, err := ReiserFS.Open(unpacktest.Input(loop)); err == nil && o.Err == nil {
		t.Error("a loop of nodes is not noticed")
	}
	w := &reiserWriter{}
	w.leaves = [][]reiserWritten{
		{w.stat(1, 2, 0o040755, 100, 0), w.names(1, 2, reiserName{"folder", 1, 3})},
		{w.stat(1, 3, 0o040700, 100, 0), w.names(1, 3, reiserName{"up", 1, 2})},
	}
	if o, err := ReiserFS.Open(unpacktest.Input(w.image())); err != nil || o.Err == nil || !strings.Contains(o.Err.Error(), "loop") {
		t.Errorf("a loop of folders: %v", err)
	}
	for _, n := range []int{72 << 10, 80 << 10, len(b) - 1} {
		if o, err := ReiserFS.Open(unpacktest.Input(b[:n])); err != nil || o.Err == nil || o.Size != int64(n) {
			t.Errorf("cut to %d: %v", n, err)
		}
	}
	for at, v := range map[int]byte{52: 'X', 44: 1, 8: 200, 68: 1, 70: 9} {
		x := bytes.Clone(b)
		x[64<<10+at] = v
		if _, err := ReiserFS.Open(unpacktest.Input(x)); !errors.Is(err, unpack.ErrNotThis) {
			t.Errorf("byte %d: accepted: %v", at, err)
		}
	}
}

func FuzzReiserFS(f *testing.F) {
	old, _ := reiserByHand(true)
	b, _ := reiserByHand(false)
	unpacktest.FuzzPatched(f, ReiserFS, nil, old, b)
}
