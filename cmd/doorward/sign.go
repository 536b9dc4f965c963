package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/attest"
	"github.com/doorward/doorward/internal/report"
)

type signCmd struct {
	File string `arg:"" help:"A decision or a report in JSON, a maker's declaration, or what is signed already."`
	keyFlags
	Output string `help:"Write the envelope to FILE." short:"o" placeholder:"FILE"`
}

// Help is shown below the flags.
func (signCmd) Help() string {
	return `Signs a decision (doorward decide --format json), a report (doorward inspect --format json) or a maker's declaration (CycloneDX, MUD). What is written is a DSSE envelope, which doorward verify checks offline. To what is signed already, a signature is added.

  doorward key generate me
  doorward sign --key me.key decision.json -o decision.intoto.jsonl`
}

// Run signs.
func (c *signCmd) Run(ctx context.Context, s *streams) error {
	files, err := readFiles("file to sign", []string{c.File})
	if err != nil {
		return err
	}
	list, err := toSign(files[0])
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	key, err := c.private(ctx)
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := e.Sign(key); err != nil {
			return fmt.Errorf("%s: %w", c.File, err)
		}
	}
	out := outputFlags{Output: c.Output}
	return out.write(s, attest.Write(list...))
}

// toSign makes envelopes of what a file holds.
func toSign(f File) ([]*attest.Envelope, error) {
	switch {
	case hasSchema(f.Bytes, doorward.DecisionSchema):
		decisions, err := attest.ReadDecisions(f.Bytes)
		if err != nil {
			return nil, err
		}
		var out []*attest.Envelope
		for _, d := range decisions {
			list, err := attest.Decision(d, tool)
			if err != nil {
				return nil, err
			}
			out = append(out, list...)
		}
		return out, nil
	case hasSchema(f.Bytes, doorward.ReportSchema):
		r, err := report.ReadJSON(f.Bytes)
		if err != nil {
			return nil, err
		}
		e, err := attest.Report(f.Name, f.Bytes, r, tool)
		return []*attest.Envelope{e}, err
	case attest.IsEnvelope(f.Bytes):
		return toSignAgain(f.Bytes)
	}
	e, err := attest.Declaration(f.Bytes)
	if err != nil {
		return nil, fmt.Errorf("neither a decision nor a report, and %w", err)
	}
	return []*attest.Envelope{e}, nil
}

// toSignAgain reads what is signed already, and signs nothing that is wrong.
func toSignAgain(text []byte) ([]*attest.Envelope, error) {
	if _, err := attest.OpenException(text); err == nil {
		return nil, errors.New("an exception: approve it with doorward exception approve")
	}
	list, err := attest.Read(text)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if _, err := e.Signers(nil); err != nil {
			return nil, err
		}
	}
	if !bytes.Equal(attest.Write(list...), text) {
		return nil, errors.New("not as doorward sign writes it: it was changed, or another tool signed it")
	}
	return list, nil
}

// hasSchema says that a file begins like one of Doorward's own of that schema.
func hasSchema(text []byte, schema string) bool {
	head := text[:min(len(text), 4096)]
	return bytes.Contains(head, []byte(`"`+schema+`"`)) && bytes.Contains(head, []byte(`"schema"`)) && !bytes.Contains(head, []byte(`"payloadType"`))
}
