package firmware

import (
	"bytes"
	"crypto/x509"
	"strconv"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/rootca"
)

// vendorSection is where shim keeps the certificate of who built it (shim's
// cert.S); the name stands in the program's table of texts.
const vendorSection = ".vendor_cert"

// shim reports the certificate that shim trusts besides those of the firmware:
// whoever has its key signs what boots.
func (b *bootFirmware) shim(f *product.File) {
	all := f.Bytes()
	section, at := peSection(all, vendorSection)
	if len(section) < 16 {
		return
	}
	size, from := int64(le.Uint32(section)), int64(le.Uint32(section[8:]))
	if size == 0 || from < 16 || size > int64(len(section)) || from > int64(len(section))-size {
		return
	}
	der := section[from : from+size]
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return // a list of several, or hashes
	}
	b.out.Looked(doorward.KindKey, 1, "certificate of shim")
	at += from
	b.out.Door(doorward.Door{
		Kind: doorward.KindKey, Title: "shim trusts what " + strings.TrimSuffix(rootca.Name(c), " /") + " signs", Reach: doorward.Local, Stages: []doorward.Stage{doorward.Access}, Certainty: doorward.Shown,
		Weight: doorward.Weigh(doorward.Change, doorward.Local, doorward.Checked, false), References: []string{"T1542.001"},
		Detail: doorward.Detail{"path": f.Path, "private": false, "fingerprint": hexFingerprint(c.RawSubjectPublicKeyInfo), "algorithm": algorithmName(c.PublicKeyAlgorithm.String()), "used_by": "shim"},
		Where:  f.WhereAt(at), Evidence: []doorward.Evidence{{What: "certificate of " + c.Subject.String(), Offset: &at, Path: f.Path, Note: "it stands in the section " + vendorSection + ": what its key signs boots with secure boot on"}},
		Check: "objcopy --only-section=.vendor_cert, then openssl x509 on what follows the first 16 bytes.",
	})
}

// peSection is the content of a section of a PE file, and its offset. Long names
// stand in the table of texts behind the symbols.
func peSection(b []byte, name string) ([]byte, int64) {
	if len(b) < 0x40 {
		return nil, 0
	}
	pe := int(le.Uint32(b[0x3c:]))
	if pe < 0 || pe+24 > len(b) || string(b[pe:pe+4]) != "PE\x00\x00" {
		return nil, 0
	}
	count, table := int(le.Uint16(b[pe+6:])), pe+24+int(le.Uint16(b[pe+20:]))
	texts := int(le.Uint32(b[pe+12:])) + 18*int(le.Uint32(b[pe+16:]))
	for i := range count {
		at := table + 40*i
		if at+40 > len(b) {
			return nil, 0
		}
		own := string(bytes.TrimRight(b[at:at+8], "\x00"))
		if len(own) > 1 && own[0] == '/' {
			n, err := strconv.Atoi(own[1:])
			if from := texts + n; err == nil && n >= 0 && texts > 0 && from < len(b) {
				text, _, _ := bytes.Cut(b[from:min(from+64, len(b))], []byte{0})
				own = string(text)
			}
		}
		size, from := int(le.Uint32(b[at+16:])), int(le.Uint32(b[at+20:]))
		if own == name && from >= 0 && size >= 0 && from <= len(b) && size <= len(b)-from {
			return b[from : from+size], int64(from)
		}
	}
	return nil, 0
}
