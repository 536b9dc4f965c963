package linuxfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// JFS opens the file system of IBM's name. Layout: the kernel's fs/jfs/jfs_*.h.
var JFS = &unpack.Reader{
	Name: "jfs",
	Doc:  "JFS file systems of Linux and OS/2 (extents, folders with and without an index, extended attributes, both inode tables)",
	Limits: "The log is not replayed, which is reported; a log on a device of its own is not read. Names are bytes, as Linux stores them, unless they have characters " +
		"beyond 255. The format has no checksums.",
	Checked: "mkfs.jfs with 2 option sets, filled by Linux 6.1 with random trees",
	Magics:  []unpack.Magic{{At: jfsSuperAt, Bytes: "JFS1\x01\x00\x00\x00"}, {At: jfsSuperAt, Bytes: "JFS1\x02\x00\x00\x00"}},
	Carve:   true,
	Open:    openJFS,
}

// Places that are the same in all file systems.
const (
	jfsSuperAt  = 0x8000
	jfsTableAt  = 0xb000 // inodes of the aggregate
	jfsSuper2At = 0xf000
	jfsInode    = 512
	jfsPage     = 4096
	jfsFileset  = 16 // inode of the aggregate that maps those of the file set
	jfsRoot     = 2
)

const (
	jfsFlagIndex = 0x00200000 // entries of folders have an index behind the name
	jfsFlagOS2   = 0x40000000
)

type jfs struct {
	data   unpack.Bytes
	end    int64
	block  int64
	blocks int64
	flags  uint32
	super  []byte
	imap   *jfsNode // maps the inodes of the file set

	pages  int64 // of folders read so far
	xattrs int   // bytes of attributes decoded so far
}

// jfsRun is a pxd: a stretch of blocks.
func jfsRun(p []byte) (at, count int64) {
	return int64(p[3])<<32 | int64(le.Uint32(p[4:])), int64(le.Uint32(p)) & 0xffffff
}

func openJFS(in *unpack.Input) (*unpack.Object, error) {
	x := &jfs{data: in.Data}
	sb, err := unpack.ReadFull(in.Data, jfsSuperAt, 184)
	if err != nil || !x.parse(sb) {
		return nil, unpack.ErrNotThis
	}
	g := unpack.NewGatherer(in)
	size := x.size()
	x.end = min(size, in.Data.Size())
	o := &unpack.Object{Format: fmt.Sprintf("jfs %d", le.Uint32(sb[4:])), System: true, Size: x.end, Info: x.info()}
	if size > x.end {
		g.Damage(&unpack.CutOff{Format: "jfs", Missing: size - x.end, Of: size})
	}
	if x.imap, err = x.inodeMap(); err != nil {
		if !in.Whole {
			return nil, unpack.ErrNotThis
		}
		g.Damage(fmt.Errorf("jfs: the map of inodes: %w", err))
		o.Gaps = append(o.Gaps, unpack.Gap{Offset: 0, Size: x.end, Reason: "damaged", Note: "no file of the file system can be read"})
		g.Finish(o)
		return o, nil
	}
	if state := le.Uint32(sb[40:]); state != 0 {
		o.Info["state"] = "was not unmounted cleanly"
		o.Gaps = append(o.Gaps, unpack.Gap{Offset: 0, Size: 0, Reason: "unsupported", Note: "the log may hold changes that were never written to their place; they are not applied"})
	}
	walk("jfs", "", jfsRoot, x.load, g)
	g.Finish(o)
	return o, nil
}

// parse takes the geometry from a superblock and checks that it is one.
func (x *jfs) parse(sb []byte) bool {
	log, pblock, plog := le.Uint16(sb[20:]), int64(le.Uint32(sb[24:])), le.Uint16(sb[28:])
	x.block, x.flags, x.super = int64(le.Uint32(sb[16:])), le.Uint32(sb[36:]), sb
	if string(sb[:4]) != "JFS1" || le.Uint32(sb[4:])-1 > 1 || x.block < 512 || x.block > 4096 || x.block != 1<<log || pblock < 512 || pblock > x.block || pblock != 1<<plog || le.Uint16(sb[22:]) != log-plog {
		return false
	}
	sectors := int64(le.Uint64(sb[8:]))
	if sectors <= 0 || sectors > 1<<52/pblock {
		return false
	}
	x.blocks = sectors * pblock / x.block
	return x.blocks*x.block > jfsSuper2At
}

// size is where the last of the three areas ends: the blocks, the room for
// fsck, the log.
func (x *jfs) size() int64 {
	end := x.blocks
	for _, at := range []int{72, 80} {
		if start, count := jfsRun(x.super[at:]); start == end {
			end += count
		} else if start > end && start-end < 8192 {
			end = start + count
		}
	}
	// The room for fsck stands before the log.
	if start, count := jfsRun(x.super[72:]); start == end {
		end += count
	}
	return end * x.block
}

func (x *jfs) info() map[string]string {
	info := map[string]string{"block size": fmt.Sprint(x.block), "uuid": uuidString(x.super[136:152])}
	if label := unpack.CString(x.super[152:168]); label != "" {
		info["label"] = label
	}
	if x.flags&jfsFlagOS2 != 0 {
		info["made by"] = "OS/2"
	}
	return info
}

// inodeMap finds the inode that maps the others, in the first table or in its
// copy.
func (x *jfs) inodeMap() (*jfsNode, error) {
	var bad error
	second, _ := jfsRun(x.super[48:])
	for _, table := range []int64{jfsTableAt, second * x.block} {
		p, err := unpack.ReadFull(x.data, table+jfsFileset*jfsInode, jfsInode)
		if err == nil && (le.Uint32(p[8:]) != jfsFileset || le.Uint32(p[4:]) != 1) {
			err = errors.New("it is not in its place")
		}
		if err == nil {
			return &jfsNode{x: x, number: jfsFileset, raw: p, size: int64(le.Uint64(p[24:]))}, nil
		}
		bad = errors.Join(bad, err)
	}
	return nil, bad
}

// jfsNode is an inode.
type jfsNode struct {
	x      *jfs
	number uint32
	raw    []byte
	mode   fs.FileMode
	size   int64
}

func (x *jfs) load(number uint64) (inode, error) {
	if number < jfsRoot || number > 1<<32-1 {
		return nil, fmt.Errorf("an inode with the number %d", number)
	}
	// The map has a page of its own, then one for each 4096 inodes, with the
	// places of 128 groups of 32.
	page := int64(number>>12) + 1
	group, err := unpack.ReadFull(x.imap.content("the map of inodes"), page*jfsPage+3072+int64(number>>5&127)*8, 8)
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	at, count := jfsRun(group)
	if at == 0 || count*x.block < 32*jfsInode || at+count > x.blocks {
		return nil, fmt.Errorf("inode %d: not in use", number)
	}
	p, err := unpack.ReadFull(x.data, at*x.block+int64(number&31)*jfsInode, jfsInode)
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	mode := le.Uint32(p[52:])
	i := &jfsNode{x: x, number: uint32(number), raw: p, mode: unpack.UnixMode(mode & 0xffff), size: int64(le.Uint64(p[24:]))}
	switch kind := mode >> 12 & 15; {
	case le.Uint32(p[8:]) != uint32(number) || le.Uint32(p[4:]) != jfsFileset:
		return nil, fmt.Errorf("inode %d: it is not in its place", number)
	case le.Uint32(p[40:]) == 0 || kind == 0 || (i.mode.Type() == 0 && kind != 8):
		return nil, fmt.Errorf("inode %d: not in use", number)
	case i.size < 0 || i.size > 1<<52:
		return nil, fmt.Errorf("inode %d: a size of %d bytes", number, uint64(i.size))
	}
	return i, nil
}

func (i *jfsNode) isDir() bool { return i.mode.IsDir() }

func (i *jfsNode) entry(path string) (unpack.Entry, error) {
	e := unpack.Entry{Path: path, Mode: i.mode, UID: int(le.Uint32(i.raw[44:])), GID: int(le.Uint32(i.raw[48:]))}
	e.ModTime = time.Unix(int64(le.Uint32(i.raw[72:])), int64(le.Uint32(i.raw[76:]))).UTC()
	if !i.mode.IsDir() {
		e.Inode = uint64(i.number)
	}
	var err error
	if e.Xattrs, err = i.attributes(); err != nil {
		err = fmt.Errorf("extended attributes: %w", err)
	}
	switch {
	case i.mode.IsRegular() && i.size > 0:
		e.Data, e.Order = i.content(fmt.Sprintf("inode %d", i.number)), i.place()
	case i.mode&fs.ModeSymlink != 0:
		e.Link, e.Err = i.target()
	case i.mode&fs.ModeDevice != 0:
		e.Major, e.Minor = unpack.UnixDevice(le.Uint32(i.raw[256:]))
	}
	return e, err
}

// target reads a link: short ones stand in the inode.
func (i *jfsNode) target() (string, error) {
	switch {
	case i.size < 256:
		return string(i.raw[256 : 256+i.size]), nil
	case i.size > jfsPage:
		return "", fmt.Errorf("a link to a path of %d bytes", i.size)
	}
	b, err := unpack.ReadFull(i.content("link"), 0, i.size)
	return string(b), err
}

// Flags of what describes the attributes.
const (
	jfsInline = 0x40
	jfsExtent = 0x20
)

// attributes reads the list that stands in the inode or in blocks of its own.
func (i *jfsNode) attributes() (map[string]string, error) {
	d, x := i.raw[104:120], i.x
	size := int64(le.Uint32(d[4:]))
	var p []byte
	switch {
	case d[0]&jfsInline != 0 && size <= 128:
		p = i.raw[384 : 384+size]
	case d[0]&jfsExtent != 0 && size <= unpack.MaxXattr:
		at, count := jfsRun(d[8:])
		if at <= 0 || size > count*x.block || at+count > x.blocks {
			return nil, errors.New("they are outside of the file system")
		}
		var err error
		if p, err = unpack.ReadFull(x.data, at*x.block, size); err != nil {
			return nil, err
		}
	case d[0] == 0 || size == 0:
		return nil, nil
	default:
		return nil, fmt.Errorf("%d bytes in an unknown place", size)
	}
	if x.xattrs += len(p); x.xattrs > unpack.MaxXattrs {
		return nil, fmt.Errorf("%w: they take too much room", unpack.ErrLimit)
	}
	return jfsAttributes(p)
}

func jfsAttributes(p []byte) (map[string]string, error) {
	if len(p) < 4 || int64(le.Uint32(p)) > int64(len(p)) || le.Uint32(p) < 4 {
		return nil, errors.New("a damaged list")
	}
	list := map[string]string{}
	for p = p[4:le.Uint32(p)]; len(p) > 0; {
		if len(p) < 4 || 4+int(p[1])+1+int(le.Uint16(p[2:])) > len(p) {
			return list, errors.New("a damaged list")
		}
		name, rest := string(p[4:4+p[1]]), p[4+int(p[1])+1:]
		if known, _, dot := strings.Cut(name, "."); !dot || !strings.Contains(" user system security trusted ", " "+known+" ") {
			name = "os2." + name
		}
		n := le.Uint16(p[2:])
		list[name] = string(rest[:n])
		p = rest[n:]
	}
	return list, nil
}
