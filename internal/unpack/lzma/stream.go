package lzma

// Stream decodes raw LZMA, with or without an end mark.
type Stream struct{ core }

// Reset begins a stream: props packs lc, lp and pb as in the header of
// lzma-alone, src starts behind that header.
func (s *Stream) Reset(props byte, src []byte) error {
	if err := s.setProps(props); err != nil {
		return err
	}
	s.resetState()
	s.start = 0
	return s.startRange(src)
}

// Decode goes on to decode into dst[at:end], where dst[:at] is what came
// before. It returns where it stopped, and whether it met the end mark; without
// that and an error, the room is full.
func (s *Stream) Decode(dst []byte, at, end int) (int, bool, error) {
	at, marker, err := s.run(dst, at, end)
	if marker && err == nil {
		err = s.normalize()
	}
	return at, marker, err
}

// Finish reads the end mark that may stand behind data of known size. at is
// where Decode stopped. It says whether the packed data end here as they
// should: with the mark, or as an encoder without one leaves them.
func (s *Stream) Finish(at int) bool {
	if s.pending > 0 || s.normalize() != nil {
		return false
	}
	return s.code == 0 || s.endMark(at)
}

// endMark reads a symbol and says whether it is the end mark; if not, the
// input stands where it stood.
func (d *core) endMark(at int) bool {
	if d.refill() != nil {
		return false
	}
	rng, code, pos := d.rng, d.code, d.pos
	posState := uint32(at-d.start) & d.pbMask
	match, pos, rng, code := decodeBit(d.in, pos, rng, code, &d.match[d.state<<4|int(posState)])
	rep, pos, rng, code := decodeBit(d.in, pos, rng, code, &d.rep[d.state])
	if match == 0 || rep != 0 {
		return false
	}
	length, pos, rng, code := d.matchLen.decode(d.in, pos, rng, code, posState)
	dist, pos, rng, code := d.distance(d.in, pos, rng, code, length)
	if dist != 0xffffffff || pos > d.valid {
		return false
	}
	d.rng, d.code, d.pos = rng, code, pos
	return d.normalize() == nil
}

// Spent says that all of src was read, and that nothing is left in the range
// decoder: what an encoder without an end mark leaves.
func (s *Stream) Spent() bool {
	left := len(s.in) - s.pos
	if s.tailed {
		left = s.valid - s.pos
	}
	return s.code == 0 && left <= 1
}

// Used is how many bytes of src were read.
func (s *Stream) Used() int { return s.used() }
