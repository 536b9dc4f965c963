package vendor

import (
	"encoding/binary"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// EGON opens what Allwinner's boot ROM loads (egon.h of U-Boot): a jump, a magic, a
// sum of 32-bit words in which a stamp stands in for itself, and the length.
var EGON = &unpack.Reader{
	Name:    "egon",
	Doc:     "Allwinner eGON boot images (boot0, boot1, SPL), checksum verified",
	Limits:  "words that change places do not change the sum",
	Checked: "mkimage's sunxi_egon",
	Magics:  []unpack.Magic{{At: 4, Bytes: "eGON.BT"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 64, binary.LittleEndian)
		if err != nil {
			return nil, unpack.ErrNotThis
		}
		size := h.u32(16)
		if size < 64 || size > in.Data.Size() || size%4 != 0 || size > 1<<24 {
			return nil, unpack.ErrNotThis
		}
		s, err := wordSum(in.Data, 0, size)
		if s += 0x5f0a6c39 - uint32(h.u32(12)); err != nil || int64(s) != h.u32(12) {
			return nil, unpack.ErrNotThis
		}
		g := newImage(in, "egon "+string(h.b[4:12]), size, egonHeader)
		if string(h.b[20:23]) == "SPL" {
			g.info("loader", fmt.Sprintf("U-Boot SPL, header version %d", h.b[23]))
			if at := h.u32(32); at > 0 && at < 1024 {
				g.info("device tree", clean(unpack.ReadSome(in.Data, at, 64)))
			}
		}
		g.part("code", "bootloader", egonHeader, size-egonHeader, nil)
		return g.finish(), nil
	},
}

const egonHeader = 32

// wordSum adds the little-endian 32-bit words.
func wordSum(data unpack.Bytes, off, n int64) (s uint32, err error) {
	shift := 0
	err = unpack.Chunks(data, off, n&^3, func(p []byte) {
		for _, c := range p {
			s += uint32(c) << shift
			shift = (shift + 8) & 31
		}
	})
	return s, err
}

// ImageWTY opens the update images of Allwinner's LiveSuit and PhoenixSuit (awutils,
// OpenixIMG): a table of files, some with a file V* beside them that holds their
// word sum.
var ImageWTY = &unpack.Reader{
	Name:    "imagewty",
	Doc:     "Allwinner IMAGEWTY images, versions 1 and 3, word sums verified",
	Limits:  "the encrypted form has no magic and is not known from other encrypted bytes",
	Checked: "an independent writer",
	Magics:  []unpack.Magic{{At: 0, Bytes: "IMAGEWTY"}},
	Carve:   true,
	Open:    openImageWTY,
}

func openImageWTY(in *unpack.Input) (*unpack.Object, error) {
	h, err := readHead(in, 0x60, binary.LittleEndian)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	version, v3 := h.u32(8), 0
	if version == 0x300 {
		v3 = 4
	}
	count, size := h.u32(56+v3), h.u32(24)
	if version != 0x100 && version != 0x300 || count == 0 || count > 1024 || size < 1024*(count+1) {
		return nil, unpack.ErrNotThis
	}
	g := newImage(in, fmt.Sprintf("imagewty %d", version>>8), size, 1024*(count+1))
	g.info("hardware id", h.hex(40+v3))
	g.info("firmware id", h.hex(44+v3))
	sums := map[string]uint32{}
	for i := range count {
		b, err := unpack.ReadFull(in.Data, 1024*(i+1), 0x200)
		if err != nil {
			return nil, unpack.ErrNotThis
		}
		f := head{b, h.order}
		name, off, n := f.text(52, 256), f.u32(44), f.u32(40)
		if v3 > 0 {
			name, off, n = f.text(36, 256), f.u32(308), f.u32(300)
		}
		if name == "" || off < 1024*(count+1) || off+n > size {
			return nil, unpack.ErrNotThis
		}
		if n == 4 && name[0] == 'V' {
			if b, err := unpack.ReadFull(in.Data, off, 4); err == nil {
				sums[name[1:]] = binary.LittleEndian.Uint32(b)
			}
			g.cover(off, n)
			continue
		}
		g.part(name, "", off, n, map[string]string{"type": f.text(8, 8), "subtype": f.text(16, 16)})
	}
	for _, p := range g.o.Parts {
		if want, ok := sums[p.Name]; ok {
			if s, err := wordSum(in.Data, p.Offset, p.Data.Size()); err != nil || s != want {
				g.damaged(p.Offset, p.Data.Size(), "the word sum of %s is not that of V%s", p.Name, p.Name)
			}
		}
	}
	return g.finish(), nil
}
