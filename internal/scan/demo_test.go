package scan

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward"
)

// demo is testdata/demo/doors.json: what stands in the demo product, written by
// hand by whoever planted it, before any detector had seen it.
type demo struct {
	Images  map[string]struct{ Doors []expected }
	Allowed []expected
}

type expected struct {
	N       int
	Kind    string
	Kinds   []string
	Match   map[string]any
	Path    string
	Paths   []string
	Status  string
	Weights []string
	Why     string
	Many    bool
}

func (e expected) fits(d doorward.Door) bool {
	if e.Kind != "*" && string(d.Kind) != e.Kind && !slices.Contains(e.Kinds, string(d.Kind)) {
		return false
	}
	if len(e.Kinds) == 0 {
		for key, want := range e.Match {
			got := d.Detail.Text(key)
			switch want := fmt.Sprint(want); {
			case key == "condition" && strings.Contains(got, want):
			case key == "made_by" && got != "" && strings.HasSuffix(want, got):
			case got != want:
				return false
			}
		}
	}
	return e.inPlace(d) && (e.Status == "" || e.N > 0 || string(d.Status) == e.Status)
}

func (e expected) inPlace(d doorward.Door) bool {
	paths := e.Paths
	if e.Path != "" {
		paths = []string{e.Path}
	}
	if len(paths) == 0 {
		return true
	}
	for _, w := range d.Where {
		if last := w.Path[len(w.Path)-1]; slices.Contains(paths, last) {
			return true
		}
	}
	return false
}

func inspectFile(t *testing.T, path string, declared ...string) *doorward.Report {
	t.Helper()
	opt := Options{Declared: declared, NoTimes: true, At: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	p, closer, err := Open(context.Background(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer closer()
	r, err := Inspect(context.Background(), p, opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range r.Tool.Detectors {
		if d.Status != "ran" {
			t.Errorf("detector %s: %s %s", d.Name, d.Status, d.Error)
		}
	}
	return r
}

// TestDemo says that every planted door is reported once, with the right status
// and weight, and nothing else at or above medium.
func TestDemo(t *testing.T) {
	dir := "../../testdata/demo"
	b, err := os.ReadFile(filepath.Join(dir, "doors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want demo
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	for name, image := range want.Images {
		t.Run(name, func(t *testing.T) {
			r := inspectFile(t, filepath.Join(dir, name), filepath.Join(dir, "camera.cdx.json"))
			checkDoors(t, r, image.Doors, want.Allowed)
		})
	}
}

func checkDoors(t *testing.T, r *doorward.Report, doors, allowed []expected) {
	t.Helper()
	taken := map[string]bool{}
	for _, e := range doors {
		n := 0
		for _, d := range r.Doors {
			if taken[d.ID] || !e.fits(d) {
				continue
			}
			taken[d.ID] = true
			n++
			if string(d.Status) != e.Status || !slices.Contains(e.Weights, string(d.Weight)) {
				t.Errorf("door %d is %s %s, want %s %v: %s", e.N, d.Status, d.Weight, e.Status, e.Weights, d.Title)
			}
			if !e.Many {
				break
			}
		}
		if n == 0 {
			t.Errorf("door %d is not reported: %s %v in %v: %s", e.N, e.Kind, e.Match, e.Paths, e.Why)
		}
	}
	for _, d := range r.Doors {
		if !taken[d.ID] && d.Weight.Rank() >= doorward.Medium.Rank() && !slices.ContainsFunc(allowed, func(e expected) bool {
			return e.fits(d) && slices.Contains(e.Weights, string(d.Weight))
		}) {
			t.Errorf("nobody planted this: %s %s %s %v %q at %v", d.Status, d.Weight, d.Kind, d.Detail, d.Title, d.Where[0].Path)
		}
	}
}
