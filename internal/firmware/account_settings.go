package firmware

import (
	"regexp"
	"slices"
	"strings"
)

// setting is a key and its value in a configuration of any format.
type credSetting struct {
	key, value string
	offset     int // of the value's line in the text
	element    int // settings of one XML element, JSON object line or section share it
}

const maxSettings = 50_000

var (
	xmlComment   = regexp.MustCompile(`(?s)<!--.*?-->`)
	xmlElement   = regexp.MustCompile(`<([A-Za-z][A-Za-z0-9_:.-]*)((?:\s[^<>]*)?)>\s*([^<>\n]*?)\s*</`)
	xmlAttribute = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_:.-]*)\s*=\s*(?:"([^"]*)"|'([^']*)')`)
	jsonMember   = regexp.MustCompile(`["']([A-Za-z0-9_.:/ -]{1,80})["']\s*(?:=>|:|,)\s*["']([^"'\n]*)["']`)
	plainLine    = regexp.MustCompile(`^(?:set |option |list |export |\$|var |let |const |nvram set |nvram_set |uci set |uci -q set |config_set |setprop |fw_setenv |local |static |public )*["']?\$?([A-Za-z][A-Za-z0-9_.:/\[\]@-]{1,100})["']?\s*(?:=>|:=|==?|:|\s)\s*(.*)$`)
	manyOnALine  = regexp.MustCompile(`(?:^|[\s,;&])["']?([A-Za-z][A-Za-z0-9_.:-]{1,80})=("[^"]*"|'[^']*'|[^\s,;&"']+)`)
)

// readSettings reads the settings of a text: XML elements and attributes, JSON
// members, key=value, "key value", "option key 'value'", many on a line. Only
// the lines near the given offsets are read.
func readSettings(text string, near []int64) []credSetting {
	xml := strings.Contains(text, "</") || strings.Contains(text, "/>")
	if xml {
		text = xmlComment.ReplaceAllStringFunc(text, blank) // keeps the offsets
	}
	var list []credSetting
	offset, element := 0, 0
	ranges := around(text, near)
	for line := range strings.Lines(text) {
		at := offset
		offset += len(line)
		for len(ranges) > 0 && ranges[0][1] <= at {
			ranges = ranges[1:]
		}
		if len(ranges) == 0 {
			break
		}
		if at < ranges[0][0] {
			continue
		}
		t := strings.TrimSpace(line)
		if t == "" || isCommentLine(t) || len(t) > 8192 {
			if t == "" {
				element++
			}
			continue
		}
		if len(list) > maxSettings {
			break
		}
		if t[0] == '[' || t[0] == '{' || strings.HasPrefix(t, "},") || strings.HasPrefix(t, "config ") || strings.HasPrefix(t, "}") {
			element++
		}
		for _, s := range lineSettings(t, xml) {
			s.offset, s.element = at, element
			list = append(list, s)
		}
		if xml && (strings.HasPrefix(t, "</") || strings.HasSuffix(t, "/>")) {
			element++
		}
	}
	return list
}

// nearLines is how many lines before and behind a password its user may stand.
const nearLines = 10

// around gives the ranges of text that are near the offsets, in order and apart.
func around(text string, near []int64) (ranges [][2]int) {
	slices.Sort(near)
	end := int64(0) // of the line that was looked at last
	for _, at := range near {
		if at < end || at >= int64(len(text)) {
			continue
		}
		if end = int64(strings.IndexByte(text[at:], '\n')); end < 0 {
			end = int64(len(text))
		} else {
			end += at + 1
		}
		from, to := int(at), int(at)
		for range nearLines + 1 {
			from = strings.LastIndexByte(text[:max(from, 0)], '\n')
			if from < 0 {
				break
			}
		}
		for range nearLines + 1 {
			next := strings.IndexByte(text[to:], '\n')
			if next < 0 {
				to = len(text)
				break
			}
			to += next + 1
		}
		if n := len(ranges); n > 0 && from+1 <= ranges[n-1][1] {
			ranges[n-1][1] = max(to, ranges[n-1][1])
			continue
		}
		ranges = append(ranges, [2]int{from + 1, to})
	}
	return ranges
}

// blank keeps the lines of a comment, and nothing else.
func blank(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] != '\n' {
			b[i] = ' '
		}
	}
	return string(b)
}

func isCommentLine(t string) bool {
	return t[0] == '#' || t[0] == ';' || t[0] == '!' || strings.HasPrefix(t, "//") || strings.HasPrefix(t, "/*") || strings.HasPrefix(t, "* ") || strings.HasPrefix(t, "--") || strings.HasPrefix(t, "REM ")
}

func lineSettings(t string, xml bool) (list []credSetting) {
	if xml && strings.Contains(t, "<") {
		for _, m := range xmlElement.FindAllStringSubmatch(t, 50) {
			key := m[1]
			for _, a := range xmlAttribute.FindAllStringSubmatch(m[2], 10) {
				if lower := strings.ToLower(a[1]); lower == "name" || lower == "key" || lower == "id" {
					key = a[2] + a[3]
				}
			}
			list = append(list, credSetting{key: key, value: m[3]})
		}
		return append(list, attributes(t)...)
	}
	if m := jsonMember.FindAllStringSubmatch(t, 200); m != nil {
		for _, x := range m {
			list = append(list, credSetting{key: x[1], value: x[2]})
		}
		return list
	}
	if m := manyOnALine.FindAllStringSubmatch(t, 2000); len(m) > 1 {
		for _, x := range m {
			list = append(list, credSetting{key: x[1], value: strings.Trim(x[2], `"'`)})
		}
		return list
	}
	if m := plainLine.FindStringSubmatch(t); m != nil {
		list = append(list, credSetting{key: strings.TrimRight(m[1], ":"), value: plainValue(m[2])})
	}
	return list
}

// attributes are those of a line's XML tags; of <param name="x" value="y"/> the
// setting is x.
func attributes(t string) (list []credSetting) {
	found := xmlAttribute.FindAllStringSubmatch(t, 60)
	name, value := "", ""
	for _, a := range found {
		v := a[2] + a[3]
		switch strings.ToLower(a[1]) {
		case "name", "key", "id":
			name = v
		case "value", "data", "default", "val":
			value = v
		}
		list = append(list, credSetting{key: a[1], value: v})
	}
	if name != "" && value != "" {
		return []credSetting{{key: name, value: value}}
	}
	return list
}

// plainValue drops quotes, a comment behind the value and what ends a statement.
func plainValue(v string) string {
	v = strings.TrimSpace(v)
	if v == "" {
		return ""
	}
	if q := v[0]; q == '"' || q == '\'' {
		if end := strings.IndexByte(v[1:], q); end >= 0 {
			return v[1 : 1+end]
		}
	}
	if i := strings.Index(v, " #"); i >= 0 {
		v = v[:i]
	}
	return strings.TrimSpace(strings.TrimRight(v, ";, \t"))
}
