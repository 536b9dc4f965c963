package vendor

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// RKFW opens Rockchip's update images: a boot loader, an RKAF archive, and the MD5 of all
// as text behind them.
var RKFW = &unpack.Reader{
	Name:    "rkfw",
	Doc:     "Rockchip RKFW update images: loader and RKAF archive, MD5 verified; chip, version, date",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "RKFWf\x00"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 0x66, binary.LittleEndian)
		if err != nil || h.u32(0x19) < 0x66 || h.u32(0x21) < h.u32(0x19)+h.u32(0x1d) {
			return nil, unpack.ErrNotThis
		}
		end := h.u32(0x21) + h.u32(0x25)
		if end > in.Data.Size() && !in.Whole || h.b[0x10] == 0 || h.b[0x10] > 12 {
			return nil, unpack.ErrNotThis
		}
		g := newImage(in, "rkfw", end, 0x66)
		g.info("chip", rkChip(h.b[0x15:0x19]))
		g.info("version", fmt.Sprintf("%d.%d.%d", h.b[9], h.b[8], h.u16(6)))
		g.info("created", fmt.Sprintf("%d-%02d-%02d %02d:%02d:%02d", h.u16(0xe), h.b[0x10], h.b[0x11], h.b[0x12], h.b[0x13], h.b[0x14]))
		tail := unpack.ReadSome(in.Data, end, 32)
		if want, err := hex.DecodeString(string(tail)); err == nil && len(want) == 16 {
			g.o.Size += 32
			g.cover(end, 32)
			if got, err := sum(md5.New(), in.Data, 0, end); err != nil || string(got) != string(want) {
				g.damaged(0, end, "the MD5 of the image is wrong")
			}
		} else if in.Whole && len(tail) > 0 {
			g.damaged(end, int64(len(tail)), "no MD5 behind the image")
		} else {
			g.info("md5", "none")
		}
		g.part("loader", "bootloader", h.u32(0x19), h.u32(0x1d), nil)
		g.part("image", "", h.u32(0x21), h.u32(0x25), nil)
		return g.finish(), nil
	},
}

// rkChip is the chip: text, in most images written backwards, or a number.
func rkChip(b []byte) string {
	if b[1] >= '0' && b[1] < 0x7f && clean(b) != "" {
		return string([]byte{b[3], b[2], b[1], b[0]})
	}
	return fmt.Sprintf("0x%x", binary.LittleEndian.Uint32(b))
}

// RKAF opens the archive within: parts with file name and place in flash, and
// a CRC of Rockchip's own behind all.
var RKAF = &unpack.Reader{
	Name:    "rkaf",
	Doc:     "Rockchip RKAF archives: partitions with their place in flash, CRC verified; model, maker",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "RKAF"}},
	Carve:   true,
	Open:    openRKAF,
}

func openRKAF(in *unpack.Input) (*unpack.Object, error) {
	h, err := readHead(in, 0x8c+16*112, binary.LittleEndian)
	if err != nil || h.u32(4) < 0x8c || h.u32(0x88) == 0 || h.u32(0x88) > 16 || !isText(h.b[8:0x2a]) {
		return nil, unpack.ErrNotThis
	}
	size := h.u32(4)
	if size+4 > in.Data.Size() && !in.Whole {
		return nil, unpack.ErrNotThis
	}
	g := newImage(in, "rkaf", size+4, 0x800)
	g.info("model", h.text(8, 0x22))
	g.info("id", h.text(0x2a, 0x1e))
	g.info("maker", h.text(0x48, 0x38))
	g.cover(size, 4)
	if g.o.Err == nil {
		if c, err := rkCRC(in.Data, 0, size); err != nil || c != binary.LittleEndian.Uint32(unpack.ReadSome(in.Data, size, 4)) {
			if !in.Whole {
				return nil, unpack.ErrNotThis
			}
			g.damaged(0, size, "the checksum of the archive is wrong")
		}
	}
	for i := range int(h.u32(0x88)) {
		p := head{h.b[0x8c+112*i:], h.order}
		if p.u32(96) == 0 || p.text(32, 60) == "SELF" || p.text(32, 60) == "RESERVED" {
			continue
		}
		g.part(p.text(0, 32), "", p.u32(96), p.u32(108), map[string]string{"file": p.text(32, 60), "flash sector": p.hex(100)})
	}
	return g.finish(), nil
}

// rkTable is for Rockchip's CRC-32: its polynomial differs in one digit from
// the usual one, it takes the highest bit first and starts at 0.
var rkTable = func() (t [256]uint32) {
	for i := range t {
		c := uint32(i) << 24
		for range 8 {
			c = c<<1 ^ 0x04c10db7*(c>>31)
		}
		t[i] = c
	}
	return t
}()

func rkCRC(data unpack.Bytes, off, n int64) (c uint32, err error) {
	err = unpack.Chunks(data, off, n, func(p []byte) {
		for _, b := range p {
			c = c<<8 ^ rkTable[byte(c>>24)^b]
		}
	})
	return c, err
}

// RKCRC opens Rockchip's smallest header: a kernel or a parameter file with its
// length before and its CRC behind it.
var RKCRC = &unpack.Reader{
	Name:    "rkcrc",
	Doc:     "Rockchip KRNL and PARM images, CRC verified",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "KRNL"}, {At: 0, Bytes: "PARM"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 8, binary.LittleEndian)
		if err != nil || h.u32(4) == 0 || h.u32(4)+12 > in.Data.Size() {
			return nil, unpack.ErrNotThis
		}
		n := h.u32(4)
		if c, err := rkCRC(in.Data, 8, n); err != nil || c != binary.LittleEndian.Uint32(unpack.ReadSome(in.Data, 8+n, 4)) {
			return nil, unpack.ErrNotThis
		}
		g := newImage(in, "rockchip "+string(h.b[:4]), n+12, 8)
		g.cover(8+n, 4)
		name := map[string]string{"KRNL": "kernel", "PARM": "parameter"}[string(h.b[:4])]
		g.part(name, "", 8, n, nil)
		return g.finish(), nil
	},
}
