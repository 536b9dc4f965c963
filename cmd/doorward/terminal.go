package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/doorward/doorward/internal/scan"
)

// isTerminal says that w is a terminal of a person.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progress shows on a terminal what is being done; elsewhere it is nil.
func progress(w io.Writer) func(scan.Progress) {
	if !isTerminal(w) {
		return nil
	}
	var mu sync.Mutex
	var last, start time.Time
	return func(p scan.Progress) {
		mu.Lock()
		defer mu.Unlock()
		switch now := time.Now(); {
		case p.Stage == "": // the end of one artifact
			fmt.Fprint(w, "\r\x1b[K")
			start = time.Time{}
		case start.IsZero():
			start = now
		case now.Sub(last) > 100*time.Millisecond && now.Sub(start) > 300*time.Millisecond:
			last = now
			fmt.Fprint(w, "\r\x1b[K"+progressLine(p, now.Sub(start)))
		}
	}
}

// numbered says before each stage which of several products it is of.
func numbered(show func(scan.Progress), prefix string) func(scan.Progress) {
	return func(p scan.Progress) {
		if p.Stage != "" {
			p.Stage = prefix + p.Stage
		}
		show(p)
	}
}

// progressLine says how much is done of what is known to come, how fast, and how
// long the rest takes at that speed.
func progressLine(p scan.Progress, spent time.Duration) string {
	rate := float64(p.Read) / spent.Seconds()
	line := fmt.Sprintf("%s: %d of %d MB, %.0f MB/s", p.Stage, p.Read>>20, p.All>>20, rate/(1<<20))
	if rate > 0 && p.Read < p.All {
		left := time.Duration(float64(p.All-p.Read) / rate * float64(time.Second))
		line += fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	return line
}
