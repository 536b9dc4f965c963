package lzma

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrFilter says that a filter is not known here.
var ErrFilter = errors.New("lzma: unsupported filter")

// Filter ids of the xz format, section 5.3.
const (
	filterDelta    = 0x03
	filterX86      = 0x04
	filterPowerPC  = 0x05
	filterIA64     = 0x06
	filterARM      = 0x07
	filterARMThumb = 0x08
	filterSPARC    = 0x09
	filterARM64    = 0x0a
	filterRISCV    = 0x0b
	filterLZMA2    = 0x21
)

// filter is one of the filters that packing applied before LZMA2.
type filter struct {
	id    uint64
	start uint32 // position that the first byte is taken to have
	delta int    // distance of the delta filter
}

func parseFilter(id uint64, props []byte) (filter, error) {
	f := filter{id: id}
	switch {
	case id == filterDelta && len(props) == 1:
		f.delta = int(props[0]) + 1
	case id >= filterX86 && id <= filterRISCV && len(props) == 4:
		f.start = binary.LittleEndian.Uint32(props)
	case id >= filterX86 && id <= filterRISCV && len(props) == 0:
	default:
		return f, fmt.Errorf("%w 0x%x", ErrFilter, id)
	}
	return f, nil
}

// Unfilter takes a branch or delta filter off whole content. Ids and properties
// are those of the xz format, which 7z shares.
func Unfilter(id uint64, props, b []byte) error {
	f, err := parseFilter(id, props)
	if err == nil {
		f.undo(b)
	}
	return err
}

// undo takes the filter off a whole block. The branch filters turn absolute
// addresses of calls back into relative ones; the position of each instruction
// is subtracted from its target.
func (f filter) undo(b []byte) {
	switch f.id {
	case filterDelta:
		for i := f.delta; i < len(b); i++ {
			b[i] += b[i-f.delta]
		}
	case filterX86:
		undoX86(b, f.start)
	case filterPowerPC:
		undoPowerPC(b, f.start)
	case filterIA64:
		undoIA64(b, f.start)
	case filterARM:
		undoARM(b, f.start)
	case filterARMThumb:
		undoARMThumb(b, f.start)
	case filterSPARC:
		undoSPARC(b, f.start)
	case filterARM64:
		undoARM64(b, f.start)
	case filterRISCV:
		undoRISCV(b, f.start)
	}
}

// undoX86 handles CALL (e8) and JMP (e9) whose target's highest byte is 00 or
// ff. mask remembers at which of the last places an opcode stood, since bytes
// there may be operands of one that was skipped.
func undoX86(b []byte, start uint32) {
	sign := func(v byte) bool { return v == 0 || v == 0xff }
	allowed := [8]bool{true, true, true, false, true, false, false, false}
	shift := [8]uint{0, 1, 2, 2, 3, 3, 3, 3}
	mask, last := uint32(0), -6
	for i := 0; i+5 <= len(b); {
		if b[i]&0xfe != 0xe8 {
			i++
			continue
		}
		if gap := i - last; gap > 5 {
			mask = 0
		} else {
			for range gap {
				mask = mask & 0x77 << 1
			}
		}
		last = i
		if !sign(b[i+4]) || mask>>1 >= 0x10 || !allowed[mask>>1&7] {
			mask |= 1
			if sign(b[i+4]) {
				mask |= 0x10
			}
			i++
			continue
		}
		src := binary.LittleEndian.Uint32(b[i+1:])
		var dest uint32
		for {
			dest = src - (start + uint32(i) + 5)
			if mask == 0 {
				break
			}
			n := shift[mask>>1] * 8
			if !sign(byte(dest >> (24 - n))) {
				break
			}
			src = dest ^ (1<<(32-n) - 1)
		}
		dest &= 0x01ffffff
		if dest&0x01000000 != 0 {
			dest |= 0xff000000
		}
		binary.LittleEndian.PutUint32(b[i+1:], dest)
		i += 5
		mask = 0
	}
}

// undoPowerPC handles bl.
func undoPowerPC(b []byte, start uint32) {
	for i := 0; i+4 <= len(b); i += 4 {
		if v := binary.BigEndian.Uint32(b[i:]); v&0xfc000003 == 0x48000001 {
			dest := v&0x03fffffc - (start + uint32(i))
			binary.BigEndian.PutUint32(b[i:], 0x48000001|dest&0x03fffffc)
		}
	}
}

// undoARM handles BL, whose targets count from two instructions ahead.
func undoARM(b []byte, start uint32) {
	for i := 0; i+4 <= len(b); i += 4 {
		if b[i+3] == 0xeb {
			v := binary.LittleEndian.Uint32(b[i:])
			dest := (v<<2 - (start + uint32(i) + 8)) >> 2
			binary.LittleEndian.PutUint32(b[i:], 0xeb000000|dest&0x00ffffff)
		}
	}
}

// undoARMThumb handles the two halves of BL.
func undoARMThumb(b []byte, start uint32) {
	for i := 0; i+4 <= len(b); i += 2 {
		if b[i+1]&0xf8 != 0xf0 || b[i+3]&0xf8 != 0xf8 {
			continue
		}
		high, low := uint32(binary.LittleEndian.Uint16(b[i:])), uint32(binary.LittleEndian.Uint16(b[i+2:]))
		dest := ((high&0x7ff<<11|low&0x7ff)<<1 - (start + uint32(i) + 4)) >> 1
		binary.LittleEndian.PutUint16(b[i:], uint16(0xf000|dest>>11&0x7ff))
		binary.LittleEndian.PutUint16(b[i+2:], uint16(0xf800|dest&0x7ff))
		i += 2
	}
}

// undoARM64 handles BL, and ADRP within 512 MiB.
func undoARM64(b []byte, start uint32) {
	for i := 0; i+4 <= len(b); i += 4 {
		v, pc := binary.LittleEndian.Uint32(b[i:]), start+uint32(i)
		switch {
		case v>>26 == 0x25:
			v = 0x94000000 | (v-pc>>2)&0x03ffffff
		case v&0x9f000000 == 0x90000000:
			src := v>>29&3 | v>>3&0x001ffffc
			if (src+0x00020000)&0x001c0000 != 0 {
				continue
			}
			dest := src - pc>>12
			v = v&0x9000001f | dest&3<<29 | dest&0x0003fffc<<3 | -(dest&0x00020000)&0x00e00000
		default:
			continue
		}
		binary.LittleEndian.PutUint32(b[i:], v)
	}
}

// undoSPARC handles call.
func undoSPARC(b []byte, start uint32) {
	for i := 0; i+4 <= len(b); i += 4 {
		v := binary.BigEndian.Uint32(b[i:])
		if v>>22 != 0x100 && v>>22 != 0x1ff {
			continue
		}
		dest := (v<<2 - (start + uint32(i))) >> 2
		dest = -(dest>>22&1)<<22&0x3fffffff | dest&0x003fffff | 0x40000000
		binary.BigEndian.PutUint32(b[i:], dest)
	}
}

// ia64Slots are the slots of an instruction bundle that may hold a branch, by
// the bundle's template.
var ia64Slots = [32]byte{16: 4, 4, 6, 6, 0, 0, 7, 7, 4, 4, 0, 0, 4, 4, 0, 0}

// undoIA64 handles IP-relative calls in bundles of three 41-bit instructions.
func undoIA64(b []byte, start uint32) {
	for i := 0; i+16 <= len(b); i += 16 {
		slots := ia64Slots[b[i]&0x1f]
		for slot := range 3 {
			if slots>>slot&1 == 0 {
				continue
			}
			bit := 5 + 41*slot
			at, shift := i+bit>>3, bit&7
			var raw [8]byte
			copy(raw[:6], b[at:])
			word := binary.LittleEndian.Uint64(raw[:])
			v := word >> shift
			if v>>37&0xf != 5 || v>>9&7 != 0 {
				continue
			}
			src := uint32(v>>13)&0xfffff | uint32(v>>36)&1<<20
			dest := uint64((src<<4 - (start + uint32(i))) >> 4)
			v = v&^(0x8fffff<<13) | dest&0xfffff<<13 | dest&0x100000<<16
			binary.LittleEndian.PutUint64(raw[:], word&(1<<shift-1)|v<<shift)
			copy(b[at:at+6], raw[:6])
		}
	}
}

// UndoX86 takes the filter for x86 programs off a whole stream that starts at
// position 0, as the LZMA SDK's Bra86 does.
func UndoX86(b []byte) { undoX86(b, 0) }

// undoRISCV handles JAL, and AUIPC with the instruction behind it, whose
// immediate is the lower part of one address. The filter exchanges the two
// registers' places, so that a pair whose AUIPC writes x0 or x2 is a marked one.
func undoRISCV(b []byte, start uint32) {
	le := binary.LittleEndian
	for i := 0; i+8 <= len(b); i += 2 {
		switch {
		case b[i] == 0xef && b[i+1]&0x0d == 0:
			b1, b2, b3 := uint32(b[i+1]), uint32(b[i+2]), uint32(b[i+3])
			addr := (b1&0xf0<<13 | b2<<9 | b3<<1) - (start + uint32(i))
			b[i+1] = byte(b1&0x0f | addr>>8&0xf0)
			b[i+2] = byte(addr>>16&0x0f | addr>>7&0x10 | addr<<4&0xe0)
			b[i+3] = byte(addr>>4&0x7f | addr>>13&0x80)
			i += 2
		case b[i]&0x7f == 0x17:
			first, second := le.Uint32(b[i:]), le.Uint32(b[i+4:])
			if first&0xe80 != 0 {
				if (first<<8^(second-3))&0xf8003 != 0 {
					i += 4
					continue
				}
				addr := first&0xfffff000 + second>>20
				first, second = 0x17|2<<7|second<<12, addr
			} else {
				register := first >> 27
				if (first-0x3117)<<18 >= register&0x1d {
					i += 2
					continue
				}
				addr := binary.BigEndian.Uint32(b[i+4:]) - (start + uint32(i))
				first, second = 0x17|register<<7|(addr+0x800)&0xfffff000, first>>12|addr<<20
			}
			le.PutUint32(b[i:], first)
			le.PutUint32(b[i+4:], second)
			i += 6
		}
	}
}
