package flash

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// yaffsNode is what an object is now, or was before it was deleted.
type yaffsNode struct {
	yaffsHeader
	known   bool // it has a header
	deleted bool
	chunks  []yaffsPage // the newest of each chunk, by number
	size    int64
	first   int64 // its first page
	path    string
	placed  bool // path is known, or being looked for
}

// tree makes entries of all objects.
func (y *yaffs) tree() {
	nodes := map[uint32]*yaffsNode{}
	var ids []uint32
	for id, o := range y.objects {
		if len(o.pages) == 0 {
			continue // its only page is a broken header, which was noted
		}
		nodes[id] = y.node(o)
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if id == yaffsLost || id == yaffsUnlinked || id == yaffsDeleted {
			continue
		}
		if !y.entry(id, nodes) {
			return
		}
	}
}

// node reads an object's pages from the newest to the oldest, as the kernel
// does when it mounts (yaffs_yaffs2.c).
func (y *yaffs) node(o *yaffsObject) *yaffsNode {
	y.sort(o.pages)
	n := &yaffsNode{first: o.pages[len(o.pages)-1].number}
	const noLimit = int64(1) << 62
	shrink, seen, grown, headers := noLimit, map[uint32]bool{}, int64(0), 0
	for _, p := range o.pages {
		if p.chunk > 0 {
			start := int64(p.chunk-1) * y.l.room()
			if seen[p.chunk] || start >= shrink {
				continue
			}
			seen[p.chunk] = true
			p.bytes = uint32(min(int64(p.bytes), shrink-start)) // the rest was cut off later
			n.chunks = append(n.chunks, p)
			if !n.known || n.deleted && headers == 1 {
				grown = max(grown, start+int64(p.bytes))
			}
			continue
		}
		h := o.headers[p.number]
		headers++
		gone := h.parent == yaffsUnlinked || h.parent == yaffsDeleted
		switch {
		case !n.known && (gone || p.dead):
			n.deleted, n.known, n.yaffsHeader = true, true, h
		case !n.known, n.deleted && (n.parent == yaffsUnlinked || n.parent == yaffsDeleted) && !gone:
			// The newest header, or the newest before the deletion.
			n.known, n.yaffsHeader, n.size = true, h, max(grown, h.size)
			if !n.deleted || h.size > 0 {
				shrink = min(shrink, n.size)
			}
		case !gone && h.shrink:
			shrink = min(shrink, h.size)
		}
	}
	if !n.known {
		n.size = grown
	}
	sort.Slice(n.chunks, func(i, j int) bool { return n.chunks[i].chunk < n.chunks[j].chunk })
	return n
}

// sort puts the newest page first. In YAFFS 2 blocks are numbered, and filled
// in order. In YAFFS 1 a page is replaced by one with the next serial number,
// and marked as deleted then.
func (y *yaffs) sort(list []yaffsPage) {
	sort.SliceStable(list, func(i, j int) bool {
		a, b := list[i], list[j]
		if y.l.first {
			if a.dead != b.dead {
				return b.dead
			}
			if a.chunk == b.chunk && a.seq != b.seq {
				return a.seq == (b.seq+1)&3
			}
			// Headers first: what they say of the size holds for all chunks.
			return a.chunk < b.chunk
		}
		if a.seq != b.seq {
			return a.seq > b.seq
		}
		return a.number > b.number
	})
}

// place finds the path of a node: those of its parents, up to the root. What
// has no way to the root is in lost+found, as the kernel puts it.
func (y *yaffs) place(id uint32, nodes map[uint32]*yaffsNode) string {
	n := nodes[id]
	if n.placed {
		return n.path
	}
	n.placed = true
	n.path = "lost+found" // for a child that leads back here
	name := n.name
	if name == "" || !n.known {
		name = fmt.Sprintf("obj%d", id)
	}
	dir, lost := "", false
	switch {
	case !n.known:
		lost = true
	case n.parent == yaffsRoot && id != yaffsRoot:
	case n.parent == yaffsLost, n.parent == yaffsUnlinked, n.parent == yaffsDeleted:
		dir = "lost+found"
	default:
		p := nodes[n.parent]
		if p == nil || !p.known || p.kind != yaffsDir || n.parent == id {
			lost = true
			break
		}
		dir = y.place(n.parent, nodes)
		n.deleted = n.deleted || p.deleted
	}
	if lost {
		dir = "lost+found"
		if !n.deleted {
			y.g.Damage(fmt.Errorf("yaffs: object %d (%.40q) is in no folder", id, n.name))
		}
	}
	p, err := unpack.JoinName(dir, name)
	if err != nil {
		y.g.Damage(fmt.Errorf("yaffs: %w", err))
	}
	n.path = p
	return p
}

// entry adds the entry of an object.
func (y *yaffs) entry(id uint32, nodes map[uint32]*yaffsNode) bool {
	n := nodes[id]
	if id == yaffsRoot {
		return y.g.Add(unpack.Entry{Path: ".", Mode: unpack.UnixMode(n.mode), UID: int(n.uid), GID: int(n.gid), ModTime: time.Unix(int64(n.mtime), 0), Xattrs: n.xattrs})
	}
	e := unpack.Entry{Path: y.place(id, nodes), Inode: uint64(id), Order: n.first, Deleted: n.deleted}
	if n.kind == yaffsHardlink {
		t := nodes[n.equal]
		if t == nil || !t.known || t.kind == yaffsHardlink {
			y.g.Damage(fmt.Errorf("yaffs: %q is a hard link to object %d, which is not there", e.Path, n.equal))
			e.Err = fmt.Errorf("a hard link to nothing")
			return y.g.Add(e)
		}
		n, e.Inode = t, uint64(n.equal)
	}
	if n.deleted {
		e.Inode = 0
	}
	e.Mode, e.UID, e.GID = unpack.UnixMode(n.mode), int(n.uid), int(n.gid)
	e.ModTime, e.Xattrs = time.Unix(int64(n.mtime), 0), n.xattrs
	switch n.kind {
	case yaffsSymlink:
		e.Link = n.link
	case yaffsSpecial:
		e.Major, e.Minor = n.device>>8&0xff, n.device&0xff
	case yaffsFile, 0:
		e.Data, e.Err = y.content(n)
		if e.Err != nil {
			y.g.Damage(fmt.Errorf("yaffs: %q: %w", e.Path, e.Err))
		}
	}
	return y.g.Add(e)
}

// content is a file made of its chunks; what has none is a hole.
func (y *yaffs) content(n *yaffsNode) (unpack.Bytes, error) {
	if n.size == 0 {
		return nil, nil
	}
	list := make([]unpack.Extent, 0, len(n.chunks))
	for _, c := range n.chunks {
		start := int64(c.chunk-1) * y.l.room()
		size := min(int64(c.bytes), n.size-start, y.l.room())
		if size <= 0 {
			continue
		}
		e := unpack.Extent{Offset: start, Size: size, From: c.number * y.l.page}
		if last := len(list) - 1; last >= 0 && list[last].Offset+list[last].Size == e.Offset && list[last].From+list[last].Size == e.From {
			list[last].Size += size
			continue
		}
		list = append(list, e)
	}
	return unpack.Extents(y.base, list, n.size)
}
