package pattern

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestSameAsIndex compares with a search for each pattern by itself, over
// random cuts of the bytes.
func TestSameAsIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringOfN(rapid.RuneFrom([]rune("abc\x00")), 3, 9, -1)
		patterns := rapid.SliceOfNDistinct(word, 1, 12, rapid.ID).Draw(t, "patterns")
		text := rapid.StringOfN(rapid.RuneFrom([]rune("abcd\x00")), 0, 200, -1).Draw(t, "text")
		var want []string
		for i, p := range patterns {
			for at := 0; at+len(p) <= len(text); at++ {
				if strings.HasPrefix(text[at:], p) {
					want = append(want, fmt.Sprint(i, "@", at))
				}
			}
		}
		got := make([][]string, len(patterns))
		sc := New(patterns).Scan()
		for rest := []byte(text); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "cut")
			sc.Feed(rest[:n], func(p int, off int64) { got[p] = append(got[p], fmt.Sprint(p, "@", off)) })
			rest = rest[n:]
		}
		if got := slices.Concat(got...); !slices.Equal(want, got) {
			t.Fatalf("patterns %q text %q\nwant %v\ngot  %v", patterns, text, want, got)
		}
	})
}

func TestAllByteValues(t *testing.T) {
	var patterns []string
	for c := range 256 {
		patterns = append(patterns, strings.Repeat(string([]byte{byte(c)}), 3))
	}
	got := 0
	New(patterns).Scan().Feed([]byte{0, 0, 0, 0, 255, 255, 255, 7}, func(int, int64) { got++ })
	if got != 3 {
		t.Errorf("%d matches, want 3", got)
	}
}

func TestTooShort(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a pattern of two bytes was taken")
		}
	}()
	New([]string{"ab"})
}

func BenchmarkFeed(b *testing.B) {
	s := New([]string{"-----BEGIN", "ssh-rsa", "http://", "https://", "hsqs", "\x1f\x8b\x08", "telnetd", "/bin/sh"})
	data := []byte(strings.Repeat("the quick brown fox \x00\x01\x02\xff\x1f\x8b", 40_000))
	if program, err := os.ReadFile("/proc/self/exe"); err == nil {
		data = program
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		s.Scan().Feed(data, func(int, int64) {})
	}
}
