package disk

import (
	"encoding/binary"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// AndroidDTBO opens images of device tree overlays (Android's dt_table_header).
var AndroidDTBO = &unpack.Reader{
	Name:    "dtbo",
	Doc:     "Android images of device tree overlays, versions 0 and 1, and of ACPI tables in the same layout",
	Checked: "images made by hand by the specification",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\xd7\xb7\xab\x1e"}, {At: 0, Bytes: "\x41\x43\x50\x49"}},
	Carve:   true,
	Open:    openAndroidDTBO,
}

func openAndroidDTBO(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 32)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	u32 := func(i int) int64 { return int64(binary.BigEndian.Uint32(h[i:])) }
	total, header, entry, count, at, version := u32(4), u32(8), u32(12), u32(16), u32(20), u32(28)
	if header != 32 || entry != 32 || count < 1 || count > 4096 || at < 32 || at > total || count*32 > total-at || version > 1 || total > 1<<30 {
		return nil, unpack.ErrNotThis
	}
	table, err := unpack.ReadFull(in.Data, at, count*32)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: fmt.Sprintf("dtbo %d", version), Size: min(total, in.Data.Size())}
	if total > in.Data.Size() {
		o.Err = &unpack.CutOff{Format: "dtbo", Missing: int64(total) - in.Data.Size(), Of: int64(total)}
	}
	seen := map[[2]int64]bool{}
	for i := range int(count) {
		e := table[i*32:]
		size, off := int64(binary.BigEndian.Uint32(e)), int64(binary.BigEndian.Uint32(e[4:]))
		if off < 32 || off > total || size > total-off || size == 0 {
			return nil, unpack.ErrNotThis
		}
		if seen[[2]int64{off, size}] {
			continue // boards may share a tree
		}
		seen[[2]int64{off, size}] = true
		info := map[string]string{"id": fmt.Sprintf("0x%x", binary.BigEndian.Uint32(e[8:])), "revision": fmt.Sprintf("0x%x", binary.BigEndian.Uint32(e[12:]))}
		o.Parts = append(o.Parts, unpack.Part{Name: fmt.Sprint(i), Data: unpack.Window(in.Data, off, size), Offset: off, Info: info})
	}
	return o, nil
}
