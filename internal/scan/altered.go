package scan

import (
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// citeAlterations tells of each door whose file is not as its package brought
// it, or that no package brought: then it came after the package's maker.
func citeAlterations(r *doorward.Report) {
	if r.Alterations == nil {
		return
	}
	notes := map[string]doorward.Evidence{}
	for _, a := range r.Alterations.Altered {
		note(notes, a, "this file of "+a.Package+" differs from what the package database says ("+a.Expected+")")
	}
	for _, a := range r.Alterations.Foreign {
		note(notes, a, "this program lies in a folder of the system and belongs to no package")
	}
	for i := range r.Doors {
		d := &r.Doors[i]
		for _, w := range d.Where {
			if e, ok := notes[strings.Join(w.Path, "\x00")]; ok && !slices.Contains(d.Evidence, e) {
				d.Evidence = append(d.Evidence, e)
			}
		}
	}
}

// note remembers what is to be said of a file, by each of its places.
func note(notes map[string]doorward.Evidence, a doorward.Alteration, text string) {
	for _, w := range a.Where {
		what := a.Found
		if what == "" {
			what = "sha256:" + w.SHA256
		}
		notes[strings.Join(w.Path, "\x00")] = doorward.Evidence{What: what, Note: text, Path: w.Inner()}
	}
}
