package boot

import (
	"bytes"
	"context"
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

const sampleEnv = "bootcmd=run flash\nbootargs=console=ttyS0,115200 root=/dev/mtdblock2\nbootdelay=3\nethaddr=00:11:22:33:44:55\nflash=sf probe; bootm 0x9f020000\n"

// makeEnv is an environment of a size, as saveenv writes it.
func makeEnv(text string, size int, redundant bool, order binary.ByteOrder, pad byte) []byte {
	start := 4
	if redundant {
		start = 5
	}
	b := bytes.Repeat([]byte{pad}, size)
	n := copy(b[start:], strings.ReplaceAll(text, "\n", "\x00"))
	b[start+n] = 0
	if redundant {
		b[4] = 1
	}
	order.PutUint32(b, crc32.ChecksumIEEE(b[start:]))
	return b
}

func TestUBootEnvTool(t *testing.T) {
	for _, args := range [][]string{{"-s", "0x1000"}, {"-s", "0x10000", "-r"}, {"-s", "0x20000", "-b"}, {"-s", "0x40000", "-p", "0xff"}, {"-s", "12345"}} {
		dir := t.TempDir()
		unpacktest.WriteFile(t, dir, "env.txt", []byte(sampleEnv))
		testtool.Run(t, dir, "mkenvimage", append(args, "-o", "env.bin", "env.txt")...)
		b, _ := os.ReadFile(filepath.Join(dir, "env.bin"))
		if args[1] == "12345" { // no size that flash has
			if _, err := UBootEnv.Open(unpacktest.Input(b)); err == nil {
				t.Error("accepted 12345 bytes")
			}
			continue
		}
		o := unpacktest.OpenBytes(t, UBootEnv, append(bytes.Clone(b), unpacktest.Noise(1, 5000)...))
		if o.Size != int64(len(b)) || string(unpacktest.PartBytes(t, o.Parts[0])) != sampleEnv || o.Info["bootdelay"] != "3" {
			t.Errorf("%v: %+v", args, o)
		}
		if _, redundant := o.Info["flag"]; redundant != (len(args) == 3 && args[2] == "-r") {
			t.Errorf("%v: %v", args, o.Info)
		}
		b[100]++
		if _, err := UBootEnv.Open(unpacktest.Input(b)); err == nil {
			t.Errorf("%v: wrong checksum accepted", args)
		}
	}
}

func TestUBootEnvProperty(t *testing.T) {
	name := rapid.StringMatching(`[a-z][a-z0-9_.]{0,15}`)
	value := rapid.StringMatching(`[ -~]{0,40}`)
	rapid.Check(t, func(t *rapid.T) {
		text := ""
		for i := rapid.IntRange(1, 20).Draw(t, "count"); i > 0; i-- {
			text += name.Draw(t, "name") + "=" + value.Draw(t, "value") + "\n"
		}
		size := rapid.OneOf(rapid.IntRange(2048/64, 4096/64), rapid.SampledFrom([]int{4608 / 64, 8192 / 64, 0x10000 / 64, 0x40000 / 64})).Draw(t, "size") * 64
		order := rapid.SampledFrom([]binary.ByteOrder{binary.LittleEndian, binary.BigEndian}).Draw(t, "order")
		b := makeEnv(text, size, rapid.Bool().Draw(t, "redundant"), order, rapid.SampledFrom([]byte{0, 0xff}).Draw(t, "pad"))
		o, err := UBootEnv.Open(unpacktest.Input(append(b, 0xff, 1, 2)))
		if err != nil || o.Size != int64(size) || string(o.Parts[0].Data.(unpack.Slice)) != text {
			t.Fatalf("%+v %v", o, err)
		}
	})
}

// TestUBootEnvCarved finds an environment, and the defaults of a boot loader,
// in a flash image.
func TestUBootEnvCarved(t *testing.T) {
	flash := bytes.Repeat([]byte{0xff}, 512<<10)
	copy(flash, unpacktest.Noise(3, 100<<10))
	defaults := "\x00" + strings.ReplaceAll(sampleEnv, "\n", "\x00") + "\x00"
	copy(flash[50_001:], defaults)
	copy(flash[0x30000:], makeEnv(sampleEnv, 0x10000, true, binary.BigEndian, 0xff))
	res, err := unpack.Explore(context.Background(), "flash", unpack.Slice(flash), unpack.Options{Readers: []*unpack.Reader{UBootDefaults, UBootEnv}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, n := range res.Root.Content.Children {
		if n.Content.Reader != "" {
			got[n.Step] = n.Size
		}
	}
	if len(got) != 2 || got["ubootdefaults@0xc351"] != int64(len(defaults)) || got["ubootenv@0x30000"] != 0x10000 {
		t.Error(got)
	}
}

func TestUBootDefaultsReal(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches a package")
	}
	for board, want := range map[string]string{"qemu_arm": "bootdelay=2", "qemu-riscv64": "bootdelay=2", "qemu-x86": "root=/dev/sdb3", "qemu-ppce500": "bootdelay=1"} {
		b := testtool.DebFile(t, "u-boot-qemu", "usr/lib/u-boot/"+board+"/u-boot.bin")
		res, err := unpack.Explore(context.Background(), board, unpack.Slice(b), unpack.Options{Readers: []*unpack.Reader{UBootDefaults, UBootEnv}})
		if err != nil {
			t.Fatal(err)
		}
		found := ""
		for _, n := range res.Root.Content.Children {
			if n.Content.Reader == "ubootdefaults" {
				found += string(unpacktest.PartBytes(t, n.Content.Object.Parts[0]))
			}
		}
		if !strings.Contains(found, "bootcmd=") || !strings.Contains(found, want) {
			t.Errorf("%s: want %s in:\n%s", board, want, found)
		}
	}
}

func FuzzUBootEnv(f *testing.F) {
	unpacktest.Fuzz(f, UBootEnv, makeEnv(sampleEnv, 1024, false, binary.LittleEndian, 0), makeEnv("a=b\n", 256, true, binary.BigEndian, 0xff))
}

func FuzzUBootDefaults(f *testing.F) {
	unpacktest.Fuzz(f, UBootDefaults, []byte("\x00bootcmd=a\x00bootdelay=1\x00c=d\x00\x00"))
}
