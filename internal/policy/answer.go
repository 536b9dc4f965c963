package policy

import (
	"math"
	"slices"

	"github.com/doorward/doorward"
)

// trivial is the share of one of several joint makers whose shares nobody
// states: more than nothing.
const trivial = 1e-6

// seen collects what an answer rests on.
type seen struct {
	facts   map[string]bool
	missing map[question]bool // what no fact of sufficient class answers
	open    map[question]bool // what facts answer, but not beyond doubt
}

// note puts a key into a map that need not be there yet.
func note[K comparable](m *map[K]bool, k K) {
	if *m == nil {
		*m = map[K]bool{}
	}
	(*m)[k] = true
}

func (s *seen) fact(f fact) {
	if s != nil {
		note(&s.facts, f.ID)
	}
}

func (s *seen) doubts(q question) {
	if s != nil {
		note(&s.open, q)
	}
}

func (s *seen) lacks(q question) {
	if s != nil {
		note(&s.missing, q)
	}
}

// asks is an origin condition as it is asked of one subject.
type asks struct {
	*OriginCondition
	x     *index
	seen  *seen
	owned map[string]truth // entities whose owners were looked at
}

// part says whether a part comes from where the condition says.
func (a asks) part(p *part) truth {
	answer := no
	for _, axis := range a.Axes {
		if !axis.OfEntity() {
			answer = max(answer, a.share(question{p.ref, axis}, a.value).reaches(a.Share))
			continue
		}
		for _, activity := range a.Whose {
			share := a.share(question{p.ref, activity}, func(f fact) (truth, bool) {
				if f.key == "" {
					return no, false
				}
				return a.ofEntity(f.key, axis), true
			})
			answer = max(answer, share.reaches(0))
		}
	}
	return answer
}

// ofEntity says whether the seat or the owner of an entity is meant.
func (a asks) ofEntity(key string, axis doorward.Axis) truth {
	return a.share(a.x.entityQuestion(key, axis), func(f fact) (truth, bool) {
		if axis == doorward.UltimateOwner && f.Country == "" && f.key != "" && !a.Known && a.lists[0].Of == ofCountries {
			return a.ofEntity(f.key, doorward.LegalSeat), true
		}
		return a.value(f)
	}).reaches(a.Share)
}

// share is which percentage of a subject the facts of one question put where
// the condition asks. says gives a fact's answer, and whether it has one.
//
// Sources that contradict each other leave everything between them possible;
// so does a fact that is weaker than the condition asks for, in the direction
// that it points to.
func (a asks) share(q question, says func(fact) (truth, bool)) interval {
	var buf [4]tally
	sources, weak := buf[:0], no
	for _, f := range a.x.facts[q] {
		t, ok := says(f)
		if !ok {
			continue
		}
		a.seen.fact(f)
		if f.Class.Rank() < a.Evidence.Rank() {
			weak = max(weak, t)
			continue
		}
		i := slices.IndexFunc(sources, func(s tally) bool { return s.source == f.AssertedBy })
		if i < 0 {
			i, sources = len(sources), append(sources, tally{source: f.AssertedBy})
		}
		sources[i].add(f, t)
	}
	if len(sources) == 0 {
		a.seen.lacks(q)
		return anything
	}
	sum := sources[0].interval()
	for _, s := range sources[1:] {
		i := s.interval()
		sum = interval{min(sum.lo, i.lo), max(sum.hi, i.hi)}
		if a.Known && s.contradicts(sources[0]) {
			sum.hi = 100
		}
	}
	if weak != no {
		sum.hi = 100
	}
	if sum.lo != sum.hi {
		a.seen.doubts(q)
	}
	return sum
}

// tally adds up what one source says of one question.
type tally struct {
	source     string
	countries  []string
	in, out    float64 // stated shares, at least
	yes, no, x int     // facts without a share
	shares     bool
}

func (t *tally) add(f fact, answer truth) {
	if f.Country != "" && !slices.Contains(t.countries, f.Country) {
		t.countries = append(t.countries, f.Country)
	}
	switch {
	case f.Share != nil:
		t.shares = true
		switch answer {
		case yes:
			t.in += f.Share.Min
		case no:
			t.out += f.Share.Min
		}
	case answer == yes:
		t.yes++
	case answer == no:
		t.no++
	default:
		t.x++
	}
}

// contradicts says that two sources name different countries.
func (t *tally) contradicts(u tally) bool {
	if len(t.countries) == 0 || len(u.countries) == 0 {
		return false
	}
	return len(t.countries) != len(u.countries) || slices.ContainsFunc(t.countries, func(c string) bool { return !slices.Contains(u.countries, c) })
}

// exact rounds a sum, so that the order of its parts does not show.
func exact(sum float64) float64 { return math.Round(sum*1e6) / 1e6 }

func (t *tally) interval() interval {
	switch {
	case t.shares:
		i := interval{min(exact(t.in), 100), max(exact(100-t.out), 0)}
		if t.yes > 0 { // besides, one whose share nobody states
			i.lo, i.hi = max(i.lo, trivial), 100
		}
		return interval{min(i.lo, i.hi), i.hi}
	case t.no == 0 && t.x == 0:
		return whole
	case t.yes == 0 && t.x == 0:
		return none
	case t.yes > 0: // joint makers, one of them meant
		return interval{trivial, 100}
	}
	return anything
}

// value says whether what a fact names is meant.
func (a asks) value(f fact) (truth, bool) {
	switch {
	case a.Known:
		if f.Country == doorward.UnknownCountry && f.key == "" {
			return unknown, true
		}
		return no, f.Country != "" || f.key != ""
	case a.lists[0].Of == ofEntities:
		return a.turn(a.listed(f.key)), f.key != ""
	case f.Country == doorward.UnknownCountry:
		return unknown, true
	}
	return a.turn(truthOf(a.find([]string{f.Country}), false)), f.Country != ""
}

// turn is the answer where the condition asks for what is on no list.
func (a asks) turn(t truth) truth {
	if len(a.NotIn) > 0 {
		return yes - t
	}
	return t
}

func (a asks) find(keys []string) bool {
	return slices.ContainsFunc(a.lists, func(l *List) bool { return l.find(keys, a.x.At) != nil })
}
