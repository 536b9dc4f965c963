package product

import (
	"bytes"
	"math/bits"
	"slices"
)

// Words are runs of at least three letters, digits, '.', '_' and '-'. Paths fall
// into their elements.
const (
	minWord = 3
	maxWord = 64
)

var isWord = func() (t [256]bool) {
	for c := range 256 {
		t[c] = wordBit[c] != 0
	}
	return
}()

// wordBit is 1 at the characters of words.
var wordBit = func() (t [256]uint8) {
	for c := range 256 {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-' {
			t[c] = 1
		}
	}
	return
}()

// wordFilter says of a word that it may stand in a content, or that it does not:
// a Bloom filter of two bits in one of its 64-bit cells for each word.
type wordFilter []uint64

// newWordFilter makes a filter for size bytes, a bit for each.
func newWordFilter(size int64) wordFilter {
	cells := 1
	for int64(cells)*64 < size && cells < 1<<24 {
		cells *= 2
	}
	return make(wordFilter, cells)
}

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
// other while no more than one bit of eight is set.
func (f wordFilter) folded() wordFilter {
	set := 0
	for _, cell := range f {
		set += bits.OnesCount64(cell)
	}
	if set == 0 {
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
	return slices.Clone(small)
}

// wordScanner adds the words of bytes that come in pieces to a filter.
type wordScanner struct {
	filter wordFilter
	hash   uint32
	run    int // characters of the word that the last piece ended with
}

const (
	fnvBasis = 2166136261
	fnvPrime = 16777619
)

func newWordScanner(size int64) *wordScanner {
	return &wordScanner{filter: newWordFilter(size), hash: fnvBasis}
}

// feed looks at 64 bytes at once: which are of words is a number of 64 bits, in
// which long enough runs are found without a look at each byte.
func (w *wordScanner) feed(b []byte) {
	i := 0
	if w.run > 0 {
		i = w.slow(b, 0, len(b), true)
	}
	for i < len(b) {
		block := b[i:min(i+64, len(b))]
		mask := wordMask(block)
		starts := mask & (mask >> 1) & (mask >> 2)
		last := len(block) - 1 // what a block ends with may go on in the next one
		starts |= mask & (1 << last)
		starts |= mask & (mask >> 1) & (1 << last >> 1)
		next := i + len(block)
		for starts != 0 {
			at := bits.TrailingZeros64(starts)
			end := at + bits.TrailingZeros64(^(mask >> at))
			if end >= len(block) {
				next = w.slow(b, i+at, len(b), false)
				break
			}
			w.word(block[at:end])
			starts &= ^uint64(0) << end
		}
		i = next
	}
}

// wordMask has a bit for each byte of a block, the first one lowest: 1 if it is
// of a word.
func wordMask(block []byte) (mask uint64) {
	k := 0
	for ; k+8 <= len(block); k += 8 {
		b := block[k : k+8 : k+8]
		mask |= uint64(wordBit[b[0]]|wordBit[b[1]]<<1|wordBit[b[2]]<<2|wordBit[b[3]]<<3|
			wordBit[b[4]]<<4|wordBit[b[5]]<<5|wordBit[b[6]]<<6|wordBit[b[7]]<<7) << (k & 63)
	}
	for ; k < len(block); k++ {
		mask |= uint64(wordBit[block[k]]) << (k & 63)
	}
	return mask
}

func (w *wordScanner) word(b []byte) {
	if len(b) > maxWord {
		return
	}
	h := uint32(fnvBasis)
	for _, c := range b {
		h = (h ^ uint32(c)) * fnvPrime
	}
	w.filter.add(h)
}

// slow takes one word byte by byte, or the rest of one if more is set, and
// returns where it ends. What b ends with waits for the next piece.
func (w *wordScanner) slow(b []byte, from, to int, more bool) int {
	if !more {
		w.hash, w.run = fnvBasis, 0
	}
	for i := from; i < to; i++ {
		if wordBit[b[i]] == 0 {
			w.end()
			return i
		}
		w.hash = (w.hash ^ uint32(b[i])) * fnvPrime
		w.run++
	}
	return to
}

func (w *wordScanner) end() {
	if w.run >= minWord && w.run <= maxWord {
		w.filter.add(w.hash)
	}
	w.hash, w.run = fnvBasis, 0
}

func (w *wordScanner) finish() wordFilter {
	w.end()
	return w.filter.folded()
}

// wordHashes returns the hashes of the words in a value.
func wordHashes(value string) []uint32 {
	var list []uint32
	hash, run := uint32(fnvBasis), 0
	for i := range len(value) + 1 {
		if i < len(value) && isWord[value[i]] {
			hash = (hash ^ uint32(value[i])) * fnvPrime
			run++
			continue
		}
		if run >= minWord && run <= maxWord {
			list = append(list, hash)
		}
		hash, run = fnvBasis, 0
	}
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
		if (i == 0 || !isWord[text[i-1]] || !isWord[value[0]]) && (end == len(text) || !isWord[text[end]] || !isWord[value[len(value)-1]]) {
			return true
		}
		at = i + 1
	}
}
