package boot

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/doorward/doorward/internal/unpack"
)

// FIP opens firmware image packages of Trusted Firmware-A (docs/design/
// firmware-design.rst, include/tools_share/firmware_image_package.h).
var FIP = &unpack.Reader{
	Name:    "fip",
	Doc:     "firmware image packages of Trusted Firmware-A: each image and certificate by its name",
	Limits:  "Signatures are not checked. Encrypted images look like any encrypted bytes: the package does not tell.",
	Checked: "fiptool with all its 34 sorts of images, two alignments",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\x01\x00\x64\xaa"}},
	Carve:   true,
	Open:    openFIP,
}

const (
	fipHead  = 16
	fipEntry = 40
	fipMax   = 256
)

//go:embed data/fip.txt
var fipTable string

var fipNames = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(fipTable) {
		if id, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok && id != "#" {
			m[id] = name
		}
	}
	return m
})

func openFIP(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, fipHead+fipEntry)
	if err != nil || binary.LittleEndian.Uint32(h[4:]) == 0 {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "firmware image package", Info: map[string]string{"serial": fmt.Sprintf("0x%x", binary.LittleEndian.Uint32(h[4:]))}}
	for at := int64(fipHead); ; at += fipEntry {
		e, err := unpack.ReadFull(in.Data, at, fipEntry)
		if err != nil || len(o.Parts) > fipMax {
			return nil, unpack.ErrNotThis
		}
		off, size := int64(min(binary.LittleEndian.Uint64(e[16:]), 1<<40)), int64(min(binary.LittleEndian.Uint64(e[24:]), 1<<40))
		if unpack.OnlyByte(e[:16], 0) { // the end: its offset is that of the package's end
			if len(o.Parts) == 0 || off < at+fipEntry {
				return nil, unpack.ErrNotThis
			}
			o.Size = max(o.Size, off)
			break
		}
		if off < fipHead+2*fipEntry {
			return nil, unpack.ErrNotThis
		}
		name := fipNames()[fmt.Sprintf("%x", e[:16])]
		if name == "" {
			name = unpack.GUID(e)
		}
		if size == 0 {
			continue
		}
		o.Parts = append(o.Parts, unpack.Part{Name: name, Data: unpack.Window(in.Data, off, size), Offset: off, Format: fipFormat(name)})
		o.Size = max(o.Size, off+size)
	}
	unpack.NumberParts(o.Parts)
	if o.Size > in.Data.Size() {
		if !in.Whole {
			return nil, unpack.ErrNotThis
		}
		o.Err = &unpack.CutOff{Format: "firmware image package", Missing: o.Size - in.Data.Size(), Of: o.Size}
		o.Size = in.Data.Size()
	}
	if err := fipOverlap(o.Parts); err != nil {
		return nil, unpack.ErrNotThis
	}
	return o, nil
}

// fipFormat says that the firmware of the stages is code.
func fipFormat(name string) string {
	switch name {
	case "tb-fw", "fwu-bl2u", "scp-fw", "soc-fw", "tos-fw", "nt-fw":
		return unpack.CodePart
	}
	return ""
}

func fipOverlap(parts []unpack.Part) error {
	for i, p := range parts {
		for _, q := range parts[:i] {
			if p.Data.Size() > 0 && q.Data.Size() > 0 && p.Offset < q.Offset+q.Data.Size() && q.Offset < p.Offset+p.Data.Size() {
				return errors.New("images overlap")
			}
		}
	}
	return nil
}
