package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/facts"
	"github.com/doorward/doorward/internal/policy"
	"github.com/doorward/doorward/internal/policy/packs"
	"github.com/doorward/doorward/internal/report"
)

// policyFlags name the rules and what they need besides reports.
type policyFlags struct {
	Policy     string            `help:"The organisation's policy: a file, or pack:NAME (doorward policy packs)." placeholder:"FILE"`
	Level      []string          `help:"The data level to decide for (may be repeated; default: every level of the policy)." placeholder:"NAME"`
	Facts      []string          `help:"Origin facts besides those of the report (may be repeated; docs/origins.md)." placeholder:"FILE"`
	Exceptions []string          `name:"exception" help:"An approved exception (may be repeated)." placeholder:"FILE"`
	Keys       []string          `name:"maker-key" help:"The public key of a maker who signed a declaration (may be repeated)." placeholder:"FILE"`
	Set        map[string]string `help:"What the policy asks of the product or its use and no inspection can find." placeholder:"NAME=VALUE"`
}

// read reads the files that the flags name.
func (f policyFlags) read() (in Inputs, err error) {
	if in.Policy, err = readPolicy(f.Policy); err != nil {
		return in, err
	}
	in.Parameters = f.Set
	if in.Facts, err = readFiles(roleFacts, f.Facts); err != nil {
		return in, err
	}
	if in.Exceptions, err = readFiles(roleException, f.Exceptions); err != nil {
		return in, err
	}
	in.Keys, err = readFiles(roleKey, f.Keys)
	return in, err
}

// files are the paths that the flags name.
func (f policyFlags) files() []string {
	list := slices.Concat(f.Facts, f.Exceptions, f.Keys)
	if f.Policy != "" && !strings.HasPrefix(f.Policy, packs.Prefix) {
		list = append(list, f.Policy)
	}
	return list
}

// readPolicy reads a policy's file, or a pack.
func readPolicy(name string) (File, error) {
	if pack, ok := strings.CutPrefix(name, packs.Prefix); ok {
		text, _, err := packs.Read(pack)
		return File{pack + ".yaml", text}, err
	}
	b, err := readText(name)
	if err != nil {
		return File{}, fmt.Errorf("the policy can't be read: %w", err)
	}
	return File{filepath.Base(name), b}, nil
}

// levels are those to decide for: all of the policy, if none is named.
func (f policyFlags) levels(in Inputs) ([]string, error) {
	if len(f.Level) > 0 {
		return f.Level, nil
	}
	p, err := policy.Load(in.Policy.Name, in.Policy.Bytes)
	if err != nil {
		return nil, err
	}
	return p.Levels, nil
}

// decide decides at each level.
func (f policyFlags) decide(in Inputs) ([]*doorward.Decision, error) {
	levels, err := f.levels(in)
	if err != nil {
		return nil, err
	}
	var out []*doorward.Decision
	for _, level := range levels {
		in.Level = level
		d, err := in.decide()
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

type decideCmd struct {
	Reports []string `arg:"" name:"report" help:"Reports of doorward inspect --format json: all artifacts of one product."`
	policyFlags
	Declared []string `help:"A declaration that its maker signed (may be repeated)." placeholder:"FILE"`
	At       string   `help:"The day on which lists, facts and exceptions are judged (default: today)." placeholder:"DATE"`
	Format   string   `help:"text, json or html." enum:"text,json,html" default:"text" short:"f"`
	Output   string   `help:"Write the decision to FILE." short:"o" placeholder:"FILE"`
}

// Help is shown below the flags.
func (decideCmd) Help() string {
	return `Says by the organisation's own rules at which data levels a product may be used, and why; and for every no or undetermined, the smallest set of facts that would change it.

  doorward decide --policy pack:baseline --level confidential router.json
  doorward decide --policy ours.yaml --level secret --facts research.json firmware.json app.json

What is not known never helps a product. Exit status: 0 admit or conditional, 1 refuse, 3 undetermined; of several levels the worst.`
}

// Run decides.
func (c *decideCmd) Run(s *streams) error {
	if c.Policy == "" {
		return fmt.Errorf("decide needs the organisation's rules: --policy FILE, or --policy pack:baseline to begin with")
	}
	in, err := c.read()
	if err != nil {
		return err
	}
	if in.Reports, err = readFiles(roleReport, c.Reports); err != nil {
		return err
	}
	if in.Declarations, err = readDeclarations(c.Declared); err != nil {
		return err
	}
	if in.At = c.At; in.At == "" {
		in.At = time.Now().Format(time.DateOnly)
	}
	decisions, err := c.decide(in)
	if err != nil {
		return err
	}
	out := new(bytes.Buffer)
	if err := report.WriteDecisions(out, c.Format, decisions, in.about(), report.Options{Color: c.Output == "" && isTerminal(s.out)}); err != nil {
		return err
	}
	to := outputFlags{Output: c.Output}
	if err := to.write(s, out.Bytes()); err != nil {
		return err
	}
	return decisionStatus(decisions)
}

// about is what the facts and doors of decisions are.
func (in Inputs) about() report.About {
	var a report.About
	for _, f := range in.Reports {
		if r, err := report.ReadJSON(f.Bytes); err == nil {
			a.Reports = append(a.Reports, r)
		}
	}
	for _, f := range in.Facts {
		if stated, err := facts.Read(f.Name, f.Bytes); err == nil {
			a.Facts = append(a.Facts, stated.Facts...)
		}
	}
	return a
}

// decisionStatus is the exit status of the worst decision.
func decisionStatus(decisions []*doorward.Decision) error {
	code := exitClean
	for _, d := range decisions {
		switch d.Result {
		case doorward.Refuse:
			code = worse(code, exitUndeclared)
		case doorward.Undetermined:
			code = worse(code, exitPartly)
		}
	}
	if code == exitClean {
		return nil
	}
	return status(code)
}
