package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// Contradicting are the ids of origin facts that can't all be true: they answer
// the same question on the whole of a subject with different countries, or
// different entities.
func Contradicting(list []doorward.OriginFact) map[string]bool {
	type question struct {
		subject string
		axis    doorward.Axis
	}
	countries, entities := map[question]map[string]bool{}, map[question]map[string]bool{}
	put := func(m map[question]map[string]bool, q question, answer string) {
		if answer == "" || answer == doorward.UnknownCountry {
			return
		}
		if m[q] == nil {
			m[q] = map[string]bool{}
		}
		m[q][answer] = true
	}
	for _, f := range list {
		if q := (question{f.Subject, f.Axis}); isWhole(f) {
			put(countries, q, f.Country)
			put(entities, q, doorward.EntityKey(f.Entity))
		}
	}
	ids := map[string]bool{}
	for _, f := range list {
		q := question{f.Subject, f.Axis}
		// Several may sign, host or operate: only what one alone can be contradicts.
		if !isWhole(f) || f.Axis == doorward.SigningKey || f.Axis == doorward.Hosting || f.Axis == doorward.Operation {
			continue
		}
		if f.Country != "" && len(countries[q]) > 1 || f.Entity != "" && len(entities[q]) > 1 {
			ids[f.ID] = true
		}
	}
	return ids
}

func isWhole(f doorward.OriginFact) bool { return f.Share == nil || f.Share.Min == 100 }

// subjectNames are what facts' subjects are called.
func subjectNames(r *doorward.Report) map[string]string {
	names := map[string]string{doorward.ProductSubject: "the product"}
	for _, c := range r.Components {
		names[c.BOMRef] = strings.TrimSpace(c.Name + " " + c.Version)
	}
	for _, e := range r.Entities {
		for _, n := range e.Names() {
			if subject := doorward.EntitySubject(n); names[subject] == "" {
				names[subject] = e.Name
			}
		}
	}
	return names
}

// originRow is a fact in words.
type originRow struct {
	subject, axis, where, who, class, basis, evidence string
	contradicts                                       bool
}

func originRows(r *doorward.Report) []originRow {
	names, contradicting := subjectNames(r), Contradicting(r.Origins)
	var rows []originRow
	for _, f := range r.Origins {
		row := originRow{
			subject: cmp.Or(names[f.Subject], strings.TrimPrefix(f.Subject, "entity:")), axis: string(f.Axis), where: f.Country, who: f.Entity, class: string(f.Class),
			basis: f.Basis, evidence: f.Evidence, contradicts: contradicting[f.ID],
		}
		if f.Country == doorward.UnknownCountry {
			row.where = "not known"
		}
		if f.Share != nil && f.Share.Min < 100 {
			row.who = strings.TrimSpace(row.who + " (" + shareText(*f.Share) + ")")
		}
		rows = append(rows, row)
	}
	return rows
}

func shareText(s doorward.Share) string {
	switch {
	case s.Min == 0 && s.Max == 100:
		return "a part"
	case s.Min == s.Max:
		return fmt.Sprintf("%g %%", s.Min)
	}
	return fmt.Sprintf("%g to %g %%", s.Min, s.Max)
}

// WriteOrigins writes the origin facts of a report as a table for a terminal.
func WriteOrigins(w io.Writer, r *doorward.Report, opt Options) error {
	t := &text{width: opt.width(), color: opt.Color}
	t.line("%s", t.in("title", cut("Origin of "+plain(r.Subject.Name), t.width)))
	rows := originRows(r)
	t.line("%s on %s; %s", count(len(rows), "fact", "facts"), count(subjects(r.Origins), "subject", "subjects"), unknownText(r))
	last := ""
	for _, row := range rows {
		if row.subject != last {
			t.line("")
			t.line("%s", t.in("title", cut(plain(row.subject), t.width)))
			last = row.subject
		}
		mark := "  "
		if row.contradicts {
			mark = t.in("bad", "! ")
		}
		who := plain(strings.Join(filled(row.who, row.where), ", "))
		t.line("%s%s %s %s", mark, pad(row.axis, 14), pad(row.class, 8), cut(who, t.width-26))
		for _, l := range wrap(cut(plain(row.basis+": "+row.evidence), 2*(t.width-26)), t.width-26) {
			t.line("%s%s", strings.Repeat(" ", 26), t.in("dim", l))
		}
	}
	t.review(r)
	if slices.ContainsFunc(rows, func(row originRow) bool { return row.contradicts }) {
		t.line("")
		t.line("%s contradicts another fact on the same: all are kept", t.in("bad", "!"))
	}
	_, err := io.WriteString(w, t.b.String())
	return err
}

// review lists names that a person must look at.
func (t *text) review(r *doorward.Report) {
	for i, e := range slices.DeleteFunc(slices.Clone(r.Entities), func(e doorward.Entity) bool { return len(e.Review) == 0 }) {
		if i == 0 {
			t.title("TO REVIEW: names that are nearly the same, and decide nothing")
		}
		t.item(2, "", plain(e.Name)+": is it "+plain(strings.Join(e.Review, ", or "))+"?")
	}
}

func filled(texts ...string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return s == "" })
}

func subjects(list []doorward.OriginFact) int {
	seen := map[string]bool{}
	for _, f := range list {
		seen[f.Subject] = true
	}
	return len(seen)
}

// unknownText says of how many components nothing is known.
func unknownText(r *doorward.Report) string {
	known := map[string]bool{}
	for _, f := range r.Origins {
		known[f.Subject] = true
	}
	n := 0
	for _, c := range r.Components {
		if !known[c.BOMRef] {
			n++
		}
	}
	if n == 0 {
		return "something is known of every component"
	}
	return fmt.Sprintf("nothing is known of %d of %s", n, count(len(r.Components), "component", "components"))
}

// origins sums the facts up, by what is asked.
func (t *text) origins(r *doorward.Report) {
	if len(r.Origins) == 0 {
		return
	}
	t.title("ORIGIN: " + count(len(r.Origins), "fact", "facts") + "; " + unknownText(r))
	answers, names := map[doorward.Axis]map[string]int{}, subjectNames(r)
	for _, f := range r.Origins {
		if answers[f.Axis] == nil {
			answers[f.Axis] = map[string]int{}
		}
		answer := strings.Join(filled(f.Entity, f.Country), ", ")
		if f.Axis.OfEntity() {
			answer = cmp.Or(names[f.Subject], f.Subject) + ": " + answer
		}
		answers[f.Axis][answer]++
	}
	for _, axis := range slices.Concat(doorward.Activities, doorward.EntityAxes) {
		if len(answers[axis]) > 0 {
			label := "  " + pad(string(axis), 15)
			for i, l := range wrap(plain(most(answers[axis], 4)), t.width-17) {
				if i > 0 {
					label = strings.Repeat(" ", 17)
				}
				t.line("%s%s", label, l)
			}
		}
	}
	if n := len(Contradicting(r.Origins)); n > 0 {
		t.line("  %s", t.in("bad", count(n, "fact contradicts", "facts contradict")+" others (doorward origins lists them)"))
	}
}

// most names the answers that most facts give.
func most(answers map[string]int, names int) string {
	list := slices.SortedFunc(maps.Keys(answers), func(a, b string) int { return cmp.Or(cmp.Compare(answers[b], answers[a]), cmp.Compare(a, b)) })
	var parts []string
	for _, name := range list[:min(len(list), names)] {
		if n := answers[name]; n > 1 {
			name += fmt.Sprintf(" (%d)", n)
		}
		parts = append(parts, name)
	}
	if n := len(list) - names; n > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(parts, "; ")
}

// originsTable is the facts as a table of the page.
func originsTable(r *doorward.Report) table {
	t := table{Title: "Origin", N: number(len(r.Origins)), Head: []head{{"Of", false}, {"Axis", false}, {"Where", false}, {"Who", false}, {"Class", false}, {"Evidence", false}}}
	for i, row := range originRows(r) {
		if i == maxOriginRows {
			t.Rows = append(t.Rows, []cell{{Text: fmt.Sprintf("and %d more (in the JSON report)", len(r.Origins)-i)}, {}, {}, {}, {}, {}})
			break
		}
		axis := cell{Text: row.axis, Class: "key"}
		if row.contradicts {
			axis.Small = "contradicts another"
		}
		t.Rows = append(t.Rows, []cell{
			{Text: plain(row.subject)}, axis, {Text: plain(row.where)}, {Text: plain(row.who)}, {Text: row.class}, {Text: plain(row.basis), Small: plain(cutMiddle(row.evidence, 160))},
		})
	}
	return t
}

// maxOriginRows bounds the table of the page.
const maxOriginRows = 2000
