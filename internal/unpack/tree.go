package unpack

import (
	"io"
	"io/fs"
	"path"
	"sort"
	"strings"
	"time"
)

// Tree is the content of a file system or an archive, by path. It implements
// fs.FS, fs.ReadDirFS and fs.ReadLinkFS; FileInfo.Sys returns the *Entry.
type Tree struct {
	entries map[string]*Entry
	folders map[string][]string // names, sorted
	paths   []string            // sorted
}

// NewTree makes a tree of entries. Names are cleaned: no leading slash, no
// empty, "." or ".." segments (they would leave the tree). Of two entries with
// one name the later wins, as in an archive that was appended to. Folders that
// no entry names are added.
func NewTree(entries []Entry) *Tree {
	t := &Tree{entries: make(map[string]*Entry, len(entries)+1), folders: map[string][]string{}}
	t.entries["."] = &Entry{Path: ".", Mode: fs.ModeDir | 0o755}
	for i := range entries {
		e := entries[i]
		e.Path = CleanPath(e.Path)
		if old := t.entries[e.Path]; old != nil && old.Mode.IsDir() && !e.Mode.IsDir() && (e.Deleted || e.Path == ".") {
			continue
		}
		t.addFolders(e.Path)
		t.entries[e.Path] = &e
	}
	for p := range t.entries {
		t.paths = append(t.paths, p)
		if p != "." {
			dir, name := path.Split(p)
			dir = path.Clean(dir)
			t.folders[dir] = append(t.folders[dir], name)
		}
	}
	sort.Strings(t.paths)
	for _, names := range t.folders {
		sort.Strings(names)
	}
	return t
}

func (t *Tree) addFolders(p string) {
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		if t.entries[dir] != nil {
			return
		}
		t.entries[dir] = &Entry{Path: dir, Mode: fs.ModeDir | 0o755}
	}
}

// CleanPath makes a path of an artifact relative and free of dot segments; the
// root is ".". It differs from path.Clean in that ".." is dropped, never
// followed: a name is only a name here.
func CleanPath(p string) string {
	var kept []string
	for seg := range strings.SplitSeq(p, "/") {
		if seg != "" && seg != "." && seg != ".." {
			kept = append(kept, seg)
		}
	}
	if len(kept) == 0 {
		return "."
	}
	return strings.Join(kept, "/")
}

// Entry returns the entry at a cleaned path, without following links.
func (t *Tree) Entry(p string) *Entry { return t.entries[p] }

// Paths returns all paths, sorted, the root "." among them.
func (t *Tree) Paths() []string { return t.paths }

// Names returns the sorted names in a folder.
func (t *Tree) Names(dir string) []string { return t.folders[dir] }

// maxLinks bounds the links that one look-up follows, as the kernel does.
const MaxLinks = 40

// Resolve follows symbolic links inside the tree, absolute ones from its root,
// and returns the cleaned path of what is there. It fails for a dangling or
// looping link; the path returned then is as far as it got.
func (t *Tree) Resolve(p string) (string, bool) {
	links := 0
	rest := strings.Split(p, "/")
	at := "."
	for len(rest) > 0 {
		seg := rest[0]
		rest = rest[1:]
		switch seg {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, seg)
		e := t.entries[next]
		if e == nil {
			return path.Join(append([]string{next}, rest...)...), false
		}
		if e.Mode&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > MaxLinks {
			return next, false
		}
		if strings.HasPrefix(e.Link, "/") {
			at = "."
		}
		rest = append(strings.Split(e.Link, "/"), rest...)
	}
	return at, true
}

// Open implements fs.FS; links are followed.
func (t *Tree) Open(name string) (fs.File, error) {
	// As fs.ValidPath, but a name need not be UTF-8: those of artifacts are not.
	if name != CleanPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	at, ok := t.Resolve(name)
	e := t.entries[at]
	if !ok || e == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if e.Err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: e.Err}
	}
	f := &treeFile{tree: t, entry: e, name: path.Base(name)}
	if e.Data != nil {
		f.SectionReader = *io.NewSectionReader(e.Data, 0, e.Data.Size())
	} else {
		f.SectionReader = *io.NewSectionReader(strings.NewReader(""), 0, 0)
	}
	return f, nil
}

// ReadDir implements fs.ReadDirFS.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	if name != CleanPath(name) {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	at, ok := t.Resolve(name)
	if e := t.entries[at]; !ok || e == nil || !e.Mode.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	var list []fs.DirEntry
	for _, n := range t.folders[at] {
		list = append(list, fs.FileInfoToDirEntry(info{t.entries[path.Join(at, n)], n}))
	}
	return list, nil
}

// ReadLink implements fs.ReadLinkFS.
func (t *Tree) ReadLink(name string) (string, error) {
	e := t.entries[name]
	if e == nil || e.Mode&fs.ModeSymlink == 0 {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return e.Link, nil
}

// Lstat implements fs.ReadLinkFS.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) {
	e := t.entries[name]
	if e == nil {
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: fs.ErrNotExist}
	}
	return info{e, path.Base(name)}, nil
}

type info struct {
	entry *Entry
	name  string
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.entry.Size() }
func (i info) Mode() fs.FileMode  { return i.entry.Mode }
func (i info) ModTime() time.Time { return i.entry.ModTime }
func (i info) IsDir() bool        { return i.entry.Mode.IsDir() }
func (i info) Sys() any           { return i.entry }

type treeFile struct {
	io.SectionReader
	tree  *Tree
	entry *Entry
	name  string
	read  int // names handed out by ReadDir
}

func (f *treeFile) Stat() (fs.FileInfo, error) { return info{f.entry, f.name}, nil }
func (f *treeFile) Close() error               { return nil }

// ReadDir implements fs.ReadDirFile.
func (f *treeFile) ReadDir(n int) ([]fs.DirEntry, error) {
	list, err := f.tree.ReadDir(f.entry.Path)
	if err != nil {
		return nil, err
	}
	list = list[min(f.read, len(list)):]
	if n > 0 {
		if len(list) == 0 {
			return nil, io.EOF
		}
		list = list[:min(n, len(list))]
	}
	f.read += len(list)
	return list, nil
}
