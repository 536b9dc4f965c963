package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/attest"
	"github.com/doorward/doorward/internal/policy"
	"github.com/doorward/doorward/internal/report"
)

type verifyCmd struct {
	Envelope string   `arg:"" help:"What doorward sign wrote."`
	Key      []string `help:"The public key of who must have signed (may be repeated: all of them)." required:"" placeholder:"FILE"`
	Inputs   string   `help:"The folder with the files that the decision was made of (default: that of the envelope)." placeholder:"DIR"`

	Report    []string `help:"A report that the decision was made of, if it stands elsewhere (may be repeated; so may the following)." placeholder:"FILE"`
	Policy    []string `help:"The policy." placeholder:"FILE"`
	Facts     []string `help:"A file of origin facts." placeholder:"FILE"`
	Exception []string `help:"An exception." placeholder:"FILE"`
	Declared  []string `help:"A signed declaration; or the document that was signed." placeholder:"FILE"`
	MakerKey  []string `help:"A maker's public key." placeholder:"FILE"`
}

// Help is shown below the flags.
func (verifyCmd) Help() string {
	return `Checks offline what doorward sign wrote: the signatures, the digest of every file that the decision was made of, and that these files give the same decision, byte for byte.

  doorward verify decision.intoto.jsonl --key me.pub

Exit status: 0 it is as it was signed; 1 it is not; 2 could not run.`
}

// Run verifies. What does not hold is one line, and status 1.
func (c *verifyCmd) Run(s *streams) error {
	text, err := readText(c.Envelope)
	if err != nil {
		return fmt.Errorf("the envelope can't be read: %w", err)
	}
	files, err := readFiles(roleKey, c.Key)
	if err != nil {
		return err
	}
	keys, err := publicKeys(files)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := c.verify(&out, text, keys); err != nil {
		fmt.Fprintf(s.err, "doorward: %s does not verify: %s\n", printable(c.Envelope), printable(oneLine(err)))
		return status(exitUndeclared)
	}
	_, err = s.out.Write(out.Bytes())
	return err
}

func (c *verifyCmd) verify(out io.Writer, text []byte, keys []*attest.PublicKey) error {
	list, err := attest.Read(text)
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := e.SignedBy(keys); err != nil {
			return err
		}
	}
	if err := attest.Unchanged(list, text); err != nil {
		return err
	}
	if err := c.content(out, text, list, keys); err != nil {
		return err
	}
	for _, k := range keys {
		fmt.Fprintf(out, "signed by %s\n", k.Fingerprint)
	}
	return nil
}

// content checks what was signed, by its type.
func (c *verifyCmd) content(out io.Writer, text []byte, list []*attest.Envelope, keys []*attest.PublicKey) error {
	e := list[0]
	if e.PayloadType != attest.InTotoType {
		return c.declaration(out, text)
	}
	s, err := e.Statement()
	if err != nil {
		return err
	}
	switch s.PredicateType {
	case attest.DecisionType:
		for _, one := range attest.Decisions(list) {
			if err := c.decision(out, one, keys); err != nil {
				return err
			}
		}
		return nil
	case attest.ReportType:
		return c.report(out, e)
	case attest.ExceptionType:
		return c.exception(out, text)
	}
	return fmt.Errorf("its signature is good, but a statement of type %q is not one of Doorward's", s.PredicateType)
}

// decision makes the decision again of the same files, and compares.
func (c *verifyCmd) decision(out io.Writer, list []*attest.Envelope, keys []*attest.PublicKey) error {
	signed, made, err := attest.OpenDecision(list)
	if err != nil {
		return err
	}
	in, err := c.gather(signed)
	if err != nil {
		return err
	}
	again, err := in.decide()
	if err != nil {
		return fmt.Errorf("its inputs give no decision: %w", err)
	}
	if !bytes.Equal(attest.CanonicalDecision(again), attest.CanonicalDecision(signed)) {
		return differs(signed, again, made)
	}
	if err := mayDecide(in.Policy, keys); err != nil {
		return err
	}
	for _, x := range signed.Subjects {
		fmt.Fprintf(out, "%s (SHA-256 %s)\n", printable(x.Name), x.SHA256)
	}
	fmt.Fprintf(out, "decision for level %s on %s: %s\n", printable(signed.Level), signed.At, signed.Result)
	for _, x := range signed.Inputs {
		fmt.Fprintf(out, "%s %s is unchanged\n", x.Role, printable(x.Name))
	}
	fmt.Fprintln(out, "these give the same decision, byte for byte")
	return nil
}

// mayDecide holds the keys against those that a policy names for decisions, if it
// names any.
func mayDecide(f File, keys []*attest.PublicKey) error {
	p, err := policy.Load(f.Name, f.Bytes)
	if err != nil || p.Keys == nil || len(p.Keys.Deciders) == 0 {
		return err
	}
	for _, k := range keys {
		if slices.Contains(p.Keys.Deciders, k.Fingerprint) {
			return nil
		}
	}
	return fmt.Errorf("the policy %s does not name the key %s among those that decide", f.Name, strings.Join(attest.Fingerprints(keys), ", "))
}

// differs says in what a decision is not what its inputs give.
func differs(signed, again *doorward.Decision, made attest.Tool) error {
	what := "its reasons"
	switch {
	case signed.Result != again.Result:
		what = fmt.Sprintf("it says %s, they give %s", signed.Result, again.Result)
	case !bytes.Equal(attest.CanonicalDecision(&doorward.Decision{Subjects: signed.Subjects}), attest.CanonicalDecision(&doorward.Decision{Subjects: again.Subjects})):
		what = "the artifacts that it is about"
	case signed.PolicySHA256 != again.PolicySHA256 || signed.Policy != again.Policy:
		what = "the policy that it names"
	}
	by := ""
	if made != tool {
		by = fmt.Sprintf(" (it was made by %s %s, this is %s)", made.Name, made.Version, tool.Version)
	}
	return fmt.Errorf("the decision is not what its inputs give: %s%s", what, by)
}

// gather finds the files that a decision names, as they were.
func (c *verifyCmd) gather(d *doorward.Decision) (Inputs, error) {
	in := Inputs{Level: d.Level, At: d.At, Parameters: d.Parameters}
	given, err := c.given()
	if err != nil {
		return in, err
	}
	policies := 0
	for _, want := range d.Inputs {
		f, err := given.find(want, c.folder())
		if err != nil {
			return in, err
		}
		switch want.Role {
		case rolePolicy:
			in.Policy, policies = f, policies+1
		case roleReport:
			in.Reports = append(in.Reports, f)
		case roleFacts:
			in.Facts = append(in.Facts, f)
		case roleDeclaration:
			in.Declarations = append(in.Declarations, f)
		case roleException:
			in.Exceptions = append(in.Exceptions, f)
		case roleKey:
			in.Keys = append(in.Keys, f)
		default:
			return in, fmt.Errorf("the decision was made of a %q (%s), which is not known", want.Role, want.Name)
		}
	}
	if policies != 1 {
		return in, fmt.Errorf("the decision names %d policies instead of one", policies)
	}
	return in, given.leftOver(d)
}

func (c *verifyCmd) folder() string {
	if c.Inputs != "" {
		return c.Inputs
	}
	return filepath.Dir(c.Envelope)
}

func (c *verifyCmd) report(out io.Writer, e *attest.Envelope) error {
	want, subject, err := attest.OpenReport(e)
	if err != nil {
		return err
	}
	given, err := c.given()
	if err != nil {
		return err
	}
	f, err := given.find(want, c.folder())
	if err != nil {
		return err
	}
	r, err := report.ReadJSON(f.Bytes)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", f.Name, err)
	case r.Subject.SHA256 != subject.SHA256 || r.Subject.Name != subject.Name:
		return fmt.Errorf("the report %s is on another artifact than the statement", f.Name)
	}
	fmt.Fprintf(out, "%s (SHA-256 %s)\nreport %s is unchanged\n", printable(subject.Name), subject.SHA256, printable(f.Name))
	return nil
}

func (c *verifyCmd) declaration(out io.Writer, text []byte) error {
	d, err := attest.OpenDeclaration(text, nil)
	if err != nil {
		return err
	}
	documents, err := readFiles(roleDeclaration, c.Declared)
	if err != nil {
		return err
	}
	for _, f := range documents {
		if !bytes.Equal(f.Bytes, d.Text) {
			return fmt.Errorf("the declaration %s is not the document that was signed", f.Name)
		}
		fmt.Fprintf(out, "declaration %s is unchanged\n", printable(f.Name))
	}
	fmt.Fprintf(out, "declaration with SHA-256 %s\n", d.SHA256)
	return nil
}

func (c *verifyCmd) exception(out io.Writer, text []byte) error {
	x, err := attest.OpenException(text)
	if err != nil {
		return err
	}
	if x.Approver == "" {
		return errors.New("nobody has approved the exception yet")
	}
	fmt.Fprintf(out, "%s for level %s until %s, requested by %s, approved by %s\n", x.ID, printable(x.Level), printable(x.Until), x.Requester, x.Approver)
	return nil
}
