// Package compare says what differs between two reports or two products: doors,
// components and files that were added, removed or changed. It is pure. Mask
// secrets in both reports before: what changed is said in words.
package compare

import (
	"cmp"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// Reports compares the report of a reference with that of what was received.
// files is what Files says of their files; nil if it is not known.
func Reports(reference, received *doorward.Report, files []doorward.FileChange) *doorward.Comparison {
	c := &doorward.Comparison{
		Schema: doorward.ComparisonSchema, Tool: received.Tool, Reference: reference.Subject, Received: received.Subject,
		Components: components(reference.Components, received.Components), Files: files, Unread: received.Unread,
		Layout: received.Layout, Date: received.Date,
	}
	c.Doors, c.Summary.Unchanged = doors(reference.Doors, received.Doors)
	summarise(c)
	return c
}

func summarise(c *doorward.Comparison) {
	s := &c.Summary
	s.Doors, s.Components, s.Files = noChanges(), noChanges(), noChanges()
	s.Weight = map[doorward.Weight]int{}
	for _, w := range doorward.Weights {
		s.Weight[w] = 0
	}
	for i := range c.Doors {
		s.Doors[c.Doors[i].Change]++
		if Alarming(&c.Doors[i]) {
			s.Weight[c.Doors[i].Door.Weight]++
		}
	}
	for _, x := range c.Components {
		s.Components[x.Change]++
	}
	for _, x := range c.Files {
		s.Files[x.Change]++
	}
	for _, u := range c.Unread {
		s.UnreadBytes += u.Size
	}
}

func noChanges() map[doorward.Difference]int {
	return map[doorward.Difference]int{doorward.Added: 0, doorward.Changed: 0, doorward.Removed: 0}
}

// Alarming says that a change adds an undeclared door or makes one worse.
func Alarming(c *doorward.DoorChange) bool {
	return c.Door.Status != doorward.Declared && (c.Change == doorward.Added || c.Change == doorward.Changed && c.Worse)
}

// Fails says that an undeclared door of weight failOn or above was added or
// became worse ("never": no).
func Fails(c *doorward.Comparison, failOn doorward.Weight) bool {
	for i := range c.Doors {
		d := &c.Doors[i]
		if Alarming(d) && slices.Contains(doorward.Weights, failOn) && d.Door.Weight.Rank() >= failOn.Rank() {
			return true
		}
	}
	return false
}

func doors(before, after []doorward.Door) (changes []doorward.DoorChange, unchanged int) {
	old := map[string]*doorward.Door{}
	for i := range before {
		old[before[i].ID] = &before[i]
	}
	var fresh []*doorward.Door
	for i := range after {
		d := &after[i]
		was := old[d.ID]
		if was == nil {
			fresh = append(fresh, d)
			continue
		}
		delete(old, d.ID)
		if c := change(was, d); c != nil {
			changes = append(changes, *c)
		} else {
			unchanged++
		}
	}
	changes = append(changes, moved(before, old, fresh)...)
	for i := range before {
		if old[before[i].ID] == &before[i] {
			changes = append(changes, doorward.DoorChange{Change: doorward.Removed, Door: before[i]})
		}
	}
	slices.SortStableFunc(changes, func(a, b doorward.DoorChange) int {
		return cmp.Or(
			cmp.Compare(slices.Index(doorward.Differences, a.Change), slices.Index(doorward.Differences, b.Change)),
			cmp.Compare(b.Door.Weight.Rank(), a.Door.Weight.Rank()),
			cmp.Compare(slices.Index(doorward.Kinds, a.Door.Kind), slices.Index(doorward.Kinds, b.Door.Kind)),
			cmp.Compare(a.Door.InnerPath(), b.Door.InnerPath()), cmp.Compare(a.Door.Title, b.Door.Title), cmp.Compare(a.Door.ID, b.Door.ID),
		)
	})
	return changes, unchanged
}

// moved pairs doors that stand elsewhere now but are the same by what tells
// them from others of their kind; what is paired leaves old. The rest of fresh
// was added.
func moved(before []doorward.Door, old map[string]*doorward.Door, fresh []*doorward.Door) []doorward.DoorChange {
	gone := map[string][]*doorward.Door{}
	for i := range before {
		if d := old[before[i].ID]; d == &before[i] {
			if key := identity(d); key != "" {
				gone[key] = append(gone[key], d)
			}
		}
	}
	var changes []doorward.DoorChange
	for _, d := range fresh {
		key := identity(d)
		if list := gone[key]; key != "" && len(list) > 0 {
			was := list[0]
			gone[key] = list[1:]
			delete(old, was.ID)
			c := change(was, d)
			if c == nil {
				c = &doorward.DoorChange{Change: doorward.Changed, Door: *d, Was: was}
			}
			c.What = append([]string{"moved from " + was.InnerPath()}, c.What...)
			changes = append(changes, *c)
			continue
		}
		changes = append(changes, doorward.DoorChange{Change: doorward.Added, Door: *d})
	}
	return changes
}

// identity is what tells a door from others of its kind, wherever it stands; ""
// if only its place does.
func identity(d *doorward.Door) string {
	parts := []string{string(d.Kind)}
	some := false
	for _, key := range doorward.IdentityKeys[d.Kind] {
		v := d.Detail.Text(key)
		if key == "value-sha256" {
			v = doorward.ValueSHA256(d)
		}
		if key == "path" {
			continue
		}
		parts = append(parts, v)
		some = some || v != ""
	}
	if !some {
		return ""
	}
	return strings.Join(parts, "\x00")
}
