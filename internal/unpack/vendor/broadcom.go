package vendor

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/doorward/doorward/internal/unpack"
)

// BCMTag opens the image tag of Broadcom's DSL boards (bcm_tag.h of OpenWrt): 256
// bytes of decimal text with CRCs, in front of boot loader, root file system
// and kernel.
var BCMTag = &unpack.Reader{
	Name:    "bcmtag",
	Doc:     "Broadcom BCM63xx image tags: CFE, root file system, kernel; chip, board, version; CRCs of header and parts",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 4, Bytes: "Broadcom Corp"}, {At: 4, Bytes: "Telsey"}, {At: 4, Bytes: "ECI Telecom"}, {At: 4, Bytes: "Pirelli"}},
	Carve:   true,
	Open:    openBCMTag,
}

const bcmTag = 256

func openBCMTag(in *unpack.Input) (*unpack.Object, error) {
	h, err := readHead(in, bcmTag, binary.BigEndian)
	if err != nil || int64(bytesCRC(h.b[:236])) != h.u32(236) {
		return nil, unpack.ErrNotThis
	}
	number := func(at, n int) int64 {
		v, err := strconv.ParseUint(h.text(at, n), 10, 32)
		if err != nil {
			return 0
		}
		return int64(v)
	}
	total, cfe := number(62, 10), number(84, 10)
	rootAt, root := number(94, 12), number(106, 10)
	kernelAt, kernel := number(116, 12), number(128, 10)
	if total == 0 {
		return nil, unpack.ErrNotThis
	}
	g := newImage(in, "bcm63xx tag", bcmTag+total, bcmTag)
	for _, f := range []struct {
		name  string
		at, n int
	}{{"tag version", 0, 4}, {"vendor", 4, 20}, {"version", 24, 14}, {"chip", 38, 6}, {"board", 44, 16}, {"information", 162, 30}, {"flash layout", 192, 4}, {"information 2", 200, 16}} {
		g.info(f.name, h.text(f.at, f.n))
	}
	if c, err := rawCRC(in.Data, bcmTag, total); g.o.Err == nil && (err != nil || int64(c) != h.u32(216)) {
		g.damaged(bcmTag, total, "the checksum of the image is wrong")
	}
	g.part("cfe", "bootloader", bcmTag, cfe, nil)
	// The addresses in flash tell which of both comes first.
	base, at := rootAt, bcmTag+cfe
	if kernelAt != 0 && (kernelAt < base || base == 0) {
		base = kernelAt
	}
	if kernel > 0 && kernelAt >= base && kernelAt-base <= total {
		g.part("kernel", "", at+kernelAt-base, kernel, map[string]string{"flash address": fmt.Sprintf("0x%08x", kernelAt)})
	}
	if root > 0 && rootAt >= base && rootAt-base <= total && (rootAt != kernelAt || kernel == 0) {
		n := min(root, total-cfe-(rootAt-base))
		if kernelAt > rootAt {
			n = min(n, kernelAt-rootAt)
		}
		g.part("rootfs", "rootfs", at+rootAt-base, n, nil)
	}
	return g.finish(), nil
}

// CyberTAN opens the header of Linksys' and others' images (addpattern of OpenWrt):
// 32 bytes with a pattern of the model, a date and a version before a TRX image.
var CyberTAN = &unpack.Reader{
	Name:    "cybertan",
	Doc:     "Linksys (CyberTAN) headers before TRX images: model pattern, version, date",
	Checked: "an independent writer",
	Magics:  []unpack.Magic{{At: 14, Bytes: "U2ND"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 60, binary.LittleEndian)
		if err != nil || string(h.b[32:36]) != "HDR0" || h.text(0, 4) == "" || h.b[9] == 0 || h.b[9] > 12 || h.b[10] == 0 || h.b[10] > 31 {
			return nil, unpack.ErrNotThis
		}
		size := h.u32(36)
		if size < 28 || size > in.Data.Size()-32 {
			return nil, unpack.ErrNotThis
		}
		if c, err := rawCRC(in.Data, 32+12, size-12); err != nil || int64(c) != h.u32(40) {
			return nil, unpack.ErrNotThis // nothing else proves it; the TRX is found by itself
		}
		g := newImage(in, "cybertan", 32+size, 32)
		g.info("model", h.text(0, 4))
		g.info("version", fmt.Sprintf("%d.%d.%d", h.b[11], h.b[12], h.b[13]))
		g.info("date", fmt.Sprintf("20%02d-%02d-%02d", h.b[8], h.b[9], h.b[10]))
		g.part("trx", "", 32, size, nil)
		return g.finish(), nil
	},
}

// CyberTAN2 opens the header that Linksys puts before newer images (CHDR).
var CyberTAN2 = &unpack.Reader{
	Name:    "chdr",
	Doc:     "Linksys CHDR images, CRC verified",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "CHDR"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 16, binary.LittleEndian)
		if err != nil || h.u32(4) <= 16 || h.u32(4) > in.Data.Size() {
			return nil, unpack.ErrNotThis
		}
		size := h.u32(4)
		if c, err := rawCRC(in.Data, 12, size-12); err != nil || int64(c) != h.u32(8) && int64(^c) != h.u32(8) {
			return nil, unpack.ErrNotThis
		}
		g := newImage(in, "linksys chdr", size, 16)
		g.part("payload", "", 16, size-16, nil)
		return g.finish(), nil
	},
}
