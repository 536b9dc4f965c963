package volume

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

var errLZFSE = errors.New("damaged LZFSE data")

// lzfse unpacks LZFSE into dst, which bounds it. Layout: the reference
// implementation's lzfse_internal.h: blocks, each stored, of LZVN, or of
// matches whose numbers are coded with finite state entropy.
func lzfse(dst, src []byte) (int, error) {
	n := 0
	le := binary.LittleEndian
	for len(src) >= 4 {
		magic := string(src[:4])
		switch {
		case magic == "bvx$":
			return n, nil
		case magic == "bvx-" && len(src) >= 8:
			size := int(le.Uint32(src[4:]))
			if size > len(src)-8 || size > len(dst)-n {
				return n, errLZFSE
			}
			n += copy(dst[n:], src[8:8+size])
			src = src[8+size:]
		case magic == "bvxn" && len(src) >= 12:
			size, packed := int(le.Uint32(src[4:])), int(le.Uint32(src[8:]))
			if packed > len(src)-12 || size > len(dst)-n {
				return n, errLZFSE
			}
			// Distances may reach into the blocks before.
			if got, err := lzvnAfter(dst[:n+size], n, src[12:12+packed]); err != nil || got != n+size {
				return n, errLZFSE
			}
			n, src = n+size, src[12+packed:]
		case magic == "bvx2" && len(src) >= 32:
			b, rest, err := parseLZFSE(src)
			if err != nil || b.size > len(dst)-n {
				return n, errLZFSE
			}
			if err := b.unpack(dst[:n+b.size], n); err != nil {
				return n, err
			}
			n, src = n+b.size, rest
		default:
			return n, errLZFSE
		}
	}
	return n, errLZFSE // without an end
}

// lzfseBlock is a block of matches.
type lzfseBlock struct {
	size             int // unpacked
	literals         int
	matches          int
	states           [4]int // of the literals
	l, m, d          int    // states
	lTab, mTab, dTab []fseValue
	lits             []fseLiteral
	litBits, lmdBits fseBits
}

// parseLZFSE reads a block's header with its packed tables of frequencies.
func parseLZFSE(src []byte) (b lzfseBlock, rest []byte, err error) {
	le := binary.LittleEndian
	v0, v1, v2 := le.Uint64(src[8:]), le.Uint64(src[16:]), le.Uint64(src[24:])
	field := func(v uint64, at, n int) int { return int(v >> at & (1<<n - 1)) }
	b.size = int(le.Uint32(src[4:]))
	b.literals, b.matches = field(v0, 0, 20), field(v0, 40, 20)
	for i := range b.states {
		b.states[i] = field(v1, 10*i, 10)
	}
	b.l, b.m, b.d = field(v2, 32, 10), field(v2, 42, 10), field(v2, 52, 10)
	head, litSize, lmdSize := field(v2, 0, 32), field(v0, 20, 20), field(v1, 40, 20)
	if head < 32 || head+litSize+lmdSize > len(src) || b.literals%4 != 0 || b.literals > 40_000 || b.matches > 10_000 || b.l > 63 || b.m > 63 || b.d > 255 {
		return b, nil, errLZFSE
	}
	freq, err := lzfseFrequencies(src[32:head])
	if err != nil {
		return b, nil, err
	}
	b.lTab = fseValues(freq[:20], 64, lBits[:])
	b.mTab = fseValues(freq[20:40], 64, mBits[:])
	b.dTab = fseValues(freq[40:104], 256, dBits[:])
	b.lits = fseLiterals(freq[104:], 1024)
	if b.lTab == nil || b.mTab == nil || b.dTab == nil || b.lits == nil {
		return b, nil, errLZFSE
	}
	b.litBits = fseBits{src[head : head+litSize], litSize*8 + field(v0, 60, 3) - 7}
	b.lmdBits = fseBits{src[head+litSize : head+litSize+lmdSize], lmdSize*8 + field(v1, 60, 3) - 7}
	return b, src[head+litSize+lmdSize:], nil
}

// lzfseFrequencies unpacks the 360 frequencies, in a prefix code of up to 14
// bits.
func lzfseFrequencies(p []byte) (freq [360]int, err error) {
	acc, have := uint64(0), 0
	for i := range freq {
		for have < 14 && len(p) > 0 {
			acc |= uint64(p[0]) << have
			have, p = have+8, p[1:]
		}
		n := 0
		switch x := int(acc); {
		case x&1 == 0: // 0 or 1 of two bits
			freq[i], n = x>>1&1, 2
		case x&3 == 1: // 2 or 3 of three
			freq[i], n = 2+x>>2&1, 3
		case x&7 == 3: // 4 to 7 of five
			freq[i], n = 4+x>>3&3, 5
		case x&15 == 7: // 8 to 23 of eight
			freq[i], n = 8+x>>4&15, 8
		default:
			freq[i], n = 24+x>>4&0x3ff, 14
		}
		if n > have {
			return freq, errLZFSE
		}
		acc, have = acc>>n, have-n
	}
	return freq, nil
}

// Extra bits of the codes for literal lengths, match lengths and distances. A
// code's base follows from those before it.
var (
	lBits = [20]int{16: 2, 3, 5, 8}
	mBits = [20]int{16: 3, 5, 8, 11}
	dBits = func() (d [64]int) {
		for i := range d {
			d[i] = i / 4
		}
		return d
	}()
)

type fseLiteral struct {
	bits   int
	delta  int
	symbol byte
}

type fseValue struct {
	bits  int // of the state and of the value
	extra int // of the value alone
	delta int
	base  int
}

// fseStates calls f for each state of a table with its bits and its delta.
func fseStates(freq []int, states int, f func(symbol, bits, delta int)) bool {
	sum := 0
	for symbol, n := range freq {
		if sum += n; sum > states {
			return false
		}
		if n == 0 {
			continue
		}
		k := bits.Len(uint(states)) - bits.Len(uint(n))
		first := (2*states)>>k - n
		for j := range n {
			if j < first {
				f(symbol, k, (n+j)<<k-states)
			} else {
				f(symbol, k-1, (j-first)<<(k-1))
			}
		}
	}
	return true
}

func fseLiterals(freq []int, states int) []fseLiteral {
	t := make([]fseLiteral, 0, states)
	if !fseStates(freq, states, func(s, k, delta int) { t = append(t, fseLiteral{k, delta, byte(s)}) }) {
		return nil
	}
	return t[:states]
}

func fseValues(freq []int, states int, extra []int) []fseValue {
	base := make([]int, len(extra))
	for i := 1; i < len(extra); i++ {
		base[i] = base[i-1] + 1<<extra[i-1]
	}
	t := make([]fseValue, 0, states)
	if !fseStates(freq, states, func(s, k, delta int) { t = append(t, fseValue{k + extra[s], extra[s], delta, base[s]}) }) {
		return nil
	}
	return t[:states]
}

// fseBits is a stream of bits that is read from its end.
type fseBits struct {
	p  []byte
	at int // bits that are left
}

func (b *fseBits) take(n int) (int, bool) {
	if b.at -= n; b.at < 0 || n > 32 {
		return 0, false
	}
	v := uint64(0)
	for i := min(len(b.p), (b.at+n+7)/8) - 1; i >= b.at/8; i-- {
		v = v<<8 | uint64(b.p[i])
	}
	return int(v >> (b.at % 8) & (1<<n - 1)), true
}

func (b *lzfseBlock) unpack(dst []byte, n int) error {
	lits := make([]byte, b.literals)
	for i := range lits {
		e := b.lits[b.states[i%4]]
		v, ok := b.litBits.take(e.bits)
		if !ok || v+e.delta >= len(b.lits) {
			return errLZFSE
		}
		lits[i], b.states[i%4] = e.symbol, v+e.delta
	}
	back := 0
	for range b.matches {
		l, ok1 := b.lmdBits.value(b.lTab, &b.l)
		m, ok2 := b.lmdBits.value(b.mTab, &b.m)
		d, ok3 := b.lmdBits.value(b.dTab, &b.d)
		if d != 0 {
			back = d
		}
		if !ok1 || !ok2 || !ok3 || l > len(lits) || n+l+m > len(dst) || m > 0 && (back == 0 || back > n+l) {
			return errLZFSE
		}
		n += copy(dst[n:], lits[:l])
		lits = lits[l:]
		for range m {
			dst[n] = dst[n-back]
			n++
		}
	}
	// Literals behind the last match.
	if n += copy(dst[n:], lits); n < len(dst) {
		return errLZFSE
	}
	return nil
}

func (b *fseBits) value(t []fseValue, state *int) (int, bool) {
	e := t[*state]
	v, ok := b.take(e.bits)
	*state = e.delta + v>>e.extra
	if !ok || *state >= len(t) {
		*state = 0
		return 0, false
	}
	return e.base + v&(1<<e.extra-1), true
}
