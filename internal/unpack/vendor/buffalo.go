package vendor

import (
	"encoding/binary"

	"github.com/doorward/doorward/internal/unpack"
)

// Buffalo opens Buffalo's encrypted images (buffalo-enc of OpenWrt): product,
// version and data under a cipher like RC4 whose key is public, and a CRC of the
// plain data.
var Buffalo = &unpack.Reader{
	Name:    "buffalo",
	Doc:     "Buffalo images, decrypted with the public key, CRC of the plain data verified; product, version",
	Limits:  "images under another key are reported as encrypted",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "start\x00"}, {At: 0, Bytes: "asar1\x00"}},
	Open:    openBuffalo,
}

func openBuffalo(in *unpack.Input) (*unpack.Object, error) {
	b := unpack.ReadSome(in.Data, 0, 64)
	// A magic, a seed, then three fields behind their lengths.
	h := head{b, binary.BigEndian}
	if len(b) < 64 {
		return nil, unpack.ErrNotThis
	}
	product := h.u32(7)
	if product < 2 || product > 32 {
		return nil, unpack.ErrNotThis
	}
	at := int(11 + product)
	version := h.u32(at)
	if version < 2 || version > 8 {
		return nil, unpack.ErrNotThis
	}
	at += 4 + int(version)
	size, start := h.u32(at), int64(at)+4
	if size < 16 || start+size+4 > in.Data.Size() || size > 1<<27 {
		return nil, unpack.ErrNotThis
	}
	name, ver := b[11:11+product], b[15+product:15+product+version]
	for _, long := range []bool{false, true} {
		plain := func(seed byte, b []byte) []byte { return buffaloCipher(seed, b, make([]byte, len(b)), long) }
		p, v := plain(b[6], name), plain(name[0], ver)
		if p[len(p)-1] != 0 || clean(p) == "" || v[len(v)-1] != 0 || clean(v) == "" {
			continue
		}
		g := newImage(in, "buffalo", start+size+4, start)
		g.cover(0, start+size+4)
		g.info("product", clean(p))
		g.info("version", clean(v))
		packed, err := unpack.ReadFull(in.Data, start, size+4)
		if err != nil {
			return nil, err
		}
		out, err := in.Budget.Room(size, size)
		if err != nil {
			g.o.Gaps = append(g.o.Gaps, unpack.Gap{Offset: start, Size: size, Reason: "limit", Note: err.Error()})
			return g.finish(), nil
		}
		buffaloCipher(ver[0], packed[:size], out, long)
		if buffaloCRC(uint32(size), out) != binary.BigEndian.Uint32(packed[size:]) {
			g.damaged(start, size, "the checksum of the decrypted data is wrong")
		}
		g.decoded("firmware", "", out)
		return g.finish(), nil
	}
	return nil, unpack.ErrNotThis
}

// buffaloCipher is RC4 over a state of 256 bytes, or, long, of as many as there
// are data; the key is the seed and the maker's name.
func buffaloCipher(seed byte, in, out []byte, long bool) []byte {
	n := 256
	if long {
		n = len(in)
	}
	key := append([]byte{seed}, "Buffalo"...)
	state := make([]byte, n)
	for i := range state {
		state[i] = byte(i)
	}
	for i, k := 0, 0; i < n; i++ {
		k = (k + int(key[i%len(key)]) + int(state[i])) % n
		state[i], state[k] = state[k], state[i]
	}
	i, j := 0, 0
	for k := range in {
		// Both counters are bytes in the maker's code.
		i = int(byte((i + 1) % n))
		j = int(byte((j + int(state[i])) % n))
		state[i], state[j] = state[j], state[i]
		out[k] = in[k] ^ state[(int(state[i])+int(state[j]))%n]
	}
	return out[:len(in)]
}

// buffaloCRC is a CRC-32 that takes bytes as signed, starting with the length.
func buffaloCRC(c uint32, b []byte) uint32 {
	for _, v := range b {
		c ^= uint32(int32(int8(v)))
		for range 8 {
			c = c>>1 ^ 0xedb88320&-(c&1)
		}
	}
	return c
}
