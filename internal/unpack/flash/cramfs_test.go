package flash

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"github.com/klauspost/compress/zlib"
	"pgregory.net/rapid"
)

func mkcramfs(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	img := filepath.Join(t.TempDir(), "img")
	testtool.Run(t, "", "mkfs.cramfs", append(append([]string{}, args...), dir, img)...)
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCramfsVariants(t *testing.T) {
	testtool.Need(t, "mkfs.cramfs")
	dir := unpacktest.SampleTree(t)
	want := unpacktest.SummaryOfFolder(t, dir)
	for _, args := range []string{"", "-N little", "-N big", "-z", "-p", "-p -N big -z", "-e 7 -n label"} {
		t.Run(strings.ReplaceAll(args, " ", "_"), func(t *testing.T) {
			img := mkcramfs(t, dir, strings.Fields(args)...)
			o := unpacktest.OpenBytes(t, Cramfs, append(bytes.Clone(img), "something behind it"...))
			if o.Size != int64(len(img)) {
				t.Errorf("size %d of %d", o.Size, len(img))
			}
			if strings.Contains(args, "label") && (o.Info["label"] != "label" || o.Info["edition"] != "7") {
				t.Errorf("%v", o.Info)
			}
			unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
		})
	}
}

// TestCramfsFirstVersion: without the flag of version 2 neither size nor
// checksum are stated.
func TestCramfsFirstVersion(t *testing.T) {
	dir := unpacktest.SampleTree(t)
	want := unpacktest.SummaryOfFolder(t, dir)
	img := mkcramfs(t, dir)
	clear(img[4:12])
	clear(img[32:48])
	o := unpacktest.OpenBytes(t, Cramfs, append(bytes.Clone(img), bytes.Repeat([]byte("something else"), 1000)...))
	if o.Size != int64(len(img)) {
		t.Errorf("size %d of %d", o.Size, len(img))
	}
	unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
}

// cramfsByHand makes a file system with one file of the given blocks, in the
// layout of fs/cramfs/README.
func cramfsByHand(flags uint32, fileSize int, pointers func(at int) (table []uint32, data []byte)) []byte {
	b := make([]byte, cramfsSuperSize+16)
	copy(b[cramfsSuperSize+12:], "file")
	at := len(b)
	table, data := pointers(at)
	for _, p := range table {
		b = binary.LittleEndian.AppendUint32(b, p)
	}
	b = append(b, data...)
	b = append(b, make([]byte, -len(b)&4095)...)
	copy(b, cramfsLittle)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
	binary.LittleEndian.PutUint32(b[8:], flags|cramfsVersion2)
	copy(b[16:], "Compressed ROMFS")
	inode := func(at, mode, size, nameLen, offset int) {
		binary.LittleEndian.PutUint32(b[at:], uint32(mode))
		binary.LittleEndian.PutUint32(b[at+4:], uint32(size))
		binary.LittleEndian.PutUint32(b[at+8:], uint32(nameLen/4|offset/4<<6))
	}
	inode(64, 0o040755, 16, 0, cramfsSuperSize)
	inode(cramfsSuperSize, 0o100644, fileSize, 4, at)
	binary.LittleEndian.PutUint32(b[32:], crc32.ChecksumIEEE(b))
	return b
}

func deflated(p []byte) []byte {
	var buf bytes.Buffer
	w := zlib.NewWriter(&buf)
	w.Write(p)
	w.Close()
	return buf.Bytes()
}

// TestCramfsExtended: stored blocks, direct pointers and holes among ordinary
// blocks.
func TestCramfsExtended(t *testing.T) {
	block := func(c byte) []byte { return bytes.Repeat([]byte{c, c + 1}, 2048) }
	var want []byte
	img := cramfsByHand(cramfsExtended, 6*4096+100, func(at int) (table []uint32, data []byte) {
		end := func() uint32 { return uint32(at + 7*4 + len(data)) }
		put := func(c byte, p []byte) { data = append(data, p...); want = append(want, block(c)...) }
		put('a', deflated(block('a')))
		table = append(table, end())
		put('b', block('b'))
		table = append(table, end()|cramfsStored)
		data = append(data, make([]byte, -int(end())&3)...)
		table = append(table, end()/4|cramfsDirect|cramfsStored)
		put('c', block('c'))
		put('d', deflated(block('d'))) // follows a direct block
		table = append(table, end())
		data = append(data, make([]byte, -int(end())&3)...)
		table = append(table, end()/4|cramfsDirect)
		packed := deflated(block('e'))
		put('e', append(binary.LittleEndian.AppendUint16(nil, uint16(len(packed))), packed...))
		table = append(table, end()) // a hole: it ends where the one before does
		want = append(want, make([]byte, 4096)...)
		last := block('f')[:100]
		data, want = append(data, deflated(last)...), append(want, last...)
		table = append(table, end())
		return table, data
	})
	o := unpacktest.OpenBytes(t, Cramfs, img)
	got, err := unpack.ReadAll(unpack.NewTree(o.Entries).Entry("file").Data, 1<<20)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, %d bytes instead of %d, equal %v", err, len(got), len(want), bytes.Equal(got, want))
	}
}

// TestCramfsLZMA: blocks of the makers' LZMA, which begin with its properties
// and with the size in four or eight bytes.
func TestCramfsLZMA(t *testing.T) {
	testtool.Need(t, "xz")
	content := unpacktest.MixedBytes(150_000)
	for _, size := range []int{4096, 65536} {
		for _, head := range []int{9, 13} {
			n := (len(content) + size - 1) / size
			img := cramfsByHand(0, len(content), func(at int) (table []uint32, data []byte) {
				for p := content; len(p) > 0; p = p[min(size, len(p)):] {
					block := p[:min(size, len(p))]
					packed := unpacktest.PackBlock(t, "lzma", block) // xz leaves the size open
					full := append(bytes.Clone(packed[:5]), 0, 0, 0, 0, 0, 0, 0, 0)[:head]
					binary.LittleEndian.PutUint32(full[5:], uint32(len(block)))
					data = append(append(data, full...), packed[13:]...)
					table = append(table, uint32(at+4*n+len(data)))
				}
				return table, data
			})
			o := unpacktest.OpenBytes(t, Cramfs, img)
			got, err := unpack.ReadAll(unpack.NewTree(o.Entries).Entry("file").Data, 1<<20)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("blocks of %d, head of %d: %v, %d bytes", size, head, err, len(got))
			}
		}
	}
}

// TestCramfsDamage: the checksum of the whole tells every change.
func TestCramfsDamage(t *testing.T) {
	testtool.Need(t, "mkfs.cramfs")
	dir := filepath.Join(t.TempDir(), "tree")
	os.Mkdir(dir, 0o755)
	for i := range 20 {
		os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%d", i)), bytes.Repeat([]byte(fmt.Sprintf("words %d ", i)), 200*i), 0o644)
	}
	unpacktest.Damage(t, Cramfs, mkcramfs(t, dir), unpacktest.Damaged{Rounds: 1000})
}

// TestCramfsPages: the size of blocks is found.
func TestCramfsPages(t *testing.T) {
	content := make([]byte, 200_000)
	rand.New(rand.NewSource(1)).Read(content)
	copy(content, bytes.Repeat([]byte("text"), 20_000))
	for _, size := range []int{1024, 4096, 16384, 65536} {
		n := (len(content) + size - 1) / size
		img := cramfsByHand(0, len(content), func(at int) (table []uint32, data []byte) {
			for p := content; len(p) > 0; p = p[min(size, len(p)):] {
				data = append(data, deflated(p[:min(size, len(p))])...)
				table = append(table, uint32(at+4*n+len(data)))
			}
			return table, data
		})
		o := unpacktest.OpenBytes(t, Cramfs, img)
		got, err := unpack.ReadAll(unpack.NewTree(o.Entries).Entry("file").Data, 1<<20)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("blocks of %d: %v", size, err)
		}
	}
}

func TestCramfsTrees(t *testing.T) {
	testtool.Need(t, "mkfs.cramfs")
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "tree")
		if err != nil {
			rt.Fatal(err)
		}
		unpacktest.RandomTree(rt, dir)
		args := []string{"-N", rapid.SampledFrom([]string{"big", "little"}).Draw(rt, "byte order")}
		for _, flag := range []string{"-z", "-p"} {
			if rapid.Bool().Draw(rt, flag) {
				args = append(args, flag)
			}
		}
		o := unpacktest.OpenBytes(t, Cramfs, mkcramfs(t, dir, args...))
		unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), unpacktest.SummaryOfObject(t, o))
	})
}

// TestCramfsFlipped: every changed byte is noticed by the checksum of the
// whole, and contents are right or an error.
func TestCramfsFlipped(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	os.Mkdir(dir, 0o755)
	for i := range 20 {
		os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%d", i)), bytes.Repeat([]byte(fmt.Sprintf("words %d ", i)), 200*i), 0o644)
	}
	want := unpacktest.SummaryOfFolder(t, dir)
	img := mkcramfs(t, dir)
	rnd := rand.New(rand.NewSource(3))
	for range 300 {
		b := bytes.Clone(img)
		at := rnd.Intn(len(b))
		b[at] ^= 1 << rnd.Intn(8)
		o, err := Cramfs.Open(unpacktest.Input(b))
		if err != nil {
			continue // a superblock that is none
		}
		if o.Err == nil && b[8] == img[8] {
			t.Fatalf("byte 0x%x: not noticed", at)
		}
		for _, e := range o.Entries {
			if e.Mode.IsRegular() && e.Data != nil && at > cramfsSuperSize+20*16+64 {
				got, err := unpack.ReadAll(e.Data, 1<<30)
				if err == nil && !strings.HasSuffix(want[e.Path], fmt.Sprintf("%d %x", len(got), sha256.Sum256(got))) {
					t.Fatalf("byte 0x%x: %s has wrong bytes and no error", at, e.Path)
				}
			}
		}
	}
}

func TestCramfsHostile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	os.MkdirAll(filepath.Join(dir, "a/b/c"), 0o755)
	os.WriteFile(filepath.Join(dir, "a/b/c/f"), []byte("hello"), 0o644)
	img := mkcramfs(t, dir)
	for _, n := range []int{100, 200, len(img) - 1} {
		if o, err := Cramfs.Open(unpacktest.Input(img[:n])); err != nil || o.Err == nil || o.Size != int64(n) {
			t.Errorf("cut to %d: %v", n, err)
		}
	}
	loop := bytes.Clone(img) // a contains itself: its inode is the root's first
	copy(loop[cramfsSuperSize+16+4:cramfsSuperSize+16+12], loop[cramfsSuperSize+4:cramfsSuperSize+12])
	if o, err := Cramfs.Open(unpacktest.Input(loop)); err != nil || o.Err == nil || len(o.Entries) > 4 {
		t.Errorf("a loop: %v %v", err, o)
	}
	for _, at := range []int{0, 16, 65, 72, 11} {
		x := bytes.Clone(img)
		x[at] ^= 0xc0
		if _, err := Cramfs.Open(unpacktest.Input(x)); !errors.Is(err, unpack.ErrNotThis) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
}

func TestCramfsCorpus(t *testing.T) {
	o := unpacktest.Open(t, Cramfs, unpacktest.Corpus(t, "formats/cramfs.img"))
	if o.Size != 4096 || len(o.Entries) < 5 {
		t.Errorf("%d bytes, %d entries", o.Size, len(o.Entries))
	}
	unpacktest.SummaryOfObject(t, o)
}

func FuzzCramfs(f *testing.F) {
	block := bytes.Repeat([]byte("ab"), 2048)
	seed := func(flags uint32, size int) []byte {
		return cramfsByHand(flags, size, func(at int) ([]uint32, []byte) {
			p := deflated(block[:min(size, 4096)])
			return []uint32{uint32(at + 4 + len(p))}, p
		})
	}
	unpacktest.Fuzz(f, Cramfs, seed(0, 100), seed(0x100, 4096), seed(cramfsExtended, 50))
}
