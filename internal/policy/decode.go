package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxFile is the largest policy that is read, in bytes: a list of a million
// entries fits.
const maxFile = 64 << 20

// Error is what is wrong with a policy, and where.
type Error struct {
	File         string
	Line, Column int // 1-based; 0 if the place is not known
	Text         string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Text)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text)
}

// decoder reads YAML into structs by their yaml tags. A key that no field has
// is an error, as is a key that stands twice; aliases and merges are refused,
// since a person who reads a policy must see what it says.
type decoder struct {
	file  string
	root  *yaml.Node
	nodes map[any]*yaml.Node // where a struct was read, by its address
}

func (d *decoder) fail(n *yaml.Node, format string, args ...any) error {
	e := &Error{File: d.file, Text: fmt.Sprintf(format, args...)}
	if n != nil {
		e.Line, e.Column = n.Line, n.Column
	}
	return e
}

// decode reads one document into out, a pointer to a struct.
func (d *decoder) decode(b []byte, out any) error {
	if len(b) > maxFile {
		return d.fail(nil, "it has %d MB, more than the %d MB that are read", len(b)>>20, maxFile>>20)
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return d.fail(nil, "it is empty")
	case err != nil:
		return d.fail(nil, "no YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return d.fail(nil, "it holds more than one document")
	}
	d.root, d.nodes = doc.Content[0], map[any]*yaml.Node{}
	return d.value(d.root, reflect.ValueOf(out).Elem())
}

func (d *decoder) value(n *yaml.Node, v reflect.Value) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return d.fail(n, "anchors and aliases are not read: write it out")
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		d.nodes[v.Interface()] = n
		return d.value(n, v.Elem())
	}
	if v.Type() == reflect.TypeFor[Date]() {
		return d.date(n, v)
	}
	switch v.Kind() {
	case reflect.Struct:
		return d.object(n, v)
	case reflect.Map:
		return d.table(n, v)
	case reflect.Slice:
		return d.list(n, v)
	}
	return d.scalar(n, v)
}

func (d *decoder) date(n *yaml.Node, v reflect.Value) error {
	if _, err := time.Parse(time.DateOnly, n.Value); n.Kind != yaml.ScalarNode || err != nil {
		return d.fail(n, "%q is no date: write it as 2026-01-31", n.Value)
	}
	v.SetString(n.Value)
	return nil
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value) error {
	if n.Kind != yaml.ScalarNode {
		return d.fail(n, "a single value is expected here, not a %s", kindName(n))
	}
	// A country must not become a boolean: NO is Norway.
	if v.Kind() == reflect.String {
		v.SetString(n.Value)
		return nil
	}
	if err := n.Decode(v.Addr().Interface()); err != nil {
		return d.fail(n, "%q is no %s", n.Value, map[reflect.Kind]string{
			reflect.Bool: "true or false", reflect.Float64: "number", reflect.Int: "whole number"}[v.Kind()])
	}
	return nil
}

// list reads a sequence. Where one word is meant it may stand alone.
func (d *decoder) list(n *yaml.Node, v reflect.Value) error {
	items := n.Content
	if n.Kind == yaml.ScalarNode && v.Type().Elem().Kind() == reflect.String {
		items = []*yaml.Node{n}
	} else if n.Kind != yaml.SequenceNode {
		return d.fail(n, "a list is expected here, not a %s", kindName(n))
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		if err := d.value(item, v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) table(n *yaml.Node, v reflect.Value) error {
	if n.Kind != yaml.MappingNode {
		return d.fail(n, "names with values are expected here, not a %s", kindName(n))
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := reflect.ValueOf(n.Content[i].Value)
		if v.MapIndex(key).IsValid() {
			return d.fail(n.Content[i], "%q stands here twice", n.Content[i].Value)
		}
		item := reflect.New(v.Type().Elem()).Elem()
		if err := d.value(n.Content[i+1], item); err != nil {
			return err
		}
		v.SetMapIndex(key, item)
	}
	return nil
}

// named is a struct that may be written as a plain word instead.
type named interface{ setName(string) }

func (d *decoder) object(n *yaml.Node, v reflect.Value) error {
	if s, ok := v.Addr().Interface().(named); ok && n.Kind == yaml.ScalarNode {
		s.setName(n.Value)
		d.nodes[v.Addr().Interface()] = n
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return d.fail(n, "keys with values are expected here, not a %s", kindName(n))
	}
	d.nodes[v.Addr().Interface()] = n
	var seen []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		field, names := fieldOf(v, key.Value)
		switch {
		case !field.IsValid():
			return d.fail(key, "unknown key %q%s", key.Value, suggest(key.Value, names))
		case slices.Contains(seen, key.Value):
			return d.fail(key, "%q stands here twice", key.Value)
		}
		seen = append(seen, key.Value)
		if err := d.value(n.Content[i+1], field); err != nil {
			return err
		}
	}
	return nil
}

// fieldOf finds the field with a yaml tag, also in embedded structs, and lists
// the tags that there are.
func fieldOf(v reflect.Value, name string) (found reflect.Value, names []string) {
	for _, f := range reflect.VisibleFields(v.Type()) {
		tag := f.Tag.Get("yaml")
		if tag == "" {
			continue
		}
		names = append(names, tag)
		if tag == name {
			found = v.FieldByIndex(f.Index)
		}
	}
	return found, names
}

// suggest names the key that was likely meant.
func suggest(word string, names []string) string {
	best, at := "", 3
	for _, n := range names {
		if dist := distance(word, n); dist < at {
			best, at = n, dist
		}
	}
	if best != "" {
		return fmt.Sprintf(" (did you mean %q?)", best)
	}
	return " (known: " + strings.Join(names, ", ") + ")"
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			last, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, last+cost)
		}
	}
	return row[len(b)]
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "table of keys"
	case yaml.SequenceNode:
		return "list"
	}
	return fmt.Sprintf("single value (%q)", n.Value)
}
