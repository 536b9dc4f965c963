package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/stream"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// partitioned runs sfdisk with a script over an image.
func partitioned(t testing.TB, b []byte, script string, args ...string) []byte {
	t.Helper()
	f := tempFile(t, b)
	cmd := exec.Command(testtool.Need(t, "sfdisk"), append(args, "--no-reread", "--no-tell-kernel", "-q", "--wipe", "never", "--wipe-partitions", "never", f)...)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s\n%s", err, out, script)
	}
	b, err := os.ReadFile(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// covered checks that the parts hold every byte that is not padding, besides
// the tables themselves.
func covered(t testing.TB, b []byte, o *unpack.Object, own ...[2]int) {
	t.Helper()
	seen := bytes.Clone(b)
	for _, p := range o.Parts {
		clear(seen[p.Offset : p.Offset+p.Data.Size()])
	}
	for _, r := range own {
		clear(seen[r[0]:r[1]])
	}
	if !unpack.IsPadding(seen) {
		t.Errorf("bytes are in no part: %v", partNames(o))
	}
}

func TestMBR(t *testing.T) {
	img := noise(1, 4<<20)
	clear(img[1<<20 : 1<<20+9000]) // padding before the second partition's end
	img = partitioned(t, img, "label: dos\nstart=64, size=1000, type=c, bootable\nstart=1100, size=900, type=83\nstart=2048, type=5\nstart=2100, size=500, type=82\nstart=2700, size=1001, type=da\n")
	o := unpacktest.OpenBytes(t, MBR, img)
	for name, at := range map[string][2]int64{"1": {64, 1000}, "2": {1100, 900}, "5": {2100, 500}, "6": {2700, 1001}} {
		p := part(t, o, name)
		if p.Offset != at[0]*512 || sumOf(t, p.Data) != sumOfBytes(img[at[0]*512:(at[0]+at[1])*512]) {
			t.Errorf("%s: %d bytes at %d", name, p.Data.Size(), p.Offset)
		}
	}
	if p := part(t, o, "1"); p.Info["active"] != "yes" || p.Info["type"] != "FAT32, LBA (0c)" {
		t.Errorf("%v", p.Info)
	}
	part(t, o, "boot code")
	part(t, o, "unallocated@0x200")
	// A file of an MBR alone, a file system's boot sector, text: none is a disk.
	for name, b := range map[string][]byte{"alone": img[:512], "noise": append(noise(3, 510), 0x55, 0xaa), "zeros": append(make([]byte, 510), 0x55, 0xaa)} {
		if _, err := MBR.Open(unpacktest.Input(append(b, noise(2, 4096)...))); !errors.Is(err, unpack.ErrNotThis) && name != "alone" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := MBR.Open(unpacktest.Input(img[:512])); !errors.Is(err, unpack.ErrNotThis) {
		t.Errorf("an MBR alone: %v", err)
	}
	if o, err := MBR.Open(unpacktest.Input(img[:1<<20])); err != nil || o.Err == nil {
		t.Errorf("cut off: %v", err)
	}
}

// TestMBRLayouts compares random layouts with those that sfdisk was told.
func TestMBRLayouts(t *testing.T) {
	rnd := rand.New(rand.NewSource(9))
	for round := range 12 {
		img := noise(int64(round), 1<<20)
		script, at := "label: dos\n", 1
		want := map[string][2]int{}
		n, logical := 1+rnd.Intn(4), rnd.Intn(6)
		for i := 1; i <= n; i++ {
			at += rnd.Intn(60)
			size := 1 + rnd.Intn(200)
			if i == n && logical > 0 {
				size = 1000
				script += fmt.Sprintf("start=%d, size=%d, type=5\n", at, size)
				in := at
				for j := range logical {
					in += 1 + rnd.Intn(50)
					s := 1 + rnd.Intn(100)
					script += fmt.Sprintf("start=%d, size=%d, type=83\n", in, s)
					want[fmt.Sprint(5+j)] = [2]int{in, s}
					in += s
				}
			} else {
				script += fmt.Sprintf("start=%d, size=%d, type=%x\n", at, size, 0x80+rnd.Intn(4))
				want[fmt.Sprint(i)] = [2]int{at, size}
			}
			at += size
		}
		o := unpacktest.OpenBytes(t, MBR, partitioned(t, img, script))
		named := 0
		for _, p := range o.Parts {
			w, there := want[p.Name]
			if there {
				named++
			}
			if there && (p.Offset != int64(w[0])*512 || p.Data.Size() != int64(w[1])*512) {
				t.Errorf("%s: %d bytes at %d\n%s", p.Name, p.Data.Size(), p.Offset, script)
			}
		}
		if named != len(want) {
			t.Errorf("%v\n%s", partNames(o), script)
		}
	}
}

// TestMBRLargeSectors: the table counts in sectors of 4096 bytes, which only
// the places of what is in the partitions can tell.
func TestMBRLargeSectors(t *testing.T) {
	img := make([]byte, 4<<20)
	table := func(at int, start, size int, kind byte) {
		p := img[at:]
		p[4] = kind
		binary.LittleEndian.PutUint32(p[8:], uint32(start))
		binary.LittleEndian.PutUint32(p[12:], uint32(size))
	}
	img[510], img[511] = 0x55, 0xaa
	table(446, 16, 100, 0x83)
	table(462, 200, 300, 5)
	copy(img[16*4096+0x438:], "\x53\xef")
	img[200*4096+510], img[200*4096+511] = 0x55, 0xaa
	table(200*4096+446, 1, 50, 0x83)
	copy(img[201*4096:], "content")
	o := unpacktest.OpenBytes(t, MBR, img)
	if p := part(t, o, "5"); p.Offset != 201*4096 || p.Data.Size() != 50*4096 {
		t.Errorf("%d bytes at %d", p.Data.Size(), p.Offset)
	}
	covered(t, img, o, [2]int{440, 512}, [2]int{200*4096 + 440, 200*4096 + 512})
}

func TestMBRLoop(t *testing.T) {
	img := partitioned(t, noise(1, 1<<20), "label: dos\nstart=64, size=1000, type=5\nstart=100, size=50\nstart=200, size=50\n")
	// The second table of the chain leads back to itself.
	at := 64*512 + int(binary.LittleEndian.Uint32(img[64*512+446+16+8:]))*512
	img[at+446+16+4] = 5
	binary.LittleEndian.PutUint32(img[at+446+16+8:], uint32(at/512-64))
	binary.LittleEndian.PutUint32(img[at+446+16+12:], 10)
	o, err := MBR.Open(unpacktest.Input(img))
	if err != nil || o.Err == nil || !strings.Contains(o.Err.Error(), "comes back") {
		t.Errorf("%v %v", err, o)
	}
	part(t, o, "6")
}

func TestMBRCorpus(t *testing.T) {
	img := unxz(t, unpacktest.Corpus(t, "formats/mbr.img.xz"))
	o, err := MBR.Open(unpacktest.Input(img))
	if err != nil || o.Err == nil || !strings.Contains(o.Err.Error(), "partition 4") { // its last one is cut off
		t.Fatalf("%v %v", err, o.Err)
	}
	for name, size := range map[string]int64{"1": 2 << 20, "2": 3 << 20, "3": 2 << 20} {
		if p := part(t, o, name); p.Data.Size() != size {
			t.Errorf("%s: %d bytes", name, p.Data.Size())
		}
	}
}

// unxz is the content of a packed file.
func unxz(t testing.TB, file string) []byte {
	t.Helper()
	o := unpacktest.Open(t, stream.XZ, file)
	b, err := unpack.ReadAll(o.Parts[0].Data, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func FuzzMBR(f *testing.F) {
	img := partitioned(f, make([]byte, 64<<10), "label: dos\nstart=2, size=10\nstart=20, size=100, type=5\nstart=30, size=5\nstart=50, size=5\n")
	unpacktest.Fuzz(f, MBR, img)
}
