package uefi

import (
	"errors"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// OptionROM opens expansion ROMs of PCI devices (PCI Firmware Specification 3.0,
// section 5.1; UEFI 2.10, section 14.4.2).
var OptionROM = &unpack.Reader{
	Name:    "option-rom",
	Doc:     "option ROMs: every image of the chain, EFI images unpacked; ISA ROMs in files of their own",
	Limits:  "What legacy images pack within themselves is shown packed; Open Firmware images are not decoded.",
	Checked: "iPXE's and SeaBIOS' ROMs of Debian 12, ROMs written by hand",
	Magics: []unpack.Magic{{At: 0, Bytes: "\x55\xaa"}, {At: 0x1c, Bytes: "PCIR"}, {At: 0x20, Bytes: "PCIR"}, {At: 0x24, Bytes: "PCIR"}, {At: 0x28, Bytes: "PCIR"},
		{At: 0x30, Bytes: "PCIR"}, {At: 0x34, Bytes: "PCIR"}, {At: 0x38, Bytes: "PCIR"}, {At: 0x40, Bytes: "PCIR"}, {At: 0x60, Bytes: "PCIR"}},
	Carve: true,
	Open:  openROM,
}

const (
	romUnit      = 512
	romEFI       = 0x0ef1 // signature of an EFI image
	romLegacy    = 0
	romCodeEFI   = 3
	romLast      = 0x80
	romEntry     = 3 // where the code of a legacy image starts
	maxROMImages = 64
)

var romCodes = map[byte]string{0: "x86", 1: "open-firmware", 2: "pa-risc", 3: "efi"}

// romImage is one image of the chain.
type romImage struct {
	at, size       int64
	init           int64 // what the checksum covers
	vendor, device uint16
	class          int64
	code           byte
	last           bool
	head           []byte
}

// romAt reads the headers of an image.
func romAt(data unpack.Bytes, at int64) (*romImage, bool) {
	h, err := unpack.ReadFull(data, at, 0x1a)
	if err != nil || h[0] != 0x55 || h[1] != 0xaa {
		return nil, false
	}
	p, err := unpack.ReadFull(data, at+int64(le16(h[0x18:])), 0x18)
	if err != nil || string(p[:4]) != "PCIR" || le16(p[0x0a:]) < 0x18 || romCodes[p[0x14]] == "" {
		return nil, false
	}
	r := &romImage{at: at, size: int64(le16(p[0x10:])) * romUnit, init: int64(h[2]) * romUnit, vendor: le16(p[4:]), device: le16(p[6:]), class: u24(p[0x0d:]), code: p[0x14], last: p[0x15]&romLast != 0, head: h}
	if r.code == romCodeEFI {
		r.init = int64(le16(h[2:])) * romUnit
		if le32(h[4:]) != romEFI {
			return nil, false
		}
	}
	if r.size == 0 {
		r.size = r.init
	}
	return r, r.size >= romUnit && r.vendor != 0xffff
}

func openROM(in *unpack.Input) (*unpack.Object, error) {
	first, ok := romAt(in.Data, 0)
	if !ok {
		return isaROM(in)
	}
	g := unpack.NewGatherer(in)
	o := &unpack.Object{Format: "option ROM", Info: map[string]string{
		"vendor": fmt.Sprintf("%04x", first.vendor), "device": fmt.Sprintf("%04x", first.device), "class": fmt.Sprintf("%06x", first.class)}}
	sound := false
	at, n := int64(0), 0
	for r := first; n < maxROMImages; n++ {
		end := min(at+r.size, in.Data.Size())
		if end < at+r.size {
			g.Damage(fmt.Errorf("option ROM: cut off, %d bytes are missing", at+r.size-end))
		}
		sound = romImageEntry(in, g, r, end, n) || sound
		if at = end; r.last {
			break
		}
		if r, ok = romAt(in.Data, at); !ok {
			g.Damage(errors.New("option ROM: the last image is missing"))
			break
		}
	}
	if !sound && !in.Whole {
		return nil, unpack.ErrNotThis
	}
	o.Size = at
	g.Finish(o)
	return o, nil
}

// romImageEntry adds an image. It says if its content proves that it is one: by
// its checksum, or since it can be unpacked.
func romImageEntry(in *unpack.Input, g *unpack.Gatherer, r *romImage, end int64, n int) bool {
	attrs := map[string]string{"pci.vendor": fmt.Sprintf("%04x", r.vendor), "pci.device": fmt.Sprintf("%04x", r.device), "pci.class": fmt.Sprintf("%06x", r.class)}
	name := fmt.Sprintf("%d-%s", n, romCodes[r.code])
	e := unpack.Entry{Path: name + ".rom", Mode: 0o644, Data: unpack.Window(in.Data, r.at, end-r.at), Order: r.at, Xattrs: attrs}
	sound := true
	switch r.code {
	case romLegacy:
		e.Path, e.Data = name+".bin", unpack.Window(in.Data, r.at+romEntry, end-r.at-romEntry)
		if sound = r.init > 0 && r.init <= end-r.at && sum8(unpack.ReadSome(in.Data, r.at, r.init)) == 0; !sound {
			g.Damage(fmt.Errorf("option ROM: image %d has a wrong checksum", n))
		}
	case romCodeEFI:
		data, err := romProgram(in, r, e.Data)
		e.Path = name + ".efi"
		if e.Data, e.Err = data, err; err != nil {
			g.Damage(fmt.Errorf("option ROM: image %d: %w", n, err))
			sound = false
		}
	}
	g.Add(e)
	return sound
}

// romProgram is the program of an EFI image.
func romProgram(in *unpack.Input, r *romImage, image unpack.Bytes) (unpack.Bytes, error) {
	offset := int64(le16(r.head[0x16:]))
	if offset < 0x1a || offset >= image.Size() {
		return image, errors.New("an EFI image outside of its ROM")
	}
	body := unpack.Window(image, offset, min(r.init, image.Size())-offset)
	switch method := le16(r.head[0x0c:]); method {
	case 0:
		return body, nil
	case 1:
		out, err := unpackTiano(in, body, efiBits, -1)
		if err != nil || string(out[:min(2, len(out))]) != "MZ" {
			in.Budget.Release(out)
			out, err = unpackTiano(in, body, tianoBits, -1)
		}
		if err != nil {
			return body, err
		}
		return out, nil
	default:
		return body, fmt.Errorf("%w: compression type %d of an EFI image", unpack.ErrUnsupported, method)
	}
}

// isaROM is a ROM without the PCI structure. Only a file of its own whose
// checksum is right is believed.
func isaROM(in *unpack.Input) (*unpack.Object, error) {
	h := unpack.ReadSome(in.Data, 0, 3)
	if !in.Whole || len(h) < 3 || h[0] != 0x55 || h[1] != 0xaa {
		return nil, unpack.ErrNotThis
	}
	size := int64(h[2]) * romUnit
	b, err := unpack.ReadFull(in.Data, 0, size)
	if err != nil || size == 0 || sum8(b) != 0 || in.Data.Size()-size >= 1<<16 {
		return nil, unpack.ErrNotThis
	}
	e := unpack.Entry{Path: "0-x86.bin", Mode: 0o644, Data: unpack.Window(in.Data, romEntry, size-romEntry)}
	return &unpack.Object{Format: "ISA option ROM", Size: size, Entries: []unpack.Entry{e}}, nil
}
