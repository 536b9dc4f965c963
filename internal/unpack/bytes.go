package unpack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// Bytes is a piece of an artifact: random access and a known length. ReadAt
// may decode lazily, and must be safe for concurrent use.
type Bytes interface {
	io.ReaderAt
	Size() int64
}

// Stored is implemented by Bytes that may lie in an artifact as they are, so that
// to read them again costs no decoding.
type Stored interface {
	Bytes
	Stored() bool
}

// Slice is a piece that lies in memory.
type Slice []byte

// Size implements Bytes.
func (s Slice) Size() int64 { return int64(len(s)) }

// ReadAt implements Bytes.
func (s Slice) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= int64(len(s)) {
		return 0, io.EOF
	}
	n := copy(p, s[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Window is n bytes of b from off on, cut to what b has. A window on memory is
// memory.
func Window(b Bytes, off, n int64) Bytes {
	off = min(max(off, 0), b.Size())
	n = min(max(n, 0), b.Size()-off)
	if s, ok := b.(Slice); ok {
		return s[off : off+n : off+n]
	}
	return &window{io.NewSectionReader(b, off, n)}
}

type window struct{ *io.SectionReader }

// Held implements Sparse.
func (w *window) Held(off int64) (from, to int64) {
	r, base, size := w.Outer()
	b, ok := r.(Bytes)
	if !ok {
		return off, size
	}
	from, to = NextHeld(b, base+off)
	return min(from-base, size), min(to-base, size)
}

// ReadAll returns the bytes of b, without a copy if they lie in memory. It
// fails if there are more than limit, before anything is allocated.
func ReadAll(b Bytes, limit int64) ([]byte, error) {
	if s, ok := b.(Slice); ok {
		return s, nil
	}
	if b.Size() > limit {
		return nil, fmt.Errorf("%d bytes are over the limit of %d", b.Size(), limit)
	}
	// Grown with what really comes, since a size field may lie; in powers of
	// two, so that readers of blocks are asked for whole blocks.
	var out []byte
	for room := int64(8 << 20); ; room *= 8 {
		grown := make([]byte, min(room, b.Size()))
		at := copy(grown, out)
		n, err := b.ReadAt(grown[at:], int64(at))
		out = grown[:at+n]
		if int64(len(out)) == b.Size() {
			if err == io.EOF {
				err = nil
			}
			return out, err // a wrong checksum shows when all is read
		}
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		if n < len(grown)-at {
			return out, err
		}
	}
}

// ReadSome returns up to n bytes of b from off on; fewer at its end, or before
// a damaged part.
func ReadSome(b Bytes, off, n int64) []byte {
	if off < 0 || off >= b.Size() || n <= 0 {
		return nil
	}
	n = min(n, b.Size()-off)
	if s, ok := b.(Slice); ok {
		return s[off : off+n]
	}
	p := make([]byte, n)
	got, _ := b.ReadAt(p, off)
	return p[:got]
}

// ReadFull returns exactly n bytes of b from off on. It is for headers and
// tables: n must have been checked by the caller against b.Size() or be small.
func ReadFull(b Bytes, off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || off > b.Size() || n > b.Size()-off {
		return nil, fmt.Errorf("%d bytes at 0x%x: %w", n, off, io.ErrUnexpectedEOF)
	}
	p := ReadSome(b, off, n)
	if int64(len(p)) < n {
		return nil, fmt.Errorf("%d bytes at 0x%x: %w", n, off, io.ErrUnexpectedEOF)
	}
	return p, nil
}

// With calls f with n bytes of b from off on, which f must not keep: they lie in
// a buffer that others get. It fails if there are fewer, or if f does.
func With(b Bytes, off, n int64, f func(p []byte) error) error {
	if _, ok := b.(Slice); ok || n > sampled {
		p, err := ReadFull(b, off, n)
		if err != nil {
			return err
		}
		return f(p)
	}
	if off < 0 || n < 0 || off > b.Size() || n > b.Size()-off {
		return fmt.Errorf("%d bytes at 0x%x: %w", n, off, io.ErrUnexpectedEOF)
	}
	room := scratch.Get().(*[sampled]byte)
	defer scratch.Put(room)
	if got, _ := b.ReadAt(room[:n], off); int64(got) < n {
		return fmt.Errorf("%d bytes at 0x%x: %w", n, off, io.ErrUnexpectedEOF)
	}
	return f(room[:n])
}

// FindBytes is the offset of text, which is not all zeros, in b from some offset
// on, or -1.
func FindBytes(b Bytes, from int64, text string) int64 {
	if s, ok := b.(Slice); ok {
		if from > int64(len(s)) {
			return -1
		}
		if i := bytes.Index(s[from:], []byte(text)); i >= 0 {
			return from + int64(i)
		}
		return -1
	}
	room := scratch.Get().(*[sampled]byte)
	defer scratch.Put(room)
	piece := int64(sampled - len(text))
	for start, end := range Stretches(b, from, b.Size(), int64(len(text))) {
		for from = start; from < end; from += piece {
			n, _ := b.ReadAt(room[:min(piece+int64(len(text))-1, end-from)], from)
			if i := bytes.Index(room[:n], []byte(text)); i >= 0 {
				return from + int64(i)
			}
		}
	}
	return -1
}

// LastIndex is bytes.LastIndex for a text that is rare: found by looking for all
// of them from the start, which is much faster.
func LastIndex(b []byte, text string) int {
	last := -1
	for {
		i := bytes.Index(b[last+1:], []byte(text))
		if i < 0 {
			return last
		}
		last += 1 + i
	}
}

// OnlyByte says that b is nothing but the byte v.
func OnlyByte(b []byte, v byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b) != uint64(v)*0x0101010101010101 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != v {
			return false
		}
	}
	return true
}
