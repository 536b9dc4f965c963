package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/doorward/doorward/internal/unpack"
)

type udfFolder struct {
	path    string
	inode   *udfInode
	streams bool // the names are those of a file's streams
	deleted bool
}

// Characteristics of a name (ECMA-167 4/14.4.3).
const (
	udfDeleted  = 4
	udfParent   = 8
	udfMetadata = 16
)

// walk gives every file to add.
func (u *udf) walk() {
	if u.broken {
		return
	}
	root, err := u.inode(u.fileSet)
	if err == nil && root.kind != 4 {
		err = errors.New("it is none")
	}
	if err != nil {
		u.damage(fmt.Errorf("the root folder: %w", err))
		return
	}
	e, place := u.file(".", root)
	u.add(e, place)
	seen := map[int64]bool{root.at: true}
	todo := []udfFolder{{"", root, false, false}}
	for len(todo) > 0 && !u.stop() {
		f := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		err := u.list(f, func(path string, i *udfInode, deleted bool) bool {
			if i.kind == 4 {
				if seen[i.at] {
					if !deleted {
						u.damage(fmt.Errorf("folder %q is in the tree already: a loop", path))
					}
					return !u.stop()
				}
				seen[i.at] = true
				todo = append(todo, udfFolder{path, i, false, deleted})
			}
			if i.streams.size > 0 && !f.streams {
				if s, err := u.inode(i.streams); err != nil {
					u.damage(fmt.Errorf("the streams of %q: %w", path, err))
				} else if s.kind == 13 && !seen[s.at] {
					seen[s.at] = true
					todo = append(todo, udfFolder{path, s, true, deleted})
				}
			}
			e, place := u.file(path, i)
			e.Deleted = deleted
			return u.add(e, place)
		})
		if err != nil {
			u.damage(fmt.Errorf("folder %q: %w", "/"+f.path, err))
		}
	}
}

// list calls f with the files of a folder.
func (u *udf) list(dir udfFolder, f func(path string, i *udfInode, deleted bool) bool) error {
	if u.listed += dir.inode.size; u.listed > 4*u.data.Size() {
		return errors.New("folders take more room than there is")
	}
	if dir.inode.data == nil {
		return nil
	}
	b, err := unpack.ReadAll(dir.inode.data, 256<<20)
	if err != nil {
		return err
	}
	for len(b) >= 38 {
		le := binary.LittleEndian
		n := 38 + int(le.Uint16(b[36:])) + int(b[19])
		if tagOf(b) != udfFileID || n > len(b) {
			return errors.New("a damaged list of names")
		}
		if err := checkTag(b[:min((n+3)&^3, len(b))], -1); err != nil { // some writers count the padding
			return err
		}
		if b[18]&udfParent == 0 {
			name := cs0(b[n-int(b[19]) : n])
			if !u.name(dir, name, b[18], longAddr(b[20:]), f) {
				return nil
			}
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return nil
}

// name opens the file of a name. That of a deleted one may be something else by
// now, or nothing: then there is nothing to say.
func (u *udf) name(dir udfFolder, name string, flags byte, a udfAddr, f func(string, *udfInode, bool) bool) bool {
	deleted := dir.deleted || flags&udfDeleted != 0
	if deleted && a.size == 0 {
		return true
	}
	path, err := dir.path+":"+name, error(nil)
	if !dir.streams {
		path, err = unpack.JoinName(dir.path, name)
	}
	if err != nil && !deleted {
		u.damage(err)
	}
	i, err := u.inode(a)
	switch {
	case err == nil:
		return f(path, i, deleted)
	case deleted:
		return true
	}
	u.damage(fmt.Errorf("%q: %w", path, err))
	e := unpack.Entry{Path: path, Mode: 0o444, Err: fmt.Errorf("udf: %w", err)}
	if flags&2 != 0 {
		e.Mode |= fs.ModeDir
	}
	return u.add(e, isoPlace{})
}
