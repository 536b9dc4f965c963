package uefi

import (
	"bytes"
	"hash/crc32"

	"github.com/doorward/doorward/internal/unpack"
)

// FaultTolerant opens the working block of EDK II's fault-tolerant writes
// (MdeModulePkg/Include/Guid/SystemNvDataGuid.h).
var FaultTolerant = &unpack.Reader{
	Name:    "efi-ftw",
	Checked: "variable stores of Debian (OVMF)",
	Doc:     "the working block of EDK II's fault-tolerant writes, between a variable store and its spare copy",
	Magics:  []unpack.Magic{{At: 0, Bytes: string(workingBlock[:])}},
	Carve:   true,
	Open:    openFTW,
}

// 9E58292B-7C68-497D-A0CE-6500FD9F1B95
var workingBlock = guid{0x2b, 0x29, 0x58, 0x9e, 0x68, 0x7c, 0x7d, 0x49, 0xa0, 0xce, 0x65, 0x00, 0xfd, 0x9f, 0x1b, 0x95}

const ftwHeader = 32

func openFTW(in *unpack.Input) (*unpack.Object, error) {
	b, err := unpack.ReadFull(in.Data, 0, ftwHeader)
	if err != nil || guidAt(b) != workingBlock {
		return nil, unpack.ErrNotThis
	}
	// The checksum is over the header as it was when erased.
	head := bytes.Clone(b)
	copy(head[16:24], "\xff\xff\xff\xff\xff\xff\xff\xff")
	queue := int64(min(le64(b[24:]), 1<<62))
	if crc32.ChecksumIEEE(head) != le32(b[16:]) || queue > in.Data.Size()-ftwHeader {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "fault-tolerant write block", Size: ftwHeader + queue}
	if q := unpack.Window(in.Data, ftwHeader, queue); !unpack.OnlyPadding(q, 0) {
		// Records of what was written, not its content: that is in the spare.
		o.Info = map[string]string{"records": "yes"}
	}
	return o, nil
}
