package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/doorward/doorward"
)

// DecisionFormats are the formats that WriteDecisions knows.
var DecisionFormats = []string{"text", "json", "html"}

// maxBecause is how many facts text and HTML name for a reason; the JSON has all.
const maxBecause = 6

// About is what decisions were made on, to say in words what their facts and
// doors are.
type About struct {
	Reports []*doorward.Report
	Facts   []doorward.OriginFact
}

// WriteDecisions writes the decisions on one product, one a level.
func WriteDecisions(w io.Writer, format string, decisions []*doorward.Decision, about About, opt Options) error {
	switch format {
	case "text":
		t := &text{width: opt.width(), color: opt.Color}
		t.decisions(decisions, about)
		_, err := io.WriteString(w, t.b.String())
		return err
	case "json":
		if len(decisions) == 1 {
			return encode(w, completeDecision(decisions[0]))
		}
		all := []*doorward.Decision{}
		for _, d := range decisions {
			all = append(all, completeDecision(d))
		}
		return encode(w, all)
	case "html":
		return decisionHTML(w, decisions, about)
	}
	return fmt.Errorf("a decision has no form %q: choose text, json or html", format)
}

func completeDecision(d *doorward.Decision) *doorward.Decision {
	c := *d
	c.Reasons, c.WouldChange = append([]doorward.Reason{}, some(d.Reasons)...), some(d.WouldChange)
	for i := range c.Reasons {
		c.Reasons[i].Facts = some(c.Reasons[i].Facts)
	}
	return &c
}

// decisionView is a decision for people.
type decisionView struct {
	Level, Result string
	Reasons       []reasonView
	Conditions    []string
	Change        []string
	Exceptions    []string
}

type reasonView struct {
	Rule, Word, Text, Source string
	Because                  []because
}

// because is a fact or a door behind a reason.
type because struct{ ID, Text string }

func viewDecision(d *doorward.Decision, about About) decisionView {
	v := decisionView{Level: plain(d.Level), Result: plain(string(d.Result))}
	said := about.sayings()
	for _, r := range d.Reasons {
		rv := reasonView{Rule: plain(r.Rule), Word: reasonWord(r), Text: plain(r.Text), Source: plain(r.Source)}
		for i, id := range r.Facts {
			if i == maxBecause {
				rv.Because = append(rv.Because, because{Text: fmt.Sprintf("and %d more (the JSON has them)", len(r.Facts)-i)})
				break
			}
			b := because{ID: plain(id), Text: plain(said[id])}
			if b.Text == "" {
				b = because{Text: plain(id)}
			}
			rv.Because = append(rv.Because, b)
		}
		v.Reasons = append(v.Reasons, rv)
	}
	for _, s := range d.Conditions {
		v.Conditions = append(v.Conditions, plain(s))
	}
	for i, s := range d.WouldChange {
		if i == maxBecause {
			v.Change = append(v.Change, fmt.Sprintf("and %d more (the JSON has them)", len(d.WouldChange)-i))
			break
		}
		v.Change = append(v.Change, plain(s))
	}
	for _, e := range d.Exceptions {
		v.Exceptions = append(v.Exceptions, plain(exceptionLine(e)))
	}
	return v
}

func reasonWord(r doorward.Reason) string {
	switch {
	case r.Known == doorward.NotKnown:
		return "not known"
	case r.Effect == "refuse":
		return "refuses"
	case r.Effect == "condition":
		return "condition"
	case r.Effect == "permit":
		return "permits"
	}
	return plain(r.Effect)
}

func exceptionLine(e doorward.ExceptionUse) string {
	text := fmt.Sprintf("%s: %s, until %s", e.ID, e.State, e.Until)
	if e.Why != "" {
		text += " (" + e.Why + ")"
	}
	if len(e.Covers) > 0 {
		text += ", covers " + strings.Join(e.Covers, ", ")
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// sayings put doors and facts into words, by their ids.
func (a About) sayings() map[string]string {
	said := map[string]string{}
	names := map[string]string{doorward.ProductSubject: "the product"}
	add := func(facts []doorward.OriginFact) {
		for i := range facts {
			f := facts[i]
			if f.ID == "" {
				f.SetID()
			}
			said[f.ID] = sayFact(&f, names)
		}
	}
	for _, r := range a.Reports {
		for _, c := range r.Components {
			names[c.BOMRef] = strings.TrimSpace(c.Name + " " + c.Version)
		}
	}
	for _, r := range a.Reports {
		for i := range r.Doors {
			d := &r.Doors[i]
			said[d.ID] = fmt.Sprintf("%s (%s, %s, %s)", d.Title, d.Weight, d.Reach, d.Status)
		}
		add(r.Origins)
	}
	add(a.Facts)
	return said
}

// sayFact says who states what of whom.
func sayFact(f *doorward.OriginFact, names map[string]string) string {
	subject := names[f.Subject]
	if subject == "" {
		subject = strings.TrimPrefix(f.Subject, "entity:")
	}
	what := f.Entity
	if f.Country != "" {
		what = strings.TrimPrefix(what+", "+f.Country, ", ")
	}
	text := fmt.Sprintf("%s of %s: %s", f.Axis, subject, what)
	if f.Share != nil {
		text += fmt.Sprintf(", %g to %g %%", f.Share.Min, f.Share.Max)
	}
	text += fmt.Sprintf(" (%s: %s", f.Class, f.Basis)
	if f.AssertedBy != "" {
		text += ", says " + f.AssertedBy
	}
	return text + ")"
}

// resultColours show at a glance where a product may go.
var resultColours = map[string]string{"admit": "good", "conditional": "medium", "undetermined": "high", "refuse": "bad"}

// decisions are several levels of one product.
func (t *text) decisions(list []*doorward.Decision, about About) {
	if len(list) == 0 {
		return
	}
	var names []string
	for _, s := range list[0].Subjects {
		names = append(names, plain(s.Name))
	}
	t.line("%s", t.in("title", cut("Decision: "+strings.Join(names, ", "), t.width)))
	t.line("%s", cut(fmt.Sprintf("policy %s (SHA-256 %.16s…), on %s", plain(list[0].Policy), plain(list[0].PolicySHA256), plain(list[0].At)), t.width))
	if len(list) > 1 {
		t.line("")
		for _, d := range list {
			t.line("  %s%s", pad(plain(d.Level), 16), t.in(resultColours[string(d.Result)], strings.ToUpper(plain(string(d.Result)))))
		}
	}
	told := map[string]string{}
	for _, d := range list {
		t.levelDecision(d, about, told)
	}
}

func (t *text) decision(d *doorward.Decision, about About) {
	if d != nil {
		t.levelDecision(d, about, map[string]string{})
	}
}

// levelDecision writes one level. What was told for a level before, which told
// names, is not told again.
func (t *text) levelDecision(d *doorward.Decision, about About, told map[string]string) {
	v := viewDecision(d, about)
	t.title(fmt.Sprintf("DECISION for level %s: %s", v.Level, t.in(resultColours[v.Result], strings.ToUpper(v.Result))))
	for i, r := range v.Reasons {
		if i > 0 {
			t.line("")
		}
		key := r.Word + r.Rule + r.Text
		if told[key] != "" {
			t.labelled(2, 11, r.Word, fmt.Sprintf("as for %s, rule %s", told[key], r.Rule))
			continue
		}
		told[key] = v.Level
		t.reason(r)
	}
	for _, list := range []struct {
		title string
		lines []string
	}{{"conditions", v.Conditions}, {"exceptions", v.Exceptions}, {"the smallest change that would change this", v.Change}} {
		if len(list.lines) == 0 {
			continue
		}
		t.line("")
		t.line("  %s", t.in("dim", list.title+":"))
		for _, l := range list.lines {
			t.labelled(2, 4, "  -", l)
		}
	}
}

func (t *text) reason(r reasonView) {
	t.labelled(2, 11, r.Word, r.Text)
	for _, b := range r.Because {
		t.small(b.ID, b.Text)
	}
	rule := "rule " + r.Rule
	if r.Source != "" {
		rule += ", after " + r.Source
	}
	t.small("", rule)
}

// small writes a line that supports the one above.
func (t *text) small(id, s string) {
	if id != "" {
		s = id + " " + s
	}
	for _, l := range wrap(s, t.width-15) {
		t.line("               %s", t.in("dim", l))
	}
}

// decisionHTML is the page of a report without its doors.
func decisionHTML(w io.Writer, list []*doorward.Decision, about About) error {
	p := &page{Kind: "decision", Version: "decision"}
	for _, d := range list {
		p.Decisions = append(p.Decisions, viewDecision(d, about))
	}
	if len(list) > 0 {
		var names []string
		for _, s := range list[0].Subjects {
			names = append(names, plain(s.Name))
		}
		p.Name = strings.Join(names, ", ")
		p.Facts = []string{"policy " + plain(list[0].Policy), "SHA-256 " + plain(list[0].PolicySHA256), plain(list[0].At)}
	}
	p.seal()
	return pageTemplate.Execute(w, p)
}
