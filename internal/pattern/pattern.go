// Package pattern finds many byte strings in one pass over the bytes, whatever
// their number. Each string is known by three of its bytes, the rarest ones; a
// bit table says of any three bytes whether a string could stand there (as in
// the algorithm of Wu and Manber, "A fast algorithm for multi-pattern searching",
// 1994). Unlike an automaton's states, the look-ups of neighbouring places do
// not wait for each other, so that a byte costs half a nanosecond.
package pattern

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// Shortest is how long a string must be.
const Shortest = 3

// Set is a fixed list of byte strings. It is safe for concurrent use.
type Set struct {
	patterns []string
	longest  int
	filter   [1 << hashBits]uint8   // 1 at the hashes of three bytes by which a string is known
	anchors  []anchor               // by hash
	first    [1<<hashBits + 1]int32 // of the anchors of a hash
}

// anchor is a string, and where in it the three bytes stand by which it is known.
type anchor struct {
	pattern int
	at      int
	hash    uint32
}

// hashBits make a filter that stays in the first-level cache.
const hashBits = 15

// hash maps three bytes (in the low 24 bits) to a place of the filter.
func hash(w uint32) uint32 { return w << 8 * 0x9e3779b1 >> (32 - hashBits) }

// New prepares the search for strings. Empty ones never match; others must have
// Shortest bytes.
func New(patterns []string) *Set {
	s := &Set{patterns: patterns}
	for i, p := range patterns {
		if p == "" {
			continue
		}
		if len(p) < Shortest {
			panic(fmt.Sprintf("pattern %q is shorter than %d bytes", p, Shortest))
		}
		s.longest = max(s.longest, len(p))
		at := rarest(p)
		h := hash(uint32(p[at]) | uint32(p[at+1])<<8 | uint32(p[at+2])<<16)
		s.anchors = append(s.anchors, anchor{i, at, h})
		s.filter[h] = 1
	}
	slices.SortStableFunc(s.anchors, func(a, b anchor) int { return cmp.Compare(a.hash, b.hash) })
	n := 0
	for h := range s.first {
		for n < len(s.anchors) && s.anchors[n].hash < uint32(h) {
			n++
		}
		s.first[h] = int32(n)
	}
	return s
}

// rarest is the place of the three bytes of p that programs and texts have
// least often.
func rarest(p string) int {
	best, least := 0, 1<<30
	for i := 0; i+Shortest <= len(p); i++ {
		if c := common(p[i]) * common(p[i+1]) * common(p[i+2]); c < least {
			best, least = i, c
		}
	}
	return best
}

// common says about how often a byte occurs.
func common(c byte) int {
	switch {
	case c == 0:
		return 100
	case c == 0xff, c == ' ', c == 'e', c == 't', c == 's', c == 'i', c == 'n', c == 'r', c == 'a', c == 'o':
		return 30
	case c >= 'a' && c <= 'z', c < 4, c == '_':
		return 12
	}
	return 5
}

// Len is the length of pattern i in bytes.
func (s *Set) Len(i int) int { return len(s.patterns[i]) }

// Patterns returns the strings of the set.
func (s *Set) Patterns() []string { return s.patterns }

// Scanner searches bytes that come in pieces.
type Scanner struct {
	set  *Set
	tail []byte // of earlier pieces, too short for any string
	base int64  // bytes of earlier pieces
}

// Scan starts a search.
func (s *Set) Scan() *Scanner { return &Scanner{set: s} }

// Feed searches the next piece and calls hit for every match with the pattern's
// number and the offset of its first byte, counted over all pieces. The matches
// of one pattern come in order.
func (sc *Scanner) Feed(b []byte, hit func(pattern int, offset int64)) {
	keep := max(0, sc.set.longest-1)
	if old := len(sc.tail); old > 0 {
		// What starts in earlier pieces and ends in this one.
		seam := append(sc.tail, b[:min(len(b), keep)]...)
		sc.set.search(seam, func(p int, at int) {
			if at < old && at+len(sc.set.patterns[p]) > old {
				hit(p, sc.base-int64(old)+int64(at))
			}
		})
		sc.tail = seam
	}
	sc.set.search(b, func(p int, at int) { hit(p, sc.base+int64(at)) })
	sc.base += int64(len(b))
	if len(b) >= keep || sc.tail == nil {
		sc.tail = append(sc.tail[:0], b[max(0, len(b)-keep):]...)
	}
	if extra := len(sc.tail) - keep; extra > 0 {
		sc.tail = append(sc.tail[:0], sc.tail[extra:]...)
	}
}

// search calls hit for every match within b.
func (s *Set) search(b []byte, hit func(pattern, at int)) {
	i := 0
	for ; i+8 <= len(b); i += 6 {
		// Eight bytes hold six places to look at.
		w := binary.LittleEndian.Uint64(b[i:])
		if w == 0 {
			continue
		}
		if s.filter[hash(uint32(w))]|s.filter[hash(uint32(w>>8))]|s.filter[hash(uint32(w>>16))]|
			s.filter[hash(uint32(w>>24))]|s.filter[hash(uint32(w>>32))]|s.filter[hash(uint32(w>>40))] == 0 {
			continue
		}
		for k := i; k < i+6; k++ {
			s.at(b, k, hit)
		}
	}
	for ; i+Shortest <= len(b); i++ {
		s.at(b, i, hit)
	}
}

// at looks for the strings that are known by the three bytes at a place.
func (s *Set) at(b []byte, i int, hit func(pattern, at int)) {
	h := hash(uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16)
	if s.filter[h] == 0 {
		return
	}
	for _, a := range s.anchors[s.first[h]:s.first[h+1]] {
		start, p := i-a.at, s.patterns[a.pattern]
		if start >= 0 && start+len(p) <= len(b) && string(b[start:start+len(p)]) == p {
			hit(a.pattern, start)
		}
	}
}
