package disk

import (
	"fmt"
	"io"

	"github.com/doorward/doorward/internal/unpack"
)

// partial is content of which only the first bytes are there: reading further
// gives the reason.
type partial struct {
	unpack.Bytes
	size int64
	err  error
}

// Size implements unpack.Bytes.
func (p *partial) Size() int64 { return p.size }

// ReadAt implements unpack.Bytes.
func (p *partial) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= p.size {
		return 0, io.EOF
	}
	have := max(0, min(int64(len(b)), p.Bytes.Size()-off))
	n := 0
	if have > 0 {
		var err error
		if n, err = p.Bytes.ReadAt(b[:have], off); int64(n) < have {
			return n, err
		}
	}
	switch {
	case n == len(b):
		return n, nil
	case off+int64(n) == p.size:
		return n, io.EOF
	}
	return n, p.err
}
