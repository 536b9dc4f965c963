package unpack

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// Limits bound the work on one artifact. Zero values mean the defaults.
type Limits struct {
	Bytes  int64         // unpacked bytes in all; default 16 GiB
	Memory int64         // bytes that decoded streams may hold in memory at once; default 768 MiB
	Ratio  int64         // unpacked to packed bytes of one stream, counted from 64 MiB on; default 1000
	Depth  int           // objects within objects; default 24
	Files  int64         // entries of all trees; default 2,000,000
	Time   time.Duration // default 15 minutes
}

// Or fills zero fields with the defaults, fit for a laptop.
func (l Limits) Or() Limits {
	def := func(p *int64, v int64) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&l.Bytes, 16<<30)
	def(&l.Memory, 768<<20)
	def(&l.Ratio, 1000)
	def(&l.Files, 2_000_000)
	if l.Depth <= 0 {
		l.Depth = 24
	}
	if l.Time <= 0 {
		l.Time = 15 * time.Minute
	}
	return l
}

// ErrLimit is wrapped by every error that a limit caused.
var ErrLimit = errors.New("limit")

// RatioFree is how much a stream may expand before its ratio is looked at:
// small runs of zeros have absurd ratios and harm nobody.
const RatioFree = 64 << 20

// Budget counts the work on one artifact against its limits. It is safe for
// concurrent use.
type Budget struct {
	Limits Limits
	Keys   Keys // the user's, for encrypted parts

	bytes  atomic.Int64
	memory atomic.Int64
	files  atomic.Int64
	tries  atomic.Int64 // of slow keys
}

// NewBudget starts a budget.
func NewBudget(limits Limits) *Budget { return &Budget{Limits: limits.Or()} }

// AddFiles counts n entries of a tree.
func (b *Budget) AddFiles(n int64) error {
	if b.files.Add(n) > b.Limits.Files {
		return fmt.Errorf("%w: more than %d files (raise it with --limit-files)", ErrLimit, b.Limits.Files)
	}
	return nil
}

// AddBytes counts n unpacked bytes.
func (b *Budget) AddBytes(n int64) error {
	if b.bytes.Add(n) > b.Limits.Bytes {
		return fmt.Errorf("%w: more than %d unpacked bytes (raise it with --limit-bytes)", ErrLimit, b.Limits.Bytes)
	}
	return nil
}

// Files returns how many entries were counted.
func (b *Budget) Files() int64 { return b.files.Load() }

// Decode reads a decompressing stream into memory, within the limits: packed
// is the number of packed bytes it is made from. On an error the bytes decoded
// before it come with it; a limit's error wraps ErrLimit.
func (b *Budget) Decode(r io.Reader, packed int64) (Slice, error) {
	limit := max(RatioFree, packed*b.Limits.Ratio)
	var out []byte
	for {
		if len(out) == cap(out) {
			grown, err := b.Grow(out)
			if err != nil {
				return out, err
			}
			out = grown
		}
		n, err := r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		if int64(len(out)) > limit {
			return out, fmt.Errorf("%w: one stream expands more than %d-fold", ErrLimit, b.Limits.Ratio)
		}
		if err == io.EOF {
			return out, b.AddBytes(int64(len(out)))
		}
		if err != nil {
			return out, errors.Join(err, b.AddBytes(int64(len(out))))
		}
	}
}

// Grow doubles the room of out, counting the memory that streams hold.
func (b *Budget) Grow(out []byte) ([]byte, error) {
	if cap(out) >= 64<<20 {
		return b.GrowTo(out, cap(out)+64<<20)
	}
	return b.GrowTo(out, max(64<<10, 2*cap(out)))
}

// GrowTo gives out a room of so many bytes, counting them.
func (b *Budget) GrowTo(out []byte, room int) ([]byte, error) {
	if b.memory.Add(int64(room-cap(out))) > b.Limits.Memory {
		b.memory.Add(-int64(room - cap(out)))
		return nil, fmt.Errorf("%w: decoded streams hold more than %d bytes of memory", ErrLimit, b.Limits.Memory)
	}
	grown := make([]byte, len(out), room)
	copy(grown, out)
	return grown, nil
}

// Release gives back the memory of a decoded stream that nobody reads any more.
func (b *Budget) Release(s Slice) { b.memory.Add(-int64(cap(s))) }

// Room returns memory for size unpacked bytes made from packed ones, counted
// like those of Decode. Size must have been checked to be possible.
func (b *Budget) Room(size, packed int64) (Slice, error) {
	if size > max(RatioFree, packed*b.Limits.Ratio) {
		return nil, fmt.Errorf("%w: one stream expands more than %d-fold", ErrLimit, b.Limits.Ratio)
	}
	if b.memory.Add(size) > b.Limits.Memory {
		b.memory.Add(-size)
		return nil, fmt.Errorf("%w: decoded streams hold more than %d bytes of memory", ErrLimit, b.Limits.Memory)
	}
	return make(Slice, size), b.AddBytes(size)
}
