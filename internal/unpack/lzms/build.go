package lzms

import (
	"cmp"
	"slices"
)

const maxCodeBits = 15

// build makes the code of the frequencies: Huffman's, where leaves come before
// inner nodes of the same frequency, and codes over 15 bits are made shorter as
// the packer does.
func (c *code) build() {
	c.left = c.every
	n := len(c.freq)
	lens := make([]byte, n)
	switch {
	case n == 0:
		return
	case n == 1:
		lens[0] = 1
		c.Set(lens, false)
		return
	}
	sorted := make([]int, n)
	for i := range sorted {
		sorted[i] = i
	}
	slices.SortStableFunc(sorted, func(a, b int) int { return cmp.Compare(c.freq[a], c.freq[b]) })
	// Inner nodes in the order in which they are made; parent by number.
	sums, parents := make([]int, 0, n-1), make([]int, n-1)
	leaf, node := 0, 0
	next := func() int {
		if leaf < n && (node == len(sums) || c.freq[sorted[leaf]] <= sums[node]) {
			leaf++
			return c.freq[sorted[leaf-1]]
		}
		parents[node] = len(sums)
		node++
		return sums[node-1]
	}
	for len(sums) < n-1 {
		a := next()
		sums = append(sums, a+next())
	}
	var count [maxCodeBits + 2]int
	count[1] = 2
	depth := make([]int, n-1)
	for i := n - 3; i >= 0; i-- {
		depth[i] = depth[parents[i]] + 1
		l := depth[i]
		if l >= maxCodeBits {
			for l = maxCodeBits - 1; count[l] == 0; l-- {
			}
		}
		count[l]--
		count[l+1] += 2
	}
	at := 0
	for l := maxCodeBits; l >= 1; l-- {
		for range count[l] {
			lens[sorted[at]] = byte(l)
			at++
		}
	}
	c.Set(lens, false)
}
