package mcu

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/doorward/doorward/internal/unpack"
)

// IntelHex opens Intel's hexadecimal object files (specification of 1988): lines
// of bytes with their address and a sum; segments and 32-bit addresses.
var IntelHex = &unpack.Reader{
	Name:    "ihex",
	Doc:     "Intel HEX files (8, 16 and 32 bits; AVR, PIC, ARM and others), sums verified: the memory that they write, piece by piece",
	Checked: "objcopy and srec_cat, random memories with gaps; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: ":"}},
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		return openHex(in, &hexFile{format: "intel hex", mark: ':', record: (*hexFile).intel})
	},
}

// SRecord opens Motorola's S-records (S0 to S9) of all three address widths.
var SRecord = &unpack.Reader{
	Name:    "srec",
	Doc:     "Motorola S-record files (S19, S28, S37), sums and counts verified: header, entry, the memory that they write",
	Checked: "objcopy and srec_cat, random memories with gaps; all ways of damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: "S0"}, {At: 0, Bytes: "S1"}, {At: 0, Bytes: "S2"}, {At: 0, Bytes: "S3"}},
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		return openHex(in, &hexFile{format: "s-record", mark: 'S', record: (*hexFile).motorola})
	},
}

// hexFile is a file of records while it is read.
type hexFile struct {
	format string
	mark   byte
	record func(h *hexFile, b []byte, kind byte) error

	base    uint64 // of the records that follow
	list    []piece
	stored  int64
	count   int
	done    bool
	counted bool // the last record states how many there are: an end of a sort
	info    map[string]string
}

// maxHexLine is longer than any record.
const maxHexLine = 1100

var (
	errRecord = errors.New("no record")
	errHexSum = errors.New("the sum is wrong")
)

func openHex(in *unpack.Input, h *hexFile) (*unpack.Object, error) {
	h.info = map[string]string{}
	r := bufio.NewReaderSize(io.NewSectionReader(in.Data, 0, in.Data.Size()), 64<<10)
	var size int64
	var wrong error
	for line := 1; !h.done; line++ {
		text, err := r.ReadSlice('\n')
		if len(text) > maxHexLine || err == bufio.ErrBufferFull {
			wrong = fmt.Errorf("line %d: %w", line, errRecord)
			break
		}
		if bad := h.line(bytes.TrimSpace(text)); bad != nil {
			wrong = fmt.Errorf("line %d: %w", line, bad)
			break
		}
		size += int64(len(text))
		if h.stored > in.Budget.Limits.Memory/4 {
			wrong = fmt.Errorf("line %d: %w: more than %d bytes", line, unpack.ErrLimit, h.stored)
			break
		}
		if err != nil {
			if !h.done && !h.counted {
				wrong = errors.New("truncated: the file has no end record")
			}
			break
		}
	}
	if len(h.list) == 0 || size == 0 {
		return nil, unpack.ErrNotThis
	}
	parts, err := memory(in, h.list)
	o := &unpack.Object{Format: h.format, Size: size, Info: h.info, Parts: parts, Err: wrong}
	if o.Err == nil {
		o.Err = err
	} else {
		o.Size = in.Data.Size() // what follows a broken line is no more readable
	}
	o.Info["records"] = fmt.Sprint(h.count)
	return o, nil
}

// line reads one line: the mark, of S-records the type, then bytes in
// hexadecimal of which the last is a sum.
func (h *hexFile) line(s []byte) error {
	if len(s) == 0 {
		return nil
	}
	if s[0] != h.mark || len(s) < 10 {
		return errRecord
	}
	h.counted = false
	kind := byte(0)
	if s = s[1:]; h.mark == 'S' {
		kind, s = s[0], s[1:]
	}
	b := make([]byte, len(s)/2)
	if _, err := hex.Decode(b, s); err != nil {
		return errRecord
	}
	return h.record(h, b, kind)
}

func byteSum(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}

func (h *hexFile) intel(b []byte, _ byte) error {
	if len(b) < 5 || int(b[0]) != len(b)-5 {
		return errRecord
	}
	if byteSum(b) != 0 {
		return errHexSum
	}
	addr, data := uint64(binary.BigEndian.Uint16(b[1:])), b[4:len(b)-1]
	switch kind := b[3]; {
	case kind == 0:
		h.data(h.base+addr, data)
	case kind == 1:
		h.done = true
	case kind == 2 && len(data) == 2:
		h.base = uint64(binary.BigEndian.Uint16(data)) << 4
	case kind == 4 && len(data) == 2:
		h.base = uint64(binary.BigEndian.Uint16(data)) << 16
	case kind == 3 && len(data) == 4:
		h.info["entry point"] = fmt.Sprintf("0x%04x:0x%04x", binary.BigEndian.Uint16(data), binary.BigEndian.Uint16(data[2:]))
	case kind == 5 && len(data) == 4:
		h.info["entry point"] = fmt.Sprintf("0x%08x", binary.BigEndian.Uint32(data))
	default:
		return errRecord
	}
	return nil
}

func (h *hexFile) data(addr uint64, b []byte) {
	if len(b) == 0 {
		return
	}
	h.count++
	h.stored += int64(len(b)) + 16
	h.list = add(h.list, addr, b)
}

// motorola reads a record of bytes: how many follow, an address, data, a sum.
func (h *hexFile) motorola(b []byte, kind byte) error {
	width := map[byte]int{'0': 2, '1': 2, '2': 3, '3': 4, '5': 2, '6': 3, '7': 4, '8': 3, '9': 2}[kind]
	if width == 0 || len(b) < width+2 || int(b[0]) != len(b)-1 {
		return errRecord
	}
	if byteSum(b) != 0xff {
		return errHexSum
	}
	addr := uint64(0)
	for _, c := range b[1 : 1+width] {
		addr = addr<<8 | uint64(c)
	}
	data := b[1+width : len(b)-1]
	switch {
	case kind == '0':
		h.info["header"] = string(bytes.TrimSpace([]byte(cString(data))))
	case kind <= '3':
		h.data(addr, data)
	case kind <= '6':
		if addr != uint64(h.count) {
			return fmt.Errorf("%d records are stated, %d are there", addr, h.count)
		}
		h.counted = true
	default:
		h.info["entry point"] = fmt.Sprintf("0x%08x", addr)
		h.done = true
	}
	return nil
}
