package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// found is what one condition came to.
type found struct {
	truth
	text    string   // in words, for a person
	facts   []string // ids of facts and doors; questions that no fact answers
	changes []string // the smallest set of changes after which it would not hold
	needs   []string // the same for it to hold
	origin  bool     // of an origin condition: explainOrigin gives the rest
}

// ruling evaluates the rules of one level.
type ruling struct {
	*index
	level      string
	exceptions *exceptions
	subject    *thing
}

// outcome is what a rule came to; detail says why.
func (r *ruling) outcome(rule *Rule) (doorward.Outcome, []found) {
	if !r.inForce(rule) {
		return doorward.Suspended, nil
	}
	var all []found
	for _, f := range []func(*Rule) (found, bool){r.when, r.origin, r.doors, r.unread, r.declaration, r.components} {
		if one, ok := f(rule); ok {
			all = append(all, one)
		}
	}
	t := yes
	for _, f := range all {
		t = t.and(f.truth)
	}
	return t.outcome(), all
}

// inForce says that the rule holds on the day, and one of the lists that it
// needs does.
func (r *ruling) inForce(rule *Rule) bool {
	if !(Period{rule.Effective, rule.Until, rule.Suspended}).holds(r.At) {
		return false
	}
	if rule.Origin == nil || len(rule.Origin.In) == 0 {
		return true
	}
	return slices.ContainsFunc(rule.Origin.lists, func(l *List) bool { return (Period{l.Effective, l.Until, l.Suspended}).holds(r.At) })
}

func (r *ruling) values() map[string]any {
	return map[string]any{"product": r.subject, "level": r.level}
}

func (r *ruling) when(rule *Rule) (found, bool) {
	if rule.when == nil {
		return found{}, false
	}
	t, why := rule.when.ask(r.values())
	f := found{truth: t}
	switch t {
	case unknown:
		f.text = "not known: " + why
		f.facts = []string{"not known: " + why}
		f.changes = []string{"stated: " + why}
		f.needs = f.changes
	default:
		f.text = map[truth]string{yes: "it holds that ", no: "it does not hold that "}[t] + rule.When
		f.changes = []string{"another answer to " + rule.When}
		f.needs = f.changes
	}
	return f, true
}

func (r *ruling) unread(rule *Rule) (found, bool) {
	u := rule.Unread
	if u == nil {
		return found{}, false
	}
	var read, left int64
	for _, rep := range r.Reports {
		read, left = read+rep.Summary.ReadBytes, left+rep.Summary.UnreadBytes
	}
	share := percent(left, read+left)
	f := found{truth: truthOf(share > u.Over, false)}
	f.text = fmt.Sprintf("%.3g %% of the bytes could not be read", share)
	f.facts = []string{fmt.Sprintf("unread: %d of %d bytes", left, read+left)}
	f.changes = []string{fmt.Sprintf("at most %g %% of the bytes unread", u.Over)}
	f.needs = []string{fmt.Sprintf("more than %g %% of the bytes unread", u.Over)}
	return f, true
}

func (r *ruling) declaration(rule *Rule) (found, bool) {
	d := rule.Declaration
	if d == nil {
		return found{}, false
	}
	documents, signed := 0, 0
	for _, rep := range r.Reports {
		for _, digest := range declared(rep) {
			documents++
			if r.signedByMaker(digest) {
				signed++
			}
		}
	}
	if d.Missing {
		return found{truth: truthOf(documents == 0, false), text: "the maker declared nothing", facts: []string{"no declaration"},
			changes: []string{"a declaration by the maker"}, needs: []string{"no declaration"}}, true
	}
	return found{truth: truthOf(documents == 0 || signed < documents, false), text: "no key that the policy trusts signed the maker's declaration",
		facts: []string{fmt.Sprintf("%d of %d declarations signed", signed, documents)}, changes: []string{"a declaration that the maker signed"}, needs: []string{"an unsigned declaration"}}, true
}

// declared lists the documents that declare something of this product.
func declared(r *doorward.Report) []string {
	var out []string
	for _, d := range r.Declarations {
		if !strings.HasPrefix(d.Note, "mismatched") && !slices.Contains(out, d.SHA256) {
			out = append(out, d.SHA256)
		}
	}
	return out
}

// signedByMaker says that a key which the policy trusts signed a document.
func (x *index) signedByMaker(digest string) bool {
	return x.policy.Keys != nil && slices.ContainsFunc(x.Signed[digest], func(key string) bool { return slices.Contains(x.policy.Keys.Makers, key) })
}

func (r *ruling) components(rule *Rule) (found, bool) {
	c := rule.Components
	if c == nil {
		return found{}, false
	}
	var lacking []string
	for _, p := range r.parts {
		if p.component != nil && lacks(p.component, c.Without) {
			lacking = append(lacking, p.ref)
		}
	}
	all := len(r.parts) - 1
	share := percent(int64(len(lacking)), int64(all))
	f := found{truth: truthOf(len(lacking) > 0 && share > c.Over || all == 0, false), facts: lacking}
	what := strings.Join(c.Without, " or ")
	f.text = fmt.Sprintf("%d of %d components have no %s", len(lacking), all, what)
	f.needs = []string{"more components without " + what}
	allowed := int(c.Over / 100 * float64(all))
	for _, ref := range lacking[:max(len(lacking)-allowed, 0)] {
		f.changes = append(f.changes, what+" of "+ref)
	}
	if all == 0 {
		f.text, f.changes = "there is no list of components", []string{"a list of components"}
	}
	return f, true
}

func lacks(c *doorward.Component, keys []string) bool {
	return slices.ContainsFunc(keys, func(k string) bool {
		return map[string]string{"version": c.Version, "maker": c.Maker, "purl": c.PURL, "sha256": c.SHA256}[k] == ""
	})
}
