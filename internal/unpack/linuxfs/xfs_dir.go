package linuxfs

import (
	"errors"
)

// xfsLeafOffset is where a folder's index starts; the names lie before it.
const xfsLeafOffset = 1 << 35

// list calls found with every name of a folder, until it returns false.
func (i *xfsInode) list(found func(name string, number uint64) bool) error {
	f := i.data()
	if f.form == xfsLocal {
		return i.short(f.raw[:min(int64(len(f.raw)), i.size)], found)
	}
	per := uint64(i.x.dirSize / i.x.blockSize)
	var damaged error
	for block := uint64(0); block < uint64(xfsLeafOffset/i.x.blockSize); {
		at, n, err := f.run(block)
		if err != nil {
			return errors.Join(damaged, err)
		}
		if at < 0 {
			block += (uint64(n) + per - 1) / per * per
			continue
		}
		more, err := i.dirBlock(f, block, found)
		if !more {
			return damaged
		}
		if damaged == nil {
			damaged = err
		}
		block += per
	}
	return damaged
}

// short reads a folder that lies in its inode.
func (i *xfsInode) short(p []byte, found func(string, uint64) bool) error {
	errShort := errors.New("a damaged list of names")
	if len(p) < 6 {
		return errShort
	}
	n, size := int(p[0]), 4
	if p[1] > 0 {
		size = 8
	}
	for p = p[min(2+size, len(p)):]; n > 0; n-- {
		if len(p) < 3 {
			return errShort
		}
		nameLen := int(p[0])
		at := 3 + nameLen
		if i.x.ftype {
			at++
		}
		if at+size > len(p) || nameLen == 0 {
			return errShort
		}
		number := uint64(be.Uint32(p[at:]))
		if size == 8 {
			number = be.Uint64(p[at:])
		}
		if !found(string(p[3:3+nameLen]), number) {
			return nil
		}
		p = p[at+size:]
	}
	return nil
}

// dirBlock reads a block of names, which may be several blocks of the file
// system long.
func (i *xfsInode) dirBlock(f xfsFork, block uint64, found func(string, uint64) bool) (more bool, err error) {
	var p []byte
	for k := range uint64(i.x.dirSize / i.x.blockSize) {
		at, _, err := f.run(block + k)
		if err == nil && at < 0 {
			err = errors.New("a part of a block of names is missing")
		}
		if err != nil {
			return true, err
		}
		// Blocks may be listed again and again by hostile maps.
		if i.x.dirBlocks++; i.x.dirBlocks > i.x.blocks {
			return false, errors.New("folders take more blocks than there are")
		}
		b, err := i.x.block(at, 1)
		if err != nil {
			return true, err
		}
		p = append(p, b...)
	}
	return i.names(p, found)
}

// names reads a block of names: a header, entries and unused stretches, and in
// a folder of one block its index at the end.
func (i *xfsInode) names(p []byte, found func(string, uint64) bool) (more bool, err error) {
	errBlock := errors.New("a damaged block of names")
	at, end := 16, len(p)
	magic := string(p[:4])
	if i.x.v5 {
		at = 64
		if be.Uint64(p[40:]) != i.number || !xfsChecked(p, 4) {
			return true, errors.New("a block of names with a wrong checksum")
		}
	}
	switch {
	case i.x.v5 && magic == "XDD3", !i.x.v5 && magic == "XD2D":
	case i.x.v5 && magic == "XDB3", !i.x.v5 && magic == "XD2B":
		n := int64(be.Uint32(p[len(p)-8:]))
		if n*8 > int64(len(p)-8-at) {
			return true, errBlock
		}
		end = len(p) - 8 - int(n*8)
	default:
		return true, errBlock
	}
	for at < end {
		if end-at < 8 {
			return true, errBlock
		}
		if be.Uint16(p[at:]) == 0xffff {
			n := int(be.Uint16(p[at+2:]))
			if n == 0 || n%8 != 0 || n > end-at {
				return true, errBlock
			}
			at += n
			continue
		}
		if end-at < 12 {
			return true, errBlock
		}
		nameLen := int(p[at+8])
		size := 9 + nameLen + 2
		if i.x.ftype {
			size++
		}
		size = (size + 7) &^ 7
		if nameLen == 0 || size > end-at || int(be.Uint16(p[at+size-2:])) != at {
			return true, errBlock
		}
		if !found(string(p[at+9:at+9+nameLen]), be.Uint64(p[at:])) {
			return false, nil
		}
		at += size
	}
	return true, nil
}
