package flash

// The adaptive bit coding of early jffs2, after Frank Rubin (the kernel's
// fs/jffs2/compr_rubin.c): an arithmetic coder with a fixed probability for
// each of a byte's eight bits. There is no checksum over the plain bytes, but
// one plain text has one coding only, which proves what was decoded.

const (
	rubinUpper = 1 << 15
	rubinLower = rubinUpper - 1
)

// rubinModel is how probable a one is at each bit, out of total.
type rubinModel struct {
	ones  [8]uint32
	total uint32
}

// rubinFixed is the model that was measured on programs for MIPS.
var rubinFixed = rubinModel{[8]uint32{277, 249, 290, 267, 229, 341, 212, 241}, 1043}

// unpackRubin fills dst. Methods 3 (rubin, with the fixed model) and 5
// (dynrubin, which begins with its model) changed places in Linux 2.6.8, so
// both are tried.
func unpackRubin(method byte, src, dst []byte) bool {
	fixed := func() bool { return rubinDecode(rubinFixed, src, dst) }
	dynamic := func() bool {
		if len(src) < 8 {
			return false
		}
		m := rubinModel{total: 256}
		for i, b := range src[:8] {
			m.ones[i] = uint32(b)
		}
		return rubinDecode(m, src[8:], dst)
	}
	if method == 3 {
		return dynamic() || fixed()
	}
	return fixed() || dynamic()
}

// rubinState is the interval from q on, p wide.
type rubinState struct{ p, q uint32 }

// full says that the highest bit of the interval is settled.
func (s *rubinState) full() bool { return s.q >= rubinUpper || s.p+s.q <= rubinUpper }

// shift drops that bit.
func (s *rubinState) shift() {
	s.q = s.q & rubinLower << 1
	s.p <<= 1
}

// split is how much of the interval stands for a zero.
func (s *rubinState) split(m *rubinModel, bit int) uint32 {
	return min(max((m.total-m.ones[bit])*s.p/m.total, 1), s.p-1)
}

// take narrows the interval to one of its parts.
func (s *rubinState) take(zero uint32, one bool) {
	if one {
		s.q, s.p = s.q+zero, s.p-zero
	} else {
		s.p = zero
	}
}

// rubinBits reads bits, the highest first; zeros behind the end.
type rubinBits struct {
	b  []byte
	at int
}

func (r *rubinBits) next() uint32 {
	bit := uint32(0)
	if r.at>>3 < len(r.b) {
		bit = uint32(r.b[r.at>>3]>>(7-r.at&7)) & 1
	}
	r.at++
	return bit
}

// rubinDecode fills dst and codes it again, to see if the same comes out.
func rubinDecode(m rubinModel, src, dst []byte) bool {
	in, again := &rubinBits{b: src}, &rubinBits{b: src}
	s := rubinState{p: 2 * rubinUpper}
	code, same := uint32(0), true
	for range 16 {
		code = code<<1 | in.next()
	}
	for i := range dst {
		v := byte(0)
		for bit := range 8 {
			for s.full() {
				same = same && again.next() == s.q>>15&1
				s.shift()
				code = code&rubinLower<<1 | in.next()
			}
			zero := s.split(&m, bit)
			one := code >= s.q+zero
			s.take(zero, one)
			if one {
				v |= 1 << bit
			}
		}
		if dst[i] = v; !same {
			return false
		}
	}
	return rubinEnds(s, again, len(src))
}

// rubinEnds compares the end of the code: the sixteen bits of the interval's
// start.
func rubinEnds(s rubinState, again *rubinBits, size int) bool {
	for i := 15; i >= 0; i-- {
		if again.next() != s.q>>i&1 {
			return false
		}
	}
	return (again.at+7)/8 <= size
}
