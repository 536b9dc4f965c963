package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/facts"
	"github.com/doorward/doorward/internal/report"
)

type originsCmd struct {
	Show   originsShowCmd   `cmd:"" default:"withargs" help:"List the origin facts of a report (the default)."`
	Import originsImportCmd `cmd:"" help:"Make a file of facts of a public register that you downloaded."`
}

type originsShowCmd struct {
	Report string   `arg:"" help:"A report of doorward inspect --format json."`
	Facts  []string `help:"A file of facts (docs/origins.md) to join with them (may be repeated)." placeholder:"FILE"`
	Format string   `help:"text or json." enum:"text,json" default:"text" short:"f"`
	Output string   `help:"Write to FILE." short:"o" placeholder:"FILE"`
}

// Help is shown below the flags.
func (originsShowCmd) Help() string {
	return `Says of each component who designed, developed, built, signed, maintains, hosts or operates it, where, on what evidence, and what that is worth: inferred, claimed, signed, attested or measured. Facts that contradict each other are all kept, and marked.`
}

// originsJSON is what origins writes as JSON.
type originsJSON struct {
	Schema   string                `json:"schema"`
	Subject  doorward.Subject      `json:"subject"`
	Origins  []doorward.OriginFact `json:"origins"`
	Entities []doorward.Entity     `json:"entities"`
}

// Run lists the facts.
func (c *originsShowCmd) Run(s *streams) error {
	r, err := readReport(c.Report)
	if err != nil {
		return err
	}
	if err := joinFacts(r, c.Facts); err != nil {
		return err
	}
	out := outputFlags{Output: c.Output}
	var b bytes.Buffer
	if c.Format == "json" {
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		err = enc.Encode(originsJSON{"doorward/origins/v1", r.Subject, r.Origins, r.Entities})
	} else {
		err = report.WriteOrigins(&b, r, report.Options{Color: c.Output == "" && isTerminal(s.out), Width: 110})
	}
	if err != nil {
		return err
	}
	return out.write(s, b.Bytes())
}

// joinFacts adds the facts of files to those of a report. Of a registry only
// the entities that the report or another fact names are kept.
func joinFacts(r *doorward.Report, files []string) error {
	var registry []doorward.Entity
	for _, path := range files {
		b, err := readText(path)
		if err != nil {
			return fmt.Errorf("the facts can't be read: %w", err)
		}
		f, err := facts.Read(filepath.Base(path), b)
		if err != nil {
			return err
		}
		r.Origins = append(r.Origins, f.Facts...)
		registry = append(registry, f.Entities...)
	}
	if len(files) == 0 {
		return nil
	}
	if err := facts.CheckOwners(r.Origins); err != nil {
		return err
	}
	r.Entities = facts.Join(facts.Named(r.Origins), registry)
	return nil
}
