package policy

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/doorward/doorward"
)

// Case is what is decided on: one product, of which there may be several
// artifacts, with all that is known of it.
type Case struct {
	At         Date
	Reports    []*doorward.Report
	Facts      []doorward.OriginFact // besides those of the reports
	Entities   []doorward.Entity     // besides those of the reports
	Parameters map[string]string     // what the person who decides states
	Exceptions []doorward.Exception  // whose signatures were checked
	// Signed holds, for the digest of a declaration's document, the fingerprints
	// of the keys whose signature over it was checked.
	Signed map[string][]string
}

// part is what an origin rule looks at: a component, or the product.
type part struct {
	ref       string
	component *doorward.Component // nil: the product
	doors     int                 // of weight low or above
}

// question is what a fact answers.
type question struct {
	subject string
	axis    doorward.Axis
}

// index is a case, ready to be asked.
type index struct {
	Case
	policy *Policy
	parts  []part
	facts  map[question][]fact
	names  map[string][]string // of an entity's key: all its keys, its identifiers too
	review map[string][]string // of an entity's key: names that are nearly its own
	picked map[string][]*part  // parts by what rules call them
	byRef  map[string]*part
}

// fact is an origin fact with the key of the entity that it names.
type fact struct {
	*doorward.OriginFact
	key string
}

func newIndex(p *Policy, c Case) (*index, error) {
	x := &index{
		Case: c, policy: p, facts: map[question][]fact{}, names: map[string][]string{}, review: map[string][]string{},
		picked: map[string][]*part{}, byRef: map[string]*part{},
	}
	x.Reports = slices.SortedFunc(slices.Values(c.Reports), func(a, b *doorward.Report) int {
		return cmp.Or(strings.Compare(a.Subject.Name, b.Subject.Name), strings.Compare(a.Subject.SHA256, b.Subject.SHA256))
	})
	for name := range c.Parameters {
		if err := x.parameter(name); err != nil {
			return nil, err
		}
	}
	x.entities()
	x.collectParts()
	if err := x.collectFacts(); err != nil {
		return nil, err
	}
	return x, x.checkOwners()
}

func (x *index) parameter(name string) error {
	par, ok := x.policy.Parameters[name]
	if !ok {
		return fmt.Errorf("policy %s has no parameter %q", x.policy.Name, name)
	}
	if v := x.Parameters[name]; len(par.Values) > 0 && !slices.Contains(par.Values, v) {
		return fmt.Errorf("%s=%s: policy %s knows %s", name, v, x.policy.Name, strings.Join(par.Values, ", "))
	}
	return nil
}

// entities joins the keys of each entity.
func (x *index) entities() {
	lists := [][]doorward.Entity{x.Case.Entities}
	for _, r := range x.Reports {
		lists = append(lists, r.Entities)
	}
	for _, e := range slices.Concat(lists...) {
		keys := map[string]bool{}
		add := func(k string) {
			if k == "" {
				return
			}
			keys[k] = true
			for _, other := range x.names[k] {
				keys[other] = true
			}
		}
		for _, n := range e.Names() {
			add(doorward.EntityKey(n))
		}
		for kind, id := range e.IDs {
			add(idKey(kind, id))
		}
		all := make([]string, 0, len(keys))
		for k := range keys {
			all = append(all, k)
		}
		sort.Strings(all)
		for _, k := range all {
			x.names[k] = all
			x.review[k] = append(x.review[k], e.Review...)
		}
	}
}

// key is the first of the keys of the entity that has this name.
func (x *index) key(name string) string { return x.keys(doorward.EntityKey(name))[0] }

// entityQuestion is under which of an entity's keys facts on it are kept.
func (x *index) entityQuestion(key string, axis doorward.Axis) question {
	return question{"entity:" + x.keys(key)[0], axis}
}

// keys are all the keys of the entity that has this one.
func (x *index) keys(key string) []string {
	if all, ok := x.names[key]; ok {
		return all
	}
	return []string{key}
}

func (x *index) collectParts() {
	top := part{ref: doorward.ProductSubject}
	at := map[string]int{}
	for _, r := range x.Reports {
		for i := range r.Components {
			c := &r.Components[i]
			if _, ok := at[c.BOMRef]; !ok {
				at[c.BOMRef] = len(x.parts)
				x.parts = append(x.parts, part{ref: c.BOMRef, component: c})
			}
		}
		for i := range r.Doors {
			d := &r.Doors[i]
			switch j, ok := at[d.Component]; {
			case d.Weight.Rank() < doorward.Low.Rank():
			case ok:
				x.parts[j].doors++
			default:
				top.doors++
			}
		}
	}
	slices.SortFunc(x.parts, func(a, b part) int { return strings.Compare(a.ref, b.ref) })
	x.parts = append([]part{top}, x.parts...)
	for i := range x.parts {
		x.byRef[x.parts[i].ref] = &x.parts[i]
	}
	for _, which := range allParts {
		x.picked[which] = x.pick(which)
	}
}

// selected are the parts that a rule means.
func (x *index) selected(which string) []*part { return x.picked[which] }

// pick finds the parts that a rule may mean by a word.
func (x *index) pick(which string) []*part {
	out := []*part{}
	for i := range x.parts {
		p := &x.parts[i]
		top := p.component == nil
		switch which {
		case PartsAny:
		case PartsComponents:
			if top {
				continue
			}
		case PartsTop:
			if !top {
				continue
			}
		case PartsEssential:
			if !top && !x.essential(p.component) {
				continue
			}
		case PartsAccess:
			if p.doors == 0 {
				continue
			}
		}
		out = append(out, p)
	}
	return out
}

// essentialTypes hold where a policy says nothing else: what runs everything
// else.
var essentialTypes = []string{"firmware", "operating-system", "platform", "device", "device-driver"}

func (x *index) essential(c *doorward.Component) bool {
	e := x.policy.Essential
	if e == nil {
		return slices.Contains(essentialTypes, c.Type)
	}
	for _, glob := range e.Names {
		if ok, _ := path.Match(glob, c.Name); ok {
			return true
		}
	}
	return slices.Contains(e.Types, c.Type)
}

// collectFacts keeps the facts that hold on the day.
func (x *index) collectFacts() error {
	seen := map[string]bool{}
	lists := [][]doorward.OriginFact{x.Case.Facts}
	for _, r := range x.Reports {
		lists = append(lists, r.Origins)
	}
	for _, list := range lists {
		for i := range list {
			f := list[i]
			if f.ID == "" {
				f.SetID()
			}
			switch {
			case seen[f.ID]:
				continue
			case f.ValidFrom != "" && x.At < Date(f.ValidFrom), f.ValidTo != "" && x.At > Date(f.ValidTo):
				continue
			}
			if err := checkFact(&f); err != nil {
				return err
			}
			seen[f.ID] = true
			if f.Class == doorward.Claimed && x.signedByMaker(f.SHA256) {
				f.Class = doorward.Signed // the document that claims it, by a key that the policy trusts
			}
			q, known := question{f.Subject, f.Axis}, fact{OriginFact: &f}
			if f.Axis.OfEntity() {
				q = x.entityQuestion(strings.TrimPrefix(f.Subject, "entity:"), f.Axis)
			}
			if f.Entity != "" {
				known.key = x.key(f.Entity)
			}
			x.facts[q] = append(x.facts[q], known)
		}
	}
	for q, facts := range x.facts {
		slices.SortFunc(facts, func(a, b fact) int { return strings.Compare(a.ID, b.ID) })
		if err := checkShares(q, facts); err != nil {
			return err
		}
	}
	return nil
}

func checkFact(f *doorward.OriginFact) error {
	entity := strings.HasPrefix(f.Subject, "entity:")
	switch {
	case !f.Axis.Known():
		return fmt.Errorf("fact %s on %s: there is no axis %q", f.ID, f.Subject, f.Axis)
	case f.Axis.OfEntity() != entity:
		return fmt.Errorf("fact %s: %s is asked of %s, and %s is none", f.ID, f.Axis, map[bool]string{true: "entities", false: "components and products"}[f.Axis.OfEntity()], f.Subject)
	case f.Class.Rank() < 0:
		return fmt.Errorf("fact %s on %s: there is no evidence class %q", f.ID, f.Subject, f.Class)
	case f.Country != "" && !isCountry(f.Country):
		return fmt.Errorf("fact %s on %s: %q is no country code (ISO 3166-1 alpha-2)", f.ID, f.Subject, f.Country)
	case f.Share != nil && !(f.Share.Min >= 0 && f.Share.Min <= f.Share.Max && f.Share.Max <= 100):
		return fmt.Errorf("fact %s on %s: a share from %g to %g %% can't be", f.ID, f.Subject, f.Share.Min, f.Share.Max)
	}
	return nil
}

// checkShares refuses what one source states to be more than everything.
func checkShares(q question, facts []fact) error {
	sum := map[string]float64{}
	for _, f := range facts {
		if f.Share != nil {
			sum[f.AssertedBy] += f.Share.Min
		}
	}
	sources := make([]string, 0, len(sum))
	for s := range sum {
		sources = append(sources, s)
	}
	sort.Strings(sources)
	for _, s := range sources {
		if sum[s] > 100.0001 {
			return fmt.Errorf("the shares of %s of %s that %q states add up to %g %%: correct the facts", q.axis, q.subject, s, sum[s])
		}
	}
	return nil
}
