package product

import (
	"io"
	"slices"

	"github.com/doorward/doorward/internal/executable"
	"github.com/doorward/doorward/internal/pattern"
	"github.com/doorward/doorward/internal/unpack"
)

// Indexer makes the one pass over the bytes of every content that serves the
// patterns of all detectors and the index of words.
type Indexer struct {
	set    *pattern.Set
	number map[string]int
}

// NewIndexer prepares the pass for the given byte patterns.
func NewIndexer(patterns []string) *Indexer {
	ix := &Indexer{number: map[string]int{}}
	var distinct []string
	for _, p := range patterns {
		if _, ok := ix.number[p]; !ok && p != "" {
			ix.number[p] = len(distinct)
			distinct = append(distinct, p)
		}
	}
	ix.set = pattern.New(distinct)
	return ix
}

// index is what the pass finds in one content.
type index struct {
	hits  map[int][]int64 // pattern -> offsets of the first maxHits
	more  map[int]bool    // patterns that occur more often
	words wordFilter      // of the words

	parsed  bool             // program was looked for
	program *executable.Info // what a program says of itself
}

// maxHits is how many places of one pattern are kept for one content.
const maxHits = 16384

// holeMargin is how many zeros at the sides of a hole are searched: a word ends
// there, and a pattern's zeros lie there.
const holeMargin = 4096

// cachePiece stays in a processor's cache from one look to the next.
const cachePiece = 256 << 10

// Observe looks at the bytes of one content; see unpack.Options.
func (ix *Indexer) Observe(b unpack.Bytes, t unpack.Type) any {
	found := &index{hits: map[int][]int64{}}
	if t == unpack.TypeObject || t == unpack.TypeCarved || t == unpack.TypePadding {
		return found // what lies within is looked at by itself
	}
	words := newWordScanner(b.Size())
	sc, base := ix.set.Scan(), int64(0)
	feed := func(p []byte) {
		sc.Feed(p, func(n int, off int64) {
			off += base
			if list := found.hits[n]; len(list) < maxHits {
				found.hits[n] = append(list, off)
			} else {
				found.more = cutAt(found.more, n)
			}
		})
		if t != unpack.TypeEncrypted && t != unpack.TypeCompressed && t != unpack.TypeMedia {
			words.feed(p)
		}
	}
	if s, ok := b.(unpack.Slice); ok {
		for piece := range slices.Chunk(s, cachePiece) {
			feed(piece)
		}
	} else {
		buf := make([]byte, cachePiece)
		for from, to := range unpack.Stretches(b, 0, b.Size(), holeMargin) {
			sc, base = ix.set.Scan(), from
			r := io.NewSectionReader(b, from, to-from)
			for {
				n, err := r.Read(buf)
				feed(buf[:n])
				if err != nil {
					break
				}
			}
		}
	}
	found.words = words.finish()
	if s, ok := b.(unpack.Slice); ok && t.Executable() && len(s) <= maxBytes {
		found.parsed = true
		found.program, _ = executable.Parse(s)
	}
	return found
}

func (f *File) index() *index {
	if ix, ok := f.Content.Facts.(*index); ok {
		return ix
	}
	return &index{}
}

// Hits returns the offsets at which a detector's pattern occurs in the file, in
// order, the first few thousand.
func (f *File) Hits(pattern string) []int64 {
	n, ok := f.product.indexed.number[pattern]
	if !ok {
		panic("pattern was not named in any detector's Patterns: " + pattern)
	}
	return f.index().hits[n]
}

// Cut says that a pattern occurs in the file more often than Hits tells.
func (f *File) Cut(pattern string) bool {
	n, ok := f.product.indexed.number[pattern]
	return ok && f.index().more[n]
}

func cutAt(set map[int]bool, n int) map[int]bool {
	if set == nil {
		set = map[int]bool{}
	}
	set[n] = true
	return set
}

// Has says that a detector's pattern occurs in the file.
func (f *File) Has(pattern string) bool { return len(f.Hits(pattern)) > 0 }

// Searches says that the pass over the bytes looked for a pattern, so that Hits
// may be asked for it.
func (p *Product) Searches(pattern string) bool {
	_, ok := p.indexed.number[pattern]
	return ok
}
