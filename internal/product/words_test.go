package product

import (
	"bytes"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// TestWordsAreFound feeds bytes in pieces of any length: the filter has each of
// their words.
func TestWordsAreFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(rapid.StringOfN(rapid.RuneFrom([]rune("abc  \x00/")), 0, 400, -1).Draw(t, "text"))
		if rapid.Bool().Draw(t, "long") {
			text = bytes.ReplaceAll(text, []byte("c"), bytes.Repeat([]byte("x-"), rapid.IntRange(1, 40).Draw(t, "times")))
		}
		w := newWordScanner(int64(len(text)))
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			w.feed(rest[:n])
			rest = rest[n:]
		}
		filter := w.finish()
		for _, h := range wordHashes(string(text)) {
			if !filter.mayHave(h) {
				t.Fatalf("a word of %q is missing", text)
			}
		}
	})
}

// TestFewWordsAreGuessed looks for words that a program does not have.
func TestFewWordsAreGuessed(t *testing.T) {
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Skip(err)
	}
	w := newWordScanner(int64(len(program)))
	w.feed(program)
	filter, wrong := w.finish(), 0
	for i := range uint32(10_000) {
		if filter.mayHave((i + 1) * 2654435761) {
			wrong++
		}
	}
	if wrong > 500 {
		t.Errorf("%d of 10000 words are guessed", wrong)
	}
	t.Logf("%d of 10000 guessed, %d bytes for %d", wrong, 8*len(filter), len(program))
}

func BenchmarkWords(b *testing.B) {
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		b.Skip(err)
	}
	b.SetBytes(int64(len(program)))
	for b.Loop() {
		w := newWordScanner(int64(len(program)))
		w.feed(program)
		w.finish()
	}
}
