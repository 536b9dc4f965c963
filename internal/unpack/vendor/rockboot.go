package vendor

import (
	"crypto/rc4"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"unicode/utf16"

	"github.com/doorward/doorward/internal/unpack"
)

// rkKey is the RC4 key of Rockchip's boot ROM, the same in all chips (rkcommon of
// U-Boot).
var rkKey = []byte{124, 78, 3, 4, 85, 5, 9, 7, 45, 44, 123, 56, 23, 13, 23, 17}

const rkSector = 512

// rkRC4 is data of which each sector is under RC4 from the key's start on.
type rkRC4 struct {
	unpack.Bytes
	stream [rkSector]byte
}

func newRKRC4(data unpack.Bytes) *rkRC4 {
	r := &rkRC4{Bytes: data}
	c, _ := rc4.NewCipher(rkKey)
	c.XORKeyStream(r.stream[:], r.stream[:])
	return r
}

func (r *rkRC4) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Bytes.ReadAt(p, off)
	for i := range p[:n] {
		p[i] ^= r.stream[(off+int64(i))%rkSector]
	}
	return n, err
}

// RKBoot opens the boot loaders that Rockchip's tools download (boot_merger):
// entries for the boot ROM's two stages and for flash, a CRC behind all.
var RKBoot = &unpack.Reader{
	Name:    "rkboot",
	Doc:     "Rockchip loader files (BOOT, LDR), CRC verified, entries decrypted with the boot ROM's public key",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "BOOTf\x00"}, {At: 0, Bytes: "LDR f\x00"}},
	Carve:   true,
	Open:    openRKBoot,
}

func openRKBoot(in *unpack.Input) (*unpack.Object, error) {
	h, err := readHead(in, 0x66, binary.LittleEndian)
	if err != nil || h.b[0x10] == 0 || h.b[0x10] > 12 {
		return nil, unpack.ErrNotThis
	}
	g := newImage(in, "rkboot", in.Data.Size(), 0x66)
	g.info("chip", rkChip(h.b[0x15:0x19]))
	g.info("version", fmt.Sprintf("%x.%02x", h.b[7], h.b[6]))
	g.info("created", fmt.Sprintf("%d-%02d-%02d", h.u16(0xe), h.b[0x10], h.b[0x11]))
	end := int64(0x66)
	for i, stage := range []string{"471", "472", "loader"} {
		count, at, size := int64(h.b[0x19+6*i]), h.u32(0x1a+6*i), int64(h.b[0x1e+6*i])
		if count > 16 || count > 0 && size < 57 {
			return nil, unpack.ErrNotThis
		}
		for range count {
			b, err := unpack.ReadFull(in.Data, at, 57)
			if err != nil {
				return nil, unpack.ErrNotThis
			}
			e := head{b, h.order}
			off, n := e.u32(45), e.u32(49)
			if off+n > in.Data.Size() {
				return nil, unpack.ErrNotThis
			}
			g.cover(at, size)
			g.rkEntry(stage, e, off, n, h.b[0x2c] == 0)
			end = max(end, at+size, off+n)
			at += size
		}
	}
	if len(g.o.Parts) == 0 {
		return nil, unpack.ErrNotThis
	}
	want := unpack.ReadSome(in.Data, end, 4)
	if c, err := rkCRC(in.Data, 0, end); err != nil || len(want) < 4 || c != binary.LittleEndian.Uint32(want) {
		if !in.Whole {
			return nil, unpack.ErrNotThis
		}
		g.damaged(0, end, "the checksum of the loader is wrong")
	}
	g.o.Size = min(end+4, in.Data.Size())
	g.cover(end, 4)
	return g.finish(), nil
}

// rkEntry adds one entry, whose name is in UTF-16.
func (g *image) rkEntry(stage string, e head, off, n int64, packed bool) {
	var units []uint16
	for i := range 20 {
		units = append(units, binary.LittleEndian.Uint16(e.b[5+2*i:]))
	}
	name := clean([]byte(string(utf16.Decode(units))))
	g.cover(off, n)
	data := unpack.Window(g.in.Data, off, n)
	if packed {
		data = newRKRC4(data)
	}
	g.o.Parts = append(g.o.Parts, unpack.Part{Name: stage + ":" + name, Format: "bootloader", Data: data, Offset: off})
}

// RKSD opens what Rockchip's boot ROM reads from an SD card, eMMC or SPI flash
// (rkcommon of U-Boot): a sector under RC4 that says where the loader is.
var RKSD = &unpack.Reader{
	Name:    "rksd",
	Doc:     "Rockchip boot images on SD card and SPI flash (older chips), decrypted with the boot ROM's public key",
	Limits:  "the format has no checksum",
	Checked: "mkimage's rksd for rk3188, rk3288, rk3399",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\x3b\x8c\xdc\xfc"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		b := make([]byte, rkSector)
		if n, _ := newRKRC4(in.Data).ReadAt(b, 0); n < rkSector {
			return nil, unpack.ErrNotThis
		}
		h := head{b, binary.LittleEndian}
		start, size := h.u16(12)*rkSector, h.u16(506)*rkSector
		if h.u32(0) != 0x0ff0aa55 || h.u32(8) > 1 || start < rkSector || start > 1<<16 || size == 0 || !unpack.IsPadding(b[14:506]) {
			return nil, unpack.ErrNotThis
		}
		// What the loader loads in turn is known by an upper bound only, and found
		// by its content.
		g := newImage(in, "rksd", start+size, rkSector)
		size = min(size, g.o.Size-start)
		if size <= 0 {
			return nil, unpack.ErrNotThis
		}
		data := unpack.Window(in.Data, start, size)
		if h.u32(8) == 0 {
			data = newRKRC4(data)
		}
		g.cover(start, size)
		g.o.Parts = append(g.o.Parts, unpack.Part{Name: "loader", Format: "bootloader", Data: data, Offset: start})
		return g.finish(), nil
	},
}

// RKNS opens what the boot ROM of newer Rockchip chips reads: a header with the
// SHA-256 of each image.
var RKNS = &unpack.Reader{
	Name:    "rkns",
	Doc:     "Rockchip boot images of newer chips (RKNS), SHA-256 of each image verified",
	Limits:  "the signature of a locked chip is not verified; images for SPI flash, which are spread over pages, are cut where their hash says so",
	Checked: "mkimage's rksd for rk3568",
	Magics:  []unpack.Magic{{At: 0, Bytes: "RKNS\x00\x00\x00\x00"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 2048, binary.LittleEndian)
		if err != nil || h.u16(10) == 0 || h.u16(10) > 4 {
			return nil, unpack.ErrNotThis
		}
		g := newImage(in, "rkns", in.Data.Size(), 2048)
		end, right := int64(2048), 0
		for i := range int(h.u16(10)) {
			e := head{h.b[0x78+0x58*i:], h.order}
			off, n := e.u16(0)*rkSector, e.u16(2)*rkSector
			if n == 0 {
				continue
			}
			if off < 2048 || off+n > in.Data.Size() {
				return nil, unpack.ErrNotThis
			}
			g.part(fmt.Sprintf("image%d", i), "bootloader", off, n, map[string]string{"load address": e.hex(4)})
			if got, err := sum(sha256.New(), in.Data, off, n); err == nil && string(got) == string(e.b[0x18:0x38]) {
				right++
			} else {
				g.damaged(off, n, "the SHA-256 of image %d is wrong", i)
			}
			end = max(end, off+n)
		}
		if len(g.o.Parts) == 0 || right == 0 && !in.Whole {
			return nil, unpack.ErrNotThis
		}
		g.o.Size = end
		return g.finish(), nil
	},
}
