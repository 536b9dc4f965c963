package linuxfs

import (
	"errors"
	"fmt"
	"sort"

	"github.com/doorward/doorward/internal/unpack"
)

// xfsFork is the content of a file, or its attributes.
type xfsFork struct {
	i     *xfsInode
	form  byte
	count uint64 // extents
	raw   []byte
}

// xfsExtent is a record of 128 bits.
type xfsExtent struct {
	off       uint64 // block of the file
	block     uint64
	n         uint64
	unwritten bool
}

func xfsRecord(p []byte) xfsExtent {
	a, b := be.Uint64(p), be.Uint64(p[8:])
	return xfsExtent{a << 1 >> 10, a&0x1ff<<43 | b>>21, b & (1<<21 - 1), a>>63 != 0}
}

// records returns the list of extents that has the one of a block, if any has
// it, and the first block behind those that the list tells of.
func (f xfsFork) records(block uint64) (list []byte, limit uint64, err error) {
	const none = 1 << 54
	switch f.form {
	case xfsExtents:
		if f.count > uint64(len(f.raw)/16) {
			return nil, 0, errors.New("more extents than the inode has room for")
		}
		return f.raw[:f.count*16], none, nil
	case xfsBtree:
		return f.leaf(block)
	}
	return nil, 0, fmt.Errorf("a fork of form %d", f.form)
}

// leaf descends the tree of extents: levels of keys and pointers, which each
// fill half of the room.
func (f xfsFork) leaf(block uint64) (list []byte, limit uint64, err error) {
	limit = 1 << 54
	if len(f.raw) < 4 {
		return nil, 0, errors.New("a damaged tree of extents")
	}
	level, n, body := int(be.Uint16(f.raw)), int(be.Uint16(f.raw[2:])), f.raw[4:]
	if level == 0 {
		return nil, 0, errors.New("a damaged tree of extents")
	}
	for ; ; level-- {
		room := len(body) / 16
		if n == 0 && level > 0 || n > room || level > 9 {
			return nil, 0, errors.New("a damaged tree of extents")
		}
		if level == 0 {
			return body[:n*16], limit, nil
		}
		k := sort.Search(n, func(k int) bool { return be.Uint64(body[8*k:]) > block })
		if k < n {
			limit = min(limit, be.Uint64(body[8*k:]))
		}
		if k == 0 {
			return nil, limit, nil
		}
		p, err := f.treeBlock(be.Uint64(body[8*(room+k-1):]), level-1)
		if err != nil {
			return nil, 0, err
		}
		n, body = int(be.Uint16(p[6:])), p[24:]
		if f.i.x.v5 {
			body = p[72:]
		}
	}
}

// treeBlock reads a block of the tree of extents.
func (f xfsFork) treeBlock(number uint64, level int) ([]byte, error) {
	at, err := f.i.x.fsBlock(number)
	if err != nil {
		return nil, err
	}
	p, err := f.i.x.cached(at)
	if err != nil {
		return nil, err
	}
	switch magic := string(p[:4]); {
	case f.i.x.v5 && (magic != "BMA3" || be.Uint64(p[56:]) != f.i.number), !f.i.x.v5 && magic != "BMAP", int(be.Uint16(p[4:])) != level:
		return nil, errors.New("a damaged tree of extents")
	case f.i.x.v5 && !xfsChecked(p, 64):
		return nil, errors.New("a block of extents with a wrong checksum")
	}
	return p, nil
}

// run maps a block: to one on the disk, or to none (at is -1), and says how
// many of the next ones follow it there.
func (f xfsFork) run(block uint64) (at, n int64, err error) {
	list, limit, err := f.records(block)
	if err != nil {
		return 0, 0, err
	}
	k := sort.Search(len(list)/16, func(k int) bool { return xfsRecord(list[16*k:]).off > block })
	if k < len(list)/16 {
		limit = min(limit, xfsRecord(list[16*k:]).off)
	}
	if limit <= block {
		return 0, 0, errors.New("extents out of order")
	}
	if k > 0 {
		if e := xfsRecord(list[16*(k-1):]); block-e.off < e.n {
			in := block - e.off
			n := int64(min(e.n-in, limit-block))
			if e.unwritten {
				return -1, n, nil
			}
			if at, err = f.i.x.fsBlock(e.block + in); err == nil && at+n > f.i.x.blocks {
				err = errors.New("an extent that reaches too far")
			}
			return at, n, err
		}
	}
	return -1, int64(limit - block), nil
}

// find maps an offset of the content.
func (f xfsFork) find(off int64) (piece, error) {
	x := f.i.x
	if f.form == xfsLocal {
		return piece{unpack.Slice(f.raw), off, int64(len(f.raw)) - off}, nil
	}
	in := off % x.blockSize
	at, n, err := f.run(uint64(off / x.blockSize))
	if err != nil {
		return piece{}, err
	}
	size := int64(1) << 62
	if n < size/x.blockSize {
		size = n*x.blockSize - in
	}
	if at < 0 {
		return piece{size: size}, nil
	}
	return piece{x.data, at*x.blockSize + in, size}, nil
}

// remote reads a value or a target from the given block of the fork on. In
// version 5 each block has a header of 56 bytes.
func (f xfsFork) remote(block uint64, size int64, magic string) ([]byte, error) {
	var out []byte
	for ; int64(len(out)) < size; block++ {
		at, _, err := f.run(block)
		if err == nil && at < 0 {
			err = errors.New("a block is missing")
		}
		if err != nil {
			return out, err
		}
		p, err := f.i.x.block(at, 1)
		if err != nil {
			return out, err
		}
		if f.i.x.v5 {
			if string(p[:4]) != magic || be.Uint64(p[32:]) != f.i.number || int(be.Uint32(p[4:])) != len(out) || !xfsChecked(p, 12) {
				return out, errors.New("a damaged block")
			}
			p = p[56:]
		}
		out = append(out, p[:min(int64(len(p)), size-int64(len(out)))]...)
	}
	return out, nil
}
