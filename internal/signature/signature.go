// Package signature reads CMS signatures (RFC 5652, PKCS #7) and checks them with
// the certificates that they bring: of programs (Authenticode), archives and
// kernel modules. Whom these certificates are anchored in is not asked: a good
// signature says that the holder of the key signed, and the certificate only
// claims who that is.
package signature

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
	"math/big"
)

// Signed is a CMS structure of type SignedData.
type Signed struct {
	ContentType  asn1.ObjectIdentifier
	Content      []byte // the content's octets, without tag and length; nil if it stands elsewhere
	Certificates []*x509.Certificate
	Signers      []Signer
}

// Signer is one signature.
type Signer struct {
	Issuer    []byte // the DER of the issuer's name; nil if the key is named instead
	Serial    *big.Int
	KeyID     []byte
	digest    crypto.Hash
	attrs     []byte // the DER of the signed attributes, as a SET; nil if there are none
	said      []byte // the digest in the signed attributes
	signature []byte
}

// Errors of checks.
var (
	ErrNotSigned     = errors.New("no CMS signature")
	ErrNoCertificate = errors.New("the signer's certificate is not there")
	ErrDigest        = errors.New("the digest is another")
	ErrUnsupported   = errors.New("a digest or key that is not supported")
)

type (
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
	}
	signedData struct {
		Version      int
		Digests      asn1.RawValue
		Inner        contentInfo
		Certificates asn1.RawValue `asn1:"optional,tag:0"`
		CRLs         asn1.RawValue `asn1:"optional,tag:1"`
		Signers      []signerInfo  `asn1:"set"`
	}
	signerInfo struct {
		Version         int
		ID              asn1.RawValue
		Digest          algorithm
		Signed          asn1.RawValue `asn1:"optional,tag:0"`
		SignatureMethod algorithm
		Signature       []byte
		Unsigned        asn1.RawValue `asn1:"optional,tag:1"`
	}
	algorithm struct {
		OID        asn1.ObjectIdentifier
		Parameters asn1.RawValue `asn1:"optional"`
	}
	issuerSerial struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	attribute struct {
		OID    asn1.ObjectIdentifier
		Values asn1.RawValue
	}
)

var (
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
)

// hashes are the digests by their object identifiers.
var hashes = map[string]crypto.Hash{
	"1.3.14.3.2.26": crypto.SHA1, "2.16.840.1.101.3.4.2.1": crypto.SHA256,
	"2.16.840.1.101.3.4.2.2": crypto.SHA384, "2.16.840.1.101.3.4.2.3": crypto.SHA512,
}

func newHash(h crypto.Hash) hash.Hash {
	switch h {
	case crypto.SHA1:
		return sha1.New()
	case crypto.SHA256:
		return sha256.New()
	case crypto.SHA384:
		return sha512.New384()
	case crypto.SHA512:
		return sha512.New()
	}
	return nil
}

// The most certificates and signers that are read.
const maxCertificates, maxSigners = 64, 16

// Parse reads a CMS structure in DER. What follows it is not looked at.
func Parse(der []byte) (*Signed, error) {
	var outer contentInfo
	if _, err := asn1.Unmarshal(der, &outer); err != nil || !outer.Type.Equal(oidSignedData) {
		return nil, ErrNotSigned
	}
	var d signedData
	if _, err := asn1.Unmarshal(outer.Content.Bytes, &d); err != nil {
		return nil, fmt.Errorf("damaged signature: %w", err)
	}
	s := &Signed{ContentType: d.Inner.Type}
	if len(d.Inner.Content.Bytes) > 0 {
		var inner asn1.RawValue
		if _, err := asn1.Unmarshal(d.Inner.Content.Bytes, &inner); err != nil {
			return nil, fmt.Errorf("damaged signature: %w", err)
		}
		s.Content = inner.Bytes
	}
	for rest := d.Certificates.Bytes; len(rest) > 0 && len(s.Certificates) < maxCertificates; {
		var raw asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &raw); err != nil {
			break
		}
		if c, err := x509.ParseCertificate(raw.FullBytes); err == nil {
			s.Certificates = append(s.Certificates, c)
		}
	}
	for _, info := range d.Signers[:min(len(d.Signers), maxSigners)] {
		signer, err := signerOf(info)
		if err != nil {
			return nil, err
		}
		s.Signers = append(s.Signers, signer)
	}
	return s, nil
}

func signerOf(info signerInfo) (Signer, error) {
	s := Signer{digest: hashes[info.Digest.OID.String()], signature: info.Signature}
	if info.ID.Class == asn1.ClassContextSpecific && info.ID.Tag == 0 {
		s.KeyID = info.ID.Bytes
	} else {
		var id issuerSerial
		if _, err := asn1.Unmarshal(info.ID.FullBytes, &id); err != nil {
			return s, fmt.Errorf("damaged signature: %w", err)
		}
		s.Issuer, s.Serial = id.Issuer.FullBytes, id.Serial
	}
	if len(info.Signed.FullBytes) == 0 {
		return s, nil
	}
	s.attrs = append([]byte{0x31}, info.Signed.FullBytes[1:]...) // RFC 5652, 5.4: a SET OF is what is signed
	for rest := info.Signed.Bytes; len(rest) > 0; {
		var a attribute
		var err error
		if rest, err = asn1.Unmarshal(rest, &a); err != nil {
			return s, fmt.Errorf("damaged signature: %w", err)
		}
		if a.OID.Equal(oidMessageDigest) {
			if _, err := asn1.Unmarshal(a.Values.Bytes, &s.said); err != nil {
				return s, fmt.Errorf("damaged signature: %w", err)
			}
		}
	}
	return s, nil
}

// Certificate is the certificate of a signer, nil if it is not there.
func (s *Signed) Certificate(signer Signer) *x509.Certificate {
	for _, c := range s.Certificates {
		if signer.KeyID != nil && bytes.Equal(c.SubjectKeyId, signer.KeyID) ||
			signer.Serial != nil && c.SerialNumber.Cmp(signer.Serial) == 0 && bytes.Equal(c.RawIssuer, signer.Issuer) {
			return c
		}
	}
	return nil
}

// Check says whether a signer signed a content.
func (s *Signed) Check(signer Signer, content []byte) error {
	c := s.Certificate(signer)
	if c == nil {
		return ErrNoCertificate
	}
	h := newHash(signer.digest)
	if h == nil {
		return ErrUnsupported
	}
	h.Write(content)
	sum := h.Sum(nil)
	if signer.attrs != nil {
		if !bytes.Equal(sum, signer.said) {
			return ErrDigest
		}
		h.Reset()
		h.Write(signer.attrs)
		sum = h.Sum(nil)
	}
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() > 8192 || key.Size() < 64 {
			return ErrUnsupported
		}
		return rsa.VerifyPKCS1v15(key, signer.digest, sum, signer.signature)
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(key, sum, signer.signature) {
			return errors.New("the signature is wrong")
		}
		return nil
	}
	return ErrUnsupported
}
