package firmware

import (
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/doorward/doorward/internal/product"
)

// shellReader follows the text of a script from top to bottom, through every
// branch, to see which passwords it writes. Unlike the start-up evaluator it
// does not ask whether the script is run.
type shellReader struct {
	a      *accounts
	file   *product.File
	vars   map[string]string
	funcs  map[string]*syntax.Stmt
	line   func(n syntax.Node) (int, string)
	offset int64 // of the text, in a program
	depth  int
	steps  int
}

const (
	maxShellDepth = 60
	maxShellSteps = 100_000
)

func (s *shellReader) stmts(list []*syntax.Stmt, stdin string) (out string) {
	for _, st := range list {
		out += s.stmt(st, stdin)
		if len(out) > 64<<10 {
			return out[:64<<10]
		}
	}
	return out
}

// stmt returns what the statement prints, as far as known.
func (s *shellReader) stmt(st *syntax.Stmt, stdin string) string {
	if s.steps++; s.depth > maxShellDepth || s.steps > maxShellSteps || st == nil {
		return ""
	}
	s.depth++
	defer func() { s.depth-- }()
	for _, r := range st.Redirs {
		if r.Hdoc != nil {
			stdin = s.word(r.Hdoc)
		} else if r.Op == syntax.WordHdoc {
			stdin = s.word(r.Word) + "\n"
		}
	}
	out := s.command(st.Cmd, stdin, st)
	for _, r := range st.Redirs {
		if (r.Op == syntax.RdrOut || r.Op == syntax.AppOut || r.Op == syntax.RdrAll || r.Op == syntax.RdrClob) && (r.N == nil || r.N.Value == "1") {
			line, text := s.line(st)
			s.a.written(made{file: s.file, line: line, offset: s.offset, text: text}, s.word(r.Word), out, r.Op == syntax.AppOut)
			out = ""
		}
	}
	return out
}

func (s *shellReader) command(cmd syntax.Command, stdin string, st *syntax.Stmt) string {
	switch c := cmd.(type) {
	case *syntax.CallExpr:
		return s.call(c, stdin, st)
	case *syntax.DeclClause:
		for _, as := range c.Args {
			s.assign(as)
		}
	case *syntax.BinaryCmd:
		if c.Op == syntax.Pipe || c.Op == syntax.PipeAll {
			return s.stmt(c.Y, s.stmt(c.X, stdin))
		}
		return s.stmt(c.X, stdin) + s.stmt(c.Y, stdin)
	case *syntax.Subshell:
		return s.stmts(c.Stmts, stdin)
	case *syntax.Block:
		return s.stmts(c.Stmts, stdin)
	case *syntax.IfClause:
		out := ""
		for i := c; i != nil; i = i.Else {
			out += s.stmts(i.Cond, stdin) + s.stmts(i.Then, stdin)
		}
		return out
	case *syntax.WhileClause:
		return s.stmts(c.Cond, stdin) + s.stmts(c.Do, stdin)
	case *syntax.ForClause:
		return s.loop(c, stdin)
	case *syntax.CaseClause:
		out := ""
		for _, item := range c.Items {
			out += s.stmts(item.Stmts, stdin)
		}
		return out
	case *syntax.FuncDecl:
		if s.funcs == nil {
			s.funcs = map[string]*syntax.Stmt{}
		}
		s.funcs[c.Name.Value] = c.Body // read when it is called
	}
	return ""
}

// loop goes through a loop over known words, at most a few of them.
func (s *shellReader) loop(c *syntax.ForClause, stdin string) string {
	iter, ok := c.Loop.(*syntax.WordIter)
	if !ok {
		return s.stmts(c.Do, stdin)
	}
	out := ""
	var words []string
	for _, w := range iter.Items {
		words = append(words, strings.Fields(s.word(w))...)
	}
	if len(words) == 0 {
		words = []string{"$" + iter.Name.Value}
	}
	for _, w := range words[:min(len(words), 16)] {
		s.vars[iter.Name.Value] = w
		out += s.stmts(c.Do, stdin)
	}
	return out
}

func (s *shellReader) assign(as *syntax.Assign) {
	if as.Name == nil || as.Value == nil && as.Array == nil {
		return
	}
	if as.Value != nil {
		s.vars[as.Name.Value] = s.word(as.Value)
	}
}

func (s *shellReader) call(c *syntax.CallExpr, stdin string, st *syntax.Stmt) string {
	if len(c.Args) == 0 {
		for _, as := range c.Assigns {
			s.assign(as)
		}
		return ""
	}
	args := make([]string, 0, len(c.Args))
	for _, w := range c.Args {
		args = append(args, s.word(w))
	}
	if body := s.funcs[args[0]]; body != nil {
		return s.function(body, args[1:], stdin)
	}
	line, text := s.line(st)
	return s.run(args, stdin, made{file: s.file, line: line, offset: s.offset, text: text})
}

// function reads a function's body with the arguments of a call.
func (s *shellReader) function(body *syntax.Stmt, args []string, stdin string) string {
	for i := range 9 {
		delete(s.vars, strconv.Itoa(i+1))
		if i < len(args) {
			s.vars[strconv.Itoa(i+1)] = args[i]
		}
	}
	return s.stmt(body, stdin)
}

// uncalled reads the functions that the script itself does not call: whoever
// sources it does.
func (s *shellReader) uncalled(text string) {
	names := make([]string, 0, len(s.funcs))
	for name := range s.funcs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.Count(text, name) < 2 {
			s.function(s.funcs[name], nil, "")
		}
	}
}

// run acts on a command whose words are known, and returns what it prints.
func (s *shellReader) run(args []string, stdin string, at made) string {
	name := args[0][strings.LastIndexByte(args[0], '/')+1:]
	switch name {
	case "busybox", "sudo", "exec", "command", "in-target", "chroot", "env", "nohup", "eval":
		rest := args[1:]
		if name == "chroot" && len(rest) > 0 {
			rest = rest[1:]
		}
		if len(rest) > 0 {
			return s.run(rest, stdin, at)
		}
	case "echo":
		return echoed(args[1:])
	case "printf":
		return printed(args[1:])
	case "cat":
		if len(args) == 1 || args[1] == "-" {
			return stdin
		}
	case "tee":
		for _, target := range args[1:] {
			if !strings.HasPrefix(target, "-") {
				s.a.written(at, target, stdin, contains(args, "-a"))
			}
		}
	case "db_get":
		if len(args) == 2 {
			delete(s.vars, "RET")
			if q, ok := s.a.preseeds[args[1]]; ok {
				s.vars["RET"] = q.value
				s.a.answered(s.file, args[1])
			}
		}
	default:
		s.a.called(at, name, args[1:], stdin)
	}
	return ""
}

func echoed(args []string) string {
	escapes, end := false, "\n"
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && strings.Trim(args[0][1:], "neE") == "" {
		escapes = escapes || strings.Contains(args[0], "e")
		if strings.Contains(args[0], "n") {
			end = ""
		}
		args = args[1:]
	}
	text := strings.Join(args, " ")
	// Shells differ in whether echo heeds escapes; a \n between two copies
	// of a password means a new line in all of them that matter.
	if escapes || strings.Contains(text, `\n`) {
		text = unescape(text)
	}
	return text + end
}

func unescape(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\t`, "\t", `\c`, "").Replace(s)
}

// printed is what printf writes for a format of %s alone.
func printed(args []string) string {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return ""
	}
	format, args := unescape(args[0]), args[1:]
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] == '%' && i+1 < len(format) {
			i++
			switch {
			case format[i] == '%':
				b.WriteByte('%')
			case (format[i] == 's' || format[i] == 'd' || format[i] == 'b') && len(args) > 0:
				b.WriteString(args[0])
				args = args[1:]
			default:
				b.WriteString("$ARG")
			}
			continue
		}
		b.WriteByte(format[i])
	}
	return b.String()
}

// word expands a word: what is unknown stands as $NAME or $(command).
func (s *shellReader) word(w *syntax.Word) string {
	if w == nil {
		return ""
	}
	var b strings.Builder
	s.parts(&b, w.Parts, false)
	return b.String()
}

func (s *shellReader) parts(b *strings.Builder, parts []syntax.WordPart, quoted bool) {
	if s.steps++; s.steps > maxShellSteps || b.Len() > 64<<10 {
		return
	}
	for _, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
			b.WriteString(unquoted(p.Value, quoted))
		case *syntax.SglQuoted:
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			s.parts(b, p.Parts, true)
		case *syntax.ParamExp:
			b.WriteString(s.param(p))
		case *syntax.CmdSubst:
			b.WriteString(s.substituted(p))
		}
	}
}

// unquoted drops the backslashes that the shell drops.
func unquoted(v string, quoted bool) string {
	if strings.IndexByte(v, '\\') < 0 {
		return v
	}
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' && i+1 < len(v) && (!quoted || strings.IndexByte("$`\"\\\n", v[i+1]) >= 0) {
			if i++; v[i] == '\n' {
				continue
			}
		}
		b.WriteByte(v[i])
	}
	return b.String()
}

func (s *shellReader) param(p *syntax.ParamExp) string {
	if p.Param == nil {
		return "$?"
	}
	if v, ok := s.vars[p.Param.Value]; ok && (p.Exp == nil || v != "") {
		return v
	}
	if p.Exp != nil && p.Exp.Word != nil && (p.Exp.Op == syntax.DefaultUnset || p.Exp.Op == syntax.DefaultUnsetOrNull) {
		return s.word(p.Exp.Word)
	}
	return "$" + p.Param.Value
}

// substituted is what a command substitution gives: a setting's shipped
// default, text that is echoed, or else the command with its words expanded.
func (s *shellReader) substituted(c *syntax.CmdSubst) string {
	if len(c.Stmts) == 0 || s.depth > maxShellDepth {
		return ""
	}
	if call, ok := c.Stmts[0].Cmd.(*syntax.CallExpr); ok && len(c.Stmts) == 1 && len(call.Args) > 0 {
		var words []string
		for _, w := range call.Args {
			words = append(words, s.word(w))
		}
		if key := settingRead(words); key != "" {
			if v, ok := s.a.log.Settings[key]; ok {
				return v
			}
		}
		if words[0] != "echo" && words[0] != "printf" {
			return "$(" + strings.Join(words, " ") + ")"
		}
	}
	if out := s.stmts(c.Stmts, ""); out != "" {
		return strings.TrimRight(out, "\n")
	}
	return "$(...)"
}

// settingRead names the setting that a command reads.
func settingRead(words []string) string {
	last := words[len(words)-1]
	switch words[0][strings.LastIndexByte(words[0], '/')+1:] {
	case "nvram", "nvram_get", "uci", "xmldbc", "cfg", "fw_printenv", "getprop", "config_get", "rgdb", "flash":
		if len(words) > 1 {
			return last
		}
	}
	return ""
}
