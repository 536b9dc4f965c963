package policy

import "github.com/doorward/doorward"

// interval is what is known of a percentage.
type interval struct{ lo, hi float64 }

var (
	none     = interval{0, 0}
	whole    = interval{100, 100}
	anything = interval{0, 100}
)

// reaches says whether the percentage is at or above a threshold. Without one
// anything above nothing is enough.
func (i interval) reaches(threshold float64) truth {
	if threshold == 0 {
		return truthOf(i.lo > 0, i.hi > 0)
	}
	return truthOf(i.lo >= threshold, i.hi >= threshold)
}

// truth is Kleene's: no, not known, yes.
type truth int

const (
	no truth = iota
	unknown
	yes
)

// truthOf makes one of what must and what may be.
func truthOf(must, may bool) truth {
	switch {
	case must:
		return yes
	case may:
		return unknown
	}
	return no
}

func (t truth) and(u truth) truth { return min(t, u) }

func (t truth) outcome() doorward.Outcome {
	return [...]doorward.Outcome{doorward.NotMet, doorward.NotKnown, doorward.Applies}[t]
}
