package disk

import (
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// fatGone is a deleted entry and the folder that it was in.
type fatGone struct {
	dir string
	d   fatDirent
}

// addDeleted adds the deleted files whose clusters are free still, after all
// that is alive is known.
func (f *fatFS) addDeleted() {
	for len(f.deleted) > 0 && !f.g.Stop() {
		gone := f.deleted[len(f.deleted)-1]
		f.deleted = f.deleted[:len(f.deleted)-1]
		f.addGone(gone)
	}
}

func (f *fatFS) addGone(gone fatGone) {
	d := gone.d
	folder := d.attr&fatFolder != 0
	need := f.need(d.size)
	if folder {
		need = 1
	}
	if !f.unused(d.start, need) {
		f.goneFiles++
		return
	}
	path, err := unpack.JoinName(gone.dir, d.name)
	if err != nil {
		return
	}
	path = f.freePath(path)
	e := unpack.Entry{Path: path, Mode: d.mode(), ModTime: d.time, Order: int64(d.start), Deleted: true}
	runs := []run{{d.start, need}}
	switch {
	case folder:
		if data, err := f.content(runs, f.cluster, nil); err == nil && f.isFolder(data, d.start) {
			f.mark(d.start, 1, true) // listed once
			f.list(data, func(inner fatDirent) bool {
				inner.deleted = true
				f.deleted = append(f.deleted, fatGone{path, inner})
				return true
			})
		}
	case d.size > 0:
		if e.Data, err = f.content(runs, d.size, nil); err != nil {
			f.goneFiles++
			return
		}
	}
	f.g.Add(e)
}

// unused says that clusters from one on are free.
func (f *fatFS) unused(start uint32, n int64) bool {
	if n == 0 {
		return true
	}
	if f.asked += n; !f.valid(start) || n > f.clusters+2-int64(start) || f.asked > 8*f.clusters+1<<16 {
		return false // or too many deleted files claim the same clusters
	}
	for i := range uint32(n) {
		if f.isUsed(start+i) || f.next(0, start+i) != 0 {
			return false
		}
	}
	return true
}

// isFolder says that a cluster begins as a folder's does: with itself.
func (f *fatFS) isFolder(data unpack.Bytes, start uint32) bool {
	b := unpack.ReadSome(data, 0, fatEntry)
	return len(b) == fatEntry && string(b[:11]) == ".          " && f.dirent(b, 0, ".").start == start
}

// freePath is a path that nothing alive has.
func (f *fatFS) freePath(path string) string {
	n, taken := f.paths[path]
	if f.paths[path] = n + 1; !taken {
		return path
	}
	return fmt.Sprintf("%s~deleted%d", path, n)
}
