package inventory

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
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

// TestPlaces compares the search for whole strings with that of the expressions.
func TestPlaces(t *testing.T) {
	part := rapid.SampledFrom([]string{"\x00", "\x001.2.3", "\x002.6.1\x00", "v1.35.0", "\x00v5.4", "1.0.18\x00", "\x00text", "-P1\x00"})
	whole := 0
	for _, k := range table() {
		if k.whole == nil {
			continue
		}
		whole++
		rapid.Check(t, func(t *rapid.T) {
			b := []byte(strings.Join(rapid.SliceOfN(part, 0, 9).Draw(t, "parts"), ""))
			want, got := k.expr.FindAllSubmatchIndex(b, maxPlaces), k.places(b)
			if !slices.EqualFunc(want, got, slices.Equal) {
				t.Fatalf("%s in %q: %v instead of %v", k.name, b, got, want)
			}
		})
	}
	if whole < 20 {
		t.Errorf("%d expressions for whole strings", whole)
	}
}
