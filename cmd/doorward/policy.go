package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/doorward/doorward/internal/policy"
	"github.com/doorward/doorward/internal/policy/packs"
)

// policyCmd groups what is done with policies themselves.
type policyCmd struct {
	Check policyCheckCmd `cmd:"" help:"Say whether a policy can be used; errors name line and column."`
	Test  policyTestCmd  `cmd:"" help:"Decide an organisation's own table of cases and compare with what it expects."`
	Packs policyPacksCmd `cmd:"" help:"List the ready policies."`
	Show  policyShowCmd  `cmd:"" help:"Print a ready policy, as a start for one's own."`
}

type policyCheckCmd struct {
	Policy []string `arg:"" help:"Policy files, or pack:NAME."`
}

// Run checks policies.
func (c *policyCheckCmd) Run(s *streams) error {
	for _, name := range c.Policy {
		f, err := readPolicy(name)
		if err != nil {
			return err
		}
		p, err := policy.Load(f.Name, f.Bytes)
		if err != nil {
			return err
		}
		entries := 0
		for _, l := range p.Lists {
			entries += len(l.Entries)
		}
		fmt.Fprintf(s.out, "%s: policy %s can be used: %d rules, %d lists with %d entries, levels %s\n  SHA-256 %s\n",
			f.Name, p.Name, len(p.Rules), len(p.Lists), entries, strings.Join(p.Levels, " < "), p.SHA256())
	}
	return nil
}

type policyTestCmd struct {
	Policy string `arg:"" help:"The policy: a file, or pack:NAME."`
	Cases  string `arg:"" optional:"" help:"The cases (default: those beside the policy, NAME.cases.yaml)."`
}

// Run decides the cases. It exits with 1 if one is not as expected.
func (c *policyTestCmd) Run(s *streams) error {
	p, cases, err := c.read()
	if err != nil {
		return err
	}
	failed := 0
	for i := range cases.Cases {
		t := &cases.Cases[i]
		if _, wrong := t.Check(p); wrong != "" {
			failed++
			fmt.Fprintf(s.out, "FAIL  %s, level %s: %s\n", t.Name, t.Level, wrong)
		} else {
			fmt.Fprintf(s.out, "ok    %s, level %s: %s\n", t.Name, t.Level, t.Expect)
		}
	}
	fmt.Fprintf(s.out, "%d of %d cases as expected\n", len(cases.Cases)-failed, len(cases.Cases))
	if failed > 0 {
		return status(exitUndeclared)
	}
	return nil
}

func (c *policyTestCmd) read() (*policy.Policy, *policy.Cases, error) {
	f, err := readPolicy(c.Policy)
	if err != nil {
		return nil, nil, err
	}
	p, err := policy.Load(f.Name, f.Bytes)
	if err != nil {
		return nil, nil, err
	}
	name := c.Cases
	var text []byte
	if pack, ok := strings.CutPrefix(c.Policy, packs.Prefix); ok && name == "" {
		if _, text, err = packs.Read(pack); err != nil {
			return nil, nil, err
		}
	} else {
		if name == "" {
			name = strings.TrimSuffix(c.Policy, filepath.Ext(c.Policy)) + ".cases.yaml"
		}
		if text, err = readText(name); err != nil {
			return nil, nil, fmt.Errorf("the cases can't be read: %w", err)
		}
	}
	cases, err := policy.LoadCases(filepath.Base(name), text)
	return p, cases, err
}

type policyPacksCmd struct{}

// Run lists the packs.
func (policyPacksCmd) Run(s *streams) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PACK\tRULES\tOF\tTITLE")
	for _, name := range packs.Names() {
		text, _, err := packs.Read(name)
		if err != nil {
			return err
		}
		p, err := policy.Load(name+".yaml", text)
		if err != nil {
			return err
		}
		date := policy.Date("")
		if p.Source != nil {
			date = p.Source.Date
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", name, len(p.Rules), date, p.Title)
	}
	return w.Flush()
}

type policyShowCmd struct {
	Pack  string `arg:"" help:"The pack's name."`
	Cases bool   `help:"Print its cases instead."`
}

// Run prints a pack.
func (c *policyShowCmd) Run(s *streams) error {
	text, cases, err := packs.Read(strings.TrimPrefix(c.Pack, packs.Prefix))
	if err != nil {
		return err
	}
	if c.Cases {
		text = cases
	}
	_, err = s.out.Write(text)
	return err
}
