package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/doorward/doorward"
)

type cost struct {
	wall, cpu float64 // seconds
	memory    int64   // MB resident, of the largest process
}

// bound prints a figure and whether it is as small as it must be.
func (b *bench) bound(what string, got, most float64) {
	word := "holds"
	if got > most {
		word = "DOES NOT HOLD"
		b.failed++
	}
	fmt.Printf("    %.2f %s; bound %.2f: %s\n", got, what, most, word)
}

// inspect measures doorward, and says what the work was: a fast run that read
// nothing proves nothing.
func (b *bench) inspect(name, file string, flags ...string) (cost, error) {
	report := filepath.Join(b.tmp, "report.json")
	args := append([]string{"inspect", file, "--format", "json", "-o", report, "--fail-on", "never"}, flags...)
	c, err := b.best(name, b.tool, args...)
	if err != nil {
		return c, err
	}
	text, err := os.ReadFile(report)
	if err != nil {
		return c, err
	}
	var r doorward.Report
	if err := json.Unmarshal(text, &r); err != nil {
		return c, err
	}
	fmt.Printf("    %.0f MB read in %d files, %d components, %d doors, %d bytes unread\n", float64(r.Summary.ReadBytes)/1e6, r.Summary.Files, len(r.Components), r.Summary.Doors, r.Summary.UnreadBytes)
	return c, nil
}

// best is the least that a command and its children cost in several runs.
func (b *bench) best(name, program string, args ...string) (cost, error) {
	best := cost{wall: 1e9, cpu: 1e9}
	for range b.runs {
		dir, err := os.MkdirTemp(b.tmp, "run-")
		if err != nil {
			return best, err
		}
		c, err := timed(dir, program, args...)
		os.RemoveAll(dir)
		if err != nil {
			return best, err
		}
		best = cost{min(best.wall, c.wall), min(best.cpu, c.cpu), max(best.memory, c.memory)}
	}
	fmt.Printf("%-34s %8.2f %8.2f %8d\n", name, best.cpu, best.wall, best.memory)
	return best, nil
}

// timed runs a command in a folder. An exit status that is a verdict is no
// failure.
func timed(dir, name string, args ...string) (cost, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	start := time.Now()
	out, err := cmd.CombinedOutput()
	wall := time.Since(start).Seconds()
	if cmd.ProcessState == nil {
		return cost{}, err
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 && code != 3 {
		return cost{}, fmt.Errorf("%s: %v\n%.2000s", name, err, out)
	}
	use := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return cost{wall, cpu.Seconds(), use.Maxrss >> 10}, nil
}

// hashing is the CPU that the digest of a file costs this process, in seconds.
func hashing(file string) (float64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	spent := func() float64 {
		var use syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
			return 0
		}
		return time.Duration(use.Utime.Nano() + use.Stime.Nano()).Seconds()
	}
	before := spent()
	if _, err := io.CopyBuffer(struct{ io.Writer }{sha256.New()}, struct{ io.Reader }{f}, make([]byte, 1<<20)); err != nil {
		return 0, err
	}
	return spent() - before, nil
}

func command(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w\n%s", name, args, err, out)
	}
	return nil
}
