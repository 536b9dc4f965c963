// Package lzma decodes LZMA and LZMA2 from memory to memory. The bytes that
// were decoded already are the dictionary, so nothing is copied twice; that and
// a range decoder that lives in registers make it about as fast as Go allows.
// The format is that of the LZMA specification in the LZMA SDK (public domain).
package lzma

import "errors"

// Errors of packed bytes that are not LZMA.
var (
	ErrInput    = errors.New("lzma: packed data end too early")
	ErrOutput   = errors.New("lzma: more unpacked data than expected")
	ErrDistance = errors.New("lzma: a match reaches before the start")
	ErrProps    = errors.New("lzma: impossible parameters")
	ErrRange    = errors.New("lzma: damaged packed data")
)

const (
	states    = 12
	posStates = 16
	half      = 1 << 10 // a probability of one half
	top       = 1 << 24
	// inputMax is more than the packed bytes that one symbol can take (20).
	inputMax = 24
)

// core is the state of one LZMA decoder: probabilities, the last four
// distances, and the range decoder with its input.
type core struct {
	match, rep0Long            [states * posStates]uint16
	rep, rep0, rep1, rep2      [states]uint16
	slot                       [4][64]uint16
	special                    [1 + 128 - 14]uint16
	align                      [16]uint16
	matchLen, repLen           lengths
	literal                    []uint16
	lc, lpMask, pbMask         uint32
	state                      int
	dist0, dist1, dist2, dist3 uint32 // distances less one

	start   int // of the dictionary in the output
	pending int // bytes of the last match that had no room

	rng, code uint32
	in        []byte // what is left to read starts at pos
	pos       int
	valid     int  // bytes of in that are packed data; less than len(in) only in tail
	before    int  // packed bytes before in
	tailed    bool // in is tail
	tail      [2 * inputMax]byte
}

type lengths struct {
	choice, choice2 uint16
	low, mid        [posStates][8]uint16
	high            [256]uint16
}

// setProps takes the byte that packs lc, lp and pb.
func (d *core) setProps(props byte) error {
	if props >= 9*5*5 {
		return ErrProps
	}
	lc, lp, pb := props%9, props/9%5, props/45
	d.lc, d.lpMask, d.pbMask = uint32(lc), 1<<lp-1, 1<<pb-1
	n := 0x300 << (lc + lp)
	if cap(d.literal) < n {
		d.literal = make([]uint16, n)
	}
	d.literal = d.literal[:n]
	return nil
}

// resetState forgets probabilities and distances.
func (d *core) resetState() {
	for _, p := range [][]uint16{d.match[:], d.rep0Long[:], d.rep[:], d.rep0[:], d.rep1[:], d.rep2[:], d.special[:], d.align[:], d.literal} {
		fill(p)
	}
	for i := range d.slot {
		fill(d.slot[i][:])
	}
	d.matchLen.reset()
	d.repLen.reset()
	d.state, d.pending = 0, 0
	d.dist0, d.dist1, d.dist2, d.dist3 = 0, 0, 0, 0
}

func (l *lengths) reset() {
	l.choice, l.choice2 = half, half
	for i := range l.low {
		fill(l.low[i][:])
		fill(l.mid[i][:])
	}
	fill(l.high[:])
}

func fill(p []uint16) {
	for i := range p {
		p[i] = half
	}
}

// startRange begins to read packed bytes: the range decoder's first five.
func (d *core) startRange(in []byte) error {
	if len(in) < 5 {
		return ErrInput
	}
	if in[0] != 0 {
		return ErrRange
	}
	d.rng = 0xffffffff
	d.code = uint32(in[1])<<24 | uint32(in[2])<<16 | uint32(in[3])<<8 | uint32(in[4])
	d.in, d.pos, d.valid, d.before, d.tailed = in, 5, len(in), 0, false
	return nil
}

// used is how many packed bytes were read since startRange.
func (d *core) used() int { return d.before + d.pos }

// refill makes sure that a symbol can be read without a look at the input's
// end: its last bytes are copied to where zeros follow them.
func (d *core) refill() error {
	if d.tailed {
		if d.pos > d.valid {
			return ErrInput
		}
		return nil
	}
	if d.pos > len(d.in) {
		return ErrInput
	}
	if len(d.in)-d.pos >= inputMax {
		return nil
	}
	clear(d.tail[:])
	n := copy(d.tail[:], d.in[d.pos:])
	d.before += d.pos
	d.in, d.pos, d.valid, d.tailed = d.tail[:], 0, n, true
	return nil
}

// normalize reads the byte that the range decoder may still owe, so that used
// is exact.
func (d *core) normalize() error {
	if d.rng >= top {
		return nil
	}
	if d.pos >= d.valid {
		return ErrInput
	}
	d.rng <<= 8
	d.code = d.code<<8 | uint32(d.in[d.pos])
	d.pos++
	return nil
}
