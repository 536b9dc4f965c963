package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// gptSample is a disk with boot code before its table's end and between its
// partitions.
func gptSample(t testing.TB) []byte {
	t.Helper()
	if gptMade != nil {
		return bytes.Clone(gptMade)
	}
	img := noise(5, 2<<20)
	clear(img[34*512 : 2048*512])
	copy(img[64*512:], noise(6, 3000)) // a loader before the first partition
	clear(img[len(img)-33*512:])
	gptMade = edit(t, img, "sgdisk", "-a", "1", "-n", "1:2048:2147", "-c", "1:boot_a", "-t", "1:EF00", "-n", "2:2200:2399", "-c", "2:root/fs é", "-n", "7:2400:2450", "-A", "7:set:2", "-n", "8:2500:2600", "-c", "8:boot_a", "IMG")
	return bytes.Clone(gptMade)
}

var gptMade []byte // sgdisk waits a second

func TestGPT(t *testing.T) {
	img := gptSample(t)
	o := unpacktest.OpenBytes(t, GPT, append(bytes.Clone(img), "something behind it"...))
	if o.Size != int64(len(img)) {
		t.Errorf("%d bytes of %d", o.Size, len(img))
	}
	for name, at := range map[string][2]int64{"boot_a": {2048, 100}, "root_fs é": {2200, 200}, "7": {2400, 51}, "boot_a#2": {2500, 101}} {
		p := part(t, o, name)
		if p.Offset != at[0]*512 || sumOf(t, p.Data) != sumOfBytes(img[at[0]*512:(at[0]+at[1])*512]) {
			t.Errorf("%s: %d bytes at %d", name, p.Data.Size(), p.Offset)
		}
	}
	if p := part(t, o, "boot_a"); !strings.HasPrefix(p.Info["type"], "EFI system") || p.Info["label"] != "boot_a" {
		t.Errorf("%v", p.Info)
	}
	if p := part(t, o, "7"); p.Info["attributes"] != "0x4" || !strings.HasPrefix(p.Info["type"], "Linux file system") {
		t.Errorf("%v", p.Info)
	}
	if p := part(t, o, "unallocated@0x8000"); p.Data.Size() != 3072 {
		t.Errorf("the loader has %d bytes", p.Data.Size())
	}
	covered(t, img, o, [2]int{440, 512}, [2]int{512, 1024}, [2]int{1024, 34 * 512}, [2]int{len(img) - 33*512, len(img)})
	if _, err := MBR.Open(unpacktest.Input(img)); err != nil && !errors.Is(err, unpack.ErrNotThis) {
		t.Error(err)
	}
}

// TestGPTDamaged: with the first table gone, or damaged in any way, the copy is
// read, and that is said.
func TestGPTDamaged(t *testing.T) {
	img := gptSample(t)
	check := func(name string, r *unpack.Reader, b []byte) {
		t.Helper()
		o, err := r.Open(unpacktest.Input(b))
		if err != nil || o.Err == nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if p := part(t, o, "boot_a"); sumOf(t, p.Data) != sumOfBytes(img[2048*512:2148*512]) {
			t.Errorf("%s: wrong bytes", name)
		}
	}
	header := bytes.Clone(img)
	header[512+60] ^= 1
	check("the header", GPT, header)
	entries := bytes.Clone(img)
	entries[1024+200] ^= 1
	check("the entries", GPT, entries)
	gone := bytes.Clone(img)
	clear(gone[512:1024])
	check("no header", GPT, gone)
	clear(gone[:34*512])
	check("nothing at all", GPTBackup, gone)
	both := bytes.Clone(entries)
	clear(both[len(both)-512:])
	check("no copy", GPT, both)
	if o, err := GPT.Open(unpacktest.Input(img[:1<<20])); err != nil || o.Err == nil {
		t.Errorf("cut off: %v", err)
	}
	if _, err := GPT.Open(unpacktest.Input(img[:20<<10])); err != nil {
		t.Errorf("a table alone: %v", err)
	}
}

// TestGPTFlipped: whatever bit of the tables is changed, all partitions are
// found, by either table.
func TestGPTFlipped(t *testing.T) {
	img := gptSample(t)
	rnd := rand.New(rand.NewSource(4))
	for range 300 {
		b := bytes.Clone(img)
		b[512+rnd.Intn(33*512)] ^= 1 << rnd.Intn(8)
		o, err := GPT.Open(unpacktest.Input(b))
		if err != nil {
			t.Fatal(err)
		}
		for name, at := range map[string]int64{"boot_a": 2048, "root_fs é": 2200, "7": 2400} {
			if part(t, o, name).Offset != at*512 {
				t.Fatal("a wrong place")
			}
		}
	}
}

// gptByHand is a table of the specification with two headers, over an image
// whose sectors are as large as wanted.
func gptByHand(img []byte, ss int, parts map[string][2]int) {
	sectors := len(img) / ss
	entries := make([]byte, 128*128)
	n := 0
	for name, p := range parts {
		e := entries[n*128:]
		copy(e, noise(9, 32))
		binary.LittleEndian.PutUint64(e[32:], uint64(p[0]))
		binary.LittleEndian.PutUint64(e[40:], uint64(p[0]+p[1]-1))
		for i, c := range name {
			e[56+2*i] = byte(c)
		}
		n++
	}
	table := len(entries) / ss
	header := func(at, other, entriesAt int) {
		copy(img[entriesAt*ss:], entries)
		h := make([]byte, 92)
		copy(h, "EFI PART\x00\x00\x01\x00\x5c")
		for i, v := range []int{at, other, 2 + table, sectors - 2 - table} {
			binary.LittleEndian.PutUint64(h[24+8*i:], uint64(v))
		}
		binary.LittleEndian.PutUint64(h[72:], uint64(entriesAt))
		binary.LittleEndian.PutUint32(h[80:], 128)
		binary.LittleEndian.PutUint32(h[84:], 128)
		binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(entries))
		binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h))
		clear(img[at*ss : (at+1)*ss])
		copy(img[at*ss:], h)
	}
	header(1, sectors-1, 2)
	header(sectors-1, 1, sectors-1-table)
	clear(img[440:512])
	img[446+4], img[446+8], img[446+12], img[510], img[511] = 0xee, 1, 0xff, 0x55, 0xaa
}

func TestGPTLargeSectors(t *testing.T) {
	img := noise(2, 4<<20)
	gptByHand(img, 4096, map[string][2]int{"one": {20, 100}, "two": {200, 300}})
	o := unpacktest.OpenBytes(t, GPT, img)
	if p := part(t, o, "two"); p.Offset != 200*4096 || p.Data.Size() != 300*4096 || o.Size != int64(len(img)) {
		t.Errorf("%d bytes at %d", p.Data.Size(), p.Offset)
	}
	clear(img[4096:8192])
	if o, err := GPT.Open(unpacktest.Input(img)); err != nil || part(t, o, "one").Offset != 20*4096 {
		t.Error(err)
	}
}

// TestGPTLayouts compares random layouts with those that sgdisk was told.
func TestGPTLayouts(t *testing.T) {
	rnd := rand.New(rand.NewSource(8))
	for range 3 {
		args, at := []string{"-a", "1"}, 34
		want := map[string][2]int{}
		for i := range 1 + rnd.Intn(12) {
			at += rnd.Intn(60)
			size := 1 + rnd.Intn(100)
			name := fmt.Sprintf("p%d", i+1)
			args = append(args, "-n", fmt.Sprintf("%d:%d:%d", i+1, at, at+size-1), "-c", fmt.Sprintf("%d:%s", i+1, name))
			want[name] = [2]int{at, size}
			at += size
		}
		o := unpacktest.OpenBytes(t, GPT, edit(t, noise(1, 1<<20), "sgdisk", append(args, "IMG")...))
		for name, w := range want {
			if p := part(t, o, name); p.Offset != int64(w[0])*512 || p.Data.Size() != int64(w[1])*512 {
				t.Fatalf("%s: %d bytes at %d", name, p.Data.Size(), p.Offset)
			}
		}
	}
}

func smallGPT() []byte {
	img := make([]byte, 64<<10)
	gptByHand(img, 512, map[string][2]int{"a": {40, 11}, "b": {60, 11}})
	return img
}

func FuzzGPT(f *testing.F) { unpacktest.Fuzz(f, GPT, smallGPT()) }

func FuzzGPTBackup(f *testing.F) {
	img := smallGPT()
	clear(img[:34*512])
	unpacktest.Fuzz(f, GPTBackup, img)
}
