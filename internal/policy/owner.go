package policy

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/doorward/doorward"
)

// listed says whether an entity is on the condition's lists, or entities that
// are own at least the condition's percentage of it, directly or through others
// that count as listed for the same reason.
func (a asks) listed(key string) truth {
	if a.find(a.x.keys(key)) {
		return yes
	}
	if a.Owned == 0 {
		return no
	}
	if t, ok := a.owned[key]; ok && a.seen == nil {
		return t
	}
	t := a.share(a.x.entityQuestion(key, doorward.UltimateOwner), func(f fact) (truth, bool) {
		switch f.key {
		case "":
			return no, false
		case key: // it owns itself: nobody is above it
			return no, true
		}
		return a.listed(f.key), true
	}).reaches(a.Owned)
	a.owned[key] = t
	return t
}

// checkOwners refuses entities that own themselves through others: no share of
// such a ring means anything.
func (x *index) checkOwners() error {
	above := map[string][]string{}
	for q, facts := range x.facts {
		if q.axis != doorward.UltimateOwner {
			continue
		}
		from := strings.TrimPrefix(q.subject, "entity:")
		for _, f := range facts {
			if f.key != "" && f.key != from {
				above[from] = append(above[from], f.key)
			}
		}
	}
	starts := make([]string, 0, len(above))
	for e := range above {
		starts = append(starts, e)
		sort.Strings(above[e])
	}
	sort.Strings(starts)
	done := map[string]bool{}
	for _, s := range starts {
		if ring := findRing(above, s, done); ring != nil {
			return fmt.Errorf("the owners go round in a ring, %s: correct the facts on ultimate-owner", strings.Join(ring, " -> "))
		}
	}
	return nil
}

// findRing walks up from an entity, without recursion: chains may be long.
func findRing(above map[string][]string, start string, done map[string]bool) []string {
	type step struct {
		entity string
		next   int
	}
	var way []step
	on := map[string]bool{}
	push := func(e string) { way = append(way, step{e, 0}); on[e] = true }
	push(start)
	for len(way) > 0 {
		last := &way[len(way)-1]
		if last.next == len(above[last.entity]) {
			done[last.entity], on[last.entity] = true, false
			way = way[:len(way)-1]
			continue
		}
		up := above[last.entity][last.next]
		last.next++
		if on[up] {
			first := slices.IndexFunc(way, func(s step) bool { return s.entity == up })
			var ring []string
			for _, s := range way[first:] {
				ring = append(ring, s.entity)
			}
			return append(ring, up)
		}
		if !done[up] {
			push(up)
		}
	}
	return nil
}
