package volume

import (
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sort"

	"github.com/doorward/doorward/internal/unpack"
)

// DMG opens disk images of Apple (Universal Disk Image Format: the header files
// of libdmg-hfsplus, and what hdiutil writes).
var DMG = &unpack.Reader{
	Name:    "dmg",
	Doc:     "disk images of Apple (UDIF): zlib, bzip2, ADC, LZFSE, LZMA and stored chunks, the table in XML or in a resource fork; the checksums of the packed data, of the table and of each partition are compared",
	Limits:  "Images in several segments, and encrypted ones, are reported as such.",
	Checked: "images made by hand with each kind of chunk, which 7-Zip 26 and dmg2img 1.6 read alike",
	Open:    openDMG,
}

// DMGEncrypted knows the encrypted ones.
var DMGEncrypted = &unpack.Reader{
	Name:    "dmg-encrypted",
	Doc:     "encrypted disk images of Apple, reported as such",
	Checked: "headers made by hand",
	Magics:  []unpack.Magic{{At: 0, Bytes: "encrcdsa\x00\x00\x00\x02"}},
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		o := &unpack.Object{Format: "dmg encrypted", Size: in.Data.Size()}
		o.Gaps = []unpack.Gap{{Size: o.Size, Reason: "encrypted", Note: "an encrypted disk image of Apple"}}
		return o, nil
	},
}

const (
	dmgTrailer  = 512
	dmgMaxTable = 64 << 20
	dmgMaxChunk = 64 << 20 // bytes that a packed chunk may have
	dmgMaxDisk  = 1 << 45
	dmgCRC32    = 2 // kind of a checksum
)

// Kinds of chunks.
const (
	dmgZero    = 0
	dmgStored  = 1
	dmgIgnored = 2 // zeros too, but not in the checksum
	dmgADC     = 0x80000004
	dmgZlib    = 0x80000005
	dmgBzip2   = 0x80000006
	dmgLZFSE   = 0x80000007
	dmgXZ      = 0x80000008
	dmgComment = 0x7ffffffe
	dmgEnd     = 0xffffffff
)

var dmgKinds = map[uint32]string{dmgStored: "stored", dmgADC: "ADC", dmgZlib: "zlib", dmgBzip2: "bzip2", dmgLZFSE: "LZFSE", dmgXZ: "LZMA"}

// dmgChunk is a stretch of the disk.
type dmgChunk struct {
	kind      uint32
	off, size int64 // on the disk
	at, n     int64 // in the image
	part      int   // partition
}

// dmgPart is a stretch with a checksum of its own.
type dmgPart struct {
	name     string
	off, end int64
	sum      uint32
	summed   bool // it has one
}

type dmg struct {
	data   unpack.Bytes
	size   int64
	chunks []dmgChunk
	parts  []dmgPart

	ignored []dmgChunk // zeros that no checksum counts
	cache   *unpack.BlockCache
}

func openDMG(in *unpack.Input) (*unpack.Object, error) {
	end := in.Data.Size() - dmgTrailer
	if !in.Whole || end < 0 {
		return nil, unpack.ErrNotThis
	}
	k, err := unpack.ReadFull(in.Data, end, dmgTrailer)
	if err != nil || string(k[:4]) != "koly" {
		return nil, unpack.ErrNotThis
	}
	be := binary.BigEndian
	u64 := func(i int) int64 { return int64(min(be.Uint64(k[i:]), 1<<62)) }
	if be.Uint32(k[4:]) != 4 || be.Uint32(k[8:]) != dmgTrailer {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "dmg", Size: in.Data.Size(), Info: map[string]string{}}
	if n := be.Uint32(k[60:]); n > 1 {
		o.Gaps = []unpack.Gap{{Size: o.Size, Reason: "unsupported", Note: fmt.Sprintf("segment %d of %d", be.Uint32(k[56:]), n)}}
		return o, nil
	}
	d := &dmg{data: in.Data, cache: unpack.NewBlockCache(32 << 20)}
	fork, forkSize := u64(24), u64(32)
	tables, err := d.tables(u64(216), u64(224), u64(40), u64(48))
	if err == nil {
		err = d.read(o, tables, fork, forkSize, k[352:])
	}
	if err != nil {
		o.Err = fmt.Errorf("dmg: %w", err)
		return o, nil
	}
	o.Parts = []unpack.Part{{Data: d.disk(), Offset: -1}}
	if kind := be.Uint32(k[80:]); kind == dmgCRC32 {
		sum, err := sumWhile(in, fork, forkSize)
		if err == nil && sum != be.Uint32(k[88:]) {
			err = fmt.Errorf("packed data: %w", unpack.ErrChecksum)
		}
		if err != nil {
			o.Err = fmt.Errorf("dmg: %w", err)
		}
	}
	return o, nil
}

// sumWhile is the CRC-32 of a stretch, as long as there is time.
func sumWhile(in *unpack.Input, at, n int64) (sum uint32, err error) {
	const step = 4 << 20
	for ; n > 0 && err == nil; at, n = at+step, n-step {
		if err = in.Context.Err(); err == nil {
			sum, err = unpack.SumCRC32(sum, in.Data, at, min(n, step))
		}
	}
	return sum, err
}

// dmgTable is the table of a partition.
type dmgTable struct {
	name string
	data []byte
}

// tables finds the tables in the property list, or in the resource fork.
func (d *dmg) tables(xmlAt, xmlSize, forkAt, forkSize int64) ([]dmgTable, error) {
	switch {
	case xmlSize > dmgMaxTable || forkSize > dmgMaxTable:
		return nil, errors.New("its table is too large")
	case xmlSize > 0:
		b, err := unpack.ReadFull(d.data, xmlAt, xmlSize)
		if err != nil {
			return nil, fmt.Errorf("its table: %w", err)
		}
		return plistTables(b)
	case forkSize > 0:
		b, err := unpack.ReadFull(d.data, forkAt, forkSize)
		if err != nil {
			return nil, fmt.Errorf("its table: %w", err)
		}
		return forkTables(b)
	}
	return nil, errors.New("it has no table")
}

// read lays the partitions out.
func (d *dmg) read(o *unpack.Object, tables []dmgTable, fork, forkSize int64, master []byte) error {
	be := binary.BigEndian
	sums := crc32.NewIEEE()
	used := map[string]bool{}
	for i, t := range tables {
		b := t.data
		if len(b) < 204 || string(b[:4]) != "mish" || be.Uint32(b[4:]) != 1 {
			return fmt.Errorf("the table of partition %d is damaged", i)
		}
		first, count, base, n := be.Uint64(b[8:]), be.Uint64(b[16:]), be.Uint64(b[24:]), int(be.Uint32(b[200:]))
		if first > dmgMaxDisk/512 || count > dmgMaxDisk/512 || base > 1<<50 || n > (len(b)-204)/40 {
			return fmt.Errorf("the table of partition %d is damaged", i)
		}
		p := dmgPart{name: t.name, off: int64(first) * 512, end: int64(first+count) * 512}
		if be.Uint32(b[64:]) == dmgCRC32 {
			p.sum, p.summed = be.Uint32(b[72:]), true
			sums.Write(b[72:76])
		}
		d.parts = append(d.parts, p)
		if err := d.readChunks(b[204:204+n*40], i, fork, fork+int64(base), forkSize, used); err != nil {
			return fmt.Errorf("partition %d (%s): %w", i, t.name, err)
		}
	}
	if be.Uint32(master) == dmgCRC32 && sums.Sum32() != be.Uint32(master[8:]) {
		return fmt.Errorf("table: %w", unpack.ErrChecksum)
	}
	var kinds []string
	for kind := range used {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	o.Info["chunks"] = fmt.Sprint(kinds)
	return d.check()
}

// readChunks takes the chunks of a partition, which follow each other.
func (d *dmg) readChunks(b []byte, part int, fork, base, forkSize int64, used map[string]bool) error {
	be := binary.BigEndian
	p := d.parts[part]
	at := p.off
	for ; len(b) > 0; b = b[40:] {
		c := dmgChunk{kind: be.Uint32(b), off: at, size: int64(min(be.Uint64(b[16:]), dmgMaxDisk/512)) * 512, part: part}
		if c.kind == dmgComment || c.kind == dmgEnd {
			continue
		}
		if first := be.Uint64(b[8:]); first > dmgMaxDisk || p.off+int64(first)*512 != at || c.size > p.end-at {
			return errors.New("its chunks do not follow each other")
		}
		at += c.size
		switch name, known := dmgKinds[c.kind]; {
		case c.size == 0 || c.kind == dmgZero:
			continue
		case c.kind == dmgIgnored:
			d.ignored = append(d.ignored, c)
			continue
		case !known:
			return fmt.Errorf("%w: chunks of the kind 0x%x", unpack.ErrUnsupported, c.kind)
		default:
			used[name] = true
		}
		c.at, c.n = base+int64(min(be.Uint64(b[24:]), 1<<50)), int64(min(be.Uint64(b[32:]), 1<<50))
		switch {
		case c.at+c.n > fork+forkSize || c.at+c.n > d.data.Size():
			return fmt.Errorf("a chunk at 0x%x of the disk lies outside of the image", c.off)
		case c.kind == dmgStored && c.n < c.size, c.kind != dmgStored && c.size > dmgMaxChunk:
			return fmt.Errorf("a chunk of %d bytes stores %d", c.size, c.n)
		}
		d.chunks = append(d.chunks, c)
	}
	if at != p.end {
		return errors.New("its chunks do not fill it")
	}
	return nil
}

// check sorts everything by place: nothing lies on anything else.
func (d *dmg) check() error {
	sort.SliceStable(d.chunks, func(i, j int) bool { return d.chunks[i].off < d.chunks[j].off })
	sort.SliceStable(d.parts, func(i, j int) bool { return d.parts[i].off < d.parts[j].off })
	for _, p := range d.parts {
		if p.off < d.size {
			return errors.New("two partitions lie at one place")
		}
		d.size = p.end
	}
	if d.size == 0 || d.size > dmgMaxDisk {
		return errors.New("an empty disk")
	}
	byImage := slices.Clone(d.chunks)
	sort.Slice(byImage, func(i, j int) bool { return byImage[i].at < byImage[j].at })
	for i := 1; i < len(byImage); i++ {
		if byImage[i].at < byImage[i-1].at+byImage[i-1].n {
			return errors.New("two chunks lie at one place")
		}
	}
	return nil
}

// disk is what the chunks hold. Each partition is checked against its checksum
// when it is read in one go.
func (d *dmg) disk() unpack.Bytes {
	list := make([]unpack.Extent, len(d.chunks))
	for i, c := range d.chunks {
		list[i] = unpack.Extent{Offset: c.off, Size: c.size, From: int64(i)}
	}
	return newSummed(d, unpack.Mapped(list, d.size, d.readChunk))
}

func (d *dmg) readChunk(e unpack.Extent, p []byte, at int64) (int, error) {
	c := d.chunks[e.From]
	if c.kind == dmgStored {
		return d.data.ReadAt(p, c.at+at)
	}
	b, err := d.cache.Get(e.From, func(i int64) ([]byte, int64, error) {
		out, err := d.unpack(d.chunks[i])
		return out, 0, err
	}, nil)
	if err != nil {
		return 0, fmt.Errorf("dmg: the chunk at 0x%x: %w", c.off, err)
	}
	return unpack.Slice(b.Data).ReadAt(p, at)
}

var errDMGChunk = errors.New("a packed chunk of another size")

func (d *dmg) unpack(c dmgChunk) ([]byte, error) {
	if c.n > 2*c.size+1<<20 {
		return nil, errDMGChunk
	}
	src, err := unpack.ReadFull(d.data, c.at, c.n)
	if err != nil {
		return nil, err
	}
	out := make([]byte, c.size)
	n := 0
	switch c.kind {
	case dmgADC:
		n, err = adc(out, src)
	case dmgZlib:
		n, err = unpack.Decompress("zlib", src, out)
	case dmgLZFSE:
		n, err = lzfse(out, src)
	case dmgXZ:
		n, err = unpack.Decompress("xz", src, out)
	case dmgBzip2:
		if n, err = io.ReadFull(bzip2.NewReader(bytes.NewReader(src)), out); err == io.ErrUnexpectedEOF {
			err = errDMGChunk
		}
	}
	if err == nil && n != len(out) {
		err = errDMGChunk
	}
	return out, err
}

// adc unpacks Apple Data Compression: runs of bytes, and copies of 3 to 18 bytes
// from up to 1 KiB before or of 4 to 67 from up to 64 KiB before.
func adc(dst, src []byte) (n int, err error) {
	for len(src) > 0 && n < len(dst) {
		c := int(src[0])
		size, back, used := (c>>2)&15+3, 0, 2
		switch {
		case c&0x80 != 0:
			size = c&0x7f + 1
			if len(src) < 1+size || n+size > len(dst) {
				return n, errDMGChunk
			}
			n += copy(dst[n:], src[1:1+size])
			src = src[1+size:]
			continue
		case c&0x40 != 0:
			size, used = c&0x3f+4, 3
		}
		if len(src) < used {
			return n, errDMGChunk
		}
		if back = (c&3)<<8 | int(src[1]); used == 3 {
			back = int(src[1])<<8 | int(src[2])
		}
		if back++; back > n || n+size > len(dst) {
			return n, errDMGChunk
		}
		for range size {
			dst[n] = dst[n-back]
			n++
		}
		src = src[used:]
	}
	return n, nil
}
