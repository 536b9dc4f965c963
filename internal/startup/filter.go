package startup

import (
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// grep prints or decides on the lines of a shipped file. A key that it looks
// for names the setting that its value is.
func grep(s *shell, args []value, n syntax.Node) (result, bool) {
	opts, rest := operands(args, "emABC")
	pat, has := opts['e']
	if !has && len(rest) > 0 {
		if rest[0].unknown {
			return s.undecided(n, ""), true
		}
		pat, rest = rest[0].text, rest[1:]
	}
	in, ok := s.input(rest)
	key := keyOf(pat)
	if !ok && len(rest) == 1 && !rest[0].unknown && s.exists(s.abs(rest[0].text)) == False {
		return result{truth: False, conds: []Condition{{Text: s.source(n), Name: s.abs(rest[0].text), Default: "absent", Holds: False}}}, true
	}
	if !ok || in.unknown {
		if s.out != nil {
			s.out.unknown = true
			s.out.setting = key
		}
		return s.undecided(n, key), true
	}
	_, fixed := opts['F']
	_, fold := opts['i']
	match := lineMatcher(pat, fixed, fold)
	if match == nil {
		return s.undecided(n, key), true
	}
	_, invert := opts['v']
	_, count := opts['c']
	_, quiet := opts['q']
	var out value
	hits := 0
	for _, line := range strings.Split(strings.TrimSuffix(in.text, "\n"), "\n") {
		if match(line) != invert {
			hits++
			out.text += line + "\n"
		}
	}
	out.setting = key
	if out.setting == "" {
		out.setting = in.setting
	}
	switch {
	case count:
		out.text = itoa(hits) + "\n"
		s.print(out)
	case !quiet:
		s.print(out)
	}
	r := result{truth: truthOf(hits > 0, false)}
	c := Condition{Text: s.source(n), Name: key, Holds: r.truth}
	if c.Name == "" && len(rest) > 0 {
		c.Name = rest[0].text
	}
	r.conds = []Condition{c}
	return r, true
}

func (s *shell) undecided(n syntax.Node, name string) result {
	return result{conds: []Condition{{Text: s.source(n), Name: name}}}
}

// keyOf is the key in a pattern such as ^telnet= or "^enable_ssh *=".
func keyOf(pat string) string {
	t := strings.TrimLeft(pat, "^\"' ")
	end := strings.IndexAny(t, "=: \\*.[")
	if end > 0 {
		t = t[:end]
	}
	for i := range len(t) {
		c := t[i]
		if c != '_' && c != '-' && !(c >= '0' && c <= '9') && !(c|0x20 >= 'a' && c|0x20 <= 'z') {
			return ""
		}
	}
	return t
}

// lineMatcher makes a matcher of a basic or extended expression; nil if it is
// not understood.
func lineMatcher(pat string, fixed, fold bool) func(string) bool {
	if fixed {
		return func(line string) bool { return strings.Contains(line, pat) }
	}
	re := basicToGo(pat)
	if fold {
		re = "(?i)" + re
	}
	x, err := regexp.Compile(re)
	if err != nil || len(pat) > 500 {
		return nil
	}
	return x.MatchString
}

// basicToGo rewrites what differs between grep's basic expressions and Go's.
func basicToGo(pat string) string {
	return strings.NewReplacer(`\|`, "|", `\(`, "(", `\)`, ")", `\+`, "+", `\?`, "?", `\<`, `\b`, `\>`, `\b`, `\{`, "{", `\}`, "}").Replace(pat)
}

var sedValue = regexp.MustCompile(`^s(.)\^?([\w. -]*[=:]) ?\\?\*?(.*)$`)

// sed knows only the two idioms that take a key's value: s/^KEY=// and
// s/KEY=\(.*\)/\1/p. With -i it changes a file, which is an event.
func sed(s *shell, args []value, n syntax.Node) (result, bool) {
	opts, rest := operands(args, "ef")
	if _, inPlace := opts['i']; inPlace {
		s.changed(rest, n)
		return succeeded, false
	}
	prog, has := opts['e']
	if !has && len(rest) > 0 {
		prog, rest = rest[0].text, rest[1:]
	}
	v, ok := s.sedOnce(prog, rest)
	if !ok {
		if s.out != nil {
			s.out.unknown = true
		}
		return result{}, true
	}
	s.print(v)
	return succeeded, true
}

func (s *shell) sedOnce(prog string, files []value) (value, bool) {
	m := sedValue.FindStringSubmatch(prog)
	if m == nil {
		return value{}, false
	}
	sep, key, end := m[1], m[2], m[3]
	cut := end == sep+sep || end == sep+sep+"g" || end == sep+sep+"p"
	group := strings.HasPrefix(end, `\(.*\)`) && strings.Contains(end, `\1`)
	if !cut && !group {
		return value{}, false
	}
	only := strings.HasSuffix(end, "p")
	v, ok := s.mapLines(files, func(line string) (string, bool) {
		t, found := strings.CutPrefix(line, key)
		return t, found || !only
	})
	if v.setting == "" || only {
		v.setting = strings.TrimRight(key, "=: ")
	}
	return v, ok
}

// changed forgets the content of files that are edited in place.
func (s *shell) changed(files []value, n syntax.Node) {
	for _, f := range files {
		if f.unknown || !strings.HasPrefix(f.text, "/") {
			continue
		}
		if s.file(f.text) != nil || s.written[f.text] != nil {
			v, _ := s.content(f.text)
			v.unknown = true
			s.engine.store(f.text, v, false, true)
			s.written[f.text].unknown = true
		}
	}
}
