package report

import (
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/doorward/doorward"
)

// WriteComparison writes a comparison as text, JSON, SARIF or HTML. Secrets are
// written as they stand in it: mask the reports before they are compared.
func WriteComparison(w io.Writer, format string, c *doorward.Comparison, opt Options) error {
	switch format {
	case "text":
		return compareText(w, c, opt)
	case "json":
		return encode(w, completeComparison(c))
	case "sarif":
		return compareSARIF(w, c)
	case "html":
		return compareHTML(w, c)
	case "cyclonedx":
		return fmt.Errorf("a comparison has no CycloneDX form: choose text, json, sarif or html")
	}
	return fmt.Errorf("unknown format %q: there are text, json, sarif and html", format)
}

func completeComparison(c *doorward.Comparison) *doorward.Comparison {
	out := *c
	out.Schema = doorward.ComparisonSchema
	out.Tool.Detectors = some(out.Tool.Detectors)
	out.Doors = append([]doorward.DoorChange{}, c.Doors...)
	for i := range out.Doors {
		d := &out.Doors[i]
		d.Door = completeDoor(d.Door)
		if d.Was != nil {
			was := completeDoor(*d.Was)
			d.Was = &was
		}
	}
	out.Components = append([]doorward.ComponentChange{}, c.Components...)
	for i := range out.Components {
		x := &out.Components[i]
		x.Component.Where = some(x.Component.Where)
		if x.Was != nil {
			was := *x.Was
			was.Where = some(was.Where)
			x.Was = &was
		}
	}
	out.Files, out.Unread = some(out.Files), some(out.Unread)
	return &out
}

// asReport gives the doors of a comparison as a report of what was received, so
// that what writes reports can write it.
func asReport(c *doorward.Comparison) *doorward.Report {
	r := &doorward.Report{Tool: c.Tool, Subject: c.Received, Unread: c.Unread, Layout: c.Layout, Date: c.Date}
	for _, d := range c.Doors {
		r.Doors = append(r.Doors, d.Door)
	}
	Summarise(r)
	return r
}

// compareSARIF writes changes as results with a baseline state.
func compareSARIF(w io.Writer, c *doorward.Comparison) error {
	states := map[string]string{}
	for _, d := range c.Doors {
		states[d.Door.ID] = map[doorward.Difference]string{doorward.Added: "new", doorward.Changed: "updated", doorward.Removed: "absent"}[d.Change]
	}
	run := sarifOf(asReport(c), func(d *doorward.Door) string { return states[d.ID] })
	for i, d := range c.Doors {
		if len(d.What) > 0 {
			run.Results[i].Properties["changed"] = d.What
		}
	}
	return encode(w, sarifLog{
		Schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run},
	})
}

// alarming says that a change adds an undeclared door or makes one worse.
func alarming(d *doorward.DoorChange) bool {
	return IsUndeclared(&d.Door) && (d.Change == doorward.Added || d.Change == doorward.Changed && d.Worse)
}

func compareText(w io.Writer, c *doorward.Comparison, opt Options) error {
	t := &text{width: opt.width(), color: opt.Color}
	t.line("%s", t.in("title", cut("Doorward "+plain(c.Tool.Version)+": "+plain(c.Received.Name)+" against "+plain(c.Reference.Name), t.width)))
	for _, s := range []struct {
		label   string
		subject doorward.Subject
	}{{"reference", c.Reference}, {"received", c.Received}} {
		facts := []string{size(s.subject.Size)}
		if len(s.subject.SHA256) >= 16 {
			facts = append(facts, "SHA-256 "+plain(s.subject.SHA256[:16])+"…")
		}
		if says := subjectSays(s.subject); says != "" {
			facts = append(facts, plain(says))
		}
		t.line("%s", cut(pad(s.label, 11)+strings.Join(facts, ", "), t.width))
	}
	t.line("")
	t.line("%s", changeCounts(c))
	t.compareVerdict(c)
	t.changedDoors(c)
	t.changedComponents(c)
	t.changedFiles(c)
	t.unread(&doorward.Report{Unread: c.Unread, Summary: doorward.Summary{UnreadBytes: c.Summary.UnreadBytes}})
	_, err := io.WriteString(w, t.b.String())
	return err
}

// changeCounts says what changed in one line.
func changeCounts(c *doorward.Comparison) string {
	var parts []string
	for _, x := range []struct {
		one, many string
		n         map[doorward.Difference]int
	}{{"door", "doors", c.Summary.Doors}, {"component", "components", c.Summary.Components}, {"file", "files", c.Summary.Files}} {
		var words []string
		total := 0
		for _, d := range doorward.Differences {
			if n := x.n[d]; n > 0 {
				total += n
				words = append(words, fmt.Sprintf("%d %s", n, d))
			}
		}
		if total > 0 {
			parts = append(parts, x.many+": "+strings.Join(words, ", "))
		}
	}
	if parts == nil {
		return "No door, component or file changed."
	}
	return strings.Join(parts, "; ")
}

func (t *text) compareVerdict(c *doorward.Comparison) {
	var parts []string
	n := 0
	for _, w := range doorward.Weights {
		if k := c.Summary.Weight[w]; k > 0 {
			n += k
			parts = append(parts, t.in(string(w), fmt.Sprintf("%d %s", k, w)))
		}
	}
	if n == 0 {
		t.line("%s", t.in("good", "No undeclared door was added or became worse."))
		return
	}
	t.line("%s %s", t.in("title", count(n, "undeclared door was added or became worse:", "undeclared doors were added or became worse:")), strings.Join(parts, ", "))
}

func (t *text) changedDoors(c *doorward.Comparison) {
	for _, change := range doorward.Differences {
		if c.Summary.Doors[change] == 0 {
			continue
		}
		t.title(strings.ToUpper(string(change)) + " DOORS")
		first := true
		for i := range c.Doors {
			d := &c.Doors[i]
			switch {
			case d.Change != change:
				continue
			case !alarming(d):
				t.short(&d.Door, firstOf(strings.Join(d.What, "; "), string(d.Door.Status)+" "+path.Base(d.Door.InnerPath())))
				continue
			}
			if !first {
				t.line("")
			}
			first = false
			t.full(&d.Door)
			for _, what := range d.What {
				t.item(2, "changed", plain(what))
			}
		}
	}
}

// sign marks a change in a list.
var sign = map[doorward.Difference]string{doorward.Added: "+", doorward.Changed: "~", doorward.Removed: "-"}

func (t *text) changedComponents(c *doorward.Comparison) {
	if len(c.Components) == 0 {
		return
	}
	t.title(fmt.Sprintf("COMPONENTS: %d", len(c.Components)))
	for _, x := range c.Components {
		t.line("%s", cut(fmt.Sprintf("  %s %s %s  %s", sign[x.Change], plain(x.Component.Name), plain(x.Component.Version), plain(strings.Join(x.What, "; "))), t.width))
	}
}

// maxFiles is how many changed files text tells.
const maxFiles = 40

func (t *text) changedFiles(c *doorward.Comparison) {
	if len(c.Files) == 0 {
		return
	}
	t.title(fmt.Sprintf("FILES: %d", len(c.Files)))
	for i, x := range c.Files {
		if i == maxFiles {
			t.line("  and %s (in the JSON)", count(len(c.Files)-i, "more file", "more files"))
			break
		}
		what := plain(strings.Join(x.What, "; "))
		t.line("  %s %s  %s", sign[x.Change], cutMiddle(plain(x.Path), max(t.width-6-columns(what), 30)), cut(what, t.width-36))
	}
}
