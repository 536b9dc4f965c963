package declare

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/doorward/doorward"
)

// A platform certificate (TCG Platform Certificate Profile, 1.1 and 2.1) is an
// attribute certificate (RFC 5755) in which the maker of a platform states what
// parts it has and who made these. The file may have the issuer's certificate
// beside it, in PEM; then the signature is checked.

type (
	attributeCertificate struct {
		Info      attributeInfo
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	attributeInfo struct {
		Raw        asn1.RawContent
		Version    int
		Holder     asn1.RawValue
		Issuer     asn1.RawValue
		Algorithm  pkix.AlgorithmIdentifier
		Serial     *big.Int
		Validity   struct{ From, To time.Time }
		Attributes []platformAttribute
		UniqueID   asn1.BitString   `asn1:"optional"`
		Extensions []pkix.Extension `asn1:"optional"`
	}
	platformAttribute struct {
		OID    asn1.ObjectIdentifier
		Values asn1.RawValue
	}
)

var (
	oidPlatformManufacturer   = asn1.ObjectIdentifier{2, 23, 133, 5, 1, 1}
	oidPlatformModel          = asn1.ObjectIdentifier{2, 23, 133, 5, 1, 4}
	oidPlatformVersion        = asn1.ObjectIdentifier{2, 23, 133, 5, 1, 5}
	oidPlatformConfiguration  = asn1.ObjectIdentifier{2, 23, 133, 5, 1, 7, 1} // 1.0: components have no class
	oidPlatformConfiguration2 = asn1.ObjectIdentifier{2, 23, 133, 5, 1, 7, 2}
	oidPlatformConfiguration3 = asn1.ObjectIdentifier{2, 23, 133, 5, 1, 7, 3}
	oidSubjectAltName         = asn1.ObjectIdentifier{2, 5, 29, 17}
)

// platformPEM returns the attribute certificate of a file and the certificates
// beside it.
func platformPEM(text []byte) (der []byte, issuers []*x509.Certificate) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return der, issuers
		}
		switch block.Type {
		case "ATTRIBUTE CERTIFICATE":
			der = block.Bytes
		case "CERTIFICATE":
			if c, err := x509.ParseCertificate(block.Bytes); err == nil {
				issuers = append(issuers, c)
			}
		}
	}
}

// platform reads a platform certificate in PEM or DER.
func (r *reader) platform(text []byte) error {
	der, issuers := text, []*x509.Certificate(nil)
	if text[0] != 0x30 {
		der, issuers = platformPEM(text)
	}
	var ac attributeCertificate
	if rest, err := asn1.Unmarshal(der, &ac); err != nil || len(strings.Trim(string(rest), "\r\n\x00")) > 0 {
		return &Error{Document: r.name, What: "not a platform certificate (an attribute certificate in DER or PEM)"}
	}
	r.decl.Format = "tcg-platform-certificate"
	s := r.stater()
	s.from, s.to = ac.Info.Validity.From.Format(time.DateOnly), ac.Info.Validity.To.Format(time.DateOnly)
	issuer, checked := ac.signedBy(issuers)
	s.by = "the platform certificate of " + r.name
	if checked {
		s.class, s.by = doorward.Signed, "platform certificate, signed by "+issuer
	}
	var maker, model string
	for _, e := range ac.Info.Extensions {
		if e.Id.Equal(oidSubjectAltName) {
			maker, model = platformName(e.Value, &r.decl.Subject)
		}
	}
	r.decl.Subject.Name = model
	s.who(doorward.ProductSubject, doorward.Assembly, maker, "TCG platform certificate, platformManufacturerStr", "subjectAltName", nil)
	for _, a := range ac.Info.Attributes {
		withClass := a.OID.Equal(oidPlatformConfiguration2) || a.OID.Equal(oidPlatformConfiguration3)
		if withClass || a.OID.Equal(oidPlatformConfiguration) {
			s.platformParts(a.Values.Bytes, withClass)
		}
	}
	if len(r.decl.Origins) == 0 {
		return &Error{Document: r.name, What: "the attribute certificate names neither a platform's manufacturer nor its components"}
	}
	return nil
}

// signedBy finds the certificate whose key signed, and says whether there is one.
func (ac *attributeCertificate) signedBy(issuers []*x509.Certificate) (string, bool) {
	for _, c := range issuers {
		algorithm, err := signatureAlgorithm(ac.Algorithm.Algorithm)
		if err == nil && c.CheckSignature(algorithm, ac.Info.Raw, ac.Signature.RightAlign()) == nil {
			return c.Subject.String(), true
		}
	}
	return "", false
}

func signatureAlgorithm(oid asn1.ObjectIdentifier) (x509.SignatureAlgorithm, error) {
	switch oid.String() {
	case "1.2.840.113549.1.1.11":
		return x509.SHA256WithRSA, nil
	case "1.2.840.113549.1.1.12":
		return x509.SHA384WithRSA, nil
	case "1.2.840.113549.1.1.13":
		return x509.SHA512WithRSA, nil
	case "1.2.840.10045.4.3.2":
		return x509.ECDSAWithSHA256, nil
	case "1.2.840.10045.4.3.3":
		return x509.ECDSAWithSHA384, nil
	case "1.2.840.10045.4.3.4":
		return x509.ECDSAWithSHA512, nil
	}
	return 0, errors.New("an algorithm that is not read")
}

// platformName reads the directory name in the subject's alternative names.
func platformName(der []byte, subject *doorward.DeclaredSubject) (maker, model string) {
	var names []asn1.RawValue
	if _, err := asn1.Unmarshal(der, &names); err != nil {
		return "", ""
	}
	for _, n := range names {
		var rdn pkix.RDNSequence
		if n.Class != asn1.ClassContextSpecific || n.Tag != 4 {
			continue
		}
		if _, err := asn1.Unmarshal(n.Bytes, &rdn); err != nil {
			continue
		}
		for _, set := range rdn {
			for _, a := range set {
				text, _ := a.Value.(string)
				switch {
				case a.Type.Equal(oidPlatformManufacturer):
					maker = text
				case a.Type.Equal(oidPlatformModel):
					model = text
				case a.Type.Equal(oidPlatformVersion) && text != "":
					subject.Versions = []string{text}
				}
			}
		}
	}
	return maker, model
}

// maxParts bounds the components of a platform.
const maxParts = 10_000

// platformParts reads PlatformConfiguration: its first element, tagged 0, lists
// components: [class,] manufacturer, model, and what else there may be.
func (s *stater) platformParts(der []byte, withClass bool) {
	var config asn1.RawValue
	if _, err := asn1.Unmarshal(der, &config); err != nil {
		return
	}
	var list asn1.RawValue
	if _, err := asn1.Unmarshal(config.Bytes, &list); err != nil || list.Class != asn1.ClassContextSpecific || list.Tag != 0 {
		return
	}
	for n, rest := 0, list.Bytes; len(rest) > 0 && n < maxParts; n++ {
		var part asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &part); err != nil {
			return
		}
		s.platformPart(part.Bytes, withClass, fmt.Sprintf("componentIdentifiers/%d", n))
	}
}

func (s *stater) platformPart(fields []byte, withClass bool, pointer string) {
	var raw asn1.RawValue
	var err error
	if withClass {
		if fields, err = asn1.Unmarshal(fields, &raw); err != nil {
			return
		}
	}
	var texts [2]string // manufacturer, model
	for i := range texts {
		if fields, err = asn1.Unmarshal(fields, &raw); err != nil || raw.Class != asn1.ClassUniversal {
			return
		}
		texts[i] = strings.ToValidUTF8(string(raw.Bytes), "?")
	}
	c := &doorward.Component{Type: "device", Name: texts[1], BOMRef: "#" + pointer}
	for len(fields) > 0 {
		if fields, err = asn1.Unmarshal(fields, &raw); err != nil {
			break
		}
		if raw.Class == asn1.ClassContextSpecific && raw.Tag == 1 {
			c.Version = strings.ToValidUTF8(string(raw.Bytes), "?")
		}
	}
	if c.Name == "" {
		c.Name = "component"
	}
	before := len(s.decl.Origins)
	s.who(c.BOMRef, doorward.Design, texts[0], "TCG platform certificate, componentManufacturer", pointer, nil)
	s.keep(c, before)
}
