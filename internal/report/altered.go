package report

import (
	"fmt"
	"strings"

	"github.com/doorward/doorward"
)

// altered says in a sentence what differs from the package databases; "" if
// nothing does.
func altered(a *doorward.Alterations) string {
	if a == nil {
		return ""
	}
	changed, foreign, login := 0, 0, 0
	for _, d := range a.Databases {
		changed += d.Altered
		foreign += d.Foreign
	}
	for _, x := range a.Altered {
		if x.Role == "login" {
			login++
		}
	}
	var parts []string
	if changed > 0 {
		text := count(changed, "file of a package differs from its database", "files of packages differ from their database")
		if login > 0 {
			text += fmt.Sprintf(" (%d of them %s who gets in)", login, map[bool]string{true: "decides", false: "decide"}[login == 1])
		}
		parts = append(parts, text)
	}
	if foreign > 0 {
		parts = append(parts, count(foreign, "program in a folder of the system belongs to no package", "programs in folders of the system belong to no package"))
	}
	return strings.Join(parts, ", ")
}

// roleWords say what a file of a role does.
var roleWords = map[string]string{
	"login": "decides who gets in", "startup": "runs at start-up", "module": "kernel module", "program": "program",
	"library": "library", "script": "script", "data": "data",
}

// alterations tells which files are not as their packages brought them.
func (t *text) alterations(r *doorward.Report) {
	a := r.Alterations
	if a == nil {
		return
	}
	if altered(a) != "" {
		t.title("ALTERED")
		t.alterationList("Differing from the package database", a.Altered)
		t.alterationList("Programs of no package in the system's folders", a.Foreign)
		t.alterationList("Configuration that was changed, as it may be", a.Configuration)
	} else {
		t.title("FILES OF PACKAGES")
	}
	for _, d := range a.Databases {
		for i, l := range wrap(plain(databaseSays(d)), t.width-4) {
			t.line("%s%s", []string{"  ", "    "}[min(i, 1)], t.in("dim", l))
		}
	}
}

func (t *text) alterationList(what string, list []doorward.Alteration) {
	if len(list) == 0 {
		return
	}
	t.line("  %s: %d", what, len(list))
	for i, a := range list {
		if i == fullUpTo {
			t.line("    and %d more (in the JSON report)", len(list)-i)
			break
		}
		t.line("    %s", cutMiddle(place(a.Where[0]), t.width-4))
		says := roleWords[a.Role]
		if a.Package != "" {
			says += ", of " + a.Package
		}
		if a.Expected != "" {
			says += "; " + short(a.Expected) + " expected, " + short(a.Found) + " found"
		}
		for _, l := range wrap(plain(says), t.width-6) {
			t.line("      %s", t.in("dim", l))
		}
	}
}

// short cuts the digits of a sum to what tells it from others.
func short(sum string) string {
	algorithm, digits, ok := strings.Cut(sum, ":")
	if digits, rest, more := strings.Cut(digits, ","); ok && len(digits) > 12 {
		sum = algorithm + ":" + digits[:12] + "…"
		if more {
			sum += "," + rest
		}
	}
	return sum
}

// databaseSays tells how far a database could be used.
func databaseSays(d doorward.FileDatabase) string {
	text := fmt.Sprintf("%s, %s: %s", d.Format, count(d.Packages, "package", "packages"), count(d.Checked, "file checked", "files checked"))
	for _, part := range []struct {
		n    int
		what string
	}{
		{d.Altered, "differ"}, {d.Changed, "configuration that was changed"}, {d.Foreign, "programs of no package"},
		{d.Unchecked, "without a checksum"}, {d.Unread, "not readable"}, {d.Missing, "missing"},
	} {
		if part.n > 0 {
			text += fmt.Sprintf(", %d %s", part.n, part.what)
		}
	}
	if d.Note != "" {
		text += "; " + d.Note
	}
	return text
}

func alteredTable(r *doorward.Report) table {
	t := table{Title: "Altered files of packages", Head: []head{{"Where", false}, {"What", false}, {"Package", false}, {"Expected and found", false}}}
	a := r.Alterations
	if a == nil {
		return t
	}
	for _, group := range []struct {
		what string
		list []doorward.Alteration
	}{{"differs from its package", a.Altered}, {"belongs to no package", a.Foreign}, {"configuration, changed", a.Configuration}} {
		for _, x := range group.list {
			t.Rows = append(t.Rows, []cell{
				{Text: place(x.Where[0]), Class: "mono"}, {Text: group.what, Small: roleWords[x.Role]},
				{Text: plain(x.Package)}, {Text: plain(x.Expected), Small: plain(x.Found), Class: "mono"},
			})
		}
	}
	t.N = number(len(t.Rows))
	return t
}

func databasesTable(r *doorward.Report) table {
	t := table{Title: "Package databases", Head: []head{{"Database", false}, {"Where", false}, {"What was checked", false}}}
	if r.Alterations == nil {
		return t
	}
	for _, d := range r.Alterations.Databases {
		where := ""
		if len(d.Where) > 0 {
			where = place(d.Where[0])
		}
		t.Rows = append(t.Rows, []cell{{Text: plain(d.Format), Class: "key"}, {Text: where, Class: "mono"}, {Text: plain(databaseSays(d))}})
	}
	return t
}
