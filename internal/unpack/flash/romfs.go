package flash

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/doorward/doorward/internal/unpack"
)

// ROMFS opens romfs. Layout: the kernel's Documentation/filesystems/romfs.rst
// and include/uapi/linux/romfs_fs.h.
var ROMFS = &unpack.Reader{
	Name:    "romfs",
	Limits:  "The format has no owners, times or checksums over contents.",
	Checked: "genromfs with 4 option sets; random trees",
	Doc:     "romfs file systems, with hard links and devices",
	Magics:  []unpack.Magic{{At: 0, Bytes: "-rom1fs-"}},
	Carve:   true,
	Open:    openROMFS,
}

const (
	romfsHead  = 16 // of the image and of a file, before the name
	romfsName  = 128
	romfsCheck = 512 // bytes of the image that its checksum covers
)

// Types of files, in the low bits of a header's first word.
const (
	romfsLink = iota
	romfsDir
	romfsFile
	romfsSymlink
	romfsBlock
	romfsChar
	romfsSocket
	romfsPipe
	romfsExec = 8 // a bit besides the type
)

type romfs struct {
	data unpack.Bytes
	size int64
	g    *unpack.Gatherer
	seen map[int64]bool // headers in the tree
}

// romfsInode is the header of a file.
type romfsInode struct {
	at   int64
	next int64 // header of the next file in the folder; 0 at its end
	kind int
	exec bool
	spec uint32
	size int64
	name string
	data int64 // offset of the content
}

func openROMFS(in *unpack.Input) (*unpack.Object, error) {
	p := unpack.ReadSome(in.Data, 0, romfsHead+romfsName)
	if len(p) < 2*romfsHead || string(p[:8]) != "-rom1fs-" {
		return nil, unpack.ErrNotThis
	}
	stated := int64(binary.BigEndian.Uint32(p[8:]))
	label, end, ok := romfsText(p[romfsHead:])
	first := romfsHead + end
	if !ok || stated < first {
		return nil, unpack.ErrNotThis
	}
	f := &romfs{data: in.Data, size: min(stated, in.Data.Size()), g: unpack.NewGatherer(in), seen: map[int64]bool{}}
	sum := romfsSum(unpack.ReadSome(in.Data, 0, min(romfsCheck, f.size)))
	if _, err := f.inode(first); sum != 0 && err != nil && (!in.Whole || !errors.Is(err, errROMFSSum)) {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "romfs", System: true, Info: map[string]string{}}
	if label != "" {
		o.Info["label"] = label
	}
	switch {
	case stated > f.size:
		f.g.Damage(&unpack.CutOff{Format: "romfs", Missing: stated - f.size, Of: stated})
	case sum != 0:
		f.g.Damage(errors.New("romfs: the checksum of the first 512 bytes is wrong"))
	}
	f.walk(first)
	f.g.Finish(o)
	o.Size = paddedTo(in.Data, f.size, 1024)
	return o, nil
}

// romfsText is a name that ends with a zero, and how much room it takes.
func romfsText(p []byte) (name string, room int64, ok bool) {
	p = p[:min(len(p), romfsName)]
	name = unpack.CString(p)
	room = int64(len(name)+1+15) &^ 15
	return name, room, len(name) < len(p)
}

// romfsSum adds up big-endian words: to zero, with the word that makes it so.
func romfsSum(p []byte) (sum uint32) {
	for ; len(p) >= 4; p = p[4:] {
		sum += binary.BigEndian.Uint32(p)
	}
	return sum
}

var errROMFSSum = errors.New("a wrong checksum")

// inode reads the header at an offset. With a wrong checksum, what it says
// comes with the error.
func (f *romfs) inode(at int64) (romfsInode, error) {
	if at < romfsHead || at&15 != 0 || at > f.size-2*romfsHead {
		return romfsInode{}, fmt.Errorf("a header at 0x%x", at)
	}
	p := unpack.ReadSome(f.data, at, min(romfsHead+romfsName, f.size-at))
	if len(p) < 2*romfsHead {
		return romfsInode{}, fmt.Errorf("a header at 0x%x", at)
	}
	word := binary.BigEndian.Uint32(p)
	i := romfsInode{at: at, next: int64(word &^ 15), kind: int(word & 7), exec: word&romfsExec != 0, spec: binary.BigEndian.Uint32(p[4:]), size: int64(binary.BigEndian.Uint32(p[8:]))}
	name, room, ok := romfsText(p[romfsHead:])
	if !ok || romfsHead+room > int64(len(p)) {
		return i, fmt.Errorf("the name at 0x%x does not end", at+romfsHead)
	}
	i.name, i.data = name, at+romfsHead+room
	if romfsSum(p[:romfsHead+room]) != 0 {
		return i, fmt.Errorf("the header at 0x%x has %w", at, errROMFSSum)
	}
	return i, nil
}

type romfsFolder struct {
	path  string
	first int64
}

// walk lists all folders from the root on, each once.
func (f *romfs) walk(root int64) {
	f.g.Add(unpack.Entry{Path: ".", Mode: fs.ModeDir | 0o755})
	todo := []romfsFolder{{"", root}}
	if i, err := f.inode(root); err == nil && i.kind == romfsDir && i.name == "." {
		todo[0].first = int64(i.spec &^ 15)
	}
	for len(todo) > 0 && !f.g.Stop() {
		folder := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		sub, err := f.list(folder)
		if todo = append(todo, sub...); err != nil {
			f.g.Damage(fmt.Errorf("romfs: folder %q: %w", "/"+folder.path, err))
		}
	}
}

// list adds the files of a folder and returns the folders in it.
func (f *romfs) list(folder romfsFolder) (sub []romfsFolder, err error) {
	for at := folder.first; at != 0; {
		if f.seen[at] {
			return sub, fmt.Errorf("the header at 0x%x is in the tree already: a loop", at)
		}
		f.seen[at] = true
		i, bad := f.inode(at)
		if bad != nil {
			err = errors.Join(err, bad)
			if !errors.Is(bad, errROMFSSum) {
				return sub, err
			}
		}
		if at = i.next; i.name == "." || i.name == ".." {
			continue
		}
		p, bad := unpack.JoinName(folder.path, i.name)
		if bad != nil {
			f.g.Damage(fmt.Errorf("romfs: %w", bad))
		}
		if i.kind == romfsDir && i.spec&^15 != 0 {
			sub = append(sub, romfsFolder{p, int64(i.spec &^ 15)})
		}
		if !f.g.Add(f.entry(p, i)) {
			return sub, err
		}
	}
	return sub, err
}

// romfsModes are the modes that the kernel gives files, by type.
var romfsModes = [8]fs.FileMode{0, fs.ModeDir | 0o644, 0o644, fs.ModeSymlink | 0o777, fs.ModeDevice | 0o600, fs.ModeDevice | fs.ModeCharDevice | 0o600, fs.ModeSocket | 0o644, fs.ModeNamedPipe | 0o644}

func (f *romfs) entry(p string, i romfsInode) unpack.Entry {
	if i.kind == romfsLink {
		to, err := f.inode(int64(i.spec))
		if err == nil && (to.kind == romfsLink || to.kind == romfsDir) {
			err = errors.New("it is no file")
		}
		if err != nil {
			err = fmt.Errorf("romfs: the target of the hard link %q: %w", p, err)
			f.g.Damage(err)
			return unpack.Entry{Path: p, Mode: 0o644, Err: err}
		}
		i = to
	}
	e := unpack.Entry{Path: p, Mode: romfsModes[i.kind], Inode: uint64(i.at), Order: i.data}
	if i.exec {
		e.Mode |= 0o111
	}
	switch i.kind {
	case romfsDir:
		e.Inode = 0
	case romfsFile, romfsSymlink:
		f.content(&e, i)
	case romfsBlock, romfsChar:
		e.Major, e.Minor = i.spec>>16, i.spec&0xffff
	}
	return e
}

// content gives an entry its bytes, or its target.
func (f *romfs) content(e *unpack.Entry, i romfsInode) {
	switch {
	case i.data > f.size || i.size > f.size-i.data:
		e.Err = fmt.Errorf("romfs: %q: its content is outside of the file system", e.Path)
	case i.kind == romfsFile:
		if i.size > 0 {
			e.Data = unpack.Window(f.data, i.data, i.size)
		}
	case i.size > 1<<16:
		e.Err = fmt.Errorf("romfs: %q: a link to a path of %d bytes", e.Path, i.size)
	default:
		e.Link = string(unpack.ReadSome(f.data, i.data, i.size))
	}
	if e.Err != nil {
		f.g.Damage(e.Err)
	}
}
