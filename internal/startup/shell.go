package startup

import (
	"maps"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/doorward/doorward/internal/product"
)

// context is how a script came to run.
type context struct {
	manager, trigger, user string
	terminal, respawn      string
	socket                 string
	chain                  []Site
	conds                  []Condition
	depth                  int
}

// flow says how a list of commands ended.
type flow int

const (
	onward flow = iota
	broke
	continued
	returned
	exited
)

// shell is the state of one shell process, as far as known.
type shell struct {
	*engine
	context
	src    *product.File // of the current line
	script *script
	text   string // that the nodes' offsets are in
	base   int    // line offset, for text that is no file
	site   *Site  // instead of a line of file: a program's string, a unit's line
	vars   map[string]value
	funcs  map[string]*function
	args   []value
	name   string // $0
	cwd    string
	calls  int
	flow   flow
	stdin  *value
	out    *value // where standard output goes, if it is captured
	proc   *procd
	status result           // of an exit or return
	dots   int              // sourced files that are open
	env    map[string]value // exported variables
	cutBy  []Condition      // the guard that an exit or return under way came from
	exits  []Condition      // guards of an exit that was passed: they hold for the rest of the script
}

type function struct {
	body   *syntax.Stmt
	file   *product.File
	script *script
	site   *Site
	text   string
}

// result is what is known of a command's end.
type result struct {
	truth Truth
	conds []Condition // what decided it
	given bool        // decided by the script's arguments alone
}

var succeeded = result{truth: True}

func (e *engine) newShell(c context) *shell {
	return &shell{engine: e, context: c, vars: map[string]value{}, funcs: map[string]*function{}, cwd: "/", name: "sh"}
}

// fork is a copy of the state, for what may not happen or happens in a
// subshell.
func (s *shell) fork() *shell {
	c := *s
	c.vars = maps.Clone(s.vars)
	c.funcs = maps.Clone(s.funcs)
	if s.proc != nil {
		own := *s.proc
		own.command, own.env = slices.Clone(own.command), maps.Clone(own.env)
		c.proc = &own
	}
	return &c
}

func (s *shell) conditioned(conds ...Condition) []Condition {
	if len(conds) == 0 {
		return s.conds
	}
	list := s.conds[:len(s.conds):len(s.conds)]
	for _, c := range conds {
		if len(list) < 24 && !c.plain() && !hasCondition(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// plain says that a condition is a mere look whether a program or folder that
// the product ships is there, and holds: nothing that somebody sets.
func (c Condition) plain() bool {
	return c.Holds == True && (strings.Contains(c.Text, "-x ") || strings.Contains(c.Text, "-d ") || c.Name == "")
}

func hasCondition(list []Condition, c Condition) bool {
	for _, x := range list {
		if x == c {
			return true
		}
	}
	return false
}

// at is the place of a node.
func (s *shell) at(n syntax.Node) Site {
	if s.site != nil {
		return *s.site
	}
	line := int(n.Pos().Line())
	t := ""
	if s.script != nil {
		t = s.script.line(line)
	}
	return Site{File: s.src, Line: line + s.base, Text: t}
}

// list runs commands one after the other.
func (s *shell) list(stmts []*syntax.Stmt) result {
	last := succeeded
	for i, st := range stmts {
		last = s.stmt(st)
		if s.flow != onward {
			s.leftOut(stmts[i+1:])
			break
		}
	}
	return last
}

// leftOut looks at the commands after an exit that a shipped setting decides:
// they run once it is changed.
func (s *shell) leftOut(rest []*syntax.Stmt) {
	if len(rest) == 0 || len(s.cutBy) == 0 || !s.alive() || s.flow != returned && s.flow != exited {
		return
	}
	sub := s.fork()
	sub.flow, sub.cutBy = onward, nil
	sub.conds = s.conditioned(s.cutBy...)
	sub.list(rest)
}

// stmt runs one command with its redirections.
func (s *shell) stmt(st *syntax.Stmt) result {
	if !s.step() {
		return result{}
	}
	if st.Background {
		s.fork().redirected(st)
		return succeeded
	}
	r := s.redirected(st)
	if st.Negated {
		return r.not()
	}
	return r
}

func (s *shell) command(cmd syntax.Command) result {
	switch c := cmd.(type) {
	case *syntax.CallExpr:
		return s.call(c)
	case *syntax.Block:
		return s.list(c.Stmts)
	case *syntax.Subshell:
		sub := s.fork()
		r := sub.list(c.Stmts)
		return r
	case *syntax.IfClause:
		return s.ifClause(c)
	case *syntax.CaseClause:
		return s.caseClause(c)
	case *syntax.ForClause:
		return s.forClause(c)
	case *syntax.WhileClause:
		return s.whileClause(c)
	case *syntax.BinaryCmd:
		return s.binary(c)
	case *syntax.FuncDecl:
		if c.Name != nil && len(s.funcs) < 4096 {
			s.funcs[c.Name.Value] = &function{c.Body, s.src, s.script, s.site, s.text}
		}
		return succeeded
	case *syntax.DeclClause:
		s.declare(c.Args)
		return succeeded
	case *syntax.TestClause:
		return s.testExpr(c.X)
	case *syntax.ArithmCmd:
		v := s.arith(c.X)
		return result{truth: truthOf(v.text != "0", v.unknown), given: v.given}
	case *syntax.LetClause:
		for _, x := range c.Exprs {
			s.arith(x)
		}
	case *syntax.TimeClause:
		if c.Stmt != nil {
			return s.stmt(c.Stmt)
		}
	case nil:
		return succeeded
	}
	return result{}
}

func truthOf(b, unknown bool) Truth {
	switch {
	case unknown:
		return Unknown
	case b:
		return True
	}
	return False
}

func (r result) not() result {
	n := result{given: r.given}
	switch r.truth {
	case True:
		n.truth = False
	case False:
		n.truth = True
	}
	for _, c := range r.conds {
		if text, twice := strings.CutPrefix(c.Text, "not: "); twice {
			c.Text = text
		} else {
			c.Text = "not: " + c.Text
		}
		c.Want = ""
		switch c.Holds {
		case True:
			c.Holds = False
		case False:
			c.Holds = True
		}
		n.conds = append(n.conds, c)
	}
	if len(n.conds) > 1 { // of several that must all hold one is enough
		c := n.conds[0]
		c.Holds = n.truth
		n.conds = []Condition{c}
	}
	return n
}

// guardOf makes sure that an undecided or false result has a condition that
// says why.
func (s *shell) guardOf(r result, n syntax.Node) result {
	if len(r.conds) > 0 || r.truth == True {
		return r
	}
	r.conds = []Condition{{Text: s.source(n), Holds: r.truth}}
	return r
}

// source is a node as it is written, on one line.
func (s *shell) source(n syntax.Node) string {
	from, to := int(n.Pos().Offset()), int(n.End().Offset())
	t := ""
	if from < to && to <= len(s.text) {
		t = s.text[from:min(to, from+400)]
	} else {
		t = s.at(n).Text
	}
	t = strings.Join(strings.Fields(t), " ")
	return t[:min(len(t), 200)]
}

// branch runs commands that are guarded by r.
func (s *shell) branch(stmts []*syntax.Stmt, r result) result {
	switch r.truth {
	case True:
		old := s.conds
		s.conds = s.conditioned(r.conds...)
		inside := len(s.conds)
		res := s.list(stmts)
		s.conds = append(old[:len(old):len(old)], s.conds[inside:]...)
		if s.flow != onward && len(r.conds) > 0 && !r.given && s.cutBy == nil {
			s.cutBy = r.not().conds
		}
		return res
	case False:
		if r.given || len(r.conds) == 0 || !s.alive() {
			return result{truth: False}
		}
		sub := s.fork()
		sub.conds = s.conditioned(r.conds...)
		sub.list(stmts)
		return result{truth: False}
	}
	sub := s.fork()
	sub.conds = s.conditioned(r.conds...)
	res := sub.list(stmts)
	s.maybe(sub, r)
	if len(res.conds) == 0 {
		res.truth = Unknown
	}
	return res
}

// alive says that the current commands run, as far as known. What is switched
// off is looked at too, but not what is switched off within it.
func (s *shell) alive() bool {
	for _, c := range s.conds {
		if c.Holds == False {
			return false
		}
	}
	return true
}

// maybe merges the state of a branch that may have run.
func (s *shell) maybe(sub *shell, r result) {
	for name, v := range sub.vars {
		if old, ok := s.vars[name]; !ok {
			s.vars[name] = merge(name, value{}, v)
		} else {
			s.vars[name] = merge(name, old, v)
		}
	}
	for name, f := range sub.funcs {
		if s.funcs[name] == nil {
			s.funcs[name] = f
		}
	}
	if sub.flow == returned || sub.flow == exited {
		not := r.not().conds
		s.conds = s.conditioned(not...)
		if sub.flow == exited {
			s.exits = append(s.exits[:len(s.exits):len(s.exits)], not...)
		}
	}
}
