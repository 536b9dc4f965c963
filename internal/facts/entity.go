package facts

import (
	"maps"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// Named lists the entities that facts name, by key: one for all spellings that
// differ only in case, punctuation or legal form.
func Named(list []doorward.OriginFact) []doorward.Entity {
	byKey := map[string]*doorward.Entity{}
	for _, f := range list {
		key := doorward.EntityKey(f.Entity)
		if key == "" {
			continue
		}
		e := byKey[key]
		if e == nil {
			e = &doorward.Entity{Name: f.Entity}
			byKey[key] = e
		}
		if f.Entity != e.Name && !slices.Contains(e.Aliases, f.Entity) {
			e.Aliases = append(e.Aliases, f.Entity)
		}
	}
	out := []doorward.Entity{}
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		slices.Sort(byKey[key].Aliases)
		out = append(out, *byKey[key])
	}
	return out
}

// Join adds to named entities what a registry knows of them, and lists the
// registry's other entities behind. Equal keys of any names count. Where two of
// the registry have the name, or the name is only nearly equal, a person must
// look: the names go into Review and nothing is joined.
func Join(named, registry []doorward.Entity) []doorward.Entity {
	r := newIndex(registry)
	used := make([]bool, len(registry))
	out := make([]doorward.Entity, 0, len(named)+len(registry))
	for _, e := range named {
		found := r.same(e)
		switch {
		case len(found) == 1:
			e = joined(e, registry[found[0]])
			used[found[0]] = true
		case len(found) > 1:
			for _, i := range found {
				e.Review = append(slices.Clip(e.Review), called(registry[i]))
			}
		default:
			e.Review = slices.Concat(e.Review, r.near(e))
		}
		slices.Sort(e.Review)
		e.Review = slices.Compact(e.Review)
		out = append(out, e)
	}
	for i, e := range registry {
		if !used[i] {
			out = append(out, e)
		}
	}
	return out
}

// called is a name that tells an entity from others of that name.
func called(e doorward.Entity) string {
	for _, id := range slices.Sorted(maps.Keys(e.IDs)) {
		return e.Name + " (" + id + " " + e.IDs[id] + ")"
	}
	if e.Source != "" {
		return e.Name + " (" + e.Source + ")"
	}
	return e.Name
}

// joined is one entity of two. The name of the first stays.
func joined(a, b doorward.Entity) doorward.Entity {
	add := func(list *[]string, names ...string) {
		for _, n := range names {
			if n != a.Name && !slices.Contains(*list, n) {
				*list = append(slices.Clip(*list), n)
			}
		}
	}
	add(&a.Aliases, b.Name)
	add(&a.Aliases, b.Aliases...)
	add(&a.Former, b.Former...)
	ids := maps.Clone(b.IDs)
	if ids == nil {
		ids = map[string]string{}
	}
	maps.Copy(ids, a.IDs)
	if len(ids) > 0 {
		a.IDs = ids
	}
	if a.Source == "" {
		a.Source = b.Source
	}
	return a
}

// index finds entities by their names.
type index struct {
	list    []doorward.Entity
	byKey   map[string][]int
	byEdit  map[string][]int // keys with one letter left out
	byFirst map[string][]int // first word
}

func newIndex(list []doorward.Entity) *index {
	x := &index{list: list, byKey: map[string][]int{}, byEdit: map[string][]int{}, byFirst: map[string][]int{}}
	for i, e := range list {
		for _, name := range e.Names() {
			key := doorward.EntityKey(name)
			if key == "" {
				continue
			}
			put(x.byKey, key, i)
			for _, k := range lacking(key) {
				put(x.byEdit, k, i)
			}
			if first, _, _ := strings.Cut(key, "-"); len(first) >= minWord {
				put(x.byFirst, first, i)
			}
		}
	}
	return x
}

func put(m map[string][]int, key string, i int) {
	if list := m[key]; len(list) == 0 || list[len(list)-1] != i {
		m[key] = append(list, i)
	}
}

const (
	minWord = 5 // letters of a first word that may tell a maker
	minEdit = 6 // letters of a key in which one may differ
)

// lacking are a key without hyphens, and each that lacks one of its letters: two
// keys that differ in one letter have one in common.
func lacking(key string) []string {
	s := strings.ReplaceAll(key, "-", "")
	if len(s) < minEdit || len(s) > 60 {
		return nil
	}
	list := []string{s}
	for i := range s {
		list = append(list, s[:i]+s[i+1:])
	}
	return list
}

// same are the entities that have a name of e.
func (x *index) same(e doorward.Entity) []int {
	var found []int
	for _, name := range e.Names() {
		found = append(found, x.byKey[doorward.EntityKey(name)]...)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// near are the entities with a name that differs in a letter from one of e, or
// that is one of e with more words.
func (x *index) near(e doorward.Entity) []string {
	var found []int
	for _, name := range e.Names() {
		key := doorward.EntityKey(name)
		for _, k := range lacking(key) {
			found = append(found, x.byEdit[k]...)
		}
		first, _, _ := strings.Cut(key, "-")
		for _, i := range x.byFirst[first] {
			if slices.ContainsFunc(x.list[i].Names(), func(other string) bool { return extends(key, doorward.EntityKey(other)) }) {
				found = append(found, i)
			}
		}
	}
	slices.Sort(found)
	var names []string
	for _, i := range slices.Compact(found) {
		if len(names) == maxReview {
			break
		}
		names = append(names, called(x.list[i]))
	}
	return names
}

// maxReview bounds what a person is asked to look at for one name.
const maxReview = 10

// extends says that one key is the other with words behind.
func extends(a, b string) bool {
	return strings.HasPrefix(a, b+"-") || strings.HasPrefix(b, a+"-")
}
