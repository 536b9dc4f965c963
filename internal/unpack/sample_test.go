package unpack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
)

// sampleTree makes a folder with what readers get wrong: empty, sparse, large,
// compressible and random files, hard links, symbolic links of all sorts, odd
// names, deep folders, a folder with many names, modes with setuid.
func sampleTree(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	rnd := rand.New(rand.NewSource(7))
	random := func(n int) []byte { b := make([]byte, n); rnd.Read(b); return b }
	text := func(n int) []byte { return bytes.Repeat([]byte("the quick brown fox 0123456789\n"), n/31+1)[:n] }
	put := func(name string, content []byte, mode os.FileMode) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
	}
	put("empty", nil, 0o644)
	put("one", []byte{0}, 0o600)
	put("etc/passwd", []byte("root:x:0:0:root:/root:/bin/sh\n"), 0o644)
	put("bin/su", random(4096), 0o755|os.ModeSetuid)
	put("bin/wall", text(4095), 0o755|os.ModeSetgid)
	put("bin/text", text(700_001), 0o755)
	put("lib/random", random(300_007), 0o644)
	put("lib/half", append(text(131_072), random(131_073)...), 0o644)
	put("var/zeros", make([]byte, 200_000), 0o644)
	sparse := make([]byte, 1_500_000)
	copy(sparse[1_000_000:], "in the middle")
	copy(sparse[1_499_990:], "the end")
	put("var/sparse", sparse, 0o644)
	if f, err := os.OpenFile(filepath.Join(dir, "var/hole"), os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
		f.WriteAt([]byte("x"), 900_000)
		f.Close()
	}
	put("odd/with space", []byte("a"), 0o644)
	put("odd/new\nline", []byte("b"), 0o644)
	put("odd/b\xfcro", []byte("latin-1"), 0o644)
	put("odd/日本語", []byte("utf-8"), 0o644)
	put("odd/-rf", []byte("c"), 0o644)
	put("odd/"+strings.Repeat("n", 200), []byte("long name"), 0o644)
	put("a/b/c/d/e/f/g/h/deep", []byte("deep"), 0o644)
	for i := range 300 {
		put(fmt.Sprintf("many/file-%03d", i), text(i*7), 0o644)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(filepath.Join(dir, "void"), 0o700))
	must(os.Link(filepath.Join(dir, "lib/random"), filepath.Join(dir, "lib/random.hard")))
	must(os.Symlink("passwd", filepath.Join(dir, "etc/relative")))
	must(os.Symlink("/etc/passwd", filepath.Join(dir, "absolute")))
	must(os.Symlink("../../../../etc/shadow", filepath.Join(dir, "etc/outside")))
	must(os.Symlink("loop", filepath.Join(dir, "loop")))
	must(os.Symlink(strings.Repeat("x/", 120)+"y", filepath.Join(dir, "longlink")))
	syscall.Mkfifo(filepath.Join(dir, "var/pipe"), 0o644)
	if os.Getuid() == 0 {
		syscall.Mknod(filepath.Join(dir, "var/null"), syscall.S_IFCHR|0o666, 1<<8|3)
		syscall.Mknod(filepath.Join(dir, "var/disk"), syscall.S_IFBLK|0o660, 8<<8|1)
		os.Chown(filepath.Join(dir, "bin/su"), 12, 34)
	}
	return dir
}

// summary is a line a file: type, permissions, owner, and the SHA-256 of the
// content or the link's target. What a format can't hold is cut by drop.
type summary map[string]string

func summaryOfFolder(t testing.TB, dir string) summary {
	t.Helper()
	s := summary{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		if rel == "." {
			return nil
		}
		fi, err := os.Lstat(p)
		if err != nil {
			return err
		}
		st := fi.Sys().(*syscall.Stat_t)
		content := ""
		switch {
		case fi.Mode().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			content = fmt.Sprintf("%d %x", len(b), sha256.Sum256(b))
		case fi.Mode()&fs.ModeSymlink != 0:
			content, _ = os.Readlink(p)
		case fi.Mode()&fs.ModeDevice != 0:
			content = fmt.Sprintf("%d,%d", st.Rdev>>8&0xfff, st.Rdev&0xff)
		}
		s[rel] = fmt.Sprintf("%v %d:%d %s", shownMode(fi.Mode()), st.Uid, st.Gid, content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shownMode leaves out the permissions of links, which no format agrees on.
func shownMode(m fs.FileMode) fs.FileMode {
	if m&fs.ModeSymlink != 0 {
		return fs.ModeSymlink
	}
	return m
}

func summaryOfObject(t testing.TB, o *Object) summary {
	t.Helper()
	tree := NewTree(o.Entries)
	s := summary{}
	for _, p := range tree.Paths() {
		e := tree.Entry(p)
		if p == "." {
			continue
		}
		content := ""
		switch {
		case e.Err != nil:
			content = "error: " + e.Err.Error()
		case e.Mode.IsRegular():
			var b []byte
			if e.Data != nil {
				var err error
				if b, err = ReadAll(e.Data, 1<<30); err != nil {
					t.Errorf("%s: %v", p, err)
				}
			}
			content = fmt.Sprintf("%d %x", len(b), sha256.Sum256(b))
		case e.Mode&fs.ModeSymlink != 0:
			content = e.Link
		case e.Mode&fs.ModeDevice != 0:
			content = fmt.Sprintf("%d,%d", e.Major, e.Minor)
		}
		s[p] = fmt.Sprintf("%v %d:%d %s", shownMode(e.Mode), e.UID, e.GID, content)
	}
	return s
}

// sameSummary fails the test with the differing lines, of both sides.
func sameSummary(t testing.TB, want, got summary) {
	t.Helper()
	var names []string
	for p := range want {
		names = append(names, p)
	}
	for p := range got {
		if _, ok := want[p]; !ok {
			names = append(names, p)
		}
	}
	sort.Strings(names)
	bad := 0
	for _, p := range names {
		if want[p] != got[p] && bad < 20 {
			bad++
			t.Errorf("%q\nwant %s\ngot  %s", p, want[p], got[p])
		}
	}
}

// openWith opens a file of the machine with one reader.
func openWith(t testing.TB, r *Reader, file string) *Object {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return openBytes(t, r, b)
}

func openBytes(t testing.TB, r *Reader, b []byte) *Object {
	t.Helper()
	o, err := r.Open(newInput(b))
	if err != nil {
		t.Fatalf("%s: %v", r.Name, err)
	}
	if o.Err != nil {
		t.Errorf("%s: %v", r.Name, o.Err)
	}
	return o
}

func newInput(b []byte) *Input {
	return &Input{Context: context.Background(), Data: Slice(b), Whole: true, Budget: NewBudget(Limits{})}
}

// fuzzReader is the body of every reader's fuzz target: any bytes give an
// object or an error, and what an object offers can be read or fails, without
// panic, within small limits.
func fuzzReader(f *testing.F, r *Reader, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := newInput(b)
		in.Budget = NewBudget(Limits{Bytes: 32 << 20, Memory: 32 << 20, Files: 5000})
		o, err := r.Open(in)
		if err != nil {
			return
		}
		if o.Size < 0 || o.Size > int64(len(b)) {
			t.Fatalf("claims %d of %d bytes", o.Size, len(b))
		}
		tree := NewTree(o.Entries)
		read := int64(0)
		for _, p := range tree.Paths() {
			tree.Resolve(p)
			if e := tree.Entry(p); e.Data != nil && read < 8<<20 {
				read += int64(len(ReadSome(e.Data, 0, 1<<20)))
				ReadSome(e.Data, max(0, e.Data.Size()-512), 512)
			}
		}
		for _, p := range o.Parts {
			if p.Data != nil {
				ReadSome(p.Data, 0, 1<<20)
			}
		}
	})
}
