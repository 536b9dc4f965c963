package volume

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

// hfsVolume fills a volume with the files of a folder by hfsutils.
func hfsVolume(t testing.TB, dir string, kibi int64) []byte {
	t.Helper()
	home := t.TempDir()
	img := filepath.Join(home, "img")
	os.WriteFile(img, nil, 0o644)
	os.Truncate(img, kibi<<10)
	run := func(tool string, args ...string) {
		cmd := exec.Command(testtool.Need(t, tool), args...)
		cmd.Env = append(os.Environ(), "HOME="+home)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v %s", tool, args, err, out)
		}
	}
	run("hformat", "-l", "A Volume", img)
	run("hmount", img)
	filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, p)
		to := ":" + strings.ReplaceAll(rel, "/", ":")
		switch {
		case rel == ".":
		case d.IsDir():
			run("hmkdir", to)
		case strings.HasSuffix(p, ".macbin"):
			run("hcopy", "-m", p, ":"+strings.ReplaceAll(filepath.Dir(rel), "/", ":")+":")
		default:
			run("hcopy", "-r", p, to)
		}
		return nil
	})
	run("humount")
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// hfsSummary is a summary of a folder as HFS holds it.
func hfsSummary(t testing.TB, dir string) unpacktest.Summary {
	s := unpacktest.SummaryOfFolder(t, dir)
	for p, line := range s {
		f := strings.SplitN(line, " ", 3)
		mode := "-rw-r--r--"
		if f[0][0] == 'd' {
			mode = "drwxr-xr-x"
		}
		s[p] = mode + " 0:0 " + f[2]
	}
	return s
}

func hfsFolderTree(t testing.TB) string {
	dir := filepath.Join(t.TempDir(), "tree")
	for name, size := range map[string]int{"empty": 0, "a/b/c/deep": 4, "a/text": 70_001, "a/space in name": 513, "big": 300_000, strings.Repeat("n", 31): 9} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		os.WriteFile(filepath.Join(dir, name), unpacktest.Noise(int64(size), size), 0o644)
	}
	os.Mkdir(filepath.Join(dir, "void"), 0o755)
	for i := range 60 {
		os.MkdirAll(filepath.Join(dir, "many"), 0o755)
		os.WriteFile(filepath.Join(dir, "many", fmt.Sprintf("file number %d", i)), []byte(strings.Repeat("x", i*20)), 0o644)
	}
	return dir
}

func TestHFS(t *testing.T) {
	testtool.Need(t, "hformat")
	dir := hfsFolderTree(t)
	want := hfsSummary(t, dir)
	for _, kibi := range []int64{800, 1440, 20 << 10} {
		b := hfsVolume(t, dir, kibi)
		o := unpacktest.OpenBytes(t, HFS, b)
		if o.Info["label"] != "A Volume" || o.Size < int64(len(b))-1024 || o.Info["state"] != "" {
			t.Errorf("%v, %d of %d bytes", o.Info, o.Size, len(b))
		}
		unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
	}
}

// macBinary is a file with both forks as hcopy -m takes it (MacBinary II).
func macBinary(name string, data, rsrc []byte) []byte {
	b := make([]byte, 128)
	b[1] = byte(len(name))
	copy(b[2:], name)
	copy(b[65:], "TEXTttxt")
	binary.BigEndian.PutUint32(b[83:], uint32(len(data)))
	binary.BigEndian.PutUint32(b[87:], uint32(len(rsrc)))
	b[122], b[123] = 129, 129
	crc := uint16(0)
	for _, c := range b[:124] {
		crc ^= uint16(c) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	binary.BigEndian.PutUint16(b[124:], crc)
	for _, fork := range [][]byte{data, rsrc} {
		b = append(b, fork...)
		b = append(b, make([]byte, -len(fork)&127)...)
	}
	return b
}

// TestHFSForks: a resource fork beside the data, and a name beyond ASCII.
func TestHFSForks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	os.MkdirAll(filepath.Join(dir, "sub"), 0o755)
	data, rsrc := unpacktest.Noise(1, 5000), unpacktest.Noise(2, 70_000)
	os.WriteFile(filepath.Join(dir, "sub/x.macbin"), macBinary("b\x9fro\xa5 1/2", data, rsrc), 0o644)
	o := unpacktest.OpenBytes(t, HFS, hfsVolume(t, dir, 800))
	tree := unpack.NewTree(o.Entries)
	for name, want := range map[string][]byte{"sub/büro• 1:2": data, "sub/büro• 1:2:rsrc": rsrc} {
		e := tree.Entry(name)
		if e == nil {
			t.Fatalf("no %q: %q", name, tree.Paths())
		}
		got, err := unpack.ReadAll(e.Data, 1<<20)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: %v, %d bytes", name, err, len(got))
		}
	}
}

// TestHFSScattered: files whose extents take the extents file, since free room
// is in pieces.
func TestHFSScattered(t *testing.T) {
	testtool.Need(t, "hformat")
	home := t.TempDir()
	img := filepath.Join(home, "img")
	os.WriteFile(img, nil, 0o644)
	os.Truncate(img, 800<<10)
	sh := exec.Command("sh", "-ec", `hformat -l V img; hmount img
for i in $(seq 60); do hcopy -r piece :p$i; done
for i in $(seq 1 2 60); do hdel :p$i; done
hcopy -r large :large; humount`)
	sh.Dir, sh.Env = home, append(os.Environ(), "HOME="+home)
	os.WriteFile(filepath.Join(home, "piece"), unpacktest.Noise(1, 9000), 0o644)
	large := unpacktest.Noise(2, 390_000)
	os.WriteFile(filepath.Join(home, "large"), large, 0o644)
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	b, _ := os.ReadFile(img)
	o := unpacktest.OpenBytes(t, HFS, b)
	tree := unpack.NewTree(o.Entries)
	got, err := unpack.ReadAll(tree.Entry("large").Data, 1<<20)
	if err != nil || !bytes.Equal(got, large) {
		t.Errorf("%v, %d bytes", err, len(got))
	}
	if len(tree.Paths()) != 1+30+1 {
		t.Errorf("%q", tree.Paths())
	}
}

func TestHFSTrees(t *testing.T) {
	testtool.Need(t, "hformat")
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		if n++; n > 12 {
			return
		}
		dir, err := os.MkdirTemp(t.TempDir(), "tree")
		if err != nil {
			rt.Fatal(err)
		}
		unpacktest.RandomTree(rt, dir)
		asciiNames(dir)
		o := unpacktest.OpenBytes(t, HFS, hfsVolume(t, dir, 10<<10))
		unpacktest.SameSummary(t, hfsSummary(t, dir), unpacktest.SummaryOfObject(t, o))
	})
}

// asciiNames renames what the command line of hfsutils can't say.
func asciiNames(dir string) {
	var odd []string
	filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if filepath.Base(p) == "é" {
			odd = append(odd, p)
		}
		return nil
	})
	sort.Slice(odd, func(i, j int) bool { return len(odd[i]) > len(odd[j]) })
	for _, p := range odd {
		os.Rename(p, filepath.Join(filepath.Dir(p), "e"))
	}
}

// TestHFSWrapper: an HFS+ volume inside of one.
func TestHFSWrapper(t *testing.T) {
	b := hfsVolume(t, t.TempDir(), 800)
	block, base := int(binary.BigEndian.Uint32(b[1044:])), int(binary.BigEndian.Uint16(b[1052:]))*512
	copy(b[1024+124:], "H+")
	binary.BigEndian.PutUint16(b[1024+126:], 500)
	binary.BigEndian.PutUint16(b[1024+128:], 100)
	copy(b[base+500*block:], "inner")
	o := unpacktest.OpenBytes(t, HFS, b)
	if len(o.Parts) != 1 || o.Parts[0].Data.Size() != int64(100*block) || string(unpacktest.PartBytes(t, o.Parts[0])[:5]) != "inner" {
		t.Errorf("%+v", o.Parts)
	}
}

func TestHFSDamage(t *testing.T) {
	unpacktest.Damage(t, HFS, hfsVolume(t, hfsFolderTree(t), 800), unpacktest.Damaged{Rounds: 600, Unchecked: true})
}

func TestHFSHostile(t *testing.T) {
	b := hfsVolume(t, hfsFolderTree(t), 800)
	if o, err := HFS.Open(unpacktest.Input(b[:len(b)/2])); err != nil || o.Err == nil || o.Size != int64(len(b)/2) {
		t.Errorf("cut: %v", err)
	}
	for at, v := range map[int]byte{1024: 0, 1024 + 20: 0x01, 1024 + 15: 0, 1024 + 36: 90} {
		x := bytes.Clone(b)
		if x[at] = v; at == 1044 {
			x[1046] = 1 // no multiple of a sector
			x[1047] = 1
		}
		if _, err := HFS.Open(unpacktest.Input(x)); !errors.Is(err, unpack.ErrNotThis) {
			t.Errorf("byte 0x%x: accepted: %v", at, err)
		}
	}
}

func FuzzHFS(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "tree")
	os.MkdirAll(filepath.Join(dir, "a"), 0o755)
	os.WriteFile(filepath.Join(dir, "a/f"), bytes.Repeat([]byte("hello "), 500), 0o644)
	unpacktest.FuzzPatched(f, HFS, nil, hfsVolume(f, dir, 800))
}
