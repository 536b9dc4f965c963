package boot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"github.com/doorward/doorward/internal/unpack/vendor"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// packStream packs with the compressions that kernels come in.
func packStream(t testing.TB, method string, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w interface {
		Write([]byte) (int, error)
		Close() error
	}
	var err error
	switch method {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "xz":
		w, err = xz.NewWriter(&out)
	case "lzma":
		w, err = lzma.NewWriter(&out)
	case "zstd":
		w, err = zstd.NewWriter(&out)
	case "lz4":
		z := lz4.NewWriter(&out)
		err = z.Apply(lz4.LegacyOption(true))
		w = z
	case "bzip2", "lzop":
		dir := t.TempDir()
		unpacktest.WriteFile(t, dir, "f", b)
		testtool.Run(t, dir, method, "f")
		packed, _ := filepath.Glob(filepath.Join(dir, "f.*"))
		got, err := os.ReadFile(packed[0])
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const (
	sampleBanner = "Linux version 4.14.90 (builder@host) (gcc version 7.3.0 (OpenWrt GCC 7.3.0)) #0 SMP Fri Jan 11 2019"
	sampleConfig = "CONFIG_DEVMEM=y\nCONFIG_CMDLINE=\"console=ttyS0,115200 rootfstype=squashfs\"\nCONFIG_KGDB=y\n"
)

// sampleCpio is an archive of one small file.
func sampleCpio() []byte {
	var b bytes.Buffer
	member := func(name, content string) {
		fmt.Fprintf(&b, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 1, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
		b.WriteString(name + "\x00")
		for b.Len()%4 != 0 {
			b.WriteByte(0)
		}
		b.WriteString(content)
		for b.Len()%4 != 0 {
			b.WriteByte(0)
		}
	}
	member("init", "#!/bin/sh\nexec /bin/sh\n")
	member("TRAILER!!!", "")
	return b.Bytes()
}

// makeKernel is what an unpacked kernel looks like to a reader: code-like bytes,
// the texts, a configuration, an initramfs (packed by method, or not).
func makeKernel(t testing.TB, config bool, initramfs string) []byte {
	b := bytes.Repeat([]byte("\x27\xbd\xff\xe0\xaf\xbf\x00\x1c\x00\x80\x10\x25\x03\xe0\x00\x08"), 12000)
	b = append(b, "Linux version %s\x00"+sampleBanner+"\n\x00<0>Kernel panic - not syncing: %s\x00070701\x00"...)
	b = append(b, "\x00mem=64M console=ttyS1,57600 root=/dev/mtdblock4\x00"...)
	if config {
		b = append(append(append(b, "IKCFG_ST"...), packStream(t, "gzip", []byte(sampleConfig))...), "IKCFG_ED"...)
	}
	switch initramfs {
	case "":
	case "none":
		b = append(b, sampleCpio()...)
	default:
		b = append(b, packStream(t, initramfs, append(sampleCpio(), unpacktest.Noise(3, 2000)...))...)
	}
	return append(b, unpacktest.Noise(8, 5000)...)
}

func TestRawKernel(t *testing.T) {
	for _, initramfs := range []string{"", "none", "gzip", "xz", "zstd", "lz4", "bzip2", "lzop", "lzma"} {
		for _, config := range []bool{true, false} {
			o := unpacktest.OpenBytes(t, RawKernel, makeKernel(t, config, initramfs))
			wantLine := "mem=64M console=ttyS1,57600 root=/dev/mtdblock4"
			if config {
				wantLine = "console=ttyS0,115200 rootfstype=squashfs"
			}
			if o.Info["banner"] != sampleBanner || o.Info["version"] != "4.14.90" || o.Info["command line"] != wantLine {
				t.Errorf("%s %v: %q", initramfs, config, o.Info)
			}
			parts := map[string][]byte{}
			for _, p := range o.Parts {
				parts[p.Name] = unpacktest.PartBytes(t, p)
			}
			if _, ok := parts["config"]; ok != config || config && string(parts["config"]) != sampleConfig {
				t.Errorf("%s: config %q", initramfs, parts["config"])
			}
			if initramfs != "" && !bytes.HasPrefix(parts["initramfs"], sampleCpio()) {
				t.Errorf("%s: no initramfs in %d parts", initramfs, len(parts))
			}
			if initramfs == "" && len(parts["initramfs"]) > 0 {
				t.Error("an initramfs out of nothing")
			}
		}
	}
}

// TestRawKernelRefuses: whole flash images must stay with the carver.
func TestRawKernelRefuses(t *testing.T) {
	kernel := makeKernel(t, true, "gzip")
	for name, b := range map[string][]byte{
		"boot loader": append([]byte("\x00\x10\x20\x30U-Boot 2018.03 (Jan 1 2019)\x00"), kernel...),
		"uimage":      append(bytes.Clone(kernel), makeUImage(uimageMagic, unpacktest.Noise(1, 5000))...),
		"no kernel":   bytes.Replace(kernel, []byte("Kernel panic"), []byte("Colonel cool"), 1),
		"no banner":   bytes.ReplaceAll(kernel, []byte("Linux version 4"), []byte("Linux version x")),
		"a program":   append([]byte("\x7fELF\x01\x01\x01"), kernel...),
	} {
		if o, err := RawKernel.Open(unpacktest.Input(b)); err == nil {
			t.Errorf("%s: opened as %v", name, o.Info)
		}
	}
}

func makeZImage(order binary.ByteOrder, payload []byte) []byte {
	b := make([]byte, 0x100)
	for i := 0; i < 8; i++ {
		order.PutUint32(b[4*i:], 0xe1a00000)
	}
	order.PutUint32(b[0x24:], 0x016f2818)
	order.PutUint32(b[0x30:], 0x04030201)
	b = append(append(b, unpacktest.Noise(4, 3000)...), payload...)
	b = append(b, make([]byte, 100)...)
	order.PutUint32(b[0x28:], 0x8000)
	order.PutUint32(b[0x2c:], uint32(0x8000+len(b)))
	return b
}

// makeBzImage is set-up code, a decompressor and the payload with its size
// behind it, as the kernel's build appends it.
func makeBzImage(payload []byte, version uint16) []byte {
	setup := make([]byte, 5*512)
	setup[0x1f1], setup[0x1fe], setup[0x1ff] = 4, 0x55, 0xaa
	copy(setup[0x202:], "HdrS")
	le := binary.LittleEndian
	le.PutUint16(setup[0x206:], version)
	le.PutUint16(setup[0x20e:], 0x300)
	copy(setup[0x500:], "5.10.1 (builder@host)")
	code := unpacktest.Noise(5, 1000)
	le.PutUint32(setup[0x248:], uint32(len(code)))
	le.PutUint32(setup[0x24c:], uint32(len(payload)))
	body := append(append(code, payload...), make([]byte, 4000)...)
	body = body[:len(body)&^15]
	le.PutUint32(setup[0x1f4:], uint32(len(body)/16))
	return append(setup, body...)
}

func TestBootImages(t *testing.T) {
	kernel := makeKernel(t, false, "")
	size := binary.LittleEndian.AppendUint32(nil, uint32(len(kernel)))
	for _, method := range []string{"gzip", "xz", "lzma", "zstd", "lz4", "bzip2", "lzop"} {
		payload := packStream(t, method, kernel)
		if method != "gzip" {
			payload = append(payload, size...)
		}
		zboot := append([]byte("MZ\x00\x00zimg\x40\x00\x00\x00????\x00\x00\x00\x00\x00\x00\x00\x00"+method), make([]byte, 64-24-len(method))...)
		binary.LittleEndian.PutUint32(zboot[12:], uint32(len(payload)))
		for _, c := range []struct {
			reader *unpack.Reader
			b      []byte
		}{
			{BzImage, makeBzImage(payload, 0x20f)}, {BzImage, makeBzImage(payload, 0x204)},
			{ZImage, makeZImage(binary.LittleEndian, payload)}, {ZImage, makeZImage(binary.BigEndian, payload)},
			{ZBoot, append(zboot, payload...)},
		} {
			o := unpacktest.OpenBytes(t, c.reader, c.b)
			if len(o.Parts) != 1 || !bytes.Equal(unpacktest.PartBytes(t, o.Parts[0]), kernel) {
				t.Errorf("%s %s: the kernel differs", c.reader.Name, method)
			}
			in := unpacktest.Input(append(bytes.Clone(c.b), "behind"...))
			in.Whole = false
			if o, err := c.reader.Open(in); err != nil || o.Size != int64(len(c.b)) {
				t.Errorf("%s %s: size %d, want %d (%v)", c.reader.Name, method, o.Size, len(c.b), err)
			}
			cut := c.b[:len(c.b)*2/3]
			if o, err := c.reader.Open(unpacktest.Input(cut)); err != nil || o.Err == nil || o.Size != int64(len(cut)) || len(o.Parts) != 1 {
				t.Errorf("%s %s: a cut image goes unnoticed", c.reader.Name, method)
			}
		}
	}
}

// makeELF wraps bytes as a program with one segment.
func makeELF(order binary.ByteOrder, address uint32, content []byte) []byte {
	h := make([]byte, 84)
	copy(h, "\x7fELF\x01\x01\x01")
	if order == binary.BigEndian {
		h[5] = 2
	}
	order.PutUint16(h[16:], 2)
	order.PutUint32(h[28:], 52)
	order.PutUint16(h[42:], 32)
	order.PutUint16(h[44:], 1)
	order.PutUint32(h[52:], 1)
	order.PutUint32(h[60:], address)
	return append(h, content...)
}

func TestKernelELF(t *testing.T) {
	kernel := makeKernel(t, true, "gzip")
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		o := unpacktest.OpenBytes(t, VMLinux, makeELF(order, 0x80010000, kernel))
		if len(o.Parts) != 2 || o.Info["version"] != "4.14.90" {
			t.Errorf("%v %v", o.Info, o.Parts)
		}
		noisy := append(bytes.Clone(kernel), unpacktest.Noise(9, 100_000)...)
		o = unpacktest.OpenBytes(t, VMLinux, makeELF(order, 0x400000, append(unpacktest.Noise(1, 4000), packStream(t, "gzip", noisy)...)))
		if len(o.Parts) != 1 || !bytes.Equal(unpacktest.PartBytes(t, o.Parts[0]), noisy) {
			t.Errorf("wrapped: %v", o.Parts)
		}
		if _, err := VMLinux.Open(unpacktest.Input(makeELF(order, 0x400000, kernel))); err == nil {
			t.Error("a program with a kernel's texts was opened")
		}
	}
}

func TestKernelCorpus(t *testing.T) {
	for _, method := range []string{"gzip", "lz4", "lzo", "xz"} {
		o := unpacktest.Open(t, BzImage, unpacktest.Corpus(t, "formats/bzImage_"+method))
		k := unpacktest.OpenBytes(t, VMLinux, unpacktest.PartBytes(t, o.Parts[0]))
		if o.Info["compression"] != method || k.Info["version"] != "5.4.72" || !strings.HasPrefix(o.Info["version"], "5.4.72 (root@") {
			t.Errorf("%s: %v %v", method, o.Info, k.Info)
		}
	}
}

func TestKernelReal(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches large packages")
	}
	b := testtool.DebFile(t, "debian-installer-12-netboot-amd64", "usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux")
	o := unpacktest.OpenBytes(t, BzImage, b)
	k := unpacktest.OpenBytes(t, VMLinux, unpacktest.PartBytes(t, o.Parts[0]))
	if o.Size != int64(len(b)) || !strings.HasPrefix(k.Info["version"], "6.1.0-") || len(k.Parts) != 2 || k.Parts[0].Name != "initramfs" || k.Parts[1].Name != "System.map" {
		t.Errorf("amd64: %v %v, %d parts", o.Info, k.Info, len(k.Parts))
	}
	b = testtool.DebFile(t, "debian-installer-12-netboot-armel", "usr/lib/debian-installer/images/12/armel/kirkwood/network-console/d-link/dns-320/netboot.img")
	u := unpacktest.OpenBytes(t, UImage, unpacktest.PartBytes(t, unpacktest.OpenBytes(t, vendor.DLink, b).Parts[0]))
	in := unpacktest.Input(unpacktest.PartBytes(t, u.Parts[0]))
	in.Whole = false // a device tree follows
	z, err := ZImage.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	k = unpacktest.OpenBytes(t, RawKernel, unpacktest.PartBytes(t, z.Parts[0]))
	tree := unpacktest.OpenBytes(t, DTB, unpacktest.PartBytes(t, u.Parts[0])[z.Size:])
	if !strings.HasPrefix(k.Info["version"], "6.1.0-") || k.Info["symbols"] == "" || !strings.Contains(tree.Info["model"], "DNS-320") {
		t.Errorf("armel: %v %v", k.Info, tree.Info)
	}
}

// TestProgramIsNoKernel opens this test's own program.
func TestProgramIsNoKernel(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := VMLinux.Open(unpacktest.Input(b)); err == nil {
		t.Errorf("opened as %v", o.Info)
	}
}

func FuzzBzImage(f *testing.F) {
	unpacktest.Fuzz(f, BzImage, makeBzImage(packStream(f, "gzip", []byte(sampleBanner)), 0x20f))
}

func FuzzZImage(f *testing.F) {
	unpacktest.Fuzz(f, ZImage, makeZImage(binary.LittleEndian, packStream(f, "lz4", []byte(sampleBanner))))
}

func FuzzZBoot(f *testing.F) {
	payload := packStream(f, "zstd", []byte(sampleBanner))
	f.Add(append(append([]byte("MZ\x00\x00zimg\x40\x00\x00\x00\x50"), make([]byte, 51)...), payload...))
	unpacktest.Fuzz(f, ZBoot)
}

func FuzzVMLinux(f *testing.F) {
	unpacktest.Fuzz(f, VMLinux, makeELF(binary.BigEndian, 0x80010000, append([]byte(sampleBanner+"\x00IKCFG_ST"), packStream(f, "gzip", []byte(sampleConfig))...)))
}

func FuzzKernel(f *testing.F) {
	f.Add(makeKernel(f, true, "gzip")[190<<10:])
	f.Fuzz(func(t *testing.T, b []byte) {
		in := unpacktest.Input(b)
		in.Budget = unpack.NewBudget(unpack.Limits{Bytes: 32 << 20, Memory: 32 << 20})
		openKernel(in, "")
		kernelELF(in.Data)
	})
}
