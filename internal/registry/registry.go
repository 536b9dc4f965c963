// Package registry imports published registers of organisations into files of
// facts: legal entity identifiers (GLEIF, levels 1 and 2) and the consolidated
// screening list of the United States. The files may be many gigabytes: they are
// read as a stream, and only what is asked for is kept.
package registry

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/facts"
)

// Wanted are the names that matter, by key; nil for all.
type Wanted map[string]bool

// WantedNames makes them of names.
func WantedNames(names ...string) Wanted {
	w := Wanted{}
	for _, n := range names {
		if key := doorward.EntityKey(n); key != "" {
			w[key] = true
		}
	}
	return w
}

func (w Wanted) has(e doorward.Entity) bool {
	return w == nil || slices.ContainsFunc(e.Names(), func(n string) bool { return w[doorward.EntityKey(n)] })
}

// maxEntities is how many entities one file of facts may have.
const maxEntities = 100_000

// ErrTooMany says that a file of facts would be too large.
var ErrTooMany = fmt.Errorf("more than %d entities: name those that matter with --names or --report", maxEntities)

// record is an entity of a register and what it says of it.
type record struct {
	entity                  doorward.Entity
	legalSeat, headquarters string // countries, as they are written
	pointer                 string
}

// table reads a CSV file with a header, row by row.
type table struct {
	r      *csv.Reader
	column map[string]int
	row    []string
}

func newTable(r io.Reader, needed ...string) (*table, error) {
	c := csv.NewReader(r)
	c.ReuseRecord, c.LazyQuotes, c.FieldsPerRecord = true, true, -1
	head, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("no CSV file: %w", err)
	}
	t := &table{r: c, column: map[string]int{}}
	for i, name := range head {
		t.column[strings.TrimSpace(name)] = i
	}
	for _, name := range needed {
		if _, ok := t.column[name]; !ok {
			return nil, fmt.Errorf("the file has no column %q: is it the file that the command is for?", name)
		}
	}
	return t, nil
}

// next reads a row; false at the end.
func (t *table) next() (bool, error) {
	row, err := t.r.Read()
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	t.row = row
	return err == nil, err
}

func (t *table) get(name string) string {
	i, ok := t.column[name]
	if !ok || i >= len(t.row) {
		return ""
	}
	return strings.Clone(strings.TrimSpace(t.row[i]))
}

// start looks at a stream's first byte that is no blank, behind a byte order
// mark.
func start(r io.Reader) (*bufio.Reader, byte) {
	b := bufio.NewReaderSize(r, 1<<20)
	if mark, _ := b.Peek(3); string(mark) == "\ufeff" {
		_, _ = b.Discard(3)
	}
	for n := 1; n < 64; n++ {
		p, err := b.Peek(n)
		if err != nil {
			return b, 0
		}
		if c := p[n-1]; !strings.ContainsRune(" \t\r\n", rune(c)) {
			return b, c
		}
	}
	return b, 0
}

// file makes a file of facts of records. What has a name in common with another
// record states nothing: which one is meant can't be told from the name.
func file(source, date string, list []record, basis string) *facts.File {
	f := &facts.File{Schema: facts.Schema, Source: source, Date: date, Entities: []doorward.Entity{}, Facts: []doorward.OriginFact{}}
	named := map[string]int{}
	for _, r := range list {
		for _, key := range keys(r.entity) {
			named[key]++
		}
	}
	for _, r := range list {
		if doorward.EntityKey(r.entity.Name) == "" {
			continue // no name that anybody could look for
		}
		f.Entities = append(f.Entities, r.entity)
		if slices.ContainsFunc(keys(r.entity), func(k string) bool { return named[k] > 1 }) {
			continue
		}
		for _, seat := range []struct {
			axis          doorward.Axis
			country, what string
		}{{doorward.LegalSeat, r.legalSeat, "legal address"}, {doorward.ExecutiveSeat, r.headquarters, "headquarters' address"}} {
			if code := facts.Country(seat.country); code != "" {
				f.Facts = append(f.Facts, doorward.OriginFact{
					Subject: doorward.EntitySubject(r.entity.Name), Axis: seat.axis, Country: code, Basis: basis + ", " + seat.what, AssertedBy: source, Method: "registry",
					Class: doorward.Claimed, Evidence: seat.country, Pointer: r.pointer,
				})
			}
		}
	}
	return f
}

// keys are the keys of an entity's names, each once.
func keys(e doorward.Entity) []string {
	set := map[string]bool{}
	for _, n := range e.Names() {
		set[doorward.EntityKey(n)] = true
	}
	delete(set, "")
	return slices.Sorted(maps.Keys(set))
}

func appendNew(list []string, name, not string) []string {
	if name == "" || name == not || slices.Contains(list, name) {
		return list
	}
	return append(list, name)
}
