package linuxfs

import (
	"errors"
	"fmt"
	"hash/crc32"
)

// f2fsCRCSeed is what the checksums of superblock, checkpoints and clusters
// start with.
const f2fsCRCSeed = 0xf2f52010

// f2fsCRC continues a CRC-32 as the kernel does: without the inversions.
func f2fsCRC(sum uint32, p []byte) uint32 { return ^crc32.Update(^sum, crc32.IEEETable, p) }

// Flags of a checkpoint.
const (
	f2fsCPUnmounted = 0x1
	f2fsCPCompact   = 0x4
	f2fsCPCRCNodes  = 0x40 // footers of nodes carry the checkpoint's checksum
	f2fsCPLargeNat  = 0x400
)

// f2fsCheckpoint is one of the two packs. Both its first and its last block
// hold the checkpoint; they agree if it was written completely.
type f2fsCheckpoint struct {
	raw    []byte
	start  int64 // block
	blocks int64
	flags  uint32
	sum    uint32
	nat    []byte // bitmap: which of two copies of a block of the node table holds
	other  error  // what is wrong with the other pack, if that may have been the newer one
}

func (c *f2fsCheckpoint) u32(at int) uint32 { return le.Uint32(c.raw[at:]) }
func (c *f2fsCheckpoint) version() uint64   { return le.Uint64(c.raw) }

// findCheckpoint takes the newer of the sound ones.
func (f *f2fs) findCheckpoint() error {
	first := int64(le.Uint32(f.super[76:]))
	a, errA := f.checkpoint(first)
	b, errB := f.checkpoint(first + f.segBlocks)
	switch {
	case a == nil && b == nil:
		return fmt.Errorf("neither checkpoint is sound: %w", errors.Join(errA, errB))
	case a == nil:
		f.cp, b.other = b, errA
	case b == nil:
		f.cp, a.other = a, errB
	case int64(b.version()-a.version()) > 0:
		f.cp = b
	default:
		f.cp = a
	}
	// A pack that was never written says nothing.
	if f.cp.other == errNoCheckpoint {
		f.cp.other = nil
	}
	return nil
}

var errNoCheckpoint = errors.New("no checkpoint was written")

// checkpoint reads a pack: its first and last block, and the bitmaps.
func (f *f2fs) checkpoint(start int64) (*f2fsCheckpoint, error) {
	raw, sum, err := f.checkpointBlock(start)
	if err != nil {
		return nil, err
	}
	c := &f2fsCheckpoint{raw: raw, start: start, sum: sum}
	c.flags, c.blocks = c.u32(132), int64(c.u32(136))
	payload := int64(le.Uint32(f.super[1664:]))
	if c.blocks < 2 || c.blocks > f.segBlocks || payload > c.blocks-2 {
		return nil, fmt.Errorf("a checkpoint of %d blocks", c.blocks)
	}
	last, _, err := f.checkpointBlock(start + c.blocks - 1)
	if err != nil {
		return nil, err
	}
	if le.Uint64(last) != c.version() {
		return nil, errors.New("a checkpoint that was not written completely")
	}
	if c.nat, err = f.natBitmap(c, payload); err != nil {
		return nil, err
	}
	return c, nil
}

func (f *f2fs) checkpointBlock(at int64) ([]byte, uint32, error) {
	p, err := f.block(at)
	if err != nil {
		return nil, 0, err
	}
	sumAt := int64(le.Uint32(p[164:]))
	if le.Uint64(p) == 0 && sumAt == 0 {
		return nil, 0, errNoCheckpoint
	}
	if sumAt < 192 || sumAt > f.blockSize-4 {
		return nil, 0, errors.New("a damaged checkpoint")
	}
	sum := f2fsCRC(f2fsCRCSeed, p[:sumAt])
	if sumAt < f.blockSize-4 {
		// The bitmaps lie behind the checksum.
		sum = f2fsCRC(sum, p[sumAt+4:])
	}
	if stated := le.Uint32(p[sumAt:]); sum != stated && f2fsCRC(f2fsCRCSeed, p[:sumAt]) != stated {
		return nil, 0, errors.New("a checkpoint with a wrong checksum")
	}
	return p, le.Uint32(p[sumAt:]), nil
}

// natBitmap finds the bitmap of the node table, which has three places.
func (f *f2fs) natBitmap(c *f2fsCheckpoint, payload int64) ([]byte, error) {
	size, sit := int64(c.u32(160)), int64(c.u32(156))
	area := c.raw[192:]
	switch {
	case c.flags&f2fsCPLargeNat != 0:
		area = area[4:]
	case payload == 0:
		if sit > int64(len(area)) {
			return nil, errors.New("a damaged checkpoint")
		}
		area = area[sit:]
	}
	segments := int64(le.Uint32(f.super[60:])) / 2
	if size > int64(len(area)) || size*8 < segments*f.segBlocks {
		return nil, fmt.Errorf("a bitmap of %d bytes for %d segments of the node table", size, segments)
	}
	return area[:size], nil
}

// rollForward says if nodes were written after the checkpoint: they chain up
// from where the log of warm nodes goes on.
func (f *f2fs) rollForward() bool {
	if f.cp.flags&f2fsCPUnmounted != 0 {
		return false
	}
	const warm = 1
	addr := f.main + int64(f.cp.u32(36+4*warm))*f.segBlocks + int64(le.Uint16(f.cp.raw[68+2*warm:]))
	p, err := f.block(addr)
	if err != nil {
		return false
	}
	version := f.cp.version()
	if f.cp.flags&f2fsCPCRCNodes != 0 {
		version |= uint64(f.cp.sum) << 32
	}
	return le.Uint64(p[f.blockSize-12:]) == version
}
