package unpack

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"iter"
)

// Sparse is implemented by Bytes that know where they hold nothing but zeros,
// so that nobody needs to look there.
type Sparse interface {
	Bytes

	// Held is the first stretch, from off on, that may hold anything but zeros;
	// it may end before the next hole. Where nothing follows, from and to are
	// the size.
	Held(off int64) (from, to int64)
}

// NextHeld is Held for any Bytes: those that know of no holes are held as a whole.
func NextHeld(b Bytes, off int64) (from, to int64) {
	size := b.Size()
	if s, ok := b.(Sparse); ok && off < size {
		from, to = s.Held(off)
		return min(max(from, off), size), min(max(to, from, off), size)
	}
	return min(off, size), size
}

// heldUnit is what stretches are rounded to: holes that are smaller are read.
const heldUnit = 64 << 10

var zeros [heldUnit]byte

// Stretches are the parts from..to of b that are not holes, in order and apart,
// each with at least so many zeros of a hole at its sides as margin says: what
// looks for texts and for padding sees there that they end.
func Stretches(b Bytes, from, to, margin int64) iter.Seq2[int64, int64] {
	return func(yield func(from, to int64) bool) {
		start, end := int64(-1), from
		for at := from; at < to; {
			f, t := NextHeld(b, at)
			if f >= to || f >= t {
				break
			}
			at = t
			f, t = max(from, (f-margin)&^(heldUnit-1)), min(to, (t+margin+heldUnit-1)&^(heldUnit-1))
			if start < 0 {
				start, end = f, t
				continue
			}
			if f > end {
				if !yield(start, end) {
					return
				}
				start = f
			}
			end = max(end, t)
		}
		if start >= 0 {
			yield(start, end)
		}
	}
}

// holes is how many bytes of b are known to be zeros without a look; it stops
// counting at enough.
func holes(b Bytes, enough int64) int64 {
	if _, ok := b.(Sparse); !ok {
		return 0
	}
	n, at := int64(0), int64(0)
	for from, to := range Stretches(b, 0, b.Size(), 0) {
		if n += from - at; n >= enough {
			return n
		}
		at = to
	}
	return n + b.Size() - at
}

// Digest is the SHA-256 of b, in lower-case hex. Holes are not read, though the
// digest of their zeros has to be computed. It ends with the context; read, if
// not nil, is told how many more bytes were looked at.
func Digest(ctx context.Context, b Bytes, read func(n int64)) (string, error) {
	h := sha256.New()
	at := int64(0)
	fill := func(to int64) error {
		for n := int64(0); at < to; at += n {
			if ctx.Err() != nil {
				return timeOut()
			}
			n = min(to-at, heldUnit)
			h.Write(zeros[:n])
			if read != nil {
				read(n)
			}
		}
		return nil
	}
	for from, to := range Stretches(b, 0, b.Size(), 0) {
		if err := fill(from); err != nil {
			return "", err
		}
		if err := feed(ctx, h, b, from, to, read); err != nil {
			return "", err
		}
		at = to
	}
	if err := fill(b.Size()); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func timeOut() error { return fmt.Errorf("%w: time ran out (raise it with --limit-time)", ErrLimit) }

// feed hashes a stretch of b.
func feed(ctx context.Context, h io.Writer, b Bytes, from, to int64, read func(n int64)) error {
	err := walk(ctx, b, from, to, func(p []byte, _ int64) { h.Write(p) }, read)
	if err != nil {
		return fmt.Errorf("reading %d bytes: %w", b.Size(), err)
	}
	return nil
}

// walk calls f for from..to of b in pieces that stay in a processor's cache.
func walk(ctx context.Context, b Bytes, from, to int64, f func(p []byte, at int64), read func(n int64)) error {
	s, mem := b.(Slice)
	var buf []byte
	if !mem {
		room := scratch.Get().(*[sampled]byte)
		defer scratch.Put(room)
		buf = room[:]
	}
	for at := from; at < to; {
		if ctx.Err() != nil {
			return timeOut()
		}
		n := min(to-at, sampled)
		p := buf[:min(n, int64(len(buf)))]
		if mem {
			p = s[at : at+n]
		} else if got, err := b.ReadAt(p, at); got < len(p) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		f(p, at)
		if at += n; read != nil {
			read(n)
		}
	}
	return nil
}

// identityUnit is the block of what identity leaves out if it is zeros.
const identityUnit = 4096

// identity tells sparse contents apart at the cost of what they hold: a digest
// over the blocks that are not all zeros, their places, and the size. It depends
// on the bytes alone, not on which holes are known; it is no SHA-256 of them and
// is never shown as one.
func identity(ctx context.Context, b Bytes, read func(n int64)) (string, error) {
	h := sha256.New()
	var runs []byte // where each run of held blocks starts and ends
	last := int64(-1)
	note := func(at int64) { runs = binary.LittleEndian.AppendUint64(runs, uint64(at)) }
	for from, to := range Stretches(b, 0, b.Size(), 0) {
		err := walk(ctx, b, from, to, func(p []byte, at int64) { last = heldBlocks(h, p, at, last, note) }, read)
		if err != nil {
			return "", fmt.Errorf("reading %d bytes: %w", b.Size(), err)
		}
	}
	if last >= 0 {
		note(last)
	}
	h.Write(runs)
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(runs))))
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(b.Size())))
	return "sparse " + hex.EncodeToString(h.Sum(nil)), nil
}

// heldBlocks hashes the blocks of p that are not zeros. last is where the run
// before ended; -1 if there is none.
func heldBlocks(h hash.Hash, p []byte, at, last int64, note func(int64)) int64 {
	start := 0
	flush := func(end int) {
		if start < end {
			if first := at + int64(start); first != last {
				if last >= 0 {
					note(last)
				}
				note(first)
			}
			h.Write(p[start:end])
			last = at + int64(end)
		}
	}
	for i := 0; i < len(p); i += identityUnit {
		end := min(i+identityUnit, len(p))
		if OnlyByte(p[i:end], 0) {
			flush(i)
			start = end
		}
	}
	flush(len(p))
	return last
}
