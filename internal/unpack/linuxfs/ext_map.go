package linuxfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// extRun is a piece of a file that lies in one piece on the disk.
type extRun struct {
	at    int64 // block on the disk; 0 for a hole, or for blocks that were never written
	count int64 // blocks
}

// run finds where the given block of a file lies, and how many of the next
// ones follow it there.
func (i *extInode) run(block int64, w *extWalk) (extRun, error) {
	if i.flags&extFlagExtents != 0 {
		return i.extent(block)
	}
	return i.indirect(block, w)
}

// maxExtent is the longest extent that is written; longer ones stand for
// unwritten blocks.
const maxExtent = 32768

// extent descends the tree of extents.
func (i *extInode) extent(block int64) (extRun, error) {
	node := i.block()
	limit := int64(1) << 32 // first block behind those that the node tells of
	depth := -1
	for {
		entries := int(binary.LittleEndian.Uint16(node[2:]))
		level := int(binary.LittleEndian.Uint16(node[6:]))
		if binary.LittleEndian.Uint16(node) != 0xf30a || 12+entries*12 > len(node) || level > 5 || (depth >= 0 && level != depth-1) {
			return extRun{}, errors.New("a damaged tree of extents")
		}
		depth = level
		at := findExtent(node[12:12+entries*12], block)
		if at+1 < entries {
			limit = min(limit, int64(binary.LittleEndian.Uint32(node[12+(at+1)*12:])))
		}
		if at < 0 {
			return extRun{0, max(limit-block, 1)}, nil
		}
		e := node[12+at*12:]
		if depth == 0 {
			return extentRun(e, block, limit), nil
		}
		next, err := i.x.readBlock(int64(binary.LittleEndian.Uint32(e[4:])) | int64(binary.LittleEndian.Uint16(e[8:]))<<32)
		if err != nil {
			return extRun{}, err
		}
		if node = next; !i.extentsChecked(node) {
			return extRun{}, errors.New("a block of extents with a wrong checksum")
		}
	}
}

// findExtent returns the last entry that starts at or before block, or -1.
func findExtent(entries []byte, block int64) int {
	low, high := 0, len(entries)/12
	for low < high {
		mid := (low + high) / 2
		if int64(binary.LittleEndian.Uint32(entries[mid*12:])) <= block {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low - 1
}

// extentRun is what an extent tells of a block at or behind its start.
func extentRun(e []byte, block, limit int64) extRun {
	in := block - int64(binary.LittleEndian.Uint32(e))
	length := int64(binary.LittleEndian.Uint16(e[4:]))
	at := int64(binary.LittleEndian.Uint32(e[8:])) | int64(binary.LittleEndian.Uint16(e[6:]))<<32
	written := length <= maxExtent
	if !written {
		length -= maxExtent
	}
	switch {
	case in >= length:
		return extRun{0, max(limit-block, 1)}
	case !written:
		return extRun{0, length - in}
	}
	return extRun{at + in, length - in}
}

// extentsChecked compares a block of extents with the checksum behind the
// room for its entries.
func (i *extInode) extentsChecked(node []byte) bool {
	if i.x.ro&extROCsum == 0 {
		return true
	}
	tail := 12 + 12*int(binary.LittleEndian.Uint16(node[4:]))
	return tail+4 <= len(node) && i.x.crc(i.seed, node[:tail]) == binary.LittleEndian.Uint32(node[tail:])
}

// extWalk remembers the blocks of pointers on the way to the last block.
type extWalk struct {
	number [3]uint32
	data   [3][]byte
}

func (w *extWalk) load(x *ext, level int, number uint32) ([]byte, error) {
	if w.data[level] != nil && w.number[level] == number {
		return w.data[level], nil
	}
	b, err := x.readBlock(int64(number))
	if err != nil {
		return nil, err
	}
	w.number[level], w.data[level] = number, b
	return b, nil
}

// indirect follows the pointers of ext2: twelve in the inode, then one, two
// and three levels of blocks of pointers.
func (i *extInode) indirect(block int64, w *extWalk) (extRun, error) {
	table := i.block()
	if block < 12 {
		return pointerRun(table[:48], block), nil
	}
	block -= 12
	per := i.x.blockSize / 4
	span := per // blocks that a pointer of the inode reaches
	for level := range 3 {
		if block >= span {
			block -= span
			span *= per
			continue
		}
		number := binary.LittleEndian.Uint32(table[48+4*level:])
		for depth := level; ; depth-- {
			if number == 0 {
				return extRun{0, span - block}, nil
			}
			p, err := w.load(i.x, depth, number)
			if err != nil {
				return extRun{}, err
			}
			if depth == 0 {
				return pointerRun(p, block), nil
			}
			span /= per
			number = binary.LittleEndian.Uint32(p[block/span*4:])
			block %= span
		}
	}
	return extRun{}, errors.New("a block that no pointer can reach")
}

// pointerRun is the run of pointers that count up from the given one.
func pointerRun(table []byte, index int64) extRun {
	r := extRun{int64(binary.LittleEndian.Uint32(table[index*4:])), 1}
	for p := table[index*4+4:]; len(p) >= 4; p = p[4:] {
		next := int64(binary.LittleEndian.Uint32(p))
		if (r.at == 0) != (next == 0) || (r.at != 0 && next != r.at+r.count) {
			break
		}
		r.count++
	}
	return r
}

// extFile is the content of a file in blocks.
type extFile struct{ inode *extInode }

// Stored implements unpack.Stored: ext compresses nothing.
func (f *extFile) Stored() bool { return true }

// Size implements Bytes.
func (f *extFile) Size() int64 { return f.inode.size }

// ReadAt implements Bytes.
func (f *extFile) ReadAt(p []byte, off int64) (int, error) {
	i, x := f.inode, f.inode.x
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= i.size {
		return 0, io.EOF
	}
	var eof error
	if int64(len(p)) > i.size-off {
		p, eof = p[:i.size-off], io.EOF
	}
	var w extWalk
	for n := 0; n < len(p); {
		at := off + int64(n)
		r, err := i.run(at/x.blockSize, &w)
		if err != nil {
			return n, fmt.Errorf("ext: inode %d: %w", i.number, err)
		}
		in := at % x.blockSize
		k := int(min(int64(len(p)-n), r.count*x.blockSize-in))
		if r.at == 0 {
			clear(p[n : n+k])
		} else if err := x.readRaw(p[n:n+k], r.at*x.blockSize+in); err != nil {
			return n, fmt.Errorf("ext: inode %d: %w", i.number, err)
		}
		n += k
	}
	return len(p), eof
}

func (x *ext) readRaw(p []byte, at int64) error {
	if at > x.end-int64(len(p)) {
		return fmt.Errorf("%d bytes at 0x%x are outside of the file system", len(p), at)
	}
	n, err := x.data.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	return err
}
