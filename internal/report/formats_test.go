package report_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/declare"
	"github.com/doorward/doorward/internal/report"
)

// cyclonedxSchema is the official one. Its crypto definitions are not needed
// here: see testdata/schema/README.md.
func cyclonedxSchema(t *testing.T, version string) *jsonschema.Schema {
	t.Helper()
	anything := filepath.Join(t.TempDir(), "anything.json")
	if err := os.WriteFile(anything, []byte(`{"definitions": {"algorithmFamiliesEnum": true, "ellipticCurvesEnum": true}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	const at = "http://cyclonedx.org/schema/"
	return schema(t, "testdata/schema/bom-"+version+".schema.json.gz", map[string]string{
		at + "spdx.schema.json":              "testdata/schema/spdx.schema.json.gz",
		at + "jsf-0.82.schema.json":          "testdata/schema/jsf-0.82.schema.json.gz",
		at + "cryptography-defs.schema.json": anything,
	})
}

func hostile() *doorward.Report {
	return &doorward.Report{
		Subject: doorward.Subject{Name: "../a b:%2e\xff.bin", Size: 1},
		Doors: []doorward.Door{{ID: "x", Kind: "key", Title: "[a](javascript:1) {0}", Where: []doorward.Where{{Path: []string{"s", "//evil/\x00\xff?#"}}}, Evidence: []doorward.Evidence{{What: "\x1b[2J"}},
			Status: doorward.Contradicts, Denied: &doorward.DeclaredBy{Document: "\xff", Claim: "no claim of ours"}, AlsoDenied: []doorward.DeclaredBy{{Claim: "doorward:no-door key"}}}},
		Components: []doorward.Component{
			{BOMRef: "a", Name: "a", Parent: "b", CPE: "cpe:/nonsense here", Type: "gadget", PURL: "pkg:x/\xff"},
			{BOMRef: "b", Name: "b", Parent: "a"}, {BOMRef: "a", Name: "again"}, {BOMRef: "", Name: ""}, {BOMRef: "c", Name: "c", Parent: "gone", Where: []doorward.Where{{Path: []string{"s", "c"}}, {Path: []string{"s", "c"}}}},
		},
		Unread: []doorward.Unread{{Reason: "limit"}},
	}
}

func TestSARIFIsValid(t *testing.T) {
	s := schema(t, "testdata/schema/sarif-2.1.0.json.gz", nil)
	for _, r := range []*doorward.Report{sample(t), {}, hostile()} {
		valid(t, s, written(t, "sarif", r, report.Options{}))
	}
}

func TestSARIFTellsDoors(t *testing.T) {
	var log struct {
		Runs []struct {
			Results []struct {
				RuleID              string
				RuleIndex           int
				PartialFingerprints map[string]string
				Suppressions        []struct{ Justification string }
				Locations           []struct {
					PhysicalLocation struct{ ArtifactLocation struct{ URI string } }
				}
			}
			Tool struct {
				Driver struct{ Rules []struct{ ID string } }
			}
		}
	}
	r := sample(t)
	if err := json.Unmarshal(written(t, "sarif", r, report.Options{}), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	for i, got := range run.Results {
		d := r.Doors[i]
		if got.PartialFingerprints["doorwardDoor/v1"] != d.ID || run.Tool.Driver.Rules[got.RuleIndex].ID != string(d.Kind) {
			t.Errorf("door %d: %+v", i, got)
		}
		if want := d.Status == doorward.Declared || d.Mark != nil; (len(got.Suppressions) > 0) != want {
			t.Errorf("%s: suppressions are %v", d.Title, got.Suppressions)
		}
		if strings.Contains(got.Locations[0].PhysicalLocation.ArtifactLocation.URI, "<") {
			t.Errorf("the URI is not escaped: %s", got.Locations[0].PhysicalLocation.ArtifactLocation.URI)
		}
	}
}

func TestCycloneDXIsValid(t *testing.T) {
	s := cyclonedxSchema(t, "1.7")
	for _, r := range []*doorward.Report{sample(t), {}, hostile()} {
		valid(t, s, written(t, "cyclonedx", r, report.Options{}))
	}
}

// A door that contradicts the three-part claim and another one is counter-evidence
// to both, with what a person needs to check it; the requirement is not met.
func TestCycloneDXHasCounterEvidence(t *testing.T) {
	offset := int64(16)
	r := &doorward.Report{Date: "2026-11-25", Doors: []doorward.Door{
		{ID: "door-1", Kind: doorward.KindTrigger, Title: "a magic packet", Weight: doorward.Critical, Certainty: doorward.Shown, Status: doorward.Contradicts,
			Denied:     &doorward.DeclaredBy{Document: "m.json", Pointer: "/a", Claim: "doorward:no-door trigger"},
			AlsoDenied: []doorward.DeclaredBy{{Document: "m.json", Pointer: "/b", Claim: "doorward:no-hidden-function outflow manipulation injection"}},
			Where:      []doorward.Where{{Path: []string{"x.bin", "usr/sbin/d"}, Offset: &offset, Function: "f"}}, Evidence: []doorward.Evidence{{What: "0xdead", Note: "compared with"}}},
		{ID: "door-2", Kind: doorward.KindService, Status: doorward.Undeclared},
	}}
	text := written(t, "cyclonedx", r, report.Options{})
	valid(t, cyclonedxSchema(t, "1.7"), text)
	var bom struct {
		Declarations struct {
			Claims []struct {
				Predicate       string
				CounterEvidence []string
			}
			Attestations []struct {
				Map []struct {
					Requirement string
					Conformance struct{ Score float64 }
				}
			}
			Evidence []struct {
				Data []struct {
					Name     string
					Contents struct{ Attachment struct{ Content string } }
				}
			}
		}
		Definitions struct {
			Standards []struct{ Requirements []struct{ Identifier string } }
		}
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	d := bom.Declarations
	if len(d.Claims) != 2 || len(d.Evidence) != 1 || len(d.Attestations[0].Map) != 2 || len(bom.Definitions.Standards[0].Requirements) != 2 {
		t.Fatalf("%s", text)
	}
	for _, c := range d.Claims {
		if len(c.CounterEvidence) != 1 || c.CounterEvidence[0] != "doorward-evidence-door-1" {
			t.Errorf("%+v", c)
		}
	}
	if a, b := d.Evidence[0].Data[0].Contents.Attachment.Content, d.Evidence[0].Data[1]; a != "x.bin > usr/sbin/d, offset 16, function f" || b.Name != "compared with" || b.Contents.Attachment.Content != "0xdead" {
		t.Errorf("the evidence is %q, %+v", a, b)
	}
}

// What lies within what is nested, and nothing is lost in a ring.
func TestCycloneDXNests(t *testing.T) {
	type component struct {
		Name       string
		Components []component
	}
	var bom struct{ Components []component }
	for _, c := range []struct {
		r    *doorward.Report
		want string
	}{
		{sample(t), "Pinewatch QV-210 firmware(Linux kernel root file system(dropbear httpd rc))"},
		{hostile(), "a b c"},
	} {
		bom.Components = nil
		if err := json.Unmarshal(written(t, "cyclonedx", c.r, report.Options{}), &bom); err != nil {
			t.Fatal(err)
		}
		var names func(list []component) string
		names = func(list []component) string {
			var out []string
			for _, x := range list {
				n := x.Name
				if len(x.Components) > 0 {
					n += "(" + names(x.Components) + ")"
				}
				out = append(out, n)
			}
			return strings.Join(out, " ")
		}
		if got := names(bom.Components); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// A draft is valid CycloneDX 1.6, and an SBOM that Doorward wrote can be read
// as a declaration: it declares nothing.
func TestDraftIsValid(t *testing.T) {
	s := cyclonedxSchema(t, "1.6")
	document, left := declare.Draft(sample(t))
	valid(t, s, document)
	if len(left) != 0 {
		t.Errorf("left are %+v", left)
	}
	sbom, err := declare.Read("sbom.json", written(t, "cyclonedx", sample(t), report.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range sbom.Claims {
		if c.Says == doorward.SaysDoor {
			t.Errorf("the SBOM declares a door: %+v", c)
		}
	}
}

// The official schemas do refuse what is wrong, as the tests put them together.
func TestOfficialSchemasRefuse(t *testing.T) {
	for format, c := range map[string]struct {
		schema *jsonschema.Schema
		spoil  func(doc map[string]any)
	}{
		"sarif":     {schema(t, "testdata/schema/sarif-2.1.0.json.gz", nil), func(doc map[string]any) { doc["runs"].([]any)[0].(map[string]any)["tool"] = map[string]any{} }},
		"cyclonedx": {cyclonedxSchema(t, "1.7"), func(doc map[string]any) { doc["components"].([]any)[0].(map[string]any)["type"] = "gadget" }},
	} {
		var doc map[string]any
		if err := json.Unmarshal(written(t, format, sample(t), report.Options{}), &doc); err != nil {
			t.Fatal(err)
		}
		c.spoil(doc)
		if c.schema.Validate(doc) == nil {
			t.Errorf("the schema accepts a spoilt %s document", format)
		}
	}
}
