// Command inspect measures `doorward inspect` against binwalk on the same
// files, in one run: wall and processor seconds, resident memory, the ratio.
// It fetches Debian packages for its inputs and runs nothing of them.
//
//	go run ./bench/inspect            # all
//	go run ./bench/inspect -peer=0    # without binwalk
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/doorward/doorward"
)

// bound is what an image may cost (issue "Inspect a product", section 7).
type bound struct {
	wall, cpu float64 // seconds
	memory    int64   // MB resident
}

type cost struct {
	wall, cpu float64
	memory    int64
}

func main() {
	peer := flag.Int("peer", 1, "run binwalk, too (0: no)")
	runs := flag.Int("runs", 3, "runs of doorward; the best counts")
	profile := flag.String("dir", "", "keep the inputs in this folder")
	flag.Parse()
	if err := run(*profile, *peer != 0, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "bench/inspect:", err)
		os.Exit(1)
	}
}

func run(dir string, peer bool, runs int) error {
	if dir == "" {
		tmp, err := os.MkdirTemp("", "doorward-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	}
	tool := filepath.Join(dir, "doorward")
	if err := command("", "go", "build", "-o", tool, "./cmd/doorward"); err != nil {
		return err
	}
	router, err := routerImage(dir)
	if err != nil {
		return err
	}
	nas, err := nasImage(dir)
	if err != nil {
		return err
	}
	fmt.Printf("%-28s %8s %9s %9s %9s  %s\n", "image", "MB", "wall s", "CPU s", "RSS MB", "bound")
	held := true
	for _, in := range []struct {
		name, file string
		bound      bound
	}{
		{"router, xz squashfs", router, bound{5, 5, 512}},
		{"NAS, uImage + gzip cpio", nas, bound{0, 3, 190}},
	} {
		ok, err := measure(dir, tool, in.name, in.file, in.bound, runs, peer)
		if err != nil {
			return err
		}
		held = held && ok
	}
	if !held {
		return fmt.Errorf("a bound does not hold")
	}
	return nil
}

// measure prints a line for doorward, one for the peer, and their ratio.
func measure(dir, tool, name, file string, b bound, runs int, peer bool) (bool, error) {
	info, err := os.Stat(file)
	if err != nil {
		return false, err
	}
	best := cost{wall: 1e9, cpu: 1e9}
	for range runs {
		c, err := timed(dir, tool, "inspect", file, "--format", "json", "-o", filepath.Join(dir, "report.json"), "--fail-on", "never")
		if err != nil {
			return false, err
		}
		best = cost{min(best.wall, c.wall), min(best.cpu, c.cpu), max(best.memory, c.memory)}
	}
	held := best.cpu <= b.cpu && best.memory <= b.memory && (b.wall == 0 || best.wall <= b.wall)
	word := "holds"
	if !held {
		word = "DOES NOT HOLD"
	}
	fmt.Printf("%-28s %8.1f %9.2f %9.2f %9d  %s: CPU %.0f s, %d MB\n", name, float64(info.Size())/1e6, best.wall, best.cpu, best.memory, word, b.cpu, b.memory)
	if err := said(filepath.Join(dir, "report.json")); err != nil {
		return held, err
	}
	if !peer {
		return held, nil
	}
	out := filepath.Join(dir, "peer")
	os.RemoveAll(out)
	if err := os.MkdirAll(out, 0o755); err != nil {
		return held, err
	}
	c, err := timed(out, "binwalk", "-e", "-M", "-q", "--run-as=root", file)
	if err != nil {
		return held, fmt.Errorf("binwalk (Debian's package): %w", err)
	}
	fmt.Printf("%-28s %8s %9.2f %9.2f %9d  binwalk -e -M; doorward takes %.2f of its CPU\n", "", "", c.wall, c.cpu, c.memory, best.cpu/c.cpu)
	return held, os.RemoveAll(out)
}

// said prints what the work was: a fast run that read nothing proves nothing.
func said(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var r doorward.Report
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	fmt.Printf("%-28s %8.1f MB read in %d files, %d components, %d doors, %d bytes unread\n", "", float64(r.Summary.ReadBytes)/1e6, r.Summary.Files, len(r.Components), r.Summary.Doors, r.Summary.UnreadBytes)
	return nil
}

// timed runs a command and returns what it and its children cost. An exit
// status that is a verdict is no failure.
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
		return cost{}, fmt.Errorf("%s %v: %v\n%s", name, args, err, out)
	}
	use := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return cost{wall, cpu.Seconds(), use.Maxrss >> 10}, nil
}

func command(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w\n%s", name, args, err, out)
	}
	return nil
}
