package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/facts"
	"github.com/doorward/doorward/internal/registry"
)

type originsImportCmd struct {
	Kind     string   `arg:"" enum:"gleif-lei,gleif-rr,csl" help:"gleif-lei, gleif-rr or csl."`
	File     string   `arg:"" help:"The register's file, compressed with gzip or not."`
	Names    []string `help:"Keep the entities that FILE names, one in a line (may be repeated)." placeholder:"FILE"`
	Report   []string `help:"Keep the entities that a report names (may be repeated)." placeholder:"FILE"`
	Entities []string `help:"gleif-rr: a file of facts of gleif-lei, whose entities' owners are wanted (may be repeated)." placeholder:"FILE"`
	Lei      string   `help:"gleif-rr: the level 1 file, for the names and seats of the owners." placeholder:"FILE"`
	Date     string   `help:"The day of the data (default: the file's)." placeholder:"DATE"`
	Output   string   `help:"Write the facts to FILE." short:"o" placeholder:"FILE"`
}

// Help is shown below the flags.
func (originsImportCmd) Help() string {
	return `Nothing is downloaded: bring the file. gleif-lei reads the golden copy of LEI-CDF level 1 (CSV, JSON or XML) for names and seats, gleif-rr that of RR-CDF (CSV) for ultimate parents, csl the consolidated screening list of the United States (CSV or JSON).

  doorward origins import gleif-lei lei2.csv --report report.json -o lei.json
  doorward origins import gleif-rr rr.csv --entities lei.json --lei lei2.csv -o owners.json
  doorward decide report.json --facts lei.json --facts owners.json ...`
}

// Run imports a file.
func (c *originsImportCmd) Run(s *streams) error {
	wanted, err := c.wanted()
	if err != nil {
		return err
	}
	date, err := c.date()
	if err != nil {
		return err
	}
	r, err := openRegister(c.File)
	if err != nil {
		return err
	}
	defer r.Close()
	var f *facts.File
	switch c.Kind {
	case "gleif-lei":
		f, err = registry.LEI(r, date, wanted)
	case "csl":
		f, err = registry.CSL(r, date, wanted)
	default:
		f, err = c.owners(r, date)
	}
	if err == nil {
		err = f.Check()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(c.File), err)
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		return err
	}
	if c.Output != "" {
		fmt.Fprintf(s.err, "doorward: %d entities and %d facts\n", len(f.Entities), len(f.Facts))
	}
	out := outputFlags{Output: c.Output}
	return out.write(s, b.Bytes())
}

func (c *originsImportCmd) owners(r io.Reader, date string) (*facts.File, error) {
	var known []doorward.Entity
	for _, path := range c.Entities {
		b, err := readText(path)
		if err != nil {
			return nil, err
		}
		f, err := facts.Read(filepath.Base(path), b)
		if err != nil {
			return nil, err
		}
		known = append(known, f.Entities...)
	}
	var lei func() (io.ReadCloser, error)
	if c.Lei != "" {
		lei = func() (io.ReadCloser, error) { return openRegister(c.Lei) }
	}
	return registry.RR(r, date, known, lei)
}

// wanted are the names of --names and --report; nil without either.
func (c *originsImportCmd) wanted() (registry.Wanted, error) {
	if len(c.Names) == 0 && len(c.Report) == 0 {
		return nil, nil
	}
	var names []string
	for _, path := range c.Names {
		b, err := readText(path)
		if err != nil {
			return nil, fmt.Errorf("the names can't be read: %w", err)
		}
		names = append(names, strings.Split(string(b), "\n")...)
	}
	for _, path := range c.Report {
		r, err := readReport(path)
		if err != nil {
			return nil, err
		}
		for _, e := range r.Entities {
			names = append(names, e.Names()...)
		}
	}
	return registry.WantedNames(names...), nil
}

// date is the day of the data: as given, else of the file.
func (c *originsImportCmd) date() (string, error) {
	if c.Date != "" {
		if _, err := time.Parse(time.DateOnly, c.Date); err != nil {
			return "", fmt.Errorf("--date %q is no date: write it as 2026-01-31", c.Date)
		}
		return c.Date, nil
	}
	info, err := os.Stat(c.File)
	if err != nil {
		return "", fmt.Errorf("the register can't be read: %w", err)
	}
	return info.ModTime().UTC().Format(time.DateOnly), nil
}

// register is an open file, decompressed if it is compressed.
type register struct {
	io.Reader
	file *os.File
}

// Close closes the file.
func (r *register) Close() error { return r.file.Close() }

func openRegister(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the register can't be read: %w", err)
	}
	head := make([]byte, 2)
	n, _ := io.ReadFull(f, head)
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	switch string(head[:n]) {
	case "\x1f\x8b":
		z, err := gzip.NewReader(f)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
		return &register{z, f}, nil
	case "PK":
		f.Close()
		return nil, fmt.Errorf("%s is a ZIP archive: unpack it, and give the file in it", filepath.Base(path))
	}
	return &register{f, f}, nil
}
