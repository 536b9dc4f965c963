package linuxfs

import (
	"errors"
	"fmt"
	"sort"

	"github.com/doorward/doorward/internal/unpack"
)

const (
	btrfsHeader = 101 // bytes before the items of a leaf and the pointers of a node
	btrfsItem   = 25  // key, offset, size
	btrfsPtr    = 33  // key, block, generation
)

// btrfsKey is what trees are sorted by.
type btrfsKey struct {
	object uint64
	kind   byte
	offset uint64
}

func btrfsKeyAt(p []byte) btrfsKey { return btrfsKey{le.Uint64(p), p[8], le.Uint64(p[9:])} }

func (k btrfsKey) less(o btrfsKey) bool {
	switch {
	case k.object != o.object:
		return k.object < o.object
	case k.kind != o.kind:
		return k.kind < o.kind
	}
	return k.offset < o.offset
}

// btrfsRoot is a tree.
type btrfsRoot struct {
	block      uint64
	generation uint64
	level      byte
}

// readNode reads a block of a tree from any of its copies that is sound.
func (b *btrfs) readNode(logical int64) ([]byte, error) {
	places, n, err := b.locate(logical)
	if err == nil && n < b.nodeSize {
		err = errors.New("it reaches out of its chunk")
	}
	for _, at := range places {
		if err != nil {
			break
		}
		var p []byte
		if p, err = unpack.ReadFull(b.data, at, b.nodeSize); err == nil {
			if err = b.nodeChecked(p, logical); err == nil {
				return p, nil
			}
		}
		if at != places[len(places)-1] {
			err = nil
		}
	}
	return nil, fmt.Errorf("tree block 0x%x: %w", logical, err)
}

// nodeChecked checks the checksum and the order of the keys.
func (b *btrfs) nodeChecked(p []byte, logical int64) error {
	switch {
	case !b.checked(p, p[32:]):
		return errors.New("wrong checksum")
	case string(p[32:48]) != b.fsid || le.Uint64(p[48:]) != uint64(logical):
		return errors.New("another block is at its place")
	}
	n, step := int(le.Uint32(p[96:])), btrfsItem
	if p[100] > 0 {
		step = btrfsPtr
	}
	if n < 0 || n > (len(p)-btrfsHeader)/step || p[100] > 7 || p[100] > 0 && n == 0 {
		return errors.New("damaged")
	}
	for k := range n {
		e := p[btrfsHeader+k*step:]
		if k > 0 && !btrfsKeyAt(e).greater(btrfsKeyAt(p[btrfsHeader+(k-1)*step:])) {
			return errors.New("keys out of order")
		}
		if p[100] == 0 {
			if at, size := uint64(le.Uint32(e[17:])), uint64(le.Uint32(e[21:])); btrfsHeader+at+size > uint64(len(p)) || at < uint64(n*btrfsItem) {
				return errors.New("an item that reaches too far")
			}
		}
	}
	return nil
}

func (k btrfsKey) greater(o btrfsKey) bool { return o.less(k) }

// node returns a block through the cache and checks that it is what the pointer
// to it says: its level, its age, and its first key (nil for a root). Pointers
// of a node have different keys, and so no block is reached twice.
func (b *btrfs) node(r btrfsRoot, first *btrfsKey) ([]byte, error) {
	if r.block > 1<<62 {
		return nil, fmt.Errorf("tree block 0x%x: %w", r.block, errOutside)
	}
	block, err := b.nodes.Get(int64(r.block), func(at int64) ([]byte, int64, error) {
		p, err := b.readNode(at)
		return p, 0, err
	}, nil)
	if err != nil {
		return nil, err
	}
	p := block.Data
	if p[100] != r.level || le.Uint64(p[80:]) != r.generation {
		return nil, fmt.Errorf("tree block 0x%x: not the one that is pointed to", r.block)
	}
	if first != nil && (le.Uint32(p[96:]) == 0 || btrfsKeyAt(p[btrfsHeader:]) != *first) {
		return nil, fmt.Errorf("tree block 0x%x: another first key", r.block)
	}
	return p, nil
}

// index is the last entry of a block that is not behind a key, or -1.
func btrfsIndex(p []byte, key btrfsKey) int {
	step := btrfsItem
	if p[100] > 0 {
		step = btrfsPtr
	}
	return sort.Search(int(le.Uint32(p[96:])), func(k int) bool { return key.less(btrfsKeyAt(p[btrfsHeader+k*step:])) }) - 1
}

func btrfsChild(p []byte, k int) (btrfsRoot, btrfsKey) {
	e := p[btrfsHeader+k*btrfsPtr:]
	return btrfsRoot{le.Uint64(e[17:]), le.Uint64(e[25:]), p[100] - 1}, btrfsKeyAt(e)
}

func btrfsItemAt(p []byte, k int) (btrfsKey, []byte) {
	e := p[btrfsHeader+k*btrfsItem:]
	return btrfsKeyAt(e), p[btrfsHeader+int(le.Uint32(e[17:])):][:le.Uint32(e[21:])]
}

// each calls f with every item from a key on, until it returns false. Blocks
// that can't be read are left out; the first error is returned.
func (b *btrfs) each(r btrfsRoot, from btrfsKey, f func(k btrfsKey, data []byte) bool) error {
	_, err := b.visit(r, nil, from, f)
	return err
}

func (b *btrfs) visit(r btrfsRoot, first *btrfsKey, from btrfsKey, f func(btrfsKey, []byte) bool) (more bool, err error) {
	p, err := b.node(r, first)
	if err != nil {
		return true, err
	}
	n := int(le.Uint32(p[96:]))
	k := btrfsIndex(p, from)
	if p[100] == 0 {
		if k < 0 {
			k = 0
		} else if key, _ := btrfsItemAt(p, k); key.less(from) {
			k++
		}
		for ; k < n; k++ {
			if !f(btrfsItemAt(p, k)) {
				return false, nil
			}
		}
		return true, nil
	}
	var damaged error
	for k = max(k, 0); k < n; k++ {
		child, key := btrfsChild(p, k)
		more, err := b.visit(child, &key, from, f)
		if damaged == nil {
			damaged = err
		}
		if !more {
			return false, damaged
		}
	}
	return true, damaged
}

// floor finds the last item that is not behind a key, and the key of the one
// after it.
func (b *btrfs) floor(r btrfsRoot, key btrfsKey) (found btrfsKey, data []byte, next *btrfsKey, err error) {
	var first *btrfsKey
	for {
		p, err := b.node(r, first)
		if err != nil {
			return btrfsKey{}, nil, nil, err
		}
		k, n := btrfsIndex(p, key), int(le.Uint32(p[96:]))
		if k+1 < n {
			step := btrfsItem
			if p[100] > 0 {
				step = btrfsPtr
			}
			after := btrfsKeyAt(p[btrfsHeader+(k+1)*step:])
			next = &after
		}
		if k < 0 {
			return btrfsKey{}, nil, next, nil
		}
		if p[100] == 0 {
			found, data = btrfsItemAt(p, k)
			return found, data, next, nil
		}
		child, childKey := btrfsChild(p, k)
		r, first = child, &childKey
	}
}

// findTrees reads the map of chunks and finds the trees that all need.
func (b *btrfs) findTrees() error {
	for p := b.super[811:][:b.u32(160)]; len(p) > 0; {
		if len(p) < 17 || p[8] != btrfsChunkItem {
			return errors.New("a damaged map of chunks in the superblock")
		}
		n, err := b.addChunk(le.Uint64(p[9:]), p[17:])
		if err != nil {
			return err
		}
		p = p[17+n:]
	}
	var bad error
	err := b.each(btrfsRoot{b.u64(88), b.u64(164), b.super[199]}, btrfsKey{}, func(k btrfsKey, data []byte) bool {
		if k.kind == btrfsChunkItem {
			if _, err := b.addChunk(k.offset, data); err != nil {
				bad = err
			}
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("the map of chunks: %w", err)
	}
	if bad != nil {
		return bad
	}
	b.roots = btrfsRoot{b.u64(80), b.u64(72), b.super[198]}
	b.sums, b.sumsErr = b.root(btrfsCsumTree)
	return nil
}

// root finds a tree by its number.
func (b *btrfs) root(id uint64) (r btrfsRoot, err error) {
	found := false
	err = b.each(b.roots, btrfsKey{id, btrfsRootItem, 0}, func(k btrfsKey, p []byte) bool {
		if k.object != id || k.kind != btrfsRootItem {
			return false
		}
		if len(p) >= 239 {
			r, found = btrfsRoot{le.Uint64(p[176:]), le.Uint64(p[160:]), p[238]}, true
		}
		return false
	})
	if err == nil && !found {
		err = fmt.Errorf("there is no tree %d", id)
	}
	return r, err
}
