package flash

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

func mkerofs(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	testtool.Need(t, "mkfs.erofs")
	img := filepath.Join(t.TempDir(), "img")
	testtool.Run(t, "", "mkfs.erofs", append(append([]string{"--quiet"}, args...), img, dir)...)
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEROFSVariants(t *testing.T) {
	testtool.Need(t, "mkfs.erofs")
	dir := unpacktest.SampleTree(t)
	want := unpacktest.SummaryOfFolder(t, dir)
	for _, args := range []string{
		"", "-Eforce-inode-compact", "-Eforce-inode-extended", "-Enoinline_data", "-Eforce-inode-blockmap --chunksize=4096",
		"-Eforce-chunk-indexes --chunksize=65536", "-Enosbcrc", "-x-1", "-T1000000000", "-zlz4", "-zlz4hc,12", "-zlz4hc -C65536",
		"-zlz4 -C1048576", "-zlz4 -Elegacy-compress", "-zlz4hc -Eztailpacking", "-zlz4hc -Eztailpacking -C16384",
		"-zlz4hc --max-extent-bytes=65536", "-zlz4hc -Eforce-inode-extended -C32768",
	} {
		t.Run(strings.ReplaceAll(args, " ", "_"), func(t *testing.T) {
			img := mkerofs(t, dir, strings.Fields(args)...)
			o := unpacktest.OpenBytes(t, EROFS, img)
			if o.Size != int64(len(img)) {
				t.Errorf("%d of %d bytes", o.Size, len(img))
			}
			unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
		})
	}
}

func TestEROFSTrees(t *testing.T) {
	testtool.Need(t, "mkfs.erofs")
	one := rapid.Custom(func(rt *rapid.T) int {
		dir := t.TempDir()
		unpacktest.RandomTree(rt, dir)
		var args []string
		if method := rapid.SampledFrom([]string{"", "-zlz4", "-zlz4hc"}).Draw(rt, "method"); method != "" {
			args = append(args, method, rapid.SampledFrom([]string{"-C4096", "-C16384", "-C65536", "-C262144"}).Draw(rt, "cluster"))
			if e := rapid.SampledFrom([]string{"", "-Elegacy-compress", "-Eztailpacking"}).Draw(rt, "extended"); e != "" {
				if args = append(args, e); e == "-Elegacy-compress" {
					args = append(args[:1], e)
				}
			}
		} else if rapid.Bool().Draw(rt, "chunks") {
			args = append(args, "--chunksize="+rapid.SampledFrom([]string{"4096", "16384", "1048576"}).Draw(rt, "chunk"))
		}
		o := unpacktest.OpenBytes(t, EROFS, mkerofs(t, dir, args...))
		unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), unpacktest.SummaryOfObject(t, o))
		return 0
	})
	for seed := range 40 {
		one.Example(seed)
	}
}

func TestEROFSMetadata(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("a value that many files share ", 20)
	for n := range 6 {
		file := filepath.Join(dir, fmt.Sprintf("f%d", n))
		os.WriteFile(file, []byte("text"), 0o640)
		if err := syscall.Setxattr(file, "user.shared", []byte(long), 0); err != nil {
			t.Skipf("this file system has no attributes: %v", err)
		}
		syscall.Setxattr(file, "user.own", []byte{byte(n), 0}, 0)
		os.Chtimes(file, epoch(1e9+int64(n)), epoch(1e9+int64(n)))
	}
	for _, args := range []string{"-x2", "-x1000", "-Eforce-inode-extended"} {
		tree := unpack.NewTree(unpacktest.OpenBytes(t, EROFS, mkerofs(t, dir, strings.Fields(args)...)).Entries)
		for n := range 6 {
			e := tree.Entry(fmt.Sprintf("f%d", n))
			if e.Xattrs["user.shared"] != long || e.Xattrs["user.own"] != string([]byte{byte(n), 0}) || len(e.Xattrs) > 3 {
				t.Errorf("%s f%d: %q", args, n, e.Xattrs)
			}
			if args == "-Eforce-inode-extended" && e.ModTime.Unix() != 1e9+int64(n) {
				t.Errorf("f%d: %v", n, e.ModTime)
			}
		}
	}
}

// TestEROFSAnywhere reads pieces at random places, from several goroutines.
func TestEROFSAnywhere(t *testing.T) {
	dir := unpacktest.SampleTree(t)
	for _, args := range [][]string{{"-zlz4hc", "-C65536"}, {"-zlz4", "-Eztailpacking"}, {"--chunksize=4096"}} {
		tree := unpack.NewTree(unpacktest.OpenBytes(t, EROFS, mkerofs(t, dir, args...)).Entries)
		var wait sync.WaitGroup
		for g := range 4 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				rnd := rand.New(rand.NewSource(int64(g)))
				for _, name := range []string{"bin/text", "lib/half", "var/sparse", "lib/random"} {
					want, err := os.ReadFile(filepath.Join(dir, name))
					if err != nil {
						t.Error(err)
						return
					}
					for range 40 {
						off := rnd.Intn(len(want))
						p := make([]byte, rnd.Intn(100_000))
						n, _ := tree.Entry(name).Data.ReadAt(p, int64(off))
						if w := want[off:min(off+len(p), len(want))]; !bytes.Equal(p[:n], w) {
							t.Errorf("%v %s: %d bytes at %d differ", args, name, len(p), off)
						}
					}
				}
			}()
		}
		wait.Wait()
	}
}

func TestEROFSDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	fewFiles(t, dir)
	unpacktest.Damage(t, EROFS, mkerofs(t, dir, "-zlz4"), unpacktest.Damaged{Rounds: 200, Unchecked: true})
}

// TestEROFSHostile: look-alikes are refused, unknown features reported, loops
// and cut images end in an error.
func TestEROFSHostile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	os.MkdirAll(filepath.Join(dir, "a/b"), 0o755)
	os.WriteFile(filepath.Join(dir, "a/b/f"), bytes.Repeat([]byte("hello "), 5000), 0o644)
	img := mkerofs(t, dir, "-Enosbcrc")
	for name, bad := range map[string]func(b []byte){
		"magic":      func(b []byte) { b[erofsSuperAt]++ },
		"block size": func(b []byte) { b[erofsSuperAt+12] = 40 },
		"root":       func(b []byte) { b[erofsSuperAt+14] += 9 },
		"blocks":     func(b []byte) { clear(b[erofsSuperAt+36 : erofsSuperAt+40]) },
	} {
		b := bytes.Clone(img)
		bad(b)
		if _, err := EROFS.Open(unpacktest.Input(b)); !errors.Is(err, unpack.ErrNotThis) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o, err := EROFS.Open(unpacktest.Input(img[:len(img)-4096]))
	if err != nil || o.Err == nil {
		t.Errorf("cut: %v %v", err, o)
	}
	loop := bytes.Clone(img) // b is listed with the number of a
	var nids = map[string]int{}
	for at := range len(loop) - 12 {
		if n := binary.LittleEndian.Uint64(loop[at:]); loop[at+11] == 0 && loop[at+10] == 2 && n > 0 && n < 1000 {
			nids[fmt.Sprint(at)] = int(n)
		}
	}
	root := uint64(binary.LittleEndian.Uint16(loop[erofsSuperAt+14:]))
	for at := range nids {
		var n int
		fmt.Sscan(at, &n)
		binary.LittleEndian.PutUint64(loop[n:], root)
	}
	o, err = EROFS.Open(unpacktest.Input(loop))
	if err != nil || o.Err == nil || !strings.Contains(o.Err.Error(), "loop") {
		t.Errorf("loop: %v %v", err, o)
	}
}

func FuzzEROFS(f *testing.F) {
	dir := f.TempDir()
	os.MkdirAll(filepath.Join(dir, "a"), 0o755)
	os.WriteFile(filepath.Join(dir, "a/f"), bytes.Repeat([]byte("hello "), 2000), 0o644)
	os.WriteFile(filepath.Join(dir, "g"), unpacktest.Noise(3, 5000), 0o644)
	os.Symlink("a", filepath.Join(dir, "l"))
	var seeds [][]byte
	if _, err := os.Stat("/usr/bin/mkfs.erofs"); err == nil {
		for _, args := range []string{"-Enosbcrc", "-Enosbcrc -zlz4", "-zlz4hc -Enosbcrc,ztailpacking", "-Enosbcrc --chunksize=4096", "-zlz4 -Elegacy-compress"} {
			seeds = append(seeds, mkerofs(f, dir, strings.Fields(args)...))
		}
	}
	unpacktest.Fuzz(f, EROFS, seeds...)
}

func epoch(s int64) time.Time { return time.Unix(s, 0) }
