package disk

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// chains are the clusters of a FAT or exFAT file system, and the table that
// links them.
type chains struct {
	data     unpack.Bytes
	bits     int     // of an entry of the table: 12, 16 or 32
	mask     uint32  // what of an entry counts
	copies   []int64 // where the table and its copies are; the one to believe first
	size     int64   // of one copy
	first    int64   // where cluster 2 is
	cluster  int64   // size of a cluster
	clusters int64   // how many there are
	used     []uint64
	pages    map[int64][]byte // of the tables, those read last
}

var (
	errChainShort = errors.New("its chain of clusters ends too early")
	errChainUsed  = errors.New("its chain of clusters comes to one that belongs to something else already")
	errChainFree  = errors.New("its chain of clusters is broken")
	errCut        = errors.New("it is cut off by the end of the image")
)

const (
	chainPage  = 16 << 10
	chainPages = 256 // kept at once
)

// begin makes room for what is in use, which is bounded by what is there.
func (c *chains) begin() {
	c.clusters = min(c.clusters, c.size*8/int64(c.bits)-2)
	c.used = make([]uint64, (c.clusters+2+63)/64)
	c.pages = map[int64][]byte{}
}

// tableBytes reads n bytes (at most 4) of a table.
func (c *chains) tableBytes(at int64, n int) []byte {
	if mem, ok := c.data.(unpack.Slice); ok {
		return unpack.ReadSome(mem, at, int64(n))
	}
	key, in := at/chainPage, int(at%chainPage)
	page, ok := c.pages[key]
	if !ok {
		if len(c.pages) >= chainPages {
			clear(c.pages)
		}
		page = unpack.ReadSome(c.data, key*chainPage, chainPage+4)
		c.pages[key] = page
	}
	if in+n > len(page) {
		return nil
	}
	return page[in : in+n]
}

// next is a cluster's entry in a copy of the table; 1 (which no table has) if
// it can't be read.
func (c *chains) next(copy int, cluster uint32) uint32 {
	at := c.copies[copy]
	switch c.bits {
	case 12:
		b := c.tableBytes(at+int64(cluster)*3/2, 2)
		if len(b) < 2 {
			return 1
		}
		return uint32(binary.LittleEndian.Uint16(b)>>(4*(cluster&1))) & c.mask
	case 16:
		b := c.tableBytes(at+int64(cluster)*2, 2)
		if len(b) < 2 {
			return 1
		}
		return uint32(binary.LittleEndian.Uint16(b))
	}
	b := c.tableBytes(at+int64(cluster)*4, 4)
	if len(b) < 4 {
		return 1
	}
	return binary.LittleEndian.Uint32(b) & c.mask
}

func (c *chains) valid(cluster uint32) bool {
	return cluster >= 2 && int64(cluster) < c.clusters+2
}

// ends says that an entry marks the last cluster of a chain.
func (c *chains) ends(entry uint32) bool { return entry >= c.mask-7 && entry <= c.mask }

func (c *chains) place(cluster uint32) int64 { return c.first + int64(cluster-2)*c.cluster }

func (c *chains) isUsed(cluster uint32) bool { return c.used[cluster/64]>>(cluster%64)&1 != 0 }

// mark notes clusters of a run as used, or as free again.
func (c *chains) mark(cluster uint32, n int64, used bool) {
	for i := range uint32(n) {
		bit := uint64(1) << ((cluster + i) % 64)
		if used {
			c.used[(cluster+i)/64] |= bit
		} else {
			c.used[(cluster+i)/64] &^= bit
		}
	}
}

// run is a stretch of clusters that lie side by side.
type run struct {
	start uint32
	n     int64
}

// follow walks a chain of up to limit clusters, by the first copy of the table
// and, where that breaks, by another. want is how many clusters there must be,
// or 0. The clusters are marked as used.
func (c *chains) follow(start uint32, want, limit int64) ([]run, error) {
	var best []run
	var why error
	for i := range c.copies {
		runs, n, err := c.walk(i, start, want, limit)
		if err == nil {
			return runs, nil
		}
		for _, r := range runs {
			c.mark(r.start, r.n, false)
		}
		if i == 0 || n > length(best) {
			best = runs
		}
		if why == nil {
			why = err
		}
	}
	for _, r := range best {
		c.mark(r.start, r.n, true)
	}
	return best, why
}

func length(runs []run) (n int64) {
	for _, r := range runs {
		n += r.n
	}
	return n
}

func (c *chains) walk(copy int, at uint32, want, limit int64) (runs []run, n int64, err error) {
	for {
		switch {
		case c.ends(at) && n >= want && n > 0, n == limit && want == 0:
			return runs, n, nil
		case c.ends(at):
			return runs, n, errChainShort
		case !c.valid(at):
			return runs, n, errChainFree
		case want > 0 && n == want:
			return runs, n, nil // more clusters than the file needs: reserved for it
		case c.isUsed(at):
			return runs, n, errChainUsed
		}
		c.mark(at, 1, true)
		if last := len(runs) - 1; last >= 0 && runs[last].start+uint32(runs[last].n) == at {
			runs[last].n++
		} else {
			runs = append(runs, run{at, 1})
		}
		n++
		at = c.next(copy, at)
	}
}

// side is a run of clusters side by side that no table links.
func (c *chains) side(start uint32, want int64) ([]run, error) {
	if !c.valid(start) || want > c.clusters+2-int64(start) {
		return nil, errChainFree
	}
	for i := range uint32(want) {
		if c.isUsed(start + i) {
			return nil, errChainUsed
		}
	}
	c.mark(start, want, true)
	return []run{{start, want}}, nil
}

// content is a file of size bytes in runs of clusters, as far as they go.
func (c *chains) content(runs []run, size int64, why error) (unpack.Bytes, error) {
	var list []unpack.Extent
	at := int64(0)
	for _, r := range runs {
		n := min(r.n*c.cluster, size-at)
		from := c.place(r.start)
		if there := max(0, c.data.Size()-from); n > there {
			n, why = there, errCut
		}
		if n <= 0 {
			break
		}
		list = append(list, unpack.Extent{Offset: at, Size: n, From: from})
		if at += n; errors.Is(why, errCut) {
			break
		}
	}
	data, err := unpack.Extents(c.data, list, at)
	if err != nil {
		return nil, err
	}
	if at < size {
		if why == nil {
			why = errChainShort
		}
		return &partial{data, size, why}, nil
	}
	return data, nil
}

// need is how many clusters a file takes.
func (c *chains) need(size int64) int64 { return (size + c.cluster - 1) / c.cluster }

// differ counts the sectors in which a copy of the table differs from the
// first.
func (c *chains) differ(in *unpack.Input) error {
	if len(c.copies) < 2 {
		return nil
	}
	const step = 64 << 10
	a, b := make([]byte, step), make([]byte, step)
	sectors := 0
	for at := int64(0); at < c.size && in.Context.Err() == nil; at += step {
		n := min(step, c.size-at)
		x, _ := c.data.ReadAt(a[:n], c.copies[0]+at)
		y, _ := c.data.ReadAt(b[:n], c.copies[1]+at)
		for i := 0; i < min(x, y); i += sector {
			if string(a[i:min(i+sector, x)]) != string(b[i:min(i+sector, y)]) {
				sectors++
			}
		}
	}
	if sectors > 0 {
		return fmt.Errorf("the two copies of the allocation table differ in %d sectors", sectors)
	}
	return nil
}
