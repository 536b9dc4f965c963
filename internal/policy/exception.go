package policy

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/doorward/doorward"
)

// States of an exception.
const (
	exceptionUsed      = "used"
	exceptionUnmatched = "unmatched" // it holds, and covers nothing that is there
	exceptionExpired   = "expired"
	exceptionRefused   = "refused" // it does not hold here
	ExceptionHolds     = "holds"   // as far as can be told without a product
)

// exceptions are those that hold for a case at a level, and what they covered.
type exceptions struct {
	mu    sync.Mutex // of uses
	uses  []doorward.ExceptionUse
	cover map[string][]int // of a finding: the uses that cover it
}

// rulePrefix begins the finding that stands for all that a rule found.
const rulePrefix = "rule:"

// newExceptions judges the exceptions of a case. It is the only place that does.
func (x *index) newExceptions(level string) *exceptions {
	e := &exceptions{cover: map[string][]int{}}
	list := slices.Clone(x.Exceptions)
	slices.SortFunc(list, func(a, b doorward.Exception) int { return strings.Compare(a.ID, b.ID) })
	for i := range list {
		ex := &list[i]
		state, why := x.judge(ex, level)
		e.uses = append(e.uses, doorward.ExceptionUse{ID: ex.ID, State: state, Why: why, Until: ex.Until, Reason: ex.Reason, Approver: ex.Approver})
		if state != exceptionUnmatched {
			continue
		}
		for _, f := range ex.Findings {
			e.cover[f] = append(e.cover[f], i)
		}
	}
	return e
}

// JudgeException says whether an exception holds on a day for the product and
// the level that it was made for. Without a policy that is not known: then only
// what it says itself is judged.
func JudgeException(p *Policy, e *doorward.Exception, at Date) (state, why string) {
	x := &index{Case: Case{At: at}, policy: p}
	for _, sum := range e.Products {
		x.Reports = append(x.Reports, &doorward.Report{Subject: doorward.Subject{SHA256: sum}})
	}
	if p == nil {
		if state, why = x.judgeTime(e, &ExceptionRules{}); state == exceptionUnmatched {
			state, why = judgeKeys(e)
		}
	} else {
		state, why = x.judge(e, e.Level)
	}
	if state == exceptionUnmatched {
		return ExceptionHolds, ""
	}
	return state, why
}

// judge says whether an exception holds; if so it is unmatched until a finding
// uses it.
func (x *index) judge(e *doorward.Exception, level string) (state, why string) {
	rules := x.policy.Exceptions
	switch {
	case rules == nil || !rules.Allowed:
		return exceptionRefused, "the policy allows no exceptions"
	case e.PolicySHA256 != x.policy.sha256:
		return exceptionRefused, "it was made for another policy, or another version of it"
	case e.Level != level:
		return exceptionRefused, "it was made for level " + e.Level
	case !x.sameProduct(e.Products):
		return exceptionRefused, "it was made for another product, or another version of it"
	}
	if state, why := judgeKeys(e); state != exceptionUnmatched {
		return state, why
	}
	switch {
	case x.policy.Keys == nil || !slices.Contains(x.policy.Keys.Approvers, e.Approver):
		return exceptionRefused, "the policy does not name its approver"
	case len(x.policy.Keys.Requesters) > 0 && !slices.Contains(x.policy.Keys.Requesters, e.Requester):
		return exceptionRefused, "the policy does not name its requester"
	}
	return x.judgeTime(e, rules)
}

// judgeKeys asks for two signatures by two keys.
func judgeKeys(e *doorward.Exception) (state, why string) {
	switch {
	case e.Requester == "" || e.Approver == "":
		return exceptionRefused, "it needs two signatures, of who asks for it and of who approves it"
	case e.Requester == e.Approver:
		return exceptionRefused, "one key can't both ask for an exception and approve it"
	}
	return exceptionUnmatched, ""
}

func (x *index) judgeTime(e *doorward.Exception, rules *ExceptionRules) (state, why string) {
	issued, err := time.Parse(time.DateOnly, e.Issued)
	until, err2 := time.Parse(time.DateOnly, e.Until)
	switch {
	case err != nil || err2 != nil:
		return exceptionRefused, "it does not say from when until when it holds"
	case rules.MaxDays > 0 && until.Sub(issued) > time.Duration(rules.MaxDays)*24*time.Hour:
		return exceptionRefused, fmt.Sprintf("it holds for more than the %d days that the policy allows", rules.MaxDays)
	case x.At < Date(e.Issued):
		return exceptionRefused, "it holds from " + e.Issued + " on"
	case x.At > Date(e.Until):
		return exceptionExpired, "it held until " + e.Until
	}
	return exceptionUnmatched, ""
}

// sameProduct says that an exception was made for just these artifacts.
func (x *index) sameProduct(digests []string) bool {
	var own []string
	for _, r := range x.Reports {
		own = append(own, r.Subject.SHA256)
	}
	slices.Sort(own)
	theirs := slices.Clone(digests)
	slices.Sort(theirs)
	return len(own) > 0 && !slices.Contains(own, "") && slices.Equal(slices.Compact(own), slices.Compact(theirs))
}

// covers says that an exception covers a finding, and notes its use.
func (e *exceptions) covers(finding string) bool {
	uses := e.cover[finding]
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, i := range uses {
		u := &e.uses[i]
		u.State = exceptionUsed
		if !slices.Contains(u.Covers, finding) {
			u.Covers = append(u.Covers, finding)
			slices.Sort(u.Covers)
		}
	}
	return len(uses) > 0
}

// used says that any exception covered anything.
func (e *exceptions) used() []doorward.ExceptionUse {
	var out []doorward.ExceptionUse
	for _, u := range e.uses {
		if u.State == exceptionUsed {
			out = append(out, u)
		}
	}
	return out
}
