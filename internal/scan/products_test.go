package scan

import (
	"context"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/formats"
)

// The exam of testdata/products: its README states the grammar. It was written
// by somebody who had not seen the detectors, and is marked here.

const products = "../../testdata/products"

// rule is an expect, allow or trap line.
type rule struct {
	verb    string
	kinds   []string // "*" for any
	status  string
	weights []string
	atLeast doorward.Weight // of a trap
	many    bool
	match   []match
	at      []string
	why     string
}

// match is KEY op VALUE: = ~ ?= ?~.
type match struct {
	key, op string
	values  []string
}

type exam struct {
	name   string
	object *unpack.Object
	rules  []rule
	none   doorward.Weight
}

func readExam(t *testing.T, file string) *exam {
	t.Helper()
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	x := &exam{name: strings.TrimSuffix(filepath.Base(file), ".txtar"), object: &unpack.Object{Format: "directory", System: true}}
	tree := newMadeTree()
	for _, f := range a.Files {
		tree.file(f.Name, f.Data)
	}
	for line := range strings.Lines(string(a.Comment)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			x.line(t, tree, line)
		}
	}
	x.object.Entries = tree.list()
	return x
}

// madeTree collects the entries of an archive by path.
type madeTree struct {
	entries map[string]*unpack.Entry
	order   []string
}

func newMadeTree() *madeTree { return &madeTree{entries: map[string]*unpack.Entry{}} }

func (m *madeTree) at(p string) *unpack.Entry {
	if m.entries[p] == nil {
		m.entries[p] = &unpack.Entry{Path: p, Mode: fs.ModeDir | 0o755}
		m.order = append(m.order, p)
	}
	return m.entries[p]
}

func (m *madeTree) file(p string, content []byte) {
	e := m.at(p)
	e.Mode, e.Data = 0o644, unpack.Slice(content)
	if strings.HasPrefix(string(content), "#!") || strings.HasPrefix(string(content), "\x7fELF") {
		e.Mode = 0o755
	}
}

func (m *madeTree) list() []unpack.Entry {
	var list []unpack.Entry
	for _, p := range m.order {
		list = append(list, *m.entries[p])
	}
	return list
}

func (x *exam) line(t *testing.T, tree *madeTree, line string) {
	t.Helper()
	verb, rest, _ := strings.Cut(line, " ")
	words := strings.Fields(rest)
	switch verb {
	case "product:":
	case "why:":
		x.rules[len(x.rules)-1].why = rest
	case "link":
		e := tree.at(words[0])
		e.Mode, e.Link = fs.ModeSymlink|0o777, words[2]
	case "dir":
		tree.at(words[0])
	case "elf":
		b, err := os.ReadFile(filepath.Join(products, "bin", words[1]))
		if err != nil {
			t.Fatal(err)
		}
		tree.file(words[0], b)
	case "hex":
		b, err := hex.DecodeString(strings.Join(words[1:], ""))
		if err != nil {
			t.Fatal(err)
		}
		if e := tree.entries[words[0]]; e != nil {
			b = append(slices.Clone([]byte(e.Data.(unpack.Slice))), b...)
		}
		tree.file(words[0], b)
	case "nul":
		e := tree.at(words[0])
		e.Data = unpack.Slice(strings.ReplaceAll(string(e.Data.(unpack.Slice)), "\n", "\x00"))
	case "mode":
		n, _ := strconv.ParseUint(words[0], 8, 32)
		e := tree.at(words[1])
		e.Mode = e.Mode.Type() | fs.FileMode(n&0o777)
		for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
			if n&bit != 0 {
				e.Mode |= flag
			}
		}
	case "owner":
		fmt.Sscanf(words[0], "%d:%d", &tree.at(words[1]).UID, &tree.at(words[1]).GID)
	case "xattr":
		b, _ := hex.DecodeString(words[2])
		tree.at(words[1]).Xattrs = map[string]string{words[0]: string(b)}
	case "expect", "allow", "trap":
		if strings.HasPrefix(rest, "none >= ") {
			x.none = doorward.Weight(strings.TrimPrefix(rest, "none >= "))
			return
		}
		x.rules = append(x.rules, parseRule(verb, strings.TrimPrefix(rest, "door ")))
	default:
		t.Fatalf("%s: unknown line %q", x.name, line)
	}
}

func parseRule(verb, rest string) rule {
	r := rule{verb: verb}
	words := splitQuoted(rest)
	r.kinds = strings.Split(words[0], "|")
	for i := 1; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "at":
			r.at = strings.Split(words[i+1], ",")
			i++
		case w == ">=":
			r.atLeast = doorward.Weight(words[i+1])
			i++
		case w == "many":
			r.many = true
		case strings.ContainsAny(w, "=~"):
			r.match = append(r.match, parseMatch(w))
		case w == "undeclared" || w == "declared" || w == "contradicts":
			r.status = w
		default:
			r.weights = strings.Split(w, ",")
		}
	}
	if verb == "expect" && r.status == "" {
		r.status = "undeclared"
	}
	return r
}

func parseMatch(w string) match {
	i := strings.IndexAny(w, "=~")
	m := match{key: w[:i], op: w[i : i+1]}
	if strings.HasSuffix(m.key, "?") {
		m.key, m.op = strings.TrimSuffix(m.key, "?"), "?"+m.op
	}
	m.values = strings.Split(w[i+1:], "|")
	return m
}

// splitQuoted splits at spaces outside double quotes.
func splitQuoted(s string) []string {
	var words []string
	quoted, word, open := false, strings.Builder{}, false
	for _, c := range s {
		switch {
		case c == '"':
			quoted = !quoted
			open = true
		case c == ' ' && !quoted:
			if open {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(c)
			open = true
		}
	}
	if open {
		words = append(words, word.String())
	}
	return words
}

func (m match) holds(d doorward.Door) bool {
	got, has := d.Detail.Text(m.key), d.Detail[m.key] != nil
	if !has {
		return strings.HasPrefix(m.op, "?")
	}
	for _, v := range m.values {
		if strings.HasSuffix(m.op, "~") && strings.Contains(strings.ToLower(got), strings.ToLower(v)) ||
			strings.HasSuffix(m.op, "=") && (got == v || m.key == "host" && strings.EqualFold(got, v)) {
			return true
		}
	}
	return false
}

// fits says that a door is of the rule's kind, details and place, whatever its
// weight.
func (r rule) fits(d doorward.Door) bool {
	if r.kinds[0] != "*" && !slices.Contains(r.kinds, string(d.Kind)) {
		return false
	}
	for _, m := range r.match {
		if !m.holds(d) {
			return false
		}
	}
	if len(r.at) == 0 {
		return true
	}
	for _, w := range d.Where {
		// The file itself, or the file that it is packed in.
		for _, p := range w.Path {
			for _, want := range r.at {
				if p == want || strings.HasSuffix(want, "/") && strings.HasPrefix(p, want) {
					return true
				}
			}
		}
	}
	return false
}

func (r rule) weighs(d doorward.Door) bool {
	return len(r.weights) == 0 || slices.Contains(r.weights, string(d.Weight))
}

// marks is what an exam gave.
type marks struct {
	expected, found int
	alarms, right   int // doors at or above the "none" weight
	remarks         []string
}

func (x *exam) mark(r *doorward.Report) marks {
	var m marks
	taken := map[string]bool{}
	for _, e := range x.rules {
		if e.verb != "expect" {
			continue
		}
		m.expected++
		if why := e.take(r.Doors, taken); why != "" {
			m.remarks = append(m.remarks, fmt.Sprintf("%s: %v %v at %v: %s", why, e.kinds, e.match, e.at, e.why))
		} else {
			m.found++
		}
	}
	for _, d := range r.Doors {
		allowed := slices.ContainsFunc(x.rules, func(e rule) bool { return e.verb == "allow" && e.fits(d) && e.weighs(d) })
		if d.Weight.Rank() >= x.none.Rank() {
			m.alarms++
			if taken[d.ID] || allowed {
				m.right++
			} else {
				m.remarks = append(m.remarks, fmt.Sprintf("false alarm: %s %s %v %q at %v", d.Weight, d.Kind, d.Detail, d.Title, d.Where[0].Path))
			}
		}
		for _, e := range x.rules {
			if e.verb == "trap" && e.fits(d) && !taken[d.ID] && !allowed && (e.atLeast == "" || d.Weight.Rank() >= e.atLeast.Rank()) {
				m.remarks = append(m.remarks, fmt.Sprintf("trap: %s %s %q at %v: %s", d.Weight, d.Kind, d.Title, d.Where[0].Path, e.why))
			}
		}
	}
	return m
}

// take finds the door that fulfils an expectation, or says why none does.
func (r rule) take(doors []doorward.Door, taken map[string]bool) string {
	why := "missed"
	for _, d := range doors {
		if taken[d.ID] || !r.fits(d) {
			continue
		}
		if !r.weighs(d) || string(d.Status) != r.status {
			why = fmt.Sprintf("is %s %s, wants %v", d.Status, d.Weight, r.weights)
			continue
		}
		taken[d.ID] = true
		if why = ""; !r.many {
			return ""
		}
	}
	return why
}

// The floor that the exam holds detectors to, over all products.
const (
	leastRecall    = 0.85
	leastPrecision = 0.95
)

func TestProducts(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(products, "*.txtar"))
	if len(files) == 0 {
		t.Fatal("no products")
	}
	var sum marks
	for _, file := range files {
		x := readExam(t, file)
		opt := Options{NoTimes: true}
		p, err := product.OpenTree(context.Background(), x.name, x.object, patterns(), unpack.Options{Readers: formats.All})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Inspect(context.Background(), p, opt)
		if err != nil {
			t.Fatal(err)
		}
		m := x.mark(r)
		t.Logf("%s: found %d of %d doors; %d of %d alarms right", x.name, m.found, m.expected, m.right, m.alarms)
		for _, remark := range m.remarks {
			t.Logf("  %s", remark)
		}
		sum.expected, sum.found = sum.expected+m.expected, sum.found+m.found
		sum.alarms, sum.right = sum.alarms+m.alarms, sum.right+m.right
	}
	recall, precision := float64(sum.found)/float64(sum.expected), float64(sum.right)/float64(max(sum.alarms, 1))
	t.Logf("all: recall %.2f (%d of %d), precision %.2f (%d of %d)", recall, sum.found, sum.expected, precision, sum.right, sum.alarms)
	if recall < leastRecall || precision < leastPrecision {
		t.Errorf("recall %.2f, precision %.2f; at least %.2f and %.2f are wanted", recall, precision, leastRecall, leastPrecision)
	}
}
