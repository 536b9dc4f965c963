package vendor

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/doorward/doorward/internal/unpack"
)

// MediaTekLK opens the partition header of MediaTek (lk_hdr of U-Boot's
// tools/mtk_image.h): a magic, a size, a name, the rest of 512 bytes erased.
var MediaTekLK = &unpack.Reader{
	Name:    "mtk-part",
	Doc:     "MediaTek partition images (lk, logo, atf, u-boot) behind a 512-byte header",
	Limits:  "the format has no checksum",
	Checked: "mkimage's mtk_image with lk=1",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\x88\x16\x88\x58"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 512, binary.LittleEndian)
		if err != nil || h.text(8, 32) == "" || h.u32(4) == 0 || h.u32(4) > in.Data.Size()-512 {
			return nil, unpack.ErrNotThis
		}
		if !unpack.IsPadding(h.b[0x60:]) || h.b[0x1ff] == 0 && h.b[0x30] == 0xff {
			return nil, unpack.ErrNotThis
		}
		g := newImage(in, "mtk partition", 512+h.u32(4), 512)
		g.info("name", h.text(8, 32))
		if load := h.u32(0x28); load != 0xffffffff {
			g.info("load address", h.hex(0x28))
		}
		g.part(h.text(8, 32), "", 512, h.u32(4), nil)
		return g.finish(), nil
	},
}

// MediaTekBoot opens what MediaTek's boot ROM loads (tools/mtk_image.h of U-Boot):
// a header for the medium, a layout, and GFH blocks before the preloader with
// its SHA-256 behind it.
var MediaTekBoot = &unpack.Reader{
	Name:    "mtk-boot",
	Doc:     "MediaTek preloader images (EMMC_BOOT, SF_BOOT, SDMMC_BOOT, NAND, bare GFH), SHA-256 verified",
	Limits:  "signatures other than the SHA-256 are told, not verified",
	Checked: "mkimage's mtk_image for eMMC, SD, NOR, NAND",
	Magics: []unpack.Magic{
		{At: 0, Bytes: "EMMC_BOOT\x00"}, {At: 0, Bytes: "SF_BOOT\x00"}, {At: 0, Bytes: "SDMMC_BOOT\x00"}, {At: 0, Bytes: "BOOTLOADER!\x00"},
		{At: 0, Bytes: "MMM\x01\x38\x00\x00\x00FILE_INFO"}, {At: 0, Bytes: "MMM\x01\x34\x00\x00\x00FILE_INFO"},
	},
	Carve: true,
	Open:  openMediaTekBoot,
}

const mtkFileInfo = "FILE_INFO\x00\x00\x00"

func openMediaTekBoot(in *unpack.Input) (*unpack.Object, error) {
	top := unpack.ReadSome(in.Data, 0, 16)
	base := int64(0)
	if len(top) == 16 && string(top[:3]) != "MMM" {
		// The GFH stands at a page's start behind the headers of the medium.
		b := unpack.ReadSome(in.Data, 0, 64<<10)
		for base = 512; base+64 < int64(len(b)) && (string(b[base:base+4]) != "MMM\x01" || string(b[base+8:base+20]) != mtkFileInfo); base += 128 {
		}
	}
	b, err := unpack.ReadFull(in.Data, base, 64)
	if err != nil || string(b[:4]) != "MMM\x01" || string(b[8:20]) != mtkFileInfo {
		return nil, unpack.ErrNotThis
	}
	h := head{b, binary.LittleEndian}
	total, jump, signed := h.u32(32), h.u32(48), h.u32(44)
	if total < 64 || total > in.Data.Size()-base || jump < 56 || jump+signed > total {
		return nil, unpack.ErrNotThis
	}
	g := newImage(in, "mtk preloader", base+total, base+jump)
	g.cover(g.o.Size-signed, signed)
	g.info("load address", h.hex(28))
	if base > 0 {
		g.info("medium", clean(top))
	}
	switch kind := b[27]; {
	case kind == 1 && signed == 32:
		got, err := sum(sha256.New(), in.Data, base, total-32)
		want := unpack.ReadSome(in.Data, base+total-32, 32)
		if err != nil || string(got) != string(want) {
			g.damaged(base, total, "the SHA-256 of the preloader is wrong")
		} else {
			g.info("signature", "SHA-256 verified")
		}
	case signed > 0:
		g.info("signature", "told, not verified")
	}
	g.part("preloader", "bootloader", base+jump, total-jump-signed, nil)
	return g.finish(), nil
}
