package vendor

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// SafeLoader opens TP-Link's images with a partition table in text
// (tplink-safeloader of OpenWrt): a size, a salted MD5 of all that follows, the
// vendor's text, and from 0x1014 on the table and the partitions.
var SafeLoader = &unpack.Reader{
	Name:    "safeloader",
	Doc:     "TP-Link SafeLoader images: partitions by name, soft-version, support-list, flash layout; MD5 verified",
	Limits:  "signatures are shown, not verified",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: safeTable, Bytes: "fwup-ptn "}},
	Carve:   true,
	Open:    openSafeLoader,
}

const (
	safeTable = 0x1014
	safeSalt  = "\x7a\x2b\x15\xed\x9b\x98\x59\x6d\xe5\x04\xab\x44\xac\x2a\x9f\x4e"
)

func openSafeLoader(in *unpack.Input) (*unpack.Object, error) {
	h, err := readHead(in, safeTable+9, binary.BigEndian)
	if err != nil || h.u32(0) <= safeTable {
		return nil, unpack.ErrNotThis
	}
	total := h.u32(0)
	list := safePartitions(unpack.ReadSome(in.Data, safeTable, 0x800))
	if len(list) == 0 {
		return nil, unpack.ErrNotThis
	}
	for _, p := range list {
		if safeTable+p.base+p.size > total {
			return nil, unpack.ErrNotThis
		}
	}
	g := newImage(in, "safeloader", total, safeTable+0x800)
	if g.o.Err == nil && !md5Is(h.b[4:20], []byte(safeSalt), in.Data, 20, total-20) {
		g.damaged(0, 0, "the MD5 of the image is wrong, or made with another salt")
	}
	if n := h.u32(0x14); n < 0x1000-4 {
		g.info("vendor", h.text(0x18, int(n)))
	}
	for _, p := range list {
		g.partition(p)
	}
	return g.finish(), nil
}

type safePartition struct {
	name       string
	base, size int64
}

// safePartitions reads the table: a line for each partition, whose base counts
// from the table's start.
func safePartitions(b []byte) (list []safePartition) {
	for line := range strings.Lines(string(b)) {
		var p safePartition
		if n, _ := fmt.Sscanf(line, "fwup-ptn %s base 0x%x size 0x%x", &p.name, &p.base, &p.size); n != 3 || p.base < 0 || p.size < 0 || clean([]byte(p.name)) == "" {
			break
		}
		list = append(list, p)
	}
	return list
}

// partition adds one; those of text have 8 bytes before it: its length and 0.
func (g *image) partition(p safePartition) {
	off, size := safeTable+p.base, p.size
	if b := unpack.ReadSome(g.in.Data, off, 8); len(b) == 8 && binary.BigEndian.Uint32(b[4:]) == 0 && int64(binary.BigEndian.Uint32(b)) <= size-8 {
		n := int64(binary.BigEndian.Uint32(b))
		text := unpack.ReadSome(g.in.Data, off+8, min(n, 4096))
		switch {
		case p.name == "soft-version" && n >= 12 && n <= 16 && clean(text) == "":
			g.info("version", fmt.Sprintf("%d.%d.%d", text[1], text[2], text[3]))
			g.info("date", fmt.Sprintf("%02x%02x-%02x-%02x", text[4], text[5], text[6], text[7]))
		case p.name == "soft-version":
			g.info("version", strings.TrimPrefix(clean(text), "soft_ver:"))
		case p.name == "support-list":
			if lines := strings.Fields(clean(text)); len(lines) > 1 {
				g.info("model", lines[1])
			}
		}
		g.cover(off, size)
		off, size = off+8, n
	}
	format := map[string]string{"os-image": "kernel", "file-system": "rootfs"}[p.name]
	g.part(p.name, format, off, size, nil)
}
