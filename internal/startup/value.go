package startup

import (
	"slices"
	"strings"
)

// value is what a reader of the script knows of a string.
type value struct {
	text    string   // what is unknown stands in it as $NAME
	unknown bool     // some of it is not known
	setting string   // the setting or variable that somebody can change and that it comes from
	given   bool     // comes from the script's own arguments or a loop: what it decides is no setting
	alts    []string // if it is unknown: what it can be, as far as seen
}

func known(s string) value { return value{text: s} }

func unknownValue(name string) value {
	return value{text: "$" + name, unknown: true, setting: name}
}

// join appends b to a.
func join(a, b value) value {
	v := value{text: a.text + b.text, unknown: a.unknown || b.unknown, setting: a.setting, given: a.given || b.given}
	if v.setting == "" {
		v.setting = b.setting
	}
	return v
}

// maxAlts is how many values of one variable are told apart.
const maxAlts = 4

// merge is a variable's value after a branch that may or may not have run.
func merge(name string, a, b value) value {
	if a.text == b.text && a.unknown == b.unknown {
		return a
	}
	v := unknownValue(name)
	for _, x := range []value{a, b} {
		all := x.alts
		if !x.unknown {
			all = []string{x.text}
		}
		for _, s := range all {
			if len(v.alts) < maxAlts && !slices.Contains(v.alts, s) {
				v.alts = append(v.alts, s)
			}
		}
	}
	return v
}

// matchPattern says that a shell pattern matches all of s. It is not
// exponential: a star only ever moves on from the last one.
func matchPattern(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		if p < len(pattern) {
			if pattern[p] == '*' {
				star, mark = p, i
				p++
				continue
			}
			if n, ok := matchOne(pattern[p:], s[i]); ok {
				p += n
				i++
				continue
			}
		}
		if star < 0 {
			return false
		}
		mark++
		p, i = star+1, mark
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne matches one character; n is the length of the pattern's element.
func matchOne(pattern string, c byte) (n int, ok bool) {
	switch pattern[0] {
	case '?':
		return 1, true
	case '\\':
		if len(pattern) > 1 {
			return 2, pattern[1] == c
		}
	case '[':
		if n, ok, valid := matchSet(pattern, c); valid {
			return n, ok
		}
	}
	return 1, pattern[0] == c
}

var classes = map[string]func(byte) bool{
	"digit": func(c byte) bool { return c >= '0' && c <= '9' },
	"alpha": func(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' },
	"alnum": func(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' },
	"upper": func(c byte) bool { return c >= 'A' && c <= 'Z' },
	"lower": func(c byte) bool { return c >= 'a' && c <= 'z' },
	"space": func(c byte) bool { return c == ' ' || c >= 9 && c <= 13 },
}

func matchSet(pattern string, c byte) (n int, ok, valid bool) {
	i, not := 1, false
	if i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^') {
		not = true
		i++
	}
	for first := true; i < len(pattern); first = false {
		switch {
		case pattern[i] == ']' && !first:
			return i + 1, ok != not, true
		case strings.HasPrefix(pattern[i:], "[:"):
			end := strings.Index(pattern[i:], ":]")
			if end < 0 {
				return 0, false, false
			}
			if f := classes[pattern[i+2:i+end]]; f != nil && f(c) {
				ok = true
			}
			i += end + 2
		case i+2 < len(pattern) && pattern[i+1] == '-' && pattern[i+2] != ']':
			ok = ok || pattern[i] <= c && c <= pattern[i+2]
			i += 3
		case pattern[i] == '\\' && i+1 < len(pattern):
			ok = ok || pattern[i+1] == c
			i += 2
		default:
			ok = ok || pattern[i] == c
			i++
		}
	}
	return 0, false, false
}

// isGlob says that a word has characters that name more than one file.
func isGlob(s string) bool { return strings.ContainsAny(s, "*?[") }

// trimPattern removes the shortest or longest prefix or suffix that matches.
func trimPattern(s, pattern string, suffix, longest bool) string {
	best := -1
	for n := 0; n <= len(s); n++ {
		part := s[:n]
		if suffix {
			part = s[len(s)-n:]
		}
		if matchPattern(pattern, part) {
			best = n
			if !longest {
				break
			}
		}
	}
	switch {
	case best < 0:
		return s
	case suffix:
		return s[:len(s)-best]
	}
	return s[best:]
}
