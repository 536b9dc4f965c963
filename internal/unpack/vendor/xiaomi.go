package vendor

import (
	"encoding/binary"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// Xiaomi opens the images of Xiaomi's routers (xiaomifw of OpenWrt; HDR2 as in
// unblob): a header with a CRC and the offsets of up to eight blobs, each with
// a header of its own, then an RSA signature.
var Xiaomi = &unpack.Reader{
	Name:    "xiaomi",
	Doc:     "Xiaomi HDR1 and HDR2 images: blobs by name with flash address, CRC verified, signature told",
	Limits:  "the RSA signature is not verified",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "HDR1"}, {At: 0, Bytes: "HDR2"}},
	Carve:   true,
	Open:    openXiaomi,
}

func openXiaomi(in *unpack.Input) (*unpack.Object, error) {
	h, err := readHead(in, 80, binary.LittleEndian)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	list, header := 16, int64(48)
	if h.b[3] == '2' {
		list, header = 48, 80
	}
	sign := h.u32(4)
	if sign < header || sign > in.Data.Size()-16 || h.u32(list) < header || h.u32(list) >= sign {
		return nil, unpack.ErrNotThis
	}
	size := sign + 16
	if b := unpack.ReadSome(in.Data, sign, 4); len(b) == 4 {
		if n := int64(binary.LittleEndian.Uint32(b)); n <= 4096 {
			size += max(n, 0x100)
		}
	}
	if size > in.Data.Size() {
		return nil, unpack.ErrNotThis
	}
	c, err := rawCRC(in.Data, 12, size-12)
	right := err == nil && int64(c) == h.u32(8)
	if !right && !in.Whole {
		return nil, unpack.ErrNotThis
	}
	g := newImage(in, "xiaomi hdr"+string(h.b[3]), size, header)
	g.cover(sign, size-sign)
	if h.b[3] == '2' {
		g.info("model", h.text(16, 8))
		g.info("region", h.text(24, 8))
	} else {
		g.info("device id", fmt.Sprintf("0x%04x", h.u16(14)))
	}
	for i := range 8 {
		at := h.u32(list + 4*i)
		b := unpack.ReadSome(in.Data, at, 48)
		if at == 0 || len(b) < 48 || at < header || at >= sign || b[0] != 0xbe || b[1] != 0xba {
			break
		}
		p := head{b, binary.LittleEndian}
		g.cover(at, 48)
		g.part(p.text(16, 32), "", at+48, p.u32(8), map[string]string{"flash address": p.hex(4), "type": fmt.Sprint(p.u16(12))})
	}
	if len(g.o.Parts) == 0 {
		return nil, unpack.ErrNotThis
	}
	if !right {
		g.damaged(0, size, "the checksum of the image is wrong")
	}
	return g.finish(), nil
}
