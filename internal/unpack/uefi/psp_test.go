package uefi

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// This is an independent writer of AMD's structures.

type mkPSPFile struct {
	kind    byte
	flags   byte // third byte of the entry
	body    []byte
	at      uint64 // in place of a body
	size    uint32 // as stated; the body's by default
	dirWide bool
}

type amdWriter struct {
	img  []byte
	next int
}

func newAMD(size int) *amdWriter { return &amdWriter{bytes.Repeat([]byte{0xff}, size), 0x40000} }

func (m *amdWriter) put(b []byte) int {
	at := m.next
	copy(m.img[at:], b)
	m.next = (at + len(b) + 0xfff) &^ 0xfff
	return at
}

// fletcherBig is the checksum by its definition, with whole numbers.
func fletcherBig(b []byte) uint32 {
	c0, c1, mod := big.NewInt(0xffff), big.NewInt(0xffff), big.NewInt(0xffff)
	for i := 0; i+1 < len(b); i += 2 {
		c0.Add(c0, big.NewInt(int64(binary.LittleEndian.Uint16(b[i:]))))
		c1.Add(c1, c0)
	}
	fold := func(x *big.Int) uint32 {
		x.Mod(x, mod)
		if x.Sign() == 0 {
			return 0xffff
		}
		return uint32(x.Int64())
	}
	return fold(c1)<<16 | fold(c0)
}

func (m *amdWriter) dir(magic string, mode uint32, list ...mkPSPFile) int {
	each := 16
	if magic[1] == 'B' {
		each = 24
	}
	b := make([]byte, 16+each*len(list))
	copy(b, magic)
	put32(b[8:], uint32(len(list)))
	put32(b[12:], mode<<29)
	for i, f := range list {
		e := b[16+each*i:]
		e[0], e[2] = f.kind, f.flags
		size, at := uint32(len(f.body)), f.at
		if f.body != nil {
			at = uint64(m.put(f.body)) | 0xff000000
		}
		if f.size != 0 {
			size = f.size
		}
		put32(e[4:], size)
		binary.LittleEndian.PutUint64(e[8:], at)
	}
	put32(b[4:], fletcherBig(b[8:]))
	return m.put(b)
}

func (m *amdWriter) efs(at, psp, bios int) []byte {
	e := m.img[at:]
	clear(e[:0x50])
	put32(e, 0x55aa55aa)
	put32(e[0x14:], uint32(psp)|0xff000000)
	put32(e[0x20:], uint32(bios)|0xff000000)
	return m.img
}

func zlibOf(plain []byte) []byte {
	var buf bytes.Buffer
	w := zlib.NewWriter(&buf)
	w.Write(plain)
	w.Close()
	return buf.Bytes()
}

func mkPS1(version uint32, encrypted, packed bool, plain []byte) []byte {
	h := make([]byte, 0x100)
	copy(h[0x10:], "$PS1")
	body := plain
	if packed {
		body = zlibOf(plain)
		put32(h[0x48:], 1)
		put32(h[0x54:], uint32(len(body)))
		put32(h[0x50:], uint32(len(plain)))
	}
	if encrypted {
		put32(h[0x18:], 1)
	}
	put32(h[0x14:], uint32(len(plain)))
	put32(h[0x30:], 1)
	put32(h[0x60:], version)
	b := append(append(h, body...), make([]byte, 256)...)
	put32(b[0x6c:], uint32(len(b)))
	return b
}

func mkAMDImage(fuses uint64) []byte {
	m := newAMD(1 << 20)
	plain := []byte(strings.Repeat("a driver of the processor ", 100))
	bios := append([]byte(nil), zlibOf(plain)...)
	head := make([]byte, 0x100)
	put32(head[0x14:], uint32(len(bios)))
	l2 := m.dir("$PL2", 0, mkPSPFile{kind: 0x02, body: mkPS1(0x11223344, true, false, []byte("secret"))}, mkPSPFile{kind: 0x08, body: mkPS1(0x2e1600, false, true, plain)})
	bl2 := m.dir("$BL2", 0, mkPSPFile{kind: 0x60, body: []byte("APCB and more")})
	psp := m.dir("$PSP", 0, mkPSPFile{kind: 0x00, body: []byte("a key")}, mkPSPFile{kind: 0x01, body: mkPS1(0x0008005c, false, false, []byte("boot loader"))},
		mkPSPFile{kind: 0x0b, at: fuses, size: 0xffffffff}, mkPSPFile{kind: 0x40, at: uint64(l2), size: 0x400})
	dir := m.dir("$BHD", 0, mkPSPFile{kind: 0x61, size: 0x10000, at: 0}, mkPSPFile{kind: 0x62, flags: 8, body: append(head, bios...), size: uint32(len(plain))}, mkPSPFile{kind: 0x70, at: uint64(bl2), size: 0x400})
	copy(m.img[0x1000:], "something beside the directories")
	return m.efs(0x20000, psp, dir)
}

func TestAMDFlash(t *testing.T) {
	img := mkAMDImage(1)
	o := unpacktest.OpenBytes(t, AMDFlash, img)
	plain := strings.Repeat("a driver of the processor ", 100)
	got := map[string]unpack.Entry{}
	text := func(path string) string {
		b, _ := unpack.ReadAll(orNothing(got[path].Data), 1<<20)
		return string(b)
	}
	for _, e := range o.Entries {
		got[e.Path] = e
	}
	if !errors.Is(got["psp/trusted-os"].Err, unpack.ErrEncrypted) || text("psp/smu") != plain || text("bios/bios") != plain || text("bios/apcb") != "APCB and more" || text("psp/amd-public-key") != "a key" {
		t.Errorf("%+v", o.Entries)
	}
	if x := got["psp/boot-loader"].Xattrs; x["component.name"] != "amd-psp" || x["component.version"] != "0.8.0.5C" || x["amd.signed"] != "yes" {
		t.Error(x)
	}
	if text("soft-fuses.txt") != "# AMD soft fuses\nfuses 0x1\nsecure debug unlocked\n" || len(o.Entries) != 7 {
		t.Errorf("%q %d", text("soft-fuses.txt"), len(o.Entries))
	}
	if len(o.Parts) != 1 || !strings.HasPrefix(string(unpacktest.PartBytes(t, o.Parts[0])[0x1000:]), "something beside") {
		t.Errorf("%v", o.Parts)
	}
	// What coreboot keeps as a file begins with the structure.
	o = unpacktest.OpenBytes(t, AMDFlash, img[0x20000:])
	if len(o.Entries) != 7 {
		t.Errorf("%d entries of the file", len(o.Entries))
	}
	img[bytes.Index(img, []byte("$PL2"))+9] ^= 1
	if o, err := AMDFlash.Open(unpacktest.Input(img)); err != nil || o.Err == nil {
		t.Error("a damaged directory is not told")
	}
	if _, err := AMDFlash.Open(unpacktest.Input(append(make([]byte, 0x20000), []byte(efsMagic+"\x00\x00")...))); !errors.Is(err, unpack.ErrNotThis) {
		t.Error(err)
	}
}

// TestAMDCombo: directories for several processors, addresses that count from a
// table, slots for recovery.
func TestAMDCombo(t *testing.T) {
	m := newAMD(1 << 20)
	rel := m.next
	copy(m.img[rel:], "relative")
	m.next += 0x1000
	dir := m.dir("$PL2", 2, mkPSPFile{kind: 0x30, at: 2<<62 | uint64(0xffff_f000&0), size: 8})
	e := m.img[dir+16:]
	binary.LittleEndian.PutUint64(e[8:], 2<<62|uint64(0x100))
	copy(m.img[dir+0x100:], "relative")
	put32(m.img[dir+4:], fletcherBig(m.img[dir+8:dir+32]))
	ish := make([]byte, 0x20)
	put32(ish[0x10:], uint32(dir))
	slot := m.put(ish)
	psp := m.dir("$PSP", 0, mkPSPFile{kind: 0x48, at: uint64(slot), size: 0x1000})
	combo := make([]byte, 48)
	copy(combo, "2PSP")
	put32(combo[8:], 1)
	put32(combo[40:], uint32(psp))
	put32(combo[4:], fletcherBig(combo[8:]))
	img := m.efs(0xa0000, m.put(combo), 0)
	copy(img[0x20000:], img[0xa0000:0xa0050])
	o := unpacktest.OpenBytes(t, AMDFlash, img)
	if len(o.Entries) != 1 || o.Entries[0].Path != "psp/abl0" || string(unpack.ReadSome(o.Entries[0].Data, 0, 8)) != "relative" {
		t.Errorf("%+v", o.Entries)
	}
}

func TestFletcher32(t *testing.T) {
	for n := range 300 {
		b := unpacktest.Noise(int64(n), n*16)
		if fletcher32(b) != fletcherBig(b) {
			t.Fatalf("%d bytes: %08x %08x", len(b), fletcher32(b), fletcherBig(b))
		}
	}
}

func TestAMDDamage(t *testing.T) {
	img := mkAMDImage(0)
	unpacktest.Damage(t, AMDFlash, img, unpacktest.Damaged{Rounds: 200, Unchecked: true, From: 0x40000, To: 0x4f000})
}

func FuzzAMDFlash(f *testing.F) {
	unpacktest.Fuzz(f, AMDFlash, mkAMDImage(1)[0x20000:0x50000])
}
