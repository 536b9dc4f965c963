package settle

import (
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// distinct appends what list does not have yet, in order.
func distinct(list, more []string) []string {
	return appendNew(list, more, func(s string) string { return s })
}

func distinctWhere(list, more []doorward.Where) []doorward.Where {
	return appendNew(list, more, func(w doorward.Where) string {
		return fmt.Sprintf("%s\x00%s\x00%s\x00%s\x00%s", strings.Join(w.Path, "\x00"), w.SHA256, offset(w.Offset), w.Address, w.Function)
	})
}

// distinctEvidence appends the sightings that list does not have yet. The same
// text at the same place is one sighting, whatever two detectors note about it.
func distinctEvidence(list, more []doorward.Evidence) []doorward.Evidence {
	list = slices.Clone(list)
	at := make(map[string]int, len(list)+len(more))
	for i, e := range list {
		at[sighting(e)] = i
	}
	for _, e := range more {
		k := sighting(e)
		if i, has := at[k]; has {
			list[i].Note = bothNotes(list[i].Note, e.Note)
			continue
		}
		at[k] = len(list)
		list = append(list, e)
	}
	return list
}

func sighting(e doorward.Evidence) string {
	return fmt.Sprintf("%s\x00%s\x00%d\x00%s", e.What, e.Path, e.Line, offset(e.Offset))
}

// bothNotes joins two notes on one sighting, each said once.
func bothNotes(a, b string) string {
	switch {
	case a == "" || b == "":
		return a + b
	case strings.Contains("; "+a+"; ", "; "+b+"; "):
		return a
	}
	return a + "; " + b
}

// atHome leaves out the path of what was seen in the door's own file.
func atHome(list []doorward.Evidence, home string) []doorward.Evidence {
	list = slices.Clone(list)
	for i := range list {
		if list[i].Path == home || home != "" && "/"+list[i].Path == home {
			list[i].Path = ""
		}
	}
	return list
}

func offset(n *int64) string {
	if n == nil {
		return ""
	}
	return fmt.Sprint(*n)
}

func appendNew[T any](list, more []T, key func(T) string) []T {
	have := make(map[string]bool, len(list)+len(more))
	for _, x := range list {
		have[key(x)] = true
	}
	list = slices.Clip(list)
	for _, x := range more {
		if k := key(x); !have[k] {
			have[k] = true
			list = append(list, x)
		}
	}
	return list
}

// orderStages puts stages into the order in which they happen, each once.
func orderStages(stages []doorward.Stage) []doorward.Stage {
	var list []doorward.Stage
	for _, s := range []doorward.Stage{doorward.Signal, doorward.Access, doorward.Collect, doorward.Transmit} {
		if slices.Contains(stages, s) {
			list = append(list, s)
		}
	}
	return list
}
