package boot

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// makeFIT writes a FIT of a kernel, a ramdisk and a tree with mkimage.
func makeFIT(t testing.TB, kernel, ramdisk []byte, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	unpacktest.WriteFile(t, dir, "kernel", kernel)
	unpacktest.WriteFile(t, dir, "ramdisk", ramdisk)
	unpacktest.WriteFile(t, dir, "board.dtb", compileDTB(t, sampleDTS))
	image := func(name, kind, file, algos string) string {
		s := fmt.Sprintf("%s { description = %q; data = /incbin/(%q); type = %q; arch = \"arm\"; os = \"linux\"; compression = \"none\"; load = <0x8000>; entry = <0x8000>;\n", name, "the "+name, file, kind)
		for i, a := range strings.Fields(algos) {
			s += fmt.Sprintf("hash-%d { algo = %q; };\n", i+1, a)
		}
		return s + "};\n"
	}
	its := "/dts-v1/; / { description = \"two boards\"; #address-cells = <1>; images {\n" +
		image("kernel-1", "kernel", "kernel", "crc32 sha256") + image("ramdisk-1", "ramdisk", "ramdisk", "md5 sha1 sha512") + image("fdt-1", "flat_dt", "board.dtb", "sha384") +
		"}; configurations { default = \"conf-1\"; conf-1 { description = \"c\"; kernel = \"kernel-1\"; ramdisk = \"ramdisk-1\"; fdt = \"fdt-1\"; }; }; };\n"
	unpacktest.WriteFile(t, dir, "image.its", []byte(its))
	testtool.Run(t, dir, "mkimage", append(append([]string{}, args...), "-f", "image.its", "out")...)
	b, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFIT(t *testing.T) {
	kernel, ramdisk := unpacktest.Noise(1, 30_001), unpacktest.Noise(2, 5_003)
	for name, args := range map[string][]string{"inside": nil, "external": {"-E"}, "positioned": {"-E", "-p", "0x3000"}} {
		b := makeFIT(t, kernel, ramdisk, args...)
		o := unpacktest.OpenBytes(t, FIT, append(bytes.Clone(b), "behind"...))
		// mkimage may align the file's end.
		if o.Size > int64(len(b)) || o.Size < int64(len(b)-4) {
			t.Errorf("%s: size %d, want %d", name, o.Size, len(b))
		}
		if len(o.Parts) != 4 || o.Parts[0].Name != "kernel-1" || !bytes.Equal(unpacktest.PartBytes(t, o.Parts[0]), kernel) || !bytes.Equal(unpacktest.PartBytes(t, o.Parts[1]), ramdisk) {
			t.Fatalf("%s: %+v", name, o.Parts)
		}
		if unpacktest.OpenBytes(t, DTB, unpacktest.PartBytes(t, o.Parts[2])).Info["model"] == "" {
			t.Errorf("%s: the tree inside is not whole", name)
		}
		for i, want := range []map[string]string{{"hash-1": "crc32 verified", "hash-2": "sha256 verified"}, {"hash-1": "md5 verified", "hash-2": "sha1 verified", "hash-3": "sha512 verified"}, {"hash-1": "sha384 verified", "type": "flat_dt", "arch": "arm", "load address": "0x00008000"}} {
			for k, v := range want {
				if o.Parts[i].Info[k] != v {
					t.Errorf("%s: %s of %s is %q, want %q", name, k, o.Parts[i].Name, o.Parts[i].Info[k], v)
				}
			}
		}
		if o.Info["default configuration"] != "conf-1" || o.Info["configuration conf-1"] != "fdt=fdt-1 kernel=kernel-1 ramdisk=ramdisk-1" {
			t.Errorf("%s: %v", name, o.Info)
		}
		for _, p := range o.Parts[:3] {
			if !bytes.Equal(b[p.Offset:p.Offset+p.Data.Size()], unpacktest.PartBytes(t, p)) {
				t.Errorf("%s: wrong offset of %s", name, p.Name)
			}
		}
		b[bytes.Index(b, kernel[:64])+500] ^= 1
		if o, err := FIT.Open(unpacktest.Input(b)); err != nil || o.Err == nil || !strings.Contains(o.Parts[0].Info["hash-2"], "wrong") || !strings.Contains(o.Parts[1].Info["hash-1"], "verified") {
			t.Errorf("%s: a changed kernel goes unnoticed: %v", name, err)
		}
		if name == "inside" {
			continue // without its end such a tree has no names
		}
		if o, err := FIT.Open(unpacktest.Input(b[:len(b)/2])); err != nil || o.Err == nil {
			t.Errorf("%s: a cut image goes unnoticed: %v", name, err)
		}
	}
}

func TestFITCorpus(t *testing.T) {
	o := unpacktest.Open(t, FIT, unpacktest.Corpus(t, "formats/fit.itb"))
	if len(o.Parts) < 2 {
		t.Errorf("%+v", o.Parts)
	}
	for _, p := range o.Parts {
		t.Log(p.Name, p.Format, p.Data.Size(), p.Info)
	}
}

func FuzzFIT(f *testing.F) {
	for _, name := range []string{"inside.itb", "external.itb"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	unpacktest.Fuzz(f, FIT)
}
