package uefi

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/doorward/doorward/internal/unpack"
)

// span is a stretch of an object that its tables account for.
type span struct{ from, to int64 }

// leftovers are parts for what no span covers up to an end and what is no
// padding: nothing between the pieces of a table may be lost.
func leftovers(data unpack.Bytes, spans []span, end int64) []unpack.Part {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var parts []unpack.Part
	at := int64(0)
	for _, s := range append(spans, span{end, end}) {
		from := min(s.from, end)
		if gap := unpack.Window(data, at, from-at); from > at && len(parts) < maxParts && !unpack.OnlyPadding(gap, 0) {
			parts = append(parts, unpack.Part{Name: fmt.Sprintf("unassigned-0x%x", at), Data: gap, Offset: at})
		}
		at = max(at, min(s.to, end))
	}
	return parts
}

// printable says that a field of a table is a name: visible ASCII, then zeros
// or blanks.
func printable(b []byte) bool {
	n := len(b)
	for n > 0 && b[n-1] == 0 {
		n--
	}
	for _, c := range b[:n] {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return n > 0
}
