package startup

import (
	"path"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// test evaluates the arguments of test or [.
func (s *shell) test(args []value, n syntax.Node) result {
	t := &tester{shell: s, args: args, node: n}
	r := t.or(0)
	if t.at < len(args) {
		return result{conds: []Condition{{Text: s.source(n)}}}
	}
	return r
}

type tester struct {
	*shell
	args []value
	at   int
	node syntax.Node
}

func (t *tester) peek(i int) string {
	if t.at+i < len(t.args) {
		return t.args[t.at+i].text
	}
	return ""
}

func (t *tester) or(depth int) result {
	r := t.and(depth)
	for t.at < len(t.args) && t.peek(0) == "-o" {
		t.at++
		y := t.and(depth)
		truth := either(r.truth, y.truth)
		r = result{truth: truth, conds: orConds(r.conds, y.conds, truth), given: r.given || y.given}
	}
	return r
}

func (t *tester) and(depth int) result {
	r := t.one(depth)
	for t.at < len(t.args) && t.peek(0) == "-a" {
		t.at++
		y := t.one(depth)
		r = result{truth: both(r.truth, y.truth), conds: append(r.conds, y.conds...), given: r.given && y.given}
	}
	return r
}

func (t *tester) one(depth int) result {
	left := len(t.args) - t.at
	if left <= 0 || depth > 50 {
		return result{truth: False, given: true}
	}
	op := t.peek(1)
	if left >= 3 && isBinaryTest(op) {
		x, y := t.args[t.at], t.args[t.at+2]
		t.at += 3
		return t.compare(x, op, y, t.node)
	}
	switch first := t.peek(0); {
	case first == "!" && left > 1:
		t.at++
		return t.one(depth + 1).not()
	case first == "(":
		t.at++
		r := t.or(depth + 1)
		if t.peek(0) == ")" {
			t.at++
		}
		return r
	case len(first) == 2 && first[0] == '-' && left > 1:
		x := t.args[t.at+1]
		t.at += 2
		return t.unaryTest(first, x, t.node)
	}
	x := t.args[t.at]
	t.at++
	return t.unaryTest("-n", x, t.node)
}

func isBinaryTest(op string) bool {
	switch op {
	case "=", "==", "!=", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "<", ">", "-nt", "-ot", "-ef", "=~":
		return true
	}
	return false
}

// compare decides x op y. The condition names the setting on one side and what
// it must be.
func (s *shell) compare(x value, op string, y value, n syntax.Node) result {
	set, other := x, y
	if x.setting == "" && y.setting != "" || !x.unknown && y.unknown {
		set, other = y, x
	}
	r := result{}
	c := Condition{Text: s.source(n), Name: set.setting}
	equal := op == "=" || op == "==" || op == "-eq"
	if equal && !other.unknown {
		c.Want = other.text
	}
	if !set.unknown {
		c.Default = set.text
	}
	if !x.unknown && !y.unknown {
		b, ok := decide(x.text, op, y.text)
		r.truth = truthOf(b, !ok)
		r.given = x.given || y.given
		if r.given && c.Name == "" {
			return r
		}
	} else if onlyShape(x, y, op) {
		r.truth = truthOf(op == "!=", false)
	}
	c.Holds = r.truth
	if r.truth != True || c.Name != "" {
		r.conds = []Condition{c}
	}
	return r
}

// onlyShape says that two strings differ although one is not known in full:
// the x$VAR idiom against a constant with another start.
func onlyShape(x, y value, op string) bool {
	if op != "=" && op != "==" && op != "!=" {
		return false
	}
	if y.unknown {
		x, y = y, x
	}
	if y.unknown {
		return false
	}
	head, _, _ := strings.Cut(x.text, "$")
	return !strings.HasPrefix(y.text, head) && len(y.text) < len(head)
}

func decide(x, op, y string) (b, ok bool) {
	switch op {
	case "=", "==":
		return x == y, true
	case "!=":
		return x != y, true
	case "<":
		return x < y, true
	case ">":
		return x > y, true
	}
	a, err := strconv.Atoi(strings.TrimSpace(x))
	if err != nil {
		return false, x == ""
	}
	c, err := strconv.Atoi(strings.TrimSpace(y))
	if err != nil {
		return false, y == ""
	}
	switch op {
	case "-eq":
		return a == c, true
	case "-ne":
		return a != c, true
	case "-lt":
		return a < c, true
	case "-le":
		return a <= c, true
	case "-gt":
		return a > c, true
	case "-ge":
		return a >= c, true
	}
	return false, false
}

func (s *shell) unaryTest(op string, x value, n syntax.Node) result {
	c := Condition{Text: s.source(n)}
	r := result{given: x.given}
	switch op {
	case "-n", "-z":
		r.truth = truthOf((x.text != "") == (op == "-n"), x.unknown)
		if x.unknown && len(x.alts) == 0 && s.partly(x) {
			r.truth = truthOf(op == "-n", false)
		}
		c.Name = x.setting
		if !x.unknown {
			c.Default = x.text
		}
		if x.setting != "" {
			r.given = false
		}
	case "-t", "-o":
		return result{conds: []Condition{c}}
	default:
		r = s.fileTest(op, x, &c)
	}
	c.Holds = r.truth
	if r.truth != True && !(r.given && r.truth == False) || c.Name != "" && r.truth == True && op[1] != 'x' && op[1] != 'd' && op[1] != 'f' && op[1] != 'e' {
		r.conds = []Condition{c}
	}
	return r
}

// partly says that a string that is not known in full is not empty.
func (s *shell) partly(x value) bool {
	head, _, _ := strings.Cut(x.text, "$")
	return head != ""
}

func (s *shell) fileTest(op string, x value, c *Condition) result {
	if x.unknown {
		c.Name = x.setting
		return result{}
	}
	if x.text == "" {
		return result{truth: False, given: x.given}
	}
	p := s.abs(x.text)
	c.Name = p
	there := s.exists(p)
	switch op {
	case "-d":
		if w := s.written[path.Clean(p)]; w == nil && s.v.File(p) != nil {
			there = False
		}
	case "-f", "-x":
		if at, ok := s.v.Tree.Resolve(p); ok && op == "-f" && isDir(s.v, at) {
			there = False
		}
		if f := s.v.File(p); op == "-x" && there == True && f != nil && f.Entry != nil && f.Mode().Perm()&0o111 == 0 && f.Mode().Perm() != 0 {
			there = False
		}
	case "-s":
		if there == True {
			if v, _ := s.content(p); !v.unknown {
				there = truthOf(v.text != "", false)
			}
		}
	case "-b", "-c", "-p", "-S":
		if there == False {
			there = Unknown // devices and sockets are made by the kernel
		}
	case "-r", "-w", "-e", "-L", "-h":
	default:
		there = Unknown
	}
	if there == False {
		c.Default = "absent"
	}
	return result{truth: there}
}

func (s *shell) abs(p string) string {
	if strings.HasPrefix(p, "/") {
		return path.Clean(p)
	}
	return path.Join(s.cwd, p)
}

// testExpr evaluates [[ ]].
func (s *shell) testExpr(x syntax.TestExpr) result {
	switch t := x.(type) {
	case *syntax.Word:
		return s.unaryTest("-n", s.word(t), t)
	case *syntax.ParenTest:
		return s.testExpr(t.X)
	case *syntax.UnaryTest:
		if t.Op == syntax.TsNot {
			return s.testExpr(t.X).not()
		}
		if w, ok := t.X.(*syntax.Word); ok {
			return s.unaryTest(t.Op.String(), s.word(w), t)
		}
	case *syntax.BinaryTest:
		return s.binaryTest(t)
	}
	return result{}
}

func (s *shell) binaryTest(t *syntax.BinaryTest) result {
	switch t.Op {
	case syntax.AndTest, syntax.OrTest:
		x, y := s.testExpr(t.X), s.testExpr(t.Y)
		if t.Op == syntax.AndTest {
			return result{truth: both(x.truth, y.truth), conds: append(x.conds, y.conds...), given: x.given && y.given}
		}
		truth := either(x.truth, y.truth)
		return result{truth: truth, conds: orConds(x.conds, y.conds, truth)}
	}
	xw, ok1 := t.X.(*syntax.Word)
	yw, ok2 := t.Y.(*syntax.Word)
	if !ok1 || !ok2 {
		return result{}
	}
	x, y := s.word(xw), s.word(yw)
	op := t.Op.String()
	if (op == "=" || op == "==" || op == "!=") && isGlob(y.text) && !quotedWord(yw) && !x.unknown && !y.unknown {
		if matchPattern(s.pattern(yw).text, x.text) {
			y.text = x.text
		}
	}
	return s.compare(x, op, y, t)
}
