package policy

import (
	"os"
	"testing"
)

// TestSemantics decides small products whose expected results were written by
// hand after docs/policy.md.
func TestSemantics(t *testing.T) {
	read := func(name string) []byte {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	p, err := Load("semantics.yaml", read("semantics.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := LoadCases("semantics.cases.yaml", read("semantics.cases.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Cases {
		x := &c.Cases[i]
		t.Run(x.Level+": "+x.Name, func(t *testing.T) {
			if _, wrong := x.Check(p); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}
