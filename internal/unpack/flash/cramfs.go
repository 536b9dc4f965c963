package flash

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"strconv"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// Cramfs opens cramfs. Layout: the kernel's fs/cramfs/README and
// include/uapi/linux/cramfs_fs.h.
var Cramfs = &unpack.Reader{
	Name:    "cramfs",
	Limits:  "Makers' own compressions other than LZMA with its properties and size before each block are reported as damaged.",
	Checked: "mkfs.cramfs with 7 option sets; random trees; LZMA blocks packed by xz",
	Doc:     "cramfs file systems of both byte orders, with holes, extended block pointers, and the LZMA of OpenRG and others",
	Magics:  []unpack.Magic{{At: 0, Bytes: cramfsLittle}, {At: 0, Bytes: cramfsBig}, {At: cramfsPad, Bytes: cramfsLittle}, {At: cramfsPad, Bytes: cramfsBig}},
	Carve:   true,
	Open:    openCramfs,
}

const (
	cramfsLittle    = "\x45\x3d\xcd\x28"
	cramfsBig       = "\x28\xcd\x3d\x45"
	cramfsPad       = 512 // room for boot code before the superblock
	cramfsSuperSize = 76
)

// Flags of the superblock.
const (
	cramfsVersion2   = 0x1
	cramfsShifted    = 0x400
	cramfsExtended   = 0x800
	cramfsKnownFlags = 0xff | 0x100 | 0x200 | cramfsShifted | cramfsExtended
)

type cramfs struct {
	data      unpack.Bytes
	order     binary.ByteOrder
	big       bool
	flags     uint32
	size      int64 // of what is there
	last      int64 // end of the last block, as far as known
	blockSize int64
	names     int64 // bytes of folders listed so far
}

// cramfsInode is the inode of 12 bytes, a name behind it.
type cramfsInode struct {
	mode, uid, gid uint32
	size           int64
	nameLen        int
	offset         int64
}

// cramfsSuper finds the superblock and the byte order.
func (c *cramfs) super() (sb []byte, base int64, ok bool) {
	for _, base := range []int64{0, cramfsPad} {
		sb, err := unpack.ReadFull(c.data, base, cramfsSuperSize)
		if err != nil || string(sb[16:32]) != "Compressed ROMFS" {
			continue
		}
		switch string(sb[:4]) {
		case cramfsLittle:
			c.order = binary.LittleEndian
		case cramfsBig:
			c.order, c.big = binary.BigEndian, true
		default:
			continue
		}
		return sb, base, true
	}
	return nil, 0, false
}

func openCramfs(in *unpack.Input) (*unpack.Object, error) {
	c := &cramfs{data: in.Data}
	sb, base, ok := c.super()
	if !ok {
		return nil, unpack.ErrNotThis
	}
	c.flags = c.order.Uint32(sb[8:])
	root := c.inode(sb[64:])
	if !unpack.UnixMode(root.mode).IsDir() || !c.plausible(root, base) {
		return nil, unpack.ErrNotThis
	}
	g := unpack.NewGatherer(in)
	stated := int64(c.order.Uint32(sb[4:]))
	c.size = min(stated, in.Data.Size())
	if c.flags&cramfsVersion2 == 0 && stated < base+cramfsSuperSize {
		c.size = in.Data.Size() // the first version did not state it
	} else if stated < base+cramfsSuperSize {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "cramfs", System: true, Info: c.info(sb)}
	switch {
	case stated > c.size:
		g.Damage(&unpack.CutOff{Format: "cramfs", Missing: stated - c.size, Of: stated})
	case c.flags&cramfsVersion2 != 0 && !c.checked(sb, base):
		g.Damage(errors.New("cramfs: the checksum is wrong"))
	}
	c.chooseBlockSize(root)
	c.walk(root, g)
	g.Finish(o)
	o.Size = c.size
	if c.flags&cramfsVersion2 == 0 && stated < c.last {
		o.Size = paddedTo(in.Data, min(c.last, in.Data.Size()), 4096)
	}
	return o, nil
}

// plausible checks where the root folder is: right behind the superblock,
// unless a flag says that it is elsewhere.
func (c *cramfs) plausible(root cramfsInode, base int64) bool {
	if c.flags&^cramfsKnownFlags != 0 {
		return false
	}
	if root.offset == 0 || c.flags&cramfsShifted != 0 {
		return root.offset == 0 || root.offset >= base+cramfsSuperSize
	}
	return root.offset == base+cramfsSuperSize
}

func (c *cramfs) info(sb []byte) map[string]string {
	info := map[string]string{"byte order": "little", "files": strconv.FormatUint(uint64(c.order.Uint32(sb[44:])), 10)}
	if c.big {
		info["byte order"] = "big"
	}
	if name := strings.TrimRight(string(sb[48:64]), "\x00"); name != "" {
		info["label"] = name
	}
	if c.flags&cramfsVersion2 != 0 {
		info["edition"] = strconv.FormatUint(uint64(c.order.Uint32(sb[36:])), 10)
	}
	return info
}

// checked compares the whole with its CRC-32, whose own field counts as zero.
func (c *cramfs) checked(sb []byte, base int64) bool {
	head := append([]byte{}, sb...)
	clear(head[32:36])
	sum := crc32.ChecksumIEEE(head)
	sum, err := unpack.SumCRC32(sum, c.data, base+cramfsSuperSize, c.size-base-cramfsSuperSize)
	return err == nil && sum == c.order.Uint32(sb[32:])
}

// inode parts the bit fields, which the two byte orders fill from different
// ends.
func (c *cramfs) inode(p []byte) cramfsInode {
	a, b := c.order.Uint32(p[4:]), c.order.Uint32(p[8:])
	i := cramfsInode{mode: uint32(c.order.Uint16(p)), uid: uint32(c.order.Uint16(p[2:]))}
	if c.big {
		i.size, i.gid, i.nameLen, i.offset = int64(a>>8), a&0xff, int(b>>26)*4, int64(b&(1<<26-1))*4
	} else {
		i.size, i.gid, i.nameLen, i.offset = int64(a&0xffffff), a>>24, int(b&63)*4, int64(b>>6)*4
	}
	return i
}

// list calls f with every name of a folder, until f returns false.
func (c *cramfs) list(dir cramfsInode, f func(name string, i cramfsInode) bool) error {
	// Folders that overlap would list the same bytes again and again.
	if c.names += dir.size; c.names > c.size {
		return errors.New("folders take more room than there is")
	}
	if dir.offset > c.size || dir.size > c.size-dir.offset {
		return errors.New("it is outside of the file system")
	}
	p, err := unpack.ReadFull(c.data, dir.offset, dir.size)
	if err != nil {
		return err
	}
	for len(p) > 0 {
		if len(p) < 12 {
			return errors.New("a damaged list of names")
		}
		i := c.inode(p)
		if i.nameLen == 0 || 12+i.nameLen > len(p) {
			return errors.New("a damaged list of names")
		}
		name := strings.TrimRight(string(p[12:12+i.nameLen]), "\x00")
		if !f(name, i) {
			return nil
		}
		p = p[12+i.nameLen:]
	}
	return nil
}

type cramfsFolder struct {
	path  string
	inode cramfsInode
}

// walk lists all folders from the root on, each once.
func (c *cramfs) walk(root cramfsInode, g *unpack.Gatherer) {
	g.Add(unpack.Entry{Path: ".", Mode: unpack.UnixMode(root.mode), UID: int(root.uid), GID: int(root.gid)})
	seen := map[int64]bool{root.offset: true}
	todo := []cramfsFolder{{"", root}}
	for len(todo) > 0 && !g.Stop() {
		f := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		err := c.list(f.inode, func(name string, i cramfsInode) bool {
			p, err := unpack.JoinName(f.path, name)
			if err != nil {
				g.Damage(fmt.Errorf("cramfs: %w", err))
			}
			if unpack.UnixMode(i.mode).IsDir() && i.size > 0 {
				if seen[i.offset] {
					g.Damage(fmt.Errorf("cramfs: folder %q is in the tree already: a loop", p))
					return !g.Stop()
				}
				seen[i.offset] = true
				todo = append(todo, cramfsFolder{p, i})
			}
			return g.Add(c.entry(p, i, g))
		})
		if err != nil {
			g.Damage(fmt.Errorf("cramfs: folder %q: %w", "/"+f.path, err))
		}
	}
}

func (c *cramfs) entry(p string, i cramfsInode, g *unpack.Gatherer) unpack.Entry {
	e := unpack.Entry{Path: p, Mode: unpack.UnixMode(i.mode), UID: int(i.uid), GID: int(i.gid), Order: i.offset}
	switch {
	case e.Mode&fs.ModeSymlink != 0, e.Mode.IsRegular() && i.size > 0:
		f := &cramfsFile{c, i.offset, i.size}
		if c.flags&(cramfsVersion2|cramfsExtended) == 0 {
			c.last = max(c.last, f.end())
		}
		if e.Mode.IsRegular() {
			e.Data = f
			break
		}
		target, err := unpack.ReadAll(f, 1<<16)
		if e.Link = string(target); err != nil {
			e.Err = fmt.Errorf("cramfs: %q: %w", p, err)
			g.Damage(e.Err)
		}
	case e.Mode&fs.ModeDevice != 0:
		e.Major, e.Minor = uint32(i.size>>8&0xff), uint32(i.size&0xff)
	}
	return e
}
