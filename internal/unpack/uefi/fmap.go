package uefi

import (
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// FlashMap opens flash images by their map (FMAP, as coreboot and Chromium OS
// use it).
var FlashMap = &unpack.Reader{
	Name:    "fmap",
	Doc:     "flash images with a flash map (FMAP) of coreboot or Chromium OS: its areas, and what lies between them",
	Checked: "fmaptool and cbfstool's layout and read",
	Open:    openFlashMap,
}

const (
	fmapMagic   = "__FMAP__"
	fmapHead    = 56
	fmapArea    = 42
	fmapMax     = 512
	fmapLargest = 256 << 20
)

// flashMap is a map and where it stands.
type flashMap struct {
	at    int64
	size  int64 // of the image that it describes
	name  string
	areas []unpack.Part // Offset and Info; no Data yet
	sizes []int64
}

func parseFlashMap(data unpack.Bytes, at int64) (*flashMap, bool) {
	h, err := unpack.ReadFull(data, at, fmapHead)
	if err != nil || string(h[:8]) != fmapMagic || h[8] != 1 || !printable(h[22:54]) {
		return nil, false
	}
	n := int64(le16(h[54:]))
	m := &flashMap{at: at, size: int64(le32(h[18:])), name: unpack.CString(h[22:54])}
	b, err := unpack.ReadFull(data, at+fmapHead, n*fmapArea)
	if err != nil || n == 0 || n > fmapMax {
		return nil, false
	}
	for ; len(b) > 0; b = b[fmapArea:] {
		from, size := int64(le32(b)), int64(le32(b[4:]))
		if !printable(b[8:40]) || from > m.size || size > m.size-from {
			return nil, false
		}
		m.areas = append(m.areas, unpack.Part{Name: unpack.CString(b[8:40]), Offset: from})
		m.sizes = append(m.sizes, size)
	}
	return m, true
}

// start is the offset of the data in the image that the map describes: in a
// region of its own the map stands elsewhere than it says.
func (m *flashMap) start(size int64) (int64, bool) {
	for i, a := range m.areas {
		if a.Name == "FMAP" && m.sizes[i] > 0 {
			return a.Offset - m.at, a.Offset >= m.at && a.Offset-m.at < m.size
		}
	}
	return 0, m.size == size
}

func openFlashMap(in *unpack.Input) (*unpack.Object, error) {
	size := in.Data.Size()
	if !in.Whole || size < 16<<10 || size > fmapLargest || size%4096 != 0 {
		return nil, unpack.ErrNotThis
	}
	for at := in.Next(fmapMagic, 0); at >= 0; at = in.Next(fmapMagic, at+1) {
		m, ok := parseFlashMap(in.Data, at)
		if !ok {
			continue
		}
		if start, ok := m.start(size); ok {
			return m.open(in.Data, start), nil
		}
	}
	return nil, unpack.ErrNotThis
}

// open adds the areas that hold no others.
func (m *flashMap) open(data unpack.Bytes, start int64) *unpack.Object {
	o := &unpack.Object{Format: "flash map", Size: data.Size(), Info: map[string]string{"name": m.name}}
	var list []unpack.Part
	for i, a := range m.areas {
		a.Offset -= start
		if m.sizes[i] == 0 || a.Offset < 0 || a.Offset >= data.Size() {
			continue // in another region of the flash
		}
		a.Data = unpack.Window(data, a.Offset, m.sizes[i])
		if a.Data.Size() < m.sizes[i] && o.Err == nil {
			o.Err = &unpack.CutOff{Format: "flash map", Missing: m.sizes[i] - a.Data.Size(), Of: m.size}
		}
		list = append(list, a)
	}
	spans := []span{{m.at, m.at + fmapHead + int64(len(m.areas))*fmapArea}}
	for i, p := range list {
		if covers(list, i) != "" || p.Name == "FMAP" {
			continue
		}
		if v := strings.Trim(unpack.CString(unpack.ReadSome(p.Data, 0, 64)), "\xff"); strings.HasSuffix(p.Name, "FRID") || strings.HasPrefix(p.Name, "RW_FWID") {
			if printable([]byte(v)) {
				o.Info[p.Name] = v
			}
		}
		o.Parts = append(o.Parts, p)
		spans = append(spans, span{p.Offset, p.Offset + p.Data.Size()})
	}
	o.Parts = unpack.NumberParts(append(o.Parts, leftovers(data, spans, data.Size())...))
	return o
}

// GBB opens the Google binary block, which tells how verified boot behaves
// (vboot_reference, firmware/2lib/include/2struct.h).
var GBB = &unpack.Reader{
	Name:    "gbb",
	Doc:     "Google binary blocks of Chromium OS' verified boot: flags as text, hardware id, root and recovery key",
	Limits:  "Keys are shown as they are stored.",
	Checked: "blocks written by hand",
	Magics:  []unpack.Magic{{At: 0, Bytes: "$GBB"}},
	Carve:   true,
	Open:    openGBB,
}

// gbbFlags are the flags that weaken verified boot.
var gbbFlags = []string{1: "load option ROMs", 3: "developer mode is forced", 4: "developer mode boots from USB", 5: "roll-back is not checked", 7: "developer mode boots other firmware", 8: "the embedded controller is not checked",
	9: "option ROMs are not checked", 10: "disable lock of flash", 12: "the computer is not locked", 13: "the auxiliary firmware is not checked"}

func openGBB(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 48)
	if err != nil || string(h[:4]) != "$GBB" || le16(h[4:]) != 1 || le16(h[6:]) > 16 || le32(h[8:]) < 48 || le32(h[8:]) > 1024 || int64(le32(h[8:])) > in.Data.Size() {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "google binary block", Size: int64(le32(h[8:])), Info: map[string]string{}}
	flags := le32(h[12:])
	text := fmt.Sprintf("# Google binary block\nflags 0x%x\n", flags)
	for bit, name := range gbbFlags {
		if name != "" && flags>>bit&1 != 0 {
			text += name + "\n"
		}
	}
	o.Entries = append(o.Entries, unpack.Entry{Path: "flags.txt", Mode: 0o644, Data: unpack.Slice(text)})
	for i, name := range []string{"hardware-id", "root-key", "bitmaps", "recovery-key"} {
		from, size := int64(le32(h[16+8*i:])), int64(le32(h[20+8*i:]))
		if size == 0 {
			continue
		}
		if from < o.Size && from < 48 || from > in.Data.Size() || size > in.Data.Size()-from {
			return nil, unpack.ErrNotThis
		}
		o.Size = max(o.Size, from+size)
		data := unpack.Window(in.Data, from, size)
		if name == "hardware-id" {
			data = unpack.Slice(unpack.CString(unpack.ReadSome(data, 0, 256)))
			o.Info["hardware id"] = string(data.(unpack.Slice))
		}
		o.Entries = append(o.Entries, unpack.Entry{Path: name, Mode: 0o644, Data: data, Order: from})
	}
	return o, nil
}
