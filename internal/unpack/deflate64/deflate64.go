// Package deflate64 decodes variants of deflate: Deflate64, PKWARE's with a
// window of 64 KiB, lengths up to 65538 and two more distance codes, and that of
// the installer NSIS.
package deflate64

import (
	"errors"

	"github.com/doorward/doorward/internal/unpack/huffman"
)

// Errors of Decode.
var (
	ErrInput   = errors.New("deflate64: the packed data end too early")
	ErrOutput  = errors.New("deflate64: more unpacked bytes than expected")
	ErrCorrupt = errors.New("deflate64: damaged data")
)

const (
	window  = 64 << 10
	maxBits = 15
)

type decoder struct {
	src  []byte
	at   int
	hold uint64
	have uint
	bad  error

	lengths, distances huffman.Code

	dst  []byte
	n    int
	most int  // how long dst may grow
	nsis bool // 32 KiB, and stored blocks may lack the complement of their length
}

// room makes room for n more bytes.
func (d *decoder) room(n int) bool {
	if n <= len(d.dst)-d.n {
		return true
	}
	if n > d.most-d.n {
		return false
	}
	grown := make([]byte, min(d.most, max(2*len(d.dst), d.n+n, 64<<10)))
	copy(grown, d.dst[:d.n])
	d.dst = grown
	return true
}

// need makes n bits available, zeros behind the end.
func (d *decoder) need(n uint) {
	for d.have < n {
		if d.at < len(d.src) {
			d.hold |= uint64(d.src[d.at]) << d.have
		} else if d.at > len(d.src)+4 {
			d.bad = ErrInput
		}
		d.at++
		d.have += 8
	}
}

func (d *decoder) bits(n uint) int {
	d.need(n)
	v := int(d.hold & (1<<n - 1))
	d.hold >>= n
	d.have -= n
	return v
}

func (d *decoder) symbol(c *huffman.Code) int {
	d.need(maxBits)
	symbol, n := c.Low(d.hold)
	if n == 0 {
		d.bad = ErrCorrupt
	}
	d.hold >>= n
	d.have -= n
	return symbol
}

// Decode unpacks src into dst. It returns how many bytes it wrote and how many
// of src it took, with the error that ended it before.
func Decode(dst, src []byte) (n, used int, err error) {
	d := &decoder{src: src, dst: dst, most: len(dst)}
	used, err = d.run()
	return d.n, used, err
}

// DecodeNSIS unpacks what NSIS made of up to most bytes. What was decoded before
// an error comes with it.
func DecodeNSIS(src []byte, most int) (out []byte, used int, err error) {
	d := &decoder{src: src, most: most, nsis: true}
	used, err = d.run()
	return d.dst[:d.n], used, err
}

func (d *decoder) run() (used int, err error) {
	for {
		last := d.bits(1)
		switch d.bits(2) {
		case 0:
			err = d.stored()
		case 1:
			d.fixed()
			err = d.block()
		case 2:
			if err = d.dynamic(); err == nil {
				err = d.block()
			}
		default:
			err = ErrCorrupt
		}
		if err == nil {
			err = d.bad
		}
		used = d.at - int(d.have/8)
		if err == nil && used > len(d.src) {
			err = ErrInput
		}
		if err != nil || last == 1 {
			return min(used, len(d.src)), err
		}
	}
}

func (d *decoder) stored() error {
	d.bits(d.have % 8)
	size := d.bits(16)
	d.need(16)
	switch {
	case int(d.hold&0xffff) == size^0xffff:
		d.bits(16) // NSIS that was built with another zlib has it, too
	case !d.nsis:
		return ErrCorrupt
	}
	d.at -= int(d.have / 8)
	d.hold, d.have = 0, 0
	if d.at > len(d.src) || size > len(d.src)-d.at {
		return ErrInput
	}
	if !d.room(size) {
		return ErrOutput
	}
	d.n += copy(d.dst[d.n:], d.src[d.at:d.at+size])
	d.at += size
	return nil
}

func (d *decoder) fixed() {
	var l [288]byte
	for i := range l {
		switch {
		case i < 144:
			l[i] = 8
		case i < 256:
			l[i] = 9
		case i < 280:
			l[i] = 7
		default:
			l[i] = 8
		}
	}
	d.lengths.Set(l[:], true)
	var dist [32]byte
	for i := range dist {
		dist[i] = 5
	}
	d.distances.Set(dist[:], true)
}

var order = [19]byte{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

func (d *decoder) dynamic() error {
	lits, dists, lens := d.bits(5)+257, d.bits(5)+1, d.bits(4)+4
	var l [288 + 32]byte
	for _, i := range order[:lens] {
		l[i] = byte(d.bits(3))
	}
	if lits > 288 || !d.lengths.Set(l[:19], true) {
		return ErrCorrupt
	}
	clear(l[:19])
	for i := 0; i < lits+dists; {
		s := d.symbol(&d.lengths)
		if d.bad != nil {
			return d.bad
		}
		repeat, value := 1, byte(s)
		switch s {
		case 16:
			if i == 0 {
				return ErrCorrupt
			}
			repeat, value = 3+d.bits(2), l[i-1]
		case 17:
			repeat, value = 3+d.bits(3), 0
		case 18:
			repeat, value = 11+d.bits(7), 0
		}
		if i+repeat > lits+dists {
			return ErrCorrupt
		}
		for range repeat {
			l[i] = value
			i++
		}
	}
	if l[256] == 0 || !d.lengths.Set(l[:lits], true) || !d.distances.Set(l[lits:lits+dists], true) {
		return ErrCorrupt
	}
	return nil
}

// block decodes up to the end symbol.
func (d *decoder) block() error {
	for {
		s := d.symbol(&d.lengths)
		if d.bad != nil {
			return d.bad
		}
		if s < 256 {
			if !d.room(1) {
				return ErrOutput
			}
			d.dst[d.n] = byte(s)
			d.n++
			continue
		}
		if s == 256 {
			return nil
		}
		length, ok := d.length(s)
		code := d.symbol(&d.distances)
		distance := d.distance(code)
		switch {
		case d.bad != nil:
			return d.bad
		case !ok || distance > d.n || distance > window || d.nsis && code > 29:
			return ErrCorrupt
		case !d.room(length):
			return ErrOutput
		}
		for range length {
			d.dst[d.n] = d.dst[d.n-distance]
			d.n++
		}
	}
}

func (d *decoder) length(s int) (int, bool) {
	switch s -= 257; {
	case s < 8:
		return 3 + s, true
	case s < 28:
		extra := uint(s/4 - 1)
		return 3 + (4+s%4)<<extra + d.bits(extra), true
	case s == 28 && d.nsis:
		return 258, true
	case s == 28:
		return 3 + d.bits(16), true
	}
	return 0, false
}

func (d *decoder) distance(s int) int {
	if s < 4 {
		return 1 + s
	}
	extra := uint(s/2 - 1)
	return 1 + (2+s%2)<<extra + d.bits(extra)
}
