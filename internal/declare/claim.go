package declare

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// Keys are the keys that a claim of each kind may use: those of the door's
// detail, and path, reach, purpose and until for every kind.
var Keys = map[doorward.Kind][]string{
	doorward.KindAccount:     {"user", "uid", "credential", "hash_type", "shell", "made_by"},
	doorward.KindKey:         {"path", "algorithm", "fingerprint", "private", "used_by"},
	doorward.KindService:     {"proto", "port", "program", "program_path", "arguments", "started_by", "condition", "shell", "authenticated"},
	doorward.KindTrigger:     {"value", "value-sha256", "encoding", "source", "compare", "effect", "function", "program", "chain"},
	doorward.KindDebug:       {"what", "device", "path"},
	doorward.KindUpdate:      {"host", "url", "path", "signed"},
	doorward.KindPrivilege:   {"what", "path"},
	doorward.KindSensor:      {"what", "program", "device", "sends"},
	doorward.KindDestination: {"host", "port", "url", "program", "cleartext"},
	doorward.KindTransfer:    {"device", "peer", "proto", "port"},
	doorward.KindLogic:       {"gates", "trigger_gates", "payload_gates", "trigger_nets", "payload_nets", "class"},
	doorward.KindTracker:     {"radio", "id"},
}

var commonKeys = []string{"path", "reach", "purpose", "until"}

// identities are the keys of which one group must be given in full and without
// a wildcard, so that a claim names a door and not a whole kind.
var identities = map[doorward.Kind][][]string{
	doorward.KindTrigger:  {{"value-sha256"}, {"value"}, {"program", "function"}},
	doorward.KindTransfer: {{"device"}, {"peer"}, {"port"}},
	doorward.KindTracker:  {{"radio"}, {"id"}},
}

func identityGroups(kind doorward.Kind) [][]string {
	if groups := identities[kind]; groups != nil {
		return groups
	}
	var groups [][]string
	for _, key := range doorward.IdentityKeys[kind] {
		groups = append(groups, []string{key})
	}
	return groups
}

// claimError is what is wrong with a claim, at byte at of its text.
type claimError struct {
	at   int
	what string
}

func (e *claimError) Error() string { return e.what }

func wrong(at int, format string, args ...any) error {
	return &claimError{at, fmt.Sprintf(format, args...)}
}

// ParseClaim reads the value of a doorward property. Errors are of a byte in
// text.
func ParseClaim(says doorward.Says, text string) (doorward.Claim, error) {
	c := doorward.Claim{Says: says, Text: text}
	words, err := splitWords(text)
	if err != nil {
		return c, err
	}
	switch says {
	case doorward.SaysDoor:
		err = doorClaim(&c, words, len(text))
	case doorward.SaysNoDoor:
		err = noDoorClaim(&c, words)
	case doorward.SaysNoHidden:
		err = noHiddenClaim(words)
	default:
		err = wrong(0, "unknown statement %q: there are doorward:door, doorward:no-door and doorward:no-hidden-function", says)
	}
	return c, err
}

func doorClaim(c *doorward.Claim, words []word, end int) error {
	if len(words) == 0 {
		return wrong(0, "no kind of door is named; one of %s", kindList())
	}
	kind, err := kindOf(words[0])
	if err != nil {
		return err
	}
	c.Kinds = []doorward.Kind{kind}
	seen := map[string]bool{}
	for _, w := range words[1:] {
		switch {
		case !w.pair:
			return wrong(w.start, "%q is no key=value pair", w.key)
		case seen[w.key]:
			return wrong(w.start, "the key %q is given twice", w.key)
		case w.value == "":
			return wrong(w.start, "the key %q has no value; leave it out", w.key)
		}
		seen[w.key] = true
		if err := takePair(c, kind, w); err != nil {
			return err
		}
	}
	if !identified(c, kind) {
		return wrong(end, "%s is told by its %s: one of these must be given, without a wildcard", some(kind), identityList(kind))
	}
	return nil
}

func takePair(c *doorward.Claim, kind doorward.Kind, w word) error {
	if !slices.Contains(Keys[kind], w.key) && !slices.Contains(commonKeys, w.key) {
		known := append(slices.Clone(Keys[kind]), commonKeys...)
		slices.Sort(known)
		return wrong(w.start, "%s has no key %q; its keys are %s", some(kind), w.key, strings.Join(slices.Compact(known), ", "))
	}
	if check := valueRules[w.key]; check.rule != nil && !check.rule.MatchString(w.value) {
		return wrong(w.valueAt, "%s=%s: %s", w.key, w.value, check.say)
	}
	switch w.key {
	case "purpose":
		c.Purpose = w.value
	case "until":
		c.Until = w.value
	default:
		c.Pairs = append(c.Pairs, doorward.Pair{Key: w.key, Value: w.value})
	}
	return nil
}

var valueRules = map[string]struct {
	rule *regexp.Regexp
	say  string
}{
	"until":         {regexp.MustCompile(`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`), "a date is written YYYY-MM-DD"},
	"port":          {regexp.MustCompile(`^[0-9]{1,5}$`), "a port is a number"},
	"reach":         {regexp.MustCompile(`^(remote|adjacent|local|physical)$`), "reach is remote, adjacent, local or physical"},
	"value-sha256":  {regexp.MustCompile(`^[0-9a-fA-F]{64}$`), "a SHA-256 has 64 hex digits"},
	"credential":    {regexp.MustCompile(`^(per-unit|fixed|default|empty|none)$`), "a credential is per-unit, fixed, default, empty or none"},
	"signed":        {regexp.MustCompile(`^(true|false|unknown)$`), "signed is true, false or unknown"},
	"host":          {regexp.MustCompile(`^(\*\.[^*/\s]+\.[^*/\s]+|[^*/\s]+)$`), "a host is a name or an address, never a URL; a wildcard is a leading *. before at least two labels"},
	"private":       {regexp.MustCompile(`^(true|false)$`), "private is true or false"},
	"cleartext":     {regexp.MustCompile(`^(true|false)$`), "cleartext is true or false"},
	"authenticated": {regexp.MustCompile(`^(true|false)$`), "authenticated is true or false"},
	"sends":         {regexp.MustCompile(`^(true|false)$`), "sends is true or false"},
}

func identified(c *doorward.Claim, kind doorward.Kind) bool {
	has := func(key string) bool {
		return slices.ContainsFunc(c.Pairs, func(p doorward.Pair) bool {
			return p.Key == key && (key != "path" || !doorward.HasGlob(p.Value))
		})
	}
	for _, group := range identityGroups(kind) {
		if !slices.ContainsFunc(group, func(key string) bool { return !has(key) }) {
			return true
		}
	}
	return false
}

func identityList(kind doorward.Kind) string {
	var names []string
	for _, group := range identityGroups(kind) {
		names = append(names, strings.Join(group, " with "))
	}
	return strings.Join(names, ", ")
}

func kindOf(w word) (doorward.Kind, error) {
	if kind := doorward.Kind(w.key); !w.pair && slices.Contains(doorward.Kinds, kind) {
		return kind, nil
	}
	return "", wrong(w.start, "%q is no kind of door; the kinds are %s", w.key, kindList())
}

// some is a kind with its article.
func some(kind doorward.Kind) string {
	if strings.ContainsRune("aeiou", rune(kind[0])) {
		return "an " + string(kind)
	}
	return "a " + string(kind)
}

func kindList() string {
	var names []string
	for _, k := range doorward.Kinds {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

func noDoorClaim(c *doorward.Claim, words []word) error {
	if len(words) == 0 {
		return wrong(0, "no kind of door is named; one or more of %s", kindList())
	}
	for _, w := range words {
		kind, err := kindOf(w)
		if err != nil {
			return err
		}
		c.Kinds = append(c.Kinds, kind)
	}
	return nil
}

func noHiddenClaim(words []word) error {
	for _, w := range words {
		if w.pair || w.key != "outflow" && w.key != "manipulation" && w.key != "injection" {
			return wrong(w.start, "%q is no part of the statement; its parts are outflow, manipulation and injection", w.key)
		}
	}
	return nil
}
