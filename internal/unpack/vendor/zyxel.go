package vendor

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/doorward/doorward/internal/unpack"
)

// ZyNOS opens the objects of ZyXEL's own operating system (zynos.h of OpenWrt):
// 48 bytes before code, boot extensions and settings, with 16-bit sums of the
// data as stored and as unpacked.
var ZyNOS = &unpack.Reader{
	Name:    "zynos",
	Doc:     "ZyXEL ZyNOS objects (ROMBIN, boot extension, settings) with checksums of stored and unpacked data",
	Limits:  "the memory map table is shown as it is; a compression of ZyXEL's own is not unpacked",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 6, Bytes: "SIG"}},
	Carve:   true,
	Open:    openZyNOS,
}

const zynosHeader = 48

var zynosTypes = map[byte]string{1: "rom image", 2: "boot rom", 3: "boot extension", 4: "rom binary", 5: "directory", 6: "type 6", 7: "memory map", 0x80: "ram", 0x81: "ram code", 0x82: "ram boot"}

func openZyNOS(in *unpack.Input) (*unpack.Object, error) {
	h, err := readHead(in, zynosHeader, binary.BigEndian)
	if err != nil || zynosTypes[h.b[9]] == "" || !isText(h.b[24:39]) {
		return nil, unpack.ErrNotThis
	}
	flags, size, want := h.b[18], h.u32(14), h.u16(22)
	packed := flags&0x80 != 0
	if !packed {
		size, want = h.u32(10), h.u16(20)
	}
	if size < 16 || size > in.Data.Size()-zynosHeader || flags&0x60 == 0 || h.b[4]|h.b[5] != 0 {
		return nil, unpack.ErrNotThis
	}
	// A sum of 16 bits is a proof only together with the rest of the header.
	if s, err := onesSum(in.Data, zynosHeader, size); err != nil || int64(s) != want || want == 0 {
		return nil, unpack.ErrNotThis
	}
	g := newImage(in, "zynos "+zynosTypes[h.b[9]], zynosHeader+size, zynosHeader)
	g.info("load address", h.hex(0))
	g.info("version", h.text(24, 15))
	g.info("unpacked size", fmt.Sprint(h.u32(10)))
	g.part("data", "", zynosHeader, size, nil)
	return g.finish(), nil
}

// onesSum is the checksum of the Internet protocols, not inverted.
func onesSum(data unpack.Bytes, off, n int64) (uint16, error) {
	var s uint32
	odd := false
	err := unpack.Chunks(data, off, n, func(p []byte) {
		for _, c := range p {
			if odd {
				s += uint32(c)
			} else {
				s += uint32(c) << 8
			}
			odd = !odd
			s = s&0xffff + s>>16
		}
	})
	return uint16(s&0xffff + s>>16), err
}

// ZyTRX opens the header of ZyXEL's MT7621 devices (zytrx of OpenWrt): 0x17c
// bytes, big endian, with a CRC of the header and one of the payload.
var ZyTRX = &unpack.Reader{
	Name:    "zytrx",
	Doc:     "ZyXEL images with the 380-byte header of LTE and 5G routers: model, chip, version, checksums",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "0RDH\x00\x00\x01"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 1024, binary.BigEndian)
		if err != nil {
			if h, err = readHead(in, in.Data.Size(), binary.BigEndian); err != nil {
				return nil, unpack.ErrNotThis
			}
		}
		header := h.u32(4)
		if header < 0x160 || header > int64(len(h.b)) || !isText(h.b[16:48]) || !isText(h.b[260:268]) {
			return nil, unpack.ErrNotThis
		}
		// The checksum of the header stands 8 bytes before its end, and is made
		// with zeros there.
		at := header - 8
		zeroed := append([]byte(nil), h.b[:header]...)
		clear(zeroed[at : at+4])
		if int64(^crc32.ChecksumIEEE(zeroed)) != h.u32(int(at)) {
			return nil, unpack.ErrNotThis
		}
		size := h.u32(80)
		g := newImage(in, "zytrx", header+size, header)
		g.info("chip", h.text(260, 8))
		g.info("model", h.text(268, 16))
		g.info("version", h.text(296, 32))
		g.part("payload", "", header, size, nil)
		if c, err := rawCRC(in.Data, header, size); g.o.Err == nil && (err != nil || int64(c) != h.u32(12)) {
			g.damaged(header, size, "the checksum of the payload is wrong")
		}
		return g.finish(), nil
	},
}
