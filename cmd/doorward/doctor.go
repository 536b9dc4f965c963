package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"runtime"

	"github.com/doorward/doorward/internal/firmware"
	"github.com/doorward/doorward/internal/sandbox"
	"github.com/doorward/doorward/internal/scan"
	"github.com/doorward/doorward/internal/unpack/formats"
)

type doctorCmd struct{}

// Help is shown below the flags.
func (doctorCmd) Help() string {
	return `Says what this machine offers, confines itself as an inspection does, and then tries what an inspection must not be able to do.`
}

// Run reports on the machine. It exits with 3 if nothing confines an inspection.
func (doctorCmd) Run(s *streams) error {
	fmt.Fprintf(s.out, "doorward %s, %s, %s/%s, %d threads\n", scan.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	fmt.Fprintf(s.out, "%d formats, %d detectors\n\nisolation of `doorward inspect`:\n", len(formats.All), len(firmware.All))
	program, _ := exec.LookPath("true")
	active := false
	for _, l := range sandbox.Enter(sandbox.Policy{}) {
		word := "not active"
		if l.Active {
			word, active = "active", true
		}
		fmt.Fprintf(s.out, "  %-9s %-10s %s\n%22s%s\n", l.Name, word, l.Doc, "", l.Note)
	}
	fmt.Fprintln(s.out, "\ntried:")
	for _, t := range []struct {
		what string
		try  func() error
	}{
		{"read a file that was not named", readAny},
		{"write a file", func() error { return writeAny() }},
		{"open a socket", openSocket},
		{"start a program", func() error { return exec.Command(program).Run() }},
	} {
		fmt.Fprintf(s.out, "  %-32s %s\n", t.what, outcome(t.try()))
	}
	if !active {
		return status(exitPartly)
	}
	return nil
}

// outcome says what came of something that must be refused. Another failure
// proves nothing.
func outcome(err error) string {
	switch {
	case err == nil:
		return "POSSIBLE"
	case errors.Is(err, fs.ErrPermission):
		return "refused"
	}
	return "could not be tried: " + oneLine(err)
}

func writeAny() error {
	f, err := os.CreateTemp("", "doorward-doctor-")
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(f.Name())
}

// readAny reads the program itself, which is there on every machine.
func readAny() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	f, err := os.Open(self)
	if err != nil {
		return err
	}
	return f.Close()
}

func openSocket() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	return l.Close()
}
