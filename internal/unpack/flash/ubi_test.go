package flash

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// ubinize makes an image of volumes, given as "name type" and content.
func ubinize(t testing.TB, args []string, volumes map[string][]byte, order ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	config := ""
	for i, v := range order {
		name, kind, _ := strings.Cut(v, " ")
		unpacktest.WriteFile(t, dir, name, volumes[name])
		config += fmt.Sprintf("[%s]\nmode=ubi\nimage=%s\nvol_id=%d\nvol_size=4MiB\nvol_type=%s\nvol_name=%s\n", name, name, i, kind, name)
	}
	unpacktest.WriteFile(t, dir, "config", []byte(config))
	testtool.Run(t, dir, "ubinize", append(args, "-o", "out", "config")...)
	b, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUBI(t *testing.T) {
	volumes := map[string][]byte{"kernel": unpacktest.Noise(1, 300_001), "rootfs": unpacktest.Noise(2, 500_000), "data": unpacktest.Noise(3, 10)}
	for _, args := range [][]string{{"-p", "128KiB", "-m", "2048"}, {"-p", "128KiB", "-m", "2048", "-s", "512"}, {"-p", "64KiB", "-m", "1"}, {"-p", "16KiB", "-m", "512", "-s", "256"}, {"-p", "256KiB", "-m", "4096", "-O", "8192"}, {"-p", "8448", "-m", "1"}} {
		b := ubinize(t, args, volumes, "kernel static", "rootfs dynamic", "data static")
		o := unpacktest.OpenBytes(t, UBI, append(bytes.Clone(b), unpacktest.Noise(4, 1000)...))
		if o.Size != int64(len(b)) || len(o.Parts) != 3 || o.Gaps != nil {
			t.Fatalf("%v: size %d of %d, %v %v", args, o.Size, len(b), o.Parts, o.Gaps)
		}
		for i, name := range []string{"kernel", "rootfs", "data"} {
			p := o.Parts[i]
			got := unpacktest.PartBytes(t, p)
			if p.Name != name || !bytes.HasPrefix(got, volumes[name]) || !unpack.IsPadding(got[len(volumes[name]):]) {
				t.Errorf("%v: volume %s differs", args, name)
			}
			if static := name != "rootfs"; static && len(got) != len(volumes[name]) || p.Info["type"] == "static" != static {
				t.Errorf("%v: volume %s: %d bytes, %v", args, name, len(got), p.Info)
			}
		}
	}
}

// swapPEBs moves erase blocks about: their order means nothing.
func TestUBIOrder(t *testing.T) {
	volumes := map[string][]byte{"a": unpacktest.Noise(1, 400_000), "b": unpacktest.Noise(2, 300_000)}
	const peb = 64 << 10
	b := ubinize(t, []string{"-p", "64KiB", "-m", "1"}, volumes, "a dynamic", "b dynamic")
	var mixed []byte
	for i := len(b)/peb - 1; i >= 0; i-- {
		mixed = append(mixed, b[i*peb:(i+1)*peb]...)
		if i%3 == 0 {
			mixed = append(mixed, bytes.Repeat([]byte{0xff}, peb)...) // a block without header
		}
	}
	// The first block must have a header for anyone to see an image here; the
	// second is bad.
	mixed = append(append(bytes.Clone(mixed[:peb]), make([]byte, peb)...), mixed[peb:]...)
	o := unpacktest.OpenBytes(t, UBI, mixed)
	for i, name := range []string{"a", "b"} {
		if got := unpacktest.PartBytes(t, o.Parts[i]); !bytes.HasPrefix(got, volumes[name]) {
			t.Errorf("volume %s differs", name)
		}
	}
}

func fixUBISum(b []byte) { binary.BigEndian.PutUint32(b[60:], ubiSum(b[:60])) }

// TestUBICopies adds second copies of a block: the newest counts, unless it is
// an unfinished copy.
func TestUBICopies(t *testing.T) {
	const peb = 64 << 10
	volume := map[string][]byte{"v": unpacktest.Noise(1, 60_000)}
	b := ubinize(t, []string{"-p", "64KiB", "-m", "1"}, volume, "v dynamic")
	old := bytes.Clone(b[len(b)-peb:])
	if string(old[64:68]) != ubiVIDMagic {
		t.Fatal("no volume header at 64")
	}
	mutant := func(sequence uint64, copied bool, goodSum bool, text string) []byte {
		n := bytes.Clone(old)
		copy(n[128:], text)
		vid := n[64:128]
		binary.BigEndian.PutUint64(vid[40:], sequence)
		if copied {
			vid[6] = 1
			binary.BigEndian.PutUint32(vid[20:], 1000)
			sum := ubiSum(n[128:1128])
			if !goodSum {
				sum++
			}
			binary.BigEndian.PutUint32(vid[32:], sum)
		}
		fixUBISum(vid)
		return n
	}
	for _, c := range []struct {
		extra [][]byte
		want  string
	}{
		{nil, string(volume["v"][:5])},
		{[][]byte{mutant(9, false, false, "newer")}, "newer"},
		{[][]byte{mutant(9, true, true, "newer")}, "newer"},
		{[][]byte{mutant(9, true, false, "newer")}, string(volume["v"][:5])},
		{[][]byte{mutant(9, false, false, "newer"), mutant(8, false, false, "older")}, "newer"},
		{[][]byte{mutant(9, true, false, "newer"), mutant(8, false, false, "older")}, "older"},
	} {
		for _, swap := range []bool{false, true} {
			image := bytes.Clone(b)
			extra := c.extra
			if swap && len(extra) == 2 {
				extra = [][]byte{extra[1], extra[0]}
			}
			for _, e := range extra {
				image = append(image, e...)
			}
			o := unpacktest.OpenBytes(t, UBI, image)
			if got := string(unpacktest.PartBytes(t, o.Parts[0])[:5]); got != c.want {
				t.Errorf("%d copies: %q, want %q", len(c.extra), got, c.want)
			}
		}
	}
}

func TestUBIDamage(t *testing.T) {
	const peb = 64 << 10
	volume := map[string][]byte{"v": unpacktest.Noise(1, 200_000)}
	b := ubinize(t, []string{"-p", "64KiB", "-m", "1"}, volume, "v static")
	bad := bytes.Clone(b)
	bad[len(bad)-peb+500]++
	if o := unpacktest.OpenBytes(t, UBI, bad); len(o.Gaps) != 1 || !strings.Contains(o.Gaps[0].Note, "checksum of block 3") {
		t.Errorf("%v", o.Gaps)
	}
	if o := unpacktest.OpenBytes(t, UBI, b[:len(b)-peb]); len(o.Gaps) != 1 || !strings.Contains(o.Gaps[0].Note, "3 of 4 blocks") {
		t.Errorf("%v", o.Gaps)
	}
	if o, err := UBI.Open(unpacktest.Input(b[:len(b)-100])); err != nil || len(o.Gaps) == 0 || o.Size != int64(len(b)-100) {
		t.Errorf("cut: %v %v", o, err)
	}
	// Either copy of the volume table will do; without both there are no names.
	noTable := bytes.Clone(b)
	noTable[140]++
	if o := unpacktest.OpenBytes(t, UBI, noTable); o.Parts[0].Name != "v" || o.Gaps != nil {
		t.Errorf("one table: %v %v", o.Parts, o.Gaps)
	}
	noTable[peb+140]++
	if o := unpacktest.OpenBytes(t, UBI, noTable); o.Parts[0].Name != "volume0" || len(o.Gaps) != 1 {
		t.Errorf("no table: %v %v", o.Parts, o.Gaps)
	}
}

// TestUBINeighbours: the second of two images is not part of the first.
func TestUBINeighbours(t *testing.T) {
	one := ubinize(t, []string{"-p", "64KiB", "-m", "1", "-Q", "1"}, map[string][]byte{"one": unpacktest.Noise(1, 100_000)}, "one dynamic")
	two := ubinize(t, []string{"-p", "64KiB", "-m", "1", "-Q", "2"}, map[string][]byte{"two": unpacktest.Noise(2, 100_000)}, "two dynamic")
	o := unpacktest.OpenBytes(t, UBI, append(bytes.Clone(one), two...))
	if o.Size != int64(len(one)) || len(o.Parts) != 1 || o.Parts[0].Name != "one" {
		t.Errorf("%d of %d bytes, %v", o.Size, len(one), o.Parts)
	}
}

// smallUBI is an image of two volumes by hand, for fuzzing.
func smallUBI() []byte {
	const peb = 1024
	var b []byte
	be := binary.BigEndian
	block := func(id, lnum uint32, kind byte, content []byte) {
		p := bytes.Repeat([]byte{0xff}, peb)
		ec, vid := p[:64], p[64:128]
		clear(p[:128])
		copy(ec, ubiMagic+"\x01")
		be.PutUint32(ec[16:], 64)
		be.PutUint32(ec[20:], 128)
		fixUBISum(ec)
		copy(vid, ubiVIDMagic+"\x01")
		vid[5] = kind
		be.PutUint32(vid[8:], id)
		be.PutUint32(vid[12:], lnum)
		be.PutUint32(vid[20:], uint32(len(content)))
		be.PutUint32(vid[24:], 1)
		be.PutUint32(vid[32:], ubiSum(content))
		fixUBISum(vid)
		copy(p[128:], content)
		b = append(b, p...)
	}
	record := make([]byte, ubiRecord)
	record[3], record[12], record[15] = 2, 1, 1
	record[16] = 'a'
	be.PutUint32(record[168:], ubiSum(record[:168]))
	none := make([]byte, ubiRecord)
	be.PutUint32(none[168:], ubiSum(none[:168]))
	for len(record)+ubiRecord <= peb-128 {
		record = append(record, none...)
	}
	block(ubiLayout, 0, 1, record)
	block(ubiLayout, 1, 1, record)
	block(0, 0, 1, []byte("first"))
	block(0, 2, 1, []byte("third"))
	block(1, 0, 2, []byte("static"))
	return b
}

func TestUBISmall(t *testing.T) {
	o := unpacktest.OpenBytes(t, UBI, smallUBI())
	if len(o.Parts) != 2 || o.Parts[0].Name != "a" || string(unpacktest.PartBytes(t, o.Parts[1])) != "static" || o.Parts[0].Data.Size() != 3*896 {
		t.Errorf("%v", o.Parts)
	}
}

func FuzzUBI(f *testing.F) { unpacktest.Fuzz(f, UBI, smallUBI()) }
