package declare

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/doorward/doorward"
)

// Update adds drafted claims on doors to a maker's CycloneDX declaration, and
// binds it to the artifact of a report: the SHA-256 that it names, and its
// version if that is another one. What the maker wrote stays as it is, byte for
// byte; only the number of the BOM's version grows, as CycloneDX wants it. left
// are the doors that no claim can name, added is how many claims are new.
func Update(name string, old []byte, doors []doorward.Door, subject doorward.Subject, newVersion bool) (document []byte, added int, left []doorward.Door, err error) {
	root, err := parseJSON(old)
	switch {
	case err != nil:
		return nil, 0, nil, (&reader{name: name, text: old}).jsonError(err)
	case root.get("bomFormat").text() != "CycloneDX":
		return nil, 0, nil, &Error{Document: name, What: "not a CycloneDX document: only these are updated"}
	case root.get("metadata", "component") == nil || root.get("metadata", "component").members == nil:
		return nil, 0, nil, &Error{Document: name, What: "it names no product (metadata.component)"}
	}
	e := &editor{text: old}
	product := root.get("metadata", "component")
	lines, left := newClaims(product, doors)
	e.addProperties(product, lines)
	e.rebind(product, subject, newVersion)
	if len(e.edits) > 0 {
		if n, ok := root.get("version").number(); ok {
			e.replace(root.get("version"), strconv.FormatInt(n+1, 10))
		}
	}
	return e.apply(), len(lines), left, nil
}

// newClaims drafts what the product does not declare in the same words.
func newClaims(product *value, doors []doorward.Door) (lines []string, left []doorward.Door) {
	seen := map[string]bool{}
	for _, p := range product.get("properties").list() {
		seen[p.get("value").text()] = true
	}
	for i := range doors {
		text, ok := claimText(&doors[i])
		switch {
		case !ok:
			left = append(left, doors[i])
		case !seen[text]:
			seen[text] = true
			lines = append(lines, text)
		}
	}
	return lines, left
}

// editor changes a document where it is needed and nowhere else.
type editor struct {
	text  []byte
	edits []edit
}

// edit replaces the bytes from start to end.
type edit struct {
	start, end int
	text       string
}

func (e *editor) apply() []byte {
	slices.SortFunc(e.edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	var out []byte
	at := 0
	for _, x := range e.edits {
		out = append(append(out, e.text[at:x.start]...), x.text...)
		at = x.end
	}
	return append(out, e.text[at:]...)
}

// end is where a value ends.
func (e *editor) end(v *value) int {
	dec := json.NewDecoder(bytes.NewReader(e.text[v.start:]))
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		panic("declare: a value that was parsed: " + err.Error())
	}
	return v.start + int(dec.InputOffset())
}

func (e *editor) replace(v *value, text string) {
	e.edits = append(e.edits, edit{v.start, e.end(v), text})
}

func (e *editor) insert(at int, text string) {
	e.edits = append(e.edits, edit{at, at, text})
}

// addProperties adds doorward:door properties behind those that are there.
func (e *editor) addProperties(product *value, lines []string) {
	if len(lines) == 0 {
		return
	}
	list := product.get("properties")
	indent := e.indent(product.start) + "  "
	if list != nil && len(list.items) > 0 {
		last := list.items[len(list.items)-1]
		indent = e.indent(last.start)
		e.insert(e.end(last), ","+newline(indent)+e.properties(lines, indent))
		return
	}
	within := newline(indent+"  ") + e.properties(lines, indent+"  ") + newline(indent)
	switch {
	case list != nil: // empty, or of a type that CycloneDX does not know
		e.replace(list, "["+within+"]")
	case len(product.members) > 0:
		last := product.members[len(product.members)-1].value
		e.insert(e.end(last), ","+newline(indent)+`"properties": [`+within+"]")
	default:
		e.replace(product, "{"+newline(indent)+`"properties": [`+within+"]}")
	}
}

func (e *editor) properties(lines []string, indent string) string {
	var out []string
	for _, text := range lines {
		out = append(out, fmt.Sprintf(`{"name": %q, "value": %s}`, doorward.SaysDoor, quoteJSON(text)))
	}
	return strings.Join(out, ","+newline(indent))
}

func newline(indent string) string { return "\n" + indent }

func quoteJSON(s string) string {
	return strings.TrimSuffix(string(writeJSON(s)), "\n")
}

// indent is the white space that the line of a byte begins with.
func (e *editor) indent(at int) string {
	line := e.text[bytes.LastIndexByte(e.text[:at], '\n')+1 : at]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// rebind names the artifact of the report, where the declaration names one.
func (e *editor) rebind(product *value, subject doorward.Subject, newVersion bool) {
	for _, h := range product.get("hashes").list() {
		content := h.get("content")
		if h.get("alg").text() == "SHA-256" && subject.SHA256 != "" && content != nil && !strings.EqualFold(content.text(), subject.SHA256) {
			e.replace(content, quoteJSON(subject.SHA256))
		}
	}
	if v := product.get("version"); newVersion && v.text() != "" && subject.Version != "" && v.text() != subject.Version {
		e.replace(v, quoteJSON(subject.Version))
	}
}
