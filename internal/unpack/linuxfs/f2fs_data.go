package linuxfs

import (
	"errors"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// Pointers that point to no block.
const (
	f2fsHole       = 0
	f2fsNew        = 0xffffffff // reserved, never written
	f2fsCompressed = 0xfffffffe // a compressed cluster starts here
)

// open returns the content of a file, a folder or a link.
func (i *f2fsInode) open() (unpack.Bytes, error) {
	if i.size < 0 || i.size > i.f.blockSize<<32 {
		return nil, fmt.Errorf("a size of %d bytes", uint64(i.size))
	}
	if inner := len(i.inner()); i.inline&f2fsInlineData != 0 && i.size > int64(inner) {
		return nil, fmt.Errorf("%d bytes do not fit into the inode", i.size)
	}
	stored := int64(le.Uint64(i.raw[24:]))
	if stored < 0 || stored > i.f.blocks {
		return nil, fmt.Errorf("it claims %d blocks", uint64(stored))
	}
	if i.compressed {
		stored <<= i.clusterLog
	}
	if err := unpack.TooSparse(i.size, max(stored, 1)*i.f.blockSize); err != nil {
		return nil, err
	}
	// The inode is read anew, through the cache: its block is not kept for
	// every file.
	f, number := i.f, i.number
	return &mapped{fmt.Sprintf("f2fs: inode %d", number), i.size, func(off int64) (piece, error) {
		i, err := f.inode(number)
		if err != nil {
			return piece{}, err
		}
		return i.find(off)
	}}, nil
}

// find maps an offset of the content.
func (i *f2fsInode) find(off int64) (piece, error) {
	if i.inline&f2fsInlineData != 0 {
		inner := i.inner()
		return piece{unpack.Slice(inner), off, int64(len(inner)) - off}, nil
	}
	block, in := off/i.f.blockSize, off%i.f.blockSize
	if i.compressed {
		p, cluster, err := i.cluster(block)
		if err != nil || cluster {
			in = off % (i.f.blockSize << i.clusterLog)
			p.from, p.size = p.from+in, p.size-in
			return p, err
		}
	}
	table, at, err := i.pointers(block)
	if err != nil {
		return piece{}, err
	}
	if table == nil {
		return piece{size: at*i.f.blockSize - in}, nil
	}
	addr, n := int64(le.Uint32(table[at*4:])), int64(1)
	hole := addr == f2fsHole || addr == f2fsNew
	if i.compressed {
		// Clusters are looked at one by one.
		table = table[:min(int64(len(table)), (at|(1<<i.clusterLog-1)+1)*4)]
	}
	for ; at+n < int64(len(table)/4); n++ {
		next := int64(le.Uint32(table[(at+n)*4:]))
		if hole != (next == f2fsHole || next == f2fsNew) || (!hole && next != addr+n) {
			break
		}
	}
	if hole {
		return piece{size: n*i.f.blockSize - in}, nil
	}
	if err := i.f.inMain(addr, n); err != nil {
		return piece{}, err
	}
	return piece{i.f.data, addr*i.f.blockSize + in, n*i.f.blockSize - in}, nil
}

func (f *f2fs) inMain(addr, n int64) error {
	if addr < f.main || n > f.blocks-addr || (addr+n)*f.blockSize > f.end {
		return fmt.Errorf("block %d: %w", addr, errOutside)
	}
	return nil
}

// perNode is how many pointers a node has that may be used: whole clusters.
func (i *f2fsInode) perNode(n int64) int64 {
	if i.compressed {
		n &^= 1<<i.clusterLog - 1
	}
	return n
}

// pointers returns the table that has the pointer to a block, and its place
// there. If there is no such table, at counts the blocks without one.
func (i *f2fsInode) pointers(block int64) (table []byte, at int64, err error) {
	own := i.room()
	if n := i.perNode(int64(len(own) / 4)); block < n {
		return own[:n*4], block, nil
	} else {
		block -= n
	}
	ids := (i.f.blockSize - 24) / 4
	per := i.perNode(ids)
	span := per // blocks that an id of the inode reaches
	for k, level := range []int{0, 0, 1, 1, 2} {
		if k == 2 || k == 4 {
			span *= ids
		}
		if block < span {
			nid := le.Uint32(i.raw[int(i.f.blockSize)-44+4*k:])
			return i.descend(nid, level, block, span, per)
		}
		block -= span
	}
	return nil, 0, errors.New("a block that no pointer can reach")
}

// descend follows nodes of ids down to one of pointers.
func (i *f2fsInode) descend(nid uint32, level int, block, span, per int64) ([]byte, int64, error) {
	for ; ; level-- {
		if nid == 0 {
			return nil, span - block, nil
		}
		p, _, err := i.f.node(nid, i.number)
		if err != nil {
			return nil, 0, err
		}
		if level == 0 {
			return p[:per*4], block, nil
		}
		span /= (i.f.blockSize - 24) / 4
		nid = le.Uint32(p[block/span*4:])
		block %= span
	}
}

// cluster decodes the cluster that a block lies in, if it is compressed.
func (i *f2fsInode) cluster(block int64) (p piece, compressed bool, err error) {
	first := block &^ (1<<i.clusterLog - 1)
	table, at, err := i.pointers(first)
	if err != nil || table == nil || le.Uint32(table[at*4:]) != f2fsCompressed {
		return piece{}, false, err
	}
	key := int64(i.number)<<32 | first
	b, err := i.f.clusters.Get(key, func(int64) ([]byte, int64, error) {
		out, err := i.decode(table[at*4:][4 : 4<<i.clusterLog])
		return out, 0, err
	}, nil)
	if err != nil {
		return piece{}, true, fmt.Errorf("cluster at block %d: %w", first, err)
	}
	return piece{unpack.Slice(b.Data), 0, i.f.blockSize << i.clusterLog}, true, nil
}

var f2fsMethods = []string{"lzo", "lz4", "zstd", "lzo"}

// decode unpacks a cluster, whose blocks the pointers name: the packed length,
// a checksum, 16 reserved bytes, the packed bytes.
func (i *f2fsInode) decode(pointers []byte) ([]byte, error) {
	var packed []byte
	for ; len(pointers) > 0; pointers = pointers[4:] {
		addr := int64(le.Uint32(pointers))
		if addr == f2fsHole || addr == f2fsNew {
			break
		}
		if err := i.f.inMain(addr, 1); err != nil {
			return nil, err
		}
		b, err := i.f.block(addr)
		if err != nil {
			return nil, err
		}
		packed = append(packed, b...)
	}
	if len(packed) < 24 || int64(le.Uint32(packed)) > int64(len(packed)-24) {
		return nil, errors.New("a damaged cluster")
	}
	body := packed[24:][:le.Uint32(packed)]
	if i.clusterSums && f2fsCRC(f2fsCRCSeed, body) != le.Uint32(packed[4:]) {
		return nil, errors.New("a wrong checksum")
	}
	if int(i.algorithm) >= len(f2fsMethods) {
		return nil, fmt.Errorf("compression %d: %w", i.algorithm, unpack.ErrUnsupported)
	}
	out := make([]byte, i.f.blockSize<<i.clusterLog)
	n, err := unpack.Decompress(f2fsMethods[i.algorithm], body, out)
	if err == nil && n != len(out) {
		err = fmt.Errorf("%d unpacked bytes instead of %d", n, len(out))
	}
	return out, err
}
