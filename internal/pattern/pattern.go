// Package pattern finds many byte strings in one pass over the bytes, whatever
// their number: the Aho-Corasick automaton (Aho and Corasick, CACM 1975), laid
// out as a dense table over the byte classes that the strings use.
package pattern

// Set is an automaton for a fixed list of byte strings. It is safe for
// concurrent use.
type Set struct {
	patterns []string
	class    [256]uint8 // 0 is "in no pattern"
	classes  int
	next     []int32   // state*classes + class of the byte -> state
	out      [][]int32 // patterns that end in a state
	starts   [256]bool // bytes that leave the first state
}

// New makes the automaton. Empty patterns never match.
func New(patterns []string) *Set {
	s := &Set{patterns: patterns}
	s.setClasses()
	s.build()
	for c := range 256 {
		s.starts[c] = s.next[s.class[c]] != 0
	}
	return s
}

// setClasses numbers the bytes that occur in patterns; 255 of them fit beside
// class 0, so that all 256 share the last number at worst, which the dense
// table would get wrong: then classes are the bytes themselves.
func (s *Set) setClasses() {
	var used [256]bool
	n := 0
	for _, p := range s.patterns {
		for i := range len(p) {
			if !used[p[i]] {
				used[p[i]] = true
				n++
			}
		}
	}
	if n >= 255 {
		s.classes = 256
		for c := range 256 {
			s.class[c] = uint8(c)
		}
		return
	}
	s.classes = 1
	for c, u := range used {
		if u {
			s.class[c] = uint8(s.classes)
			s.classes++
		}
	}
}

func (s *Set) addState() int32 {
	s.next = append(s.next, make([]int32, s.classes)...)
	s.out = append(s.out, nil)
	return int32(len(s.out) - 1)
}

// build makes the trie, then turns it into a full automaton breadth first.
func (s *Set) build() {
	s.addState()
	for i, p := range s.patterns {
		if p == "" {
			continue
		}
		state := int32(0)
		for j := range len(p) {
			at := int(state)*s.classes + int(s.class[p[j]])
			if s.next[at] == 0 {
				n := s.addState()
				s.next[at] = n
			}
			state = s.next[at]
		}
		s.out[state] = append(s.out[state], int32(i))
	}
	s.link()
}

func (s *Set) link() {
	fail := make([]int32, len(s.out))
	var queue []int32
	for c := range s.classes {
		if n := s.next[c]; n != 0 {
			queue = append(queue, n)
		}
	}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		f := fail[state]
		s.out[state] = append(s.out[state], s.out[f]...)
		for c := range s.classes {
			at := int(state)*s.classes + c
			if n := s.next[at]; n != 0 {
				fail[n] = s.next[int(f)*s.classes+c]
				queue = append(queue, n)
			} else {
				s.next[at] = s.next[int(f)*s.classes+c]
			}
		}
	}
}

// Len is the length of pattern i in bytes.
func (s *Set) Len(i int) int { return len(s.patterns[i]) }

// Patterns returns the strings of the set.
func (s *Set) Patterns() []string { return s.patterns }

// Scanner searches bytes that come in pieces.
type Scanner struct {
	set   *Set
	state int32
	base  int64 // bytes of earlier pieces
}

// Scan starts a search.
func (s *Set) Scan() *Scanner { return &Scanner{set: s} }

// Feed searches the next piece and calls hit for every match with the pattern's
// number and the offset of its first byte, counted over all pieces, in order of
// the matches' ends.
func (sc *Scanner) Feed(b []byte, hit func(pattern int, offset int64)) {
	s := sc.set
	state := sc.state
	for i := 0; i < len(b); i++ {
		if state == 0 {
			for i < len(b) && !s.starts[b[i]] {
				i++
			}
			if i == len(b) {
				break
			}
		}
		state = s.next[int(state)*s.classes+int(s.class[b[i]])]
		if out := s.out[state]; out != nil {
			for _, p := range out {
				hit(int(p), sc.base+int64(i)+1-int64(len(s.patterns[p])))
			}
		}
	}
	sc.state = state
	sc.base += int64(len(b))
}
