package uefi

import (
	"bytes"
	"regexp"

	"github.com/doorward/doorward/internal/unpack"
)

// LegacyBIOS knows images of a PC's BIOS by their last 16 bytes: the far jump at
// the reset vector, the date and the model (IBM PC AT Technical Reference).
var LegacyBIOS = &unpack.Reader{
	Name:    "bios",
	Doc:     "images of a legacy BIOS, known by reset vector, date and model: one piece of code with its date and version",
	Limits:  "The packed modules of makers' BIOSes are not unpacked.",
	Checked: "SeaBIOS of Debian 12",
	Open:    openLegacyBIOS,
}

const biosTail = 16

var (
	biosDate   = regexp.MustCompile(`^[01]\d/[0-3]\d/\d\d$`)
	seaVersion = regexp.MustCompile(`\x00(?:rel-)?(\d+\.\d+\.\d+[-+.\w]{0,60})\x00`)
)

func openLegacyBIOS(in *unpack.Input) (*unpack.Object, error) {
	size := in.Data.Size()
	if !in.Whole || size < 32<<10 || size > 16<<20 || size%(32<<10) != 0 {
		return nil, unpack.ErrNotThis
	}
	b, err := unpack.ReadFull(in.Data, size-biosTail, biosTail)
	if err != nil || b[0] != 0xea || le16(b[3:]) != 0xf000 || !biosDate.Match(b[5:13]) || in.Next("_FVH", 0) >= 0 || in.Next("LARCHIVE", 0) >= 0 {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "legacy BIOS", Size: size, Info: map[string]string{"date": string(b[5:13])}}
	code := unpack.Window(in.Data, 0, size-biosTail)
	if all, err := unpack.ReadAll(code, 16<<20); err == nil {
		if bytes.Contains(all, []byte("SeaBIOS (version ")) {
			o.Info["product"] = "SeaBIOS"
			if m := seaVersion.FindSubmatch(all); m != nil {
				o.Info["version"] = string(m[1])
			}
		}
	}
	o.Parts = []unpack.Part{{Name: "code", Data: code, Offset: 0, Format: unpack.CodePart}}
	return o, nil
}
