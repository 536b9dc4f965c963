package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/attest"
	"github.com/doorward/doorward/internal/cache"
	"github.com/doorward/doorward/internal/policy"
	"github.com/doorward/doorward/internal/report"
	"github.com/doorward/doorward/internal/scan"
	"github.com/doorward/doorward/internal/unpack"
)

// outputFlags are common to all commands that report.
type outputFlags struct {
	Format      string `help:"text, json, sarif, html or cyclonedx." enum:"text,json,sarif,html,cyclonedx" default:"text" short:"f"`
	Output      string `help:"Write the report to FILE." short:"o" placeholder:"FILE"`
	FailOn      string `help:"Exit with 1 from this weight of an undeclared door on: critical, high (the default), medium, low or never." enum:"critical,high,medium,low,never," default:""`
	Strict      bool   `help:"Exit with 3 if anything at all is unread."`
	ShowSecrets bool   `help:"Do not mask passwords, keys and tokens."`
	NoTimes     bool   `help:"Leave out how long things took, so that equal input gives equal bytes."`
}

// failOn is the weight that --fail-on names, or its default.
func (o *outputFlags) failOn() doorward.Weight {
	if o.FailOn == "" {
		return doorward.High
	}
	return doorward.Weight(o.FailOn)
}

// limitFlags bound the work on one artifact.
type limitFlags struct {
	LimitBytes int64         `help:"Unpack at most N bytes in all." placeholder:"N"`
	LimitDepth int           `help:"Open at most N objects within objects." placeholder:"N"`
	LimitFiles int64         `help:"Look at no more than N files." placeholder:"N"`
	LimitTime  time.Duration `help:"Stop opening after this time (such as 5m)." placeholder:"TIME"`
	Workers    int           `help:"Use N threads (default: one per core)." placeholder:"N"`
	NoSandbox  bool          `help:"Keep the rights of this process (doorward doctor says what is given up)."`
}

// confine gives up what the command does not need, before it reads anything.
// cacheDir is "" if there is no cache.
func (l limitFlags) confine(s *streams, o outputFlags, d declareFlags, cacheDir string, paths ...string) {
	if !s.confine || l.NoSandbox {
		return
	}
	read := append(append([]string{}, paths...), d.Declared...)
	if d.Marks != "" {
		read = append(read, d.Marks)
	}
	var write []string
	if o.Output != "" && o.Output != "-" {
		write = append(write, filepath.Dir(o.Output))
	}
	if cacheDir != "" {
		write = append(write, cacheDir)
	}
	scan.Confine(read, write)
}

func (l limitFlags) limits() unpack.Limits {
	return unpack.Limits{Bytes: l.LimitBytes, Depth: l.LimitDepth, Files: l.LimitFiles, Time: l.LimitTime}
}

type declareFlags struct {
	Declared        []string `help:"The maker's declaration: CycloneDX or MUD (may be repeated)." placeholder:"FILE"`
	DeclaredVersion string   `help:"'any' takes a declaration for another version of the product too." enum:"same,any" default:"same"`
	At              string   `help:"The day on which expiries are judged (default: today)." placeholder:"DATE"`
	Marks           string   `help:"A reviewer's marks of doors (docs/report.md)." placeholder:"FILE"`
}

type inspectCmd struct {
	Paths   []string `arg:"" name:"path" help:"What to inspect."`
	Each    bool     `help:"The entries of a folder are products of their own."`
	Key     []string `help:"A key or passphrase for encrypted parts: a file with raw bytes, hex digits, PEM or one line of text (may be repeated)." placeholder:"FILE" sep:"none"`
	NoCache bool     `help:"Inspect again what was inspected before, and keep nothing."`
	outputFlags
	declareFlags
	limitFlags
	policyFlags
}

// Help is shown below the flags.
func (inspectCmd) Help() string {
	return `Opens whatever a buyer holds, takes it apart completely, lists every door with its evidence, and says what it could not read. Nothing of it is executed or written to disk.

  doorward inspect router.bin --declared maker.cdx.json
  doorward inspect router.bin --format html -o report.html
  doorward inspect --each images/

The report of a file is kept, without secrets, in the user's cache folder: the same bytes with the same options are not inspected twice.`
}

// Run inspects each path; the exit status is the worst of them.
func (c *inspectCmd) Run(ctx context.Context, s *streams) error {
	paths, err := c.paths()
	if err != nil {
		return err
	}
	opt, err := c.declareFlags.options(s, c.limitFlags, c.NoTimes)
	if err != nil {
		return err
	}
	if len(paths) > 1 && c.Format != "text" && c.Format != "json" {
		return fmt.Errorf("%s holds one product: inspect the %d one by one, or as text or json", c.Format, len(paths))
	}
	rules, err := c.rules(opt.At)
	if err != nil {
		return err
	}
	opt.ShowSecrets = c.ShowSecrets
	if opt.Keys, err = readKeys(c.Key); err != nil {
		return err
	}
	cacheDir := c.openCache(s, &opt)
	c.confine(s, c.outputFlags, c.declareFlags, cacheDir, paths...)
	out, table := new(bytes.Buffer), summary{}
	show := opt.Progress
	for i, path := range paths {
		if show != nil && len(paths) > 1 {
			opt.Progress = numbered(show, fmt.Sprintf("%d/%d %s: ", i+1, len(paths), printable(filepath.Base(path))))
		}
		r, err := scan.Report(ctx, path, opt)
		switch {
		case err != nil && len(paths) == 1:
			return err
		case err != nil:
			fmt.Fprintln(s.err, "doorward:", oneLine(err))
			table.failed(path)
			continue
		}
		code, err := c.status(r, rules)
		if err != nil {
			return err
		}
		if err := c.render(s, out, r); err != nil {
			return err
		}
		table.add(r, code)
	}
	if len(paths) > 1 && c.Format == "text" {
		table.write(out)
	}
	if err := c.write(s, out.Bytes()); err != nil {
		return err
	}
	if table.worst != exitClean {
		return status(table.worst)
	}
	return nil
}

// readKeys reads key files, before the process gives up reading files.
func readKeys(files []string) (keys unpack.Keys, err error) {
	for _, file := range files {
		b, err := readText(file)
		if err != nil {
			return nil, fmt.Errorf("the key can't be read: %w", err)
		}
		k, err := unpack.NewKey(b)
		if err != nil {
			return nil, fmt.Errorf("%s is no key: %w", file, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// rules reads the policy, before the process gives up reading files; nil if
// there is none.
func (c *inspectCmd) rules(at time.Time) (*Inputs, error) {
	switch {
	case c.Policy == "" && len(c.Level) == 0:
		return nil, nil
	case c.Policy == "" || len(c.Level) != 1:
		return nil, fmt.Errorf("a decision needs a policy and one level: --policy FILE --level NAME (doorward decide takes several)")
	}
	in, err := c.policyFlags.read()
	if err != nil {
		return nil, err
	}
	p, err := policy.Load(in.Policy.Name, in.Policy.Bytes)
	if err != nil {
		return nil, err
	}
	if _, err := p.RulesAt(c.Level[0]); err != nil {
		return nil, err
	}
	in.At = at.Format(time.DateOnly)
	declared, err := readDeclarations(c.Declared)
	if err != nil {
		return nil, err
	}
	for _, f := range declared {
		if attest.IsEnvelope(f.Bytes) { // what others declare is in the report
			in.Declarations = append(in.Declarations, f)
		}
	}
	return &in, nil
}

// status decides, if there is a policy, and gives the exit status: with a policy
// that of the decision, and --fail-on acts only if it is given.
func (c *inspectCmd) status(r *doorward.Report, rules *Inputs) (int, error) {
	if rules == nil {
		return scan.Status(r, c.failOn(), c.Strict), nil
	}
	in, text := *rules, new(bytes.Buffer)
	if err := report.WriteJSON(text, r); err != nil {
		return exitFailed, err
	}
	in.Reports = []File{{r.Subject.Name + ".json", text.Bytes()}}
	decisions, err := c.policyFlags.decide(in)
	if err != nil {
		return exitFailed, err
	}
	r.Decision = decisions[0]
	code := exitClean
	if end, ok := decisionStatus(decisions).(status); ok {
		code = int(end)
	}
	if c.FailOn != "" && report.Fails(r, c.failOn()) {
		code = worse(code, exitUndeclared)
	}
	return code, nil
}

// openCache lets the inspection use the user's cache and returns its folder. Who
// has no home, or none to write in, has no cache.
func (c *inspectCmd) openCache(s *streams, opt *scan.Options) string {
	if c.NoCache || c.ShowSecrets {
		return ""
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	dir = filepath.Join(dir, "doorward")
	if opt.Program, err = scan.Program(); err != nil {
		return ""
	}
	opt.Cache, err = cache.Open(dir, func(text string) { fmt.Fprintln(s.err, "doorward:", text) })
	if err != nil {
		return ""
	}
	return dir
}

// worse orders exit statuses: 2 beats 1 beats 3 beats 0.
func worse(a, b int) int {
	rank := [...]int{0, 2, 3, 1}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

func (c *inspectCmd) paths() ([]string, error) {
	if !c.Each {
		return c.Paths, nil
	}
	var list []string
	for _, dir := range c.Paths {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("--each needs a folder: %w", err)
		}
		for _, e := range entries {
			list = append(list, filepath.Join(dir, e.Name()))
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no entries to inspect", c.Paths[0])
	}
	return list, nil
}

// options makes the pipeline's options of the flags.
func (d declareFlags) options(s *streams, l limitFlags, noTimes bool) (scan.Options, error) {
	at := time.Now()
	if d.At != "" {
		var err error
		if at, err = time.Parse(time.DateOnly, d.At); err != nil {
			return scan.Options{}, fmt.Errorf("--at %q is no date: write it as 2026-01-31", d.At)
		}
	}
	return scan.Options{
		Limits: l.limits(), Workers: l.Workers, At: at, NoTimes: noTimes,
		Declared: d.Declared, AnyVersion: d.DeclaredVersion == "any", Marks: d.Marks,
		Progress: progress(s.err),
	}, nil
}

// render writes a report, whose secrets are masked already.
func (o *outputFlags) render(s *streams, w io.Writer, r *doorward.Report) error {
	return report.Write(w, o.Format, r, report.Options{Color: o.Output == "" && isTerminal(s.out)})
}

// write puts the whole report out at once: nothing half-written is left at -o.
func (o *outputFlags) write(s *streams, b []byte) error {
	if o.Output == "" || o.Output == "-" {
		_, err := s.out.Write(b)
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(o.Output), ".doorward-*")
	if err != nil {
		return fmt.Errorf("the report can't be written: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), o.Output)
	}
	if err != nil {
		return fmt.Errorf("the report can't be written to %s: %w", o.Output, err)
	}
	return nil
}
