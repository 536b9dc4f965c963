package facts

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward"
)

const good = `{
  "schema": "doorward/facts/v1",
  "source": "purchasing department",
  "date": "2026-03-01",
  "entities": [{"name": "Example Chips Ltd", "aliases": ["ExChip"], "ids": {"lei": "529900T8BM49AURSDO55"}}],
  "facts": [
    {"subject": "product", "axis": "assembly", "country": "PT", "entity": "Example Chips Ltd", "basis": "visit on 2026-02-11", "class": "measured"},
    {"subject": "entity:Example Chips Ltd", "axis": "legal-seat", "country": "NL", "basis": "trade register", "class": "claimed"},
    {"subject": "entity:Example Chips Ltd", "axis": "ultimate-owner", "entity": "Holding SA", "share": {"min": 50, "max": 100}, "basis": "annual report", "class": "claimed"}
  ]
}`

func TestReadsWhatAnOrganisationWrites(t *testing.T) {
	f, err := Read("our.json", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	fact := f.Facts[1]
	if fact.Subject != doorward.EntitySubject("example chips") || fact.AssertedBy != "purchasing department" || !strings.HasPrefix(fact.ID, "fact-") {
		t.Errorf("%+v", fact)
	}
	var again bytes.Buffer
	if err := f.Write(&again); err != nil {
		t.Fatal(err)
	}
	if g, err := Read("again.json", again.Bytes()); err != nil || g.Facts[2].ID != f.Facts[2].ID {
		t.Errorf("written and read: %v", err)
	}
}

func TestRefusesWithTheReason(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`"basis": "trade register"`, `"basis": "trade register", "colour": "red"`, `our.json:8:111: there is no key "colour"`},
		{`"schema": "doorward/facts/v1"`, `"schema": "v2"`, `schema is "v2"`},
		{`"source": "purchasing department"`, `"source": " "`, "source is missing"},
		{`"date": "2026-03-01"`, `"date": "March"`, "date"},
		{`"axis": "assembly"`, `"axis": "made-in"`, "axis \"made-in\": it is one of design"},
		{`"axis": "legal-seat"`, `"axis": "design"`, "the subject is an entity"},
		{`"axis": "assembly"`, `"axis": "legal-seat"`, `write the subject as "entity:NAME"`},
		{`"country": "NL"`, `"country": "NLD"`, "write NL"},
		{`"country": "NL"`, `"country": "YY"`, "no code"},
		{`"country": "NL"`, `"stage": "design"`, "stage"},
		{`"country": "NL", "basis"`, `"basis"`, "neither country nor entity"},
		{`"class": "measured"`, `"class": "certain"`, "class \"certain\""},
		{`"basis": "annual report"`, `"basis": ""`, "basis is missing"},
		{`"min": 50, "max": 100`, `"min": 50, "max": 40`, "share 50 to 40"},
		{`"min": 50, "max": 100`, `"min": -1, "max": 140`, "share -1 to 140"},
		{`"class": "measured"`, `"class": "measured", "valid_from": "2026-02-02", "valid_to": "2026-01-01"`, "lies before"},
		{`"entity": "Holding SA"`, `"entity": 3`, "must not be a number"},
		{"  ]\n}", "  ]\n} x", "after the end"},
		{"  ]\n}", "", "ends early"},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Fatalf("%s is not in the text", c.old)
		}
		if _, err := Read("our.json", []byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.want, err)
		}
	}
}

func owned(subject, owner string, least float64) doorward.OriginFact {
	return doorward.OriginFact{Subject: doorward.EntitySubject(subject), Axis: doorward.UltimateOwner, Entity: owner, Share: &doorward.Share{Min: least, Max: 100}}
}

func TestSharesAndRings(t *testing.T) {
	if err := CheckShares([]doorward.OriginFact{owned("A", "B", 60), owned("A", "C", 41)}); err == nil {
		t.Error("101 percent were taken")
	}
	if err := CheckShares([]doorward.OriginFact{owned("A", "B", 60), owned("A", "B Ltd", 60), owned("A", "C", 40)}); err != nil {
		t.Errorf("the same holder twice: %v", err)
	}
	if err := CheckOwners([]doorward.OriginFact{owned("A", "B", 50), owned("B", "C", 50), owned("C", "A Ltd", 50)}); err == nil || !strings.Contains(err.Error(), "a is owned by b is owned by c is owned by a") {
		t.Errorf("ring: %v", err)
	}
	if err := CheckOwners([]doorward.OriginFact{owned("A", "B", 50), owned("C", "B", 50), owned("B", "B", 50)}); err != nil {
		t.Errorf("no ring: %v", err)
	}
}

func TestOnlyEqualNamesJoin(t *testing.T) {
	registry := []doorward.Entity{
		{Name: "Musterwerk Technology Co., Ltd.", Aliases: []string{"Musterwerk"}, IDs: map[string]string{"lei": "1"}},
		{Name: "Doppel AG", IDs: map[string]string{"lei": "2"}}, {Name: "DOPPEL GmbH", IDs: map[string]string{"lei": "3"}},
	}
	named := Named([]doorward.OriginFact{{Entity: "musterwerk"}, {Entity: "MUSTERWERK"}, {Entity: "Doppel"}, {Entity: "Musterwert"}, {Entity: "Musterwerk Audio"}, {Entity: "Anders"}})
	if len(named) != 5 {
		t.Fatalf("%+v", named)
	}
	got := map[string]doorward.Entity{}
	for _, e := range Join(named, registry) {
		got[e.Name] = e
	}
	if e := got["musterwerk"]; e.IDs["lei"] != "1" || len(e.Review) != 0 || !slices.Contains(e.Aliases, "Musterwerk Technology Co., Ltd.") {
		t.Errorf("equal: %+v", e)
	}
	for name, want := range map[string]int{"Doppel": 2, "Musterwert": 1, "Musterwerk Audio": 1, "Anders": 0} {
		if e := got[name]; len(e.IDs) != 0 || len(e.Review) != want {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestCountries(t *testing.T) {
	for text, want := range map[string]string{
		"DE": "DE", "deu": "DE", "Germany": "DE", "USA": "US", "U.S.A.": "US", "United States": "US", "the Netherlands": "NL", "Korea, Republic of": "KR",
		"US-CA": "US", "Taiwan": "TW", "ZZ": "ZZ", "Atlantis": "", "": "", "QQ": "QQ", "QA": "QA", "Côte d'Ivoire": "CI",
	} {
		if got := Country(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if n := len(countryData().names); n != 250 {
		t.Errorf("%d countries", n)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(good))
	f.Fuzz(func(t *testing.T, b []byte) {
		if file, err := Read("x", b); err == nil {
			if err := file.Check(); err != nil {
				t.Errorf("read, but: %v", err)
			}
		}
	})
}
