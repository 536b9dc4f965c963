package boot

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

const sampleDTS = `/dts-v1/;
/ {
	model = "Maker Board \"7\"";
	compatible = "maker,board-7", "maker,soc";
	#address-cells = <1>;
	empty;
	chosen { bootargs = "console=ttyS0,115200 init=/bin/sh"; stdout-path = "serial0:115200n8"; };
	odd { bytes = [01 02 03]; cells = <0x1 0xdeadbeef>; zero-string = ""; lines = "a\nb\tc\\"; };
	deep { a { b { c { d { reg = <0x10>; }; }; }; }; };
	uart@1000 { compatible = "ns16550a"; reg = <0x1000 0x20>; status = "okay"; };
	jtag { status = "okay"; };
};
`

func compileDTB(t testing.TB, source string) []byte {
	t.Helper()
	dir := t.TempDir()
	unpacktest.WriteFile(t, dir, "in.dts", []byte(source))
	testtool.Run(t, dir, "dtc", "-q", "-q", "-I", "dts", "-O", "dtb", "-o", "out.dtb", "in.dts")
	b, err := os.ReadFile(filepath.Join(dir, "out.dtb"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDTBSource compiles the text that the reader gives and expects the same
// blob again.
func TestDTBSource(t *testing.T) {
	b := compileDTB(t, sampleDTS)
	o := unpacktest.OpenBytes(t, DTB, append(bytes.Clone(b), "behind"...))
	if o.Size != int64(len(b)) {
		t.Errorf("size %d, want %d", o.Size, len(b))
	}
	for k, want := range map[string]string{"model": `Maker Board "7"`, "compatible": "maker,board-7, maker,soc", "bootargs": "console=ttyS0,115200 init=/bin/sh", "stdout-path": "serial0:115200n8"} {
		if o.Info[k] != want {
			t.Errorf("%s is %q, want %q", k, o.Info[k], want)
		}
	}
	source := string(unpacktest.PartBytes(t, o.Parts[0]))
	if again := compileDTB(t, source); !bytes.Equal(again, b) {
		t.Errorf("compiles to other bytes:\n%s", source)
	}
}

func TestDTBBigValue(t *testing.T) {
	blob := bytes.Repeat([]byte("5a01"), 5000)
	b := compileDTB(t, "/dts-v1/; / { model = \"m\"; firmware { data = ["+string(blob)+"]; }; };")
	o := unpacktest.OpenBytes(t, DTB, b)
	if len(o.Parts) != 2 || o.Parts[1].Name != "firmware/data" || !bytes.Equal(unpacktest.PartBytes(t, o.Parts[1]), bytes.Repeat([]byte{0x5a, 1}, 5000)) {
		t.Errorf("%v", o.Parts)
	}
}

func TestDTBDamage(t *testing.T) {
	b := compileDTB(t, sampleDTS)
	for n := range b {
		o, err := DTB.Open(unpacktest.Input(b[:n]))
		if err == nil && (o.Err == nil || o.Size != int64(n)) {
			t.Fatalf("cut to %d of %d bytes: no error, size %d", n, len(b), o.Size)
		}
	}
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 0x81
		DTB.Open(unpacktest.Input(c))
	}
}

// TestDTBInBootLoader looks for the tree that a real boot loader carries.
func TestDTBInBootLoader(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches a package")
	}
	b := testtool.DebFile(t, "u-boot-qemu", "usr/lib/u-boot/qemu-x86/u-boot.bin")
	found := 0
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte(fdtMagic))
		if i < 0 {
			break
		}
		at += i
		if o, err := DTB.Open(unpacktest.Input(b[at:])); err == nil && o.Err == nil {
			found++
			if s := string(unpacktest.PartBytes(t, o.Parts[0])); !strings.Contains(s, "/dts-v1/") {
				t.Error(s)
			}
		}
		at += 4
	}
	if found != 1 { // of two magics, one in code
		t.Error("not one device tree in U-Boot for x86")
	}
}

func FuzzDTB(f *testing.F) {
	if b, err := os.ReadFile(filepath.Join("testdata", "board.dtb")); err == nil {
		unpacktest.Fuzz(f, DTB, b)
	} else {
		f.Fatal(err)
	}
}
