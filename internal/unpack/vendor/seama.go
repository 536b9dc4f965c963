package vendor

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// Seama opens the images of Alpha Networks, known from D-Link (seama.h of
// OpenWrt): a seal with text about the whole, then entities, each with an MD5
// of its image and text about it.
var Seama = &unpack.Reader{
	Name:    "seama",
	Doc:     "Seama images of Alpha Networks (D-Link, WD): entities with MD5, signature and device",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: seamaMagic}},
	Carve:   true,
	Open:    openSeama,
}

const (
	seamaMagic  = "\x5e\xa3\xa4\x17"
	maxEntities = 16
)

func openSeama(in *unpack.Input) (*unpack.Object, error) {
	g := newImage(in, "seama", in.Data.Size(), 0)
	at, right := int64(0), 0
	for n := 0; n < maxEntities; n++ {
		b := unpack.ReadSome(in.Data, at, 28)
		if len(b) < 12 || string(b[:4]) != seamaMagic {
			break
		}
		h := head{b, binary.BigEndian}
		meta, size := h.u16(6), h.u32(8)
		if size == 0 { // the seal
			if at != 0 || meta == 0 {
				break
			}
			text := seamaText(in, 12, meta)
			for k, v := range text {
				g.info(k, v)
			}
			if at = 12 + meta; len(text) == 0 {
				return nil, unpack.ErrNotThis
			}
			g.cover(0, at)
			continue
		}
		start := at + 28 + meta
		text := seamaText(in, at+28, meta)
		if len(b) < 28 || meta > 0 && len(text) == 0 {
			break
		}
		ok := md5Is(b[12:28], nil, in.Data, start, size)
		if !ok && right == 0 && (len(text) == 0 || !in.Whole) {
			break
		}
		g.cover(at, 28+meta)
		name := "image"
		if dev := text["dev"]; dev != "" {
			name = dev[strings.LastIndexByte(dev, '/')+1:]
		}
		g.part(name, "", start, size, text)
		if right++; !ok {
			g.damaged(start, size, "the MD5 of the entity at 0x%x is wrong", at)
		}
		if at = start + size; at >= in.Data.Size() {
			break
		}
	}
	if len(g.o.Parts) == 0 {
		return nil, unpack.ErrNotThis
	}
	g.o.Size = min(at, in.Data.Size())
	return g.finish(), nil
}

// seamaText are the strings name=value of a header, or nil if they are none.
func seamaText(in *unpack.Input, off, n int64) map[string]string {
	b, err := unpack.ReadFull(in.Data, off, n)
	if err != nil {
		return nil
	}
	text := map[string]string{}
	for i, s := range strings.Split(strings.Trim(string(b), "\x00"), "\x00") {
		k, v, ok := strings.Cut(s, "=")
		if s == "" {
			continue
		}
		if !ok || clean([]byte(s)) == "" {
			return nil
		}
		if text[k] != "" {
			k = fmt.Sprint(k, i)
		}
		text[k] = v
	}
	return text
}
