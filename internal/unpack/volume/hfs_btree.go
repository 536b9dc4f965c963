package volume

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// hfsTree is a B-tree of HFS or HFS+ (TN1150, "B-Trees").
type hfsTree struct {
	data  unpack.Bytes
	size  int64 // of a node
	first uint32
	count int64 // nodes
}

var errHFSTree = errors.New("a B-tree is damaged")

// openTree reads the header node.
func openHFSTree(data unpack.Bytes) (*hfsTree, error) {
	p := unpack.ReadSome(data, 0, 512)
	if len(p) < 120 || p[8] != 1 || p[9] != 0 {
		return nil, errHFSTree
	}
	be := binary.BigEndian
	t := &hfsTree{data: data, size: int64(be.Uint16(p[14+18:])), first: be.Uint32(p[14+10:])}
	if t.size < 512 || t.size > 32<<10 || t.size&(t.size-1) != 0 {
		return nil, errHFSTree
	}
	t.count = data.Size() / t.size
	if total := int64(be.Uint32(p[14+22:])); total > t.count || int64(t.first) >= max(1, t.count) {
		return nil, errHFSTree
	}
	return t, nil
}

// records calls f with every record of the leaves, in their order, until it
// returns false.
func (t *hfsTree) records(f func(rec []byte) bool) error {
	seen := make(map[uint32]bool)
	for n := t.first; n != 0; {
		if seen[n] || int64(n) >= t.count {
			return fmt.Errorf("%w: leaf %d is listed twice, or is none", errHFSTree, n)
		}
		seen[n] = true
		p, err := unpack.ReadFull(t.data, int64(n)*t.size, t.size)
		if err != nil {
			return err
		}
		be := binary.BigEndian
		count := int(be.Uint16(p[10:]))
		if p[8] != 0xff || 14+2*(count+1) > len(p) {
			return fmt.Errorf("%w: node %d is no leaf", errHFSTree, n)
		}
		for i := range count {
			from, to := int(be.Uint16(p[len(p)-2-2*i:])), int(be.Uint16(p[len(p)-4-2*i:]))
			if from < 14 || to < from || to > len(p)-2*(count+1) {
				return fmt.Errorf("%w: leaf %d", errHFSTree, n)
			}
			if !f(p[from:to]) {
				return nil
			}
		}
		n = be.Uint32(p)
	}
	return nil
}

// hfsRun is a stretch of allocation blocks.
type hfsRun struct{ start, count int64 }

// hfsFork says which fork of which file.
type hfsFork struct {
	file     uint32
	resource bool
}

// hfsSpace is where blocks are on the volume.
type hfsSpace struct {
	data     unpack.Bytes
	base     int64 // of block 0
	block    int64
	blocks   int64
	overflow map[hfsFork]map[int64][]hfsRun // by the fork's block that they start with
}

var errHFSExtents = errors.New("its extents do not cover it")

// fork makes the content of a fork of the runs in its own record, and of those
// in the tree of extents.
func (s *hfsSpace) fork(id hfsFork, size int64, runs []hfsRun) (unpack.Bytes, error) {
	list, err := s.extents(id, size, runs)
	if err != nil {
		return nil, err
	}
	return unpack.Extents(s.data, list, size)
}

func (s *hfsSpace) extents(id hfsFork, size int64, runs []hfsRun) ([]unpack.Extent, error) {
	var list []unpack.Extent
	off := int64(0)
	for off < size {
		before := off
		for _, r := range runs {
			if r.count == 0 || off >= size {
				break
			}
			if r.start+r.count > s.blocks {
				return nil, fmt.Errorf("its blocks lie outside of the volume")
			}
			n := min(r.count*s.block, size-off)
			list = append(list, unpack.Extent{Offset: off, Size: n, From: s.base + r.start*s.block})
			off += r.count * s.block
		}
		if off >= size {
			break
		}
		if runs = s.overflow[id][off/s.block]; off == before || runs == nil {
			return nil, errHFSExtents
		}
	}
	return list, nil
}

// more notes runs of the tree of extents.
func (s *hfsSpace) more(id hfsFork, start int64, runs []hfsRun) {
	if s.overflow[id] == nil {
		s.overflow[id] = map[int64][]hfsRun{}
	}
	s.overflow[id][start] = runs
}

// hfsCatalog collects the files and folders of a catalog, until all are known.
type hfsCatalog struct {
	g       *unpack.Gatherer
	name    string // of the format
	folders map[uint32]*hfsFolder
	files   []hfsFile
	room    int64
}

type hfsFolder struct {
	parent uint32
	entry  unpack.Entry // with its name in place of the path
	path   string
	state  int // 1 while its path is looked for, 2 when it is known
}

type hfsFile struct {
	parent uint32
	id     uint32
	entry  unpack.Entry // with its name in place of the path
	rsrc   unpack.Bytes // resource fork
	bad    error        // of the resource fork
	link   uint32       // inode of a hard link
}

const hfsRoot = 2

// path of a folder; false if it has none.
func (c *hfsCatalog) path(id uint32) (string, bool) {
	f := c.folders[id]
	switch {
	case id == hfsRoot:
		return "", true
	case f == nil || f.state == 1:
		return "", false
	case f.state == 2:
		return f.path, true
	}
	f.state = 1 // until it is known: folders in a ring have no path
	dir, ok := c.path(f.parent)
	if !ok || len(dir) > 1<<15 {
		return "", false
	}
	var err error
	if f.path, err = unpack.JoinName(dir, f.entry.Path); err != nil {
		c.g.Damage(fmt.Errorf("%s: %w", c.name, err))
	}
	f.state = 2
	return f.path, true
}

// place gives an entry its path in a folder.
func (c *hfsCatalog) place(e *unpack.Entry, parent uint32) {
	dir, ok := c.path(parent)
	if !ok {
		c.g.Damage(fmt.Errorf("%s: the folder of %q is missing", c.name, e.Path))
		dir = "[lost]"
	}
	path, err := unpack.JoinName(dir, e.Path)
	if err != nil {
		c.g.Damage(fmt.Errorf("%s: %w", c.name, err))
	}
	e.Path = path
}

// finish gives everything to the gatherer.
func (c *hfsCatalog) finish() {
	if f := c.folders[hfsRoot]; f != nil {
		root := f.entry
		root.Path = "."
		c.g.Add(root)
	} else {
		c.g.Damage(fmt.Errorf("%s: the root folder is missing", c.name))
	}
	for id, f := range c.folders {
		if id != hfsRoot {
			e := f.entry
			c.place(&e, f.parent)
			c.g.Add(e)
		}
	}
	for _, f := range c.files {
		c.place(&f.entry, f.parent)
		if f.entry.Err != nil && !errors.Is(f.entry.Err, unpack.ErrUnsupported) {
			c.g.Damage(fmt.Errorf("%q: %w", f.entry.Path, f.entry.Err))
		}
		if !c.g.Add(f.entry) {
			return
		}
		if f.rsrc != nil || f.bad != nil {
			c.g.Add(unpack.Entry{Path: f.entry.Path + ":rsrc", Mode: 0o644, ModTime: f.entry.ModTime, Order: f.entry.Order, Data: f.rsrc, Err: f.bad})
		}
	}
}
