package vendor

import (
	"encoding/binary"

	"github.com/doorward/doorward/internal/unpack"
)

// Digicap opens the images of Hikvision and its brands (as hiktools describes
// them): a header under a public XOR with a byte sum, then files with byte sums.
var Digicap = &unpack.Reader{
	Name:    "digicap",
	Doc:     "Hikvision and Ezviz digicap images: files by name, byte sums verified; language, device class",
	Limits:  "the later forms (HK20, HK30), whose files are under AES, are reported as encrypted",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: digicapMagic("SWKH")}, {At: 0, Bytes: digicapMagic("02KH")}, {At: 0, Bytes: digicapMagic("03KH")}},
	Carve:   true,
	Open:    openDigicap,
}

const digicapKey = "\xba\xcd\xbc\xfe\xd6\xca\xdd\xd3\xba\xb9\xa3\xab\xbf\xcb\xb5\xbe"

// digicapPlain takes off the XOR, which is its own opposite.
func digicapPlain(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = c ^ digicapKey[(i+i>>4)&15]
	}
	return out
}

func digicapMagic(s string) string { return string(digicapPlain([]byte(s))) }

func openDigicap(in *unpack.Input) (*unpack.Object, error) {
	h, err := readHead(in, 64, binary.LittleEndian)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	h.b = digicapPlain(h.b)
	header, count := h.u32(8), h.u32(12)
	if header < 64 || header > 64<<10 || header > in.Data.Size() {
		return nil, unpack.ErrNotThis
	}
	b, err := unpack.ReadFull(in.Data, 0, header)
	if err != nil {
		return nil, err
	}
	h.b = digicapPlain(b)
	var s int64
	for _, c := range h.b[12:] {
		s += int64(c)
	}
	if string(h.b[:4]) != "SWKH" {
		if s != h.u32(4) && !in.Whole {
			return nil, unpack.ErrNotThis
		}
		g := newImage(in, "digicap hk"+string(h.b[1])+"0", in.Data.Size(), header)
		g.cover(0, in.Data.Size())
		g.o.Gaps = append(g.o.Gaps, unpack.Gap{Offset: header, Size: in.Data.Size() - header, Reason: "encrypted", Note: "files under AES with a key of the device class"})
		return g.finish(), nil
	}
	if s != h.u32(4) || count == 0 || count > 256 || header < 64+44*count {
		return nil, unpack.ErrNotThis
	}
	return digicapFiles(in, h, header, count)
}

func digicapFiles(in *unpack.Input, h head, header, count int64) (*unpack.Object, error) {
	g := newImage(in, "digicap", in.Data.Size(), header)
	g.info("language", map[int64]string{1: "English or multilingual", 2: "Chinese"}[h.u32(16)])
	g.info("device class", h.hex(20))
	g.info("oem code", h.hex(24))
	step := (header - 64) / count
	end := header
	for i := range count {
		f := head{h.b[64+i*step:], h.order}
		name, a, b := f.text(0, 32), f.u32(32), f.u32(36)
		// Tools of both orders exist: the one that fits the sum is right.
		off, size := a, b
		ok := digicapSum(in, off, size, f.u32(40))
		if !ok && digicapSum(in, b, a, f.u32(40)) {
			off, size, ok = b, a, true
		}
		g.part(name, "", off, size, nil)
		if !ok {
			g.damaged(off, size, "the byte sum of the file %s is wrong", name)
		}
		end = max(end, min(off+size, in.Data.Size()))
	}
	g.o.Size = end
	return g.finish(), nil
}

func digicapSum(in *unpack.Input, off, size, want int64) bool {
	s, err := byteSum(in.Data, off, size)
	return err == nil && int64(s) == want
}

// Dahua opens the images of Dahua: ZIP archives whose first two letters are DH.
var Dahua = &unpack.Reader{
	Name:    "dahua",
	Doc:     "Dahua images: ZIP archives under the letters DH",
	Checked: "archives of zip with the letters changed",
	Magics:  []unpack.Magic{{At: 0, Bytes: "DH\x03\x04"}},
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 30, binary.LittleEndian)
		if err != nil || !in.Whole || h.u16(4) > 63 || h.u16(8) > 99 || h.u16(26) == 0 || unpack.FindBytes(in.Data, max(0, in.Data.Size()-66<<10), "PK\x05\x06") < 0 {
			return nil, unpack.ErrNotThis
		}
		g := newImage(in, "dahua", in.Data.Size(), 0)
		g.cover(0, g.o.Size)
		g.decoded("zip", "", joined{unpack.Slice("PK"), unpack.Window(in.Data, 2, in.Data.Size()-2)})
		return g.finish(), nil
	},
}

// Instar opens the images of Instar's HD cameras: ZIP archives in which the
// second half of each mark is changed.
var Instar = &unpack.Reader{
	Name:    "instar",
	Doc:     "Instar HD images: ZIP archives with changed marks",
	Checked: "archives of zip with the marks changed",
	Magics:  []unpack.Magic{{At: 0, Bytes: "PK\x03\x07"}},
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		if !in.Whole || in.Data.Size() > 1<<28 || in.Next("PK\x05\x09", 0) < 0 {
			return nil, unpack.ErrNotThis
		}
		out, err := in.Budget.Room(in.Data.Size(), in.Data.Size())
		if err != nil {
			return nil, err
		}
		if n, _ := in.Data.ReadAt(out, 0); n < len(out) {
			return nil, unpack.ErrNotThis
		}
		for i := 0; i+4 <= len(out); i++ {
			if out[i] != 'P' || out[i+1] != 'K' {
				continue
			}
			switch string(out[i+2 : i+4]) {
			case "\x03\x07":
				out[i+3] = 4
			case "\x05\x09":
				out[i+3] = 6
			case "\x01\x08":
				out[i+3] = 2
			}
		}
		g := newImage(in, "instar", in.Data.Size(), 0)
		g.cover(0, g.o.Size)
		g.decoded("zip", "", out)
		return g.finish(), nil
	},
}

// BNEG opens the images of Instar's older cameras: two partitions.
var BNEG = &unpack.Reader{
	Name:    "bneg",
	Doc:     "Instar BNEG images: two partitions that fill the file",
	Checked: "an independent writer",
	Magics:  []unpack.Magic{{At: 0, Bytes: "BNEG\x01\x00\x00\x00\x01\x00\x00\x00"}},
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 20, binary.LittleEndian)
		if err != nil || h.u32(12) == 0 || h.u32(16) == 0 || 20+h.u32(12)+h.u32(16) > in.Data.Size() {
			return nil, unpack.ErrNotThis
		}
		g := newImage(in, "bneg", 20+h.u32(12)+h.u32(16), 20)
		g.part("partition1", "", 20, h.u32(12), nil)
		g.part("partition2", "", 20+h.u32(12), h.u32(16), nil)
		return g.finish(), nil
	},
}
