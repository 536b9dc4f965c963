package startup

import (
	"path"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// uciFile is a package of OpenWrt's configuration.
type uciFile struct {
	sections []*uciSection
}

type uciSection struct {
	kind, name string
	options    map[string]string
	lists      map[string][]string
}

// config reads a package of /etc/config, once.
func (e *engine) config(name string) *uciFile {
	if c := e.uci[name]; c != nil {
		return c
	}
	c := &uciFile{}
	e.uci[name] = c
	if strings.ContainsAny(name, "/$") || name == "" {
		return c
	}
	f := e.file("/etc/config/" + name)
	if f == nil {
		return c
	}
	c.read(f.Text())
	return c
}

func (c *uciFile) read(text string) {
	var cur *uciSection
	for _, line := range strings.Split(text, "\n") {
		words := uciWords(line)
		if len(words) < 2 || len(c.sections) > 2000 {
			continue
		}
		switch words[0] {
		case "config":
			cur = &uciSection{kind: words[1], options: map[string]string{}, lists: map[string][]string{}}
			if len(words) > 2 {
				cur.name = words[2]
			} else {
				cur.name = "cfg" + itoa(len(c.sections)+1)
			}
			c.sections = append(c.sections, cur)
		case "option":
			if cur != nil && len(words) > 2 {
				cur.options[words[1]] = words[2]
			}
		case "list":
			if cur != nil && len(words) > 2 {
				cur.lists[words[1]] = append(cur.lists[words[1]], words[2])
			}
		}
	}
}

// uciWords splits a line of /etc/config.
func uciWords(line string) []string {
	line = strings.TrimSpace(line)
	var words []string
	for line != "" && line[0] != '#' {
		if line[0] == '\'' || line[0] == '"' {
			end := strings.IndexByte(line[1:], line[0])
			if end < 0 {
				return append(words, line[1:])
			}
			words = append(words, line[1:end+1])
			line = strings.TrimSpace(line[end+2:])
			continue
		}
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			return append(words, line)
		}
		words = append(words, line[:end])
		line = strings.TrimSpace(line[end:])
	}
	return words
}

func (c *uciFile) section(name string) *uciSection {
	if kind, index, ok := strings.Cut(strings.TrimPrefix(name, "@"), "["); ok && strings.HasPrefix(name, "@") {
		n := 0
		for _, s := range c.sections {
			if s.kind == kind {
				if itoa(n)+"]" == index {
					return s
				}
				n++
			}
		}
		return nil
	}
	for _, s := range c.sections {
		if s.name == name {
			return s
		}
	}
	return nil
}

// option is a value of PACKAGE.SECTION.OPTION.
func (e *engine) option(pkg, section, option string) value {
	full := pkg + "." + section + "." + option
	if v, ok := e.settings[full]; ok {
		return value{text: v, setting: full, unknown: strings.HasPrefix(v, "$")}
	}
	s := e.config(pkg).section(section)
	if s == nil {
		return value{setting: full}
	}
	if l := s.lists[option]; len(l) > 0 {
		return value{text: strings.Join(l, " "), setting: full}
	}
	return value{text: s.options[option], setting: full}
}

// uci get and set.
func uci(s *shell, args []value, n syntax.Node) (result, bool) {
	_, rest := operands(args, "cdfpPtL")
	if len(rest) < 2 {
		return result{}, true
	}
	switch rest[0].text {
	case "get":
		parts := strings.SplitN(rest[1].text, ".", 3)
		if rest[1].unknown || len(parts) < 2 {
			return s.fetch(value{unknown: true})
		}
		if len(parts) == 2 {
			if sec := s.engine.config(parts[0]).section(parts[1]); sec != nil {
				s.print(known(sec.kind + "\n"))
				return succeeded, true
			}
			return result{truth: False, conds: []Condition{{Text: s.source(n), Name: rest[1].text, Holds: False}}}, true
		}
		v := s.engine.option(parts[0], parts[1], parts[2])
		r := result{truth: truthOf(v.text != "", v.unknown)}
		r.conds = []Condition{{Text: s.source(n), Name: rest[1].text, Default: v.text, Holds: r.truth}}
		v.text += "\n"
		s.print(v)
		return r, true
	case "set", "add_list":
		return s.setPair(rest[1:], n)
	}
	return result{}, true
}

// uciPackage names the package of a config_load argument.
func uciPackage(name string) string { return path.Base(name) }
