package policy

import (
	"strings"
	"testing"
)

// TestLoadSaysWhatIsWrong gives for each bad policy the one line that helps.
func TestLoadSaysWhatIsWrong(t *testing.T) {
	const head = "schema: doorward/policy/v1\nname: x\nlevels: [low, high]\n"
	for text, want := range map[string]string{
		"":                             "p.yaml: it is empty",
		"schema: [":                    "p.yaml: no YAML: ",
		"a: &x b\nb: *x":               `p.yaml:1:1: unknown key "a"`,
		head:                           "p.yaml:1:1: a policy without rules refuses everything",
		head + "rulez: []":             `p.yaml:4:1: unknown key "rulez" (did you mean "rules"?)`,
		head + "rules: {}":             "p.yaml:4:8: a list is expected here, not a table of keys",
		head + "rules:\n - then: deny": "p.yaml:5:4: rule 1 needs an id",
		head + "rules: [{id: a, title: t, then: deny}]":                                                                `p.yaml:4:33: rule a: then must be refuse, condition or permit, not "deny"`,
		head + "rules: [{id: a, title: t, then: permit, from: hgih}]":                                                  `p.yaml:4:47: rule a: there is no level "hgih" (did you mean "high"?)`,
		head + "rules: [{id: a, title: t, then: permit, id: b}]":                                                       `"id" stands here twice`,
		head + "rules: [{id: a, title: t, then: permit, doors: {kinds: [servce]}}]":                                    `there is no kind of door "servce" (did you mean "service"?)`,
		head + "rules: [{id: a, title: t, then: permit, origin: {axes: [development], in: [nowhere]}}]":                `there is no list "nowhere"`,
		head + "rules: [{id: a, title: t, then: permit, origin: {axes: [legal-seat], known: true}}]":                   "seats and owners are those of somebody: whose",
		head + "rules: [{id: a, title: t, then: permit, origin: {axes: [development]}}]":                               "give one of in, not_in and known",
		head + "rules: [{id: a, title: t, then: permit, unread: {over: 101}}]":                                         "101 is no percentage",
		head + "rules: [{id: a, title: t, then: permit, unread: {over: many}}]":                                        `"many" is no number`,
		head + "rules: [{id: a, title: t, then: permit, when: product.nmae == ''}]":                                    `product has no field "nmae" (did you mean "name"?)`,
		head + "rules: [{id: a, title: t, then: permit, when: '1 +'}]":                                                 "Syntax error",
		head + "rules: [{id: a, title: t, then: permit, when: '1'}]":                                                   "when must be true or false",
		head + "rules: [{id: a, title: t, then: permit, when: door.kind == ''}]":                                       "door can't be asked here",
		head + "rules: [{id: a, title: t, then: permit, effective: 2026-02-30}]":                                       `"2026-02-30" is no date`,
		head + "rules: [{id: a, title: t, then: permit, effective: 2026-02-02, until: 2026-01-01}]":                    "it ends (2026-01-01) before it begins",
		head + "lists: {l: {of: countries, entries: [NO, Norway]}}\nrules: [{id: a, title: t, then: permit}]":          `"Norway" is no country code`,
		head + "lists: {l: {of: makers}}\nrules: [{id: a, title: t, then: permit}]":                                    "of entities or of countries",
		head + "rules: [{id: a, title: t, then: condition}]":                                                           "say in text what has to be kept",
		head + "rules: [{id: a, title: t, then: permit, declaration: {}}]":                                             "give one of missing and unsigned",
		head + "rules: &r [{id: a, title: t, then: permit}]":                                                           "anchors and aliases are not read",
		head + "rules: [{id: a, title: t, then: permit}]\n---\nx: y":                                                   "more than one document",
		strings.Replace(head, "levels: [low, high]", "levels: [a, a]", 1) + "rules: [{id: a, title: t, then: refuse}]": `level "a" stands here twice`,
	} {
		_, err := Load("p.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// FuzzLoad: no policy makes Load panic, and one that loads decides.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("schema: doorward/policy/v1\nname: x\nlevels: [a]\nrules: [{id: r, title: t, then: permit, when: 'product.size > 1'}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Load("p.yaml", text)
		if err != nil {
			return
		}
		for _, level := range p.Levels {
			if d, err := Decide(p, level, Case{At: "2026-11-25"}); err == nil && d.Result == "" {
				t.Fatal("no result")
			}
		}
	})
}

// FuzzCases is the same for cases.
func FuzzCases(f *testing.F) {
	f.Add([]byte("schema: doorward/policy-cases/v1\nat: 2026-11-25\ncases: [{name: a, level: public, product: {components: [x], doors: [service]}, facts: [{of: x, axis: development, country: XA, share: [1, 2]}], expect: admit}]"))
	p, err := Load("p.yaml", []byte(sample))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := LoadCases("c.yaml", text)
		if err != nil {
			return
		}
		for i := range c.Cases {
			c.Cases[i].Check(p)
		}
	})
}
