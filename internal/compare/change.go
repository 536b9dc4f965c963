package compare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// change says what differs between two reports of one door; nil if nothing
// that matters does. Evidence may stand at other offsets in a new version: that
// is no change.
func change(was, is *doorward.Door) *doorward.DoorChange {
	c := &doorward.DoorChange{Change: doorward.Changed, Door: *is, Was: was}
	note := func(name, before, after string) {
		if before != after {
			c.What = append(c.What, fmt.Sprintf("%s: %s → %s", name, orNone(before), orNone(after)))
		}
	}
	note("weight", string(was.Weight), string(is.Weight))
	note("reach", string(was.Reach), string(is.Reach))
	note("certainty", string(was.Certainty), string(is.Certainty))
	note("status", string(was.Status), string(is.Status))
	note("stages", join(was.Stages), join(is.Stages))
	for _, key := range keys(was.Detail, is.Detail) {
		note(key, was.Detail.Text(key), is.Detail.Text(key))
	}
	if len(c.What) == 0 {
		return nil
	}
	c.Worse = is.Weight.Rank() > was.Weight.Rank() || reachRank(is.Reach) > reachRank(was.Reach) || statusRank(is.Status) > statusRank(was.Status)
	return c
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

func join(stages []doorward.Stage) string {
	var names []string
	for _, s := range stages {
		names = append(names, string(s))
	}
	return strings.Join(names, " + ")
}

func keys(a, b doorward.Detail) []string {
	var list []string
	for _, d := range []doorward.Detail{a, b} {
		for k := range d {
			if !slices.Contains(list, k) {
				list = append(list, k)
			}
		}
	}
	slices.Sort(list)
	return list
}

func reachRank(r doorward.Reach) int {
	return -slices.Index([]doorward.Reach{doorward.Remote, doorward.Adjacent, doorward.Local, doorward.Physical}, r)
}

func statusRank(s doorward.Status) int {
	return slices.Index([]doorward.Status{doorward.Declared, doorward.Undeclared, doorward.Contradicts}, s)
}

// components compares by name and sort; of several with one name those with
// equal version and digest are paired first.
func components(before, after []doorward.Component) []doorward.ComponentChange {
	old := map[string][]*doorward.Component{}
	for i := range before {
		key := componentKey(&before[i])
		old[key] = append(old[key], &before[i])
	}
	take := func(c *doorward.Component, same func(o *doorward.Component) bool) *doorward.Component {
		key := componentKey(c)
		i := slices.IndexFunc(old[key], same)
		if i < 0 {
			return nil
		}
		found := old[key][i]
		old[key] = slices.Delete(slices.Clone(old[key]), i, i+1)
		return found
	}
	var rest []*doorward.Component
	for i := range after {
		c := &after[i]
		if take(c, func(o *doorward.Component) bool { return o.Version == c.Version && o.SHA256 == c.SHA256 }) == nil {
			rest = append(rest, c)
		}
	}
	var changes []doorward.ComponentChange
	for _, c := range rest {
		was := take(c, func(o *doorward.Component) bool { return true })
		if was == nil {
			changes = append(changes, doorward.ComponentChange{Change: doorward.Added, Component: *c})
			continue
		}
		changes = append(changes, doorward.ComponentChange{Change: doorward.Changed, Component: *c, Was: was, What: componentWhat(was, c)})
	}
	for i := range before {
		if slices.Contains(old[componentKey(&before[i])], &before[i]) {
			changes = append(changes, doorward.ComponentChange{Change: doorward.Removed, Component: before[i]})
		}
	}
	slices.SortStableFunc(changes, func(a, b doorward.ComponentChange) int {
		if a.Change != b.Change {
			return slices.Index(doorward.Differences, a.Change) - slices.Index(doorward.Differences, b.Change)
		}
		return strings.Compare(a.Component.Name+"\x00"+a.Component.Version, b.Component.Name+"\x00"+b.Component.Version)
	})
	return changes
}

func componentKey(c *doorward.Component) string {
	purl, _, _ := strings.Cut(c.PURL, "@")
	return strings.ToLower(c.Name) + "\x00" + c.Type + "\x00" + strings.ToLower(purl)
}

func componentWhat(was, is *doorward.Component) []string {
	var what []string
	if was.Version != is.Version {
		what = append(what, fmt.Sprintf("version: %s → %s", orNone(was.Version), orNone(is.Version)))
	}
	if was.SHA256 != is.SHA256 {
		note := "content"
		if was.Version == is.Version && is.Version != "" {
			note = "content, under the same version"
		}
		what = append(what, note)
	}
	return what
}
