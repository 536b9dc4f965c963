package declare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/doorward/doorward"
)

// Draft writes a CycloneDX 1.6 declaration of all doors of a report, for the
// maker to complete. It holds no secret. left are the doors that no claim can
// name, since nothing that tells them from others of their kind is known.
func Draft(r *doorward.Report) (document []byte, left []doorward.Door) {
	properties := []property{}
	seen := map[string]bool{}
	for i := range r.Doors {
		text, ok := claimText(&r.Doors[i])
		if !ok {
			left = append(left, r.Doors[i])
			continue
		}
		if !seen[text] {
			seen[text] = true
			properties = append(properties, property{string(doorward.SaysDoor), text})
		}
	}
	c := draftComponent{
		Type: componentType(r.Subject.Kind), BOMRef: "product", Name: firstNonEmpty(r.Subject.Product, r.Subject.Name, "unnamed"),
		Version: r.Subject.Version, Properties: properties,
	}
	if r.Subject.Maker != "" {
		c.Supplier = &draftSupplier{r.Subject.Maker}
	}
	if r.Subject.SHA256 != "" {
		c.Hashes = []draftHash{{"SHA-256", r.Subject.SHA256}}
	}
	d := draftBOM{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", BOMFormat: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: draftMetadata{Component: c},
	}
	return writeJSON(d), left
}

type draftBOM struct {
	Schema      string        `json:"$schema"`
	BOMFormat   string        `json:"bomFormat"`
	SpecVersion string        `json:"specVersion"`
	Version     int           `json:"version"`
	Metadata    draftMetadata `json:"metadata"`
}

type draftMetadata struct {
	Component draftComponent `json:"component"`
}

type draftComponent struct {
	Type       string         `json:"type"`
	BOMRef     string         `json:"bom-ref"`
	Supplier   *draftSupplier `json:"supplier,omitempty"`
	Name       string         `json:"name"`
	Version    string         `json:"version,omitempty"`
	Hashes     []draftHash    `json:"hashes,omitempty"`
	Properties []property     `json:"properties"`
}

type draftSupplier struct {
	Name string `json:"name"`
}

type draftHash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// componentType gives the CycloneDX type of an artifact.
func componentType(kind string) string {
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

func writeJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("a draft is of plain strings: %v", err))
	}
	return b.Bytes()
}

// drafted are the keys by which a draft names a door of each kind.
var drafted = map[doorward.Kind][]string{
	doorward.KindAccount:     {"user", "credential", "path"},
	doorward.KindKey:         {"fingerprint", "private", "path"},
	doorward.KindService:     {"proto", "port", "program", "shell"},
	doorward.KindTrigger:     {"value-sha256", "program", "function"},
	doorward.KindDebug:       {"what", "device", "path"},
	doorward.KindUpdate:      {"host", "path"},
	doorward.KindPrivilege:   {"what", "path"},
	doorward.KindSensor:      {"what", "program", "device"},
	doorward.KindDestination: {"host", "port"},
	doorward.KindTransfer:    {"device", "peer", "proto", "port"},
	doorward.KindLogic:       {"class", "gates"},
	doorward.KindTracker:     {"radio", "id"},
}

// claimText writes the claim that declares a door; ok is false if none can.
func claimText(d *doorward.Door) (text string, ok bool) {
	var b strings.Builder
	b.WriteString(string(d.Kind))
	for _, key := range drafted[d.Kind] {
		value := draftValue(d, key)
		rule := valueRules[key].rule
		if value == "" || rule != nil && !rule.MatchString(value) {
			continue
		}
		fmt.Fprintf(&b, " %s=%s", key, quote(value))
	}
	fmt.Fprintf(&b, " purpose=%s", quote(doorward.ToState))
	_, err := ParseClaim(doorward.SaysDoor, b.String())
	return b.String(), err == nil
}

func draftValue(d *doorward.Door, key string) string {
	v := d.Detail.Text(key)
	switch key {
	case "path":
		if inner := d.InnerPath(); inner != "" {
			v = inner
		}
		return escapeGlob(string([]rune(v)))
	case "value-sha256":
		return doorward.ValueSHA256(d)
	case "credential":
		// A per-unit or fixed one is covered without being named.
		if v == "per-unit" || v == "fixed" {
			return ""
		}
	}
	return string([]rune(v))
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
