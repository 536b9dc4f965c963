package vendor

import (
	"encoding/binary"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// HWNP opens the upgrade packages of Huawei's optical terminals (as hwfw-tool
// describes them): CRCs of file, header and items, and for each item where it
// is to be written.
var HWNP = &unpack.Reader{
	Name:    "hwnp",
	Doc:     "Huawei HWNP packages: items by destination with version, products, CRCs of file, header and items",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "HWNP"}},
	Carve:   true,
	Open:    openHWNP,
}

const (
	hwnpHeader = 36
	hwnpItem   = 360
)

func openHWNP(in *unpack.Input) (*unpack.Object, error) {
	h, err := readHead(in, hwnpHeader, binary.LittleEndian)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	count, products, item := h.u32(20), h.u16(26), h.u16(28)
	size := int64(binary.BigEndian.Uint32(h.b[4:])) + 76
	header := hwnpHeader + products + count*item
	if count == 0 || count > 4096 || item < hwnpItem || header > in.Data.Size() {
		return nil, unpack.ErrNotThis
	}
	if c, err := unpack.SumCRC32(0, in.Data, 20, header-20); err != nil || int64(c) != h.u32(16) {
		return nil, unpack.ErrNotThis
	}
	g := newImage(in, "hwnp", size, header)
	text := unpack.ReadSome(in.Data, hwnpHeader, min(products, 4096))
	g.info("products", strings.Trim(clean(text), "|;"))
	whole := g.o.Err == nil
	if c, err := unpack.SumCRC32(0, in.Data, 12, g.o.Size-12); whole && (err != nil || int64(c) != h.u32(8)) {
		g.damaged(0, size, "the checksum of the file is wrong")
	}
	for i := range count {
		b, err := unpack.ReadFull(in.Data, hwnpHeader+products+i*item, hwnpItem)
		if err != nil {
			break
		}
		p := head{b, binary.LittleEndian}
		off, n := p.u32(8), p.u32(12)
		name := p.text(272, 16)
		path := p.text(16, 256)
		if _, last, ok := strings.Cut(path, ":"); ok && last != "" {
			name += ":" + strings.ReplaceAll(strings.TrimPrefix(last, "/"), "/", "_")
		}
		if off+n <= g.o.Size {
			if c, err := unpack.SumCRC32(0, in.Data, off, n); err != nil || int64(c) != p.u32(4) {
				g.damaged(off, n, "the checksum of the item %s is wrong", name)
			}
		}
		g.part(name, "", off, n, map[string]string{"destination": path, "version": p.text(288, 64)})
	}
	return g.finish(), nil
}

// WHWH opens the header of one of its items: 84 bytes with version and CRC.
var WHWH = &unpack.Reader{
	Name:    "whwh",
	Doc:     "items of Huawei's optical terminals (whwh): version, CRC verified",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "whwh"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 84, binary.LittleEndian)
		if err != nil || !isText(h.b[4:68]) || h.u32(76) == 0 || h.u32(76) > in.Data.Size()-84 {
			return nil, unpack.ErrNotThis
		}
		size := h.u32(76)
		if c, err := unpack.SumCRC32(0, in.Data, 84, size); err != nil || int64(c) != h.u32(80) {
			return nil, unpack.ErrNotThis
		}
		g := newImage(in, "whwh", 84+size, 84)
		g.info("version", h.text(4, 64))
		g.part("payload", map[int64]string{1: "kernel", 2: "rootfs", 8: "bootloader"}[h.u32(72)], 84, size, nil)
		return g.finish(), nil
	},
}
