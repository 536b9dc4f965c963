package flash

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"

	"github.com/doorward/doorward/internal/unpack"
)

// JFFS2 opens the journalling flash file system, version 2: a log of nodes in
// any order, each with checksums and a version (include/uapi/linux/jffs2.h).
// Nothing in it states its size: it ends where no more node follows, or where
// another such file system begins.
var JFFS2 = &unpack.Reader{
	Name:    "jffs2",
	Limits:  "Summary nodes are not needed: every node is read.",
	Checked: "mkfs.jffs2 with 14 option sets; random trees; rubin by an independent coder",
	Doc:     "jffs2 of both byte orders with zlib, rtime, lzo, lzma, rubin and dynrubin; deleted files where their nodes are left",
	Magics: []unpack.Magic{
		// A clean marker, at any offset; other first nodes at a block's start.
		{At: 0, Bytes: "\x85\x19\x03\x20\x0c\x00\x00\x00"}, {At: 0, Bytes: "\x19\x85\x20\x03\x00\x00\x00\x0c"},
		{At: 0, Bytes: "\x85\x19"}, {At: 0, Bytes: "\x19\x85"},
	},
	Carve: true,
	Block: func(b []byte) bool {
		_, ok := jffs2Order(b)
		return ok
	},
	Open: openJFFS2,
}

const (
	jffs2Magic   = 0x1985
	jffs2Current = 0x2000 // cleared in the type of a node that became obsolete

	jffs2Dirent  = 0xe001
	jffs2Inode   = 0xe002
	jffs2Clean   = 0x2003
	jffs2Padding = 0x2004
	jffs2Summary = 0x2006
	jffs2Xattr   = 0xe008
	jffs2Xref    = 0xe009

	// jffs2Gap is how far behind bytes that are no node the log may go on: a
	// torn write spoils no more than the rest of its erase block.
	jffs2Gap = 256 << 10
	// jffs2Block is the smallest erase block.
	jffs2Block    = 4 << 10
	maxJFFS2Nodes = 4 << 20
)

// jffs2Sum is the checksum of the format: CRC-32 without the inversions.
func jffs2Sum(b []byte) uint32 { return ^crc32.Update(^uint32(0), crc32.IEEETable, b) }

// jffs2Order returns the byte order in which b begins with a node's header.
func jffs2Order(b []byte) (binary.ByteOrder, bool) {
	if len(b) < 12 {
		return nil, false
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b[0] == 0x19 {
		order = binary.BigEndian
	}
	_, _, ok := jffs2Header(b, order)
	return order, ok
}

// jffs2Header reads a node's header: its type, with the bit for obsolete nodes
// set as it was when the checksums were made, and its length.
func jffs2Header(b []byte, order binary.ByteOrder) (kind uint16, length int64, ok bool) {
	if len(b) < 12 || order.Uint16(b) != jffs2Magic {
		return 0, 0, false
	}
	var h [8]byte
	copy(h[:], b)
	kind = order.Uint16(b[2:]) | jffs2Current
	order.PutUint16(h[2:], kind)
	length = int64(order.Uint32(b[4:]))
	return kind, length, length >= 12 && jffs2Sum(h[:]) == order.Uint32(b[8:])
}

func openJFFS2(in *unpack.Input) (*unpack.Object, error) {
	order, ok := jffs2Order(unpack.ReadSome(in.Data, 0, 12))
	if !ok {
		return nil, unpack.ErrNotThis
	}
	log := &jffs2Log{data: in.Data, order: order, files: map[uint32]*jffs2File{}, seen: map[jffs2Key]uint32{}}
	if err := log.scan(in); err != nil {
		return nil, err
	}
	if log.dirents+log.inodes+log.cleanMarkers == 0 {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "jffs2 little endian", Size: log.size(), System: true, Info: map[string]string{"nodes": fmt.Sprint(log.nodes)}, Gaps: append(log.gaps, log.missing()...), Err: log.err}
	if order == binary.BigEndian {
		o.Format = "jffs2 big endian"
	}
	if log.badNodes > 0 {
		o.Info["nodes with a wrong checksum"] = fmt.Sprint(log.badNodes)
	}
	tree := &jffs2Tree{log: log, named: map[uint32]bool{}, xattrs: log.attrs.byFile()}
	o.Entries = tree.build()
	return o, nil
}

// jffs2Log is what a scan of the nodes found.
type jffs2Log struct {
	data  unpack.Bytes
	order binary.ByteOrder
	files map[uint32]*jffs2File // by inode number
	names []jffs2Name
	attrs jffs2Attrs
	heads map[uint32]jffs2Name // the last name of each folder; made when needed
	seen  map[jffs2Key]uint32  // nodes by version, to tell a second file system

	nodes, dirents, inodes, cleanMarkers, badNodes int

	end        int64 // behind the last node
	blockStart int64 // where the erase block of the node before began, as far as is known
	spacing    int64 // distance of clean markers in all: a multiple of the erase block
	lastClean  int64
	lost       int64 // bytes among the nodes that are none
	firstLost  int64
	gaps       []unpack.Gap
	err        error
}

type jffs2Key struct {
	kind    uint16
	ino     uint32
	version uint32
}

// jffs2Name is one entry of a folder; inode 0 says that the name was removed.
type jffs2Name struct {
	parent, ino, version uint32
	kind                 byte
	obsolete             bool
	name                 string
}

// jffs2File is what is known of an inode.
type jffs2File struct {
	latest jffs2Node // of the good ones that are in force
	have   bool
	parts  []jffs2Node
	first  int64 // offset of its first node
}

// jffs2Node is a piece of a file with the metadata of its time.
type jffs2Node struct {
	at                int64 // of the data
	version           uint32
	mode              uint32
	uid, gid          uint16
	size, mtime       uint32
	offset            uint32
	packed, unpacked  uint32
	method            byte
	obsolete, damaged bool
}

// scan reads all nodes.
func (l *jffs2Log) scan(in *unpack.Input) error {
	w := unpack.NewSlider(l.data)
	size := l.data.Size()
	lost := int64(-1) // where bytes that are no nodes began
	for at := int64(0); at+12 <= size; {
		if at&0xfffff == 0 && in.Context.Err() != nil {
			return in.Context.Err()
		}
		b := w.At(at, 12)
		if len(b) < 12 {
			break
		}
		if kind, length, ok := jffs2Header(b, l.order); ok && (length <= size-at || length <= maxJFFS2Piece) {
			if length > size-at {
				// Nothing can be behind it, so the rest counts as this file system's.
				l.gaps = append(l.gaps, unpack.Gap{Offset: at, Size: size - at, Reason: "damaged", Note: fmt.Sprintf("truncated: the node at 0x%x has %d bytes, %d are there", at, length, size-at)})
				l.end = size
				return nil
			}
			if l.nodes++; l.nodes > maxJFFS2Nodes {
				l.err = fmt.Errorf("%w: more than %d nodes", unpack.ErrLimit, maxJFFS2Nodes)
				return nil
			}
			if !l.node(w, at, kind, length) {
				return nil // another file system begins
			}
			l.lose(lost, at)
			at += (length + 3) &^ 3
			l.end, lost = min(at, size), -1
			continue
		}
		if n := w.Erased(at); n >= 4 {
			// Behind a gap a new erase block begins, or the log ends.
			if at += n &^ 3; lost < 0 {
				l.blockStart = at
			}
			continue
		}
		if lost < 0 {
			lost = at
		}
		if at-lost > jffs2Gap {
			break
		}
		at += 4
	}
	if rest := unpack.ReadSome(l.data, l.end, 12); l.end > size-12 && !unpack.IsPadding(rest) {
		l.lose(l.end, size)
		l.end = size
	}
	return nil
}

// lose notes bytes among the nodes that are none; from -1 if there are none.
func (l *jffs2Log) lose(from, to int64) {
	if from < 0 {
		return
	}
	if l.lost == 0 {
		l.firstLost = from
	}
	l.lost += to - from
}

// missing is the gap for nodes that were lost: what they held may be a file's
// newest content, or its name.
func (l *jffs2Log) missing() []unpack.Gap {
	if l.lost == 0 && l.badNodes == 0 {
		return nil
	}
	return []unpack.Gap{{Offset: l.firstLost, Size: l.lost, Reason: "damaged", Note: fmt.Sprintf("%d nodes with a wrong checksum, %d bytes that are no node: what they held is missing", l.badNodes, l.lost)}}
}

// node takes one node in; false if it belongs to another file system, whose
// start is then the end of this one.
func (l *jffs2Log) node(w *unpack.Slider, at int64, kind uint16, length int64) bool {
	raw := w.At(at, min(length, 68+255))
	obsolete := l.order.Uint16(raw[2:])&jffs2Current == 0
	fixed := append([]byte(nil), raw...)
	l.order.PutUint16(fixed[2:], kind)
	switch kind {
	case jffs2Clean:
		if l.cleanMarkers++; l.cleanMarkers > 1 {
			l.spacing |= at - l.lastClean
		}
		l.lastClean, l.blockStart = at, at
	case jffs2Dirent:
		return l.dirent(at, fixed, obsolete)
	case jffs2Inode:
		return l.inode(w, at, length, fixed, obsolete)
	case jffs2Xattr:
		l.attrs.value(w, l.order, at, length)
	case jffs2Xref:
		l.attrs.ref(l.order, fixed)
	}
	return true
}

// again says that another node with the same version but other content came
// before: two file systems stand one behind the other, since one never does
// that. A file that is garbage collected keeps or raises its versions.
func (l *jffs2Log) again(key jffs2Key, sum uint32, at int64) bool {
	old, ok := l.seen[key]
	if !ok {
		l.seen[key] = sum
		return false
	}
	if old == sum || l.blockStart == 0 || l.blockStart%jffs2Block != 0 {
		return false
	}
	l.end = l.blockStart
	l.forget(l.end)
	return true
}

func (l *jffs2Log) dirent(at int64, b []byte, obsolete bool) bool {
	// Without inversions, zeros behind a good header have good checksums.
	if len(b) < 40 || b[28] == 0 || len(b) < 40+int(b[28]) || l.order.Uint32(b[12:]) == 0 || jffs2Sum(b[:32]) != l.order.Uint32(b[32:]) || jffs2Sum(b[40:40+int(b[28])]) != l.order.Uint32(b[36:]) {
		l.badNodes++
		return true
	}
	n := jffs2Name{parent: l.order.Uint32(b[12:]), version: l.order.Uint32(b[16:]), ino: l.order.Uint32(b[20:]), kind: b[29], obsolete: obsolete, name: string(b[40 : 40+int(b[28])])}
	first := l.dirents+l.inodes == 0 && l.cleanMarkers > 1 && n.parent == 1 && n.version == 1
	if first && at-l.blockStart <= 12 && l.blockStart%jffs2Block == 0 {
		// Empty blocks, then the very first entry of a file system at the start
		// of a block: those before are an empty one of its own.
		l.end = l.blockStart
		return false
	}
	if l.again(jffs2Key{jffs2Dirent, n.parent, n.version}, l.order.Uint32(b[32:])^l.order.Uint32(b[36:]), at) {
		return false
	}
	l.dirents++
	l.names = append(l.names, n)
	return true
}

func (l *jffs2Log) inode(w *unpack.Slider, at, length int64, b []byte, obsolete bool) bool {
	if len(b) < 68 || l.order.Uint32(b[12:]) == 0 || jffs2Sum(b[:60]) != l.order.Uint32(b[64:]) {
		l.badNodes++
		return true
	}
	word := func(off int) uint32 { return l.order.Uint32(b[off:]) }
	n := jffs2Node{
		at: at + 68, version: word(16), mode: word(20), uid: l.order.Uint16(b[24:]), gid: l.order.Uint16(b[26:]), size: word(28), mtime: word(36),
		offset: word(44), packed: word(48), unpacked: word(52), method: b[56], obsolete: obsolete,
	}
	ino := word(12)
	if l.again(jffs2Key{jffs2Inode, ino, n.version}, word(64)^word(60), at) {
		return false
	}
	l.inodes++
	f := l.files[ino]
	if f == nil {
		f = &jffs2File{first: at}
		l.files[ino] = f
	}
	n.damaged = int64(n.packed) > length-68 || jffs2Sum(w.At(n.at, int64(n.packed))) != word(60)
	if n.damaged {
		l.badNodes++
	}
	f.parts = append(f.parts, n)
	return true
}

// forget drops what was read from an offset on.
func (l *jffs2Log) forget(from int64) {
	for ino, f := range l.files {
		kept := f.parts[:0]
		for _, n := range f.parts {
			if n.at < from {
				kept = append(kept, n)
			}
		}
		if f.parts = kept; len(kept) == 0 {
			delete(l.files, ino)
		}
	}
}

// size is where the file system ends: the erase block of the last node is its
// own if it is erased; so is the rest of the input.
func (l *jffs2Log) size() int64 {
	if unpack.OnlyPadding(l.data, l.end) {
		return l.data.Size()
	}
	if l.spacing == 0 {
		return l.end
	}
	block := int64(1) << bits.TrailingZeros64(uint64(l.spacing))
	end := min((l.end+block-1)/block*block, l.data.Size())
	if b := unpack.ReadSome(l.data, l.end, end-l.end); !unpack.IsPadding(b) {
		return l.end
	}
	return end
}
