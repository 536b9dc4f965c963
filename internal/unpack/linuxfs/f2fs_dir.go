package linuxfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

const (
	f2fsSlot      = 8  // bytes of a name's slot
	f2fsDentry    = 11 // hash, inode, length of the name, type
	f2fsXattrMark = 0xf2f52011
)

// list calls found with every name of a folder, until it returns false. The
// levels of hash buckets lie one behind the other; all blocks are read.
func (i *f2fsInode) list(found func(name string, number uint64) bool) error {
	if i.inline&f2fsInlineDentry != 0 {
		_, err := i.names(i.inner(), found)
		return err
	}
	content, err := i.open()
	if err != nil {
		return err
	}
	var damaged error
	blockSize := i.f.blockSize
	for off := int64(0); off < i.size; {
		p, err := i.find(off)
		if err != nil {
			return errors.Join(damaged, err)
		}
		if p.data == nil {
			off += p.size
			continue
		}
		// Blocks may be listed again and again by hostile maps.
		if i.f.dirBlocks++; i.f.dirBlocks > i.f.blocks {
			return errors.New("folders take more blocks than there are")
		}
		b, err := unpack.ReadFull(content, off, min(blockSize, i.size-off))
		if err == nil && int64(len(b)) < blockSize {
			err = errors.New("a block of names that is cut off")
		}
		if err != nil {
			return errors.Join(damaged, err)
		}
		more, err := i.names(b, found)
		if !more {
			return damaged
		}
		if damaged == nil {
			damaged = err
		}
		off += blockSize
	}
	return damaged
}

// names reads a block of names: a bitmap of slots in use, the entries, the
// names in slots of eight bytes.
func (i *f2fsInode) names(p []byte, found func(string, uint64) bool) (more bool, err error) {
	slots := len(p) * 8 / ((f2fsDentry+f2fsSlot)*8 + 1)
	entries := p[len(p)-(f2fsDentry+f2fsSlot)*slots:]
	names := entries[f2fsDentry*slots:]
	for at := 0; at < slots; {
		if p[at/8]>>(at%8)&1 == 0 {
			at++
			continue
		}
		e := entries[at*f2fsDentry:]
		n := int(le.Uint16(e[8:]))
		if n == 0 || n > 255 || at*f2fsSlot+n > len(names) {
			return true, errors.New("a damaged block of names")
		}
		name := string(names[at*f2fsSlot:][:n])
		if !i.nameChecked(name, le.Uint32(e)) {
			return true, errors.New("a name with a wrong hash")
		}
		if i.encrypted && name != "." && name != ".." {
			name = fmt.Sprintf("encrypted-%x", name)
		}
		if !found(name, uint64(le.Uint32(e[4:]))) {
			return false, nil
		}
		at += (n + f2fsSlot - 1) / f2fsSlot
	}
	return true, nil
}

// nameChecked compares a name with its hash, which is the only checksum that
// names have. Folders with encrypted or case-folded names hash other bytes.
func (i *f2fsInode) nameChecked(name string, hash uint32) bool {
	const casefold = 0x40000000
	if i.encrypted || le.Uint32(i.raw[80:])&casefold != 0 || name == "." || name == ".." {
		return true
	}
	return f2fsHash(name) == hash
}

// f2fsHash is the hash of a name: TEA over pieces of 16 bytes, started like
// MD4, as in the index of ext3.
func f2fsHash(name string) uint32 {
	state := [2]uint32{0x67452301, 0xefcdab89}
	for {
		var in [4]uint32
		pad := uint32(len(name)) | uint32(len(name))<<8
		pad |= pad << 16
		for k := range in {
			in[k] = pad
			for j := 4 * k; j < min(4*k+4, len(name)); j++ {
				if j%4 == 0 {
					in[k] = pad
				}
				in[k] = uint32(name[j]) + in[k]<<8
			}
		}
		teaRound(&state, &in)
		if len(name) <= 16 {
			return state[0]
		}
		name = name[16:]
	}
}

func teaRound(state *[2]uint32, in *[4]uint32) {
	sum, b0, b1 := uint32(0), state[0], state[1]
	for range 16 {
		sum += 0x9e3779b9
		b0 += (b1<<4 + in[0]) ^ (b1 + sum) ^ (b1>>5 + in[1])
		b1 += (b0<<4 + in[2]) ^ (b0 + sum) ^ (b0>>5 + in[3])
	}
	state[0] += b0
	state[1] += b1
}

func (i *f2fsInode) isDir() bool { return i.mode.IsDir() }

// entry makes an entry of an inode.
func (i *f2fsInode) entry(p string) (e unpack.Entry, err error) {
	e = unpack.Entry{Path: p, Mode: i.mode, UID: int(le.Uint32(i.raw[4:])), GID: int(le.Uint32(i.raw[8:])), ModTime: i.modTime(), Order: i.place()}
	if !i.mode.IsDir() {
		e.Inode = uint64(i.number)
	}
	if e.Xattrs, err = i.xattrs(); err != nil {
		err = fmt.Errorf("extended attributes: %w", err)
	}
	switch {
	case i.encrypted && (i.mode.IsRegular() || i.mode&fs.ModeSymlink != 0):
		e.Err = unpack.ErrEncrypted
	case i.mode.IsRegular():
		if i.size > 0 {
			e.Data, e.Err = i.open()
		}
	case i.mode&fs.ModeSymlink != 0:
		e.Link, e.Err = i.target()
	case i.mode&fs.ModeDevice != 0:
		e.Major, e.Minor = i.device()
	}
	return e, err
}

// place is where the content starts.
func (i *f2fsInode) place() int64 {
	if addr := int64(le.Uint32(i.room())); i.inline&f2fsInlineData == 0 && addr > 0 && addr < i.f.blocks {
		return addr * i.f.blockSize
	}
	return i.at * i.f.blockSize
}

func (i *f2fsInode) target() (string, error) {
	content, err := i.open()
	if err != nil {
		return "", err
	}
	b, err := unpack.ReadFull(content, 0, min(i.size, i.f.blockSize))
	return unpack.CString(b), err
}

var f2fsXattrPrefix = map[byte]string{
	1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default", 4: "trusted.", 6: "security.", 7: "system.advise",
}

// xattrs reads the attributes in the inode, which go on in a node of their own.
func (i *f2fsInode) xattrs() (map[string]string, error) {
	var area []byte
	if i.inline&f2fsInlineXattr != 0 {
		area = append(area, i.raw[360+i.pointerBytes()-i.xattrRoom:][:i.xattrRoom]...)
	}
	var err error
	if nid := le.Uint32(i.raw[76:]); nid != 0 {
		var p []byte
		if p, _, err = i.f.node(nid, i.number); err == nil {
			area = append(area, p[:i.f.blockSize-24]...)
		}
	}
	if len(area) < 24 || le.Uint32(area) != f2fsXattrMark {
		return nil, err
	}
	list := map[string]string{}
	for p := area[24:]; len(p) >= 4 && le.Uint32(p) != 0; {
		nameLen, size := int(p[1]), int(le.Uint16(p[2:]))
		if 4+nameLen+size > len(p) {
			if err == nil {
				err = errors.New("a value that reaches too far")
			}
			return list, err
		}
		if i.f.xattrBytes += nameLen + size; i.f.xattrBytes > unpack.MaxXattrs {
			return list, fmt.Errorf("%w: extended attributes take too much room", unpack.ErrLimit)
		}
		// Other prefixes are the kernel's own: the context of encryption.
		if prefix, ok := f2fsXattrPrefix[p[0]]; ok {
			list[prefix+string(p[4:4+nameLen])] = strings.Clone(string(p[4+nameLen:][:size]))
		}
		p = p[min((4+nameLen+size+3)&^3, len(p)):]
	}
	return list, err
}
