package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
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
func progress(w io.Writer) func(stage string, read int64) {
	if !isTerminal(w) {
		return nil
	}
	var mu sync.Mutex
	var last time.Time
	start := time.Now()
	return func(stage string, read int64) {
		mu.Lock()
		defer mu.Unlock()
		if stage == "" {
			fmt.Fprint(w, "\r\x1b[K")
			return
		}
		if time.Since(last) < 100*time.Millisecond || time.Since(start) < 300*time.Millisecond {
			return
		}
		last = time.Now()
		fmt.Fprintf(w, "\r\x1b[K%s: %d MB in %.0f s", stage, read>>20, time.Since(start).Seconds())
	}
}
