package policy

import (
	"fmt"
	"sort"

	"github.com/doorward/doorward"
)

const (
	ofEntities  = "entities"
	ofCountries = "countries"
)

// keysOf are the keys under which an entry is found: of an entity its names and
// identifiers, of a country its code.
func (l *List) keysOf(e *Entry) []string {
	if l.Of == ofCountries {
		return []string{e.Name}
	}
	keys := map[string]bool{doorward.EntityKey(e.Name): true}
	for _, alias := range e.Aliases {
		keys[doorward.EntityKey(alias)] = true
	}
	for kind, id := range e.IDs {
		keys[idKey(kind, id)] = true
	}
	out := make([]string, 0, len(keys))
	for k := range keys {
		if k != "" {
			out = append(out, k)
		}
	}
	sort.Strings(out)
	return out
}

// idKey can't be an entity's key: it has a colon.
func idKey(kind, id string) string { return kind + ":" + id }

// find is the entry in force on a day that has one of the keys; nil if there is
// none.
func (l *List) find(keys []string, at Date) *Entry {
	if !(Period{l.Effective, l.Until, l.Suspended}).holds(at) {
		return nil
	}
	for _, k := range keys {
		for _, i := range l.keys[k] {
			e := &l.Entries[i]
			if (Period{e.Effective, e.Until, e.Suspended}).holds(at) {
				return e
			}
		}
	}
	return nil
}

// usable says that the list may be used on a day.
func (l *List) usable(at Date) error {
	if l.Expires != "" && at > l.Expires {
		return fmt.Errorf("list %s expired on %s: refresh its entries from the source, then set a new date", l.name, l.Expires)
	}
	return nil
}
