package vendor

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// Senao opens the images of Senao (EnGenius, some of D-Link; mksenaofw of
// OpenWrt): 96 bytes with a byte sum and the MD5 of the plain data, which is under
// an XOR that the header's magic makes.
var Senao = &unpack.Reader{
	Name:    "senao",
	Doc:     "Senao images (EnGenius, D-Link), decoded, MD5 verified; vendor, product, version, model",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0x5c, Bytes: "\x12\x34\x56\x78"}},
	Open:    openSenao,
}

const senaoHeader = 0x60

var senaoTypes = []string{"combo", "bootloader", "kernel", "kernelapp", "apps", "type5", "type6", "type7", "userconfig", "odmapps", "factoryapps", "odmapps", "langpack"}

func openSenao(in *unpack.Input) (*unpack.Object, error) {
	h, err := readHead(in, senaoHeader, binary.BigEndian)
	if err != nil || h.u32(28) >= int64(len(senaoTypes)) || !isText(h.b[12:28]) || h.u32(36) != 0 {
		return nil, unpack.ErrNotThis
	}
	kind, size, start := senaoTypes[h.u32(28)], h.u32(32), int64(senaoHeader)
	g := newImage(in, "senao "+kind, start+size, start)
	if kind == "combo" {
		b := unpack.ReadSome(in.Data, senaoHeader, 40)
		if len(b) == 40 && string(b[:3]) == "all" {
			c := head{b, binary.BigEndian}
			n := min(c.u32(36), 256)
			start += 40 + n
			g.info("model", clean(unpack.ReadSome(in.Data, senaoHeader+40, n)))
			g.info("firmware", fmt.Sprintf("%d.%d.%d", c.u32(8), c.u32(12), c.u32(16)))
			g.info("date", fmt.Sprint(c.u32(20)))
		}
	}
	if size == 0 || start+size > in.Data.Size() {
		return nil, unpack.ErrNotThis
	}
	var key []byte
	for i := range 8 {
		key = append(key, byte(h.u32(0x5c)>>i))
	}
	plain := xored{unpack.Window(in.Data, start, size), key}
	got, err := sum(md5.New(), plain, 0, size)
	if err != nil {
		return nil, err
	}
	if string(got) != string(h.b[40:56]) {
		if !in.Whole || !senaoSum(h) {
			return nil, unpack.ErrNotThis
		}
		g.damaged(start, size, "the MD5 of the data is wrong")
	}
	g.o.Size = start + size
	g.cover(0, g.o.Size)
	g.info("vendor id", h.hex(4))
	g.info("product id", h.hex(8))
	g.info("version", h.text(12, 16))
	g.decoded(kind, "", plain)
	return g.finish(), nil
}

// senaoSum checks the byte sum of the header.
func senaoSum(h head) bool {
	s := int64(0)
	for i, c := range h.b {
		if i < 0x58 || i >= 0x5c {
			s += int64(c)
		}
	}
	return s == h.u32(0x58)
}
