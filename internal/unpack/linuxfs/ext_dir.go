package linuxfs

import (
	"encoding/binary"
	"errors"
)

// list calls f with every name of a folder and its inode, until f returns
// false. A folder with an index (htree) is read like any other: the blocks of
// the index look like unused entries.
func (x *ext) list(dir *extInode, f func(name string, number uint32) bool) error {
	if dir.flags&extFlagInline != 0 {
		return x.listInline(dir, f)
	}
	if dir.size < 0 || dir.size > x.blockSize<<32 {
		return errors.New("an impossible size")
	}
	var w extWalk
	var damaged error
	for block := int64(0); block < dir.size/x.blockSize; {
		r, err := dir.run(block, &w)
		if err != nil {
			return errors.Join(damaged, err)
		}
		for n := int64(0); r.at != 0 && n < r.count && block+n < dir.size/x.blockSize; n++ {
			// Blocks may be listed again and again by hostile maps.
			if x.dirBlocks++; x.dirBlocks > x.blocks {
				return errors.New("folders take more blocks than there are")
			}
			more, err := x.listBlock(dir, r.at+n, f)
			if damaged == nil {
				damaged = err
			}
			if !more {
				return damaged
			}
		}
		block += r.count
	}
	return damaged
}

func (x *ext) listBlock(dir *extInode, at int64, f func(string, uint32) bool) (more bool, err error) {
	p, err := x.readBlock(at)
	if err != nil {
		return true, err
	}
	if x.ro&extROCsum != 0 && !dir.namesChecked(p) {
		return true, errors.New("a block of names with a wrong checksum")
	}
	return listNames(p, f)
}

// namesChecked compares a block of names with the checksum in its last entry.
// Blocks of the index have theirs elsewhere; they hold no names.
func (i *extInode) namesChecked(p []byte) bool {
	tail := p[len(p)-12:]
	if binary.LittleEndian.Uint32(tail) != 0 || binary.LittleEndian.Uint32(tail[4:]) != 0xde00000c {
		return true
	}
	return i.x.crc(i.seed, p[:len(p)-12]) == binary.LittleEndian.Uint32(tail[8:])
}

// listNames reads entries: inode, length of the record, length of the name,
// type, name.
func listNames(p []byte, f func(name string, number uint32) bool) (more bool, err error) {
	for len(p) >= 8 {
		number := binary.LittleEndian.Uint32(p)
		size := int(binary.LittleEndian.Uint16(p[4:]))
		if size == 65535 || size == 0 {
			size = 65536 // the one that does not fit
		}
		nameLen := int(p[6])
		if size < 8 || size > len(p) || size%4 != 0 || (number != 0 && nameLen > size-8) {
			return true, errors.New("a damaged block of names")
		}
		if number != 0 && nameLen > 0 && !f(string(p[8:8+nameLen]), number) {
			return false, nil
		}
		p = p[size:]
	}
	return true, nil
}

// listInline reads a folder whose names lie in the inode: behind the number of
// the parent, and in the attribute that takes what does not fit there.
func (x *ext) listInline(dir *extInode, f func(string, uint32) bool) error {
	content, err := dir.inline()
	if err != nil {
		return err
	}
	content = content[:min(int64(len(content)), max(dir.size, 60))]
	more, err := listNames(content[4:60], f)
	if err != nil || !more {
		return err
	}
	_, err = listNames(content[60:], f)
	return err
}
