package volume

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
)

// onlyUDF takes the ISO 9660 descriptors out of a disc with both.
func onlyUDF(img []byte) []byte {
	img = bytes.Clone(img)
	at := bytes.Index(img, []byte("\x00BEA01"))
	copy(img[isoFirst*isoSector:], img[at:at+3*isoSector])
	return img
}

// TestUDFContent: genisoimage writes no modes and no links, but all files.
func TestUDFContent(t *testing.T) {
	dir := sampleFor(t, "genisoimage -udf")
	img := onlyUDF(makeISO(t, dir, "genisoimage -R -udf"))
	o := unpacktest.OpenBytes(t, UDF, append(bytes.Clone(img), "something behind it"...))
	if o.Size != int64(len(img)) || o.Format != "udf 1.02" {
		t.Errorf("%s: size %d of %d", o.Format, o.Size, len(img))
	}
	same := func(p string) string { return p }
	special := func(p, line string) bool { return line[0] != '-' && line[0] != 'd' && line[0] != 'u' && line[0] != 'g' }
	want := contentOnly(without(unpacktest.SummaryOfFolder(t, dir), special), same)
	got := contentOnly(without(unpacktest.SummaryOfObject(t, o), func(p, line string) bool { return want[p] == "" }), same)
	for p, line := range want {
		want[p] = "-" + strings.TrimLeft(line, "-dug")
		got[p] = "-" + strings.TrimLeft(got[p], "-dug")
	}
	unpacktest.SameSummary(t, want, got)
}

// TestISOBridge: a file that only UDF shows, as on discs of Windows.
func TestISOBridge(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "a.txt"), bytes.Repeat([]byte("all"), 1000), 0o644)
	os.WriteFile(filepath.Join(dir, "b.txt"), bytes.Repeat([]byte("only UDF"), 1000), 0o644)
	o := unpacktest.OpenBytes(t, ISO9660, makeISO(t, dir, "genisoimage -R -udf -hide b.txt"))
	s := unpacktest.SummaryOfObject(t, o)
	if len(s) != 3 || s["a.txt"] == "" || s["[udf]/b.txt"] == "" {
		t.Errorf("%v", s)
	}
	o = unpacktest.OpenBytes(t, ISO9660, makeISO(t, dir, "genisoimage -udf -hide b.txt"))
	if s := unpacktest.SummaryOfObject(t, o); len(s) != 2 || s["a.txt"] == "" || s["b.txt"] == "" || o.Format != "iso9660 udf" {
		t.Errorf("%s %v", o.Format, s)
	}
}

// udfImage is an image of mkudffs into which a test puts files by hand, since
// there is no program that fills one.
type udfImage struct {
	t     testing.TB
	b     []byte
	block int
	start int // of the partition, in blocks
	root  int // block of the root's entry on the disc
	free  int // next free block on the disc
	vat   int // block of the virtual allocation table's entry, or 0
	part  uint16
}

func mkudffs(t testing.TB, block int, args ...string) *udfImage {
	t.Helper()
	img := filepath.Join(t.TempDir(), "img")
	args = append([]string{"--new-file", "-b", fmt.Sprint(block)}, args...)
	testtool.Run(t, "", "mkudffs", append(args, img, "8192")...)
	x := &udfImage{t: t, b: readFile(t, img), block: block}
	le := binary.LittleEndian
	for i := 0; (i+1)*block <= len(x.b); i++ {
		p := x.b[i*block:]
		switch {
		case tagOf(p) == udfPartitionDesc && x.start == 0:
			x.start = int(le.Uint32(p[188:]))
		case tagOf(p) != udfFileEntry && tagOf(p) != udfExtendedEntry:
		case p[27] == 4 && x.root == 0:
			x.root = i
		case p[27] == 248 || p[27] == 0 && x.root != 0:
			x.vat = i
		}
	}
	if x.start == 0 || x.root == 0 {
		t.Fatalf("no partition (%d) or no root (%d)", x.start, x.root)
	}
	x.free = x.root + 64
	if x.vat > 0 { // the table has to be last
		x.free = x.vat
		x.b = append(x.b, make([]byte, 64*block)...)
		copy(x.b[(x.vat+32)*block:], x.b[x.vat*block:(x.vat+1)*block])
		clear(x.b[x.vat*block : (x.vat+1)*block])
		x.vat += 32
		x.b = x.b[:(x.vat+1)*block]
		x.seal(x.vat, x.vat-x.start)
		x.part = 1
	}
	return x
}

// slowCRC is the CRC of ECMA-167 3/7.2.6 bit by bit.
func slowCRC(p []byte) uint16 {
	crc := 0
	for _, c := range p {
		crc ^= int(c) << 8
		for range 8 {
			if crc <<= 1; crc&0x10000 != 0 {
				crc ^= 0x11021
			}
		}
	}
	return uint16(crc)
}

// tag puts a tag before a descriptor.
func udfTag(p []byte, id, location int) {
	le := binary.LittleEndian
	le.PutUint16(p, uint16(id))
	le.PutUint16(p[2:], 2)
	le.PutUint16(p[10:], uint16(len(p)-16))
	le.PutUint32(p[12:], uint32(location))
	le.PutUint16(p[8:], slowCRC(p[16:]))
	p[4] = 0
	for i := range 16 {
		if i != 4 {
			p[4] += p[i]
		}
	}
}

// seal renews the tag of the descriptor in a block.
func (x *udfImage) seal(at, location int) {
	p := x.b[at*x.block:][:x.block]
	n := 16 + int(binary.LittleEndian.Uint16(p[10:]))
	udfTag(p[:n], int(tagOf(p)), location)
}

// fileEntry writes an entry with the given extents, or embedded content.
func (x *udfImage) fileEntry(kind byte, sort uint16, size int, descriptors []byte) int {
	at := x.free
	x.free++
	p := x.b[at*x.block:][:x.block]
	clear(p)
	if x.vat > 0 && sort == 0 {
		sort = 1
	}
	le := binary.LittleEndian
	le.PutUint16(p[20:], 4)
	le.PutUint16(p[24:], 1)
	p[27] = kind
	le.PutUint16(p[34:], sort)
	le.PutUint32(p[36:], 1000)
	le.PutUint32(p[44:], 0x7fff)
	le.PutUint16(p[48:], 1)
	le.PutUint64(p[56:], uint64(size))
	le.PutUint32(p[172:], uint32(len(descriptors)))
	n := 176 + copy(p[176:], descriptors)
	udfTag(p[:n], udfFileEntry, at-x.start)
	return at
}

// put stores content in extents of one block each, every second block, and
// returns its descriptors: short ones, or long ones where the content is in
// another partition than the entry.
func (x *udfImage) put(content []byte) (descriptors []byte) {
	for len(content) > 0 {
		n := copy(x.b[x.free*x.block:][:x.block], content)
		descriptors = binary.LittleEndian.AppendUint32(descriptors, uint32(n))
		descriptors = binary.LittleEndian.AppendUint32(descriptors, uint32(x.free-x.start))
		if x.vat > 0 {
			descriptors = append(descriptors, make([]byte, 8)...)
		}
		content, x.free = content[n:], x.free+2
	}
	return descriptors
}

// name adds a name to the root folder.
func (x *udfImage) name(name string, entry int, flags byte) {
	le := binary.LittleEndian
	where := entry - x.start
	if x.vat > 0 { // a new virtual block
		p := x.b[x.vat*x.block:][:x.block]
		base := 176
		if tagOf(p) == udfExtendedEntry {
			base = 216
		}
		n, data := int(le.Uint32(p[base-4:])), base+int(le.Uint32(p[base-8:]))
		var slot int
		if p[27] == 248 {
			slot = (n - int(le.Uint16(p[data:]))) / 4
			le.PutUint32(p[data+n:], uint32(where))
		} else {
			slot = (n - 36) / 4
			copy(p[data+n-36+4:], bytes.Clone(p[data+n-36:data+n]))
			le.PutUint32(p[data+n-36:], uint32(where))
		}
		le.PutUint32(p[base-4:], le.Uint32(p[base-4:])+4)
		le.PutUint64(p[56:], le.Uint64(p[56:])+4)
		le.PutUint16(p[10:], le.Uint16(p[10:])+4)
		x.seal(x.vat, x.vat-x.start)
		where = slot
		x.seal(entry, slot) // its place is a virtual one
	}
	id := append([]byte{8}, name...)
	fid := make([]byte, (38+len(id)+3)&^3)
	le.PutUint16(fid[16:], 1)
	fid[18], fid[19] = flags, byte(len(id))
	le.PutUint32(fid[20:], uint32(x.block))
	le.PutUint32(fid[24:], uint32(where))
	le.PutUint16(fid[28:], x.part)
	copy(fid[38:], id)
	udfTag(fid[:38+len(id)], udfFileID, 0)
	p := x.b[x.root*x.block:][:x.block]
	base := 176
	if tagOf(p) == udfExtendedEntry {
		base = 216
	}
	size := int(le.Uint64(p[56:]))
	ad := p[base+int(le.Uint32(p[base-8:])):]
	switch p[34] & 7 {
	case 3:
		copy(ad[size:], fid)
		le.PutUint32(p[base-4:], uint32(size+len(fid)))
		le.PutUint16(p[10:], le.Uint16(p[10:])+uint16(len(fid)))
	default:
		le.PutUint32(ad, uint32(size+len(fid)))
		copy(x.b[(x.start+int(le.Uint32(ad[4:])))*x.block+size:], fid)
	}
	le.PutUint64(p[56:], uint64(size+len(fid)))
	x.seal(x.root, int(le.Uint32(p[12:])))
}

// fill puts in an embedded file, one of several extents, and a deleted one, and
// checks what is read.
func (x *udfImage) fill() {
	long := bytes.Repeat([]byte("0123456789abcdef!"), 3*x.block/16)
	x.name("embedded", x.fileEntry(5, 3, 100, long[:100]), 0)
	ad := x.put(long)
	x.name("long", x.fileEntry(5, 0, len(long), ad), 0)
	ad = x.put([]byte("not gone"))
	x.name("deleted", x.fileEntry(5, 0, 8, ad), udfDeleted)
	x.name("link", x.fileEntry(12, 3, 12, []byte("\x03\x00\x00\x00\x05\x04\x00\x00\x08etc")), 0)
}

func (x *udfImage) check(name string) *unpack.Object {
	x.t.Helper()
	o := unpacktest.OpenBytes(x.t, UDF, x.b)
	tree := unpack.NewTree(o.Entries)
	long := strings.Repeat("0123456789abcdef!", 3*x.block/16)
	for p, want := range map[string]string{"embedded": long[:100], "long": long, "deleted": "not gone", "link": ""} {
		e := tree.Entry(p)
		if e == nil {
			x.t.Errorf("%s: no %s (%v)", name, p, tree.Paths())
			continue
		}
		got := []byte{}
		if e.Data != nil && p != "link" {
			got, _ = unpack.ReadAll(e.Data, 1<<20)
		}
		if string(got) != want || e.Deleted != (p == "deleted") || p == "link" && e.Link != "../etc" || e.UID != 1000 || e.Mode.Perm() != 0o777 {
			x.t.Errorf("%s: %s has %d of %d bytes, %v", name, p, len(got), len(want), e)
		}
	}
	return o
}

func TestUDFVariants(t *testing.T) {
	for _, block := range []int{512, 1024, 2048, 4096} {
		for _, args := range []string{"-r 1.02", "-r 1.50 --ad=short", "-r 2.01 --ad=long", "-r 2.01 --noefe", "-r 2.00 --ad=inicb"} {
			x := mkudffs(t, block, append([]string{"--media-type=hd"}, strings.Fields(args)...)...)
			x.fill()
			name := fmt.Sprintf("%d %s", block, args)
			o := x.check(name)
			if rev := strings.Fields(args)[1]; o.Info["revision"] != rev || o.Size != int64(len(x.b)) {
				t.Errorf("%s: %s, size %d of %d", name, o.Info["revision"], o.Size, len(x.b))
			}
		}
	}
	for _, args := range []string{"-r 1.50", "-r 2.01"} {
		x := mkudffs(t, 2048, append([]string{"--media-type=dvdr", "--vat"}, strings.Fields(args)...)...)
		x.fill()
		x.check("virtual " + args)
	}
}

// TestUDFSparable: a packet that was moved is read where it is now.
func TestUDFSparable(t *testing.T) {
	x := mkudffs(t, 2048, "--media-type=cdrw", "--spartable=2", "--packetlen=32")
	x.free = (x.free-x.start+63)/32*32 + x.start
	packet := x.free
	x.fill()
	le := binary.LittleEndian
	moved := false
	for i := 0; i < len(x.b)/2048; i++ {
		p := x.b[i*2048:]
		if !bytes.HasPrefix(p[17:], []byte("*UDF Sparing Table")) {
			continue
		}
		le.PutUint32(p[56:], uint32(packet-x.start))
		x.seal(i, i)
		if to := int(le.Uint32(p[60:])) * 2048; !moved {
			copy(x.b[to:], x.b[packet*2048:(packet+32)*2048])
			copy(x.b[packet*2048:(packet+32)*2048], bytes.Repeat([]byte("bad"), 32*2048))
			moved = true
		}
	}
	if !moved {
		t.Fatal("no sparing table")
	}
	x.check("sparable")
}

// TestUDFMetadata: the root and the file set are moved into a metadata
// partition, whose blocks are those of the partition below, in two extents.
func TestUDFMetadata(t *testing.T) {
	for _, mirror := range []bool{false, true} {
		x := mkudffs(t, 2048, "--media-type=hd", "-r", "2.01")
		le := binary.LittleEndian
		x.part = 1
		x.fill()
		var ad []byte
		for _, e := range [][2]int{{40 * 2048, 0}, {4000 * 2048, 40}} {
			ad = le.AppendUint32(le.AppendUint32(ad, uint32(e[0])), uint32(e[1]))
		}
		file := x.fileEntry(250, 0, 4040*2048, ad)
		copyAt := x.fileEntry(251, 0, 4040*2048, ad)
		if mirror {
			x.b[file*2048+60]++ // damaged
		}
		m := make([]byte, 64)
		m[0], m[1] = 2, 64
		copy(m[5:], "*UDF Metadata Partition")
		le.PutUint16(m[36:], 1)
		le.PutUint32(m[40:], uint32(file-x.start))
		le.PutUint32(m[44:], uint32(copyAt-x.start))
		for i := 0; i < len(x.b)/2048; i++ {
			p := x.b[i*2048:]
			switch {
			case tagOf(p) == udfLogicalVolume && le.Uint32(p[12:]) == uint32(i):
				le.PutUint16(p[248+8:], 1)
				le.PutUint32(p[264:], 6+64)
				le.PutUint32(p[268:], 2)
				copy(p[446:], m)
				le.PutUint16(p[10:], 440+70-16)
				x.seal(i, i)
			case tagOf(p) == udfFileSet && i > x.start:
				le.PutUint16(p[408:], 1)
				x.seal(i, i-x.start)
			}
		}
		if !mirror {
			x.check("metadata")
			continue
		}
		o, err := UDF.Open(unpacktest.Input(x.b))
		if err != nil || o.Err == nil || !strings.Contains(o.Err.Error(), "mirror is read") || len(o.Entries) < 5 {
			t.Errorf("%v %v", err, o)
		}
	}
}

// TestUDFReserve: the second copy of the volume descriptors is read if the
// first is damaged.
func TestUDFReserve(t *testing.T) {
	x := mkudffs(t, 2048, "--media-type=hd")
	x.fill()
	for i := range len(x.b) / 2048 {
		if p := x.b[i*2048:]; tagOf(p) == udfLogicalVolume {
			p[100]++
			break
		}
	}
	o, err := UDF.Open(unpacktest.Input(x.b))
	if err != nil || o.Err == nil || len(o.Entries) < 5 {
		t.Errorf("%v %v", err, o)
	}
}

// TestUDFNoVolume: descriptors that are whole, but describe no volume that can
// be read, are an error and no crash.
func TestUDFNoVolume(t *testing.T) {
	for _, change := range []func(p []byte){
		func(p []byte) { p[218]++ },                                       // not of UDF
		func(p []byte) { binary.LittleEndian.PutUint32(p[212:], 0) },      // blocks of no size
		func(p []byte) { binary.LittleEndian.PutUint32(p[252:], 70_000) }, // no file set there
		func(p []byte) { p[440] = 9 },                                     // an unknown partition map
	} {
		x := mkudffs(t, 2048, "--media-type=hd")
		for i := range len(x.b) / 2048 {
			if p := x.b[i*2048:]; tagOf(p) == udfLogicalVolume {
				change(p)
				x.seal(i, i)
			}
		}
		o, err := UDF.Open(unpacktest.Input(x.b))
		if err != nil || o.Err == nil || len(o.Entries) != 0 {
			t.Errorf("%v %v", err, o)
		}
	}
}

func TestUDFDamage(t *testing.T) {
	x := mkudffs(t, 512, "--media-type=hd")
	x.fill()
	// Content has no checksum; file entries, names and descriptors have.
	unpacktest.Damage(t, UDF, x.b, unpacktest.Damaged{From: x.start * 512, To: (x.root + 65) * 512})
}

func TestUDFCorpus(t *testing.T) {
	img := testtool.Run(t, "", "xz", "-dkc", unpacktest.Corpus(t, "formats/udf.img.xz"))
	o := unpacktest.OpenBytes(t, UDF, img)
	s := unpacktest.SummaryOfObject(t, o)
	if len(s) != 6 || len(unpacktestErrors(o)) > 0 || o.Size != int64(len(img)) {
		t.Errorf("%v, size %d of %d", s, o.Size, len(img))
	}
}

func FuzzUDF(f *testing.F) {
	x := mkudffs(f, 512, "--media-type=hd")
	x.fill()
	v := mkudffs(f, 2048, "--media-type=dvdr", "--vat")
	v.fill()
	unpacktest.FuzzPatched(f, UDF, nil, x.b[:1<<20], v.b)
}
