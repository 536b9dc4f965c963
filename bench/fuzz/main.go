// Command fuzz runs every fuzz target of the module for some minutes each, and
// prints how many inputs each one took. What it finds stays in the package's
// testdata/fuzz as a seed.
//
//	go run ./bench/fuzz -minutes 1 -match Squashfs
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

func main() {
	minutes := flag.Float64("minutes", 1, "minutes for each target")
	match := flag.String("match", ".", "regular expression of target names")
	workers := flag.Int("parallel", 2, "fuzzing processes")
	flag.Parse()
	if err := run(*minutes, *match, *workers); err != nil {
		fmt.Fprintln(os.Stderr, "bench/fuzz:", err)
		os.Exit(1)
	}
}

type target struct{ pkg, name string }

func run(minutes float64, match string, workers int) error {
	wanted, err := regexp.Compile(match)
	if err != nil {
		return err
	}
	targets, err := list()
	if err != nil {
		return err
	}
	failed := 0
	for _, t := range targets {
		if !wanted.MatchString(t.name) {
			continue
		}
		execs, err := fuzz(t, time.Duration(minutes*float64(time.Minute)), workers)
		word := "ok"
		if err != nil {
			word = "FAILED"
			failed++
		}
		fmt.Printf("%-7s %-28s %12s inputs\n", word, t.name, execs)
		if err != nil {
			fmt.Println(err)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d targets failed; their inputs are in testdata/fuzz", failed)
	}
	return nil
}

// list asks go test for the fuzz targets of every package.
func list() ([]target, error) {
	out, err := exec.Command("go", "list", "./...").Output()
	if err != nil {
		return nil, err
	}
	var targets []target
	for pkg := range strings.FieldsSeq(string(out)) {
		names, err := exec.Command("go", "test", "-list", "^Fuzz", pkg).Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pkg, err)
		}
		for line := range strings.Lines(string(names)) {
			if strings.HasPrefix(line, "Fuzz") {
				targets = append(targets, target{pkg, strings.TrimSpace(line)})
			}
		}
	}
	return targets, nil
}

var execsRE = regexp.MustCompile(`execs: (\d+)`)

func fuzz(t target, d time.Duration, workers int) (string, error) {
	cmd := exec.Command("go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", d.String(), "-fuzzminimizetime", "5x", "-parallel", fmt.Sprint(workers), t.pkg)
	out, err := cmd.CombinedOutput()
	execs := "0"
	scanner := bufio.NewScanner(bytes.NewReader(out))
	for scanner.Scan() {
		if m := execsRE.FindStringSubmatch(scanner.Text()); m != nil {
			execs = m[1]
		}
	}
	if err != nil {
		return execs, fmt.Errorf("%w\n%s", err, out)
	}
	return execs, nil
}
