package product

import (
	"bytes"
	"math/bits"
	"slices"
	"sync"

	"github.com/doorward/doorward/internal/pattern"
)

// Words are runs of at least three letters, digits, '.', '_' and '-'. Paths fall
// into their elements.
const (
	minWord = 3
	maxWord = 64
)

var wordClass = pattern.ClassOf(func(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
})

// wordFilter says of a word that it may stand in a content, or that it does not:
// a Bloom filter of two bits in one of its 64-bit cells for each word.
type wordFilter []uint64

// newWordFilter makes a filter for size bytes, a bit for each.
func newWordFilter(size int64) wordFilter {
	cells := 1
	for int64(cells)*64 < size && cells < 1<<24 {
		cells *= 2
	}
	if old, _ := usedFilters.Get().(*wordFilter); old != nil && cap(*old) >= cells {
		f := (*old)[:cells]
		clear(f)
		return f
	}
	return make(wordFilter, cells)
}

// usedFilters are those of which a folded copy was made.
var usedFilters sync.Pool

func (f wordFilter) place(hash uint32) (cell uint32, mask uint64) {
	return hash & uint32(len(f)-1), 1<<(hash>>26) | 1<<(hash*0x9e3779b1>>26)
}

func (f wordFilter) add(hash uint32) {
	cell, mask := f.place(hash)
	f[cell] |= mask
}

func (f wordFilter) mayHave(hash uint32) bool {
	if len(f) == 0 {
		return false
	}
	cell, mask := f.place(hash)
	return f[cell]&mask == mask
}

// folded is the filter in as little room as its words need: halves lie on each
// other while no more than one bit of eight is set. It is a copy, and f is nobody's
// any more.
func (f wordFilter) folded() wordFilter {
	set := 0
	for _, cell := range f {
		set += bits.OnesCount64(cell)
	}
	if set == 0 {
		usedFilters.Put(&f)
		return nil
	}
	small := f
	for len(small) > 1 && set*8 <= len(small)*32 {
		half := len(small) / 2
		for i := range half {
			small[i] |= small[half+i]
		}
		small = small[:half]
	}
	small = slices.Clone(small)
	usedFilters.Put(&f)
	return small
}

// wordScanner adds the words of bytes that come in pieces to a filter.
type wordScanner struct {
	filter wordFilter
	tail   []byte // of the word that the last piece ended with: enough to see that it is too long
}

func newWordScanner(size int64) *wordScanner { return &wordScanner{filter: newWordFilter(size)} }

func (w *wordScanner) feed(b []byte) {
	if len(w.tail) > 0 {
		lead := 0
		for lead < len(b) && wordClass.Has(b[lead]) {
			lead++
		}
		w.keep(b[:lead])
		if lead == len(b) {
			return
		}
		w.end()
		b = b[lead:]
	}
	end := len(b)
	for end > 0 && wordClass.Has(b[end-1]) {
		end--
	}
	wordClass.Runs(b[:end], minWord, func(from, to int) bool {
		if to-from <= maxWord {
			w.filter.add(wordHash(b[from:to]))
		}
		return true
	})
	w.keep(b[end:])
}

// keep adds to the word that the piece ended with.
func (w *wordScanner) keep(b []byte) {
	w.tail = append(w.tail, b[:min(len(b), maxWord+1-min(len(w.tail), maxWord+1))]...)
}

func (w *wordScanner) end() {
	if len(w.tail) >= minWord && len(w.tail) <= maxWord {
		w.filter.add(wordHash(w.tail))
	}
	w.tail = w.tail[:0]
}

func (w *wordScanner) finish() wordFilter {
	w.end()
	return w.filter.folded()
}

// wordHash is FNV-1a.
func wordHash(b []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// wordHashes returns the hashes of the words in a value.
func wordHashes(value string) []uint32 {
	var list []uint32
	b := []byte(value)
	wordClass.Runs(b, minWord, func(from, to int) bool {
		if to-from <= maxWord {
			list = append(list, wordHash(b[from:to]))
		}
		return true
	})
	return list
}

// Mentions returns the files whose bytes contain value as whole words, by
// place. A value without a word of three characters is found nowhere.
func (p *Product) Mentions(value string) []*File {
	hashes := wordHashes(value)
	if len(hashes) == 0 {
		return nil
	}
	var found []*File
	for _, f := range p.Files {
		if f.mentions(value, hashes) {
			found = append(found, f)
		}
	}
	return found
}

func (f *File) mentions(value string, hashes []uint32) bool {
	words := f.index().words
	for _, h := range hashes {
		if !words.mayHave(h) {
			return false
		}
	}
	return containsWord(f.Bytes(), value)
}

// containsWord says that text has value with no word character right beside it.
func containsWord(text []byte, value string) bool {
	want := []byte(value)
	for at := 0; ; {
		i := bytes.Index(text[at:], want)
		if i < 0 {
			return false
		}
		i += at
		end := i + len(value)
		if (i == 0 || !wordClass.Has(text[i-1]) || !wordClass.Has(value[0])) && (end == len(text) || !wordClass.Has(text[end]) || !wordClass.Has(value[len(value)-1])) {
			return true
		}
		at = i + 1
	}
}
