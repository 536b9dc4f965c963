package policy

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/doorward/doorward"
)

// Decide says what a policy makes of a case at one level. An error means that
// there is no decision: a level that the policy does not have, a list that has
// expired, facts that can't be.
func Decide(p *Policy, level string, c Case) (*doorward.Decision, error) {
	rules, err := p.RulesAt(level)
	if err != nil {
		return nil, err
	}
	if _, err := parseDate(c.At); err != nil {
		return nil, err
	}
	if err := usableLists(rules, c.At); err != nil {
		return nil, err
	}
	x, err := newIndex(p, c)
	if err != nil {
		return nil, err
	}
	return x.decide(level, rules), nil
}

func usableLists(rules []*Rule, at Date) error {
	for _, r := range rules {
		if r.Origin == nil {
			continue
		}
		for _, l := range r.Origin.lists {
			if err := l.usable(at); err != nil {
				return err
			}
		}
	}
	return nil
}

// judged is a rule and what it came to.
type judged struct {
	*Rule
	outcome doorward.Outcome
	found   []found
	excused bool // an exception covers all that it found
	told    found
}

// atOnce calls do for 0 to n-1, on all cores: rules don't depend on each other.
func atOnce(n int, do func(int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	var wait sync.WaitGroup
	for k := range workers {
		wait.Go(func() {
			for i := k; i < n; i += workers {
				do(i)
			}
		})
	}
	wait.Wait()
}

// decide combines: refusal overrides, what is not known is undetermined, and
// what no rule permits is refused.
func (x *index) decide(level string, rules []*Rule) *doorward.Decision {
	r := &ruling{index: x, level: level, exceptions: x.newExceptions(level), subject: x.product()}
	d := &doorward.Decision{
		Level: level, At: string(x.At), Policy: x.policy.Name, PolicySHA256: x.policy.sha256,
		Rules: map[string]doorward.Outcome{}, Reasons: []doorward.Reason{}, WouldChange: []string{},
	}
	for _, rep := range x.Reports {
		d.Subjects = append(d.Subjects, doorward.DecisionSubject{Name: rep.Subject.Name, SHA256: rep.Subject.SHA256})
	}
	all := make([]judged, len(rules))
	atOnce(len(rules), func(i int) {
		all[i].Rule = rules[i]
		all[i].outcome, all[i].found = r.outcome(rules[i])
	})
	for i := range all {
		j := &all[i]
		d.Rules[j.ID] = j.outcome
		if j.Then == Refuse && (j.outcome == doorward.Applies || j.outcome == doorward.NotKnown) {
			j.excused = r.exceptions.covers(rulePrefix + j.ID)
		}
	}
	slices.SortFunc(all, func(a, b judged) int {
		return cmp.Or(cmp.Compare(urgency(a), urgency(b)), cmp.Compare(a.ID, b.ID))
	})
	d.Result = combine(all, len(r.exceptions.used()) > 0)
	atOnce(len(all), func(i int) {
		if decisive(all[i], d.Result) {
			all[i].told = r.because(all[i])
		}
	})
	r.explain(d, all)
	d.Exceptions = r.exceptions.uses
	return d
}

// urgency orders rules as a reader wants them: what refuses, what is not known,
// conditions, permits.
func urgency(j judged) int {
	n := slices.Index([]string{Refuse, Condition, Permit}, j.Then) * 2
	if j.outcome == doorward.NotKnown {
		n++
	}
	return n
}

// combine is the whole of how rules become a result.
func combine(all []judged, excepted bool) doorward.Result {
	refused, open, permitted, permitOpen, conditions := false, false, false, false, excepted
	for _, j := range all {
		applies, notKnown := j.outcome == doorward.Applies, j.outcome == doorward.NotKnown
		switch {
		case j.Then == Refuse && !j.excused:
			refused, open = refused || applies, open || notKnown
		case j.Then == Condition:
			conditions = conditions || applies || notKnown
		case j.Then == Permit:
			permitted, permitOpen = permitted || applies, permitOpen || notKnown
		}
	}
	switch {
	case refused || !permitted && !permitOpen:
		return doorward.Refuse
	case open || !permitted:
		return doorward.Undetermined
	case conditions:
		return doorward.Conditional
	}
	return doorward.Admit
}

// explain writes down the rules that decided, on what, and what would change it.
func (r *ruling) explain(d *doorward.Decision, all []judged) {
	var change [][]string
	for _, j := range all {
		if !decisive(j, d.Result) {
			continue
		}
		d.Reasons = append(d.Reasons, doorward.Reason{
			Rule: j.ID, Effect: j.Then, Known: j.outcome, Text: strings.TrimSuffix(j.Title+": "+j.told.text, ": "), Facts: j.told.facts, Source: j.Source.String(),
		})
		switch {
		case j.Then == Condition:
			d.Conditions = append(d.Conditions, j.Text)
		case j.Then == Refuse:
			change = append(change, j.told.changes)
		}
	}
	if d.Result == doorward.Refuse && !slices.ContainsFunc(d.Reasons, func(x doorward.Reason) bool { return x.Effect == Refuse && x.Known == doorward.Applies }) {
		d.Reasons = append([]doorward.Reason{{Rule: "default", Effect: Refuse, Known: doorward.Applies, Text: "No rule permits this product at level " + d.Level + ".", Facts: []string{}}}, d.Reasons...)
	}
	for _, u := range r.exceptions.used() {
		d.Conditions = append(d.Conditions, fmt.Sprintf("exception %s holds until %s: %s", u.ID, u.Until, u.Reason))
	}
	if d.Result != doorward.Conditional {
		d.Conditions = nil
	}
	if d.Result.Rank() == 0 {
		change = append(change, r.permitChange(all))
		d.WouldChange = union(change)
	}
}

// decisive says that a rule belongs to the reasons of a result.
func decisive(j judged, result doorward.Result) bool {
	applies, notKnown := j.outcome == doorward.Applies, j.outcome == doorward.NotKnown
	switch j.Then {
	case Refuse:
		return !j.excused && (applies || notKnown)
	case Condition:
		return applies || notKnown
	}
	return result.Rank() > 0 && applies || result == doorward.Undetermined && notKnown
}

// because is what a rule found: the conditions that carry its outcome.
func (r *ruling) because(j judged) found {
	told, best := found{facts: []string{}}, -1
	for _, f := range j.found {
		if f.origin {
			f = r.explainOrigin(j.Rule)
		}
		told.facts = append(told.facts, f.facts...)
		if f.text != "" && told.text != "" {
			told.text += "; "
		}
		told.text += f.text
		if best < 0 || len(f.changes) < best {
			best, told.changes = len(f.changes), f.changes
		}
	}
	if len(j.found) == 0 {
		told.changes = []string{"another policy: rule " + j.ID + " always applies"}
	}
	return told
}

// permitChange is the shortest way to have one rule permit; none if one does.
func (r *ruling) permitChange(all []judged) []string {
	var best []string
	for _, j := range all {
		if j.Then != Permit {
			continue
		}
		if j.outcome == doorward.Applies {
			return nil
		}
		var need []string
		for _, f := range j.found {
			switch {
			case f.truth == yes:
			case f.origin:
				e := r.explainOrigin(j.Rule)
				need = append(need, fmt.Sprintf("rule %s permits: %s", j.ID, e.text))
			default:
				for _, n := range f.needs {
					need = append(need, fmt.Sprintf("rule %s permits: %s", j.ID, n))
				}
			}
		}
		if best == nil || len(need) < len(best) {
			best = need
		}
	}
	if best == nil {
		return []string{"a rule that permits"}
	}
	return best
}

func union(lists [][]string) []string {
	out := []string{}
	for _, l := range lists {
		out = append(out, l...)
	}
	sort.Strings(out)
	return slices.Compact(out)
}

// String is a source as a report cites it.
func (s *Source) String() string {
	if s == nil {
		return ""
	}
	text := s.Title
	if s.Section != "" {
		text += ", " + s.Section
	}
	return text
}
