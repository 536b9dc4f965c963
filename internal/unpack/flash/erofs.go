package flash

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// EROFS opens the enhanced read-only file system of Android and of containers.
// Layout: the kernel's Documentation/filesystems/erofs.rst and
// fs/erofs/erofs_fs.h.
var EROFS = &unpack.Reader{
	Name: "erofs",
	Doc: "EROFS file systems: plain, inline and chunked files, compressed ones (LZ4, MicroLZMA, deflate, zstd) with full and compact " +
		"indexes, big clusters, packed tails, fragments, deduplication, extended attributes.",
	Limits: "Data on other devices, 48-bit block numbers and metadata in compressed boxes (Linux 6.15) are reported as unsupported.",
	Checked: "mkfs.erofs 1.5 with 18 option sets and 40 random trees (LZ4); for the other compressors, fragments and deduplication " +
		"images that a packer of the tests makes.",
	Magics: []unpack.Magic{{At: erofsSuperAt, Bytes: "\xe2\xe1\xf5\xe0"}},
	Carve:  true,
	Open:   openEROFS,
}

const (
	erofsSuperAt   = 1024
	erofsSuperSize = 128
	erofsHole      = 0xffffffff
)

// Features of the superblock.
const (
	erofsChecked       = 0x01 // it has a checksum
	erofsPlainPrefixes = 0x10 // long prefixes are not in the packed inode

	erofsZeroPadding = 0x01 // packed data stand at the end of their blocks
	erofsBigPcluster = 0x02
	erofsDevices     = 0x08
	erofsTailPacking = 0x10
	erofsFragments   = 0x20
	erofsPrefixes    = 0x40
	erofsKnown       = 0x7f
)

// erofsSuper is the superblock, all numbers little-endian.
type erofsSuper struct {
	Magic        uint32
	Checksum     uint32
	Compat       uint32
	BlockBits    uint8
	ExtSlots     uint8
	RootNID      uint16
	Inodes       uint64
	BuildTime    uint64
	BuildNsec    uint32
	Blocks       uint32
	MetaBlock    uint32
	XattrBlock   uint32
	UUID         [16]byte
	Label        [16]byte
	Incompat     uint32
	Algorithms   uint16
	ExtraDevices uint16
	DeviceSlot   uint16
	DirBits      uint8
	PrefixCount  uint8
	PrefixStart  uint32
	PackedNID    uint64
	Filter       uint8
	_            [23]byte
}

type erofs struct {
	in       *unpack.Input
	data     unpack.Bytes // up to the file system's end
	super    erofsSuper
	g        *unpack.Gatherer
	prefixes []erofsPrefix
	packed   unpack.Bytes // content of the inode that holds fragments
	blocks   *unpack.BlockCache
	units    int64 // entries of all indexes read so far
	values   int   // bytes of extended attributes so far
}

func openEROFS(in *unpack.Input) (*unpack.Object, error) {
	raw, err := unpack.ReadFull(in.Data, erofsSuperAt, erofsSuperSize)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	e := &erofs{in: in, g: unpack.NewGatherer(in), blocks: unpack.NewBlockCache(16 << 20)}
	binary.Decode(raw, binary.LittleEndian, &e.super)
	s := &e.super
	if s.Magic != 0xe0f5e1e2 || s.BlockBits < 9 || s.BlockBits > 16 || s.DirBits != 0 || s.Blocks == 0 || s.MetaBlock >= s.Blocks || int(s.ExtSlots) > 64 {
		return nil, unpack.ErrNotThis
	}
	size := int64(s.Blocks) << s.BlockBits
	end := min(size, in.Data.Size())
	e.data = unpack.Window(in.Data, 0, end)
	o := &unpack.Object{Format: "erofs", System: true, Size: end, Info: e.info()}
	sum := e.checksum()
	if unknown := s.Incompat &^ erofsKnown; unknown != 0 {
		if sum != nil || s.Compat&erofsChecked == 0 {
			return nil, unpack.ErrNotThis
		}
		o.Err = fmt.Errorf("erofs: features 0x%x are not known: %w", unknown, unpack.ErrUnsupported)
		o.Gaps = append(o.Gaps, unpack.Gap{Size: end, Reason: "unsupported", Note: o.Err.Error()})
		return o, nil
	}
	if size > end {
		e.g.Damage(&unpack.CutOff{Format: "erofs", Missing: size - end, Of: size})
	}
	if sum != nil {
		e.g.Damage(sum)
	}
	root, err := e.inode(uint64(s.RootNID))
	if err == nil && !root.mode.IsDir() {
		err = errors.New("the root is no folder")
	}
	if err != nil {
		if s.Compat&erofsChecked == 0 || sum != nil {
			return nil, unpack.ErrNotThis
		}
		e.g.Damage(fmt.Errorf("erofs: %w", err))
		o.Gaps = append(o.Gaps, unpack.Gap{Size: end, Reason: "damaged", Note: "no file of the erofs can be read"})
	} else {
		e.openPacked()
		e.walk(root)
	}
	e.g.Finish(o)
	return o, nil
}

// checksum compares the superblock with its CRC-32C, which covers the rest of
// its block.
func (e *erofs) checksum() error {
	if e.super.Compat&erofsChecked == 0 {
		return nil
	}
	n := int64(1) << e.super.BlockBits
	if n > erofsSuperAt {
		n -= erofsSuperAt
	}
	raw, err := unpack.ReadFull(e.data, erofsSuperAt, n)
	if err != nil {
		return fmt.Errorf("erofs: superblock: %w", err)
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Checksum(raw[:4], table)
	sum = crc32.Update(sum, table, make([]byte, 4))
	if ^crc32.Update(sum, table, raw[8:]) != e.super.Checksum {
		return errors.New("erofs: the checksum of the superblock is wrong")
	}
	return nil
}

func (e *erofs) info() map[string]string {
	s := &e.super
	info := map[string]string{
		"block size": strconv.Itoa(1 << s.BlockBits),
		"inodes":     strconv.FormatUint(s.Inodes, 10),
		"uuid":       fmt.Sprintf("%x-%x-%x-%x-%x", s.UUID[:4], s.UUID[4:6], s.UUID[6:8], s.UUID[8:10], s.UUID[10:]),
		"made":       time.Unix(int64(s.BuildTime), 0).UTC().Format(time.RFC3339),
	}
	if label := strings.TrimRight(string(s.Label[:]), "\x00"); label != "" {
		info["label"] = label
	}
	return info
}

// openPacked opens the hidden inode whose content are the fragments, and reads
// the long prefixes of attributes' names.
func (e *erofs) openPacked() {
	s := &e.super
	if s.Incompat&erofsFragments != 0 && s.PackedNID != 0 {
		i, err := e.inode(s.PackedNID)
		if err == nil {
			e.packed, err = e.content(i)
		}
		if err != nil {
			e.g.Damage(fmt.Errorf("erofs: fragments: %w", err))
		}
	}
	if s.Incompat&erofsPrefixes != 0 {
		if err := e.readPrefixes(); err != nil {
			e.g.Damage(fmt.Errorf("erofs: prefixes of names: %w", err))
		}
	}
}

type erofsFolder struct {
	path  string
	inode *erofsInode
}

// walk lists all folders. Each is entered once.
func (e *erofs) walk(root *erofsInode) {
	e.g.Add(e.entry(".", root))
	seen := map[uint64]bool{root.nid: true}
	todo := []erofsFolder{{"", root}}
	for len(todo) > 0 && !e.g.Stop() {
		f := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		err := e.list(f.inode, func(name string, nid uint64) bool {
			p, err := unpack.JoinName(f.path, name)
			if err != nil {
				e.g.Damage(fmt.Errorf("erofs: %w", err))
			}
			i, err := e.inode(nid)
			if err != nil {
				err = fmt.Errorf("erofs: inode of %q: %w", p, err)
				e.g.Damage(err)
				return e.g.Add(unpack.Entry{Path: p, Err: err})
			}
			if i.mode.IsDir() {
				if seen[nid] {
					e.g.Damage(fmt.Errorf("erofs: folder %q is in the tree already: a loop", p))
					return !e.g.Stop()
				}
				seen[nid] = true
				todo = append(todo, erofsFolder{p, i})
			}
			return e.g.Add(e.entry(p, i))
		})
		if err != nil {
			e.g.Damage(fmt.Errorf("erofs: folder %q: %w", "/"+f.path, err))
		}
	}
}

func (e *erofs) entry(p string, i *erofsInode) unpack.Entry {
	t := unpack.Entry{Path: p, Mode: i.mode, UID: int(i.uid), GID: int(i.gid), ModTime: time.Unix(i.mtime, 0), Order: i.at}
	var err error
	if t.Xattrs, err = e.xattrs(i); err != nil {
		e.g.Damage(fmt.Errorf("erofs: %q: %w", p, err))
	}
	if !i.mode.IsDir() {
		t.Inode = i.nid + 1
	}
	switch {
	case i.mode.IsRegular():
		if t.Data, t.Err = e.content(i); t.Err != nil {
			t.Err = fmt.Errorf("erofs: %w", t.Err)
			e.g.Damage(fmt.Errorf("%q: %w", p, t.Err))
		}
	case i.isLink():
		if t.Link, err = e.link(i); err != nil {
			t.Err = fmt.Errorf("erofs: target of link: %w", err)
			e.g.Damage(fmt.Errorf("%q: %w", p, t.Err))
		}
	default:
		t.Major, t.Minor = unpack.UnixDevice(i.union)
	}
	return t
}

func (e *erofs) link(i *erofsInode) (string, error) {
	data, err := e.content(i)
	if err != nil {
		return "", err
	}
	if data == nil {
		return "", nil
	}
	b, err := unpack.ReadAll(data, 65536)
	return string(b), err
}

// list calls f with the names of a folder and their inodes' numbers. Its blocks
// begin with records; the names stand behind them.
func (e *erofs) list(dir *erofsInode, f func(name string, nid uint64) bool) error {
	data, err := e.content(dir)
	if err != nil || data == nil {
		return err
	}
	block := int64(1) << e.super.BlockBits
	var damage error
	for at := int64(0); at < data.Size(); at += block {
		b, err := unpack.ReadFull(data, at, min(block, data.Size()-at))
		if err != nil {
			return err
		}
		more, err := listBlock(b, f)
		if err != nil {
			damage = err
		}
		if !more {
			break
		}
	}
	return damage
}

var errEROFSNames = errors.New("the records of names make no sense")

const erofsRecord = 12

func listBlock(b []byte, f func(name string, nid uint64) bool) (more bool, err error) {
	if len(b) < erofsRecord {
		return true, errEROFSNames
	}
	at := int(binary.LittleEndian.Uint16(b[8:]))
	if at < erofsRecord || at%erofsRecord != 0 || at >= len(b) {
		return true, errEROFSNames
	}
	for n := range at / erofsRecord {
		rec := b[n*erofsRecord:]
		from, to := int(binary.LittleEndian.Uint16(rec[8:])), len(b)
		if (n+1)*erofsRecord < at {
			to = int(binary.LittleEndian.Uint16(rec[erofsRecord+8:]))
		}
		if from < at || from >= to || to > len(b) {
			return true, errEROFSNames
		}
		name := string(b[from:to])
		if (n+1)*erofsRecord >= at {
			name, _, _ = strings.Cut(name, "\x00") // the last one is padded
		}
		if name == "." || name == ".." {
			continue
		}
		if !f(name, binary.LittleEndian.Uint64(rec)) {
			return false, nil
		}
	}
	return true, nil
}

// read returns n bytes at a place of the file system.
func (e *erofs) read(at, n int64) ([]byte, error) {
	b, err := unpack.ReadFull(e.data, at, n)
	if err != nil && at >= 0 && at <= int64(e.super.Blocks)<<e.super.BlockBits && e.data.Size() < int64(e.super.Blocks)<<e.super.BlockBits {
		err = fmt.Errorf("it lies behind the end of what is there: %w", io.ErrUnexpectedEOF)
	}
	return b, err
}
