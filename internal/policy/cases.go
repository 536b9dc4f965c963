package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// CasesSchema is the value of a case file's "schema" key.
const CasesSchema = "doorward/policy-cases/v1"

// Cases are an organisation's own table of what its policy has to decide: small
// products, written by hand, and the expected results.
type Cases struct {
	Schema string     `yaml:"schema"`
	At     Date       `yaml:"at"` // for cases that name no day
	Cases  []TestCase `yaml:"cases"`

	file string
}

// TestCase is one product and what is expected.
type TestCase struct {
	Name     string            `yaml:"name"`
	Source   string            `yaml:"source"` // the paragraph that the expectation is taken from
	Level    string            `yaml:"level"`
	At       Date              `yaml:"at"`
	Set      map[string]string `yaml:"set"` // the policy's parameters
	Product  TestProduct       `yaml:"product"`
	Facts    []TestFact        `yaml:"facts"`
	Entities []TestEntity      `yaml:"entities"`
	Expect   doorward.Result   `yaml:"expect"`
	Because  []string          `yaml:"because"` // rules that must be among the reasons
}

// TestProduct is what an inspection would have found.
type TestProduct struct {
	Kind       string          `yaml:"kind"`
	Maker      string          `yaml:"maker"`
	Components []TestComponent `yaml:"components"`
	Doors      []TestDoor      `yaml:"doors"`
	Unread     float64         `yaml:"unread"`   // percent
	Declared   bool            `yaml:"declared"` // there is a declaration
	SignedBy   string          `yaml:"signed_by"`
	Blind      []doorward.Kind `yaml:"blind"` // kinds of doors that nothing looked for
}

// TestComponent is a component.
type TestComponent struct {
	Ref     string `yaml:"ref"`
	Name    string `yaml:"name"`
	Version string `yaml:"version"`
	Type    string `yaml:"type"`
	Maker   string `yaml:"maker"`
	PURL    string `yaml:"purl"`
	SHA256  string `yaml:"sha256"`
}

func (c *TestComponent) setName(s string) { c.Ref, c.Name = s, s }

// TestDoor is a door; what is not given is the heaviest.
type TestDoor struct {
	Kind      doorward.Kind      `yaml:"kind"`
	Title     string             `yaml:"title"`
	Weight    doorward.Weight    `yaml:"weight"`
	Reach     doorward.Reach     `yaml:"reach"`
	Status    doorward.Status    `yaml:"status"`
	Certainty doorward.Certainty `yaml:"certainty"`
	Stages    []doorward.Stage   `yaml:"stages"`
	In        string             `yaml:"in"` // ref of a component
	Detail    map[string]string  `yaml:"detail"`
}

func (d *TestDoor) setName(s string) { d.Kind = doorward.Kind(s) }

// TestFact is an origin fact, of class claimed if it does not say.
type TestFact struct {
	Of      string                 `yaml:"of"` // ref of a component, product, or the name of an entity
	Axis    doorward.Axis          `yaml:"axis"`
	Country string                 `yaml:"country"`
	Entity  string                 `yaml:"entity"`
	Share   []float64              `yaml:"share"` // one number, or from and to; percent
	Class   doorward.EvidenceClass `yaml:"class"`
	By      string                 `yaml:"by"`
}

// TestEntity is an entity under several names.
type TestEntity struct {
	Name    string            `yaml:"name"`
	Aliases []string          `yaml:"aliases"`
	IDs     map[string]string `yaml:"ids"`
}

// LoadCases reads a case file. Errors are *Error, with line and column.
func LoadCases(file string, b []byte) (*Cases, error) {
	d := &decoder{file: file}
	c := &Cases{file: file}
	if err := d.decode(b, c); err != nil {
		return nil, err
	}
	if c.Schema != CasesSchema {
		return nil, d.fail(d.root, "the schema is %q, not %s", c.Schema, CasesSchema)
	}
	for i := range c.Cases {
		t := &c.Cases[i]
		switch {
		case t.Name == "" || t.Level == "":
			return nil, d.fail(d.nodes[t], "a case needs a name and a level")
		case !slices.Contains([]doorward.Result{doorward.Admit, doorward.Conditional, doorward.Undetermined, doorward.Refuse}, t.Expect):
			return nil, d.fail(d.nodes[t], "case %q: expect is %q, not admit, conditional, undetermined or refuse", t.Name, t.Expect)
		case t.At == "" && c.At == "":
			return nil, d.fail(d.nodes[t], "case %q: on which day? give at here or for all", t.Name)
		}
		if t.At == "" {
			t.At = c.At
		}
	}
	return c, nil
}

// Check decides a case and says what is not as expected; "" if all is.
func (t *TestCase) Check(p *Policy) (*doorward.Decision, string) {
	c, err := t.build(p)
	if err != nil {
		return nil, err.Error()
	}
	d, err := Decide(p, t.Level, c)
	if err != nil {
		return nil, err.Error()
	}
	if d.Result != t.Expect {
		var why []string
		for _, r := range d.Reasons {
			why = append(why, r.Rule+": "+r.Text)
		}
		return d, fmt.Sprintf("%s instead of %s (%s)", d.Result, t.Expect, strings.Join(why, "; "))
	}
	for _, rule := range t.Because {
		if !slices.ContainsFunc(d.Reasons, func(r doorward.Reason) bool { return r.Rule == rule }) {
			return d, fmt.Sprintf("%s, but not because of rule %s", d.Result, rule)
		}
	}
	return d, ""
}

// build makes a case of what was written by hand.
func (t *TestCase) build(p *Policy) (Case, error) {
	r := &doorward.Report{
		Subject: doorward.Subject{Name: t.Name, SHA256: strings.Repeat("0", 64), Kind: t.Product.Kind, Maker: t.Product.Maker},
		Summary: doorward.Summary{ReadBytes: int64(1e6 * (100 - t.Product.Unread)), UnreadBytes: int64(1e6 * t.Product.Unread)},
	}
	refs := map[string]bool{doorward.ProductSubject: true}
	for _, c := range t.Product.Components {
		refs[c.Ref] = true
		r.Components = append(r.Components, doorward.Component{BOMRef: c.Ref, Name: c.Name, Version: c.Version, Type: c.Type, Maker: c.Maker, PURL: c.PURL, SHA256: c.SHA256})
	}
	for i := range t.Product.Doors {
		if in := t.Product.Doors[i].In; in != "" && !refs[in] {
			return Case{}, fmt.Errorf("there is no component %q", in)
		}
		r.Doors = append(r.Doors, t.Product.Doors[i].door(i))
	}
	r.Summary.Doors = len(r.Doors)
	for _, k := range doorward.Kinds {
		if !slices.Contains(t.Product.Blind, k) {
			r.Coverage = append(r.Coverage, doorward.Coverage{Kind: k, Detectors: []string{"case"}})
		}
	}
	c := Case{At: t.At, Reports: []*doorward.Report{r}, Parameters: t.Set, Signed: map[string][]string{}}
	if t.Product.Declared || t.Product.SignedBy != "" {
		r.Declarations = []doorward.DeclarationUse{{Document: "declaration", SHA256: "d"}}
		c.Signed["d"] = []string{t.Product.SignedBy}
	}
	for _, e := range t.Entities {
		c.Entities = append(c.Entities, doorward.Entity{Name: e.Name, Aliases: e.Aliases, IDs: e.IDs})
	}
	for _, f := range t.Facts {
		fact, err := f.fact(refs)
		if err != nil {
			return Case{}, err
		}
		c.Facts = append(c.Facts, fact)
	}
	return c, nil
}

func (d *TestDoor) door(i int) doorward.Door {
	out := doorward.Door{
		ID: fmt.Sprintf("door-%016x", i), Kind: d.Kind, Title: d.Title, Component: d.In, Stages: d.Stages, Detail: doorward.Detail{},
		Weight: first(d.Weight, doorward.Critical), Reach: first(d.Reach, doorward.Remote), Status: first(d.Status, doorward.Undeclared),
		Certainty: first(d.Certainty, doorward.Shown),
	}
	if out.Title == "" {
		out.Title = string(d.Kind)
	}
	for k, v := range d.Detail {
		out.Detail[k] = v
		if v == "true" || v == "false" { // as in reports
			out.Detail[k] = v == "true"
		}
	}
	return out
}

func first[T ~string](a, b T) T {
	if a != "" {
		return a
	}
	return b
}

func (f *TestFact) fact(refs map[string]bool) (doorward.OriginFact, error) {
	out := doorward.OriginFact{
		Subject: f.Of, Axis: f.Axis, Country: f.Country, Entity: f.Entity, Class: first(f.Class, doorward.Claimed), AssertedBy: f.By, Basis: "case",
	}
	switch {
	case f.Axis.OfEntity():
		out.Subject = doorward.EntitySubject(f.Of)
	case !refs[f.Of]:
		return out, fmt.Errorf("a fact is of %q, and there is no such component", f.Of)
	}
	switch len(f.Share) {
	case 0:
	case 1:
		out.Share = &doorward.Share{Min: f.Share[0], Max: f.Share[0]}
	case 2:
		out.Share = &doorward.Share{Min: f.Share[0], Max: f.Share[1]}
	default:
		return out, fmt.Errorf("a share is one number or two")
	}
	out.SetID()
	return out, nil
}
