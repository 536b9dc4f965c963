package pattern

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestRuns compares with a look at each byte.
func TestRuns(t *testing.T) {
	class := ClassOf(func(c byte) bool { return c == 'a' || c == 'b' })
	rapid.Check(t, func(t *rapid.T) {
		least := rapid.IntRange(1, 32).Draw(t, "least")
		var b []byte
		for range rapid.IntRange(0, 12).Draw(t, "runs") {
			for range rapid.IntRange(0, 90).Draw(t, "length") {
				b = append(b, "ab"[len(b)%2])
			}
			b = append(b, "."...)
		}
		b = b[:len(b)-min(len(b), rapid.IntRange(0, 70).Draw(t, "cut"))]
		var want, got []string
		for from := 0; from < len(b); {
			to := from
			for to < len(b) && class.Has(b[to]) {
				to++
			}
			if to-from >= least {
				want = append(want, fmt.Sprint(from, "-", to))
			}
			from = to + 1
		}
		class.Runs(b, least, func(from, to int) bool {
			got = append(got, fmt.Sprint(from, "-", to))
			return true
		})
		if !slices.Equal(want, got) {
			t.Fatalf("least %d of %q\nwant %v\ngot  %v", least, b, want, got)
		}
	})
}
