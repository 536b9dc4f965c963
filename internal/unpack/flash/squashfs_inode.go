package flash

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/doorward/doorward/internal/unpack"
)

// squashInode is an inode of any version.
type squashInode struct {
	mode     fs.FileMode
	uid, gid uint16 // numbers in the table of owners
	mtime    uint32
	number   uint64
	link     string
	major    uint32
	minor    uint32
	xattr    uint32
	file     *squashFile
	err      error // why the content can't be read

	// Of a folder: place of its list in the table of folders, and its size.
	dirBlock  uint32
	dirOffset uint16
	dirSize   uint32
}

// Types of inodes; the extended ones are 7 higher.
const (
	squashDir = iota + 1
	squashReg
	squashSymlink
	squashBlockDev
	squashCharDev
	squashFifo
	squashSocket
	squashExtended
)

var squashTypes = []fs.FileMode{
	squashDir: fs.ModeDir, squashReg: 0, squashSymlink: fs.ModeSymlink, squashBlockDev: fs.ModeDevice,
	squashCharDev: fs.ModeDevice | fs.ModeCharDevice, squashFifo: fs.ModeNamedPipe, squashSocket: fs.ModeSocket,
}

// inode reads the inode at a reference. Files are remembered, so that hard
// links share one.
func (s *squashfs) inode(ref uint64) (*squashInode, error) {
	if i := s.files[ref]; i != nil {
		return i, nil
	}
	if s.super.Major < 4 {
		return s.oldInode(ref)
	}
	m := s.metaRef(int64(s.super.InodeTable), ref)
	kind := m.u16()
	i := &squashInode{xattr: squashNone}
	perm := uint32(m.u16())
	i.uid, i.gid = m.u16(), m.u16()
	i.mtime, i.number = m.u32(), uint64(m.u32())
	if m.err != nil {
		return nil, m.err
	}
	extended := kind >= squashExtended
	if extended {
		kind -= squashExtended - 1
	}
	if kind == 0 || int(kind) >= len(squashTypes) {
		return nil, fmt.Errorf("unknown type %d", kind)
	}
	i.mode = unpack.UnixMode(perm&0o7777) | squashTypes[kind]
	if kind == squashDir {
		i.readFolder(m, extended)
		return i, m.err
	}
	i.readOther(m, kind, extended)
	if m.err == nil {
		s.files[ref] = i
	}
	return i, m.err
}

func (i *squashInode) readFolder(m *metaReader, extended bool) {
	if !extended {
		i.dirBlock = m.u32()
		m.u32() // links
		i.dirSize, i.dirOffset = uint32(m.u16()), m.u16()
		return
	}
	m.u32() // links
	i.dirSize, i.dirBlock = m.u32(), m.u32()
	m.take(6) // number of the parent, length of the index
	i.dirOffset, i.xattr = m.u16(), m.u32()
}

func (i *squashInode) readOther(m *metaReader, kind uint16, extended bool) {
	switch kind {
	case squashReg:
		i.readFile(m, extended)
		return
	case squashSymlink:
		m.u32() // links
		size := m.u32()
		if m.err == nil && size > 65535 {
			m.err = fmt.Errorf("a link to a path of %d bytes", size)
		}
		i.link = string(m.take(int(min(size, 65535))))
	case squashBlockDev, squashCharDev:
		m.u32()
		i.major, i.minor = unpack.UnixDevice(m.u32())
	default:
		m.u32()
	}
	if extended {
		i.xattr = m.u32()
	}
}

// maxSquashList bounds the block sizes that all files of a tree hold in
// memory; a mebi of them is 128 GiB of files in blocks of 128 KiB.
const maxSquashList = 16 << 20

func (i *squashInode) readFile(m *metaReader, extended bool) {
	f := &squashFile{s: m.s}
	if extended {
		f.start, f.size = int64(m.u64()), int64(m.u64())
		m.take(12) // sparse bytes, links
		f.frag, f.fragOffset, i.xattr = m.u32(), m.u32(), m.u32()
	} else {
		f.start = int64(m.u32())
		f.frag, f.fragOffset = m.u32(), m.u32()
		f.size = int64(m.u32())
	}
	if m.err == nil {
		i.finishFile(m, f)
	}
}

// finishFile reads the list of blocks.
func (i *squashInode) finishFile(m *metaReader, f *squashFile) {
	if f.size < 0 || f.start < 0 {
		m.err = fmt.Errorf("a file of %d bytes at 0x%x", uint64(f.size), uint64(f.start))
		return
	}
	blockSize := int64(m.s.super.BlockSize)
	n := f.size / blockSize
	if f.frag == squashNone && f.size%blockSize != 0 {
		n++
	}
	if m.s.lists += n; m.s.lists > maxSquashList {
		m.s.lists -= n
		i.err = fmt.Errorf("%w: a file of %d bytes, in blocks of %d", unpack.ErrLimit, f.size, blockSize)
		return
	}
	f.readBlocks(m, n)
	i.file = f
}

// list calls f with every name of a folder and the reference of its inode,
// until f returns false.
func (s *squashfs) list(dir *squashInode, f func(name string, ref uint64) bool) error {
	// The size counts three bytes for the entries . and .. that are not stored.
	left := int64(dir.dirSize) - 3
	if left <= 0 {
		return nil
	}
	m := s.metaRef(int64(s.super.DirTable), uint64(dir.dirBlock)<<16|uint64(dir.dirOffset))
	shape := &squashListings[s.super.Major]
	for left >= shape.head {
		count, block := shape.run(m)
		if m.err != nil {
			return m.err
		}
		left -= shape.head
		if count > 256 {
			return fmt.Errorf("a run of %d names", count)
		}
		for ; count > 0; count-- {
			offset, size := shape.entry(m)
			if m.err != nil {
				return m.err
			}
			if left -= shape.name + int64(size); left < 0 || size > 256 {
				return errors.New("names reach behind the folder's end")
			}
			name := string(m.take(size))
			if m.err != nil {
				return m.err
			}
			if !f(name, block<<16|offset) {
				return nil
			}
		}
	}
	return nil
}

// squashListing is the shape of folders in one version.
type squashListing struct {
	head  int64                                           // bytes of the head of a run of names
	name  int64                                           // bytes of an entry before its name
	run   func(m *metaReader) (count int64, block uint64) // names in it, and the block of their inodes
	entry func(m *metaReader) (offset uint64, size int)   // of the inode in that block; of the name
}

var squashListings = [...]squashListing{
	1: {4, 3, oldRun, oldName},
	2: {4, 3, oldRun, oldName},
	3: {9, 5, func(m *metaReader) (int64, uint64) {
		count, block := int64(m.take(1)[0])+1, uint64(m.u32())
		m.u32() // number of the first inode
		return count, block
	}, func(m *metaReader) (uint64, int) {
		f := m.fields(13, 3, 8, 16)
		return f[0], int(f[2]) + 1
	}},
	4: {12, 8, func(m *metaReader) (int64, uint64) {
		count, block := int64(m.u32())+1, uint64(m.u32())
		m.u32() // number of the first inode
		return count, block
	}, func(m *metaReader) (uint64, int) {
		offset := uint64(m.u16())
		m.u32() // number of the inode, type
		return offset, int(m.u16()) + 1
	}},
}
