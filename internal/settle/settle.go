// Package settle turns what detectors found into doors: findings of one
// identity become one door, stronger proof replaces weaker, and one fact has
// one door (DESIGN 4.4). It is pure: the result depends on the set of findings
// alone, not on their order, and settling twice changes nothing.
package settle

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// Doors settles findings. The input is not changed. The result has ids, and is
// ordered by weight, kind, path and title.
func Doors(found []doorward.Door) []doorward.Door {
	list := make([]*door, 0, len(found))
	for i := range found {
		list = append(list, newDoor(&found[i]))
	}
	// What a merge fills in may make two doors one: until nothing changes.
	// Every round but the last has fewer doors than the one before.
	for n := -1; n != len(list); {
		n = len(list)
		byStrength(list)
		for _, join := range joins {
			list = merge(list, join)
		}
		list = fold(list)
		list = mergeByID(list)
	}
	doors := make([]doorward.Door, 0, len(list))
	for _, d := range list {
		doors = append(doors, d.Door)
	}
	distinguish(doors)
	Sort(doors)
	return doors
}

// Sort puts doors into the order of reports.
func Sort(doors []doorward.Door) {
	slices.SortStableFunc(doors, func(a, b doorward.Door) int {
		return cmp.Or(
			cmp.Compare(b.Weight.Rank(), a.Weight.Rank()),
			cmp.Compare(kindRank(a.Kind), kindRank(b.Kind)),
			cmp.Compare(a.InnerPath(), b.InnerPath()),
			cmp.Compare(a.Title, b.Title),
			cmp.Compare(a.ID, b.ID),
		)
	})
}

func kindRank(k doorward.Kind) int {
	if i := slices.Index(doorward.Kinds, k); i >= 0 {
		return i
	}
	return len(doorward.Kinds)
}

// door is a finding at work.
type door struct {
	doorward.Door
	canon string // everything that it says, to break ties
}

func newDoor(d *doorward.Door) *door {
	c := &door{Door: *d}
	c.Detail = doorward.Detail{}
	for k, v := range d.Detail {
		if v != nil && v != "" {
			c.Detail[k] = v
		}
	}
	c.Where = distinctWhere(nil, d.Where)
	c.Evidence = distinctEvidence(nil, atHome(d.Evidence, d.InnerPath()))
	c.Stages = orderStages(d.Stages)
	c.References = distinct(nil, d.References)
	c.Secrets = distinct(nil, d.Secrets)
	return c
}

// byStrength orders doors so that stronger proof stands before weaker.
func byStrength(list []*door) {
	for _, d := range list {
		d.SetID()
		text, _ := json.Marshal(d.Door)
		d.canon = string(text) + strings.Join(d.Secrets, "\x00")
	}
	slices.SortFunc(list, func(a, b *door) int {
		return cmp.Or(
			cmp.Compare(certaintyRank(b.Certainty), certaintyRank(a.Certainty)),
			cmp.Compare(b.Weight.Rank(), a.Weight.Rank()),
			cmp.Compare(len(a.Detail.Text("condition")), len(b.Detail.Text("condition"))), // a start that always happens
			cmp.Compare(len(b.Detail), len(a.Detail)),
			cmp.Compare(len(b.Evidence), len(a.Evidence)),
			cmp.Compare(a.canon, b.canon),
		)
	})
}

func certaintyRank(c doorward.Certainty) int {
	switch c {
	case doorward.Shown:
		return 2
	case doorward.Likely:
		return 1
	}
	return 0
}

// volume is where the door's file system or archive lies, regions included, so
// that the same user in two root file systems stays two doors.
func (d *door) volume() string {
	if len(d.Where) == 0 || len(d.Where[0].Path) == 0 {
		return "nowhere"
	}
	path := d.Where[0].Path
	return "in" + strings.Join(path[:len(path)-1], "\x00")
}
