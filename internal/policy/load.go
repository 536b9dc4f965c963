package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/doorward/doorward"
)

// Load reads and checks a policy. Errors are *Error, with line and column.
func Load(file string, b []byte) (*Policy, error) {
	d := &decoder{file: file}
	p := new(Policy)
	if err := d.decode(b, p); err != nil {
		return nil, err
	}
	if err := (&checker{decoder: d, p: p}).check(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	p.sha256 = hex.EncodeToString(sum[:])
	return p, nil
}

// checker holds a policy against its own names.
type checker struct {
	*decoder
	p *Policy
}

func (c *checker) check() error {
	p := c.p
	switch {
	case p.Schema != Schema:
		return c.at(p, "schema", "%q is no schema that is known: write %s", p.Schema, Schema)
	case p.Name == "":
		return c.at(p, "name", "a policy needs a name")
	case len(p.Levels) == 0:
		return c.at(p, "levels", "a policy needs its data levels, lowest first")
	case len(p.Rules) == 0:
		return c.at(p, "rules", "a policy without rules refuses everything: it needs at least one")
	}
	for i, level := range p.Levels {
		if slices.Contains(p.Levels[:i], level) {
			return c.at(p, "levels", "level %q stands here twice", level)
		}
	}
	names := make([]string, 0, len(p.Lists))
	for name := range p.Lists {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if err := c.list(name, p.Lists[name]); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for i, r := range p.Rules {
		switch {
		case r.ID == "":
			return c.at(r, "id", "rule %d needs an id", i+1)
		case seen[r.ID]:
			return c.at(r, "id", "there is a rule %q already", r.ID)
		}
		seen[r.ID] = true
		if err := c.rule(r); err != nil {
			return err
		}
	}
	return nil
}

// at says what is wrong with a key of a struct that was read.
func (c *checker) at(x any, key, format string, args ...any) error {
	n := c.nodes[x]
	if n == nil {
		n = c.root
	}
	for i := 0; n != nil && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return c.fail(n.Content[i+1], format, args...)
		}
	}
	return c.fail(n, format, args...)
}

func (c *checker) list(name string, l *List) error {
	if l.Of != ofEntities && l.Of != ofCountries {
		return c.at(l, "of", "list %s: say whether it is of entities or of countries", name)
	}
	if err := c.period(l, l.Effective, l.Until, l.Suspended); err != nil {
		return err
	}
	l.name = name
	l.keys = map[string][]int{}
	for i := range l.Entries {
		e := &l.Entries[i]
		if e.Name == "" {
			return c.at(e, "name", "entry %d of list %s has no name", i+1, name)
		}
		if err := c.period(e, e.Effective, e.Until, e.Suspended); err != nil {
			return err
		}
		if l.Of == ofCountries && !isCountry(e.Name) {
			return c.at(e, "name", "list %s: %q is no country code: write ISO 3166-1 alpha-2, such as CH", name, e.Name)
		}
		for _, key := range l.keysOf(e) {
			l.keys[key] = append(l.keys[key], i)
		}
	}
	return nil
}

func isCountry(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}

func (c *checker) period(x any, from, until Date, suspended []Span) error {
	if from != "" && until != "" && until < from {
		return c.at(x, "until", "it ends (%s) before it begins (%s)", until, from)
	}
	for i := range suspended {
		s := &suspended[i]
		if s.From == "" {
			return c.at(x, "suspended", "a suspension needs a first day: from")
		}
		if s.To != "" && s.To < s.From {
			return c.at(x, "suspended", "the suspension ends (%s) before it begins (%s)", s.To, s.From)
		}
	}
	return nil
}

func (c *checker) rule(r *Rule) error {
	if !slices.Contains([]string{Refuse, Condition, Permit}, r.Then) {
		return c.at(r, "then", "rule %s: then must be refuse, condition or permit, not %q", r.ID, r.Then)
	}
	if r.Title == "" {
		return c.at(r, "title", "rule %s needs a title that says why, for the one who reads the decision", r.ID)
	}
	if r.From != "" && len(r.Levels) > 0 {
		return c.at(r, "levels", "rule %s: give from or levels, not both", r.ID)
	}
	for _, level := range append([]string{r.From}, r.Levels...) {
		if level != "" && !slices.Contains(c.p.Levels, level) {
			return c.at(r, "from", "rule %s: there is no level %q%s", r.ID, level, suggest(level, c.p.Levels))
		}
	}
	if err := c.period(r, r.Effective, r.Until, r.Suspended); err != nil {
		return err
	}
	for _, f := range []func(*Rule) error{c.origin, c.doors, c.rest} {
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) origin(r *Rule) error {
	o := r.Origin
	if o == nil {
		return nil
	}
	if len(o.Axes) == 0 {
		return c.at(o, "axes", "rule %s: say which axes are meant, such as development", r.ID)
	}
	ofEntity := false
	for _, a := range slices.Concat(o.Axes, o.Whose) {
		if !a.Known() {
			return c.at(o, "axes", "rule %s: there is no axis %q%s", r.ID, a, suggest(string(a), axisNames()))
		}
	}
	for _, a := range o.Axes {
		ofEntity = ofEntity || a.OfEntity()
	}
	for _, a := range o.Whose {
		if a.OfEntity() {
			return c.at(o, "whose", "rule %s: whose names activities, and %s is none", r.ID, a)
		}
	}
	modes := 0
	for _, set := range []bool{len(o.In) > 0, len(o.NotIn) > 0, o.Known} {
		if set {
			modes++
		}
	}
	switch {
	case modes != 1:
		return c.at(o, "in", "rule %s: give one of in, not_in and known", r.ID)
	case ofEntity && len(o.Whose) == 0:
		return c.at(o, "whose", "rule %s: seats and owners are those of somebody: whose, such as development", r.ID)
	case !ofEntity && len(o.Whose) > 0:
		return c.at(o, "whose", "rule %s: whose belongs to seats and owners only", r.ID)
	case o.Evidence != "" && o.Evidence.Rank() < 0:
		return c.at(o, "evidence", "rule %s: there is no evidence class %q (%v)", r.ID, o.Evidence, doorward.EvidenceClasses)
	}
	if o.Parts == "" {
		o.Parts = PartsAny
	}
	if !slices.Contains(allParts, o.Parts) {
		return c.at(o, "parts", "rule %s: parts must be one of %s", r.ID, strings.Join(allParts, ", "))
	}
	for key, v := range map[string]float64{"share": o.Share, "owned": o.Owned, "of_parts": o.OfParts} {
		if !(v >= 0 && v <= 100) {
			return c.at(o, key, "rule %s: %g is no percentage", r.ID, v)
		}
	}
	return c.originLists(r)
}

func (c *checker) originLists(r *Rule) (err error) {
	o := r.Origin
	for _, name := range slices.Concat(o.In, o.NotIn) {
		l := c.p.Lists[name]
		if l == nil {
			var known []string
			for n := range c.p.Lists {
				known = append(known, n)
			}
			sort.Strings(known)
			return c.at(o, "in", "rule %s: there is no list %q%s", r.ID, name, suggest(name, known))
		}
		if len(o.lists) > 0 && o.lists[0].Of != l.Of {
			return c.at(o, "in", "rule %s: one rule asks either for countries or for entities", r.ID)
		}
		o.lists = append(o.lists, l)
	}
	if o.Owned > 0 && (len(o.lists) == 0 || o.lists[0].Of != ofEntities) {
		return c.at(o, "owned", "rule %s: owned goes with a list of entities", r.ID)
	}
	o.when, err = c.compile(r, o, o.When, onPart)
	return err
}

func (c *checker) doors(r *Rule) (err error) {
	d := r.Doors
	if d == nil {
		return nil
	}
	for _, k := range d.Kinds {
		if !slices.Contains(doorward.Kinds, k) {
			return c.at(d, "kinds", "rule %s: there is no kind of door %q%s", r.ID, k, suggest(string(k), words(doorward.Kinds)))
		}
	}
	if d.Weight != "" && !slices.Contains(doorward.Weights, d.Weight) {
		return c.at(d, "weight", "rule %s: there is no weight %q%s", r.ID, d.Weight, suggest(string(d.Weight), words(doorward.Weights)))
	}
	if bad := firstUnknown(d.Reach, []doorward.Reach{doorward.Remote, doorward.Adjacent, doorward.Local, doorward.Physical}); bad != "" {
		return c.at(d, "reach", "rule %s: there is no reach %q", r.ID, bad)
	}
	if bad := firstUnknown(d.Status, []doorward.Status{doorward.Declared, doorward.Undeclared, doorward.Contradicts}); bad != "" {
		return c.at(d, "status", "rule %s: there is no status %q", r.ID, bad)
	}
	if bad := firstUnknown(d.Certainty, []doorward.Certainty{doorward.Shown, doorward.Likely, doorward.Hint}); bad != "" {
		return c.at(d, "certainty", "rule %s: there is no certainty %q", r.ID, bad)
	}
	if bad := firstUnknown(d.Stages, []doorward.Stage{doorward.Signal, doorward.Access, doorward.Collect, doorward.Transmit}); bad != "" {
		return c.at(d, "stages", "rule %s: there is no stage %q", r.ID, bad)
	}
	if d.MoreThan < 0 {
		return c.at(d, "more_than", "rule %s: more_than can't be negative", r.ID)
	}
	d.when, err = c.compile(r, d, d.When, onDoor)
	return err
}

func (c *checker) rest(r *Rule) (err error) {
	if u := r.Unread; u != nil && !(u.Over >= 0 && u.Over <= 100) {
		return c.at(u, "over", "rule %s: %g is no percentage", r.ID, u.Over)
	}
	if d := r.Declaration; d != nil && d.Missing == d.Unsigned {
		return c.at(d, "missing", "rule %s: give one of missing and unsigned", r.ID)
	}
	if f := r.Components; f != nil {
		if bad := firstUnknown(f.Without, []string{"version", "maker", "purl", "sha256"}); bad != "" || len(f.Without) == 0 {
			return c.at(f, "without", "rule %s: without names what is missed: version, maker, purl or sha256", r.ID)
		}
		if !(f.Over >= 0 && f.Over <= 100) {
			return c.at(f, "over", "rule %s: %g is no percentage", r.ID, f.Over)
		}
	}
	if r.Then == Condition && r.Text == "" {
		return c.at(r, "text", "rule %s: say in text what has to be kept", r.ID)
	}
	r.when, err = c.compile(r, r, r.When, onProduct)
	return err
}

func (c *checker) compile(r *Rule, x any, text string, on scope) (*expression, error) {
	if text == "" {
		return nil, nil
	}
	parameters := make([]string, 0, len(c.p.Parameters))
	for name := range c.p.Parameters {
		parameters = append(parameters, name)
	}
	e, err := compile(text, on, parameters)
	if err != nil {
		return nil, c.at(x, "when", "rule %s: %s", r.ID, oneLine(err.Error()))
	}
	return e, nil
}

// firstUnknown is the first value that is not among those that there are.
func firstUnknown[T ~string](list, known []T) T {
	for _, x := range list {
		if !slices.Contains(known, x) {
			return x
		}
	}
	return ""
}

func words[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = string(x)
	}
	return out
}

func axisNames() []string {
	return words(slices.Concat(doorward.Activities, doorward.EntityAxes))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// RulesAt lists the rules that hold at a level.
func (p *Policy) RulesAt(level string) ([]*Rule, error) {
	at := slices.Index(p.Levels, level)
	if at < 0 {
		return nil, fmt.Errorf("policy %s has no level %q: it has %s", p.Name, level, strings.Join(p.Levels, ", "))
	}
	var out []*Rule
	for _, r := range p.Rules {
		if len(r.Levels) > 0 && !slices.Contains(r.Levels, level) || r.From != "" && at < slices.Index(p.Levels, r.From) {
			continue
		}
		out = append(out, r)
	}
	return out, nil
}
