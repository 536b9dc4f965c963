package origin

import (
	"context"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
)

// Packages reads who answers for a package, as its database or its own
// description says.
var Packages = &Gatherer{
	Name: "origin-packages",
	Doc: "Reads the maintainer, vendor and packager of dpkg, opkg, apk and rpm packages. Neither an address's nor a homepage's domain says in which " +
		"country anyone is.",
	Run: runPackages,
}

// packageFields are the fields of packages, and what is asked of them. They
// stand in the details of a component.
var packageFields = []struct {
	key  string
	axis doorward.Axis
	name map[string]string // of the field, by what found the component
}{
	{"maintainer", doorward.Maintenance, map[string]string{"dpkg": "Maintainer", "opkg": "Maintainer", "apk": "maintainer"}},
	{"vendor", doorward.Build, map[string]string{"dpkg": "Origin", "opkg": "Origin", "rpm": "Vendor"}},
	{"packager", doorward.Maintenance, map[string]string{"rpm": "Packager"}},
}

func runPackages(_ context.Context, in *Input, out *detect.Sink) error {
	for i := range in.Components {
		c := &in.Components[i]
		for _, field := range packageFields {
			text, name := c.Detail[field.key], field.name[c.Found]
			entity := person(text)
			if name == "" || !named(entity) {
				continue
			}
			evidence := name + ": " + text
			if host := c.Detail["build-host"]; host != "" && field.axis == doorward.Build {
				evidence += "; Buildhost: " + host
			}
			out.Origin(doorward.OriginFact{
				Subject: c.BOMRef, Axis: field.axis, Entity: entity, Basis: c.Found + " field " + name, AssertedBy: "the package",
				Method: "package-database", Class: doorward.Claimed, Evidence: evidence, Pointer: c.Name, Where: first(c.Where),
			})
		}
	}
	return nil
}

func first(list []doorward.Where) []doorward.Where { return list[:min(len(list), 1)] }

// Systems reads who made the operating system and the product, as its release
// files say, and who is known to develop software that was recognised by its
// content.
var Systems = &Gatherer{
	Name: "origin-systems",
	Doc:  "Reads the maker that release files name, the author of kernel modules, and the developers of well-known software (a table).",
	Run:  runSystems,
}

func runSystems(_ context.Context, in *Input, out *detect.Sink) error {
	if maker := person(in.Subject.Maker); named(maker) {
		axis, basis, method := doorward.Development, "the maker that the product's release file names", "release-file"
		if in.Subject.Kind == "package" {
			axis, basis, method = doorward.Maintenance, "the maintainer that the package names", "package-database"
		}
		out.Origin(doorward.OriginFact{
			Subject: doorward.ProductSubject, Axis: axis, Entity: maker, Basis: basis, AssertedBy: "the product", Method: method,
			Class: doorward.Claimed, Evidence: in.Subject.Maker, Where: []doorward.Where{{Path: []string{in.Subject.Name}}},
		})
	}
	for i := range in.Components {
		c := &in.Components[i]
		fact := doorward.OriginFact{
			Subject: c.BOMRef, Axis: doorward.Development, Entity: person(c.Maker), AssertedBy: "the product", Evidence: c.Maker, Where: first(c.Where), Class: doorward.Claimed,
		}
		switch {
		case !named(fact.Entity):
			continue
		case c.Found == "release":
			fact.Basis, fact.Method = "the maker in the system's release file", "release-file"
		case c.Type == "device-driver":
			fact.Basis, fact.Method, fact.Share = "author in the kernel module", "module-info", &doorward.Share{Max: 100}
		case c.Found == "content" || c.Found == "elf":
			fact.Basis, fact.Method, fact.Class, fact.AssertedBy = "known developers of "+c.Name+", which was recognised by its content", "table", doorward.Inferred, "doorward's table of well-known software"
			fact.Evidence = strings.TrimSpace(c.Name + " " + c.Version)
		default:
			continue
		}
		out.Origin(fact)
	}
	return nil
}
