package mcu

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/doorward/doorward/internal/unpack"
)

// MCUboot opens images of MCUboot (its docs/design.md; Zephyr, Mynewt, nRF
// Connect): a header, the program, and tagged values with hash and signature.
var MCUboot = &unpack.Reader{
	Name:    "mcuboot",
	Doc:     "MCUboot images: version, SHA-256/384/512 verified, kind of signature, encryption told",
	Limits:  "signatures are not verified",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\x3d\xb8\xf3\x96"}},
	Carve:   true,
	Open:    openMCUboot,
}

var mcubootTags = map[uint16]string{0x01: "key hash", 0x02: "public key", 0x20: "RSA 2048", 0x21: "ECDSA P-224", 0x22: "ECDSA P-256", 0x23: "RSA 3072", 0x24: "Ed25519",
	0x30: "RSA", 0x31: "AES-KW", 0x32: "ECIES P-256", 0x33: "ECIES X25519", 0x50: "security counter"}

func openMCUboot(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 32)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	word := func(at int) int64 { return int64(binary.LittleEndian.Uint32(h[at:])) }
	header, protected, size := int64(binary.LittleEndian.Uint16(h[8:])), int64(binary.LittleEndian.Uint16(h[10:])), word(12)
	end := header + size
	if header < 32 || size == 0 || end > in.Data.Size() || word(16) > 0xffff {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "mcuboot", Size: end, Info: map[string]string{
		"version": fmt.Sprintf("%d.%d.%d+%d", h[20], h[21], binary.LittleEndian.Uint16(h[22:]), word(24)), "load address": fmt.Sprintf("0x%08x", word(4))}}
	encrypted := word(16)&(4|8) != 0
	found := 0
	for _, magic := range []uint16{0x6908, 0x6907} {
		t := unpack.ReadSome(in.Data, o.Size, 4)
		if len(t) < 4 || binary.LittleEndian.Uint16(t) != magic {
			continue
		}
		n := int64(binary.LittleEndian.Uint16(t[2:]))
		tags, err := unpack.ReadFull(in.Data, o.Size, n)
		if err != nil || n < 4 || magic == 0x6908 && n != protected {
			return nil, unpack.ErrNotThis
		}
		found += mcubootTLV(in, o, tags[4:], end+protected, encrypted)
		o.Size += n
	}
	if found == 0 {
		return nil, unpack.ErrNotThis // no tagged value: a magic by chance
	}
	if encrypted {
		o.Gaps = append(o.Gaps, unpack.Gap{Offset: header, Size: size, Reason: "encrypted", Note: "the program is under AES; its key is in the image for the device's own key only"})
		return o, nil
	}
	o.Parts = []unpack.Part{{Name: "program", Data: unpack.Window(in.Data, header, size), Offset: header, Format: unpack.CodePart}}
	return o, nil
}

// mcubootTLV reads tagged values and says how many it knows.
func mcubootTLV(in *unpack.Input, o *unpack.Object, b []byte, hashed int64, encrypted bool) (known int) {
	for len(b) >= 4 {
		tag, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if n > len(b)-4 {
			break
		}
		v := b[4 : 4+n]
		b = b[4+n:]
		if sum := map[uint16]func() hash.Hash{0x10: sha256.New, 0x11: sha512.New384, 0x12: sha512.New}[tag]; sum != nil {
			known++
			if encrypted {
				continue // of the plain program
			}
			s := sum()
			if err := unpack.Chunks(in.Data, 0, hashed, func(p []byte) { s.Write(p) }); err != nil || string(s.Sum(nil)) != string(v) {
				o.Gaps = append(o.Gaps, unpack.Gap{Size: hashed, Reason: "damaged", Note: "the hash of the image is wrong"})
			} else {
				o.Info["hash"] = fmt.Sprintf("SHA-%d verified", 8*len(v))
			}
			continue
		}
		name := mcubootTags[tag]
		if name != "" {
			known++
		}
		switch {
		case tag >= 0x20 && tag < 0x30 && name != "":
			o.Info["signature"] = name + ", not verified"
		case tag >= 0x30 && tag < 0x40 && name != "":
			o.Info["encryption"] = name
		case tag == 1:
			o.Info["key hash"] = fmt.Sprintf("%x", v)
		case tag == 0x50 && n == 4:
			o.Info["security counter"] = fmt.Sprint(binary.LittleEndian.Uint32(v))
		}
	}
	return known
}
