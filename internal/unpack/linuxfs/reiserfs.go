package linuxfs

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/doorward/doorward/internal/unpack"
)

// ReiserFS opens ReiserFS 3. Layout: the kernel's fs/reiserfs/reiserfs.h.
var ReiserFS = &unpack.Reader{
	Name:    "reiserfs",
	Doc:     "ReiserFS 3.5 and 3.6 file systems (tails, holes, both formats of keys, extended attributes), with the journal inside or elsewhere",
	Limits:  "The journal is not replayed, which is reported. The format has no checksums.",
	Checked: "mkreiserfs with 3 option sets, filled by Linux 6.1 with random trees; 3.5 by hand",
	Magics:  reiserMagics(),
	Carve:   true,
	Open:    openReiserFS,
}

// Places of the superblock, the second before 3.5.11.
var reiserSupers = []int64{64 << 10, 8 << 10}

func reiserMagics() (list []unpack.Magic) {
	for _, at := range reiserSupers {
		for _, magic := range []string{"ReIsErFs", "ReIsEr2Fs", "ReIsEr3Fs"} {
			list = append(list, unpack.Magic{At: at + 52, Bytes: magic})
		}
	}
	return list
}

const (
	reiserRoot   = 1<<32 | 2 // folder and number of the root folder
	reiserLevels = 16
	reiserPriv   = ".reiserfs_priv" // holds the attributes; the kernel hides it
)

type reiserfs struct {
	data   unpack.Bytes
	end    int64
	block  int64
	blocks int64
	root   int64
	height int
	hidden uint64            // the folder of attributes
	attrs  map[string]uint64 // its folders, by the file's number and generation
	xattrs int               // bytes of attributes decoded so far
	names  int64             // bytes of folders listed so far
}

func openReiserFS(in *unpack.Input) (*unpack.Object, error) {
	var sb []byte
	x := &reiserfs{data: in.Data}
	at := int64(0)
	for _, at = range reiserSupers {
		p, err := unpack.ReadFull(in.Data, at, 204)
		if err == nil && x.parse(p, at) {
			sb = p
			break
		}
	}
	if sb == nil {
		return nil, unpack.ErrNotThis
	}
	size := x.block * x.blocks
	x.end = min(size, in.Data.Size())
	format := map[byte]string{'F': "reiserfs 3.5", '2': "reiserfs 3.6", '3': "reiserfs 3.6"}[sb[58]]
	if sb[58] == '3' && le.Uint16(sb[72:]) == 0 {
		format = "reiserfs 3.5"
	}
	o := &unpack.Object{Format: format, System: true, Size: x.end, Info: map[string]string{"block size": fmt.Sprint(x.block)}}
	if label := unpack.CString(sb[100:116]); label != "" && format != "reiserfs 3.5" {
		o.Info["label"] = label
	}
	if _, _, err := x.leaf(reiserKey{}); err != nil && (!in.Whole || x.end < size/2) {
		return nil, unpack.ErrNotThis
	}
	g := unpack.NewGatherer(in)
	if size > x.end {
		g.Damage(&unpack.CutOff{Format: "reiserfs", Missing: size - x.end, Of: size})
	}
	if le.Uint16(sb[50:]) != 1 {
		o.Info["state"] = "was not unmounted cleanly"
		o.Gaps = append(o.Gaps, unpack.Gap{Offset: 0, Size: 0, Reason: "unsupported", Note: "the journal may hold changes that were never written to their place; they are not applied"})
	}
	if err := x.private(); err != nil {
		g.Damage(fmt.Errorf("reiserfs: the folder of extended attributes: %w", err))
	}
	walk("reiserfs", "", reiserRoot, x.load, g)
	g.Finish(o)
	return o, nil
}

// parse takes the geometry from a superblock at an offset and checks it.
func (x *reiserfs) parse(sb []byte, at int64) bool {
	magic := unpack.CString(sb[52:62])
	if magic != "ReIsErFs" && magic != "ReIsEr2Fs" && magic != "ReIsEr3Fs" {
		return false
	}
	x.blocks, x.root, x.block, x.height = int64(le.Uint32(sb)), int64(le.Uint32(sb[8:])), int64(le.Uint16(sb[44:])), int(le.Uint16(sb[68:]))
	maps := (x.blocks + x.block*8 - 1) / max(1, x.block*8)
	return x.block >= 512 && x.block <= 32768 && x.block&(x.block-1) == 0 && x.blocks*x.block > at && x.root > 0 && x.root < x.blocks &&
		x.height >= 2 && x.height < reiserLevels && (int64(le.Uint16(sb[70:])) == maps || maps > 0xffff || at == 8<<10)
}

// reiserNode is a file: what its stat data say.
type reiserNode struct {
	x        *reiserfs
	number   uint64 // folder and number
	mode     fs.FileMode
	uid, gid int
	size     int64
	mtime    uint32
	device   uint32 // or its generation
}

func (x *reiserfs) load(number uint64) (inode, error) { return x.stat(number) }

func (x *reiserfs) stat(number uint64) (*reiserNode, error) {
	key := reiserKey{dir: uint32(number >> 32), object: uint32(number)}
	item, _, err := x.item(key)
	if err != nil {
		return nil, err
	}
	p := item.body
	i := &reiserNode{x: x, number: number}
	switch {
	case item.key != key:
		return nil, fmt.Errorf("object %d of %d is missing", key.object, key.dir)
	case len(p) == 32:
		i.uid, i.gid, i.size, i.mtime, i.device = int(le.Uint16(p[4:])), int(le.Uint16(p[6:])), int64(le.Uint32(p[8:])), le.Uint32(p[16:]), le.Uint32(p[24:])
	case len(p) == 44:
		i.size, i.uid, i.gid, i.mtime, i.device = int64(le.Uint64(p[8:])), int(le.Uint32(p[16:])), int(le.Uint32(p[20:])), le.Uint32(p[28:]), le.Uint32(p[40:])
	default:
		return nil, fmt.Errorf("object %d has stat data of %d bytes", key.object, len(p))
	}
	mode := uint32(le.Uint16(p))
	i.mode = unpack.UnixMode(mode)
	if kind := mode >> 12; kind == 0 || (i.mode.Type() == 0 && kind != 8) || i.size < 0 || i.size > 1<<60-1 {
		return nil, fmt.Errorf("object %d has damaged stat data", key.object)
	}
	return i, nil
}

func (i *reiserNode) isDir() bool { return i.mode.IsDir() }

func (i *reiserNode) entry(path string) (unpack.Entry, error) {
	e := unpack.Entry{Path: path, Mode: i.mode, UID: i.uid, GID: i.gid, ModTime: unpack.UnixTime(i.mtime)}
	if !i.mode.IsDir() {
		e.Inode = i.number
	}
	switch {
	case i.mode.IsRegular() && i.size > 0:
		e.Data = i.content()
	case i.mode&fs.ModeSymlink != 0:
		if i.size > 4096 {
			e.Err = fmt.Errorf("a link to a path of %d bytes", i.size)
			break
		}
		b, err := unpack.ReadFull(i.content(), 0, i.size)
		e.Link, e.Err = string(b), err
	case i.mode&fs.ModeDevice != 0:
		e.Major, e.Minor = unpack.UnixDevice(i.device)
	}
	var err error
	if e.Xattrs, err = i.attributes(); err != nil {
		err = fmt.Errorf("extended attributes: %w", err)
	}
	return e, err
}

// private finds the folders that hold the attributes of files, by their names:
// the file's number and generation.
func (x *reiserfs) private() error {
	defer func() { x.names = 0 }()
	for _, name := range []string{reiserPriv, "xattrs"} {
		at := uint64(reiserRoot)
		if x.hidden != 0 {
			at = x.hidden
		}
		found := uint64(0)
		dir, err := x.stat(at)
		if err == nil {
			err = dir.names(func(n string, number uint64) bool {
				if n == name {
					found = number
				}
				return found == 0
			})
		}
		if found == 0 {
			return err
		}
		x.hidden = found
	}
	dir, err := x.stat(x.hidden)
	if err != nil {
		return err
	}
	x.attrs = map[string]uint64{}
	return dir.names(func(n string, number uint64) bool {
		x.attrs[n] = number
		return len(x.attrs) < 1<<20
	})
}

// attributes reads the files that hold the attributes of a file: a header of a
// magic and a hash, then the value.
func (i *reiserNode) attributes() (map[string]string, error) {
	x := i.x
	number, ok := x.attrs[fmt.Sprintf("%X.%X", uint32(i.number), i.device)]
	if !ok {
		return nil, nil
	}
	dir, err := x.stat(number)
	if err != nil {
		return nil, err
	}
	list := map[string]string{}
	bad := dir.names(func(name string, number uint64) bool {
		if name == "." || name == ".." {
			return true
		}
		f, fail := x.stat(number)
		if fail == nil && (!f.mode.IsRegular() || f.size < 8 || f.size > unpack.MaxXattr+8) {
			fail = errors.New("a damaged value")
		}
		if fail == nil {
			var b []byte
			if b, fail = unpack.ReadFull(f.content(), 0, f.size); fail == nil && string(b[:4]) != "AXFR" {
				fail = errors.New("a damaged value")
			} else if fail == nil {
				list[name] = string(b[8:])
				x.xattrs += len(b)
			}
		}
		if err = errors.Join(err, fail); x.xattrs > unpack.MaxXattrs {
			err = fmt.Errorf("%w: they take too much room", unpack.ErrLimit)
		}
		return x.xattrs <= unpack.MaxXattrs
	})
	return list, errors.Join(err, bad)
}
