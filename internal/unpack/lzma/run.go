package lzma

// run decodes symbols into dst[at:end] until that is full or the end mark
// comes. dst[d.start:at] is the dictionary. The function is long because the
// range decoder's three variables must stay in registers.
func (d *core) run(dst []byte, at, end int) (int, bool, error) {
	if d.pending > 0 {
		n := min(d.pending, end-at)
		d.pending -= n
		at = repeat(dst, at, int(d.dist0)+1, n)
	}
	if at >= end {
		return at, false, nil
	}
	if err := d.refill(); err != nil {
		return at, false, err
	}
	rng, code, in, pos := d.rng, d.code, d.in, d.pos
	state := d.state
	safe := len(in) - inputMax
	if d.tailed {
		safe = d.valid
	}
	marker := false
	var fail error
	last := at // where the last symbol's bytes begin
	for at < end {
		if pos > safe {
			d.pos = pos
			if fail = d.refill(); fail != nil {
				at = last // that symbol was read from behind the input
				break
			}
			in, pos, safe = d.in, d.pos, d.valid
		}
		last = at
		posState := uint32(at-d.start) & d.pbMask
		p := &d.match[state<<4|int(posState)]
		if rng < top {
			rng, code, pos = rng<<8, code<<8|uint32(in[pos]), pos+1
		}
		bound := rng >> 11 * uint32(*p)
		if code < bound {
			rng = bound
			*p += (2048 - *p) >> 5
			prev := uint32(0)
			if at > d.start {
				prev = uint32(dst[at-1])
			}
			base := 0x300 * ((uint32(at-d.start)&d.lpMask)<<d.lc + prev>>(8-d.lc))
			probs := (*[0x300]uint16)(d.literal[base:])
			symbol := uint32(1)
			if state >= 7 {
				if int(d.dist0) >= at-d.start {
					fail = ErrDistance
					break
				}
				matched := uint32(dst[at-int(d.dist0)-1])
				offset := uint32(0x100)
				for symbol < 0x100 {
					matched <<= 1
					bit := matched & offset
					p := &probs[offset+bit+symbol]
					if rng < top {
						rng, code, pos = rng<<8, code<<8|uint32(in[pos]), pos+1
					}
					bound := rng >> 11 * uint32(*p)
					if code < bound {
						rng = bound
						*p += (2048 - *p) >> 5
						symbol <<= 1
						offset &^= bit
					} else {
						rng, code = rng-bound, code-bound
						*p -= *p >> 5
						symbol = symbol<<1 | 1
						offset &= bit
					}
				}
			} else {
				for symbol < 0x100 {
					p := &probs[symbol]
					if rng < top {
						rng, code, pos = rng<<8, code<<8|uint32(in[pos]), pos+1
					}
					bound := rng >> 11 * uint32(*p)
					if code < bound {
						rng = bound
						*p += (2048 - *p) >> 5
						symbol <<= 1
					} else {
						rng, code = rng-bound, code-bound
						*p -= *p >> 5
						symbol = symbol<<1 | 1
					}
				}
			}
			dst[at] = byte(symbol)
			at++
			switch {
			case state < 4:
				state = 0
			case state < 10:
				state -= 3
			default:
				state -= 6
			}
			continue
		}
		rng, code = rng-bound, code-bound
		*p -= *p >> 5

		var bit, length uint32
		bit, pos, rng, code = decodeBit(in, pos, rng, code, &d.rep[state])
		if bit == 0 {
			d.dist3, d.dist2, d.dist1 = d.dist2, d.dist1, d.dist0
			length, pos, rng, code = d.matchLen.decode(in, pos, rng, code, posState)
			d.dist0, pos, rng, code = d.distance(in, pos, rng, code, length)
			if d.dist0 == 0xffffffff {
				marker = true
				break
			}
			if state < 7 {
				state = 7
			} else {
				state = 10
			}
		} else {
			bit, pos, rng, code = decodeBit(in, pos, rng, code, &d.rep0[state])
			if bit == 0 {
				bit, pos, rng, code = decodeBit(in, pos, rng, code, &d.rep0Long[state<<4|int(posState)])
				if bit == 0 {
					if int(d.dist0) >= at-d.start {
						fail = ErrDistance
						break
					}
					dst[at] = dst[at-int(d.dist0)-1]
					at++
					if state < 7 {
						state = 9
					} else {
						state = 11
					}
					continue
				}
			} else {
				pos, rng, code = d.olderDistance(in, pos, rng, code, state)
			}
			length, pos, rng, code = d.repLen.decode(in, pos, rng, code, posState)
			if state < 7 {
				state = 8
			} else {
				state = 11
			}
		}
		if int64(d.dist0) >= int64(at-d.start) {
			fail = ErrDistance
			break
		}
		n := int(length) + 2
		if n > end-at {
			d.pending = n - (end - at)
			n = end - at
		}
		at = repeat(dst, at, int(d.dist0)+1, n)
	}
	d.rng, d.code, d.pos, d.state = rng, code, pos, state
	if fail == nil && d.tailed && d.pos > d.valid {
		at, fail = last, ErrInput
	}
	return at, marker, fail
}

// repeat copies n bytes from distance back.
func repeat(dst []byte, at, distance, n int) int {
	from := at - distance
	if distance >= n {
		copy(dst[at:at+n], dst[from:])
		return at + n
	}
	// The match overlaps what it makes: each round may copy all made so far.
	for end := at + n; at < end; {
		at += copy(dst[at:end], dst[from:at])
	}
	return at
}

func decodeBit(in []byte, pos int, rng, code uint32, p *uint16) (uint32, int, uint32, uint32) {
	if rng < top {
		rng, code, pos = rng<<8, code<<8|uint32(in[pos]), pos+1
	}
	bound := rng >> 11 * uint32(*p)
	if code < bound {
		*p += (2048 - *p) >> 5
		return 0, pos, bound, code
	}
	*p -= *p >> 5
	return 1, pos, rng - bound, code - bound
}

// decodeTree reads a number below size, a power of two, highest bit first.
func decodeTree(in []byte, pos int, rng, code uint32, probs []uint16, size uint32) (uint32, int, uint32, uint32) {
	m := uint32(1)
	for m < size {
		p := &probs[m]
		if rng < top {
			rng, code, pos = rng<<8, code<<8|uint32(in[pos]), pos+1
		}
		bound := rng >> 11 * uint32(*p)
		if code < bound {
			rng = bound
			*p += (2048 - *p) >> 5
			m <<= 1
		} else {
			rng, code = rng-bound, code-bound
			*p -= *p >> 5
			m = m<<1 | 1
		}
	}
	return m - size, pos, rng, code
}

func (l *lengths) decode(in []byte, pos int, rng, code uint32, posState uint32) (uint32, int, uint32, uint32) {
	var bit, n uint32
	bit, pos, rng, code = decodeBit(in, pos, rng, code, &l.choice)
	if bit == 0 {
		return decodeTree(in, pos, rng, code, l.low[posState][:], 8)
	}
	bit, pos, rng, code = decodeBit(in, pos, rng, code, &l.choice2)
	if bit == 0 {
		n, pos, rng, code = decodeTree(in, pos, rng, code, l.mid[posState][:], 8)
		return n + 8, pos, rng, code
	}
	n, pos, rng, code = decodeTree(in, pos, rng, code, l.high[:], 256)
	return n + 16, pos, rng, code
}

// olderDistance makes one of the three older distances the last one.
func (d *core) olderDistance(in []byte, pos int, rng, code uint32, state int) (int, uint32, uint32) {
	var bit uint32
	dist := d.dist1
	bit, pos, rng, code = decodeBit(in, pos, rng, code, &d.rep1[state])
	if bit != 0 {
		dist = d.dist2
		bit, pos, rng, code = decodeBit(in, pos, rng, code, &d.rep2[state])
		if bit != 0 {
			dist = d.dist3
			d.dist3 = d.dist2
		}
		d.dist2 = d.dist1
	}
	d.dist1, d.dist0 = d.dist0, dist
	return pos, rng, code
}

// distance reads the distance, less one, of a match of length+2 bytes.
func (d *core) distance(in []byte, pos int, rng, code uint32, length uint32) (uint32, int, uint32, uint32) {
	var slot, low uint32
	slot, pos, rng, code = decodeTree(in, pos, rng, code, d.slot[min(length, 3)][:], 64)
	if slot < 4 {
		return slot, pos, rng, code
	}
	bits := slot>>1 - 1
	dist := (2 | slot&1) << bits
	if slot < 14 {
		low, pos, rng, code = decodeReverse(in, pos, rng, code, d.special[dist-slot:], bits)
		return dist + low, pos, rng, code
	}
	for range bits - 4 {
		if rng < top {
			rng, code, pos = rng<<8, code<<8|uint32(in[pos]), pos+1
		}
		rng >>= 1
		code -= rng
		mask := -(code >> 31) // all ones if the bit is 0
		code += rng & mask
		low = low<<1 + mask + 1
	}
	dist += low << 4
	low, pos, rng, code = decodeReverse(in, pos, rng, code, d.align[:], 4)
	return dist + low, pos, rng, code
}

// decodeReverse reads a number of some bits, lowest bit first.
func decodeReverse(in []byte, pos int, rng, code uint32, probs []uint16, bits uint32) (uint32, int, uint32, uint32) {
	m, n := uint32(1), uint32(0)
	var bit uint32
	for i := range bits {
		bit, pos, rng, code = decodeBit(in, pos, rng, code, &probs[m])
		m = m<<1 | bit
		n |= bit << i
	}
	return n, pos, rng, code
}
