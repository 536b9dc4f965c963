package disk

import (
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/doorward/doorward/internal/unpack"
)

// virtual is the disk of a virtual machine: equal blocks, which are looked up in
// the image's tables when they are read.
type virtual struct {
	name string // for errors
	size int64
	unit int64                        // bytes of a block
	look func(i int64) (place, error) // of block i
}

// place is where a block lies.
type place struct {
	data unpack.Bytes // nil if it is all zeros
	at   int64
	run  int64 // how many blocks from this one on are zeros; 0 means 1
	free bool  // data is not the image, but of this block alone: it was unpacked
}

// Size implements unpack.Bytes.
func (v *virtual) Size() int64 { return v.size }

// ReadAt implements unpack.Bytes.
func (v *virtual) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= v.size {
		return 0, io.EOF
	}
	if int64(len(p)) > v.size-off {
		p, err = p[:v.size-off], io.EOF
	}
	for n < len(p) {
		got, bad := v.readBlocks(p[n:], off+int64(n))
		if n += got; bad != nil {
			return n, fmt.Errorf("%s: the block at 0x%x: %w", v.name, (off+int64(n))/v.unit*v.unit, bad)
		}
	}
	return n, err
}

// readBlocks reads a block's rest, and those behind it that follow it in the
// image.
func (v *virtual) readBlocks(p []byte, off int64) (int, error) {
	i, in := off/v.unit, off%v.unit
	b, err := v.look(i)
	if err != nil {
		return 0, err
	}
	want := int64(len(p))
	if b.data == nil {
		n := min(want, max(b.run, 1)*v.unit-in)
		clear(p[:n])
		return int(n), nil
	}
	n := v.unit - in
	for ; n < want && !b.free; n += v.unit {
		i++
		next, err := v.look(i)
		if err != nil || next.data == nil || next.free || next.at != b.at+in+n {
			break
		}
	}
	n = min(n, want)
	got, err := b.data.ReadAt(p[:n], b.at+in)
	if int64(got) == n {
		return got, nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return got, err
}

// heldAtMost bounds how many blocks one call of Held looks at.
const heldAtMost = 4096

// Held implements unpack.Sparse. Damaged blocks are held: reading them tells.
func (v *virtual) Held(off int64) (from, to int64) {
	from, to = -1, off
	last := (v.size + v.unit - 1) / v.unit
	for i, n := off/v.unit, 0; i < last && n < heldAtMost; n++ {
		b, err := v.look(i)
		held := err != nil || b.data != nil
		if from >= 0 && !held {
			break
		}
		if held {
			if from < 0 {
				from = max(off, i*v.unit)
				n = 0
			}
			i++
		} else {
			i += max(b.run, 1)
			n = 0
		}
		to = i * v.unit
	}
	if from < 0 || from >= v.size {
		return v.size, v.size
	}
	return from, min(to, v.size)
}

// taken notes which sectors of an image are used.
type taken []uint64

func newTaken(size int64) taken { return make(taken, min(size, mostTaken)/sector/64+2) }

// mostTaken is how much of an image is watched for overlaps: its size may be a
// claim, too, if it lies in another image.
const mostTaken = 1 << 37

// take notes from..to and says if it was free.
func (t taken) take(from, to int64) bool {
	free := true
	first, end := from/sector, min((to+sector-1)/sector, int64(len(t))*64)
	for i := first; i < end; {
		word, bit := i/64, i%64
		n := min(64-bit, end-i)
		mask := ^uint64(0) >> (64 - n) << bit
		if bits.OnesCount64(t[word]&mask) > 0 {
			free = false
		}
		t[word] |= mask
		i += n
	}
	return free
}

// most that a virtual disk may claim; its holes cost nothing.
const mostVirtual = 1 << 46

var errOverlap = errors.New("two blocks of the disk lie at one place")

// survey looks at every block of a disk once: which lie outside of the image, or
// on each other. It gives the disk as the object's part, and what is wrong in
// o.Err. used is what the image's own tables take.
func (v *virtual) survey(in *unpack.Input, o *unpack.Object, used taken) {
	s := survey{end: in.Data.Size(), used: used}
	last := (v.size + v.unit - 1) / v.unit
	for i := int64(0); i < last; {
		if i%1024 == 0 && in.Context.Err() != nil {
			addErr(o, fmt.Errorf("%w: time ran out (raise it with --limit-time)", unpack.ErrLimit))
			return
		}
		b, err := v.look(i)
		switch {
		case err != nil:
			s.note(fmt.Errorf("the block at 0x%x: %w", i*v.unit, err))
			i += max(b.run, 1)
			continue
		case b.data == nil:
			i += max(b.run, 1)
			continue
		}
		n := min(v.unit, v.size-i*v.unit)
		if s.stored += n; !b.free {
			s.block(i*v.unit, b.at, n)
		}
		i++
	}
	if s.stored > in.Budget.Limits.Bytes {
		addErr(o, fmt.Errorf("%w: a disk that stores %d bytes (raise it with --limit-bytes)", unpack.ErrLimit, s.stored))
		return
	}
	if s.most > s.end {
		addErr(o, &unpack.CutOff{Format: v.name, Missing: s.most - s.end, Of: s.most})
	}
	s.tell(o)
	o.Parts = append(o.Parts, unpack.Part{Data: v, Offset: -1})
}

// survey counts while it looks.
type survey struct {
	end, most, stored int64
	used              taken
	bad               error
	bads              int64
}

// block notes where a block of n bytes lies.
func (s *survey) block(disk, at, n int64) {
	if at+n > s.end {
		s.most = max(s.most, at+n)
		return
	}
	if !s.used.take(at, at+n) {
		s.note(fmt.Errorf("%w: that at 0x%x of the disk, at 0x%x", errOverlap, disk, at))
	}
}

func (s *survey) note(err error) {
	if s.bads++; s.bad == nil {
		s.bad = err
	}
}

func (s *survey) tell(o *unpack.Object) {
	switch {
	case s.bads > 1:
		addErr(o, fmt.Errorf("%w (and %d more)", s.bad, s.bads-1))
	case s.bads == 1:
		addErr(o, s.bad)
	}
}

// elsewhere is an object whose content needs what is not in the file.
func elsewhere(o *unpack.Object, reason, note string) *unpack.Object {
	o.Gaps = append(o.Gaps, unpack.Gap{Offset: 0, Size: o.Size, Reason: reason, Note: note})
	return o
}
