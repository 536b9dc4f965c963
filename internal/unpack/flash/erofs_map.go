package flash

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"

	"github.com/doorward/doorward/internal/unpack"
)

// Advice in the head of an index.
const (
	erofsTwoBytes   = 0x01
	erofsBig1       = 0x02
	erofsInlineTail = 0x08
	erofsInterlaced = 0x10
	erofsFragment   = 0x20
)

// Types of clusters.
const (
	clusterStored = iota
	clusterHead1
	clusterNone // it goes on from another
	clusterHead2
)

const (
	erofsCount     = 1 << 11  // in a distance: it is a number of blocks
	erofsMaxPacked = 1 << 20  // bytes of a packed cluster, and of what it
	erofsMaxOut    = 12 << 20 // unpacks to: the kernel's bounds
)

// erofsExtent is a piece of a file that is one packed cluster, or a part of
// one.
type erofsExtent struct {
	start  int64 // in the file
	at     int64 // of the packed bytes
	packed int32 // how many
	method int8  // 0 to 3 as in the index; erofsStored
	part   bool  // not all of what it unpacks to belongs here
	exact  bool  // packed bytes are exactly these; else blocks with padding
}

const erofsStored = -1

// erofsFile is the content of a compressed file. Its index is read when the
// content is.
type erofsFile struct {
	e      *erofs
	i      *erofsInode
	advise uint16
	bits   int // of a logical cluster
	method [2]int8
	idata  int64 // bytes of a tail behind the index
	frag   int64 // place in the packed inode; -1
	whole  bool  // all of it is a fragment

	once sync.Once
	list []erofsExtent
	tail int64 // where the fragment begins in the file; its size if there is none
	err  error
}

// compressed reads the head of a compressed file's index.
func (e *erofs) compressed(i *erofsInode) (unpack.Bytes, error) {
	f := &erofsFile{e: e, i: i, bits: int(e.super.BlockBits), frag: -1}
	head, err := e.read((i.tail()+7)&^7, 8)
	if err != nil {
		return nil, err
	}
	// Old images have nothing in the head of full indexes.
	old := i.layout == erofsFull && e.super.Incompat&(erofsBigPcluster|erofsTailPacking|erofsFragments) == 0
	if !old {
		if err := f.parseHead(head); err != nil {
			return nil, fmt.Errorf("inode %d: %w", i.nid, err)
		}
	}
	if f.frag >= 0 && (e.packed == nil || f.whole && f.frag > e.packed.Size()-i.size) {
		return nil, fmt.Errorf("inode %d: its fragment is outside of the packed inode", i.nid)
	}
	if !f.whole {
		n := f.clusters()
		if n*2 > e.data.Size() {
			return nil, fmt.Errorf("inode %d: an index of %d clusters: %w", i.nid, n, io.ErrUnexpectedEOF)
		}
		if e.units += n; e.units > erofsMaxUnits {
			return nil, fmt.Errorf("%w: the files have more than %d clusters", unpack.ErrLimit, erofsMaxUnits)
		}
	}
	return f, nil
}

func (f *erofsFile) parseHead(h []byte) error {
	f.advise = binary.LittleEndian.Uint16(h[4:])
	f.method = [2]int8{int8(h[6] & 15), int8(h[6] >> 4)}
	if h[7]>>7 != 0 {
		f.whole, f.frag = true, int64(binary.LittleEndian.Uint64(h)&(1<<63-1))
		return nil
	}
	f.bits += int(h[7] & 7)
	if f.i.layout == erofsFull && f.advise&erofsTwoBytes != 0 && f.e.super.Incompat&^erofsKnown != 0 {
		return unpack.ErrUnsupported
	}
	if f.advise&erofsFragment != 0 {
		f.frag = int64(binary.LittleEndian.Uint32(h))
	} else if f.advise&erofsInlineTail != 0 {
		f.idata = int64(binary.LittleEndian.Uint16(h[2:]))
	}
	if f.method[0] > 3 || f.method[1] > 3 {
		return fmt.Errorf("compression method %d: %w", max(f.method[0], f.method[1]), unpack.ErrUnsupported)
	}
	return nil
}

func (f *erofsFile) clusters() int64 { return (f.i.size-1)>>f.bits + 1 }

// Size implements unpack.Bytes.
func (f *erofsFile) Size() int64 { return f.i.size }

// erofsCluster is an entry of an index.
type erofsCluster struct {
	kind   int
	offset int64 // in the cluster, where a head's piece begins
	block  uint32
	count  int64 // blocks of the piece before; 0 if it does not say
	part   bool
}

// load makes the list of pieces from the index.
func (f *erofsFile) load() {
	f.tail = f.i.size
	if f.whole {
		f.tail = 0
		return
	}
	clusters, end, err := f.index()
	if err != nil {
		f.err = fmt.Errorf("erofs: index of inode %d: %w", f.i.nid, err)
		return
	}
	if f.err = f.pieces(clusters); f.err != nil || len(f.list) == 0 {
		return
	}
	last := &f.list[len(f.list)-1]
	switch {
	case f.frag >= 0:
		f.tail = last.start
		if f.i.layout == erofsFull {
			f.frag |= last.at >> f.e.super.BlockBits << 32
		}
		f.list = f.list[:len(f.list)-1]
		if f.frag > f.e.packed.Size()-(f.i.size-f.tail) {
			f.err = errors.New("erofs: a fragment is outside of the packed inode")
		}
	case f.advise&erofsInlineTail != 0 && f.idata > 0:
		last.at, last.packed, last.exact = end, int32(f.idata), true
	}
}

var errEROFSIndex = errors.New("it makes no sense")

// pieces turns clusters into pieces: each head begins one.
func (f *erofsFile) pieces(clusters []erofsCluster) error {
	size := int64(1) << f.bits
	for n, c := range clusters {
		if c.kind == clusterNone {
			if n == 0 {
				return fmt.Errorf("erofs: inode %d: %w", f.i.nid, errEROFSIndex)
			}
			continue
		}
		x := erofsExtent{start: int64(n)<<f.bits + c.offset, at: int64(c.block) << f.e.super.BlockBits, method: erofsStored, part: c.part}
		if c.kind != clusterStored {
			x.method = f.method[c.kind/3]
		}
		packed := size
		if big := f.advise & (erofsBig1 << (c.kind / 3)); big != 0 {
			if packed = 1 << f.e.super.BlockBits; n+1 < len(clusters) && clusters[n+1].count > 0 {
				packed *= clusters[n+1].count
			}
		}
		if c.offset >= size || packed > erofsMaxPacked || len(f.list) == 0 && x.start != 0 {
			return fmt.Errorf("erofs: inode %d: %w", f.i.nid, errEROFSIndex)
		}
		if x.start >= f.i.size && n == len(clusters)-1 && n > 0 {
			break // it only says where the piece before ends
		}
		x.packed = int32(packed)
		if last := len(f.list) - 1; last >= 0 && f.list[last].start >= x.start {
			return fmt.Errorf("erofs: inode %d: %w", f.i.nid, errEROFSIndex)
		}
		f.list = append(f.list, x)
	}
	return nil
}

// index reads all entries, and returns where they end.
func (f *erofsFile) index() ([]erofsCluster, int64, error) {
	n := f.clusters()
	at := (f.i.tail()+7)&^7 + 8
	if f.i.layout == erofsCompact {
		return f.compact(at, n)
	}
	at += 8
	b, err := f.e.read(at, n*8)
	if err != nil {
		return nil, 0, err
	}
	list := make([]erofsCluster, 0, n)
	for ; len(b) >= 8; b = b[8:] {
		advise := binary.LittleEndian.Uint16(b)
		c := erofsCluster{kind: int(advise & 3), offset: int64(binary.LittleEndian.Uint16(b[2:])), part: advise>>15 != 0}
		if c.kind == clusterNone {
			if d := binary.LittleEndian.Uint16(b[4:]); d&erofsCount != 0 {
				c.count = int64(d &^ erofsCount)
			}
		} else {
			c.block = binary.LittleEndian.Uint32(b[4:])
		}
		list = append(list, c)
	}
	return list, at + n*8, nil
}

// compact reads an index of packs: entries of some bits each, then a block
// number that holds for the whole pack. Packs of two entries in eight bytes
// lead up to a multiple of 32 bytes, then come packs of 16 in 32 bytes if the
// head says so, then again packs of two.
func (f *erofsFile) compact(at, n int64) (list []erofsCluster, end int64, err error) {
	first := (32 - at%32) / 4 % 8
	twos := int64(0)
	if f.advise&erofsTwoBytes != 0 && first < n {
		twos = (n - first) / 16 * 16
	}
	if first > n {
		first = n
	}
	list = make([]erofsCluster, 0, n)
	for int64(len(list)) < n {
		count, size := int64(2), int64(8)
		if done := int64(len(list)); done >= first && done < first+twos {
			count, size = 16, 32
		}
		if f.bits > 14 || count == 16 && f.bits > 12 {
			return nil, 0, fmt.Errorf("clusters of %d bytes in a compact index: %w", 1<<f.bits, unpack.ErrUnsupported)
		}
		b, err := f.e.read(at, size)
		if err != nil {
			return nil, 0, err
		}
		list = append(list, f.pack(b, int(count))...)
		at += size
	}
	return list[:n], at, nil
}

// pack reads one pack.
func (f *erofsFile) pack(b []byte, count int) []erofsCluster {
	low := max(f.bits, 12)
	width := (len(b) - 4) * 8 / count
	block := binary.LittleEndian.Uint32(b[len(b)-4:])
	list := make([]erofsCluster, count)
	padded := append(b[:len(b):len(b)], 0, 0, 0, 0)
	big := f.advise&erofsBig1 != 0
	if !big {
		block++
	}
	for n := range list {
		v := binary.LittleEndian.Uint32(padded[n*width/8:]) >> (n * width % 8)
		value, c := int64(v&(1<<low-1)), &list[n]
		if c.kind = int(v >> low & 3); c.kind == clusterNone {
			if value&erofsCount != 0 && big {
				c.count = value &^ erofsCount
				// What a head counted as one block are these.
				block += uint32(c.count)
				if n > 0 && list[n-1].kind != clusterNone {
					block--
				}
			}
			continue
		}
		c.offset, c.block = value, block
		block++
	}
	return list
}

// ReadAt implements unpack.Bytes.
func (f *erofsFile) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= f.i.size {
		return 0, io.EOF
	}
	if f.once.Do(f.load); f.err != nil {
		return 0, f.err
	}
	if int64(len(p)) > f.i.size-off {
		p, err = p[:f.i.size-off], io.EOF
	}
	for n < len(p) {
		at := off + int64(n)
		if at >= f.tail {
			k, bad := f.e.packed.ReadAt(p[n:], f.frag+at-f.tail)
			if n += k; n < len(p) {
				return n, noEOF(bad)
			}
			break
		}
		k := sort.Search(len(f.list), func(k int) bool { return f.list[k].start > at }) - 1
		if k < 0 {
			return n, errEROFSIndex
		}
		x, end := &f.list[k], f.tail
		if k+1 < len(f.list) {
			end = f.list[k+1].start
		}
		part := p[n : n+int(min(int64(len(p)-n), end-at))]
		if bad := f.readPiece(part, x, at-x.start, end-x.start); bad != nil {
			return n, fmt.Errorf("erofs: cluster at 0x%x: %w", x.at, bad)
		}
		n += len(part)
	}
	return n, err
}
