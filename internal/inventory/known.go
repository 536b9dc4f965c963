package inventory

import (
	"bytes"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/executable"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

//go:embed data/known.txt
var knownText string

// known is one line of data/known.txt.
type known struct {
	name, kind string
	maker      string
	cpe        string   // vendor:product, or o:vendor:product
	libs       []string // stems of the files that are it; a "*" at the end stands for anything
	mode       string   // near: the expression stands around the needle; file: anywhere in one of libs; name: the file's name
	needle     string
	expr       *regexp.Regexp // first group: version, second: update (p1 of OpenSSH)
	whole      *regexp.Regexp // expr at the start of a text, if it is one of wholeString
}

// Patterns returns the byte strings that the inventory asks the pass over the
// bytes to look for.
func Patterns() []string {
	list := []string{sbatMark}
	for _, k := range table() {
		if k.needle != "" && !slices.Contains(list, k.needle) {
			list = append(list, k.needle)
		}
	}
	return list
}

var table = sync.OnceValue(func() []*known {
	list, err := parseKnown(knownText)
	if err != nil {
		panic(err) // the table is part of the program; its test finds this
	}
	return list
})

var kinds = map[string]string{"app": "application", "lib": "library", "os": "operating-system", "fw": "firmware"}

// parseKnown reads the table: fields apart by two blanks or more, in the order
// that its head says.
func parseKnown(text string) ([]*known, error) {
	var list []*known
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := columns.Split(line, 8)
		if len(f) != 8 {
			return nil, fmt.Errorf("known.txt:%d: %d fields instead of 8", n, len(f))
		}
		for i := range f {
			if f[i] == "-" {
				f[i] = ""
			}
		}
		k := &known{name: f[0], kind: kinds[f[1]], maker: f[2], cpe: f[3], mode: f[5], needle: strings.ReplaceAll(f[6], `\s`, " ")}
		if f[4] != "" {
			k.libs = strings.Split(f[4], ",")
		}
		expr, err := regexp.Compile(f[7])
		if err != nil {
			return nil, fmt.Errorf("known.txt:%d: %w", n, err)
		}
		k.expr = expr
		if wholeString.MatchString(f[7]) {
			k.whole = regexp.MustCompile(`^` + f[7])
		}
		if k.kind == "" || expr.NumSubexp() < 1 || !slices.Contains([]string{"near", "file", "name"}, k.mode) || k.mode != "name" && len(k.needle) < 4 || k.mode != "near" && len(k.libs) == 0 {
			return nil, fmt.Errorf("known.txt:%d: kind, mode, needle, files or group are missing", n)
		}
		list = append(list, k)
	}
	return list, nil
}

// wholeString are expressions for a NUL and a version behind it.
var wholeString = regexp.MustCompile(`^\\x00(v\?)?\((\d|\[\d|\\d)`)

var columns = regexp.MustCompile(`\s{2,}|\t+`)

// knownCPE is the CPE of a package whose name is in the table.
func knownCPE(name, version string) string {
	for _, k := range table() {
		if k.name == name {
			return cpe23(k.cpe, version, "")
		}
	}
	return ""
}

// match is a known component that a file's bytes name, with its version.
type match struct {
	known           *known
	version, update string
	text            string
	offset          int64
}

func (m match) describe(c *doorward.Component) {
	c.Name, c.Version, c.Maker, c.Found = m.known.name, m.version, m.known.maker, "content"
	c.CPE = cpe23(m.known.cpe, m.version, m.update)
	if m.update != "" {
		c.Version += m.update
	}
	c.PURL = purl("generic", "", c.Name, c.Version)
	if c.Detail == nil {
		c.Detail = map[string]string{}
	}
	if m.known.mode == "near" {
		c.Detail["text"] = m.text
	}
	c.Type = m.known.kind
}

// Around a needle, and how many of its hits are looked at.
const (
	before   = 80
	behind   = 240
	maxHits  = 32
	fileSize = 24 << 20 // bytes up to which a file is searched whole
)

// matches finds the known components in a file; info is nil for raw code. Of a
// program, kernels and boot loaders are left out unless it is static, as are
// libraries that it loads and does not hold.
func matches(f *product.File, info *executable.Info) []match {
	var list []match
	var b []byte
	for _, k := range table() {
		hits := hitsOf(f, k.needle)
		if k.mode != "name" && len(hits) == 0 || !k.mayBeIn(f, info) {
			continue
		}
		if b == nil && k.mode != "name" {
			b = f.Bytes()
		}
		for _, m := range k.find(f, b, hits) {
			if !slices.ContainsFunc(list, func(o match) bool { return o.known.name == k.name }) {
				list = append(list, m)
			}
		}
	}
	return list
}

func (k *known) mayBeIn(f *product.File, info *executable.Info) bool {
	if info == nil {
		return k.mode == "near"
	}
	if (k.kind == "operating-system" || k.kind == "firmware") && !info.Static {
		return false
	}
	if k.mode != "near" {
		return nameFits(f, info, k)
	}
	if k.kind != "library" || nameFits(f, info, k) {
		return true
	}
	for _, lib := range k.libs {
		if info.NeedsLibrary(strings.TrimSuffix(lib, "*")) {
			return false
		}
	}
	return true
}

// hitsOf asks the pass over the bytes, or looks itself where that pass was not
// told of the table.
func hitsOf(f *product.File, needle string) []int64 {
	if needle == "" {
		return nil
	}
	if f.Product().Searches(needle) {
		return f.Hits(needle)
	}
	var hits []int64
	text := unpack.Slice(f.Bytes())
	for at := 0; len(hits) < maxHits; {
		i := strings.Index(string(text[at:min(len(text), at+fileSize)]), needle)
		if i < 0 {
			break
		}
		hits = append(hits, int64(at+i))
		at += i + 1
	}
	return hits
}

func (k *known) find(f *product.File, b []byte, hits []int64) []match {
	switch k.mode {
	case "name":
		if m := k.expr.FindStringSubmatch(f.Base()); m != nil {
			return []match{k.match(m, 0)}
		}
	case "near":
		return k.near(b, hits)
	case "file":
		return k.anywhere(b)
	}
	return nil
}

func (k *known) match(groups []string, offset int64) match {
	m := match{known: k, version: groups[1], text: strings.Trim(groups[0], "\x00\n "), offset: offset}
	if len(groups) > 2 {
		m.update = groups[2]
	}
	return m
}

// near looks for the expression around each hit; the first that covers it
// counts.
func (k *known) near(b []byte, hits []int64) []match {
	for _, hit := range hits[:min(len(hits), maxHits)] {
		from, to := max(hit-before, 0), min(hit+behind, int64(len(b)))
		if from >= to {
			continue
		}
		window := string(b[from:to])
		for _, at := range k.expr.FindAllStringSubmatchIndex(window, -1) {
			if start, end := from+int64(at[0]), from+int64(at[1]); start <= hit && hit < end {
				return []match{k.match(groupsAt(window, at), start)}
			}
		}
	}
	return nil
}

func groupsAt(s string, at []int) []string {
	var groups []string
	for i := 0; i+1 < len(at); i += 2 {
		if at[i] < 0 {
			groups = append(groups, "")
		} else {
			groups = append(groups, s[at[i]:at[i+1]])
		}
	}
	return groups
}

// from moves the places of groups to where the match starts.
func from(at []int, start int) []int {
	moved := make([]int, len(at))
	for i, n := range at {
		if moved[i] = n - start; n < 0 {
			moved[i] = -1
		}
	}
	return moved
}

// anywhere looks in the whole file for a version that stands alone. It must be
// the only one: with two it is not known which is the file's own.
func (k *known) anywhere(b []byte) []match {
	if len(b) > fileSize {
		return nil
	}
	var found []match
	for _, at := range k.places(b) {
		m := k.match(groupsAt(string(b[at[0]:at[1]]), from(at, at[0])), int64(at[2]))
		if len(found) > 0 && (found[0].version != m.version || found[0].update != m.update) {
			return nil
		}
		found = append(found, m)
	}
	return found[:min(len(found), 1)]
}

// places finds the expression in the whole file. Those of whole strings begin
// with a NUL, of which programs are full: what follows it sorts most of them out.
func (k *known) places(b []byte) [][]int {
	if k.whole == nil {
		return k.expr.FindAllSubmatchIndex(b, maxPlaces)
	}
	var list [][]int
	for at := 0; len(list) < maxPlaces; at++ {
		i := bytes.IndexByte(b[at:], 0)
		if i < 0 || at+i+1 == len(b) {
			break
		}
		at += i
		if c := b[at+1]; c != 'v' && (c < '0' || c > '9') {
			continue
		}
		if m := k.whole.FindSubmatchIndex(b[at:min(at+longestVersion, len(b))]); m != nil {
			list = append(list, from(m, -at))
			at += m[1] - 1
		}
	}
	return list
}

// Bounds on what is looked at for one expression.
const (
	maxPlaces      = 64
	longestVersion = 256
)
