package scan

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// Regions and unread parts of a flash image have the names that a table in it
// gives them, from wherever that stands; a table of another chip names nothing.
func TestFlashPartitions(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "tree"), 0o755); err != nil {
		t.Fatal(err)
	}
	unpacktest.WriteFile(t, filepath.Join(dir, "tree"), "motd", []byte("welcome\n"))
	testtool.Run(t, dir, "mksquashfs", "tree", "fs", "-quiet", "-no-progress")
	fs, err := os.ReadFile(filepath.Join(dir, "fs"))
	if err != nil {
		t.Fatal(err)
	}
	image := func(put map[int][]byte) []byte {
		b := bytes.Repeat([]byte{0xff}, 0x100000)
		copy(b[0x50000:], unpacktest.Noise(1, 0xe000))
		copy(b[0x80000:], fs)
		for at, p := range put {
			copy(b[at:], p)
		}
		return b
	}
	env := func(s string) []byte { return []byte(s + "\x00bootdelay=3\x00bootcmd=boot\x00a=b\x00\x00") }
	dts := unpacktest.WriteFile(t, dir, "t.dts", []byte(`/dts-v1/; / { model = "x"; flash@0 { partitions { compatible = "fixed-partitions"; #address-cells = <1>; #size-cells = <1>;
	partition@0 { label = "boot"; reg = <0 0x50000>; }; partition@50000 { label = "factory"; reg = <0x50000 0x30000>; }; partition@80000 { label = "rootfs"; reg = <0x80000 0x80000>; }; }; }; };`))
	testtool.Run(t, dir, "dtc", "-q", "-O", "dtb", "-o", "t.dtb", dts)
	dtb, err := os.ReadFile(filepath.Join(dir, "t.dtb"))
	if err != nil {
		t.Fatal(err)
	}
	fis := bytes.Repeat([]byte{0xff}, 0x1000)
	for i, e := range []struct {
		name     string
		at, size uint32
	}{{"RedBoot", 0xbfc00000, 0x50000}, {"factory", 0xbfc50000, 0x30000}, {"rootfs", 0xbfc80000, 0x70000}, {"FIS directory", 0xbfcf0000, 0x10000}} {
		p := fis[256*i:]
		clear(p[:256])
		copy(p, e.name)
		binary.BigEndian.PutUint32(p[16:], e.at)
		binary.BigEndian.PutUint32(p[24:], e.size)
	}
	for name, c := range map[string]struct {
		put  map[int][]byte
		want string
	}{
		"environment": {map[int][]byte{0x1000: env("mtdparts=mtdparts=spi0.0:320k(boot),192k(factory),-(rootfs)")}, "factory"},
		"arguments":   {map[int][]byte{0x1000: env("bootargs=console=ttyS0 mtdparts=spi0.0:320k(boot),192k(factory),512k(rootfs) root=x")}, "factory"},
		"device tree": {map[int][]byte{0x1000: dtb}, "factory"},
		"redboot":     {map[int][]byte{0xf0000: fis}, "factory"},
		"other chip":  {map[int][]byte{0x1000: env("mtdparts=spi0.0:1m(boot),16m(data),-(rootfs)")}, ""},
		"none":        {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := unpacktest.WriteFile(t, t.TempDir(), "flash.bin", image(c.put))
			r, err := Report(t.Context(), file, Options{At: time.Now(), NoTimes: true})
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, u := range r.Unread {
				if strings.HasPrefix(u.Path[len(u.Path)-1], "raw@0x500") {
					found = true
					if u.Partition != c.want {
						t.Errorf("%v is in %q", u.Path, u.Partition)
					}
				}
			}
			for _, p := range r.Layout.Parts {
				if p.Name == "squashfs@0x80000" && (p.Partition == "rootfs") != (c.want != "") {
					t.Errorf("%s is in %q, of %v", p.Name, p.Partition, parts(r.Layout))
				}
			}
			if !found {
				t.Errorf("%+v", parts(r.Layout))
			}
		})
	}
}

func parts(p *doorward.Part) (names []string) {
	for _, c := range p.Parts {
		names = append(names, c.Name)
	}
	return names
}
