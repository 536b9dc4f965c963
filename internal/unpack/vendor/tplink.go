package vendor

import (
	"encoding/binary"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// TPLink opens the first header of TP-Link's routers (mktplinkfw of OpenWrt): 512
// bytes, big endian, with an MD5 of the whole image in which a salt stands in
// for the sum itself.
var TPLink = &unpack.Reader{
	Name:    "tplink",
	Doc:     "TP-Link router images with the first header (version 1 and 2 of it), MD5 verified: boot loader, kernel, root file system; model, version, region",
	Checked: "an independent writer; all ways of damage",
	Magics: []unpack.Magic{
		{At: 0, Bytes: "\x01\x00\x00\x00TP-LINK"}, {At: 0, Bytes: "\x01\x00\x00\x00OpenWrt"},
		{At: 0, Bytes: "\x02\x00\x00\x00TP-LINK"}, {At: 0, Bytes: "\x02\x00\x00\x00OpenWrt"},
	},
	Carve: true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		return openTPLink(in, tplinkFirst)
	},
}

// TPLink2 opens the second header (mktplinkfw2), which has no magic text.
var TPLink2 = &unpack.Reader{
	Name:    "tplink",
	Doc:     "TP-Link router images with the second header (versions 2 and 3), MD5 verified",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\x02\x00\x00\x00"}, {At: 0, Bytes: "\x03\x00\x00\x00"}},
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, tplinkHeader, binary.BigEndian)
		if err != nil || h.u16(0x8c) != 0x55aa || h.b[0x90] != 0xa5 {
			return nil, unpack.ErrNotThis
		}
		return openTPLink(in, tplinkSecond)
	},
}

const tplinkHeader = 512

// tplinkLayout says where the fields of one of the headers stand.
type tplinkLayout struct {
	name                    string
	md5, sizes, id          int
	version, versionLen     int
	region, region2, vendor int
	salt, saltBoot          string
}

var (
	tplinkFirst = tplinkLayout{name: "tplink 1", vendor: 4, version: 28, versionLen: 36, id: 64, region: 72, md5: 76, sizes: 116, region2: 288,
		salt:     "\xdc\xd7\x3a\xa5\xc3\x95\x98\xfb\xdd\xf9\xe7\xf4\x0e\xae\x47\x38",
		saltBoot: "\x8c\xef\x33\x5b\xd5\xc5\xce\xfa\xa7\x9c\x28\xda\xb2\xe9\x0f\x42"}
	tplinkSecond = tplinkLayout{name: "tplink 2", version: 4, versionLen: 48, id: 0x34, md5: 0x40, sizes: 0x68,
		salt:     "\xdc\xd7\x3a\xa5\xc3\x95\x98\xfb\xdc\xf9\xe7\xf4\x0e\xae\x47\x37",
		saltBoot: "\x8c\xef\x33\x5f\xd5\xc5\xce\xfa\xac\x9c\x28\xda\xb2\xe9\x0f\x42"}
)

func openTPLink(in *unpack.Input, l tplinkLayout) (*unpack.Object, error) {
	h, err := readHead(in, tplinkHeader, binary.BigEndian)
	if err != nil || !isText(h.b[l.version:l.version+l.versionLen]) {
		return nil, unpack.ErrNotThis
	}
	size := func(i int) int64 { return h.u32(l.sizes + 4*i) } // load, entry, length, then pairs
	total, kernel, kernelLen := size(2), size(3), size(4)
	if kernel < tplinkHeader || kernel > 1<<20 || kernelLen < 64 || kernelLen > 1<<27 || total > 1<<28 {
		return nil, unpack.ErrNotThis
	}
	end := max(kernel+kernelLen, size(5)+size(6), size(7)+size(8))
	length := l.verified(in, h, total, end)
	if length == 0 && (l.vendor == 0 || kernel != tplinkHeader || kernel+kernelLen > in.Data.Size()) {
		return nil, unpack.ErrNotThis
	}
	g := newImage(in, l.name, max(length, kernel+kernelLen), tplinkHeader)
	if length == 0 {
		// In flash the file system has changed since; it is found by itself.
		g.damaged(0, 0, "the MD5 of the image is wrong: the kernel is shown as the header states it, what follows is looked at by itself")
	}
	if l.vendor > 0 {
		g.info("vendor", h.text(l.vendor, 24))
		g.info("region code", fmt.Sprint(h.u32(l.region)))
		g.info("region", h.text(l.region2, 32))
	}
	g.info("version", h.text(l.version, l.versionLen))
	g.info("hardware id", h.hex(l.id))
	g.info("hardware revision", fmt.Sprint(h.u32(l.id+4)))
	g.info("load address", h.hex(l.sizes))
	g.info("entry point", h.hex(l.sizes+4))
	for i, name := range []string{"kernel", "rootfs", "bootloader"} {
		if off := size(3 + 2*i); off+size(4+2*i) <= g.o.Size {
			g.part(name, name, off, size(4+2*i), nil)
		}
	}
	return g.finish(), nil
}

// verified is the length over which the MD5 is right: what the header states,
// the whole file (padding is left out of some), or up to the last part; 0 if
// none fits.
func (l tplinkLayout) verified(in *unpack.Input, h head, lengths ...int64) int64 {
	for _, n := range append(lengths, in.Data.Size()) {
		if n <= tplinkHeader || n > min(in.Data.Size(), 1<<28) {
			continue
		}
		for _, salt := range []string{l.salt, l.saltBoot} {
			start := append([]byte(nil), h.b...)
			copy(start[l.md5:], salt)
			if md5Is(h.b[l.md5:l.md5+16], start, in.Data, tplinkHeader, n-tplinkHeader) {
				return n
			}
		}
	}
	return 0
}
