package uefi

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
)

func fixSum(b []byte, at int) {
	binary.LittleEndian.PutUint32(b[at:], 0)
	binary.LittleEndian.PutUint32(b[at:], -sum32(b))
}

// mkIntel is an update of Intel's; more are further signatures.
func mkIntel(signature, revision, date uint32, size int, more ...uint32) []byte {
	put := binary.LittleEndian.PutUint32
	b := make([]byte, 48+size)
	for i := range size {
		b[48+i] = byte(i*7 + i>>8)
	}
	if len(more) > 0 {
		ext := make([]byte, 20+12*len(more))
		put(ext, uint32(len(more)))
		for i, s := range more {
			put(ext[20+i*12:], s)
			put(ext[24+i*12:], 2)
			put(ext[28+i*12:], signature-s) // not what the CPU expects, nobody reads it here
		}
		fixSum(ext, 4)
		b = append(b, ext...)
	}
	b = padTo(b, 1024, 0)
	put(b, 1)
	put(b[4:], revision)
	put(b[8:], date)
	put(b[12:], signature)
	put(b[20:], 1)
	put(b[24:], 2)
	put(b[28:], uint32(size))
	put(b[32:], uint32(len(b)))
	fixSum(b, 16)
	return b
}

func TestIntelMicrocode(t *testing.T) {
	img := append(mkIntel(0x906ea, 0xf4, 0x02232023, 2000), mkIntel(0x806e9, 0xba, 0x10312019, 8000, 0x806e9, 0x506e3)...)
	o := unpacktest.OpenBytes(t, IntelMicrocode, append(bytes.Clone(img), "behind"...))
	if o.Size != int64(len(img)) || len(o.Entries) != 2 || o.Entries[0].Path != "0-cpu-906ea-02-rev-f4.bin" || !errors.Is(o.Entries[0].Err, unpack.ErrEncrypted) ||
		o.Entries[0].Xattrs["microcode.date"] != "2023-02-23" || o.Entries[1].Xattrs["cpu.more"] != "806e9 506e3" {
		t.Errorf("%+v", o)
	}
	second := bytes.Clone(img)
	second[len(second)-5] ^= 1
	if o, err := IntelMicrocode.Open(unpacktest.Input(second)); err != nil || o.Err == nil || len(o.Entries) != 2 {
		t.Errorf("%v", err)
	}
	second = bytes.Clone(img)
	second[100] ^= 1
	if _, err := IntelMicrocode.Open(unpacktest.Input(second)); !errors.Is(err, unpack.ErrNotThis) {
		t.Error(err)
	}
	if !IntelMicrocode.Block(img) || IntelMicrocode.Block(img[512:]) {
		t.Error("blocks")
	}
}

// TestIntelMicrocodeTool: iucode-tool says the same of the updates.
func TestIntelMicrocodeTool(t *testing.T) {
	testtool.Need(t, "iucode_tool")
	img := append(mkIntel(0x906ea, 0xf4, 0x02232023, 2000), mkIntel(0x806e9, 0xba, 0x10312019, 9168)...)
	file := filepath.Join(t.TempDir(), "ucode.bin")
	if err := os.WriteFile(file, img, 0o600); err != nil {
		t.Fatal(err)
	}
	said := string(testtool.Run(t, "", "iucode_tool", "-L", file))
	for _, e := range unpacktest.OpenBytes(t, IntelMicrocode, img).Entries {
		x := e.Xattrs
		if want := fmt.Sprintf("sig 0x%08s, pf_mask 0x%02s, %s, rev 0x%04s, size %d", x["cpu.signature"], x["cpu.flags"], x["microcode.date"], strings.TrimPrefix(x["microcode.revision"], "0x"), e.Size()); !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
}

func mkAMD(patches ...uint32) []byte {
	b := []byte("DMA\x00\x00\x00\x00\x00\x20\x00\x00\x00")
	b = append(b, bytes.Repeat([]byte{1}, 16)...)
	b = append(b, make([]byte, 16)...)
	for _, id := range patches {
		p := make([]byte, 64+128)
		binary.LittleEndian.PutUint32(p, 0x11142022)
		binary.LittleEndian.PutUint32(p[4:], id)
		binary.LittleEndian.PutUint16(p[24:], 0x8010)
		b = binary.LittleEndian.AppendUint32(b, 1)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}

func TestAMDMicrocode(t *testing.T) {
	img := append(mkAMD(0x0830107a, 0x0830107b), mkAMD(0x0a201025)...)
	o := unpacktest.OpenBytes(t, AMDMicrocode, append(bytes.Clone(img), "behind"...))
	if o.Size != int64(len(img)) || len(o.Entries) != 3 || o.Entries[2].Path != "2-cpu-8010-rev-0a201025.bin" || o.Entries[0].Xattrs["microcode.date"] != "2022-11-14" {
		t.Errorf("%+v", o)
	}
	if o, err := AMDMicrocode.Open(unpacktest.Input(img[:len(img)-20])); err != nil || o.Err == nil {
		t.Error("cut, and no error")
	}
}

func FuzzMicrocode(f *testing.F) {
	unpacktest.Fuzz(f, IntelMicrocode, mkIntel(0x806e9, 0xba, 0x10312019, 2000, 1, 2))
}

func FuzzAMDMicrocode(f *testing.F) { unpacktest.Fuzz(f, AMDMicrocode, mkAMD(1, 2)) }
