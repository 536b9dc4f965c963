package flash

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// Squashfs opens squashfs of all versions, with every compressor. Layout: the
// kernel's Documentation/filesystems/squashfs.rst and fs/squashfs/squashfs_fs.h.
var Squashfs = &unpack.Reader{
	Name: "squashfs",
	Doc: "squashfs 1 to 4 in both byte orders (gzip, lzma, lzo, xz, lz4, zstd), as mksquashfs makes them, and the variants of " +
		"vendors: other magics, LZMA in versions 2 and 3 with and without headers.",
	Limits: "Compressors that vendors changed beyond the parameters of LZMA are reported as damaged.",
	Checked: "mksquashfs 4.5 with 29 option sets and random trees (version 4); unsquashfs 4.5 reading what our packer for the tests " +
		"makes of random trees (versions 1 to 3, both byte orders); 14 real images, those of AVM among them; other vendor variants only by that packer.",
	Magics: squashMagics(),
	Carve:  true,
	Open:   openSquashfs,
}

// squashMagics are the magics of both byte orders, and those that vendors took
// for their LZMA variants.
func squashMagics() (list []unpack.Magic) {
	for _, m := range []string{"hsqs", "sqsh", "shsq", "qshs", "hsqt", "tqsh", "sqlz", "zlqs"} {
		list = append(list, unpack.Magic{At: 0, Bytes: m})
	}
	return list
}

const (
	squashSuperSize = 96
	squashMetaSize  = 8192     // bytes of a decoded metadata block
	squashCache     = 16 << 20 // decoded fragments and parts of files
	squashMetaCache = 8 << 20
	squashNone      = 0xffffffff
)

// Flags of the superblock.
const (
	squashNoXattrs = 0x200
)

var squashMethods = []string{1: "gzip", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}

// squashSuper is the superblock of version 4; those of older versions are
// turned into it.
type squashSuper struct {
	Magic      uint32
	Inodes     uint32
	ModTime    uint32
	BlockSize  uint32
	Fragments  uint32
	Compressor uint16
	BlockLog   uint16
	Flags      uint16
	IDs        uint16
	Major      uint16
	Minor      uint16
	Root       uint64 // a reference: place of the metadata block << 16 | offset in it
	BytesUsed  uint64
	IDTable    uint64
	XattrTable uint64
	InodeTable uint64
	DirTable   uint64
	FragTable  uint64
	Export     uint64
}

// valid checks what one superblock alone can tell. It is strict, since the
// magic stands in many programs.
func (s *squashSuper) valid() bool {
	if s.Major != 4 || s.Minor != 0 || s.Compressor == 0 || int(s.Compressor) >= len(squashMethods) || s.IDs == 0 || !s.validBlocks() {
		return false
	}
	table := func(at, from uint64) bool { return at >= from && at < s.BytesUsed }
	return s.InodeTable >= squashSuperSize && table(s.DirTable, s.InodeTable+1) && table(s.IDTable, s.DirTable) &&
		(s.Fragments == 0 || table(s.FragTable, s.DirTable)) &&
		(s.XattrTable == ^uint64(0) || table(s.XattrTable, s.DirTable)) &&
		s.Root>>16 < s.DirTable-s.InodeTable && s.Root&0xffff < squashMetaSize
}

// validBlocks checks what all versions have in common.
func (s *squashSuper) validBlocks() bool {
	return s.BlockSize >= 4096 && s.BlockSize <= 1<<20 && bits.OnesCount32(s.BlockSize) == 1 &&
		bits.TrailingZeros32(s.BlockSize) == int(s.BlockLog) && s.Inodes > 0 && s.BytesUsed <= 1<<50
}

// squashfs is an open file system. What depends on the version of the format
// is in parseSquashSuper, inode and list.
type squashfs struct {
	data      unpack.Bytes
	super     squashSuper
	size      int64 // of the superblock
	order     binary.ByteOrder
	lengths   binary.ByteOrder // of metadata blocks
	end       int64            // of what is there: bytes_used, or less if it is cut off
	method    string
	lzma      *squashLZMA // how LZMA blocks are stored, if not as version 4 says
	mixed     bool        // blocks are zlib or LZMA, whatever is smaller
	ids       []uint32
	oldOwners squashOwners
	xattrs    squashXattrs
	frags     []squashFragment
	meta      *unpack.BlockCache // metadata blocks by their place
	blocks    *unpack.BlockCache // fragments by number, blocks of files by ^place
	lists     int64              // block sizes that files hold so far

	files map[uint64]*squashInode // by reference, those that may have several names
}

func openSquashfs(in *unpack.Input) (*unpack.Object, error) {
	s := &squashfs{data: in.Data, blocks: unpack.NewBlockCache(squashCache), files: map[uint64]*squashInode{}}
	if !s.parseSuper(unpack.ReadSome(in.Data, 0, squashSuperMax)) {
		return nil, unpack.ErrNotThis
	}
	s.end = min(int64(s.super.BytesUsed), in.Data.Size())
	s.chooseLengths()
	s.chooseMethod()
	o := &unpack.Object{Format: s.format(), System: true, Size: paddedTo(in.Data, s.end, 4096), Info: s.info()}
	if missing := int64(s.super.BytesUsed) - s.end; missing > 0 {
		o.Err = &unpack.CutOff{Format: "squashfs", Missing: missing, Of: int64(s.super.BytesUsed)}
	}
	g := unpack.NewGatherer(in)
	if err := s.tables(); err != nil {
		g.Damage(err)
	}
	s.walk(g)
	if o.Err != nil {
		g.Only(o.Err) // the reason of all the others
	}
	g.Finish(o)
	if len(o.Entries) == 0 {
		o.Gaps = append(o.Gaps, unpack.Gap{Offset: 0, Size: s.end, Reason: "damaged", Note: "no file of the squashfs can be read"})
	}
	s.files, s.meta, s.xattrs = nil, nil, squashXattrs{} // nobody needs them any more
	return o, nil
}

// format names version, compressor and what is unusual.
func (s *squashfs) format() string {
	format := fmt.Sprintf("squashfs %d.%d %s", s.super.Major, s.super.Minor, s.method)
	if s.order == binary.BigEndian {
		format += " big-endian"
	}
	return format
}

func (s *squashfs) info() map[string]string {
	return map[string]string{
		"block size": strconv.Itoa(int(s.super.BlockSize)),
		"inodes":     strconv.FormatUint(uint64(s.super.Inodes), 10),
		"made":       time.Unix(int64(s.super.ModTime), 0).UTC().Format(time.RFC3339),
	}
}

// paddedTo returns where padding of zeros or 0xff that follows end up to a
// multiple of align stops; end itself if something else follows.
func paddedTo(b unpack.Bytes, end, align int64) int64 {
	to := min((end+align-1)/align*align, b.Size())
	pad := unpack.ReadSome(b, end, to-end)
	if len(pad) == 0 || int64(len(pad)) != to-end || (pad[0] != 0 && pad[0] != 0xff) {
		return end
	}
	for _, c := range pad {
		if c != pad[0] {
			return end
		}
	}
	return to
}

// squashFolder is a folder yet to be listed.
type squashFolder struct {
	path  string
	inode *squashInode
}

// walk lists all folders, from the root on. Each is entered once: a folder
// that is met again makes a loop.
func (s *squashfs) walk(g *unpack.Gatherer) {
	root, err := s.inode(s.super.Root)
	if err != nil {
		g.Damage(fmt.Errorf("squashfs: root folder: %w", err))
		return
	}
	if !root.mode.IsDir() {
		g.Damage(fmt.Errorf("squashfs: the root is no folder"))
		return
	}
	g.Add(s.entry(".", root, g))
	seen := map[uint64]bool{s.super.Root: true}
	todo := []squashFolder{{"", root}}
	for len(todo) > 0 && !g.Stop() {
		f := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		sub := s.folder(f, seen, g)
		for i := len(sub) - 1; i >= 0; i-- {
			todo = append(todo, sub[i])
		}
	}
}

// folder adds the entries of one folder and returns the folders in it.
func (s *squashfs) folder(f squashFolder, seen map[uint64]bool, g *unpack.Gatherer) (sub []squashFolder) {
	err := s.list(f.inode, func(name string, ref uint64) bool {
		p, err := unpack.JoinName(f.path, name)
		if err != nil {
			g.Damage(fmt.Errorf("squashfs: %w", err))
		}
		inode, err := s.inode(ref)
		if err != nil {
			err = fmt.Errorf("squashfs: inode of %q: %w", p, err)
			g.Damage(err)
			return g.Add(unpack.Entry{Path: p, Err: err})
		}
		if inode.mode.IsDir() {
			if seen[ref] {
				g.Damage(fmt.Errorf("squashfs: folder %q is in the tree already: a loop", p))
				return !g.Stop()
			}
			seen[ref] = true
			sub = append(sub, squashFolder{p, inode})
		}
		return g.Add(s.entry(p, inode, g))
	})
	if err != nil {
		g.Damage(fmt.Errorf("squashfs: folder %q: %w", "/"+f.path, err))
	}
	return sub
}

// entry makes an entry of an inode.
func (s *squashfs) entry(p string, i *squashInode, g *unpack.Gatherer) unpack.Entry {
	e := unpack.Entry{Path: p, Mode: i.mode, ModTime: time.Unix(int64(i.mtime), 0), Link: i.link, Major: i.major, Minor: i.minor, Err: i.err}
	var err error
	if e.UID, err = s.id(i.uid); err == nil {
		e.GID, err = s.id(i.gid)
	}
	if err == nil && i.xattr != squashNone {
		e.Xattrs, err = s.xattrsOf(i.xattr)
	}
	if err != nil {
		g.Damage(fmt.Errorf("squashfs: %q: %w", p, err))
	}
	if !i.mode.IsDir() {
		e.Inode = uint64(i.number)
	}
	if i.file != nil {
		e.Order = i.file.order()
		if i.file.size > 0 {
			e.Data = i.file
		}
	}
	return e
}
