package mcu

import (
	"encoding/binary"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// GBL opens Silicon Labs' bootloader files (UG489): tags with a length, from a
// header to an end with a CRC of all.
var GBL = &unpack.Reader{
	Name:    "gbl",
	Doc:     "Silicon Labs GBL files: application, program data by address, CRC verified, signature and encryption told",
	Limits:  "LZ4 and LZMA program data are given as they are; signatures are not verified",
	Checked: "an independent writer; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\xeb\x17\xa6\x03\x08\x00\x00\x00"}},
	Carve:   true,
	Open:    openGBL,
}

func openGBL(in *unpack.Input) (*unpack.Object, error) {
	o := &unpack.Object{Format: "gbl", Info: map[string]string{}}
	for at := int64(0); ; {
		b, err := unpack.ReadFull(in.Data, at, 8)
		if err != nil {
			return nil, unpack.ErrNotThis
		}
		tag, n := binary.LittleEndian.Uint32(b), int64(binary.LittleEndian.Uint32(b[4:]))
		if n > in.Data.Size()-at-8 {
			return nil, unpack.ErrNotThis
		}
		v := unpack.ReadSome(in.Data, at+8, min(n, 32))
		switch {
		case tag == 0xf40a0af4 && n >= 12:
			o.Info["application version"] = fmt.Sprintf("0x%08x", binary.LittleEndian.Uint32(v[4:]))
		case (tag == 0xfe0101fe || tag == 0xfd0303fd) && n > 4:
			addr := fmt.Sprintf("0x%08x", binary.LittleEndian.Uint32(v))
			o.Parts = append(o.Parts, unpack.Part{Name: "program-" + addr, Data: unpack.Window(in.Data, at+12, n-4), Offset: at + 12, Format: unpack.CodePart, Info: map[string]string{"address": addr}})
		case (tag == 0xf50909f5 || tag == 0xf60808f6 || tag == 0xfd0505fd || tag == 0xfd0707fd) && n > 8:
			o.Parts = append(o.Parts, unpack.Part{Name: fmt.Sprintf("data-%08x", tag), Data: unpack.Window(in.Data, at+8, n), Offset: at + 8})
		case tag == 0xf90707f9:
			o.Gaps = append(o.Gaps, unpack.Gap{Offset: at + 8, Size: n, Reason: "encrypted", Note: "program data under AES-CTR"})
		case tag == 0xf70a0af7:
			o.Info["signature"] = "ECDSA P-256, not verified"
		case tag == 0xfc0404fc && n == 4:
			if c, err := unpack.SumCRC32(0, in.Data, 0, at+8); err != nil || c != binary.LittleEndian.Uint32(v) {
				return nil, unpack.ErrNotThis
			}
			if o.Size = at + 12; len(o.Parts)+len(o.Gaps) == 0 {
				return nil, unpack.ErrNotThis
			}
			return o, nil
		}
		at += 8 + n
	}
}

// ZigbeeOTA opens upgrade files of Zigbee (Zigbee Cluster Library, chapter 11): who
// they are for, and elements.
var ZigbeeOTA = &unpack.Reader{
	Name:    "zigbee-ota",
	Doc:     "Zigbee OTA upgrade files: manufacturer, image type, version, elements",
	Limits:  "the format has no checksum of its own",
	Checked: "an independent writer",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\x1e\xf1\xee\x0b"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := unpack.ReadFull(in.Data, 0, 56)
		if err != nil || binary.LittleEndian.Uint16(h[4:]) != 0x0100 {
			return nil, unpack.ErrNotThis
		}
		header, total := int64(binary.LittleEndian.Uint16(h[6:])), int64(binary.LittleEndian.Uint32(h[52:]))
		if header < 56 || header > 256 || total > in.Data.Size() || total < header+6 {
			return nil, unpack.ErrNotThis
		}
		o := &unpack.Object{Format: "zigbee ota", Size: total, Info: map[string]string{
			"manufacturer": fmt.Sprintf("0x%04x", binary.LittleEndian.Uint16(h[10:])), "image type": fmt.Sprintf("0x%04x", binary.LittleEndian.Uint16(h[12:])),
			"version": fmt.Sprintf("0x%08x", binary.LittleEndian.Uint32(h[14:])), "name": cString(h[20:52])}}
		for at := header; at < total; {
			b, err := unpack.ReadFull(in.Data, at, 6)
			if err != nil {
				return nil, unpack.ErrNotThis
			}
			tag, n := binary.LittleEndian.Uint16(b), int64(binary.LittleEndian.Uint32(b[2:]))
			if n > total-at-6 {
				return nil, unpack.ErrNotThis // the elements must fit to the byte
			}
			p := unpack.Part{Name: fmt.Sprintf("element%d", tag), Data: unpack.Window(in.Data, at+6, n), Offset: at + 6}
			switch tag {
			case 0:
				p.Name, p.Format = "image", unpack.CodePart
			case 1, 2, 5: // signature, certificate
				p.Name, p.Format = "signature", unpack.CodePart
			}
			if n > 0 {
				o.Parts = append(o.Parts, p)
			}
			at += 6 + n
		}
		return o, nil
	},
}
