package mcu

import (
	"encoding/binary"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// DFU opens files with the suffix of USB's device firmware upgrade (its
// specification 1.1, appendix B): who it is for, and a CRC of all.
var DFU = &unpack.Reader{
	Name:    "dfu",
	Doc:     "files with a USB DFU suffix: vendor, product, CRC verified",
	Checked: "dfu-suffix; all ways of damage",
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		size, info := dfuSuffix(in)
		if size == 0 {
			return nil, unpack.ErrNotThis
		}
		data := unpack.Window(in.Data, 0, size)
		return &unpack.Object{Format: "dfu", Size: in.Data.Size(), Info: info, Parts: []unpack.Part{{Name: "firmware", Data: data, Format: unpack.CodePart}}}, nil
	},
}

const dfuLength = 16

// dfuSuffix checks the suffix at the end of a whole file; the size before it is
// 0 if there is none.
func dfuSuffix(in *unpack.Input) (size int64, info map[string]string) {
	size = in.Data.Size() - dfuLength
	b, err := unpack.ReadFull(in.Data, size, dfuLength)
	if err != nil || !in.Whole || size == 0 || string(b[8:11]) != "UFD" || b[11] != dfuLength {
		return 0, nil
	}
	if c, err := unpack.SumCRC32(0, in.Data, 0, size+12); err != nil || ^c != binary.LittleEndian.Uint32(b[12:]) {
		return 0, nil
	}
	id := func(at int) string { return fmt.Sprintf("0x%04x", binary.LittleEndian.Uint16(b[at:])) }
	return size, map[string]string{"vendor id": id(4), "product id": id(2), "device": id(0), "dfu version": id(6)}
}

// DfuSe opens ST's extension of it (UM0391): targets, each of elements with
// their address.
var DfuSe = &unpack.Reader{
	Name:    "dfuse",
	Doc:     "ST DfuSe files: targets and elements by address, CRC of the suffix verified",
	Checked: "an independent writer with dfu-suffix; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "DfuSe\x01"}},
	Open:    openDfuSe,
}

func openDfuSe(in *unpack.Input) (*unpack.Object, error) {
	size, info := dfuSuffix(in)
	h, err := unpack.ReadFull(in.Data, 0, 11)
	if err != nil || size == 0 || int64(binary.LittleEndian.Uint32(h[6:])) != size {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "dfuse", Size: in.Data.Size(), Info: info}
	at := int64(11)
	for range h[10] {
		b, err := unpack.ReadFull(in.Data, at, 274)
		if err != nil || string(b[:6]) != "Target" {
			o.Err = fmt.Errorf("no target at 0x%x", at)
			break
		}
		name := ""
		if b[7] != 0 {
			name = cString(b[11:266])
		}
		at += 274
		for i := range binary.LittleEndian.Uint32(b[270:]) {
			e, err := unpack.ReadFull(in.Data, at, 8)
			if err != nil || int64(binary.LittleEndian.Uint32(e[4:])) > size-at-8 {
				o.Err = fmt.Errorf("no element %d at 0x%x", i, at)
				return o, nil
			}
			n, addr := int64(binary.LittleEndian.Uint32(e[4:])), fmt.Sprintf("0x%08x", binary.LittleEndian.Uint32(e))
			if n > 0 {
				o.Parts = append(o.Parts, unpack.Part{Name: fmt.Sprintf("target%d-%s", b[6], addr), Data: unpack.Window(in.Data, at+8, n), Offset: at + 8, Format: unpack.CodePart, Info: map[string]string{"address": addr, "target": name}})
			}
			at += 8 + n
		}
	}
	return o, nil
}
