package inventory

import (
	"slices"
	"testing"
)

// TestTable refuses a table with a wrong line, and one that fell short.
func TestTable(t *testing.T) {
	list, err := parseKnown(knownText)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, k := range list {
		names[k.name] = true
		if k.mode == "near" && k.expr.MatchString("") {
			t.Errorf("%s matches nothing at all", k.name)
		}
	}
	if len(names) < 80 {
		t.Errorf("%d names", len(names))
	}
	if _, err := parseKnown("x  lib  m  -  -  near  need  no group\n"); err == nil {
		t.Error("a line without a group is taken")
	}
	if p := Patterns(); len(p) < 80 || slices.Contains(p, "") {
		t.Errorf("%d patterns", len(p))
	}
}
