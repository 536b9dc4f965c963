package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/doorward/doorward/internal/unpack"
)

var errRuns = errors.New("a list of clusters is damaged")

// runs decodes where an attribute's clusters are, in bytes.
func (v *ntfs) runs(a ntfsAttr) ([]unpack.Extent, error) {
	list, end, err := v.piece(nil, a, 0)
	for _, m := range a.more {
		if err == nil {
			list, end, err = v.piece(list, m, end)
		}
	}
	if err == nil && end != a.next*v.cluster {
		err = errRuns
	}
	return list, err
}

// piece decodes the runs of one piece: pairs of a length and of a signed
// distance from the last start.
func (v *ntfs) piece(list []unpack.Extent, a ntfsAttr, off int64) ([]unpack.Extent, int64, error) {
	limit := v.data.Size() / v.cluster
	last := int64(0)
	for p := a.runs; len(p) > 0 && p[0] != 0; {
		n, m := int(p[0]&15), int(p[0]>>4)
		if n == 0 || n > 8 || m > 8 || 1+n+m > len(p) {
			return nil, 0, errRuns
		}
		count, delta := signed(p[1:1+n]), signed(p[1+n:1+n+m])
		p = p[1+n+m:]
		if count <= 0 || count > 1<<40 || off > 1<<60 {
			return nil, 0, errRuns
		}
		e := unpack.Extent{Offset: off, Size: count * v.cluster, From: unpack.Hole}
		if off += e.Size; m > 0 {
			if last += delta; last < 0 || last > 1<<40 || last+count > max(limit, v.size/v.cluster) {
				return nil, 0, errRuns
			}
			e.From = last * v.cluster
		}
		list = append(list, e)
	}
	return list, off, nil
}

// signed is a little-endian number of up to 8 bytes.
func signed(p []byte) (n int64) {
	for i := len(p) - 1; i >= 0; i-- {
		if i == len(p)-1 {
			n = int64(int8(p[i]))
		} else {
			n = n<<8 | int64(p[i])
		}
	}
	return n
}

// content is what an attribute holds.
func (v *ntfs) content(f *ntfsFile, a ntfsAttr) (unpack.Bytes, error) {
	switch {
	case a.flags&ntfsEncrypted != 0:
		return nil, fmt.Errorf("%w with EFS", unpack.ErrEncrypted)
	case !a.remote:
		return &ntfsResident{v, a.home, a.kind, a.name, a.size}, nil
	case a.start != 0:
		return nil, errors.New("its first piece is missing")
	}
	runs, err := v.runs(a)
	if err != nil {
		return nil, err
	}
	if a.flags&ntfsCompressed != 0 {
		if a.flags&ntfsCompressed != 1 || a.unit == 0 || a.unit > 8 {
			return nil, fmt.Errorf("compressed by method %d: %w", a.flags&ntfsCompressed, unpack.ErrUnsupported)
		}
		return v.compressed(a, runs)
	}
	size, written := a.size, min(a.init, a.size)
	for i := range runs {
		if over := runs[i].Offset + runs[i].Size - written; over > 0 {
			runs[i].Size = max(0, runs[i].Size-over)
		}
	}
	if end := a.next * v.cluster; size > end {
		return nil, errors.New("it has fewer clusters than its size needs")
	}
	return unpack.Extents(v.data, runs, size)
}

// ntfsResident is content that stands in a file record, which is read again
// for it: a million small files would fill memory.
type ntfsResident struct {
	v      *ntfs
	record int64
	kind   uint32
	name   string
	size   int64
}

// Size implements unpack.Bytes.
func (r *ntfsResident) Size() int64 { return r.size }

// ReadAt implements unpack.Bytes.
func (r *ntfsResident) ReadAt(p []byte, off int64) (int, error) {
	b, err := unpack.ReadFull(r.v.table, r.record*r.v.record, r.v.record)
	if err != nil {
		return 0, err
	}
	f, err := r.v.parseRecord(append([]byte(nil), b...), r.record)
	if err != nil {
		return 0, err
	}
	a := f.find(r.kind, r.name)
	if a == nil || a.size != r.size {
		return 0, errNTFSRecord
	}
	return unpack.Slice(a.value).ReadAt(p, off)
}

// ntfsPacked is compressed content: units of clusters, each stored as it is,
// or packed in fewer clusters, or not at all if it is zeros.
type ntfsPacked struct {
	v          *ntfs
	runs       []unpack.Extent
	size, init int64
	unit       int64
}

func (v *ntfs) compressed(a ntfsAttr, runs []unpack.Extent) (unpack.Bytes, error) {
	c := &ntfsPacked{v, runs, a.size, a.init, v.cluster << a.unit}
	stored := int64(0)
	for _, r := range runs {
		if r.From != unpack.Hole {
			if r.From > v.data.Size()-r.Size {
				return nil, errors.New("its clusters lie outside of the volume")
			}
			stored += r.Size
		}
	}
	if a.size > a.next*v.cluster {
		return nil, errors.New("it has fewer clusters than its size needs")
	}
	if a.size > max(1<<30, stored*4096) {
		return nil, fmt.Errorf("%w: a compressed file of %d bytes stores only %d", unpack.ErrLimit, a.size, stored)
	}
	return c, nil
}

// Size implements unpack.Bytes.
func (c *ntfsPacked) Size() int64 { return c.size }

// ReadAt implements unpack.Bytes.
func (c *ntfsPacked) ReadAt(p []byte, off int64) (int, error) {
	return readBlocks(p, off, c.size, c.unit, c.read)
}

// read copies from unit i.
func (c *ntfsPacked) read(p []byte, i, skip int64) error {
	start := i * c.unit
	var stored []unpack.Extent
	n, hole := int64(0), false
	first := sort.Search(len(c.runs), func(k int) bool { return c.runs[k].Offset+c.runs[k].Size > start })
	for _, r := range c.runs[first:] {
		if r.Offset >= start+c.unit {
			break
		}
		from, to := max(r.Offset, start), min(r.Offset+r.Size, start+c.unit)
		if r.From == unpack.Hole {
			hole = true
			continue
		}
		if hole {
			return errors.New("ntfs: a compression unit has a hole before data")
		}
		stored = append(stored, unpack.Extent{Offset: n, Size: to - from, From: r.From + from - r.Offset})
		n += to - from
	}
	if n == 0 || start+skip >= c.init {
		clear(p)
		return nil
	}
	raw, err := unpack.Extents(c.v.data, stored, n)
	if err != nil {
		return err
	}
	if hole {
		b, err := c.v.cache.Get(stored[0].From, func(int64) ([]byte, int64, error) {
			packed, err := unpack.ReadAll(raw, c.unit)
			if err != nil {
				return nil, 0, err
			}
			out, err := lznt1(packed, int(c.unit))
			return out, 0, err
		}, nil)
		if err != nil {
			return err
		}
		raw = unpack.Slice(b.Data)
	}
	// A unit may unpack to less than it covers; the rest is zeros then.
	got, err := raw.ReadAt(p, skip)
	if err != nil && err != io.EOF {
		return err
	}
	clear(p[got:])
	if over := start + skip + int64(len(p)) - c.init; over > 0 {
		clear(p[max(0, int64(len(p))-over):])
	}
	return nil
}

var errLZNT1 = errors.New("ntfs: damaged compressed data")

// lznt1 unpacks up to size bytes ([MS-XCA] 2.5): chunks of 4096 bytes, in which
// a byte of flags tells eight bytes from references back.
func lznt1(src []byte, size int) ([]byte, error) {
	out := make([]byte, 0, size)
	for len(src) >= 2 && len(out) < size {
		head := binary.LittleEndian.Uint16(src)
		if head == 0 {
			break
		}
		n := int(head&0xfff) + 1
		if head>>12&7 != 3 || 2+n > len(src) {
			return out, errLZNT1
		}
		chunk := src[2 : 2+n]
		src = src[2+n:]
		// Each chunk begins at a multiple of 4096; one that was short leaves zeros.
		for len(out)%4096 != 0 {
			out = append(out, 0)
		}
		if head&0x8000 == 0 {
			out = append(out, chunk...)
			continue
		}
		var err error
		if out, err = lznt1Chunk(out, chunk); err != nil {
			return out, err
		}
	}
	if len(out) > size {
		return out[:size], errLZNT1
	}
	return out, nil
}

func lznt1Chunk(out, src []byte) ([]byte, error) {
	start := len(out)
	for len(src) > 0 {
		flags := src[0]
		src = src[1:]
		for bit := 0; bit < 8 && len(src) > 0; bit++ {
			if flags>>bit&1 == 0 {
				if len(out)-start >= 4096 {
					return out, errLZNT1
				}
				out = append(out, src[0])
				src = src[1:]
				continue
			}
			if len(src) < 2 {
				return out, errLZNT1
			}
			ref := int(binary.LittleEndian.Uint16(src))
			src = src[2:]
			// The further into the chunk, the more bits the distance has.
			shift := 12
			for at := len(out) - start - 1; at >= 0x10; at >>= 1 {
				shift--
			}
			back, n := ref>>shift+1, ref&(1<<shift-1)+3
			if back > len(out)-start || len(out)-start+n > 4096 {
				return out, errLZNT1
			}
			for range n {
				out = append(out, out[len(out)-back])
			}
		}
	}
	return out, nil
}
