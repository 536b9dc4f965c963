package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/doorward/doorward"
)

// world is a random policy, as text, and a random case.
type world struct {
	head, tail string
	lists      []string // one block of YAML each
	rules      []string
	c          Case
}

func (w world) policy(t *rapid.T) *Policy {
	text := w.head + "lists:\n" + strings.Join(w.lists, "") + "rules:\n" + strings.Join(w.rules, "") + w.tail
	p, err := Load("law.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

func (w world) decide(t *rapid.T) *doorward.Decision {
	d, err := Decide(w.policy(t), "high", w.c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var (
	lawCountries = []string{"AA", "BB", "CC", "DD"}
	lawEntities  = []string{"Anvil Ltd", "Bolt AG", "Cog Inc", "Drill SA", "Edge BV"}
	lawParts     = []string{"product", "c0", "c1", "c2"}
	lawAxes      = []doorward.Axis{doorward.Development, doorward.Maintenance}
)

func pick[T any](t *rapid.T, label string, list ...T) T {
	return rapid.SampledFrom(list).Draw(t, label)
}

func subset(t *rapid.T, label string, list ...string) []string {
	var out []string
	for _, x := range list {
		if rapid.Bool().Draw(t, label+x) {
			out = append(out, x)
		}
	}
	if out == nil {
		out = append(out, pick(t, label, list...))
	}
	return out
}

func quoted(list []string) string { return "[" + strings.Join(list, ", ") + "]" }

func drawWorld(t *rapid.T) world {
	w := world{head: "schema: doorward/policy/v1\nname: law\nlevels: [low, high]\nparameters: {use: {}}\n"}
	w.lists = []string{
		"  countries: {of: countries, entries: " + quoted(subset(t, "countries", lawCountries...)) + "}\n",
		"  makers: {of: entities, entries: " + quoted(subset(t, "makers", lawEntities...)) + "}\n",
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "rules") {
		w.rules = append(w.rules, drawRule(t, i))
	}
	w.rules = append(w.rules, "  - {id: otherwise, title: x, then: permit}\n")
	w.c = drawCase(t)
	return w
}

func drawRule(t *rapid.T, i int) string {
	then := pick(t, "then", Refuse, Refuse, Permit, Condition)
	r := fmt.Sprintf("  - {id: r%d, title: x, text: y, then: %s", i, then)
	if rapid.IntRange(0, 4).Draw(t, "origin?") > 0 {
		r += ", origin: {" + drawOrigin(t) + "}"
	}
	if rapid.IntRange(0, 3).Draw(t, "doors?") == 0 {
		r += fmt.Sprintf(", doors: {weight: high, more_than: %d}", rapid.IntRange(0, 2).Draw(t, "more"))
	}
	if rapid.IntRange(0, 3).Draw(t, "when?") == 0 {
		r += `, when: "` + pick(t, "when", `'AA' in countries(product, 'development')`, `!('AA' in countries(product, 'development'))`,
			`size(countries(product, 'maintenance')) > 1 || product.doors > 1`, `entities(product, 'development').all(e, e != 'Cog Inc')`, `product.use == 'x'`) + `"`
	}
	return r + "}\n"
}

func drawOrigin(t *rapid.T) string {
	o := "parts: " + pick(t, "parts", allParts...)
	which := pick(t, "list", "countries", "makers")
	seats := rapid.Bool().Draw(t, "seats")
	if seats {
		o += ", axes: " + quoted(subset(t, "axes", "legal-seat", "ultimate-owner")) + ", whose: " + quoted(subset(t, "whose", "development", "maintenance"))
	} else {
		o += ", axes: " + quoted(subset(t, "axes", "development", "maintenance"))
	}
	o += ", " + pick(t, "mode", "in: ["+which+"]", "not_in: ["+which+"]", "known: true")
	if strings.Contains(o, "[makers]") {
		o += pick(t, "owned", "", ", owned: 50", ", owned: 25")
	}
	o += pick(t, "share", "", ", share: 50", ", share: 25") + pick(t, "of", "", ", of_parts: 50", ", of_parts: 75") + pick(t, "class", "", ", evidence: signed")
	return o + pick(t, "filter", "", "", `, when: "part.name != 'c1'"`, `, when: "'BB' in countries(part, 'development')"`)
}

func drawCase(t *rapid.T) Case {
	r := &doorward.Report{Subject: doorward.Subject{Name: "law", SHA256: strings.Repeat("0", 64)}}
	for _, ref := range lawParts[1:] {
		r.Components = append(r.Components, doorward.Component{BOMRef: ref, Name: ref, Type: pick(t, "type", "library", "firmware")})
	}
	r.Coverage = []doorward.Coverage{{Kind: doorward.KindKey, Detectors: []string{"x"}}}
	for i := range rapid.IntRange(0, 3).Draw(t, "doors") {
		r.Doors = append(r.Doors, doorward.Door{ID: fmt.Sprintf("door-%d", i), Kind: doorward.KindKey, Status: doorward.Undeclared,
			Weight: pick(t, "weight", doorward.High, doorward.Low), Component: pick(t, "in", "", "c0", "c2")})
	}
	r.Summary.Doors = len(r.Doors)
	c := Case{At: "2026-11-25", Reports: []*doorward.Report{r}}
	for range rapid.IntRange(0, 14).Draw(t, "facts") {
		c.Facts = append(c.Facts, drawFact(t))
	}
	return c
}

func drawFact(t *rapid.T) doorward.OriginFact {
	f := doorward.OriginFact{Basis: "law", Class: pick(t, "class", doorward.Claimed, doorward.Signed), AssertedBy: pick(t, "by", "x", "y")}
	if rapid.Bool().Draw(t, "of entity") {
		n := rapid.IntRange(0, len(lawEntities)-1).Draw(t, "entity")
		f.Subject, f.Axis = doorward.EntitySubject(lawEntities[n]), pick(t, "axis", doorward.LegalSeat, doorward.UltimateOwner)
		if f.Axis == doorward.UltimateOwner { // the next in the alphabet, or itself: no ring
			f.Entity = lawEntities[min(n+rapid.IntRange(0, 2).Draw(t, "up"), len(lawEntities)-1)]
		}
	} else {
		f.Subject, f.Axis = pick(t, "subject", lawParts...), pick(t, "axis", lawAxes...)
		f.Entity = pick(t, "name", append(lawEntities, "")...)
	}
	f.Country = pick(t, "country", append(lawCountries, "", "ZZ")...)
	if rapid.IntRange(0, 3).Draw(t, "share?") == 0 {
		lo := pick(t, "lo", 0.0, 3, 5)
		f.Share = &doorward.Share{Min: lo, Max: 100}
	}
	f.SetID()
	return f
}

// TestLawUnknownNeverHelps: removing all facts on one question never moves a
// decision toward admit.
func TestLawUnknownNeverHelps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		before := w.decide(t)
		if len(w.c.Facts) == 0 {
			return
		}
		gone := rapid.SampledFrom(w.c.Facts).Draw(t, "gone")
		w.c.Facts = slices.DeleteFunc(slices.Clone(w.c.Facts), func(f doorward.OriginFact) bool { return f.Subject == gone.Subject && f.Axis == gone.Axis })
		if after := w.decide(t); after.Result.Rank() > before.Result.Rank() {
			t.Fatalf("without the facts on %s of %s %s became %s", gone.Axis, gone.Subject, before.Result, after.Result)
		}
	})
}

// TestLawCountriesAreNames: renaming countries in facts and rules alike never
// changes a decision.
func TestLawCountriesAreNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		before := w.decide(t)
		names := rapid.Permutation([]string{"QQ", "CN", "US", "DE"}).Draw(t, "names")
		var pairs []string
		for i, c := range lawCountries {
			pairs = append(pairs, c, names[i])
		}
		rename := strings.NewReplacer(pairs...)
		v := world{head: w.head, c: w.c}
		for _, l := range w.lists {
			v.lists = append(v.lists, rename.Replace(l))
		}
		for _, r := range w.rules {
			v.rules = append(v.rules, rename.Replace(r))
		}
		v.c.Facts = slices.Clone(w.c.Facts)
		for i := range v.c.Facts {
			v.c.Facts[i].Country = rename.Replace(v.c.Facts[i].Country)
			v.c.Facts[i].SetID()
		}
		if after := v.decide(t); after.Result != before.Result || !reflect.DeepEqual(after.Rules, before.Rules) {
			t.Fatalf("%s became %s", before.Result, after.Result)
		}
	})
}

// TestLawOrderNeverMatters: neither that of rules nor of facts, components, doors
// and entries.
func TestLawOrderNeverMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		before := w.decide(t)
		v := w
		v.rules = rapid.Permutation(w.rules).Draw(t, "rules")
		v.lists = rapid.Permutation(w.lists).Draw(t, "lists")
		r := *w.c.Reports[0]
		r.Components = rapid.Permutation(r.Components).Draw(t, "components")
		if len(r.Doors) > 0 {
			r.Doors = rapid.Permutation(r.Doors).Draw(t, "doors")
		}
		v.c.Reports = []*doorward.Report{&r}
		if len(w.c.Facts) > 0 {
			v.c.Facts = rapid.Permutation(w.c.Facts).Draw(t, "facts")
		}
		after := v.decide(t)
		after.PolicySHA256 = before.PolicySHA256
		if !reflect.DeepEqual(after, before) {
			t.Fatalf("%+v became %+v", before, after)
		}
	})
}

// TestLawErrorsNeverAdmit: a rule whose expression fails never lets a product in.
func TestLawErrorsNeverAdmit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		fails := pick(t, "expression", `1 / product.doors == 1 / (product.doors - product.doors)`, `product.name.matches(product.name + '(')`, `countries(product, 'no such axis') == []`, `countries(product, 'legal-seat') == []`)
		switch {
		case rapid.Bool().Draw(t, "refuse"):
			w.rules = append(w.rules, `  - {id: fails, title: x, then: refuse, when: "`+fails+`"}`+"\n")
		default:
			w.rules = slices.DeleteFunc(w.rules, func(r string) bool { return strings.Contains(r, "then: permit") })
			w.rules = append(w.rules, `  - {id: fails, title: x, then: permit, when: "`+fails+`"}`+"\n")
		}
		if d := w.decide(t); d.Result.Rank() > 0 {
			t.Fatalf("%s: %+v", d.Result, d.Rules)
		}
	})
}
