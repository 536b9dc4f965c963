package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// randomDisk has noise, text, runs and large holes; its size is no multiple of
// most blocks.
func randomDisk(seed int64, size int) []byte {
	rnd := rand.New(rand.NewSource(seed))
	b := make([]byte, size)
	for at := 0; at < size; {
		n := min(1<<(9+rnd.Intn(11)), size-at)
		switch rnd.Intn(4) {
		case 0:
			rnd.Read(b[at : at+n])
		case 1:
			copy(b[at:at+n], bytes.Repeat([]byte(fmt.Sprintf("block %d of the disk\n", at)), n/10))
		}
		at += n
	}
	return b
}

// image converts a raw disk by qemu-img.
func image(t testing.TB, raw []byte, format string, options ...string) []byte {
	t.Helper()
	testtool.Need(t, "qemu-img")
	dir := t.TempDir()
	args := append([]string{"convert", "-f", "raw", "-O", format}, options...)
	testtool.Run(t, dir, "qemu-img", append(args, unpacktest.WriteFile(t, dir, "raw", raw), "img")...)
	b, err := os.ReadFile(filepath.Join(dir, "img"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sameDisk checks that an image holds a raw disk, padded with zeros, and that it
// knows no hole where something is.
func sameDisk(t *testing.T, r *unpack.Reader, img, raw []byte) {
	t.Helper()
	o := unpacktest.OpenBytes(t, r, img)
	if o.Size != int64(len(img)) || len(o.Parts) != 1 || len(o.Gaps) > 0 {
		t.Fatalf("%d of %d bytes, %d parts, gaps %v", o.Size, len(img), len(o.Parts), o.Gaps)
	}
	disk := o.Parts[0].Data
	if n := disk.Size() - int64(len(raw)); n < 0 || n > 1<<20 {
		t.Fatalf("a disk of %d bytes instead of %d", disk.Size(), len(raw))
	}
	want := append(bytes.Clone(raw), make([]byte, disk.Size()-int64(len(raw)))...)
	got, err := unpack.ReadAll(disk, 1<<30)
	if err != nil || !bytes.Equal(got, want) {
		at := 0
		for at < len(got) && got[at] == want[at] {
			at++
		}
		t.Fatalf("the disk differs at 0x%x: %v", at, err)
	}
	rnd := rand.New(rand.NewSource(1))
	for range 200 {
		at := rnd.Intn(len(want))
		n := rnd.Intn(min(200_000, len(want)-at))
		if got := unpack.ReadSome(disk, int64(at), int64(n)); !bytes.Equal(got, want[at:at+n]) {
			t.Fatalf("%d bytes at 0x%x differ", n, at)
		}
	}
	at, held := int64(0), int64(0)
	for from, to := range unpack.Stretches(disk, 0, disk.Size(), 0) {
		if !unpack.OnlyByte(want[at:from], 0) {
			t.Fatalf("no hole at 0x%x..0x%x", at, from)
		}
		held, at = held+to-from, to
	}
	if !unpack.OnlyByte(want[at:], 0) {
		t.Fatalf("no hole from 0x%x on", at)
	}
	t.Logf("%d of %d bytes held, image of %d", held, len(want), len(img))
}

// imageOptions are the ways in which qemu-img writes each format.
var imageOptions = []struct {
	reader *unpack.Reader
	format string
	args   string
}{
	{QCOW2, "qcow2", ""},
	{QCOW2, "qcow2", "-o compat=0.10"},
	{QCOW2, "qcow2", "-o cluster_size=512"},
	{QCOW2, "qcow2", "-o cluster_size=4096,lazy_refcounts=on"},
	{QCOW2, "qcow2", "-o cluster_size=2M"},
	{QCOW2, "qcow2", "-o extended_l2=on"},
	{QCOW2, "qcow2", "-o extended_l2=on,cluster_size=16k"},
	{QCOW2, "qcow2", "-c"},
	{QCOW2, "qcow2", "-c -o compat=0.10,cluster_size=4096"},
	{QCOW2, "qcow2", "-c -o compression_type=zstd"},
	{QCOW2, "qcow2", "-c -o compression_type=zstd,cluster_size=512k"},
	{QCOW2, "qcow2", "-S 0 -o preallocation=full"},
	{QCOW2, "qcow2", "-o preallocation=metadata,refcount_bits=1"},
	{VMDK, "vmdk", ""},
	{VMDK, "vmdk", "-o subformat=monolithicSparse,adapter_type=lsilogic,hwversion=6"},
	{VMDK, "vmdk", "-o subformat=streamOptimized"},
	{VMDK, "vmdk", "-o zeroed_grain=on"},
	{VDI, "vdi", ""},
	{VDI, "vdi", "-o static=on"},
	{VHD, "vpc", ""},
	{VHD, "vpc", "-o force_size=on"},
	{VHDFixed, "vpc", "-o subformat=fixed,force_size=on"},
	{VHDX, "vhdx", ""},
	{VHDX, "vhdx", "-o block_size=1M"},
	{VHDX, "vhdx", "-o block_size=32M"},
	{VHDX, "vhdx", "-o subformat=fixed"},
	{Parallels, "parallels", ""},
	{Parallels, "parallels", "-o cluster_size=64k"},
	{QED, "qed", ""},
	{QED, "qed", "-o cluster_size=4k,table_size=2"},
}

func TestVirtualDisks(t *testing.T) {
	for i, opt := range imageOptions {
		t.Run(strings.TrimSpace(opt.format+" "+opt.args), func(t *testing.T) {
			raw := randomDisk(int64(i), 3<<20+i*1536)
			sameDisk(t, opt.reader, image(t, raw, opt.format, strings.Fields(opt.args)...), raw)
		})
	}
}

// TestRewrittenQCOW2 has zero clusters, discarded ones and clusters out of order.
func TestRewrittenQCOW2(t *testing.T) {
	testtool.Need(t, "qemu-img")
	testtool.Need(t, "qemu-io")
	for _, options := range []string{"cluster_size=64k", "cluster_size=32k,extended_l2=on"} {
		dir := t.TempDir()
		f := filepath.Join(dir, "img")
		testtool.Run(t, dir, "qemu-img", "create", "-f", "qcow2", "-o", options, f, "9M")
		testtool.Run(t, dir, "qemu-io", "-c", "write -P 1 7M 1M", "-c", "write -P 2 0 3M", "-c", "write -z 1M 512k", "-c", "write -P 3 1100k 3k",
			"-c", "discard 2M 256k", "-c", "write -P 4 2100k 1k", "-c", "write -z -u 7200k 130k", f)
		testtool.Run(t, dir, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", f, "raw")
		img, _ := os.ReadFile(f)
		raw, _ := os.ReadFile(filepath.Join(dir, "raw"))
		sameDisk(t, QCOW2, img, raw)
	}
}

func TestSnapshotsAreListed(t *testing.T) {
	raw := randomDisk(1, 1<<20)
	img := edit(t, edit(t, image(t, raw, "qcow2"), "qemu-img", "snapshot", "-c", "before update", "IMG"), "qemu-img", "snapshot", "-c", "two", "IMG")
	o := unpacktest.OpenBytes(t, QCOW2, img)
	if s := o.Info["snapshots"]; !strings.HasPrefix(s, "before update (20") || !strings.Contains(s, ", two (20") || len(o.Gaps) != 1 {
		t.Errorf("%q %v", s, o.Gaps)
	}
	if !bytes.Equal(unpacktest.PartBytes(t, o.Parts[0]), raw) {
		t.Error("the disk differs")
	}
}

// TestWhatLiesElsewhere checks that disks which need more than their file are
// unread, with the reason.
func TestWhatLiesElsewhere(t *testing.T) {
	testtool.Need(t, "qemu-img")
	dir := t.TempDir()
	make := func(format string, args ...string) []byte {
		t.Helper()
		testtool.Run(t, dir, "qemu-img", append([]string{"create", "-q", "-f", format}, args...)...)
		b, err := os.ReadFile(filepath.Join(dir, "img"))
		if err != nil {
			t.Fatal(err)
		}
		os.Remove(filepath.Join(dir, "img"))
		return b
	}
	for _, format := range []string{"qcow2", "vmdk", "qed"} {
		testtool.Run(t, dir, "qemu-img", "create", "-q", "-f", format, "base."+format, "2M")
	}
	vdi := image(t, randomDisk(1, 1<<20), "vdi")
	vdi[76] = 4
	copy(vdi[424:], "\x33\x22\x11\x00\x55\x44\x77\x66")
	vhd := image(t, randomDisk(1, 1<<20), "vpc")
	for _, at := range []int{0, len(vhd) - sector} {
		vhd[at+63] = vhdDifferencing
		vhd[at+67]-- // of the checksum
	}
	copy(vhd[512+64:], "\x00p\x00a\x00r\x00e\x00n\x00t")
	sum := uint32(0)
	clear(vhd[512+36 : 512+40])
	for _, c := range vhd[512 : 512+1024] {
		sum += uint32(c)
	}
	binary.BigEndian.PutUint32(vhd[512+36:], ^sum)
	hyper := image(t, randomDisk(1, 1<<20), "vhdx")
	h := &vhdx{in: unpacktest.Input(hyper), data: unpack.Slice(hyper), o: &unpack.Object{Info: map[string]string{}}}
	h.readRegions()
	h.metadata = hyper[h.regions[vhdxMetadata].at:][:1<<20]
	h.item(vhdxFile)[4] |= 2
	for _, x := range []struct {
		name, reason, note string
		reader             *unpack.Reader
		img                []byte
	}{
		{"qcow2 backing", "unsupported", "base.qcow2", QCOW2, make("qcow2", "-b", "base.qcow2", "-F", "qcow2", "img")},
		{"qcow2 data file", "unsupported", "data.raw", QCOW2, make("qcow2", "-o", "data_file=data.raw", "img", "2M")},
		{"qcow2 LUKS", "encrypted", "LUKS", QCOW2, make("qcow2", "--object", "secret,id=s,data=x", "-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10", "img", "2M")},
		{"qed backing", "unsupported", "base.qed", QED, make("qed", "-b", "base.qed", "-F", "qed", "img")},
		{"vdi differencing", "unsupported", "00112233-4455-6677", VDI, vdi},
		{"vhd differencing", "unsupported", "parent", VHD, vhd},
		{"vhdx differencing", "unsupported", "another disk", VHDX, hyper},
		{"vmdk parent", "unsupported", "base.vmdk", VMDK, make("vmdk", "-b", "base.vmdk", "-F", "vmdk", "img")},
	} {
		o := unpacktest.OpenBytes(t, x.reader, x.img)
		if len(o.Parts) != 0 || len(o.Gaps) != 1 || o.Gaps[0].Reason != x.reason || !strings.Contains(o.Gaps[0].Note, x.note) || o.Gaps[0].Size != int64(len(x.img)) {
			t.Errorf("%s: %d parts, %+v", x.name, len(o.Parts), o.Gaps)
		}
	}
}

// TestDamagedDisks: these formats have no checksums over content, but packed
// ones nearly do, and tables that lead astray are noticed.
func TestDamagedDisks(t *testing.T) {
	raw := randomDisk(3, 2<<20)
	for _, opt := range imageOptions {
		switch opt.args {
		case "", "-c", "-o extended_l2=on", "-o subformat=streamOptimized", "-o subformat=fixed,force_size=on":
			t.Run(strings.TrimSpace(opt.format+" "+opt.args), func(t *testing.T) {
				unpacktest.Damage(t, opt.reader, image(t, raw, opt.format, strings.Fields(opt.args)...), unpacktest.Damaged{Unchecked: !strings.Contains(opt.args, "streamOptimized"), Rounds: 60})
			})
		}
	}
}

// TestDamagedMetadata changes the tables of formats: two blocks at one place,
// tables on tables, places outside.
func TestDamagedMetadata(t *testing.T) {
	raw := noise(5, 4<<20)
	be, le := binary.BigEndian, binary.LittleEndian
	for _, x := range []struct {
		name   string
		reader *unpack.Reader
		format string
		change func(b []byte)
	}{
		{"qcow2: one cluster twice", QCOW2, "qcow2", func(b []byte) { l2 := be.Uint64(b[be.Uint64(b[40:]):]) & qcowOffset; copy(b[l2:], b[l2+8:l2+16]) }},
		{"qcow2: a cluster on its table", QCOW2, "qcow2", func(b []byte) { l2 := be.Uint64(b[be.Uint64(b[40:]):]) & qcowOffset; be.PutUint64(b[l2:], l2) }},
		{"qcow2: a table outside", QCOW2, "qcow2", func(b []byte) { be.PutUint64(b[be.Uint64(b[40:]):], 1<<40) }},
		{"qcow2: corrupt", QCOW2, "qcow2", func(b []byte) { b[79] |= qcowCorrupt }},
		{"vdi: one block twice", VDI, "vdi", func(b []byte) { t := le.Uint32(b[340:]); copy(b[t:], b[t+4:t+8]) }},
		{"vdi: outside", VDI, "vdi", func(b []byte) { le.PutUint32(b[le.Uint32(b[340:]):], 77) }},
		{"vhd: one block twice", VHD, "vpc", func(b []byte) { t := be.Uint64(b[512+16:]); copy(b[t:], b[t+4:t+8]) }},
		{"vhd: first footer", VHD, "vpc", func(b []byte) { b[100] ^= 1 }},
		{"vhd: header", VHD, "vpc", func(b []byte) { b[512+100] ^= 1 }},
		{"vmdk: copy of a table", VMDK, "vmdk", func(b []byte) { gd := le.Uint64(b[48:]) * 512; gt := le.Uint32(b[gd:]) * 512; b[gt] ^= 1 }},
		{"vmdk: one grain twice", VMDK, "vmdk", func(b []byte) {
			gd := le.Uint64(b[56:]) * 512
			gt := le.Uint32(b[gd:]) * 512
			copy(b[gt:], b[gt+4:gt+8])
		}},
	} {
		b := image(t, raw, x.format)
		x.change(b)
		o, err := x.reader.Open(unpacktest.Input(b))
		if err != nil || o.Err == nil {
			t.Errorf("%s: %v, nothing says so", x.name, err)
			continue
		}
		t.Logf("%s: %v", x.name, o.Err)
	}
}

// TestCutDisk: what is missing of an image is said, and what is there is read.
func TestCutDisk(t *testing.T) {
	raw := noise(6, 4<<20)
	for _, x := range []struct {
		reader *unpack.Reader
		format string
	}{{QCOW2, "qcow2"}, {VDI, "vdi"}, {VHD, "vpc"}, {VMDK, "vmdk"}, {VHDX, "vhdx"}} {
		b := image(t, raw, x.format)
		cut := len(b) - 1<<20
		if x.reader == VHDX {
			cut -= 4 << 20 // of its block of 8 MB
		}
		o, err := x.reader.Open(unpacktest.Input(b[:cut]))
		if err != nil || o.Err == nil || len(o.Parts) != 1 {
			t.Fatal(x.format, err, o)
		}
		if got := unpack.ReadSome(o.Parts[0].Data, 0, 2<<20); !bytes.Equal(got, raw[:2<<20]) {
			t.Errorf("%s: the beginning differs", x.format)
		}
		t.Logf("%s: %v", x.format, o.Err)
	}
}

// TestVHDBitmap: a sector that was never written is zeros, whatever lies there.
func TestVHDBitmap(t *testing.T) {
	raw := noise(7, 3<<20)
	b := image(t, raw, "vpc", "-o", "force_size=on")
	table := binary.BigEndian.Uint64(b[512+16:])
	block := int64(binary.BigEndian.Uint32(b[table:])) * sector
	b[block] &^= 0x80 >> 3
	want := bytes.Clone(raw)
	clear(want[3*sector : 4*sector])
	sameDisk(t, VHD, b, want)
}

// TestVMDKFolder opens split and flat disks of VMware by their descriptor.
func TestVMDKFolder(t *testing.T) {
	testtool.Need(t, "qemu-img")
	raw := randomDisk(11, 3<<20)
	for _, sub := range []string{"twoGbMaxExtentSparse", "twoGbMaxExtentFlat", "monolithicFlat"} {
		dir := t.TempDir()
		testtool.Run(t, dir, "qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat="+sub, unpacktest.WriteFile(t, t.TempDir(), "raw", raw), "disk.vmdk")
		unpacktest.WriteFile(t, dir, "machine.vmx", []byte("memsize = 512\n"))
		in := unpacktest.Input(nil)
		tree, closer, err := unpack.Folder(in.Context, dir, in.Budget)
		if err != nil {
			t.Fatal(err)
		}
		defer closer.Close()
		o := vmdkFolder(in.Context, in.Budget, tree.Entries)
		if o == nil || len(o.Parts) != 1 || len(o.Gaps) > 0 || len(o.Entries) != 2 { // descriptor, machine.vmx
			t.Fatalf("%s: %+v", sub, o)
		}
		if !bytes.Equal(unpacktest.PartBytes(t, o.Parts[0]), raw) {
			t.Errorf("%s: the disk differs", sub)
		}
		for _, e := range tree.Entries { // without its extents it is unread
			if strings.Contains(e.Path, "-") {
				os.Remove(filepath.Join(dir, e.Path))
			}
		}
		if tree, closer, err = unpack.Folder(in.Context, dir, in.Budget); err != nil {
			t.Fatal(err)
		}
		defer closer.Close()
		if o := vmdkFolder(in.Context, in.Budget, tree.Entries); o != nil {
			t.Errorf("%s: opened without its extents", sub)
		}
	}
}

// makeCOWD writes an extent of ESX: header, directory, tables, grains.
func makeCOWD(raw []byte, grain int) []byte {
	le := binary.LittleEndian
	grains := (len(raw) + grain - 1) / grain
	tables := (grains + 4095) / 4096
	b := make([]byte, (4+1+32*tables)*sector)
	copy(b, "COWD")
	copy(b[sector:], "# Disk DescriptorFile\nCID=12345678\nparentCID=ffffffff\n") // where QEMU looks for it
	for i, v := range []int{1, 3, len(raw) / sector, grain / sector, 4, tables} {
		le.PutUint32(b[4+4*i:], uint32(v))
	}
	for i := range tables {
		le.PutUint32(b[4*sector+4*i:], uint32(5+32*i))
	}
	for i := range grains {
		p := make([]byte, grain)
		copy(p, raw[i*grain:])
		if unpack.OnlyByte(p, 0) {
			continue
		}
		le.PutUint32(b[5*sector+4*i:], uint32(len(b)/sector))
		b = append(b, p...)
	}
	return b
}

func TestCOWD(t *testing.T) {
	raw := randomDisk(12, 3<<20)
	img := makeCOWD(raw, 4096)
	sameDisk(t, VMDK, img, raw)
	testtool.Need(t, "qemu-img")
	dir := t.TempDir()
	testtool.Run(t, dir, "qemu-img", "convert", "-f", "vmdk", "-O", "raw", unpacktest.WriteFile(t, dir, "img", img), "raw")
	if b, _ := os.ReadFile(filepath.Join(dir, "raw")); !bytes.Equal(b, raw) {
		t.Error("QEMU reads another disk")
	}
}

// vhdxWithLog gives an image a log whose entries change it: the place of the
// block table, a stretch of zeros.
func vhdxWithLog(b []byte, change func(entry func(tail int64, at int64, sector []byte, zeros int64))) []byte {
	le := binary.LittleEndian
	b = bytes.Clone(b)
	guid := []byte("0123456789abcdef")
	sum := func(p []byte) {
		clear(p[4:8])
		le.PutUint32(p[4:], crc32.Checksum(p, castagnoli))
	}
	var log, ring int64
	for _, at := range []int{64 << 10, 128 << 10} {
		h := b[at : at+4096]
		log, ring = int64(le.Uint64(h[72:])), int64(le.Uint32(h[68:]))
		copy(h[48:64], guid)
		sum(h)
	}
	next, seq := ring-8192, uint64(7) // goes round
	change(func(tail, at int64, data []byte, zeros int64) {
		e := make([]byte, 4096, 8192)
		copy(e, "loge")
		d := e[64:]
		le.PutUint64(d[16:], uint64(at))
		le.PutUint64(d[24:], seq)
		if data != nil {
			copy(d, "desc")
			copy(d[8:], data[:8])
			copy(d[4:], data[4092:])
			s := make([]byte, 4096)
			copy(s, "data")
			le.PutUint32(s[4:], uint32(seq>>32))
			copy(s[8:], data[8:4092])
			le.PutUint32(s[4092:], uint32(seq))
			e = append(e, s...)
		} else {
			copy(d, "zero")
			le.PutUint64(d[8:], uint64(zeros))
		}
		le.PutUint32(e[8:], uint32(len(e)))
		le.PutUint32(e[12:], uint32(tail))
		le.PutUint64(e[16:], seq)
		le.PutUint32(e[24:], 1)
		copy(e[32:], guid)
		le.PutUint64(e[48:], uint64(len(b)))
		le.PutUint64(e[56:], uint64(len(b)))
		sum(e)
		for i := 0; i < len(e); i += 4096 {
			copy(b[log+(next+int64(i))%ring:], e[i:i+4096])
		}
		next, seq = (next+int64(len(e)))%ring, seq+1
	})
	return b
}

func TestVHDXLog(t *testing.T) {
	raw := noise(13, 3<<20)
	clean := image(t, raw, "vhdx", "-o", "block_size=1M")
	x := &vhdx{in: unpacktest.Input(clean), data: unpack.Slice(clean), o: &unpack.Object{Info: map[string]string{}}}
	if !x.readRegions() {
		t.Fatal("no regions")
	}
	bat := x.regions[vhdxBAT].at
	block := int64(binary.LittleEndian.Uint64(clean[bat+8:])>>20) << 20
	// The table loses its first block, the log brings it back and zeros a part of
	// the second.
	broken := bytes.Clone(clean)
	clear(broken[bat : bat+8])
	ring := int64(1 << 20)
	img := vhdxWithLog(broken, func(entry func(int64, int64, []byte, int64)) {
		tail := ring - 8192
		entry(tail, bat, noise(1, 4096), 0)
		entry(tail, bat, clean[bat:bat+4096], 0) // wins
		entry(tail, block+8192, nil, 12288)
	})
	want := bytes.Clone(raw)
	clear(want[1<<20+8192 : 1<<20+8192+12288])
	sameDisk(t, VHDX, img, want)

	testtool.Need(t, "qemu-img")
	dir := t.TempDir()
	f := unpacktest.WriteFile(t, dir, "img.vhdx", img)
	testtool.Run(t, dir, "qemu-img", "check", "-r", "all", f) // replays
	testtool.Run(t, dir, "qemu-img", "convert", "-f", "vhdx", "-O", "raw", f, "raw")
	if b, _ := os.ReadFile(filepath.Join(dir, "raw")); !bytes.Equal(b, want) {
		t.Error("QEMU replays it differently")
	}

	// A log without a whole sequence is said.
	img = vhdxWithLog(broken, func(entry func(int64, int64, []byte, int64)) { entry(4096, bat, clean[bat:bat+4096], 0) })
	if o, err := VHDX.Open(unpacktest.Input(img)); err != nil || o.Err == nil {
		t.Error(err, o)
	}
}

// FuzzVHDX changes places of an image and mends the checksums, which nothing
// would get past otherwise.
func FuzzVHDX(f *testing.F) {
	base := vhdxWithLog(image(f, randomDisk(9, 300<<10), "vhdx", "-o", "block_size=1M"), func(entry func(int64, int64, []byte, int64)) { entry(1<<20-8192, 2<<20, noise(1, 4096), 0) })
	f.Add(uint32(64<<10+68), []byte{1, 2, 3}, uint32(192<<10), []byte{9})
	f.Add(uint32(192<<10+32), []byte{255, 255}, uint32(2<<20+64<<10), []byte{9, 1, 2})
	f.Add(uint32(3<<20), []byte{6, 0, 0x30}, uint32(2<<20+16), []byte{9, 1, 2})
	f.Fuzz(func(t *testing.T, at uint32, p []byte, at2 uint32, p2 []byte) {
		b := bytes.Clone(base)
		copy(b[int(at)%len(b):], p)
		copy(b[int(at2)%len(b):], p2)
		for _, r := range [][2]int{{64 << 10, 4096}, {128 << 10, 4096}, {192 << 10, vhdxTableSize}, {256 << 10, vhdxTableSize}} {
			s := b[r[0] : r[0]+r[1]]
			clear(s[4:8])
			binary.LittleEndian.PutUint32(s[4:], crc32.Checksum(s, castagnoli))
		}
		o, err := VHDX.Open(unpacktest.Input(b))
		if err != nil {
			return
		}
		for _, p := range o.Parts {
			unpack.ReadSome(p.Data, 0, 1<<20)
			unpack.NextHeld(p.Data, 0)
		}
	})
}

func FuzzVirtual(f *testing.F) {
	var all []*unpack.Reader
	raw := randomDisk(9, 1<<20)
	seen := map[*unpack.Reader]bool{}
	var seeds [][]byte
	for _, opt := range imageOptions {
		if !seen[opt.reader] {
			seen[opt.reader] = true
			all = append(all, opt.reader)
		}
		switch opt.args {
		case "", "-c", "-o extended_l2=on", "-o subformat=streamOptimized", "-o subformat=fixed,force_size=on":
		default:
			continue
		}
		if b := image(f, raw[:100<<10], opt.format, strings.Fields(opt.args)...); len(b) < 1<<20 {
			seeds = append(seeds, b)
		}
	}
	one := &unpack.Reader{Name: "virtual", Open: func(in *unpack.Input) (*unpack.Object, error) {
		head := unpack.ReadSome(in.Data, 0, 512)
		for _, r := range all {
			if r.Fits(in.Data, head) {
				if o, err := r.Open(in); err == nil {
					return o, nil
				}
			}
		}
		return nil, unpack.ErrNotThis
	}}
	unpacktest.Fuzz(f, one, seeds...)
}
