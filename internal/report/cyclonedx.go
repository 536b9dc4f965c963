package report

import (
	"crypto/sha256"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// writeCycloneDX writes the product's components as a CycloneDX 1.7 SBOM: what
// lies in what is nested, doors are properties of the product, and a claim of
// the maker that a door contradicts has the door as its counter-evidence.
func writeCycloneDX(w io.Writer, r *doorward.Report) error {
	const product = "doorward-subject"
	s := r.Subject
	top := cdxComponent{
		Type: subjectType(s.Kind), BOMRef: product, Name: firstOf(s.Product, s.Name, "unnamed"), Version: s.Version,
		Hashes: cdxHashes(s.SHA256), Supplier: cdxSupplier(s.Maker), Properties: doorProperties(r),
	}
	bom := cdxBOM{
		Schema: "http://cyclonedx.org/schema/bom-1.7.schema.json", Format: "CycloneDX", SpecVersion: "1.7",
		Serial: serial(r), Version: 1,
		Metadata: cdxMetadata{
			Tools:     cdxTools{[]cdxComponent{{Type: "application", Name: "Doorward", Version: r.Tool.Version}}},
			Component: top,
		},
		Components:   nest(r.Components, product),
		Compositions: []cdxComposition{{Aggregate: "unknown", Assemblies: []string{product}}},
	}
	bom.Declarations, bom.Definitions = cdxContradicted(r, product)
	makers := cdxMakersOf(r.Origins)
	makers.fill(&bom.Metadata.Component, doorward.ProductSubject)
	for i := range bom.Components {
		makers.fill(&bom.Components[i], bom.Components[i].BOMRef)
	}
	if r.Date != "" {
		bom.Metadata.Timestamp = r.Date + "T00:00:00Z"
	}
	if len(r.Unread) > 0 {
		bom.Compositions[0].Aggregate = "incomplete"
	}
	return encode(w, bom)
}

type (
	cdxBOM struct {
		Schema       string           `json:"$schema"`
		Format       string           `json:"bomFormat"`
		SpecVersion  string           `json:"specVersion"`
		Serial       string           `json:"serialNumber"`
		Version      int              `json:"version"`
		Metadata     cdxMetadata      `json:"metadata"`
		Components   []cdxComponent   `json:"components"`
		Compositions []cdxComposition `json:"compositions"`
		Declarations *cdxDeclarations `json:"declarations,omitempty"`
		Definitions  *cdxDefinitions  `json:"definitions,omitempty"`
	}
	cdxMetadata struct {
		Timestamp string       `json:"timestamp,omitempty"`
		Tools     cdxTools     `json:"tools"`
		Component cdxComponent `json:"component"`
	}
	cdxTools struct {
		Components []cdxComponent `json:"components"`
	}
	cdxComponent struct {
		Type         string         `json:"type"`
		BOMRef       string         `json:"bom-ref,omitempty"`
		Supplier     *cdxOrg        `json:"supplier,omitempty"`
		Manufacturer *cdxOrg        `json:"manufacturer,omitempty"`
		Name         string         `json:"name"`
		Version      string         `json:"version,omitempty"`
		Hashes       []cdxHash      `json:"hashes,omitempty"`
		CPE          string         `json:"cpe,omitempty"`
		PURL         string         `json:"purl,omitempty"`
		Components   []cdxComponent `json:"components,omitempty"`
		Evidence     *cdxEvidence   `json:"evidence,omitempty"`
		Properties   []cdxProperty  `json:"properties,omitempty"`
	}
	cdxOrg struct {
		Name    string      `json:"name"`
		Address *cdxAddress `json:"address,omitempty"`
	}
	cdxAddress struct {
		Country string `json:"country"`
	}
	cdxHash struct {
		Alg     string `json:"alg"`
		Content string `json:"content"`
	}
	cdxEvidence struct {
		Occurrences []cdxOccurrence `json:"occurrences"`
	}
	cdxOccurrence struct {
		Location string `json:"location"`
		Offset   *int64 `json:"offset,omitempty"`
	}
	cdxProperty struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	cdxComposition struct {
		Aggregate  string   `json:"aggregate"`
		Assemblies []string `json:"assemblies"`
	}
)

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// subjectType gives the CycloneDX type of an artifact.
func subjectType(kind string) string {
	switch kind {
	case "container":
		return "container"
	case "package", "program":
		return "application"
	case "directory":
		return "platform"
	}
	return "firmware"
}

func cdxSupplier(maker string) *cdxOrg {
	if maker == "" {
		return nil
	}
	return &cdxOrg{Name: maker}
}

func cdxHashes(sum string) []cdxHash {
	if sum == "" {
		return nil
	}
	return []cdxHash{{"SHA-256", sum}}
}

// serial is a UUID (version 8, RFC 9562) that the same report always has.
func serial(r *doorward.Report) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00%s\x00%d", r.Subject.SHA256, r.Subject.Name, r.Tool.Version, len(r.Components))
	b := h.Sum(nil)
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// doorProperties lists the decision, if there is one, and the doors, for people
// who read SBOMs.
func doorProperties(r *doorward.Report) []cdxProperty {
	var list []cdxProperty
	if d := r.Decision; d != nil {
		list = append(list, cdxProperty{"doorward:report:decision", plain(fmt.Sprintf("%s for level %s, by policy %s (SHA-256 %s) on %s", d.Result, d.Level, d.Policy, d.PolicySHA256, d.At))})
		for _, reason := range d.Reasons {
			list = append(list, cdxProperty{"doorward:report:reason", plain(reason.Rule + ": " + reason.Text)})
		}
	}
	for i := range r.Doors {
		d := &r.Doors[i]
		list = append(list, cdxProperty{"doorward:report:door", fmt.Sprintf("%s %s, %s: %s (%s)", d.Weight, d.Kind, d.Status, plain(d.Title), d.ID)})
	}
	return list
}

var (
	cdxTypes = strings.Fields("application framework library container platform operating-system device device-driver firmware file machine-learning-model data cryptographic-asset")
	cpeForm  = regexp.MustCompile(`^([c][pP][eE]:/[AHOaho]?(:[A-Za-z0-9._\-~%]*){0,6})$|^(cpe:2\.3:[aho*\-](:(((\?*|\*?)([a-zA-Z0-9\-._]|(\\[\\*?!"#$%&'()+,/:;<=>@\[\]\^` + "`" + `{|}~]))+(\?*|\*?))|[*\-])){5}(:(([a-zA-Z]{2,3}(-([a-zA-Z]{2}|[0-9]{3}))?)|[*\-]))(:(((\?*|\*?)([a-zA-Z0-9\-._]|(\\[\\*?!"#$%&'()+,/:;<=>@\[\]\^` + "`" + `{|}~]))+(\?*|\*?))|[*\-])){4})$`)
)

// nest makes a tree of components by their parents. Of two with one bom-ref the
// first is kept; one whose parents form a ring or are unknown stands on top.
func nest(list []doorward.Component, product string) []cdxComponent {
	known := map[string]*doorward.Component{}
	var order []string
	for i := range list {
		c := &list[i]
		if c.BOMRef == product || known[c.BOMRef] != nil || c.Name == "" {
			continue
		}
		known[c.BOMRef] = c
		order = append(order, c.BOMRef)
	}
	children := map[string][]string{}
	for _, ref := range order {
		parent := known[ref].Parent
		if known[parent] == nil || inRing(known, ref) {
			parent = ""
		}
		children[parent] = append(children[parent], ref)
	}
	var tree func(parent string) []cdxComponent
	tree = func(parent string) []cdxComponent {
		var out []cdxComponent
		for _, ref := range children[parent] {
			c := cdxOf(known[ref])
			if ref != "" {
				c.Components = tree(ref)
			}
			out = append(out, c)
		}
		return out
	}
	return some(tree(""))
}

// maxNesting bounds how deep components are nested.
const maxNesting = 64

func inRing(known map[string]*doorward.Component, ref string) bool {
	for range maxNesting {
		c := known[ref]
		if c == nil {
			return false
		}
		ref = c.Parent
	}
	return true
}

func cdxOf(c *doorward.Component) cdxComponent {
	out := cdxComponent{
		Type: c.Type, BOMRef: c.BOMRef, Supplier: cdxSupplier(c.Maker), Name: c.Name, Version: c.Version,
		Hashes: cdxHashes(c.SHA256), PURL: c.PURL,
	}
	if !slices.Contains(cdxTypes, out.Type) {
		out.Type = "library"
	}
	if cpeForm.MatchString(c.CPE) {
		out.CPE = c.CPE
	}
	seen := map[string]bool{}
	for _, w := range c.Where {
		at := cdxOccurrence{Location: strings.Join(w.Path, "!"), Offset: w.Offset}
		if !seen[at.Location] && at.Location != "" {
			seen[at.Location] = true
			if out.Evidence == nil {
				out.Evidence = &cdxEvidence{}
			}
			out.Evidence.Occurrences = append(out.Evidence.Occurrences, at)
		}
	}
	if c.Found != "" {
		out.Properties = append(out.Properties, cdxProperty{"doorward:report:found", c.Found})
	}
	for _, key := range sortedKeys(c.Detail) {
		out.Properties = append(out.Properties, cdxProperty{"doorward:report:" + key, c.Detail[key]})
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
