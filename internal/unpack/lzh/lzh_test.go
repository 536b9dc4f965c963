package lzh

import (
	"bytes"
	"testing"

	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// writer writes bits from the highest of each byte on.
type writer struct {
	b []byte
	n int
}

func (w *writer) put(v, n int) {
	for n--; n >= 0; n-- {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.n/8] |= byte(v>>n&1) << (7 - w.n%8)
		w.n++
	}
}

// packAdaptive packs as LZHUF does, with a tree of the decoder's own.
func packAdaptive(list []unpacktest.RarMatch) []byte {
	w, t := &writer{}, newTree()
	symbol := func(s int) {
		var path []int
		for n := t.parent[s+nodes]; n != root; n = t.parent[n] {
			path = append(path, n-t.child[t.parent[n]])
		}
		for i := len(path) - 1; i >= 0; i-- {
			w.put(path[i], 1)
		}
		w.put(s+nodes-t.child[t.parent[s+nodes]], 0) // leaves are single
		t.count(s)
	}
	for _, m := range list {
		if m.Length == 0 {
			symbol(int(m.Literal))
			continue
		}
		symbol(256 + m.Length - threshold)
		high := (m.Distance - 1) >> 6
		// The fixed code, by its definition: 3 bits for the first, and so on.
		first, n, count := 0, 3, []int{1, 3, 8, 12, 24, 16}
		at := 0
		for i, c := range count {
			if high < at+c {
				w.put(first+high-at, n)
				break
			}
			at += c
			first = (first + count[i]) << 1
			n++
		}
		w.put((m.Distance-1)&63, 6)
	}
	return w.b
}

// near keeps matches that a method can express, and gives the others as literals.
func near(plain []byte, length, distance int) (list []unpacktest.RarMatch) {
	at := 0
	for _, m := range unpacktest.RarMatches(plain, nil) {
		n := max(m.Length, 1)
		if m.Length == 0 || m.Distance > distance {
			for _, c := range plain[at : at+n] {
				list = append(list, unpacktest.RarMatch{Literal: c})
			}
		} else {
			for left := n; left > 0; left -= length {
				if left < threshold {
					for _, c := range plain[at+n-left : at+n] {
						list = append(list, unpacktest.RarMatch{Literal: c})
					}
					break
				}
				list = append(list, unpacktest.RarMatch{Length: min(left, length), Distance: m.Distance})
			}
		}
		at += n
	}
	return list
}

func packLarc(method string, list []unpacktest.RarMatch) []byte {
	w, out := &writer{}, 0
	if method == "lzs" {
		for _, m := range list {
			if m.Length == 0 {
				w.put(1, 1)
				w.put(int(m.Literal), 8)
				out++
				continue
			}
			w.put(0, 1)
			w.put((2048-17+out-m.Distance)&2047, 11)
			w.put(m.Length-2, 4)
			out += m.Length
		}
		return w.b
	}
	for i := 0; i < len(list); i += 8 {
		flags := 0
		for bit, m := range list[i:min(i+8, len(list))] {
			if m.Length == 0 {
				flags |= 1 << bit
			}
		}
		w.put(flags, 8)
		for _, m := range list[i:min(i+8, len(list))] {
			if m.Length == 0 {
				w.put(int(m.Literal), 8)
				out++
				continue
			}
			place := (4096 - 18 + out - m.Distance) & 4095
			w.put(place&255, 8)
			w.put(place>>8<<4|(m.Length-3), 8)
			out += m.Length
		}
	}
	return w.b
}

// TestOldMethods decodes the methods that no packer of Debian has.
func TestOldMethods(t *testing.T) {
	plain := unpacktest.MixedBytes(150_000) // so much that frequencies are halved
	for method, src := range map[string][]byte{
		"lh1": packAdaptive(near(plain, 60, 4095)),
		"lzs": packLarc("lzs", near(plain, 17, 2047)),
		"lz5": packLarc("lz5", near(plain, 18, 4095)),
	} {
		dst := make([]byte, len(plain))
		if n, err := Decode(method, dst, src); err != nil || !bytes.Equal(dst, plain) {
			t.Errorf("%s: %d bytes, %v", method, n, err)
		}
		if n, err := Decode(method, dst, src[:len(src)/2]); err == nil || n > len(plain)*3/4 {
			t.Errorf("%s cut in half: %d bytes, %v", method, n, err)
		}
	}
}

// TestWindow reads from before the start: spaces, and LArc's pattern.
func TestWindow(t *testing.T) {
	dst := make([]byte, 4)
	if _, err := Decode("lzs", dst, []byte{0, 0x02, 0}); err != nil || string(dst[:2]) != "  " {
		t.Errorf("%q, %v", dst, err)
	}
	// A match of 4 at place 18 + 13*65: the letter A.
	place := 18 + 13*65
	if _, err := Decode("lz5", dst, []byte{0, byte(place), byte(place>>8<<4 | 1)}); err != nil || string(dst) != "AAAA" {
		t.Errorf("%q, %v", dst, err)
	}
}

func FuzzDecode(f *testing.F) {
	plain := unpacktest.MixedBytes(3000)
	f.Add("lh1", packAdaptive(near(plain, 60, 4095)))
	for method := range methods {
		f.Add(method, plain)
	}
	f.Fuzz(func(t *testing.T, method string, src []byte) {
		Decode(method, make([]byte, 100_000), src)
	})
}
