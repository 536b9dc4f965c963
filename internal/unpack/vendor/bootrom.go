package vendor

import (
	"encoding/binary"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// Kirkwood opens what the boot ROM of Marvell's Kirkwood and Armada loads
// (kwbimage.h of U-Boot): a header whose bytes add up, and data whose words do.
var Kirkwood = &unpack.Reader{
	Name:    "kwbimage",
	Doc:     "Marvell boot images (Kirkwood, Armada; kwbimage versions 0 and 1), header and data checksums verified",
	Limits:  "a signature is told, not verified",
	Checked: "mkimage's kwbimage, versions 0 and 1; all ways of damage",
	Open:    openKirkwood,
}

var kwbMedia = map[byte]string{0x5a: "spi", 0x8b: "nand", 0x69: "uart", 0x78: "sata", 0x9c: "pex", 0x4d: "i2c", 0xae: "sdio"}

func openKirkwood(in *unpack.Input) (*unpack.Object, error) {
	h, err := readHead(in, 32, binary.LittleEndian)
	if err != nil || kwbMedia[h.b[0]] == "" || h.b[8] > 1 {
		return nil, unpack.ErrNotThis
	}
	header := int64(32)
	if h.b[8] == 1 {
		header = int64(h.b[9])<<16 | h.u16(10)
	} else if h.b[0x1e] == 1 {
		header = 0x200
	}
	size, start := h.u32(4), h.u32(12)
	if header < 32 || header > 1<<20 || size < 8 || start < header || start+size > in.Data.Size() {
		return nil, unpack.ErrNotThis
	}
	s, err := byteSum(in.Data, 0, map[bool]int64{true: header, false: 32}[h.b[8] == 1])
	if err != nil || byte(s-uint32(h.b[0x1f])) != h.b[0x1f] || h.b[0x1f] == 0 {
		return nil, unpack.ErrNotThis
	}
	words, err := wordSum(in.Data, start, size-4)
	want := unpack.ReadSome(in.Data, start+size-4, 4)
	if err != nil || len(want) < 4 {
		return nil, unpack.ErrNotThis
	}
	g := newImage(in, fmt.Sprintf("kwbimage %d", h.b[8]), start+size, header)
	g.info("medium", kwbMedia[h.b[0]])
	g.info("load address", h.hex(16))
	g.info("entry point", h.hex(20))
	g.cover(start+size-4, 4)
	if words != binary.LittleEndian.Uint32(want) {
		// 8 bits of header are no proof: the data have to agree.
		return nil, unpack.ErrNotThis
	}
	if header > 64 {
		g.part("header", "bootloader", 32, header-32, nil)
	}
	g.part("bootloader", "bootloader", start, size-4, nil)
	return g.finish(), nil
}

// STM32 opens what the boot ROM of STMicroelectronics' STM32MP loads (stm32image
// of U-Boot).
var STM32 = &unpack.Reader{
	Name:    "stm32image",
	Doc:     "STM32MP boot images (header versions 1 and 2), checksum verified; signature and encryption told",
	Limits:  "signatures are not verified; the payload of an encrypted image is reported as encrypted",
	Checked: "mkimage's stm32image; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "STM2"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 256, binary.LittleEndian)
		if err != nil || h.b[0x4a] < 1 || h.b[0x4a] > 2 || h.u32(0x4c) == 0 || h.u32(0x4c) > 1<<27 {
			return nil, unpack.ErrNotThis
		}
		header, size := int64(256), h.u32(0x4c)
		if h.b[0x4a] == 2 {
			header = 512
		}
		if header+size > in.Data.Size() {
			return nil, unpack.ErrNotThis
		}
		if s, err := byteSum(in.Data, header, size); err != nil || int64(s) != h.u32(0x44) {
			return nil, unpack.ErrNotThis
		}
		g := newImage(in, fmt.Sprintf("stm32image %d.%d", h.b[0x4a], h.b[0x49]), header+size, header)
		g.info("load address", h.hex(0x58))
		g.info("entry point", h.hex(0x50))
		if !unpack.IsPadding(h.b[4:0x44]) {
			g.info("signature", "ECDSA, not verified")
		}
		g.part("bootloader", "bootloader", header, size, nil)
		return g.finish(), nil
	},
}

// Zynq opens what the boot ROM of Xilinx' Zynq and ZynqMP loads (zynqimage of
// U-Boot): a header with the inverted sum of its words.
var Zynq = &unpack.Reader{
	Name:    "zynqimage",
	Doc:     "Xilinx Zynq and ZynqMP boot images: first-stage boot loader, header checksum verified, encryption told",
	Limits:  "the partitions of a BOOT.BIN behind the boot loader are found by their content, not by its tables",
	Checked: "mkimage's zynqimage and zynqmpimage",
	Magics:  []unpack.Magic{{At: 32, Bytes: "\x66\x55\x99\xaaXNLX"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 0x8c0, binary.LittleEndian)
		if err != nil {
			return nil, unpack.ErrNotThis
		}
		if s, _ := wordSum(in.Data, 0x20, 0x28); int64(^s) != h.u32(0x48) {
			return nil, unpack.ErrNotThis
		}
		name, off, size, load := "zynq", h.u32(0x30), h.u32(0x40), 0x38
		if off < 0x8c0 || h.u32(0x40) == 0 {
			return nil, unpack.ErrNotThis
		}
		if off >= 0x9c0 || h.u32(0x3c) == h.u32(0x40) {
			name, load, size = "zynqmp", 0x2c, h.u32(0x40)
		} else if size >= off {
			size = max(h.u32(0x34), size-off)
		}
		if off+size > in.Data.Size() {
			size = in.Data.Size() - off
		}
		if size <= 0 {
			return nil, unpack.ErrNotThis
		}
		g := newImage(in, name+" boot image", off+size, off)
		g.info("load address", h.hex(load))
		if e := h.u32(0x28); e == 0xa5c3c5a3 || e == 0x3a5c3c5a || e == 0xa5c3c5a5 || e == 0xa5c3c5a7 {
			g.cover(off, size)
			g.o.Gaps = append(g.o.Gaps, unpack.Gap{Offset: off, Size: size, Reason: "encrypted", Note: "the boot loader is encrypted with a key in the chip"})
			g.info("encryption", h.hex(0x28))
			return g.finish(), nil
		}
		g.part("bootloader", "bootloader", off, size, nil)
		return g.finish(), nil
	},
}

// deviceConfiguration adds the commands by which the boot ROM sets up memory (DCD)
// as text: what is written to which address.
func (g *image) deviceConfiguration(off, n int64) {
	b, err := unpack.ReadFull(g.in.Data, off, n)
	if err != nil || n < 4 {
		return
	}
	be, text := binary.BigEndian, "# i.MX device configuration\n"
	for c := b[4:]; len(c) >= 4; {
		size := int(be.Uint16(c[1:]))
		if size < 4 || size > len(c) {
			g.damaged(off, n, "the device configuration is cut off")
			break
		}
		name := map[byte]string{0xcc: "write", 0xcf: "check", 0xc0: "nop", 0xb2: "unlock"}[c[0]]
		if name == "" {
			g.damaged(off, n, "the device configuration has the unknown command 0x%02x", c[0])
			break
		}
		text += fmt.Sprintf("%s %d", name, c[3])
		for w := c[4:size]; len(w) >= 4; w = w[4:] {
			text += fmt.Sprintf(" 0x%08x", be.Uint32(w))
		}
		text += "\n"
		c = c[size:]
	}
	g.cover(off, n)
	g.o.Parts = append(g.o.Parts, unpack.Part{Name: "configuration", Data: unpack.Slice(text), Offset: -1, Format: "text"})
}

// IMX opens the image vector table of NXP's i.MX (imximage of U-Boot): where the
// boot ROM finds entry, device configuration, boot data and signatures.
var IMX = &unpack.Reader{
	Name:    "imx",
	Doc:     "NXP i.MX boot images with an image vector table: load address, device configuration, signature told",
	Limits:  "the format has no checksum; signatures are not verified",
	Checked: "mkimage's imximage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\xd1\x00\x20\x40"}, {At: 0, Bytes: "\xd1\x00\x20\x41"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 44, binary.LittleEndian)
		if err != nil {
			return nil, unpack.ErrNotThis
		}
		// All pointers are addresses in memory; the table knows its own.
		entry, dcd, data, self, csf := h.u32(4), h.u32(12), h.u32(16), h.u32(20), h.u32(24)
		if h.u32(8)|h.u32(28) != 0 || data != self+32 || entry <= self || dcd != 0 && (dcd < self || dcd > self+4096) {
			return nil, unpack.ErrNotThis
		}
		start, size := h.u32(32), h.u32(36)
		before := self - start // what precedes the table in the image
		if before < 0 || before > 1<<16 || size <= before || size > 1<<28 || entry >= start+size || csf != 0 && (csf < self || csf > start+size) || h.u32(40) > 1 {
			return nil, unpack.ErrNotThis
		}
		n := min(size-before, in.Data.Size())
		if entry-self >= n {
			return nil, unpack.ErrNotThis
		}
		g := newImage(in, "imx", n, 44)
		g.info("load address", fmt.Sprintf("0x%08x", start))
		g.info("entry point", fmt.Sprintf("0x%08x", entry))
		if csf != 0 {
			g.info("signature", "HAB, not verified")
		}
		if b := unpack.ReadSome(in.Data, dcd-self, 4); dcd != 0 && len(b) == 4 && b[0] == 0xd2 {
			g.deviceConfiguration(dcd-self, int64(binary.BigEndian.Uint16(b[1:])))
		} else if b := unpack.ReadSome(in.Data, 44, 4); dcd == 0 && len(b) == 4 && b[0] == 0xd2 && b[1] == 0 && b[2] == 4 {
			g.cover(44, 4) // an empty one
		}
		g.part("bootloader", "bootloader", entry-self, n-(entry-self), nil)
		return g.finish(), nil
	},
}
