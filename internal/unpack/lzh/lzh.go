// Package lzh decodes the methods of LHA and ARJ: LZ77 with static Huffman codes
// for each block (H. Okumura's ar002; lh4 to lh7, ARJ 1 to 3), with an adaptive
// code (LZHUF; lh1), with fixed codes (ARJ 4), and without (LArc's lzs and lz5).
package lzh

import (
	"encoding/binary"
	"errors"

	"github.com/doorward/doorward/internal/unpack/huffman"
)

// Errors of Decode.
var (
	ErrInput   = errors.New("lzh: the packed data end too early")
	ErrCorrupt = errors.New("lzh: damaged data")
	ErrMethod  = errors.New("lzh: unknown method")
)

// methods decode into d.out up to its capacity.
var methods = map[string]func(d *decoder) error{
	"lh1": (*decoder).adaptive,
	"lh4": func(d *decoder) error { return d.static(14, 4) },
	"lh5": func(d *decoder) error { return d.static(14, 4) },
	"lh6": func(d *decoder) error { return d.static(16, 5) },
	"lh7": func(d *decoder) error { return d.static(17, 5) },
	"lhx": func(d *decoder) error { return d.static(20, 5) },
	"lzs": (*decoder).lzs,
	"lz5": (*decoder).lz5,
	"arj": func(d *decoder) error { return d.static(17, 5) },
	"ar4": (*decoder).fastest,
}

// Known says that Decode knows a method.
func Known(method string) bool { return methods[method] != nil }

// Decode unpacks src into dst, which has the unpacked size, and returns how much
// it wrote, with the error that ended it before dst was full. Methods: lh1, lh4
// to lh7, lhx, lzs, lz5; arj (1 to 3) and ar4 of ARJ.
func Decode(method string, dst, src []byte) (int, error) {
	decode := methods[method]
	if decode == nil {
		return 0, ErrMethod
	}
	d := &decoder{src: src, out: dst[:0:len(dst)]}
	err := decode(d)
	if len(d.out) == len(dst) {
		err = nil
	}
	return len(d.out), err
}

// decoder reads bits from the highest of each byte on; zeros behind the end.
type decoder struct {
	src []byte
	at  int // in bits
	out []byte

	before func(distance int) byte // what lies before the output; spaces if nil
}

func (d *decoder) full() bool { return len(d.out) == cap(d.out) }
func (d *decoder) over() bool { return d.at > 8*len(d.src) }

// peek is at least the next 56 bits, from the top.
func (d *decoder) peek() uint64 {
	i := d.at >> 3
	if i+8 <= len(d.src) {
		return binary.BigEndian.Uint64(d.src[i:]) << (d.at & 7)
	}
	var p [8]byte
	if i < len(d.src) {
		copy(p[:], d.src[i:])
	}
	return binary.BigEndian.Uint64(p[:]) << (d.at & 7)
}

func (d *decoder) take(n int) int {
	if n == 0 {
		return 0
	}
	v := d.peek() >> (64 - n)
	d.at += n
	return int(v)
}

// match copies length bytes from a distance; what lies before the start is
// spaces, as in the packers' windows.
func (d *decoder) match(length, distance int) {
	for ; length > 0 && !d.full(); length-- {
		c := byte(' ')
		if at := len(d.out) - distance; at >= 0 {
			c = d.out[at]
		} else if d.before != nil {
			c = d.before(-at)
		}
		d.out = append(d.out, c)
	}
}

// code is a Huffman code, or the one symbol that there is.
type code struct {
	huffman.Code
	only int // -1: several
}

func (d *decoder) symbol(c *code) int {
	if c.only >= 0 {
		return c.only
	}
	s, n := c.High(d.peek())
	if n == 0 {
		return -1
	}
	d.at += int(n)
	return s
}

const (
	literals   = 510 // and lengths
	lengthBits = 9
	preCodes   = 19
	preBits    = 5
	threshold  = 3
)

// static decodes blocks with codes of their own; distances have so many codes,
// whose number is stored in so many bits.
func (d *decoder) static(distances, bits int) error {
	var pre, main, dist code
	left := 0
	for !d.full() {
		if left == 0 {
			left = d.take(16)
			if left == 0 {
				left = 1 << 16
			}
			if !d.short(&pre, preCodes, preBits, 3) || !d.long(&main, &pre) || !d.short(&dist, distances, bits, -1) {
				return ErrCorrupt
			}
		}
		left--
		s := d.symbol(&main)
		if d.over() {
			return ErrInput
		}
		switch {
		case s < 0:
			return ErrCorrupt
		case s < 256:
			d.out = append(d.out, byte(s))
			continue
		}
		n := d.symbol(&dist)
		if n < 0 {
			return ErrCorrupt
		}
		distance := n
		if n > 1 {
			distance = 1<<(n-1) + d.take(n-1)
		}
		if d.over() {
			return ErrInput
		}
		d.match(s-256+threshold, distance+1)
	}
	return nil
}

// short reads a code whose lengths stand one by one; behind the first special
// ones, up to three are skipped.
func (d *decoder) short(c *code, symbols, bits, special int) bool {
	n := d.take(bits)
	if n == 0 {
		c.only = d.take(bits)
		return c.only < symbols
	}
	c.only = -1
	if n > symbols {
		return false
	}
	var lens [32]byte
	for i := 0; i < n; {
		l := d.take(3)
		if l == 7 {
			for d.take(1) == 1 {
				if l++; l > huffman.MaxBits {
					return false
				}
			}
		}
		lens[i] = byte(l)
		if i++; i == special {
			i += d.take(2)
		}
	}
	return c.Set(lens[:symbols], false)
}

// long reads the code of literals and lengths, itself packed by another.
func (d *decoder) long(c, pre *code) bool {
	n := d.take(lengthBits)
	if n == 0 {
		c.only = d.take(lengthBits)
		return c.only < literals
	}
	c.only = -1
	if n > literals {
		return false
	}
	var lens [literals]byte
	for i := 0; i < n; {
		s := d.symbol(pre)
		switch {
		case s < 0 || d.over():
			return false
		case s == 0:
			i++
		case s == 1:
			i += 3 + d.take(4)
		case s == 2:
			i += 20 + d.take(lengthBits)
		default:
			lens[i] = byte(s - 2)
			i++
		}
	}
	return c.Set(lens[:], false)
}

// fastest decodes ARJ's method 4: numbers of growing length.
func (d *decoder) fastest() error {
	number := func(from, to int) int {
		width, plus := from, 0
		for ; width < to && d.take(1) == 1; width++ {
			plus += 1 << width
		}
		return plus + d.take(width)
	}
	for !d.full() {
		length := number(0, 7)
		if length == 0 {
			d.out = append(d.out, byte(d.take(8)))
		} else {
			d.match(length-1+threshold, number(9, 13)+1)
		}
		if d.over() {
			return ErrInput
		}
	}
	return nil
}
