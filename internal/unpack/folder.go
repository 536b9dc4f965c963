package unpack

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Folder opens a folder of this machine as the tree of a product. Links are
// read, never followed; files are opened when they are read. Close frees it.
func Folder(ctx context.Context, dir string, budget *Budget) (*Object, io.Closer, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	o := &Object{Format: "directory", System: true}
	inodes := map[[2]uint64]*folderFile{}
	err = fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			o.Entries = append(o.Entries, Entry{Path: p, Err: err})
			return nil
		}
		if p == "." {
			return nil
		}
		if err := budget.AddFiles(1); err != nil {
			o.Gaps = append(o.Gaps, Gap{Reason: "limit", Note: err.Error()})
			return fs.SkipAll
		}
		o.Entries = append(o.Entries, folderEntry(root, p, d, inodes))
		return nil
	})
	return o, root, err
}

func folderEntry(root *os.Root, p string, d fs.DirEntry, inodes map[[2]uint64]*folderFile) Entry {
	e := Entry{Path: filepath.ToSlash(p)}
	fi, err := d.Info()
	if err != nil {
		e.Err = err
		return e
	}
	e.Mode, e.ModTime = fi.Mode(), fi.ModTime()
	id := setOwner(&e, fi)
	switch {
	case e.Mode&fs.ModeSymlink != 0:
		e.Link, e.Err = root.Readlink(p)
	case e.Mode.IsRegular() && fi.Size() > 0:
		f := inodes[id]
		if f == nil || id[1] == 0 {
			f = &folderFile{root, p, fi.Size()}
			inodes[id] = f
		}
		e.Data = f
	}
	return e
}

// folderFile reads a file of the machine. It is opened for each read, which is
// of a megabyte or more where it matters, so that a large folder needs no open
// files.
type folderFile struct {
	root *os.Root
	path string
	size int64
}

func (f *folderFile) Size() int64 { return f.size }

func (f *folderFile) ReadAt(p []byte, off int64) (int, error) {
	file, err := f.root.Open(f.path)
	if err != nil {
		return 0, fmt.Errorf("the file could not be opened: %w", err)
	}
	defer file.Close()
	return file.ReadAt(p, off)
}

// Held implements Sparse.
func (f *folderFile) Held(off int64) (from, to int64) {
	file, err := f.root.Open(f.path)
	if err != nil {
		return off, f.size
	}
	defer file.Close()
	return heldInFile(file, off, f.size)
}

// File opens a file of this machine as bytes. Close frees it.
func File(path string) (Bytes, io.Closer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return Window(&wholeFile{f, fi.Size()}, 0, fi.Size()), f, nil
}

// wholeFile is a file of this machine that stays open.
type wholeFile struct {
	*os.File
	size int64
}

func (f *wholeFile) Size() int64 { return f.size }

// Held implements Sparse.
func (f *wholeFile) Held(off int64) (from, to int64) { return heldInFile(f.File, off, f.size) }
