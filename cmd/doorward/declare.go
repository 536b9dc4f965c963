package main

import (
	"fmt"
	"os"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/declare"
	"github.com/doorward/doorward/internal/report"
)

type declareCmd struct {
	Report string `arg:"" help:"A report of doorward inspect --format json."`
	Mud    bool   `help:"Draft a MUD file (services and destinations) instead of CycloneDX."`
	Output string `help:"Write the declaration to FILE." short:"o" placeholder:"FILE"`
}

// Help is shown below the flags.
func (declareCmd) Help() string {
	return `Drafts the maker's declaration from a report. Read it before you sign it: it declares every door that was found, wanted or not.`
}

// Run drafts a declaration and says what it could not put into it.
func (c *declareCmd) Run(s *streams) error {
	r, err := readReport(c.Report)
	if err != nil {
		return err
	}
	draft := declare.Draft
	if c.Mud {
		draft = declare.DraftMUD
	}
	text, left := draft(r)
	for _, d := range left {
		fmt.Fprintf(s.err, "doorward: left out: %s %s (%s)\n", d.ID, d.Title, d.Kind)
	}
	out := outputFlags{Output: c.Output}
	return out.write(s, text)
}

// readReport reads a report in JSON, version 1.
func readReport(file string) (*doorward.Report, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the report can't be read: %w", err)
	}
	r, err := report.ReadJSON(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}
