package declare

import (
	"fmt"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/facts"
)

// stater notes what a document states on who and where.
type stater struct {
	decl     *doorward.Declaration
	by       string // who says so
	class    doorward.EvidenceClass
	from, to string // validity of the document
}

func (r *reader) stater() *stater {
	return &stater{decl: r.decl, by: "the declaration " + r.name, class: doorward.Claimed}
}

func (s *stater) add(f doorward.OriginFact) {
	if f.Country == "" && f.Entity == "" || len(s.decl.Origins) >= maxStated {
		return
	}
	f.AssertedBy, f.Method, f.Class, f.SHA256, f.ValidFrom, f.ValidTo = s.by, "declaration", s.class, s.decl.SHA256, s.from, s.to
	s.decl.Origins = append(s.decl.Origins, f)
}

// maxStated bounds the facts of one document.
const maxStated = 200_000

// said is a name that says who; "" for the ways of saying nothing.
func said(name string) string {
	name = strings.TrimSpace(name)
	switch strings.ToLower(name) {
	case "noassertion", "none", "unknown", "n/a", "null", "not specified":
		return ""
	}
	if doorward.EntityKey(name) == "" {
		return ""
	}
	return name
}

// who states who did something.
func (s *stater) who(subject string, axis doorward.Axis, name, basis, pointer string, share *doorward.Share) {
	if name = said(name); name != "" {
		s.add(doorward.OriginFact{Subject: subject, Axis: axis, Entity: name, Share: share, Basis: basis, Evidence: name, Pointer: pointer})
	}
}

// seat states in which country an organisation's address is.
func (s *stater) seat(axis doorward.Axis, name, country, basis, pointer string) {
	if code := facts.Country(country); code != "" && said(name) != "" {
		s.add(doorward.OriginFact{Subject: doorward.EntitySubject(name), Axis: axis, Country: code, Basis: basis, Evidence: country, Pointer: pointer})
	}
}

// part gives a component a name that is
// unique in the document.
func (s *stater) part(c *doorward.Component, pointer string) string {
	if c.BOMRef == "" {
		c.BOMRef = "#" + pointer
	}
	return c.BOMRef
}

// organisation reads an organizationalEntity of CycloneDX.
func (s *stater) organisation(subject string, axis doorward.Axis, org *value, basis string) {
	name := org.get("name").text()
	if name == "" {
		return
	}
	s.who(subject, axis, name, basis, org.pointer, nil)
	for _, address := range append([]*value{org.get("address")}, org.get("addresses").list()...) {
		country := firstText(address.get("country"), address.get("isoCode"))
		if country != "" {
			s.seat(doorward.LegalSeat, name, country, basis+": country of its address", address.pointer)
		}
	}
}

// cyclonedx reads what one component says of its makers. manufacturer: who made
// it; supplier: who hands it out and answers for it; publisher; authors
// (CycloneDX 1.7, component); origins (draft of 2.0).
func (s *stater) cyclonedx(c *value, subject string) {
	made := doorward.Development
	if c.get("type").text() == "device" {
		made = doorward.Design
	}
	s.organisation(subject, made, c.get("manufacturer"), "CycloneDX manufacturer")
	s.organisation(subject, doorward.Maintenance, c.get("supplier"), "CycloneDX supplier")
	if publisher := c.get("publisher"); publisher.text() != "" && doorward.EntityKey(publisher.text()) != doorward.EntityKey(c.get("supplier", "name").text()) {
		s.who(subject, doorward.Maintenance, publisher.text(), "CycloneDX publisher", publisher.pointer, nil)
	}
	authors := c.get("authors").list()
	for _, a := range authors {
		s.who(subject, made, a.get("name").text(), "CycloneDX author", a.pointer, partOf(len(authors)))
	}
	if a := c.get("author"); a != nil && len(authors) == 0 {
		s.who(subject, made, a.text(), "CycloneDX author", a.pointer, nil)
	}
	for _, p := range c.get("properties").list() {
		if p.get("name").text() == "cdx:device:countryOfOrigin" {
			s.where(subject, doorward.Assembly, p.get("value").text(), "", nil, "property cdx:device:countryOfOrigin", p.pointer)
		}
	}
	for _, o := range c.get("origins").list() {
		s.origin(subject, o)
	}
}

// partOf is the share of one of several.
func partOf(n int) *doorward.Share {
	if n > 1 {
		return &doorward.Share{Max: 100}
	}
	return nil
}

// where states a country, and who worked there.
func (s *stater) where(subject string, axis doorward.Axis, country, entity string, share *doorward.Share, basis, pointer string) {
	code := facts.Country(country)
	if strings.EqualFold(strings.TrimSpace(country), "unknown") {
		code = doorward.UnknownCountry
	}
	if code != "" {
		s.add(doorward.OriginFact{Subject: subject, Axis: axis, Country: code, Entity: said(entity), Share: share, Basis: basis, Evidence: strings.TrimSpace(country), Pointer: pointer})
	}
}

// stages are the stages of CycloneDX's origins, as axes. Others (mined, smelted
// and what else happens to materials) are not asked for.
var stages = map[string]doorward.Axis{
	"designed": doorward.Design, "design": doorward.Design, "developed": doorward.Development, "development": doorward.Development, "built": doorward.Build, "compiled": doorward.Build,
	"fabricated": doorward.Fabrication, "manufactured": doorward.Fabrication, "packaged": doorward.Packaging, "tested": doorward.Packaging, "assembled": doorward.Assembly,
	"maintained": doorward.Maintenance, "supported": doorward.Maintenance, "hosted": doorward.Hosting, "operated": doorward.Operation, "imported": doorward.Importer,
}

// origin reads one of the origins of CycloneDX 2.0's draft: a stage, a basis and
// the regions, each with an isoCode (ISO 3166), a percentage and who performed it.
// Drafts name the list of regions differently.
func (s *stater) origin(subject string, o *value) {
	axis, ok := stages[strings.ToLower(firstText(o.get("stage"), o.get("stage", "name")))]
	if !ok {
		return
	}
	basis := "CycloneDX origins, stage " + firstText(o.get("stage"), o.get("stage", "name"))
	if b := firstText(o.get("basis"), o.get("basis", "name")); b != "" {
		basis += ", by " + b
	}
	regions := []*value{o}
	for _, m := range o.members {
		regions = append(regions, m.value.items...)
	}
	for _, region := range regions {
		country := firstText(region.get("isoCode"), region.get("country"))
		if country == "" {
			continue
		}
		var share *doorward.Share
		if n, ok := region.get("percentage").decimal(); ok && n >= 0 && n < 100 {
			share = &doorward.Share{Min: n, Max: n}
		}
		by := firstText(region.get("performedBy", "organization", "name"), region.get("performedBy", "name"))
		s.where(subject, axis, country, by, share, basis, region.pointer)
	}
}

// keep lists a component that something was stated of since before.
func (s *stater) keep(c *doorward.Component, before int) {
	if len(s.decl.Origins) > before {
		s.decl.Components = append(s.decl.Components, *c)
	}
}

// agent is the name in an SPDX actor: "Organization: Acme (info@acme.example)".
func agent(text string) string {
	for _, kind := range []string{"Organization:", "Person:", "Tool:"} {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(text), kind); ok {
			if kind == "Tool:" {
				return ""
			}
			if at := strings.LastIndex(rest, "("); at > 0 && strings.HasSuffix(strings.TrimSpace(rest), ")") {
				rest = rest[:at]
			}
			return said(rest)
		}
	}
	return ""
}

// decimal returns a number's value.
func (v *value) decimal() (float64, bool) {
	if v == nil {
		return 0, false
	}
	var n float64
	if _, err := fmt.Sscanf(fmt.Sprint(v.scalar), "%g", &n); err != nil || v.scalar == nil {
		return 0, false
	}
	return n, true
}
