package startup

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

const maxWordText = 1 << 16

// word expands a word without splitting it.
func (s *shell) word(w *syntax.Word) value {
	if w == nil {
		return known("")
	}
	var v value
	for i, part := range w.Parts {
		p := s.part(part, false)
		if i == 0 && len(w.Parts) == 1 {
			return p
		}
		v = join(v, p)
		if len(v.text) > maxWordText {
			v.text, v.unknown = v.text[:maxWordText], true
		}
	}
	return v
}

// pattern expands a word that is a pattern: what is quoted in it stands for
// itself.
func (s *shell) pattern(w *syntax.Word) value {
	if w == nil {
		return known("")
	}
	var v value
	for _, part := range w.Parts {
		p := s.part(part, false)
		switch x := part.(type) {
		case *syntax.Lit:
			p = known(strings.ReplaceAll(x.Value, "\\\n", ""))
		case *syntax.SglQuoted, *syntax.DblQuoted:
			p.text = literal.Replace(p.text)
		}
		v = join(v, p)
	}
	return v
}

// literal takes their meaning from the characters of patterns.
var literal = strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`, `\`, `\\`)

func (s *shell) part(part syntax.WordPart, quoted bool) value {
	switch p := part.(type) {
	case *syntax.Lit:
		return known(unescape(p.Value, quoted))
	case *syntax.SglQuoted:
		if p.Dollar {
			return known(escapes(p.Value))
		}
		return known(p.Value)
	case *syntax.DblQuoted:
		var v value
		for i, x := range p.Parts {
			y := s.part(x, true)
			if i == 0 && len(p.Parts) == 1 {
				return y
			}
			v = join(v, y)
		}
		return v
	case *syntax.ParamExp:
		return s.param(p)
	case *syntax.CmdSubst:
		return s.substitute(p.Stmts)
	case *syntax.ArithmExp:
		return s.arith(p.X)
	case *syntax.ProcSubst:
		s.fork().list(p.Stmts)
		return value{text: "/dev/fd/63", unknown: true}
	case *syntax.ExtGlob:
		return known(p.Op.String() + p.Pattern.Value + ")")
	}
	return unknownValue("_")
}

// unescape removes backslashes as the shell does.
func unescape(t string, quoted bool) string {
	if !strings.ContainsRune(t, '\\') {
		return t
	}
	var b strings.Builder
	for i := 0; i < len(t); i++ {
		if t[i] == '\\' && i+1 < len(t) {
			if t[i+1] == '\n' {
				i++
				continue
			}
			if !quoted || strings.IndexByte("$`\"\\", t[i+1]) >= 0 {
				i++
			}
		}
		b.WriteByte(t[i])
	}
	return b.String()
}

// escapes replaces \n, \t and the like, as printf and $” do.
func escapes(t string) string {
	if !strings.ContainsRune(t, '\\') {
		return t
	}
	var b strings.Builder
	for i := 0; i < len(t); i++ {
		if t[i] != '\\' || i+1 == len(t) {
			b.WriteByte(t[i])
			continue
		}
		i++
		switch c := t[i]; c {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case 'e':
			b.WriteByte(0x1b)
		case 'c':
			return b.String()
		case 'x', '0', '1', '2', '3', '4', '5', '6', '7':
			n, used := number(t[i:], c == 'x')
			b.WriteByte(n)
			i += used - 1
		case '\\', '\'', '"', '?':
			b.WriteByte(c)
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String()
}

// number reads an octal or hexadecimal escape.
func number(t string, hexadecimal bool) (n byte, used int) {
	base, from, digits := 8, 0, 4
	if hexadecimal {
		base, from, digits = 16, 1, 2
	}
	end := from
	for end < len(t) && end-from < digits {
		if _, err := strconv.ParseUint(t[end:end+1], base, 8); err != nil {
			break
		}
		end++
	}
	v, _ := strconv.ParseUint("0"+t[from:end], base, 16)
	return byte(v), max(end, 1)
}

// fields expands words with splitting and file names, as for a command's
// arguments.
func (s *shell) fields(words []*syntax.Word) []value {
	var list []value
	for _, w := range words {
		if !s.step() {
			break
		}
		list = append(list, s.wordFields(w)...)
		if len(list) > 2048 {
			break
		}
	}
	return list
}

func (s *shell) wordFields(w *syntax.Word) []value {
	if all := s.allArgs(w); all != nil {
		return *all
	}
	var done []value
	cur, open := value{}, false
	for _, part := range w.Parts {
		v := s.part(part, false)
		if !splits(part) {
			cur, open = join(cur, v), true
			continue
		}
		pieces := strings.FieldsFunc(v.text, s.separator())
		lead := v.text != "" && strings.IndexFunc(v.text[:1], s.separator()) == 0
		trail := v.text != "" && strings.IndexFunc(v.text[len(v.text)-1:], s.separator()) == 0
		if lead && open {
			done = append(done, cur)
			cur, open = value{}, false
		}
		for i, piece := range pieces {
			x := v
			x.text = piece
			cur, open = join(cur, x), true
			if i < len(pieces)-1 || trail {
				done = append(done, cur)
				cur, open = value{}, false
			}
		}
	}
	if open {
		done = append(done, cur)
	}
	return s.globbed(done, w)
}

func (s *shell) separator() func(rune) bool {
	ifs := " \t\n"
	if v, ok := s.vars["IFS"]; ok && !v.unknown {
		ifs = v.text
	}
	return func(c rune) bool { return strings.ContainsRune(ifs, c) }
}

// splits says that a part of a word falls into several where it has spaces.
func splits(p syntax.WordPart) bool {
	switch p.(type) {
	case *syntax.ParamExp, *syntax.CmdSubst:
		return true
	}
	return false
}

// allArgs expands "$@" and $*.
func (s *shell) allArgs(w *syntax.Word) *[]value {
	if len(w.Parts) != 1 {
		return nil
	}
	part := w.Parts[0]
	if q, ok := part.(*syntax.DblQuoted); ok && len(q.Parts) == 1 {
		part = q.Parts[0]
	}
	if p, ok := part.(*syntax.ParamExp); ok && p.Param != nil && (p.Param.Value == "@" || p.Param.Value == "*") && p.Exp == nil && p.Slice == nil && !p.Length {
		return &s.args
	}
	return nil
}

// globbed replaces patterns by the files that they name.
func (s *shell) globbed(list []value, w *syntax.Word) []value {
	if quotedWord(w) {
		return list
	}
	var done []value
	for _, v := range list {
		if v.unknown || !isGlob(v.text) {
			done = append(done, v)
			continue
		}
		p := v.text
		if !strings.HasPrefix(p, "/") {
			p = strings.TrimSuffix(s.cwd, "/") + "/" + strings.TrimPrefix(p, "./")
		}
		names := s.fs.glob(p)
		for _, n := range names {
			if !strings.HasPrefix(v.text, "/") {
				n = strings.TrimPrefix(n, strings.TrimSuffix(s.cwd, "/")+"/")
			}
			done = append(done, value{text: n, given: true})
		}
		if len(names) == 0 {
			done = append(done, v)
		}
	}
	return done
}

func quotedWord(w *syntax.Word) bool {
	for _, p := range w.Parts {
		switch p.(type) {
		case *syntax.SglQuoted, *syntax.DblQuoted:
		default:
			return false
		}
	}
	return true
}

// substitute is what commands print.
func (s *shell) substitute(stmts []*syntax.Stmt) value {
	if s.calls > maxCalls {
		return unknownValue("_")
	}
	sub := s.fork()
	sub.calls++
	sub.socket = "" // what is asked on the way does not have the connection
	var out value
	sub.out = &out
	sub.list(stmts)
	out.text = strings.TrimRight(out.text, "\n")
	if out.unknown && out.text == "" {
		name := out.setting
		if name == "" && len(stmts) > 0 {
			first, _, _ := strings.Cut(s.source(stmts[0]), " ")
			name = "(" + first + ")"
		}
		out.text = "$" + name
	}
	return out
}

// print hands text to the captured standard output.
func (s *shell) print(v value) {
	if s.out == nil {
		return
	}
	if len(s.out.text)+len(v.text) > maxOutput {
		s.out.unknown = true
		return
	}
	given := s.out.given || v.given
	*s.out = join(*s.out, v)
	s.out.given = given
	if s.conds != nil && !s.alive() {
		s.out.unknown = true
	}
}
