package registry

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/facts"
)

const csl = "US Consolidated Screening List"

// CSL imports the consolidated screening list in CSV or JSON: names, other names
// and the list that each is on. Vessels and aircraft are left out. An address on
// the list is no legal seat: where all of one entry are in one country, that
// is taken for where it is run from.
func CSL(r io.Reader, date string, wanted Wanted) (*facts.File, error) {
	var list []record
	add := func(name, kind, source, number string, other, countries []string) error {
		if name == "" || strings.EqualFold(kind, "Vessel") || strings.EqualFold(kind, "Aircraft") {
			return nil
		}
		e := doorward.Entity{Name: name, Source: csl + ": " + source}
		if number != "" {
			e.IDs = map[string]string{"csl": number}
		}
		for _, n := range other {
			e.Aliases = appendNew(e.Aliases, strings.TrimSpace(n), name)
		}
		if !wanted.has(e) {
			return nil
		}
		x := record{entity: e, pointer: strings.TrimSpace(source + " " + number)}
		for i, c := range countries {
			if i == 0 {
				x.headquarters = c
			} else if c != x.headquarters {
				x.headquarters = ""
				break
			}
		}
		if list = append(list, x); len(list) > maxEntities {
			return ErrTooMany
		}
		return nil
	}
	b, first := start(r)
	read := cslCSV
	if first == '{' || first == '[' {
		read = cslJSON
	}
	if err := read(b, add); err != nil {
		return nil, err
	}
	f := file(csl, date, merged(list), "entry of the consolidated screening list")
	for i := range f.Facts {
		f.Facts[i].Basis = "addresses in the entry of the consolidated screening list"
	}
	return f, nil
}

// merged joins the entries of one name: an organisation is often on several
// lists.
func merged(list []record) []record {
	at := map[string]int{}
	var out []record
	for _, x := range list {
		key := doorward.EntityKey(x.entity.Name)
		i, ok := at[key]
		if !ok {
			at[key] = len(out)
			out = append(out, x)
			continue
		}
		old := &out[i]
		for _, n := range x.entity.Aliases {
			old.entity.Aliases = appendNew(old.entity.Aliases, n, old.entity.Name)
		}
		if !strings.Contains(old.entity.Source, strings.TrimPrefix(x.entity.Source, csl+": ")) {
			old.entity.Source += "; " + strings.TrimPrefix(x.entity.Source, csl+": ")
		}
		if x.headquarters != old.headquarters {
			old.headquarters = ""
		}
	}
	return out
}

type addEntry func(name, kind, source, number string, other, countries []string) error

func cslCSV(r io.Reader, add addEntry) error {
	t, err := newTable(r, "source", "name", "alt_names", "addresses")
	if err != nil {
		return err
	}
	for {
		more, err := t.next()
		if err != nil || !more {
			return err
		}
		var countries []string
		for _, address := range strings.Split(t.get("addresses"), ";") {
			// The country is the last part: "1 Road, Town, CN".
			if at := strings.LastIndexByte(address, ','); facts.Country(address[at+1:]) != "" {
				countries = append(countries, facts.Country(address[at+1:]))
			}
		}
		if err := add(t.get("name"), t.get("type"), t.get("source"), t.get("entity_number"), strings.Split(t.get("alt_names"), ";"), countries); err != nil {
			return err
		}
	}
}

func cslJSON(r io.Reader, add addEntry) error {
	dec := json.NewDecoder(r)
	if err := toArray(dec, "results"); err != nil {
		return err
	}
	for dec.More() {
		var v struct {
			Name, Type, Source string
			Number             any      `json:"entity_number"`
			Other              []string `json:"alt_names"`
			Addresses          []struct{ Country string }
		}
		if err := dec.Decode(&v); err != nil {
			return err
		}
		number := ""
		if v.Number != nil {
			b, _ := json.Marshal(v.Number)
			number = strings.Trim(string(b), `"`)
		}
		var countries []string
		for _, a := range v.Addresses {
			if c := facts.Country(a.Country); c != "" {
				countries = append(countries, c)
			}
		}
		if err := add(v.Name, v.Type, v.Source, number, v.Other, countries); err != nil {
			return err
		}
	}
	return nil
}
