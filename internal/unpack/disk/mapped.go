package disk

import (
	"fmt"
	"io"
	"sort"

	"github.com/doorward/doorward/internal/unpack"
)

// span is a stretch of a mapped disk: size bytes from off on, which fill gives.
type span struct {
	off, size int64
	kind      byte  // whatever read wants to know
	from      int64 // of stored bytes
}

// mapped is a disk that is put together of spans, which do not overlap and are
// sorted; what none of them covers is zeros.
type mapped struct {
	size  int64
	spans []span
	read  func(s span, p []byte, at int64) (int, error) // p of the span's bytes from at on
}

// Size implements unpack.Bytes.
func (m *mapped) Size() int64 { return m.size }

// ReadAt implements unpack.Bytes.
func (m *mapped) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= m.size {
		return 0, io.EOF
	}
	if int64(len(p)) > m.size-off {
		p, err = p[:m.size-off], io.EOF
	}
	i := sort.Search(len(m.spans), func(i int) bool { return m.spans[i].off+m.spans[i].size > off })
	for ; n < len(p) && i < len(m.spans); i++ {
		s, at := m.spans[i], off+int64(n)
		if hole := min(s.off-at, int64(len(p)-n)); hole > 0 {
			clear(p[n : n+int(hole)])
			n += int(hole)
			at += hole
		}
		part := p[n : n+int(min(int64(len(p)-n), s.off+s.size-at))]
		if len(part) == 0 {
			break
		}
		got, bad := m.read(s, part, at-s.off)
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

// diskSize checks the size that a disk image claims against the limit, since
// its holes take time to read though they take no room.
func diskSize(in *unpack.Input, size int64) error {
	if size < 0 || size > in.Budget.Limits.Bytes {
		return fmt.Errorf("%w: a disk of %d bytes (raise it with --limit-bytes)", unpack.ErrLimit, size)
	}
	return nil
}
