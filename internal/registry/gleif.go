package registry

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/facts"
)

const gleif = "GLEIF"

// LEI imports level 1 data (LEI-CDF 3.1), the golden copy in CSV, JSON or XML.
// Entities that are no longer active are left out.
func LEI(r io.Reader, date string, wanted Wanted) (*facts.File, error) {
	var list []record
	err := eachLEI(r, func(x record) error {
		if wanted.has(x.entity) {
			if list = append(list, x); len(list) > maxEntities {
				return ErrTooMany
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return file(gleif, date, list, "LEI record"), nil
}

// eachLEI calls f for every active entity.
func eachLEI(r io.Reader, f func(record) error) error {
	b, first := start(r)
	switch first {
	case '{', '[':
		return leiJSON(b, f)
	case '<':
		return leiXML(b, f)
	}
	return leiCSV(b, f)
}

// leiRecord is a record in any form.
type leiRecord struct {
	lei, name, status, legal, headquarters string
	others                                 [][2]string // type, name
}

func (l leiRecord) record() (record, bool) {
	if l.lei == "" || l.name == "" || l.status != "" && l.status != "ACTIVE" {
		return record{}, false
	}
	e := doorward.Entity{Name: l.name, IDs: map[string]string{"lei": l.lei}, Source: gleif}
	for _, o := range l.others {
		if strings.HasPrefix(o[0], "PREVIOUS") {
			e.Former = appendNew(e.Former, o[1], l.name)
		} else {
			e.Aliases = appendNew(e.Aliases, o[1], l.name)
		}
	}
	return record{e, l.legal, l.headquarters, "LEI " + l.lei}, true
}

func leiCSV(r io.Reader, f func(record) error) error {
	t, err := newTable(r, "LEI", "Entity.LegalName", "Entity.LegalAddress.Country", "Entity.HeadquartersAddress.Country")
	if err != nil {
		return err
	}
	for {
		more, err := t.next()
		if err != nil || !more {
			return err
		}
		l := leiRecord{lei: t.get("LEI"), name: t.get("Entity.LegalName"), status: t.get("Entity.EntityStatus"), legal: t.get("Entity.LegalAddress.Country"), headquarters: t.get("Entity.HeadquartersAddress.Country")}
		for _, group := range []string{"Entity.OtherEntityNames.OtherEntityName.", "Entity.TransliteratedOtherEntityNames.TransliteratedOtherEntityName."} {
			for i := 1; i <= 5; i++ {
				at := fmt.Sprint(group, i)
				if name := t.get(at); name != "" {
					l.others = append(l.others, [2]string{t.get(at + ".type"), name})
				}
			}
		}
		if x, ok := l.record(); ok {
			if err := f(x); err != nil {
				return err
			}
		}
	}
}

// dollar is a text in the JSON form, which follows the XML.
type dollar struct {
	Text string `json:"$"`
	Type string `json:"@type"`
}

func leiJSON(r io.Reader, f func(record) error) error {
	dec := json.NewDecoder(r)
	if err := toArray(dec, "records"); err != nil {
		return err
	}
	for dec.More() {
		var v struct {
			LEI    dollar
			Entity struct {
				LegalName                      dollar
				OtherEntityNames               struct{ OtherEntityName []dollar }
				TransliteratedOtherEntityNames struct{ TransliteratedOtherEntityName []dollar }
				LegalAddress                   struct{ Country dollar }
				HeadquartersAddress            struct{ Country dollar }
				EntityStatus                   dollar
			}
		}
		if err := dec.Decode(&v); err != nil {
			return err
		}
		e := v.Entity
		l := leiRecord{lei: v.LEI.Text, name: e.LegalName.Text, status: e.EntityStatus.Text, legal: e.LegalAddress.Country.Text, headquarters: e.HeadquartersAddress.Country.Text}
		for _, o := range append(e.OtherEntityNames.OtherEntityName, e.TransliteratedOtherEntityNames.TransliteratedOtherEntityName...) {
			l.others = append(l.others, [2]string{o.Type, o.Text})
		}
		if x, ok := l.record(); ok {
			if err := f(x); err != nil {
				return err
			}
		}
	}
	return nil
}

// toArray reads up to the items of a document's array, or of the array under a
// key of its object.
func toArray(dec *json.Decoder, key string) error {
	tok, err := dec.Token()
	if err != nil || tok == json.Delim('[') {
		return err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		if name == key {
			tok, err := dec.Token()
			if err == nil && tok != json.Delim('[') {
				err = fmt.Errorf("%q is no list", key)
			}
			return err
		}
		var skipped json.RawMessage
		if err := dec.Decode(&skipped); err != nil {
			return err
		}
	}
	return fmt.Errorf("the document has no list %q", key)
}

func leiXML(r io.Reader, f func(record) error) error {
	type text struct {
		Text string `xml:",chardata"`
		Type string `xml:"type,attr"`
	}
	dec := xml.NewDecoder(r)
	found := false
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			if !found {
				return errors.New("the document has no LEIRecord")
			}
			return nil
		}
		if err != nil {
			return err
		}
		el, ok := tok.(xml.StartElement)
		if !ok || el.Name.Local != "LEIRecord" {
			continue
		}
		found = true
		var v struct {
			LEI    string
			Entity struct {
				LegalName, EntityStatus string
				Others                  []text `xml:"OtherEntityNames>OtherEntityName"`
				Transliterated          []text `xml:"TransliteratedOtherEntityNames>TransliteratedOtherEntityName"`
				Legal                   string `xml:"LegalAddress>Country"`
				Headquarters            string `xml:"HeadquartersAddress>Country"`
			}
		}
		if err := dec.DecodeElement(&v, &el); err != nil {
			return err
		}
		l := leiRecord{lei: v.LEI, name: v.Entity.LegalName, status: v.Entity.EntityStatus, legal: v.Entity.Legal, headquarters: v.Entity.Headquarters}
		for _, o := range append(v.Entity.Others, v.Entity.Transliterated...) {
			l.others = append(l.others, [2]string{o.Type, o.Text})
		}
		if x, ok := l.record(); ok {
			if err := f(x); err != nil {
				return err
			}
		}
	}
}

// RR imports level 2 data (RR-CDF 2.1), the golden copy in CSV: by whom entities
// are ultimately consolidated. Consolidation is control; the share is not told,
// so that it is more than half at least. known are the entities whose owners
// matter, with their LEIs; lei, if it is not nil, opens a level 1 file for the
// owners' names and seats.
func RR(r io.Reader, date string, known []doorward.Entity, lei func() (io.ReadCloser, error)) (*facts.File, error) {
	byLEI := map[string]doorward.Entity{}
	for _, e := range known {
		if id := e.IDs["lei"]; id != "" {
			byLEI[id] = e
		}
	}
	if len(byLEI) == 0 {
		return nil, errors.New("no entity with an LEI was given: import level 1 first (gleif-lei) and give its file with --entities")
	}
	relations, err := consolidated(r, byLEI)
	if err != nil {
		return nil, err
	}
	owners := map[string]record{}
	for _, rel := range relations {
		id := rel.owner
		if e, ok := byLEI[id]; ok {
			owners[id] = record{entity: e}
		} else if _, ok := owners[id]; !ok {
			owners[id] = record{entity: doorward.Entity{Name: "LEI " + id, IDs: map[string]string{"lei": id}, Source: gleif}}
		}
	}
	if lei != nil {
		if err := ownersOf(lei, owners); err != nil {
			return nil, err
		}
	}
	var list []record
	done := map[string]bool{}
	for _, rel := range relations {
		if _, own := byLEI[rel.owner]; !own && !done[rel.owner] { // of the others the given file says more
			list = append(list, owners[rel.owner])
		}
		done[rel.owner] = true
	}
	f := file(gleif, date, list, "LEI record")
	for _, rel := range relations {
		f.Facts = append(f.Facts, doorward.OriginFact{
			Subject: doorward.EntitySubject(byLEI[rel.child].Name), Axis: doorward.UltimateOwner, Entity: owners[rel.owner].entity.Name, Share: &doorward.Share{Min: 50, Max: 100},
			Basis: "relationship record IS_ULTIMATELY_CONSOLIDATED_BY: control, the share is not told", AssertedBy: gleif, Method: "registry", Class: doorward.Claimed,
			Evidence: rel.child + " is ultimately consolidated by " + rel.owner, Pointer: "LEI " + rel.child, ValidFrom: rel.from,
		})
	}
	return f, f.Check()
}

type relation struct{ child, owner, from string }

// consolidated reads the active relations to ultimate parents.
func consolidated(r io.Reader, byLEI map[string]doorward.Entity) ([]relation, error) {
	b, first := start(r)
	if first == '{' || first == '<' {
		return nil, errors.New("relationship records are read in CSV only")
	}
	t, err := newTable(b, "Relationship.StartNode.NodeID", "Relationship.EndNode.NodeID", "Relationship.RelationshipType", "Relationship.RelationshipStatus")
	if err != nil {
		return nil, err
	}
	var list []relation
	for {
		more, err := t.next()
		if err != nil || !more {
			return list, err
		}
		child := t.get("Relationship.StartNode.NodeID")
		if _, ok := byLEI[child]; !ok || t.get("Relationship.RelationshipType") != "IS_ULTIMATELY_CONSOLIDATED_BY" || t.get("Relationship.RelationshipStatus") != "ACTIVE" {
			continue
		}
		rel := relation{child: child, owner: t.get("Relationship.EndNode.NodeID")}
		for i := 1; i <= 3; i++ {
			if p := fmt.Sprintf("Relationship.Period.%d.", i); t.get(p+"periodType") == "RELATIONSHIP_PERIOD" {
				rel.from, _, _ = strings.Cut(t.get(p+"startDate"), "T")
			}
		}
		if rel.owner != child && rel.owner != "" {
			list = append(list, rel)
		}
	}
}

// ownersOf fills in the owners' names and seats.
func ownersOf(open func() (io.ReadCloser, error), owners map[string]record) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	return eachLEI(r, func(x record) error {
		if _, ok := owners[x.entity.IDs["lei"]]; ok {
			owners[x.entity.IDs["lei"]] = x
		}
		return nil
	})
}
