package vendor

import (
	"encoding/binary"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// Ubiquiti opens the images of Ubiquiti (fw.h of OpenWrt's mkfwimage): a header
// with the version, parts with a CRC each, and an end with a CRC of all or an
// RSA signature.
var Ubiquiti = &unpack.Reader{
	Name:    "ubnt",
	Doc:     "Ubiquiti images (UBNT, OPEN, GEOS): named parts with flash address, CRCs verified, signature told",
	Limits:  "the RSA signature is not verified",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "UBNT"}, {At: 0, Bytes: "OPEN"}, {At: 0, Bytes: "GEOS"}},
	Carve:   true,
	Open:    openUbiquiti,
}

const (
	ubntHeader = 268
	ubntPart   = 56
	maxParts   = 256
)

func openUbiquiti(in *unpack.Input) (*unpack.Object, error) {
	h, err := readHead(in, ubntHeader, binary.BigEndian)
	if err != nil || h.text(4, 256) == "" {
		return nil, unpack.ErrNotThis
	}
	if c, _ := unpack.SumCRC32(0, in.Data, 0, 260); int64(c) != h.u32(260) {
		return nil, unpack.ErrNotThis
	}
	g := newImage(in, "ubnt", in.Data.Size(), ubntHeader)
	g.info("version", h.text(4, 256))
	at := int64(ubntHeader)
	for range maxParts {
		b := unpack.ReadSome(in.Data, at, ubntPart)
		if len(b) >= 12 && string(b[:3]) == "END" {
			at = g.ubntEnd(at, head{b, binary.BigEndian})
			g.o.Size = min(at, in.Data.Size())
			return g.finish(), nil
		}
		if len(b) < ubntPart || clean(b[:4]) == "" {
			break
		}
		p := head{b, binary.BigEndian}
		size := p.u32(48)
		if size > in.Data.Size()-at-ubntPart-8 {
			break
		}
		end := at + ubntPart + size
		c, _ := unpack.SumCRC32(0, in.Data, at, ubntPart+size)
		if want := unpack.ReadSome(in.Data, end, 4); len(want) < 4 || c != binary.BigEndian.Uint32(want) {
			g.damaged(at, end-at, "the checksum of the part %s is wrong", p.text(4, 16))
		}
		g.cover(at, ubntPart)
		g.cover(end, 8)
		info := map[string]string{"flash address": p.hex(40), "flash size": fmt.Sprint(p.u32(52)), "load address": p.hex(32), "entry point": p.hex(44)}
		g.part(p.text(4, 16), "", at+ubntPart, size, info)
		at = end + 8
	}
	g.o.Size = min(at, in.Data.Size())
	g.o.Err = fmt.Errorf("no further part and no end at 0x%x", at)
	return g.finish(), nil
}

// ubntEnd checks the end at an offset and returns what follows it.
func (g *image) ubntEnd(at int64, h head) int64 {
	if h.b[3] == 'S' {
		g.info("signature", "RSA 2048, not verified")
		g.cover(at, 264)
		return at + 264
	}
	if c, err := unpack.SumCRC32(0, g.in.Data, 0, at); err != nil || int64(c) != h.u32(4) {
		g.damaged(0, at, "the checksum of the image is wrong")
	}
	g.cover(at, 12)
	return at + 12
}
