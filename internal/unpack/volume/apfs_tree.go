package volume

import (
	"encoding/binary"
	"fmt"
)

// apfsTree is a B-tree: its nodes by their numbers.
type apfsTree struct {
	a     *apfs
	place func(oid uint64) (uint64, error)
}

// Flags of nodes.
const (
	apfsRoot     = 1
	apfsLeaf     = 2
	apfsFixed    = 4
	apfsHashed   = 8
	apfsBare     = 16 // without a header
	apfsMaxLevel = 16
	apfsInfo     = 40 // behind a root's values
)

// apfsFixedSizes are those of a tree with entries of one size.
type apfsFixedSizes struct{ key, val int }

// walk calls f for every entry of the leaves, in order. Damage ends a node, not
// the walk: the first error is given back.
func (t apfsTree) walk(root uint64, f func(key, val []byte) error) error {
	return t.node(root, -1, apfsFixedSizes{}, f)
}

func (t apfsTree) node(oid uint64, level int, fixed apfsFixedSizes, f func(key, val []byte) error) error {
	at, err := t.place(oid)
	if err != nil {
		return err
	}
	b, err := t.a.object(at, apfsBtree, apfsNode)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	flags, own := le.Uint16(b[32:]), int(le.Uint16(b[34:]))
	if own > apfsMaxLevel || level >= 0 && own != level || (own == 0) != (flags&apfsLeaf != 0) || flags&(apfsHashed|apfsBare) != 0 || (level < 0) != (flags&apfsRoot != 0) {
		return fmt.Errorf("%w: a node at block %d", errAPFS, at)
	}
	end := len(b)
	if flags&apfsRoot != 0 {
		end -= apfsInfo
		fixed = apfsFixedSizes{int(le.Uint32(b[end+8:])), int(le.Uint32(b[end+12:]))}
	}
	n := apfsEntries{b: b, end: end, fixed: fixed, plain: flags&apfsFixed != 0, leaf: own == 0}
	n.toc = 56 + int(le.Uint16(b[40:]))
	n.keys = n.toc + int(le.Uint16(b[42:]))
	var first error
	for i := range int(le.Uint32(b[36:])) {
		key, val, ok := n.entry(i)
		switch {
		case !ok:
			return fmt.Errorf("%w: entry %d of the node at block %d", errAPFS, i, at)
		case own == 0:
			err = f(key, val)
		case len(val) < 8:
			return errAPFS
		default:
			err = t.node(le.Uint64(val), own-1, fixed, f)
		}
		if err != nil && first == nil {
			first = err
		}
		if t.a.in.Context.Err() != nil || t.a.nodes < 0 {
			break
		}
	}
	return first
}

// apfsEntries are a node's keys and values: a table of places, the keys behind
// it, the values before the end.
type apfsEntries struct {
	b         []byte
	toc, keys int
	end       int
	fixed     apfsFixedSizes
	plain     bool // all of one size
	leaf      bool
}

func (n apfsEntries) entry(i int) (key, val []byte, ok bool) {
	le := binary.LittleEndian
	var k, kn, v, vn int
	if n.plain {
		at := n.toc + 4*i
		if at+4 > n.keys || n.keys > n.end {
			return nil, nil, false
		}
		k, v = int(le.Uint16(n.b[at:])), int(le.Uint16(n.b[at+2:]))
		kn, vn = n.fixed.key, n.fixed.val
		if !n.leaf {
			vn = 8
		}
	} else {
		at := n.toc + 8*i
		if at+8 > n.keys || n.keys > n.end {
			return nil, nil, false
		}
		k, kn, v, vn = int(le.Uint16(n.b[at:])), int(le.Uint16(n.b[at+2:])), int(le.Uint16(n.b[at+4:])), int(le.Uint16(n.b[at+6:]))
	}
	k, v = n.keys+k, n.end-v
	if kn < 0 || vn < 0 || kn > n.end || vn > n.end || k+kn > n.end || v < n.keys || v+vn > n.end {
		return nil, nil, false
	}
	return n.b[k : k+kn], n.b[v : v+vn], true
}
