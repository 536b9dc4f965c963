package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/doorward/doorward"
)

// decisionPredicate carries a whole decision.
type decisionPredicate struct {
	Decision json.RawMessage `json:"decision"`
	Tool     Tool            `json:"tool"`
}

// CanonicalDecision is the one way in which a decision is written where it is
// signed: as it is after it was written and read, with empty lists where there
// are none.
func CanonicalDecision(d *doorward.Decision) []byte {
	var c doorward.Decision
	if err := json.Unmarshal(compact(d), &c); err != nil {
		panic("attest: a decision can be read again: " + err.Error())
	}
	if c.Reasons == nil {
		c.Reasons = []doorward.Reason{}
	}
	if c.WouldChange == nil {
		c.WouldChange = []string{}
	}
	for i := range c.Reasons {
		if c.Reasons[i].Facts == nil {
			c.Reasons[i].Facts = []string{}
		}
	}
	return compact(&c)
}

// ReadDecisions reads what doorward decide wrote: a decision, or a list of those
// for several levels.
func ReadDecisions(text []byte) ([]*doorward.Decision, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
		d, err := ReadDecision(text)
		return []*doorward.Decision{d}, err
	}
	var list []json.RawMessage
	if err := strict(text, &list); err != nil {
		return nil, fmt.Errorf("not a list of decisions: %w", err)
	}
	var out []*doorward.Decision
	for _, one := range list {
		d, err := ReadDecision(one)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	if len(out) == 0 {
		return nil, errors.New("a list of no decisions")
	}
	return out, nil
}

// ReadDecision reads a decision that stands alone, and refuses what it does not
// understand: what is signed must be what was read.
func ReadDecision(text []byte) (*doorward.Decision, error) {
	var d doorward.Decision
	if err := strict(text, &d); err != nil {
		return nil, fmt.Errorf("not a decision: %w", err)
	}
	if d.Schema != doorward.DecisionSchema {
		return nil, fmt.Errorf("not a decision: its schema is %q, not %q; make one with doorward decide --format json", d.Schema, doorward.DecisionSchema)
	}
	return &d, nil
}

// Decision makes the statements on a decision, not signed yet: the decision as
// a whole and, where it is plain yes or no, a Verification Summary.
func Decision(d *doorward.Decision, tool Tool) ([]*Envelope, error) {
	whole, err := newStatement(d.Subjects, DecisionType, decisionPredicate{CanonicalDecision(d), tool})
	if err != nil {
		return nil, err
	}
	out := []*Envelope{whole}
	if d.Result == doorward.Admit || d.Result == doorward.Refuse {
		summary, err := newStatement(d.Subjects, SummaryType, newSummary(d, tool))
		if err != nil {
			return nil, err
		}
		out = append(out, summary)
	}
	return out, nil
}

// Decisions splits the envelopes of several decisions: each begins with the
// decision as a whole.
func Decisions(list []*Envelope) [][]*Envelope {
	var out [][]*Envelope
	for i, e := range list {
		s, err := e.Statement()
		if i == 0 || err == nil && s.PredicateType == DecisionType {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], e)
	}
	return out
}

// OpenDecision reads a decision from its envelopes, and checks that they hold
// the statements that Decision makes of it and no others. Signatures are
// another matter.
func OpenDecision(list []*Envelope) (*doorward.Decision, Tool, error) {
	s, err := list[0].Statement()
	if err != nil {
		return nil, Tool{}, err
	}
	var p decisionPredicate
	if err := s.predicate(DecisionType, &p); err != nil {
		return nil, Tool{}, err
	}
	d, err := ReadDecision(p.Decision)
	if err != nil {
		return nil, p.Tool, err
	}
	want, err := Decision(d, p.Tool)
	if err != nil {
		return nil, p.Tool, err
	}
	if len(want) != len(list) {
		return nil, p.Tool, fmt.Errorf("%d envelopes where a decision to %s has %d", len(list), d.Result, len(want))
	}
	for i := range want {
		if !bytes.Equal(want[i].Payload, list[i].Payload) || want[i].PayloadType != list[i].PayloadType {
			return nil, p.Tool, fmt.Errorf("envelope %d does not say what the decision says", i+1)
		}
	}
	return d, p.Tool, nil
}

// summary is a SLSA Verification Summary, version 1.0.
type summary struct {
	Verifier struct {
		ID      string            `json:"id"`
		Version map[string]string `json:"version"`
	} `json:"verifier"`
	TimeVerified       string     `json:"timeVerified"`
	ResourceURI        string     `json:"resourceUri"`
	Policy             Resource   `json:"policy"`
	InputAttestations  []Resource `json:"inputAttestations,omitempty"`
	VerificationResult string     `json:"verificationResult"`
	VerifiedLevels     []string   `json:"verifiedLevels"`
	SLSAVersion        string     `json:"slsaVersion"`
}

// verifier names Doorward. Whose Doorward it was, the key tells.
const verifier = "https://github.com/doorward/doorward"

func newSummary(d *doorward.Decision, tool Tool) summary {
	s := summary{
		TimeVerified: d.At + "T00:00:00Z", ResourceURI: resourceURI(d.Subjects[0]),
		Policy:             Resource{URI: "urn:doorward:policy:" + url.PathEscape(d.Policy), Digest: &Digest{d.PolicySHA256}},
		VerificationResult: "PASSED", VerifiedLevels: []string{"DOORWARD_LEVEL_" + d.Level}, SLSAVersion: "1.0",
	}
	s.Verifier.ID, s.Verifier.Version = verifier, map[string]string{tool.Name: tool.Version}
	if d.Result != doorward.Admit {
		s.VerificationResult, s.VerifiedLevels = "FAILED", []string{"FAILED"}
	}
	for _, in := range d.Inputs {
		s.InputAttestations = append(s.InputAttestations, Resource{
			URI: "urn:doorward:" + in.Role + ":" + url.PathEscape(in.Name), Digest: &Digest{in.SHA256},
		})
	}
	return s
}

// resourceURI is a package URL of an artifact that no package index knows.
func resourceURI(s doorward.DecisionSubject) string {
	name := s.Name
	if name == "" {
		name = "unnamed"
	}
	return "pkg:generic/" + url.PathEscape(name) + "?checksum=sha256:" + s.SHA256
}
