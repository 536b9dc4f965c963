package uefi

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// This is an independent writer of the engine's structures.

var put32 = binary.LittleEndian.PutUint32

func mkManifest(tag string, modules int, version [4]uint16, body []byte) []byte {
	b := make([]byte, 0x284, 0x284+len(body)+4)
	put32(b, 4)
	put32(b[4:], 0xa1)
	put32(b[8:], 0x10000)
	put32(b[0x10:], 0x8086)
	put32(b[0x14:], 0x20170315)
	b[0x14], b[0x15], b[0x16], b[0x17] = 0x15, 0x03, 0x17, 0x20
	put32(b[0x18:], uint32(0x284+len(body)+3)/4)
	copy(b[0x1c:], tag)
	put32(b[0x20:], uint32(modules))
	for i, v := range version {
		binary.LittleEndian.PutUint16(b[0x24+2*i:], v)
	}
	put32(b[0x78:], 64)
	copy(b[0x80:], unpacktest.Noise(1, 0x204))
	return padTo(append(b, body...), 4, 0xff)
}

type mkModule struct {
	name     string
	stored   []byte
	method   byte
	crypt    byte
	unpacked []byte
}

// mkMetadata is the metadata of a module; the digest is that of what is stored.
func mkMetadata(m mkModule) []byte {
	b := make([]byte, 0x38)
	put32(b, 0x0a)
	put32(b[4:], 0x38)
	b[8], b[9] = m.method, m.crypt
	put32(b[0xc:], uint32(len(m.unpacked)))
	put32(b[0x10:], uint32(len(m.stored)))
	sum := sha256.Sum256(m.stored)
	slices.Reverse(sum[:])
	copy(b[0x18:], sum[:])
	return append([]byte("\x05\x00\x00\x00\x0c\x00\x00\x00ABCD"), b...)
}

func mkCPD(version byte, part string, man [4]uint16, modules ...mkModule) []byte {
	pkg := make([]byte, 0x34)
	put32(pkg, 0x0f)
	files := [][]byte{nil}
	names := []string{part + ".man"}
	flags := []uint32{0}
	sizes := []int{0}
	for _, m := range modules {
		met := mkMetadata(m)
		sum := sha256.Sum256(met)
		slices.Reverse(sum[:])
		e := make([]byte, 20)
		copy(e, m.name)
		e[14] = 32
		put32(e[16:], uint32(len(met)))
		pkg = append(append(pkg, e...), sum[:]...)
		names, files = append(names, m.name+".met", m.name), append(files, met, m.stored)
		size, flag := len(m.stored), uint32(0)
		if m.method == 1 {
			size, flag = len(m.unpacked), 1<<25
		}
		sizes, flags = append(sizes, len(met), size), append(flags, 0, flag)
	}
	put32(pkg[4:], uint32(len(pkg)))
	files[0] = mkManifest("$MN2", 0, man, pkg)
	sizes[0] = len(files[0])
	head := map[byte]int{1: 16, 2: 20}[version]
	b := make([]byte, head+24*len(files))
	copy(b, "$CPD")
	put32(b[4:], uint32(len(files)))
	b[8], b[9], b[10] = version, 1, byte(head)
	copy(b[12:], part)
	for i, f := range files {
		b = padTo(b, 16, 0)
		e := b[head+24*i:]
		copy(e[:12], names[i])
		put32(e[12:], uint32(len(b))|flags[i])
		put32(e[16:], uint32(sizes[i]))
		b = append(b, f...)
	}
	dir := b[:head+24*len(files)]
	if version == 1 {
		dir[11] = -sum8(dir)
	} else {
		put32(dir[16:], crc32.ChecksumIEEE(dir))
	}
	return b
}

func mkFPT(version byte, parts ...unpack.Part) []byte {
	b := make([]byte, 16+32+32*len(parts))
	t := b[16:]
	copy(t, "$FPT")
	put32(t[4:], uint32(len(parts)))
	t[8], t[9], t[10] = version, 0x10, 0x20
	for i, v := range []uint16{11, 6, 0, 1047} {
		binary.LittleEndian.PutUint16(t[0x18+2*i:], v)
	}
	for i, p := range parts {
		b = padTo(b, 4096, 0xff)
		data, _ := unpack.ReadAll(p.Data, 1<<30)
		e := b[48+32*i:]
		copy(e, p.Name)
		put32(e[8:], uint32(len(b)))
		put32(e[12:], uint32(len(data)))
		if len(data) == 0 {
			put32(e[8:], 0)
		}
		b = append(b, data...)
	}
	b = padTo(b, 4096, 0xff)
	t = b[16:]
	if version == fptVersion21 {
		put32(t[20:], crc32.ChecksumIEEE(t[:32+32*len(parts)]))
	} else {
		t[11] = -sum8(b[:48])
	}
	return b
}

func lzmaAlone(t testing.TB, plain []byte) []byte {
	b := unpacktest.PackWith(t, plain, "plain.lzma", "xz", "-k", "--format=lzma", "--lzma1=dict=16KiB", "plain")
	binary.LittleEndian.PutUint64(b[5:], uint64(len(plain)))
	return b
}

func sampleCPD(t testing.TB, version byte) ([]byte, []byte) {
	plain := []byte(strings.Repeat("kernel of the engine ", 300))
	packed := lzmaAlone(t, plain)
	odd := slices.Concat(packed[:14], make([]byte, 3), packed[14:])
	return mkCPD(version, "FTPR", [4]uint16{11, 8, 50, 3425},
		mkModule{"kernel", packed, 2, 0, plain}, mkModule{"odd", odd, 2, 0, plain}, mkModule{"bup", unpacktest.Noise(2, 900), 1, 0, make([]byte, 4096)},
		mkModule{"secret", unpacktest.Noise(3, 512), 0, 1, nil}, mkModule{"plain", []byte("stored as it is"), 0, 0, nil}), plain
}

func TestMEDirectory(t *testing.T) {
	for _, version := range []byte{1, 2} {
		b, plain := sampleCPD(t, version)
		o := unpacktest.OpenBytes(t, MEDirectory, append(b, 0xff, 0xff, 0xff))
		if o.Size != int64(len(b)) || o.Info["version"] != "11.8.50.3425" || o.Info["product"] != "Intel CSME" || o.Info["signature"] != "present (RSA 2048), not checked" {
			t.Errorf("%d of %d, %v", o.Size, len(b), o.Info)
		}
		got := map[string]string{}
		for _, e := range o.Entries {
			d, _ := unpack.ReadAll(e.Data, 1<<20)
			got[e.Path] = string(d)
			if want := map[string]error{"bup": unpack.ErrUnsupported, "secret": unpack.ErrEncrypted}[e.Path]; !errors.Is(e.Err, want) {
				t.Errorf("%s: %v", e.Path, e.Err)
			}
		}
		if got["kernel"] != string(plain) || got["odd"] != string(plain) || got["plain"] != "stored as it is" || len(got["bup"]) < 900 || len(got["bup"]) > 920 || len(o.Parts) != 0 {
			t.Errorf("v%d: %d %d %q %d %v", version, len(got["kernel"]), len(got["odd"]), got["plain"], len(got["bup"]), o.Parts)
		}
		// Only the signature covers the manifest, and nothing what is encrypted or packed by Huffman.
		man := bytes.Index(b, []byte("$MN2"))
		unpacktest.Damage(t, MEDirectory, b, unpacktest.Damaged{Rounds: 100, To: man - 0x1c})
		unpacktest.Damage(t, MEDirectory, b, unpacktest.Damaged{Rounds: 400, From: man + 0x268 + 0x34 + 5*52, To: bytes.Index(b, unpacktest.Noise(2, 900))})
		b[len(b)-3]++
		if o, err := MEDirectory.Open(unpacktest.Input(b)); err != nil || o.Err == nil {
			t.Error("a wrong digest is not told")
		}
	}
}

func TestMEPartitions(t *testing.T) {
	code, _ := sampleCPD(t, 1)
	for _, version := range []byte{0x10, 0x20, 0x21} {
		b := mkFPT(version, unpack.Part{Name: "FTPR", Data: unpack.Slice(code)}, unpack.Part{Name: "MFS", Data: unpack.Slice(unpacktest.Noise(4, 8192))}, unpack.Part{Name: "PSVN", Data: unpack.Slice(nil)})
		o := unpacktest.OpenBytes(t, MEPartitions, b)
		if len(o.Parts) != 2 || o.Parts[0].Name != "FTPR" || !bytes.Equal(unpacktest.PartBytes(t, o.Parts[0]), code) || o.Info["empty"] != "PSVN" || o.Info["made by"] != "Intel Flash Image Tool 11.6.0.1047" {
			t.Errorf("%x: %v %v", version, o.Parts, o.Info)
		}
		b[0x30+4]++ // the header, in the first entry's owner, which only the newer sum covers
		b[0x1c]++
		if o, err := MEPartitions.Open(unpacktest.Input(b)); err != nil || o.Err == nil {
			t.Errorf("%x: a wrong checksum is not told: %v", version, err)
		}
		if _, err := MEPartitions.Open(unpacktest.Input(append([]byte("$FPT"), make([]byte, 100)...))); !errors.Is(err, unpack.ErrNotThis) {
			t.Error(err)
		}
	}
}

// TestMEOld: code partitions of the engine 6 to 10 and 2 to 5.
func TestMEOld(t *testing.T) {
	plain := []byte(strings.Repeat("old kernel ", 500))
	packed := lzmaAlone(t, plain)
	body := make([]byte, 12+3*0x60)
	copy(body, "FTPR")
	huff := make([]byte, 0x400)
	copy(huff, "LLUT")
	files := [][]byte{packed, []byte("a stored module"), huff}
	all := []byte{}
	base := 0x284 + len(body)
	for i, f := range files {
		e := body[12+i*0x60:]
		copy(e, "$MME")
		copy(e[4:], []string{"KERNEL", "POLICY", "BUP"}[i])
		sum := sha256.Sum256(f)
		copy(e[0x14:], sum[:])
		put32(e[0x38:], uint32(base+len(all)))
		put32(e[0x40:], uint32(len(f)))
		put32(e[0x50:], uint32([]int{2, 0, 1}[i])<<4)
		if i == 2 {
			put32(f[0x10:], 0x200)
			put32(f[0x14:], uint32(base+len(all)+0x200))
		}
		all = append(all, f...)
	}
	b := mkManifest("$MN2", 3, [4]uint16{9, 1, 37, 1002}, append(body, all...))
	o := unpacktest.OpenBytes(t, MEManifest, b)
	got := map[string]string{}
	for _, e := range o.Entries {
		d, _ := unpack.ReadAll(orNothing(e.Data), 1<<20)
		got[e.Path] = string(d)
	}
	if o.Info["product"] != "Intel ME" || o.Info["version"] != "9.1.37.1002" || got["KERNEL"] != string(plain) || got["POLICY"] != "a stored module" || len(got["huffman.packed"]) != 0x400 || len(o.Entries) != 4 || len(o.Parts) != 0 {
		t.Errorf("%v %v %v", o.Info, o.Entries, o.Parts)
	}

	body = make([]byte, 12+0x50)
	copy(body, "BRIN")
	copy(body[12:], "$MME")
	copy(body[12+0x1c:], "AMT")
	file := make([]byte, 0x50)
	copy(file, "$MOD")
	put32(file[0x18:], uint32(len(packed)))
	copy(file[0x30:], "AMT")
	b = mkManifest("$MAN", 1, [4]uint16{4, 1, 3, 1038}, slices.Concat(body, file, packed))
	o = unpacktest.OpenBytes(t, MEManifest, b)
	if d, _ := unpack.ReadAll(o.Entries[0].Data, 1<<20); string(d) != string(plain) || o.Info["version"] != "4.1.3.1038" {
		t.Errorf("%v %d", o.Info, len(d))
	}
}

func orNothing(b unpack.Bytes) unpack.Bytes {
	if b == nil {
		return unpack.Slice(nil)
	}
	return b
}

func mkBPDT(version byte, parts map[uint16][]byte) []byte {
	b := make([]byte, 24+12*len(parts))
	put32(b, bpdtNormal)
	b[4], b[6] = byte(len(parts)), version
	i := 0
	for kind, data := range parts {
		b = padTo(b, 4096, 0xff)
		e := b[24+12*i:]
		binary.LittleEndian.PutUint16(e, kind)
		put32(e[4:], uint32(len(b)))
		put32(e[8:], uint32(len(data)))
		b = append(b, data...)
		i++
	}
	if version == 2 {
		put32(b[8:], crc32.ChecksumIEEE(b[:24+12*len(parts)]))
	}
	return b
}

func mkLayout(t testing.TB, version byte) []byte {
	code, _ := sampleCPD(t, 2)
	data := mkFPT(0x20, unpack.Part{Name: "MFS", Data: unpack.Slice(unpacktest.Noise(5, 4096))})[16:]
	data[11] = 0
	data[11] = -sum8(data[:32])
	for i := 0; i < 1; i++ { // its partitions count from the table here
		put32(data[32+8:], le32(data[32+8:])-16)
	}
	boot := mkBPDT(version, map[uint16][]byte{2: code})
	b := make([]byte, 0x58)
	at := 0x10
	if version == 2 {
		at = 0x18
		binary.LittleEndian.PutUint16(b[0x10:], 0x40)
	}
	for i, d := range [][]byte{data, boot} {
		b = padTo(b, 4096, 0xff)
		put32(b[at+8*i:], uint32(len(b)))
		put32(b[at+8*i+4:], uint32(len(d)))
		b = append(b, d...)
	}
	if version == 2 {
		put32(b[0x14:], crc32.ChecksumIEEE(b[0x10:0x50]))
	}
	return padTo(b, 4096, 0xff)
}

func TestMELayout(t *testing.T) {
	for _, version := range []byte{1, 2} {
		b := mkLayout(t, version)
		o := unpacktest.OpenBytes(t, MELayout, b)
		if len(o.Parts) != 2 || o.Parts[0].Name != "data" || o.Parts[1].Name != "boot1" {
			t.Fatalf("%d: %v", version, o.Parts)
		}
		table := unpacktest.OpenBytes(t, MEPartitions, unpacktest.PartBytes(t, o.Parts[0]))
		if len(table.Parts) != 1 || !bytes.Equal(unpacktest.PartBytes(t, table.Parts[0]), unpacktest.Noise(5, 4096)) {
			t.Error(table.Parts)
		}
		boot := unpacktest.OpenBytes(t, BootPartition, unpacktest.PartBytes(t, o.Parts[1]))
		if len(boot.Parts) != 1 || boot.Parts[0].Name != "FTPR" {
			t.Error(boot.Parts)
		}
		unpacktest.OpenBytes(t, MEDirectory, unpacktest.PartBytes(t, boot.Parts[0]))
	}
}

// TestMETool: UEFIExtract finds the same partitions and modules.
func TestMETool(t *testing.T) {
	testtool.Need(t, "UEFIExtract")
	code, _ := sampleCPD(t, 1)
	region := mkFPT(0x20, unpack.Part{Name: "FTPR", Data: unpack.Slice(code)}, unpack.Part{Name: "MFS", Data: unpack.Slice(unpacktest.Noise(4, 8192))})
	for name, me := range map[string][]byte{"fpt": region, "ifwi1": mkLayout(t, 1), "ifwi2": mkLayout(t, 2)} {
		blocks := len(me)/4096 + 1
		img := mkFlash(true, 0xa, 0xb, map[int][2]int{0: {0, 1}, 1: {blocks, blocks + 16}, 2: {1, blocks}}, blocks+16)
		copy(img[4096:], me)
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "img"), img, 0o600); err != nil {
			t.Fatal(err)
		}
		testtool.Run(t, dir, "UEFIExtract", "img", "report")
		said, err := os.ReadFile(filepath.Join(dir, "img.report.txt"))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"FTPR", "kernel.met", "odd", "secret", "MFS"} {
			if !strings.Contains(string(said), want) {
				t.Errorf("%s: UEFIExtract does not see %s:\n%s", name, want, said)
			}
		}
	}
}

func FuzzMEDirectory(f *testing.F) {
	b, _ := sampleCPD(f, 1)
	c, _ := sampleCPD(f, 2)
	unpacktest.Fuzz(f, MEDirectory, b, c)
}

func FuzzMEPartitions(f *testing.F) {
	unpacktest.Fuzz(f, MEPartitions, mkFPT(0x20, unpack.Part{Name: "FTPR", Data: unpack.Slice("abc")}), mkFPT(0x21, unpack.Part{Name: "MFS", Data: unpack.Slice("abc")}))
}

func FuzzMEManifest(f *testing.F) {
	unpacktest.Fuzz(f, MEManifest, mkManifest("$MN2", 0, [4]uint16{9, 1, 2, 3}, nil), mkManifest("$MAN", 1, [4]uint16{9, 1, 2, 3}, append([]byte("CODE\x00\x00\x00\x00\x00\x00\x00\x00$MME"), make([]byte, 0x5c)...)))
}

func FuzzMELayout(f *testing.F) { unpacktest.Fuzz(f, MELayout, mkLayout(f, 1), mkLayout(f, 2)) }

func FuzzBootPartition(f *testing.F) {
	unpacktest.Fuzz(f, BootPartition, mkBPDT(1, map[uint16][]byte{2: []byte("abc")}), mkBPDT(2, map[uint16][]byte{2: []byte("abc")}))
}
