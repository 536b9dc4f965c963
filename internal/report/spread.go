package report

import (
	"math"
	"slices"

	"github.com/doorward/doorward"
)

// spread places the children of a part beside each other within its width, in
// order. Widths grow with the square root of the size, since what matters in a
// flash image is often small, and none is smaller than can be seen; what holds
// doors is wide enough to show them. Parts of something compressed have no
// place in it: they share its width.
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

// gapShare makes gaps narrower than parts of their size.
const gapShare = 0.3

func slots(parent *doorward.Part, children []*node) []slot {
	var list []slot
	end := int64(0)
	for _, c := range children {
		if c.part.Offset < end || c.part.Size < 0 || c.part.Offset+c.part.Size > parent.Size {
			return loose(children)
		}
		if gap := c.part.Offset - end; gap > 0 {
			list = append(list, slot{nil, gapShare * math.Sqrt(float64(gap))})
		}
		list = append(list, slot{c, math.Sqrt(float64(c.part.Size))})
		end = c.part.Offset + c.part.Size
	}
	if end < parent.Size {
		list = append(list, slot{nil, gapShare * math.Sqrt(float64(parent.Size-end))})
	}
	return list
}

func loose(children []*node) []slot {
	var list []slot
	for _, c := range children {
		list = append(list, slot{c, math.Sqrt(float64(max(c.part.Size, 1)))})
	}
	return list
}

// share divides a width by sizes, with a smallest width for parts; what these
// take too much is taken from the larger ones.
func share(slots []slot, width float64) []float64 {
	least := leasts(slots, width)
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
			if out[i] < least[i] {
				out[i], fixed[i], again = least[i], true, true
			}
		}
		if !again {
			return out
		}
	}
}

// leasts gives the smallest widths: enough to be seen, and for parts with doors
// enough to show them, as far as there is room.
func leasts(slots []slot, width float64) []float64 {
	out := make([]float64, len(slots))
	total := 0.0
	for i, s := range slots {
		switch {
		case s.node == nil:
			continue
		case len(s.node.count) > 0:
			out[i] = min(doorPercent+float64(len(s.node.doors))/2, maxPercent)
		default:
			out[i] = minPercent
		}
		total += out[i]
	}
	if room := 0.85 * width; total > room {
		for i := range out {
			out[i] *= room / total
		}
	}
	return out
}
