package policy

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/doorward/doorward"
)

const sample = `
schema: doorward/policy/v1
name: sample
levels: [public, internal, confidential]
lists:
  outlawed:
    of: entities
    entries:
      - name: Shady Makers Ltd
        aliases: [SML]
  allies:
    of: countries
    entries: [AA, BB]
parameters:
  use: {text: what it is for, values: [office, field]}
rules:
  - id: no-remote
    title: Nobody may get in from outside unless the maker said so
    from: internal
    then: refuse
    doors: {weight: high, reach: [remote]}
  - id: maker
    title: Not from these
    then: refuse
    origin: {axes: [development], parts: access-bearing, in: [outlawed], owned: 50}
  - id: allies
    title: Developed among allies
    from: confidential
    then: refuse
    origin: {axes: [development], parts: top, not_in: [allies]}
  - id: field
    title: In the field it needs a seal
    text: seal the case
    then: condition
    when: product.use == 'field'
  - id: otherwise
    title: What nothing refuses
    then: permit
`

func load(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := Load("sample.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func fact0(subject string, axis doorward.Axis, country, entity string) doorward.OriginFact {
	f := doorward.OriginFact{Subject: subject, Axis: axis, Country: country, Entity: entity, Class: doorward.Claimed, Basis: "test"}
	f.SetID()
	return f
}

func TestDecide(t *testing.T) {
	p := load(t, sample)
	report := &doorward.Report{
		Subject:    doorward.Subject{Name: "box", SHA256: strings.Repeat("a", 64)},
		Summary:    doorward.Summary{ReadBytes: 100},
		Components: []doorward.Component{{BOMRef: "c1", Name: "mgmtd"}, {BOMRef: "c2", Name: "libz"}},
		Doors: []doorward.Door{{ID: "door-1", Kind: doorward.KindService, Title: "telnet", Weight: doorward.Critical, Reach: doorward.Remote,
			Status: doorward.Undeclared, Component: "c1"}},
		Coverage: []doorward.Coverage{{Kind: doorward.KindService, Detectors: []string{"x"}}},
	}
	for _, x := range []struct {
		name   string
		level  string
		facts  []doorward.OriginFact
		set    map[string]string
		want   doorward.Result
		reason string
	}{
		{"nobody knows the maker", "public", nil, map[string]string{"use": "office"}, doorward.Undetermined, "maker"},
		{"a good maker", "public", []doorward.OriginFact{fact0("c1", doorward.Development, "", "Good AG"), fact0("entity:good", doorward.UltimateOwner, "", "Good AG")}, map[string]string{"use": "office"}, doorward.Admit, "otherwise"},
		{"a good maker with a bad owner", "public", []doorward.OriginFact{fact0("c1", doorward.Development, "", "Good AG"), fact0("entity:good", doorward.UltimateOwner, "", "SML")}, nil, doorward.Refuse, "maker"},
		{"use not stated", "public", []doorward.OriginFact{fact0("c1", doorward.Development, "", "Good AG"), fact0("entity:good", doorward.UltimateOwner, "", "Good AG")}, nil, doorward.Conditional, "field"},
		{"a door", "internal", []doorward.OriginFact{fact0("c1", doorward.Development, "", "Good AG"), fact0("entity:good", doorward.UltimateOwner, "", "Good AG")}, nil, doorward.Refuse, "no-remote"},
	} {
		d, err := Decide(p, x.level, Case{At: "2026-11-25", Reports: []*doorward.Report{report}, Facts: x.facts, Parameters: x.set})
		if err != nil {
			t.Fatal(err)
		}
		if d.Result != x.want || len(d.Reasons) == 0 || d.Reasons[0].Rule != x.reason {
			t.Errorf("%s: %s, want %s for %s", x.name, d.Result, x.want, x.reason)
		}
		if testing.Verbose() {
			e := json.NewEncoder(os.Stderr)
			e.SetIndent("", " ")
			e.Encode(d)
		}
	}
}

// TestSignedClaims: what a document claims is a signed claim if a maker whom the
// policy trusts signed the document.
func TestSignedClaims(t *testing.T) {
	p := load(t, `
schema: doorward/policy/v1
name: signed
levels: [a]
keys: {makers: ["sha256:good"]}
lists: {allies: {of: countries, entries: [XA]}}
rules:
  - {id: r, title: t, then: refuse, origin: {axes: [development], parts: top, not_in: [allies], evidence: signed}}
  - {id: otherwise, title: t, then: permit}
`)
	f := fact0("product", doorward.Development, "XA", "")
	f.SHA256 = "document"
	for key, want := range map[string]doorward.Result{"sha256:good": doorward.Admit, "sha256:other": doorward.Undetermined} {
		d, err := Decide(p, "a", Case{At: "2026-11-25", Facts: []doorward.OriginFact{f}, Signed: map[string][]string{"document": {key}}})
		if err != nil || d.Result != want {
			t.Errorf("%s: %v, %v", key, d, err)
		}
	}
}
