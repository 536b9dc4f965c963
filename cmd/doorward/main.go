// Command doorward lists every door that a product has, tells which ones its
// maker did not declare, and decides who may use the product.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"
)

// softMemory is from where on garbage is collected early rather than more memory
// taken. It is no limit: what is needed is taken.
const softMemory = 448 << 20

// heapRange is more than the heap grows to as long as softMemory suffices.
const heapRange = 512 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softMemory)
	}
	largePages(heapRange)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], &streams{out: os.Stdout, err: os.Stderr, confine: true}))
}

// Exit statuses (DESIGN 4.1).
const (
	exitClean      = 0 // nothing undeclared at or above --fail-on
	exitUndeclared = 1
	exitFailed     = 2 // could not run
	exitPartly     = 3 // read only in part
)

// cli is the command line; each command stands in a file of its own.
type cli struct {
	Inspect   inspectCmd   `cmd:"" help:"List the doors of a firmware image, package, container image, program or folder."`
	Compare   compareCmd   `cmd:"" help:"Say what doors, components and files differ between two artifacts."`
	Declare   declareCmd   `cmd:"" help:"Draft the maker's declaration from a report."`
	Origins   originsCmd   `cmd:"" help:"List who is behind a product and its components, and where."`
	Sign      signCmd      `cmd:"" help:"Sign a decision, a report or a declaration."`
	Verify    verifyCmd    `cmd:"" help:"Check offline what was signed, and make the decision again of its files."`
	Exception exceptionCmd `cmd:"" help:"Ask for exceptions to a policy, approve them, list them."`
	Key       keyCmd       `cmd:"" help:"Make keys to sign with, show whose they are."`
	Decide    decideCmd    `cmd:"" help:"Say by an organisation's rules at which data levels a product may be used."`
	Policy    policyCmd    `cmd:"" help:"Check, test, list and show policies."`
	Doctor    doctorCmd    `cmd:"" help:"Say what this machine offers, and how an inspection is confined."`
	Detectors detectorsCmd `cmd:"" help:"List every detector, what it looks for and what it needs."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

const about = `Doorward lists every door (way in, way out) that a product has, and tells which ones its maker did not declare.

Exit status: 0 nothing undeclared at or above --fail-on; 1 an undeclared door at or above it; 2 could not run; 3 read only in part.`

// streams are what a command writes to, and what it may do to its process.
type streams struct {
	out, err io.Writer
	confine  bool // a process of its own: it may give up its rights
}

// status ends a command with an exit status that is not an error.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// run is the whole program, as a function of its arguments and streams.
func run(ctx context.Context, args []string, s *streams) (code int) {
	var c cli
	exited := -1
	parser, err := kong.New(&c, kong.Name("doorward"), kong.Description(about),
		kong.Writers(s.out, s.err), kong.Exit(func(n int) { exited = n }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}))
	if err != nil {
		fmt.Fprintln(s.err, "doorward:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintf(s.err, "doorward: %s (doorward --help lists what there is)\n", oneLine(err))
		return exitFailed
	}
	k.BindTo(ctx, (*context.Context)(nil))
	err = k.Run(s)
	var end status
	switch {
	case err == nil:
		return exitClean
	case errors.As(err, &end):
		return int(end)
	}
	fmt.Fprintln(s.err, "doorward:", oneLine(err))
	return exitFailed
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
