package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/attest"
	"github.com/doorward/doorward/internal/policy"
	"github.com/doorward/doorward/internal/report"
)

type exceptionCmd struct {
	Request exceptionRequestCmd `cmd:"" help:"Ask that findings of a decision pass, for this product, level and policy, until a day."`
	Approve exceptionApproveCmd `cmd:"" help:"Approve an exception that somebody else asks for."`
	List    exceptionListCmd    `cmd:"" help:"List exceptions, and whether they hold."`
}

type exceptionRequestCmd struct {
	Decision string   `help:"The decision, of doorward decide --format json." required:"" placeholder:"FILE"`
	Level    string   `help:"The level, if there are decisions for several." placeholder:"NAME"`
	Finding  []string `help:"What is to pass: the id of a door, or rule:ID for all that a rule finds (may be repeated)." required:"" placeholder:"ID"`
	Reason   string   `help:"Why." required:"" placeholder:"TEXT"`
	Until    string   `help:"The last day on which it holds." required:"" placeholder:"DATE"`
	At       string   `help:"The day from which on it holds (default: today)." placeholder:"DATE"`
	keyFlags
	Output string `help:"Write the request to FILE." short:"o" placeholder:"FILE"`
}

// Run writes a signed request.
func (c *exceptionRequestCmd) Run(ctx context.Context, s *streams) error {
	d, err := readDecision(c.Decision, c.Level)
	if err != nil {
		return err
	}
	x := doorward.Exception{
		Findings: slices.Compact(slices.Sorted(slices.Values(c.Finding))), PolicySHA256: d.PolicySHA256, Level: d.Level,
		Reason: strings.TrimSpace(c.Reason), Until: c.Until, Issued: cmp.Or(c.At, time.Now().Format(time.DateOnly)),
	}
	if err := checkRequest(&x, d); err != nil {
		return err
	}
	key, err := c.private(ctx)
	if err != nil {
		return err
	}
	e, err := attest.Request(x, d.Subjects, key)
	if err != nil {
		return err
	}
	out := outputFlags{Output: c.Output}
	return out.write(s, attest.Write(e))
}

// checkRequest refuses what could never hold.
func checkRequest(x *doorward.Exception, d *doorward.Decision) error {
	for flag, date := range map[string]string{"--until": x.Until, "--at": x.Issued} {
		if _, err := time.Parse(time.DateOnly, date); err != nil {
			return fmt.Errorf("%s %q is no date: write it as 2026-01-31", flag, date)
		}
	}
	if x.Until < x.Issued {
		return fmt.Errorf("--until %s is past: an exception from %s on would never hold", x.Until, x.Issued)
	}
	known := findings(d)
	for _, f := range x.Findings {
		if !slices.Contains(known, f) {
			return fmt.Errorf("the decision does not rest on %s: it rests on %s", f, cmp.Or(strings.Join(known, ", "), "nothing that an exception could cover"))
		}
	}
	return nil
}

// findings lists what an exception to a decision may name: the doors that its
// refusing rules found, and these rules.
func findings(d *doorward.Decision) []string {
	known := map[string]bool{}
	for _, r := range d.Reasons {
		if r.Effect != policy.Refuse || r.Rule == "default" {
			continue
		}
		known["rule:"+r.Rule] = true
		for _, f := range r.Facts {
			if strings.HasPrefix(f, "door-") {
				known[f] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(known))
}

// readDecision reads the decision for a level that stands in a file of doorward
// decide, or in a report.
func readDecision(file, level string) (*doorward.Decision, error) {
	b, err := readText(file)
	if err != nil {
		return nil, fmt.Errorf("the decision can't be read: %w", err)
	}
	var list []*doorward.Decision
	if hasSchema(b, doorward.ReportSchema) {
		r, err := report.ReadJSON(b)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", file, err)
		case r.Decision == nil:
			return nil, fmt.Errorf("%s: the report has no decision: make one with doorward decide", file)
		}
		list = append(list, r.Decision)
	} else if list, err = attest.ReadDecisions(b); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var levels []string
	for _, d := range list {
		if d.Level == level || level == "" && len(list) == 1 {
			return d, nil
		}
		levels = append(levels, d.Level)
	}
	return nil, fmt.Errorf("%s: choose one of its decisions by --level: %s", file, strings.Join(levels, ", "))
}

type exceptionApproveCmd struct {
	File string `arg:"" help:"The request."`
	keyFlags
	Output string `help:"Write the approved exception to FILE (default: where the request is)." short:"o" placeholder:"FILE"`
}

// Run adds the second signature, and says what it is to.
func (c *exceptionApproveCmd) Run(ctx context.Context, s *streams) error {
	text, err := readText(c.File)
	if err != nil {
		return fmt.Errorf("the exception can't be read: %w", err)
	}
	key, err := c.private(ctx)
	if err != nil {
		return err
	}
	e, x, err := attest.Approve(text, key)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	out := outputFlags{Output: cmp.Or(c.Output, c.File)}
	if err := out.write(s, attest.Write(e)); err != nil {
		return err
	}
	if out.Output == "-" {
		return nil
	}
	fmt.Fprintf(s.out, "%s approved: %s may pass at level %s until %s (%s)\n", x.ID,
		printable(strings.Join(x.Findings, ", ")), printable(x.Level), printable(x.Until), printable(x.Reason))
	return nil
}

type exceptionListCmd struct {
	Files  []string `arg:"" name:"file" help:"Exceptions."`
	Policy string   `help:"The policy under which they should hold." placeholder:"FILE"`
	At     string   `help:"The day (default: today)." placeholder:"DATE"`
}

// Run lists the state of each.
func (c *exceptionListCmd) Run(s *streams) error {
	at := cmp.Or(c.At, time.Now().Format(time.DateOnly))
	if _, err := time.Parse(time.DateOnly, at); err != nil {
		return fmt.Errorf("--at %q is no date: write it as 2026-01-31", at)
	}
	var p *policy.Policy
	if c.Policy != "" {
		text, err := readText(c.Policy)
		if err != nil {
			return fmt.Errorf("the policy can't be read: %w", err)
		}
		if p, err = policy.Load(c.Policy, text); err != nil {
			return err
		}
	}
	files, err := readFiles(roleException, c.Files)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for i, f := range files {
		x, err := attest.OpenException(f.Bytes)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Files[i], err)
		}
		state, why := policy.JudgeException(p, x, policy.Date(at))
		describeException(&out, f.Name, x, state, why)
	}
	_, err = s.out.Write(out.Bytes())
	return err
}

func describeException(out *bytes.Buffer, name string, x *doorward.Exception, state, why string) {
	if why != "" {
		state += ": " + why
	}
	fmt.Fprintf(out, "%s (%s)\n  %s\n", x.ID, printable(name), printable(state))
	for _, line := range [][2]string{
		{"covers", strings.Join(x.Findings, ", ")}, {"products", strings.Join(x.Products, ", ")},
		{"level", x.Level}, {"from", x.Issued + " until " + x.Until}, {"reason", x.Reason}, {"policy", x.PolicySHA256},
		{"requested by", x.Requester}, {"approved by", cmp.Or(x.Approver, "nobody")},
	} {
		fmt.Fprintf(out, "  %-13s %s\n", line[0], printable(line[1]))
	}
}
