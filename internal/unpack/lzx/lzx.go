// Package lzx decodes LZX as cabinets and help files hold it (Microsoft's "LZX
// DELTA Compression" [MS-PATCH] without deltas; libmspack's documentation).
package lzx

import (
	"encoding/binary"
	"errors"

	"github.com/doorward/doorward/internal/unpack/huffman"
)

// Errors of Decode.
var (
	ErrInput   = errors.New("lzx: the packed data end too early")
	ErrCorrupt = errors.New("lzx: damaged data")
)

const (
	frame       = 32 << 10
	minMatch    = 2
	chars       = 256
	lengthCodes = 249
	preCodes    = 20
	maxSlots    = 50
)

// slots are how many position slots a window of 2^15 to 2^21 bytes has.
var slots = map[int]int{15: 30, 16: 32, 17: 34, 18: 36, 19: 38, 20: 42, 21: 50}

// Types of blocks.
const (
	verbatim = 1
	aligned  = 2
	stored   = 3
)

type decoder struct {
	bits
	dst    []byte
	n      int
	window int
	slots  int
	recent [3]int // the last offsets of matches

	wim    bool   // the variant of WIM archives
	kind   uint32 // of the block, and what is left of it
	left   int
	odd    bool // a stored block of odd length has a byte behind it
	main   huffman.Code
	length huffman.Code
	align  huffman.Code
	lens   [chars + 8*maxSlots]byte
	lenLen [lengthCodes]byte
}

// Decode unpacks src, whose frames of 32 KiB follow each other, into dst, which
// has the unpacked size. windowBits is 15 to 21. It returns how much it wrote,
// with the error that ended it before dst was full.
func Decode(dst, src []byte, windowBits int) (int, error) {
	d := &decoder{bits: bits{src: src}, dst: dst, window: 1 << windowBits, slots: slots[windowBits], recent: [3]int{1, 1, 1}}
	if d.slots == 0 {
		return 0, ErrCorrupt
	}
	size := 0 // of the program whose calls were translated
	if d.take(1) == 1 {
		size = int(int32(d.take(16)<<16 | d.take(16)))
	}
	err := d.frames()
	untranslate(dst[:d.n], size)
	return d.n, err
}

// wimFileSize is what WIM's packer takes for the size of every program.
const wimFileSize = 12_000_000

// DecodeWIM unpacks a chunk of a WIM archive into dst, which has the unpacked
// size; windowBits is that of the archive's chunks. Chunks are independent of
// each other, have no frames, and sizes of blocks are stored shorter.
func DecodeWIM(dst, src []byte, windowBits int) (int, error) {
	d := &decoder{bits: bits{src: src}, dst: dst, wim: true, window: 1 << windowBits, slots: slots[windowBits], recent: [3]int{1, 1, 1}}
	if d.slots == 0 {
		return 0, ErrCorrupt
	}
	for d.n < len(dst) {
		if d.left == 0 {
			if err := d.block(); err != nil {
				return d.n, err
			}
		}
		if err := d.run(min(len(dst), d.n+d.left)); err != nil {
			return d.n, err
		}
		if d.bad {
			return d.n, ErrInput
		}
	}
	untranslatePiece(dst, 0, wimFileSize)
	return d.n, nil
}

// wimBlockSize is the size of a block as WIM stores it.
func (d *decoder) wimBlockSize() int {
	if d.take(1) == 1 {
		return frame
	}
	n := int(d.take(16))
	if d.window >= 1<<16 {
		n = n<<8 | int(d.take(8))
	}
	return n
}

func (d *decoder) frames() error {
	for d.n < len(d.dst) {
		end := min((d.n/frame+1)*frame, len(d.dst))
		for d.n < end {
			if d.left == 0 {
				if err := d.block(); err != nil {
					return err
				}
			}
			if err := d.run(min(end, d.n+d.left)); err != nil {
				return err
			}
			if d.bad {
				return ErrInput
			}
		}
		d.toWord()
	}
	return nil
}

// block reads a block's header and its codes.
func (d *decoder) block() error {
	if d.odd {
		d.at++
		d.odd = false
	}
	d.kind = d.take(3)
	if d.wim {
		d.left = d.wimBlockSize()
	} else {
		d.left = int(d.take(16)<<8 | d.take(8))
	}
	if d.bad {
		return ErrInput
	}
	switch d.kind {
	case aligned:
		var lens [8]byte
		for i := range lens {
			lens[i] = byte(d.take(3))
		}
		if !d.align.Set(lens[:], false) {
			return ErrCorrupt
		}
		fallthrough
	case verbatim:
		if !d.lengths(d.lens[:chars]) || !d.lengths(d.lens[chars:chars+8*d.slots]) || !d.main.Set(d.lens[:chars+8*d.slots], false) {
			return ErrCorrupt
		}
		if !d.lengths(d.lenLen[:]) || !d.length.Set(d.lenLen[:], false) {
			return ErrCorrupt
		}
	case stored:
		d.toWordAlways()
		if len(d.src)-d.at < 12 {
			return ErrInput
		}
		for i := range d.recent {
			d.recent[i] = int(binary.LittleEndian.Uint32(d.src[d.at:]))
			d.at += 4
		}
		d.odd = d.left%2 == 1
	default:
		return ErrCorrupt
	}
	if d.left == 0 {
		return ErrCorrupt // it would cost time for nothing
	}
	return nil
}

// lengths reads the lengths of a code, as differences to those of the block
// before.
func (d *decoder) lengths(lens []byte) bool {
	var pre [preCodes]byte
	for i := range pre {
		pre[i] = byte(d.take(4))
	}
	var c huffman.Code
	if !c.Set(pre[:], false) {
		return false
	}
	for i := 0; i < len(lens); {
		s := d.symbol(&c)
		repeat, value := 1, byte(0)
		switch {
		case s < 0 || d.bad:
			return false
		case s == 17:
			repeat = 4 + int(d.take(4))
		case s == 18:
			repeat = 20 + int(d.take(5))
		case s == 19:
			repeat = 4 + int(d.take(1))
			if s = d.symbol(&c); s < 0 || s > 16 {
				return false
			}
			value = byte((int(lens[i]) - s + 17) % 17)
		default:
			value = byte((int(lens[i]) - s + 17) % 17)
		}
		if i+repeat > len(lens) {
			return false
		}
		for range repeat {
			lens[i] = value
			i++
		}
	}
	return true
}

// run decodes of the current block up to end, which a match may overrun.
func (d *decoder) run(end int) error {
	start := d.n
	if d.kind == stored {
		n := copy(d.dst[d.n:end], d.src[min(d.at, len(d.src)):])
		d.at += n
		if d.n += n; d.n < end {
			return ErrInput
		}
		d.left -= d.n - start
		return nil
	}
	for d.n < end {
		s := d.symbol(&d.main)
		if s < 0 {
			return ErrCorrupt
		}
		if d.bad {
			return ErrInput
		}
		if s < chars {
			d.dst[d.n] = byte(s)
			d.n++
			continue
		}
		if err := d.match(s - chars); err != nil {
			return err
		}
	}
	if d.left -= d.n - start; d.left < 0 {
		return ErrCorrupt
	}
	return nil
}

func (d *decoder) match(s int) error {
	length := s & 7
	if length == 7 {
		l := d.symbol(&d.length)
		if l < 0 {
			return ErrCorrupt
		}
		length += l
	}
	length += minMatch
	offset := d.offset(s >> 3)
	switch {
	case d.bad:
		return ErrInput
	case offset <= 0 || offset > d.n || offset > d.window || length > len(d.dst)-d.n:
		return ErrCorrupt
	}
	for range length {
		d.dst[d.n] = d.dst[d.n-offset]
		d.n++
	}
	return nil
}

func (d *decoder) offset(slot int) int {
	if slot < 3 {
		d.recent[0], d.recent[slot] = d.recent[slot], d.recent[0]
		return d.recent[0]
	}
	extra := extraBits(slot)
	offset := base[slot] - 2
	switch {
	case d.kind == aligned && extra >= 3:
		offset += int(d.take(extra-3)) << 3
		low := d.symbol(&d.align)
		if low < 0 {
			return -1
		}
		offset += low
	default:
		offset += int(d.take(extra))
	}
	d.recent[2], d.recent[1], d.recent[0] = d.recent[1], d.recent[0], offset
	return offset
}

func extraBits(slot int) uint {
	if slot < 4 {
		return 0
	}
	return uint(min(slot/2-1, 17))
}

// base are the first offsets of the slots.
var base = func() (b [maxSlots]int) {
	for i := range maxSlots - 1 {
		b[i+1] = b[i] + 1<<extraBits(i)
	}
	return b
}()

// untranslate turns the absolute targets of x86 calls back into relative ones,
// frame by frame.
func untranslate(b []byte, size int) {
	if size == 0 {
		return
	}
	for start := 0; start < len(b) && start < frame<<15; start += frame {
		untranslatePiece(b[start:min(start+frame, len(b))], start, size)
	}
}

// untranslatePiece does so for a piece that starts at an offset.
func untranslatePiece(f []byte, start, size int) {
	for i := 0; i < len(f)-10; i++ {
		if f[i] != 0xe8 {
			continue
		}
		at := start + i
		target := int(int32(binary.LittleEndian.Uint32(f[i+1:])))
		if target >= -at && target < size {
			if target >= 0 {
				target -= at
			} else {
				target += size
			}
			binary.LittleEndian.PutUint32(f[i+1:], uint32(target))
		}
		i += 4
	}
}
