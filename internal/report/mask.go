package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/doorward/doorward"
)

// Mask replaces the secrets of all doors wherever they stand in the report: in
// titles, evidence, details, hints for checking, and quoted claims. What stays
// is the first character, the length and the start of the digest. The digest of
// a trigger's value is kept whole, as detail.value_sha256, since declarations
// use it.
//
// A long mixed secret is replaced wherever it occurs in any door. A short or
// plain one (admin, 1234) is replaced only in its own door and only as a whole
// word; in our own words (title, note, check) not where it would be taken for
// an ordinary word. What its place gives away as a secret (curl -u user:x, a
// URL's user:x@, password=x) is masked even if no detector listed it.
func Mask(r *doorward.Report) {
	doors := make([]doorward.Door, len(r.Doors))
	for i := range r.Doors {
		doors[i] = r.Doors[i]
		doors[i].Secrets = withPlaced(&doors[i])
	}
	everywhere := replacer(doors)
	for i := range doors {
		doors[i] = maskDoor(doors[i], everywhere)
	}
	r.Doors = doors
	maskRest(r, func(text string) string { return outside(byPlace(text, "", true, nil), everywhere.Replace) })
}

// maskRest masks the texts of the report that belong to no door.
func maskRest(r *doorward.Report, mask func(string) string) {
	r.Declarations = slices.Clone(r.Declarations)
	for i := range r.Declarations {
		u := &r.Declarations[i]
		u.Text, u.Note = mask(u.Text), mask(u.Note)
	}
	r.Unread = slices.Clone(r.Unread)
	for i := range r.Unread {
		r.Unread[i].Note = mask(byPlace(r.Unread[i].Note, "", false, nil))
	}
	r.Components = slices.Clone(r.Components)
	for i := range r.Components {
		c := &r.Components[i]
		c.Detail = maps.Clone(c.Detail)
		for k, v := range c.Detail {
			c.Detail[k] = mask(byPlace(v, "", false, nil))
		}
	}
	r.Origins = slices.Clone(r.Origins)
	for i := range r.Origins {
		r.Origins[i].Evidence = mask(r.Origins[i].Evidence)
	}
	r.Tool.Detectors = slices.Clone(r.Tool.Detectors)
	for i := range r.Tool.Detectors {
		r.Tool.Detectors[i].Error = mask(r.Tool.Detectors[i].Error)
	}
	if r.Decision != nil {
		d := *r.Decision
		d.Reasons = slices.Clone(d.Reasons)
		for i := range d.Reasons {
			d.Reasons[i].Text = mask(d.Reasons[i].Text)
		}
		r.Decision = &d
	}
}

// withPlaced lists a door's secrets, with those that their places give away.
func withPlaced(d *doorward.Door) []string {
	list := slices.Clone(d.Secrets)
	seen := func(secret string, sure bool) {
		if (sure && len(secret) > 3 || !isPlain(secret)) && !slices.Contains(list, secret) {
			list = append(list, secret)
		}
	}
	for _, e := range d.Evidence {
		byPlace(e.What, "", false, seen)
	}
	for key, v := range d.Detail {
		if slices.Contains(named, key) {
			continue
		}
		switch v := v.(type) {
		case string:
			byPlace(v, programOf(d, key), false, seen)
		case []string:
			for _, s := range v {
				byPlace(s, "", false, seen)
			}
		}
	}
	slices.Sort(list[len(d.Secrets):])
	return list
}

// programOf is the program whose arguments a detail holds.
func programOf(d *doorward.Door, key string) string {
	if key == "arguments" {
		return d.Detail.Text("program")
	}
	return ""
}

// Masked is what stands for a secret.
func Masked(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	first, _ := utf8.DecodeRuneInString(secret)
	if !unicode.IsPrint(first) {
		first = '.'
	}
	n := utf8.RuneCountInString(secret)
	unit := "characters"
	if n == 1 {
		unit = "character"
	}
	return fmt.Sprintf("%c…[%d %s, sha256:%s]", first, n, unit, hex.EncodeToString(sum[:4]))
}

var (
	maskedPart = regexp.MustCompile(`.…\[[0-9]+ characters?, sha256:[0-9a-f]{8}\]`)
	maskedForm = regexp.MustCompile(`^` + maskedPart.String() + `$`)
)

// outside changes a text but for what is masked in it already.
func outside(text string, change func(string) string) string {
	var b strings.Builder
	at := 0
	for _, m := range maskedPart.FindAllStringIndex(text, -1) {
		b.WriteString(change(text[at:m[0]]))
		b.WriteString(text[m[0]:m[1]])
		at = m[1]
	}
	b.WriteString(change(text[at:]))
	return b.String()
}

// replacer replaces all secrets of the report that cannot be ordinary words.
func replacer(doors []doorward.Door) *strings.Replacer {
	seen := map[string]bool{}
	var list []string
	for i := range doors {
		for _, s := range doors[i].Secrets {
			if !isPlain(s) && !seen[s] {
				seen[s] = true
				list = append(list, s)
			}
		}
	}
	sort.Slice(list, func(i, j int) bool {
		if len(list[i]) != len(list[j]) {
			return len(list[i]) > len(list[j])
		}
		return list[i] < list[j]
	})
	var pairs []string
	for _, s := range list {
		pairs = append(pairs, s, Masked(s))
	}
	return strings.NewReplacer(pairs...)
}

// isPlain says that a secret is short or could be an ordinary word or number.
func isPlain(s string) bool {
	if utf8.RuneCountInString(s) < 8 {
		return true
	}
	classes := map[int]bool{}
	for i, c := range s {
		switch {
		case unicode.IsUpper(c) && i > 0:
			classes[1] = true
		case unicode.IsLetter(c):
			classes[2] = true
		case unicode.IsDigit(c):
			classes[3] = true
		default:
			classes[4] = true
		}
	}
	return len(classes) < 2
}

func maskDoor(d doorward.Door, everywhere *strings.Replacer) doorward.Door {
	m := masker{everywhere: everywhere, door: &d}
	for _, s := range d.Secrets {
		if isPlain(s) && s != "" {
			m.plain = append(m.plain, s)
		}
	}
	sort.Slice(m.plain, func(i, j int) bool { return len(m.plain[i]) > len(m.plain[j]) })
	d.Title, d.Check = m.prose(d.Title), m.prose(d.Check)
	d.Evidence = slices.Clone(d.Evidence)
	for i := range d.Evidence {
		d.Evidence[i].What = m.found(d.Evidence[i].What, "")
		d.Evidence[i].Note = m.prose(d.Evidence[i].Note)
	}
	d.DeclaredBy, d.Denied = m.claim(d.DeclaredBy), m.claim(d.Denied)
	d.AlsoDenied = slices.Clone(d.AlsoDenied)
	for i := range d.AlsoDenied {
		d.AlsoDenied[i] = *m.claim(&d.AlsoDenied[i])
	}
	d.Detail = m.detail(d.Detail)
	d.Secrets = nil
	return d
}

// masker masks the texts of one door.
type masker struct {
	everywhere *strings.Replacer
	door       *doorward.Door
	plain      []string // its short or plain secrets, longest first
}

func (m *masker) claim(by *doorward.DeclaredBy) *doorward.DeclaredBy {
	if by == nil {
		return nil
	}
	c := *by
	mask := func(text string) string { return outside(byPlace(text, "", true, nil), m.everywhere.Replace) }
	c.Claim, c.Purpose = mask(c.Claim), mask(c.Purpose)
	return &c
}

// found masks text of the artifact: the arguments of program, if that is known.
func (m *masker) found(text, program string) string {
	return m.known(byPlace(text, program, false, nil), func(string) bool { return false })
}

// prose masks our own words.
func (m *masker) prose(text string) string {
	return m.known(byPlace(text, "", true, nil), func(s string) bool { return len(s) < 4 || m.isOrdinary(s) })
}

// known masks the secrets that are known; a plain one for which quotedOnly is
// true only in quotes.
func (m *masker) known(text string, quotedOnly func(secret string) bool) string {
	text = outside(text, m.everywhere.Replace)
	for _, s := range m.plain {
		text = outside(text, func(part string) string { return replaceWord(part, s, quotedOnly(s)) })
	}
	return text
}

// ordinary are words that stand in titles and notes anyway.
var ordinary = strings.Fields("account admin administrator anonymous bootloader camera client console default device ftp guest http login manager mqtt none operator pass passwd password public private root router secret server service shell ssh support system telnet test user wifi")

func (m *masker) isOrdinary(s string) bool {
	s = strings.ToLower(s)
	if slices.Contains(ordinary, s) {
		return true
	}
	for _, key := range []string{"user", "program", "host"} {
		if strings.EqualFold(m.door.Detail.Text(key), s) {
			return true
		}
	}
	return false
}

// named are the keys of detail whose values name things and are no secrets.
var named = strings.Fields("user uid credential hash_type path algorithm fingerprint private proto port program program_path what device host signed radio id value_sha256 peer class encoding function")

func (m *masker) detail(detail doorward.Detail) doorward.Detail {
	out := maps.Clone(detail)
	if out == nil {
		out = doorward.Detail{}
	}
	for key, v := range detail {
		switch v := v.(type) {
		case string:
			out[key] = m.detailText(key, v)
		case []string:
			list := slices.Clone(v)
			for i := range list {
				list[i] = m.detailText(key, list[i])
			}
			out[key] = list
		}
	}
	if v, _ := detail["value"].(string); v != "" && out["value"] != v {
		out["value_sha256"] = doorward.ValueSHA256(m.door)
	}
	return out
}

func (m *masker) detailText(key, v string) string {
	switch {
	case maskedForm.MatchString(v) || slices.Contains(named, key):
		return v
	case key == "password" && v != "":
		return Masked(v)
	case slices.Contains(m.door.Secrets, v) && v != "":
		return Masked(v)
	}
	return m.found(v, programOf(m.door, key))
}

// replaceWord masks a plain secret where it stands as a whole word; with
// quotedOnly, where it stands in quotes or right behind = or :.
func replaceWord(text, secret string, quotedOnly bool) string {
	var b strings.Builder
	for at := 0; ; {
		i := strings.Index(text[at:], secret)
		if i < 0 {
			b.WriteString(text[at:])
			return b.String()
		}
		i += at
		end := i + len(secret)
		b.WriteString(text[at:i])
		if isWholeWord(text, i, end) && (!quotedOnly || isQuoted(text, i)) {
			b.WriteString(Masked(secret))
		} else {
			b.WriteString(secret)
		}
		at = end
	}
}

func isQuoted(text string, start int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:start])
	return strings.ContainsRune("\"'`“‘=:", before)
}

// escape is the end of an escape sequence (\n, \x00, \u0000) or a program's
// option (-p), whose last letter does not belong to the word behind it.
var escape = regexp.MustCompile(`\\([a-zA-Z0]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[0-7]{3})$|(^|[\s'"])-[a-zA-Z]$`)

func isWholeWord(text string, start, end int) bool {
	first, _ := utf8.DecodeRuneInString(text[start:])
	last, _ := utf8.DecodeLastRuneInString(text[:end])
	before, _ := utf8.DecodeLastRuneInString(text[:start])
	after, _ := utf8.DecodeRuneInString(text[end:])
	if end < len(text) && isWordRune(last) && isWordRune(after) {
		return false
	}
	if start > 0 && isWordRune(first) && isWordRune(before) {
		return escape.MatchString(text[max(0, start-6):start])
	}
	return true
}

func isWordRune(c rune) bool { return c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c) }
