package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/pierrec/lz4/v4"
)

// LZ4 opens LZ4 frames, and the legacy format that kernels are packed in.
var LZ4 = &unpack.Reader{
	Name:    "lz4",
	Checked: "lz4",
	Doc:     "LZ4 frames (format 1.6), and the legacy frames of Linux kernels.",
	Magics:  []unpack.Magic{{At: 0, Bytes: lz4Magic}, {At: 0, Bytes: lz4LegacyMagic}},
	Carve:   true,
	Open:    openLZ4,
}

const (
	lz4Magic        = "\x04\x22\x4d\x18"
	lz4LegacyMagic  = "\x02\x21\x4c\x18"
	lz4LegacyBlock  = 8 << 20
	lz4LegacyPacked = lz4LegacyBlock + lz4LegacyBlock/255 + 16 // most that a block can take
)

func openLZ4(in *unpack.Input) (*unpack.Object, error) {
	d := &unlz4{data: in.Data, budget: in.Budget}
	format, sure := "lz4", true
	var err error
	if string(unpack.ReadSome(in.Data, 0, 4)) == lz4LegacyMagic {
		format, sure = "lz4 legacy", false
		err = d.legacy()
	} else {
		err = d.frame()
		for err == nil && string(unpack.ReadSome(in.Data, d.at, 4)) == lz4Magic {
			end, n := d.at, len(d.out)
			if err = d.frame(); errors.Is(err, unpack.ErrNotThis) {
				d.at, d.out, err = end, d.out[:n], nil
				break
			}
		}
	}
	if errors.Is(err, unpack.ErrNotThis) {
		in.Budget.Release(d.out)
		return nil, unpack.ErrNotThis
	}
	if added := in.Budget.AddBytes(int64(len(d.out))); err == nil {
		err = added
	}
	return unpack.StreamObject(in, format, d.out, min(d.at, in.Data.Size()), sure, err, nil)
}

// unlz4 decodes frames one behind the other.
type unlz4 struct {
	data   unpack.Bytes
	budget *unpack.Budget
	at     int64
	out    []byte
}

// lz4Frame is a frame's descriptor.
type lz4Frame struct {
	linked, blockSums, sum bool
	blockMax               int
	size                   int64 // of the content; -1 if it is not stated
}

func (d *unlz4) descriptor() (f lz4Frame, err error) {
	p := unpack.ReadSome(d.data, d.at, 19)
	if len(p) < 7 || p[4]>>6 != 1 || p[4]&2 != 0 || p[5]&0x8f != 0 || p[5]>>4 < 4 {
		return f, unpack.ErrNotThis
	}
	flags := p[4]
	f = lz4Frame{linked: flags&0x20 == 0, blockSums: flags&0x10 != 0, sum: flags&4 != 0, size: -1}
	f.blockMax = 1 << (8 + 2*int(p[5]>>4))
	n := 6
	if flags&8 != 0 {
		n += 8
	}
	if flags&1 != 0 {
		n += 4
	}
	if len(p) <= n || p[n] != byte(xxh32(p[4:n])>>8) {
		return f, unpack.ErrNotThis
	}
	if flags&8 != 0 {
		f.size = int64(binary.LittleEndian.Uint64(p[6:]))
	}
	d.at += int64(n) + 1
	if flags&1 != 0 {
		return f, fmt.Errorf("%w: lz4 frame with a dictionary", unpack.ErrUnsupported)
	}
	return f, nil
}

func (d *unlz4) frame() error {
	f, err := d.descriptor()
	if err != nil {
		return err
	}
	start := len(d.out)
	for {
		word, err := unpack.ReadFull(d.data, d.at, 4)
		if err != nil {
			return err
		}
		n := binary.LittleEndian.Uint32(word)
		if n == 0 {
			d.at += 4
			break
		}
		if err := d.block(f, start, int64(n&0x7fffffff), n>>31 == 1); err != nil {
			return err
		}
	}
	content := d.out[start:]
	if f.size >= 0 && f.size != int64(len(content)) {
		return errors.New("lz4: wrong content size")
	}
	if !f.sum {
		return nil
	}
	sum, err := unpack.ReadFull(d.data, d.at, 4)
	if err != nil {
		return err
	}
	d.at += 4
	if binary.LittleEndian.Uint32(sum) != xxh32(content) {
		return unpack.ErrChecksum
	}
	return nil
}

// block decodes one block of n packed bytes of the frame that began at start.
func (d *unlz4) block(f lz4Frame, start int, n int64, stored bool) error {
	if n > int64(f.blockMax) {
		return fmt.Errorf("lz4: block of %d bytes at 0x%x is over the frame's %d", n, d.at, f.blockMax)
	}
	packed, err := unpack.ReadFull(d.data, d.at+4, n)
	if err != nil {
		return err
	}
	d.at += 4 + n
	if f.blockSums {
		sum, err := unpack.ReadFull(d.data, d.at, 4)
		if err != nil {
			return err
		}
		d.at += 4
		if binary.LittleEndian.Uint32(sum) != xxh32(packed) {
			return unpack.ErrChecksum
		}
	}
	if err := d.room(f.blockMax); err != nil {
		return err
	}
	to := d.out[len(d.out) : len(d.out)+f.blockMax]
	if stored {
		d.out = d.out[:len(d.out)+copy(to, packed)]
		return nil
	}
	if !f.linked {
		start = len(d.out)
	}
	got, err := lz4.UncompressBlockWithDict(packed, to, d.out[max(start, len(d.out)-64<<10):])
	if err != nil {
		return fmt.Errorf("lz4 block before 0x%x: %w", d.at, err)
	}
	d.out = d.out[:len(d.out)+got]
	return nil
}

// room makes sure that n more bytes fit behind d.out.
func (d *unlz4) room(n int) error {
	if cap(d.out)-len(d.out) < n {
		grown, err := d.budget.GrowTo(d.out, max(len(d.out)+n, min(2*cap(d.out), cap(d.out)+64<<20)))
		if err != nil {
			return err
		}
		d.out = grown
	}
	return checkRatio(d.budget, int64(len(d.out)), d.data.Size())
}

func checkRatio(b *unpack.Budget, out, packed int64) error {
	if out > max(unpack.RatioFree, packed*b.Limits.Ratio) {
		return fmt.Errorf("%w: one stream expands more than %d-fold", unpack.ErrLimit, b.Limits.Ratio)
	}
	return nil
}

// legacy decodes blocks up to the first that is not full, since the format has
// no end mark.
func (d *unlz4) legacy() error {
	d.roomForLegacy()
	for d.at = 4; ; {
		word := unpack.ReadSome(d.data, d.at, 4)
		if len(word) < 4 {
			return d.noBlock()
		}
		if string(word) == lz4LegacyMagic {
			d.at += 4
			continue
		}
		n := int64(binary.LittleEndian.Uint32(word))
		if n == 0 || n > lz4LegacyPacked || n > d.data.Size()-d.at-4 {
			return d.noBlock()
		}
		packed, err := unpack.ReadFull(d.data, d.at+4, n)
		if err != nil {
			return err
		}
		if err := d.room(lz4LegacyBlock); err != nil {
			return err
		}
		got, err := lz4.UncompressBlock(packed, d.out[len(d.out):len(d.out)+lz4LegacyBlock])
		if err != nil {
			return d.noBlock()
		}
		d.at += 4 + n
		d.out = d.out[:len(d.out)+got]
		if got < lz4LegacyBlock && string(unpack.ReadSome(d.data, d.at, 4)) != lz4LegacyMagic {
			return nil
		}
	}
}

// roomForLegacy makes room for all blocks at once, if there is: all but the last
// are full.
func (d *unlz4) roomForLegacy() {
	blocks := 0
	for at := int64(4); ; blocks++ {
		word := unpack.ReadSome(d.data, at, 4)
		if len(word) < 4 {
			break
		}
		n := int64(binary.LittleEndian.Uint32(word))
		if n == 0 || n > lz4LegacyPacked || n > d.data.Size()-at-4 || n < lz4LegacyBlock/255 {
			break
		}
		at += 4 + n
	}
	if blocks > 1 {
		_ = d.room(blocks * lz4LegacyBlock)
	}
}

// noBlock is the end of legacy data where no whole block follows: the regular
// one behind a full block, an error at the start.
func (d *unlz4) noBlock() error {
	if len(d.out) == 0 {
		if d.at > 4 || d.data.Size() < 8 {
			return unpack.ErrNotThis
		}
		return io.ErrUnexpectedEOF
	}
	return nil
}

// xxh32 is the 32-bit xxHash with seed 0, which LZ4 frames use as checksum.
func xxh32(b []byte) uint32 {
	const p1, p2, p3, p4, p5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
	n := uint32(len(b))
	h := uint32(p5)
	if len(b) >= 16 {
		one := uint32(p1)
		v := [4]uint32{one + p2, p2, 0, -one}
		for ; len(b) >= 16; b = b[16:] {
			for i := range v {
				v[i] = bits.RotateLeft32(v[i]+binary.LittleEndian.Uint32(b[4*i:])*p2, 13) * p1
			}
		}
		h = bits.RotateLeft32(v[0], 1) + bits.RotateLeft32(v[1], 7) + bits.RotateLeft32(v[2], 12) + bits.RotateLeft32(v[3], 18)
	}
	h += n
	for ; len(b) >= 4; b = b[4:] {
		h = bits.RotateLeft32(h+binary.LittleEndian.Uint32(b)*p3, 17) * p4
	}
	for _, c := range b {
		h = bits.RotateLeft32(h+uint32(c)*p5, 11) * p1
	}
	h = (h ^ h>>15) * p2
	h = (h ^ h>>13) * p3
	return h ^ h>>16
}
