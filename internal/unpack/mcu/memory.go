package mcu

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/doorward/doorward/internal/unpack"
)

// piece is bytes at an address of the target's memory.
type piece struct {
	addr uint64
	data []byte
}

// maxGap is up to which gap pieces are one part: a program's sections. Farther
// apart lie other memories: data flash, fuses, option bytes.
const maxGap = 64 << 10

var errOverlap = errors.New("records write the same address twice, with different bytes")

// memory joins pieces to parts by address. Gaps are filled with 0xff, as erased
// flash is. Where pieces overlap, the later one counts.
func memory(in *unpack.Input, list []piece) (parts []unpack.Part, err error) {
	slices.SortStableFunc(list, func(a, b piece) int { return cmp.Compare(a.addr, b.addr) })
	for i := 0; i < len(list); {
		start, end, j := list[i].addr, list[i].addr, i
		for ; j < len(list) && list[j].addr <= end+maxGap; j++ {
			end = max(end, list[j].addr+uint64(len(list[j].data)))
		}
		// A gap costs a record at least, so this is at most maxGap bytes for each.
		out, bad := in.Budget.Room(int64(end-start), in.Data.Size())
		if bad != nil {
			return parts, bad
		}
		for k := range out {
			out[k] = 0xff
		}
		written := uint64(0)
		for _, p := range list[i:j] {
			at := p.addr - start
			if n := min(written, at+uint64(len(p.data))); at < n && !bytes.Equal(out[at:n], p.data[:n-at]) {
				err = errOverlap
			}
			copy(out[at:], p.data)
			written = max(written, at+uint64(len(p.data)))
		}
		parts = append(parts, unpack.Part{Name: fmt.Sprintf("memory-0x%08x", start), Data: out, Offset: -1, Format: unpack.CodePart, Info: map[string]string{"address": fmt.Sprintf("0x%08x", start)}})
		i = j
	}
	return parts, err
}

// add appends bytes to a list of pieces, to the last one if they follow it.
func add(list []piece, addr uint64, data []byte) []piece {
	if n := len(list); n > 0 && list[n-1].addr+uint64(len(list[n-1].data)) == addr {
		list[n-1].data = append(list[n-1].data, data...)
		return list
	}
	return append(list, piece{addr, slices.Clone(data)})
}

// cString is a text field up to its NUL; "" if it isn't text.
func cString(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	if b = bytes.TrimRight(b, "\xff"); !unpack.IsText(b) {
		return ""
	}
	return string(b)
}
