package policy

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/doorward/doorward"
)

// asked is a part and what an origin condition came to for it. meant is whether
// the condition's expression means the part.
type asked struct {
	*part
	answer, meant truth
	why           string // the expression's, if that is not known
}

// origin asks all parts that a rule means.
func (r *ruling) origin(rule *Rule) (found, bool) {
	c := rule.Origin
	if c == nil {
		return found{}, false
	}
	return found{truth: c.count(r.askParts(c, nil)), origin: true}, true
}

// askParts asks each part that a condition means. saw, if there is one, gets what
// each answer rests on.
func (r *ruling) askParts(c *OriginCondition, saw func(asked, *seen)) []asked {
	selected, owned := r.selected(c.Parts), map[string]truth{}
	parts := make([]asked, 0, len(selected))
	for _, p := range selected {
		a := asked{part: p, meant: yes}
		if c.when != nil {
			values := r.values()
			values["part"] = r.partThing(p)
			if a.meant, a.why = c.when.ask(values); a.meant == no {
				continue
			}
		}
		ask := asks{OriginCondition: c, x: r.index, owned: owned}
		if saw != nil {
			ask.seen = new(seen)
		}
		a.answer = ask.part(p)
		if saw != nil {
			saw(a, ask.seen)
		}
		parts = append(parts, a)
	}
	return parts
}

// count makes the answer for the product of those for its parts.
func (c *OriginCondition) count(parts []asked) truth {
	t := no
	var sure, possible, out, open int
	for _, p := range parts {
		both := p.answer.and(p.meant)
		t = max(t, both)
		switch {
		case both == yes:
			sure++
		case both == unknown:
			possible++
		case p.meant == yes:
			out++
		}
		if p.meant == unknown && p.answer != yes || p.meant == yes && p.answer == unknown {
			open++ // counts as one that does not come from there, at the least
		}
	}
	if c.OfParts == 0 {
		return t
	}
	share := interval{100 * ratio(sure, sure+out+open), 100 * ratio(sure+possible, sure+possible+out)}
	return share.reaches(c.OfParts)
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// explainOrigin says of which parts an origin condition's answer comes, on which
// facts it rests, and which facts would change it. It asks again, so that the
// many rules that decide nothing need not keep this.
func (r *ruling) explainOrigin(rule *Rule) found {
	c := rule.Origin
	f, all := found{}, new(seen)
	var hits, open, fine []string
	parts := r.askParts(c, func(a asked, saw *seen) {
		switch a.answer.and(a.meant) {
		case yes:
			hits = append(hits, r.name(a.part))
		case unknown:
			open = append(open, r.name(a.part))
			if a.why != "" {
				f.facts = append(f.facts, "not known: "+a.why)
			}
		default:
			if c.Known || len(fine) < maxFine {
				fine = append(fine, slices.Sorted(maps.Keys(saw.facts))...)
			}
			return
		}
		f.changes = append(f.changes, r.changeOf(c, a, saw))
		all.join(saw)
	})
	f.truth = c.count(parts)
	if f.truth == no {
		f.facts = fine
	}
	f.facts = append(f.facts, all.list()...)
	f.needs = []string{fmt.Sprintf("a fact by which rule %s applies", rule.ID)}
	f.text = c.text(f.truth, hits, open, len(parts))
	f.changes = f.changes[:c.enough(parts, len(f.changes))]
	f.facts = append(f.facts, r.reviews(c, all)...)
	return f
}

// maxFine is how many facts an answer names that changes nothing.
const maxFine = 20

// enough is how many of the parts have to change for the condition not to hold.
func (c *OriginCondition) enough(parts []asked, all int) int {
	if c.OfParts == 0 {
		return all
	}
	return sort.Search(all, func(n int) bool {
		left := slices.Clone(parts)
		for i := range left {
			if n > 0 && left[i].answer.and(left[i].meant) != no {
				left[i].answer = no
				n--
			}
		}
		return c.count(left) == no
	})
}

// changeOf says which fact on a part would change the answer.
func (r *ruling) changeOf(c *OriginCondition, a asked, saw *seen) string {
	class := string(doorward.Inferred)
	if c.Evidence != "" {
		class = string(c.Evidence)
	}
	what := "that is not on list " + strings.Join(c.In, " or ")
	switch {
	case len(c.NotIn) > 0:
		what = "that is on list " + strings.Join(c.NotIn, " or ")
	case c.Known:
		what = "that answers it"
	}
	var asks []string
	for q := range saw.missing {
		asks = append(asks, r.question(q))
	}
	if len(asks) == 0 {
		for q := range saw.open {
			asks = append(asks, r.question(q)+" (sources disagree, or say too little)")
		}
	}
	if len(asks) == 0 {
		for _, axis := range c.Axes {
			asks = append(asks, fmt.Sprintf("%s of %s", axis, r.name(a.part)))
		}
		return strings.Join(asks, ", ") + ": another origin, " + what + " (" + class + " or stronger), or an exception"
	}
	sort.Strings(asks)
	return strings.Join(asks, " and ") + ": a fact (" + class + " or stronger) " + what
}

func (r *ruling) question(q question) string {
	if p := r.byRef[q.subject]; p != nil {
		return string(q.axis) + " of " + r.name(p)
	}
	return string(q.axis) + " of " + strings.TrimPrefix(q.subject, "entity:")
}

// name is a part as a person calls it.
func (r *ruling) name(p *part) string {
	if p.component == nil {
		return "the product"
	}
	return strings.TrimSpace(p.component.Name + " " + p.component.Version)
}

func (c *OriginCondition) text(t truth, hits, open []string, all int) string {
	axes := strings.Join(words(c.Axes), " or ")
	if len(c.Whose) > 0 {
		axes += " (" + strings.Join(words(c.Whose), ", ") + ")"
	}
	what := "on list " + strings.Join(c.In, " or ")
	if len(c.NotIn) > 0 {
		what = "not on list " + strings.Join(c.NotIn, " or ")
	}
	switch {
	case c.Known && t == unknown:
		return fmt.Sprintf("%s is not known of %d of %d parts: %s", axes, len(open), all, some(open))
	case c.Known:
		return fmt.Sprintf("%s is known of all %d parts", axes, all)
	case len(hits) > 0 && t != no:
		return fmt.Sprintf("%s is %s for %d of %d parts: %s", axes, what, len(hits), all, some(hits))
	case t == unknown:
		return fmt.Sprintf("whether %s is %s can't be told for %d of %d parts: %s", axes, what, len(open), all, some(open))
	}
	return fmt.Sprintf("%s is %s for none of %d parts", axes, what, all)
}

// some names the first of a list and counts the rest.
func some(names []string) string {
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
}

func (s *seen) join(t *seen) {
	for id := range t.facts {
		note(&s.facts, id)
	}
	for q := range t.missing {
		note(&s.missing, q)
	}
	for q := range t.open {
		note(&s.open, q)
	}
}

// list names what an answer rests on: ids of facts, then what no fact answers.
func (s *seen) list() []string {
	var out, lacking []string
	for id := range s.facts {
		out = append(out, id)
	}
	for q := range s.missing {
		lacking = append(lacking, fmt.Sprintf("no fact on %s of %s", q.axis, q.subject))
	}
	sort.Strings(out)
	sort.Strings(lacking)
	return append(out, lacking...)
}

// reviews names entities that are nearly on a list. They decide nothing.
func (r *ruling) reviews(c *OriginCondition, s *seen) []string {
	if c.Known || len(c.lists) == 0 || c.lists[0].Of != ofEntities {
		return nil
	}
	var out []string
	for _, facts := range r.facts {
		for _, f := range facts {
			for _, near := range r.review[f.key] {
				if s.facts[f.ID] && (asks{OriginCondition: c, x: r.index}).find([]string{doorward.EntityKey(near)}) {
					out = append(out, fmt.Sprintf("review: is %s (%s) the listed %s?", f.Entity, f.ID, near))
				}
			}
		}
	}
	sort.Strings(out)
	return slices.Compact(out)
}
