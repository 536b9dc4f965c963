package vendor

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// QNAP opens the images of QNAP, whose first bytes are under the PC1 cipher
// (published by A. Pukall) with a key that the product's name and version make;
// the last 74 bytes say both.
var QNAP = &unpack.Reader{
	Name:    "qnap",
	Doc:     "QNAP images (storage and routers), decrypted by the public PC1 scheme; model, version, date",
	Limits:  "no checksum: an image whose decrypted start is no known format is reported as encrypted",
	Checked: "an independent implementation of the cipher",
	Open:    openQNAP,
}

const qnapFooter = 74

// plainStarts are what decrypted images of any maker begin with.
var plainStarts = []string{"\x1f\x8b\x08", "BZh", "\xfd7zXZ\x00", "PK\x03\x04", "hsqs", "sqsh", "\x27\x05\x19\x56", "\xd0\x0d\xfe\xed", "UBI#", "7z\xbc\xaf\x27\x1c", "\x28\xb5\x2f\xfd", "HDR0", "\x7fELF", "070701", "!<arch>\n", "\x5e\xa3\xa4\x17", "#!/bin"}

// plainStart says that bytes begin as a known format does.
func plainStart(b []byte) bool {
	for _, m := range plainStarts {
		if strings.HasPrefix(string(b), m) {
			return true
		}
	}
	return len(b) > 262 && string(b[257:262]) == "ustar"
}

func openQNAP(in *unpack.Input) (*unpack.Object, error) {
	size := in.Data.Size()
	b, err := unpack.ReadFull(in.Data, size-qnapFooter, qnapFooter)
	if err != nil || !in.Whole || string(b[:6]) != "icpnas" {
		return nil, unpack.ErrNotThis
	}
	h := head{b, binary.LittleEndian}
	packed := h.u32(6)
	device, version := h.text(10, 16), h.text(26, 16)
	if packed == 0 || packed > size-qnapFooter || device == "" || version == "" {
		return nil, unpack.ErrNotThis
	}
	g := newImage(in, "qnap", size, 0)
	g.cover(0, size)
	g.info("model", device)
	g.info("version", version)
	g.info("date", h.text(42, 16))
	g.info("revision", h.text(58, 16))
	key := "QNAPNASVERSION" + version[:1]
	if !strings.HasPrefix(strings.ToUpper(device), "QNAPNAS") {
		key = device
	}
	for _, k := range []string{key, "QNAPNASVERSION" + version[:1]} {
		if len(k) < 2 || !plainStart(newPC1(k).decrypt(unpack.ReadSome(in.Data, 0, min(packed, 512)), nil)) {
			continue
		}
		out, err := in.Budget.Room(packed, packed)
		if err != nil {
			g.o.Gaps = append(g.o.Gaps, unpack.Gap{Offset: 0, Size: size, Reason: "limit", Note: err.Error()})
			return g.finish(), nil
		}
		c, at := newPC1(k), 0
		if err := unpack.Chunks(in.Data, 0, packed, func(p []byte) { at += len(c.decrypt(p, out[at:])) }); err != nil {
			return nil, err
		}
		g.decoded("firmware", "", joined{out, unpack.Window(in.Data, packed, size-qnapFooter-packed)})
		return g.finish(), nil
	}
	g.o.Gaps = append(g.o.Gaps, unpack.Gap{Offset: 0, Size: size - qnapFooter, Reason: "encrypted", Note: fmt.Sprintf("%d bytes under the PC1 cipher, with an unknown key", packed)})
	return g.finish(), nil
}

// pc1 is the state of the PC1 cipher. What a pair of key bytes gives depends on
// the plain text so far only through its XOR, so all 256 cases are prepared.
type pc1 struct {
	steps [256][][2]uint16
	acc   byte
	y, z  uint16
}

func newPC1(key string) *pc1 {
	c := &pc1{}
	for acc := range 256 {
		var state uint16
		for i := 0; i+1 < len(key); i += 2 {
			hi, lo := uint16(key[i]^byte(acc)), uint16(key[i+1]^byte(acc))
			k := hi<<8 + lo
			if hi >= 0x80 {
				k -= 0x100
			}
			x := state ^ k
			state = 0x4e35*x + 1
			c.steps[acc] = append(c.steps[acc], [2]uint16{0x15a * x, state})
		}
	}
	return c
}

// decrypt writes the plain text of in to out, or to new memory.
func (c *pc1) decrypt(in, out []byte) []byte {
	if out == nil {
		out = make([]byte, len(in))
	}
	for n, v := range in {
		var res uint16
		for i, s := range c.steps[c.acc] {
			was := c.y
			c.y = s[0]
			c.z = c.y + was + 0x4e35*(c.z+uint16(i))
			res ^= s[1] ^ c.z
		}
		out[n] = v ^ byte(res>>8) ^ byte(res)
		c.acc ^= out[n]
	}
	return out[:len(in)]
}
