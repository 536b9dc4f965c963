package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// udfAddr is a block of a partition, by its place in the table of partitions.
type udfAddr struct {
	block uint32
	part  uint16
	size  int64 // of the extent there
}

// longAddr reads a long_ad (ECMA-167 4/14.14.2).
func longAddr(p []byte) udfAddr {
	le := binary.LittleEndian
	return udfAddr{le.Uint32(p[4:]), le.Uint16(p[8:]), int64(le.Uint32(p) & 0x3fffffff)}
}

// udfPartition says where the blocks of a partition are. At most one of spare, table and
// file is set.
type udfPartition struct {
	start, count int64           // in sectors of the volume
	packet       int64           // blocks that are moved at once
	spare        map[int64]int64 // moved packets by their first block, to sectors of the volume
	table        []byte          // of a virtual partition: 32-bit block numbers
	under        *udfPartition   // what table counts in
	file         []unpack.Extent // of a metadata partition: its file, in bytes of the volume
	isFile       bool
}

var errUDFBlock = errors.New("a block lies outside of its partition")

// place finds a block on the disc, and how many blocks from it on are in one
// piece there.
func (u *udf) place(part uint16, block, n int64) (at, got int64, err error) {
	if int(part) >= len(u.parts) {
		return 0, 0, fmt.Errorf("partition %d: %w", part, errUDFBlock)
	}
	return u.parts[part].place(u.block, block, n)
}

func (p *udfPartition) place(size, block, n int64) (at, got int64, err error) {
	switch {
	case p.under != nil:
		if block < 0 || block*4+4 > int64(len(p.table)) {
			return 0, 0, errUDFBlock
		}
		real := binary.LittleEndian.Uint32(p.table[block*4:])
		if real == 0xffffffff {
			return 0, 0, errUDFBlock
		}
		return p.under.place(size, int64(real), 1)
	case p.isFile:
		off := block * size
		i := sort.Search(len(p.file), func(i int) bool { return p.file[i].Offset+p.file[i].Size > off })
		if i == len(p.file) || p.file[i].Offset > off || p.file[i].From == unpack.Hole {
			return 0, 0, errUDFBlock
		}
		e := p.file[i]
		return e.From + off - e.Offset, min(n, (e.Size-off+e.Offset+size-1)/size), nil
	case block < 0 || block >= p.count:
		return 0, 0, errUDFBlock
	}
	n = min(n, p.count-block)
	if p.spare != nil {
		first := block / p.packet * p.packet
		n = min(n, first+p.packet-block)
		if to, moved := p.spare[first]; moved {
			return (to + block - first) * size, n, nil
		}
	}
	return (p.start + block) * size, n, nil
}

// read returns the first n bytes of an address.
func (u *udf) read(a udfAddr, n int64) ([]byte, error) {
	at, got, err := u.place(a.part, int64(a.block), (n+u.block-1)/u.block)
	if err != nil {
		return nil, err
	}
	if got*u.block < n {
		n = got * u.block
	}
	return unpack.ReadFull(u.data, at, n)
}

// partitions reads the partition maps (ECMA-167 3/10.7, UDF 2.2.8 to 2.2.10).
func (u *udf) partitions(s udfSet) error {
	le := binary.LittleEndian
	count, maps := int(le.Uint32(s.logical[268:])), s.logical[440:]
	if n := int(le.Uint32(s.logical[264:])); n <= len(maps) {
		maps = maps[:n]
	}
	type late struct{ build func(p *udfPartition) error }
	todo := map[int]late{}
	for i := 0; i < count && i < 64 && len(maps) >= 2; i++ {
		n := int(maps[1])
		if n < 6 || n > len(maps) {
			return errors.New("the partition maps are damaged")
		}
		m := maps[:n]
		maps = maps[n:]
		number := le.Uint16(m[len(m)-2:])
		if m[0] == 2 && n >= 64 {
			number = le.Uint16(m[38:])
		}
		desc := s.partitions[number]
		if desc == nil {
			return fmt.Errorf("partition %d is not described", number)
		}
		p := udfPartition{start: int64(le.Uint32(desc[188:])), count: int64(le.Uint32(desc[192:]))}
		u.end = max(u.end, (p.start+p.count)*u.sector)
		if m[0] == 2 && n >= 64 {
			id := strings.TrimRight(string(m[5:28]), "\x00")
			u.info["partition map"] = strings.TrimPrefix(id, "*UDF ")
			switch id {
			case "*UDF Virtual Partition":
				todo[i] = late{func(p *udfPartition) error { return u.virtual(p) }}
			case "*UDF Metadata Partition":
				todo[i] = late{func(p *udfPartition) error { return u.metadata(p, m, number) }}
			case "*UDF Sparable Partition":
				u.sparable(&p, m)
			default:
				return fmt.Errorf("a partition of the sort %q: %w", id, unpack.ErrUnsupported)
			}
		} else if m[0] != 1 {
			return fmt.Errorf("a partition map of type %d: %w", m[0], unpack.ErrUnsupported)
		}
		u.parts = append(u.parts, p)
	}
	if len(u.parts) == 0 {
		return errors.New("there are no partitions")
	}
	for i, l := range todo {
		if err := l.build(&u.parts[i]); err != nil {
			return err
		}
	}
	return nil
}

// sparable reads the table of moved packets (UDF 2.2.9, 2.2.12), the newest
// whole copy.
func (u *udf) sparable(p *udfPartition, m []byte) {
	le := binary.LittleEndian
	p.packet, p.spare = int64(le.Uint16(m[40:])), map[int64]int64{}
	if p.packet == 0 {
		p.packet = 1
	}
	size, newest := int64(le.Uint32(m[44:])), int64(-1)
	for i := 0; i < int(m[42]) && i < 4; i++ {
		at := int64(le.Uint32(m[48+4*i:]))
		b, err := unpack.ReadFull(u.data, at*u.sector, min(max(size, 56), 1<<20))
		if err != nil || checkTag(b, at) != nil || !strings.HasPrefix(string(b[17:40]), "*UDF Sparing Table") {
			continue
		}
		n, seq := int(le.Uint16(b[48:])), int64(le.Uint32(b[52:]))
		if seq <= newest || 56+8*n > len(b) {
			continue
		}
		newest = seq
		clear(p.spare)
		for e := b[56 : 56+8*n]; len(e) > 0; e = e[8:] {
			if from := le.Uint32(e); from < 0xfffffff0 {
				p.spare[int64(from)] = int64(le.Uint32(e[4:]))
			}
		}
	}
	if newest < 0 {
		u.damage(errors.New("no sparing table can be read"))
	}
}

// metadata finds the file that a metadata partition is (UDF 2.2.13).
func (u *udf) metadata(p *udfPartition, m []byte, number uint16) error {
	le := binary.LittleEndian
	base := uint16(0)
	for i := range u.parts {
		// The type 1 map of the same partition is the one to count in.
		if q := &u.parts[i]; q != p && q.start == p.start && !q.isFile && q.under == nil {
			base = uint16(i)
			break
		}
	}
	var first error
	for i, at := range []uint32{le.Uint32(m[40:]), le.Uint32(m[44:])} {
		f, err := u.inode(udfAddr{at, base, u.block})
		if err == nil && len(f.list) == 0 {
			err = errors.New("the metadata file is empty")
		}
		if err == nil {
			p.isFile, p.file = true, f.list
			if i == 1 {
				u.damage(fmt.Errorf("the metadata file: %w; its mirror is read", first))
			}
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return fmt.Errorf("partition %d: the metadata file and its mirror: %w", number, first)
}

// virtual finds the table of a virtual partition, in one of the last blocks that
// were written (UDF 2.2.11).
func (u *udf) virtual(p *udfPartition) error {
	var under *udfPartition
	base := uint16(0)
	for i := range u.parts {
		if q := &u.parts[i]; q != p && q.under == nil {
			under, base = q, uint16(i)
			break
		}
	}
	if under == nil {
		return errors.New("a virtual partition without a real one")
	}
	last := min(u.data.Size()/u.sector, under.start+under.count) - 1
	for at := last; at >= max(under.start, last-4096); at-- {
		b := unpack.ReadSome(u.data, at*u.sector, 16)
		if len(b) < 16 || tagOf(b) != udfFileEntry && tagOf(b) != udfExtendedEntry {
			continue
		}
		f, err := u.inode(udfAddr{uint32(at - under.start), base, u.block})
		if err != nil || f.kind != 248 && f.kind != 0 || f.size > 1<<26 || f.data == nil {
			continue
		}
		t, err := unpack.ReadAll(f.data, 1<<26)
		if err != nil {
			continue
		}
		le := binary.LittleEndian
		switch {
		case f.kind == 248 && len(t) >= 152 && int(le.Uint16(t)) <= len(t):
			p.table = t[le.Uint16(t):]
		case f.kind == 0 && len(t) >= 36 && strings.HasPrefix(string(t[len(t)-35:]), "*UDF Virtual Alloc Tbl"):
			p.table = t[:len(t)-36]
		default:
			continue
		}
		p.under = under
		return nil
	}
	return errors.New("the virtual allocation table is missing")
}
