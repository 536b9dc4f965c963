package uefi

import (
	"encoding/binary"
	"sort"
)

// An independent packer of EFI 1.1 and Tiano streams: greedy matches, Huffman
// codes for each block.

type bitWriter struct {
	out  []byte
	bits int
}

func (w *bitWriter) put(v uint32, n int) {
	for i := n - 1; i >= 0; i-- {
		if w.bits%8 == 0 {
			w.out = append(w.out, 0)
		}
		w.out[len(w.out)-1] |= byte(v>>i&1) << (7 - w.bits%8)
		w.bits++
	}
}

// huffman makes code lengths; frequencies are flattened until none is too long.
func huffman(freq []int, limit int) []byte {
	for {
		lengths := huffmanOnce(freq)
		long := byte(0)
		for _, n := range lengths {
			long = max(long, n)
		}
		if int(long) <= limit {
			return lengths
		}
		for i := range freq {
			if freq[i] > 0 {
				freq[i] = freq[i]/2 + 1
			}
		}
	}
}

func huffmanOnce(freq []int) []byte {
	type node struct{ weight, left, right int }
	nodes := make([]node, len(freq))
	var live []int
	for i, f := range freq {
		if nodes[i] = (node{f, -1, -1}); f > 0 {
			live = append(live, i)
		}
	}
	lengths := make([]byte, len(freq))
	if len(live) < 2 {
		return lengths
	}
	for len(live) > 1 {
		sort.Slice(live, func(a, b int) bool { return nodes[live[a]].weight < nodes[live[b]].weight })
		nodes = append(nodes, node{nodes[live[0]].weight + nodes[live[1]].weight, live[0], live[1]})
		live = append([]int{len(nodes) - 1}, live[2:]...)
	}
	var walk func(i int, depth byte)
	walk = func(i int, depth byte) {
		if nodes[i].left < 0 {
			lengths[i] = depth
			return
		}
		walk(nodes[i].left, depth+1)
		walk(nodes[i].right, depth+1)
	}
	walk(live[0], 0)
	return lengths
}

func codesOf(lengths []byte) []uint32 {
	codes := make([]uint32, len(lengths))
	code := uint32(0)
	for n := byte(1); n <= 16; n++ {
		for s, l := range lengths {
			if l == n {
				codes[s] = code
				code++
			}
		}
		code <<= 1
	}
	return codes
}

// putLengths writes a small code.
func (w *bitWriter) putLengths(lengths []byte, only, width, gap int) {
	n := len(lengths)
	for n > 0 && lengths[n-1] == 0 {
		n--
	}
	if n == 0 {
		w.put(0, width)
		w.put(uint32(only), width)
		return
	}
	w.put(uint32(n), width)
	for i := 0; i < n; {
		l := lengths[i]
		if l < 7 {
			w.put(uint32(l), 3)
		} else {
			w.put(7, 3)
			w.put(1<<(l-6)-2, int(l-6))
		}
		if i++; i == gap {
			skip := 0
			for skip < 3 && i < n && lengths[i] == 0 {
				skip++
				i++
			}
			w.put(uint32(skip), 2)
		}
	}
}

func singleOf(freq []int) int {
	for i, f := range freq {
		if f > 0 {
			return i
		}
	}
	return 0
}

type token struct{ symbol, place int } // place is the distance less one

func tokens(plain []byte, window int) []token {
	var list []token
	seen := map[[3]byte][]int{}
	for at := 0; at < len(plain); {
		best, from := 0, 0
		if at+3 <= len(plain) {
			key := [3]byte(plain[at : at+3])
			places := seen[key]
			for i := len(places) - 1; i >= max(0, len(places)-8); i-- {
				p, n := places[i], 0
				for n < 256 && at+n < len(plain) && plain[p+n] == plain[at+n] {
					n++
				}
				if n > best && at-p <= window {
					best, from = n, p
				}
			}
		}
		n := 1
		if best >= 3 {
			n = best
			list = append(list, token{n + tianoMatch, at - from - 1})
		} else {
			list = append(list, token{int(plain[at]), 0})
		}
		for i := at; i < at+n && i+3 <= len(plain); i++ {
			key := [3]byte(plain[i : i+3])
			seen[key] = append(seen[key], i)
		}
		at += n
	}
	return list
}

func placeCode(p int) (code, bits int) {
	for p>>code != 0 {
		code++
	}
	return code, max(code-1, 0)
}

// packTiano packs with blocks of some symbols.
func packTiano(plain []byte, width, block int) []byte {
	w := &bitWriter{}
	window := 1 << 13
	if width == tianoBits {
		window = 1 << 19
	}
	for list := tokens(plain, window); len(list) > 0; list = list[min(block, len(list)):] {
		w.block(list[:min(block, len(list))], width)
	}
	w.put(0, 16)
	h := binary.LittleEndian.AppendUint32(nil, uint32(len(w.out)))
	h = binary.LittleEndian.AppendUint32(h, uint32(len(plain)))
	return append(h, w.out...)
}

func (w *bitWriter) block(list []token, width int) {
	w.put(uint32(len(list)), 16)
	freq, places := make([]int, tianoSymbols), make([]int, 1<<width-1)
	for _, t := range list {
		freq[t.symbol]++
		if t.symbol >= 256 {
			c, _ := placeCode(t.place)
			places[c]++
		}
	}
	single, lengths := singleOf(freq), huffman(freq, 16)
	w.codeLengths(lengths, single)
	only, placeLengths := singleOf(places), huffman(places, 16)
	w.putLengths(placeLengths, only, width, -1)
	codes, placeCodes := codesOf(lengths), codesOf(placeLengths)
	for _, t := range list {
		w.put(codes[t.symbol], int(lengths[t.symbol]))
		if t.symbol >= 256 {
			c, bits := placeCode(t.place)
			w.put(placeCodes[c], int(placeLengths[c]))
			w.put(uint32(t.place)&(1<<bits-1), bits)
		}
	}
}

// codeLengths writes the large code, runs of zeros packed.
func (w *bitWriter) codeLengths(lengths []byte, single int) {
	n := len(lengths)
	for n > 0 && lengths[n-1] == 0 {
		n--
	}
	type run struct{ symbol, extra, bits int }
	var runs []run
	for i := 0; i < n; i++ {
		if lengths[i] != 0 {
			runs = append(runs, run{int(lengths[i]) + 2, 0, 0})
			continue
		}
		zeros := 1
		for i+zeros < n && lengths[i+zeros] == 0 {
			zeros++
		}
		switch {
		case zeros < 3:
			zeros = 1
			runs = append(runs, run{0, 0, 0})
		case zeros < 20:
			zeros = min(zeros, 18)
			runs = append(runs, run{1, zeros - 3, 4})
		default:
			zeros = min(zeros, 531)
			runs = append(runs, run{2, zeros - 20, 9})
		}
		i += zeros - 1
	}
	freq := make([]int, tianoExtra)
	for _, r := range runs {
		freq[r.symbol]++
	}
	only, extra := singleOf(freq), huffman(freq, 16)
	w.putLengths(extra, only, 5, 3)
	if n == 0 {
		w.put(0, 9)
		w.put(uint32(single), 9)
		return
	}
	w.put(uint32(n), 9)
	codes := codesOf(extra)
	for _, r := range runs {
		w.put(codes[r.symbol], int(extra[r.symbol]))
		w.put(uint32(r.extra), r.bits)
	}
}
