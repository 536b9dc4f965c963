package volume

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// isoRanks orders the sorts of trees by how much they can say.
var isoRanks = []string{"rock ridge", "udf", "joliet", "enhanced", "supplementary", "plain"}

// isoTree is one of the trees of a disc.
type isoTree struct {
	name    string // rock ridge, udf, joliet, enhanced, supplementary, plain
	folder  string // for what only this tree has
	session bool   // it is of an earlier session
	root    func() unpack.Entry
	walk    func(add func(e unpack.Entry, place isoPlace) bool)
}

// allTrees shows the richest tree of the newest session in full. Of the others,
// and of earlier sessions, it shows the files whose content is in no tree
// before: in a folder of their own, since no system shows both at once.
func (d *iso) allTrees(vds []isoVD) {
	var trees []isoTree
	for i := range vds {
		v := &vds[i]
		if i > 0 {
			if err := d.checkRoot(v); err != nil {
				d.g.Damage(fmt.Errorf("iso9660: the root folder (%s): %w", v.name, err))
			}
		}
		t := isoTree{name: v.name, folder: "[" + v.name + "]", session: v.session, root: func() unpack.Entry { return d.rootEntry(v) }}
		if v.session {
			t.folder = fmt.Sprintf("[session at sector %d]", v.sector)
		}
		t.walk = func(add func(unpack.Entry, isoPlace) bool) {
			d.tree(v, func(n *isoNode) bool { return add(d.entry(v, n)) })
		}
		trees = append(trees, t)
	}
	if u := d.bridge(); u != nil {
		trees = append(trees, isoTree{name: "udf", folder: "[udf]", walk: func(add func(unpack.Entry, isoPlace) bool) {
			u.add = add
			u.walk()
		}})
	}
	rank := func(t isoTree) int {
		r := slices.Index(isoRanks, t.name)
		if t.session {
			r += len(isoRanks)
		}
		return r
	}
	slices.SortStableFunc(trees, func(a, b isoTree) int { return rank(a) - rank(b) })
	for i, t := range trees {
		if i == 0 {
			d.main(t)
		} else {
			d.lesser(t)
		}
		if !t.session {
			d.trees = append(d.trees, t.name)
		}
	}
}

// bridge opens the UDF volume of a disc that has both.
func (d *iso) bridge() *udf {
	p := unpack.ReadSome(d.data, isoFirst*isoSector, isoMaxVD*isoSector)
	if !strings.Contains(string(p), "\x00NSR0") {
		return nil
	}
	u, err := newUDF(d.in, d.data, d.g)
	if err != nil {
		d.g.Damage(fmt.Errorf("iso9660: it says that it is UDF too, but is not: %w", err))
		return nil
	}
	d.end = max(d.end, min(u.end, d.data.Size()))
	d.o.Info["udf"] = u.info["revision"]
	return u
}

func (d *iso) rootEntry(v *isoVD) unpack.Entry {
	root := unpack.Entry{Path: ".", Mode: fs.ModeDir | 0o555, ModTime: v.root.time}
	self, _, err := parseRecord(unpack.ReadSome(d.data, (v.root.blocks+int64(v.root.xattr))*v.block, isoSector))
	if err == nil && v.susp {
		if rock := d.rockOf(v, self.system, v.own); rock.typed() {
			root.Mode, root.UID, root.GID = unpack.UnixMode(rock.mode), int(rock.uid), int(rock.gid)
		}
	}
	return root
}

// main shows a tree in full.
func (d *iso) main(t isoTree) {
	if t.root != nil {
		d.g.Add(t.root())
	}
	t.walk(func(e unpack.Entry, place isoPlace) bool {
		d.know(e, place)
		return d.g.Add(e)
	})
}

// know notes where a file's content is, and says if it was not known.
func (d *iso) know(e unpack.Entry, place isoPlace) bool {
	if place.size == 0 || !e.Mode.IsRegular() || d.known[place] {
		return false
	}
	d.known[place] = true
	d.byExtent[place.at] = place.size
	return true
}

// lesser shows the files of a tree whose content is not in the tree yet.
func (d *iso) lesser(t isoTree) {
	count := 0
	t.walk(func(e unpack.Entry, place isoPlace) bool {
		if !d.know(e, place) {
			return true
		}
		count++
		e.Path, e.Layer, e.Deleted = t.folder+"/"+e.Path, t.name, e.Deleted || t.session
		return d.g.Add(e)
	})
	if count > 0 {
		d.o.Info["only in "+strings.Trim(t.folder, "[]")] = fmt.Sprintf("%d files", count)
	}
}
