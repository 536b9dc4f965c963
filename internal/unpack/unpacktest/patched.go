package unpacktest

import (
	"bytes"
	"encoding/binary"
	"math/rand"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
)

// FuzzPatched is Fuzz for formats whose images are large: an input is not an
// image, but a list of changes to one of the given images, so that it is short
// and quickly tried. Changes meet only what is not zero. mend, if any, makes
// the checksums right again of a block of PatchBlock bytes that was changed.
//
// The first byte of an input chooses the image. Each change is a place (three
// bytes), a byte that says what is done, and its data: up to 16 bytes to write,
// a stretch to fill with a byte, or a stretch to copy from another place.
func FuzzPatched(f *testing.F, r *unpack.Reader, mend func(number int64, block []byte), images ...[]byte) {
	var bases []*patched
	for i, image := range images {
		bases = append(bases, newPatched(image))
		f.Add([]byte{byte(i)})
		rnd := rand.New(rand.NewSource(int64(i)))
		for range 20 {
			seed := []byte{byte(i)}
			for range 1 + rnd.Intn(3) {
				seed = append(seed, byte(rnd.Intn(256)), byte(rnd.Intn(256)), byte(rnd.Intn(256)), byte(rnd.Intn(256)), byte(rnd.Intn(256)), byte(rnd.Intn(256)))
			}
			f.Add(seed)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || len(bases) == 0 {
			return
		}
		p := bases[int(b[0])%len(bases)]
		defer p.restore()
		p.change(b[1:])
		p.mend(mend)
		tryAll(t, r, p.view, 1<<20, 64<<10)
	})
}

// PatchBlock is the size of the blocks that an image is kept in.
const PatchBlock = 4096

// patched is an image of which only the blocks that are not zero are kept.
type patched struct {
	kept    []byte
	numbers []int64 // of the kept blocks in the image
	view    unpack.Bytes
	old     map[int][]byte // kept blocks as they were before a change
}

func newPatched(image []byte) *patched {
	p := &patched{old: map[int][]byte{}}
	zeros := make([]byte, PatchBlock)
	var list []unpack.Extent
	for at := 0; at < len(image); at += PatchBlock {
		block := image[at:min(at+PatchBlock, len(image))]
		if bytes.Equal(block, zeros[:len(block)]) {
			continue
		}
		if n := len(list); n > 0 && list[n-1].Offset+list[n-1].Size == int64(at) {
			list[n-1].Size += int64(len(block))
		} else {
			list = append(list, unpack.Extent{Offset: int64(at), Size: int64(len(block)), From: int64(len(p.kept))})
		}
		p.numbers = append(p.numbers, int64(at/PatchBlock))
		p.kept = append(p.kept, block...)
	}
	p.view, _ = unpack.Extents(unpack.Slice(p.kept), list, int64(len(image)))
	if p.view == nil {
		panic("an image of nearly nothing")
	}
	return p
}

// change applies a list of changes.
func (p *patched) change(b []byte) {
	for range 64 {
		if len(b) < 5 {
			return
		}
		at, op := p.place(b), int(b[3])
		switch b = b[4:]; op >> 6 {
		case 0, 1:
			n := min(op&15+1, len(b), len(p.kept)-at)
			copy(p.touch(at, n), b[:n])
			b = b[n:]
		case 2:
			n := min((op&63+1)*64, len(p.kept)-at)
			for i, to := 0, p.touch(at, n); i < n; i++ {
				to[i] = b[0]
			}
			b = b[1:]
		default:
			if len(b) < 3 {
				return
			}
			from := p.place(b)
			n := min((op&63+1)*8, len(p.kept)-at, len(p.kept)-from)
			copy(p.touch(at, n), p.kept[from:from+n])
			b = b[3:]
		}
	}
}

// place is a place of the kept bytes.
func (p *patched) place(b []byte) int {
	return int(binary.LittleEndian.Uint32([]byte{b[0], b[1], b[2], 0})) % len(p.kept)
}

// touch keeps what is going to be changed.
func (p *patched) touch(at, n int) []byte {
	for block := at / PatchBlock; block*PatchBlock < at+n; block++ {
		if p.old[block] == nil {
			p.old[block] = bytes.Clone(p.block(block))
		}
	}
	return p.kept[at : at+n]
}

func (p *patched) block(i int) []byte {
	return p.kept[i*PatchBlock : min((i+1)*PatchBlock, len(p.kept))]
}

func (p *patched) mend(mend func(number int64, block []byte)) {
	if mend == nil {
		return
	}
	for i := range p.old {
		if b := p.block(i); len(b) == PatchBlock {
			mend(p.numbers[i], b)
		}
	}
}

// restore undoes the changes.
func (p *patched) restore() {
	for i, b := range p.old {
		copy(p.block(i), b)
	}
	clear(p.old)
}
