package unpack

import (
	"io"
	"slices"
	"sync"
)

// InMemory is the size up to which content is decoded into memory while it is
// looked at; larger content is read piecewise.
const InMemory = 64 << 20

// kept is how many decoded bytes stay in memory for those who look again, so
// that a product of usual size is decoded once.
const kept = 160 << 20

// loaded is content while it is looked at.
type loaded struct {
	now   Bytes // in memory, unless it is very large
	later Bytes // for those who look again
	kept  int64 // bytes that later holds and the artifact does not
	spare []byte
}

// load reads content. What has to be decoded stays in memory as long as there
// is room; what does not lies in a buffer that the next content gets. On an error
// now is what came before it.
func (x *explorer) load(data Bytes) (l loaded, err error) {
	l = loaded{now: data, later: data}
	size := data.Size()
	if _, ok := data.(Slice); ok || size > InMemory {
		return l, nil
	}
	var b []byte
	switch {
	case !Cheap(data) && x.reserve(size):
		if b, err = ReadAll(data, InMemory); err == nil {
			l.later, l.kept = Slice(b), size
		}
	case size <= maxSpare:
		l.spare = x.spare.get(int(size))
		b, err = readInto(l.spare, data)
	default:
		b, err = ReadAll(data, InMemory)
	}
	l.now = Slice(b)
	return l, err
}

func (x *explorer) reserve(n int64) bool {
	if x.kept.Add(n) <= kept {
		return true
	}
	x.kept.Add(-n)
	return false
}

// Cheap says that to read bytes again costs no decoding.
func Cheap(data Bytes) bool {
	switch data := data.(type) {
	case Slice, *window, *folderFile:
		return true
	case Stored:
		return data.Stored()
	}
	return false
}

// again takes back what was loaded, of content that is known already.
func (x *explorer) again(l loaded) {
	x.kept.Add(-l.kept)
	x.spare.put(l.spare)
}

// done takes back the buffer of content, unless something that was found in it
// still lies there.
func (x *explorer) done(l loaded, c *Content) {
	if c.Object == nil && len(c.Children) == 0 {
		x.spare.put(l.spare)
	}
}

func readInto(buf []byte, data Bytes) ([]byte, error) {
	n, err := data.ReadAt(buf, 0)
	switch {
	case n == len(buf) && err == io.EOF:
		err = nil
	case n < len(buf) && err == nil:
		err = io.ErrUnexpectedEOF
	}
	return buf[:n], err
}

// spares are buffers that nobody uses.
type spares struct {
	mu   sync.Mutex
	list [][]byte // the smallest first
}

const (
	minSpare  = 64 << 10
	maxSpare  = 8 << 20
	maxSpares = 6
)

// get gives a buffer of n bytes with any content.
func (s *spares) get(n int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range s.list {
		if cap(b) >= n {
			s.list = slices.Delete(s.list, i, i+1)
			return b[:n]
		}
	}
	return make([]byte, n, max(minSpare, (n+minSpare-1)&^(minSpare-1)))
}

// put takes a buffer; nil is none.
func (s *spares) put(b []byte) {
	if b == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at, _ := slices.BinarySearchFunc(s.list, cap(b), func(b []byte, n int) int { return cap(b) - n })
	s.list = slices.Insert(s.list, at, b)
	if len(s.list) > maxSpares {
		s.list = slices.Delete(s.list, 0, 1)
	}
}
