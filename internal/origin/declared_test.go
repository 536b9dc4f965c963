package origin

import (
	"testing"

	"github.com/doorward/doorward"
)

func TestDeclaredPartsAreFoundAgain(t *testing.T) {
	found := []doorward.Component{
		{BOMRef: "pkg:deb/debian/zlib1g@1.3?arch=amd64", Name: "zlib1g", Version: "1.3", PURL: "pkg:deb/debian/zlib1g@1.3?arch=amd64"},
		{BOMRef: "file:bin/x", Name: "x", SHA256: "ab"},
	}
	d := &doorward.Declaration{Document: "sbom.json", SHA256: "00", Components: []doorward.Component{
		{BOMRef: "1", Name: "zlib", PURL: "pkg:deb/debian/zlib1g@1.3"}, {BOMRef: "2", Name: "program", SHA256: "AB"}, {BOMRef: "3", Type: "device", Name: "U5"}, {BOMRef: "4", Name: "x"},
	}}
	for _, subject := range []string{"product", "1", "2", "3", "4", "5"} {
		d.Origins = append(d.Origins, doorward.OriginFact{Subject: subject, Axis: doorward.Design, Entity: "E" + subject})
	}
	d.Origins = append(d.Origins, doorward.OriginFact{Subject: "entity:e1", Axis: doorward.LegalSeat, Country: "NL"})
	facts, parts := Declared([]*doorward.Declaration{d}, found)
	var got []string
	for _, f := range facts {
		got = append(got, f.Subject+" "+f.Entity+f.Country)
	}
	same(t, got, "product Eproduct", "pkg:deb/debian/zlib1g@1.3?arch=amd64 E1", "file:bin/x E2", "declared:sbom.json#3 E3", "declared:sbom.json#4 E4", "entity:e1 NL")
	if len(parts) != 2 || parts[0].Found != "declared" || parts[0].Type != "device" || parts[0].Where == nil {
		t.Errorf("%+v", parts)
	}
}
