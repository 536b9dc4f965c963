package unpack

// Slider reads pieces of something large, mostly forwards.
type Slider struct {
	data  Bytes
	buf   []byte
	start int64
}

// NewSlider reads from data.
func NewSlider(data Bytes) *Slider { return &Slider{data: data} }

const sliderRoom = 1 << 20

// At returns up to n bytes from off on, valid until the next call; fewer at the
// end.
func (s *Slider) At(off, n int64) []byte {
	if mem, ok := s.data.(Slice); ok {
		if off < 0 || off >= int64(len(mem)) || n <= 0 {
			return nil
		}
		return mem[off : off+min(n, int64(len(mem))-off)]
	}
	if off < s.start || off+n > s.start+int64(len(s.buf)) {
		s.buf, s.start = ReadSome(s.data, off, max(n, sliderRoom)), off
	}
	if off >= s.start+int64(len(s.buf)) {
		return nil
	}
	b := s.buf[off-s.start:]
	return b[:min(n, int64(len(b)))]
}

// Erased counts the bytes 0xff from off on.
func (s *Slider) Erased(off int64) int64 {
	n := int64(0)
	for {
		b := s.At(off+n, 4096)
		for i, c := range b {
			if c != 0xff {
				return n + int64(i)
			}
		}
		if n += int64(len(b)); len(b) == 0 {
			return n
		}
	}
}
