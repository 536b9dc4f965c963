package linuxfs

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
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

// mke2fs packs a folder into an image of some mebibytes, without a journal
// unless args ask for one.
func mke2fs(t testing.TB, dir string, mebi int, args ...string) string {
	t.Helper()
	img := filepath.Join(t.TempDir(), "img")
	args = append([]string{"-q", "-F", "-d", dir}, args...)
	testtool.Run(t, "", "mke2fs", append(args, img, fmt.Sprintf("%dm", mebi))...)
	return img
}

func summaryOfExt(t testing.TB, o *unpack.Object) unpacktest.Summary {
	s := unpacktest.SummaryOfObject(t, o)
	delete(s, "lost+found") // mke2fs makes it
	return s
}

func TestExtVariants(t *testing.T) {
	testtool.Need(t, "mke2fs")
	dir := unpacktest.SampleTree(t)
	want := unpacktest.SummaryOfFolder(t, dir)
	for _, c := range []struct{ args, format string }{
		{"-t ext2", "ext2"}, {"-t ext3", "ext3"}, {"-t ext4", "ext4"},
		{"-t ext2 -b 1024", "ext2"}, {"-t ext2 -b 2048 -I 128", "ext2"}, {"-t ext2 -r 0", "ext2"},
		{"-t ext4 -b 1024", "ext4"}, {"-t ext4 -b 2048", "ext4"}, {"-t ext4 -b 65536 -N 1024", "ext4"},
		{"-t ext4 -O ^extents,^64bit", "ext4"}, {"-t ext4 -O inline_data", "ext4"}, {"-t ext4 -O inline_data -I 1024 -b 4096", "ext4"},
		{"-t ext4 -O ^64bit", "ext4"}, {"-t ext4 -O ^metadata_csum,uninit_bg", "ext4"}, {"-t ext4 -O ^flex_bg -b 1024", "ext4"},
		{"-t ext4 -O meta_bg,^resize_inode -b 1024", "ext4"}, {"-t ext4 -O meta_bg,^resize_inode,^64bit -b 1024 -g 256", "ext4"},
		{"-t ext4 -O sparse_super2 -b 1024", "ext4"}, {"-t ext4 -O ^sparse_super,^resize_inode,meta_bg -b 1024 -g 512", "ext4"},
		{"-t ext4 -O bigalloc -C 16384", "ext4"}, {"-t ext4 -O metadata_csum_seed", "ext4"}, {"-t ext4 -O ^dir_index", "ext4"},
		{"-t ext4 -O ^filetype", "ext4"}, {"-t ext4 -I 128", "ext4"},
	} {
		t.Run(strings.ReplaceAll(c.args, " ", "_"), func(t *testing.T) {
			img := mke2fs(t, dir, 64, strings.Fields(c.args)...)
			o := unpacktest.Open(t, Ext, img)
			if info, _ := os.Stat(img); o.Size != info.Size() {
				t.Errorf("size %d of %d", o.Size, info.Size())
			}
			if o.Format != c.format || len(o.Gaps) != 0 {
				t.Errorf("format %q, gaps %v", o.Format, o.Gaps)
			}
			unpacktest.SameSummary(t, want, summaryOfExt(t, o))
		})
	}
}

// TestExtLarge has folders with an index of two levels and files with trees of
// extents and of indirect blocks.
func TestExtLarge(t *testing.T) {
	testtool.Need(t, "mke2fs")
	dir := filepath.Join(t.TempDir(), "tree")
	os.MkdirAll(filepath.Join(dir, "many"), 0o755)
	for i := range 2500 {
		os.WriteFile(filepath.Join(dir, "many", fmt.Sprintf("%s-%d", strings.Repeat("n", i%90), i)), nil, 0o644)
	}
	// Every other block is a hole: many extents.
	f, err := os.Create(filepath.Join(dir, "holes"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(1000) {
		fmt.Fprintf(f, "%d", i)
		f.Seek(i*8192+8192, 0)
	}
	f.WriteAt([]byte("far"), 70<<20) // three levels of pointers with blocks of 1024
	f.Close()
	big := make([]byte, 5<<20)
	rand.New(rand.NewSource(1)).Read(big)
	os.WriteFile(filepath.Join(dir, "big"), big, 0o644)
	want := unpacktest.SummaryOfFolder(t, dir)
	for _, args := range []string{"-t ext2 -b 1024", "-t ext4 -b 1024"} {
		img := mke2fs(t, dir, 64, append(strings.Fields(args), "-N", "4000")...)
		// e2fsck -D makes the index that mke2fs leaves out.
		if out, err := exec.Command(testtool.Need(t, "e2fsck"), "-fyD", img).CombinedOutput(); err != nil && !strings.Contains(string(out), "MODIFIED") {
			t.Fatalf("%v %s", err, out)
		}
		unpacktest.SameSummary(t, want, summaryOfExt(t, unpacktest.Open(t, Ext, img)))
	}
}

// debugfs changes an image.
func debugfs(t testing.TB, img string, commands ...string) {
	t.Helper()
	script := filepath.Join(t.TempDir(), "script")
	os.WriteFile(script, []byte(strings.Join(commands, "\n")+"\n"), 0o644)
	testtool.Run(t, "", "debugfs", "-w", "-f", script, img)
}

func TestExtMetadata(t *testing.T) {
	testtool.Need(t, "debugfs")
	dir := filepath.Join(t.TempDir(), "tree")
	os.MkdirAll(filepath.Join(dir, "locked"), 0o755)
	for _, name := range []string{"plain", "cap", "big", "locked/file"} {
		os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat(name, 50)), 0o644)
	}
	os.Link(filepath.Join(dir, "plain"), filepath.Join(dir, "hard"))
	capability := "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	values := map[string]string{"cap": capability, "block": strings.Repeat("b", 900), "inode": strings.Repeat("i", 1000)}
	for name, v := range values {
		os.WriteFile(filepath.Join(dir, "..", name), []byte(v), 0o644)
	}
	up := filepath.Dir(dir)
	for _, args := range []string{"-t ext2 -b 1024", "-t ext4 -b 1024 -O ea_inode", "-t ext4 -b 1024 -O ea_inode,inline_data", "-t ext4 -b 1024 -O ea_inode,^metadata_csum"} {
		t.Run(strings.ReplaceAll(args, " ", "_"), func(t *testing.T) {
			img := mke2fs(t, dir, 32, strings.Fields(args)...)
			script := []string{
				"ea_set -f " + up + "/cap cap security.capability", "ea_set -f " + up + "/block cap user.block",
				"ea_set plain user.note hello",
				"mknod dev c 5 300", "mknod old b 8 1", "sif dev mode 020640", "sif dev uid 70000", "sif dev gid 3", "sif plain mtime @5000000000",
			}
			inInode := strings.Contains(args, "ea_inode")
			if inInode {
				script = append(script, "ea_set -f "+up+"/inode big user.inode")
			}
			debugfs(t, img, script...)
			o := unpacktest.Open(t, Ext, img)
			tree := unpack.NewTree(o.Entries)
			if got := tree.Entry("cap").Xattrs; len(got) != 2 || got["security.capability"] != capability || got["user.block"] != values["block"] {
				t.Errorf("attributes %q", got)
			}
			if got := tree.Entry("big").Xattrs; inInode && (len(got) != 1 || got["user.inode"] != values["inode"]) {
				t.Errorf("attribute in an inode: %q", got)
			}
			if got := tree.Entry("plain").Xattrs; len(got) != 1 || got["user.note"] != "hello" {
				t.Errorf("attribute %q", got)
			}
			if a, b := tree.Entry("plain"), tree.Entry("hard"); a.Inode == 0 || a.Inode != b.Inode {
				t.Errorf("hard links have inodes %d and %d", a.Inode, b.Inode)
			}
			if e := tree.Entry("dev"); e.Mode != fs.ModeDevice|fs.ModeCharDevice|0o640 || e.Major != 5 || e.Minor != 300 || e.UID != 70000 || e.GID != 3 {
				t.Errorf("dev: %+v", e)
			}
			if e := tree.Entry("old"); e.Mode.Type() != fs.ModeDevice || e.Major != 8 || e.Minor != 1 {
				t.Errorf("old: %+v", e)
			}
			if e := tree.Entry("plain"); strings.Contains(args, "ext4") && e.ModTime.Unix() != 5000000000 {
				t.Errorf("time %v", e.ModTime)
			}
		})
	}
}

// TestExtEncrypted: names and contents under a key are said to be encrypted.
func TestExtEncrypted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	os.MkdirAll(filepath.Join(dir, "locked"), 0o755)
	os.WriteFile(filepath.Join(dir, "locked/file"), bytes.Repeat([]byte{1}, 100), 0o644)
	img := mke2fs(t, dir, 8, "-t", "ext4", "-O", "encrypt")
	debugfs(t, img, "sif locked flags 0x80800", "sif locked/file flags 0x80800")
	tree := unpack.NewTree(unpacktest.Open(t, Ext, img).Entries)
	e := tree.Entry("locked/encrypted-66696c65")
	if e == nil || !errors.Is(e.Err, unpack.ErrEncrypted) || e.Size() != 100 {
		t.Errorf("%v: %+v", tree.Paths(), e)
	}
}

// TestExtUnwritten: blocks that were reserved but never written are zeros,
// whatever stands there on the disk.
func TestExtUnwritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	os.Mkdir(dir, 0o755)
	os.WriteFile(filepath.Join(dir, "f"), bytes.Repeat([]byte("secret"), 3000), 0o644)
	img := mke2fs(t, dir, 8, "-t", "ext4", "-b", "1024")
	debugfs(t, img, "rm f", "write /dev/null g", "fallocate g 0 9", "sif g size 10240")
	o := unpacktest.Open(t, Ext, img)
	got, err := unpack.ReadAll(unpack.NewTree(o.Entries).Entry("g").Data, 1<<20)
	if err != nil || !bytes.Equal(got, make([]byte, 10240)) {
		t.Errorf("%v, %d bytes %.40q", err, len(got), got)
	}
}

func TestExtTrees(t *testing.T) {
	testtool.Need(t, "mke2fs")
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "tree")
		if err != nil {
			rt.Fatal(err)
		}
		unpacktest.RandomTree(rt, dir)
		args := []string{"-b", rapid.SampledFrom([]string{"1024", "2048", "4096"}).Draw(rt, "block size")}
		features := ""
		for _, f := range []string{"extents", "inline_data", "64bit", "flex_bg", "metadata_csum", "sparse_super", "dir_index"} {
			if !rapid.Bool().Draw(rt, f) {
				features += ",^" + f
			} else {
				features += "," + f
			}
		}
		if strings.Contains(features, "^extents") {
			features = strings.Replace(features, ",64bit", ",^64bit", 1) // needs extents
		}
		if strings.Contains(features, "^sparse_super") {
			features += ",^resize_inode"
		}
		o := unpacktest.Open(t, Ext, mke2fs(t, dir, 16, append(args, "-t", "ext4", "-O", features[1:])...))
		unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), summaryOfExt(t, o))
	})
}

// TestExtFlipped changes bytes of metadata, which have checksums: contents are
// right, or an error, or not there.
func TestExtFlipped(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	os.Mkdir(dir, 0o755)
	for i := range 30 {
		os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%d", i)), bytes.Repeat([]byte{byte(i)}, i*700), 0o644)
	}
	want := unpacktest.SummaryOfFolder(t, dir)
	b, err := os.ReadFile(mke2fs(t, dir, 2, "-t", "ext4", "-b", "1024", "-N", "64", "-O", "^has_journal,^resize_inode"))
	if err != nil {
		t.Fatal(err)
	}
	// The descriptors, the inodes and the root folder's block.
	inodes := int(binary.LittleEndian.Uint32(b[2048+8:])) * 1024
	rnd := rand.New(rand.NewSource(3))
	wrong := 0
	for range 500 {
		x := bytes.Clone(b)
		at := inodes + rnd.Intn(48*256)
		if rnd.Intn(8) == 0 {
			at = 2048 + rnd.Intn(64)
		}
		x[at] ^= 1 << rnd.Intn(8)
		o, err := Ext.Open(unpacktest.Input(x))
		if err != nil {
			continue
		}
		if o.Err != nil {
			wrong++
		}
		for _, e := range o.Entries {
			if e.Err == nil && e.Mode.IsRegular() && e.Data != nil {
				got, err := unpack.ReadAll(e.Data, 1<<30)
				if err == nil && !strings.HasSuffix(want[e.Path], fmt.Sprintf("%d %x", len(got), sha256.Sum256(got))) {
					t.Fatalf("byte 0x%x: %s has wrong bytes and no error", at, e.Path)
				}
			}
		}
	}
	if wrong < 300 {
		t.Errorf("only %d of 500 changes were noticed", wrong)
	}
}

func TestExtHostile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	os.MkdirAll(filepath.Join(dir, "a/b"), 0o755)
	os.WriteFile(filepath.Join(dir, "a/f"), bytes.Repeat([]byte("words"), 10000), 0o644)
	img := mke2fs(t, dir, 4, "-t", "ext4", "-b", "1024", "-O", "^metadata_csum")
	debugfs(t, img, "ln a a/b/loop")
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := Ext.Open(unpacktest.Input(b)); err != nil || o.Err == nil || !strings.Contains(o.Err.Error(), "loop") {
		t.Errorf("a loop: %v, %+v", err, o)
	}
	for _, n := range []int{2048, 5000, len(b) / 2, len(b) - 1} {
		if o, err := Ext.Open(unpacktest.Input(b[:n])); err != nil || o.Err == nil || o.Size != int64(n) {
			t.Errorf("cut to %d: %v", n, err)
		}
	}
	for at, v := range map[int]byte{1024: 0xff, 1024 + 0x18: 7, 1024 + 0x20: 0, 1024 + 0x58: 0x81, 1024 + 0x5a: 1, 1024 + 0x14: 9} {
		x := bytes.Clone(b)
		x[at] = v
		if at == 1024+0x20 {
			clear(x[at : at+4])
		}
		if _, err := Ext.Open(unpacktest.Input(x)); !errors.Is(err, unpack.ErrNotThis) {
			t.Errorf("byte 0x%x: accepted: %v", at, err)
		}
	}
}

// TestExtCorpus opens images that a kernel has written to.
func TestExtCorpus(t *testing.T) {
	for _, name := range []string{"ext3", "ext4"} {
		packed := unpacktest.Corpus(t, "formats/"+name+".img.xz")
		b, err := exec.Command(testtool.Need(t, "xz"), "-dc", packed).Output()
		if err != nil {
			t.Fatal(err)
		}
		o := unpacktest.OpenBytes(t, Ext, b)
		if o.Format != name || len(o.Entries) < 3 {
			t.Errorf("%s: %s, %d entries", name, o.Format, len(o.Entries))
		}
		unpacktest.SummaryOfObject(t, o)
	}
}

func FuzzExt(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "tree")
	os.MkdirAll(filepath.Join(dir, "a"), 0o755)
	os.WriteFile(filepath.Join(dir, "a/f"), bytes.Repeat([]byte("hello "), 5000), 0o644)
	os.Symlink("a", filepath.Join(dir, "l"))
	var seeds [][]byte
	if _, err := os.Stat("/usr/sbin/mke2fs"); err == nil {
		for _, args := range []string{"-t ext2 -b 1024", "-t ext4 -b 1024 -O ^metadata_csum,^has_journal", "-t ext4 -b 1024 -O inline_data,^metadata_csum,^has_journal"} {
			img := filepath.Join(f.TempDir(), "img")
			testtool.Run(f, "", "mke2fs", append(append([]string{"-q", "-F", "-d", dir, "-N", "16"}, strings.Fields(args)...), img, "100k")...)
			b, _ := os.ReadFile(img)
			seeds = append(seeds, b)
		}
	}
	unpacktest.FuzzPatched(f, Ext, nil, append(seeds, dirty(f, 1024, "", "-t", "ext3"))...)
}
