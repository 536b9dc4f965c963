package unpack

import (
	"bytes"
	"io"
	"testing"

	"pgregory.net/rapid"
)

// TestExtentsRead holds reads at any place against a file put together by hand.
func TestExtentsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.SliceOfN(rapid.Byte(), 64, 64).Draw(t, "base")
		var want []byte
		var list []Extent
		for range rapid.IntRange(0, 6).Draw(t, "pieces") {
			n := rapid.IntRange(0, 20).Draw(t, "size")
			switch rapid.IntRange(0, 2).Draw(t, "sort") {
			case 0:
				list = append(list, Extent{int64(len(want)), int64(n), Hole})
				fallthrough
			case 1:
				want = append(want, make([]byte, n)...)
			default:
				from := rapid.IntRange(0, 64-n).Draw(t, "from")
				list = append(list, Extent{int64(len(want)), int64(n), int64(from)})
				want = append(want, base[from:from+n]...)
			}
		}
		for i := range list { // any order
			j := rapid.IntRange(0, len(list)-1).Draw(t, "swap")
			list[i], list[j] = list[j], list[i]
		}
		x, err := Extents(Slice(base), list, int64(len(want)))
		if err != nil {
			t.Fatal(err)
		}
		off := rapid.IntRange(0, len(want)).Draw(t, "off")
		p := make([]byte, rapid.IntRange(0, 40).Draw(t, "n"))
		n, err := x.ReadAt(p, int64(off))
		end := min(off+len(p), len(want))
		if !bytes.Equal(p[:n], want[off:end]) {
			t.Fatalf("%d bytes at %d: %x instead of %x", len(p), off, p[:n], want[off:end])
		}
		if n < len(p) && err != io.EOF {
			t.Fatalf("a short read without io.EOF: %v", err)
		}
	})
}

func TestExtentsRefuses(t *testing.T) {
	base := Slice(make([]byte, 10))
	for name, list := range map[string][]Extent{
		"overlap":          {{0, 5, 0}, {4, 2, 0}},
		"outside the base": {{0, 5, 6}},
		"outside the file": {{18, 5, 0}},
		"negative size":    {{3, -1, 0}},
		"negative place":   {{-3, 1, 0}},
		"negative base":    {{0, 1, -2}},
		"huge":             {{1 << 62, 1 << 62, Hole}},
	} {
		if _, err := Extents(base, list, 20); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, err := Extents(base, nil, 1<<40); err == nil {
		t.Error("a terabyte of nothing is accepted")
	}
}
