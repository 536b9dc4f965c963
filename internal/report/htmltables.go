package report

import (
	"fmt"
	"strings"

	"github.com/doorward/doorward"
)

// tables makes the page's tables: what was not read, what was looked at, the
// declarations, the components, the detectors.
func (p *page) tables(r *doorward.Report) {
	for _, t := range []table{alteredTable(r), unreadTable(r), coverageTable(r), databasesTable(r), claimsTable(r), componentsTable(r), originsTable(r), detectorsTable(r)} {
		if len(t.Rows) > 0 {
			p.Tables = append(p.Tables, t)
		}
	}
}

func number(n int) string { return fmt.Sprint(n) }

func unreadTable(r *doorward.Report) table {
	t := table{Title: "Not read", N: size(r.Summary.UnreadBytes), Head: []head{{"Where", false}, {"Why", false}, {"Size", true}, {"Entropy", true}}}
	for _, u := range r.Unread {
		entropy := ""
		if u.Entropy > 0 {
			entropy = fmt.Sprintf("%.2f bits a byte", u.Entropy)
		}
		t.Rows = append(t.Rows, []cell{
			{Text: place(doorward.Where{Path: u.Path, Offset: &u.Offset}), Small: plain(u.Partition), Class: "mono"},
			{Text: plain(u.Reason), Small: plain(u.Note)}, {Text: size(u.Size), Class: "num"}, {Text: entropy, Class: "num"},
		})
	}
	return t
}

func coverageTable(r *doorward.Report) table {
	t := table{Title: "What was looked at", Head: []head{{"Kind", false}, {"Found", false}, {"Looked at", false}, {"By", false}}}
	for _, c := range r.Coverage {
		found := "none found"
		if c.Found > 0 {
			found = count(c.Found, "door", "doors")
		}
		t.Rows = append(t.Rows, []cell{
			{Text: plain(string(c.Kind)), Class: "key"}, {Text: found}, {Text: plain(c.LookedAt)}, {Text: plain(strings.Join(c.Detectors, ", "))},
		})
	}
	return t
}

func claimsTable(r *doorward.Report) table {
	t := table{Title: "Declarations", N: number(len(r.Declarations)), Head: []head{{"Claim", false}, {"Document", false}, {"Doors", true}}}
	for _, u := range r.Declarations {
		t.Rows = append(t.Rows, []cell{
			{Text: plain(u.Text), Small: plain(u.Note)}, {Text: plain(u.Document), Small: plain(u.Pointer)}, {Text: number(u.Matched), Class: "num"},
		})
	}
	return t
}

func componentsTable(r *doorward.Report) table {
	t := table{Title: "Components", N: number(len(r.Components)), Head: []head{{"Name", false}, {"Version", false}, {"Where", false}, {"Found by", false}}}
	for _, c := range r.Components {
		where := ""
		if len(c.Where) > 0 {
			where = cutMiddle(place(c.Where[0]), 90)
		}
		t.Rows = append(t.Rows, []cell{
			{Text: plain(c.Name), Small: plain(firstOf(c.PURL, c.CPE)), Class: "key"}, {Text: plain(c.Version)}, {Text: where, Class: "mono"}, {Text: plain(c.Found)},
		})
	}
	return t
}

func detectorsTable(r *doorward.Report) table {
	t := table{Title: "Detectors", N: number(len(r.Tool.Detectors)), Head: []head{{"Name", false}, {"Status", false}, {"Doors", true}}}
	for _, d := range r.Tool.Detectors {
		t.Rows = append(t.Rows, []cell{{Text: plain(d.Name), Class: "key"}, {Text: plain(d.Status), Small: plain(d.Error)}, {Text: number(d.Doors), Class: "num"}})
	}
	return t
}
