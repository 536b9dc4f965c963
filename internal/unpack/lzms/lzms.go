// Package lzms decodes LZMS, as solid WIM archives (.esd) pack with it: LZ77 and
// matches of differences, with adaptive Huffman codes read from the end of a
// chunk and adaptive probabilities read from its start. Facts: wimlib.
package lzms

import (
	"encoding/binary"
	"errors"
	"sort"

	"github.com/doorward/doorward/internal/unpack/huffman"
)

// Errors of Decode.
var (
	ErrInput   = errors.New("lzms: the packed data end too early")
	ErrCorrupt = errors.New("lzms: damaged data")
)

// Runs of slots whose bases lie 1, 2, 4 and so on apart; and the last slot's
// further bits.
var (
	offsetRuns = []int{9, 0, 9, 7, 10, 15, 15, 20, 20, 30, 33, 40, 42, 45, 60, 73, 80, 85, 95, 105, 6}
	lengthRuns = []int{27, 4, 6, 4, 5, 2, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1}

	offsetBase, offsetBits = slots(offsetRuns)
	lengthBase, lengthBits = slots(lengthRuns)
)

const lastBits = 30

func slots(runs []int) (base []int64, bits []int) {
	at := int64(0)
	for order, n := range runs {
		for range n {
			at += 1 << order
			if len(base) > 0 {
				bits = append(bits, order)
			}
			base = append(base, at)
		}
	}
	return base, append(bits, lastBits)
}

// choices is a place where one of two things follows; its probability depends on
// what was chosen there before.
type choices struct {
	state, mask int
	zeros       [64]int8 // among the last 64 choices in a state
	recent      [64]uint64
}

const (
	initialZeros  = 48
	initialRecent = 0x55555555
)

func (c *choices) init(states int) {
	c.mask = states - 1
	for i := range c.zeros {
		c.zeros[i], c.recent[i] = initialZeros, initialRecent
	}
}

// code is an adaptive Huffman code: it is built anew after so many symbols.
type code struct {
	huffman.Code
	freq  []int
	every int
	left  int
}

func (c *code) init(symbols, every int) {
	c.freq, c.every = make([]int, symbols), every
	for i := range c.freq {
		c.freq[i] = 1
	}
	c.build()
}

type decoder struct {
	front    []byte // what the probabilities are read from
	at       int
	rng, val uint32

	back int // where the bits are read from, downwards
	hold uint64
	have uint
	lack bool

	literal, lzOffset, length, deltaOffset, power code
	main, match, lz, delta                        choices
	lzRep, deltaRep                               [2]choices
}

// Decode unpacks a chunk into dst, which has the unpacked size, and returns how
// much it wrote.
func Decode(dst, src []byte) (int, error) {
	if len(src) < 4 || len(src)%2 != 0 {
		return 0, ErrInput
	}
	d := &decoder{front: src, at: 4, rng: 0xffffffff, back: len(src)}
	d.val = uint32(binary.LittleEndian.Uint16(src))<<16 | uint32(binary.LittleEndian.Uint16(src[2:]))
	count := 0
	if len(dst) >= 2 {
		count = sort.Search(len(offsetBase), func(i int) bool { return offsetBase[i] > int64(len(dst)-1) })
	}
	d.literal.init(256, 1024)
	d.lzOffset.init(count, 1024)
	d.length.init(len(lengthBase), 512)
	d.deltaOffset.init(count, 1024)
	d.power.init(8, 512)
	d.main.init(16)
	d.match.init(32)
	d.lz.init(64)
	d.delta.init(64)
	for i := range 2 {
		d.lzRep[i].init(64)
		d.deltaRep[i].init(64)
	}
	n, err := d.run(dst)
	if err == nil {
		untranslate(dst)
	}
	return n, err
}

func (d *decoder) run(dst []byte) (n int, err error) {
	offsets := [4]int64{1, 2, 3, 4}
	pairs := [4]int64{1, 2, 3, 4} // power and offset of delta matches
	previous := 0                 // 1 after a match, 2 after one of differences
	for n < len(dst) {
		if d.lack || d.at > len(d.front) {
			return n, ErrInput
		}
		if !d.choose(&d.main) {
			s := d.symbol(&d.literal)
			if s < 0 {
				return n, ErrCorrupt
			}
			dst[n] = byte(s)
			n, previous = n+1, 0
			continue
		}
		if !d.choose(&d.match) {
			offset := int64(0)
			if d.choose(&d.lz) {
				offset = d.again(&d.lzRep, &offsets, previous&1)
			} else {
				offset = d.number(&d.lzOffset, offsetBase, offsetBits)
				copy(offsets[1:], offsets[:3])
			}
			offsets[0], previous = offset, 1
			length := d.number(&d.length, lengthBase, lengthBits)
			if offset <= 0 || length <= 0 || offset > int64(n) || length > int64(len(dst)-n) {
				return n, ErrCorrupt
			}
			for range length {
				dst[n] = dst[n-int(offset)]
				n++
			}
			continue
		}
		pair := int64(0)
		if d.choose(&d.delta) {
			pair = d.again(&d.deltaRep, &pairs, previous>>1)
		} else {
			power := d.symbol(&d.power)
			raw := d.number(&d.deltaOffset, offsetBase, offsetBits)
			if power < 0 || raw <= 0 {
				return n, ErrCorrupt
			}
			pair = int64(power)<<32 | raw
			copy(pairs[1:], pairs[:3])
		}
		pairs[0], previous = pair, 2
		length := d.number(&d.length, lengthBase, lengthBits)
		span := int64(1) << (pair >> 32)
		offset := (pair & 0xffffffff) << (pair >> 32)
		if offset <= 0 || length <= 0 || offset+span > int64(n) || length > int64(len(dst)-n) {
			return n, ErrCorrupt
		}
		for range length {
			from := n - int(offset)
			dst[n] = dst[from] + dst[n-int(span)] - dst[from-int(span)]
			n++
		}
	}
	return n, nil
}

// again takes one of the last values out of their queue; the one before is left
// out if it was just used.
func (d *decoder) again(c *[2]choices, queue *[4]int64, skip int) int64 {
	i := 0
	if d.choose(&c[0]) {
		i = 1
		if d.choose(&c[1]) {
			i = 2
		}
	}
	v := queue[i+skip]
	queue[i+skip] = queue[i]
	copy(queue[1:i+1], queue[:i])
	return v
}

// choose decodes a choice.
func (d *decoder) choose(c *choices) bool {
	if d.rng>>16 == 0 {
		d.rng <<= 16
		d.val <<= 16
		if d.at+2 <= len(d.front) {
			d.val |= uint32(binary.LittleEndian.Uint16(d.front[d.at:]))
		}
		d.at += 2
	}
	s := c.state
	bound := d.rng >> 6 * uint32(min(max(c.zeros[s], 1), 63))
	one := d.val >= bound
	bit := uint64(0)
	if one {
		d.rng, d.val, bit = d.rng-bound, d.val-bound, 1
	} else {
		d.rng = bound
	}
	c.zeros[s] += int8(c.recent[s]>>63) - int8(bit)
	c.recent[s] = c.recent[s]<<1 | bit
	c.state = (s<<1 | int(bit)) & c.mask
	return one
}

// need makes n bits, at most 32, available.
func (d *decoder) need(n uint) {
	for d.have < n {
		w := uint64(0)
		if d.back >= 2 {
			d.back -= 2
			w = uint64(binary.LittleEndian.Uint16(d.front[d.back:]))
		} else {
			d.lack = d.lack || d.back < -64
			d.back -= 2
		}
		d.hold |= w << (48 - d.have)
		d.have += 16
	}
}

func (d *decoder) take(n uint) int64 {
	if n == 0 {
		return 0
	}
	d.need(n)
	v := d.hold >> (64 - n)
	d.hold <<= n
	d.have -= n
	return int64(v)
}

// symbol decodes a symbol and counts it; -1 if the bits are none.
func (d *decoder) symbol(c *code) int {
	d.need(huffman.MaxBits)
	s, n := c.High(d.hold)
	if n == 0 || s >= len(c.freq) {
		return -1
	}
	d.hold <<= n
	d.have -= n
	c.freq[s]++
	if c.left--; c.left == 0 {
		c.build()
		for i := range c.freq {
			c.freq[i] = c.freq[i]>>1 + 1
		}
	}
	return s
}

// number decodes a slot and its further bits; 0 if the slot is none.
func (d *decoder) number(c *code, base []int64, bits []int) int64 {
	s := d.symbol(c)
	if s < 0 {
		return 0
	}
	return base[s] + d.take(uint(bits[s]))
}
