package startup

import (
	"path"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

func itoa(n int) string { return strconv.Itoa(n) }

type builtin func(s *shell, args []value, n syntax.Node) result

// builtinTable has the commands of the shell itself.
func builtinTable() map[string]builtin {
	ok := func(*shell, []value, syntax.Node) result { return succeeded }
	unknown := func(*shell, []value, syntax.Node) result { return result{} }
	return map[string]builtin{
		":": ok, "true": ok, "umask": ok, "ulimit": ok, "set": doSet, "hash": ok, "enable": ok, "shopt": ok, "setopt": ok,
		"false": func(*shell, []value, syntax.Node) result { return result{truth: False, given: true} },
		"exit":  doExit, "return": doReturn, "break": doBreak, "continue": doContinue,
		"cd": doCd, "shift": doShift, "unset": doUnset, "read": doRead, "eval": doEval, ".": doDot, "source": doDot,
		"test": doTest, "[": doTest, "echo": doEcho, "printf": doPrintf, "type": doWhich, "command": doCommand,
		"export": doExport, "readonly": doExport, "local": doExport, "declare": doExport, "typeset": doExport,
		"trap": ok, "wait": ok, "jobs": ok, "alias": ok, "exec": doExec, "kill": unknown, "builtin": doBuiltin,
		"pwd":     func(s *shell, _ []value, _ syntax.Node) result { s.print(known(s.cwd + "\n")); return succeeded },
		"getopts": func(*shell, []value, syntax.Node) result { return result{truth: False, given: true} },
	}
}

func doSet(s *shell, args []value, n syntax.Node) result {
	for i, a := range args {
		if a.text == "--" {
			s.args = args[i+1:]
			return succeeded
		}
		if !strings.HasPrefix(a.text, "-") && !strings.HasPrefix(a.text, "+") {
			s.args = args[i:]
			return succeeded
		}
		if a.text == "-o" || a.text == "+o" {
			break
		}
	}
	return succeeded
}

func (s *shell) ends(args []value) result {
	if len(args) == 0 {
		return succeeded
	}
	return result{truth: truthOf(args[0].text == "0", args[0].unknown), given: true}
}

func doExit(s *shell, args []value, n syntax.Node) result {
	s.flow = exited
	s.status = s.ends(args)
	return s.status
}

func doReturn(s *shell, args []value, n syntax.Node) result {
	s.flow = returned
	s.status = s.ends(args)
	return s.status
}

func doBreak(s *shell, args []value, n syntax.Node) result    { s.flow = broke; return succeeded }
func doContinue(s *shell, args []value, n syntax.Node) result { s.flow = continued; return succeeded }

func doCd(s *shell, args []value, n syntax.Node) result {
	if len(args) > 0 && !args[len(args)-1].unknown {
		s.cwd = s.abs(args[len(args)-1].text)
		if s.exists(s.cwd) == True {
			return succeeded
		}
	}
	return result{}
}

func doShift(s *shell, args []value, n syntax.Node) result {
	by := 1
	if len(args) > 0 {
		by, _ = strconv.Atoi(args[0].text)
	}
	s.args = s.args[min(max(by, 0), len(s.args)):]
	return succeeded
}

func doUnset(s *shell, args []value, n syntax.Node) result {
	for _, a := range args {
		delete(s.vars, a.text)
	}
	return succeeded
}

func doRead(s *shell, args []value, n syntax.Node) result {
	if s.stdin != nil && !s.stdin.unknown && s.stdin.text != "" {
		line, rest, _ := strings.Cut(s.stdin.text, "\n")
		s.readInto(args, line)
		*s.stdin = known(rest)
		return succeeded
	}
	for _, a := range args {
		if !strings.HasPrefix(a.text, "-") {
			s.vars[a.text] = unknownValue(a.text)
		}
	}
	return result{}
}

func doEval(s *shell, args []value, n syntax.Node) result {
	var v value
	for i, a := range args {
		if i > 0 {
			v.text += " "
		}
		v = join(v, a)
	}
	if s.calls >= maxCalls || len(v.text) > 1<<14 {
		return result{}
	}
	if v.unknown && strings.HasPrefix(v.text, "$") { // the commands come from elsewhere
		s.happen(Event{Kind: Start, Program: "eval", Applet: "eval", Args: texts(args)}, n)
		return result{}
	}
	return s.runText(v.text, n)
}

// runText runs text as commands at the place of n.
func (s *shell) runText(t string, n syntax.Node) result {
	stmts, ok := parseShell(t, syntax.LangBash)
	if !ok {
		return result{}
	}
	old, oldText := s.site, s.text
	site := s.at(n)
	s.site, s.text = &site, t
	s.calls++
	r := s.list(stmts)
	s.calls--
	s.site, s.text = old, oldText
	return r
}

func doDot(s *shell, args []value, n syntax.Node) result {
	if len(args) == 0 || args[0].unknown {
		return result{}
	}
	if b := path.Base(args[0].text); b == "confmodule" || b == "confmodule.sh" {
		return succeeded // debconf's: it only defines db_get and its like
	}
	f, _ := s.program(args[0].text, "", s.cwd)
	if f == nil {
		f = s.file(s.abs(args[0].text))
	}
	if f == nil || !isScript(f) {
		if w := s.written[s.abs(args[0].text)]; w != nil && s.calls < maxCalls && !w.foreign() {
			return s.runText(w.s, n)
		}
		if p := s.abs(args[0].text); madeAtRunTime(p) { // what is not shipped, and may come from outside
			s.happen(Event{Kind: Start, Program: ".", Applet: ".", Args: []string{p}}, n)
		}
		return result{truth: Unknown, conds: []Condition{{Text: ". " + args[0].text, Holds: Unknown}}}
	}
	return s.dot(f, args[1:], n)
}

func doTest(s *shell, args []value, n syntax.Node) result {
	if len(args) > 0 && args[len(args)-1].text == "]" {
		args = args[:len(args)-1]
	}
	return s.test(args, n)
}

func doEcho(s *shell, args []value, n syntax.Node) result {
	end, expand := "\n", false
	for len(args) > 0 && (args[0].text == "-n" || args[0].text == "-e" || args[0].text == "-ne" || args[0].text == "-en") {
		if strings.Contains(args[0].text, "n") {
			end = ""
		}
		expand = expand || strings.Contains(args[0].text, "e")
		args = args[1:]
	}
	var v value
	for i, a := range args {
		if i > 0 {
			v.text += " "
		}
		v = join(v, a)
	}
	if expand {
		v.text = escapes(v.text)
	}
	v.text += end
	s.print(v)
	return succeeded
}

func doPrintf(s *shell, args []value, n syntax.Node) result {
	if len(args) > 1 && args[0].text == "-v" {
		name := args[1].text
		s.set(name, format(args[2:]))
		return succeeded
	}
	s.print(format(args))
	return succeeded
}

// format is what printf makes of its arguments.
func format(args []value) value {
	if len(args) == 0 {
		return value{}
	}
	f := args[0]
	rest := args[1:]
	out := value{unknown: f.unknown}
	for round := 0; round < 64; round++ {
		var used int
		out, used = formatOnce(out, f.text, rest)
		if used == 0 || used >= len(rest) {
			break
		}
		rest = rest[used:]
	}
	return out
}

func formatOnce(out value, f string, args []value) (value, int) {
	used := 0
	for {
		lit, rest, found := strings.Cut(f, "%")
		out.text += escapes(lit)
		if !found {
			return out, used
		}
		end := strings.IndexAny(rest, "%sdiuxXcbq")
		if end < 0 {
			out.text += "%" + rest
			return out, used
		}
		if rest[end] == '%' {
			out.text += "%"
		} else if used < len(args) {
			out = join(out, args[used])
			used++
		} else {
			used++
		}
		f = rest[end+1:]
	}
}

func doWhich(s *shell, args []value, n syntax.Node) result {
	return s.which(args, n)
}

// which decides whether a program is there.
func (s *shell) which(args []value, n syntax.Node) result {
	for _, a := range args {
		if strings.HasPrefix(a.text, "-") {
			continue
		}
		if a.unknown {
			break
		}
		if s.funcs[a.text] != nil || s.builtins[a.text] != nil {
			s.print(known(a.text + "\n"))
			return succeeded
		}
		f, where := s.program(a.text, "", s.cwd)
		if f == nil {
			return result{truth: False, conds: []Condition{{Text: s.source(n), Name: a.text, Default: "absent", Holds: False}}}
		}
		s.print(known(where + "\n"))
		return succeeded
	}
	return result{}
}

func doCommand(s *shell, args []value, n syntax.Node) result {
	if len(args) > 0 && (args[0].text == "-v" || args[0].text == "-V") {
		return s.which(args[1:], n)
	}
	for len(args) > 0 && strings.HasPrefix(args[0].text, "-") {
		args = args[1:]
	}
	if len(args) == 0 {
		return succeeded
	}
	return s.run(args, nil, n)
}

func doBuiltin(s *shell, args []value, n syntax.Node) result {
	if len(args) > 0 {
		if b := s.builtins[args[0].text]; b != nil {
			return b(s, args[1:], n)
		}
	}
	return result{}
}

// doExport handles a declaration that reached us as plain words.
func doExport(s *shell, args []value, n syntax.Node) result {
	for _, a := range args {
		if name, text, ok := strings.Cut(a.text, "="); ok && name != "" {
			a.text = text
			s.set(name, a)
		}
	}
	return succeeded
}

func doExec(s *shell, args []value, n syntax.Node) result {
	for len(args) > 0 && strings.HasPrefix(args[0].text, "-") {
		if args[0].text == "-a" && len(args) > 1 {
			args = args[1:]
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return succeeded
	}
	r := s.run(args, nil, n)
	s.flow = exited
	return r
}
