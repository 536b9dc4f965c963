package volume

import (
	"fmt"
	"io/fs"
	"slices"

	"github.com/doorward/doorward/internal/unpack"
)

// isoRanks orders the sorts of trees by how much they can say.
var isoRanks = []string{"rock ridge", "udf", "joliet", "enhanced", "supplementary", "plain"}

// allTrees shows the richest tree of the newest session in full. Of the others,
// and of earlier sessions, it shows the files whose content is in no tree
// before: in a folder of their own, since no system shows both at once.
func (d *iso) allTrees(vds []isoVD) {
	for i := range vds {
		if v := &vds[i]; i > 0 {
			if err := d.checkRoot(v); err != nil {
				d.g.Damage(fmt.Errorf("iso9660: the root folder (%s): %w", v.name, err))
			}
		}
	}
	rank := func(v isoVD) int {
		r := slices.Index(isoRanks, v.name)
		if v.session {
			r += len(isoRanks)
		}
		return r
	}
	slices.SortStableFunc(vds, func(a, b isoVD) int { return rank(a) - rank(b) })
	for i := range vds {
		v := &vds[i]
		switch {
		case v.session:
			d.lesser(v, fmt.Sprintf("[session at sector %d]", v.sector), true)
			continue
		case i == 0:
			d.main(v)
		default:
			d.lesser(v, "["+v.name+"]", false)
		}
		d.trees = append(d.trees, v.name)
	}
}

// main shows a tree in full.
func (d *iso) main(v *isoVD) {
	root := unpack.Entry{Path: ".", Mode: fs.ModeDir | 0o555, ModTime: v.root.time}
	self, _, err := parseRecord(unpack.ReadSome(d.data, (v.root.blocks+int64(v.root.xattr))*v.block, isoSector))
	if err == nil && v.susp {
		if rock := d.rockOf(v, self.system, v.own); rock.typed() {
			root.Mode, root.UID, root.GID = unpack.UnixMode(rock.mode), int(rock.uid), int(rock.gid)
		}
	}
	d.g.Add(root)
	d.tree(v, func(n *isoNode) bool {
		e, place := d.entry(v, n)
		if place.size > 0 {
			d.known[place] = true
			d.byExtent[place.at] = place.size
		}
		return d.g.Add(e)
	})
}

// lesser shows the files of a tree whose content is not in the tree yet.
func (d *iso) lesser(v *isoVD, folder string, deleted bool) {
	count := 0
	d.tree(v, func(n *isoNode) bool {
		e, place := d.entry(v, n)
		if place.size == 0 || d.known[place] {
			return true
		}
		d.known[place] = true
		d.byExtent[place.at] = place.size
		count++
		e.Path, e.Layer, e.Deleted = folder+"/"+e.Path, v.name, deleted
		return d.g.Add(e)
	})
	if count > 0 {
		d.o.Info["only in "+folder[1:len(folder)-1]] = fmt.Sprintf("%d files", count)
	}
}
