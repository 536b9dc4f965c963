package archive

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

func wimOf(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "a.wim")
	testtool.Run(t, dir, "wimlib-imagex", append([]string{"capture", ".", out, "--quiet", "--no-acls", "--unix-data"}, args...)...)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWIM(t *testing.T) {
	testtool.Need(t, "wimlib-imagex")
	dir := unpacktest.SampleTree(t)
	for _, name := range []string{"odd/b\xfcro", "longlink", "var/pipe", "var/null", "var/disk"} {
		os.Remove(filepath.Join(dir, name))
	}
	prog, err := os.ReadFile("/bin/ls")
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(dir, "bin/prog"), prog, 0o755)
	want := unpacktest.SummaryOfFolder(t, dir)
	for _, args := range []string{
		"--compress=none", "--compress=XPRESS", "--compress=LZX", "--compress=LZX --chunk-size=64K", "--compress=LZX --chunk-size=1M", "--compress=XPRESS --chunk-size=4K",
		"--compress=LZX --solid --solid-compress=LZX", "--compress=XPRESS --solid --solid-compress=XPRESS", "--compress=LZX --check", "--compress=LZMS", "--solid", "--compress=LZMS --chunk-size=64K",
	} {
		t.Run(strings.ReplaceAll(args, " ", "_"), func(t *testing.T) {
			b := wimOf(t, dir, strings.Fields(args)...)
			o := unpacktest.OpenBytes(t, WIM, append(bytes.Clone(b), "behind"...))
			if o.Size != int64(len(b)) {
				t.Errorf("%d of %d bytes", o.Size, len(b))
			}
			if len(o.Gaps) > 0 || len(o.Parts) > 0 {
				t.Errorf("%v, %v", o.Gaps, o.Parts)
			}
			unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
			if links := inodes(o); len(links) != 1 {
				t.Errorf("hard links %v", links)
			}
		})
	}
}

// TestWIMImages has two images in one archive.
func TestWIMImages(t *testing.T) {
	testtool.Need(t, "wimlib-imagex")
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "one"), 0o755)
	os.Mkdir(filepath.Join(dir, "two"), 0o755)
	unpacktest.WriteFile(t, dir, "one/a", []byte("shared content"))
	unpacktest.WriteFile(t, dir, "two/a", []byte("shared content"))
	unpacktest.WriteFile(t, dir, "two/b", []byte("of the second"))
	testtool.Run(t, dir, "wimlib-imagex", "capture", "one", "a.wim", "First", "--quiet")
	testtool.Run(t, dir, "wimlib-imagex", "append", "two", "a.wim", "Second", "--quiet")
	o := unpacktest.Open(t, WIM, filepath.Join(dir, "a.wim"))
	if len(o.Parts) != 2 || o.Parts[0].Name != "First" || o.Parts[1].Name != "Second" {
		t.Fatalf("%+v", o.Parts)
	}
	tree := unpack.NewTree(o.Parts[1].Object.Entries)
	if b, err := unpack.ReadAll(tree.Entry("b").Data, 100); err != nil || string(b) != "of the second" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestWIMRandom(t *testing.T) {
	testtool.Need(t, "wimlib-imagex")
	done := 0
	rapid.Check(t, func(rt *rapid.T) {
		if done++; done > 12 {
			return
		}
		dir := t.TempDir()
		unpacktest.RandomTree(rt, dir)
		method := rapid.SampledFrom([]string{"XPRESS", "LZX", "LZMS"}).Draw(rt, "method")
		want := unpacktest.SummaryOfFolder(t, dir)
		o := unpacktest.OpenBytes(t, WIM, wimOf(t, dir, "--compress="+method))
		unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
	})
}

func TestWIMDamage(t *testing.T) {
	testtool.Need(t, "wimlib-imagex")
	for _, args := range [][]string{{"--compress=none"}, {"--compress=XPRESS"}, {"--compress=LZX"}, {"--compress=LZX", "--solid", "--solid-compress=LZX"}, {"--solid"}} {
		b := wimOf(t, smallTree(t), args...)
		unpacktest.Damage(t, WIM, b, unpacktest.Damaged{Rounds: 300, From: 208})
	}
}

// TestWIMLoop has a folder that contains itself.
func TestWIMLoop(t *testing.T) {
	testtool.Need(t, "wimlib-imagex")
	dir := t.TempDir()
	os.MkdirAll(filepath.Join(dir, "folder/sub"), 0o755)
	w := &wim{in: unpacktest.Input(nil), blobs: map[[20]byte]*wimBlob{}}
	le := binary.LittleEndian
	meta := make([]byte, 8+104+8+112+8)
	le.PutUint32(meta, 8)
	root := meta[8:]
	le.PutUint64(root, 104)
	le.PutUint32(root[8:], wimFolder)
	le.PutUint64(root[16:], 120)
	sub := meta[120:]
	le.PutUint64(sub, 112)
	le.PutUint32(sub[8:], wimFolder)
	le.PutUint64(sub[16:], 120)
	le.PutUint16(sub[100:], 2)
	sub[102] = 'a'
	g := unpack.NewGatherer(w.in)
	w.tree(g, meta)
	o := &unpack.Object{}
	g.Finish(o)
	if len(o.Entries) != 2 || o.Err == nil {
		t.Errorf("%v, %v", o.Entries, o.Err)
	}
}

func FuzzWIM(f *testing.F) {
	testtool.Need(f, "wimlib-imagex")
	dir := smallTree(f)
	unpacktest.Fuzz(f, WIM, wimOf(f, dir, "--compress=none"), wimOf(f, dir, "--compress=XPRESS"), wimOf(f, dir, "--compress=LZX"), wimOf(f, dir, "--compress=LZX", "--solid", "--solid-compress=LZX"), wimOf(f, dir, "--solid"))
}
