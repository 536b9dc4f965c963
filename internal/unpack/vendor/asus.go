package vendor

import (
	"encoding/binary"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// AsusTail opens what ASUS appends to its uImages (asusuimage of OpenWrt): the
// build's numbers, and a footer with sums of both.
var AsusTail = &unpack.Reader{
	Name:    "asustail",
	Doc:     "the tail of ASUS images behind a uImage: build and extended build number, checksums verified",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 20, Bytes: "\x2a\xfe\xd4\x14"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 24, binary.BigEndian)
		if err != nil || h.u32(12)&0xffffff != 12 {
			return nil, unpack.ErrNotThis
		}
		foot := append([]byte(nil), h.b[12:]...)
		clear(foot[4:6])
		if asusSum(h.b[:12]) != binary.BigEndian.Uint16(h.b[18:]) || asusSum(foot) != binary.BigEndian.Uint16(h.b[16:]) {
			return nil, unpack.ErrNotThis
		}
		g := newImage(in, "asus tail", 24, 24)
		g.info("build", fmt.Sprintf("%d_%d", h.u16(4), h.u32(0)))
		return g.finish(), nil
	},
}

// asusSum is the inverted XOR of all 16-bit words.
func asusSum(b []byte) (x uint16) {
	for ; len(b) >= 2; b = b[2:] {
		x ^= binary.BigEndian.Uint16(b)
	}
	return ^x
}
