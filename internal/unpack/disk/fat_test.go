package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

// mkfat makes a file system of so many KiB.
func mkfat(t testing.TB, kib int, args ...string) []byte {
	t.Helper()
	return edit(t, make([]byte, kib<<10), "mkfs.fat", append(args, "IMG")...)
}

// mcopied copies everything of a folder into an image.
func mcopied(t testing.TB, img []byte, dir string) []byte {
	t.Helper()
	t.Setenv("MTOOLS_SKIP_CHECK", "1")
	t.Setenv("LC_ALL", "C.UTF-8")
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		return img
	}
	return edit(t, img, "mcopy", append(append([]string{"-s", "-Q", "-m", "-i", "IMG"}, names...), "::")...)
}

// plainTree is SampleTree without what a FAT can't hold.
func plainTree(t testing.TB) string {
	t.Helper()
	dir := unpacktest.SampleTree(t)
	os.RemoveAll(filepath.Join(dir, "odd/new\nline"))
	os.RemoveAll(filepath.Join(dir, "odd/b\xfcro"))
	filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if !d.IsDir() && !d.Type().IsRegular() {
			os.Remove(p)
		}
		return nil
	})
	return dir
}

// namesAndContents is a summary without modes and owners.
func namesAndContents(s unpacktest.Summary) unpacktest.Summary {
	plain := unpacktest.Summary{}
	for p, line := range s {
		mode, rest, _ := strings.Cut(line, " ")
		_, content, _ := strings.Cut(rest, " ")
		plain[p] = fmt.Sprint(mode[0] == 'd', content)
	}
	return plain
}

func TestFATVariants(t *testing.T) {
	testtool.Need(t, "mcopy")
	dir := plainTree(t)
	want := namesAndContents(unpacktest.SummaryOfFolder(t, dir))
	for _, v := range []struct {
		kib  int
		args string
	}{
		{8000, "-F 12 -s 8"}, {8000, "-F 12 -s 8 -S 1024"}, {16000, "-F 16 -s 2 -n LABEL"}, {16000, "-F 16 -s 1 -S 1024 -f 1"},
		{20000, "-F 16 -s 1 -S 2048 -a"}, {40000, "-F 32 -s 1 -n SOMETHING"}, {20000, "-F 16 -S 4096 -s 1 -h 63"},
		{34000, "-F 32 -R 64 -f 4 -s 1"}, {16000, "-F 16 -M 0xf0 --mbr=y"}, {16000, "-F 16 -r 2048 -D 0"}, {16000, "-A -F 16"}, {50000, ""},
	} {
		t.Run(strings.ReplaceAll(v.args, " ", "_"), func(t *testing.T) {
			img := mcopied(t, mkfat(t, v.kib, strings.Fields(v.args)...), dir)
			o := unpacktest.OpenBytes(t, FAT, append(bytes.Clone(img), "something behind it"...))
			if o.Size > int64(len(img)) || o.Size < int64(len(img))*99/100 {
				t.Errorf("size %d of %d", o.Size, len(img))
			}
			if i := strings.Index(v.args, "-n "); i > 0 && o.Info["label"] != v.args[i+3:] {
				t.Errorf("%v", o.Info)
			}
			unpacktest.SameSummary(t, want, namesAndContents(unpacktest.SummaryOfObject(t, o)))
			if _, err := MBR.Open(unpacktest.Input(img)); !errors.Is(err, unpack.ErrNotThis) {
				t.Errorf("taken for a partition table: %v", err)
			}
		})
	}
}

func TestFATTrees(t *testing.T) {
	testtool.Need(t, "mcopy")
	rounds := 0
	rapid.Check(t, func(rt *rapid.T) {
		if rounds++; rounds > 12 {
			return // mcopy is slow
		}
		dir, err := os.MkdirTemp(t.TempDir(), "tree")
		if err != nil {
			rt.Fatal(err)
		}
		unpacktest.RandomTree(rt, dir)
		args := rapid.SampledFrom([]string{"-F 12 -s 4 -a", "-F 12 -s 8", "-F 16 -s 1", "-F 16 -s 2 -S 512"}).Draw(rt, "options")
		img := mcopied(t, mkfat(t, 7000, strings.Fields(args)...), dir)
		o := unpacktest.OpenBytes(t, FAT, img)
		unpacktest.SameSummary(t, namesAndContents(unpacktest.SummaryOfFolder(t, dir)), namesAndContents(unpacktest.SummaryOfObject(t, o)))
	})
}

// fatFixture has two files in pieces, a folder, and deleted ones.
func fatFixture(t testing.TB, bits string) []byte {
	t.Helper()
	kib := map[string]int{"12": 1200, "16": 2400, "32": 34000}[bits]
	img := mkfat(t, kib, "-F", bits, "-s", "1", "-S", "512", "-n", "FIXTURE")
	dir := t.TempDir()
	put := func(name string, b []byte) {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 8 {
		put(fmt.Sprintf("some long name %d.bin", i), noise(int64(i), 5000))
	}
	put("Sub/inner file.txt", noise(20, 3000))
	put("gone away/lost inside.txt", noise(21, 3000))
	img = mcopied(t, img, dir)
	img = edit(t, img, "mdel", "-i", "IMG", "::some long name 2.bin", "::some long name 4.bin")
	os.RemoveAll(dir)
	put("pieces.bin", noise(30, 12000))
	img = mcopied(t, img, dir)
	img = edit(t, img, "mdel", "-i", "IMG", "::some long name 6.bin")
	return edit(t, img, "mdeltree", "-i", "IMG", "::gone away")
}

func TestFATFixture(t *testing.T) {
	testtool.Need(t, "mcopy")
	for _, bits := range []string{"12", "16", "32"} {
		o := unpacktest.OpenBytes(t, FAT, fatFixture(t, bits))
		tree := unpack.NewTree(o.Entries)
		for name, w := range map[string]struct {
			seed    int64
			n       int
			deleted bool
		}{
			"pieces.bin": {30, 12000, false}, "some long name 1.bin": {1, 5000, false}, "Sub/inner file.txt": {20, 3000, false},
			"some long name 6.bin": {6, 5000, true}, "gone away/lost inside.txt": {21, 3000, true},
		} {
			e := tree.Entry(name)
			if e == nil || e.Deleted != w.deleted || sumOf(t, e.Data) != sumOfBytes(noise(w.seed, w.n)) {
				t.Errorf("FAT%s: %s: %+v", bits, name, e)
			}
		}
		if e := tree.Entry("some long name 2.bin"); e != nil && sumOf(t, e.Data) != sumOfBytes(noise(2, 5000)) {
			t.Errorf("FAT%s: a deleted file with clusters of another", bits)
		}
		if o.Info["label"] != "FIXTURE" || time0(tree.Entry("pieces.bin")) {
			t.Errorf("%v", o.Info)
		}
	}
}

func time0(e *unpack.Entry) bool { return e.ModTime.Year() < 2020 }

// TestFATTables damages the tables: either copy alone costs nothing but is
// said; of both, no file is wrong in silence.
func TestFATTables(t *testing.T) {
	testtool.Need(t, "mcopy")
	for _, bits := range []string{"12", "16"} {
		img := fatFixture(t, bits)
		reserved, size := int(binary.LittleEndian.Uint16(img[14:]))*512, int(binary.LittleEndian.Uint16(img[22:]))*512
		whole := unpacktest.OpenBytes(t, FAT, img)
		for _, where := range [][2]int{{reserved, reserved + size}, {reserved, reserved + 3}, {reserved + 6, reserved + 60}, {reserved + size, reserved + 2*size}} {
			b := bytes.Clone(img)
			clear(b[where[0]:where[1]])
			o, err := FAT.Open(unpacktest.Input(b))
			if err != nil || o.Err == nil {
				t.Errorf("FAT%s, %v: %v", bits, where, err)
				continue
			}
			unpacktest.SameSummary(t, alive(whole, unpacktest.SummaryOfObject(t, whole)), alive(o, unpacktest.SummaryOfObject(t, o)))
		}
		unpacktest.Damage(t, FAT, img, unpacktest.Damaged{Rounds: 150, From: reserved, To: reserved + 2*size})
		unpacktest.Damage(t, FAT, img, unpacktest.Damaged{Rounds: 150, Unchecked: true})
	}
	img := fatByHand(32)
	unpacktest.Damage(t, FAT, img, unpacktest.Damaged{Rounds: 500, From: 8 * 512, To: 10 * 512})
	second := append(bytes.Clone(img[:6*512]), img[:512]...)
	second = append(second, img[7*512:]...)
	clear(second[:512])
	if o, err := FAT.Open(unpacktest.Input(second)); err != nil || o.Err == nil || len(o.Entries) != 4 {
		t.Errorf("the second boot sector: %v", err)
	}
}

// alive leaves deleted files out: with a table gone they can't be told.
func alive(o *unpack.Object, s unpacktest.Summary) unpacktest.Summary {
	for _, e := range o.Entries {
		if e.Deleted {
			delete(s, e.Path)
		}
	}
	return s
}

// TestFATLinks: a chain that loops, and two that share a cluster, are said.
func TestFATLinks(t *testing.T) {
	img := fatByHand(12)
	loop := bytes.Clone(img)
	loop[8*512+4], loop[8*512+5], loop[9*512+4], loop[9*512+5] = 0x20, 0, 0x20, 0 // after cluster 3 comes 2
	loop[10*512+29] = 8
	shared := bytes.Clone(img)
	shared[10*512+32+26] = 3
	for name, b := range map[string][]byte{"loop": loop, "shared": shared} {
		o, err := FAT.Open(unpacktest.Input(b))
		if err != nil || o.Err == nil || !strings.Contains(o.Err.Error(), errChainUsed.Error()) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := unpack.ReadAll(unpack.NewTree(o.Entries).Entry("FILE.TXT").Data, 1<<20)
		if name == "loop" && (err == nil || len(got) != 1024) {
			t.Errorf("%d bytes of a loop, %v", len(got), err)
		}
	}
	for _, n := range []int{100, 3000, 7000, len(img) - 1} {
		if o, err := FAT.Open(unpacktest.Input(img[:n])); err == nil && o.Err == nil {
			t.Errorf("cut to %d, and nobody says so", n)
		}
	}
}

func TestFATCorpus(t *testing.T) {
	o := unpacktest.OpenBytes(t, FAT, unxz(t, unpacktest.Corpus(t, "formats/fat.img.xz")))
	s := unpacktest.SummaryOfObject(t, o)
	for _, name := range []string{"get_files_test/generic folder/test file 3_.txt", "get_files_test/testfile1", "get_files_test/testfile2"} {
		if s[name] == "" {
			t.Errorf("no %s", name)
		}
	}
}

// fatByHand is a small file system with a file of two clusters and a folder.
func fatByHand(bits int) []byte {
	clusters, root := 20, 16
	b := make([]byte, (8+2+1+clusters)*512)
	copy(b, "\xeb\x3c\x90by hand\x00\x00\x02\x01\x08\x00\x02")
	b[17], b[19], b[21], b[22] = byte(root), byte(len(b)/512), 0xf8, 1
	b[510], b[511] = 0x55, 0xaa
	copy(b[0x36:], "FAT12   ")
	rootAt := 10 * 512
	table := []uint32{0x0ffffff8, 0x0fffffff, 3, 0x0fffffff, 0x0fffffff}
	if bits == 32 {
		copy(b[0x52:], "FAT32   ")
		b[17], b[22], b[36], b[44] = 0, 0, 1, 5
		table = append(table, 0x0fffffff)
		rootAt = (10 + 3) * 512
	}
	for i, v := range table {
		for c := range 2 {
			t := b[(8+c)*512:]
			if bits == 32 {
				binary.LittleEndian.PutUint32(t[i*4:], v)
			} else if v &= 0xfff; i%2 == 0 {
				t[i*3/2], t[i*3/2+1] = byte(v), t[i*3/2+1]&0xf0|byte(v>>8)
			} else {
				t[i*3/2], t[i*3/2+1] = t[i*3/2]&0x0f|byte(v<<4), byte(v>>4)
			}
		}
	}
	entry := func(at int, name string, attr byte, start, size int) {
		copy(b[at:], name)
		b[at+11], b[at+26] = attr, byte(start)
		binary.LittleEndian.PutUint16(b[at+28:], uint16(size))
	}
	entry(rootAt, "FILE    TXT", 0x20, 2, 900)
	entry(rootAt+32, "FOLDER     ", 0x10, 4, 0)
	entry(rootAt+64, "\xe5ONE    TXT", 0x20, 7, 600)
	return b
}

func TestFATByHand(t *testing.T) {
	for _, bits := range []int{12, 32} {
		o := unpacktest.OpenBytes(t, FAT, fatByHand(bits))
		tree := unpack.NewTree(o.Entries)
		if e := tree.Entry("_ONE.TXT"); o.Format != fmt.Sprintf("fat%d", bits) || tree.Entry("FILE.TXT").Size() != 900 || e == nil || !e.Deleted {
			t.Errorf("%s: %v", o.Format, tree.Paths())
		}
	}
}

func FuzzFAT(f *testing.F) { unpacktest.Fuzz(f, FAT, fatByHand(12), fatByHand(32)) }
