package volume

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// packADC is a poor packer: runs of one byte become copies, of both forms, the
// rest literals.
func packADC(b []byte) (out []byte) {
	for len(b) > 0 {
		run := 1
		for run < len(b) && b[run] == b[0] {
			run++
		}
		if run < 5 {
			n := 1
			for n < min(len(b), 128) && (n+4 >= len(b) || b[n] != b[n+1] || b[n] != b[n+2] || b[n] != b[n+3] || b[n] != b[n+4]) {
				n++
			}
			out, b = append(append(out, byte(0x80|(n-1))), b[:n]...), b[n:]
			continue
		}
		out, b, run = append(out, 0x80, b[0]), b[1:], run-1
		for run > 0 {
			switch n := min(run, 67); {
			case n >= 4:
				out, b, run = append(out, 0x40|byte(n-4), 0, 0), b[n:], run-n
			case n == 3:
				out, b, run = append(out, 0, 0), b[3:], 0
			default:
				out, b, run = append(append(out, byte(0x80|(n-1))), b[:n]...), b[n:], 0
			}
		}
	}
	return out
}

// packLZFSE makes blocks of LZVN that are nothing but literals.
func packLZFSE(b []byte) (out []byte) {
	le := binary.LittleEndian
	for at := 0; at < len(b); at += 4096 {
		p := b[at:min(at+4096, len(b))]
		var ops []byte
		for i := 0; i < len(p); i += 256 {
			run := p[i:min(i+256, len(p))]
			ops = append(append(ops, 0xe0, byte(len(run)-16)), run...)
		}
		ops = append(ops, 6, 0, 0, 0, 0, 0, 0, 0)
		out = le.AppendUint32(le.AppendUint32(append(out, "bvxn"...), uint32(len(p))), uint32(len(ops)))
		out = append(out, ops...)
	}
	return append(out, "bvx$"...)
}

// dmgWriter makes images of partitions with chunks of one kind, holes apart.
type dmgWriter struct {
	fork   []byte
	tables [][]byte
	names  []string
	sums   []byte
	first  uint64
}

func (w *dmgWriter) partition(t testing.TB, name string, raw []byte, kind uint32) {
	be := binary.BigEndian
	const step = 256 << 10
	var chunks []byte
	n := 0
	add := func(kind uint32, sector, count, at, size uint64) {
		chunks = be.AppendUint32(be.AppendUint32(chunks, kind), 0)
		for _, v := range []uint64{sector, count, at, size} {
			chunks = be.AppendUint64(chunks, v)
		}
		n++
	}
	sum := crc32.NewIEEE()
	for at := 0; at < len(raw); at += step {
		p := raw[at:min(at+step, len(raw))]
		if unpack.OnlyByte(p, 0) {
			empty := []uint32{dmgZero, dmgIgnored}[n%2]
			if empty == dmgZero {
				sum.Write(p)
			}
			add(empty, uint64(at/512), uint64(len(p)/512), uint64(len(w.fork)), 0)
			continue
		}
		sum.Write(p)
		packed := p
		switch kind {
		case dmgZlib:
			packed = unpacktest.PackBlock(t, "zlib", p)
		case dmgBzip2:
			packed = unpacktest.PackWith(t, p, "plain.bz2", "bzip2", "plain")
		case dmgXZ:
			packed = unpacktest.PackBlock(t, "xz", p)
		case dmgLZFSE:
			packed = packLZFSE(p)
		case dmgADC:
			packed = packADC(p)
		}
		add(dmgComment, uint64(at/512), 0, uint64(len(w.fork)), 0)
		add(kind, uint64(at/512), uint64(len(p)/512), uint64(len(w.fork)), uint64(len(packed)))
		w.fork = append(w.fork, packed...)
	}
	add(dmgEnd, uint64(len(raw)/512), 0, uint64(len(w.fork)), 0)
	m := make([]byte, 204)
	copy(m, "mish")
	be.PutUint32(m[4:], 1)
	be.PutUint64(m[8:], w.first)
	be.PutUint64(m[16:], uint64(len(raw)/512))
	be.PutUint32(m[32:], step/512+8)
	be.PutUint32(m[36:], uint32(len(w.tables)))
	be.PutUint32(m[64:], dmgCRC32)
	be.PutUint32(m[68:], 32)
	be.PutUint32(m[72:], sum.Sum32())
	be.PutUint32(m[200:], uint32(n))
	w.sums = append(w.sums, m[72:76]...)
	w.tables, w.names = append(w.tables, append(m, chunks...)), append(w.names, name)
	w.first += uint64(len(raw) / 512)
}

func (w *dmgWriter) finish(resources bool) []byte {
	be := binary.BigEndian
	k := make([]byte, dmgTrailer)
	copy(k, "koly")
	be.PutUint32(k[4:], 4)
	be.PutUint32(k[8:], dmgTrailer)
	be.PutUint32(k[12:], 1)
	be.PutUint64(k[32:], uint64(len(w.fork)))
	be.PutUint32(k[56:], 1)
	be.PutUint32(k[60:], 1)
	for at, sum := range map[int]uint32{80: crc32.ChecksumIEEE(w.fork), 352: crc32.ChecksumIEEE(w.sums)} {
		be.PutUint32(k[at:], dmgCRC32)
		be.PutUint32(k[at+4:], 32)
		be.PutUint32(k[at+8:], sum)
	}
	be.PutUint32(k[488:], 1)
	be.PutUint64(k[492:], w.first)
	b := bytes.Clone(w.fork)
	if resources {
		r := w.resources()
		be.PutUint64(k[40:], uint64(len(b)))
		be.PutUint64(k[48:], uint64(len(r)))
		return append(append(b, r...), k...)
	}
	var x bytes.Buffer
	x.WriteString(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict><key>resource-fork</key><dict><key>blkx</key><array>`)
	for i, t := range w.tables {
		fmt.Fprintf(&x, "<dict><key>Attributes</key><string>0x0050</string><key>CFName</key><string>%s</string><key>Data</key><data>\n%s\n</data><key>ID</key><string>%d</string><key>Name</key><string>%s</string></dict>",
			w.names[i], base64.StdEncoding.EncodeToString(t), i-1, w.names[i])
	}
	x.WriteString("</array><key>plst</key><array><dict><key>Data</key><data>AAAA</data><key>ID</key><string>0</string><key>Name</key><string></string></dict></array></dict></dict></plist>\n")
	be.PutUint64(k[216:], uint64(len(b)))
	be.PutUint64(k[224:], uint64(x.Len()))
	return append(append(b, x.Bytes()...), k...)
}

// resources is the table as it was before there was XML.
func (w *dmgWriter) resources() []byte {
	be := binary.BigEndian
	data, names := []byte{}, []byte{}
	refs := []byte{}
	for i, t := range w.tables {
		refs = be.AppendUint16(refs, uint16(i-1))
		refs = be.AppendUint16(refs, uint16(len(names)))
		refs = be.AppendUint32(refs, 0x50<<24|uint32(len(data)))
		refs = be.AppendUint32(refs, 0)
		data = append(be.AppendUint32(data, uint32(len(t))), t...)
		names = append(append(names, byte(len(w.names[i]))), w.names[i]...)
	}
	m := make([]byte, 28)
	be.PutUint16(m[24:], 28)
	be.PutUint16(m[26:], uint16(28+2+8+len(refs)))
	m = append(m, 0, 0, 'b', 'l', 'k', 'x')
	m = be.AppendUint16(m, uint16(len(w.tables)-1))
	m = append(be.AppendUint16(m, 10), refs...)
	m = append(m, names...)
	h := make([]byte, 256)
	be.PutUint32(h, 256)
	be.PutUint32(h[4:], uint32(256+len(data)))
	be.PutUint32(h[8:], uint32(len(data)))
	be.PutUint32(h[12:], uint32(len(m)))
	copy(m, h[:16])
	return append(append(h, data...), m...)
}

// dmgRaw has text, noise and holes in whole sectors.
func dmgRaw(seed int64, n int) []byte {
	b := append(unpacktest.MixedBytes(n/2), unpacktest.Noise(seed, n/4)...)
	b = append(b, make([]byte, n-len(b))...)
	clear(b[n/3 : n/3+600<<10])
	b[n-1] = 1
	return b
}

func makeDMG(t testing.TB, kind uint32, resources bool, n int) (img, raw []byte) {
	w := &dmgWriter{}
	for i, name := range []string{"Driver Descriptor Map (DDM : 0)", "disk image (Apple_HFS : 1)", "(Apple_Free : 2)"} {
		p := dmgRaw(int64(i), n)
		if i != 1 {
			p = p[:512]
		}
		if i == 2 {
			clear(p)
		}
		w.partition(t, name, p, kind)
		raw = append(raw, p...)
	}
	return w.finish(resources), raw
}

func TestDMG(t *testing.T) {
	testtool.Need(t, "7z")
	testtool.Need(t, "dmg2img")
	for _, x := range []struct {
		kind      uint32
		resources bool
		dmg2img   bool
	}{{dmgStored, false, true}, {dmgZlib, false, true}, {dmgZlib, true, false}, {dmgBzip2, false, true}, {dmgADC, false, true}, {dmgLZFSE, false, false}, {dmgXZ, false, false}} {
		name := fmt.Sprint(dmgKinds[x.kind], " ", x.resources)
		img, raw := makeDMG(t, x.kind, x.resources, 3<<20)
		o := unpacktest.OpenBytes(t, DMG, img)
		if o.Size != int64(len(img)) || len(o.Parts) != 1 {
			t.Fatalf("%s: %+v", name, o)
		}
		if !bytes.Equal(unpacktest.PartBytes(t, o.Parts[0]), raw) {
			t.Errorf("%s: the disk differs", name)
		}
		dir := t.TempDir()
		f := unpacktest.WriteFile(t, dir, "img.dmg", img)
		testtool.Run(t, dir, "7z", "x", "-tdmg", "-oout", f)
		var list []string
		filepath.Walk(filepath.Join(dir, "out"), func(p string, fi os.FileInfo, err error) error {
			if err == nil && !fi.IsDir() {
				list = append(list, p)
			}
			return nil
		})
		sort.Strings(list)
		found := false
		for _, p := range list {
			b, _ := os.ReadFile(p)
			found = found || bytes.Equal(b, raw[512:512+3<<20])
		}
		if !found {
			t.Errorf("%s: 7-Zip reads another disk: %v", name, list)
		}
		if x.dmg2img {
			testtool.Run(t, dir, "dmg2img", "-i", f, "-o", filepath.Join(dir, "raw"))
			if b, _ := os.ReadFile(filepath.Join(dir, "raw")); !bytes.Equal(b, raw) {
				t.Errorf("%s: dmg2img reads another disk (%d bytes)", name, len(b))
			}
		}
	}
}

func TestDamagedDMG(t *testing.T) {
	for _, kind := range []uint32{dmgStored, dmgZlib, dmgBzip2, dmgADC, dmgLZFSE} {
		img, _ := makeDMG(t, kind, kind == dmgADC, 1200<<10)
		t.Run(dmgKinds[kind], func(t *testing.T) {
			unpacktest.Damage(t, DMG, img, unpacktest.Damaged{Rounds: 60})
			unpacktest.Damage(t, DMG, img, unpacktest.Damaged{Rounds: 60, From: len(img) - 2000})
		})
	}
}

// TestDMGPartitionSum: a disk whose packed data have no checksum is checked when
// it is read.
func TestDMGPartitionSum(t *testing.T) {
	img, _ := makeDMG(t, dmgStored, false, 1200<<10)
	clear(img[len(img)-dmgTrailer+80:][:140])
	if o := unpacktest.OpenBytes(t, DMG, img); len(unpacktest.PartBytes(t, o.Parts[0])) == 0 {
		t.Fatal("no content")
	}
	img[100_000] ^= 1
	o := unpacktest.OpenBytes(t, DMG, img)
	if _, err := unpack.ReadAll(o.Parts[0].Data, 1<<30); err == nil {
		t.Error("wrong bytes in silence")
	}
	for from, to := range unpack.Stretches(o.Parts[0].Data, 0, o.Parts[0].Data.Size(), 0) {
		buf := make([]byte, to-from)
		if _, err := o.Parts[0].Data.ReadAt(buf, from); err != nil {
			return
		}
	}
	t.Error("wrong bytes in silence, if holes are left out")
}

func TestDMGEncrypted(t *testing.T) {
	o := unpacktest.OpenBytes(t, DMGEncrypted, append([]byte("encrcdsa\x00\x00\x00\x02"), make([]byte, 500)...))
	if len(o.Gaps) != 1 || o.Gaps[0].Reason != "encrypted" {
		t.Error(o)
	}
}

func FuzzDMG(f *testing.F) {
	var seeds [][]byte
	for _, kind := range []uint32{dmgStored, dmgZlib, dmgADC, dmgLZFSE} {
		w := &dmgWriter{}
		w.partition(f, "a", unpacktest.MixedBytes(8192), kind)
		w.partition(f, "b", make([]byte, 1024), kind)
		seeds = append(seeds, w.finish(kind == dmgADC))
	}
	unpacktest.Fuzz(f, DMG, seeds...)
}
