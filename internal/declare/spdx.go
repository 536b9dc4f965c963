package declare

import (
	"strconv"
	"strings"

	"github.com/doorward/doorward"
)

// An SPDX document declares no doors; it is read for who supplies and who first
// made its packages.

// spdxPackage is a package of any version of SPDX.
type spdxPackage struct {
	id, name, version, purl, sha256 string
	supplier, originator            string // actors, as they are written
	pointer                         string
}

// spdx2 reads SPDX 2.2 and 2.3 in JSON.
func (r *reader) spdx2(root *value) error {
	r.decl.Format = "spdx"
	described := map[string]bool{}
	for _, v := range root.get("documentDescribes").list() {
		described[v.text()] = true
	}
	for _, v := range root.get("relationships").list() {
		if v.get("relationshipType").text() == "DESCRIBES" && v.get("spdxElementId").text() == "SPDXRef-DOCUMENT" {
			described[v.get("relatedSpdxElement").text()] = true
		}
	}
	var list []spdxPackage
	for _, v := range root.get("packages").list() {
		p := spdxPackage{
			id: v.get("SPDXID").text(), name: v.get("name").text(), version: v.get("versionInfo").text(), supplier: v.get("supplier").text(), originator: v.get("originator").text(),
			pointer: v.pointer,
		}
		for _, e := range v.get("externalRefs").list() {
			if e.get("referenceType").text() == "purl" {
				p.purl = e.get("referenceLocator").text()
			}
		}
		for _, c := range v.get("checksums").list() {
			if c.get("algorithm").text() == "SHA256" {
				p.sha256 = strings.ToLower(c.get("checksumValue").text())
			}
		}
		list = append(list, p)
	}
	r.spdxPackages(list, described)
	return nil
}

// spdxPackages states who supplies packages, and who first made them. The one
// package that the document describes is the product.
func (r *reader) spdxPackages(list []spdxPackage, described map[string]bool) {
	s := r.stater()
	for _, p := range list {
		c := &doorward.Component{BOMRef: p.id, Name: p.name, Version: p.version, PURL: p.purl, SHA256: p.sha256}
		subject := s.part(c, p.pointer)
		if described[p.id] && len(described) == 1 {
			subject = doorward.ProductSubject
			r.decl.Subject.Name = p.name
			if p.version != "" {
				r.decl.Subject.Versions = []string{p.version}
			}
			if p.sha256 != "" {
				r.decl.Subject.SHA256 = []string{p.sha256}
			}
		}
		before := len(r.decl.Origins)
		s.who(subject, doorward.Maintenance, agent(p.supplier), "SPDX supplier", p.pointer+"/supplier", nil)
		s.who(subject, doorward.Development, agent(p.originator), "SPDX originator", p.pointer+"/originator", nil)
		if subject != doorward.ProductSubject {
			s.keep(c, before)
		}
	}
}

// spdxTags reads SPDX 2.2 and 2.3 in tag-value form: a line for each value, of
// which those between <text> and </text> may be several.
func (r *reader) spdxTags(text string) error {
	r.decl.Format = "spdx"
	var list []spdxPackage
	described := map[string]bool{}
	inText, line := false, 0
	for raw := range strings.Lines(text) {
		line++
		l := strings.TrimSpace(raw)
		if inText || strings.Contains(l, "<text>") {
			inText = !strings.Contains(l, "</text>")
			continue
		}
		tag, content, ok := strings.Cut(l, ":")
		if !ok || strings.HasPrefix(l, "#") {
			continue
		}
		content = strings.TrimSpace(content)
		if tag == "PackageName" {
			list = append(list, spdxPackage{name: content, pointer: "line " + strconv.Itoa(line)})
			continue
		}
		if tag == "Relationship" {
			if f := strings.Fields(content); len(f) == 3 && f[0] == "SPDXRef-DOCUMENT" && f[1] == "DESCRIBES" {
				described[f[2]] = true
			}
			continue
		}
		if len(list) > 0 {
			list[len(list)-1].tag(tag, content)
		}
	}
	r.spdxPackages(list, described)
	return nil
}

// tag takes a value of a package. A file or a snippet ends it: their ids must not
// pass for the package's.
func (p *spdxPackage) tag(tag, content string) {
	switch tag {
	case "SPDXID":
		if p.id == "" {
			p.id = content
		}
	case "PackageVersion":
		p.version = content
	case "PackageSupplier":
		p.supplier = content
	case "PackageOriginator":
		p.originator = content
	case "PackageChecksum":
		if sum, ok := strings.CutPrefix(content, "SHA256:"); ok {
			p.sha256 = strings.ToLower(strings.TrimSpace(sum))
		}
	case "ExternalRef":
		if f := strings.Fields(content); len(f) == 3 && f[1] == "purl" {
			p.purl = f[2]
		}
	}
}

// spdx3 reads SPDX 3.0 and the draft of 3.1 in JSON-LD: elements in a graph that
// name each other.
func (r *reader) spdx3(root *value) error {
	r.decl.Format = "spdx"
	byID := map[string]*value{}
	roots := map[string]bool{}
	graph := root.get("@graph").list()
	if graph == nil {
		graph = []*value{root}
	}
	id := func(v *value) string { return firstText(v.get("spdxId"), v.get("@id")) }
	for _, v := range graph {
		byID[id(v)] = v
	}
	for _, v := range graph {
		if kind := elementType(v); kind == "SpdxDocument" || kind == "software_Sbom" || kind == "Bom" {
			for _, e := range v.get("rootElement").list() {
				if elementType(byID[e.text()]) == "software_Package" {
					roots[e.text()] = true
				}
			}
		}
	}
	s := r.stater()
	for _, v := range graph {
		if elementType(v) != "software_Package" {
			continue
		}
		c := &doorward.Component{BOMRef: id(v), Name: v.get("name").text(), Version: v.get("software_packageVersion").text(), PURL: v.get("software_packageUrl").text()}
		subject := s.part(c, v.pointer)
		if roots[id(v)] && len(roots) == 1 {
			subject = doorward.ProductSubject
			r.decl.Subject.Name = c.Name
			if c.Version != "" {
				r.decl.Subject.Versions = []string{c.Version}
			}
		}
		before := len(r.decl.Origins)
		s.spdxAgent(subject, doorward.Maintenance, v.get("suppliedBy"), "SPDX suppliedBy", nil, byID)
		originators := v.get("originatedBy").list()
		for _, a := range originators {
			s.spdxAgent(subject, doorward.Development, a, "SPDX originatedBy", partOf(len(originators)), byID)
		}
		if subject != doorward.ProductSubject {
			s.keep(c, before)
		}
	}
	return nil
}

func elementType(v *value) string { return firstText(v.get("type"), v.get("@type")) }

// spdxAgent states an agent that is named by its id, and where it has its
// headquarters (3.1: PhysicalLocation, country in ISO 3166-1 alpha-3).
func (s *stater) spdxAgent(subject string, axis doorward.Axis, ref *value, basis string, share *doorward.Share, byID map[string]*value) {
	a := byID[ref.text()]
	if kind := elementType(a); kind != "Organization" && kind != "Person" && kind != "Agent" {
		return
	}
	name := a.get("name").text()
	s.who(subject, axis, name, basis, a.pointer, share)
	at := a.get("headquartersLocation")
	if at.text() != "" {
		at = byID[at.text()]
	}
	if country := at.get("country"); country.text() != "" {
		s.seat(doorward.ExecutiveSeat, name, country.text(), "SPDX headquartersLocation", country.pointer)
	}
}
