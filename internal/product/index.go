package product

import (
	"io"
	"slices"
	"strings"

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
	words []uint32        // hashes of the words, sorted
}

// maxHits is how many places of one pattern are kept for one content.
const maxHits = 16384

// Observe looks at the bytes of one content; see unpack.Options.
func (ix *Indexer) Observe(b unpack.Bytes, t unpack.Type) any {
	found := &index{hits: map[int][]int64{}}
	if t == unpack.TypeObject || t == unpack.TypeCarved || t == unpack.TypePadding {
		return found // what lies within is looked at by itself
	}
	words := newWordScanner()
	sc := ix.set.Scan()
	feed := func(p []byte) {
		sc.Feed(p, func(n int, off int64) {
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
		feed(s)
	} else {
		buf := make([]byte, 1<<20)
		r := io.NewSectionReader(b, 0, b.Size())
		for {
			n, err := r.Read(buf)
			feed(buf[:n])
			if err != nil {
				break
			}
		}
	}
	found.words = words.finish()
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

// wordScanner hashes the words of bytes: runs of at least three letters,
// digits, '.', '_' and '-'. Paths fall into their elements.
type wordScanner struct {
	hash  uint32
	run   int
	words map[uint32]struct{}
}

const (
	fnvBasis   = 2166136261
	fnvPrime   = 16777619
	minWord    = 3
	maxWord    = 64
	wordsLimit = 200_000 // of one content
)

func newWordScanner() *wordScanner { return &wordScanner{fnvBasis, 0, map[uint32]struct{}{}} }

var isWord = func() (t [256]bool) {
	for c := range 256 {
		t[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
	}
	return
}()

func (w *wordScanner) feed(b []byte) {
	h, run := w.hash, w.run
	for _, c := range b {
		if isWord[c] {
			h = (h ^ uint32(c)) * fnvPrime
			run++
			continue
		}
		if run >= minWord && run <= maxWord && len(w.words) < wordsLimit {
			w.words[h] = struct{}{}
		}
		h, run = fnvBasis, 0
	}
	w.hash, w.run = h, run
}

func (w *wordScanner) finish() []uint32 {
	w.feed([]byte{0})
	list := make([]uint32, 0, len(w.words))
	for h := range w.words {
		list = append(list, h)
	}
	slices.Sort(list)
	return list
}

// wordHashes returns the hashes of the words in a value.
func wordHashes(value string) []uint32 {
	w := newWordScanner()
	w.feed([]byte(value))
	return w.finish()
}

// Mentions returns the files whose bytes contain value as whole words, by
// place. A value without a word of three characters is found nowhere.
func (p *Product) Mentions(value string) []*File {
	p.words.Do(func() {
		p.byWord = map[uint32][]*File{}
		for _, f := range p.Files {
			for _, h := range f.index().words {
				p.byWord[h] = append(p.byWord[h], f)
			}
		}
	})
	hashes := wordHashes(value)
	if len(hashes) == 0 {
		return nil
	}
	best := p.byWord[hashes[0]]
	for _, h := range hashes[1:] {
		if list := p.byWord[h]; len(list) < len(best) {
			best = list
		}
	}
	var found []*File
	for _, f := range best {
		if f.mentions(value, hashes) {
			found = append(found, f)
		}
	}
	return found
}

func (f *File) mentions(value string, hashes []uint32) bool {
	words := f.index().words
	for _, h := range hashes {
		if _, ok := slices.BinarySearch(words, h); !ok {
			return false
		}
	}
	return containsWord(string(f.Bytes()), value)
}

// containsWord says that text has value with no word character right beside it.
func containsWord(text, value string) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], value)
		if i < 0 {
			return false
		}
		i += at
		end := i + len(value)
		if (i == 0 || !isWord[text[i-1]] || !isWord[value[0]]) && (end == len(text) || !isWord[text[end]] || !isWord[value[len(value)-1]]) {
			return true
		}
		at = i + 1
	}
}

// Searches says that the pass over the bytes looked for a pattern, so that Hits
// may be asked for it.
func (p *Product) Searches(pattern string) bool {
	_, ok := p.indexed.number[pattern]
	return ok
}
