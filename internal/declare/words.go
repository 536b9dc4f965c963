package declare

import "strings"

// word is one word of a claim: a bare word, or key=value.
type word struct {
	start   int // byte offset in the claim
	valueAt int
	key     string
	value   string
	pair    bool
}

// splitWords splits a claim at white space. A value may stand in double quotes,
// where \" \\ \n and \t are escapes; outside of quotes a backslash is itself.
func splitWords(text string) ([]word, error) {
	var words []word
	for i := 0; i < len(text); {
		if isSpace(text[i]) {
			i++
			continue
		}
		w := word{start: i}
		for i < len(text) && !isSpace(text[i]) && text[i] != '=' {
			if text[i] == '"' {
				return nil, wrong(i, "a quote may stand only right after the = of a pair")
			}
			i++
		}
		w.key = text[w.start:i]
		if i < len(text) && text[i] == '=' {
			var err error
			w.pair, w.valueAt = true, i+1
			if w.value, i, err = readValue(text, i+1); err != nil {
				return nil, err
			}
		}
		if w.pair && w.key == "" {
			return nil, wrong(w.start, "there is no key before the =")
		}
		words = append(words, w)
	}
	return words, nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func readValue(text string, i int) (string, int, error) {
	if i < len(text) && text[i] == '"' {
		return readQuoted(text, i)
	}
	start := i
	for i < len(text) && !isSpace(text[i]) {
		if text[i] == '"' {
			return "", i, wrong(i, "a quote within a value: put the whole value in quotes, and write \\\" for a quote in it")
		}
		i++
	}
	return text[start:i], i, nil
}

func readQuoted(text string, open int) (string, int, error) {
	var b strings.Builder
	for i := open + 1; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			if i+1 < len(text) && !isSpace(text[i+1]) {
				return "", i, wrong(i+1, "white space must follow a closing quote")
			}
			return b.String(), i + 1, nil
		case '\\':
			i++
			if i == len(text) {
				break
			}
			at := strings.IndexByte(`"\nt`, text[i])
			if at < 0 {
				return "", i, wrong(i-1, "unknown escape \\%c: there are \\\" \\\\ \\n and \\t", text[i])
			}
			b.WriteByte("\"\\\n\t"[at])
		default:
			b.WriteByte(c)
		}
	}
	return "", open, wrong(open, "this quote is never closed")
}

// quote writes a value so that readValue reads it back.
func quote(value string) string {
	if value != "" && !strings.ContainsAny(value, " \t\r\n\"") {
		return value
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(value) + `"`
}
