package unpacktest

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
)

// RarMatch is a piece of packed content: a literal, or a match if it has a
// length. Packers of the tests write them with codes of one length each.
type RarMatch struct {
	Literal          byte
	Length, Distance int
}

// RarMatches parts plain into literals and matches of at least 8 bytes.
func RarMatches(plain, before []byte) (list []RarMatch) {
	b := slices.Concat(before, plain)
	last := map[uint64]int{}
	for i := 0; i < len(b); {
		n, at := 0, -1
		if i+8 <= len(b) {
			key := binary.LittleEndian.Uint64(b[i:])
			if j, ok := last[key]; ok {
				for at = j; i+n < len(b) && n < 250 && b[at+n] == b[i+n]; n++ {
				}
			}
			last[key] = i
		}
		if i < len(before) {
			i++
			continue
		}
		if n < 8 {
			list = append(list, RarMatch{Literal: b[i]})
			i++
			continue
		}
		list = append(list, RarMatch{Length: n, Distance: i - at})
		i += n
	}
	return list
}

// rarBits writes bits from the highest of each byte on.
type rarBits struct {
	b []byte
	n int
}

func (w *rarBits) put(v, n int) {
	for n--; n >= 0; n-- {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.n/8] |= byte(v>>n&1) << (7 - w.n%8)
		w.n++
	}
}

// lengths writes code lengths, a run for each group, by a code of 5 bits for
// all of its twenty symbols.
func (w *rarBits) lengths(groups ...[2]int) {
	for range 20 {
		w.put(5, 4)
	}
	for _, g := range groups {
		for range g[0] {
			w.put(g[1], 5)
		}
	}
}

// PackRar5 packs content with the method of RAR 5, as one block, or two where
// the second goes on with the codes of the first. filter is put before it: kind
// (0 to 3) and channels less one, over all of it; nil for none.
func PackRar5(list []RarMatch, size int, filter []int) []byte {
	var out []byte
	for i, part := range [][]RarMatch{list[:len(list)/2], list[len(list)/2:]} {
		w := &rarBits{}
		if i == 0 {
			w.lengths([2]int{306, 9}, [2]int{64, 6}, [2]int{16, 4}, [2]int{44, 6})
			if filter != nil {
				w.put(256, 9)
				w.put(0, 2+8) // from here on
				w.put(2, 2)
				for shift := 0; shift < 24; shift += 8 {
					w.put(size>>shift&255, 8)
				}
				w.put(filter[0], 3)
				if filter[0] == 0 {
					w.put(filter[1], 5)
				}
			}
		}
		w.matches5(part)
		flags := byte((w.n-1)%8) | 2<<3
		if i == 0 {
			flags |= 0x80
		} else {
			flags |= 0x40
		}
		n := len(w.b)
		out = append(out, flags, 0x5a^flags^byte(n)^byte(n>>8)^byte(n>>16), byte(n), byte(n>>8), byte(n>>16))
		out = append(out, w.b...)
	}
	return out
}

func (w *rarBits) matches5(list []RarMatch) {
	recent := 0
	for _, m := range list {
		if m.Length == 0 {
			w.put(int(m.Literal), 9)
			continue
		}
		if m.Distance == recent {
			w.put(258, 9)
			slot, bits, n := rarSlot5(m.Length - 2)
			w.put(slot, 6)
			w.put(bits, n)
			continue
		}
		recent = m.Distance
		length := m.Length - 2
		for _, far := range []int{0x100, 0x2000, 0x40000} {
			if m.Distance > far {
				length--
			}
		}
		slot, bits, n := rarSlot5(length)
		w.put(262+slot, 9)
		w.put(bits, n)
		d := m.Distance - 1
		if d < 4 {
			w.put(d, 6)
			continue
		}
		n = 0
		for d>>n > 3 {
			n++
		}
		w.put(2*(n+1)+d>>n&1, 6)
		rest := d & (1<<n - 1)
		if n < 4 {
			w.put(rest, n)
			continue
		}
		w.put(rest>>4, n-4)
		w.put(rest&15, 4)
	}
}

func rarSlot5(v int) (slot, bits, n int) {
	if v < 8 {
		return v, 0, 0
	}
	for v>>n > 7 {
		n++
	}
	return 4*(n+1) + v>>n&3, v & (1<<n - 1), n
}

// PackRar3 packs content with the method of RAR 2.9 to 4; program is the
// packed program of a filter, if it has one.
func PackRar3(list []RarMatch, program []byte) []byte {
	w := &rarBits{}
	w.put(0, 2)
	w.lengths([2]int{299, 9}, [2]int{60, 6}, [2]int{17, 5}, [2]int{28, 5})
	if program != nil {
		w.put(257, 9)
		for _, c := range program {
			w.put(int(c), 8)
		}
	}
	for i, m := range list {
		if m.Length == 0 {
			w.put(int(m.Literal), 9)
			continue
		}
		if i%97 == 96 && i > 0 { // a new block with the same codes
			w.put(256, 9)
			w.put(1, 1)
			w.put(0, (8-w.n%8)%8)
			w.put(0, 2)
			w.lengths([2]int{299, 9}, [2]int{60, 6}, [2]int{17, 5}, [2]int{28, 5})
		}
		w.match3(m)
	}
	w.put(256, 9)
	w.put(0, 2) // the file ends, the codes stay
	return w.b
}

func (w *rarBits) match3(m RarMatch) {
	length := m.Length - 3
	for _, far := range []int{0x2000, 0x40000} {
		if m.Distance >= far {
			length--
		}
	}
	slot := 0
	base := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256}
	for length >= base[slot+1] {
		slot++
	}
	w.put(271+slot, 9)
	if slot >= 8 {
		w.put(length-base[slot], slot/4-1)
	}
	d, at, n := m.Distance-1, 0, 0
	for slot = 0; ; slot++ {
		n = max(0, slot/2-1)
		if slot > 34 {
			n = 16
		}
		if slot > 47 {
			n = 18
		}
		if d < at+1<<n {
			break
		}
		at += 1 << n
	}
	w.put(slot, 6)
	if slot < 10 {
		w.put(d-at, n)
		return
	}
	w.put((d-at)>>4, n-4)
	w.put((d-at)&15, 5)
}

// Rar5 begins an archive of version 5; RarBlock5 adds to it.
func Rar5() []byte { return RarBlock5([]byte("Rar!\x1a\x07\x01\x00"), 1, 0, 0) }

// RarBlock5 adds a block of fields to an archive: ints are written in seven
// bits a byte, texts and bytes as they are, uint32 in four bytes.
func RarBlock5(b []byte, fields ...any) []byte {
	h := RarFields5(fields...)
	h = append(binary.AppendUvarint(nil, uint64(len(h))), h...)
	b = binary.LittleEndian.AppendUint32(slices.Clip(b), crc32.ChecksumIEEE(h))
	return append(b, h...)
}

// RarFields5 writes fields.
func RarFields5(fields ...any) (h []byte) {
	for _, f := range fields {
		switch f := f.(type) {
		case int:
			h = binary.AppendUvarint(h, uint64(f))
		case uint32:
			h = binary.LittleEndian.AppendUint32(h, f)
		case string:
			h = append(h, f...)
		case []byte:
			h = append(h, f...)
		}
	}
	return h
}
