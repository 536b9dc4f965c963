package main

import (
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/firmware"
	"github.com/doorward/doorward/internal/origin"
	"github.com/doorward/doorward/internal/scan"
)

type detectorsCmd struct{}

// Run lists the detectors.
func (detectorsCmd) Run(s *streams) error {
	for _, d := range firmware.All {
		var kinds []string
		for _, k := range d.Kinds {
			kinds = append(kinds, string(k))
		}
		fmt.Fprintf(s.out, "%s (%s)\n  %s\n", d.Name, strings.Join(kinds, ", "), strings.TrimSpace(d.Doc))
		if len(d.Requires) > 0 {
			fmt.Fprintf(s.out, "  needs: %s\n", strings.Join(d.Requires, ", "))
		}
	}
	for _, g := range origin.All {
		fmt.Fprintf(s.out, "%s (origin)\n  %s\n", g.Name, strings.TrimSpace(g.Doc))
	}
	return nil
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(s *streams) error {
	_, err := fmt.Fprintln(s.out, "doorward", scan.Version)
	return err
}
