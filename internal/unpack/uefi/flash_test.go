package uefi

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// mkFlash is a flash image: regions by number, from and to in blocks of 4 KiB,
// and the host's rights.
func mkFlash(wide bool, write, read uint32, regions map[int][2]int, blocks int) []byte {
	b := bytes.Repeat([]byte{0xff}, blocks*4096)
	put := binary.LittleEndian.PutUint32
	copy(b[16:], descriptorMagic)
	put(b[20:], 0x00040003) // components at 0x30, regions at 0x40
	put(b[24:], 0x12100308) // masters at 0x80, straps at 0x100
	put(b[28:], 0)
	frequency := uint32(0)
	if wide {
		frequency = 6
	}
	put(b[0x30:], frequency<<17)
	for i := range 16 {
		v := uint32(0x7fff)
		if r, ok := regions[i]; ok {
			v = uint32(r[0]) | uint32(r[1]-1)<<16
		}
		if i < 5 || wide {
			put(b[0x40+i*4:], v)
		}
	}
	if wide {
		put(b[0x80:], write<<20|read<<8)
		put(b[0x100:], 1<<16)
	} else {
		put(b[0x80:], write<<24|read<<16)
		put(b[0x128:], 0)
	}
	for i, r := range regions {
		if i > 0 {
			for at := r[0] * 4096; at < r[1]*4096; at += 512 {
				b[at] = byte(i)
			}
		}
	}
	return b
}

func TestFlash(t *testing.T) {
	old := mkFlash(false, 0x0a, 0x0b, map[int][2]int{0: {0, 1}, 1: {8, 16}, 2: {2, 6}, 3: {1, 2}}, 16)
	o := unpacktest.OpenBytes(t, FlashDescriptor, append(bytes.Clone(old), 1, 2, 3))
	text, _ := unpack.ReadAll(o.Parts[0].Data, 1<<20)
	if o.Size != 16*4096 || o.Info["host may write"] != "bios gbe" || !strings.Contains(string(text), "host reads descriptor bios gbe\nhost writes bios gbe\n") || !strings.Contains(string(text), "region me 0x2000-0x5fff\n") {
		t.Errorf("%d %v\n%s", o.Size, o.Info, text)
	}
	var list []string
	for _, p := range o.Parts[1:] {
		b := unpack.ReadSome(p.Data, 0, 1)
		list = append(list, p.Name+string('0'+b[0]))
	}
	if strings.Join(list, " ") != "bios1 me2 gbe3" {
		t.Error(list)
	}
	open := mkFlash(true, 0xfff, 0xfff, map[int][2]int{0: {0, 1}, 1: {8, 16}, 2: {1, 6}, 8: {6, 7}}, 16)
	open[7*4096+100] = 0x42
	o = unpacktest.OpenBytes(t, FlashDescriptor, open)
	if o.Info["host may write"] != "descriptor bios me ec" || o.Info["me"] != "switched off by the strap HAP" || o.Parts[len(o.Parts)-1].Name != "unassigned-0x7000" {
		t.Errorf("%v %v", o.Info, o.Parts[len(o.Parts)-1].Name)
	}
	if o, err := FlashDescriptor.Open(unpacktest.Input(open[:12*4096])); err != nil || o.Err == nil {
		t.Error("cut, and no error")
	}
	zero := make([]byte, 8192)
	copy(zero[16:], descriptorMagic)
	if _, err := FlashDescriptor.Open(unpacktest.Input(zero)); !errors.Is(err, unpack.ErrNotThis) {
		t.Error(err)
	}
}

// TestFlashTool: ifdtool cuts out the same regions.
func TestFlashTool(t *testing.T) {
	testtool.Need(t, "ifdtool")
	for _, wide := range []bool{false, true} {
		img := mkFlash(wide, 0xa, 0xb, map[int][2]int{0: {0, 1}, 1: {8, 16}, 2: {2, 6}, 3: {1, 2}}, 16)
		o := unpacktest.OpenBytes(t, FlashDescriptor, img)
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "img"), img, 0o600); err != nil {
			t.Fatal(err)
		}
		testtool.Run(t, dir, "ifdtool", "-x", "img")
		for part, file := range map[string]string{"bios": "flashregion_1_bios.bin", "me": "flashregion_2_intel_me.bin", "gbe": "flashregion_3_gbe.bin"} {
			want, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range o.Parts {
				if p.Name == part {
					if got, _ := unpack.ReadAll(p.Data, 1<<20); !bytes.Equal(got, want) {
						t.Errorf("%s differs", part)
					}
				}
			}
		}
		said := string(testtool.Run(t, dir, "ifdtool", "-d", "img"))
		if !strings.Contains(said, "FLMSTR1") {
			t.Errorf("%s", said)
		}
	}
}

func FuzzFlash(f *testing.F) {
	unpacktest.Fuzz(f, FlashDescriptor, mkFlash(true, 0xfff, 0xfff, map[int][2]int{0: {0, 1}, 1: {1, 2}}, 2))
}
