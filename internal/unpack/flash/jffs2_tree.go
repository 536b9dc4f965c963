package flash

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"

	"github.com/doorward/doorward/internal/unpack"
)

// maxJFFS2Depth bounds the folders within folders.
const maxJFFS2Depth = 256

// jffs2Tree makes paths of names and inodes.
type jffs2Tree struct {
	log     *jffs2Log
	live    map[uint32][]jffs2Name // what a mount shows, by folder
	gone    map[uint32][]jffs2Name // names that were removed
	named   map[uint32]bool        // inodes that a live name leads to
	xattrs  map[uint32]map[string]string
	entries []unpack.Entry
}

func (t *jffs2Tree) build() []unpack.Entry {
	for _, f := range t.log.files {
		f.settle()
	}
	t.sortNames()
	if root := t.log.files[1]; root != nil && root.have {
		t.entries = append(t.entries, t.entry(".", jffs2Name{ino: 1, kind: 4}))
	}
	t.named[1] = true
	t.walk(1, "", 0)
	for _, parent := range slices.Sorted(maps.Keys(t.gone)) {
		t.addGone(parent)
	}
	return t.entries
}

// sortNames decides which names are in force: of one name in one folder the
// highest version, and that only if it has an inode.
func (t *jffs2Tree) sortNames() {
	names := t.log.names
	slices.SortStableFunc(names, func(a, b jffs2Name) int {
		return cmp.Or(cmp.Compare(a.parent, b.parent), cmp.Compare(a.name, b.name), cmp.Compare(b.version, a.version))
	})
	t.live, t.gone = map[uint32][]jffs2Name{}, map[uint32][]jffs2Name{}
	decided := false
	for i, n := range names {
		if i == 0 || names[i-1].parent != n.parent || names[i-1].name != n.name {
			decided = false
		}
		switch {
		case decided || n.obsolete:
			if n.ino != 0 {
				t.gone[n.parent] = append(t.gone[n.parent], n)
			}
		case n.ino != 0:
			t.live[n.parent] = append(t.live[n.parent], n)
		}
		decided = decided || !n.obsolete
	}
}

// walk adds what lies in a folder. A folder is entered once: a second name of
// it would be a loop or a lie.
func (t *jffs2Tree) walk(dir uint32, path string, depth int) {
	for _, n := range t.live[dir] {
		isDir := n.kind == 4
		if isDir && t.named[n.ino] {
			continue
		}
		t.named[n.ino] = true
		t.entries = append(t.entries, t.entry(path+n.name, n))
		if isDir && depth < maxJFFS2Depth {
			t.walk(n.ino, path+n.name+"/", depth+1)
		}
	}
}

// addGone adds the removed files of a folder whose nodes are still there, under
// their last name. A name whose inode lives on was moved, or overwritten with
// the same file.
func (t *jffs2Tree) addGone(parent uint32) {
	path, ok := t.pathOf(parent)
	if !ok {
		return
	}
	for _, n := range t.gone[parent] {
		f := t.log.files[n.ino]
		if t.named[n.ino] || f == nil || !f.have || n.kind == 4 {
			continue
		}
		t.named[n.ino] = true
		e := t.entry(path+n.name, n)
		if t.taken(parent, n.name) {
			e.Path += fmt.Sprintf(".deleted-%d", n.ino)
		}
		e.Deleted = true
		t.entries = append(t.entries, e)
	}
}

func (t *jffs2Tree) taken(parent uint32, name string) bool {
	return slices.ContainsFunc(t.live[parent], func(n jffs2Name) bool { return n.name == name })
}

// pathOf is the path of a folder that is, or was, in the tree.
func (t *jffs2Tree) pathOf(ino uint32) (string, bool) {
	path := ""
	for depth := 0; ino != 1; depth++ {
		n, ok := t.nameOf(ino)
		if !ok || depth > maxJFFS2Depth {
			return "", false
		}
		path = n.name + "/" + path
		ino = n.parent
	}
	return path, true
}

// nameOf finds the last name of a folder.
func (t *jffs2Tree) nameOf(ino uint32) (jffs2Name, bool) {
	if t.log.heads == nil {
		t.log.heads = map[uint32]jffs2Name{}
		for _, n := range t.log.names {
			if old, ok := t.log.heads[n.ino]; n.kind == 4 && (!ok || old.obsolete && !n.obsolete || old.version < n.version) {
				t.log.heads[n.ino] = n
			}
		}
	}
	n, ok := t.log.heads[ino]
	return n, ok
}

// entry makes the entry of a name.
func (t *jffs2Tree) entry(path string, n jffs2Name) unpack.Entry {
	e := unpack.Entry{Path: path, Inode: uint64(n.ino), Mode: direntMode(n.kind)}
	f := t.log.files[n.ino]
	if f == nil || !f.have {
		if !e.Mode.IsDir() {
			e.Err = fmt.Errorf("inode %d has no node left", n.ino)
		}
		return e
	}
	m := f.latest
	e.Mode, e.UID, e.GID, e.ModTime, e.Order = unpack.UnixMode(m.mode), int(m.uid), int(m.gid), unpack.UnixTime(m.mtime), f.first
	e.Xattrs = t.xattrs[n.ino]
	content := &jffs2Content{data: t.log.data, size: int64(m.size), pieces: f.pieces()}
	switch {
	case e.Mode.IsRegular():
		if m.size > 0 {
			e.Data = content
		}
	case e.Mode&fs.ModeSymlink != 0:
		if content.size = int64(m.size); content.size == 0 {
			content.size = int64(m.unpacked)
		}
		b, err := unpack.ReadAll(content, 64<<10)
		e.Link, e.Err = string(b), err
	case e.Mode&fs.ModeDevice != 0:
		content.size = int64(m.unpacked)
		b, err := unpack.ReadAll(content, 16)
		e.Major, e.Minor = deviceNumber(b, t.log.order)
		e.Err = err
	}
	return e
}

// deviceNumber reads a device number of Linux, of the old 16-bit form or the
// new 32-bit one.
func deviceNumber(b []byte, order binary.ByteOrder) (major, minor uint32) {
	switch {
	case len(b) >= 4:
		v := order.Uint32(b)
		return v >> 8 & 0xfff, v&0xff | v>>12&0xfff00
	case len(b) >= 2:
		v := order.Uint16(b)
		return uint32(v >> 8), uint32(v & 0xff)
	}
	return 0, 0
}

// direntMode is the type that a folder states of an entry (DT_REG and so on).
func direntMode(kind byte) fs.FileMode { return unpack.UnixMode(uint32(kind) << 12) }

// settle picks the node whose metadata are in force: the latest that is whole;
// obsolete and damaged ones only if there is no other.
func (f *jffs2File) settle() {
	rank := func(n jffs2Node) int {
		switch {
		case n.damaged:
			return 0
		case n.obsolete:
			return 1
		}
		return 2
	}
	for _, n := range f.parts {
		if !f.have || cmp.Or(cmp.Compare(rank(n), rank(f.latest)), cmp.Compare(n.version, f.latest.version)) > 0 {
			f.latest, f.have = n, true
		}
	}
}

// pieces is which node shows where: of those that cover a place the one with
// the highest version. Nodes that became obsolete count only for a file that
// has no others, damaged ones only where there is nothing else.
func (f *jffs2File) pieces() []jffs2Piece {
	var nodes []jffs2Node
	for _, n := range f.parts {
		if n.damaged {
			n.version = 0
		}
		if n.unpacked > 0 && n.offset < f.limit() && (!n.obsolete || f.latest.obsolete || f.latest.damaged) {
			nodes = append(nodes, n)
		}
	}
	slices.SortStableFunc(nodes, func(a, b jffs2Node) int { return cmp.Compare(a.offset, b.offset) })
	return overlay(nodes)
}

func (f *jffs2File) limit() uint32 {
	if f.latest.mode&0o170000 == 0o100000 {
		return f.latest.size
	}
	return math.MaxUint32
}
