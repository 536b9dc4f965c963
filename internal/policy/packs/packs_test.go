package packs

import (
	"testing"

	"github.com/doorward/doorward/internal/policy"
)

// TestPacks decides the cases of every pack: those that its source describes.
func TestPacks(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			text, cases, err := Read(name)
			if err != nil {
				t.Fatal(err)
			}
			p, err := policy.Load(name+suffix, text)
			if err != nil {
				t.Fatal(err)
			}
			if p.Name != name || p.Title == "" || p.Source == nil || p.Source.URL == "" || p.Source.Date == "" {
				t.Errorf("%s lacks its name, title or source: %+v", name, p.Source)
			}
			c, err := policy.LoadCases(name+casesSuffix, cases)
			if err != nil {
				t.Fatal(err)
			}
			checkCases(t, p, c)
		})
	}
}

// checkCases wants each rule to decide a case and each case to say where its
// expectation comes from.
func checkCases(t *testing.T, p *policy.Policy, c *policy.Cases) {
	decided := map[string]bool{}
	for i := range c.Cases {
		x := &c.Cases[i]
		d, wrong := x.Check(p)
		if wrong != "" {
			t.Errorf("%s: %s", x.Name, wrong)
		}
		if x.Source == "" {
			t.Errorf("%s: no source", x.Name)
		}
		if d != nil {
			for _, r := range d.Reasons {
				decided[r.Rule] = true
			}
		}
	}
	for _, r := range p.Rules {
		if !decided[r.ID] {
			t.Errorf("no case shows rule %s", r.ID)
		}
		if r.Source == nil && r.Then != policy.Permit {
			t.Errorf("rule %s cites no source", r.ID)
		}
	}
}
