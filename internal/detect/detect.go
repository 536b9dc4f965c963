// Package detect holds the contract of a detector and the runner: order,
// panics, time and status, refusal of doors without evidence.
//
// A detector is a struct literal in a file of its own, listed in its package's
// All. It finds one sort of door by behaviour, names the byte patterns that it
// wants searched, and reports through one Sink.
package detect

import (
	"context"
	"fmt"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/doorward/doorward"
)

// Scope says what a detector's result depends on, so that a cache can be right.
type Scope int

// The scopes.
const (
	Content    Scope = iota // one node's bytes alone
	ProductAll              // other nodes and shared facts too
)

// Detector finds one sort of door in an In.
type Detector[In any] struct {
	Name     string // one lower-case word
	Doc      string // what it finds and how, in plain words; the first sentence is its summary
	Kinds    []doorward.Kind
	Requires []string // shared facts that it uses: startup, executable, ...
	Patterns []string // byte strings whose places it asks of files
	Scope    Scope
	Run      func(ctx context.Context, in In, out *Sink) error
}

// Sink takes what one detector reports. It is safe for concurrent use.
type Sink struct {
	name       string
	kinds      []doorward.Kind
	mu         sync.Mutex
	Doors      []doorward.Door
	Components []doorward.Component
	Origins    []doorward.OriginFact
	Unreads    []doorward.Unread
	looked     map[doorward.Kind]map[string]int
	refused    []string
}

// NewSink makes a sink for a detector of the given name and kinds.
func NewSink(name string, kinds ...doorward.Kind) *Sink {
	return &Sink{name: name, kinds: kinds, looked: map[doorward.Kind]map[string]int{}}
}

// Door reports a door. It needs a place, evidence with the text found, a title
// and a weight; one without is refused, which the detector's status then says.
func (s *Sink) Door(d doorward.Door) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if why := incomplete(&d, s.kinds); why != "" {
		s.refused = append(s.refused, fmt.Sprintf("%q: %s", d.Title, why))
		return
	}
	d.Detector = s.name
	d.Weight = d.Weight.Cap(d.Certainty)
	s.Doors = append(s.Doors, d)
}

func incomplete(d *doorward.Door, kinds []doorward.Kind) string {
	known := false
	for _, k := range kinds {
		known = known || k == d.Kind
	}
	switch {
	case !known:
		return "a kind that the detector does not name: " + string(d.Kind)
	case d.Title == "":
		return "no title"
	case len(d.Where) == 0 || len(d.Where[0].Path) == 0:
		return "no place"
	case len(d.Evidence) == 0 || d.Evidence[0].What == "":
		return "no evidence"
	case d.Weight == "" || d.Reach == "" || d.Certainty == "":
		return "no weight, reach or certainty"
	}
	return ""
}

// Component reports an identified part.
func (s *Sink) Component(c doorward.Component) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Components = append(s.Components, c)
}

// Origin reports an origin fact.
func (s *Sink) Origin(o doorward.OriginFact) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Origins = append(s.Origins, o)
}

// Unread reports something that the detector could not read.
func (s *Sink) Unread(u doorward.Unread) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Unreads = append(s.Unreads, u)
}

// Looked counts n things that were looked at for a kind ("password file",
// "start-up script"; in the singular), so that the report can say what was
// checked even where nothing was found.
func (s *Sink) Looked(kind doorward.Kind, n int, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looked[kind] == nil {
		s.looked[kind] = map[string]int{}
	}
	s.looked[kind][what] += n
}

// Result is what a list of detectors found.
type Result struct {
	Doors      []doorward.Door
	Components []doorward.Component
	Origins    []doorward.OriginFact
	Unread     []doorward.Unread
	Runs       []doorward.DetectorRun
	Looked     map[doorward.Kind]map[string]int
	ByKind     map[doorward.Kind][]string // detectors
}

// Run runs detectors on at most workers goroutines. A detector that panics or
// returns an error is reported as failed; what it found before stands. The
// result is in the list's order, whatever the number of workers.
func Run[In any](ctx context.Context, list []*Detector[In], in In, workers int) *Result {
	sinks := make([]*Sink, len(list))
	runs := make([]doorward.DetectorRun, len(list))
	slots := make(chan struct{}, max(workers, 1))
	var wait sync.WaitGroup
	for i, d := range list {
		wait.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wait.Done() }()
			sinks[i] = NewSink(d.Name, d.Kinds...)
			runs[i] = runOne(ctx, d, in, sinks[i])
		}()
	}
	wait.Wait()
	return gather(list, sinks, runs)
}

func runOne[In any](ctx context.Context, d *Detector[In], in In, s *Sink) (run doorward.DetectorRun) {
	start := time.Now()
	run = doorward.DetectorRun{Name: d.Name, Status: "ran"}
	defer func() {
		if p := recover(); p != nil {
			run.Status, run.Error = "failed", fmt.Sprintf("panic: %v at %s", p, firstFrame(debug.Stack()))
		}
		run.Doors = len(s.Doors)
		run.Seconds = time.Since(start).Seconds()
	}()
	if err := d.Run(ctx, in, s); err != nil {
		run.Status, run.Error = "failed", err.Error()
	}
	if len(s.refused) > 0 && run.Error == "" {
		run.Status, run.Error = "failed", "refused "+s.refused[0]
	}
	return run
}

func gather[In any](list []*Detector[In], sinks []*Sink, runs []doorward.DetectorRun) *Result {
	r := &Result{Runs: runs, Looked: map[doorward.Kind]map[string]int{}, ByKind: map[doorward.Kind][]string{}}
	for i, s := range sinks {
		r.Doors = append(r.Doors, s.Doors...)
		r.Components = append(r.Components, s.Components...)
		r.Origins = append(r.Origins, s.Origins...)
		r.Unread = append(r.Unread, s.Unreads...)
		for _, k := range list[i].Kinds {
			r.ByKind[k] = append(r.ByKind[k], list[i].Name)
		}
		for kind, counts := range s.looked {
			if r.Looked[kind] == nil {
				r.Looked[kind] = map[string]int{}
			}
			for what, n := range counts {
				r.Looked[kind][what] += n
			}
		}
	}
	return r
}

// Coverage says per kind what the detectors looked at.
func (r *Result) Coverage(doors []doorward.Door) []doorward.Coverage {
	var list []doorward.Coverage
	for _, k := range doorward.Kinds {
		if len(r.ByKind[k]) == 0 {
			continue
		}
		c := doorward.Coverage{Kind: k, Detectors: r.ByKind[k], LookedAt: inWords(r.Looked[k])}
		for _, d := range doors {
			if d.Kind == k {
				c.Found++
			}
		}
		list = append(list, c)
	}
	return list
}

// plural puts the first noun of a thing in the plural: "file that start-up runs"
// becomes "files that start-up runs".
func plural(what string, n int) string {
	if n == 1 {
		return what
	}
	head, rest := what, ""
	for _, link := range []string{" that ", " of ", " with ", " in ", " at ", " for "} {
		if i := strings.Index(head, link); i > 0 {
			head, rest = head[:i], what[i:]
		}
	}
	switch {
	case strings.HasSuffix(head, "y") && !strings.HasSuffix(head, "ay") && !strings.HasSuffix(head, "ey"):
		return strings.TrimSuffix(head, "y") + "ies" + rest
	case strings.HasSuffix(head, "s"), strings.HasSuffix(head, "x"), strings.HasSuffix(head, "ch"):
		return head + "es" + rest
	}
	return head + "s" + rest
}

func inWords(counts map[string]int) string {
	var names []string
	for what, n := range counts {
		if n > 0 {
			names = append(names, what)
		}
	}
	sort.Strings(names)
	text := ""
	for _, what := range names {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%d %s", counts[what], plural(what, counts[what]))
	}
	if text == "" {
		return "nothing of the sort is in the product"
	}
	return text
}
