package linuxfs

import (
	"errors"
	"fmt"
	"unicode/utf16"

	"github.com/doorward/doorward/internal/unpack"
)

// Flags of pages of trees.
const (
	jfsRootPage = 0x01
	jfsLeaf     = 0x02
	jfsInner    = 0x04
)

// Flags of extents.
const (
	jfsPacked    = 0x04
	jfsUnwritten = 0x08
)

const jfsMaxLevels = 16

// jfsXAD is a line of a page of extents.
type jfsXAD struct {
	flag          byte
	off, at, size int64 // in blocks
}

func parseXAD(p []byte) jfsXAD {
	at, count := jfsRun(p[8:])
	return jfsXAD{p[0], int64(p[3])<<32 | int64(le.Uint32(p[4:])), at, count}
}

// content is what an inode's tree of extents maps.
func (i *jfsNode) content(name string) unpack.Bytes {
	return &mapped{name: "jfs: " + name, size: i.size, find: i.find}
}

// place is where the content starts, as far as the inode says.
func (i *jfsNode) place() int64 { return parseXAD(i.raw[224+32:]).at * i.x.block }

var errJFSExtents = errors.New("a damaged tree of extents")

// find descends the tree of extents, whose root stands in the inode.
func (i *jfsNode) find(off int64) (piece, error) {
	x := i.x
	block, limit := off/x.block, (i.size+x.block-1)/x.block
	page, slots := i.raw[224:], 18
	for range jfsMaxLevels {
		n := int(le.Uint16(page[18:]))
		if n < 2 || n > slots {
			return piece{}, errJFSExtents
		}
		// The last line that starts at or before the block.
		low, high := 2, n
		for low < high {
			if mid := (low + high) / 2; parseXAD(page[16*mid:]).off <= block {
				low = mid + 1
			} else {
				high = mid
			}
		}
		if low < n {
			limit = min(limit, parseXAD(page[16*low:]).off)
		}
		if page[16]&jfsLeaf != 0 {
			if low == 2 {
				return x.hole(off, limit)
			}
			return x.extent(parseXAD(page[16*(low-1):]), off, limit)
		}
		if low == 2 || page[16]&jfsInner == 0 {
			return piece{}, errJFSExtents
		}
		child := parseXAD(page[16*(low-1):])
		var err error
		if page, err = x.page(child.at, jfsPage); err != nil {
			return piece{}, err
		}
		slots = 256
	}
	return piece{}, errJFSExtents
}

// hole are the blocks up to a limit, which no extent holds.
func (x *jfs) hole(off, limit int64) (piece, error) {
	return piece{size: limit*x.block - off}, nil
}

// extent is the rest of one, or the hole behind it.
func (x *jfs) extent(e jfsXAD, off, limit int64) (piece, error) {
	in := off - e.off*x.block
	left := e.size*x.block - in
	switch {
	case left <= 0:
		return x.hole(off, limit)
	case e.flag&jfsPacked != 0:
		return piece{}, fmt.Errorf("compressed extents: %w", unpack.ErrUnsupported)
	case e.flag&jfsUnwritten != 0:
		return piece{size: left}, nil
	case e.at <= 0 || e.at+e.size > x.blocks:
		return piece{}, errors.New("an extent outside of the file system")
	}
	return piece{data: x.data, from: e.at*x.block + in, size: left}, nil
}

// page reads a page of a tree, which says where it is itself.
func (x *jfs) page(at, size int64) ([]byte, error) {
	if at <= 0 || at >= x.blocks {
		return nil, errors.New("a page of a tree outside of the file system")
	}
	p, err := unpack.ReadFull(x.data, at*x.block, size)
	if err != nil {
		return nil, err
	}
	if self, _ := jfsRun(p[24:]); self != at || p[16]&jfsRootPage != 0 {
		return nil, fmt.Errorf("the page of a tree at block %d is not in its place", at)
	}
	return p, nil
}

var errJFSFolder = errors.New("a damaged tree of names")

// list reads the tree of names, whose root stands in the inode.
func (i *jfsNode) list(found func(name string, number uint64) bool) error {
	root := i.raw[224:]
	n := int(root[17])
	if n > 8 || root[16]&jfsRootPage == 0 {
		return errJFSFolder
	}
	_, err := i.x.names(root[:288], root[24:24+n], jfsMaxLevels, found)
	return err
}

// names lists a page and those below it. What of it can be read is read.
func (x *jfs) names(page, table []byte, levels int, found func(string, uint64) bool) (more bool, err error) {
	for _, slot := range table {
		if slot == 0 || (int(slot)+1)*32 > len(page) {
			err = errors.Join(err, errJFSFolder)
			continue
		}
		if page[16]&jfsLeaf != 0 {
			name, bad := x.name(page, slot)
			if bad != nil {
				err = errors.Join(err, bad)
				continue
			}
			if !found(name, uint64(le.Uint32(page[32*int(slot):]))) {
				return false, err
			}
			continue
		}
		more, bad := x.below(page[32*int(slot):], levels-1, found)
		if err = errors.Join(err, bad); !more {
			return false, err
		}
	}
	return true, err
}

// below follows a line of an inner page.
func (x *jfs) below(entry []byte, levels int, found func(string, uint64) bool) (more bool, err error) {
	// Hostile trees may lead to a page again and again.
	if x.pages++; x.pages > x.blocks || levels == 0 {
		return false, errJFSFolder
	}
	at, count := jfsRun(entry)
	size := count * x.block
	if size < 512 || size > jfsPage {
		return true, errJFSFolder
	}
	page, err := x.page(at, size)
	if err != nil {
		return true, err
	}
	from, n := int64(page[21])*32, int64(page[17])
	if from < 32 || from+n > size {
		return true, errJFSFolder
	}
	return x.names(page, page[from:from+n], levels, found)
}

// name puts together the pieces of a name, which lie in several slots.
func (x *jfs) name(page []byte, slot byte) (string, error) {
	p := page[32*int(slot):][:32]
	left, room, next, text := int(p[5]), 13, p[4], p[6:]
	if x.flags&jfsFlagIndex != 0 {
		room = 11
	}
	var units []uint16
	for {
		n := min(left, room)
		for i := range n {
			units = append(units, le.Uint16(text[2*i:]))
		}
		if left -= n; left == 0 {
			return jfsName(units), nil
		}
		if next == 0 || (int(next)+1)*32 > len(page) {
			return "", errJFSFolder
		}
		p = page[32*int(next):][:32]
		next, room, text = p[0], 15, p[2:]
	}
}

// jfsName is a name as Linux shows it: it stores bytes in units of two, unless
// it was mounted with a character set.
func jfsName(units []uint16) string {
	b := make([]byte, len(units))
	for i, u := range units {
		if u > 255 {
			return string(utf16.Decode(units))
		}
		b[i] = byte(u)
	}
	return string(b)
}
