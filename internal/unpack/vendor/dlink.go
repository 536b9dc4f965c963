package vendor

import (
	"crypto/aes"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"io/fs"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// SHRS opens D-Link's encrypted images (the layout is unblob's): AES-128 in CBC
// mode, with the SHA-512 of the data before and after.
var SHRS = &unpack.Reader{
	Name:    "shrs",
	Doc:     "D-Link SHRS images: SHA-512 of the encrypted data verified; with --key (16 bytes) the data, their SHA-512 verified",
	Limits:  "the data are encrypted: without a key they are reported",
	Checked: "an independent writer",
	Magics:  []unpack.Magic{{At: 0, Bytes: "SHRS"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 0x6dc, binary.BigEndian)
		if err != nil || h.u32(8) == 0 || h.u32(4) < h.u32(8) {
			return nil, unpack.ErrNotThis
		}
		// The padding is encrypted, too; how much of it the sum covers differs.
		for _, n := range []int64{h.u32(8), h.u32(4), (h.u32(8) + 15) &^ 15} {
			if got, err := sum(sha512.New(), in.Data, 0x6dc, n); err == nil && string(got) == string(h.b[0x9c:0xdc]) {
				g := newImage(in, "shrs", 0x6dc+n, 0x6dc)
				if pad := h.u32(4); 0x6dc+pad <= in.Data.Size() {
					g.o.Size = 0x6dc + pad
				}
				g.cover(0, g.o.Size)
				if plain := shrsPlain(in, h.b, h.u32(4), h.u32(8)); plain != nil {
					g.o.Parts = append(g.o.Parts, unpack.Part{Name: "data", Data: plain, Offset: -1})
					return g.finish(), nil
				}
				g.o.Gaps = append(g.o.Gaps, unpack.Gap{Offset: 0x6dc, Size: n, Reason: "encrypted", Note: "AES-128-CBC, of D-Link: " + in.Budget.NoKey().Error()})
				return g.finish(), nil
			}
		}
		return nil, unpack.ErrNotThis
	},
}

// shrsPlain decrypts the data with the key whose result has the header's SHA-512;
// nil if there is none.
func shrsPlain(in *unpack.Input, h []byte, padded, size int64) unpack.Bytes {
	data := unpack.Window(in.Data, 0x6dc, padded&^15)
	for _, key := range in.Budget.Keys.Bytes(16) {
		block, err := aes.NewCipher(key)
		if err != nil {
			continue
		}
		out, err := in.Budget.DecryptCBC(data, block, h[0x0c:0x1c])
		if err != nil {
			return nil
		}
		for _, n := range []int64{size, padded} {
			if d := sha512.Sum512(out[:min(n, int64(len(out)))]); string(d[:]) == string(h[0x5c:0x9c]) {
				return unpack.Window(out, 0, size)
			}
		}
		in.Budget.Release(out)
	}
	return nil
}

// EncrptedImg opens D-Link's images that say so, with this spelling.
var EncrptedImg = &unpack.Reader{
	Name:    "encrpted_img",
	Doc:     "D-Link encrpted_img images: reported as encrypted",
	Limits:  "the data are encrypted",
	Checked: "an independent writer",
	Magics:  []unpack.Magic{{At: 0, Bytes: "encrpted_img"}},
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := readHead(in, 16, binary.BigEndian)
		if err != nil || h.u32(12) == 0 {
			return nil, unpack.ErrNotThis
		}
		g := newImage(in, "encrpted_img", min(16+h.u32(12), in.Data.Size()), 16)
		g.cover(0, g.o.Size)
		g.o.Gaps = append(g.o.Gaps, unpack.Gap{Offset: 16, Size: g.o.Size - 16, Reason: "encrypted", Note: "AES-256-CBC, of D-Link"})
		return g.finish(), nil
	},
}

// DeafBead opens the archives in images of D-Link's DSL-500G and DSL-504G.
var DeafBead = &unpack.Reader{
	Name:    "deafbead",
	Doc:     "D-Link DEAFBEAD archives: folders and files, each packed by gzip",
	Limits:  "names are read, no modes (there are none)",
	Checked: "an independent writer",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\xde\xaf\xbe\xad\x86"}, {At: 0, Bytes: "\xde\xaf\xbe\xad\x87"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		g := newImage(in, "deafbead", in.Data.Size(), 4)
		at := int64(4)
		for range maxEntries {
			b := unpack.ReadSome(in.Data, at, 3)
			if len(b) < 3 || b[0] != 0x86 && b[0] != 0x87 {
				break
			}
			n := int64(binary.LittleEndian.Uint16(b[1:]))
			name, err := unpack.ReadFull(in.Data, at+3, n+4)
			if err != nil && b[0] == 0x87 {
				break
			}
			path := strings.ReplaceAll(clean(unpack.ReadSome(in.Data, at+3, n)), `\`, "/")
			if path == "" {
				break
			}
			e := unpack.Entry{Path: path, Mode: fs.ModeDir | 0o755}
			next := at + 3 + n
			if b[0] == 0x87 {
				size := int64(binary.LittleEndian.Uint32(name[n:]))
				if size == 0 || size > in.Data.Size()-next-4 {
					break
				}
				e.Mode, e.Data, e.Order = 0o644, unpack.Window(in.Data, next+4, size), at
				next += 4 + size
			}
			g.o.Entries = append(g.o.Entries, e)
			at = next
		}
		if len(g.o.Entries) < 2 {
			return nil, unpack.ErrNotThis
		}
		g.o.Size, g.o.System = at, true
		g.cover(0, at)
		g.info("files", fmt.Sprint(len(g.o.Entries)))
		return g.finish(), nil
	},
}

const maxEntries = 100_000
