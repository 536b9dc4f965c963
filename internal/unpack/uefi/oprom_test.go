package uefi

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// mkROM is one image of a chain.
func mkROM(code byte, last bool, method uint16, body []byte) []byte {
	b := make([]byte, 0x38, 0x38+len(body))
	copy(b, "\x55\xaa")
	b[0x18] = 0x1c
	copy(b[0x1c:], "PCIR\x86\x80\x0e\x10\x00\x00\x18\x00\x00\x00\x00\x02")
	b = append(b, body...)
	b = padTo(b, 512, 0)
	units := len(b) / 512
	binary.LittleEndian.PutUint16(b[0x1c+0x10:], uint16(units))
	b[0x1c+0x14] = code
	if last {
		b[0x1c+0x15] = 0x80
	}
	if code == romCodeEFI {
		binary.LittleEndian.PutUint16(b[2:], uint16(units))
		binary.LittleEndian.PutUint32(b[4:], romEFI)
		binary.LittleEndian.PutUint16(b[0x0c:], method)
		binary.LittleEndian.PutUint16(b[0x16:], 0x38)
		return b
	}
	b[2] = byte(units)
	b[6] = -sum8(b)
	return b
}

func TestOptionROM(t *testing.T) {
	code := program(3000)
	for name, c := range map[string]struct {
		method uint16
		body   []byte
	}{"plain": {0, code}, "efi 1.1": {1, packTiano(code, efiBits, 900)}, "tiano": {1, packTiano(code, tianoBits, 900)}} {
		img := append(mkROM(romLegacy, false, 0, bytes.Repeat([]byte("legacy"), 300)), mkROM(romCodeEFI, true, c.method, c.body)...)
		o := unpacktest.OpenBytes(t, OptionROM, append(bytes.Clone(img), "behind"...))
		got := contents(t, o)
		if o.Size != int64(len(img)) || names(got) != "0-x86.bin 1-efi.efi" || !bytes.HasPrefix(got["1-efi.efi"], code) || o.Info["vendor"] != "8086" || o.Info["device"] != "100e" || o.Info["class"] != "020000" {
			t.Errorf("%s: %d %s %v", name, o.Size, names(got), o.Info)
		}
		bad := bytes.Clone(img)
		bad[100] ^= 1
		if o, err := OptionROM.Open(unpacktest.Input(bad)); err != nil || o.Err == nil {
			t.Errorf("%s: a changed byte is not noticed", name)
		}
		if o, err := OptionROM.Open(unpacktest.Input(img[:len(img)-512])); err != nil || o.Err == nil {
			t.Errorf("%s: cut, and no error", name)
		}
	}
	if _, err := OptionROM.Open(unpacktest.Input([]byte("\x55\xaa\x01 and nothing else"))); !errors.Is(err, unpack.ErrNotThis) {
		t.Error(err)
	}
}

// TestOptionROMReal opens iPXE's and SeaBIOS' ROMs of Debian.
func TestOptionROMReal(t *testing.T) {
	got := contents(t, unpacktest.OpenBytes(t, OptionROM, testtool.DebFile(t, "ipxe-qemu", "usr/lib/ipxe/qemu/efi-e1000.rom")))
	if names(got) != "0-x86.bin 1-efi.efi" {
		t.Error(names(got))
	}
	if _, err := pe.NewFile(bytes.NewReader(got["1-efi.efi"])); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"vgabios-isavga.bin", "vgabios-ati.bin"} {
		if got := contents(t, unpacktest.OpenBytes(t, OptionROM, testtool.DebFile(t, "seabios", "usr/share/seabios/"+name))); names(got) != "0-x86.bin" {
			t.Errorf("%s: %s", name, names(got))
		}
	}
	o := unpacktest.OpenBytes(t, LegacyBIOS, testtool.DebFile(t, "seabios", "usr/share/seabios/bios-256k.bin"))
	if o.Info["product"] != "SeaBIOS" || o.Info["date"] != "06/23/99" || o.Info["version"] == "" {
		t.Errorf("%v", o.Info)
	}
}

func TestLegacyBIOSHostile(t *testing.T) {
	b := make([]byte, 64<<10)
	copy(b[len(b)-16:], "\xea\x5b\xe0\x00\xf006/23/99\x00\xfc\x00")
	if o, err := LegacyBIOS.Open(unpacktest.Input(b)); err != nil || o.Info["product"] != "" {
		t.Error(err)
	}
	copy(b[40:], "_FVH")
	if _, err := LegacyBIOS.Open(unpacktest.Input(b)); !errors.Is(err, unpack.ErrNotThis) {
		t.Error(err)
	}
}

func FuzzOptionROM(f *testing.F) {
	unpacktest.Fuzz(f, OptionROM, append(mkROM(romLegacy, false, 0, []byte("legacy")), mkROM(romCodeEFI, true, 1, packTiano(program(500), efiBits, 900))...))
}
