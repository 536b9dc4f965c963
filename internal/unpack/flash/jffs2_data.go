package flash

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"io"
	"sort"

	"github.com/doorward/doorward/internal/unpack"
)

// maxJFFS2Piece bounds the unpacked bytes of one node: writers make one of a
// page.
const maxJFFS2Piece = 1 << 20

// jffs2Piece is a run of a file that one node holds.
type jffs2Piece struct {
	start, end int64 // in the file
	node       jffs2Node
}

// newest is a heap of nodes with the highest version on top.
type newest []jffs2Node

func (h newest) Len() int           { return len(h) }
func (h newest) Less(i, j int) bool { return h[i].version > h[j].version }
func (h newest) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *newest) Push(v any)        { *h = append(*h, v.(jffs2Node)) }
func (h *newest) Pop() any {
	old := *h
	v := old[len(old)-1]
	*h = old[:len(old)-1]
	return v
}

// overlay cuts nodes, sorted by offset, into pieces that don't overlap.
func overlay(nodes []jffs2Node) []jffs2Piece {
	var list []jffs2Piece
	var open newest
	end := func(n jffs2Node) int64 { return int64(n.offset) + int64(n.unpacked) }
	for at, i := int64(0), 0; i < len(nodes) || len(open) > 0; {
		if len(open) == 0 {
			at = int64(nodes[i].offset)
		}
		for ; i < len(nodes) && int64(nodes[i].offset) <= at; i++ {
			heap.Push(&open, nodes[i])
		}
		if end(open[0]) <= at {
			heap.Pop(&open)
			continue
		}
		until := end(open[0])
		if i < len(nodes) {
			until = min(until, int64(nodes[i].offset))
		}
		if last := len(list) - 1; last >= 0 && list[last].node.at == open[0].at && list[last].end == at {
			list[last].end = until
		} else {
			list = append(list, jffs2Piece{at, until, open[0]})
		}
		at = until
	}
	return list
}

// jffs2Content is a file's content.
type jffs2Content struct {
	data   unpack.Bytes
	size   int64
	pieces []jffs2Piece
}

// Size implements Bytes.
func (c *jffs2Content) Size() int64 { return c.size }

// ReadAt implements Bytes. Where there is no node there is a hole.
func (c *jffs2Content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= c.size {
		return 0, io.EOF
	}
	var err error
	if int64(len(p)) > c.size-off {
		p, err = p[:c.size-off], io.EOF
	}
	clear(p)
	end := off + int64(len(p))
	i := sort.Search(len(c.pieces), func(i int) bool { return c.pieces[i].end > off })
	for ; i < len(c.pieces) && c.pieces[i].start < end; i++ {
		from, to := max(c.pieces[i].start, off), min(c.pieces[i].end, end)
		if err := c.pieces[i].read(c.data, p[from-off:to-off], from); err != nil {
			return int(from - off), err
		}
	}
	return len(p), err
}

// read fills p with the piece's bytes from an offset of the file on.
func (f *jffs2Piece) read(data unpack.Bytes, p []byte, at int64) error {
	n := &f.node
	skip := at - int64(n.offset)
	if n.damaged {
		return fmt.Errorf("the checksum of the node at 0x%x is wrong", n.at-68)
	}
	if n.method == 1 { // zeros
		return nil
	}
	if n.method == 0 {
		if skip+int64(len(p)) > int64(n.packed) {
			return fmt.Errorf("the node at 0x%x is too short", n.at-68)
		}
		_, err := data.ReadAt(p, n.at+skip)
		if err == io.EOF {
			err = nil
		}
		return err
	}
	if n.unpacked > maxJFFS2Piece {
		return fmt.Errorf("%w: the node at 0x%x unpacks to %d bytes", unpack.ErrLimit, n.at-68, n.unpacked)
	}
	src, err := unpack.ReadFull(data, n.at, int64(n.packed))
	if err != nil {
		return err
	}
	if skip == 0 && len(p) == int(n.unpacked) {
		return n.unpack(src, p)
	}
	page := make([]byte, n.unpacked)
	if err := n.unpack(src, page); err != nil {
		return err
	}
	copy(p, page[skip:])
	return nil
}

// unpack decompresses the node's data into dst, which has their exact size.
func (n *jffs2Node) unpack(src, dst []byte) error {
	got, err := 0, error(nil)
	switch n.method {
	case 2:
		got = unpackRtime(src, dst)
	case 3, 5:
		if !unpackRubin(n.method, src, dst) {
			return fmt.Errorf("the node at 0x%x is no rubin", n.at-68)
		}
		got = len(dst)
	case 6:
		got, err = unpack.Decompress("zlib", src, dst)
	case 7:
		got, err = unpack.Decompress("lzo", src, dst)
	case 8:
		// OpenWrt's: without a header, lc, lp and pb are 0, 8 KiB dictionary.
		head := unpack.LZMAHeader(0, 0x2000, int64(len(dst)))
		got, err = unpack.Decompress("lzma", append(head, src...), dst)
	default:
		return fmt.Errorf("compression %d of the node at 0x%x: %w", n.method, n.at-68, unpack.ErrUnsupported)
	}
	if got < len(dst) {
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("the node at 0x%x: %w", n.at-68, err)
	}
	return nil // the node's checksum has proved the bytes; trailing ones don't matter
}

// unpackRtime undoes the run-time coding of jffs2: each byte is followed by how
// many bytes to repeat from behind its last occurrence.
func unpackRtime(src, dst []byte) int {
	var last [256]int
	n := 0
	for i := 0; n < len(dst) && i+1 < len(src); i += 2 {
		v, repeat := src[i], int(src[i+1])
		dst[n] = v
		n++
		from := last[v]
		last[v] = n
		for ; repeat > 0 && n < len(dst); repeat-- {
			dst[n] = dst[from]
			n++
			from++
		}
	}
	return n
}

// jffs2Attrs are the extended attributes: values by number, and which file has
// which.
type jffs2Attrs struct {
	values map[uint32]jffs2Attr
	refs   map[[2]uint32]uint32 // by inode and number: the highest sequence number
}

type jffs2Attr struct {
	version     uint32
	name, value string
}

var jffs2Prefixes = map[byte]string{1: "user.", 2: "security.", 3: "system.posix_acl_access", 4: "system.posix_acl_default", 5: "trusted."}

func (a *jffs2Attrs) value(w *unpack.Slider, order binary.ByteOrder, at, length int64) {
	b := w.At(at, min(length, 32+256+65536))
	if len(b) < 32 {
		return
	}
	nameLen, valueLen := int(b[21]), int(order.Uint16(b[22:]))
	xid, version := order.Uint32(b[12:]), order.Uint32(b[16:])
	rest := b[32:]
	// The node's own checksum is of the node as it was before it became obsolete.
	if order.Uint16(b[2:])&jffs2Current == 0 || jffs2Sum(b[:28]) != order.Uint32(b[28:]) || len(rest) < nameLen+1+valueLen || jffs2Sum(rest[:nameLen+1+valueLen]) != order.Uint32(b[24:]) {
		return
	}
	if a.values == nil {
		a.values = map[uint32]jffs2Attr{}
	}
	if old, ok := a.values[xid]; !ok || old.version <= version {
		a.values[xid] = jffs2Attr{version, jffs2Prefixes[b[20]] + string(rest[:nameLen]), string(rest[nameLen+1 : nameLen+1+valueLen])}
	}
}

func (a *jffs2Attrs) ref(order binary.ByteOrder, b []byte) {
	if len(b) < 28 || jffs2Sum(b[:24]) != order.Uint32(b[24:]) {
		return
	}
	if a.refs == nil {
		a.refs = map[[2]uint32]uint32{}
	}
	key := [2]uint32{order.Uint32(b[12:]), order.Uint32(b[16:])}
	a.refs[key] = max(a.refs[key], order.Uint32(b[20:]))
}

// byFile sorts the attributes by file; an odd sequence number says that one was
// removed.
func (a *jffs2Attrs) byFile() map[uint32]map[string]string {
	files := map[uint32]map[string]string{}
	for key, sequence := range a.refs {
		v, ok := a.values[key[1]]
		if !ok || sequence&1 != 0 {
			continue
		}
		if files[key[0]] == nil {
			files[key[0]] = map[string]string{}
		}
		files[key[0]][v.name] = v.value
	}
	return files
}
