package flash

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/doorward/doorward/internal/unpack"
)

// UBIFS opens the file system of UBI volumes (fs/ubifs/ubifs-media.h of Linux):
// an index of all nodes, and a journal of those that are newer, replayed as a
// read-only mount would. Without a whole index all nodes are searched for.
var UBIFS = &unpack.Reader{
	Name:    "ubifs",
	Checked: "mkfs.ubifs with 8 option sets",
	Doc:     "UBIFS with lzo, zlib, zstd: index, journal, extended attributes; what fscrypt encrypted is told",
	Magics:  []unpack.Magic{{At: 0, Bytes: ubifsMagic}},
	Carve:   true,
	Open:    openUBIFS,
}

const (
	ubifsMagic = "\x31\x18\x10\x06"

	ubifsIno   = 0
	ubifsData  = 1
	ubifsDent  = 2
	ubifsXent  = 3
	ubifsTrun  = 4
	ubifsPad   = 5
	ubifsSuper = 6
	ubifsMst   = 7
	ubifsRef   = 8
	ubifsIdx   = 9
	ubifsCS    = 10

	ubifsBlock    = 4096
	ubifsLog      = 3 // first block of the log
	maxUBIFSNodes = 8 << 20
	maxUBIFSNode  = 64 << 10 // bytes of a node
)

// ubifsSuperblock is what the superblock says.
type ubifsSuperblock struct {
	lebSize, lebs, logLEBs int64
	flags                  uint32
	version                uint32
	compression            uint16
	clean                  bool // from the master node: it was unmounted
	cmt                    uint64
	logStart               int64
	root                   ubifsPlace
	logHead                uint64 // sequence number of the last commit's start
}

// ubifsPlace is where a node lies.
type ubifsPlace struct {
	lnum, offs, len uint32
}

// ubifs is a file system while it is opened.
type ubifs struct {
	in    *unpack.Input
	data  unpack.Bytes
	sb    ubifsSuperblock
	files map[uint32]*ubifsFile
	names map[uint32]map[string]ubifsName // by folder
	attrs map[uint32]map[string]ubifsName // extended attributes, by file
	left  int                             // nodes that may still be read
	err   error
}

// ubifsName is an entry of a folder.
type ubifsName struct {
	ino  uint32
	kind byte
}

// ubifsFile is an inode.
type ubifsFile struct {
	have        bool
	size        uint64
	mtime       uint64
	links       uint32
	uid, gid    uint32
	mode, flags uint32
	inline      []byte
	blocks      []ubifsBlockAt
	order       int64
	journalEnd  uint64 // size that data of the journal reach
}

// ubifsBlockAt is where a block of a file lies.
type ubifsBlockAt struct {
	block uint32
	place ubifsPlace
}

func openUBIFS(in *unpack.Input) (*unpack.Object, error) {
	u := &ubifs{in: in, data: in.Data, files: map[uint32]*ubifsFile{}, names: map[uint32]map[string]ubifsName{}, attrs: map[uint32]map[string]ubifsName{}, left: maxUBIFSNodes}
	if !u.superblock() {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Size: min(u.sb.lebSize*u.sb.lebs, in.Data.Size()), System: true, Info: map[string]string{}}
	o.Format = fmt.Sprintf("ubifs %d", u.sb.version)
	o.Info["block"] = fmt.Sprint(u.sb.lebSize)
	o.Info["compression"] = unpack.NameOf([]string{"none", "lzo", "zlib", "zstd"}, byte(u.sb.compression))
	if err := u.load(); err != nil {
		if in.Context.Err() != nil || errors.Is(err, unpack.ErrLimit) {
			return nil, err
		}
		u.err = fmt.Errorf("%w; all nodes were searched instead", err)
		o.Info["read"] = "by searching for nodes"
		u.files, u.names, u.attrs = map[uint32]*ubifsFile{}, map[uint32]map[string]ubifsName{}, map[uint32]map[string]ubifsName{}
		u.replay(u.everything())
	}
	if len(u.files) == 0 && u.err != nil {
		return nil, unpack.ErrNotThis
	}
	if u.sb.flags&0x10 != 0 {
		o.Info["encryption"] = "fscrypt"
	}
	o.Entries = u.entries()
	o.Err = u.err
	return o, nil
}

// load reads index and journal.
func (u *ubifs) load() error {
	if err := u.master(); err != nil {
		return err
	}
	if err := u.index(u.sb.root, -1, map[uint64]bool{}); err != nil {
		return err
	}
	nodes, err := u.journal()
	if err != nil {
		return err
	}
	u.replay(nodes)
	return nil
}

// ubifsNode is a node whose checksum is right.
type ubifsNode struct {
	place    ubifsPlace
	kind     byte
	group    byte
	sequence uint64
	raw      []byte
}

func (n *ubifsNode) u16(at int) uint16 { return binary.LittleEndian.Uint16(n.raw[at:]) }
func (n *ubifsNode) u32(at int) uint32 { return binary.LittleEndian.Uint32(n.raw[at:]) }
func (n *ubifsNode) u64(at int) uint64 { return binary.LittleEndian.Uint64(n.raw[at:]) }

// key returns the inode, the kind and the rest of the key at an offset.
func (n *ubifsNode) key(at int) (ino uint32, kind byte, rest uint32) {
	k := n.u32(at + 4)
	return n.u32(at), byte(k >> 29), k & 0x1fffffff
}

// ubifsLeast is the shortest that a node of a kind can be.
var ubifsLeast = map[byte]int{ubifsIno: 160, ubifsData: 48, ubifsDent: 56, ubifsXent: 56, ubifsTrun: 56, ubifsPad: 28, ubifsSuper: 512, ubifsMst: 512, ubifsRef: 64, ubifsIdx: 28, ubifsCS: 32}

// parseUBIFSNode checks the node at the start of b.
func parseUBIFSNode(b []byte) (n ubifsNode, ok bool) {
	if len(b) < 24 || string(b[:4]) != ubifsMagic {
		return n, false
	}
	size := binary.LittleEndian.Uint32(b[16:])
	if size < 24 || int64(size) > int64(len(b)) || size > maxUBIFSNode {
		return n, false
	}
	n = ubifsNode{kind: b[20], group: b[21], sequence: binary.LittleEndian.Uint64(b[8:]), raw: b[:size]}
	n.place.len = size
	if ubiSum(b[8:size]) != binary.LittleEndian.Uint32(b[4:]) || int(size) < ubifsLeast[n.kind] {
		return n, false
	}
	return n, true
}

// read returns the node at a place, of the kind that it must be.
func (u *ubifs) read(p ubifsPlace, kind byte) (ubifsNode, error) {
	if u.left--; u.left < 0 {
		return ubifsNode{}, fmt.Errorf("%w: more than %d nodes", unpack.ErrLimit, maxUBIFSNodes)
	}
	if int64(p.lnum) >= u.sb.lebs || int64(p.offs)+int64(p.len) > u.sb.lebSize || p.len < 24 || p.len > maxUBIFSNode {
		return ubifsNode{}, fmt.Errorf("no node can be at block %d, 0x%x", p.lnum, p.offs)
	}
	b, err := unpack.ReadFull(u.data, int64(p.lnum)*u.sb.lebSize+int64(p.offs), int64(p.len))
	if err != nil {
		return ubifsNode{}, err
	}
	n, ok := parseUBIFSNode(b)
	if !ok || n.kind != kind {
		return n, fmt.Errorf("the node at block %d, 0x%x is damaged", p.lnum, p.offs)
	}
	n.place = p
	return n, nil
}

// superblock reads the first block.
func (u *ubifs) superblock() bool {
	n, ok := parseUBIFSNode(unpack.ReadSome(u.data, 0, 4096))
	if !ok || n.kind != ubifsSuper {
		return false
	}
	u.sb = ubifsSuperblock{flags: n.u32(28), lebSize: int64(n.u32(36)), lebs: int64(n.u32(40)), logLEBs: int64(n.u32(56)), version: n.u32(80), compression: n.u16(84)}
	return u.sb.lebSize >= 1024 && u.sb.lebSize <= maxPEB && u.sb.lebSize%8 == 0 && u.sb.lebs >= 8 && u.sb.lebs <= maxLEB && u.sb.logLEBs >= 2 && u.sb.logLEBs < u.sb.lebs && n.raw[27] == 0
}

// master reads the last master node, of which two blocks hold copies.
func (u *ubifs) master() error {
	var best *ubifsNode
	for lnum := range int64(2) {
		for n := range u.nodesOf(1+lnum, 0) {
			if n.kind == ubifsMst && (best == nil || n.sequence > best.sequence) {
				best = &n
			}
		}
	}
	if best == nil {
		return errors.New("there is no master node")
	}
	u.sb.cmt, u.sb.clean, u.sb.logStart = best.u64(32), best.u32(40)&1 == 0, int64(best.u32(44))
	u.sb.root = ubifsPlace{best.u32(48), best.u32(52), best.u32(56)}
	if u.sb.logStart < ubifsLog || u.sb.logStart >= ubifsLog+u.sb.logLEBs {
		return fmt.Errorf("the log can't start at block %d", u.sb.logStart)
	}
	return nil
}

// nodesOf yields the nodes of a block from an offset on, up to the first place
// where there is none.
func (u *ubifs) nodesOf(lnum, offs int64) func(yield func(ubifsNode) bool) {
	return func(yield func(ubifsNode) bool) {
		leb := unpack.ReadSome(u.data, lnum*u.sb.lebSize, u.sb.lebSize)
		for offs = (offs + 7) &^ 7; offs+24 <= int64(len(leb)); {
			n, ok := parseUBIFSNode(leb[offs:])
			if u.left--; !ok || u.left < 0 {
				return
			}
			n.place.lnum, n.place.offs = uint32(lnum), uint32(offs)
			if !yield(n) {
				return
			}
			if offs += (int64(len(n.raw)) + 7) &^ 7; n.kind == ubifsPad {
				offs += int64(n.u32(24))
			}
		}
	}
}

// index walks the index from a node down and takes in what the leaves lead to.
func (u *ubifs) index(p ubifsPlace, level int, seen map[uint64]bool) error {
	at := uint64(p.lnum)<<32 | uint64(p.offs)
	if seen[at] {
		return errors.New("the index has a loop")
	}
	seen[at] = true
	n, err := u.read(p, ubifsIdx)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	if len(seen)&0xff == 0 && u.in.Context.Err() != nil {
		return u.in.Context.Err()
	}
	count, depth := int(n.u16(24)), int(n.u16(26))
	if count == 0 || level >= 0 && depth != level || depth > 32 || (len(n.raw)-28)/count < 20 {
		return fmt.Errorf("index: the node at block %d, 0x%x is wrong", p.lnum, p.offs)
	}
	step := (len(n.raw) - 28) / count // with a hash behind the key if the file system is signed
	for i := range count {
		b := 28 + i*step
		child := ubifsPlace{n.u32(b), n.u32(b + 4), n.u32(b + 8)}
		if depth > 0 {
			err = u.index(child, depth-1, seen)
		} else {
			ino, kind, rest := n.key(b + 12)
			err = u.leaf(child, ino, kind, rest)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// leaf takes in what a leaf of the index leads to. A damaged node costs what it
// holds and no more.
func (u *ubifs) leaf(p ubifsPlace, ino uint32, kind byte, rest uint32) error {
	if kind == ubifsData {
		u.file(ino).put(rest, p)
		return nil
	}
	n, err := u.read(p, kind)
	if errors.Is(err, unpack.ErrLimit) {
		return err
	}
	if err != nil {
		u.err = errors.Join(u.err, err)
		return nil
	}
	u.apply(&n, false)
	return nil
}

func (u *ubifs) file(ino uint32) *ubifsFile {
	f := u.files[ino]
	if f == nil {
		f = &ubifsFile{}
		u.files[ino] = f
	}
	return f
}

// put says where a block of the file is.
func (f *ubifsFile) put(block uint32, p ubifsPlace) {
	if n := len(f.blocks); n == 0 || f.blocks[n-1].block < block {
		f.blocks = append(f.blocks, ubifsBlockAt{block, p})
		return
	}
	i, found := slices.BinarySearchFunc(f.blocks, block, func(b ubifsBlockAt, v uint32) int { return int(int64(b.block) - int64(v)) })
	if found {
		f.blocks[i].place = p
	} else {
		f.blocks = slices.Insert(f.blocks, i, ubifsBlockAt{block, p})
	}
}
