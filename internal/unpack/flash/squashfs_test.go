package flash

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
	"sync"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

// mksquashfs packs a folder and returns the image.
func mksquashfs(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	img := filepath.Join(t.TempDir(), "img")
	testtool.Run(t, "", "mksquashfs", append([]string{dir, img, "-noappend", "-no-progress", "-quiet", "-processors", "1"}, args...)...)
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSquashfsVariants(t *testing.T) {
	testtool.Need(t, "mksquashfs")
	dir := unpacktest.SampleTree(t)
	want := unpacktest.SummaryOfFolder(t, dir)
	for _, args := range []string{
		"-comp gzip", "-comp lzma", "-comp xz", "-comp lzo", "-comp lz4", "-comp zstd", "-comp lz4 -Xhc",
		"-comp lzo -Xalgorithm lzo1x_1", "-comp gzip -Xwindow-size 9 -Xstrategy huffman_only,fixed",
		"-comp xz -Xbcj x86,arm,armthumb,powerpc,sparc,ia64", "-comp xz -Xdict-size 8192 -b 32768", "-comp xz -b 1M",
		"-comp gzip -b 4096", "-comp zstd -b 4096", "-comp lz4 -b 1M", "-comp lzma -b 1M",
		"-no-fragments", "-always-use-fragments", "-no-sparse -no-duplicates", "-no-exports -nopad", "-no-xattrs",
		"-noI", "-noId", "-noD", "-noF", "-noX", "-noI -noId -noD -noF -noX", "-no-tailends",
		"-root-mode 700 -comp zstd",
	} {
		t.Run(strings.ReplaceAll(args, " ", "_"), func(t *testing.T) {
			img := mksquashfs(t, dir, strings.Fields(args)...)
			o := unpacktest.OpenBytes(t, Squashfs, img)
			if o.Size != int64(len(img)) {
				t.Errorf("size %d of %d", o.Size, len(img))
			}
			unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
		})
	}
}

// TestSquashfsCode packs real machine code, so that the BCJ filters are used.
func TestSquashfsCode(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	os.Mkdir(dir, 0o755)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	code = code[:min(len(code), 3<<20)]
	if err := os.WriteFile(filepath.Join(dir, "prog"), code, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, bcj := range []string{"x86", "arm", "armthumb", "powerpc", "sparc", "ia64"} {
		img := mksquashfs(t, dir, "-comp", "xz", "-Xbcj", bcj)
		o := unpacktest.OpenBytes(t, Squashfs, img)
		unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), unpacktest.SummaryOfObject(t, o))
	}
}

func TestSquashfsMetadata(t *testing.T) {
	testtool.Need(t, "mksquashfs")
	dir := filepath.Join(t.TempDir(), "tree")
	os.MkdirAll(filepath.Join(dir, "sub"), 0o755)
	for _, name := range []string{"plain", "sub/file"} {
		os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644)
	}
	os.Link(filepath.Join(dir, "plain"), filepath.Join(dir, "sub/hard"))
	args := []string{"-xattrs", "-p", "dev c 640 3 4 5 700000", "-p", "blk b 600 0 0 259 300", "-p", "big f 4755 70000 80000 head -c 300000 /dev/zero"}
	o := unpacktest.OpenBytes(t, Squashfs, mksquashfs(t, dir, args...))
	tree := unpack.NewTree(o.Entries)
	if a, b := tree.Entry("plain"), tree.Entry("sub/hard"); a.Inode == 0 || a.Inode != b.Inode {
		t.Errorf("hard links have inodes %d and %d", a.Inode, b.Inode)
	}
	if e := tree.Entry("dev"); e.Mode != fs.ModeDevice|fs.ModeCharDevice|0o640 || e.Major != 5 || e.Minor != 700000 || e.UID != 3 || e.GID != 4 {
		t.Errorf("dev: %+v", e)
	}
	if e := tree.Entry("blk"); e.Mode != fs.ModeDevice|0o600 || e.Major != 259 || e.Minor != 300 {
		t.Errorf("blk: %+v", e)
	}
	if e := tree.Entry("big"); e.Mode != fs.ModeSetuid|0o755 || e.UID != 70000 || e.GID != 80000 || e.Size() != 300000 {
		t.Errorf("big: %+v", e)
	}
	info, _ := os.Stat(filepath.Join(dir, "plain"))
	if e := tree.Entry("plain"); e.ModTime.Unix() != info.ModTime().Unix() {
		t.Errorf("time %v instead of %v", e.ModTime, info.ModTime())
	}
}

// TestSquashfsXattrs reads attributes from a tar archive made by hand, since
// not every file system can hold them.
func TestSquashfsXattrs(t *testing.T) {
	testtool.Need(t, "sqfstar")
	capability := "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	long := strings.Repeat("a long value that several files share ", 50)
	tarball := unpacktest.XattrTar(t, map[string]map[string]string{
		"cap":  {"security.capability": capability},
		"one":  {"user.long": long, "trusted.x": "\x00\x01"},
		"two":  {"user.long": long},
		"none": nil,
	})
	img := filepath.Join(t.TempDir(), "img")
	cmd := exec.Command(testtool.Need(t, "sqfstar"), "-quiet", "-no-progress", img)
	cmd.Stdin = bytes.NewReader(tarball)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	tree := unpack.NewTree(unpacktest.Open(t, Squashfs, img).Entries)
	if got := tree.Entry("cap").Xattrs["security.capability"]; got != capability {
		t.Errorf("capability %q", got)
	}
	if got := tree.Entry("one").Xattrs; len(got) != 2 || got["user.long"] != long || got["trusted.x"] != "\x00\x01" {
		t.Errorf("one: %q", got)
	}
	if got := tree.Entry("two").Xattrs; len(got) != 1 || got["user.long"] != long {
		t.Errorf("two: %q", got)
	}
	if got := tree.Entry("none").Xattrs; len(got) != 0 {
		t.Errorf("none: %q", got)
	}
}

func TestSquashfsPlace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	os.Mkdir(dir, 0o755)
	os.WriteFile(filepath.Join(dir, "f"), []byte("hello"), 0o644)
	img := mksquashfs(t, dir, "-nopad")
	size := int64(len(img))
	for _, c := range []struct {
		name string
		pad  []byte
		want int64
	}{
		{"zeros", make([]byte, 10000), 4096},
		{"ones", bytes.Repeat([]byte{0xff}, 10000), 4096},
		{"other", []byte("\x00\x00\x00something else, and more of it"), size},
		{"mixed", append(make([]byte, 100), bytes.Repeat([]byte{7}, 9000)...), size},
		{"short", make([]byte, 9), size + 9},
	} {
		o := unpacktest.OpenBytes(t, Squashfs, append(bytes.Clone(img), c.pad...))
		if o.Size != c.want {
			t.Errorf("%s: size %d instead of %d", c.name, o.Size, c.want)
		}
	}
	// Vendors give gzip's number to lzma and the like.
	other := mksquashfs(t, dir, "-comp", "lzma")
	other[20] = 1
	o := unpacktest.OpenBytes(t, Squashfs, other)
	if o.Format != "squashfs 4.0 lzma" {
		t.Errorf("format %q", o.Format)
	}
	unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), unpacktest.SummaryOfObject(t, o))
}

// TestSquashfsAnywhere reads pieces at random places, from several goroutines.
func TestSquashfsAnywhere(t *testing.T) {
	dir := unpacktest.SampleTree(t)
	for _, args := range [][]string{{"-b", "4096"}, {"-comp", "lz4"}, {"-no-fragments"}, {"-noD", "-noF"}} {
		tree := unpack.NewTree(unpacktest.OpenBytes(t, Squashfs, mksquashfs(t, dir, args...)).Entries)
		var wait sync.WaitGroup
		for g := range 4 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				rnd := rand.New(rand.NewSource(int64(g)))
				for _, name := range []string{"bin/text", "lib/half", "var/sparse", "lib/random", "many/file-299"} {
					want, err := os.ReadFile(filepath.Join(dir, name))
					if err != nil {
						t.Error(err)
						return
					}
					data := tree.Entry(name).Data
					for range 60 {
						off := rnd.Intn(len(want))
						p := make([]byte, rnd.Intn(200_000))
						n, _ := data.ReadAt(p, int64(off))
						if w := want[off:min(off+len(p), len(want))]; !bytes.Equal(p[:n], w) {
							t.Errorf("%s: %d bytes at %d differ", name, len(p), off)
						}
					}
				}
			}()
		}
		wait.Wait()
	}
}

// TestSquashfsTrees packs random trees in random ways.
func TestSquashfsTrees(t *testing.T) {
	testtool.Need(t, "mksquashfs")
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "tree")
		if err != nil {
			rt.Fatal(err)
		}
		unpacktest.RandomTree(rt, dir)
		args := []string{"-comp", rapid.SampledFrom([]string{"gzip", "lzma", "xz", "lzo", "lz4", "zstd"}).Draw(rt, "compressor"),
			"-b", rapid.SampledFrom([]string{"4096", "8192", "65536", "131072"}).Draw(rt, "block size")}
		for _, flag := range []string{"-no-fragments", "-always-use-fragments", "-noI", "-noD", "-noF", "-no-duplicates", "-nopad"} {
			if rapid.IntRange(0, 4).Draw(rt, flag) == 0 {
				args = append(args, flag)
			}
		}
		o := unpacktest.OpenBytes(t, Squashfs, mksquashfs(t, dir, args...))
		unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), unpacktest.SummaryOfObject(t, o))
	})
}

// TestSquashfsFlipped changes bytes: content of xz and gzip images, which have
// checksums, is then right or an error.
func TestSquashfsFlipped(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	os.Mkdir(dir, 0o755)
	for i := range 20 {
		os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%d", i)), bytes.Repeat([]byte(fmt.Sprintf("some words %d ", i*i)), 300*i), 0o644)
	}
	want := unpacktest.SummaryOfFolder(t, dir)
	for _, comp := range []string{"xz", "gzip"} {
		img := mksquashfs(t, dir, "-comp", comp, "-b", "16384")
		tableStart := int(binary.LittleEndian.Uint64(img[64:]))
		rnd := rand.New(rand.NewSource(3))
		for range 300 {
			b := bytes.Clone(img)
			b[squashSuperSize+rnd.Intn(tableStart-squashSuperSize)] ^= 1 << rnd.Intn(8)
			o, err := Squashfs.Open(unpacktest.Input(b))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range o.Entries {
				if !e.Mode.IsRegular() || e.Data == nil {
					continue
				}
				got, err := unpack.ReadAll(e.Data, 1<<30)
				if err == nil && !strings.HasSuffix(want[e.Path], fmt.Sprintf("%d %x", len(got), sha256.Sum256(got))) {
					t.Fatalf("%s: %s has wrong bytes and no error", comp, e.Path)
				}
			}
		}
	}
}

// TestSquashfsHostile: a cut image and one whose folder contains itself end in
// an object with an error; a false magic is refused.
func TestSquashfsHostile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	os.MkdirAll(filepath.Join(dir, "a/b"), 0o755)
	os.WriteFile(filepath.Join(dir, "a/b/f"), []byte("hello"), 0o644)
	img := mksquashfs(t, dir, "-noI")
	for _, n := range []int{96, 200, 300, int(binary.LittleEndian.Uint64(img[40:])) - 1} {
		o, err := Squashfs.Open(unpacktest.Input(img[:n]))
		if err != nil || o.Err == nil || o.Size != int64(n) {
			t.Errorf("cut to %d: %v, %+v", n, err, o)
		}
	}
	// With -noI inodes stand in the clear: let folder b be listed where a is.
	table := int(binary.LittleEndian.Uint64(img[64:])) + 2
	loop := bytes.Clone(img)
	inodes := loop[table:int(binary.LittleEndian.Uint64(img[72:]))]
	// The order is f, b, a, root; all folders are basic: 32 bytes each.
	b, a := len(inodes)-96, len(inodes)-64
	copy(inodes[b+16:b+32], inodes[a+16:a+32])
	o, err := Squashfs.Open(unpacktest.Input(loop))
	if err != nil || o.Err == nil || !strings.Contains(o.Err.Error(), "loop") {
		t.Errorf("a loop: %v, %+v", err, o)
	}
	for _, bad := range []func(b []byte){
		func(b []byte) { b[22]++ },
		func(b []byte) { b[28] = 3 },
		func(b []byte) { b[20] = 9 },
		func(b []byte) { b[47] = 0xff },
		func(b []byte) { copy(b[72:], b[64:72]) },
	} {
		x := bytes.Clone(img)
		bad(x)
		if _, err := Squashfs.Open(unpacktest.Input(x)); !errors.Is(err, unpack.ErrNotThis) {
			t.Errorf("accepted: %v", err)
		}
	}
}

func FuzzSquashfs(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "tree")
	os.MkdirAll(filepath.Join(dir, "a"), 0o755)
	os.WriteFile(filepath.Join(dir, "a/f"), bytes.Repeat([]byte("hello "), 2000), 0o644)
	os.Symlink("a", filepath.Join(dir, "l"))
	var seeds [][]byte
	if tool, err := exec.LookPath("mksquashfs"); err == nil && tool != "" {
		for _, args := range []string{"-comp gzip -noI", "-comp xz -b 4096", "-comp lz4 -noI -noF -b 4096", "-comp lzma -no-fragments", "-comp zstd", "-comp lzo"} {
			seeds = append(seeds, mksquashfs(f, dir, append(strings.Fields(args), "-nopad")...))
		}
	}
	for version := 1; version <= 4; version++ {
		p := newSquashPacker(f, version, bothOrders[version%2])
		p.pack = func(b []byte) []byte { return b } // stored: what the fuzzer changes arrives
		seeds = append(seeds, p.image(dir))
	}
	unpacktest.Fuzz(f, Squashfs, seeds...)
}
