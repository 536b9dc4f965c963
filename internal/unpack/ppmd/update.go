package ppmd

// next goes to the context of the symbol that was found.
func (m *Model) next() {
	if c := m.successor(m.found); m.orderFall == 0 && c > m.text {
		m.minCtx, m.maxCtx = c, c
		return
	}
	m.update()
}

// update1 counts the first symbol of a context, update2 another one.
func (m *Model) update1() {
	m.prevSuccess = flag(2*m.freq(m.found) > m.sum(m.minCtx))
	m.runLength += int32(m.prevSuccess)
	m.addSum(m.minCtx, 4)
	m.bump(m.found)
	m.next()
}

func (m *Model) update2() {
	s := m.found
	m.b[s+1] += 4
	m.addSum(m.minCtx, 4)
	if m.freq(s) > m.freq(s-stateSize) {
		m.swap(s, s-stateSize)
		m.found = s - stateSize
		if m.freq(m.found) > maxFreq {
			m.rescale()
		}
	}
	m.next()
}

// updateEscaped counts a symbol that was found after an escape.
func (m *Model) updateEscaped() {
	m.addSum(m.minCtx, 4)
	m.bump(m.found)
	m.runLength = m.initRL
	m.update()
}

func (m *Model) bump(s uint32) {
	if m.b[s+1] += 4; m.freq(s) > maxFreq {
		m.rescale()
	}
}

func (m *Model) updateBinary() {
	if m.b[m.found+1] < 128 {
		m.b[m.found+1]++
	}
	m.prevSuccess = 1
	m.runLength++
	m.next()
}

// rescale halves the frequencies of a context.
func (m *Model) rescale() {
	c := m.minCtx
	stats, s := m.stats(c), m.found
	m.moveUp(stats, s, func(uint32) bool { return true })
	s = stats
	escape := m.sum(c) - m.freq(s)
	adder := flag(m.orderFall != 0)
	m.b[s+1] = byte((m.freq(s) + 4 + adder) >> 1)
	sum := m.freq(s)
	n := m.numStats(c)
	for range n - 1 {
		s += stateSize
		escape -= m.freq(s)
		f := (m.freq(s) + adder) >> 1
		m.b[s+1] = byte(f)
		sum += f
		m.moveUp(stats, s, func(before uint32) bool { return f > m.freq(before) })
	}
	if m.freq(s) == 0 {
		gone := 0
		for ; m.freq(s) == 0; s -= stateSize {
			gone++
		}
		escape += gone
		left := n - gone
		m.set16(c, uint16(left))
		n0, n1 := uint32(n+1)>>1, uint32(left+1)>>1
		if left == 1 {
			v := m.state(stats)
			for {
				v[1] -= v[1] >> 1
				if escape >>= 1; escape <= 1 {
					break
				}
			}
			m.insert(stats, classOf[n0-1])
			m.found = c + ctxOne
			m.setState(m.found, v)
			return
		}
		if n0 != n1 {
			m.set32(c+ctxStats, m.shrink(stats, n0, n1))
		}
	}
	m.set16(c+ctxSum, uint16(sum+escape-escape>>1))
	m.found = m.stats(c)
}

// moveUp moves a state towards the first while it should stand before others.
func (m *Model) moveUp(first, s uint32, before func(other uint32) bool) {
	to := s
	for to != first && before(to-stateSize) {
		to -= stateSize
	}
	if to == s {
		return
	}
	v := m.state(s)
	copy(m.b[to+stateSize:s+stateSize], m.b[to:s])
	m.setState(to, v)
}

// successors makes the contexts that the found symbol leads to; 0 if there is
// no room.
func (m *Model) successors(skip bool) uint32 {
	c, up := m.minCtx, m.successor(m.found)
	var list [MaxOrder]uint32
	n := 0
	if !skip {
		list[n] = m.found
		n++
	}
	for m.suffix(c) != 0 {
		c = m.suffix(c)
		s := c + ctxOne
		if m.numStats(c) != 1 {
			s = m.find(c, m.symbol(m.found))
		}
		if to := m.successor(s); to != up {
			c = to
			if n == 0 {
				return c
			}
			break
		}
		list[n] = s
		n++
	}
	symbol, freq := m.b[up], 0
	if m.numStats(c) == 1 {
		freq = m.freq(c + ctxOne)
	} else {
		cf := m.freq(m.find(c, symbol)) - 1
		rest := m.sum(c) - m.numStats(c) - cf
		switch {
		case 2*cf > rest:
			freq = 1 + (2*cf+3*rest-1)/(2*rest)
		default:
			freq = 1 + flag(5*cf > rest)
		}
	}
	for n > 0 {
		child := m.allocContext()
		if child == 0 {
			return 0
		}
		m.set16(child, 1)
		m.b[child+ctxOne], m.b[child+ctxOne+1] = symbol, byte(freq)
		m.setSuccessor(child+ctxOne, up+1)
		m.set32(child+ctxSuffix, c)
		n--
		m.setSuccessor(list[n], child)
		c = child
	}
	return c
}

// countInSuffix counts the symbol in the context of one symbol less.
func (m *Model) countInSuffix() {
	c := m.suffix(m.minCtx)
	if m.numStats(c) == 1 {
		if s := c + ctxOne; m.freq(s) < 32 {
			m.b[s+1]++
		}
		return
	}
	s := m.find(c, m.symbol(m.found))
	if s != m.stats(c) && m.freq(s) >= m.freq(s-stateSize) {
		m.swap(s, s-stateSize)
		s -= stateSize
	}
	if m.freq(s) < maxFreq-9 {
		m.b[s+1] += 2
		m.addSum(c, 2)
	}
}

// update learns the symbol that was found, in all contexts from the longest on
// that did not know it.
func (m *Model) update() {
	symbol, freq, successor := m.symbol(m.found), m.freq(m.found), m.successor(m.found)
	if freq < maxFreq/4 && m.suffix(m.minCtx) != 0 {
		m.countInSuffix()
	}
	if m.orderFall == 0 {
		c := m.successors(true)
		if c == 0 {
			m.restart()
			return
		}
		m.minCtx, m.maxCtx = c, c
		m.setSuccessor(m.found, c)
		return
	}
	m.b[m.text] = symbol
	m.text++
	to := m.text
	if m.text >= m.unitsStart {
		m.restart()
		return
	}
	if successor != 0 {
		if successor <= to { // text, not yet a context
			if successor = m.successors(false); successor == 0 {
				m.restart()
				return
			}
		}
		if m.orderFall--; m.orderFall == 0 {
			to = successor
			m.text -= uint32(flag(m.maxCtx != m.minCtx))
		}
	} else {
		m.setSuccessor(m.found, to)
		successor = m.minCtx
	}
	ns := m.numStats(m.minCtx)
	rest := m.sum(m.minCtx) - ns - (freq - 1)
	for c := m.maxCtx; c != m.minCtx; c = m.suffix(c) {
		if !m.learn(c, symbol, freq, ns, rest, to) {
			m.restart()
			return
		}
	}
	m.minCtx, m.maxCtx = successor, successor
}

// learn adds a symbol to a context.
func (m *Model) learn(c uint32, symbol byte, freq, ns, rest int, to uint32) bool {
	n := m.numStats(c)
	if n != 1 {
		if n&1 == 0 {
			units := n >> 1
			if i := classOf[units-1]; i != classOf[units] {
				at := m.alloc(i + 1)
				if at == 0 {
					return false
				}
				old := m.stats(c)
				copy(m.b[at:at+uint32(units)*unitSize], m.b[old:])
				m.insert(old, i)
				m.set32(c+ctxStats, at)
			}
		}
		m.addSum(c, flag(2*n < ns)+2*flag(4*n <= ns && m.sum(c) <= 8*n))
	} else {
		at := m.alloc(0)
		if at == 0 {
			return false
		}
		m.copyState(at, c+ctxOne)
		m.set32(c+ctxStats, at)
		f := m.freq(at)
		if f < maxFreq/4-1 {
			f <<= 1
		} else {
			f = maxFreq - 4
		}
		m.b[at+1] = byte(f)
		m.set16(c+ctxSum, uint16(f+m.initEsc+flag(ns > 3)))
	}
	cf := 2 * freq * (m.sum(c) + 6)
	sf := rest + m.sum(c)
	if cf < 6*sf {
		cf = 1 + flag(cf > sf) + flag(cf >= 4*sf)
		m.addSum(c, 3)
	} else {
		cf = 4 + flag(cf >= 9*sf) + flag(cf >= 12*sf) + flag(cf >= 15*sf)
		m.addSum(c, cf)
	}
	s := m.stats(c) + uint32(n)*stateSize
	m.b[s], m.b[s+1] = symbol, byte(cf)
	m.setSuccessor(s, to)
	m.set16(c, uint16(n+1))
	return true
}
