package linuxfs

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"

	"github.com/doorward/doorward/internal/unpack"
)

// F2FS opens the Flash-Friendly File System. Layout: the kernel's
// Documentation/filesystems/f2fs.rst and include/linux/f2fs_fs.h.
var F2FS = &unpack.Reader{
	Name:    "f2fs",
	Doc:     "f2fs file systems (inline data and folders, extra attributes, compressed clusters of lzo, lzo-rle, lz4 and zstd)",
	Limits:  "Files that were synced after the last checkpoint are not rolled forward (a gap says so if there are any), file systems on several devices are not joined, and encrypted files are only named.",
	Checked: "mkfs.f2fs and sload.f2fs 1.15 with 11 option sets, random trees, clusters packed by hand, an image written by a kernel",
	Magics:  []unpack.Magic{{At: f2fsSuperAt, Bytes: f2fsMagic}, {At: f2fsSuperAt + f2fsSuperStep, Bytes: f2fsMagic}},
	Carve:   true,
	Open:    openF2FS,
}

const (
	f2fsMagic     = "\x10\x20\xf5\xf2"
	f2fsSuperAt   = 1024
	f2fsSuperStep = 4096 // to the copy
	f2fsSuperSize = 3072
)

// Feature bits of the superblock.
const (
	f2fsEncrypt     = 0x1
	f2fsExtraAttr   = 0x8
	f2fsInodeSum    = 0x20
	f2fsFlexXattr   = 0x40
	f2fsSuperSum    = 0x800
	f2fsCompression = 0x2000
	f2fsKnown       = 0xffff
)

// f2fs is an open file system.
type f2fs struct {
	data      unpack.Bytes
	super     []byte
	at        int64 // of the superblock that is used
	blockSize int64
	segBlocks int64 // blocks of a segment
	blocks    int64 // of the whole
	main      int64 // first block of the main area
	end       int64 // bytes that are there
	features  uint32
	seed      uint32 // of the checksums of inodes
	cp        *f2fsCheckpoint
	journal   map[uint32]f2fsNat
	cache     *unpack.BlockCache // of node and table blocks
	clusters  *unpack.BlockCache // of decoded clusters

	xattrBytes int
	dirBlocks  int64
}

func openF2FS(in *unpack.Input) (*unpack.Object, error) {
	f := &f2fs{data: in.Data, cache: unpack.NewBlockCache(8 << 20), clusters: unpack.NewBlockCache(8 << 20)}
	if !f.findSuper() {
		return nil, unpack.ErrNotThis
	}
	size := f.blocks * f.blockSize
	f.end = min(size, in.Data.Size())
	cpErr := f.findCheckpoint()
	if cpErr != nil && (!in.Whole || f.at != f2fsSuperAt) {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "f2fs", System: true, Size: f.end, Info: f.info()}
	if cpErr != nil {
		o.Err = fmt.Errorf("f2fs: %w", cpErr)
		o.Gaps = append(o.Gaps, unpack.Gap{Size: f.end, Reason: "damaged", Note: o.Err.Error()})
		return o, nil
	}
	g := unpack.NewGatherer(in)
	if size > f.end {
		g.Damage(&unpack.CutOff{Format: "f2fs", Missing: size - f.end, Of: size})
	}
	if err := f.readJournal(); err != nil {
		g.Damage(fmt.Errorf("f2fs: the journal of the node table: %w", err))
	}
	f.notes(o)
	walk("f2fs", "", uint64(le.Uint32(f.super[96:])), func(n uint64) (inode, error) { return f.inode(uint32(n)) }, g)
	g.Finish(o)
	return o, nil
}

// findSuper takes the first of the two superblocks that is sound.
func (f *f2fs) findSuper() bool {
	for _, at := range []int64{f2fsSuperAt, f2fsSuperAt + f2fsSuperStep} {
		sb, err := unpack.ReadFull(f.data, at, f2fsSuperSize)
		if err == nil && string(sb[:4]) == f2fsMagic && f.parse(sb) {
			f.super, f.at = sb, at
			return true
		}
	}
	return false
}

// parse takes the geometry. The areas follow each other without a gap, which
// no accident imitates.
func (f *f2fs) parse(sb []byte) bool {
	u32 := func(at int) int64 { return int64(le.Uint32(sb[at:])) }
	f.features = le.Uint32(sb[2180:])
	if f.features&f2fsSuperSum != 0 {
		if at := u32(32); at != 3068 || f2fsCRC(f2fsCRCSeed, sb[:at]) != le.Uint32(sb[at:]) {
			return false
		}
	}
	blockLog, segLog := u32(16), u32(20)
	if blockLog < 12 || blockLog > 16 || segLog < 9 || segLog > 14 || u32(8)+u32(12) != blockLog {
		return false
	}
	f.blockSize, f.segBlocks = 1<<blockLog, 1<<segLog
	f.blocks, f.main = int64(le.Uint64(sb[36:])), u32(92)
	at := u32(72)
	for _, area := range [][2]int{{76, 52}, {80, 56}, {84, 60}, {88, 64}, {92, 68}} {
		if u32(area[0]) != at {
			return false
		}
		at += u32(area[1]) << segLog
	}
	if at > f.blocks || f.blocks > 1<<34 || u32(52) < 2 || u32(60) < 2 || u32(48) > f.blocks>>segLog {
		return false
	}
	f.seed = f2fsCRC(^uint32(0), sb[108:124])
	return u32(96) != 0 && u32(68) > 0
}

func (f *f2fs) info() map[string]string {
	var units []uint16
	for at := 124; at < 1148 && le.Uint16(f.super[at:]) != 0; at += 2 {
		units = append(units, le.Uint16(f.super[at:]))
	}
	info := map[string]string{"uuid": uuidString(f.super[108:124]), "version": fmt.Sprintf("%d.%d", le.Uint16(f.super[4:]), le.Uint16(f.super[6:]))}
	if len(units) > 0 {
		info["label"] = string(utf16.Decode(units))
	}
	if kernel := unpack.CString(f.super[1668:1924]); kernel != "" {
		info["written by"] = kernel
	}
	if f.at != f2fsSuperAt {
		info["superblock"] = "the copy, since the first is damaged"
	}
	if f.cp != nil {
		info["inodes"] = strconv.FormatUint(uint64(f.cp.u32(148)), 10)
	}
	return info
}

// notes says what this reader leaves out.
func (f *f2fs) notes(o *unpack.Object) {
	gap := func(reason, note string) { o.Gaps = append(o.Gaps, unpack.Gap{Reason: reason, Note: note}) }
	if name := unpack.CString(f.super[2201:2265]); name != "" && f.super[2201+68] != 0 {
		gap("unsupported", "the file system continues on other devices")
	}
	if f.rollForward() {
		o.Info["checkpoint"] = "needs recovery"
		gap("unsupported", "files were synced after the last checkpoint; these changes are not applied")
	}
	if f.cp.other != nil {
		o.Info["checkpoint"] = "the older one, since the newer is damaged"
	}
	if more := f.features &^ f2fsKnown; more != 0 {
		gap("unsupported", fmt.Sprintf("unknown features 0x%x", more))
	}
}

var errOutside = errors.New("it is outside of the file system")

// block returns a block of the main area or of a table, without a copy in the
// cache.
func (f *f2fs) block(addr int64) ([]byte, error) {
	if addr <= 0 || addr >= f.blocks || (addr+1)*f.blockSize > f.end {
		return nil, fmt.Errorf("block %d: %w", addr, errOutside)
	}
	return unpack.ReadFull(f.data, addr*f.blockSize, f.blockSize)
}

// cached returns a block through the cache.
func (f *f2fs) cached(addr int64) ([]byte, error) {
	b, err := f.cache.Get(addr, func(addr int64) ([]byte, int64, error) {
		p, err := f.block(addr)
		return p, 0, err
	}, nil)
	return b.Data, err
}
