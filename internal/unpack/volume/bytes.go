package volume

import (
	"fmt"
	"io"
)

// readBlocks is ReadAt over content of size bytes in blocks: read fills p with
// block i from skip on.
func readBlocks(p []byte, off, size, block int64, read func(p []byte, i, skip int64) error) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= size {
		return 0, io.EOF
	}
	if int64(len(p)) > size-off {
		p, err = p[:size-off], io.EOF
	}
	for n < len(p) {
		i, skip := (off+int64(n))/block, (off+int64(n))%block
		part := p[n : n+int(min(int64(len(p)-n), block-skip))]
		if bad := read(part, i, skip); bad != nil {
			return n, bad
		}
		n += len(part)
	}
	return n, err
}
