package startup

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// plugVariables are what the kernel and its helpers tell a script of what was
// plugged in.
var plugVariables = map[string]bool{
	"ACTION": true, "DEVNAME": true, "DEVPATH": true, "DEVTYPE": true, "SUBSYSTEM": true, "MDEV": true, "DEVICE": true, "DEVICENAME": true, "PRODUCT": true, "TYPE": true, "INTERFACE": true,
	"BUTTON": true, "SEEN": true, "MAJOR": true, "MINOR": true, "SEQNUM": true, "MODALIAS": true, "ID_FS_TYPE": true, "ID_FS_LABEL": true, "ID_FS_UUID": true, "IFACE": true, "MODE": true,
}

// variable is the value of a name; set is false if it has none.
func (s *shell) variable(name string) (v value, set bool) {
	switch name {
	case "@", "*":
		for i, a := range s.args {
			if i > 0 {
				v.text += " "
			}
			v = join(v, a)
		}
		v.given = true
		return v, len(s.args) > 0
	case "#":
		return value{text: strconv.Itoa(len(s.args)), given: true}, true
	case "?":
		return unknownValue("?"), true
	case "$", "!":
		return value{text: "$" + name, unknown: true}, true
	case "0":
		return value{text: s.name, given: true}, true
	}
	if n, err := strconv.Atoi(name); err == nil {
		if n >= 1 && n <= len(s.args) {
			a := s.args[n-1]
			a.given = true
			return a, true
		}
		return value{given: true}, false
	}
	if v, ok := s.vars[name]; ok {
		return v, true
	}
	if s.trigger == "hotplug" && plugVariables[name] {
		return unknownValue(name), true
	}
	switch name {
	case "PWD":
		return known(s.cwd), true
	case "PATH":
		return known("/sbin:/bin:/usr/sbin:/usr/bin"), true
	case "IFS":
		return known(" \t\n"), true
	case "USER", "LOGNAME":
		return known("root"), true
	case "UID", "EUID":
		return known("0"), true
	}
	return value{}, false
}

// param expands ${...}.
func (s *shell) param(p *syntax.ParamExp) value {
	if p.Param == nil {
		return unknownValue("_")
	}
	name := p.Param.Value
	v, set := s.variable(name)
	if p.Index != nil {
		v, set = s.element(name, p.Index)
	}
	if p.Excl {
		if v.unknown || p.Names != 0 {
			return unknownValue("_")
		}
		v, set = s.variable(v.text)
	}
	if v.unknown && v.text == "" {
		v.text = "$" + name
	}
	switch {
	case p.Length:
		if v.unknown {
			return unknownValue("_")
		}
		return value{text: strconv.Itoa(len(v.text)), setting: v.setting, given: v.given}
	case p.Exp != nil:
		return s.expansion(p, v, set)
	case p.Repl != nil:
		return s.replace(p.Repl, v)
	case p.Slice != nil:
		return s.slice(p.Slice, v)
	}
	return v
}

// element is a member of an array, which is kept as NAME[INDEX].
func (s *shell) element(name string, index syntax.ArithmExpr) (value, bool) {
	if w, ok := index.(*syntax.Word); ok {
		if l := w.Lit(); l == "@" || l == "*" {
			v, ok := s.vars[name]
			return v, ok
		}
		i := s.word(w)
		v, ok := s.vars[name+"["+i.text+"]"]
		return v, ok
	}
	return unknownValue(name), true
}

func (s *shell) expansion(p *syntax.ParamExp, v value, set bool) value {
	op := p.Exp.Op
	switch op {
	case syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
		if !set || op == syntax.AlternateUnsetOrNull && !v.unknown && v.text == "" {
			return value{setting: v.setting, given: v.given}
		}
		return s.word(p.Exp.Word)
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
		return s.withDefault(p, v, set)
	case syntax.RemSmallSuffix, syntax.RemLargeSuffix, syntax.RemSmallPrefix, syntax.RemLargePrefix:
		pat := s.pattern(p.Exp.Word)
		if v.unknown || pat.unknown || len(v.text) > 4096 {
			v.unknown = true
			return v
		}
		suffix := op == syntax.RemSmallSuffix || op == syntax.RemLargeSuffix
		v.text = trimPattern(v.text, pat.text, suffix, op == syntax.RemLargeSuffix || op == syntax.RemLargePrefix)
	case syntax.UpperAll:
		if !v.unknown {
			v.text = strings.ToUpper(v.text)
		}
	case syntax.LowerAll:
		if !v.unknown {
			v.text = strings.ToLower(v.text)
		}
	}
	return v
}

// withDefault is ${x:-y}: y is what somebody can change by setting x.
func (s *shell) withDefault(p *syntax.ParamExp, v value, set bool) value {
	op, name := p.Exp.Op, p.Param.Value
	if set && (v.text != "" || op == syntax.DefaultUnset || op == syntax.AssignUnset) && !(v.unknown && len(v.alts) == 0 && v.setting != "" && v.text == "$"+v.setting && name != v.setting) {
		return v
	}
	def := s.word(p.Exp.Word)
	if def.setting == "" && !v.given {
		def.setting = v.setting
		if def.setting == "" {
			def.setting = name
		}
	}
	if op == syntax.AssignUnset || op == syntax.AssignUnsetOrNull {
		s.vars[name] = def
	}
	return def
}

func (s *shell) replace(r *syntax.Replace, v value) value {
	orig, with := s.word(r.Orig), s.word(r.With)
	if v.unknown || orig.unknown || with.unknown || isGlob(orig.text) || orig.text == "" {
		if isGlob(orig.text) || orig.unknown {
			v.unknown = true
		}
		return v
	}
	n := 1
	if r.All {
		n = -1
	}
	if len(v.text)*max(len(with.text), 1) > maxOutput {
		return unknownValue("_")
	}
	v.text = strings.Replace(v.text, orig.text, with.text, n)
	return v
}

func (s *shell) slice(sl *syntax.Slice, v value) value {
	if v.unknown {
		return v
	}
	from, length := 0, len(v.text)
	if sl.Offset != nil {
		o := s.arith(sl.Offset)
		n, err := strconv.Atoi(o.text)
		if err != nil {
			return unknownValue("_")
		}
		from = n
	}
	if from < 0 {
		from += len(v.text)
	}
	from = min(max(from, 0), len(v.text))
	if sl.Length != nil {
		n, err := strconv.Atoi(s.arith(sl.Length).text)
		if err != nil || n < 0 {
			return unknownValue("_")
		}
		length = n
	}
	v.text = v.text[from:min(from+length, len(v.text))]
	return v
}

// arith evaluates integer arithmetic.
func (s *shell) arith(x syntax.ArithmExpr) value {
	n, v := s.number(x, 0)
	if v.unknown {
		return v
	}
	v.text = strconv.FormatInt(n, 10)
	return v
}

func (s *shell) number(x syntax.ArithmExpr, depth int) (int64, value) {
	if depth > 100 || !s.step() {
		return 0, unknownValue("_")
	}
	switch a := x.(type) {
	case *syntax.Word:
		return s.operand(a)
	case *syntax.ParenArithm:
		return s.number(a.X, depth+1)
	case *syntax.UnaryArithm:
		return s.unary(a, depth)
	case *syntax.BinaryArithm:
		return s.binaryArith(a, depth)
	}
	return 0, unknownValue("_")
}

func (s *shell) operand(w *syntax.Word) (int64, value) {
	v := s.word(w)
	if _, err := strconv.ParseInt(v.text, 0, 64); err != nil && !v.unknown && v.text != "" {
		v, _ = s.variable(v.text)
	}
	if v.unknown {
		return 0, v
	}
	if strings.TrimSpace(v.text) == "" {
		return 0, v
	}
	n, err := strconv.ParseInt(strings.TrimSpace(v.text), 0, 64)
	if err != nil {
		return 0, unknownValue("_")
	}
	return n, v
}

func (s *shell) unary(a *syntax.UnaryArithm, depth int) (int64, value) {
	n, v := s.number(a.X, depth+1)
	name := ""
	if w, ok := a.X.(*syntax.Word); ok {
		name = w.Lit()
	}
	switch a.Op.String() {
	case "++", "--":
		d := int64(1)
		if a.Op.String() == "--" {
			d = -1
		}
		if name != "" && !v.unknown {
			s.vars[name] = value{text: strconv.FormatInt(n+d, 10), given: true}
		}
		if !a.Post {
			n += d
		}
	case "-":
		n = -n
	case "!":
		n = truthNumber(n == 0)
	case "~":
		n = ^n
	}
	return n, v
}

func truthNumber(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func (s *shell) binaryArith(a *syntax.BinaryArithm, depth int) (int64, value) {
	y, yv := s.number(a.Y, depth+1)
	if a.Op == syntax.Assgn {
		if w, ok := a.X.(*syntax.Word); ok && w.Lit() != "" {
			yv.text = strconv.FormatInt(y, 10)
			if yv.unknown {
				yv = unknownValue(w.Lit())
			}
			s.vars[w.Lit()] = yv
		}
		return y, yv
	}
	x, xv := s.number(a.X, depth+1)
	v := join(xv, yv)
	n, ok := compute(a.Op, x, y)
	if !ok {
		v.unknown = true
	}
	return n, v
}

func compute(op syntax.BinAritOperator, x, y int64) (int64, bool) {
	switch op {
	case syntax.Add:
		return x + y, true
	case syntax.Sub:
		return x - y, true
	case syntax.Mul:
		return x * y, true
	case syntax.Quo, syntax.Rem:
		if y == 0 || y == -1 {
			return 0, false
		}
		if op == syntax.Quo {
			return x / y, true
		}
		return x % y, true
	case syntax.Eql:
		return truthNumber(x == y), true
	case syntax.Neq:
		return truthNumber(x != y), true
	case syntax.Gtr:
		return truthNumber(x > y), true
	case syntax.Lss:
		return truthNumber(x < y), true
	case syntax.Leq:
		return truthNumber(x <= y), true
	case syntax.Geq:
		return truthNumber(x >= y), true
	case syntax.And:
		return x & y, true
	case syntax.Or:
		return x | y, true
	case syntax.AndArit:
		return truthNumber(x != 0 && y != 0), true
	case syntax.OrArit:
		return truthNumber(x != 0 || y != 0), true
	case syntax.Shl, syntax.Shr:
		if y < 0 || y > 62 {
			return 0, false
		}
		if op == syntax.Shl {
			return x << y, true
		}
		return x >> y, true
	}
	return 0, false
}
