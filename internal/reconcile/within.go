package reconcile

import (
	"strings"

	"github.com/doorward/doorward"
)

// parents knows the components of a product and which lies in which.
type parents map[string]*doorward.Component

func newParents(components []doorward.Component) parents {
	p := parents{}
	for i := range components {
		p[components[i].BOMRef] = &components[i]
	}
	return p
}

// maxParents bounds the way up from a component, against loops.
const maxParents = 64

// within says that the component (a bom-ref) is the declared one, or lies in
// it.
func (p parents) within(ref string, declared *doorward.Component) bool {
	if declared == nil {
		return true
	}
	for range maxParents {
		if ref == "" {
			return false
		}
		c := p[ref]
		if c == nil {
			// The report has no more of it than its bom-ref, often a purl.
			return ref == declared.BOMRef || declared.PURL != "" && ref == declared.PURL
		}
		if sameComponent(c, declared) {
			return true
		}
		ref = c.Parent
	}
	return false
}

// sameComponent compares by the strongest identity that both have: digest,
// purl, CPE, then name and version. Where the declaration gives no version, any
// fits.
func sameComponent(c, declared *doorward.Component) bool {
	switch {
	case c.SHA256 != "" && strings.EqualFold(c.SHA256, declared.SHA256):
		return true
	case c.PURL != "" && declared.PURL != "":
		return samePURL(c.PURL, declared.PURL)
	case c.CPE != "" && declared.CPE != "":
		return strings.EqualFold(c.CPE, declared.CPE)
	}
	return strings.EqualFold(c.Name, declared.Name) && (declared.Version == "" || SameVersion(c.Version, declared.Version))
}

// samePURL compares type, namespace, name and version; qualifiers (?arch=...)
// only say where it is from.
func samePURL(a, b string) bool {
	plain := func(s string) (string, string) {
		s, _, _ = strings.Cut(s, "#")
		s, _, _ = strings.Cut(s, "?")
		name, version, _ := strings.Cut(s, "@")
		return strings.ToLower(name), version
	}
	nameA, versionA := plain(a)
	nameB, versionB := plain(b)
	return nameA == nameB && (versionA == "" || versionB == "" || versionA == versionB)
}
