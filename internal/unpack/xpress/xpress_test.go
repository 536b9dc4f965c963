package xpress

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// TestByHand decodes a chunk whose codes all have nine bits: literals, and a
// match whose length stands in a byte, as the specification lays it out.
func TestByHand(t *testing.T) {
	var words []uint16
	hold, have := uint32(0), 0
	put := func(v, n int) {
		for n--; n >= 0; n-- {
			hold = hold<<1 | uint32(v>>n&1)
			if have++; have == 16 {
				words, hold, have = append(words, uint16(hold)), 0, 0
			}
		}
	}
	for _, c := range "abc" {
		put(int(c), 9)
	}
	put(256|1<<4|15, 9) // offset of one bit and more, long length
	put(1, 1)           // 3
	put('!', 9)
	put(0, 64-46) // the decoder wants 16 bits behind the match's symbol: four words
	src := bytes.Repeat([]byte{0x99}, 256)
	for i, w := range words {
		src = binary.LittleEndian.AppendUint16(src, w)
		if i == 3 {
			src = append(src, 20-15)
		}
	}
	want := "abc" + "abcabcabcabcabcabcabcab" + "!"
	dst := make([]byte, len(want))
	if n, err := Decode(dst, src); err != nil || string(dst) != want {
		t.Errorf("%d, %q, %v", n, dst, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(append(bytes.Repeat([]byte{0x99}, 256), "some bits that mean something"...))
	f.Fuzz(func(t *testing.T, src []byte) { Decode(make([]byte, 40_000), src) })
}
