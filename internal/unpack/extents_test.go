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
				list = append(list, Extent{Offset: int64(len(want)), Size: int64(n), From: Hole})
				fallthrough
			case 1:
				want = append(want, make([]byte, n)...)
			default:
				from := rapid.IntRange(0, 64-n).Draw(t, "from")
				list = append(list, Extent{Offset: int64(len(want)), Size: int64(n), From: int64(from)})
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
		"overlap":          {{Offset: 0, Size: 5, From: 0}, {Offset: 4, Size: 2, From: 0}},
		"outside the base": {{Offset: 0, Size: 5, From: 6}},
		"outside the file": {{Offset: 18, Size: 5, From: 0}},
		"negative size":    {{Offset: 3, Size: -1, From: 0}},
		"negative place":   {{Offset: -3, Size: 1, From: 0}},
		"negative base":    {{Offset: 0, Size: 1, From: -2}},
		"huge":             {{Offset: 1 << 62, Size: 1 << 62, From: Hole}},
	} {
		if _, err := Extents(base, list, 20); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, err := Extents(base, nil, 1<<40); err == nil {
		t.Error("a terabyte of nothing is accepted")
	}
}
