package facts

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward"
)

// Schema is the value of the "schema" key.
const Schema = "doorward/facts/v1"

// File is a file of facts.
type File struct {
	Schema   string                `json:"schema"`
	Source   string                `json:"source"` // who says so
	Date     string                `json:"date"`   // YYYY-MM-DD, of the data
	Note     string                `json:"note,omitempty"`
	Entities []doorward.Entity     `json:"entities"`
	Facts    []doorward.OriginFact `json:"facts"`
}

// maxSize is the size up to which a file is read, in bytes.
const maxSize = 64 << 20

// Read reads a file of facts and refuses it for anything that is not as
// docs/origins.md says. Each fact gets its id; who asserts it, if that is not
// said, is the file's source.
func Read(name string, text []byte) (*File, error) {
	if len(text) > maxSize {
		return nil, fmt.Errorf("%s: a file of facts over 64 MB is not read: import what matters with --names or --report", name)
	}
	var f File
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, at(name, text, dec, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: something stands after the end of the document", name)
	}
	if err := f.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for i := range f.Facts {
		fact := &f.Facts[i]
		fact.AssertedBy = cmp.Or(fact.AssertedBy, f.Source)
		fact.Method = cmp.Or(fact.Method, "facts-file")
		fact.SetID()
	}
	for i := range f.Entities {
		f.Entities[i].Source = cmp.Or(f.Entities[i].Source, f.Source)
	}
	return &f, nil
}

// at says where in the text an error of the decoder is.
func at(name string, text []byte, dec *json.Decoder, err error) error {
	offset := dec.InputOffset()
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	what := strings.TrimPrefix(err.Error(), "json: ")
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset, what = kind.Offset, fmt.Sprintf("%s must not be a %s", cmp.Or(kind.Field, "the document"), kind.Value)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		what = "the document ends early"
	case strings.Contains(what, "unknown field"):
		key := strings.TrimPrefix(what, "unknown field ")
		what = "there is no key " + key
		if i := bytes.Index(text, []byte(key)); i >= 0 {
			offset = int64(i) + 1
		}
	}
	head := text[:min(max(offset, 0), int64(len(text)))]
	line := bytes.Count(head, []byte{'\n'}) + 1
	return fmt.Errorf("%s:%d:%d: %s", name, line, len(head)-bytes.LastIndexByte(head, '\n')-1, what)
}

// Write writes a file of facts. The same facts give the same bytes.
func (f *File) Write(w io.Writer) error {
	f.Schema = Schema
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(f)
}

// Check says what is wrong with a file, if anything is.
func (f *File) Check() error {
	switch {
	case f.Schema != Schema:
		return fmt.Errorf("schema is %q; this reads %q", f.Schema, Schema)
	case strings.TrimSpace(f.Source) == "":
		return errors.New("source is missing: say who states these facts")
	case !isDate(f.Date):
		return fmt.Errorf("date %q: write the day of the data as 2026-01-31", f.Date)
	}
	for i, e := range f.Entities {
		if doorward.EntityKey(e.Name) == "" {
			return fmt.Errorf("entities[%d] has no name", i)
		}
	}
	for i := range f.Facts {
		if err := CheckFact(&f.Facts[i]); err != nil {
			return fmt.Errorf("facts[%d]: %w", i, err)
		}
	}
	if err := CheckShares(f.Facts); err != nil {
		return err
	}
	return CheckOwners(f.Facts)
}

func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

const entityPrefix = "entity:"

// CheckFact says what is wrong with one fact. It writes the subject of a fact on
// an entity as EntitySubject does.
func CheckFact(f *doorward.OriginFact) error {
	name, onEntity := strings.CutPrefix(f.Subject, entityPrefix)
	switch {
	case f.Subject == "":
		return errors.New(`subject is missing: "product", a component's bom_ref or "entity:NAME"`)
	case !f.Axis.Known():
		return fmt.Errorf("axis %q: it is one of %s", f.Axis, axes())
	case f.Axis.OfEntity() != onEntity:
		if onEntity {
			return fmt.Errorf("%s is asked of a component or the product, and the subject is an entity", f.Axis)
		}
		return fmt.Errorf("%s is asked of an entity: write the subject as \"entity:NAME\"", f.Axis)
	case onEntity && doorward.EntityKey(name) == "":
		return errors.New("subject names no entity")
	case f.Stage != "":
		return fmt.Errorf("a fact has no stage (%q): rules name stages, facts on entities hold for all", f.Stage)
	case f.Country == "" && f.Entity == "":
		return errors.New("states neither country nor entity")
	case f.Country != "" && !KnownCountry(f.Country):
		return fmt.Errorf("country %q is no code of ISO 3166-1 alpha-2%s", f.Country, perhaps(f.Country))
	case f.Basis == "":
		return errors.New("basis is missing: say in words what shows it")
	case f.Class.Rank() < 0:
		return fmt.Errorf("class %q: it is one of %s", f.Class, classes())
	}
	if onEntity {
		f.Subject = doorward.EntitySubject(name)
	}
	return checkRest(f)
}

func checkRest(f *doorward.OriginFact) error {
	if s := f.Share; s != nil && !(s.Min >= 0 && s.Min <= s.Max && s.Max <= 100) {
		return fmt.Errorf("share %g to %g: min and max are percent, 0 to 100, min not above max", s.Min, s.Max)
	}
	for _, d := range []string{f.ValidFrom, f.ValidTo} {
		if d != "" && !isDate(d) {
			return fmt.Errorf("date %q: write it as 2026-01-31", d)
		}
	}
	if f.ValidFrom != "" && f.ValidTo != "" && f.ValidTo < f.ValidFrom {
		return fmt.Errorf("valid_to %s lies before valid_from %s", f.ValidTo, f.ValidFrom)
	}
	return nil
}

func perhaps(country string) string {
	if code := Country(country); code != "" {
		return "; write " + code
	}
	return ""
}

func axes() string {
	var list []string
	for _, a := range slices.Concat(doorward.Activities, doorward.EntityAxes) {
		list = append(list, string(a))
	}
	return strings.Join(list, ", ")
}

func classes() string {
	var list []string
	for _, c := range doorward.EvidenceClasses {
		list = append(list, string(c))
	}
	return strings.Join(list, ", ")
}

// CheckShares says which shares of one subject are certain to be more than the
// whole. What several sources say of the same holder counts once.
func CheckShares(list []doorward.OriginFact) error {
	type question struct {
		subject, axis string
		byEntity      bool
	}
	sums := map[question]map[string]float64{}
	var order []question
	for _, f := range list {
		if f.Share == nil {
			continue
		}
		q := question{f.Subject, string(f.Axis), f.Entity != ""}
		holder := f.Country
		if q.byEntity {
			holder = doorward.EntityKey(f.Entity)
		}
		if sums[q] == nil {
			sums[q] = map[string]float64{}
			order = append(order, q)
		}
		sums[q][holder] = max(sums[q][holder], f.Share.Min)
	}
	for _, q := range order {
		sum := 0.0
		for _, part := range sums[q] {
			sum += part
		}
		if sum > 100.0001 {
			return fmt.Errorf("the shares of %s, %s, add up to at least %g percent", q.subject, q.axis, sum)
		}
	}
	return nil
}

// CheckOwners says which entities own each other in a ring.
func CheckOwners(list []doorward.OriginFact) error {
	owners := map[string][]string{}
	for _, f := range list {
		if f.Axis == doorward.UltimateOwner && f.Entity != "" {
			if owner := doorward.EntitySubject(f.Entity); owner != f.Subject {
				owners[f.Subject] = append(owners[f.Subject], owner)
			}
		}
	}
	done, place := map[string]bool{}, map[string]int{} // place in path, from 1
	var path []string
	var visit func(at string) error
	visit = func(at string) error {
		if i := place[at]; i > 0 {
			var ring []string
			for _, subject := range append(slices.Clone(path[i-1:]), at) {
				ring = append(ring, strings.TrimPrefix(subject, entityPrefix))
			}
			return fmt.Errorf("ultimate owners form a ring: %s", strings.Join(ring, " is owned by "))
		}
		if done[at] {
			return nil
		}
		path = append(path, at)
		place[at] = len(path)
		for _, owner := range owners[at] {
			if err := visit(owner); err != nil {
				return err
			}
		}
		path, place[at] = path[:len(path)-1], 0
		done[at] = true
		return nil
	}
	for _, f := range list { // in the list's order, so that the message is always the same
		if f.Axis == doorward.UltimateOwner {
			if err := visit(f.Subject); err != nil {
				return err
			}
		}
	}
	return nil
}
