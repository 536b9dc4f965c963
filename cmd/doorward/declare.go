package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/attest"
	"github.com/doorward/doorward/internal/declare"
	"github.com/doorward/doorward/internal/reconcile"
	"github.com/doorward/doorward/internal/report"
)

type declareCmd struct {
	Report string `arg:"" help:"A report of doorward inspect --format json."`
	Update string `help:"Keep what this declaration says, and add what it does not declare yet." placeholder:"OLD"`
	Mud    bool   `help:"Draft a MUD file (services and destinations) instead of CycloneDX."`
	Output string `help:"Write the declaration to FILE." short:"o" placeholder:"FILE"`
}

// Help is shown below the flags.
func (declareCmd) Help() string {
	return `Drafts the maker's declaration from a report: a line for every door that was found, wanted or not. A line declares nothing until its purpose is stated.

  doorward declare router.json -o router.cdx.json
  doorward declare router-2.json --update router.cdx.json -o router-2.cdx.json`
}

// Run drafts a declaration and says what it could not put into it.
func (c *declareCmd) Run(s *streams) error {
	r, err := readReport(c.Report)
	if err != nil {
		return err
	}
	if c.Update != "" {
		return c.update(s, r)
	}
	draft := declare.Draft
	if c.Mud {
		draft = declare.DraftMUD
	}
	text, left := draft(r)
	leftOut(s, left)
	out := outputFlags{Output: c.Output}
	return out.write(s, text)
}

func leftOut(s *streams, left []doorward.Door) {
	for _, d := range left {
		fmt.Fprintf(s.err, "doorward: left out: %s %s (%s)\n", d.ID, printable(d.Title), d.Kind)
	}
}

// update adds to a declaration what it does not declare, and says what of it
// the product no longer has.
func (c *declareCmd) update(s *streams, r *doorward.Report) error {
	if c.Mud {
		return errors.New("a MUD file can't be updated: draft it anew")
	}
	text, err := readText(c.Update)
	if err != nil {
		return fmt.Errorf("the declaration can't be read: %w", err)
	}
	name := filepath.Base(c.Update)
	if attest.IsEnvelope(text) {
		return fmt.Errorf("%s is signed: update the document in it, and sign that again", name)
	}
	old, err := declare.Read(name, text)
	if err != nil {
		return err
	}
	doors, uses := reconcile.Status(r.Doors, []*doorward.Declaration{old}, r.Subject, reconcile.Options{AnyVersion: true, Drafted: true, Components: r.Components})
	doors = slices.DeleteFunc(doors, func(d doorward.Door) bool { return d.Status == doorward.Declared })
	document, added, left, err := declare.Update(name, text, doors, r.Subject, !ofVersion(old, r.Subject.Version))
	if err != nil {
		return err
	}
	out := outputFlags{Output: c.Output}
	if err := out.write(s, document); err != nil {
		return err
	}
	leftOut(s, left)
	for i, claim := range old.Claims {
		if claim.Says == doorward.SaysDoor && uses[i].Matched == 0 {
			fmt.Fprintf(s.err, "doorward: matches nothing any more: %s %s\n", printable(claim.Pointer), strings.ReplaceAll(printable(claim.Text), `\"`, `"`))
		}
	}
	if added > 0 {
		fmt.Fprintf(s.err, "doorward: %d drafted: they declare nothing until their purposes are stated\n", added)
	}
	return nil
}

// ofVersion says that a declaration is of that version, as far as the artifact
// tells it.
func ofVersion(d *doorward.Declaration, version string) bool {
	return version == "" || slices.ContainsFunc(d.Subject.Versions, func(v string) bool { return reconcile.SameVersion(v, version) })
}

// readReport reads a report in JSON, version 1.
func readReport(file string) (*doorward.Report, error) {
	b, err := readText(file)
	if err != nil {
		return nil, fmt.Errorf("the report can't be read: %w", err)
	}
	r, err := report.ReadJSON(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}
