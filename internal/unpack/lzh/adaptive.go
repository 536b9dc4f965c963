package lzh

// The adaptive code of lh1: a tree whose nodes are sorted by how often they
// occurred; leaves are numbered from nodes on.
const (
	adaptiveSymbols = 256 + 60 - 2
	nodes           = 2*adaptiveSymbols - 1
	root            = nodes - 1
	maxFrequency    = 0x8000
)

type tree struct {
	freq   [nodes + 1]int
	child  [nodes]int // the first of two neighbours, or nodes + symbol
	parent [nodes + adaptiveSymbols]int
}

func newTree() *tree {
	t := &tree{}
	for i := range adaptiveSymbols {
		t.freq[i], t.child[i], t.parent[i+nodes] = 1, i+nodes, i
	}
	for i, j := 0, adaptiveSymbols; j <= root; i, j = i+2, j+1 {
		t.freq[j], t.child[j] = t.freq[i]+t.freq[i+1], i
		t.parent[i], t.parent[i+1] = j, j
	}
	t.freq[nodes] = 0xffff
	return t
}

// halve halves all frequencies and builds the tree anew.
func (t *tree) halve() {
	n := 0
	for i := range nodes {
		if t.child[i] >= nodes {
			t.freq[n], t.child[n] = (t.freq[i]+1)/2, t.child[i]
			n++
		}
	}
	for i := 0; n < nodes; i, n = i+2, n+1 {
		f := t.freq[i] + t.freq[i+1]
		at := n
		for at > 0 && f < t.freq[at-1] {
			at--
		}
		copy(t.freq[at+1:n+1], t.freq[at:n])
		copy(t.child[at+1:n+1], t.child[at:n])
		t.freq[at], t.child[at] = f, i
	}
	for i, c := range t.child {
		t.parent[c] = i
		if c < nodes {
			t.parent[c+1] = i
		}
	}
}

// count counts a symbol, and keeps the order of the nodes.
func (t *tree) count(symbol int) {
	if t.freq[root] == maxFrequency {
		t.halve()
	}
	for n := t.parent[symbol+nodes]; ; n = t.parent[n] {
		t.freq[n]++
		f, to := t.freq[n], n+1
		if f > t.freq[to] {
			for f > t.freq[to+1] {
				to++
			}
			t.freq[n], t.freq[to] = t.freq[to], f
			t.child[n], t.child[to] = t.child[to], t.child[n]
			for _, p := range [2]int{n, to} {
				c := t.child[p]
				t.parent[c] = p
				if c < nodes {
					t.parent[c+1] = p
				}
			}
			n = to
		}
		if n == root {
			return
		}
	}
}

// adaptive decodes lh1: the upper six bits of distances have a fixed code.
func (d *decoder) adaptive() error {
	var lens [64]byte
	for i := range lens {
		n := byte(3)
		for _, from := range [...]int{1, 4, 12, 24, 48} {
			if i >= from {
				n++
			}
		}
		lens[i] = n
	}
	high := code{only: -1}
	high.Set(lens[:], false)
	t := newTree()
	for !d.full() {
		c := t.child[root]
		for c < nodes {
			c = t.child[c+d.take(1)]
		}
		if d.over() {
			return ErrInput
		}
		c -= nodes
		t.count(c)
		if c < 256 {
			d.out = append(d.out, byte(c))
			continue
		}
		s := d.symbol(&high)
		if s < 0 {
			return ErrCorrupt
		}
		distance := s<<6 | d.take(6)
		if d.over() {
			return ErrInput
		}
		d.match(c-256+threshold, distance+1)
	}
	return nil
}
