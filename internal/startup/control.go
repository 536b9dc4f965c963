package startup

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

const maxLoop = 256

func (s *shell) ifClause(c *syntax.IfClause) result {
	var before []Condition // of the branches that were not taken
	undecided := false
	for c != nil {
		if len(c.Cond) == 0 { // else
			r := result{truth: True}
			if undecided {
				r = result{truth: Unknown, conds: before}
			} else {
				r.conds = before
			}
			return s.branch(c.Then, r)
		}
		r := s.condition(c.Cond)
		if s.flow != onward {
			return r
		}
		taken := r
		if undecided {
			taken.conds = append(before[:len(before):len(before)], r.conds...)
			if r.truth == True {
				taken.truth = Unknown
			}
		} else {
			taken.conds = append(settingsOnly(before), r.conds...)
		}
		s.branch(c.Then, taken)
		if r.truth == True && !undecided {
			s.deadElse(c.Else, r)
			return succeeded
		}
		before = append(before, r.not().conds...)
		undecided = undecided || r.truth == Unknown
		c = c.Else
	}
	return result{truth: True}
}

// settingsOnly keeps the conditions that a setting decides.
func settingsOnly(list []Condition) []Condition {
	var kept []Condition
	for _, c := range list {
		if c.Name != "" {
			kept = append(kept, c)
		}
	}
	return kept
}

// deadElse looks at the branches that a shipped setting switches off.
func (s *shell) deadElse(c *syntax.IfClause, r result) {
	if c == nil || r.given || len(r.conds) == 0 {
		return
	}
	s.branch(c.Then, result{truth: False, conds: r.not().conds})
}

// condition runs the commands of a guard; the last one decides.
func (s *shell) condition(stmts []*syntax.Stmt) result {
	r := s.list(stmts)
	if len(stmts) > 0 {
		r = s.guardOf(r, stmts[len(stmts)-1])
	}
	return r
}

func (s *shell) binary(c *syntax.BinaryCmd) result {
	switch c.Op {
	case syntax.AndStmt:
		x := s.guardOf(s.stmt(c.X), c.X)
		if s.flow != onward {
			return x
		}
		y := s.branch([]*syntax.Stmt{c.Y}, x)
		return result{truth: both(x.truth, y.truth), conds: append(x.conds[:len(x.conds):len(x.conds)], y.conds...), given: x.given && (y.given || y.truth == True)}
	case syntax.OrStmt:
		x := s.guardOf(s.stmt(c.X), c.X)
		if s.flow != onward {
			return x
		}
		if x.truth == True {
			return x
		}
		y := s.branch([]*syntax.Stmt{c.Y}, s.otherwise(x))
		r := result{truth: either(x.truth, y.truth), given: x.given || y.given}
		r.conds = orConds(x.conds, y.conds, r.truth)
		return r
	}
	return s.pipe(c)
}

// otherwise is the guard of what follows a failed command.
func (s *shell) otherwise(x result) result {
	n := x.not()
	n.given = x.given
	if n.truth == True {
		n.conds = settingsOnly(n.conds)
	}
	return n
}

func both(a, b Truth) Truth {
	switch {
	case a == False || b == False:
		return False
	case a == True && b == True:
		return True
	}
	return Unknown
}

func either(a, b Truth) Truth {
	switch {
	case a == True || b == True:
		return True
	case a == False && b == False:
		return False
	}
	return Unknown
}

func orConds(x, y []Condition, truth Truth) []Condition {
	if len(x) == 0 {
		return y
	}
	if len(y) == 0 {
		return x
	}
	c := x[0]
	if c.Name == "" {
		c.Name, c.Want, c.Default = y[0].Name, y[0].Want, y[0].Default
	}
	c.Text = strings.Join([]string{x[0].Text, y[0].Text}, " || ")
	c.Holds = truth
	return []Condition{c}
}

// pipe runs each command in a shell of its own and hands on what is known of
// the text.
func (s *shell) pipe(c *syntax.BinaryCmd) result {
	left := s.fork()
	var out value
	left.out = &out
	left.stmt(c.X)
	right := s.fork()
	right.stdin = &out
	return right.stmt(c.Y)
}

func (s *shell) caseClause(c *syntax.CaseClause) result {
	v := s.word(c.Word)
	var earlier []Condition
	for _, item := range c.Items {
		for _, pw := range item.Patterns {
			p := s.pattern(pw)
			cond := Condition{Text: "case " + s.source(c.Word) + " in " + p.text + ")", Name: v.setting, Want: p.text, Holds: Unknown}
			if v.unknown || p.unknown {
				if v.unknown && p.text == "*" {
					cond.Want = ""
				}
				s.branch(item.Stmts, result{truth: Unknown, conds: []Condition{cond}})
				break
			}
			cond.Default = v.text
			if matchPattern(p.text, v.text) {
				r := result{truth: True}
				if v.setting != "" {
					cond.Holds = True
					r.conds = []Condition{cond}
				}
				return s.branch(item.Stmts, r)
			}
			if v.setting != "" && !v.given {
				cond.Holds = False
				earlier = append(earlier, cond)
				s.branch(item.Stmts, result{truth: False, conds: []Condition{cond}})
			}
		}
		if s.flow != onward {
			break
		}
	}
	return result{truth: True}
}

func (s *shell) forClause(c *syntax.ForClause) result {
	it, ok := c.Loop.(*syntax.WordIter)
	if !ok {
		if cs, ok := c.Loop.(*syntax.CStyleLoop); ok {
			return s.countLoop(cs, c.Do)
		}
		return result{}
	}
	items := s.args
	if it.InPos.IsValid() {
		items = s.fields(it.Items)
	}
	for i, v := range items {
		if i >= maxLoop || !s.step() {
			break
		}
		v.given = true
		if v.unknown {
			v = unknownValue(it.Name.Value)
		}
		s.vars[it.Name.Value] = v
		if v.unknown {
			s.branch(c.Do, result{truth: Unknown, conds: []Condition{{Text: "for " + it.Name.Value + " in " + items[i].text}}})
		} else {
			s.list(c.Do)
		}
		if s.leaveLoop() {
			break
		}
	}
	return result{truth: True}
}

func (s *shell) leaveLoop() bool {
	switch s.flow {
	case broke:
		s.flow = onward
		return true
	case continued:
		s.flow = onward
		return false
	}
	return s.flow != onward
}

func (s *shell) countLoop(c *syntax.CStyleLoop, do []*syntax.Stmt) result {
	if c.Init != nil {
		s.arith(c.Init)
	}
	for range maxLoop {
		if !s.step() {
			break
		}
		unsure := false
		if c.Cond != nil {
			v := s.arith(c.Cond)
			if !v.unknown && v.text == "0" {
				break
			}
			unsure = v.unknown
		}
		s.list(do)
		if s.leaveLoop() || unsure {
			break
		}
		if c.Post != nil {
			s.arith(c.Post)
		}
	}
	return result{truth: True}
}

func (s *shell) whileClause(c *syntax.WhileClause) result {
	if r, ok := s.readLoop(c); ok {
		return r
	}
	for i := range maxLoop {
		if !s.step() {
			break
		}
		r := s.condition(c.Cond)
		if s.flow != onward {
			break
		}
		if c.Until {
			r = r.not()
			r.given = true // what a loop waits for comes in the end
		}
		if r.truth == False {
			if i == 0 {
				s.branch(c.Do, r)
			}
			break
		}
		if r.truth == Unknown || alwaysTrue(c.Cond) {
			s.branch(c.Do, r)
			s.leaveLoop()
			break
		}
		s.list(c.Do)
		if s.leaveLoop() {
			break
		}
	}
	return result{truth: True}
}

func alwaysTrue(stmts []*syntax.Stmt) bool {
	if len(stmts) != 1 {
		return false
	}
	call, ok := stmts[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 {
		return false
	}
	switch call.Args[0].Lit() {
	case "true", ":":
		return true
	case "[", "test":
		return len(call.Args) < 4 // while [ 1 ]
	}
	return false
}

// readLoop runs "while read a b; do" once for each line of known input.
func (s *shell) readLoop(c *syntax.WhileClause) (result, bool) {
	if len(c.Cond) != 1 || s.stdin == nil || s.stdin.unknown {
		return result{}, false
	}
	call, ok := c.Cond[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 || call.Args[0].Lit() != "read" {
		return result{}, false
	}
	names := s.fields(call.Args[1:])
	text := s.stdin.text
	s.stdin = nil
	old, had := s.vars["IFS"]
	own := false
	for _, a := range call.Assigns { // while IFS== read name value
		if a.Name != nil && a.Name.Value == "IFS" {
			s.vars["IFS"], own = s.word(a.Value), true
		}
	}
	ifs := s.vars["IFS"]
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if i >= maxLoop || !s.step() || text == "" {
			break
		}
		if own {
			s.vars["IFS"] = ifs
		}
		s.readInto(names, line)
		if own { // it holds for read alone
			delete(s.vars, "IFS")
			if had {
				s.vars["IFS"] = old
			}
		}
		s.list(c.Do)
		if s.leaveLoop() {
			break
		}
	}
	return result{truth: True}, true
}

// readInto splits a line as read does.
func (s *shell) readInto(names []value, line string) {
	ifs := " \t\n"
	if v, ok := s.vars["IFS"]; ok && !v.unknown {
		ifs = v.text
	}
	rest := strings.Trim(line, " \t")
	var plain []string
	for _, n := range names {
		if !strings.HasPrefix(n.text, "-") {
			plain = append(plain, n.text)
		}
	}
	for i, n := range plain {
		part := rest
		if i < len(plain)-1 {
			if cut := strings.IndexAny(rest, ifs); cut >= 0 && ifs != "" {
				part, rest = rest[:cut], strings.TrimLeft(rest[cut+1:], " \t")
			} else {
				rest = ""
			}
		}
		s.vars[n] = value{text: part, given: true}
	}
}
