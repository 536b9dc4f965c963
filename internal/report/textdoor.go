package report

import (
	"fmt"
	"path"
	"strings"

	"github.com/doorward/doorward"
)

const (
	maxEvidence = 4 // pieces of evidence of a door that text tells
	maxWhere    = 3 // places
	maxLines    = 5 // lines of one piece of evidence
)

// undeclared tells undeclared doors in full, heaviest first.
func (t *text) undeclared(r *doorward.Report) {
	list := undeclared(r)
	if len(list) == 0 {
		return
	}
	t.title("UNDECLARED DOORS")
	light := 0
	for _, d := range list {
		if d.Weight.Rank() <= doorward.Low.Rank() {
			light++
		}
	}
	inLine := false
	for i, d := range list {
		if d.Weight.Rank() <= doorward.Low.Rank() && light > fullUpTo {
			if !inLine {
				t.line("")
				t.line("%s, in a line each (in full in the JSON report):", count(light, "lighter door", "lighter doors"))
				inLine = true
			}
			t.short(d, path.Base(d.InnerPath()))
			continue
		}
		if i > 0 {
			t.line("")
		}
		t.full(d)
	}
}

// full tells a door with its evidence.
func (t *text) full(d *doorward.Door) {
	label := strings.ToUpper(string(d.Weight))
	for i, l := range wrap(plain(d.Title), t.width-10) {
		if i == 0 {
			t.line("%s %s", t.in(string(d.Weight), pad(label, 9)), t.in("title", l))
		} else {
			t.line("          %s", t.in("title", l))
		}
	}
	facts := []string{string(d.Kind), string(d.Reach), certainty(d.Certainty)}
	if len(d.Stages) > 0 {
		var stages []string
		for _, s := range d.Stages {
			stages = append(stages, string(s))
		}
		facts = append(facts, strings.Join(stages, " + "))
	}
	t.line("  %s", t.in("dim", cut(strings.Join(facts, " · ")+" · "+d.ID, t.width-2)))
	if d.Denied != nil {
		t.item(2, "denied", fmt.Sprintf("%s: %s", plain(d.Denied.Document), plain(d.Denied.Claim)))
	}
	t.places(d)
	t.evidence(d)
	if c := d.Detail.Text("condition"); c != "" {
		t.item(2, "only if", plain(c))
	}
	if d.Check != "" {
		t.item(2, "check", plain(d.Check))
	}
	if len(d.References) > 0 {
		t.item(2, "see", plain(strings.Join(d.References, ", ")))
	}
	t.mark(d)
}

func certainty(c doorward.Certainty) string {
	if c == doorward.Hint {
		return "a hint"
	}
	return string(c)
}

func (t *text) places(d *doorward.Door) {
	for i, w := range d.Where {
		if i == maxWhere && len(d.Where) > maxWhere+1 {
			t.item(2, "", fmt.Sprintf("and %d more places", len(d.Where)-i))
			break
		}
		label := ""
		if i == 0 {
			label = "where"
		}
		t.item(2, label, place(w))
	}
}

func (t *text) evidence(d *doorward.Door) {
	for i, e := range d.Evidence {
		if i == maxEvidence && len(d.Evidence) > maxEvidence+1 {
			t.item(2, "", fmt.Sprintf("and %d more pieces of evidence", len(d.Evidence)-i))
			break
		}
		label := ""
		if i == 0 {
			label = "found"
		}
		var lines []string
		for _, l := range strings.Split(strings.TrimRight(e.What, "\n"), "\n") {
			lines = append(lines, wrap(plain(l), t.width-11)...)
		}
		if len(lines) > maxLines {
			lines = append(lines[:maxLines-1], fmt.Sprintf("… (%d more lines)", len(lines)-maxLines+1))
		}
		for _, l := range lines {
			t.item(2, label, l)
			label = ""
		}
		if note := evidenceNote(e); note != "" {
			for _, l := range wrap(note, t.width-13) {
				t.line("             %s", t.in("dim", l))
			}
		}
	}
}

// evidenceNote says where a piece of evidence stands and why it matters.
func evidenceNote(e doorward.Evidence) string {
	at := plain(e.Path)
	switch {
	case e.Line > 0 && at != "":
		at += fmt.Sprintf(":%d", e.Line)
	case e.Line > 0:
		at = fmt.Sprintf("line %d", e.Line)
	case e.Offset != nil:
		at = strings.TrimSpace(fmt.Sprintf("%s +0x%x", at, *e.Offset))
	}
	if at != "" && e.Note != "" {
		at += ": "
	}
	return at + plain(e.Note)
}

func (t *text) mark(d *doorward.Door) {
	if d.Mark == nil {
		return
	}
	word := "accepted"
	if d.Mark.State == FalseAlarm {
		word = "called a false alarm"
	}
	by := ""
	if d.Mark.By != "" {
		by = " by " + plain(d.Mark.By)
	}
	t.item(2, "mark", fmt.Sprintf("%s%s on %s: %s", word, by, plain(d.Mark.Date), plain(d.Mark.Reason)))
}

// short tells a door in one line, with something on its right.
func (t *text) short(d *doorward.Door, right string) {
	left := fmt.Sprintf("%s%s", pad(string(d.Weight), 9), pad(string(d.Kind), 13))
	title := plain(d.Title)
	room := t.width - 4 - columns(left)
	right = cutMiddle(plain(right), max(room-columns(title), room/3))
	space := room - columns(right)
	t.line("  %s%s  %s", left, pad(cut(title, space), space), t.in("dim", right))
}

// declared tells declared doors in a line each.
func (t *text) declared(r *doorward.Report) {
	list := doorsWhere(r, func(d *doorward.Door) bool { return !IsUndeclared(d) })
	if len(list) == 0 {
		return
	}
	t.title(fmt.Sprintf("DECLARED DOORS: %d", len(list)))
	left := columns(declaredAs(list[0]))
	titles, purposes := 0, 0
	for _, d := range list {
		titles, purposes = max(titles, columns(plain(d.Title))), max(purposes, columns(plain(purpose(d))))
	}
	room := t.width - 4 - left
	titles = min(titles, room-min(purposes, room*2/5))
	for _, d := range list {
		title, why := cut(plain(d.Title), titles), plain(purpose(d))
		// A purpose that does not fit starts right behind a short title.
		at := max(columns(title), min(titles, room-columns(why)))
		t.line("  %s%s  %s", declaredAs(d), pad(title, at), t.in("dim", cut(why, room-at)))
	}
}

func declaredAs(d *doorward.Door) string {
	return pad(string(d.Weight), 9) + pad(string(d.Kind), 13)
}

// purpose is what the maker says that a declared door is for; "" if a draft's
// purpose was left as it was.
func purpose(d *doorward.Door) string {
	if d.DeclaredBy == nil || d.DeclaredBy.Purpose == doorward.ToState {
		return ""
	}
	return d.DeclaredBy.Purpose
}

// claims tells what became of the declarations: those that match nothing, do
// not hold, or are in conflict.
func (t *text) claims(r *doorward.Report) {
	if len(r.Declarations) == 0 {
		return
	}
	matched := 0
	var rest []doorward.DeclarationUse
	notes := map[string]bool{}
	for _, u := range r.Declarations {
		if u.Matched > 0 {
			matched++
		}
		if u.Matched == 0 || u.Note != "" {
			rest = append(rest, u)
		}
	}
	t.title(fmt.Sprintf("DECLARATIONS: %d of %s match a door", matched, count(len(r.Declarations), "claim", "claims")))
	for i, u := range rest {
		if i == 2*fullUpTo {
			t.line("  and %d more (in the JSON report)", len(rest)-i)
			break
		}
		t.item(2, cut(plain(u.Document), 8), plain(u.Text))
		if u.Note != "" && !notes[u.Document+u.Note] {
			notes[u.Document+u.Note] = true
			for _, l := range wrap(plain(u.Note), t.width-13) {
				t.line("             %s", t.in("dim", l))
			}
		}
	}
}

// next says what the reader can do now.
func (t *text) next(r *doorward.Report) {
	t.title("NEXT")
	for _, step := range nextSteps(r) {
		for i, l := range wrap(step, t.width-4) {
			t.line("  %s %s", map[bool]string{true: "-", false: " "}[i == 0], l)
		}
	}
}

// nextSteps are what to do, most useful first.
func nextSteps(r *doorward.Report) []string {
	var steps []string
	heavy := 0
	for _, d := range undeclared(r) {
		if d.Weight.Rank() >= doorward.High.Rank() && d.Mark == nil {
			heavy++
		}
	}
	s := r.Summary
	if heavy > 0 {
		steps = append(steps, fmt.Sprintf("Check the %s of weight high or above by hand (see \"check\"), then ask the maker what each is for, or to close it.", count(heavy, "undeclared door", "undeclared doors")))
	}
	if len(r.Declarations) == 0 && s.Doors > 0 {
		steps = append(steps, "No declaration was given. Ask the maker for one and add --declared FILE; the maker can draft it: doorward inspect --format json -o report.json, then doorward declare report.json.")
	} else if s.Undeclared > 0 && heavy == 0 {
		steps = append(steps, "Ask the maker to declare the undeclared doors; doorward declare drafts the declaration from a JSON report.")
	}
	if s.UnreadBytes > 0 {
		steps = append(steps, fmt.Sprintf("%s could not be read: ask the maker for an artifact that is not encrypted, or raise the limit that the part names.", size(s.UnreadBytes)))
	}
	if limitsHit(r) > 0 {
		steps = append(steps, "Look by hand at what lies behind each limit that was hit.")
	}
	if s.Undeclared > 0 && heavy == 0 && s.UnreadBytes == 0 {
		steps = append(steps, "Nothing undeclared is of weight high or above.")
	}
	if len(steps) == 0 {
		steps = append(steps, "Nothing to do. Keep the JSON report, so that doorward compare can tell what the next version changes.")
	} else {
		steps = append(steps, "A picture of the product with all evidence: --format html -o report.html")
	}
	return steps
}
