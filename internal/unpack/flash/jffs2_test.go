package flash

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"github.com/klauspost/compress/zlib"
	"github.com/ulikunitz/xz/lzma"
	"pgregory.net/rapid"
)

func mkfsJFFS2(t testing.TB, tree string, args ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.jffs2")
	testtool.Run(t, tree, "mkfs.jffs2", append(args, "-r", ".", "-o", out)...)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestJFFS2Tool(t *testing.T) {
	tree := unpacktest.SampleTree(t)
	want := unpacktest.SummaryOfFolder(t, tree)
	for _, args := range []string{
		"-l", "-b", "-l -n", "-b -p", "-l -p0x800000 -e 128", "-b -e 16 -n -p",
		"-l -x zlib -x rtime -X lzo", "-b -x zlib -x rtime -X lzo", "-l -x zlib", "-b -x zlib", "-l -m none", "-b -m size -X lzo", "-l -s 16384", "-l -c 16",
	} {
		t.Run(args, func(t *testing.T) {
			b := mkfsJFFS2(t, tree, strings.Fields(args)...)
			o := unpacktest.OpenBytes(t, JFFS2, b)
			unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
			if o.Size != int64(len(b)) || o.Info["nodes with a wrong checksum"] != "" {
				t.Errorf("size %d of %d, %v", o.Size, len(b), o.Info)
			}
			// Something else behind it is not its own.
			behind := unpacktest.OpenBytes(t, JFFS2, append(bytes.Clone(b), unpacktest.Noise(1, 600<<10)...))
			if pad := int64(len(b)) - behind.Size; pad < 0 || !unpack.OnlyPadding(unpack.Slice(b), behind.Size) {
				t.Errorf("with bytes behind: size %d of %d", behind.Size, len(b))
			}
			links := map[string]uint64{}
			for _, e := range o.Entries {
				links[e.Path] = e.Inode
			}
			if links["lib/random"] == 0 || links["lib/random"] != links["lib/random.hard"] || links["lib/half"] == links["lib/random"] {
				t.Error("hard links are not told")
			}
		})
	}
}

// TestJFFS2Trees packs random trees in random ways.
func TestJFFS2Trees(t *testing.T) {
	testtool.Need(t, "mkfs.jffs2")
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "tree")
		if err != nil {
			rt.Fatal(err)
		}
		unpacktest.RandomTree(rt, dir)
		args := []string{rapid.SampledFrom([]string{"-l", "-b"}).Draw(rt, "order"), "-e", rapid.SampledFrom([]string{"8", "64", "256"}).Draw(rt, "block")}
		for _, flags := range []string{"-n", "-p", "-X lzo", "-x zlib", "-x rtime", "-m size"} {
			if rapid.IntRange(0, 3).Draw(rt, flags) == 0 {
				args = append(args, strings.Fields(flags)...)
			}
		}
		b := mkfsJFFS2(t, dir, args...)
		if len(b) == 0 {
			return // an empty tree makes an empty image
		}
		o := unpacktest.OpenBytes(t, JFFS2, b)
		unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), unpacktest.SummaryOfObject(t, o))
		if o.Size != int64(len(b)) {
			t.Errorf("size %d of %d", o.Size, len(b))
		}
	})
}

func TestJFFS2Summary(t *testing.T) {
	tree := unpacktest.SampleTree(t)
	for _, order := range []string{"-l", "-b"} {
		dir := t.TempDir()
		unpacktest.WriteFile(t, dir, "in", mkfsJFFS2(t, tree, order, "-e", "128"))
		testtool.Run(t, dir, "sumtool", order, "-e", "0x20000", "-i", "in", "-o", "out", "-p")
		b, _ := os.ReadFile(filepath.Join(dir, "out"))
		o := unpacktest.OpenBytes(t, JFFS2, b)
		unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, tree), unpacktest.SummaryOfObject(t, o))
		if o.Size != int64(len(b)) {
			t.Errorf("size %d of %d", o.Size, len(b))
		}
	}
}

func TestJFFS2Xattr(t *testing.T) {
	tree := t.TempDir()
	file := unpacktest.WriteFile(t, tree, "f", []byte("content"))
	if err := setXattr(file, "user.note", "a value"); err != nil {
		t.Skip(err)
	}
	want := map[string]string{"user.note": "a value"}
	if setXattr(file, "security.capability", "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00") == nil {
		want["security.capability"] = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	}
	for _, order := range []string{"-l", "-b"} {
		o := unpacktest.OpenBytes(t, JFFS2, mkfsJFFS2(t, tree, order, "--with-xattr"))
		e := unpack.NewTree(o.Entries).Entry("f")
		if fmt.Sprint(e.Xattrs) != fmt.Sprint(want) {
			t.Errorf("%q", e.Xattrs)
		}
	}
}

func TestJFFS2Corpus(t *testing.T) {
	var sums []unpacktest.Summary
	for _, name := range []string{"jffs2_le.img", "jffs2_be.img"} {
		o := unpacktest.Open(t, JFFS2, unpacktest.Corpus(t, "formats/"+name))
		sums = append(sums, unpacktest.SummaryOfObject(t, o))
		if o.Size != 131072 || len(o.Entries) < 3 {
			t.Errorf("%s: %d bytes, %d entries", name, o.Size, len(o.Entries))
		}
	}
	unpacktest.SameSummary(t, sums[0], sums[1])
}

// jffs2Writer makes images as the kernel's driver would leave them.
type jffs2Writer struct {
	bytes.Buffer
	order binary.ByteOrder
}

func (w *jffs2Writer) words(b []byte, at int, v ...uint32) {
	for i, x := range v {
		w.order.PutUint32(b[at+4*i:], x)
	}
}

func (w *jffs2Writer) node(kind uint16, b []byte) {
	w.order.PutUint16(b, jffs2Magic)
	w.order.PutUint16(b[2:], kind)
	w.words(b, 4, uint32(len(b)))
	w.words(b, 8, jffs2Sum(b[:8]))
	switch kind {
	case jffs2Dirent:
		w.words(b, 32, jffs2Sum(b[:32]), jffs2Sum(b[40:]))
	case jffs2Inode:
		w.words(b, 60, jffs2Sum(b[68:]), jffs2Sum(b[:60]))
	}
	w.Write(b)
	for w.Len()%4 != 0 {
		w.WriteByte(0xff)
	}
}

func (w *jffs2Writer) clean() { w.node(jffs2Clean, make([]byte, 12)) }

func (w *jffs2Writer) dirent(parent, version, ino uint32, kind byte, name string) {
	b := append(make([]byte, 40), name...)
	w.words(b, 12, parent, version, ino, 1000)
	b[28], b[29] = byte(len(name)), kind
	w.node(jffs2Dirent, b)
}

func (w *jffs2Writer) inode(ino, version, mode, size, offset, unpacked uint32, method byte, packed []byte) {
	b := append(make([]byte, 68), packed...)
	w.words(b, 12, ino, version, mode)
	w.words(b, 28, size, 1, 1, 1, offset, uint32(len(packed)), unpacked)
	b[56] = method
	w.node(jffs2Inode, b)
}

// packJFFS2 packs content with a method of the format.
func packJFFS2(t interface{ Fatal(...any) }, method byte, b []byte) []byte {
	var out bytes.Buffer
	switch method {
	case 0:
		return b
	case 3, 5:
		return packRubin(method == 3, b)
	case 6:
		z := zlib.NewWriter(&out)
		z.Write(b)
		z.Close()
	case 8:
		z, err := lzma.WriterConfig{Properties: &lzma.Properties{}, DictCap: 0x2000, Size: int64(len(b)), SizeInHeader: true}.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		z.Write(b)
		z.Close()
		return out.Bytes()[13:]
	default: // rtime without repeats
		for _, c := range b {
			out.WriteByte(c)
			out.WriteByte(0)
		}
	}
	return out.Bytes()
}

// TestJFFS2Property writes random histories of files and expects what a model
// of them says.
func TestJFFS2Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &jffs2Writer{order: rapid.SampledFrom([]binary.ByteOrder{binary.LittleEndian, binary.BigEndian}).Draw(t, "order")}
		type state struct {
			ino, version uint32
			content      []byte
		}
		want := map[string]*state{}
		next, dirVersion := uint32(2), uint32(0)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			name := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name")
			s := want[name]
			if s == nil {
				s = &state{ino: next}
				next++
				want[name] = s
				s.version++
				w.inode(s.ino, s.version, 0o100644, 0, 0, 0, 0, nil)
				dirVersion++
				w.dirent(1, dirVersion, s.ino, 8, name)
			}
			s.version++
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0: // removed
				dirVersion++
				w.dirent(1, dirVersion, 0, 8, name)
				delete(want, name)
			case 1: // cut
				n := rapid.IntRange(0, len(s.content)).Draw(t, "cut")
				s.content = s.content[:n:n]
				w.inode(s.ino, s.version, 0o100644, uint32(n), uint32(n), 0, 0, nil)
			case 2: // renamed
				to := rapid.SampledFrom([]string{"e", "f"}).Draw(t, "to")
				dirVersion++
				w.dirent(1, dirVersion, s.ino, 8, to)
				dirVersion++
				w.dirent(1, dirVersion, 0, 8, name)
				delete(want, name)
				want[to] = s
			case 3: // grown by a hole
				n := rapid.IntRange(1, 100).Draw(t, "hole")
				w.inode(s.ino, s.version, 0o100644, uint32(len(s.content)+n), uint32(len(s.content)), uint32(n), 1, nil)
				s.content = append(s.content[:len(s.content):len(s.content)], make([]byte, n)...)
			default: // written
				piece := rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "piece")
				at := rapid.IntRange(0, len(s.content)).Draw(t, "at")
				content := make([]byte, max(len(s.content), at+len(piece)))
				copy(content, s.content)
				copy(content[at:], piece)
				s.content = content
				method := rapid.SampledFrom([]byte{0, 2, 3, 5, 6, 8}).Draw(t, "method")
				w.inode(s.ino, s.version, 0o100644, uint32(len(content)), uint32(at), uint32(len(piece)), method, packJFFS2(t, method, piece))
			}
			if rapid.IntRange(0, 9).Draw(t, "torn") == 0 {
				w.Write(unpacktest.Noise(int64(next), 4*rapid.IntRange(1, 30).Draw(t, "garbage")))
			}
		}
		o, err := JFFS2.Open(unpacktest.Input(w.Bytes()))
		if err != nil || o.Err != nil {
			t.Fatal(err, o)
		}
		got := map[string]bool{}
		for i := range o.Entries {
			e := &o.Entries[i]
			if e.Deleted || e.Path == "." {
				continue
			}
			got[e.Path] = true
			s := want[e.Path]
			if s == nil {
				t.Fatalf("%s should not be there", e.Path)
			}
			var b []byte
			if e.Data != nil {
				if b, err = unpack.ReadAll(e.Data, 1<<20); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(b, s.content) {
				t.Fatalf("%s: %d bytes %x, want %d %x", e.Path, len(b), b, len(s.content), s.content)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func TestJFFS2Deleted(t *testing.T) {
	w := &jffs2Writer{order: binary.LittleEndian}
	w.inode(2, 1, 0o100600, 6, 0, 6, 0, []byte("secret"))
	w.dirent(1, 1, 2, 8, "gone")
	w.dirent(1, 2, 0, 8, "gone")
	w.inode(3, 1, 0o100600, 4, 0, 4, 0, []byte("kept"))
	w.dirent(1, 3, 3, 8, "old name")
	w.dirent(1, 4, 3, 8, "new name")
	w.dirent(1, 5, 0, 8, "old name")
	// NOR flash clears a bit of the node's type.
	at := w.Len()
	w.inode(4, 1, 0o100600, 8, 0, 8, 0, []byte("obsolete"))
	at2 := w.Len()
	w.dirent(1, 6, 4, 8, "nor")
	b := w.Bytes()
	b[at+3] &^= 0x20
	b[at2+3] &^= 0x20
	o := unpacktest.OpenBytes(t, JFFS2, b)
	got := map[string]string{}
	for _, e := range o.Entries {
		c, _ := unpack.ReadAll(e.Data, 100)
		got[fmt.Sprintf("%s %v", e.Path, e.Deleted)] = string(c)
	}
	want := map[string]string{"gone true": "secret", "new name false": "kept", "nor true": "obsolete"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestJFFS2Damage changes one byte after the other and expects errors, older
// content or missing files, never other bytes.
func TestJFFS2Damage(t *testing.T) {
	w := &jffs2Writer{order: binary.BigEndian}
	w.clean()
	text := bytes.Repeat([]byte("0123456789abcdef"), 20)
	w.inode(2, 1, 0o100600, 320, 0, 320, 6, packJFFS2(t, 6, text))
	w.dirent(1, 1, 2, 8, "f")
	for i := range w.Bytes() {
		b := bytes.Clone(w.Bytes())
		b[i] ^= 0x10
		o, err := JFFS2.Open(unpacktest.Input(b))
		if err != nil {
			continue
		}
		for _, e := range o.Entries {
			if e.Data == nil {
				continue
			}
			if c, err := unpack.ReadAll(e.Data, 1000); e.Err == nil && err == nil && !bytes.Equal(c, text) {
				t.Fatalf("byte %d: %q without an error", i, c)
			}
		}
	}
	o, err := JFFS2.Open(unpacktest.Input(w.Bytes()[:w.Len()-4]))
	if err != nil || len(o.Gaps) != 1 || o.Size != int64(w.Len()-4) {
		t.Errorf("truncated: %v %v", o, err)
	}
}

// TestJFFS2Changed: each node has checksums, and what is missing is said. Two
// things can't be told: a log may end behind any node, and one bit of a node
// says that it counts no more.
func TestJFFS2Changed(t *testing.T) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		w := &jffs2Writer{order: order}
		w.clean()
		for n := range uint32(12) {
			for i, method := range []byte{0, 2, 3, 5, 6, 8} {
				piece := bytes.Repeat([]byte{'a' + byte(n), 'b'}, 150)
				w.inode(n+2, uint32(i+1), 0o100644, 1800, uint32(i*300), 300, method, packJFFS2(t, method, piece))
			}
			w.dirent(1, n+1, n+2, 8, fmt.Sprint("file", n))
		}
		unpacktest.Damage(t, JFFS2, w.Bytes(), unpacktest.Damaged{Rounds: 1000, Unchecked: true})
	}
}

// TestJFFS2Neighbours puts file systems behind each other, as partitions are.
func TestJFFS2Neighbours(t *testing.T) {
	image := func(n int, clean int, ino uint32) []byte {
		w := &jffs2Writer{order: binary.LittleEndian}
		for range clean {
			w.clean()
			if w.Len() > 12 {
				break
			}
		}
		if ino != 0 {
			w.dirent(1, 1, ino, 8, fmt.Sprintf("file-%d", ino))
			w.inode(ino, 1, 0o100644, 3, 0, 3, 0, []byte("abc"))
		}
		for w.Len() < n {
			w.WriteByte(0xff)
		}
		return w.Bytes()
	}
	flash := unpacktest.Noise(9, 0x10000)
	flash = append(flash, image(0x10000, 1, 2)...)
	flash = append(flash, image(0x10000, 1, 3)...)
	flash = append(flash, image(0x10000, 1, 0)...)
	flash = append(flash, image(0x10000, 0, 4)...)
	res, err := unpack.Explore(context.Background(), "flash", unpack.Slice(flash), unpack.Options{Readers: []*unpack.Reader{JFFS2}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range res.Root.Content.Children {
		if n.Content.Tree != nil {
			got = append(got, n.Step+" "+strings.Join(n.Content.Tree.Paths(), " "))
		}
	}
	if len(got) < 3 || got[0] != "jffs2@0x10000 . file-2" || got[1] != "jffs2@0x20000 . file-3" || !strings.HasSuffix(got[len(got)-1], "file-4") {
		t.Error(got)
	}
}

func TestJFFS2Modes(t *testing.T) {
	w := &jffs2Writer{order: binary.BigEndian}
	w.inode(2, 1, 0o104755, 0, 0, 0, 0, nil)
	w.dirent(1, 1, 2, 8, "su")
	w.inode(3, 1, 0o020600, 0, 0, 4, 0, []byte{0, 0x10, 0x01, 0x23}) // new form: minor over 255
	w.dirent(1, 2, 3, 2, "dev")
	w.inode(4, 1, 0o060600, 0, 0, 2, 0, []byte{8, 1})
	w.dirent(1, 3, 4, 6, "old")
	o := unpacktest.OpenBytes(t, JFFS2, w.Bytes())
	tree := unpack.NewTree(o.Entries)
	if m := tree.Entry("su").Mode; m != 0o755|fs.ModeSetuid {
		t.Error(m)
	}
	if e := tree.Entry("dev"); e.Major != 1 || e.Minor != 0x123 || e.Mode != 0o600|fs.ModeDevice|fs.ModeCharDevice {
		t.Errorf("%+v", e)
	}
	if e := tree.Entry("old"); e.Major != 8 || e.Minor != 1 {
		t.Errorf("%+v", e)
	}
}

func FuzzJFFS2(f *testing.F) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		w := &jffs2Writer{order: order}
		w.clean()
		for i, method := range []byte{0, 2, 3, 5, 6, 8} {
			w.inode(2, uint32(i+1), 0o100644, 400, uint32(i*100), 100, method, packJFFS2(f, method, bytes.Repeat([]byte("ab"), 50)))
		}
		w.dirent(1, 1, 2, 8, "f")
		w.dirent(1, 2, 3, 4, "d")
		w.dirent(3, 1, 3, 4, "loop")
		w.inode(4, 1, 0o120777, 1, 0, 1, 0, []byte("x"))
		w.dirent(3, 2, 4, 10, "l")
		f.Add(w.Bytes())
	}
	unpacktest.Fuzz(f, JFFS2)
}

func setXattr(file, name, value string) error { return syscall.Setxattr(file, name, []byte(value), 0) }
