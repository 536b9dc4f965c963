package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/doorward/doorward"
)

// Types of what is signed.
const (
	InTotoType    = "application/vnd.in-toto+json"
	StatementType = "https://in-toto.io/Statement/v1"

	DecisionType  = "https://github.com/doorward/doorward/decision/v1"
	ReportType    = "https://github.com/doorward/doorward/report/v1"
	ExceptionType = "https://github.com/doorward/doorward/exception/v1"
	SummaryType   = "https://slsa.dev/verification_summary/v1"
)

// Statement is an in-toto statement: something said of artifacts.
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Resource      `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// Resource is in-toto's ResourceDescriptor, as far as it is used.
type Resource struct {
	Name   string  `json:"name,omitempty"`
	URI    string  `json:"uri,omitempty"`
	Digest *Digest `json:"digest,omitempty"`
}

// Digest is in-toto's DigestSet, as far as it is used.
type Digest struct {
	SHA256 string `json:"sha256"`
}

// Tool is what made a statement.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// newStatement makes an envelope, not signed yet.
func newStatement(subjects []doorward.DecisionSubject, predicateType string, predicate any) (*Envelope, error) {
	s := Statement{Type: StatementType, PredicateType: predicateType, Predicate: compact(predicate)}
	for _, x := range subjects {
		if !isSHA256(x.SHA256) {
			return nil, fmt.Errorf("%s has no SHA-256 by which it is known for certain: inspect it as a file", orUnnamed(x.Name))
		}
		s.Subject = append(s.Subject, Resource{Name: x.Name, Digest: &Digest{x.SHA256}})
	}
	if len(s.Subject) == 0 {
		return nil, errors.New("there is no artifact that it is about")
	}
	return &Envelope{PayloadType: InTotoType, Payload: compact(s)}, nil
}

func orUnnamed(name string) string {
	if name == "" {
		return "an artifact without a name"
	}
	return name
}

func isSHA256(s string) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 64
}

// Statement reads the in-toto statement of an envelope. Signatures are another
// matter.
func (e *Envelope) Statement() (*Statement, error) {
	if e.PayloadType != InTotoType {
		return nil, fmt.Errorf("the envelope holds %q, not an in-toto statement", e.PayloadType)
	}
	var s Statement
	if err := json.Unmarshal(e.Payload, &s); err != nil {
		return nil, fmt.Errorf("not an in-toto statement: %w", plainJSON(err))
	}
	if s.Type != StatementType {
		return nil, fmt.Errorf("the statement is a %q; %s is read", s.Type, StatementType)
	}
	return &s, nil
}

// subjects gives the artifacts of a statement.
func (s *Statement) subjects() []doorward.DecisionSubject {
	var out []doorward.DecisionSubject
	for _, x := range s.Subject {
		d := doorward.DecisionSubject{Name: x.Name}
		if x.Digest != nil {
			d.SHA256 = x.Digest.SHA256
		}
		out = append(out, d)
	}
	return out
}

// predicate reads a statement's predicate, which must be of a type, and say
// nothing that is not understood.
func (s *Statement) predicate(of string, out any) error {
	if s.PredicateType != of {
		return fmt.Errorf("the statement is a %q, not a %s", s.PredicateType, of)
	}
	return strict(s.Predicate, out)
}

// strict reads JSON that must not hold more than what it is read into.
func strict(text []byte, out any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(out); err != nil {
		return plainJSON(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("something stands after its end")
	}
	return nil
}
