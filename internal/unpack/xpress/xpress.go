// Package xpress decodes XPRESS with Huffman codes ([MS-XCA] 2.2), as WIM
// archives pack with it.
package xpress

import (
	"encoding/binary"
	"errors"

	"github.com/doorward/doorward/internal/unpack/huffman"
)

// Errors of Decode.
var (
	ErrInput   = errors.New("xpress: the packed data end too early")
	ErrCorrupt = errors.New("xpress: damaged data")
)

const (
	symbols  = 512
	minMatch = 3
)

// decoder reads words of 16 bits, little-endian, from their highest bit on;
// bytes stand between them, behind the word that was read last.
type decoder struct {
	src  []byte
	at   int
	hold uint64
	have uint
}

func (d *decoder) need(n uint) {
	for d.have < n {
		w := uint64(0)
		if d.at+2 <= len(d.src) {
			w = uint64(binary.LittleEndian.Uint16(d.src[d.at:]))
		}
		d.at += 2
		d.hold |= w << (48 - d.have)
		d.have += 16
	}
}

func (d *decoder) take(n uint) int {
	if n == 0 {
		return 0
	}
	v := d.hold >> (64 - n)
	d.hold <<= n
	d.have -= n
	return int(v)
}

func (d *decoder) byte() (c byte) {
	if d.at < len(d.src) {
		c = d.src[d.at]
	}
	d.at++
	return c
}

// Decode unpacks a chunk into dst, which has the unpacked size, and returns how
// much it wrote.
func Decode(dst, src []byte) (int, error) {
	if len(src) < symbols/2 {
		return 0, ErrInput
	}
	var lens [symbols]byte
	for i, c := range src[:symbols/2] {
		lens[2*i], lens[2*i+1] = c&15, c>>4
	}
	var code huffman.Code
	if !code.Set(lens[:], false) {
		return 0, ErrCorrupt
	}
	d := &decoder{src: src, at: symbols / 2}
	n := 0
	for n < len(dst) {
		d.need(16)
		s, bits := code.High(d.hold)
		switch {
		case bits == 0:
			return n, ErrCorrupt
		case d.at > len(src)+4: // it may be a word ahead
			return n, ErrInput
		}
		d.take(bits)
		if s < 256 {
			dst[n] = byte(s)
			n++
			continue
		}
		d.need(16)
		length, low := s&15, uint(s>>4&15)
		offset := 1<<low | d.take(low)
		if length == 15 {
			if length += int(d.byte()); length == 15+255 {
				length = int(d.byte())
				length |= int(d.byte()) << 8
			}
		}
		length += minMatch
		if offset > n || length > len(dst)-n {
			return n, ErrCorrupt
		}
		for range length {
			dst[n] = dst[n-offset]
			n++
		}
	}
	return n, nil
}
