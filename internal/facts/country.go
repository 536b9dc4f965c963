package facts

import (
	_ "embed"
	"strings"
	"sync"
	"unicode"

	"github.com/doorward/doorward"
)

//go:embed data/countries.txt
var countryTable string

type countries struct {
	names  map[string]string // alpha-2 -> usual English name
	byText map[string]string // alpha-3 and names, plain -> alpha-2
}

var countryData = sync.OnceValue(func() countries {
	c := countries{names: map[string]string{}, byText: map[string]string{}}
	for line := range strings.Lines(countryTable) {
		f := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(f) < 3 || f[0] == "#" {
			continue
		}
		names := strings.Split(f[2], "; ")
		c.names[f[0]] = names[0]
		c.byText[plain(f[1])] = f[0]
		for _, name := range names {
			c.byText[plain(name)] = f[0]
		}
	}
	return c
})

// plain is a name without case, punctuation and "the".
func plain(s string) string {
	words := strings.FieldsFunc(strings.ToLower(strings.ReplaceAll(s, ".", "")), func(c rune) bool { return !unicode.IsLetter(c) })
	if len(words) > 1 && words[0] == "the" {
		words = words[1:]
	}
	return strings.Join(words, " ")
}

// Country gives the ISO 3166-1 alpha-2 code of a country that is written as an
// alpha-2 or alpha-3 code or by its English name; "" for anything else. A
// subdivision (ISO 3166-2, US-CA) counts for its country.
func Country(text string) string {
	text = strings.TrimSpace(text)
	if head, rest, ok := strings.Cut(text, "-"); ok && len(head) == 2 && len(rest) <= 3 {
		text = head
	}
	if len(text) == 2 {
		if code := strings.ToUpper(text); KnownCountry(code) {
			return code
		}
	}
	return countryData().byText[plain(text)]
}

// KnownCountry says that a code is one of ISO 3166-1 alpha-2, or the code for a
// country that is not known.
func KnownCountry(code string) bool {
	return countryData().names[code] != "" || userAssigned(code)
}

// userAssigned says that ISO 3166-1 leaves a code to its users: AA, QM to QZ, XA
// to XZ, and ZZ, which stands for "not known".
func userAssigned(code string) bool {
	if len(code) != 2 {
		return false
	}
	return code == "AA" || code == doorward.UnknownCountry || code[0] == 'Q' && code[1] >= 'M' && code[1] <= 'Z' || code[0] == 'X' && code[1] >= 'A' && code[1] <= 'Z'
}

// CountryName is the usual English name of a country; the code itself if there
// is none.
func CountryName(code string) string {
	if code == doorward.UnknownCountry {
		return "not known"
	}
	if name := countryData().names[code]; name != "" {
		return name
	}
	return code
}
