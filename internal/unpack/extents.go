package unpack

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
)

// Extent is a stretch of a file that lies in one piece in a base.
type Extent struct {
	Offset int64 // in the file
	Size   int64
	From   int64 // in the base; Hole if it is all zeros
	Kind   byte  // for the read of Mapped
}

// Hole is the From of an extent that is not stored.
const Hole = -1

// mapped is a file made of pieces.
type mapped struct {
	list  []Extent // by offset, without overlap
	size  int64
	read  func(e Extent, p []byte, at int64) (int, error)
	base  Bytes   // where the pieces lie as they are; nil if they don't
	parts []Bytes // what the pieces are, by From; nil if it is no such number
}

// Mapped is a file of size bytes whose pieces are what read gives: p of the
// extent's bytes from at on, fewer only with an error. The extents are sorted
// and do not overlap; what none of them covers is zeros.
func Mapped(list []Extent, size int64, read func(e Extent, p []byte, at int64) (int, error)) Bytes {
	return &mapped{list: list, size: size, read: read}
}

// Joined is a file of size bytes of which each extent, sorted and apart, is the
// beginning of one of the parts, by its number in From; what no extent covers is
// zeros.
func Joined(list []Extent, size int64, parts []Bytes) Bytes {
	read := func(e Extent, p []byte, at int64) (int, error) { return parts[e.From].ReadAt(p, at) }
	return &mapped{list: list, size: size, read: read, parts: parts}
}

// A sparse file may claim much more than it stores: its holes cost no bytes in
// an archive, but time when they are read.
const (
	sparseFree  = 256 << 20
	sparseRatio = 1000
)

var errExtents = errors.New("a file's extents overlap or lie outside")

// Extents is a file of size bytes whose pieces lie in base, in any order; what
// no extent covers is zeros. It refuses extents that overlap or lie outside of
// file or base, and files that claim far more than the extents store (their
// holes cost nothing in the artifact, but time when they are read). The list is
// sorted in place.
func Extents(base Bytes, list []Extent, size int64) (Bytes, error) {
	list = slices.DeleteFunc(list, func(e Extent) bool { return e.Size == 0 })
	slices.SortFunc(list, func(a, b Extent) int {
		switch {
		case a.Offset < b.Offset:
			return -1
		case a.Offset > b.Offset:
			return 1
		}
		return 0
	})
	end, stored := int64(0), int64(0)
	for _, e := range list {
		if e.Size < 0 || e.Offset < end || e.Offset > size-e.Size {
			return nil, errExtents
		}
		end = e.Offset + e.Size
		if e.From == Hole {
			continue
		}
		if stored += e.Size; e.From < 0 || e.From > base.Size()-e.Size {
			return nil, errExtents
		}
	}
	if len(list) == 1 && list[0].Size == size && list[0].From != Hole {
		return Window(base, list[0].From, size), nil
	}
	if err := TooSparse(size, stored); err != nil {
		return nil, err
	}
	read := func(e Extent, p []byte, at int64) (int, error) {
		if e.From == Hole {
			clear(p)
			return len(p), nil
		}
		return base.ReadAt(p, e.From+at)
	}
	return &mapped{list: list, size: size, read: read, base: base}, nil
}

// TooSparse refuses files that claim far more than they store.
func TooSparse(size, stored int64) error {
	if size > sparseFree && size/sparseRatio > stored {
		return fmt.Errorf("%w: a sparse file of %d bytes stores only %d", ErrLimit, size, stored)
	}
	return nil
}

// Size implements Bytes.
func (x *mapped) Size() int64 { return x.size }

// Held implements Sparse.
func (x *mapped) Held(off int64) (from, to int64) {
	i := sort.Search(len(x.list), func(i int) bool { return x.list[i].Offset+x.list[i].Size > off })
	from, to = x.size, x.size
	for ; i < len(x.list); i++ {
		e := x.list[i]
		f, t := max(off, e.Offset), e.Offset+e.Size
		switch {
		case e.From == Hole:
			f = t
		case x.base != nil:
			move := e.Offset - e.From
			f, t = NextHeld(x.base, f-move)
			f, t = f+move, min(t+move, e.Offset+e.Size)
		case x.parts != nil:
			f, t = NextHeld(x.parts[e.From], f-e.Offset)
			f, t = f+e.Offset, min(t+e.Offset, e.Offset+e.Size)
		}
		if f >= t {
			continue // a hole throughout
		}
		if from == x.size {
			from, to = f, t
		} else if f != to {
			break
		}
		if to = t; to < e.Offset+e.Size {
			break
		}
	}
	return from, to
}

// ReadAt implements Bytes.
func (x *mapped) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= x.size {
		return 0, io.EOF
	}
	if int64(len(p)) > x.size-off {
		p, err = p[:x.size-off], io.EOF
	}
	i := sort.Search(len(x.list), func(i int) bool { return x.list[i].Offset+x.list[i].Size > off })
	for ; n < len(p) && i < len(x.list); i++ {
		e, at := x.list[i], off+int64(n)
		if hole := min(e.Offset-at, int64(len(p)-n)); hole > 0 {
			clear(p[n : n+int(hole)])
			n += int(hole)
			at += hole
		}
		part := p[n : n+int(min(int64(len(p)-n), e.Offset+e.Size-at))]
		if len(part) == 0 {
			break
		}
		got, bad := x.read(e, part, at-e.Offset)
		if n += got; got < len(part) {
			if bad == nil || bad == io.EOF {
				bad = io.ErrUnexpectedEOF
			}
			return n, bad
		}
	}
	clear(p[n:])
	return len(p), err
}
