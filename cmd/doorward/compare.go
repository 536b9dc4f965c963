package main

import (
	"bytes"
	"context"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/compare"
	"github.com/doorward/doorward/internal/report"
	"github.com/doorward/doorward/internal/scan"
)

type compareCmd struct {
	Reference string `arg:"" help:"What is known: an artifact, or its report in JSON."`
	Received  string `arg:"" help:"What was received: an artifact, or its report in JSON."`
	outputFlags
	declareFlags
	limitFlags
}

// Help is shown below the flags.
func (compareCmd) Help() string {
	return `Says which doors, components and files were added, removed or changed between two artifacts. Exits with 1 if an undeclared door at or above --fail-on was added or became worse.`
}

// Run compares. Two reports have no lists of files; then files are left out.
func (c *compareCmd) Run(ctx context.Context, s *streams) error {
	opt, err := c.declareFlags.options(s, c.limitFlags, c.NoTimes)
	if err != nil {
		return err
	}
	c.confine(s, c.outputFlags, c.declareFlags, "", c.Reference, c.Received)
	reference, oldFiles, err := c.side(ctx, c.Reference, opt)
	if err != nil {
		return err
	}
	received, newFiles, err := c.side(ctx, c.Received, opt)
	if err != nil {
		return err
	}
	var files []doorward.FileChange
	if oldFiles != nil && newFiles != nil {
		files = compare.Files(oldFiles, newFiles)
	}
	result := compare.Reports(reference, received, files)
	out := new(bytes.Buffer)
	if err := report.WriteComparison(out, c.Format, result, report.Options{Color: c.Output == "" && isTerminal(s.out)}); err != nil {
		return err
	}
	if err := c.write(s, out.Bytes()); err != nil {
		return err
	}
	switch {
	case compare.Fails(result, c.failOn()):
		return status(exitUndeclared)
	case scan.Partly(reference, c.Strict) || scan.Partly(received, c.Strict):
		return status(exitPartly)
	}
	return nil
}

// side inspects an artifact or reads its report.
func (c *compareCmd) side(ctx context.Context, path string, opt scan.Options) (*doorward.Report, []compare.File, error) {
	if strings.HasSuffix(path, ".json") {
		if b, err := readText(path); err == nil && bytes.Contains(b[:min(len(b), 4096)], []byte(doorward.ReportSchema)) {
			r, err := readReport(path)
			return r, nil, err
		}
	}
	p, closer, err := scan.Open(ctx, path, opt)
	if err != nil {
		return nil, nil, err
	}
	defer closer()
	r, err := scan.Inspect(ctx, p, opt)
	if err != nil {
		return nil, nil, err
	}
	if !c.ShowSecrets {
		report.Mask(r)
	}
	return r, scan.Files(p), nil
}
