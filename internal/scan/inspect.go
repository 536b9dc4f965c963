// Package scan holds the pipelines, and is the only place that knows all
// stages: it opens an artifact, looks for doors and components, settles what
// was found, holds it against the declarations and makes the report.
package scan

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/attest"
	"github.com/doorward/doorward/internal/cache"
	"github.com/doorward/doorward/internal/declare"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/firmware"
	"github.com/doorward/doorward/internal/inventory"
	"github.com/doorward/doorward/internal/origin"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/reconcile"
	"github.com/doorward/doorward/internal/report"
	"github.com/doorward/doorward/internal/settle"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/formats"
)

// Version is the version of the tool.
var Version = "0.1.0"

// Options of an inspection.
type Options struct {
	Limits     unpack.Limits
	Workers    int
	At         time.Time   // the clock of `until` dates; recorded in the report
	NoTimes    bool        // leave out how long things took
	Declared   []string    // files with declarations
	AnyVersion bool        // a declaration for another version declares, too
	Marks      string      // file with a reviewer's marks
	Keys       unpack.Keys // for encrypted parts; they go nowhere else
	Progress   func(Progress)

	ShowSecrets bool         // Report leaves secrets as they are
	Cache       *cache.Cache // of Report; nil for none
	Program     string       // what the cache takes for the version: see Program
	digest      string       // of the artifact, if it is known
}

// Progress is how far an inspection is. It is empty when it ends.
type Progress struct {
	Stage     string // "reading"
	Read, All int64  // bytes so far, and as many as are known to come
}

// Open opens the artifact at a path of this machine, a file or a folder.
func Open(ctx context.Context, path string, opt Options) (*product.Product, func() error, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, fmt.Errorf("%s can't be opened: %w", path, cause(err))
	}
	name := filepath.Base(path)
	uo := unpack.Options{Readers: formats.All, Limits: opt.Limits, Keys: opt.Keys, Workers: opt.Workers, SHA256: opt.digest}
	if opt.Progress != nil {
		uo.Progress = func(read, all int64) { opt.Progress(Progress{"opening", read, all}) }
	}
	switch {
	case info.IsDir():
		if abs, err := filepath.Abs(path); err == nil {
			name = filepath.Base(abs)
		}
		object, closer, err := unpack.Folder(ctx, path, unpack.NewBudget(opt.Limits))
		if err != nil {
			return nil, nil, fmt.Errorf("%s can't be read: %w", path, cause(err))
		}
		p, err := product.OpenTree(ctx, name, object, patterns(), uo)
		return p, closer.Close, err
	case info.Mode().IsRegular():
		data, closer, err := unpack.File(path)
		if err != nil {
			return nil, nil, fmt.Errorf("%s can't be opened: %w", path, cause(err))
		}
		p, err := product.Open(ctx, name, data, patterns(), uo)
		return p, closer.Close, err
	}
	return nil, nil, fmt.Errorf("%s is neither a file nor a folder (%v): give a firmware image, a package, a program or a folder", path, info.Mode().Type())
}

// cause strips the operation and path that os errors repeat.
func cause(err error) error {
	if pe, ok := err.(*os.PathError); ok {
		return pe.Err
	}
	return err
}

// patterns are the byte patterns of all detectors.
func patterns() []string {
	list := append(inventory.Patterns(), mtdparts)
	list = append(list, origin.Patterns()...)
	for _, d := range firmware.All {
		list = append(list, d.Patterns...)
	}
	return list
}

// Inspect looks for the doors of an opened product and reports them.
func Inspect(ctx context.Context, p *product.Product, opt Options) (*doorward.Report, error) {
	declarations, err := readDeclarations(opt.Declared)
	if err != nil {
		return nil, err
	}
	if opt.Workers <= 0 {
		opt.Workers = runtime.GOMAXPROCS(0)
	}
	if opt.Progress != nil {
		opt.Progress(Progress{"looking for doors in", p.Size, p.Size})
	}
	start := time.Now()
	found := detect.Run(ctx, firmware.All, p, opt.Workers)
	names := nameFlash(p)
	r := &doorward.Report{
		Schema:     doorward.ReportSchema,
		Tool:       doorward.Tool{Version: Version, Detectors: found.Runs},
		Subject:    subject(p),
		Doors:      settle.Doors(found.Doors),
		Components: append(inventory.Components(p), found.Components...),
		Origins:    found.Origins,
		Unread:     append(unread(p, names), found.Unread...),
		Layout:     layout(p, names),
		Date:       opt.At.Format(time.DateOnly),

		Alterations: inventory.Alterations(p),
	}
	citeAlterations(r)
	for i := range r.Doors {
		if d := &r.Doors[i]; d.Component == "" && len(d.Where) > 0 {
			d.Component = inventory.OwnerAt(p, d.Where[0])
		}
	}
	versions := identify(p, &r.Subject)
	opts := reconcile.Options{At: r.Date, AnyVersion: opt.AnyVersion, Versions: versions, Components: r.Components}
	r.Doors, r.Declarations = reconcile.Status(r.Doors, declarations, r.Subject, opts)
	origins(ctx, p, r, found.Origins, slices.DeleteFunc(declarations, func(d *doorward.Declaration) bool { return !reconcile.Binds(d, r.Subject, opts) }))
	if err := applyMarks(r, opt.Marks); err != nil {
		return nil, err
	}
	report.Summarise(r)
	count(p, &r.Summary)
	r.Coverage = found.Coverage(r.Doors)
	r.Tool.Seconds = time.Since(start).Seconds()
	if opt.NoTimes {
		report.DropTimes(r)
	}
	return r, nil
}

func readDeclarations(files []string) ([]*doorward.Declaration, error) {
	var list []*doorward.Declaration
	for _, file := range files {
		name := filepath.Base(file)
		if info, err := os.Stat(file); err == nil && info.Size() > declare.MaxSize {
			return nil, declare.TooLarge(name)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("the declaration %s can't be read: %w", file, cause(err))
		}
		if attest.IsEnvelope(text) { // signed: whom to trust is a matter of policy
			signed, err := attest.OpenDeclaration(text, nil)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			text = signed.Text
		}
		d, err := declare.Read(name, text)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

func applyMarks(r *doorward.Report, file string) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("the marks %s can't be read: %w", file, cause(err))
	}
	marks, err := report.ReadMarks(file, text)
	if err != nil {
		return err
	}
	marks.Apply(r)
	return nil
}
