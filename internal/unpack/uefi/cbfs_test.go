package uefi

import (
	"bytes"
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

// cbfsImage makes an image with cbfstool; the files are left in dir.
func cbfsImage(t testing.TB, dir string, master bool) []byte {
	t.Helper()
	unpacktest.WriteFile(t, dir, "text", []byte(strings.Repeat("a file of coreboot ", 300)))
	unpacktest.WriteFile(t, dir, "noise", unpacktest.Noise(1, 5000))
	unpacktest.WriteFile(t, dir, "revision", []byte("#define COREBOOT_VERSION \"4.20-test\"\n"))
	unpacktest.WriteFile(t, dir, "config", []byte("CONFIG_MAINBOARD_PART_NUMBER=\"Board\"\n"))
	unpacktest.WriteFile(t, dir, "map.fmd", []byte("FLASH@0 256K {\n BIOS@0 256K {\n  FMAP@0 4K\n  MISC@4K 4K\n  COREBOOT(CBFS)@8K 248K\n }\n}\n"))
	run := func(args ...string) { testtool.Run(t, dir, "cbfstool", append([]string{"img"}, args...)...) }
	testtool.Run(t, dir, "fmaptool", "map.fmd", "map.fmap")
	run("create", "-M", "map.fmap")
	if master {
		run("add-master-header")
	}
	for i, c := range []string{"none", "lzma", "lz4"} {
		for j, h := range []string{"", "sha1", "sha256", "sha512"} {
			args := []string{"add", "-f", []string{"text", "noise"}[(i+j)%2], "-n", fmt.Sprintf("raw/%s-%s", c, h), "-t", "raw", "-c", c}
			if h != "" {
				args = append(args, "-A", h)
			}
			run(args...)
		}
		run("add-flat-binary", "-f", "text", "-n", "payload-"+c, "-l", "0x100000", "-e", "0x100000", "-c", c)
	}
	run("add", "-f", "revision", "-n", "revision", "-t", "raw")
	run("add", "-f", "config", "-n", "config", "-t", "raw", "-c", "lzma")
	run("add", "-f", "noise", "-n", "pci8086,1234.rom", "-t", "optionrom")
	run("add", "-f", "text", "-n", "gone", "-t", "raw")
	run("remove", "-n", "gone")
	b, err := os.ReadFile(filepath.Join(dir, "img"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCBFS(t *testing.T) {
	testtool.Need(t, "cbfstool")
	for _, master := range []bool{false, true} {
		dir := t.TempDir()
		img := cbfsImage(t, dir, master)
		m := unpacktest.OpenBytes(t, FlashMap, img)
		var names []string
		for _, p := range m.Parts {
			names = append(names, p.Name)
		}
		if strings.Join(names, " ") != "MISC COREBOOT" {
			t.Fatal(names)
		}
		fs := unpacktest.PartBytes(t, m.Parts[1])
		o := unpacktest.OpenBytes(t, CBFS, fs)
		if o.Info["version"] != "4.20-test" || o.Info["board"] != "Board" {
			t.Error(o.Info)
		}
		seen := 0
		for _, e := range o.Entries {
			if e.Deleted || e.Xattrs["cbfs.type"] == "cbfs header" {
				continue
			}
			name, _, payload := strings.Cut(e.Path, "/0-code")
			got, err := unpack.ReadAll(e.Data, 1<<20)
			if err != nil || e.Err != nil {
				t.Error(e.Path, err, e.Err)
			}
			want, _ := os.ReadFile(filepath.Join(dir, "text"))
			if !payload {
				testtool.Run(t, dir, "cbfstool", "img", "extract", "-n", name, "-f", "out")
				want, _ = os.ReadFile(filepath.Join(dir, "out"))
			}
			if seen++; !bytes.Equal(got, want) {
				t.Errorf("%s differs: %d and %d bytes", e.Path, len(got), len(want))
			}
		}
		if seen != 18 {
			t.Errorf("%d files", seen)
		}
	}
}

func TestCBFSDamage(t *testing.T) {
	testtool.Need(t, "cbfstool")
	img := cbfsImage(t, t.TempDir(), false)[8192:]
	unpacktest.Damage(t, CBFS, img, unpacktest.Damaged{Rounds: 300, Unchecked: true, To: 40 << 10})
	// With a digest nothing is wrong in silence.
	at := bytes.Index(img, []byte("raw/none-sha1\x00"))
	unpacktest.Damage(t, CBFS, img, unpacktest.Damaged{Rounds: 200, From: at + 100, To: at + 100 + 5000})
	for _, b := range []string{"LARCHIVE", "LARCHIVE\x00\x00\x00\x01\x00\x00\x00\x50\x00\x00\x00\x00\x00\x00\x00\x18x", "LARCHIVE\xff\xff\xff\xff\x00\x00\x12\x34\x00\x00\x00\x00\x00\x00\x00\x28"} {
		if _, err := CBFS.Open(unpacktest.Input([]byte(b + strings.Repeat("\x00", 64)))); !errors.Is(err, unpack.ErrNotThis) {
			t.Errorf("%q: %v", b, err)
		}
	}
}

// TestFlashMapRegion: in a region of its own the map counts from the flash.
func TestFlashMapRegion(t *testing.T) {
	b := bytes.Repeat([]byte{0xff}, 0x8000)
	h := b[0x1000:]
	copy(h, fmapMagic)
	h[8], h[9] = 1, 1
	put32(h[18:], 0x10000)
	clear(h[22:54])
	copy(h[22:], "FLASH")
	h[54], h[55] = 4, 0
	for i, a := range []struct {
		name     string
		from, to uint32
	}{{"SI_ME", 0x1000, 0x8000}, {"FMAP", 0x9000, 0xa000}, {"RO_FRID", 0xa000, 0xa040}, {"WP_RO", 0x8000, 0x10000}} {
		e := h[fmapHead+fmapArea*i:]
		clear(e[:fmapArea])
		put32(e, a.from)
		put32(e[4:], a.to-a.from)
		copy(e[8:], a.name)
	}
	copy(b[0x2000:], "Google_Board.1.2.3\x00")
	copy(b[0x4000:], "between")
	o := unpacktest.OpenBytes(t, FlashMap, b)
	if len(o.Parts) != 2 || o.Parts[0].Name != "RO_FRID" || o.Info["RO_FRID"] != "Google_Board.1.2.3" || o.Parts[1].Offset != 0x2040 {
		t.Errorf("%v %v", o.Parts, o.Info)
	}
	if _, err := FlashMap.Open(unpacktest.Input(bytes.Repeat([]byte{1}, 0x8000))); !errors.Is(err, unpack.ErrNotThis) {
		t.Error(err)
	}
}

func mkGBB(flags uint32) []byte {
	b := make([]byte, 0x200)
	copy(b, "$GBB")
	b[4], b[6] = 1, 2
	put32(b[8:], 128)
	put32(b[12:], flags)
	put32(b[16:], 128)
	put32(b[20:], 32)
	put32(b[24:], 160)
	put32(b[28:], 64)
	copy(b[128:], "BOARD TEST 1234")
	return b
}

func TestGBB(t *testing.T) {
	o := unpacktest.OpenBytes(t, GBB, mkGBB(0x39))
	text, _ := unpack.ReadAll(o.Entries[0].Data, 1<<20)
	if o.Info["hardware id"] != "BOARD TEST 1234" || o.Size != 224 || string(text) != "# Google binary block\nflags 0x39\ndeveloper mode is forced\ndeveloper mode boots from USB\nroll-back is not checked\n" {
		t.Errorf("%d %v %q", o.Size, o.Info, text)
	}
}

func FuzzCBFS(f *testing.F) {
	head := "LARCHIVE\x00\x00\x00\x05\x00\x00\x00\x50\x00\x00\x00\x20\x00\x00\x00\x30name\x00\x00\x00\x00BCZL\x00\x00\x00\x10\x00\x00\x00\x02\x00\x00\x00\x05"
	unpacktest.Fuzz(f, CBFS, []byte(head+"hello"), []byte("LARCHIVE\x00\x00\x00\x40\x00\x00\x00\x20\x00\x00\x00\x00\x00\x00\x00\x20payload\x00CODE\x00\x00\x00\x00\x00\x00\x00\x38"+strings.Repeat("\x00\x00\x00\x08", 4)+"ENTR"+strings.Repeat("x", 40)))
}

func FuzzFlashMap(f *testing.F) {
	b := make([]byte, 0x4000)
	copy(b, fmapMagic+"\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00FLASH")
	b[54] = 1
	copy(b[56:], "\x00\x10\x00\x00\x00\x10\x00\x00AREA")
	unpacktest.Fuzz(f, FlashMap, b)
}

func FuzzGBB(f *testing.F) { unpacktest.Fuzz(f, GBB, mkGBB(8)) }
