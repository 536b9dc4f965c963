package volume

import (
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/doorward/doorward/internal/unpack"
)

// summed is the disk of an image: whoever reads a partition of it forwards to
// its end, holes left out, is told if the checksum is wrong.
type summed struct {
	unpack.Bytes
	d    *dmg
	mu   sync.Mutex
	sums []partSum
}

// partSum is the checksum of a partition as far as it was read.
type partSum struct {
	at  int64 // up to here
	sum uint32
	bad error
}

func newSummed(d *dmg, disk unpack.Bytes) *summed {
	s := &summed{Bytes: disk, d: d, sums: make([]partSum, len(d.parts))}
	for i, p := range d.parts {
		s.sums[i].at = p.off
	}
	return s
}

// Held implements unpack.Sparse.
func (s *summed) Held(off int64) (from, to int64) { return unpack.NextHeld(s.Bytes, off) }

// ReadAt implements unpack.Bytes.
func (s *summed) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.Bytes.ReadAt(p, off)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.sums {
		part := &s.d.parts[i]
		if !part.summed || part.end <= off || part.off >= off+int64(n) {
			continue
		}
		if bad := s.add(i, p[:n], off); bad != nil {
			return 0, bad
		}
	}
	return n, err
}

// add continues the checksum of a partition with p, which lies at off, if that
// follows.
func (s *summed) add(i int, p []byte, off int64) error {
	part, sum := &s.d.parts[i], &s.sums[i]
	end := min(off+int64(len(p)), part.end)
	if sum.at >= part.end {
		if end == part.end {
			return sum.bad
		}
		return nil
	}
	if from, _ := unpack.NextHeld(s.Bytes, sum.at); sum.at < off && from >= off {
		s.zeros(sum, off)
	}
	if off <= sum.at && sum.at < end {
		s.bytes(sum, p[sum.at-off:end-off])
	}
	if from, _ := unpack.NextHeld(s.Bytes, sum.at); sum.at == end && from >= part.end {
		s.zeros(sum, part.end)
	}
	if sum.at == part.end && sum.sum != part.sum {
		sum.bad = fmt.Errorf("dmg: partition %s: %w", part.name, unpack.ErrChecksum)
	}
	return sum.bad
}

var dmgZeros [64 << 10]byte

// zeros continues over a hole.
func (s *summed) zeros(sum *partSum, to int64) {
	for sum.at < to {
		s.bytes(sum, dmgZeros[:min(to-sum.at, int64(len(dmgZeros)))])
	}
}

// bytes continues over bytes, ignored ones left out.
func (s *summed) bytes(sum *partSum, p []byte) {
	for len(p) > 0 {
		n := int64(len(p))
		skip := false
		for _, c := range s.d.ignored {
			switch end := c.off + c.size; {
			case sum.at >= c.off && sum.at < end:
				n, skip = min(n, end-sum.at), true
			case sum.at < c.off:
				n = min(n, c.off-sum.at)
			}
		}
		if !skip {
			sum.sum = crc32.Update(sum.sum, crc32.IEEETable, p[:n])
		}
		p, sum.at = p[n:], sum.at+n
	}
}
