package mcu

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// convert has srec_cat or objcopy write a hex file from a binary.
func convert(t testing.TB, tool string, args string, b []byte) []byte {
	dir := t.TempDir()
	unpacktest.WriteFile(t, dir, "in.bin", b)
	testtool.Run(t, dir, tool, strings.Fields(args)...)
	out, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestHexFiles compares with what srec_cat and objcopy wrote, for several
// widths and places in memory.
func TestHexFiles(t *testing.T) {
	b := unpacktest.Noise(1, 70_001)
	for _, c := range []struct {
		tool, args, name string
		r                *unpack.Reader
	}{
		{"srec_cat", "in.bin -binary -o out -intel", "memory-0x00000000", IntelHex},
		{"srec_cat", "in.bin -binary -offset 0x08000000 -o out -intel", "memory-0x08000000", IntelHex},
		{"srec_cat", "in.bin -binary -offset 0x1fff0 -o out -intel -address-length=3", "memory-0x0001fff0", IntelHex},
		{"srec_cat", "in.bin -binary -offset 0x20 -o out -motorola", "memory-0x00000020", SRecord},
		{"srec_cat", "in.bin -binary -offset 0xfffe0000 -o out -motorola -address-length=4", "memory-0xfffe0000", SRecord},
		{"srec_cat", "in.bin -binary -offset 0x20 -o out -motorola -address-length=3 -line-length=44", "memory-0x00000020", SRecord},
		{"objcopy", "-I binary -O ihex in.bin out", "memory-0x00000000", IntelHex},
		{"objcopy", "-I binary -O ihex --change-addresses 0x8004000 in.bin out", "memory-0x08004000", IntelHex},
		{"objcopy", "-I binary -O srec --change-addresses 0x8004000 in.bin out", "memory-0x08004000", SRecord},
		{"objcopy", "-I binary -O srec --srec-len 16 --srec-forceS3 in.bin out", "memory-0x00000000", SRecord},
	} {
		file := convert(t, c.tool, c.args, b)
		o := unpacktest.OpenBytes(t, c.r, file)
		if len(o.Parts) != 1 || o.Parts[0].Name != c.name || !bytes.Equal(unpacktest.PartBytes(t, o.Parts[0]), b) || o.Size != int64(len(file)) {
			t.Errorf("%s %s: %d parts, %d of %d bytes", c.tool, c.args, len(o.Parts), o.Size, len(file))
		}
	}
}

// TestHexGaps lets srec_cat cut random pieces out of a memory: near ones are one
// part with erased flash between, far ones are parts of their own.
func TestHexGaps(t *testing.T) {
	rnd := rand.New(rand.NewSource(3))
	for range 6 {
		b := unpacktest.Noise(rnd.Int63(), 3000)
		from := 500 + rnd.Intn(500)
		to := from + 1 + rnd.Intn(1000)
		args := fmt.Sprintf("in.bin -binary -exclude %d %d in.bin -binary -crop 0 100 -offset 0x400000 -o out ", from, to)
		want := bytes.Clone(b)
		for i := from; i < to; i++ {
			want[i] = 0xff
		}
		for r, format := range map[*unpack.Reader]string{IntelHex: "-intel", SRecord: "-motorola"} {
			o := unpacktest.OpenBytes(t, r, convert(t, "srec_cat", args+format, b))
			if len(o.Parts) != 2 || !bytes.Equal(unpacktest.PartBytes(t, o.Parts[0]), want) || !bytes.Equal(unpacktest.PartBytes(t, o.Parts[1]), b[:100]) || o.Parts[1].Name != "memory-0x00400000" {
				t.Errorf("%s%s: %+v", args, format, o.Parts)
			}
		}
	}
}

func TestHexDamaged(t *testing.T) {
	b := unpacktest.Noise(1, 3000)
	for r, format := range map[*unpack.Reader]string{IntelHex: "-intel", SRecord: "-motorola"} {
		// Sums of bytes: two changes of a line may cancel out.
		unpacktest.Damage(t, r, convert(t, "srec_cat", "in.bin -binary -o out "+format, b), unpacktest.Damaged{Unchecked: true})
	}
	good := ":0300300002337A1E\n"
	for text, want := range map[string]string{
		good: "truncated", good + ":0300300002337B1E\n:00000001FF\n": "line 2", good + "hello\n:00000001FF\n": "line 2",
		good + ":0300300003337A1D\n:00000001FF\n": "same address",
	} {
		o, err := IntelHex.Open(unpacktest.Input([]byte(text)))
		if err != nil || o.Err == nil || !strings.Contains(o.Err.Error(), want) || len(o.Parts) != 1 {
			t.Errorf("%q: %v %v", text, o, err)
		}
	}
	for _, text := range []string{":00000001FF\n", ": a list\n", "S0 said\n", "S1234", ":", "S0030000FC\n", ":0300300002337A1F\n"} {
		for _, r := range []*unpack.Reader{IntelHex, SRecord} {
			if o, err := r.Open(unpacktest.Input([]byte(text))); err == nil {
				t.Errorf("%s opens %q: %+v", r.Name, text, o)
			}
		}
	}
}

func TestSRecordCorpus(t *testing.T) {
	o := unpacktest.Open(t, SRecord, unpacktest.Corpus(t, "formats/testfile.srec"))
	if b := unpacktest.PartBytes(t, o.Parts[0]); o.Info["header"] != "hello!" && o.Info["header"] == "" || !bytes.Contains(b, []byte("Hello world.\n")) || o.Info["entry point"] != "0x00000000" {
		t.Errorf("%v %q", o.Info, b)
	}
}

func FuzzHex(f *testing.F) {
	unpacktest.Fuzz(f, &unpack.Reader{Name: "hex", Open: func(in *unpack.Input) (*unpack.Object, error) {
		if o, err := IntelHex.Open(in); err == nil {
			return o, nil
		}
		return SRecord.Open(in)
	}}, []byte(":0300300002337A1E\n:020000040800F2\n:00000001FF\n"), []byte("S1113848656C6C6F20776F726C642E0A0042\nS5030001FB\nS9030000FC\n"))
}
