package linuxfs

import (
	"fmt"
	"hash/crc32"
	"math/bits"
	"strconv"

	"github.com/doorward/doorward/internal/unpack"
)

// XFS opens XFS. Layout: "XFS Algorithms & Data Structures", 3rd edition, and
// the kernel's fs/xfs/libxfs/xfs_format.h and xfs_da_format.h.
var XFS = &unpack.Reader{
	Name:    "xfs",
	Doc:     "XFS file systems of versions 4 and 5 (all forms of folders, extents and attributes, big timestamps, reflinks, sparse inodes; checksums of version 5)",
	Limits:  "The log is not replayed (a gap says so if it holds changes), files on a realtime device are only named, and folders of version 1 are not read.",
	Checked: "mkfs.xfs 6.1 with 14 option sets, attributes made by xfs_db, trees of extents made by hand, random trees, an image written by a kernel",
	Magics:  []unpack.Magic{{At: 0, Bytes: "XFSB"}},
	Carve:   true,
	Open:    openXFS,
}

// Feature bits of the superblock.
const (
	xfsVersionDirV2  = 0x2000
	xfsVersionMore   = 0x8000
	xfsMoreFtype     = 0x200
	xfsIncompatFtype = 0x1
	xfsIncompatUUID  = 0x4
	xfsIncompatKnown = 0xff
	xfsNeedsRepair   = 0x10
)

// xfs is an open file system.
type xfs struct {
	data       unpack.Bytes
	super      []byte
	copyAt     int64 // of the superblock, if it is a copy
	v5         bool
	ftype      bool
	blockSize  int64
	blockLog   uint
	dirSize    int64
	sectorSize int64
	inodeSize  int64
	inodeLog   uint // inodes of a block
	agLog      uint
	agBlocks   int64
	agCount    int64
	blocks     int64
	end        int64  // bytes that are there
	uuid       string // of metadata
	cache      *unpack.BlockCache

	xattrBytes int
	dirBlocks  int64
}

func openXFS(in *unpack.Input) (*unpack.Object, error) {
	x := &xfs{data: in.Data, cache: unpack.NewBlockCache(8 << 20)}
	if !x.findSuper(in) {
		return nil, unpack.ErrNotThis
	}
	size := x.blocks * x.blockSize
	x.end = min(size, in.Data.Size())
	if !x.firstGroup() {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: fmt.Sprintf("xfs v%d", x.u16(100)&15), System: true, Size: x.end, Info: x.info()}
	g := unpack.NewGatherer(in)
	if size > x.end {
		g.Damage(&unpack.CutOff{Format: "xfs", Missing: size - x.end, Of: size})
	}
	x.notes(o)
	if x.u16(100)&xfsVersionDirV2 == 0 && !x.v5 {
		o.Gaps = append(o.Gaps, unpack.Gap{Size: x.end, Reason: "unsupported", Note: "folders of version 1"})
		return o, nil
	}
	walk("xfs", "", x.u64(56), func(n uint64) (inode, error) { return x.inode(n) }, g)
	g.Finish(o)
	return o, nil
}

func (x *xfs) u16(at int) uint16 { return be.Uint16(x.super[at:]) }
func (x *xfs) u32(at int) uint32 { return be.Uint32(x.super[at:]) }
func (x *xfs) u64(at int) uint64 { return be.Uint64(x.super[at:]) }

// findSuper takes the superblock, or a copy of a damaged one: every group
// starts with one.
func (x *xfs) findSuper(in *unpack.Input) bool {
	if x.parse(0) {
		return true
	}
	if !in.Whole {
		return false
	}
	const tries = 1000
	at := int64(0)
	for range tries {
		if at = in.Next("XFSB", at+1); at < 0 || in.Context.Err() != nil {
			return false
		}
		if at%512 == 0 && x.parse(at) && at%(x.agBlocks*x.blockSize) == 0 && at/(x.agBlocks*x.blockSize) < x.agCount {
			x.copyAt = at
			return true
		}
	}
	return false
}

// parse takes the geometry from a superblock and checks that it is one.
func (x *xfs) parse(at int64) bool {
	sb, err := unpack.ReadFull(x.data, at, 512)
	if err != nil || string(sb[:4]) != "XFSB" {
		return false
	}
	x.super = sb
	x.v5 = x.u16(100)&15 == 5
	x.blockSize, x.blockLog, x.sectorSize = int64(x.u32(4)), uint(sb[120]), int64(x.u16(102))
	x.inodeSize, x.inodeLog, x.agLog = int64(x.u16(104)), uint(sb[123]), uint(sb[124])
	x.agBlocks, x.agCount, x.blocks = int64(x.u32(84)), int64(x.u32(88)), int64(x.u64(8))
	if !x.plausible(sb) {
		return false
	}
	x.dirSize = x.blockSize << sb[192]
	x.ftype = x.v5 && x.u32(216)&xfsIncompatFtype != 0 || !x.v5 && x.u16(100)&xfsVersionMore != 0 && x.u32(200)&xfsMoreFtype != 0
	x.uuid = string(sb[32:48])
	if x.v5 && x.u32(216)&xfsIncompatUUID != 0 {
		x.uuid = string(sb[248:264])
	}
	if x.v5 {
		sector, err := unpack.ReadFull(x.data, at, x.sectorSize)
		return err == nil && xfsChecked(sector, 224)
	}
	return true
}

func (x *xfs) plausible(sb []byte) bool {
	version := x.u16(100) & 15
	return (version == 4 || version == 5) && x.blockLog >= 9 && x.blockLog <= 16 && x.blockSize == 1<<x.blockLog &&
		sb[121] >= 9 && sb[121] <= 15 && x.sectorSize == 1<<sb[121] && sb[122] >= 8 && sb[122] <= 11 && x.inodeSize == 1<<sb[122] &&
		x.inodeSize<<x.inodeLog == x.blockSize && int64(x.u16(106)) == 1<<x.inodeLog && x.agBlocks > 0 && x.agCount > 0 &&
		x.agLog == uint(bits.Len64(uint64(x.agBlocks-1))) && x.blocks > 0 && x.blocks < 1<<50 &&
		(x.blocks+x.agBlocks-1)/x.agBlocks == x.agCount && sb[192] <= 16-sb[120]
}

// xfsChecked compares a piece with its CRC-32C, whose own field counts as zero
// and is little-endian.
func xfsChecked(p []byte, at int) bool {
	sum := crc32.Update(0, castagnoli, p[:at])
	sum = crc32.Update(sum, castagnoli, []byte{0, 0, 0, 0})
	return crc32.Update(sum, castagnoli, p[at+4:]) == le.Uint32(p[at:])
}

// firstGroup says that the headers behind the superblock are those of the first
// group: copies of the superblock are no file systems.
func (x *xfs) firstGroup() bool {
	for i, magic := range []string{"XAGF", "XAGI"} {
		p, err := unpack.ReadFull(x.data, int64(i+1)*x.sectorSize, 12)
		if err == nil && string(p[:4]) == magic && be.Uint32(p[8:]) == 0 {
			return true
		}
	}
	return false
}

func (x *xfs) info() map[string]string {
	info := map[string]string{
		"block size": strconv.FormatInt(x.blockSize, 10),
		"uuid":       uuidString(x.super[32:48]),
		"inodes":     strconv.FormatUint(x.u64(128), 10),
	}
	if label := unpack.CString(x.super[108:120]); label != "" {
		info["label"] = label
	}
	if x.copyAt > 0 {
		info["superblock"] = fmt.Sprintf("the copy at 0x%x, since the first is damaged", x.copyAt)
	}
	return info
}

// notes says what this reader leaves out.
func (x *xfs) notes(o *unpack.Object) {
	gap := func(note string) {
		o.Gaps = append(o.Gaps, unpack.Gap{Reason: "unsupported", Note: note})
	}
	switch clean, err := x.logClean(); {
	case err != nil:
		o.Info["log"] = err.Error()
	case !clean:
		o.Info["log"] = "needs recovery"
		gap("the log holds changes that were never written to their place; they are not applied")
	}
	if x.v5 {
		if more := x.u32(216) &^ xfsIncompatKnown; more != 0 {
			gap(fmt.Sprintf("unknown features 0x%x", more))
		}
		if x.u32(216)&xfsNeedsRepair != 0 {
			o.Info["state"] = "needs repair"
		}
	}
}

// fsBlock turns the number of a block, whose upper bits are the group, into
// one on the disk.
func (x *xfs) fsBlock(n uint64) (int64, error) {
	group, in := int64(n>>x.agLog), int64(n&(1<<x.agLog-1))
	if group < 0 || group >= x.agCount || in >= x.agBlocks || group*x.agBlocks+in >= x.blocks {
		return 0, fmt.Errorf("block 0x%x is outside of the file system", n)
	}
	return group*x.agBlocks + in, nil
}

// block reads n blocks, by the number on the disk.
func (x *xfs) block(at, n int64) ([]byte, error) {
	if at < 0 || n > x.blocks-at || (at+n)*x.blockSize > x.end {
		return nil, fmt.Errorf("block %d is outside of the file system", at)
	}
	return unpack.ReadFull(x.data, at*x.blockSize, n*x.blockSize)
}

// cached reads one block through the cache.
func (x *xfs) cached(at int64) ([]byte, error) {
	b, err := x.cache.Get(at, func(at int64) ([]byte, int64, error) {
		p, err := x.block(at, 1)
		return p, 0, err
	}, nil)
	return b.Data, err
}
