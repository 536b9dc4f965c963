package policy

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestWatchTouchesAllThatChange: a decision that the watch leaves alone is the
// same after a change of lists.
func TestWatchTouchesAllThatChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		before := w.policy(t)
		v := w
		v.lists = []string{
			"  countries: {of: countries, entries: " + quoted(subset(t, "countries after", lawCountries...)) + "}\n",
			"  makers: {of: entities, entries: " + quoted(subset(t, "makers after", lawEntities...)) + "}\n",
		}
		after := v.policy(t)
		names, all := Changed(before, after)
		if all {
			t.Fatal("only entries differ")
		}
		on, err := Names(before, w.c)
		if err != nil {
			t.Fatal(err)
		}
		var watch Watch
		watch.Add(7, on)
		if slices.Contains(watch.Affected(names), 7) {
			return
		}
		old, now := w.decide(t), v.decide(t)
		if old.Result != now.Result {
			t.Fatalf("%s became %s, and the watch did not see it: %v, %v", old.Result, now.Result, names, on)
		}
	})
}

func TestChangedSeesRules(t *testing.T) {
	p := load(t, sample)
	for from, to := range map[string]string{"weight: high": "weight: low", "owned: 50": "owned: 25", "use == 'field'": "use == 'office'", "then: permit": "then: refuse", "values: [office, field]": "values: [field]"} {
		if _, all := Changed(p, load(t, strings.Replace(sample, from, to, 1))); !all {
			t.Errorf("%s changes everything", from)
		}
	}
	if names, all := Changed(p, load(t, strings.Replace(sample, "entries: [AA, BB]", "entries: [AA, CC]", 1))); all || !slices.Equal(names, []string{"BB", "CC"}) {
		t.Errorf("%v, %v", names, all)
	}
}
