package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// doors counts the doors that a rule means. A door that an exception covers does
// not count, and neither does it go away: the decision is conditional then.
func (r *ruling) doors(rule *Rule) (found, bool) {
	c := rule.Doors
	if c == nil {
		return found{}, false
	}
	var sure, maybe []*doorward.Door
	note := ""
	for _, rep := range r.Reports {
		for i := range rep.Doors {
			d := &rep.Doors[i]
			if !c.means(d) {
				continue
			}
			t := yes
			if c.when != nil {
				values := r.values()
				values["door"] = r.doorThing(d)
				var why string
				if t, why = c.when.ask(values); t == unknown {
					note = why
				}
			}
			switch {
			case t == no || rule.Then == Refuse && r.exceptions.covers(d.ID):
			case t == yes:
				sure = append(sure, d)
			default:
				maybe = append(maybe, d)
			}
		}
	}
	for _, list := range [][]*doorward.Door{sure, maybe} {
		slices.SortFunc(list, func(a, b *doorward.Door) int {
			return cmp.Or(b.Weight.Rank()-a.Weight.Rank(), strings.Compare(a.ID, b.ID))
		})
	}
	blind := r.blind(c)
	f := found{truth: truthOf(len(sure) > c.MoreThan, len(sure)+len(maybe) > c.MoreThan || blind != "")}
	f.text = doorText(sure, maybe, note)
	for _, d := range slices.Concat(sure, maybe) {
		f.facts = append(f.facts, d.ID)
	}
	if blind != "" && f.truth != yes {
		f.text = blind
		f.facts, f.changes = append(f.facts, blind), append(f.changes, "an inspection that looks for them: "+blind)
	}
	heaviest := slices.Concat(sure, maybe)
	for _, d := range heaviest[:max(len(heaviest)-c.MoreThan, 0)] {
		f.changes = append(f.changes, fmt.Sprintf("%s (%s): %s, or an exception for it", d.ID, d.Title, c.wayOut()))
	}
	f.needs = []string{"such a door"}
	return f, true
}

// wayOut is what makes a door none of those that the condition means.
func (c *DoorCondition) wayOut() string {
	if slices.Contains(c.Status, doorward.Declared) {
		return "closed"
	}
	return "closed, or declared by the maker"
}

func (c *DoorCondition) means(d *doorward.Door) bool {
	status := c.Status
	if len(status) == 0 {
		status = []doorward.Status{doorward.Undeclared, doorward.Contradicts}
	}
	if !slices.Contains(status, d.Status) || c.Weight != "" && d.Weight.Rank() < c.Weight.Rank() {
		return false
	}
	for _, s := range c.Stages {
		if !slices.Contains(d.Stages, s) {
			return false
		}
	}
	return among(c.Kinds, d.Kind) && among(c.Reach, d.Reach) && among(c.Certainty, d.Certainty)
}

// among is true of an empty list: it asks for nothing.
func among[T comparable](list []T, x T) bool { return len(list) == 0 || slices.Contains(list, x) }

// blind says why an inspection could not see such doors: a detector failed, or
// none looks for a kind that the rule names. "" if it could.
func (r *ruling) blind(c *DoorCondition) string {
	if len(r.Reports) == 0 {
		return "nothing was inspected"
	}
	for _, rep := range r.Reports {
		bad := map[string]string{}
		for _, d := range rep.Tool.Detectors {
			if d.Status != "ran" {
				bad[d.Name] = d.Status
			}
		}
		looked := map[doorward.Kind]bool{}
		for _, cov := range rep.Coverage {
			looked[cov.Kind] = len(cov.Detectors) > 0
			for _, name := range cov.Detectors {
				if s := bad[name]; s != "" && among(c.Kinds, cov.Kind) {
					return fmt.Sprintf("detector %s of %s: %s", name, rep.Subject.Name, s)
				}
			}
		}
		for _, k := range c.Kinds {
			if !looked[k] {
				return fmt.Sprintf("nothing looked for doors of kind %s in %s", k, rep.Subject.Name)
			}
		}
	}
	return ""
}

// maxNamed is how many findings a sentence names before it counts the rest.
const maxNamed = 3

func doorText(sure, maybe []*doorward.Door, note string) string {
	all := slices.Concat(sure, maybe)
	var names []string
	for _, d := range all[:min(len(all), maxNamed)] {
		names = append(names, fmt.Sprintf("%s (%s)", d.Title, d.Weight))
	}
	text := fmt.Sprintf("%d such doors: %s", len(all), strings.Join(names, "; "))
	switch {
	case len(all) == 0:
		return "no such door"
	case len(all) == 1:
		text = names[0]
	case len(all) > maxNamed:
		text += fmt.Sprintf(" and %d more", len(all)-maxNamed)
	}
	if len(maybe) > 0 && note != "" {
		text += "; not known: " + note
	}
	return text
}
