package policy

import (
	"reflect"
	"slices"
	"strings"
)

// Names lists what a decision on a case can look up in lists: the keys and
// identifiers of all entities that its facts name, and their countries. A change
// of entries with other names can't change the decision.
func Names(p *Policy, c Case) ([]string, error) {
	x, err := newIndex(p, c)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, facts := range x.facts {
		for _, f := range facts {
			if f.Country != "" {
				names[f.Country] = true
			}
			if f.key == "" {
				continue
			}
			for _, k := range x.keys(f.key) {
				names[k] = true
			}
		}
	}
	out := make([]string, 0, len(names))
	for n := range names {
		out = append(out, n)
	}
	slices.Sort(out)
	return out, nil
}

// Watch knows which of many stored decisions hang on which names.
type Watch struct{ on map[string][]int32 }

// Add notes that a decision, by its number, hangs on names.
func (w *Watch) Add(decision int32, names []string) {
	if w.on == nil {
		w.on = map[string][]int32{}
	}
	for _, n := range names {
		w.on[n] = append(w.on[n], decision)
	}
}

// Affected lists the decisions that hang on any of the names, in order.
func (w *Watch) Affected(names []string) []int32 {
	var out []int32
	for _, n := range names {
		out = append(out, w.on[n]...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Changed lists the names whose entries differ between two versions of a policy.
// all says that something else differs too, so that every decision may.
func Changed(before, after *Policy) (names []string, all bool) {
	if !reflect.DeepEqual(withoutEntries(before), withoutEntries(after)) {
		return nil, true
	}
	for name, l := range before.Lists {
		old, now := l.byText(), after.Lists[name].byText()
		for text, e := range old {
			if now[text] == nil {
				names = append(names, l.keysOf(e)...)
			}
		}
		for text, e := range now {
			if old[text] == nil {
				names = append(names, l.keysOf(e)...)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), false
}

// byText has a list's entries by all that they say.
func (l *List) byText() map[string]*Entry {
	out := map[string]*Entry{}
	for i := range l.Entries {
		e := &l.Entries[i]
		text := []string{e.Name, string(e.Effective), string(e.Until)}
		text = append(text, l.keysOf(e)...)
		for _, s := range e.Suspended {
			text = append(text, string(s.From), string(s.To))
		}
		out[strings.Join(text, "\x00")] = e
	}
	return out
}

// withoutEntries is what a policy says besides the entries of its lists. The
// expressions are compared as text.
func withoutEntries(p *Policy) any {
	type list struct {
		of, expires string
		period      Period
	}
	lists := map[string]list{}
	for name, l := range p.Lists {
		lists[name] = list{l.Of, string(l.Expires), Period{l.Effective, l.Until, l.Suspended}}
	}
	rules := []Rule{}
	for _, r := range p.Rules {
		c := *r
		c.when = nil
		if r.Origin != nil {
			o := *r.Origin
			o.when, o.lists = nil, nil
			c.Origin = &o
		}
		if r.Doors != nil {
			d := *r.Doors
			d.when = nil
			c.Doors = &d
		}
		rules = append(rules, c)
	}
	return []any{p.Levels, p.Parameters, p.Essential, p.Exceptions, p.Keys, lists, rules}
}
