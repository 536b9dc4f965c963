// Command fuzz runs every fuzz target of the module for some minutes each, or
// until each has taken a number of inputs, and prints how many each one took and
// which fell short. What it finds stays in the package's testdata/fuzz as a seed.
//
//	go run ./bench/fuzz -minutes 1 -match Squashfs
//	go run ./bench/fuzz -inputs 100000 -minutes 10
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	o := options{}
	minutes := flag.Float64("minutes", 1, "minutes for each target; with -inputs, at most")
	flag.Int64Var(&o.inputs, "inputs", 0, "inputs for each target (100000 is what a reader should stand)")
	match := flag.String("match", ".", "regular expression of target names")
	flag.IntVar(&o.workers, "parallel", 2, "fuzzing processes")
	flag.Parse()
	o.limit = time.Duration(*minutes * float64(time.Minute))
	if err := run(o, *match); err != nil {
		fmt.Fprintln(os.Stderr, "bench/fuzz:", err)
		os.Exit(1)
	}
}

type options struct {
	limit   time.Duration // for each target
	inputs  int64         // to stop at; 0 if there is no such number
	workers int
}

type target struct{ pkg, name string }

func run(o options, match string) error {
	wanted, err := regexp.Compile(match)
	if err != nil {
		return err
	}
	targets, err := list()
	if err != nil {
		return err
	}
	var failed, short []string
	for _, t := range targets {
		if !wanted.MatchString(t.name) {
			continue
		}
		start := time.Now()
		execs, err := fuzz(t, o)
		word := "ok"
		switch {
		case err != nil:
			word, failed = "FAILED", append(failed, t.name)
		case execs < o.inputs:
			word, short = "short", append(short, t.name)
		}
		fmt.Printf("%-7s %-28s %12d inputs in %.0f s\n", word, t.name, execs, time.Since(start).Seconds())
		if err != nil {
			fmt.Println(err)
		}
	}
	if len(short) > 0 {
		fmt.Printf("%d targets did not take %d inputs in %v: %s\n", len(short), o.inputs, o.limit, strings.Join(short, " "))
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d targets failed; their inputs are in testdata/fuzz: %s", len(failed), strings.Join(failed, " "))
	}
	return nil
}

var targetRE = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

// list finds the fuzz targets of every package in its tests; building them all
// to ask them would take minutes.
func list() ([]target, error) {
	out, err := exec.Command("go", "list", "-f", `{{$p := .}}{{range .TestGoFiles}}{{$p.ImportPath}} {{$p.Dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$p.ImportPath}} {{$p.Dir}}/{{.}}{{"\n"}}{{end}}`, "./...").Output()
	if err != nil {
		return nil, err
	}
	var targets []target
	for line := range strings.Lines(string(out)) {
		pkg, file, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, m := range targetRE.FindAllSubmatch(b, -1) {
			targets = append(targets, target{pkg, string(m[1])})
		}
	}
	return targets, nil
}

var execsRE = regexp.MustCompile(`execs: (\d+)`)

// fuzz runs a target and returns how many inputs it took.
func fuzz(t target, o options) (execs int64, err error) {
	until := o.limit.String()
	if o.inputs > 0 {
		until = fmt.Sprintf("%dx", o.inputs)
	}
	// Two minutes more, for building and for making the seeds.
	ctx, cancel := context.WithTimeout(context.Background(), o.limit+2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", until, "-fuzzminimizetime", "1x", "-parallel", fmt.Sprint(o.workers), t.pkg)
	// All of its processes end together.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	for _, m := range execsRE.FindAllSubmatch(out, -1) {
		execs, _ = strconv.ParseInt(string(m[1]), 10, 64)
	}
	if err != nil && ctx.Err() != nil && !bytes.Contains(out, []byte("--- FAIL")) {
		return execs, nil // the time was over
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return execs, err
}
