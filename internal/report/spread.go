package report

import (
	"slices"

	"github.com/doorward/doorward"
)

// spread places the children of a part beside each other within its width, to
// scale, but none smaller than can be seen. Parts of something compressed have
// no place in it: they share its width by their sizes.
func (n *node) spread() {
	shown := n.shown()
	if len(shown) == 0 {
		return
	}
	slots := slots(n.part, shown)
	widths := share(slots, n.width)
	left := n.left
	for i, s := range slots {
		if s.node != nil {
			s.node.left, s.node.width = left, widths[i]
		}
		left += widths[i]
	}
	for _, c := range shown {
		c.spread()
	}
}

// shown are the children that are drawn: if there are too many, those with
// doors or unread first, then the largest.
func (n *node) shown() []*node {
	list := slices.Clone(n.children)
	if len(list) > maxBoxes {
		slices.SortStableFunc(list, func(a, b *node) int {
			if x, y := a.telling(), b.telling(); x != y {
				return y - x
			}
			return int(min(1, max(-1, b.part.Size-a.part.Size)))
		})
		list = list[:maxBoxes]
	}
	slices.SortStableFunc(list, func(a, b *node) int { return int(min(1, max(-1, a.part.Offset-b.part.Offset))) })
	return list
}

func (n *node) telling() int {
	if len(n.count) > 0 || n.part.Unread {
		return 1
	}
	return 0
}

// slot is a child's share of a width, or a gap.
type slot struct {
	node *node
	size float64
}

func slots(parent *doorward.Part, children []*node) []slot {
	var list []slot
	end := int64(0)
	for _, c := range children {
		if c.part.Offset < end || c.part.Size < 0 || c.part.Offset+c.part.Size > parent.Size {
			return loose(children)
		}
		if gap := c.part.Offset - end; gap > 0 {
			list = append(list, slot{nil, float64(gap)})
		}
		list = append(list, slot{c, float64(c.part.Size)})
		end = c.part.Offset + c.part.Size
	}
	if end < parent.Size {
		list = append(list, slot{nil, float64(parent.Size - end)})
	}
	return list
}

func loose(children []*node) []slot {
	var list []slot
	for _, c := range children {
		list = append(list, slot{c, float64(max(c.part.Size, 1))})
	}
	return list
}

// share divides a width by sizes, with a smallest width for parts; what these
// take too much is taken from the larger ones.
func share(slots []slot, width float64) []float64 {
	least := min(minPercent, width/float64(len(slots)))
	out := make([]float64, len(slots))
	fixed := make([]bool, len(slots))
	for {
		rest, total := width, 0.0
		for i, s := range slots {
			if fixed[i] {
				rest -= out[i]
			} else {
				total += s.size
			}
		}
		again := false
		for i, s := range slots {
			if fixed[i] {
				continue
			}
			out[i] = 0
			if total > 0 {
				out[i] = rest * s.size / total
			}
			if s.node != nil && out[i] < least {
				out[i], fixed[i], again = least, true, true
			}
		}
		if !again {
			return out
		}
	}
}
