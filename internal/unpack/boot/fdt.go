package boot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// The flattened device tree, as its specification (devicetree.org, chapter 5)
// describes it; all numbers are big endian.

const (
	fdtMagic     = "\xd0\x0d\xfe\xed"
	fdtBeginNode = 1
	fdtEndNode   = 2
	fdtProperty  = 3
	fdtNop       = 4
	fdtEnd       = 9

	maxFDTDepth = 64
	maxFDTNodes = 1 << 18 // nodes and properties
	maxFDTValue = 64 << 10
)

// FDTNode is a node of a device tree.
type FDTNode struct {
	name  string
	props []fdtProp
	kids  []*FDTNode
}

type fdtProp struct {
	name  string
	value unpack.Bytes // not copied
	off   int64        // of the value in the blob
}

// fdt is a parsed blob.
type fdt struct {
	root  *FDTNode
	total int64 // size of the blob
	err   error // what stopped the parser before the end
}

func (n *FDTNode) child(name string) *FDTNode {
	if n != nil {
		for _, k := range n.kids {
			if k.name == name {
				return k
			}
		}
	}
	return nil
}

func (n *FDTNode) prop(name string) *fdtProp {
	if n != nil {
		for i := range n.props {
			if n.props[i].name == name {
				return &n.props[i]
			}
		}
	}
	return nil
}

// bytes is the property's value, cut to what a value may reasonably be.
func (p *fdtProp) bytes() []byte {
	if p == nil {
		return nil
	}
	return unpack.ReadSome(p.value, 0, maxFDTValue)
}

// str is the value as text; a list of strings is joined by commas.
func (n *FDTNode) str(name string) string {
	b := bytes.TrimRight(n.prop(name).bytes(), "\x00")
	return strings.ToValidUTF8(string(bytes.ReplaceAll(b, []byte{0}, []byte(", "))), "?")
}

// num is the value as a number of one or two cells.
func (n *FDTNode) num(name string) (int64, bool) {
	switch b := n.prop(name).bytes(); len(b) {
	case 4:
		return int64(binary.BigEndian.Uint32(b)), true
	case 8:
		v := binary.BigEndian.Uint64(b)
		return int64(v), v < 1<<62
	}
	return 0, false
}

// fdtParser walks the structure block.
type fdtParser struct {
	data    unpack.Bytes
	at, end int64
	strings []byte
	left    int // nodes and properties that may still come
}

// ParseFDT parses the blob at the start of data. It returns ErrNotThis unless
// header and root are sound; what goes wrong later is in the result's err.
func ParseFDT(data unpack.Bytes) (*fdt, error) {
	h, err := unpack.ReadFull(data, 0, 40)
	if err != nil || string(h[:4]) != fdtMagic {
		return nil, unpack.ErrNotThis
	}
	word := func(i int) int64 { return int64(binary.BigEndian.Uint32(h[4*i:])) }
	total, structOff, stringsOff, version, compatible, stringsSize, structSize := word(1), word(2), word(3), word(5), word(6), word(8), word(9)
	if version == 16 {
		structSize = total - structOff // has no such field
	}
	switch {
	case version < 16 || version > 64 || compatible > 17 || compatible < 2 || compatible > version:
		return nil, unpack.ErrNotThis
	case structOff < 40-4 || structOff%4 != 0 || structSize < 16 || structOff > total-structSize || stringsOff < 36 || stringsOff > total-stringsSize:
		return nil, unpack.ErrNotThis
	}
	p := &fdtParser{data: data, at: structOff, end: structOff + structSize, left: maxFDTNodes}
	p.strings = unpack.ReadSome(data, stringsOff, min(stringsSize, 1<<20))
	tree := &fdt{total: total}
	if token, _ := p.word(); token != fdtBeginNode {
		return nil, unpack.ErrNotThis
	}
	tree.root, tree.err = p.node(0)
	if tree.root == nil || tree.root.name != "" || len(tree.root.props)+len(tree.root.kids) == 0 {
		return nil, unpack.ErrNotThis
	}
	if tree.err == nil {
		if token, err := p.word(); err != nil || token != fdtEnd {
			tree.err = errors.New("the structure block does not end after the root")
		}
	}
	if total > data.Size() {
		tree.err = &unpack.CutOff{Format: "device tree", Missing: int64(total) - data.Size(), Of: int64(total)}
	}
	return tree, nil
}

func (p *fdtParser) word() (uint32, error) {
	for {
		b, err := unpack.ReadFull(p.data, p.at, 4)
		if err != nil || p.at+4 > p.end {
			return 0, fmt.Errorf("the structure block ends at 0x%x within the tree", p.at)
		}
		p.at += 4
		if v := binary.BigEndian.Uint32(b); v != fdtNop {
			return v, nil
		}
	}
}

// node parses a node behind its begin token.
func (p *fdtParser) node(depth int) (*FDTNode, error) {
	if p.left--; depth > maxFDTDepth || p.left < 0 {
		return nil, fmt.Errorf("%w: more than %d nodes or %d levels", unpack.ErrLimit, maxFDTNodes, maxFDTDepth)
	}
	name := unpack.ReadSome(p.data, p.at, 256)
	end := bytes.IndexByte(name, 0)
	if end < 0 {
		return nil, fmt.Errorf("the node's name at 0x%x has no end", p.at)
	}
	n := &FDTNode{name: string(name[:end])}
	p.at += int64(end+4) &^ 3
	for {
		token, err := p.word()
		if err != nil {
			return n, err
		}
		switch token {
		case fdtProperty:
			prop, err := p.property()
			if err != nil {
				return n, err
			}
			n.props = append(n.props, prop)
		case fdtBeginNode:
			kid, err := p.node(depth + 1)
			if kid != nil {
				n.kids = append(n.kids, kid)
			}
			if err != nil {
				return n, err
			}
		case fdtEndNode:
			return n, nil
		default:
			return n, fmt.Errorf("unknown token 0x%x at 0x%x", token, p.at-4)
		}
	}
}

func (p *fdtParser) property() (fdtProp, error) {
	b, err := unpack.ReadFull(p.data, p.at, 8)
	if p.left--; err != nil || p.left < 0 {
		return fdtProp{}, fmt.Errorf("no property at 0x%x (or more than %d)", p.at, maxFDTNodes)
	}
	size, nameOff := int64(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint32(b[4:]))
	p.at += 8
	if size > p.end-p.at || size > p.data.Size()-p.at || nameOff >= int64(len(p.strings)) {
		return fdtProp{}, fmt.Errorf("the property at 0x%x reaches beyond the blob", p.at-8)
	}
	name, _, ok := bytes.Cut(p.strings[nameOff:min(nameOff+256, int64(len(p.strings)))], []byte{0})
	if !ok {
		return fdtProp{}, fmt.Errorf("the name of the property at 0x%x has no end", p.at-8)
	}
	prop := fdtProp{string(name), unpack.Window(p.data, p.at, size), p.at}
	p.at += (size + 3) &^ 3
	return prop, nil
}
