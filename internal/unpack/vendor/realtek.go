package vendor

import (
	"encoding/binary"

	"github.com/doorward/doorward/internal/unpack"
)

// Realtek opens the blocks of Realtek's boards (cvimg of its kit; Edimax, Tenda,
// TOTOLINK, Zioncom): 16 bytes, then data whose 16-bit words add up to 0. Web
// pages (w6c*) have a sum of bytes. A file is a row of them.
var Realtek = &unpack.Reader{
	Name:    "realtek",
	Doc:     "blocks of Realtek boards (cs6c, cr6c, r6cr, w6c* and their older kin) with load and flash address, checksum verified",
	Checked: "an independent writer; all ways of damage",
	Magics: []unpack.Magic{
		{At: 0, Bytes: "cs6c"}, {At: 0, Bytes: "cr6c"}, {At: 0, Bytes: "r6cr"}, {At: 0, Bytes: "cs6b"}, {At: 0, Bytes: "cr6b"}, {At: 0, Bytes: "r6br"},
		{At: 0, Bytes: "w6cp"}, {At: 0, Bytes: "w6cg"}, {At: 0, Bytes: "w6cv"}, {At: 0, Bytes: "w6bp"}, {At: 0, Bytes: "w6bg"},
	},
	Carve: true,
	Open:  openRealtek,
}

// RealtekOld are blocks whose magic is too common a word to be searched for.
var RealtekOld = &unpack.Reader{
	Name:    "realtek",
	Checked: "an independent writer",
	Doc:     "blocks of older Realtek boards (boot, csys, root, csro) at the start of a file",
	Magics:  []unpack.Magic{{At: 0, Bytes: "boot"}, {At: 0, Bytes: "csys"}, {At: 0, Bytes: "root"}, {At: 0, Bytes: "csro"}, {At: 0, Bytes: "webp"}},
	Open:    openRealtek,
}

const realtekHeader = 16

var realtekKinds = map[string]string{
	"boot": "bootloader", "csys": "kernel", "cs6b": "kernel", "cs6c": "kernel", "root": "rootfs", "r6br": "rootfs", "r6cr": "rootfs",
	"csro": "firmware", "cr6b": "firmware", "cr6c": "firmware",
}

func openRealtek(in *unpack.Input) (*unpack.Object, error) {
	h, err := readHead(in, realtekHeader, binary.BigEndian)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	start, burn, size := h.u32(4), h.u32(8), h.u32(12)
	if size < 16 || size > min(in.Data.Size()-realtekHeader, 1<<26) || burn >= 1<<28 || start != 0 && start>>28 < 8 && start != burn {
		return nil, unpack.ErrNotThis
	}
	kind, format := realtekKinds[string(h.b[:4])], ""
	if format = kind; kind == "" {
		kind = "web"
	}
	if !realtekSum(in.Data, size, kind == "web") {
		return nil, unpack.ErrNotThis
	}
	g := newImage(in, "realtek "+string(h.b[:4]), realtekHeader+size, realtekHeader)
	g.info("load address", h.hex(4))
	g.info("flash address", h.hex(8))
	n := size - 2
	if kind == "web" {
		n = size - 1
	}
	g.cover(realtekHeader+n, size-n)
	g.part(kind, format, realtekHeader, n, nil)
	return g.finish(), nil
}

// realtekSum says that the words add up to 0 (or, of web pages, the bytes), and
// that this is no sum of zeros.
func realtekSum(data unpack.Bytes, size int64, bytewise bool) bool {
	var words uint16
	var bytes, any byte
	odd := false
	err := unpack.Chunks(data, realtekHeader, size, func(p []byte) {
		for _, c := range p {
			any |= c
			bytes += c
			if odd {
				words += uint16(c)
			} else {
				words += uint16(c) << 8
			}
			odd = !odd
		}
	})
	if err != nil || any == 0 {
		return false
	}
	return words == 0 || bytewise && bytes == 0
}
