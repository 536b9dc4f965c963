package declare

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward"
)

// stated is what a document states, in a line each.
func stated(t *testing.T, text string) (lines []string, d *doorward.Declaration) {
	t.Helper()
	d, err := Read("x", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range d.Origins {
		share := ""
		if f.Share != nil {
			share = fmt.Sprintf(" %g-%g", f.Share.Min, f.Share.Max)
		}
		if f.Basis == "" || f.Pointer == "" || f.AssertedBy == "" || f.SHA256 == "" {
			t.Errorf("incomplete: %+v", f)
		}
		lines = append(lines, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s%s", f.Subject, f.Axis, f.Country, f.Entity, share)), " "))
	}
	return lines, d
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestOriginsOfCycloneDX(t *testing.T) {
	lines, d := stated(t, `{"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": {
		"manufacturer": {"name": "Maker of the document"}, "supplier": {"name": "Haldren Sales"},
		"component": {"type": "device", "name": "NAS", "version": "2", "manufacturer": {"name": "Haldren", "address": {"country": "Portugal"}}}},
		"components": [
			{"type": "library", "bom-ref": "a", "name": "liba", "version": "1", "supplier": {"name": "NOASSERTION"}, "authors": [{"name": "Ada"}, {"name": "Bob"}]},
			{"type": "device", "bom-ref": "u5", "name": "U5", "manufacturer": {"name": "Chipwerk", "address": {"country": "deu"}}, "publisher": "Chipwerk Distribution",
			 "properties": [{"name": "cdx:device:countryOfOrigin", "value": "MY"}], "components": [{"type": "firmware", "name": "rom", "author": "Chipwerk"}]},
			{"type": "library", "bom-ref": "silent", "name": "silent"}]}`)
	same(t, lines,
		"product design Haldren", "entity:haldren legal-seat PT", "product maintenance Haldren Sales",
		"a development Ada 0-100", "a development Bob 0-100",
		"u5 design Chipwerk", "entity:chipwerk legal-seat DE", "u5 maintenance Chipwerk Distribution", "u5 assembly MY",
		"#/components/1/components/0 development Chipwerk")
	if len(d.Components) != 3 || d.Components[1].Type != "device" {
		t.Errorf("%+v", d.Components)
	}
}

func TestOriginsOfTheDraft(t *testing.T) {
	lines, _ := stated(t, `{"specFormat": "CycloneDX", "specVersion": "2.0", "components": [{"type": "device", "bom-ref": "u1", "name": "U1", "origins": [
		{"stage": "designed", "regions": [{"isoCode": "NL"}]},
		{"stage": "manufactured", "basis": "value", "regions": [{"isoCode": "TW", "percentage": 60, "performedBy": {"organization": {"name": "Fab"}}}, {"isoCode": "US-AZ", "percentage": 40}]},
		{"stage": "mined", "regions": [{"isoCode": "CL"}]}, {"stage": "assembled", "regions": [{"isoCode": "unknown"}, {"isoCode": "Atlantis"}]}]}]}`)
	same(t, lines, "u1 design NL", "u1 fabrication TW Fab 60-60", "u1 fabrication US 40-40", "u1 assembly ZZ")
}

const spdxTagValue = `SPDXVersion: SPDX-2.3
SPDXID: SPDXRef-DOCUMENT
Relationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-router
PackageName: router
SPDXID: SPDXRef-router
PackageVersion: 7
PackageSupplier: Organization: Brackwell (sales@brackwell.example)
PackageComment: <text>
PackageSupplier: Organization: Not this one
</text>
PackageName: zlib
SPDXID: SPDXRef-zlib
ExternalRef: PACKAGE-MANAGER purl pkg:generic/zlib@1.3
PackageSupplier: NOASSERTION
PackageOriginator: Person: Mark Adler
FileName: ./a.c
SPDXID: SPDXRef-file
`

func TestOriginsOfSPDX(t *testing.T) {
	want := []string{"product maintenance Brackwell", "SPDXRef-zlib development Mark Adler"}
	lines, d := stated(t, spdxTagValue)
	same(t, lines, want...)
	if d.Subject.Name != "router" || d.Subject.Versions[0] != "7" || len(d.Components) != 1 || d.Components[0].PURL != "pkg:generic/zlib@1.3" {
		t.Errorf("%+v", d)
	}
	lines, _ = stated(t, `{"spdxVersion": "SPDX-2.3", "documentDescribes": ["SPDXRef-router"], "packages": [
		{"SPDXID": "SPDXRef-router", "name": "router", "supplier": "Organization: Brackwell (sales@brackwell.example)"},
		{"SPDXID": "SPDXRef-zlib", "name": "zlib", "supplier": "NOASSERTION", "originator": "Person: Mark Adler"}, {"SPDXID": "SPDXRef-x", "name": "x", "supplier": "Tool: scanner"}]}`)
	same(t, lines, want...)
	lines, _ = stated(t, `{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [
		{"type": "Organization", "spdxId": "urn:b", "name": "Brackwell", "headquartersLocation": "urn:l"}, {"type": "PhysicalLocation", "spdxId": "urn:l", "country": "PRT"},
		{"type": "Person", "spdxId": "urn:m", "name": "Mark Adler"}, {"type": "SpdxDocument", "spdxId": "urn:d", "rootElement": ["urn:router"]},
		{"type": "software_Package", "spdxId": "urn:router", "name": "router", "suppliedBy": "urn:b"},
		{"type": "software_Package", "spdxId": "SPDXRef-zlib", "name": "zlib", "originatedBy": ["urn:m"], "suppliedBy": "urn:nobody"}]}`)
	same(t, lines, want[0], "entity:brackwell executive-seat PT", want[1])
}

// platformCertificate makes one with two components, and the issuer's
// certificate.
func platformCertificate(t testing.TB, oid asn1.ObjectIdentifier, withClass bool) (der []byte, issuer []byte) {
	t.Helper()
	marshal := func(v any) []byte {
		b, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	sequence := func(parts ...[]byte) []byte {
		return marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: slices.Concat(parts...)})
	}
	tagged := func(tag int, compound bool, content []byte) []byte {
		return marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: compound, Bytes: content})
	}
	utf8 := func(s string) []byte { return marshal(asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(s)}) }
	component := func(maker, model string) []byte {
		var class []byte
		if withClass {
			class = sequence(marshal(asn1.ObjectIdentifier{2, 23, 133, 18, 3, 1}), marshal([]byte{0, 6, 0, 4}))
		}
		return sequence(class, utf8(maker), utf8(model), tagged(0, false, []byte("SERIAL")), tagged(1, false, []byte("rev2")))
	}
	config := sequence(tagged(0, true, slices.Concat(component("Chipwerk GmbH", "CW1"), component("Speicher AG", "DIMM"))))
	set := func(b []byte) []byte { return marshal(asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: b}) }
	attribute := sequence(marshal(oid), set(config))
	name := sequence(set(sequence(marshal(oidPlatformManufacturer), utf8("Haldren"))), set(sequence(marshal(oidPlatformModel), utf8("NAS"))), set(sequence(marshal(oidPlatformVersion), utf8("2"))))
	san := marshal([]pkix.Extension{{Id: oidSubjectAltName, Value: sequence(tagged(4, true, name))}})
	algorithm := sequence(marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}))
	day := func(y int) []byte {
		return marshal(asn1.RawValue{Tag: asn1.TagGeneralizedTime, Bytes: []byte(fmt.Sprintf("%d0101000000Z", y))})
	}
	info := sequence(marshal(1), sequence(tagged(0, true, nil)), tagged(0, true, nil), algorithm, marshal(big.NewInt(5)), sequence(day(2025), day(2035)), sequence(attribute), san)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(info)
	signature, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{"Haldren"}}, NotAfter: time.Now().Add(time.Hour)}
	if issuer, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key); err != nil {
		t.Fatal(err)
	}
	return sequence(info, algorithm, marshal(asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)})), issuer
}

func TestOriginsOfPlatformCertificates(t *testing.T) {
	want := []string{"product assembly Haldren", "#componentIdentifiers/0 design Chipwerk GmbH", "#componentIdentifiers/1 design Speicher AG"}
	for _, c := range []struct {
		oid       asn1.ObjectIdentifier
		withClass bool
	}{{oidPlatformConfiguration, false}, {oidPlatformConfiguration2, true}, {oidPlatformConfiguration3, true}} {
		der, issuer := platformCertificate(t, c.oid, c.withClass)
		lines, d := stated(t, string(der))
		same(t, lines, want...)
		if f := d.Origins[0]; f.Class != doorward.Claimed || f.ValidFrom != "2025-01-01" || f.ValidTo != "2035-01-01" || d.Subject.Name != "NAS" || d.Components[0].Version != "rev2" {
			t.Errorf("%+v", d)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "ATTRIBUTE CERTIFICATE", Bytes: der})
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer})...)
		lines, d = stated(t, string(text))
		same(t, lines, want...)
		if d.Origins[0].Class != doorward.Signed {
			t.Errorf("with its issuer: %+v", d.Origins[0])
		}
		_, other := platformCertificate(t, c.oid, c.withClass)
		text = append(pem.EncodeToMemory(&pem.Block{Type: "ATTRIBUTE CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other})...)
		if _, d = stated(t, string(text)); d.Origins[0].Class != doorward.Claimed {
			t.Errorf("with another issuer: %+v", d.Origins[0])
		}
	}
	_, issuer := platformCertificate(t, oidPlatformConfiguration2, true)
	if _, err := Read("x", issuer); err == nil {
		t.Error("a plain certificate is taken")
	}
}

func TestRefusesWhatIsTooLarge(t *testing.T) {
	if _, err := Read("big.json", make([]byte, MaxSize+1)); err == nil || !strings.Contains(err.Error(), "more than 16 MB") {
		t.Errorf("%v", err)
	}
}

func FuzzSPDXTags(f *testing.F) {
	f.Add(spdxTagValue)
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := Read("x", []byte("SPDXVersion: SPDX-2.3\n"+text)); err == nil {
			checkStated(t, d)
		}
	})
}

func FuzzPlatformCertificate(f *testing.F) {
	for _, withClass := range []bool{false, true} {
		der, _ := platformCertificate(f, oidPlatformConfiguration2, withClass)
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		if len(der) == 0 || der[0] != 0x30 {
			return
		}
		if d, err := Read("x", der); err == nil {
			checkStated(t, d)
		}
	})
}

func checkStated(t *testing.T, d *doorward.Declaration) {
	t.Helper()
	for _, f := range d.Origins {
		if f.Entity == "" && f.Country == "" || f.Axis.OfEntity() != strings.HasPrefix(f.Subject, "entity:") {
			t.Errorf("%+v", f)
		}
	}
}
