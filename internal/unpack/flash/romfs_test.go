package flash

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

func genromfs(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	img := filepath.Join(t.TempDir(), "img")
	testtool.Run(t, "", "genromfs", append([]string{"-d", dir, "-f", img}, args...)...)
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// romfsSummary is a summary of a folder as romfs holds it: without owners, and
// with no permission but that of execution.
func romfsSummary(t testing.TB, dir string) unpacktest.Summary {
	s := unpacktest.SummaryOfFolder(t, dir)
	for p, line := range s {
		f := strings.SplitN(line, " ", 3)
		mode := "rw-r--r--"
		switch {
		case f[0][0] == 'L':
			f[0], mode = "L", "---------"
		case f[0][0] == 'D':
			f[0], mode = strings.TrimRight(f[0], "rwxst-"), "rw-------"
		case f[0][0] == 'd':
			f[0], mode = "d", "rwxr-xr-x"
		case strings.Contains(f[0], "x"):
			f[0], mode = "-", "rwxr-xr-x"
		default:
			f[0] = f[0][:1]
		}
		s[p] = f[0] + mode + " 0:0 " + f[2]
	}
	return s
}

func romfsTree(t testing.TB) string {
	dir := unpacktest.SampleTree(t)
	os.Remove(filepath.Join(dir, "odd", strings.Repeat("n", 200))) // the kernel's limit is 127
	return dir
}

func TestROMFSVariants(t *testing.T) {
	testtool.Need(t, "genromfs")
	dir := romfsTree(t)
	want := romfsSummary(t, dir)
	for _, args := range []string{"", "-V label", "-a 512", "-A 4096,/bin/text"} {
		t.Run(strings.ReplaceAll(args, " ", "_"), func(t *testing.T) {
			img := genromfs(t, dir, strings.Fields(args)...)
			o := unpacktest.OpenBytes(t, ROMFS, append(bytes.Clone(img), "something behind it"...))
			if o.Size != int64(len(img)) {
				t.Errorf("size %d of %d", o.Size, len(img))
			}
			if strings.Contains(args, "label") && o.Info["label"] != "label" {
				t.Errorf("%v", o.Info)
			}
			unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
			tree := unpack.NewTree(o.Entries)
			if a, b := tree.Entry("lib/random"), tree.Entry("lib/random.hard"); a.Inode == 0 || a.Inode != b.Inode {
				t.Errorf("hard links have inodes %d and %d", a.Inode, b.Inode)
			}
		})
	}
}

func TestROMFSTrees(t *testing.T) {
	testtool.Need(t, "genromfs")
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "tree")
		if err != nil {
			rt.Fatal(err)
		}
		unpacktest.RandomTree(rt, dir)
		o := unpacktest.OpenBytes(t, ROMFS, genromfs(t, dir))
		unpacktest.SameSummary(t, romfsSummary(t, dir), unpacktest.SummaryOfObject(t, o))
	})
}

// romfsSmall is an image for damage and fuzzing.
func romfsSmall(t testing.TB) []byte {
	testtool.Need(t, "genromfs")
	dir := filepath.Join(t.TempDir(), "tree")
	os.MkdirAll(filepath.Join(dir, "a/b"), 0o755)
	os.WriteFile(filepath.Join(dir, "a/b/f"), bytes.Repeat([]byte("hello"), 100), 0o755)
	os.WriteFile(filepath.Join(dir, "g"), []byte("other"), 0o644)
	os.Link(filepath.Join(dir, "g"), filepath.Join(dir, "hard"))
	os.Symlink("a/b", filepath.Join(dir, "l"))
	return genromfs(t, dir)
}

// TestROMFSDamage: headers have checksums, contents have none.
func TestROMFSDamage(t *testing.T) {
	unpacktest.Damage(t, ROMFS, romfsSmall(t), unpacktest.Damaged{Rounds: 1000, Unchecked: true})
	// A file without content leaves nothing that is not covered.
	dir := filepath.Join(t.TempDir(), "tree")
	os.Mkdir(dir, 0o755)
	for _, name := range []string{"a", "b", "c", "d"} {
		os.WriteFile(filepath.Join(dir, name), nil, 0o644)
	}
	unpacktest.Damage(t, ROMFS, genromfs(t, dir), unpacktest.Damaged{Rounds: 500})
}

func TestROMFSHostile(t *testing.T) {
	img := romfsSmall(t)
	for _, n := range []int{100, 300, len(img) / 2} {
		if o, err := ROMFS.Open(unpacktest.Input(img[:n])); err != nil || o.Err == nil || o.Size > int64(n) {
			t.Errorf("cut to %d: %v", n, err)
		}
	}
	first := bytes.Index(img[32:], []byte(".\x00")) + 32 - 16
	loop := bytes.Clone(img) // the first header follows itself
	binary.BigEndian.PutUint32(loop[first:], uint32(first)|romfsDir)
	if o, err := ROMFS.Open(unpacktest.Input(loop)); err != nil || o.Err == nil || len(o.Entries) > 6 {
		t.Errorf("a loop: %v", err)
	}
	for _, b := range [][]byte{[]byte("-rom1fs-"), bytes.Repeat([]byte("-rom1fs-"), 100), append([]byte("-rom1fs-\x00\x00\x00\x10"), make([]byte, 1000)...)} {
		if _, err := ROMFS.Open(unpacktest.Input(b)); !errors.Is(err, unpack.ErrNotThis) {
			t.Errorf("%.20q: %v", b, err)
		}
	}
}

func FuzzROMFS(f *testing.F) { unpacktest.Fuzz(f, ROMFS, romfsSmall(f)) }
