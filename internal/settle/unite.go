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

func distinctEvidence(list, more []doorward.Evidence) []doorward.Evidence {
	return appendNew(list, more, func(e doorward.Evidence) string {
		return fmt.Sprintf("%s\x00%s\x00%s\x00%d\x00%s", e.What, e.Note, e.Path, e.Line, offset(e.Offset))
	})
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
