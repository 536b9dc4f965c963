package volume

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// Types of a volume's records, in the upper four bits of the first number of
// the key.
const (
	apfsInode  = 3
	apfsXattr  = 4
	apfsExtent = 8
	apfsName   = 9
)

const (
	apfsRootDir    = 2
	apfsCompressed = 0x20 // a flag of BSD
	apfsAttrStream = 1
	apfsLinkAttr   = "com.apple.fs.symlink"
	apfsForkAttr   = "com.apple.ResourceFork"
	apfsMaxAttr    = 1 << 20
)

// apfsFile is what an inode says.
type apfsFile struct {
	entry      unpack.Entry
	stream     uint64 // number of its extents
	size       int64
	compressed bool
	order      int64
	bad        error
}

// apfsStream is an attribute whose value lies in extents.
type apfsStream struct {
	number uint64
	size   int64
}

type apfsEntry struct {
	parent, file uint64
	name         string
}

type apfsVol struct {
	a       *apfs
	places  map[uint64]uint64
	folding bool // names have a hash
	inodes  map[uint64]*apfsFile
	names   []apfsEntry
	extents map[uint64][]unpack.Extent
	attrs   map[uint64]map[string]string
	streams map[uint64]map[string]apfsStream
	g       *unpack.Gatherer
	room    int64 // records that may still be kept
}

func newAPFSVolume(a *apfs, places map[uint64]uint64, folding bool) *apfsVol {
	return &apfsVol{a: a, places: places, folding: folding, inodes: map[uint64]*apfsFile{}, extents: map[uint64][]unpack.Extent{}, attrs: map[uint64]map[string]string{},
		streams: map[uint64]map[string]apfsStream{}, g: unpack.NewGatherer(a.in), room: 8*a.in.Budget.Limits.Files + 1000}
}

// read takes all records of the volume's tree.
func (v *apfsVol) read(root uint64) error {
	tree := apfsTree{a: v.a, place: func(oid uint64) (uint64, error) {
		if at, ok := v.places[oid]; ok {
			return at, nil
		}
		return 0, fmt.Errorf("%w: object %d is in no map", errAPFS, oid)
	}}
	return tree.walk(root, func(key, val []byte) error {
		if len(key) < 8 {
			return errAPFS
		}
		if v.room--; v.room < 0 {
			return fmt.Errorf("%w: more than %d files (raise it with --limit-files)", unpack.ErrLimit, v.a.in.Budget.Limits.Files)
		}
		n := binary.LittleEndian.Uint64(key)
		id := n & (1<<60 - 1)
		ok := true
		switch n >> 60 {
		case apfsInode:
			ok = v.inode(id, val)
		case apfsXattr:
			ok = v.xattr(id, key[8:], val)
		case apfsExtent:
			ok = v.extent(id, key[8:], val)
		case apfsName:
			ok = v.name(id, key[8:], val)
		}
		if !ok {
			return fmt.Errorf("%w: a record of the object %d", errAPFS, id)
		}
		return nil
	})
}

func apfsTime(b []byte) time.Time {
	n := int64(binary.LittleEndian.Uint64(b))
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func (v *apfsVol) inode(id uint64, b []byte) bool {
	le := binary.LittleEndian
	if len(b) < 92 || v.inodes[id] != nil {
		return false
	}
	f := &apfsFile{stream: le.Uint64(b[8:]), compressed: le.Uint32(b[68:])&apfsCompressed != 0}
	f.entry = unpack.Entry{ModTime: apfsTime(b[24:]), UID: int(le.Uint32(b[72:])), GID: int(le.Uint32(b[76:])), Mode: unpack.UnixMode(uint32(le.Uint16(b[80:])))}
	if !f.entry.Mode.IsDir() && int32(le.Uint32(b[56:])) > 1 {
		f.entry.Inode = id
	}
	v.inodes[id] = f
	x := b[92:]
	if len(x) < 4 {
		return true
	}
	n := int(le.Uint16(x))
	if 4+4*n > len(x) {
		return false
	}
	for at, i := 4+4*n, 0; i < n; i++ {
		kind, size := x[4+4*i], int(le.Uint16(x[6+4*i:]))
		if at+size > len(x) {
			return false
		}
		switch p := x[at : at+size]; {
		case kind == 8 && size >= 8:
			f.size = int64(min(le.Uint64(p), 1<<62))
		case kind == 14 && size >= 4:
			dev := le.Uint32(p)
			f.entry.Major, f.entry.Minor = dev>>24, dev&0xffffff
		}
		at += (size + 7) &^ 7
	}
	return true
}

func (v *apfsVol) xattr(id uint64, key, b []byte) bool {
	le := binary.LittleEndian
	if len(key) < 2 || len(b) < 4 || int(le.Uint16(key)) > len(key)-2 {
		return false
	}
	name, flags, n := unpack.CString(key[2:2+int(le.Uint16(key))]), le.Uint16(b), int(le.Uint16(b[2:]))
	if n > len(b)-4 {
		return false
	}
	val := b[4 : 4+n]
	if flags&apfsAttrStream == 0 {
		if v.attrs[id] == nil {
			v.attrs[id] = map[string]string{}
		}
		v.attrs[id][name] = string(val)
		return true
	}
	if n < 16 {
		return false
	}
	if v.streams[id] == nil {
		v.streams[id] = map[string]apfsStream{}
	}
	v.streams[id][name] = apfsStream{le.Uint64(val), int64(min(le.Uint64(val[8:]), 1<<62))}
	return true
}

func (v *apfsVol) extent(id uint64, key, b []byte) bool {
	le := binary.LittleEndian
	if len(key) < 8 || len(b) < 16 {
		return false
	}
	off, n, at := le.Uint64(key), le.Uint64(b)&(1<<56-1), le.Uint64(b[8:])
	if off > 1<<60 || at >= uint64(v.a.blocks) || n > 1<<60 {
		return false
	}
	e := unpack.Extent{Offset: int64(off), Size: int64(n), From: int64(at) * v.a.block}
	if at == 0 {
		e.From = unpack.Hole
	}
	v.extents[id] = append(v.extents[id], e)
	return true
}

func (v *apfsVol) name(id uint64, key, b []byte) bool {
	le := binary.LittleEndian
	head, n := 2, 0
	if v.folding {
		head = 4
	}
	if len(key) < head || len(b) < 18 {
		return false
	}
	if n = int(le.Uint16(key)); v.folding {
		n = int(le.Uint32(key) & 0x3ff)
	}
	if n == 0 || n > len(key)-head {
		return false
	}
	v.names = append(v.names, apfsEntry{id, le.Uint64(b), unpack.CString(key[head : head+n])})
	return true
}

// content maps a stream.
func (v *apfsVol) content(stream uint64, size int64) (unpack.Bytes, error) {
	list := append([]unpack.Extent(nil), v.extents[stream]...)
	covered := int64(0)
	for i := range list {
		e := &list[i]
		covered += e.Size
		if rest := size - e.Offset; e.Size > rest { // the last block is not full
			e.Size = max(rest, 0)
		}
	}
	if covered < size {
		return nil, fmt.Errorf("%w: %d of %d bytes have no place", errAPFS, size-covered, size)
	}
	return unpack.Extents(v.a.data, list, size)
}

// attr is an attribute, wherever its value lies.
func (v *apfsVol) attr(id uint64, name string) (unpack.Bytes, error) {
	if s, ok := v.attrs[id][name]; ok {
		return unpack.Slice(s), nil
	}
	s, ok := v.streams[id][name]
	if !ok {
		return nil, nil
	}
	return v.content(s.number, s.size)
}

// finish makes entries of the names.
func (v *apfsVol) finish(o *unpack.Object) {
	for id, f := range v.inodes {
		if err := v.complete(id, f); err != nil {
			f.entry.Err = fmt.Errorf("apfs: %w", err)
			if f.entry.Mode.IsDir() {
				v.g.Damage(fmt.Errorf("object %d: %w", id, err))
			}
		}
	}
	parents := map[uint64]apfsEntry{}
	for _, n := range v.names {
		if n.parent == 1 && n.file == apfsRootDir {
			continue // its name is "root"
		}
		if f := v.inodes[n.file]; f != nil && f.entry.Mode.IsDir() {
			if _, twice := parents[n.file]; twice || n.file == apfsRootDir {
				v.g.Damage(fmt.Errorf("the folder %d has two names", n.file))
				continue
			}
			parents[n.file] = n
		}
	}
	paths := map[uint64]string{apfsRootDir: ""}
	seen := map[uint64]bool{apfsRootDir: true}
	for _, n := range v.names {
		if n.parent == 1 && n.file == apfsRootDir {
			continue
		}
		dir, ok := v.path(n.parent, parents, paths, 0)
		f := v.inodes[n.file]
		switch {
		case f == nil:
			v.g.Damage(fmt.Errorf("%q: its inode %d is missing", n.name, n.file))
			continue
		case !ok:
			if n.parent != 1 { // beside the root lies what the system keeps for itself
				v.g.Damage(fmt.Errorf("%q: its folder %d is missing", n.name, n.parent))
			}
			continue
		}
		e := f.entry
		path, err := unpack.JoinName(dir, n.name)
		if err != nil {
			v.g.Damage(err)
		}
		e.Path = path
		seen[n.file] = true
		if !v.g.Add(e) {
			break
		}
		if rsrc, err := v.attr(n.file, apfsForkAttr); rsrc != nil && err == nil && rsrc.Size() > 0 && !f.compressed && e.Mode.IsRegular() {
			v.g.Add(unpack.Entry{Path: path + "/..namedfork/rsrc", Mode: 0o644, Data: rsrc, ModTime: e.ModTime})
		}
	}
	v.orphans(seen, parents)
	v.g.Finish(o)
}

// orphans are files without a name: damage, unless they are folders of the
// system's own.
func (v *apfsVol) orphans(seen map[uint64]bool, parents map[uint64]apfsEntry) {
	for id, f := range v.inodes {
		if !seen[id] && id >= 16 && f.entry.Mode.IsRegular() {
			e := f.entry
			e.Path, e.Deleted = fmt.Sprintf("[files without a name]/%d", id), true
			v.g.Add(e)
		}
	}
}

// path is where a folder lies.
func (v *apfsVol) path(id uint64, parents map[uint64]apfsEntry, paths map[uint64]string, depth int) (string, bool) {
	if p, ok := paths[id]; ok {
		return p, p != "\x00"
	}
	n, ok := parents[id]
	if !ok || depth > 512 {
		return "", false
	}
	paths[id] = "\x00" // a ring ends here
	dir, ok := v.path(n.parent, parents, paths, depth+1)
	if !ok {
		return "", false
	}
	p, _ := unpack.JoinName(dir, n.name)
	paths[id] = p
	return p, true
}

// complete opens the content of a file, its attributes, or where a link leads.
func (v *apfsVol) complete(id uint64, f *apfsFile) error {
	e := &f.entry
	for name, val := range v.attrs[id] {
		if name != apfsLinkAttr && name != hfsCompressed && name != apfsForkAttr {
			if e.Xattrs == nil {
				e.Xattrs = map[string]string{}
			}
			e.Xattrs[name] = val
		}
	}
	for name, s := range v.streams[id] {
		if name == hfsCompressed || name == apfsForkAttr {
			continue
		}
		b, err := v.content(s.number, s.size)
		if err == nil {
			var all []byte
			if all, err = unpack.ReadAll(b, apfsMaxAttr); err == nil {
				if e.Xattrs == nil {
					e.Xattrs = map[string]string{}
				}
				e.Xattrs[name] = string(bytes.Clone(all))
			}
		}
		if err != nil {
			v.g.Damage(fmt.Errorf("the attribute %s of %d: %w", name, id, err))
		}
	}
	switch {
	case e.Mode&fs.ModeSymlink != 0:
		s, ok := v.attrs[id][apfsLinkAttr]
		if !ok {
			return errors.New("a link without a target")
		}
		e.Link = strings.TrimRight(s, "\x00")
	case !e.Mode.IsRegular():
	case f.compressed:
		return v.compressed(id, e)
	case f.size > 0:
		if list := v.extents[f.stream]; len(list) > 0 {
			e.Order = list[0].From
		}
		b, err := v.content(f.stream, f.size)
		if err != nil {
			return err
		}
		e.Data = b
	}
	return nil
}

// compressed opens a file that macOS compressed, as on HFS+.
func (v *apfsVol) compressed(id uint64, e *unpack.Entry) error {
	head, err := v.attr(id, hfsCompressed)
	if err != nil || head == nil {
		return errors.Join(err, errDecmpfs)
	}
	b, err := unpack.ReadAll(head, apfsMaxAttr)
	if err != nil {
		return err
	}
	rsrc, err := v.attr(id, apfsForkAttr)
	if err != nil {
		return err
	}
	if e.Data, err = decmpfs(b, rsrc); err != nil {
		e.Data = nil
	}
	return err
}
