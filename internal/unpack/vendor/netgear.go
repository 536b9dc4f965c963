package vendor

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// NetgearCHK opens Netgear's .chk files (mkchkimg of OpenWrt): a header with
// sums of itself, the kernel, the root file system and both.
var NetgearCHK = &unpack.Reader{
	Name:    "netgear-chk",
	Doc:     "Netgear .chk images: kernel and root file system with checksums; board, version, region",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\x2a\x23\x24\x5e"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 40, binary.BigEndian)
		if err != nil || h.u32(4) < 40 || h.u32(4) > 256 {
			return nil, unpack.ErrNotThis
		}
		header := h.u32(4)
		if h, err = readHead(in, header, binary.BigEndian); err != nil {
			return nil, unpack.ErrNotThis
		}
		zeroed := append([]byte(nil), h.b...)
		clear(zeroed[36:40])
		if int64(netgearSum(unpack.Slice(zeroed), 0, header)) != h.u32(36) {
			return nil, unpack.ErrNotThis
		}
		kernel, rootfs := h.u32(24), h.u32(28)
		g := newImage(in, "netgear chk", header+kernel+rootfs, header)
		g.info("board", h.text(40, int(header-40)))
		g.info("version", fmt.Sprintf("%d.%d.%d.%d_%d.%d.%d", h.b[9], h.b[10], h.b[11], h.b[12], h.b[13], h.b[14], h.b[15]))
		g.info("region", map[byte]string{1: "worldwide", 2: "North America"}[h.b[8]])
		g.part("kernel", "", header, kernel, nil)
		g.part("rootfs", "", header+kernel, rootfs, nil)
		if g.o.Err == nil && int64(netgearSum(in.Data, header, kernel+rootfs)) != h.u32(32) {
			g.damaged(header, kernel+rootfs, "the checksum of the image is wrong")
		}
		return g.finish(), nil
	},
}

// netgearSum is a sum and a sum of sums, each folded to 16 bits.
func netgearSum(data unpack.Bytes, off, n int64) uint32 {
	var a, b uint32
	if err := unpack.Chunks(data, off, n, func(p []byte) {
		for _, c := range p {
			a += uint32(c)
			b += a
		}
	}); err != nil {
		return 0
	}
	fold := func(v uint32) uint32 {
		v = v&0xffff + v>>16
		return (v + v>>16) & 0xffff
	}
	return fold(b)<<16 | fold(a)
}

// NetgearDNI opens the images that Delta makes for Netgear (mkdniimg of OpenWrt):
// 128 bytes of text, the payload, and a byte that completes the sum of all to
// 0xff.
var NetgearDNI = &unpack.Reader{
	Name:    "netgear-dni",
	Doc:     "Netgear images with 128 bytes of text in front (device, version, region) and a checksum byte behind",
	Limits:  "the checksum has only 8 bits: one damage in 256 goes unseen",
	Checked: "an independent writer",
	Magics:  []unpack.Magic{{At: 0, Bytes: "device:"}},
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 129, binary.BigEndian)
		if err != nil || !in.Whole {
			return nil, unpack.ErrNotThis
		}
		text := h.text(0, 128)
		end := bytes.IndexByte(h.b[:128], 0)
		if !strings.Contains(text, "\nversion:") || end < 0 || !unpack.IsPadding(h.b[end:128]) {
			return nil, unpack.ErrNotThis
		}
		size := in.Data.Size()
		s, err := byteSum(in.Data, 0, size)
		if err != nil {
			return nil, err
		}
		g := newImage(in, "netgear dni", size, 128)
		for line := range strings.Lines(text) {
			if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				g.info(k, v)
			}
		}
		if s&0xff != 0xff {
			// Something was appended, or it is damaged: all of it is shown.
			g.damaged(128, size-128, "the checksum of the image is wrong")
			g.part("payload", "", 128, size-128, nil)
			return g.finish(), nil
		}
		g.part("payload", "", 128, size-129, nil)
		g.cover(size-1, 1)
		return g.finish(), nil
	},
}
