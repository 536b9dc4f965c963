package volume

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

// mkntfs makes an empty volume in a file.
func mkntfs(t testing.TB, size int64, args ...string) string {
	t.Helper()
	img := filepath.Join(t.TempDir(), "ntfs.img")
	if err := os.WriteFile(img, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(img, size); err != nil {
		t.Fatal(err)
	}
	testtool.Run(t, "", "mkntfs", append(append([]string{"-F", "-Q", "-q"}, args...), img)...)
	return img
}

// withNTFS mounts a volume with ntfs-3g while f fills it. Only root may, and
// not everywhere.
func withNTFS(t testing.TB, img, options string, f func(dir string)) {
	t.Helper()
	testtool.Need(t, "ntfs-3g")
	dir := t.TempDir()
	if out, err := exec.Command("ntfs-3g", "-o", options, img, dir).CombinedOutput(); err != nil {
		t.Skipf("ntfs-3g can't mount here: %v %s", err, out)
	}
	defer func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}()
	f(dir)
}

// copyTree is cp -a, which keeps links, holes and times.
func copyTree(t testing.TB, from, to string) {
	t.Helper()
	testtool.Run(t, "", "cp", "-a", "--no-preserve=ownership", from+"/.", to)
}

// TestNTFSFiles needs no mount: ntfscp puts files into the root folder.
func TestNTFSFiles(t *testing.T) {
	rnd := rand.New(rand.NewSource(3))
	for _, args := range []string{"", "-c 512", "-c 65536", "-s 4096", "-s 1024 -c 1024"} {
		t.Run(strings.ReplaceAll(args, " ", "_"), func(t *testing.T) {
			img := mkntfs(t, 24<<20, append(strings.Fields(args), "-L", "the label")...)
			want := map[string][]byte{}
			dir := t.TempDir()
			for i, size := range []int{0, 1, 500, 700, 4096, 70_001, 1_500_000} {
				name := fmt.Sprintf("file %d", i)
				want[name] = make([]byte, size)
				rnd.Read(want[name])
				src := filepath.Join(dir, name)
				os.WriteFile(src, want[name], 0o644)
				testtool.Run(t, "", "ntfscp", "-q", img, src, name)
			}
			os.WriteFile(filepath.Join(dir, "s"), []byte("a stream"), 0o644)
			testtool.Run(t, "", "ntfscp", "-q", "-N", "hidden", img, filepath.Join(dir, "s"), "file 2")
			want["file 2:hidden"] = []byte("a stream")
			b := readFile(t, img)
			o := unpacktest.OpenBytes(t, NTFS, append(bytes.Clone(b), "something behind it"...))
			if o.Size != int64(len(b)) || o.Info["label"] != "the label" || o.Format != "ntfs 3.1" {
				t.Errorf("%s, size %d of %d, %v", o.Format, o.Size, len(b), o.Info)
			}
			tree := unpack.NewTree(o.Entries)
			for name, content := range want {
				e := tree.Entry(name)
				if e == nil {
					t.Errorf("no %q in %q", name, tree.Paths())
					continue
				}
				got := []byte{}
				if e.Data != nil {
					got, _ = unpack.ReadAll(e.Data, 1<<30)
				}
				if !bytes.Equal(got, content) {
					t.Errorf("%q has %d bytes of %d, or others", name, len(got), len(content))
				}
			}
			if n := len(tree.Paths()); n != len(want)+2 { // the root, $Boot
				t.Errorf("%d files: %q", n, tree.Paths())
			}
		})
	}
}

// ntfsShown cuts from a summary what a volume without permissions can't keep.
func ntfsShown(s unpacktest.Summary) unpacktest.Summary {
	out := unpacktest.Summary{}
	for p, line := range s {
		if strings.HasPrefix(p, "$") {
			continue
		}
		f := strings.Fields(line)
		kind := strings.TrimLeft(line[:strings.IndexByte(line, ' ')], "ugt")
		out[p] = strings.Join(append([]string{strings.TrimRight(kind, "rwx-")}, f[2:]...), " ")
	}
	return out
}

func TestNTFSTree(t *testing.T) {
	src := unpacktest.SampleTree(t)
	os.Remove(filepath.Join(src, "odd/b\xfcro")) // names are Unicode
	for _, c := range []struct{ make, options string }{
		{"", "rw"}, {"-c 1024", "rw"}, {"", "compression"}, {"-c 512", "compression"}, {"", "special_files=wsl"},
	} {
		t.Run(c.make+" "+c.options, func(t *testing.T) {
			img := mkntfs(t, 32<<20, strings.Fields(c.make)...)
			withNTFS(t, img, c.options, func(dir string) {
				if c.options == "compression" {
					syscall.Setxattr(dir, "system.ntfs_attrib", []byte{0, 8, 0, 0}, 0) // compress what is put in
				}
				copyTree(t, src, dir)
			})
			o := unpacktest.Open(t, NTFS, img)
			unpacktest.SameSummary(t, ntfsShown(unpacktest.SummaryOfFolder(t, src)), ntfsShown(unpacktest.SummaryOfObject(t, o)))
			a, b := unpack.NewTree(o.Entries).Entry("lib/random"), unpack.NewTree(o.Entries).Entry("lib/random.hard")
			if a == nil || b == nil || a.Inode == 0 || a.Inode != b.Inode {
				t.Error("a hard link is none")
			}
			packed := 0
			for _, e := range o.Entries {
				if _, ok := e.Data.(*ntfsPacked); ok {
					packed++
				}
			}
			if (c.options == "compression") != (packed > 100) {
				t.Errorf("%d files are compressed", packed)
			}
		})
	}
}

// TestNTFSDeleted: files whose records are still there.
func TestNTFSDeleted(t *testing.T) {
	img := mkntfs(t, 16<<20)
	content := bytes.Repeat([]byte("deleted content "), 2000)
	withNTFS(t, img, "rw", func(dir string) {
		os.MkdirAll(filepath.Join(dir, "sub"), 0o755)
		os.WriteFile(filepath.Join(dir, "sub/gone"), content, 0o644)
		os.WriteFile(filepath.Join(dir, "sub/kept"), content, 0o644)
	})
	withNTFS(t, img, "rw", func(dir string) { os.Remove(filepath.Join(dir, "sub/gone")) })
	o := unpacktest.Open(t, NTFS, img)
	found := false
	for _, e := range o.Entries {
		if strings.HasSuffix(e.Path, "gone") {
			b, err := unpack.ReadAll(e.Data, 1<<20)
			found = e.Deleted && bytes.Equal(b, content) && err == nil
		} else if e.Deleted {
			t.Errorf("%s is deleted", e.Path)
		}
	}
	if !found {
		t.Error("the deleted file is missing")
	}
}

// TestNTFSFragments: a file in so many pieces that it needs an attribute list.
func TestNTFSFragments(t *testing.T) {
	img := mkntfs(t, 32<<20, "-c", "512")
	var sum [32]byte
	withNTFS(t, img, "rw", func(dir string) {
		var files []*os.File
		for i := range 2 {
			f, err := os.Create(filepath.Join(dir, fmt.Sprint("f", i)))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		h := sha256.New()
		rnd := rand.New(rand.NewSource(1))
		p := make([]byte, 512)
		for range 2500 {
			rnd.Read(p)
			for _, f := range files {
				f.Write(p)
				f.Sync()
			}
			h.Write(p)
		}
		for _, f := range files {
			f.Close()
		}
		// Many names take more than one record too.
		for i := range 60 {
			os.Link(filepath.Join(dir, "f0"), filepath.Join(dir, fmt.Sprintf("%s-%d", strings.Repeat("link", 20), i)))
		}
		copy(sum[:], h.Sum(nil))
	})
	o := unpacktest.Open(t, NTFS, img)
	n := 0
	for _, e := range o.Entries {
		if e.Path == "." || e.Path == "$Boot" {
			continue
		}
		b, err := unpack.ReadAll(e.Data, 1<<30)
		if n++; err != nil || sha256.Sum256(b) != sum {
			t.Errorf("%s: %d bytes, %v", e.Path, len(b), err)
		}
	}
	if n != 62 {
		t.Errorf("%d names", n)
	}
	v := &ntfs{in: unpacktest.Input(readFile(t, img))}
	v.data = v.in.Data
	v.g = unpack.NewGatherer(v.in)
	table, mirror, _ := v.boot(unpack.ReadSome(v.data, 0, 512))
	if err := v.openTable(table, mirror); err != nil {
		t.Fatal(err)
	}
	lists := 0
	for i := range v.table.Size() / v.record {
		if f, err := v.file(i); err == nil && f.find(ntfsList, "") != nil {
			lists++
		}
	}
	if lists < 2 {
		t.Errorf("%d attribute lists", lists)
	}
}

func TestNTFSRandomTrees(t *testing.T) {
	fewChecks(t, 8)
	rapid.Check(t, func(rt *rapid.T) {
		src := filepath.Join(t.TempDir(), "tree")
		os.MkdirAll(src, 0o755)
		unpacktest.RandomTree(rt, src)
		img := mkntfs(t, 16<<20)
		withNTFS(t, img, rapid.SampledFrom([]string{"rw", "compression"}).Draw(rt, "options"), func(dir string) {
			syscall.Setxattr(dir, "system.ntfs_attrib", []byte{0, 8, 0, 0}, 0) // compress what is put in
			copyTree(t, src, dir)
		})
		o := unpacktest.Open(t, NTFS, img)
		unpacktest.SameSummary(t, ntfsShown(unpacktest.SummaryOfFolder(t, src)), ntfsShown(unpacktest.SummaryOfObject(t, o)))
	})
}

// smallNTFS is a volume with a few files that needs no mount.
func smallNTFS(t testing.TB) []byte {
	img := mkntfs(t, 1<<20+4096, "-c", "512")
	src := filepath.Join(t.TempDir(), "src")
	for i, size := range []int{100, 5000, 30_000} {
		os.WriteFile(src, bytes.Repeat([]byte("content "), size/8), 0o644)
		testtool.Run(t, "", "ntfscp", "-q", img, src, fmt.Sprint("file", i))
	}
	return readFile(t, img)
}

func TestNTFSDamage(t *testing.T) {
	unpacktest.Damage(t, NTFS, smallNTFS(t), unpacktest.Damaged{Unchecked: true})
}

// TestNTFSCopies: the second boot sector and the mirror of the table.
func TestNTFSCopies(t *testing.T) {
	b := smallNTFS(t)
	boot := bytes.Clone(b)
	clear(boot[11:100])
	if o := unpacktest.OpenBytes(t, NTFS, boot); len(o.Entries) != 5 {
		t.Errorf("%d entries", len(o.Entries))
	}
	table := bytes.Clone(b)
	at := int64(binary.LittleEndian.Uint64(b[48:])) * 512
	table[at+510]++
	o, err := NTFS.Open(unpacktest.Input(table))
	if err != nil || o.Err == nil || len(o.Entries) != 5 {
		t.Errorf("%v %v", err, o)
	}
}

// TestNTFSEncrypted: the flag alone says so.
func TestNTFSEncrypted(t *testing.T) {
	b := smallNTFS(t)
	at := bytes.Index(b, []byte("f\x00i\x00l\x00e\x002\x00"))
	for at++; binary.LittleEndian.Uint32(b[at:]) != ntfsData || b[at+8] != 1; at++ {
	}
	b[at+13] = 0x40
	o := unpacktest.OpenBytes(t, NTFS, b)
	if e := unpack.NewTree(o.Entries).Entry("file2"); e == nil || !errors.Is(e.Err, unpack.ErrEncrypted) {
		t.Errorf("%v", e)
	}
}

// TestReparsePoints: links as Windows writes them, by hand.
func TestReparsePoints(t *testing.T) {
	u := func(s string) (b []byte) {
		for _, c := range s {
			b = binary.LittleEndian.AppendUint16(b, uint16(c))
		}
		return b
	}
	le := binary.LittleEndian
	link := func(tag uint32, subst, shown string, flags bool) []byte {
		p := le.AppendUint32(nil, tag)
		p = append(p, 0, 0, 0, 0)
		for _, n := range []int{0, len(subst) * 2, len(subst) * 2, len(shown) * 2} {
			p = le.AppendUint16(p, uint16(n))
		}
		if flags {
			p = append(p, 1, 0, 0, 0)
		}
		return append(append(p, u(subst)...), u(shown)...)
	}
	for _, c := range []struct {
		p    []byte
		tag  uint32
		want string
	}{
		{link(tagSymlink, `..\x\y`, `..\x\y`, true), tagSymlink, "../x/y"},
		{link(tagSymlink, `\??\C:\Users`, `C:\Users`, true), tagSymlink, "C:/Users"},
		{link(tagJunction, `\??\C:\Users\All`, ``, false), tagJunction, "C:/Users/All"},
	} {
		if got, err := windowsLink(c.p, c.tag); got != c.want || err != nil {
			t.Errorf("%q, %v instead of %q", got, err, c.want)
		}
	}
	if _, err := windowsLink(link(tagSymlink, "abc", "", true)[:24], tagSymlink); err == nil {
		t.Error("a cut link is none")
	}
	e := unpack.Entry{Mode: 0o755}
	wslAttributes([]byte("\x14\x00\x00\x00\x00\x06\x04\x00$LXUID\x00\xe8\x03\x00\x00\x00\x00\x00\x00\x00\x00\x06\x04\x00$LXMOD\x00\xed\x89\x00\x00"), &e)
	if e.Mode != fs.ModeSetuid|0o755 {
		t.Errorf("%v %d", e.Mode, e.UID)
	}
}

// TestLZNT1 compares with the example of [MS-XCA] 3.3 and refuses references
// to before the start.
func TestLZNT1(t *testing.T) {
	text := "F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# G F# E D E A F# F# G A A G F# E D D E F# E D D\x00"
	packed := "\x38\xb0\x88\x46\x23\x20\x00\x20\x47\x20\x41\x00\x10\xa2\x47\x01\xa0\x45\x20\x44\x00\x08\x45\x01\x50\x79\x00\xc0\x45\x20\x05\x24\x13\x88\x05\xb4\x02\x4a\x44\xef\x03\x58\x02\x8c\x09\x16\x01\x48\x45\x00\xbe\x00\x9e\x00\x04\x01\x18\x90\x00"
	if got, err := lznt1([]byte(packed), 4096); string(got) != text || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := lznt1([]byte("\x02\xb0\x01\x00\x10"), 4096); err == nil {
		t.Error("a reference to nowhere")
	}
}

func TestBitLocker(t *testing.T) {
	b := make([]byte, 256<<10)
	copy(b, "\xeb\x58\x90-FVE-FS-")
	copy(b[510:], "\x55\xaa")
	binary.LittleEndian.PutUint64(b[176:], 64<<10)
	copy(b[64<<10:], "-FVE-FS-")
	o, err := BitLocker.Open(unpacktest.Input(b))
	if err != nil || !errors.Is(o.Err, unpack.ErrEncrypted) || o.Size != int64(len(b)) {
		t.Errorf("%v %v", o, err)
	}
}

func TestNTFSCorpus(t *testing.T) {
	img := testtool.Run(t, "", "xz", "-dkc", unpacktest.Corpus(t, "formats/ntfs.img.xz"))
	o := unpacktest.OpenBytes(t, NTFS, img)
	files := 0
	for _, e := range o.Entries {
		if e.Mode.IsRegular() && !e.Deleted && e.Path != "$Boot" {
			files++
		}
	}
	t.Logf("%s: %d files, size %d of %d", o.Format, files, o.Size, len(img))
	if files == 0 || len(unpacktestErrors(o)) > 0 {
		t.Errorf("%v", unpacktestErrors(o))
	}
}

func FuzzNTFS(f *testing.F) {
	unpacktest.FuzzPatched(f, NTFS, nil, smallNTFS(f))
}
