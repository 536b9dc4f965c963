package linuxfs

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// f2fsNat is where a node lies, and the inode that it belongs to.
type f2fsNat struct{ ino, addr uint32 }

// readJournal reads the entries of the node table that the checkpoint holds
// itself: those in the table are older.
func (f *f2fs) readJournal() error {
	at := f.cp.start + int64(f.cp.u32(140))
	from := int64(0)
	if f.cp.flags&f2fsCPCompact == 0 {
		last := int64(3) // the summaries of data, then the last block
		if f.cp.flags&f2fsCPUnmounted != 0 {
			last = 6 // those of nodes too
		}
		at, from = f.cp.start+f.cp.blocks-last-1, f.blockSize/8*7
	}
	p, err := f.block(at)
	if err != nil {
		return err
	}
	if at < f.cp.start || at >= f.cp.start+f.cp.blocks {
		return errOutside
	}
	p = p[from : from+f.blockSize/8-5]
	n := int(le.Uint16(p))
	if 2+13*n > len(p) {
		return fmt.Errorf("%d entries", n)
	}
	f.journal = map[uint32]f2fsNat{}
	for p = p[2:]; n > 0; n-- {
		f.journal[le.Uint32(p)] = f2fsNat{le.Uint32(p[5:]), le.Uint32(p[9:])}
		p = p[13:]
	}
	return nil
}

// nat finds a node.
func (f *f2fs) nat(nid uint32) (f2fsNat, error) {
	if n, ok := f.journal[nid]; ok {
		return n, nil
	}
	per := f.blockSize / 9
	index := int64(nid) / per
	if index >= int64(le.Uint32(f.super[60:]))/2*f.segBlocks {
		return f2fsNat{}, fmt.Errorf("node %d: %w", nid, errOutside)
	}
	// Segments of the table lie in pairs; the bitmap tells which one holds.
	addr := int64(le.Uint32(f.super[84:])) + index/f.segBlocks*f.segBlocks*2 + index%f.segBlocks
	if f.cp.nat[index/8]>>(7-index%8)&1 != 0 {
		addr += f.segBlocks
	}
	p, err := f.cached(addr)
	if err != nil {
		return f2fsNat{}, err
	}
	e := p[int64(nid)%per*9:]
	return f2fsNat{le.Uint32(e[1:]), le.Uint32(e[5:])}, nil
}

// node reads a node, which says itself which one it is.
func (f *f2fs) node(nid, ino uint32) ([]byte, int64, error) {
	n, err := f.nat(nid)
	if err != nil {
		return nil, 0, err
	}
	if n.addr == 0 || n.addr >= f2fsCompressed || n.ino != ino || int64(n.addr) < f.main {
		return nil, 0, fmt.Errorf("node %d of inode %d is at no place", nid, ino)
	}
	p, err := f.cached(int64(n.addr))
	if err != nil {
		return nil, 0, err
	}
	if footer := p[f.blockSize-24:]; le.Uint32(footer) != nid || le.Uint32(footer[4:]) != ino {
		return nil, 0, fmt.Errorf("node %d of inode %d: another node is at its place", nid, ino)
	}
	return p, int64(n.addr), nil
}

// Bits of i_inline.
const (
	f2fsInlineXattr  = 0x1
	f2fsInlineData   = 0x2
	f2fsInlineDentry = 0x4
	f2fsHasExtra     = 0x20
)

// f2fsInode is an inode, with the block that it was read from.
type f2fsInode struct {
	f           *f2fs
	raw         []byte
	at          int64 // block
	number      uint32
	mode        fs.FileMode
	size        int64
	inline      byte
	encrypted   bool
	compressed  bool
	extra       int   // bytes of the extra attributes
	xattrRoom   int   // bytes at the end of the pointers
	clusterLog  uint8 // blocks of a cluster
	algorithm   byte
	clusterSums bool
}

func (f *f2fs) inode(number uint32) (*f2fsInode, error) {
	raw, at, err := f.node(number, number)
	if err != nil {
		return nil, err
	}
	i := &f2fsInode{f: f, raw: raw, at: at, number: number}
	if err := i.parse(); err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	return i, nil
}

func (i *f2fsInode) parse() error {
	mode := uint32(le.Uint16(i.raw))
	if i.mode = unpack.UnixMode(mode); i.mode.Type() == 0 && mode>>12 != 8 {
		return errors.New("no type of file")
	}
	i.inline, i.size = i.raw[3], int64(le.Uint64(i.raw[16:]))
	i.encrypted = i.raw[2]&4 != 0
	if i.inline&f2fsHasExtra != 0 {
		i.extra = int(le.Uint16(i.raw[360:]))
	}
	if i.extra%4 != 0 || i.extra > 256 || (i.inline&f2fsHasExtra != 0 && i.extra < 4) {
		return fmt.Errorf("%d bytes of extra attributes", i.extra)
	}
	i.xattrRoom = i.xattrBytes()
	if i.xattrRoom > i.pointerBytes()-i.extra-64 {
		return errors.New("too much room for extended attributes")
	}
	if i.f.features&f2fsInodeSum != 0 && i.extra >= 12 && !i.checked() {
		return errors.New("wrong checksum")
	}
	if i.f.features&f2fsCompression != 0 && i.extra >= 36 && i.mode.IsRegular() && le.Uint32(i.raw[80:])&4 != 0 {
		i.compressed, i.algorithm, i.clusterLog = true, i.raw[392], i.raw[393]
		i.clusterSums = i.raw[394]&1 != 0
		if i.clusterLog < 2 || i.clusterLog > 8 {
			return fmt.Errorf("clusters of 1<<%d blocks", i.clusterLog)
		}
	}
	return nil
}

// xattrBytes is the room that extended attributes have in the inode.
func (i *f2fsInode) xattrBytes() int {
	switch {
	case i.f.features&f2fsFlexXattr != 0:
		if i.extra < 4 {
			return 0
		}
		return 4 * int(le.Uint16(i.raw[362:]))
	case i.inline&(f2fsInlineXattr|f2fsInlineDentry) != 0:
		return 200
	}
	return 0
}

// pointerBytes is the length of the field of pointers.
func (i *f2fsInode) pointerBytes() int { return int(i.f.blockSize) - 360 - 20 - 24 }

// room is what lies between the extra attributes and the extended ones:
// pointers to blocks, or whatever takes their place.
func (i *f2fsInode) room() []byte {
	return i.raw[360+i.extra : 360+i.pointerBytes()-i.xattrRoom]
}

// inner is the room of inline content; its first four bytes are reserved.
func (i *f2fsInode) inner() []byte { return i.room()[4:] }

// checked compares the inode with its checksum.
func (i *f2fsInode) checked() bool {
	sum := f2fsCRC(i.f.seed, i.raw[4072+i.f.blockSize-4096+4:][:4]) // the footer's ino
	sum = f2fsCRC(sum, i.raw[68:72])
	sum = f2fsCRC(sum, i.raw[:368])
	sum = f2fsCRC(sum, make([]byte, 4))
	return f2fsCRC(sum, i.raw[372:]) == le.Uint32(i.raw[368:])
}

func (i *f2fsInode) modTime() time.Time {
	return time.Unix(int64(le.Uint64(i.raw[48:])), int64(le.Uint32(i.raw[64:])))
}

// device stands where the first pointers would: the old form in the first, the
// new one in the second.
func (i *f2fsInode) device() (major, minor uint32) {
	p := i.room()
	if old := le.Uint32(p); old != 0 {
		return old >> 8 & 0xff, old & 0xff
	}
	return unpack.UnixDevice(le.Uint32(p[4:]))
}
