package linuxfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// btrfsTree is a subvolume or a snapshot, or the tree that holds them all.
type btrfsTree struct {
	b    *btrfs
	id   uint64
	path string // in the whole file system
	root btrfsRoot
	mark []byte // the root block, which tells it from all others
}

// btrfsInode is an inode of a tree.
type btrfsInode struct {
	tree   *btrfsTree
	number uint64
	item   []byte
	mode   fs.FileMode
	size   int64
}

// walk lists all trees: subvolumes are found in the folders of others. All of
// them share one gatherer, and so the limits; Layer tells them apart until
// split.
func (b *btrfs) walk(g *unpack.Gatherer) {
	b.addTree(btrfsFSTree, "", g)
	for i := 0; i < len(b.trees) && !g.Stop(); i++ {
		t := b.trees[i]
		walk("btrfs", "", btrfsFirst, func(n uint64) (inode, error) { return t.inode(n, g) }, g)
	}
}

// addTree takes a tree, once.
func (b *btrfs) addTree(id uint64, path string, g *unpack.Gatherer) {
	for _, t := range b.trees {
		if t.id == id {
			return
		}
	}
	const most = 10_000
	root, err := b.root(id)
	t := &btrfsTree{b: b, id: id, path: path, root: root}
	if err == nil {
		t.mark, err = b.node(root, nil)
	}
	switch {
	case err != nil:
		g.Damage(fmt.Errorf("btrfs: subvolume %q: %w", path, err))
	case len(b.trees) >= most:
		g.Damage(fmt.Errorf("%w: more than %d subvolumes", unpack.ErrLimit, most))
	default:
		b.trees = append(b.trees, t)
	}
}

// split makes a part of every subvolume: each is a file system of its own, and
// is usually mounted as such.
func (b *btrfs) split(o *unpack.Object) {
	if len(b.trees) < 2 {
		return
	}
	by := map[string][]unpack.Entry{}
	for _, e := range o.Entries {
		layer := e.Layer
		e.Layer = ""
		by[layer] = append(by[layer], e)
	}
	o.Entries = by[""]
	for _, t := range b.trees[1:] {
		info := map[string]string{"subvolume": fmt.Sprint(t.id)}
		o.Parts = append(o.Parts, unpack.Part{Name: t.path, Data: unpack.Slice(t.mark), Offset: -1, Info: info,
			Object: &unpack.Object{Format: "btrfs subvolume", Size: int64(len(t.mark)), Info: info, System: true, Entries: by[t.path]}})
	}
}

// subvolume is a folder that is the root of another tree. In a snapshot, where
// the other tree was not copied, it is an empty folder.
const btrfsSubvolume = 1 << 63

// inode reads an inode. The number of a subvolume's root is the tree's, with a
// mark.
func (t *btrfsTree) inode(number uint64, g *unpack.Gatherer) (inode, error) {
	if number&btrfsSubvolume != 0 {
		return &btrfsMount{t, number &^ btrfsSubvolume, g}, nil
	}
	return t.load(number)
}

func (t *btrfsTree) load(number uint64) (*btrfsInode, error) {
	key := btrfsKey{number, btrfsInodeItem, 0}
	found, p, _, err := t.b.floor(t.root, key)
	if err == nil && (found != key || len(p) < 160) {
		err = errors.New("it is not there")
	}
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	mode := le.Uint32(p[52:])
	i := &btrfsInode{tree: t, number: number, item: p, mode: unpack.UnixMode(mode), size: int64(le.Uint64(p[16:]))}
	if i.mode.Type() == 0 && mode>>12 != 8 || i.size < 0 {
		return nil, fmt.Errorf("inode %d: damaged", number)
	}
	return i, nil
}

// btrfsMount is the folder of a subvolume in another.
type btrfsMount struct {
	in *btrfsTree
	id uint64
	g  *unpack.Gatherer
}

func (m *btrfsMount) isDir() bool                                 { return true }
func (m *btrfsMount) list(func(name string, n uint64) bool) error { return nil }

func (m *btrfsMount) entry(p string) (unpack.Entry, error) {
	e := unpack.Entry{Path: p, Mode: fs.ModeDir | 0o755, Layer: m.in.path}
	ref := false
	err := m.in.b.each(m.in.b.roots, btrfsKey{m.in.id, btrfsRootRef, m.id}, func(k btrfsKey, _ []byte) bool {
		ref = k == btrfsKey{m.in.id, btrfsRootRef, m.id}
		return false
	})
	if err == nil && ref {
		path := p
		if m.in.path != "" {
			path = m.in.path + "/" + p
		}
		m.in.b.addTree(m.id, path, m.g)
	}
	return e, err
}

func (i *btrfsInode) isDir() bool { return i.mode.IsDir() }

// list calls found with the names of a folder, in the order in which they were
// made.
func (i *btrfsInode) list(found func(name string, number uint64) bool) error {
	var damaged error
	err := i.tree.b.each(i.tree.root, btrfsKey{i.number, btrfsDirIndex, 0}, func(k btrfsKey, p []byte) bool {
		if k.object != i.number || k.kind != btrfsDirIndex {
			return false
		}
		if len(p) < 30 || 30+int(le.Uint16(p[27:])) > len(p) {
			damaged = errors.New("a damaged name")
			return true
		}
		to := btrfsKeyAt(p)
		if to.object >= btrfsSubvolume {
			damaged = errors.New("a damaged name")
			return true
		}
		if to.kind == btrfsRootItem {
			to.object |= btrfsSubvolume
		}
		return found(string(p[30:30+int(le.Uint16(p[27:]))]), to.object)
	})
	return errors.Join(err, damaged)
}

// entry makes an entry of an inode.
func (i *btrfsInode) entry(p string) (e unpack.Entry, err error) {
	mtime := i.item[136:]
	e = unpack.Entry{Path: p, Mode: i.mode, UID: int(le.Uint32(i.item[44:])), GID: int(le.Uint32(i.item[48:])), Layer: i.tree.path,
		ModTime: time.Unix(int64(le.Uint64(mtime)), int64(le.Uint32(mtime[8:])))}
	if !i.mode.IsDir() {
		e.Inode = i.number
	}
	if e.Xattrs, err = i.xattrs(); err != nil {
		err = fmt.Errorf("extended attributes: %w", err)
	}
	e.Order = i.place()
	switch {
	case i.mode.IsRegular():
		if i.size > 0 {
			e.Data, e.Err = i.open()
		}
	case i.mode&fs.ModeSymlink != 0:
		e.Link, e.Err = i.target()
	case i.mode&fs.ModeDevice != 0:
		e.Major, e.Minor = i.device()
	}
	return e, err
}

// device parts the number of a device, which is the kernel's own.
func (i *btrfsInode) device() (major, minor uint32) {
	dev := le.Uint64(i.item[56:])
	return uint32(dev >> 20), uint32(dev & (1<<20 - 1))
}

// xattrs reads the extended attributes. Those with the same hash share an item.
func (i *btrfsInode) xattrs() (list map[string]string, err error) {
	var damaged error
	err = i.tree.b.each(i.tree.root, btrfsKey{i.number, btrfsXattrItem, 0}, func(k btrfsKey, p []byte) bool {
		if k.object != i.number || k.kind != btrfsXattrItem {
			return false
		}
		for len(p) > 0 {
			if len(p) < 30 || 30+int(le.Uint16(p[25:]))+int(le.Uint16(p[27:])) > len(p) {
				damaged = errors.New("a damaged item")
				return true
			}
			nameEnd := 30 + int(le.Uint16(p[27:]))
			end := nameEnd + int(le.Uint16(p[25:]))
			if i.tree.b.xattrBytes += end; i.tree.b.xattrBytes > unpack.MaxXattrs {
				damaged = fmt.Errorf("%w: they take too much room", unpack.ErrLimit)
				return false
			}
			if list == nil {
				list = map[string]string{}
			}
			list[strings.Clone(string(p[30:nameEnd]))] = string(p[nameEnd:end])
			p = p[end:]
		}
		return true
	})
	return list, errors.Join(err, damaged)
}
