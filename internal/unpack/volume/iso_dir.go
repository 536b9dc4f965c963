package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// isoRecord is a directory record (ECMA-119 9.1).
type isoRecord struct {
	blocks  int64 // first logical block
	xattr   int   // blocks of the extended attribute record before the data
	size    int64
	time    time.Time
	flags   byte
	inter   bool // interleaved
	name    string
	system  []byte // system use area
	differs bool   // the two byte orders of a number do
}

// Flags of a record.
const (
	isoDir        = 0x02
	isoAssociated = 0x04
	isoMore       = 0x80 // another extent follows
)

func (r isoRecord) dir() bool { return r.flags&isoDir != 0 }

var errRecord = errors.New("a damaged directory record")

// parseRecord reads the record at the start of p; n is its length.
func parseRecord(p []byte) (r isoRecord, n int, err error) {
	if len(p) < 34 {
		return r, 0, errRecord
	}
	n = int(p[0])
	id := int(p[32])
	if n < 34 || n > len(p) || id == 0 || 33+id > n {
		return r, n, errRecord
	}
	le, be := binary.LittleEndian, binary.BigEndian
	r = isoRecord{
		blocks: int64(le.Uint32(p[2:])), xattr: int(p[1]), size: int64(le.Uint32(p[10:])),
		time: isoShortTime(p[18:25]), flags: p[25], inter: p[26] != 0 || p[27] != 0, name: string(p[33 : 33+id]),
		differs: le.Uint32(p[2:]) != be.Uint32(p[6:]) || le.Uint32(p[10:]) != be.Uint32(p[14:]),
	}
	if at := 33 + id + (id+1)%2; at < n {
		r.system = p[at:n]
	}
	return r, n, nil
}

// isoNode is a file of a tree with all its extents.
type isoNode struct {
	isoRecord
	parts []isoRecord // all extents, if there are several
	rock  rockInfo
	path  string
}

type isoFolder struct {
	path   string
	blocks int64
	xattr  int
	size   int64
}

// tree walks one tree of the disc. add gets every node but the root and returns
// false to stop; folders are entered in any case.
func (d *iso) tree(v *isoVD, add func(n *isoNode) bool) {
	seen := map[int64]bool{v.root.blocks: true}
	todo := []isoFolder{{"", v.root.blocks, v.root.xattr, v.root.size}}
	for len(todo) > 0 && !d.g.Stop() {
		f := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		err := d.list(v, f, func(n *isoNode) bool {
			if n.rock.relocated && n.dir() {
				return true // it is shown where it belongs
			}
			if sub, ok := d.subfolder(v, n); ok {
				if seen[sub.blocks] {
					d.g.Damage(fmt.Errorf("iso9660: folder %q is in the tree already: a loop", n.path))
					return !d.g.Stop()
				}
				seen[sub.blocks] = true
				todo = append(todo, sub)
			}
			return add(n)
		})
		if err != nil {
			d.g.Damage(fmt.Errorf("iso9660: folder %q (%s): %w", "/"+f.path, v.name, err))
		}
	}
}

// subfolder is where a folder's list is; a relocated one is elsewhere.
func (d *iso) subfolder(v *isoVD, n *isoNode) (isoFolder, bool) {
	if n.rock.child == 0 {
		return isoFolder{n.path, n.blocks, n.xattr, n.size}, n.dir()
	}
	p := unpack.ReadSome(d.data, n.rock.child*v.block, isoSector)
	self, _, err := parseRecord(p)
	if err != nil || self.name != "\x00" || !self.dir() || self.blocks != n.rock.child {
		d.g.Damage(fmt.Errorf("iso9660: folder %q was moved to where none is", n.path))
		return isoFolder{}, false
	}
	// Its own entry for itself has the attributes that the name lacks.
	rock := d.rockOf(v, self.system, v.skip)
	rock.name, n.flags = n.rock.name, n.flags|isoDir
	n.rock = rock
	return isoFolder{n.path, self.blocks, self.xattr, self.size}, true
}

// list calls f with the nodes of a folder.
func (d *iso) list(v *isoVD, dir isoFolder, f func(n *isoNode) bool) error {
	// Folders that overlap would list the same bytes again and again.
	if d.listed += dir.size; d.listed > 4*d.data.Size() {
		return errors.New("folders take more room than there is")
	}
	at := (dir.blocks + int64(dir.xattr)) * v.block
	var last *isoNode // a file of which another extent follows
	names := map[string]bool{}
	for end := at + dir.size; at < end; at += isoSector {
		b, err := unpack.ReadFull(d.data, at, min(isoSector, end-at))
		if err != nil {
			return err
		}
		for len(b) > 0 && b[0] != 0 {
			r, n, err := parseRecord(b)
			if err != nil {
				return err
			}
			b = b[n:]
			if r.name == "\x00" || r.name == "\x01" {
				continue
			}
			r.system = append([]byte(nil), r.system...)
			if last != nil {
				if r.name == last.name {
					last.parts = append(last.parts, r)
				} else {
					d.g.Damage(fmt.Errorf("iso9660: %q lacks its last extent", last.path))
				}
			} else {
				last = &isoNode{isoRecord: r, parts: []isoRecord{r}}
			}
			if r.flags&isoMore != 0 && len(last.parts) < 4096 {
				continue
			}
			node := last
			last = nil
			d.name(v, dir.path, node, names)
			if !f(node) {
				return nil
			}
		}
	}
	return nil
}

// name gives a node its path in a folder, and its attributes.
func (d *iso) name(v *isoVD, dir string, n *isoNode, names map[string]bool) {
	name := n.isoRecord.name
	if v.wide {
		name = ucs2([]byte(name))
	}
	if v.susp {
		n.rock = d.rockOf(v, n.system, v.skip)
	}
	if v.susp && n.rock.name != "" {
		name = n.rock.name
	} else if !n.dir() {
		name = plainName(name, names, v.name == "plain")
	}
	if n.flags&isoAssociated != 0 {
		name += ":rsrc" // the resource fork of a file of the same name
	}
	if n.differs {
		d.g.Damage(fmt.Errorf("iso9660: the two byte orders of %q disagree", name))
	}
	path, err := unpack.JoinName(dir, name)
	if err != nil {
		d.g.Damage(fmt.Errorf("iso9660: %w", err))
	}
	n.path = path
}

// plainName takes the version off a name, unless there are several of them, and
// the dot of a name without an extension.
func plainName(name string, names map[string]bool, dot bool) string {
	base := name
	if at := strings.LastIndexByte(name, ';'); at > 0 {
		if _, err := strconv.Atoi(name[at+1:]); err == nil {
			base = name[:at]
		}
	}
	if dot && len(base) > 1 && strings.Count(base, ".") == 1 {
		base = strings.TrimSuffix(base, ".")
	}
	if names[base] {
		return name
	}
	names[base] = true
	return base
}

// content is what a node holds, and where on the disc.
func (d *iso) content(v *isoVD, n *isoNode) (unpack.Bytes, isoPlace, error) {
	var list []unpack.Extent
	size := int64(0)
	for _, r := range n.parts {
		if r.inter {
			return nil, isoPlace{}, fmt.Errorf("iso9660: an interleaved file: %w", unpack.ErrUnsupported)
		}
		from := (r.blocks + int64(r.xattr)) * v.block
		list = append(list, unpack.Extent{Offset: size, Size: r.size, From: from})
		size += r.size
		if !v.session {
			d.end = max(d.end, from+r.size)
		}
	}
	place := isoPlace{list[0].From, size}
	if size == 0 {
		return nil, place, nil
	}
	data, err := unpack.Extents(d.data, list, size)
	if err != nil {
		return nil, place, fmt.Errorf("iso9660: it lies outside of the disc: %w", err)
	}
	if n.rock.zisofs != nil {
		z, err := newZisofs(data, *n.rock.zisofs, d.zisofs)
		if err != nil {
			return nil, place, err
		}
		z.id = list[0].From
		return lateZisofs{z}, place, nil
	}
	return data, place, nil
}

// entry makes an entry of a node.
func (d *iso) entry(v *isoVD, n *isoNode) (e unpack.Entry, place isoPlace) {
	e = unpack.Entry{Path: n.path, Mode: 0o555, ModTime: n.time, Order: n.blocks * v.block}
	if n.dir() {
		e.Mode |= fs.ModeDir
	}
	if n.rock.attributes {
		e.Mode = unpack.UnixMode(n.rock.mode)
		e.UID, e.GID = int(n.rock.uid), int(n.rock.gid)
	}
	if !n.rock.time.IsZero() {
		e.ModTime = n.rock.time
	}
	e.Link = n.rock.link
	e.Major, e.Minor = n.rock.major, n.rock.minor
	if n.dir() != e.Mode.IsDir() {
		d.g.Damage(fmt.Errorf("iso9660: %q is a folder in one place and none in another", n.path))
		e.Mode = e.Mode.Perm()
		if n.dir() {
			e.Mode |= fs.ModeDir
		}
	}
	if n.rock.err != nil {
		e.Err = fmt.Errorf("iso9660: %q: %w", n.path, n.rock.err)
		d.g.Damage(e.Err)
	}
	if !e.Mode.IsRegular() {
		return e, place
	}
	var err error
	if e.Data, place, err = d.content(v, n); err != nil {
		e.Err = err
		if !errors.Is(err, unpack.ErrUnsupported) {
			d.g.Damage(fmt.Errorf("%q: %w", n.path, err))
		}
	}
	if n.rock.links > 1 && place.size > 0 {
		if e.Inode = uint64(n.rock.inode); e.Inode == 0 {
			e.Inode = uint64(place.at)
		}
	}
	return e, place
}
