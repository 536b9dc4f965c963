package attest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Types of declarations.
const (
	CycloneDXType = "application/vnd.cyclonedx+json"
	MUDType       = "application/mud+json"

	// cyclonedxPredicate begins the type under which cosign attests an SBOM.
	cyclonedxPredicate = "https://cyclonedx.org/bom"
)

// Declaration makes an envelope of a maker's declaration, not signed yet: the
// document lies in it as it is.
func Declaration(document []byte) (*Envelope, error) {
	var head struct {
		BOMFormat string          `json:"bomFormat"`
		MUD       json.RawMessage `json:"ietf-mud:mud"`
	}
	if err := json.Unmarshal(document, &head); err != nil {
		return nil, fmt.Errorf("not a declaration: %w", plainJSON(err))
	}
	switch {
	case head.BOMFormat == "CycloneDX":
		return &Envelope{PayloadType: CycloneDXType, Payload: document}, nil
	case head.MUD != nil:
		return &Envelope{PayloadType: MUDType, Payload: document}, nil
	}
	return nil, errors.New("neither a CycloneDX document nor a MUD file")
}

// Document is what a maker declared, and the fingerprints of the keys that
// signed it.
type Document struct {
	Text   []byte
	SHA256 string
	Keys   []string
}

// OpenDeclaration reads a declaration from its envelope: one of Declaration, or
// a CycloneDX attestation as cosign makes it. keys are those with which
// signatures are checked that carry none.
func OpenDeclaration(text []byte, keys []*PublicKey) (*Document, error) {
	list, err := Read(text)
	switch {
	case err != nil:
		return nil, err
	case len(list) != 1:
		return nil, fmt.Errorf("a declaration has one envelope, not %d", len(list))
	}
	e := list[0]
	document, err := e.document()
	if err != nil {
		return nil, err
	}
	signers, err := e.Signers(keys)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(document)
	return &Document{document, hex.EncodeToString(sum[:]), Fingerprints(signers)}, nil
}

func (e *Envelope) document() ([]byte, error) {
	switch e.PayloadType {
	case CycloneDXType, MUDType:
		return e.Payload, nil
	case InTotoType:
		s, err := e.Statement()
		switch {
		case err != nil:
			return nil, err
		case strings.HasPrefix(s.PredicateType, cyclonedxPredicate):
			return s.Predicate, nil
		}
		return nil, fmt.Errorf("the envelope holds no declaration, but a statement of type %q", s.PredicateType)
	}
	return nil, fmt.Errorf("the envelope holds no declaration, but %q", e.PayloadType)
}
