package disk

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// VDI opens disks of VirtualBox (VDICore.h of VirtualBox, block/vdi.c of QEMU).
var VDI = &unpack.Reader{
	Name:    "vdi",
	Doc:     "disks of VirtualBox: growing and fixed",
	Limits:  "Disks that change another disk are reported as such. The format has no checksums.",
	Checked: "qemu-img 7.2 (random disks, growing and fixed); damaged tables made by hand",
	Magics:  []unpack.Magic{{At: 64, Bytes: "\x7f\x10\xda\xbe"}},
	Open:    openVDI,
}

func openVDI(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 512)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	u32 := func(i int) int64 { return int64(binary.LittleEndian.Uint32(h[i:])) }
	kind, table, data, size := u32(76), u32(340), u32(344), int64(min(binary.LittleEndian.Uint64(h[368:]), 1<<62))
	unit, extra, blocks := u32(376), u32(380), u32(384)
	switch {
	case u32(68)>>16 != 1 || kind < 1 || kind > 4 || unit < sector || unit > 1<<30 || unit%sector != 0 || extra > 1<<20:
		return nil, unpack.ErrNotThis
	case size > mostVirtual || blocks < (size+unit-1)/unit || table < 400 || table%sector != 0 || data%sector != 0 || table+blocks*4 > data:
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "vdi " + []string{"growing", "fixed", "undo", "differencing"}[kind-1], Size: in.Data.Size(), Info: map[string]string{
		"virtual size": fmt.Sprint(size), "block size": fmt.Sprint(unit), "description": unpack.CString(h[84:340]), "UUID": unpack.GUID(h[392:])}}
	if parent := h[424:440]; kind > 2 || !unpack.OnlyByte(parent, 0) || !unpack.OnlyByte(h[440:456], 0) {
		return elsewhere(o, "unsupported", "it holds only what differs from the disk "+unpack.GUID(parent)+", which is not in it"), nil
	}
	list, err := unpack.ReadFull(in.Data, table, blocks*4)
	if err != nil {
		o.Err = fmt.Errorf("its table: %w", err)
		return o, nil
	}
	used := newTaken(in.Data.Size())
	used.take(0, data)
	v := &virtual{name: "vdi", size: size, unit: unit, look: func(i int64) (place, error) {
		n := binary.LittleEndian.Uint32(list[i*4:])
		switch {
		case n >= 0xfffffffe: // never written, or given up
			return place{}, nil
		case int64(n) >= blocks:
			return place{}, errors.New("it lies outside")
		}
		return place{data: in.Data, at: data + int64(n)*(unit+extra) + extra}, nil
	}}
	v.survey(in, o, used)
	return o, nil
}
