package linuxfs

import (
	"errors"
	"fmt"
	"math/bits"
	"sort"
	"strconv"

	"github.com/doorward/doorward/internal/unpack"
)

// Btrfs opens btrfs. Layout: the on-disk format in the documentation of
// btrfs-progs, and the kernel's include/uapi/linux/btrfs_tree.h.
var Btrfs = &unpack.Reader{
	Name:    "btrfs",
	Doc:     "btrfs file systems with subvolumes and snapshots (all four checksums, for data too; zlib, lzo and zstd; the other copy where one is damaged)",
	Limits:  "File systems on several devices are read as far as one device holds them, without RAID5 and RAID6 parity; the log of synced files is not replayed (a gap says so if there is one); extent-tree-v2, raid-stripe-tree and zoned devices are not read.",
	Checked: "mkfs.btrfs 6.2 with 12 option sets, compressed extents, subvolumes and snapshots made by hand (and read by btrfs restore), random trees, an image written by a kernel",
	Magics:  []unpack.Magic{{At: btrfsSuperAt + 64, Bytes: btrfsMagic}, {At: btrfsMirrorAt + 64, Bytes: btrfsMagic}},
	Carve:   true,
	Open:    openBtrfs,
}

const (
	btrfsMagic    = "_BHRfS_M"
	btrfsSuperAt  = 64 << 10
	btrfsMirrorAt = 64 << 20
	btrfsLastAt   = 256 << 30 // the third superblock
)

// Bits of incompatible features.
const (
	btrfsOtherUUID  = 0x400 // the trees have an identity of their own
	btrfsUnknown    = ^uint64(0x1fff)
	btrfsUnreadable = 0x1000 | 0x2000 | 0x4000
)

// Objects and types of items.
const (
	btrfsInodeItem  = 1
	btrfsXattrItem  = 24
	btrfsDirIndex   = 96
	btrfsExtentData = 108
	btrfsExtentCsum = 128
	btrfsRootItem   = 132
	btrfsRootRef    = 156
	btrfsChunkItem  = 228

	btrfsFSTree     = 5
	btrfsCsumTree   = 7
	btrfsFirst      = 256        // the root folder of every tree
	btrfsCsumObject = ^uint64(9) // -10
)

// btrfs is an open file system.
type btrfs struct {
	data     unpack.Bytes
	super    []byte
	at       int64 // of the superblock
	fsid     string
	device   uint64
	end      int64
	sector   int64
	nodeSize int64
	sumType  int
	chunks   []btrfsChunk
	roots    btrfsRoot
	sums     btrfsRoot
	sumsErr  error
	nodes    *unpack.BlockCache
	extents  *unpack.BlockCache // decoded
	trees    []*btrfsTree       // found so far

	xattrBytes int
}

func openBtrfs(in *unpack.Input) (*unpack.Object, error) {
	b := &btrfs{data: in.Data, nodes: unpack.NewBlockCache(16 << 20), extents: unpack.NewBlockCache(16 << 20)}
	sure := b.findSuper(true)
	if !sure && (!in.Whole || !b.findSuper(false)) {
		return nil, unpack.ErrNotThis
	}
	size := int64(min(b.u64(209), 1<<62))
	b.end = min(size, in.Data.Size())
	o := &unpack.Object{Format: "btrfs", System: true, Size: b.end, Info: b.info()}
	g := unpack.NewGatherer(in)
	if size > b.end {
		g.Damage(&unpack.CutOff{Format: "btrfs", Missing: size - b.end, Of: size})
	}
	if !sure {
		g.Damage(errors.New("btrfs: the superblock's checksum is wrong"))
	}
	if !b.notes(o) {
		return o, nil
	}
	if err := b.findTrees(); err != nil {
		if !sure {
			return nil, unpack.ErrNotThis
		}
		g.Damage(fmt.Errorf("btrfs: %w", err))
	} else {
		b.walk(g)
	}
	g.Finish(o)
	b.split(o)
	return o, nil
}

func (b *btrfs) u32(at int) uint32 { return le.Uint32(b.super[at:]) }
func (b *btrfs) u64(at int) uint64 { return le.Uint64(b.super[at:]) }

// findSuper takes the first superblock that is sound; each says where it
// belongs.
func (b *btrfs) findSuper(checked bool) bool {
	for _, at := range []int64{btrfsSuperAt, btrfsMirrorAt, btrfsLastAt} {
		sb, err := unpack.ReadFull(b.data, at, 4096)
		if err != nil || string(sb[64:72]) != btrfsMagic || le.Uint64(sb[48:]) != uint64(at) {
			continue
		}
		b.super, b.at, b.sumType = sb, at, int(le.Uint16(sb[196:]))
		if checked && (b.sumType >= len(btrfsSums) || !b.checked(sb, sb[32:])) {
			continue
		}
		if b.parse() {
			return true
		}
	}
	return false
}

func (b *btrfs) parse() bool {
	b.sector, b.nodeSize = int64(b.u32(144)), int64(b.u32(148))
	b.device = b.u64(201)
	b.fsid = string(b.super[32:48])
	if b.u64(188)&btrfsOtherUUID != 0 {
		b.fsid = string(b.super[571:587])
	}
	pow2 := func(n int64) bool { return bits.OnesCount64(uint64(n)) == 1 }
	return b.sumType < len(btrfsSums) && b.sector >= 512 && b.sector <= 64<<10 && pow2(b.sector) &&
		b.nodeSize >= b.sector && b.nodeSize <= 64<<10 && pow2(b.nodeSize) && b.u32(160) <= 2048 &&
		b.super[198] < 8 && b.super[199] < 8 && b.u64(209) > btrfsSuperAt && b.u64(136) > 0
}

func (b *btrfs) info() map[string]string {
	info := map[string]string{
		"uuid":      uuidString(b.super[32:48]),
		"node size": strconv.FormatInt(b.nodeSize, 10),
		"checksum":  btrfsSums[b.sumType].name,
	}
	if label := unpack.CString(b.super[299:555]); label != "" {
		info["label"] = label
	}
	if b.at != btrfsSuperAt {
		info["superblock"] = fmt.Sprintf("the copy at 0x%x, since the first is damaged", b.at)
	}
	return info
}

// notes says what this reader leaves out, and if it can read the rest.
func (b *btrfs) notes(o *unpack.Object) bool {
	gap := func(size int64, note string) {
		o.Gaps = append(o.Gaps, unpack.Gap{Size: size, Reason: "unsupported", Note: note})
	}
	features := b.u64(188)
	if features&btrfsUnreadable != 0 {
		gap(b.end, fmt.Sprintf("features 0x%x: a zoned device, extent-tree-v2 or raid-stripe-tree", features&btrfsUnreadable))
		return false
	}
	if features&btrfsUnknown&^0x10000 != 0 {
		gap(0, fmt.Sprintf("unknown features 0x%x", features&btrfsUnknown))
	}
	if n := b.u64(136); n > 1 {
		o.Info["devices"] = strconv.FormatUint(n, 10)
		gap(0, fmt.Sprintf("the file system has %d devices, of which this is one", n))
	}
	if b.u64(96) != 0 {
		o.Info["log"] = "needs recovery"
		gap(0, "files were synced after the last commit; these changes are not applied")
	}
	return true
}

// btrfsChunk maps a stretch of logical addresses.
type btrfsChunk struct {
	start, size, stripe int64
	kind                uint64
	sub                 int64
	stripes             []btrfsStripe
}

type btrfsStripe struct {
	device uint64
	at     int64
}

// Kinds of chunks.
const (
	btrfsRAID0  = 0x8
	btrfsRAID10 = 0x40
	btrfsRAID5  = 0x80
	btrfsRAID6  = 0x100
)

// addChunk reads a chunk item and returns how long it is.
func (b *btrfs) addChunk(start uint64, p []byte) (int, error) {
	errChunk := errors.New("a damaged map of chunks")
	if len(p) < 48 {
		return 0, errChunk
	}
	n := int(le.Uint16(p[44:]))
	c := btrfsChunk{start: int64(start), size: int64(le.Uint64(p)), stripe: int64(le.Uint64(p[16:])), kind: le.Uint64(p[24:]), sub: int64(le.Uint16(p[46:]))}
	if len(p) < 48+32*n || n == 0 || c.start < 0 || c.size <= 0 || c.start > 1<<62-c.size || c.stripe <= 0 || c.stripe > 1<<30 {
		return 0, errChunk
	}
	for k := range n {
		s := p[48+32*k:]
		c.stripes = append(c.stripes, btrfsStripe{le.Uint64(s), int64(le.Uint64(s[8:]))})
	}
	i := sort.Search(len(b.chunks), func(i int) bool { return b.chunks[i].start >= c.start })
	if i < len(b.chunks) && b.chunks[i].start == c.start {
		b.chunks[i] = c
	} else {
		b.chunks = append(b.chunks, btrfsChunk{})
		copy(b.chunks[i+1:], b.chunks[i:])
		b.chunks[i] = c
	}
	return 48 + 32*n, nil
}

var errOtherDevice = errors.New("it lies on another device")

// locate returns every place of this device that holds a logical address, and
// how many bytes follow it there.
func (b *btrfs) locate(logical int64) (places []int64, n int64, err error) {
	i := sort.Search(len(b.chunks), func(i int) bool { return b.chunks[i].start > logical })
	if i == 0 || logical-b.chunks[i-1].start >= b.chunks[i-1].size {
		return nil, 0, fmt.Errorf("logical address 0x%x is in no chunk", logical)
	}
	c := &b.chunks[i-1]
	off := logical - c.start
	nr, in := off/c.stripe, off%c.stripe
	stripes := int64(len(c.stripes))
	first, last, at := int64(0), stripes-1, off
	n = c.size - off
	switch {
	case c.kind&btrfsRAID0 != 0:
		first, last, at = nr%stripes, nr%stripes, nr/stripes*c.stripe+in
	case c.kind&btrfsRAID10 != 0:
		if c.sub <= 0 || stripes%c.sub != 0 {
			return nil, 0, errors.New("a damaged map of chunks")
		}
		groups := stripes / c.sub
		first = nr % groups * c.sub
		last, at = first+c.sub-1, nr/groups*c.stripe+in
	case c.kind&(btrfsRAID5|btrfsRAID6) != 0:
		data := stripes - 1
		if c.kind&btrfsRAID6 != 0 {
			data--
		}
		if data <= 0 {
			return nil, 0, errors.New("a damaged map of chunks")
		}
		row := nr / data
		first = (nr%data + row) % stripes
		last, at = first, row*c.stripe+in
	}
	if c.kind&(btrfsRAID0|btrfsRAID10|btrfsRAID5|btrfsRAID6) != 0 {
		n = min(n, c.stripe-in)
	}
	for _, s := range c.stripes[first : last+1] {
		if s.device == b.device && s.at >= 0 && s.at < b.end && at < b.end-s.at {
			places = append(places, s.at+at)
		}
	}
	if len(places) == 0 {
		return nil, 0, errOtherDevice
	}
	return places, n, nil
}
