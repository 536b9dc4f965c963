package attest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Envelope is a DSSE envelope (Dead Simple Signing Envelope 1.0): bytes of some
// type, and signatures over both.
type Envelope struct {
	Payload     octets      `json:"payload"`
	PayloadType string      `json:"payloadType"`
	Signatures  []Signature `json:"signatures"`
}

// Signature is one signature. The key does not say whom to trust: it only lets a
// reader check the signature, and tell by its fingerprint whose it is. Other
// tools leave it out, and pass over it; some pass over signatures whose id is
// not one that they make themselves, so that Doorward leaves that empty.
type Signature struct {
	KeyID     string `json:"keyid"`
	Sig       octets `json:"sig"`
	PublicKey octets `json:"publicKey,omitempty"` // SubjectPublicKeyInfo
}

// UnmarshalJSON takes no key that it does not know, so that a damaged name does
// not turn a signature with a key into one without.
func (s *Signature) UnmarshalJSON(text []byte) error {
	var x struct {
		KeyID     string          `json:"keyid"`
		Sig       octets          `json:"sig"`
		PublicKey octets          `json:"publicKey"`
		Cert      json.RawMessage `json:"cert"`      // of sigstore
		Extension json.RawMessage `json:"extension"` // of DSSE 1.1
	}
	if err := strict(text, &x); err != nil {
		return err
	}
	*s = Signature{x.KeyID, x.Sig, x.PublicKey}
	return nil
}

// octets are bytes in base64: written in the standard form, read in any that
// DSSE allows.
type octets []byte

// MarshalJSON writes no bytes as no text, not as null.
func (o octets) MarshalJSON() ([]byte, error) {
	return json.Marshal(base64.StdEncoding.EncodeToString(o))
}

func (o *octets) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return errors.New("base64 text is needed")
	}
	s = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(s), "=")
	b, err := base64.RawStdEncoding.Strict().DecodeString(s)
	if err != nil {
		return errors.New("not base64")
	}
	*o = b
	return nil
}

const (
	maxEnvelope   = 400 << 20 // bytes of a file of envelopes
	maxEnvelopes  = 64
	maxSignatures = 64
)

// PAE is what is signed: the type and the payload with their lengths (DSSE
// protocol, "Pre-Authentication Encoding").
func PAE(payloadType string, payload []byte) []byte {
	out := make([]byte, 0, len(payloadType)+len(payload)+48)
	out = append(out, "DSSEv1 "+strconv.Itoa(len(payloadType))+" "+payloadType+" "+strconv.Itoa(len(payload))+" "...)
	return append(out, payload...)
}

// Read reads a file of DSSE envelopes: one, or several in lines (an in-toto
// bundle).
func Read(text []byte) ([]*Envelope, error) {
	if len(text) > maxEnvelope {
		return nil, errors.New("too large for an envelope")
	}
	var out []*Envelope
	dec := json.NewDecoder(bytes.NewReader(text))
	for {
		e := new(Envelope)
		err := dec.Decode(e)
		switch {
		case err == io.EOF && len(out) > 0:
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("not a DSSE envelope: %w", plainJSON(err))
		case e.PayloadType == "" || len(e.Signatures) == 0:
			return nil, errors.New("not a DSSE envelope: it needs payloadType, payload and signatures")
		case len(e.Signatures) > maxSignatures || len(out) == maxEnvelopes:
			return nil, errors.New("more signatures than are read")
		}
		out = append(out, e)
	}
}

func plainJSON(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF {
		return errors.New("it ends early")
	}
	return err
}

// IsEnvelope says that a file looks like a DSSE envelope and like nothing else
// that Doorward reads.
func IsEnvelope(text []byte) bool {
	var head struct {
		PayloadType *string          `json:"payloadType"`
		Signatures  *json.RawMessage `json:"signatures"`
	}
	return json.NewDecoder(bytes.NewReader(text)).Decode(&head) == nil && head.PayloadType != nil && head.Signatures != nil
}

// Write writes envelopes, each in a line.
func Write(list ...*Envelope) []byte {
	var out bytes.Buffer
	for _, e := range list {
		out.Write(compact(e))
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// Unchanged checks that a file that Doorward signed is as it was written, byte
// for byte: signatures cover neither white space nor what stands around them.
// Declarations that other tools signed may be written in any way.
func Unchanged(list []*Envelope, text []byte) error {
	ours := slices.ContainsFunc(list, func(e *Envelope) bool {
		return e.PayloadType == InTotoType || slices.ContainsFunc(e.Signatures, func(s Signature) bool {
			return s.PublicKey != nil
		})
	})
	if ours && !bytes.Equal(Write(list...), text) {
		return errors.New("the envelope was changed after it was written")
	}
	return nil
}

// compact is JSON as all of this package writes it: keys in fixed order, no
// white space, no escapes that are not needed.
func compact(x any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(x); err != nil {
		panic("attest: what it makes up can be written: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Sign adds a signature.
func (e *Envelope) Sign(k *PrivateKey) error {
	for _, s := range e.Signatures {
		if bytes.Equal(s.PublicKey, k.der) {
			return fmt.Errorf("the key %s has signed this already", k.Fingerprint)
		}
	}
	sig, err := k.sign(PAE(e.PayloadType, e.Payload))
	if err != nil {
		return err
	}
	e.Signatures = append(e.Signatures, Signature{Sig: sig, PublicKey: k.der})
	return nil
}

// Signers lists the keys whose signatures are good, in the envelope's order. A
// signature is checked with the key that it carries, otherwise with the keys
// that are given; one that nothing given can check says nothing. One that is
// wrong is an error: something was changed.
func (e *Envelope) Signers(given []*PublicKey) ([]*PublicKey, error) {
	message := PAE(e.PayloadType, e.Payload)
	var out []*PublicKey
	for i := range e.Signatures {
		k, err := e.Signatures[i].signer(message, given)
		if err != nil {
			return nil, err
		}
		if k != nil {
			out = append(out, k)
		}
	}
	return out, nil
}

func (s *Signature) signer(message []byte, given []*PublicKey) (*PublicKey, error) {
	wrong := func(k *PublicKey) error {
		return fmt.Errorf("the signature by %s is wrong: what it signed was changed, or the signature was", k.Fingerprint)
	}
	if s.PublicKey != nil {
		k, err := parsePublic(s.PublicKey)
		switch {
		case err != nil:
			return nil, fmt.Errorf("the key of a signature: %w", err)
		case s.KeyID != "":
			return nil, fmt.Errorf("the signature by %s calls itself %q", k.Fingerprint, s.KeyID)
		case !k.verify(message, s.Sig):
			return nil, wrong(k)
		}
		return k, nil
	}
	for _, k := range given {
		if k.verify(message, s.Sig) {
			return k, nil
		}
		if s.KeyID == k.Fingerprint {
			return nil, wrong(k)
		}
	}
	return nil, nil
}

// SignedBy checks that each of the keys signed, and that no signature is wrong.
func (e *Envelope) SignedBy(keys []*PublicKey) error {
	signers, err := e.Signers(keys)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if !slices.ContainsFunc(signers, k.Same) {
			return fmt.Errorf("not signed by the key %s%s", k.Fingerprint, byWhom(signers))
		}
	}
	return nil
}

func byWhom(signers []*PublicKey) string {
	if len(signers) == 0 {
		return ""
	}
	return ", but by " + strings.Join(Fingerprints(signers), " and ")
}

// Fingerprints lists those of keys.
func Fingerprints(keys []*PublicKey) []string {
	out := []string{}
	for _, k := range keys {
		out = append(out, k.Fingerprint)
	}
	return out
}
