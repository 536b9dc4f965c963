package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/doorward/doorward/internal/unpack"
)

// rawSector is a sector of a CD with its sync mark, header and error
// correction (ECMA-130 section 14).
const rawSector = 2352

const rawSync = "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00"

// sectors shows the user data of raw sectors, whose checksums it compares.
type sectors struct {
	base  unpack.Bytes
	count int64
}

// newSectors is nil unless raw sectors start at an offset. The data track ends
// where the mark of a sector is missing (an audio track follows).
func newSectors(b unpack.Bytes, at int64) *sectors {
	b = unpack.Window(b, at, b.Size())
	s := &sectors{b, b.Size() / rawSector}
	if !s.marked(0) || !s.marked(isoFirst) {
		return nil
	}
	if s.marked(s.count - 1) {
		return s
	}
	low, high := int64(isoFirst), s.count-1 // marked, and not
	for high-low > 1 {
		if mid := (low + high) / 2; s.marked(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	s.count = high
	return s
}

func (s *sectors) marked(i int64) bool {
	return string(unpack.ReadSome(s.base, i*rawSector, 12)) == rawSync
}

// Size implements unpack.Bytes.
func (s *sectors) Size() int64 { return s.count * isoSector }

// ReadAt implements unpack.Bytes.
func (s *sectors) ReadAt(p []byte, off int64) (int, error) {
	return readBlocks(p, off, s.Size(), isoSector, s.sector)
}

var edcTable = crc32.MakeTable(0xd8018001)

// edc is the error detection code of ECMA-130 14.3: a CRC that starts at zero
// and isn't inverted.
func edc(p []byte) uint32 { return ^crc32.Update(^uint32(0), edcTable, p) }

func (s *sectors) sector(p []byte, i, skip int64) error {
	b, err := unpack.ReadFull(s.base, i*rawSector, rawSector)
	if err != nil {
		return err
	}
	if string(b[:12]) != rawSync {
		return fmt.Errorf("raw sector %d has no mark", i)
	}
	user, checked, sum := b[16:16+isoSector], b[:2064], b[2064:]
	switch {
	case b[15] == 1:
	case b[15] == 2 && b[18]&0x20 == 0: // form 1
		user, checked, sum = b[24:24+isoSector], b[16:2072], b[2072:]
	case b[15] == 2:
		return fmt.Errorf("raw sector %d is of form 2: %w", i, unpack.ErrUnsupported)
	case b[15] == 0:
		clear(p)
		return nil
	default:
		return errors.New("a raw sector of no known mode")
	}
	// Zero stands for a code that was never computed.
	if want := binary.LittleEndian.Uint32(sum); want != 0 && want != edc(checked) {
		return fmt.Errorf("raw sector %d has a wrong checksum", i)
	}
	copy(p, user[skip:])
	return nil
}
