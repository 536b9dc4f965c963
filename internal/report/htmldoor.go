package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// doorView is a door as the page shows it.
type doorView struct {
	ID, Kind, Weight, Status, Dot, Judged, Title, Reach, Place, Parts string
	Denied, By                                                        *doorward.DeclaredBy
	Mark                                                              *doorward.Mark
	Stages                                                            []stageView
	Certainty                                                         string
	Changed                                                           []string // of a comparison
	Where                                                             []whereView
	Evidence                                                          []evidenceView
	Check                                                             string
	Detail                                                            []pair
	References, Component, Detector                                   string
}

type stageView struct {
	Name string
	Yes  bool
}

type whereView struct {
	Steps []string
	At    string
}

type evidenceView struct{ What, Note, At string }

type pair struct{ Key, Value string }

// doors makes the page's lists of undeclared and declared doors.
func (p *page) doors(r *doorward.Report, parts *partFinder) {
	open, closed := group{Title: "Undeclared doors"}, group{Title: "Declared doors"}
	for i := range r.Doors {
		v := viewDoor(&r.Doors[i])
		v.Parts = parts.ids(&r.Doors[i])
		if IsUndeclared(&r.Doors[i]) {
			open.Doors = append(open.Doors, v)
		} else {
			closed.Doors = append(closed.Doors, v)
		}
	}
	for _, g := range []group{open, closed} {
		if len(g.Doors) > 0 {
			p.Groups = append(p.Groups, g)
		}
	}
}

func viewDoor(door *doorward.Door) doorView {
	d := completeDoor(*door)
	v := doorView{
		ID: plain(d.ID), Kind: plain(string(d.Kind)), Weight: plain(string(d.Weight)), Status: plain(string(d.Status)), Dot: dotClass(&d), Title: plain(d.Title),
		Reach: plain(string(d.Reach)), Denied: plainClaim(d.Denied), By: plainClaim(d.DeclaredBy), Certainty: certaintyInWords(d.Certainty),
		Check: plainLines(d.Check), References: plain(strings.Join(d.References, ", ")), Component: plain(d.Component), Detector: plain(d.Detector),
	}
	if m := d.Mark; m != nil {
		v.Judged = plain(strings.ReplaceAll(m.State, "-", " "))
		v.Mark = &doorward.Mark{State: v.Judged, Reason: plain(m.Reason), Date: plain(m.Date), By: plain(m.By)}
	}
	for _, s := range []doorward.Stage{doorward.Signal, doorward.Access, doorward.Collect, doorward.Transmit} {
		v.Stages = append(v.Stages, stageView{string(s), slices.Contains(d.Stages, s)})
	}
	for i, w := range d.Where {
		at := whereView{At: spot(w)}
		for _, s := range steps(w.Path) {
			at.Steps = append(at.Steps, plain(s))
		}
		if i == 0 {
			v.Place = cutMiddle(strings.Join(at.Steps, " › "), 110)
		}
		v.Where = append(v.Where, at)
	}
	for _, e := range d.Evidence {
		note := e
		note.Note = ""
		v.Evidence = append(v.Evidence, evidenceView{What: plainLines(e.What), Note: plain(e.Note), At: evidenceNote(note)})
	}
	for _, key := range sortedKeys(d.Detail) {
		v.Detail = append(v.Detail, pair{plain(key), plain(d.Detail.Text(key))})
	}
	return v
}

// steps leaves out the subject's name, unless there is nothing else.
func steps(path []string) []string {
	if len(path) > 1 {
		return path[1:]
	}
	return path
}

// spot says where in a file something is.
func spot(w doorward.Where) string {
	var parts []string
	if w.Function != "" {
		parts = append(parts, plain(w.Function)+"()")
	}
	if w.Address != "" {
		parts = append(parts, plain(w.Address))
	}
	if w.Offset != nil {
		parts = append(parts, fmt.Sprintf("+0x%x", *w.Offset))
	}
	return strings.Join(parts, " ")
}

func plainClaim(c *doorward.DeclaredBy) *doorward.DeclaredBy {
	if c == nil {
		return nil
	}
	out := &doorward.DeclaredBy{Document: plain(c.Document), Pointer: plain(c.Pointer), Claim: plain(c.Claim), Purpose: plain(c.Purpose)}
	if out.Purpose == doorward.ToState {
		out.Purpose = ""
	}
	return out
}

func certaintyInWords(c doorward.Certainty) string {
	switch c {
	case doorward.Shown:
		return "shown: the evidence alone proves it"
	case doorward.Likely:
		return "likely: it needs the assumption that the evidence names"
	}
	return "a hint"
}

// dotClass is how a door is drawn: by its status, a judged one apart.
func dotClass(d *doorward.Door) string {
	class := string(completeDoor(*d).Status)
	if d.Mark != nil && IsUndeclared(d) {
		class = "judged"
	}
	if d.Weight.Rank() >= doorward.High.Rank() {
		class += " heavy"
	}
	return plain(class)
}
