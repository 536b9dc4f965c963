package unpack

import (
	"errors"
	"fmt"
	"strings"
)

var errNotDecoded = errors.New("not decoded")

// Limits of the trees that file systems hold, besides those of the budget: a
// few folders within each other with long names make paths that fill memory.
const (
	maxPath      = 8192      // bytes of one path
	maxPathBytes = 512 << 20 // bytes of all paths of one tree
)

// Gatherer collects the entries of a file system within the limits, and what
// is wrong with it.
type Gatherer struct {
	in      *Input
	entries []Entry
	room    int64 // entries that the budget leaves
	paths   int64 // bytes of all paths so far
	Full    error // the limit that was hit
	damaged error // the first damage
	damages int
}

// NewGatherer starts collecting what an input holds.
func NewGatherer(in *Input) *Gatherer {
	return &Gatherer{in: in, room: in.Budget.Limits.Files - in.Budget.Files()}
}

// Add takes an entry. It returns false if there is no room for more.
func (g *Gatherer) Add(e Entry) bool {
	if g.Stop() {
		return false
	}
	if int64(len(g.entries)) >= g.room {
		g.Full = fmt.Errorf("%w: more than %d files (raise it with --limit-files)", ErrLimit, g.in.Budget.Limits.Files)
		return false
	}
	if len(e.Path) > maxPath {
		g.Damage(fmt.Errorf("a path of more than %d bytes: %.60q...", maxPath, e.Path))
		return true
	}
	if g.paths += int64(len(e.Path)); g.paths > maxPathBytes {
		g.Full = fmt.Errorf("%w: paths take more than %d bytes", ErrLimit, int64(maxPathBytes))
		return false
	}
	g.entries = append(g.entries, e)
	return true
}

// Stop says that a limit was hit or that the time is over.
func (g *Gatherer) Stop() bool {
	if g.Full == nil && g.in.Context.Err() != nil {
		g.Full = fmt.Errorf("%w: time ran out (raise it with --limit-time)", ErrLimit)
	}
	return g.Full != nil
}

// maxDamages is when a file system is given up: more is no accident, and
// looking at all of it would take for ever.
const maxDamages = 50_000

// Damage notes what could not be read; only the first is kept in full.
func (g *Gatherer) Damage(err error) {
	if g.damages++; g.damaged == nil {
		g.damaged = err
	}
	if g.damages > maxDamages && g.Full == nil {
		g.Full = fmt.Errorf("%w: more than %d damaged places", ErrLimit, maxDamages)
	}
}

// Only replaces all damage so far by its one reason.
func (g *Gatherer) Only(err error) { g.damages, g.damaged = 1, err }

// Finish puts everything into an object.
func (g *Gatherer) Finish(o *Object) {
	o.Entries = g.entries
	switch {
	case g.damages > 1:
		o.Err = fmt.Errorf("%w (and %d more)", g.damaged, g.damages-1)
	case g.damages == 1:
		o.Err = g.damaged
	}
	if g.Full != nil {
		o.Gaps = append(o.Gaps, Gap{0, 0, "limit", g.Full.Error()})
	}
}

// JoinName is the path of a name in a folder (the root is ""). A name that no
// kernel would accept is kept, made harmless, and said to be wrong.
func JoinName(dir, name string) (string, error) {
	var err error
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		err = fmt.Errorf("a file named %q in /%s", name, dir)
		name = strings.NewReplacer("/", "%2F", "\x00", "%00").Replace(name)
		if strings.Trim(name, ".") == "" {
			name = strings.Repeat("%2E", len(name)) + "%"
		}
	}
	if dir == "" {
		return name, err
	}
	return dir + "/" + name, err
}

// nameOf looks a number up in one of the tables above.
func NameOf(table []string, v byte) string {
	if int(v) < len(table) && table[v] != "" {
		return table[v]
	}
	return fmt.Sprintf("%d", v)
}

// numbered makes the names of parts differ.
func NumberParts(list []Part) []Part {
	seen := map[string]int{}
	for i := range list {
		if seen[list[i].Name]++; seen[list[i].Name] > 1 {
			list[i].Name += fmt.Sprint(seen[list[i].Name])
		}
	}
	return list
}
