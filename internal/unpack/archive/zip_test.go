package archive

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// zipOf packs a folder and returns the archive's bytes.
func zipOf(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "packed.zip")
	testtool.Run(t, dir, "zip", append(append([]string{"-q", "-r"}, args...), out, ".")...)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// zipTree is a sample without what zip can't hold.
func zipTree(t testing.TB) (string, unpacktest.Summary) {
	dir := unpacktest.SampleTree(t)
	for _, name := range []string{"var/pipe", "var/null", "var/disk"} {
		os.Remove(filepath.Join(dir, name))
	}
	return dir, unpacktest.SummaryOfFolder(t, dir)
}

// TestZipDescriptors has sizes and checksums behind the members. The tool
// refuses links that way.
func TestZipDescriptors(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int{"empty": 0, "small": 10, "a/large": 300_000} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		unpacktest.WriteFile(t, dir, name, unpacktest.MixedBytes(size))
	}
	o := unpacktest.OpenBytes(t, Zip, zipOf(t, dir, "-fd"))
	unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), unpacktest.SummaryOfObject(t, o))
}

func TestZip(t *testing.T) {
	dir, want := zipTree(t)
	for _, args := range [][]string{
		{"-y"}, {"-y", "-0"}, {"-y", "-9"}, {"-y", "-Z", "bzip2"}, {"-y", "-fz"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			b := zipOf(t, dir, args...)
			for _, rest := range []string{"", "rest"} {
				o := unpacktest.OpenBytes(t, Zip, append(bytes.Clone(b), rest...))
				unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
				if o.Size != int64(len(b)) {
					t.Errorf("size %d of %d", o.Size, len(b))
				}
			}
		})
	}
}

// TestZipStreamed packs what zip writes to a pipe: sizes stand behind content.
func TestZipStreamed(t *testing.T) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for name, content := range map[string][]byte{"one": unpacktest.MixedBytes(50_000), "two": nil, "folder/": nil} {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err != nil {
			t.Fatal(err)
		}
		f.Write(content)
	}
	w.Close()
	o := unpacktest.OpenBytes(t, Zip, buf.Bytes())
	tree := unpack.NewTree(o.Entries)
	if b, err := unpack.ReadAll(tree.Entry("one").Data, 1<<20); err != nil || !bytes.Equal(b, unpacktest.MixedBytes(50_000)) || !tree.Entry("folder").Mode.IsDir() {
		t.Errorf("%d bytes, %v, %v", len(b), err, tree.Paths())
	}
}

// TestZipSevenZip has the methods that only 7z packs.
func TestZipSevenZip(t *testing.T) {
	dir := t.TempDir()
	plain := unpacktest.MixedBytes(400_000)
	os.WriteFile(filepath.Join(dir, "file"), plain, 0o640)
	for _, method := range []string{"Deflate", "LZMA", "BZip2"} {
		out := filepath.Join(t.TempDir(), "out.zip")
		testtool.Run(t, dir, "7z", "a", "-tzip", "-mm="+method, out, "file")
		o := unpacktest.Open(t, Zip, out)
		if b, err := unpack.ReadAll(o.Entries[0].Data, 1<<20); err != nil || !bytes.Equal(b, plain) {
			t.Errorf("%s: %d bytes, %v", method, len(b), err)
		}
	}
	for _, crypt := range []string{"ZipCrypto", "AES256"} {
		out := filepath.Join(t.TempDir(), "out.zip")
		testtool.Run(t, dir, "7z", "a", "-tzip", "-psecret", "-mem="+crypt, out, "file")
		o := unpacktest.Open(t, Zip, out)
		if e := o.Entries[0]; !errors.Is(e.Err, unpack.ErrEncrypted) || e.Data.Size() == 0 {
			t.Errorf("%s: %v", crypt, e.Err)
		}
		b, _ := os.ReadFile(out)
		r, err := unpack.Explore(context.Background(), "x", unpack.Slice(b), unpack.Options{Readers: readers})
		if err != nil || len(r.Root.Content.Children) != 1 || r.Root.Content.Children[0].Content.Gaps[0].Reason != "encrypted" {
			t.Errorf("%s: %v", crypt, err)
		}
	}
}

// TestZipPrefixed has an archive behind a program, with offsets that count from
// the program's start and from the archive's.
func TestZipPrefixed(t *testing.T) {
	dir, want := zipTree(t)
	b := zipOf(t, dir, "-y")
	program := append([]byte("MZ"), unpacktest.MixedBytes(70_000)...)
	out := filepath.Join(t.TempDir(), "sfx.zip")
	os.WriteFile(out, append(bytes.Clone(program), b...), 0o644)
	for _, fixed := range []bool{false, true} {
		if fixed {
			testtool.Run(t, dir, "zip", "-q", "-A", out)
		}
		o := unpacktest.Open(t, ZipBehind, out)
		unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
		if before, err := unpack.ReadAll(o.Parts[0].Data, 1<<20); err != nil || !bytes.Equal(before, program) {
			t.Errorf("fixed %v: %d bytes before, %v", fixed, len(before), err)
		}
		// Carved, the archive alone is found in both.
		file, _ := os.ReadFile(out)
		in := unpacktest.Input(file[len(program):])
		in.Whole = false
		if o, err := Zip.Open(in); err != nil || o.Err != nil || o.Size != int64(len(b)) {
			t.Errorf("fixed %v: carved: %v", fixed, err)
		}
	}
}

// TestZipNested opens an archive whose stored member is an archive too.
func TestZipNested(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "inner"), []byte("x"), 0o644)
	inner := zipOf(t, dir)
	outer := t.TempDir()
	os.WriteFile(filepath.Join(outer, "inner.zip"), inner, 0o644)
	os.WriteFile(filepath.Join(outer, "other"), []byte("y"), 0o644)
	b := zipOf(t, outer, "-0")
	o := unpacktest.OpenBytes(t, Zip, b)
	if tree := unpack.NewTree(o.Entries); tree.Entry("inner.zip") == nil || tree.Entry("other") == nil || o.Size != int64(len(b)) {
		t.Errorf("%v, size %d of %d", tree.Paths(), o.Size, len(b))
	}
}

// TestZipDamaged reads what a cut archive still has, and never wrong bytes.
func TestZipDamaged(t *testing.T) {
	dir := t.TempDir()
	for i := range 5 {
		os.WriteFile(filepath.Join(dir, fmt.Sprint("file", i)), unpacktest.MixedBytes(10_000+i), 0o644)
	}
	b := zipOf(t, dir)
	o, err := Zip.Open(unpacktest.Input(b[:len(b)-100]))
	if err != nil || o.Err == nil || len(o.Entries) < 4 {
		t.Fatalf("cut: %v", err)
	}
	for i, e := range o.Entries[:len(o.Entries)-1] {
		if e.Mode.IsDir() {
			continue
		}
		if _, err := unpack.ReadAll(e.Data, 1<<20); err != nil {
			t.Errorf("cut: member %d: %v", i, err)
		}
	}
	// A changed byte of content: that member fails, the others do not.
	name := []byte("file2")
	at := bytes.Index(b, name)
	bad := bytes.Clone(b)
	bad[at+60] ^= 1
	for _, e := range unpacktest.OpenBytes(t, Zip, bad).Entries {
		if e.Data == nil {
			continue
		}
		if _, err := unpack.ReadAll(e.Data, 1<<20); (err != nil) != (e.Path == string(name)) {
			t.Errorf("%s: %v", e.Path, err)
		}
	}
}

// TestZipOverlap has two members that share their packed bytes, as bombs do.
func TestZipOverlap(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "one"), unpacktest.MixedBytes(5000), 0o644)
	b := zipOf(t, dir, "-D")
	at, end := bytes.Index(b, []byte(zipCentral)), bytes.Index(b, []byte(zipEnd))
	bomb := append(bytes.Clone(b[:end]), bytes.Replace(b[at:end], []byte("one"), []byte("two"), 1)...)
	tail := bytes.Clone(b[end:])
	binary.LittleEndian.PutUint16(tail[8:], 2)
	binary.LittleEndian.PutUint16(tail[10:], 2)
	binary.LittleEndian.PutUint32(tail[12:], uint32(2*(end-at)))
	o := unpacktest.OpenBytes(t, Zip, append(bomb, tail...))
	if len(o.Entries) != 2 || o.Entries[0].Err != nil || o.Entries[1].Err == nil {
		t.Errorf("%v", o.Entries)
	}
}

// TestZipRandomAccess reads pieces in any order.
func TestZipRandomAccess(t *testing.T) {
	dir := t.TempDir()
	plain := unpacktest.MixedBytes(300_000)
	os.WriteFile(filepath.Join(dir, "file"), plain, 0o644)
	var e unpack.Entry
	for _, e = range unpacktest.OpenBytes(t, Zip, zipOf(t, dir)).Entries {
		if e.Mode.Type() == 0 {
			break
		}
	}
	for _, off := range []int64{200_000, 10, 299_990, 0, 150_000} {
		p := make([]byte, 1000)
		n, err := e.Data.ReadAt(p, off)
		if err != nil && err != io.EOF || !bytes.Equal(p[:n], plain[off:off+int64(n)]) || n < 10 {
			t.Errorf("at %d: %d bytes, %v", off, n, err)
		}
	}
	if e.Mode != fs.FileMode(0o644) {
		t.Error(e.Mode)
	}
}

func FuzzZip(f *testing.F) {
	dir := f.TempDir()
	os.WriteFile(filepath.Join(dir, "file"), bytes.Repeat([]byte("content "), 50), 0o644)
	os.Symlink("file", filepath.Join(dir, "link"))
	unpacktest.Fuzz(f, Zip, zipOf(f, dir, "-y"), zipOf(f, dir, "-0"), zipOf(f, dir, "-y", "-fz", "-Z", "bzip2"))
}

func FuzzZipBehind(f *testing.F) {
	dir := f.TempDir()
	os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644)
	unpacktest.Fuzz(f, ZipBehind, append([]byte("MZ something"), zipOf(f, dir)...))
}
