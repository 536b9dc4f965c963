package mcu

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// ESPImage opens programs of Espressif's chips (its firmware image format): segments with their
// address in memory, an XOR sum, and, of all but the ESP8266, mostly a SHA-256.
var ESPImage = &unpack.Reader{
	Name:    "esp-image",
	Doc:     "Espressif programs (ESP8266 versions 1 and 2, ESP32 and later): segments, checksum and SHA-256 verified; chip, project, version, build",
	Limits:  "a signature behind the image (secure boot) is not verified; an image without SHA-256 has 8 bits of checksum only",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\xe9"}, {At: 0, Bytes: "\xea\x04"}},
	Open:    openESPImage,
}

var espChips = map[uint16]string{0: "ESP32", 2: "ESP32-S2", 5: "ESP32-C3", 9: "ESP32-S3", 12: "ESP32-C2", 13: "ESP32-C6", 16: "ESP32-H2", 18: "ESP32-P4", 20: "ESP32-C61", 23: "ESP32-C5", 25: "ESP32-H21", 28: "ESP32-H4"}

func openESPImage(in *unpack.Input) (*unpack.Object, error) {
	h := unpack.ReadSome(in.Data, 0, 24)
	if len(h) < 24 {
		return nil, unpack.ErrNotThis
	}
	if h[0] == 0xea {
		return openESP8266v2(in, h)
	}
	chip := espChips[binary.LittleEndian.Uint16(h[12:])]
	if chip != "" && h[23] <= 1 {
		if o := espSegments(in, 0, 24, int(h[1]), h[23] == 1); o != nil {
			o.Format, o.Info["chip"] = "esp image", chip
			return o, nil
		}
	}
	if o := espSegments(in, 0, 8, int(h[1]), false); o != nil {
		o.Format, o.Info["chip"] = "esp image", "ESP8266"
		return o, nil
	}
	return nil, unpack.ErrNotThis
}

// openESP8266v2 opens the second form of the ESP8266: code that runs from flash
// first, then the first form.
func openESP8266v2(in *unpack.Input, h []byte) (*unpack.Object, error) {
	n := int64(binary.LittleEndian.Uint32(h[12:]))
	if n < 16 || n > 1<<20 || 16+n > in.Data.Size()-24 {
		return nil, unpack.ErrNotThis
	}
	next := unpack.ReadSome(in.Data, 16+n, 8)
	if next[0] != 0xe9 {
		return nil, unpack.ErrNotThis
	}
	o := espSegments(in, 16+n, 8, int(next[1]), false)
	if o == nil {
		return nil, unpack.ErrNotThis
	}
	o.Format, o.Info["chip"] = "esp image 2", "ESP8266"
	o.Parts = append([]unpack.Part{{Name: "irom", Data: unpack.Window(in.Data, 16, n), Offset: 16, Format: unpack.CodePart}}, o.Parts...)
	return o, nil
}

// espSegments reads the image at an offset; nil if it is none.
func espSegments(in *unpack.Input, base, header int64, count int, hashed bool) *unpack.Object {
	if count < 1 || count > 16 {
		return nil
	}
	o := &unpack.Object{Info: map[string]string{"entry point": fmt.Sprintf("0x%08x", binary.LittleEndian.Uint32(unpack.ReadSome(in.Data, base+4, 4)))}}
	at, x := base+header, byte(0xef)
	for i := range count {
		b, err := unpack.ReadFull(in.Data, at, 8)
		if err != nil {
			return nil
		}
		addr, n := binary.LittleEndian.Uint32(b), int64(binary.LittleEndian.Uint32(b[4:]))
		if n > 16<<20 || n > in.Data.Size()-at-8 || addr != 0 && addr < 0x08000000 {
			return nil
		}
		if err := unpack.Chunks(in.Data, at+8, n, func(p []byte) {
			for _, c := range p {
				x ^= c
			}
		}); err != nil {
			return nil
		}
		if d := unpack.ReadSome(in.Data, at+8, 144); i == 0 && n >= 144 && string(d[:4]) == "\x32\x54\xcd\xab" {
			for name, f := range map[string][2]int{"version": {16, 32}, "project": {48, 32}, "idf": {112, 32}} {
				o.Info[name] = cString(d[f[0] : f[0]+f[1]])
			}
			o.Info["built"] = cString(d[96:112]) + " " + cString(d[80:96])
		}
		if n > 0 {
			o.Parts = append(o.Parts, unpack.Part{Name: fmt.Sprintf("segment%d-0x%08x", i, addr), Data: unpack.Window(in.Data, at+8, n), Offset: at + 8, Format: unpack.CodePart})
		}
		at += 8 + n
	}
	// The sum is the last byte of a block of 16.
	at = base + (at-base)&^15 + 15
	if b := unpack.ReadSome(in.Data, at, 1); len(b) == 0 || b[0] != x || len(o.Parts) == 0 {
		return nil
	}
	if o.Size = at + 1; hashed {
		s := sha256.New()
		want := unpack.ReadSome(in.Data, o.Size, 32)
		if err := unpack.Chunks(in.Data, base, o.Size-base, func(p []byte) { s.Write(p) }); err != nil || string(s.Sum(nil)) != string(want) {
			o.Gaps = append(o.Gaps, unpack.Gap{Size: o.Size, Reason: "damaged", Note: "the SHA-256 of the image is wrong"})
		} else {
			o.Info["hash"] = "SHA-256 verified"
		}
		o.Size = min(o.Size+32, in.Data.Size())
	}
	return o
}

// ESPTable opens a partition table of ESP-IDF by itself.
var ESPTable = &unpack.Reader{
	Name:    "esp-table",
	Doc:     "ESP-IDF partition tables, MD5 verified, as text",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\xaa\x50\x01\x02"}, {At: 0, Bytes: "\xaa\x50\x01\x00"}, {At: 0, Bytes: "\xaa\x50\x00\x00"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		t := readESPTable(in.Data, 0)
		if t == nil || !t.proved {
			return nil, unpack.ErrNotThis
		}
		return &unpack.Object{Format: "esp partition table", Size: t.size, Info: map[string]string{"md5": "verified"}, Parts: []unpack.Part{{Name: "table", Data: t.text(), Offset: -1}}}, nil
	},
}
