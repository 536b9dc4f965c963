package flash

import (
	"bytes"
	"cmp"
	"errors"
	"slices"

	"github.com/doorward/doorward/internal/unpack"
)

// journal returns the nodes that are newer than the index: those of the
// journal's blocks, which the log names.
func (u *ubifs) journal() ([]ubifsNode, error) {
	var nodes []ubifsNode
	read := map[uint32]bool{} // a block is named once; twice would be work without end
	started := false
	for i := range u.sb.logLEBs {
		lnum := ubifsLog + (u.sb.logStart-ubifsLog+i)%u.sb.logLEBs
		for n := range u.nodesOf(lnum, 0) {
			if !started {
				if n.kind != ubifsCS || n.u64(24) != u.sb.cmt {
					return nil, errors.New("the log does not start with the last commit")
				}
				started, u.sb.logHead = true, n.sequence
			}
			if n.sequence < u.sb.logHead {
				break // of an earlier round of the log
			}
			if n.kind != ubifsRef {
				continue
			}
			if lnum := n.u32(24); !read[lnum] && int64(lnum) < u.sb.lebs {
				read[lnum] = true
				nodes = append(nodes, u.bud(int64(lnum), int64(n.u32(28)))...)
			}
		}
		if !started {
			return nil, errors.New("the log is empty")
		}
		if err := u.in.Context.Err(); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

// bud returns the nodes of one block of the journal. Nodes are written in
// groups; one that was not finished when the power failed does not count.
func (u *ubifs) bud(lnum, offs int64) []ubifsNode {
	var nodes []ubifsNode
	for n := range u.nodesOf(lnum, offs) {
		nodes = append(nodes, n.kept())
	}
	for len(nodes) > 0 && nodes[len(nodes)-1].group == 1 {
		nodes = nodes[:len(nodes)-1]
	}
	return nodes
}

// kept is the node with its bytes copied, but those of data, so that the block
// need not stay in memory.
func (n ubifsNode) kept() ubifsNode {
	room := len(n.raw)
	if n.kind == ubifsData {
		room = 48
	}
	n.raw = bytes.Clone(n.raw[:room])
	return n
}

// everything returns all nodes of all blocks, wherever they are.
func (u *ubifs) everything() []ubifsNode {
	var nodes []ubifsNode
	u.left = maxUBIFSNodes
	for lnum := int64(ubifsLog); lnum < u.sb.lebs && lnum*u.sb.lebSize < u.data.Size(); lnum++ {
		leb := unpack.ReadSome(u.data, lnum*u.sb.lebSize, u.sb.lebSize)
		for offs := 0; offs+24 <= len(leb); {
			next := bytes.Index(leb[offs:], []byte(ubifsMagic))
			if next < 0 || u.in.Context.Err() != nil {
				break
			}
			offs += next
			n, ok := parseUBIFSNode(leb[offs:])
			if u.left--; u.left < 0 {
				return nodes
			}
			if !ok || offs%8 != 0 {
				offs += 4
				continue
			}
			if n.kind <= ubifsTrun {
				n.place.lnum, n.place.offs = uint32(lnum), uint32(offs)
				nodes = append(nodes, n.kept())
			}
			offs += (len(n.raw) + 7) &^ 7
		}
	}
	return nodes
}

// replay applies nodes in the order in which they were written.
func (u *ubifs) replay(nodes []ubifsNode) {
	slices.SortStableFunc(nodes, func(a, b ubifsNode) int { return cmp.Compare(a.sequence, b.sequence) })
	for i := range nodes {
		u.apply(&nodes[i], true)
	}
	// Data that came after their inode make the file longer, as recovery does.
	for _, f := range u.files {
		f.size = max(f.size, f.journalEnd)
	}
}

// apply takes a node in. In the journal a node can also remove.
func (u *ubifs) apply(n *ubifsNode, journal bool) {
	switch n.kind {
	case ubifsIno:
		ino, _, _ := n.key(24)
		if journal && n.u32(92) == 0 {
			delete(u.files, ino)
			delete(u.attrs, ino)
			return
		}
		u.file(ino).fill(n)
	case ubifsData:
		ino, _, block := n.key(24)
		f := u.file(ino)
		f.put(block, n.place)
		f.journalEnd = max(f.journalEnd, uint64(block)*ubifsBlock+uint64(n.u32(40)))
	case ubifsDent:
		u.name(u.names, n)
	case ubifsXent:
		u.name(u.attrs, n)
	case ubifsTrun:
		if f := u.files[n.u32(24)]; f != nil {
			f.truncate(n.u64(48))
		}
	}
}

// name puts an entry into a folder, or takes it out.
func (u *ubifs) name(all map[uint32]map[string]ubifsName, n *ubifsNode) {
	dir, _, _ := n.key(24)
	size := int(n.u16(50))
	if size > len(n.raw)-56 {
		return
	}
	name := string(n.raw[56 : 56+size])
	if ino := n.u64(40); ino == 0 {
		delete(all[dir], name)
	} else if ino < 1<<32 {
		if all[dir] == nil {
			all[dir] = map[string]ubifsName{}
		}
		all[dir][name] = ubifsName{uint32(ino), n.raw[49]}
	}
}

// fill takes an inode's metadata in.
func (f *ubifsFile) fill(n *ubifsNode) {
	f.have = true
	f.size, f.mtime = n.u64(48), n.u64(72)
	f.links, f.uid, f.gid, f.mode, f.flags = n.u32(92), n.u32(96), n.u32(100), n.u32(104), n.u32(108)
	f.journalEnd = 0
	f.order = int64(n.place.lnum)<<32 | int64(n.place.offs)
	f.inline = nil
	if size := int(n.u32(112)); size > 0 && size <= len(n.raw)-160 {
		f.inline = bytes.Clone(n.raw[160 : 160+size])
	}
}

// truncate drops the blocks behind a new size.
func (f *ubifsFile) truncate(size uint64) {
	first := (size + ubifsBlock - 1) / ubifsBlock
	i, _ := slices.BinarySearchFunc(f.blocks, first, func(b ubifsBlockAt, v uint64) int { return cmp.Compare(uint64(b.block), v) })
	f.blocks = f.blocks[:i]
	f.size, f.journalEnd = size, 0
}
