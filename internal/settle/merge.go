package settle

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/doorward/doorward"
)

// merge makes one door of those that a join calls the same. The list is ordered
// by strength, so the first of each group is its base.
func merge(list []*door, j join) []*door {
	groups := map[string]*door{}    // loose and tight key -> base
	strongest := map[string]*door{} // loose key -> the strongest base with a tight key
	gone := map[*door]bool{}
	into := func(base, d *door) {
		base.take(d)
		gone[d] = true
	}
	var open []*door // doors that do not know their tight key
	for _, d := range list {
		loose, tight, ok := j.keys(d)
		if !ok {
			continue
		}
		if tight == "" {
			open = append(open, d)
			continue
		}
		key := loose + "\x00\x00" + tight
		if base := groups[key]; base != nil {
			into(base, d)
			continue
		}
		groups[key] = d
		if strongest[loose] == nil {
			strongest[loose] = d
		}
	}
	for _, d := range open {
		loose, _, _ := j.keys(d)
		switch base := strongest[loose]; {
		case base == nil:
			strongest[loose] = d
		case base.weaker(d):
			// The vaguer finding is the stronger one: it keeps its words and
			// learns what the other knew.
			into(d, base)
			strongest[loose] = d
		default:
			into(base, d)
		}
	}
	return slices.DeleteFunc(list, func(d *door) bool { return gone[d] })
}

// weaker says that d's proof is weaker than that of other.
func (d *door) weaker(other *door) bool {
	if a, b := certaintyRank(d.Certainty), certaintyRank(other.Certainty); a != b {
		return a < b
	}
	return d.Weight.Rank() < other.Weight.Rank()
}

// mergeByID makes one door of those whose ids are equal (A/B slots, copies),
// unless a telling key says that they are different facts.
func mergeByID(list []*door) []*door {
	for _, d := range list {
		d.SetID()
	}
	return merge(list, join{func(d *door) (string, string, bool) {
		if d.ID == "" {
			return "", "", false
		}
		return d.ID, telling(&d.Door), true
	}})
}

// telling returns the value of the keys that tell two facts apart which have
// the same identity keys: a program's camera and its microphone, a program's
// TCP and its UDP port, a host's port 80 and its port 443.
func telling(d *doorward.Door) string {
	switch d.Kind {
	case doorward.KindService:
		return d.Detail.Text("proto")
	case doorward.KindSensor, doorward.KindPrivilege:
		return d.Detail.Text("what")
	case doorward.KindDestination:
		return d.Detail.Text("port")
	case doorward.KindKey:
		return d.Detail.Text("private")
	case doorward.KindTransfer:
		return d.Detail.Text("proto") + d.Detail.Text("class")
	}
	return "one"
}

// distinguish gives different facts of one id ids of their own: the first (by
// its telling key) keeps the id of the contract.
func distinguish(doors []doorward.Door) {
	first := map[string]string{}
	for i := range doors {
		id, key := doors[i].ID, telling(&doors[i])
		if old, ok := first[id]; !ok || key < old {
			first[id] = key
		}
	}
	for i := range doors {
		d := &doors[i]
		if key := telling(d); key != first[d.ID] {
			sum := sha256.Sum256([]byte(d.ID + "\x00" + key))
			d.ID = "door-" + hex.EncodeToString(sum[:8])
		}
	}
}

// take unites another finding of the same fact with this one, which has the
// stronger proof: its words stay, what it did not know is filled in.
func (d *door) take(other *door) {
	home := d.InnerPath()
	theirs := other.InnerPath()
	for _, e := range other.Evidence {
		if e.Path == "" && theirs != home {
			e.Path = theirs
		}
		d.Evidence = distinctEvidence(d.Evidence, atHome([]doorward.Evidence{e}, home))
	}
	d.Where = distinctWhere(d.Where, other.Where)
	d.Secrets = distinct(d.Secrets, other.Secrets)
	d.References = distinct(d.References, other.References)
	d.Stages = orderStages(append(slices.Clone(d.Stages), other.Stages...))
	if d.Kind == other.Kind {
		d.fill(other.Detail)
	}
	if d.Component == "" {
		d.Component = other.Component
	}
	if d.Check == "" {
		d.Check = other.Check
	}
}

// fill adds the keys of detail that this door does not have. A start without a
// condition stays without one.
func (d *door) fill(detail doorward.Detail) {
	always := d.Detail.Text("started_by") != "" && d.Detail.Text("condition") == ""
	for k, v := range detail {
		if _, has := d.Detail[k]; has || always && k == "condition" {
			continue
		}
		d.Detail[k] = v
	}
}
