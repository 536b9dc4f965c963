package origin

import (
	"strings"

	"github.com/doorward/doorward"
)

// Declared makes facts on the product's components of what declarations state.
// What they state of a part that was not found is kept, too: the part is listed
// as declared. Hardware is of that sort.
func Declared(list []*doorward.Declaration, found []doorward.Component) (facts []doorward.OriginFact, parts []doorward.Component) {
	x := newParts(found)
	used := map[string]bool{}
	for _, c := range found {
		used[c.BOMRef] = true
	}
	for _, d := range list {
		subjects := map[string][]string{doorward.ProductSubject: {doorward.ProductSubject}}
		for _, c := range d.Components {
			refs := x.find(c)
			if len(refs) == 0 {
				ref := "declared:" + d.Document + "#" + strings.TrimPrefix(c.BOMRef, "#")
				if !used[ref] {
					used[ref] = true
					part := c
					part.BOMRef, part.Found, part.Where = ref, "declared", []doorward.Where{}
					parts = append(parts, part)
				}
				refs = []string{ref}
			}
			subjects[c.BOMRef] = refs
		}
		for _, f := range d.Origins {
			refs := subjects[f.Subject]
			if f.Axis.OfEntity() {
				refs = []string{f.Subject}
			}
			for _, ref := range refs {
				f.Subject = ref
				f.Where = []doorward.Where{{Path: []string{d.Document}, SHA256: d.SHA256}}
				facts = append(facts, f)
			}
		}
	}
	return facts, parts
}

// parts finds components by what documents call them.
type parts struct{ byKey map[string][]string }

func newParts(list []doorward.Component) *parts {
	x := &parts{map[string][]string{}}
	for _, c := range list {
		for _, key := range keysOf(c) {
			x.byKey[key] = append(x.byKey[key], c.BOMRef)
		}
	}
	return x
}

// keysOf are a component's names, the surest first. A name alone tells nothing:
// it needs a version.
func keysOf(c doorward.Component) []string {
	var keys []string
	if c.SHA256 != "" {
		keys = append(keys, "sha256 "+strings.ToLower(c.SHA256))
	}
	if base, _, _ := strings.Cut(c.PURL, "?"); base != "" && strings.Contains(base, "@") {
		keys = append(keys, "purl "+base)
	}
	if c.Name != "" && c.Version != "" {
		keys = append(keys, "name "+strings.ToLower(c.Name)+" "+c.Version)
	}
	return keys
}

func (x *parts) find(c doorward.Component) []string {
	for _, key := range keysOf(c) {
		if refs := x.byKey[key]; len(refs) > 0 {
			return refs
		}
	}
	return nil
}
