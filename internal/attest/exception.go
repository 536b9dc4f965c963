package attest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/doorward/doorward"
)

// exceptionPredicate is what an exception says of the artifacts that are its
// subjects. Who asks for it stands in what is signed, so that who approves it
// signs that too.
type exceptionPredicate struct {
	Findings     []string `json:"findings"`
	Level        string   `json:"level"`
	PolicySHA256 string   `json:"policy_sha256"`
	Reason       string   `json:"reason"`
	Issued       string   `json:"issued"`
	Until        string   `json:"until"`
	Requester    string   `json:"requester"`
}

// Request makes an exception of what x says, signed by who asks for it.
func Request(x doorward.Exception, subjects []doorward.DecisionSubject, key *PrivateKey) (*Envelope, error) {
	switch {
	case len(x.Findings) == 0:
		return nil, errors.New("an exception names the findings that it is about")
	case x.Reason == "":
		return nil, errors.New("an exception needs a reason")
	case !isSHA256(x.PolicySHA256):
		return nil, errors.New("an exception is bound to a policy")
	}
	e, err := newStatement(subjects, ExceptionType, exceptionPredicate{
		x.Findings, x.Level, x.PolicySHA256, x.Reason, x.Issued, x.Until, key.Fingerprint,
	})
	if err != nil {
		return nil, err
	}
	return e, e.Sign(key)
}

// Approve adds the second signature to an exception.
func Approve(text []byte, key *PrivateKey) (*Envelope, *doorward.Exception, error) {
	e, x, err := openException(text)
	switch {
	case err != nil:
		return nil, nil, err
	case x.Requester == key.Fingerprint:
		return nil, nil, errors.New("the key that asked for the exception can't approve it")
	case x.Approver != "":
		return nil, nil, fmt.Errorf("approved already, by %s", x.Approver)
	}
	if err := e.Sign(key); err != nil {
		return nil, nil, err
	}
	x.Approver = key.Fingerprint
	return e, x, nil
}

// OpenException reads an exception and checks its signatures. Whether it holds,
// package policy judges.
func OpenException(text []byte) (*doorward.Exception, error) {
	_, x, err := openException(text)
	return x, err
}

func openException(text []byte) (*Envelope, *doorward.Exception, error) {
	list, err := Read(text)
	switch {
	case err != nil:
		return nil, nil, err
	case len(list) != 1 || !bytes.Equal(Write(list...), text):
		return nil, nil, errors.New("not as Doorward writes an exception: it was changed")
	}
	e := list[0]
	var p exceptionPredicate
	s, err := e.Statement()
	if err == nil {
		err = s.predicate(ExceptionType, &p)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("not an exception: %w", err)
	}
	sum := sha256.Sum256(e.Payload)
	x := &doorward.Exception{
		ID: "exception-" + hex.EncodeToString(sum[:8]), Findings: p.Findings, PolicySHA256: p.PolicySHA256,
		Level: p.Level, Reason: p.Reason, Issued: p.Issued, Until: p.Until,
	}
	for _, subject := range s.subjects() {
		x.Products = append(x.Products, subject.SHA256)
	}
	return e, x, e.whoSigned(p.Requester, x)
}

// whoSigned fills in who asked for an exception and who approved it.
func (e *Envelope) whoSigned(requester string, x *doorward.Exception) error {
	signers, err := e.Signers(nil)
	switch {
	case err != nil:
		return err
	case len(signers) > 2 || len(signers) != len(e.Signatures):
		return errors.New("an exception has two signatures, with their keys: of who asks for it and of who approves it")
	case len(signers) == 0 || signers[0].Fingerprint != requester:
		return errors.New("not signed by who asks for it")
	}
	x.Requester = requester
	if len(signers) == 2 {
		x.Approver = signers[1].Fingerprint
	}
	return nil
}
