package linuxfs

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// Forms of a fork.
const (
	xfsDevice  = 0
	xfsLocal   = 1
	xfsExtents = 2
	xfsBtree   = 3
)

const (
	xfsRealtime = 0x1  // of di_flags
	xfsBigTime  = 0x8  // of di_flags2
	xfsBigCount = 0x10 // of di_flags2: counters of extents of 64 and 32 bits
)

// xfsInode is an inode, with the bytes that it was read from.
type xfsInode struct {
	x      *xfs
	raw    []byte
	at     int64 // on the disk
	number uint64
	mode   fs.FileMode
	size   int64
	flags2 uint64
	core   int // bytes before the forks
	fork   int // offset of the fork of attributes behind that; 0 if there is none
}

// inode reads an inode, whose number tells where it is.
func (x *xfs) inode(number uint64) (*xfsInode, error) {
	at, err := x.fsBlock(number >> x.inodeLog)
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	block, err := x.cached(at)
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	in := int64(number&(1<<x.inodeLog-1)) * x.inodeSize
	i := &xfsInode{x: x, number: number, raw: block[in:][:x.inodeSize], at: at*x.blockSize + in, core: 100}
	if err := i.parse(); err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	return i, nil
}

func (i *xfsInode) parse() error {
	mode := uint32(be.Uint16(i.raw[2:]))
	if string(i.raw[:2]) != "IN" || i.raw[4] == 0 || i.raw[4] > 3 || (i.raw[4] == 3) != i.x.v5 {
		return errors.New("not an inode")
	}
	if i.x.v5 {
		i.core, i.flags2 = 176, be.Uint64(i.raw[120:])
		if !xfsChecked(i.raw, 100) {
			return errors.New("wrong checksum")
		}
		if be.Uint64(i.raw[152:]) != i.number || string(i.raw[160:176]) != i.x.uuid {
			return errors.New("another inode is at its place")
		}
	}
	if i.mode = unpack.UnixMode(mode); i.mode.Type() == 0 && mode>>12 != 8 {
		return errors.New("not in use")
	}
	if i.size = int64(be.Uint64(i.raw[56:])); i.size < 0 {
		return errors.New("a negative size")
	}
	i.fork = int(i.raw[82]) * 8
	if i.core+i.fork > len(i.raw) {
		return errors.New("a fork that reaches too far")
	}
	return nil
}

func (i *xfsInode) isDir() bool { return i.mode.IsDir() }

// data is the fork of the content, attrs the one of the attributes.
func (i *xfsInode) data() xfsFork {
	end := len(i.raw)
	if i.fork > 0 {
		end = i.core + i.fork
	}
	n := uint64(be.Uint32(i.raw[76:]))
	if i.flags2&xfsBigCount != 0 {
		n = be.Uint64(i.raw[24:])
	}
	return xfsFork{i, i.raw[5], n, i.raw[i.core:end]}
}

func (i *xfsInode) attrs() xfsFork {
	if i.fork == 0 {
		return xfsFork{i, xfsExtents, 0, nil}
	}
	n := uint64(be.Uint16(i.raw[80:]))
	if i.flags2&xfsBigCount != 0 {
		n = uint64(be.Uint32(i.raw[76:]))
	}
	return xfsFork{i, i.raw[83], n, i.raw[i.core+i.fork:]}
}

func (i *xfsInode) modTime() time.Time {
	if i.flags2&xfsBigTime != 0 {
		n := be.Uint64(i.raw[40:])
		return time.Unix(int64(n/1e9)-1<<31, int64(n%1e9))
	}
	return time.Unix(int64(int32(be.Uint32(i.raw[40:]))), int64(be.Uint32(i.raw[44:])))
}

// entry makes an entry of an inode.
func (i *xfsInode) entry(p string) (e unpack.Entry, err error) {
	e = unpack.Entry{Path: p, Mode: i.mode, UID: int(be.Uint32(i.raw[8:])), GID: int(be.Uint32(i.raw[12:])), ModTime: i.modTime(), Order: i.place()}
	if !i.mode.IsDir() {
		e.Inode = i.number
	}
	if e.Xattrs, err = i.xattrs(); err != nil {
		err = fmt.Errorf("extended attributes: %w", err)
	}
	switch {
	case i.mode.IsRegular():
		if i.size > 0 {
			e.Data, e.Err = i.open()
		}
	case i.mode&fs.ModeSymlink != 0:
		e.Link, e.Err = i.target()
	case i.mode&fs.ModeDevice != 0:
		dev := be.Uint32(i.raw[i.core:])
		e.Major, e.Minor = dev>>18, dev&(1<<18-1)
	}
	return e, err
}

// place is where the content starts.
func (i *xfsInode) place() int64 {
	if f := i.data(); f.form == xfsExtents && f.count > 0 && len(f.raw) >= 16 {
		if at, err := i.x.fsBlock(xfsRecord(f.raw).block); err == nil {
			return at * i.x.blockSize
		}
	}
	return i.at
}

// open returns the content of a file. The inode is read anew, through the
// cache: its bytes are not kept for every file.
func (i *xfsInode) open() (unpack.Bytes, error) {
	if be.Uint16(i.raw[90:])&xfsRealtime != 0 {
		return nil, fmt.Errorf("%w: its content is on the realtime device", unpack.ErrUnsupported)
	}
	stored := be.Uint64(i.raw[64:])
	if stored > uint64(i.x.blocks) {
		return nil, fmt.Errorf("it claims %d blocks", stored)
	}
	if err := unpack.TooSparse(i.size, max(int64(stored), 1)*i.x.blockSize); err != nil {
		return nil, err
	}
	x, number := i.x, i.number
	return &mapped{fmt.Sprintf("xfs: inode %d", number), i.size, func(off int64) (piece, error) {
		i, err := x.inode(number)
		if err != nil {
			return piece{}, err
		}
		return i.data().find(off)
	}}, nil
}

// target reads where a link leads: the text lies in the inode, or in blocks
// that have headers in version 5.
func (i *xfsInode) target() (string, error) {
	f := i.data()
	if i.size > 1024 {
		return "", fmt.Errorf("a target of %d bytes", i.size)
	}
	if f.form == xfsLocal {
		if i.size > int64(len(f.raw)) {
			return "", errors.New("a target that reaches too far")
		}
		return unpack.CString(f.raw[:i.size]), nil
	}
	b, err := f.remote(0, i.size, "XSLM")
	return unpack.CString(b), err
}
