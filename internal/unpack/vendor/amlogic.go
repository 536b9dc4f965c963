package vendor

import (
	"encoding/binary"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// Amlogic opens the burning images of Amlogic (aml_image packers): a CRC of all, a
// table of items with type and name, some with an item VERIFY beside them that
// holds a digest.
var Amlogic = &unpack.Reader{
	Name:    "amlogic",
	Doc:     "Amlogic burning images, versions 1 and 2: partitions, device trees, boot loaders by name, CRC verified",
	Limits:  "the VERIFY items are shown, not compared",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 8, Bytes: "\x56\x19\xb5\x27"}},
	Carve:   true,
	Open:    openAmlogic,
}

func openAmlogic(in *unpack.Input) (*unpack.Object, error) {
	h, err := readHead(in, 64, binary.LittleEndian)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	version, count := h.u32(4), h.u32(24)
	size := h.order.Uint64(h.b[12:])
	item, text := int64(576), 256
	if version == 1 {
		item, text = 128, 32
	}
	if version < 1 || version > 2 || count == 0 || count > 4096 || size < uint64(64+count*item) || size > uint64(in.Data.Size()) {
		return nil, unpack.ErrNotThis
	}
	table, err := unpack.ReadFull(in.Data, 64, count*item)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	c, err := rawCRC(in.Data, 4, int64(size)-4)
	if right := err == nil && int64(c) == h.u32(0); !right && !in.Whole {
		return nil, unpack.ErrNotThis
	} else {
		g := newImage(in, fmt.Sprintf("amlogic %d", version), int64(size), 64+count*item)
		if !right {
			g.damaged(0, int64(size), "the checksum of the image is wrong")
		}
		known := map[[2]uint64]bool{}
		for i := range count {
			f := head{table[i*item:], h.order}
			off, n := h.order.Uint64(f.b[16:]), h.order.Uint64(f.b[24:])
			if off > size || n > size-off {
				return nil, unpack.ErrNotThis
			}
			// Items may share their bytes.
			if at := [2]uint64{off, n}; !known[at] {
				known[at] = true
				g.part(f.text(32+text, text)+"."+f.text(32, text), "", int64(off), int64(n), nil)
			}
		}
		return g.finish(), nil
	}
}
