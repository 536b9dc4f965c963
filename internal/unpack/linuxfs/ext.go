package linuxfs

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// Ext opens ext2, ext3 and ext4. Layout: the kernel's
// Documentation/filesystems/ext4/.
var Ext = &unpack.Reader{
	Name:    "ext",
	Limits:  "Fast commits in the journal are not applied, which is reported; a journal on a device of its own is not read.",
	Checked: "mke2fs with 24 feature sets; random trees; journals of debugfs replayed as by e2fsck",
	Doc:     "ext2, ext3 and ext4 file systems (extents, inline data, htree folders, 64bit, bigalloc, metadata checksums), with the journal replayed, and by a copy of the superblock if the first is damaged",
	Magics:  extMagics(),
	Carve:   true,
	Open:    openExt,
}

// extMagics is the magic of two bytes with the states and the behaviours on
// errors that may follow it, to be long enough to search for.
func extMagics() (list []unpack.Magic) {
	for state := range 8 {
		for errors := range 4 {
			list = append(list, unpack.Magic{At: 0x438, Bytes: "\x53\xef" + string([]byte{byte(state), 0, byte(errors), 0})})
		}
	}
	// The copy of the superblock in the second group, which counts the groups.
	for _, c := range extCopies[:3] {
		list = append(list, unpack.Magic{At: c.at() + 0x38, Bytes: "\x53\xef\x01\x00\x01\x00"})
	}
	return list
}

const extSuperAt = 1024

// extCopy is a place where a copy of the superblock stands, with groups of the
// usual size.
type extCopy struct{ block, group int64 }

var extCopies = []extCopy{{1024, 1}, {2048, 1}, {4096, 1}, {1024, 3}, {2048, 3}, {4096, 3}}

func (c extCopy) at() int64 {
	at := c.group * 8 * c.block * c.block
	if c.block == 1024 {
		at += c.block
	}
	return at
}

// Feature bits of the superblock.
const (
	extCompatJournal = 0x4
	extCompatSparse2 = 0x200

	extIncompatRecover  = 0x4
	extIncompatJournal  = 0x8 // the device is a journal only
	extIncompatMetaBG   = 0x10
	extIncompatExtents  = 0x40
	extIncompat64bit    = 0x80
	extIncompatCsumSeed = 0x2000
	extIncompatKnown    = 0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000

	extROSparse = 0x1
	extROCsum   = 0x400
)

// ext is an open file system.
type ext struct {
	data      unpack.Bytes
	end       int64 // of what is there
	blockSize int64
	blocks    int64
	first     int64 // block of the superblock
	inodes    uint32
	perGroup  int64 // blocks of a group
	inodesPer uint32
	groups    int64
	inodeSize int64
	descSize  int64
	metaBG    int64 // first group of blocks with descriptors in place; all groups if there are none
	backups   [2]uint32
	compat    uint32
	incompat  uint32
	ro        uint32
	seed      uint32 // of checksums
	super     []byte
	group     int64 // where the superblock and the descriptors are read

	xattrBytes int   // of all values decoded so far
	dirBlocks  int64 // blocks of folders read so far
}

func openExt(in *unpack.Input) (*unpack.Object, error) {
	x, bad := findExt(in)
	if x == nil {
		return nil, unpack.ErrNotThis
	}
	size := x.blocks * x.blockSize
	x.end = min(size, in.Data.Size())
	g := unpack.NewGatherer(in)
	if size > x.end {
		g.Damage(&unpack.CutOff{Format: "ext", Missing: size - x.end, Of: size})
	}
	if bad != nil {
		g.Damage(bad)
	}
	o := &unpack.Object{Format: x.version(), System: true, Size: x.end, Info: x.info()}
	if x.incompat&extIncompatJournal != 0 {
		o.Gaps = append(o.Gaps, unpack.Gap{Offset: 0, Size: x.end, Reason: "unsupported", Note: "a journal without its file system"})
		return o, nil
	}
	if x.incompat&extIncompatRecover != 0 || x.group != 0 {
		x.recover(o, g)
	}
	if more := x.incompat &^ extIncompatKnown; more != 0 {
		o.Gaps = append(o.Gaps, unpack.Gap{Offset: 0, Size: 0, Reason: "unsupported", Note: fmt.Sprintf("unknown features 0x%x", more)})
	}
	x.walk(g)
	g.Finish(o)
	if len(o.Entries) == 0 {
		o.Gaps = append(o.Gaps, unpack.Gap{Offset: 0, Size: x.end, Reason: "damaged", Note: "no file of the file system can be read"})
	}
	return o, nil
}

// findExt reads the superblock, or a copy of it if it is damaged; nil if there
// is none. The error says what is wrong with it.
func findExt(in *unpack.Input) (*ext, error) {
	first, bad := extAt(in, extSuperAt, 0)
	if (first != nil && bad == nil) || !in.Whole {
		return first, bad
	}
	for _, c := range extCopies {
		x, wrong := extAt(in, c.at(), c.group)
		if x != nil && wrong == nil && x.blockSize == c.block && x.perGroup == 8*c.block {
			return x, fmt.Errorf("ext: the superblock is damaged; its copy in group %d is read", c.group)
		}
	}
	return first, bad
}

// extAt reads a superblock; nil if it is none.
func extAt(in *unpack.Input, at, group int64) (*ext, error) {
	sb, err := unpack.ReadFull(in.Data, at, 1024)
	if err != nil || int64(binary.LittleEndian.Uint16(sb[0x5a:])) != group {
		return nil, nil
	}
	x := &ext{data: in.Data, super: sb, group: group}
	if !x.parse(sb) {
		return nil, nil
	}
	if x.ro&extROCsum != 0 && x.crc(^uint32(0), sb[:0x3fc]) != binary.LittleEndian.Uint32(sb[0x3fc:]) {
		return x, fmt.Errorf("ext: the superblock's checksum is wrong")
	}
	return x, nil
}

// parse takes the geometry from the superblock and checks that it is one.
func (x *ext) parse(sb []byte) bool {
	u16 := func(at int) uint16 { return binary.LittleEndian.Uint16(sb[at:]) }
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(sb[at:]) }
	if u16(0x38) != 0xef53 || u32(0x18) > 6 || u32(0x4c) > 1 {
		return false
	}
	x.blockSize = 1024 << u32(0x18)
	x.inodes, x.blocks, x.first = u32(0), int64(u32(4)), int64(u32(0x14))
	x.perGroup, x.inodesPer, x.inodeSize, x.descSize = int64(u32(0x20)), u32(0x28), 128, 32
	if u32(0x4c) == 1 {
		x.inodeSize = int64(u16(0x58))
		x.compat, x.incompat, x.ro = u32(0x5c), u32(0x60), u32(0x64)
	}
	if x.incompat&extIncompat64bit != 0 {
		x.blocks |= int64(u32(0x150)) << 32
		x.descSize = int64(u16(0xfe))
	}
	if x.incompat&(extIncompatJournal) == 0 && !x.plausible(u32(0x18), u32(0x1c)) {
		return false
	}
	x.groups = (x.blocks - x.first + x.perGroup - 1) / max(x.perGroup, 1)
	if x.incompat&extIncompatJournal == 0 && x.groups*int64(x.inodesPer) != int64(x.inodes) {
		return false
	}
	x.metaBG = 1 << 62
	if x.incompat&extIncompatMetaBG != 0 {
		x.metaBG = int64(u32(0x104))
	}
	x.backups = [2]uint32{u32(0x24c), u32(0x250)}
	x.seed = x.crc(^uint32(0), sb[0x68:0x78])
	if x.incompat&extIncompatCsumSeed != 0 {
		x.seed = u32(0x270)
	}
	return x.blocks > 0 && x.blocks < 1<<46
}

func (x *ext) plausible(blockLog, clusterLog uint32) bool {
	pow2 := func(n int64) bool { return n > 0 && bits.OnesCount64(uint64(n)) == 1 }
	wantFirst := x.first == 0 || (x.first == 1 && x.blockSize == 1024)
	// Groups are as large as a block of bits can map, in clusters.
	maxGroup := 8 * x.blockSize
	if clusterLog > blockLog && clusterLog < 20 {
		maxGroup <<= clusterLog - blockLog
	}
	return wantFirst && x.perGroup > 0 && x.perGroup <= maxGroup && x.inodesPer > 0 && int64(x.inodesPer) <= 8*x.blockSize &&
		x.inodeSize >= 128 && x.inodeSize <= x.blockSize && pow2(x.inodeSize) &&
		x.descSize >= 32 && x.descSize <= x.blockSize && pow2(x.descSize) && x.blocks > x.first
}

func (x *ext) version() string {
	switch {
	case x.incompat&^0x16 != 0 || x.ro&^7 != 0:
		return "ext4"
	case x.compat&extCompatJournal != 0:
		return "ext3"
	}
	return "ext2"
}

func (x *ext) info() map[string]string {
	text := func(at, n int) string { s, _, _ := strings.Cut(string(x.super[at:at+n]), "\x00"); return s }
	info := map[string]string{
		"block size": strconv.FormatInt(x.blockSize, 10),
		"inodes":     strconv.FormatUint(uint64(x.inodes), 10),
		"uuid":       fmt.Sprintf("%x-%x-%x-%x-%x", x.super[0x68:0x6c], x.super[0x6c:0x6e], x.super[0x6e:0x70], x.super[0x70:0x72], x.super[0x72:0x78]),
	}
	if made := binary.LittleEndian.Uint32(x.super[0x108:]); made != 0 {
		info["made"] = time.Unix(int64(made), 0).UTC().Format(time.RFC3339)
	}
	if label := text(0x78, 16); label != "" {
		info["label"] = label
	}
	if mounted := text(0x88, 64); mounted != "" {
		info["mounted on"] = mounted
	}
	return info
}

// crc continues a CRC-32C as the kernel does: without the inversions.
func (x *ext) crc(sum uint32, p []byte) uint32 { return ^crc32.Update(^sum, castagnoli, p) }

// readBlock returns n blocks from block b on.
func (x *ext) readBlock(b int64) ([]byte, error) {
	if b <= 0 || b >= x.blocks || (b+1)*x.blockSize > x.end {
		return nil, fmt.Errorf("block %d is outside of the file system", b)
	}
	return unpack.ReadFull(x.data, b*x.blockSize, x.blockSize)
}

// hasSuper says that a group starts with a copy of the superblock.
func (x *ext) hasSuper(group int64) bool {
	switch {
	case group == 0:
		return true
	case x.compat&extCompatSparse2 != 0:
		return group == int64(x.backups[0]) || group == int64(x.backups[1])
	case group == 1 || x.ro&extROSparse == 0:
		return true
	}
	for _, base := range []int64{3, 5, 7} {
		n := base
		for n < group {
			n *= base
		}
		if n == group {
			return true
		}
	}
	return false
}

// groupDesc returns the descriptor of a group.
func (x *ext) groupDesc(group int64) ([]byte, error) {
	perBlock := x.blockSize / x.descSize
	nr := group / perBlock
	at := x.first + 1 + nr
	if x.blockSize == 1024 && x.first == 0 {
		at++ // the boot block is before the superblock, as with bigalloc
	}
	if x.group != 0 && nr < x.metaBG {
		at = x.first + x.group*x.perGroup + 1 + nr
	}
	if nr >= x.metaBG {
		holder := nr * perBlock
		at = x.first + holder*x.perGroup
		if x.hasSuper(holder) {
			at++
		}
		if x.blockSize == 1024 && x.first == 0 && nr == 0 {
			at++
		}
	}
	block, err := x.readBlock(at)
	if err != nil {
		return nil, fmt.Errorf("descriptor of group %d: %w", group, err)
	}
	d := block[group%perBlock*x.descSize:][:x.descSize]
	if x.ro&extROCsum != 0 {
		sum := x.crc(x.seed, binary.LittleEndian.AppendUint32(nil, uint32(group)))
		sum = x.crc(sum, d[:0x1e])
		sum = x.crc(sum, []byte{0, 0})
		sum = x.crc(sum, d[0x20:])
		if uint16(sum) != binary.LittleEndian.Uint16(d[0x1e:]) {
			return nil, fmt.Errorf("descriptor of group %d: wrong checksum", group)
		}
	}
	return d, nil
}

type extFolder struct {
	path  string
	inode *extInode
}

// walk lists all folders from the root on, each once.
func (x *ext) walk(g *unpack.Gatherer) {
	root, err := x.inode(2)
	if err == nil && !root.mode.IsDir() {
		err = fmt.Errorf("it is no folder")
	}
	if err != nil {
		g.Damage(fmt.Errorf("ext: root folder: %w", err))
		return
	}
	g.Add(x.entry(".", root, g))
	seen := map[uint32]bool{2: true}
	todo := []extFolder{{"", root}}
	for len(todo) > 0 && !g.Stop() {
		f := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		todo = append(todo, x.folder(f, seen, g)...)
	}
}

// folder adds the entries of a folder and returns the folders in it.
func (x *ext) folder(f extFolder, seen map[uint32]bool, g *unpack.Gatherer) (sub []extFolder) {
	encrypted := f.inode.flags&extFlagEncrypt != 0
	err := x.list(f.inode, func(name string, number uint32) bool {
		if name == "." || name == ".." {
			return !g.Stop()
		}
		if encrypted {
			name = fmt.Sprintf("encrypted-%x", name)
		}
		p, err := unpack.JoinName(f.path, name)
		if err != nil {
			g.Damage(fmt.Errorf("ext: %w", err))
		}
		inode, err := x.inode(number)
		if err != nil {
			err = fmt.Errorf("ext: %q: %w", p, err)
			g.Damage(err)
			return g.Add(unpack.Entry{Path: p, Inode: uint64(number), Err: err})
		}
		if inode.mode.IsDir() {
			if seen[number] {
				g.Damage(fmt.Errorf("ext: folder %q is in the tree already: a loop", p))
				return !g.Stop()
			}
			seen[number] = true
			sub = append(sub, extFolder{p, inode})
		}
		return g.Add(x.entry(p, inode, g))
	})
	if err != nil {
		g.Damage(fmt.Errorf("ext: folder %q: %w", "/"+f.path, err))
	}
	return sub
}

// entry makes an entry of an inode.
func (x *ext) entry(p string, i *extInode, g *unpack.Gatherer) unpack.Entry {
	e := unpack.Entry{Path: p, Mode: i.mode, UID: int(i.uid), GID: int(i.gid), ModTime: i.mtime, Order: i.place()}
	if !i.mode.IsDir() {
		e.Inode = uint64(i.number)
	}
	var err error
	if e.Xattrs, err = i.xattrs(); err != nil {
		g.Damage(fmt.Errorf("ext: extended attributes of %q: %w", p, err))
	}
	switch {
	case i.mode.IsRegular():
		if i.size > 0 {
			e.Data, e.Err = i.open()
		}
	case i.mode&fs.ModeSymlink != 0:
		e.Link, e.Err = i.target()
	case i.mode&fs.ModeDevice != 0:
		e.Major, e.Minor = i.device()
	}
	if i.flags&extFlagEncrypt != 0 && !i.mode.IsDir() {
		e.Link, e.Err = "", fmt.Errorf("ext: %q: %w", p, unpack.ErrEncrypted)
	} else if e.Err != nil {
		g.Damage(fmt.Errorf("ext: %q: %w", p, e.Err))
	}
	return e
}
