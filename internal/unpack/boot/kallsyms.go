package boot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/doorward/doorward/internal/unpack"
)

// kallsyms are the names and addresses of a kernel's functions and data, which
// the kernel keeps for its own messages (scripts/kallsyms.c of Linux). Nothing
// marks them: the table of tokens is known by its digits, and all else is checked
// against each other from there on.
type kallsyms struct {
	b       []byte
	order   binary.ByteOrder
	tokens  [256][]byte
	table   int // where the tokens start
	index   int // where their index starts
	names   int
	count   int
	markers []uint64
	word    int // bytes of an address
	kind    string
	values  []uint64
}

const (
	maxSymbols   = 1 << 21
	maxSymbol    = 512 // bytes of an expanded name
	symbolsOfRun = 256
)

// kernelSymbols finds the symbols of a kernel; nil if there are none, or if they
// can't be told for sure.
func kernelSymbols(b []byte) *kallsyms {
	digits := []byte("0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00")
	for at := 0; ; {
		i := bytes.Index(b[at:], digits)
		if i < 0 {
			return nil
		}
		at += i
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			k := &kallsyms{b: b, order: order}
			if k.readTokens(at) && k.findNames() && k.findValues() {
				return k
			}
		}
		at++
	}
}

// readTokens reads the table whose token '0' stands at a place: behind the last
// of 256 is the index, which says where each starts.
func (k *kallsyms) readTokens(zero int) bool {
	end := zero
	for range 256 - '0' {
		n := bytes.IndexByte(k.b[end:min(end+64, len(k.b))], 0)
		if n < 0 {
			return false
		}
		end += n + 1
	}
	for k.index = end; k.index <= end+8 && k.index+512 <= len(k.b); k.index++ {
		if k.table = zero - int(k.order.Uint16(k.b[k.index+2*'0':])); k.table >= 0 && k.table < zero && k.tokensFit(end) {
			return true
		}
	}
	return false
}

func (k *kallsyms) tokensFit(end int) bool {
	at := k.table
	for i := range k.tokens {
		if k.table+int(k.order.Uint16(k.b[k.index+2*i:])) != at || at >= end {
			return false
		}
		n := bytes.IndexByte(k.b[at:end], 0)
		if n < 0 {
			return false
		}
		k.tokens[i] = k.b[at : at+n]
		at += n + 1
	}
	return at == end
}

// findNames looks for the marks before the tokens, each of which says where the
// next 256 names start, and for the names before these.
func (k *kallsyms) findNames() bool {
	return k.marks(k.table, 4) || k.marks(k.table, 8)
}

// marks reads the marks that end before a place.
func (k *kallsyms) marks(behind, size int) bool {
	value := func(at int) uint64 {
		if size == 4 {
			return uint64(k.order.Uint32(k.b[at:]))
		}
		return k.order.Uint64(k.b[at:])
	}
	const most = 3*maxSymbols + maxSymbols/symbolsOfRun*8
	last := behind &^ (size - 1)
	for at := last - size; at >= size && at > behind-most; at -= size {
		if value(at) != 0 || at+2*size > behind {
			continue
		}
		list := []uint64{0}
		for p := at + size; p+size <= behind; p += size {
			v := value(p)
			if step := v - list[len(list)-1]; v <= list[len(list)-1] || step < 2*symbolsOfRun || step > maxSymbol*symbolsOfRun {
				break
			}
			list = append(list, v)
		}
		if len(list) >= 3 && k.namesBefore(at, list) {
			k.markers = list
			return true
		}
	}
	return false
}

// namesBefore looks for names that end before the marks and fit them; their
// count stands right before them.
func (k *kallsyms) namesBefore(end int, marks []uint64) bool {
	last := int(marks[len(marks)-1])
	for s := (end - last) &^ 3; s > 8 && s > end-last-symbolsOfRun*maxSymbol; s -= 4 {
		for _, back := range []int{4, 8} {
			n := int(k.order.Uint32(k.b[s-back:]))
			if n > (len(marks)-1)*symbolsOfRun && n <= len(marks)*symbolsOfRun && k.namesFit(s, end, n, marks) {
				k.names, k.count = s, n
				return true
			}
		}
	}
	return false
}

// nameAt is the packed name at a place: a length in one byte, or in two from 128
// on (since Linux 6.1), then tokens.
func (k *kallsyms) nameAt(at, end int) (packed []byte, next int) {
	if at >= end {
		return nil, 0
	}
	n := int(k.b[at])
	at++
	if n&0x80 != 0 && at < end {
		n = n&0x7f | int(k.b[at])<<7
		at++
	}
	if n == 0 || at+n > end {
		return nil, 0
	}
	return k.b[at : at+n], at + n
}

func (k *kallsyms) namesFit(s, end, count int, marks []uint64) bool {
	at := s
	for i := range count {
		if i%symbolsOfRun == 0 && uint64(at-s) != marks[i/symbolsOfRun] {
			return false
		}
		if _, at = k.nameAt(at, end); at == 0 {
			return false
		}
	}
	return end-at < 16 && unpack.OnlyByte(k.b[at:end], 0)
}

// findValues looks for the addresses: behind the tokens since Linux 6.4, before
// the count of names until then; as offsets from a base, or as they are.
func (k *kallsyms) findValues() bool {
	behind := (k.index + 512 + 7) &^ 7
	for _, word := range []int{8, 4} {
		k.word = word
		for pad := 4; pad <= 8; pad += 4 {
			before := k.names - pad
			for at := before - word; at >= 0 && at > before-16; at -= 4 { // of the base
				start := at - (4*k.count+word-1)/word*word
				if k.relative(start, at) {
					return true
				}
			}
			if k.absolute(before-word*k.count) || k.absolute((before-word*k.count)&^(word-1)) {
				return true
			}
		}
		for start := behind - 8; start <= behind+8; start += 4 {
			if k.relative(start, (start+4*k.count+word-1)/word*word) {
				return true
			}
		}
	}
	return false
}

func (k *kallsyms) wordAt(at int) uint64 {
	if k.word == 4 {
		return uint64(k.order.Uint32(k.b[at:]))
	}
	return k.order.Uint64(k.b[at:])
}

// isAddress says that a value may be one in a kernel.
func (k *kallsyms) isAddress(v uint64) bool {
	if k.word == 8 {
		switch v >> 48 {
		case 0xffff, 0x9000, 0x9800, 0xa800:
			return true
		case 0xc000: // PowerPC's first; two words of a 32-bit kernel may look like it
			return v<<16 == 0 || v<<32 == 0 && v>>32 == 0xc0000000
		}
		return false
	}
	return v >= 0x10000 && v>>32 == 0
}

// relative reads offsets from a base; those of per-processor data may be
// absolute beside negative ones.
func (k *kallsyms) relative(start, base int) bool {
	if start < 0 || base < start || start+4*k.count > len(k.b) || base+k.word > len(k.b) || !k.isAddress(k.wordAt(base)) {
		return false
	}
	first := k.wordAt(base)
	plain, mixed := make([]uint64, k.count), make([]uint64, k.count)
	for i := range k.count {
		v := k.order.Uint32(k.b[start+4*i:])
		plain[i] = first + uint64(v)
		if mixed[i] = uint64(v); int32(v) < 0 {
			mixed[i] = first - 1 - uint64(int64(int32(v)))
		}
		if k.word == 4 {
			plain[i], mixed[i] = plain[i]&0xffffffff, mixed[i]&0xffffffff
		}
	}
	switch {
	case k.sorted(mixed) && mixed[k.count-1] > first && int32(k.order.Uint32(k.b[start+4*(k.count-1):])) < 0:
		k.values, k.kind = mixed, "relative, per-processor data absolute"
	case k.sorted(plain):
		k.values, k.kind = plain, "relative"
	default:
		return false
	}
	return true
}

func (k *kallsyms) absolute(start int) bool {
	if start < 0 || start+k.word*k.count > k.names {
		return false
	}
	list := make([]uint64, k.count)
	for i := range list {
		list[i] = k.wordAt(start + i*k.word)
	}
	if !k.sorted(list) || !k.isAddress(list[k.count-1]) {
		return false
	}
	k.values, k.kind = list, "absolute"
	return true
}

// sorted says that addresses grow, as the kernel needs them to, and are many
// different ones.
func (k *kallsyms) sorted(list []uint64) bool {
	return slices.IsSorted(list) && len(slices.Compact(slices.Clone(list))) > len(list)/4
}

// text writes the symbols as System.map has them.
func (k *kallsyms) text() unpack.Slice {
	var out bytes.Buffer
	var name []byte
	at, end := k.names, k.table
	for i := range k.count {
		var packed []byte
		if packed, at = k.nameAt(at, end); at == 0 {
			break
		}
		name = name[:0]
		for _, t := range packed {
			name = append(name, k.tokens[t]...)
		}
		if len(name) < 2 || len(name) > maxSymbol {
			continue
		}
		fmt.Fprintf(&out, "%0*x %c %s\n", 2*k.word, k.values[i], name[0], name[1:])
	}
	return out.Bytes()
}
