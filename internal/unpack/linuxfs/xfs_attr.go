package linuxfs

import (
	"errors"
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// Flags of an attribute.
const (
	xfsAttrLocal      = 0x1
	xfsAttrRoot       = 0x2
	xfsAttrSecure     = 0x4
	xfsAttrParent     = 0x8
	xfsAttrIncomplete = 0x80
)

var errXFSAttr = errors.New("a damaged list")

// xattrs reads the extended attributes.
func (i *xfsInode) xattrs() (map[string]string, error) {
	f := i.attrs()
	list := map[string]string{}
	switch {
	case f.form == xfsLocal && len(f.raw) > 0:
		return list, i.shortAttrs(f.raw, list)
	case f.form == xfsExtents && f.count == 0:
		return nil, nil
	}
	return list, i.attrLeaves(f, list)
}

// addAttr takes an attribute, if it is one for programs.
func (i *xfsInode) addAttr(flags byte, name string, value []byte, list map[string]string) error {
	prefix := "user."
	switch {
	case flags&(xfsAttrIncomplete|xfsAttrParent) != 0:
		return nil
	case flags&xfsAttrRoot != 0:
		prefix = "trusted."
	case flags&xfsAttrSecure != 0:
		prefix = "security."
	}
	if i.x.xattrBytes += len(name) + len(value); i.x.xattrBytes > unpack.MaxXattrs {
		return fmt.Errorf("%w: they take too much room", unpack.ErrLimit)
	}
	list[prefix+strings.Clone(name)] = string(value)
	return nil
}

// shortAttrs reads attributes that lie in the inode.
func (i *xfsInode) shortAttrs(p []byte, list map[string]string) error {
	if len(p) < 4 || int(be.Uint16(p)) > len(p) {
		return errXFSAttr
	}
	n := int(p[2])
	for p = p[4:max(4, int(be.Uint16(p)))]; n > 0; n-- {
		if len(p) < 3 || 3+int(p[0])+int(p[1]) > len(p) {
			return errXFSAttr
		}
		end := 3 + int(p[0])
		if err := i.addAttr(p[2], string(p[3:end]), p[end:end+int(p[1])], list); err != nil {
			return err
		}
		p = p[end+int(p[1]):]
	}
	return nil
}

// attrBlock reads a block of the fork and says if it is a leaf.
func (i *xfsInode) attrBlock(f xfsFork, block uint64) (p []byte, leaf bool, err error) {
	at, _, err := f.run(block)
	if err == nil && at < 0 {
		err = errXFSAttr
	}
	if err != nil {
		return nil, false, err
	}
	if p, err = i.x.block(at, 1); err != nil {
		return nil, false, err
	}
	if i.x.v5 && (be.Uint64(p[48:]) != i.number || !xfsChecked(p, 12)) {
		return nil, false, errors.New("a block with a wrong checksum")
	}
	switch magic := be.Uint16(p[8:]); {
	case i.x.v5 && magic == 0x3bee, !i.x.v5 && magic == 0xfbee:
		return p, true, nil
	case i.x.v5 && magic == 0x3ebe, !i.x.v5 && magic == 0xfebe:
		return p, false, nil
	}
	return nil, false, errXFSAttr
}

// attrLeaves descends to the first leaf and follows the chain of leaves.
func (i *xfsInode) attrLeaves(f xfsFork, list map[string]string) error {
	p, leaf, err := i.attrBlock(f, 0)
	for depth := 0; err == nil && !leaf; depth++ {
		head := 16
		if i.x.v5 {
			head = 64
		}
		if depth > 8 || be.Uint16(p[head-4:]) == 0 && !i.x.v5 || be.Uint16(p[56:]) == 0 && i.x.v5 {
			return errXFSAttr
		}
		p, leaf, err = i.attrBlock(f, uint64(be.Uint32(p[head+4:])))
	}
	for range 10_000 {
		if err != nil {
			return err
		}
		if err := i.attrLeaf(f, p, list); err != nil {
			return err
		}
		next := be.Uint32(p)
		if next == 0 {
			return nil
		}
		if p, leaf, err = i.attrBlock(f, uint64(next)); err == nil && !leaf {
			err = errXFSAttr
		}
	}
	return errXFSAttr
}

// attrLeaf reads a leaf: a header, the index, and the names from the end on.
func (i *xfsInode) attrLeaf(f xfsFork, p []byte, list map[string]string) error {
	head, countAt := 32, 12
	if i.x.v5 {
		head, countAt = 80, 56
	}
	n := int(be.Uint16(p[countAt:]))
	if head+8*n > len(p) {
		return errXFSAttr
	}
	for k := range n {
		e := p[head+8*k:]
		at, flags := int(be.Uint16(e[4:])), e[6]
		if at+10 > len(p) {
			return errXFSAttr
		}
		var name string
		var value []byte
		if v := p[at:]; flags&xfsAttrLocal != 0 {
			size, nameLen := int(be.Uint16(v)), int(v[2])
			if 3+nameLen+size > len(v) {
				return errXFSAttr
			}
			name, value = string(v[3:3+nameLen]), v[3+nameLen:][:size]
		} else {
			size, nameLen := int64(be.Uint32(v[4:])), int(v[8])
			if 9+nameLen > len(v) || size > 64<<10 {
				return errXFSAttr
			}
			name = string(v[9 : 9+nameLen])
			if flags&xfsAttrIncomplete != 0 {
				continue
			}
			var err error
			if value, err = f.remote(uint64(be.Uint32(v)), size, "XARM"); err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
		}
		if err := i.addAttr(flags, name, value, list); err != nil {
			return err
		}
	}
	return nil
}
