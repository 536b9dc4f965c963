// Package declare reads what makers declare (CycloneDX documents with doorward
// properties, MUD files) and drafts such documents from a report. It reads
// documents and judges nothing: what a claim means for a door is reconcile's
// business.
package declare

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/doorward/doorward"
)

// maxSize is the size up to which a declaration is read, in bytes.
const maxSize = 256 << 20

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

// Read reads a declaration: a CycloneDX JSON document (1.4 to 1.7) or a MUD
// file (RFC 8520). name is how reports call the document.
func Read(name string, text []byte) (*doorward.Declaration, error) {
	if len(text) > maxSize {
		return nil, &Error{Document: name, What: "a declaration of more than 256 MB is not read"}
	}
	sum := sha256.Sum256(text)
	decl := &doorward.Declaration{Document: name, SHA256: hex.EncodeToString(sum[:])}
	r := &reader{name: name, text: text, decl: decl}
	root, err := parseJSON(text)
	if err != nil {
		return nil, r.jsonError(err)
	}
	switch {
	case root.get("bomFormat").text() == "CycloneDX":
		err = r.cyclonedx(root)
	case root.get("ietf-mud:mud") != nil:
		err = r.mud(root)
	default:
		err = &Error{Document: name, What: "neither a CycloneDX document (bomFormat) nor a MUD file (ietf-mud:mud); a declaration is one of these, in JSON"}
	}
	if err != nil {
		return nil, err
	}
	return decl, nil
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
