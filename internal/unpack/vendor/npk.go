package vendor

import (
	"encoding/binary"
	"fmt"
	"time"

	"io"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/klauspost/compress/zlib"
)

// NPK opens the packages of MikroTik's RouterOS (as npkpy and OpenWrt's
// npk_pack_kernel describe them): a magic, a length, and containers that fill it
// exactly.
var NPK = &unpack.Reader{
	Name:    "npk",
	Doc:     "MikroTik NPK packages: SquashFS, files, scripts, architecture, version",
	Limits:  "digests and signatures are told, not verified",
	Checked: "an independent writer",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\x1e\xf1\xd0\xba"}},
	Carve:   true,
	Open:    openNPK,
}

var npkKinds = map[int64]string{1: "header", 2: "description", 3: "dependencies", 4: "files", 7: "install-script", 8: "uninstall-script", 9: "signature", 16: "architecture", 17: "conflicts", 18: "info", 19: "features", 20: "features", 21: "squashfs", 23: "digest", 24: "channel", 25: "features"}

func openNPK(in *unpack.Input) (*unpack.Object, error) {
	h, err := readHead(in, 8, binary.LittleEndian)
	if err != nil || h.u32(4) < 6 {
		return nil, unpack.ErrNotThis
	}
	g := newImage(in, "npk", 8+h.u32(4), 8)
	for at := int64(8); at < 8+h.u32(4); {
		b := unpack.ReadSome(in.Data, at, 6)
		if len(b) < 6 {
			break
		}
		c := head{b, binary.LittleEndian}
		kind, size := c.u16(0), c.u32(2)
		// Without a checksum the containers must fit to the byte.
		if kind > 64 || size > 8+h.u32(4)-at-6 || at == 8 && npkKinds[kind] == "" && kind != 22 {
			if len(g.o.Parts) == 0 {
				return nil, unpack.ErrNotThis
			}
			g.o.Err = fmt.Errorf("no container at 0x%x", at)
			break
		}
		g.cover(at, 6)
		g.npkContainer(kind, at+6, size)
		at += 6 + size
	}
	if len(g.o.Parts)+len(g.o.Entries) == 0 {
		return nil, unpack.ErrNotThis
	}
	return g.finish(), nil
}

func (g *image) npkContainer(kind, off, size int64) {
	name := npkKinds[kind]
	text := unpack.ReadSome(g.in.Data, off, min(size, 4096))
	switch {
	case kind == 22: // alignment
		g.cover(off, size)
	case (kind == 1 || kind == 18) && size >= 24:
		h := head{text, binary.LittleEndian}
		g.info("name", h.text(0, 16))
		g.info("version", fmt.Sprintf("%d.%d.%d", h.b[19], h.b[18], h.b[16]))
		g.info("created", time.Unix(h.u32(20), 0).UTC().Format(time.RFC3339))
		g.cover(off, size)
	case kind == 2 || kind == 16 || kind == 24:
		g.info(name, clean(text))
		g.cover(off, size)
	case kind == 9 || kind == 23:
		g.info(name, fmt.Sprintf("%d bytes, not verified", size))
		g.cover(off, size)
	case kind == 4 && g.npkFiles(off, size):
		g.cover(off, size)
	default:
		if name == "" {
			name = fmt.Sprintf("container%d", kind)
		}
		g.part(name, "", off, size, nil)
	}
}

// npkFiles unpacks the container of files: zlib over records with mode, times,
// size, name and content.
func (g *image) npkFiles(off, size int64) bool {
	z, err := zlib.NewReader(io.NewSectionReader(g.in.Data, off, size))
	if err != nil {
		return false
	}
	b, err := g.in.Budget.Decode(z, size)
	if err != nil {
		g.damaged(off, size, "files: %v", err)
	}
	list := unpack.NewGatherer(g.in)
	for len(b) >= 30 {
		h := head{b, binary.LittleEndian}
		n, name := h.u32(24), h.u16(28)
		if 30+name+n > int64(len(b)) {
			g.damaged(off, size, "a file's record reaches beyond the container")
			break
		}
		e := unpack.Entry{Path: string(b[30 : 30+name]), Mode: unpack.UnixMode(uint32(h.u16(0))), ModTime: time.Unix(h.u32(16), 0).UTC()}
		if content := b[30+name : 30+name+n]; n > 0 && e.Mode.IsRegular() {
			e.Data = content
		} else {
			e.Link = clean(content)
		}
		if !list.Add(e) {
			break
		}
		b = b[30+name+n:]
	}
	list.Finish(g.o)
	g.o.System = true
	return true
}
