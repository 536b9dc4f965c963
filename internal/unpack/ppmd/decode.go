package ppmd

// rangeDecoder reads what the model predicts. RAR's carries no propagated
// carries, and so has a low end besides; 7z's has none.
type rangeDecoder struct {
	next      func() byte // the packed bytes; zeros behind their end
	rar       bool
	rng, code uint32
	low       uint32
}

const (
	top    = 1 << 24
	bottom = 1 << 15
)

func (r *rangeDecoder) init() {
	r.low, r.code, r.rng = 0, 0, 0xffffffff
	for range 4 {
		r.code = r.code<<8 | uint32(r.next())
	}
}

// threshold is where in a total the next symbol lies; total itself or more if
// the data are damaged.
func (r *rangeDecoder) threshold(total int) int {
	if r.rng /= uint32(total); r.rng == 0 {
		return total
	}
	return int(r.code / r.rng)
}

func (r *rangeDecoder) decode(start, size int) {
	off := uint32(start) * r.rng
	r.code -= off
	r.low += off
	r.rng *= uint32(size)
	r.normalize()
}

func (r *rangeDecoder) normalize() {
	if !r.rar {
		for i := 0; i < 2 && r.rng < top; i++ {
			r.code = r.code<<8 | uint32(r.next())
			r.rng <<= 8
		}
		return
	}
	for {
		if r.low^(r.low+r.rng) >= top {
			if r.rng >= bottom {
				return
			}
			r.rng = -r.low & (bottom - 1)
		}
		r.code = r.code<<8 | uint32(r.next())
		r.rng <<= 8
		r.low <<= 8
	}
}

// bit decodes one of two symbols.
func (r *rangeDecoder) bit(size0 int) bool {
	if r.rar {
		one := r.threshold(binScale) >= size0
		if one {
			r.decode(size0, binScale-size0)
		} else {
			r.decode(0, size0)
		}
		return one
	}
	bound := r.rng / binScale * uint32(size0)
	one := r.code >= bound
	if one {
		r.code -= bound
		r.rng -= bound
	} else {
		r.rng = bound
	}
	r.normalize()
	return one
}

// Begin starts the range decoder of RAR at the next byte; the model goes on.
func (m *Model) Begin(next func() byte) {
	m.rng = rangeDecoder{next: next, rar: true}
	m.rng.init()
}

// Symbol decodes a byte; -1 if the data are damaged or end here.
func (m *Model) Symbol() int {
	if m.minCtx == 0 {
		return -1
	}
	numMasked := m.numStats(m.minCtx)
	if numMasked != 1 {
		s := m.stats(m.minCtx)
		sum := m.sum(m.minCtx)
		count, hi := m.rng.threshold(sum), m.freq(s)
		if count < hi {
			m.rng.decode(0, hi)
			m.found = s
			symbol := m.symbol(s)
			m.update1()
			return int(symbol)
		}
		m.prevSuccess = 0
		for range numMasked - 1 {
			s += stateSize
			f := m.freq(s)
			if hi += f; hi > count {
				m.rng.decode(hi-f, f)
				m.found = s
				symbol := m.symbol(s)
				m.update2()
				return int(symbol)
			}
		}
		if count >= sum {
			return -1
		}
		m.hiBits = hiFlag(m.symbol(m.found))
		m.rng.decode(hi, sum-hi)
		clear(m.masked[:])
		for range numMasked {
			m.masked[m.symbol(s)] = true
			s -= stateSize
		}
		return m.escaped(numMasked)
	}
	one := m.minCtx + ctxOne
	m.hiBits = hiFlag(m.symbol(m.found))
	p := &m.binSumm[m.freq(one)-1][m.prevSuccess+suffixClass[m.numStats(m.suffix(m.minCtx))-1]+m.hiBits+2*hiFlag(m.symbol(one))+int(m.runLength>>26&0x20)]
	mean := (*p + 1<<(periodBits-2)) >> periodBits
	if !m.rng.bit(int(*p)) {
		*p += 1<<intBits - mean
		m.found = one
		symbol := m.symbol(one)
		m.updateBinary()
		return int(symbol)
	}
	*p -= mean
	m.initEsc = int(expEscape[*p>>10])
	clear(m.masked[:])
	m.masked[m.symbol(one)] = true
	m.prevSuccess = 0
	return m.escaped(1)
}

// escaped looks for the symbol in shorter contexts.
func (m *Model) escaped(numMasked int) int {
	for {
		for {
			m.orderFall++
			if m.minCtx = m.suffix(m.minCtx); m.minCtx == 0 {
				return -1 // for good
			}
			if m.numStats(m.minCtx) != numMasked {
				break
			}
		}
		num, hi, n := m.numStats(m.minCtx)-numMasked, 0, 0
		for s := m.stats(m.minCtx); n < num; s += stateSize {
			if !m.masked[m.symbol(s)] {
				hi += m.freq(s)
				m.list[n] = s
				n++
			}
		}
		see, sum := m.escapes(numMasked)
		sum += hi
		count := m.rng.threshold(sum)
		if count >= sum {
			return -1
		}
		if count < hi {
			hi, s := 0, uint32(0)
			for _, s = range m.list[:n] {
				if hi += m.freq(s); hi > count {
					break
				}
			}
			m.rng.decode(hi-m.freq(s), m.freq(s))
			see.update()
			m.found = s
			symbol := m.symbol(s)
			m.updateEscaped()
			return int(symbol)
		}
		m.rng.decode(hi, sum-hi)
		see.summ += uint16(sum)
		for _, s := range m.list[:n] {
			m.masked[m.symbol(s)] = true
		}
		numMasked += n
	}
}

// escapes estimates how often a context is left for a shorter one.
func (m *Model) escapes(numMasked int) (*see, int) {
	n := m.numStats(m.minCtx)
	if n == 256 {
		return &m.dummy, 1
	}
	left := n - numMasked
	s := &m.see[seeClass[left-1]][flag(left < m.numStats(m.suffix(m.minCtx))-n)+2*flag(m.sum(m.minCtx) < 11*n)+4*flag(numMasked > left)+m.hiBits]
	r := s.summ >> s.shift
	s.summ -= r
	return s, int(max(r, 1))
}

// Decode7z unpacks a stream of 7z into dst and returns how much it wrote.
func Decode7z(dst, src []byte, order int, size uint32) (int, error) {
	if order < MinOrder || order > MaxOrder || size < MinMemory || size > MaxMemory {
		return 0, ErrCorrupt
	}
	if len(src) < 5 || src[0] != 0 {
		return 0, ErrCorrupt
	}
	m := &Model{}
	m.Start(order, size)
	at := 1
	m.rng = rangeDecoder{next: func() (b byte) {
		if at < len(src) {
			b = src[at]
		}
		at++
		return b
	}}
	m.rng.init()
	for i := range dst {
		s := m.Symbol()
		if at > len(src) {
			return i, ErrInput
		}
		if s < 0 {
			return i, ErrCorrupt
		}
		dst[i] = byte(s)
	}
	return len(dst), nil
}
