package linuxfs

import (
	"errors"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// inode is what the walk wants to know of a file. Its entry comes with what
// could not be read of it.
type inode interface {
	isDir() bool
	list(found func(name string, number uint64) bool) error
	entry(path string) (unpack.Entry, error)
}

// walker lists the folders of a file system, each once.
type walker struct {
	fs   string // its name, for errors
	load func(number uint64) (inode, error)
	g    *unpack.Gatherer
	seen map[uint64]bool
	todo []folder
}

type folder struct {
	path   string
	number uint64
}

// walk adds everything below a root folder, which stands at path at ("" for
// the file system's own root).
func walk(fs string, at string, root uint64, load func(uint64) (inode, error), g *unpack.Gatherer) {
	w := &walker{fs: fs, load: load, g: g, seen: map[uint64]bool{root: true}}
	i, err := load(root)
	if err == nil && !i.isDir() {
		err = errors.New("it is no folder")
	}
	if err != nil {
		g.Damage(fmt.Errorf("%s: root folder /%s: %w", fs, at, err))
		return
	}
	if at == "" {
		w.add(".", i)
	}
	w.todo = []folder{{at, root}}
	for len(w.todo) > 0 && !g.Stop() {
		f := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		w.folder(f)
	}
}

func (w *walker) folder(f folder) {
	i, err := w.load(f.number)
	if err == nil {
		err = i.list(func(name string, number uint64) bool { return w.found(f.path, name, number) })
	}
	if err != nil {
		w.g.Damage(fmt.Errorf("%s: folder %q: %w", w.fs, "/"+f.path, err))
	}
}

// found adds a name of a folder.
func (w *walker) found(dir, name string, number uint64) bool {
	if name == "." || name == ".." {
		return !w.g.Stop()
	}
	p, err := unpack.JoinName(dir, name)
	if err != nil {
		w.g.Damage(fmt.Errorf("%s: %w", w.fs, err))
	}
	i, err := w.load(number)
	if err != nil {
		err = fmt.Errorf("%s: %q: %w", w.fs, p, err)
		w.g.Damage(err)
		return w.g.Add(unpack.Entry{Path: p, Inode: number, Err: err})
	}
	if i.isDir() {
		if w.seen[number] {
			w.g.Damage(fmt.Errorf("%s: folder %q is in the tree already: a loop", w.fs, p))
			return !w.g.Stop()
		}
		w.seen[number] = true
		w.todo = append(w.todo, folder{p, number})
	}
	return w.add(p, i)
}

func (w *walker) add(p string, i inode) bool {
	e, err := i.entry(p)
	if e.Err != nil {
		e.Err = fmt.Errorf("%s: %q: %w", w.fs, p, e.Err)
		// Encryption is no damage.
		if !errors.Is(e.Err, unpack.ErrEncrypted) {
			w.g.Damage(e.Err)
		}
	}
	if err != nil {
		w.g.Damage(fmt.Errorf("%s: %q: %w", w.fs, p, err))
	}
	return w.g.Add(e)
}
