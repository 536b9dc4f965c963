package uefi

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"debug/pe"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/ulikunitz/xz/lzma"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

const (
	guidA = "11111111-2222-3333-4444-555566667777"
	guidB = "A1B2C3D4-E5F6-0718-293A-4B5C6D7E8F90"
)

// program is something that looks like a PE file with a section.
func program(n int) []byte {
	b := make([]byte, 0x400)
	copy(b, "MZ")
	binary.LittleEndian.PutUint32(b[0x3c:], 0x80)
	copy(b[0x80:], "PE\x00\x00\x64\x86\x01\x00")
	binary.LittleEndian.PutUint16(b[0x94:], 240)
	binary.LittleEndian.PutUint16(b[0x96:], 0x22)
	o := b[0x98:]
	binary.LittleEndian.PutUint16(o, 0x20b)
	binary.LittleEndian.PutUint32(o[16:], 0x1234)
	binary.LittleEndian.PutUint64(o[24:], 0x10000)
	o[68] = 11
	binary.LittleEndian.PutUint32(o[108:], 16)
	s := o[240:]
	copy(s, ".text")
	binary.LittleEndian.PutUint32(s[8:], uint32(n))
	binary.LittleEndian.PutUint32(s[12:], 0x400)
	binary.LittleEndian.PutUint32(s[16:], uint32(n))
	binary.LittleEndian.PutUint32(s[20:], 0x400)
	code := make([]byte, n)
	rand.New(rand.NewSource(int64(n))).Read(code[:n/2])
	return append(b, code...)
}

func lzmaOf(plain []byte) []byte {
	var buf bytes.Buffer
	w, err := lzma.WriterConfig{Size: int64(len(plain))}.NewWriter(&buf)
	if err != nil {
		panic(err)
	}
	w.Write(plain)
	w.Close()
	return buf.Bytes()
}

func brotliOf(plain []byte) []byte {
	var buf bytes.Buffer
	w := brotli.NewWriter(&buf)
	w.Write(plain)
	w.Close()
	h := binary.LittleEndian.AppendUint64(nil, uint64(len(plain)))
	return append(append(h, make([]byte, 8)...), buf.Bytes()...)
}

func gzipOf(plain []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	w.Write(plain)
	w.Close()
	return buf.Bytes()
}

func zlibAMD(plain []byte) []byte {
	var buf bytes.Buffer
	w := zlib.NewWriter(&buf)
	w.Write(plain)
	w.Close()
	h := make([]byte, 0x100)
	binary.LittleEndian.PutUint32(h[0x14:], uint32(buf.Len()))
	return append(h, buf.Bytes()...)
}

// contents are the entries of an object, read.
func contents(t testing.TB, o *unpack.Object) map[string][]byte {
	t.Helper()
	m := map[string][]byte{}
	for _, e := range o.Entries {
		if e.Err != nil {
			t.Errorf("%s: %v", e.Path, e.Err)
			continue
		}
		if e.Data == nil {
			m[e.Path] = nil
			continue
		}
		b, err := unpack.ReadAll(e.Data, 1<<30)
		if err != nil {
			t.Errorf("%s: %v", e.Path, err)
		}
		m[e.Path] = b
	}
	return m
}

func names[V any](m map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), " ")
}

// module is the sections of a driver.
func module(name string, code []byte) []byte {
	return mkSections(mkSection(secDXEDepex, []byte{6, 8}, false), mkSection(secPE32, code, false), mkSection(secUI, wide(name), false), mkSection(secVersion, append([]byte{7, 0}, wide("1.5")...), false))
}

// TestSectionsPacked: every packing gives the same sections.
func TestSectionsPacked(t *testing.T) {
	code := program(5000)
	plain := module("Driver", code)
	sum := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(plain))
	signature := make([]byte, 400)
	rand.New(rand.NewSource(3)).Read(signature)
	for name, section := range map[string][]byte{
		"none":       mkCompressed(0, len(plain), plain),
		"efi 1.1":    mkCompressed(1, len(plain), packTiano(plain, efiBits, 700)),
		"tiano":      mkCompressed(1, len(plain), packTiano(plain, tianoBits, 30000)),
		"lzma":       mkGUIDed(guidLZMA, 1, nil, lzmaOf(plain)),
		"lzma hp":    mkGUIDed(guidLZMAHP, 1, nil, lzmaOf(plain)),
		"lzma + 4":   mkCompressed(2, len(plain), append([]byte{1, 2, 3, 0xff}, lzmaOf(plain)...)),
		"guid tiano": mkGUIDed(guidTiano, 1, nil, packTiano(plain, tianoBits, 500)),
		"brotli":     mkGUIDed(guidBrotli, 1, nil, brotliOf(plain)),
		"gzip":       mkGUIDed(guidGzip, 1, nil, gzipOf(plain)),
		"zlib":       mkGUIDed(guidZlibAMD, 1, nil, zlibAMD(plain)),
		"crc32":      mkGUIDed(guidCRC32, 2, sum, plain),
		"signed":     mkGUIDed("0F9D89E8-9259-4F76-A5AF-0C89E34023DF", 1, signature, plain),
		"disposable": mkSection(secDisposable, plain, false),
		"large":      mkSection(secDisposable, plain, true),
		"twice":      mkGUIDed(guidCRC32, 2, binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(mkGUIDed(guidLZMA, 1, nil, lzmaOf(plain)))), mkGUIDed(guidLZMA, 1, nil, lzmaOf(plain))),
	} {
		t.Run(name, func(t *testing.T) {
			v := mkVolume{fs: ffs2, revision: 2, erased: 0xff, files: []mkFile{{guid: guidA, kind: 7, body: section, sum: true}}}
			o := unpacktest.OpenBytes(t, Volume, v.bytes())
			got := contents(t, o)
			if names(got) != "Driver/Driver.efi Driver/dxe-depex" || !bytes.Equal(got["Driver/Driver.efi"], code) {
				t.Errorf("%v", names(got))
			}
			for _, e := range o.Entries {
				if e.Xattrs["uefi.version"] != "1.5 build 7" || e.Xattrs["uefi.guid"] != guidA || e.Xattrs["uefi.type"] != "dxe driver" {
					t.Errorf("%v", e.Xattrs)
				}
			}
		})
	}
}

// TestLZMAx86: the branch filter is taken off. At 0x10 stands a call whose
// target is stored as a place, not as a distance.
func TestLZMAx86(t *testing.T) {
	plain := mkSection(secRaw, bytes.Repeat([]byte{0x90}, 100), false)
	copy(plain[0x10:], "\xe8\x20\x00\x00\x00")
	filtered := bytes.Clone(plain)
	filtered[0x11] = 0x20 + 0x10 + 5
	v := mkVolume{fs: ffs2, revision: 2, erased: 0xff, files: []mkFile{{guid: guidA, kind: 2, body: mkGUIDed(guidLZMAX86, 1, nil, lzmaOf(filtered))}}}
	got := contents(t, unpacktest.OpenBytes(t, Volume, v.bytes()))
	if !bytes.Equal(got[guidA+"/raw"], plain[4:]) {
		t.Errorf("% x", got[guidA+"/raw"])
	}
}

// TestTiano packs content of several sorts with several sizes of blocks.
func TestTiano(t *testing.T) {
	rnd := rand.New(rand.NewSource(5))
	noise := make([]byte, 30_000)
	rnd.Read(noise)
	long := append(append(bytes.Clone(noise), make([]byte, 200_000)...), noise...)
	for name, plain := range map[string][]byte{
		"empty": {}, "one": {7}, "zeros": make([]byte, 100_000), "noise": noise, "text": bytes.Repeat([]byte("the quick brown fox "), 3000), "program": program(60_000), "far": long,
	} {
		for _, width := range []int{efiBits, tianoBits} {
			for _, block := range []int{1, 2, 300, 16000, 65535} {
				if block < 300 && len(plain) > 1000 {
					continue
				}
				packed := packTiano(plain, width, block)
				got, err := unpackTiano(unpacktest.Input(nil), unpack.Slice(packed), width, -1)
				if err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%s, width %d, blocks of %d: %v, %d bytes", name, width, block, err, len(got))
				}
				if len(packed) > 200 {
					if _, err := unpackTiano(unpacktest.Input(nil), unpack.Slice(packed[:len(packed)-len(packed)/3]), width, -1); err == nil {
						t.Errorf("%s: cut, and no error", name)
					}
				}
			}
		}
	}
}

// TestFileSystems: all revisions, with what each has of its own.
func TestFileSystems(t *testing.T) {
	code := program(3000)
	big := program(70_000)
	for name, v := range map[string]mkVolume{
		"ffs1":       {fs: ffs1, revision: 1, erased: 0xff, files: []mkFile{{guid: guidA, kind: 7, body: module("A", code), tail: true}, {guid: guidB, kind: 9, body: module("B", code), sum: true, tail: true}}},
		"ffs2":       {fs: ffs2, revision: 2, erased: 0xff, ext: guidB, files: []mkFile{{guid: guidA, kind: 7, body: module("A", code)}, {guid: guidB, kind: 9, body: module("B", code), sum: true}}, room: 9000},
		"ffs2 zeros": {fs: ffs2, revision: 2, erased: 0, files: []mkFile{{guid: guidA, kind: 7, body: module("A", code)}, {guid: guidB, kind: 9, body: module("B", code), sum: true}}},
		"ffs3": {fs: ffs3, revision: 2, erased: 0xff, files: []mkFile{{guid: guidA, kind: 7, body: mkSections(mkSection(secPE32, big, true), mkSection(secUI, wide("A"), false)), large: true, sum: true},
			{guid: guidB, kind: 9, body: module("B", code)}}},
		"maker's own": {fs: guidB, revision: 2, erased: 0xff, files: []mkFile{{guid: guidA, kind: 7, body: module("A", code)}, {guid: guidB, kind: 9, body: module("B", code), sum: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			img := v.bytes()
			o := unpacktest.OpenBytes(t, Volume, append(bytes.Clone(img), "behind"...))
			got := contents(t, o)
			if o.Size != int64(len(img)) || got["A/A.efi"] == nil || !bytes.Equal(got["B/B.efi"], code) || len(o.Parts) != 0 {
				t.Errorf("%d of %d bytes, %s", o.Size, len(img), names(got))
			}
			if name == "ffs3" && !bytes.Equal(got["A/A.efi"], big) {
				t.Error("the large file differs")
			}
		})
	}
}

// TestNothingIsLost: padding with content, free room with content, deleted
// files, equal names, files without sections.
func TestNothingIsLost(t *testing.T) {
	secret := []byte("something that is no padding at all")
	v := mkVolume{fs: ffs2, revision: 2, erased: 0xff, room: 100, files: []mkFile{
		{guid: guidA, kind: filePad, body: append(bytes.Repeat([]byte{0xff}, 100), secret...)},
		{guid: guidA, kind: filePad, body: bytes.Repeat([]byte{0xff}, 100)},
		{guid: guidA, kind: 7, body: module("A", program(100))},
		{guid: guidB, kind: 7, body: module("A", program(200)), state: 0x1f},
		{guid: guidB, kind: fileRaw, body: secret},
		{guid: guidB, kind: 2, body: mkSections(mkSection(secFreeform, append(parseGUID(guidA), secret...), false), mkSection(0x77, secret, false), mkSection(secRaw, make([]byte, 100), false))},
	}}
	img := v.bytes()
	copy(img[len(img)-64:], secret)
	o := unpacktest.OpenBytes(t, Volume, img)
	got := contents(t, o)
	if want := "A/A.efi A/dxe-depex " + guidB + " " + guidB + "~2/freeform-" + guidA + " " + guidB + "~2/section-0x77 A~2/A.efi A~2/dxe-depex"; names(got) != want {
		t.Errorf("%s", names(got))
	}
	if len(o.Parts) != 2 || !strings.HasPrefix(o.Parts[0].Name, "padding-0x") || !strings.HasPrefix(o.Parts[1].Name, "free-0x") {
		t.Fatalf("%v", o.Parts)
	}
	for _, p := range o.Parts {
		if b, _ := unpack.ReadAll(p.Data, 1<<20); !bytes.Contains(b, secret) {
			t.Errorf("%s: %q", p.Name, b)
		}
	}
	for _, e := range o.Entries {
		if e.Deleted != strings.HasPrefix(e.Path, "A~2") {
			t.Errorf("%s: deleted %v", e.Path, e.Deleted)
		}
	}
}

// TestTerse: a terse executable becomes the PE file that it was.
func TestTerse(t *testing.T) {
	code := program(3000)
	te := mkTE(code)
	v := mkVolume{fs: ffs2, revision: 2, erased: 0xff, files: []mkFile{{guid: guidA, kind: 6, body: mkSection(secTE, te, false)}}}
	got := contents(t, unpacktest.OpenBytes(t, Volume, v.bytes()))[guidA+"/"+guidA+".efi"]
	f, err := pe.NewFile(bytes.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	text, err := f.Sections[0].Data()
	o := f.OptionalHeader.(*pe.OptionalHeader64)
	if err != nil || !bytes.Equal(text, code[0x400:]) || o.AddressOfEntryPoint != 0x1234 || o.ImageBase != 0x10000 || o.Subsystem != 11 {
		t.Errorf("%v %d bytes %+v", err, len(text), o)
	}
}

func TestVolumeHostile(t *testing.T) {
	v := mkVolume{fs: ffs2, revision: 2, erased: 0xff, files: []mkFile{{guid: guidA, kind: 7, body: module("A", program(300))}, {guid: guidB, kind: 7, body: module("B", program(400))}, {guid: guidB, kind: 7, body: module("C", program(500))}}}
	img := v.bytes()
	for _, at := range []int{0x28, 48, 55} {
		b := bytes.Clone(img)
		b[at] ^= 0xc0
		if o, err := Volume.Open(unpacktest.Input(b)); !errors.Is(err, unpack.ErrNotThis) && o.Err == nil {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	if o, err := Volume.Open(unpacktest.Input(img[:len(img)-100])); err != nil || o.Err == nil {
		t.Errorf("cut: %v", err)
	}
	// A broken header costs its file only.
	b := bytes.Clone(img)
	b[0x48+20] ^= 0x55
	o, err := Volume.Open(unpacktest.Input(b))
	if err != nil || o.Err == nil || len(o.Entries) != 4 || len(o.Parts) != 1 {
		t.Errorf("%v %v", err, o)
	}
	// Sections within sections, without end.
	deep := mkSection(secRaw, []byte("x"), false)
	for range 100 {
		deep = mkSection(secDisposable, deep, false)
	}
	v.files = []mkFile{{guid: guidA, kind: 2, body: deep}}
	if o, err := Volume.Open(unpacktest.Input(v.bytes())); err != nil || !errors.Is(o.Err, unpack.ErrLimit) {
		t.Errorf("deep: %v", err)
	}
	// What cannot be unpacked is said.
	v.files = []mkFile{{guid: guidA, kind: 2, body: mkGUIDed(guidB, 1, nil, []byte("?????????????"))}, {guid: guidA, kind: 2, body: mkCompressed(9, 5, []byte("?????????????"))}}
	o, err = Volume.Open(unpacktest.Input(v.bytes()))
	if err != nil || len(o.Entries) != 2 || !errors.Is(o.Entries[0].Err, unpack.ErrUnsupported) || !errors.Is(o.Entries[1].Err, unpack.ErrUnsupported) {
		t.Errorf("%v %v", err, o.Entries)
	}
}

func sampleVolume() []byte {
	plain := module("Packed", program(2000))
	inner := mkVolume{fs: ffs2, revision: 2, erased: 0xff, files: []mkFile{{guid: guidA, kind: 7, body: module("Inner", program(100)), sum: true}}}.bytes()
	return mkVolume{fs: ffs2, revision: 2, erased: 0xff, ext: guidB, files: []mkFile{
		{guid: guidA, kind: 7, body: module("A", program(900)), sum: true},
		{guid: guidB, kind: 9, body: mkCompressed(1, len(plain), packTiano(plain, tianoBits, 500)), sum: true},
		{guid: guidB, kind: 11, body: mkGUIDed(guidLZMA, 1, nil, lzmaOf(mkSection(secVolume, inner, false))), sum: true},
		{guid: guidA, kind: fileRaw, body: []byte("raw content"), sum: true},
	}}.bytes()
}

// TestVolumeDamage: the sums of eight bits do not see what changes places, but
// every changed bit of a file.
func TestVolumeDamage(t *testing.T) {
	img := sampleVolume()
	unpacktest.Damage(t, Volume, img, unpacktest.Damaged{From: 0x5c, Unchecked: true})
	rnd := rand.New(rand.NewSource(2))
	for range 300 {
		b := bytes.Clone(img)
		at := 0x60 + rnd.Intn(2000)
		b[at] ^= 1 << rnd.Intn(8)
		if o, err := Volume.Open(unpacktest.Input(b)); err == nil && o.Err == nil {
			t.Errorf("a bit at 0x%x: not noticed", at)
		}
	}
}

func FuzzVolume(f *testing.F) {
	sec := mkVolume{fs: ffs1, revision: 1, erased: 0, files: []mkFile{{guid: guidA, kind: 6, body: mkSection(secTE, mkTE(program(300)), false), tail: true}}}.bytes()
	unpacktest.Fuzz(f, Volume, sampleVolume(), sec)
}

// TestVolumeReal opens OVMF of Debian: as many programs as its build put in.
func TestVolumeReal(t *testing.T) {
	b := testtool.DebFile(t, "ovmf", "usr/share/OVMF/OVMF_CODE_4M.fd")
	programs, volumes := 0, 0
	var open func(b []byte)
	open = func(b []byte) {
		volumes++
		for name, data := range contents(t, unpacktest.OpenBytes(t, Volume, b)) {
			switch {
			case strings.HasSuffix(name, ".efi"):
				programs++
				if _, err := pe.NewFile(bytes.NewReader(data)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			case len(data) > 0x2c && string(data[0x28:0x2c]) == "_FVH":
				open(data)
			}
		}
	}
	open(b)
	if volumes != 3 || programs < 100 {
		t.Errorf("%d programs in %d volumes", programs, volumes)
	}
}
