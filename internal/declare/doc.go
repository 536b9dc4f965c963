// Package declare reads what makers declare (CycloneDX documents with doorward
// properties, MUD files, SPDX documents and platform certificates) and drafts such documents from a report. It reads
// documents and judges nothing: what a claim means for a door is reconcile's
// business.
package declare

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/doorward/doorward"
)

// MaxSize is the size up to which a declaration is read, in bytes. A document in
// memory takes some ten times its size, and the facts of it as much again.
const MaxSize = 16 << 20

// TooLarge is what is wrong with a larger one.
func TooLarge(name string) error {
	return &Error{Document: name, What: "a declaration of more than 16 MB is not read: declare the product and the components that matter"}
}

// Error is what is wrong with a declaration, and where.
type Error struct {
	Document string
	Line     int // 1-based
	Column   int // 1-based, in bytes
	What     string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.Document, e.What)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.Document, e.Line, e.Column, e.What)
}

// Read reads a declaration: a CycloneDX JSON document (1.4 to 1.7, and the draft
// of 2.0) or a MUD file (RFC 8520); for who is behind a product, too, an SPDX
// document (2.2, 2.3, 3) or a TCG platform certificate. name is how reports call the document.
func Read(name string, text []byte) (*doorward.Declaration, error) {
	if len(text) > MaxSize {
		return nil, TooLarge(name)
	}
	sum := sha256.Sum256(text)
	decl := &doorward.Declaration{Document: name, SHA256: hex.EncodeToString(sum[:])}
	r := &reader{name: name, text: text, decl: decl}
	if read := r.otherForm(); read != nil {
		if err := read(); err != nil {
			return nil, err
		}
		return decl, nil
	}
	root, err := parseJSON(text)
	if err != nil {
		return nil, r.jsonError(err)
	}
	switch {
	case root.get("bomFormat").text() == "CycloneDX", root.get("specFormat").text() == "CycloneDX": // the latter in drafts of 2.0
		err = r.cyclonedx(root)
	case root.get("ietf-mud:mud") != nil:
		err = r.mud(root)
	case strings.HasPrefix(root.get("spdxVersion").text(), "SPDX-2."):
		err = r.spdx2(root)
	case strings.Contains(root.get("@context").text(), "spdx.org/rdf/3."):
		err = r.spdx3(root)
	default:
		err = &Error{Document: name, What: "neither a CycloneDX document (bomFormat), nor an SPDX document (spdxVersion), nor a MUD file (ietf-mud:mud); a declaration is one of these, in JSON"}
	}
	if err != nil {
		return nil, err
	}
	return decl, nil
}

// otherForm returns how to read a document that is not in JSON; nil if it is.
func (r *reader) otherForm() func() error {
	head := strings.TrimSpace(string(r.text[:min(len(r.text), 4096)]))
	switch {
	case len(r.text) > 4 && r.text[0] == 0x30 && r.text[1] >= 0x80:
		return func() error { return r.platform(r.text) }
	case strings.Contains(string(r.text[:min(len(r.text), 1<<16)]), "-----BEGIN ATTRIBUTE CERTIFICATE-----"):
		return func() error { return r.platform(r.text) }
	case !strings.HasPrefix(head, "{") && strings.Contains(head, "SPDXVersion: SPDX-2."):
		return func() error { return r.spdxTags(string(r.text)) }
	}
	return nil
}

// reader reads one document.
type reader struct {
	name string
	text []byte
	decl *doorward.Declaration
}

// errorAt is an error at a byte offset in the document.
func (r *reader) errorAt(offset int, format string, args ...any) error {
	line, column := 1, 1
	for _, c := range r.text[:min(max(offset, 0), len(r.text))] {
		if c == '\n' {
			line, column = line+1, 0
		}
		column++
	}
	return &Error{r.name, line, column, fmt.Sprintf(format, args...)}
}

func (r *reader) jsonError(err error) error {
	var at *syntaxError
	if errors.As(err, &at) {
		return r.errorAt(at.offset, "not JSON: %v", at.err)
	}
	return &Error{Document: r.name, What: err.Error()}
}
