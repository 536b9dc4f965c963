package boot

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/doorward/doorward/internal/unpack"
)

// TRX opens the image format of Broadcom's boot loader: a header with the
// offsets of up to three (version 1) or four (version 2) partitions.
var TRX = &unpack.Reader{
	Name:    "trx",
	Checked: "an independent writer",
	Doc:     "TRX images of Broadcom boards, versions 1 and 2, both byte orders, with checksum",
	Magics:  []unpack.Magic{{At: 0, Bytes: "HDR0"}, {At: 0, Bytes: "0RDH"}},
	Carve:   true,
	Open:    openTRX,
}

func openTRX(in *unpack.Input) (*unpack.Object, error) {
	head := unpack.ReadSome(in.Data, 0, 32)
	if len(head) < 28 {
		return nil, unpack.ErrNotThis
	}
	var order binary.ByteOrder = binary.LittleEndian
	if string(head[:4]) == "0RDH" {
		order = binary.BigEndian
	}
	length, version := int64(order.Uint32(head[4:])), order.Uint16(head[14:])
	if order == binary.BigEndian {
		version = order.Uint16(head[12:])
	}
	slots := map[uint16]int{1: 3, 2: 4}[version]
	if slots == 0 || len(head) < 16+4*slots || length <= int64(16+4*slots) {
		return nil, unpack.ErrNotThis
	}
	starts, ok := trxStarts(head[16:16+4*slots], order, length)
	if !ok {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: fmt.Sprintf("trx %d", version), Size: min(length, in.Data.Size()), Info: map[string]string{}}
	o.Err = trxSum(in.Data, length, order.Uint32(head[8:]))
	for i, off := range starts {
		end := o.Size
		if i+1 < len(starts) {
			end = min(end, starts[i+1])
		}
		if end > off {
			o.Parts = append(o.Parts, unpack.Part{Name: fmt.Sprintf("partition%d", i), Data: unpack.Window(in.Data, off, end-off), Offset: off})
		}
	}
	return o, nil
}

// trxStarts are the offsets of the partitions that are there, ascending; false
// if they can't be.
func trxStarts(table []byte, order binary.ByteOrder, length int64) ([]int64, bool) {
	var starts []int64
	first := int64(16 + len(table))
	for ; len(table) > 0; table = table[4:] {
		off := int64(order.Uint32(table))
		if off == 0 {
			continue
		}
		// A version 2 header may carry a version or a size in its last slot.
		if off < first || off >= length {
			if len(table) == 4 && len(starts) > 0 {
				continue
			}
			return nil, false
		}
		starts = append(starts, off)
	}
	return starts, len(starts) > 0 && slices.IsSorted(starts)
}

// trxSum checks the CRC-32 (without its last inversion) of all from the flags on.
func trxSum(data unpack.Bytes, length int64, want uint32) error {
	if length > data.Size() {
		return &unpack.CutOff{Format: "trx", Missing: int64(length) - data.Size(), Of: int64(length)}
	}
	sum, err := unpack.SumCRC32(crc32.ChecksumIEEE(nil), data, 12, length-12)
	if err != nil {
		return err
	}
	if ^sum != want {
		return fmt.Errorf("the checksum is 0x%08x, the header states 0x%08x", ^sum, want)
	}
	return nil
}
