// Package lzo decodes LZO1X, the block format of lzop, squashfs, jffs2, ubifs
// and btrfs. The format is the one that the Linux kernel documents
// (Documentation/staging/lzo.rst), its second version with runs of zeros too.
package lzo

import (
	"encoding/binary"
	"errors"
)

// Errors of packed bytes that are not LZO1X, or of room that does not suffice.
var (
	ErrInput    = errors.New("lzo: packed data end too early")
	ErrOutput   = errors.New("lzo: more unpacked data than expected")
	ErrDistance = errors.New("lzo: a match reaches before the start")
)

// zeroRun is the shortest run of zeros of format version 1.
const zeroRun = 4

type decoder struct {
	src, dst []byte
	in, out  int
	runs     bool // format version 1
}

// Decode unpacks one block from the start of src into dst. It returns how many
// bytes it wrote and how many of src the block takes, its end mark included.
func Decode(dst, src []byte) (n, used int, err error) {
	d := decoder{src: src, dst: dst}
	if len(src) < 3 {
		return 0, 0, ErrInput
	}
	if len(src) >= 5 && src[0] == 17 {
		d.runs = src[1] == 1
		d.in = 2
	}
	err = d.run()
	return d.out, d.in, err
}

// run reads instructions until the end mark. state is the number of literals
// that the last instruction copied: 0 to 3, or 4 for more.
func (d *decoder) run() error {
	state := 0
	if t := int(d.src[d.in]); t > 17 {
		d.in++
		state = min(t-17, 4)
		if err := d.literals(t - 17); err != nil {
			return err
		}
	}
	for {
		if d.in >= len(d.src) {
			return ErrInput
		}
		t := int(d.src[d.in])
		d.in++
		if t < 16 && state == 0 {
			n, err := d.length(t, 15)
			if err != nil {
				return err
			}
			if err := d.literals(n + 3); err != nil {
				return err
			}
			state = 4
			continue
		}
		next, end, err := d.match(t, state)
		if end || err != nil {
			return err
		}
		state = next & 3
		if err := d.literals(state); err != nil {
			return err
		}
	}
}

// match carries out a match instruction. It returns the byte that holds the
// number of literals behind it, and whether it was the end mark.
func (d *decoder) match(t, state int) (next int, end bool, err error) {
	if t >= 64 || t < 16 {
		if d.in >= len(d.src) {
			return 0, false, ErrInput
		}
		high := int(d.src[d.in])
		d.in++
		switch {
		case t >= 64:
			return t, false, d.copy(high<<3+t>>2&7+1, t>>5+1)
		case state == 4:
			return t, false, d.copy(high<<2+t>>2+2049, 3)
		}
		return t, false, d.copy(high<<2+t>>2+1, 2)
	}
	mask, base := 31, 1
	if t < 32 {
		mask, base = 7, 16384+(t&8)<<11
	}
	if d.runs && t >= 24 && t < 32 && d.in+3 <= len(d.src) {
		if w := int(binary.LittleEndian.Uint16(d.src[d.in:])); w&0xfffc == 0xfffc {
			n := t&7 | int(d.src[d.in+2])<<3
			d.in += 3
			return w, false, d.zeros(n + zeroRun)
		}
	}
	n, err := d.length(t&mask, mask)
	if err != nil {
		return 0, false, err
	}
	if d.in+2 > len(d.src) {
		return 0, false, ErrInput
	}
	w := int(binary.LittleEndian.Uint16(d.src[d.in:]))
	d.in += 2
	distance := base + w>>2
	if t < 32 && distance == 16384 {
		return 0, true, nil
	}
	return w, false, d.copy(distance, n+2)
}

// length reads a length whose first bits, v, may be zero: then it is max and
// 255 for each zero byte and the byte behind these.
func (d *decoder) length(v, max int) (int, error) {
	if v != 0 {
		return v, nil
	}
	for n := max; d.in < len(d.src); n += 255 {
		b := int(d.src[d.in])
		d.in++
		if b != 0 {
			return n + b, nil
		}
	}
	return 0, ErrInput
}

func (d *decoder) literals(n int) error {
	if n > len(d.src)-d.in {
		return ErrInput
	}
	if n > len(d.dst)-d.out {
		return ErrOutput
	}
	copy(d.dst[d.out:], d.src[d.in:d.in+n])
	d.in += n
	d.out += n
	return nil
}

func (d *decoder) zeros(n int) error {
	if n > len(d.dst)-d.out {
		return ErrOutput
	}
	clear(d.dst[d.out : d.out+n])
	d.out += n
	return nil
}

func (d *decoder) copy(distance, n int) error {
	if distance > d.out {
		return ErrDistance
	}
	if n > len(d.dst)-d.out {
		return ErrOutput
	}
	from := d.out - distance
	if distance >= n {
		copy(d.dst[d.out:], d.dst[from:from+n])
		d.out += n
		return nil
	}
	// The match overlaps what it makes: each round may copy all made so far.
	for end := d.out + n; d.out < end; {
		d.out += copy(d.dst[d.out:end], d.dst[from:d.out])
	}
	return nil
}
