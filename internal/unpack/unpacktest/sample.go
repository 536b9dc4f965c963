package unpacktest

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// SampleTree makes a folder with what readers get wrong: empty, sparse, large,
// compressible and random files, hard links, symbolic links of all sorts, odd
// names, deep folders, a folder with many names, modes with setuid.
func SampleTree(t testing.TB) string {
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

// RandomTree fills a folder with files, whose number, size, content and depth
// rapid chooses.
func RandomTree(rt *rapid.T, dir string) {
	sizes := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(4000, 4200), rapid.IntRange(60_000, 70_000), rapid.IntRange(130_000, 400_000))
	for i := range rapid.IntRange(0, 12).Draw(rt, "files") {
		sub := filepath.Join(dir, strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "é"}), 0, 3).Draw(rt, "folder"), "/"))
		content := randomContent(rapid.IntRange(0, 2).Draw(rt, "content"), sizes.Draw(rt, "size"), int64(i))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			rt.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("f%d", i)), content, 0o644); err != nil {
			rt.Fatal(err)
		}
	}
}

// randomContent is noise, text with a stretch of zeros, or zeros.
func randomContent(sort, size int, seed int64) []byte {
	b, rnd := make([]byte, size), rand.New(rand.NewSource(seed))
	switch sort {
	case 0:
		rnd.Read(b)
	case 1:
		for i := range b {
			b[i] = "abcdefgh\n"[rnd.Intn(9)]
		}
		if size > 50_000 {
			clear(b[10_000:50_000])
		}
	}
	return b
}
