package unpack

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
)

// Solid holds many files in few streams, each of which can be decoded from its
// start only. A stream is decoded whole when a file of it is first read; the
// last ones stay in memory, and only one is decoded at a time, so that an
// archive costs the memory of two streams.
type Solid struct {
	in     *Input
	cache  *BlockCache
	one    sync.Mutex
	decode func(stream int) ([]byte, error)
}

// solidKept is how much decoded content an archive keeps.
const solidKept = 64 << 20

// NewSolid makes one of a decoder, which may give what came before an error.
func NewSolid(in *Input, decode func(stream int) ([]byte, error)) *Solid {
	return &Solid{in: in, cache: NewBlockCache(solidKept), decode: decode}
}

var errShort = errors.New("the packed data end too early")

// Affordable says if a stream of size bytes, made from packed ones, may be decoded.
func Affordable(in *Input, size, packed int64) error {
	limits := in.Budget.Limits
	switch {
	case size < 0 || packed < 0:
		return errNotDecoded
	case size > max(RatioFree, packed*limits.Ratio):
		return fmt.Errorf("%w: one stream expands more than %d-fold", ErrLimit, limits.Ratio)
	case size > limits.Memory/2:
		return fmt.Errorf("%w: a solid stream of %d bytes", ErrLimit, size)
	}
	return in.Context.Err()
}

// stream returns a decoded stream: what could be decoded, and why not more.
func (s *Solid) stream(i int) ([]byte, error) {
	var bad error
	b, err := s.cache.Get(int64(i), func(int64) (data []byte, after int64, err error) {
		s.one.Lock()
		defer s.one.Unlock()
		defer func() {
			if p := recover(); p != nil {
				data, err = nil, fmt.Errorf("%w: %v", errNotDecoded, p)
			}
		}()
		if data, err = s.decode(i); data == nil && err == nil {
			data = []byte{}
		}
		return data, 0, err
	}, nil)
	if err != nil {
		bad = err
	}
	return b.Data, bad
}

// File is a stretch of a stream. check, if there is one, is asked when all of
// it is read; without one the file is whole if the stream could be decoded that
// far.
func (s *Solid) File(stream int, off, size int64, check func(content []byte) error) Bytes {
	return &solidFile{s: s, stream: stream, off: off, size: size, check: check}
}

type solidFile struct {
	s         *Solid
	stream    int
	off, size int64
	check     func([]byte) error
	once      sync.Once
	bad       error
}

// Size implements Bytes.
func (f *solidFile) Size() int64 { return f.size }

// ReadAt implements Bytes.
func (f *solidFile) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= f.size {
		return 0, io.EOF
	}
	data, err := f.s.stream(f.stream)
	data = data[min(f.off, int64(len(data))):]
	if int64(len(data)) >= f.size {
		data, err = data[:f.size], nil // what is damaged lies behind
	} else if err == nil {
		err = errShort
	}
	n := 0
	if off < int64(len(data)) {
		n = copy(p, data[off:])
	}
	if off+int64(n) == f.size {
		f.once.Do(func() {
			if f.check != nil {
				f.bad = f.check(data)
			}
		})
		err = f.bad
	}
	if n < len(p) && err == nil {
		err = io.EOF
	}
	return n, err
}

// CRC32Is is a check of a Solid's file.
func CRC32Is(sum uint32) func([]byte) error {
	return func(b []byte) error {
		if crc32.ChecksumIEEE(b) != sum {
			return ErrChecksum
		}
		return nil
	}
}
