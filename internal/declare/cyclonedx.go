package declare

import (
	"errors"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// The versions of CycloneDX that are read.
var specVersions = []string{"1.4", "1.5", "1.6", "1.7", "2.0"}

// cyclonedx reads a CycloneDX document.
func (r *reader) cyclonedx(root *value) error {
	r.decl.Format = "cyclonedx"
	version := root.get("specVersion")
	if !slices.Contains(specVersions, version.text()) {
		at := 0
		if version != nil {
			at = version.start
		}
		return r.errorAt(at, "CycloneDX %q is not read; write the declaration in %s", version.text(), strings.Join(specVersions, ", "))
	}
	product := root.get("metadata", "component")
	r.subject(product)
	b := &bom{reader: r, byRef: map[string]*doorward.Component{}, stated: r.stater()}
	b.stated.cyclonedx(product, doorward.ProductSubject)
	b.stated.organisation(doorward.ProductSubject, doorward.Development, root.get("metadata", "manufacture"), "CycloneDX manufacture") // before 1.6: of the product
	b.stated.organisation(doorward.ProductSubject, doorward.Maintenance, root.get("metadata", "supplier"), "CycloneDX supplier")
	for _, place := range []*value{product, root.get("metadata"), root} {
		if err := b.properties(place, nil); err != nil {
			return err
		}
	}
	b.product = product.get("bom-ref").text()
	for _, list := range []*value{product.get("components"), root.get("components")} {
		if err := b.components(list); err != nil {
			return err
		}
	}
	if err := b.services(root.get("services")); err != nil {
		return err
	}
	return b.claims(root.get("declarations"))
}

// subject reads which product the declaration is of.
func (r *reader) subject(component *value) {
	r.decl.Subject.Name = component.get("name").text()
	if v := component.get("version").text(); v != "" {
		r.decl.Subject.Versions = []string{v}
	}
	if h := sha256Of(component); h != "" {
		r.decl.Subject.SHA256 = []string{h}
	}
}

func sha256Of(component *value) string {
	for _, h := range component.get("hashes").list() {
		if h.get("alg").text() == "SHA-256" {
			return strings.ToLower(h.get("content").text())
		}
	}
	return ""
}

// bom reads the parts of one CycloneDX document.
type bom struct {
	*reader
	product string // bom-ref
	byRef   map[string]*doorward.Component
	stated  *stater
}

// properties reads the doorward properties of a component, service or BOM.
func (b *bom) properties(holder *value, within *doorward.Component) error {
	for _, p := range holder.get("properties").list() {
		says := doorward.Says(p.get("name").text())
		if !strings.HasPrefix(string(says), "doorward:") || strings.HasPrefix(string(says), "doorward:report:") {
			continue
		}
		text := p.get("value")
		if text == nil || text.str == nil {
			return b.errorAt(p.start, "the property %s has no text as its value", says)
		}
		if err := b.claim(says, text, 0, within); err != nil {
			return err
		}
	}
	return nil
}

// claim reads the claim that a string holds from byte skip on.
func (b *bom) claim(says doorward.Says, text *value, skip int, within *doorward.Component) error {
	c, err := ParseClaim(says, text.text()[skip:])
	if err != nil {
		var at *claimError
		offset := text.start
		if errors.As(err, &at) {
			offset = text.at(b.text, skip+at.at)
		}
		return b.errorAt(offset, "%s: %v", says, err)
	}
	c.Pointer, c.Within = text.pointer, within
	b.decl.Claims = append(b.decl.Claims, c)
	return nil
}

// components reads components and what is nested in them.
func (b *bom) components(list *value) error {
	for _, c := range list.list() {
		component := &doorward.Component{
			BOMRef:  c.get("bom-ref").text(),
			Name:    c.get("name").text(),
			Version: c.get("version").text(),
			PURL:    c.get("purl").text(),
			CPE:     c.get("cpe").text(),
			SHA256:  sha256Of(c),
		}
		if component.BOMRef != "" {
			b.byRef[component.BOMRef] = component
		}
		part, before := *component, len(b.decl.Origins)
		part.Type = c.get("type").text()
		b.stated.cyclonedx(c, b.stated.part(&part, c.pointer))
		b.stated.keep(&part, before)
		if err := b.properties(c, component); err != nil {
			return err
		}
		if err := b.components(c.get("components")); err != nil {
			return err
		}
	}
	return nil
}

// services reads the endpoints and properties of services.
func (b *bom) services(list *value) error {
	for _, s := range list.list() {
		if err := b.properties(s, nil); err != nil {
			return err
		}
		for _, e := range s.get("endpoints").list() {
			if c, ok := endpointClaim(e.text(), s.get("name").text()); ok {
				c.Pointer, c.Purpose = e.pointer, s.get("description").text()
				b.decl.Claims = append(b.decl.Claims, c)
			}
		}
		if err := b.services(s.get("services")); err != nil {
			return err
		}
	}
	return nil
}

// claims reads CycloneDX attestations (1.6): a claim whose predicate is worded
// like a property, such as "doorward:no-door debug".
func (b *bom) claims(declarations *value) error {
	targets := declarations.get("targets")
	b.targets(targets.get("components"))
	for _, c := range declarations.get("claims").list() {
		predicate := c.get("predicate")
		says, rest, ok := strings.Cut(predicate.text(), " ")
		if !strings.HasPrefix(says, "doorward:") || strings.HasPrefix(says, "doorward:report:") {
			continue
		}
		skip := len(says)
		if ok {
			skip = len(predicate.text()) - len(rest)
		}
		var within *doorward.Component
		if target := c.get("target").text(); target != b.product {
			within = b.byRef[target]
		}
		if err := b.claim(doorward.Says(says), predicate, skip, within); err != nil {
			return err
		}
	}
	return nil
}

func (b *bom) targets(list *value) {
	for _, c := range list.list() {
		if ref := c.get("bom-ref").text(); ref != "" && ref != b.product && b.byRef[ref] == nil {
			b.byRef[ref] = &doorward.Component{
				BOMRef: ref, Name: c.get("name").text(), Version: c.get("version").text(),
				PURL: c.get("purl").text(), CPE: c.get("cpe").text(), SHA256: sha256Of(c),
			}
		}
	}
}
