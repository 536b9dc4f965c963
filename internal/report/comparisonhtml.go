package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/doorward/doorward"
)

// maxTableFiles is how many changed files the page lists.
const maxTableFiles = 2000

// compareHTML writes a comparison as the same page as a report: its groups are
// the changes.
func compareHTML(w io.Writer, c *doorward.Comparison) error {
	r := asReport(c)
	p := &page{
		Version: plain(c.Tool.Version), Name: plain(firstOf(c.Received.Name, "received") + " against " + firstOf(c.Reference.Name, "reference")), Kind: "comparison", HasDoors: true,
		Says: plain(subjectSays(c.Received)), Facts: append(subjectFacts(r), "reference: SHA-256 "+plain(c.Reference.SHA256)),
	}
	for _, weight := range doorward.Weights {
		if n := c.Summary.Weight[weight]; n > 0 {
			p.Count += n
			p.Weights = append(p.Weights, filter{Value: string(weight), N: n})
		}
	}
	p.Say = "undeclared " + map[bool]string{true: "door was added or became worse", false: "doors were added or became worse"}[p.Count == 1]
	p.Warnings = append(p.Warnings, changeCounts(c))
	if n := c.Summary.UnreadBytes; n > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%s could not be read and may hold further doors: see below.", size(n)))
	}
	parts := newPartFinder(r)
	p.Map = parts.view(r)
	p.Filters = filters(r)
	for _, change := range doorward.Differences {
		g := group{Title: strings.ToUpper(string(change[0])) + string(change[1:]) + " doors"}
		for i := range c.Doors {
			if d := &c.Doors[i]; d.Change == change {
				v := viewDoor(&d.Door)
				v.Parts = parts.ids(&d.Door)
				for _, what := range d.What {
					v.Changed = append(v.Changed, plain(what))
				}
				g.Doors = append(g.Doors, v)
			}
		}
		if len(g.Doors) > 0 {
			p.Groups = append(p.Groups, g)
		}
	}
	for _, t := range []table{unreadTable(r), componentChanges(c), fileChanges(c)} {
		if len(t.Rows) > 0 {
			p.Tables = append(p.Tables, t)
		}
	}
	p.seal()
	return pageTemplate.Execute(w, p)
}

func componentChanges(c *doorward.Comparison) table {
	t := table{Title: "Components", N: number(len(c.Components)), Head: []head{{"Change", false}, {"Name", false}, {"Version", false}, {"What", false}}}
	for _, x := range c.Components {
		t.Rows = append(t.Rows, []cell{
			{Text: string(x.Change), Class: "key"}, {Text: plain(x.Component.Name), Small: plain(x.Component.PURL)}, {Text: plain(x.Component.Version)},
			{Text: plain(strings.Join(x.What, "; "))},
		})
	}
	return t
}

func fileChanges(c *doorward.Comparison) table {
	t := table{Title: "Files", N: number(len(c.Files)), Head: []head{{"Change", false}, {"Path", false}, {"What", false}, {"Size", true}}}
	for i, x := range c.Files {
		if i == maxTableFiles {
			t.Rows = append(t.Rows, []cell{{Text: fmt.Sprintf("%d more", len(c.Files)-i), Class: "key"}, {Text: "in the JSON"}, {}, {}})
			break
		}
		t.Rows = append(t.Rows, []cell{
			{Text: string(x.Change), Class: "key"}, {Text: plain(x.Path), Class: "mono"}, {Text: plain(strings.Join(x.What, "; "))}, {Text: size(x.Size), Class: "num"},
		})
	}
	return t
}
