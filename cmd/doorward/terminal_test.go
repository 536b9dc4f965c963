package main

import (
	"testing"
	"time"

	"github.com/doorward/doorward/internal/scan"
)

func TestProgressLine(t *testing.T) {
	for want, p := range map[string]scan.Progress{
		"opening: 20 of 60 MB, 10 MB/s, 4s left":      {Stage: "opening", Read: 20 << 20, All: 60 << 20},
		"reading: 0 of 60 MB, 0 MB/s":                 {Stage: "reading", All: 60 << 20},
		"looking for doors in: 60 of 60 MB, 30 MB/s":  {Stage: "looking for doors in", Read: 60 << 20, All: 60 << 20},
		"opening: 1024 of 4096 MB, 512 MB/s, 6s left": {Stage: "opening", Read: 1 << 30, All: 4 << 30},
	} {
		if got := progressLine(p, 2*time.Second); got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
}
