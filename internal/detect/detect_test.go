package detect

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/doorward/doorward"
)

func good() doorward.Door {
	return doorward.Door{
		Kind: doorward.KindService, Title: "a door", Weight: doorward.High, Reach: doorward.Remote, Certainty: doorward.Shown,
		Where: []doorward.Where{{Path: []string{"x"}}}, Evidence: []doorward.Evidence{{What: "text"}},
	}
}

func runs(t *testing.T, f func(out *Sink) error) *Result {
	t.Helper()
	d := &Detector[int]{Name: "d", Kinds: []doorward.Kind{doorward.KindService}, Run: func(_ context.Context, _ int, out *Sink) error { return f(out) }}
	return Run(context.Background(), []*Detector[int]{d}, 0, 2)
}

func TestRefusesIncompleteDoors(t *testing.T) {
	for name, spoil := range map[string]func(d *doorward.Door){
		"evidence": func(d *doorward.Door) { d.Evidence = nil },
		"place":    func(d *doorward.Door) { d.Where = nil },
		"title":    func(d *doorward.Door) { d.Title = "" },
		"weight":   func(d *doorward.Door) { d.Weight = "" },
		"kind":     func(d *doorward.Door) { d.Kind = doorward.KindKey },
	} {
		r := runs(t, func(out *Sink) error {
			d := good()
			spoil(&d)
			out.Door(d)
			out.Door(good())
			return nil
		})
		if len(r.Doors) != 1 || r.Runs[0].Status != "failed" || !strings.Contains(r.Runs[0].Error, name) {
			t.Errorf("a door without %s: %d doors, %+v", name, len(r.Doors), r.Runs[0])
		}
	}
}

func TestPanicAndErrorAreReported(t *testing.T) {
	r := runs(t, func(out *Sink) error { out.Door(good()); panic("boom") })
	if len(r.Doors) != 1 || r.Runs[0].Status != "failed" || !strings.Contains(r.Runs[0].Error, "boom") {
		t.Errorf("%+v", r.Runs[0])
	}
	r = runs(t, func(out *Sink) error { return errors.New("no luck") })
	if r.Runs[0].Status != "failed" || r.Runs[0].Error != "no luck" {
		t.Errorf("%+v", r.Runs[0])
	}
}

func TestHintIsNeverAboveMedium(t *testing.T) {
	r := runs(t, func(out *Sink) error {
		d := good()
		d.Certainty = doorward.Hint
		out.Door(d)
		return nil
	})
	if r.Doors[0].Weight != doorward.Medium {
		t.Errorf("a hint weighs %s", r.Doors[0].Weight)
	}
}

func TestCoverageSaysWhatWasLookedAt(t *testing.T) {
	r := runs(t, func(out *Sink) error {
		out.Looked(doorward.KindService, 2, "start-up script")
		out.Looked(doorward.KindService, 1, "daemon")
		return nil
	})
	c := r.Coverage(nil)
	if len(c) != 1 || c[0].LookedAt != "1 daemon, 2 start-up scripts" || c[0].Found != 0 {
		t.Errorf("%+v", c)
	}
}

func TestPlural(t *testing.T) {
	for what, want := range map[string]string{"file": "files", "file that start-up runs": "files that start-up runs", "boot menu or device tree": "boot menu or device trees", "library": "libraries", "key": "keys", "certificate of a root": "certificates of a root"} {
		if got := plural(what, 2); got != want {
			t.Errorf("%q: %q, want %q", what, got, want)
		}
	}
}
