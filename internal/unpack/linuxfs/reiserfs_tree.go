package linuxfs

import (
	"cmp"
	"errors"
	"fmt"
	"sort"

	"github.com/doorward/doorward/internal/unpack"
)

// Types of items.
const (
	reiserStat = iota
	reiserIndirect
	reiserDirect
	reiserNames
)

// reiserKey is the key of an item in the form of either version.
type reiserKey struct {
	dir, object uint32
	offset      uint64 // in the file, from 1 on
	kind        byte
}

func (k reiserKey) compare(o reiserKey) int {
	return cmp.Or(cmp.Compare(k.dir, o.dir), cmp.Compare(k.object, o.object), cmp.Compare(k.offset, o.offset), cmp.Compare(k.kind, o.kind))
}

// sameObject says that two items are of one file.
func (k reiserKey) sameObject(o reiserKey) bool { return k.dir == o.dir && k.object == o.object }

// parseReiserKey reads a key. The version is told by the type, which stands in
// the highest bits of the newer form.
func parseReiserKey(p []byte) reiserKey {
	k := reiserKey{dir: le.Uint32(p), object: le.Uint32(p[4:])}
	v := le.Uint64(p[8:])
	if kind := byte(v >> 60); kind >= reiserIndirect && kind <= reiserNames {
		k.offset, k.kind = v&(1<<60-1), kind
		return k
	}
	k.offset = uint64(le.Uint32(p[8:]))
	switch le.Uint32(p[12:]) {
	case 0:
		k.kind = reiserStat
	case 0xfffffffe:
		k.kind = reiserIndirect
	case 0xffffffff:
		k.kind = reiserDirect
	case 500:
		k.kind = reiserNames
	default:
		k.kind = 15
	}
	return k
}

// reiserItem is an item of a leaf.
type reiserItem struct {
	key   reiserKey
	count int // names of a folder
	body  []byte
}

var errReiserTree = errors.New("the tree is damaged")

// leaf finds the leaf where a key has its place, and the first key of the leaf
// behind it; nil if it is the last.
func (x *reiserfs) leaf(key reiserKey) (p []byte, next *reiserKey, err error) {
	at := x.root
	for level := x.height - 1; ; level-- {
		if at <= 0 || at >= x.blocks {
			return nil, nil, fmt.Errorf("%w: block %d is outside", errReiserTree, at)
		}
		if p, err = unpack.ReadFull(x.data, at*x.block, x.block); err != nil {
			return nil, nil, err
		}
		items := int(le.Uint16(p[2:]))
		if int(le.Uint16(p)) != level || items == 0 || 24+24*items > len(p) {
			return nil, nil, fmt.Errorf("%w: block %d is no node of level %d", errReiserTree, at, level)
		}
		if level == 1 {
			return p, next, nil
		}
		child := sort.Search(items, func(i int) bool { return parseReiserKey(p[24+16*i:]).compare(key) > 0 })
		if child < items {
			k := parseReiserKey(p[24+16*child:])
			next = &k
		}
		at = int64(le.Uint32(p[24+16*items+8*child:]))
	}
}

// item finds the last item at or before a key, and the key that follows it.
func (x *reiserfs) item(key reiserKey) (reiserItem, *reiserKey, error) {
	p, next, err := x.leaf(key)
	if err != nil {
		return reiserItem{}, nil, err
	}
	items := int(le.Uint16(p[2:]))
	n := sort.Search(items, func(i int) bool { return parseReiserKey(p[24+24*i:]).compare(key) > 0 })
	if n < items {
		k := parseReiserKey(p[24+24*n:])
		next = &k
	}
	if n == 0 {
		return reiserItem{}, next, nil
	}
	head := p[24+24*(n-1):]
	size, from := int(le.Uint16(head[18:])), int(le.Uint16(head[20:]))
	if from < 24+24*items || from+size > len(p) {
		return reiserItem{}, nil, fmt.Errorf("%w: an item outside of its leaf", errReiserTree)
	}
	return reiserItem{parseReiserKey(head), int(le.Uint16(head[16:])), p[from : from+size]}, next, nil
}

func (i *reiserNode) key(offset uint64, kind byte) reiserKey {
	return reiserKey{uint32(i.number >> 32), uint32(i.number), offset, kind}
}

func (i *reiserNode) content() unpack.Bytes {
	return &mapped{name: fmt.Sprintf("reiserfs: object %d", uint32(i.number)), size: i.size, find: i.find}
}

// find looks up a place of a file: in an item of pointers to blocks, or in one
// with the bytes themselves. Holes have pointers too.
func (i *reiserNode) find(off int64) (piece, error) {
	x := i.x
	key := i.key(uint64(off)+1, reiserDirect)
	item, _, err := x.item(key)
	if err != nil {
		return piece{}, err
	}
	in := off - (int64(item.key.offset) - 1)
	if !item.key.sameObject(key) || item.key.offset == 0 || in < 0 {
		return piece{}, errors.New("a piece is missing")
	}
	switch item.key.kind {
	case reiserDirect:
		if in >= int64(len(item.body)) {
			return piece{}, errors.New("a piece is missing")
		}
		return piece{data: unpack.Slice(item.body), from: in, size: int64(len(item.body)) - in}, nil
	case reiserIndirect:
		n := in / x.block
		if n >= int64(len(item.body)/4) {
			return piece{}, errors.New("a piece is missing")
		}
		return x.run(item.body[:len(item.body)&^3], n, in%x.block)
	}
	return piece{}, fmt.Errorf("%w: an unknown item", errReiserTree)
}

// run is the block of a pointer and those that follow it on the disk too.
func (x *reiserfs) run(list []byte, n, in int64) (piece, error) {
	first := int64(le.Uint32(list[4*n:]))
	count := int64(1)
	for p := list[4*n+4:]; len(p) >= 4; p = p[4:] {
		next := int64(le.Uint32(p))
		if (first == 0) != (next == 0) || (first != 0 && next != first+count) {
			break
		}
		count++
	}
	if first == 0 {
		return piece{size: count*x.block - in}, nil
	}
	if first+count > x.blocks {
		return piece{}, errors.New("a block outside of the file system")
	}
	return piece{data: x.data, from: first*x.block + in, size: count*x.block - in}, nil
}

// list is the names of a folder, but for the one that the kernel hides.
func (i *reiserNode) list(found func(name string, number uint64) bool) error {
	return i.names(func(name string, number uint64) bool {
		if i.number == reiserRoot && name == reiserPriv {
			return true
		}
		return found(name, number)
	})
}

// names reads the items of a folder.
func (i *reiserNode) names(found func(name string, number uint64) bool) error {
	x := i.x
	key := i.key(1, reiserNames)
	for first := true; ; first = false {
		item, next, err := x.item(key)
		switch {
		case err != nil:
			return err
		case item.key == key:
			if x.names += int64(len(item.body)); x.names > x.end {
				return errors.New("folders take more room than there is")
			}
			more, err := x.nameItem(item, found)
			if err != nil || !more {
				return err
			}
		case first:
			return errors.New("its names are missing")
		}
		if next == nil || !next.sameObject(key) {
			return nil
		}
		if next.compare(key) <= 0 || next.kind != reiserNames {
			return errReiserTree
		}
		key = *next
	}
}

// nameItem reads an item: heads of names at its start, the names from its end
// on.
func (x *reiserfs) nameItem(item reiserItem, found func(name string, number uint64) bool) (more bool, err error) {
	p := item.body
	end := len(p)
	if 16*item.count > len(p) {
		return false, errors.New("a damaged list of names")
	}
	for n := range item.count {
		head := p[16*n:]
		from := int(le.Uint16(head[12:]))
		if from < 16*item.count || from > end {
			return false, errors.New("a damaged list of names")
		}
		name := unpack.CString(p[from:end])
		end = from
		if visible := le.Uint16(head[14:])&4 != 0; !visible {
			continue
		}
		if !found(name, uint64(le.Uint32(head[4:]))<<32|uint64(le.Uint32(head[8:]))) {
			return false, nil
		}
	}
	return true, nil
}
