package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/facts"
)

const leiHead = "\ufeff\"LEI\",\"Entity.LegalName\",\"Entity.OtherEntityNames.OtherEntityName.1\",\"Entity.OtherEntityNames.OtherEntityName.1.type\",\"Entity.LegalAddress.Country\",\"Entity.HeadquartersAddress.Country\",\"Entity.EntityStatus\"\n"

const leiRows = `"L1","Musterwerk GmbH","Altwerk GmbH","PREVIOUS_LEGAL_NAME","DE","DE","ACTIVE"
"L2","Fernbau Holding","Fernbau Group","TRADING_OR_OPERATING_NAME","LU","CN","ACTIVE"
"L3","Doppel AG","","","CH","CH","ACTIVE"
"L4","DOPPEL GmbH","","","AT","AT","ACTIVE"
"L5","Erloschen SA","","","FR","FR","INACTIVE"
"L6","Anders Ltd","","","GB","GB","ACTIVE"
`

const leiXMLText = `<?xml version="1.0"?><lei:LEIData xmlns:lei="http://www.gleif.org/data/schema/leidata/2016"><lei:LEIRecords>
<lei:LEIRecord><lei:LEI>L1</lei:LEI><lei:Entity><lei:LegalName xml:lang="de">Musterwerk GmbH</lei:LegalName><lei:OtherEntityNames><lei:OtherEntityName type="PREVIOUS_LEGAL_NAME">Altwerk GmbH</lei:OtherEntityName></lei:OtherEntityNames>
<lei:LegalAddress><lei:Country>DE</lei:Country></lei:LegalAddress><lei:HeadquartersAddress><lei:Country>DE</lei:Country></lei:HeadquartersAddress><lei:EntityStatus>ACTIVE</lei:EntityStatus></lei:Entity></lei:LEIRecord>
</lei:LEIRecords></lei:LEIData>`

const leiJSONText = `{"header": {"x": [1, {"records": 2}]}, "records": [{"LEI": {"$": "L1"}, "Entity": {"LegalName": {"@xml:lang": "de", "$": "Musterwerk GmbH"},
"OtherEntityNames": {"OtherEntityName": [{"@type": "PREVIOUS_LEGAL_NAME", "$": "Altwerk GmbH"}]}, "LegalAddress": {"Country": {"$": "DE"}}, "HeadquartersAddress": {"Country": {"$": "DE"}}, "EntityStatus": {"$": "ACTIVE"}}}]}`

// lines are a file's facts, in a line each.
func lines(t *testing.T, f *facts.File, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	if _, err := facts.Read("x", b.Bytes()); err != nil {
		t.Errorf("what was imported can't be read: %v", err)
	}
	var list []string
	for _, x := range f.Facts {
		list = append(list, fmt.Sprintf("%s %s %s%s", x.Subject, x.Axis, x.Country, x.Entity))
	}
	return list
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestLEI(t *testing.T) {
	wanted := WantedNames("MUSTERWERK", "Fernbau Group", "Doppel", "Erloschen", "")
	f, err := LEI(strings.NewReader(leiHead+leiRows), "2026-02-01", wanted)
	same(t, lines(t, f, err), "entity:musterwerk legal-seat DE", "entity:musterwerk executive-seat DE", "entity:fernbau-holding legal-seat LU", "entity:fernbau-holding executive-seat CN")
	// Both that are called Doppel are kept, but state nothing; Join asks for review.
	if len(f.Entities) != 4 || f.Entities[0].Former[0] != "Altwerk GmbH" || f.Entities[1].Aliases[0] != "Fernbau Group" || f.Entities[0].IDs["lei"] != "L1" {
		t.Errorf("%+v", f.Entities)
	}
	joined := facts.Join(facts.Named([]doorward.OriginFact{{Entity: "Doppel"}}), f.Entities)
	if len(joined[0].Review) != 2 || joined[0].IDs != nil {
		t.Errorf("%+v", joined[0])
	}
	for _, text := range []string{leiXMLText, leiJSONText} {
		f, err := LEI(strings.NewReader(text), "2026-02-01", nil)
		same(t, lines(t, f, err), "entity:musterwerk legal-seat DE", "entity:musterwerk executive-seat DE")
		if len(f.Entities) != 1 || len(f.Entities[0].Former) != 1 {
			t.Errorf("%+v", f.Entities)
		}
	}
}

func TestUltimateParents(t *testing.T) {
	known, err := LEI(strings.NewReader(leiHead+leiRows), "2026-02-01", WantedNames("Musterwerk"))
	if err != nil {
		t.Fatal(err)
	}
	const rr = "Relationship.StartNode.NodeID,Relationship.EndNode.NodeID,Relationship.RelationshipType,Relationship.RelationshipStatus,Relationship.Period.1.startDate,Relationship.Period.1.periodType\n" +
		"L1,L6,IS_DIRECTLY_CONSOLIDATED_BY,ACTIVE,,\nL1,L2,IS_ULTIMATELY_CONSOLIDATED_BY,ACTIVE,2020-05-01T00:00:00Z,RELATIONSHIP_PERIOD\nL1,L6,IS_ULTIMATELY_CONSOLIDATED_BY,INACTIVE,,\nL6,L2,IS_ULTIMATELY_CONSOLIDATED_BY,ACTIVE,,\n"
	open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(leiHead + leiRows)), nil }
	f, err := RR(strings.NewReader(rr), "2026-02-01", known.Entities, open)
	same(t, lines(t, f, err), "entity:fernbau-holding legal-seat LU", "entity:fernbau-holding executive-seat CN", "entity:musterwerk ultimate-owner Fernbau Holding")
	if own := f.Facts[2]; own.Share == nil || own.Share.Min != 50 || own.Share.Max != 100 || own.ValidFrom != "2020-05-01" {
		t.Errorf("%+v", own)
	}
	f, err = RR(strings.NewReader(rr), "2026-02-01", known.Entities, nil)
	same(t, lines(t, f, err), "entity:musterwerk ultimate-owner LEI L2")
	if _, err := RR(strings.NewReader(rr), "2026-02-01", nil, nil); err == nil {
		t.Error("no entity was given")
	}
}

func TestScreeningList(t *testing.T) {
	const text = "_id,source,entity_number,type,name,addresses,alt_names\n" +
		"1,Entity List (EL) - Bureau of Industry and Security,,,Fernbau Optics,\"1 Road, Town, CN; 2 Street, City, CN\",Fernbau Optik; FBO\n" +
		"2,Specially Designated Nationals (SDN),77,Entity,\"Fernbau Optics Co., Ltd.\",\"3 Way, Harbour, SG\",\n" +
		"3,Specially Designated Nationals (SDN),78,Vessel,SEA STAR,,\n4,Unverified List,,,Weit Weg,\"Town, CN; Town, HK\",\n5,Unverified List,,,Nah Dran,\"Town, AE\",\n"
	f, err := CSL(strings.NewReader(text), "2026-02-01", nil)
	same(t, lines(t, f, err), "entity:nah-dran executive-seat AE")
	if len(f.Entities) != 3 || !strings.Contains(f.Entities[0].Source, "SDN") || !strings.Contains(f.Entities[0].Source, "Entity List") || len(f.Entities[0].Aliases) != 2 {
		t.Errorf("%+v", f.Entities)
	}
	f, err = CSL(strings.NewReader(`{"results": [{"name": "Nah Dran", "source": "Unverified List", "entity_number": 9, "alt_names": ["ND"], "addresses": [{"country": "AE"}]}]}`), "2026-02-01", WantedNames("nd"))
	same(t, lines(t, f, err), "entity:nah-dran executive-seat AE")
	if f.Entities[0].IDs["csl"] != "9" {
		t.Errorf("%+v", f.Entities)
	}
}

func TestOtherFilesAreRefused(t *testing.T) {
	for _, text := range []string{"", "a,b\n1,2\n", `{"x": 1}`, "<a/>", "{", "<a>"} {
		if _, err := LEI(strings.NewReader(text), "2026-02-01", nil); err == nil {
			t.Errorf("%q is taken for level 1 data", text)
		}
		if _, err := CSL(strings.NewReader(text), "2026-02-01", nil); err == nil {
			t.Errorf("%q is taken for a screening list", text)
		}
	}
	many := leiHead + strings.Repeat(`"L","Name",,,"DE","DE","ACTIVE"`+"\n", maxEntities+1)
	if _, err := LEI(strings.NewReader(many), "2026-02-01", nil); !errors.Is(err, ErrTooMany) {
		t.Errorf("%v", err)
	}
}

func FuzzImport(f *testing.F) {
	for _, text := range []string{leiHead + leiRows, leiXMLText, leiJSONText, "source,name,alt_names,addresses\na,b,c,\"d, CN\"\n", `{"results": [{"name": "x"}]}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, read := range []func(io.Reader, string, Wanted) (*facts.File, error){LEI, CSL} {
			if file, err := read(strings.NewReader(text), "2026-02-01", nil); err == nil {
				for i := range file.Facts {
					if err := facts.CheckFact(&file.Facts[i]); err != nil {
						t.Errorf("%v", err)
					}
				}
			}
		}
	})
}
