package signature

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"errors"
)

// By is who signed, as the signer's certificate claims.
type By struct {
	CommonName, Organization, Country string
	Issuer                            string // whose authority
	Err                               error  // why the signature does not hold; nil if it does
}

// ByOf says who a certificate is of.
func ByOf(c *x509.Certificate) By {
	first := func(list []string) string {
		if len(list) > 0 {
			return list[0]
		}
		return ""
	}
	b := By{CommonName: c.Subject.CommonName, Organization: first(c.Subject.Organization), Country: first(c.Subject.Country), Issuer: c.Issuer.CommonName}
	if b.Issuer == "" {
		b.Issuer = first(c.Issuer.Organization)
	}
	return b
}

var oidSpcIndirectData = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}

// The most of a certificate table that is read, in bytes, and its entries.
const maxTable, maxEntries = 1 << 20, 8

// Authenticode says who signed a PE file, and whether the signature fits the
// file (Windows Authenticode Portable Executable Signature Format, 1.0). A file
// without a signature gives nil.
func Authenticode(pe []byte) []By {
	p, ok := peLayout(pe)
	if !ok || p.size == 0 {
		return nil
	}
	var list []By
	table := pe[p.table : p.table+p.size]
	for range maxEntries {
		if len(table) < 8 {
			break
		}
		n, kind := int(binary.LittleEndian.Uint32(table)), binary.LittleEndian.Uint16(table[6:])
		if n < 8 || n > len(table) {
			break
		}
		if kind == 2 { // WIN_CERT_TYPE_PKCS_SIGNED_DATA
			list = append(list, p.signers(table[8:n])...)
		}
		table = table[min((n+7)&^7, len(table)):]
	}
	return list
}

// layout is where a PE file has what its digest leaves out.
type layout struct {
	file                []byte
	checksum, directory int
	table, size         int // the certificate table
}

// peLayout finds the checksum and the certificate table (PE format, "Optional
// Header"; the directory of certificates gives a file offset, no address).
func peLayout(b []byte) (layout, bool) {
	le := binary.LittleEndian
	if len(b) < 64 || b[0] != 'M' || b[1] != 'Z' {
		return layout{}, false
	}
	at := int64(le.Uint32(b[60:]))
	if at+24+112+40 > int64(len(b)) || !bytes.HasPrefix(b[at:], []byte("PE\x00\x00")) {
		return layout{}, false
	}
	optional := int(at) + 24
	directories := optional + 96
	if le.Uint16(b[optional:]) == 0x20b {
		directories = optional + 112
	}
	p := layout{file: b, checksum: optional + 64, directory: directories + 4*8}
	if le.Uint32(b[directories-4:]) < 5 || p.directory+8 > len(b) {
		return p, true
	}
	table, size := int64(le.Uint32(b[p.directory:])), int64(le.Uint32(b[p.directory+4:]))
	if size == 0 || size > maxTable || table < int64(p.directory+8) || table+size > int64(len(b)) {
		return p, true
	}
	p.table, p.size = int(table), int(size)
	return p, true
}

func (p layout) signers(der []byte) []By {
	s, err := Parse(der)
	if err != nil {
		return nil
	}
	var list []By
	for _, signer := range s.Signers {
		c := s.Certificate(signer)
		if c == nil {
			continue
		}
		by := ByOf(c)
		if by.Err = p.digest(s); by.Err == nil {
			by.Err = s.Check(signer, s.Content)
		}
		list = append(list, by)
	}
	return list
}

// digest compares the file's digest with the one that was signed.
func (p layout) digest(s *Signed) error {
	if !s.ContentType.Equal(oidSpcIndirectData) {
		return ErrUnsupported
	}
	var data asn1.RawValue // what kind of file
	rest, err := asn1.Unmarshal(s.Content, &data)
	if err != nil {
		return err
	}
	var d struct {
		Algorithm algorithm
		Digest    []byte
	}
	if _, err := asn1.Unmarshal(rest, &d); err != nil {
		return err
	}
	h := newHash(hashes[d.Algorithm.OID.String()])
	if h == nil {
		return ErrUnsupported
	}
	end := p.table + p.size
	if end != len(p.file) && len(p.file)-end >= 8 {
		return errors.New("something stands behind the signature")
	}
	for _, part := range [][]byte{p.file[:p.checksum], p.file[p.checksum+4 : p.directory], p.file[p.directory+8 : p.table]} {
		h.Write(part)
	}
	if !bytes.Equal(h.Sum(nil), d.Digest) {
		return ErrDigest
	}
	return nil
}
