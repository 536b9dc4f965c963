package uefi

import (
	"errors"

	"github.com/doorward/doorward/internal/unpack"
)

// The compression of EFI 1.1 (UEFI 2.10, section 19.2) is LZ77 with static
// Huffman codes in blocks, close to that of LHA; Tiano's differs in the width of
// one field, and so in how far matches reach.
const (
	efiBits      = 4 // width of the number of codes of the position set: EFI 1.1
	tianoBits    = 5
	tianoHeader  = 8
	tianoSymbols = 510 // bytes and lengths
	tianoMatch   = 253 // what a symbol less this is long
	tianoExtra   = 19  // codes for lengths of codes
	tianoCodeMax = 16  // bits
	tianoLookup  = 10  // bits that the table decodes at once
)

var errTiano = errors.New("tiano: damaged packed data")

// bitReader reads bits from the highest on.
type bitReader struct {
	in   []byte
	pos  int
	acc  uint64
	have int
}

// peek returns the next n bits, zeros behind the end.
func (r *bitReader) peek(n int) uint32 {
	for r.have < n {
		c := byte(0)
		if r.pos < len(r.in) {
			c = r.in[r.pos]
		}
		r.pos++
		r.acc = r.acc<<8 | uint64(c)
		r.have += 8
	}
	return uint32(r.acc>>(r.have-n)) & (1<<n - 1)
}

func (r *bitReader) take(n int) uint32 {
	v := r.peek(n)
	r.have -= n
	return v
}

// over says that more was read than there is.
func (r *bitReader) over() bool { return r.pos-r.have/8 > len(r.in) }

// prefix is a canonical Huffman code.
type prefix struct {
	single  int // the only symbol, which takes no bits; -1 if there are more
	fast    [1 << tianoLookup]uint16
	count   [tianoCodeMax + 1]int
	symbols []uint16 // by code
}

// only makes a code of one symbol.
func (p *prefix) only(symbol int) { p.single = symbol }

// build makes the code of the given lengths, which must be complete.
func (p *prefix) build(lengths []byte) error {
	p.single = -1
	clear(p.fast[:])
	clear(p.count[:])
	for _, n := range lengths {
		if n > tianoCodeMax {
			return errTiano
		}
		p.count[n]++
	}
	p.count[0] = 0
	var next [tianoCodeMax + 2]int
	var first [tianoCodeMax + 1]int
	total, used := 0, 0
	for n := 1; n <= tianoCodeMax; n++ {
		next[n], first[n] = used, total>>(tianoCodeMax-n)
		used += p.count[n]
		total += p.count[n] << (tianoCodeMax - n)
	}
	if total != 1<<tianoCodeMax {
		return errTiano
	}
	p.symbols = append(p.symbols[:0], make([]uint16, used)...)
	start := next
	for s, n := range lengths {
		if n == 0 {
			continue
		}
		code := first[n] + next[n] - start[n]
		p.symbols[next[n]] = uint16(s)
		next[n]++
		if n <= tianoLookup {
			from := code << (tianoLookup - n)
			for i := range 1 << (tianoLookup - n) {
				p.fast[from+i] = uint16(s)<<5 | uint16(n)
			}
		}
	}
	return nil
}

// symbol decodes one symbol.
func (p *prefix) symbol(r *bitReader) int {
	if p.single >= 0 {
		return p.single
	}
	if e := p.fast[r.peek(tianoLookup)]; e != 0 {
		r.have -= int(e & 31)
		return int(e >> 5)
	}
	bits := int(r.peek(tianoCodeMax))
	code, index, first := 0, 0, 0
	for n := 1; n <= tianoCodeMax; n++ {
		code = bits >> (tianoCodeMax - n)
		if code-first < p.count[n] {
			r.have -= n
			return int(p.symbols[index+code-first])
		}
		index += p.count[n]
		first = (first + p.count[n]) << 1
	}
	return 0 // a complete code has no such bits
}

// tiano decodes one stream.
type tiano struct {
	bitReader
	codes, extra, places prefix
	block                int // symbols left in the block
}

// small reads a code for lengths of codes, or that of the positions.
func (t *tiano) small(p *prefix, symbols, width, gap int) error {
	n := int(t.take(width))
	if n == 0 {
		p.only(int(t.take(width)))
		return nil
	}
	if n > symbols {
		return errTiano
	}
	lengths := make([]byte, symbols+4)
	for i := 0; i < n; {
		c := t.take(3)
		for c >= 7 && t.take(1) == 1 {
			if c++; c > tianoCodeMax {
				return errTiano
			}
		}
		lengths[i] = byte(c)
		if i++; i == gap {
			i += int(t.take(2))
		}
	}
	return p.build(lengths[:symbols])
}

// large reads the code of bytes and lengths.
func (t *tiano) large() error {
	n := int(t.take(9))
	if n == 0 {
		t.codes.only(int(t.take(9)))
		return nil
	}
	if n > tianoSymbols {
		return errTiano
	}
	var lengths [tianoSymbols]byte
	for i := 0; i < n; {
		switch c := t.extra.symbol(&t.bitReader); {
		case c == 0:
			i++
		case c == 1:
			i += int(t.take(4)) + 3
		case c == 2:
			i += int(t.take(9)) + 20
		default:
			lengths[i] = byte(c - 2)
			i++
		}
		if i > tianoSymbols || t.over() {
			return errTiano
		}
	}
	return t.codes.build(lengths[:])
}

// decode fills dst.
func (t *tiano) decode(dst []byte, width int) error {
	for at := 0; at < len(dst); {
		if t.block == 0 {
			if err := t.next(width); err != nil {
				return err
			}
		}
		t.block--
		c := t.codes.symbol(&t.bitReader)
		if c < 256 {
			dst[at] = byte(c)
			at++
			continue
		}
		if c >= tianoSymbols {
			return errTiano
		}
		from := at - t.distance()
		n := min(c-tianoMatch, len(dst)-at)
		if from < 0 || t.over() {
			return errTiano
		}
		for i := range n {
			dst[at+i] = dst[from+i]
		}
		at += n
	}
	if t.over() {
		return errTiano
	}
	return nil
}

// next reads the head of a block.
func (t *tiano) next(width int) error {
	t.block = int(t.take(16))
	if t.block == 0 || t.over() {
		return errTiano
	}
	if err := t.small(&t.extra, tianoExtra, 5, 3); err != nil {
		return err
	}
	if err := t.large(); err != nil {
		return err
	}
	return t.small(&t.places, 1<<width-1, width, -1)
}

func (t *tiano) distance() int {
	p := t.places.symbol(&t.bitReader)
	if p > 30 {
		return 1 << 31
	}
	if p > 1 {
		p = 1<<(p-1) + int(t.take(p-1))
	}
	return p + 1
}

// tianoSizes reads the header: packed and unpacked size.
func tianoSizes(b unpack.Bytes) (packed, size int64, err error) {
	h, err := unpack.ReadFull(b, 0, tianoHeader)
	if err != nil {
		return 0, 0, errTiano
	}
	packed, size = int64(le32(h)), int64(le32(h[4:]))
	if packed == 0 || packed > b.Size()-tianoHeader {
		return 0, 0, errTiano
	}
	return packed, size, nil
}

// unpackTiano decodes a stream with its header. stated is the unpacked size that
// is expected, or -1.
func unpackTiano(in *unpack.Input, b unpack.Bytes, width int, stated int64) (unpack.Slice, error) {
	packed, size, err := tianoSizes(b)
	if err != nil || stated >= 0 && size != stated || size > packed*tianoRatio {
		return nil, errTiano
	}
	src, err := unpack.ReadFull(b, tianoHeader, packed)
	if err != nil {
		return nil, err
	}
	out, err := in.Budget.Room(size, packed)
	if err != nil {
		return out, err
	}
	t := &tiano{bitReader: bitReader{in: src}}
	if err := t.decode(out, width); err != nil {
		in.Budget.Release(out)
		return nil, err
	}
	return out, nil
}

// tianoRatio is more than what matches of 256 bytes can pack: blocks of which
// every symbol takes no bits give 16 MiB for a few bytes, but nobody packs that.
const tianoRatio = 8192

// standard unpacks what may be either variant: the one whose sections make sense
// counts.
func (s *sections) standard(b unpack.Bytes, size int64) (unpack.Slice, error) {
	out, err := unpackTiano(s.in, b, efiBits, size)
	if err == nil && s.plausible(out) {
		return out, nil
	}
	s.in.Budget.Release(out)
	return unpackTiano(s.in, b, tianoBits, size)
}

func (s *sections) plausible(b unpack.Bytes) bool {
	_, err := listSections(b)
	return err == nil
}
