package linuxfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// Flags of inodes.
const (
	extFlagEncrypt = 0x800
	extFlagExtents = 0x80000
	extFlagEAInode = 0x200000
	extFlagInline  = 0x10000000
)

// extInode is an inode, with the bytes that it was read from.
type extInode struct {
	x        *ext
	raw      []byte
	number   uint32
	mode     fs.FileMode
	uid, gid uint32
	size     int64
	mtime    time.Time
	flags    uint32
	seed     uint32 // of the checksums of its blocks
	acl      int64  // block of extended attributes
}

// inode reads an inode and checks its checksum.
func (x *ext) inode(number uint32) (*extInode, error) {
	if number == 0 || number > x.inodes {
		return nil, fmt.Errorf("inode %d of %d", number, x.inodes)
	}
	group, index := int64((number-1)/x.inodesPer), int64((number-1)%x.inodesPer)
	d, err := x.groupDesc(group)
	if err != nil {
		return nil, err
	}
	table := int64(binary.LittleEndian.Uint32(d[8:]))
	if x.descSize >= 64 {
		table |= int64(binary.LittleEndian.Uint32(d[0x28:])) << 32
	}
	at := index * x.inodeSize
	block, err := x.readBlock(table + at/x.blockSize)
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	i := &extInode{x: x, number: number, raw: block[at%x.blockSize:][:x.inodeSize]}
	i.parse()
	if x.ro&extROCsum != 0 && !i.checked() {
		return nil, fmt.Errorf("inode %d: wrong checksum", number)
	}
	if i.mode&fs.ModeIrregular != 0 {
		return nil, fmt.Errorf("inode %d: not in use", number)
	}
	return i, nil
}

func (i *extInode) u16(at int) uint16 { return binary.LittleEndian.Uint16(i.raw[at:]) }
func (i *extInode) u32(at int) uint32 { return binary.LittleEndian.Uint32(i.raw[at:]) }

// extra is how many bytes of the fields behind the first 128 are in use.
func (i *extInode) extra() int {
	if len(i.raw) < 132 {
		return 0
	}
	return min(int(i.u16(0x80)), len(i.raw)-128)
}

func (i *extInode) parse() {
	mode := uint32(i.u16(0))
	i.mode = unpack.UnixMode(mode)
	if kind := mode >> 12; kind == 0 || (i.mode.Type() == 0 && kind != 8) {
		i.mode |= fs.ModeIrregular
	}
	i.uid = uint32(i.u16(2)) | uint32(i.u16(0x78))<<16
	i.gid = uint32(i.u16(0x18)) | uint32(i.u16(0x7a))<<16
	i.size = int64(i.u32(4))
	if i.mode.IsRegular() || i.mode.IsDir() {
		i.size |= int64(i.u32(0x6c)) << 32
	}
	i.flags = i.u32(0x20)
	i.acl = int64(i.u32(0x68)) | int64(i.u16(0x76))<<32
	seconds := int64(int32(i.u32(0x10)))
	nanos := int64(0)
	if i.extra() >= 12 {
		more := i.u32(0x88)
		seconds += int64(more&3) << 32
		nanos = int64(more >> 2)
	}
	i.mtime = time.Unix(seconds, nanos)
	i.seed = i.x.crc(i.x.crc(i.x.seed, binary.LittleEndian.AppendUint32(nil, i.number)), i.raw[0x64:0x68])
}

// checked compares the inode with its checksum.
func (i *extInode) checked() bool {
	raw := bytes.Clone(i.raw)
	raw[0x7c], raw[0x7d] = 0, 0
	sum, mask := uint32(i.u16(0x7c)), uint32(0xffff)
	if i.extra() >= 4 {
		raw[0x82], raw[0x83] = 0, 0
		sum, mask = sum|uint32(i.u16(0x82))<<16, ^uint32(0)
	}
	return i.x.crc(i.seed, raw)&mask == sum
}

// block is the field that holds the block map, or whatever takes its place.
func (i *extInode) block() []byte { return i.raw[0x28:0x64] }

// place is where the content starts, as far as the inode says.
func (i *extInode) place() int64 {
	if i.flags&extFlagExtents != 0 {
		return int64(binary.LittleEndian.Uint32(i.block()[20:])) * i.x.blockSize
	}
	return int64(binary.LittleEndian.Uint32(i.block())) * i.x.blockSize
}

func (i *extInode) device() (major, minor uint32) {
	if old := binary.LittleEndian.Uint32(i.block()); old != 0 {
		return old >> 8 & 0xff, old & 0xff
	}
	return unpack.UnixDevice(binary.LittleEndian.Uint32(i.block()[4:]))
}

// open returns the content of a file.
func (i *extInode) open() (unpack.Bytes, error) {
	if i.size < 0 || i.size > i.x.blockSize<<32 {
		return nil, fmt.Errorf("a file of %d bytes", uint64(i.size))
	}
	if i.flags&extFlagInline == 0 {
		return &extFile{i}, nil
	}
	content, err := i.inline()
	if err != nil {
		return nil, err
	}
	if i.size > int64(len(content)) {
		return &zeroTail{unpack.Slice(content), i.size}, nil
	}
	return unpack.Slice(content[:i.size]), nil
}

// zeroTail is content with zeros behind it, up to a size: mke2fs leaves files
// of zeros alone in such an inode, and the kernel reads them so.
type zeroTail struct {
	unpack.Slice
	size int64
}

// Size implements Bytes.
func (z *zeroTail) Size() int64 { return z.size }

// ReadAt implements Bytes.
func (z *zeroTail) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= z.size {
		return 0, io.EOF
	}
	var eof error
	if int64(len(p)) > z.size-off {
		p, eof = p[:z.size-off], io.EOF
	}
	n := 0
	if off < int64(len(z.Slice)) {
		n = copy(p, z.Slice[off:])
	}
	clear(p[n:])
	return len(p), eof
}

// inline returns the content that lies in the inode: 60 bytes in the place of
// the block map, and an attribute for the rest.
func (i *extInode) inline() ([]byte, error) {
	rest, err := i.innerXattrs(true)
	if err != nil {
		return nil, err
	}
	return append(bytes.Clone(i.block()), rest["system.data"]...), nil
}

// target returns the target of a symbolic link.
func (i *extInode) target() (string, error) {
	if i.size <= 0 || i.size > max(4096, i.x.blockSize) {
		return "", fmt.Errorf("a link to a path of %d bytes", i.size)
	}
	if i.flags&(extFlagExtents|extFlagInline) == 0 && i.size < 60 && i.fast() {
		return string(i.block()[:i.size]), nil
	}
	b, err := i.open()
	if err != nil {
		return "", err
	}
	p, err := unpack.ReadFull(b, 0, i.size)
	return string(p), err
}

// fast says that an old-style link has no blocks of its own: its target
// stands in the inode.
func (i *extInode) fast() bool {
	own := int64(i.u32(0x1c))
	if i.acl != 0 {
		own -= i.x.blockSize / 512
	}
	return own <= 0
}

var extXattrPrefix = map[byte]string{
	1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default", 4: "trusted.", 6: "security.", 7: "system.", 8: "system.richacl",
}

// xattrs reads the attributes in the inode and in its block.
func (i *extInode) xattrs() (map[string]string, error) {
	list, err := i.innerXattrs(false)
	if i.acl == 0 {
		return list, err
	}
	block, blockErr := i.x.readBlock(i.acl)
	switch {
	case blockErr != nil:
	case binary.LittleEndian.Uint32(block) != extXattrMagic:
		blockErr = errors.New("a block without the mark of attributes")
	case i.x.ro&extROCsum != 0 && !i.x.xattrBlockChecked(i.acl, block):
		blockErr = errors.New("a block with a wrong checksum")
	default:
		if list == nil {
			list = map[string]string{}
		}
		blockErr = i.parseXattrs(block[32:], block, false, list)
	}
	return list, errors.Join(err, blockErr)
}

const extXattrMagic = 0xea020000

func (x *ext) xattrBlockChecked(at int64, block []byte) bool {
	sum := x.crc(x.seed, binary.LittleEndian.AppendUint64(nil, uint64(at)))
	sum = x.crc(sum, block[:0x10])
	sum = x.crc(sum, make([]byte, 4))
	return x.crc(sum, block[0x14:]) == binary.LittleEndian.Uint32(block[0x10:])
}

// innerXattrs reads the attributes behind the inode's fields: system.data, the
// content of small files, or the others.
func (i *extInode) innerXattrs(data bool) (map[string]string, error) {
	at := 128 + i.extra()
	if i.extra() == 0 || at+4 > len(i.raw) || i.u32(at) != extXattrMagic {
		return nil, nil
	}
	list := map[string]string{}
	area := i.raw[at+4:]
	err := i.parseXattrs(area, area, data, list)
	return list, err
}

// parseXattrs reads a list of attributes, whose values lie in values. The
// content of small files (data) is no attribute for others.
func (i *extInode) parseXattrs(p, values []byte, data bool, list map[string]string) error {
	for len(p) >= 16 && binary.LittleEndian.Uint32(p) != 0 {
		nameLen := int(p[0])
		if 16+nameLen > len(p) {
			return errors.New("a name that reaches too far")
		}
		name := extXattrPrefix[p[1]] + string(p[16:16+nameLen])
		if (name == "system.data") == data {
			value, err := i.xattrValue(p, values)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if i.x.xattrBytes += len(name) + len(value); i.x.xattrBytes > unpack.MaxXattrs {
				return fmt.Errorf("%w: extended attributes take too much room", unpack.ErrLimit)
			}
			list[name] = value
		}
		p = p[min(16+(nameLen+3)&^3, len(p)):]
	}
	return nil
}

// xattrValue reads the value of an entry, from the same area or from an inode
// that holds nothing else.
func (i *extInode) xattrValue(p, values []byte) (string, error) {
	size := int64(binary.LittleEndian.Uint32(p[8:]))
	if number := binary.LittleEndian.Uint32(p[4:]); number != 0 {
		if size > unpack.MaxXattr {
			return "", fmt.Errorf("a value of %d bytes", size)
		}
		holder, err := i.x.inode(number)
		if err != nil {
			return "", err
		}
		if holder.flags&extFlagEAInode == 0 || holder.flags&extFlagInline != 0 || holder.size != size {
			return "", fmt.Errorf("inode %d does not hold the value", number)
		}
		value, err := unpack.ReadFull(&extFile{holder}, 0, size)
		return string(value), err
	}
	at := int64(binary.LittleEndian.Uint16(p[2:]))
	if at > int64(len(values)) || size > int64(len(values))-at {
		return "", errors.New("a value that reaches too far")
	}
	return strings.Clone(string(values[at : at+size])), nil
}
