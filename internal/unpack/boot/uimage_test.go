package boot

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

func mkimage(t testing.TB, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	testtool.Run(t, dir, "mkimage", append(args, "out")...)
	b, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUImageKinds(t *testing.T) {
	dir := t.TempDir()
	payload := unpacktest.Noise(1, 10_001)
	file := unpacktest.WriteFile(t, dir, "payload", payload)
	for _, c := range []struct{ arch, os, kind, packed, wantArch, wantOS string }{
		{"arm", "linux", "kernel", "none", "arm", "Linux"},
		{"mips", "linux", "kernel", "lzma", "mips", "Linux"},
		{"powerpc", "linux", "ramdisk", "gzip", "powerpc", "Linux"},
		{"arm64", "u-boot", "firmware", "zstd", "arm64", "U-Boot"},
		{"x86", "linux", "filesystem", "bzip2", "x86", "Linux"},
		{"mips", "vxworks", "standalone", "lz4", "mips", "VxWorks"},
	} {
		b := mkimage(t, "-A", c.arch, "-O", c.os, "-T", c.kind, "-C", c.packed, "-a", "0x8000", "-e", "0x8040", "-n", "a name", "-d", file)
		o := unpacktest.OpenBytes(t, UImage, append(bytes.Clone(b), "and more"...))
		if o.Size != int64(len(b)) {
			t.Errorf("%v: size %d, want %d", c, o.Size, len(b))
		}
		for k, want := range map[string]string{"architecture": c.wantArch, "os": c.wantOS, "type": c.kind, "compression": c.packed, "name": "a name", "load address": "0x00008000", "entry point": "0x00008040"} {
			if o.Info[k] != want {
				t.Errorf("%v: %s is %q, want %q", c, k, o.Info[k], want)
			}
		}
		if len(o.Parts) != 1 || o.Parts[0].Name != c.kind || !bytes.Equal(unpacktest.PartBytes(t, o.Parts[0]), payload) {
			t.Errorf("%v: wrong parts", c)
		}
	}
}

func TestUImageMulti(t *testing.T) {
	dir := t.TempDir()
	files := [][]byte{unpacktest.Noise(2, 5001), unpacktest.Noise(3, 777), unpacktest.Noise(4, 4096)}
	var paths []string
	for i, f := range files {
		paths = append(paths, unpacktest.WriteFile(t, dir, string(rune('a'+i)), f))
	}
	b := mkimage(t, "-A", "arm", "-O", "linux", "-T", "multi", "-C", "none", "-d", strings.Join(paths, ":"))
	o := unpacktest.OpenBytes(t, UImage, b)
	if len(o.Parts) != 3 {
		t.Fatalf("%d parts", len(o.Parts))
	}
	for i, p := range o.Parts {
		if !bytes.Equal(unpacktest.PartBytes(t, p), files[i]) || !bytes.Equal(b[p.Offset:p.Offset+p.Data.Size()], files[i]) {
			t.Errorf("file %d differs", i)
		}
	}
	if o.Parts[0].Format != "kernel" || o.Parts[1].Format != "ramdisk" || o.Parts[2].Format != "flat_dt" {
		t.Errorf("formats: %v", o.Parts)
	}
	script := []byte("setenv bootargs init=/bin/sh\nbootm\n")
	b = mkimage(t, "-A", "mips", "-T", "script", "-C", "none", "-d", unpacktest.WriteFile(t, dir, "s", script))
	o = unpacktest.OpenBytes(t, UImage, b)
	if len(o.Parts) != 1 || o.Parts[0].Name != "script" || !bytes.Equal(unpacktest.PartBytes(t, o.Parts[0]), script) {
		t.Errorf("script: %v", o.Parts)
	}
}

// makeUImage is a uImage without mkimage, for mutants.
func makeUImage(magic string, payload []byte) []byte {
	h := make([]byte, 64, 64+len(payload))
	copy(h, magic)
	binary.BigEndian.PutUint32(h[12:], uint32(len(payload)))
	binary.BigEndian.PutUint32(h[24:], crc32.ChecksumIEEE(payload))
	h[28], h[29], h[30], h[31] = 5, 2, 2, 0
	copy(h[32:], "made")
	binary.BigEndian.PutUint32(h[4:], crc32.ChecksumIEEE(h))
	return append(h, payload...)
}

func TestUImageDamage(t *testing.T) {
	good := makeUImage(uimageMagic, unpacktest.Noise(5, 3000))
	o := unpacktest.OpenBytes(t, UImage, good)
	if o.Size != 3064 {
		t.Errorf("size %d", o.Size)
	}
	mutant := func(f func(b []byte) []byte) (*unpack.Object, error) {
		return UImage.Open(unpacktest.Input(f(bytes.Clone(good))))
	}
	if o, err := mutant(func(b []byte) []byte { b[100]++; return b }); err != nil || len(o.Gaps) != 1 || o.Size != 3064 || len(o.Parts) != 1 {
		t.Errorf("wrong data: %v %v", o, err)
	}
	if o, err := mutant(func(b []byte) []byte { return b[:2000] }); err != nil || len(o.Gaps) != 1 || o.Size != 2000 || o.Parts[0].Data.Size() != 1936 {
		t.Errorf("truncated: %v %v", o, err)
	}
	if o, err := mutant(func(b []byte) []byte { b[40]++; return b }); err != nil || o.Err == nil {
		t.Errorf("wrong header, right data: %v %v", o, err)
	}
	if _, err := mutant(func(b []byte) []byte { b[40]++; b[100]++; return b }); err == nil {
		t.Error("wrong header and data: accepted")
	}
	other := makeUImage("\x12\x34\x56\x78", unpacktest.Noise(5, 3000))
	if o := unpacktest.OpenBytes(t, UImageOther, other); o.Info["magic"] != "0x12345678" {
		t.Errorf("other magic: %v", o.Info)
	}
	other[50]++
	if _, err := UImageOther.Open(unpacktest.Input(other)); err == nil {
		t.Error("other magic, wrong header: accepted")
	}
}

func TestUImageProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 1, 2000).Draw(t, "payload")
		behind := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "behind")
		b := makeUImage(uimageMagic, payload)
		o, err := UImage.Open(unpacktest.Input(append(bytes.Clone(b), behind...)))
		if err != nil || o.Err != nil || o.Size != int64(len(b)) || !bytes.Equal(o.Parts[0].Data.(unpack.Slice), payload) {
			t.Fatalf("%v %v", o, err)
		}
	})
}

func FuzzUImage(f *testing.F) {
	unpacktest.Fuzz(f, UImage, makeUImage(uimageMagic, []byte("\x00\x00\x00\x03\x00\x00\x00\x00abc")), makeUImage("OKLI", []byte("x")))
}
