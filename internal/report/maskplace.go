package report

import (
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// A secret is also known by the place where it stands: behind an option that
// takes a password, in a URL, behind a name that says password. The detector
// that quotes the line for another reason (an update, a destination) need not
// know it.

// span is a secret's place in a text, in bytes.
type span struct {
	start, end int
	sure       bool // so sure that the same word elsewhere in its door is the secret too
}

// names are the words that make a name one of a secret; notNames look alike.
const names = `(?:pass|pwd|secret|token|psk|api[_-]?key)`

var notNames = regexp.MustCompile(`(?i)bypass|passive|pass[_-]?thr|passed|passes|passeng|compass|tokeni[sz]|token[_-]?ring|^(old)?pwd$|(file|path|dir|len|length|size|type|min|max|expires?|expiry|prompt|field|env|timeout|url|uri|count|age|days|policy|mode|enabled?|required|quality|sha256)$`)

// notValues stand behind such a name and are no secret.
var notValues = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|none|null|nil|undefined|required|optional|sufficient|enabled?|disabled?|files|compat|db|nis|sss|systemd|prompt|ask|\*+|[x!]|password|passwd|token|authentication|\.+|\d+:.*|[\w.>-]+\(.*|\w+\[\w*\].*)$`)

// valued is a value: in quotes, or up to the next space.
const valued = `(?:\\?'([^'\n]+?)\\?'|\\?"([^"\n]+?)\\?"|([^\s'"\x60;<>]+))`

type placeRule struct {
	re      *regexp.Regexp
	name    int // the group that is the name of name=value; 0 none
	sure    bool
	foreign bool   // in our own words, which may speak of a password so, only with a quote or _
	word    string // that the text must have, in lower case; "" for a rule with a name, which has one of nameWords
}

// nameWords are those of names.
var nameWords = []string{"pass", "pwd", "secret", "token", "psk", "api"}

// hints tells which rules may apply to a text, for much less than they cost: most
// texts have nothing for any of them.
type hints struct {
	lower         string
	ascii, naming bool
}

func hintsOf(text string) hints {
	h := hints{lower: text, ascii: true}
	upper := false
	for i := range len(text) {
		h.ascii = h.ascii && text[i] < utf8.RuneSelf // other letters may fold to these
		upper = upper || 'A' <= text[i] && text[i] <= 'Z'
	}
	if upper {
		h.lower = strings.ToLower(text)
	}
	h.naming = !h.ascii || h.have(nameWords...)
	return h
}

func (h hints) have(words ...string) bool {
	return !h.ascii || slices.ContainsFunc(words, func(w string) bool { return strings.Contains(h.lower, w) })
}

var placeRules = []placeRule{
	{re: regexp.MustCompile(`\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@'"<>?#]*:([^\s/'"<>]+)@`), word: "://", sure: true},
	{re: regexp.MustCompile(`(?i)authorization['"]?\s*[:=,]?\s*['"]?\s*(?:basic|bearer|token)\s+([A-Za-z0-9+/=._~-]{4,})`), word: "authorization", sure: true},
	{re: regexp.MustCompile(`(?i)(?:^|[^\w-])--((?:[a-z]+-)*` + names + `[a-z]*)(?:=|['"],\s*)` + valued), name: 1, sure: true},
	{re: regexp.MustCompile(`(?i)(?:^|[^\w-])--((?:[a-z]+-)*` + names + `[a-z]*)\s+` + valued), name: 1},
	{re: regexp.MustCompile(`(?i)([\w.-]*` + names + `[\w.-]*)['"]?\]?\s*(?::=|=>|=)\s*` + valued), name: 1},
	{re: regexp.MustCompile(`(?i)([\w.-]*` + names + `[\w.-]*)['"]?\s*={2,3}\s*(?:'([^'\n]+)'|"([^"\n]+)")`), name: 1},
	{re: regexp.MustCompile(`(?i)(?:^|[^\w/.-])([\w.-]*` + names + `[\w.-]*)\\?['"]?\s*:\s*` + valued), name: 1, foreign: true},
	{re: regexp.MustCompile(`(?i)\boption\s+(\w*` + names + `\w*)\s+` + valued), name: 1, foreign: true},
	{re: regexp.MustCompile(`(?i)<([\w:.-]*` + names + `[\w.-]*)>([^<\s][^<\n]*)</`), name: 1},
	{re: regexp.MustCompile(`(?i)(?:name|key|id)=["']([\w.-]*` + names + `[\w.-]*)["']\s+value=["']([^"'\n]+)`), name: 1},
}

// spans finds the secrets of a text by their places. program is the one whose
// arguments the text is, if known; own says that the words are ours.
func spans(text, program string, own bool) []span { return spansOf(text, program, own, hintsOf(text)) }

func spansOf(text, program string, own bool, h hints) []span {
	var list []span
	for _, r := range placeRules {
		if r.word == "" && !h.naming || r.word != "" && !h.have(r.word) {
			continue
		}
		for _, m := range r.re.FindAllStringSubmatchIndex(text, -1) {
			if r.foreign && own && !strings.ContainsAny(text[m[0]:m[1]], `_"'`) {
				continue
			}
			if r.name > 0 && isNoName(text[m[2*r.name]:m[2*r.name+1]]) {
				continue
			}
			if s, ok := lastGroup(m, r.name); ok {
				s.sure = r.sure
				if r.name > 0 {
					s.end = s.start + len(oneValue(text[s.start:s.end]))
					if isCode(text, s) {
						continue
					}
				}
				list = append(list, s)
			}
		}
	}
	if h.have("-") {
		list = append(list, ofCommands(text, program)...) // behind an option
	}
	if h.have("passwd", "cryptsetup") {
		list = append(list, ofPipes(text)...)
	}
	return united(text, list)
}

func isNoName(name string) bool {
	return notNames.MatchString(name) || strings.HasPrefix(strings.ToLower(name), "no-")
}

// lastGroup is the group behind the name that took part in the match.
func lastGroup(m []int, name int) (span, bool) {
	for g := name + 1; 2*g < len(m); g++ {
		if m[2*g] >= 0 {
			return span{start: m[2*g], end: m[2*g+1]}, true
		}
	}
	return span{}, false
}

// nextPair starts the next pair in a query or in the options of a mount.
var nextPair = regexp.MustCompile(`[&,][\w.-]+=|[,)\]}]+$`)

func oneValue(v string) string {
	if at := nextPair.FindStringIndex(v); at != nil && at[0] > 0 {
		return v[:at[0]]
	}
	return v
}

// isCode says that what stands bare behind a name is code: a comparison, a
// list, a comment, a type, a member of an object.
func isCode(text string, s span) bool {
	return !strings.ContainsAny(text[s.start-1:s.start], `'"`) && code.MatchString(text[s.start:s.end])
}

var code = regexp.MustCompile(`^([=({\[#:].*|str|string|int|bytes|bool|char|(self|this|args?|typing|Q\w+)[.].*|\w+\[.*)$`)

// united sorts spans, drops those that are no secret, and joins what overlaps.
func united(text string, list []span) []span {
	sort.Slice(list, func(i, j int) bool {
		return list[i].start < list[j].start || list[i].start == list[j].start && list[i].end > list[j].end
	})
	var out []span
	for _, s := range list {
		if isNoSecret(text[s.start:s.end]) {
			continue
		}
		if n := len(out); n > 0 && s.start < out[n-1].end {
			out[n-1].end = max(out[n-1].end, s.end)
			continue
		}
		out = append(out, s)
	}
	return out
}

// isNoSecret says that a value is a variable, a format, a placeholder, a path,
// or masked already.
func isNoSecret(v string) bool {
	return v == "" || strings.ContainsAny(v[:1], "$`</-") || strings.Contains(v, "…[") || strings.Contains(v, "${") ||
		strings.Contains(v, "$(") || strings.HasPrefix(v, "%s") || strings.HasPrefix(v, "{{") || notValues.MatchString(v)
}

// byPlace masks the secrets that a text's own form gives away; seen hears of each.
func byPlace(text, program string, own bool, seen func(secret string, sure bool)) string {
	list := spans(text, program, own)
	if len(list) == 0 {
		return text
	}
	var b strings.Builder
	at := 0
	for _, s := range list {
		secret := text[s.start:s.end]
		if seen != nil {
			seen(secret, s.sure)
		}
		b.WriteString(text[at:s.start])
		b.WriteString(Masked(secret))
		at = s.end
	}
	b.WriteString(text[at:])
	return b.String()
}
