package stream

import (
	"encoding/binary"
	"fmt"
	"hash/adler32"
	"hash/crc32"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/lzo"
)

// LZO opens the files of lzop.
var LZO = &unpack.Reader{
	Name:    "lzo",
	Checked: "lzop",
	Doc:     "LZO1X streams in the format of lzop.",
	Magics:  []unpack.Magic{{At: 0, Bytes: lzopMagic}},
	Carve:   true,
	Open:    openLZO,
}

const (
	lzopMagic    = "\x89LZO\x00\r\n\x1a\n"
	lzopBlockMax = 64 << 20
)

// Flags of an lzop header.
const (
	lzopAdlerPlain  = 1
	lzopAdlerPacked = 2
	lzopExtra       = 0x40
	lzopCRCPlain    = 0x100
	lzopCRCPacked   = 0x200
	lzopMultipart   = 0x400
	lzopFilter      = 0x800
	lzopHeaderCRC   = 0x1000
)

func openLZO(in *unpack.Input) (*unpack.Object, error) {
	d := &unlzop{data: in.Data, budget: in.Budget}
	info, err := d.header()
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	err = d.blocks()
	for err == nil && string(unpack.ReadSome(in.Data, d.at, 9)) == lzopMagic {
		end := d.at
		if _, bad := d.header(); bad != nil {
			d.at = end
			break
		}
		err = d.blocks()
	}
	if added := in.Budget.AddBytes(int64(len(d.out))); err == nil {
		err = added
	}
	return unpack.StreamObject(in, "lzo", d.out, min(d.at, in.Data.Size()), true, err, info)
}

type unlzop struct {
	data   unpack.Bytes
	budget *unpack.Budget
	at     int64
	flags  uint32
	out    []byte
}

// header reads and checks a header at d.at.
func (d *unlzop) header() (map[string]string, error) {
	p := unpack.ReadSome(d.data, d.at, 4096)
	if len(p) < 40 || string(p[:9]) != lzopMagic {
		return nil, unpack.ErrNotThis
	}
	version := binary.BigEndian.Uint16(p[9:])
	at := 13
	if version >= 0x940 {
		at += 2 // the version that is needed
	}
	if method := p[at]; method < 1 || method > 3 {
		return nil, unpack.ErrNotThis
	}
	at++
	if version >= 0x940 {
		at++ // level
	}
	d.flags = binary.BigEndian.Uint32(p[at:])
	at += 4
	if d.flags&lzopFilter != 0 {
		return nil, unpack.ErrNotThis
	}
	at += 4 // mode
	seconds := binary.BigEndian.Uint32(p[at:])
	at += 4
	if version >= 0x940 {
		at += 4 // high half of the time
	}
	n := int(p[at])
	at++
	if at+n+4 > len(p) {
		return nil, unpack.ErrNotThis
	}
	info := map[string]string{}
	if n > 0 {
		info["name"] = strings.ToValidUTF8(string(p[at:at+n]), "?")
	}
	if seconds != 0 {
		info["time"] = time.Unix(int64(seconds), 0).UTC().Format(time.RFC3339)
	}
	at += n
	sum := adler32.Checksum(p[9:at])
	if d.flags&lzopHeaderCRC != 0 {
		sum = crc32.ChecksumIEEE(p[9:at])
	}
	if binary.BigEndian.Uint32(p[at:]) != sum {
		return nil, unpack.ErrNotThis
	}
	d.at += int64(at) + 4
	if d.flags&lzopExtra != 0 {
		n, err := unpack.ReadFull(d.data, d.at, 4)
		if err != nil {
			return nil, unpack.ErrNotThis
		}
		d.at += 8 + int64(binary.BigEndian.Uint32(n))
	}
	return info, nil
}

// blocks decodes up to the end mark.
func (d *unlzop) blocks() error {
	for {
		word, err := unpack.ReadFull(d.data, d.at, 4)
		if err != nil {
			return err
		}
		size := int64(binary.BigEndian.Uint32(word))
		if size == 0 {
			d.at += 4
			return nil
		}
		if err := d.block(size); err != nil {
			return fmt.Errorf("lzop block at 0x%x: %w", d.at, err)
		}
	}
}

func (d *unlzop) block(size int64) error {
	word, err := unpack.ReadFull(d.data, d.at+4, 4)
	if err != nil {
		return err
	}
	n := int64(binary.BigEndian.Uint32(word))
	if size > lzopBlockMax || n > size || n == 0 {
		return fmt.Errorf("impossible size %d of %d", n, size)
	}
	at := d.at + 8
	var sums []uint32
	for _, flag := range []uint32{lzopAdlerPlain, lzopCRCPlain, lzopAdlerPacked, lzopCRCPacked} {
		packed := flag == lzopAdlerPacked || flag == lzopCRCPacked
		sums = append(sums, 0)
		if d.flags&flag == 0 || packed && n == size {
			continue
		}
		p, err := unpack.ReadFull(d.data, at, 4)
		if err != nil {
			return err
		}
		sums[len(sums)-1] = binary.BigEndian.Uint32(p)
		at += 4
	}
	packed, err := unpack.ReadFull(d.data, at, n)
	if err != nil {
		return err
	}
	if n < size && (d.flags&lzopAdlerPacked != 0 && adler32.Checksum(packed) != sums[2] || d.flags&lzopCRCPacked != 0 && crc32.ChecksumIEEE(packed) != sums[3]) {
		return unpack.ErrChecksum
	}
	// A block can't expand further than LZO1X can, 255-fold.
	if size > n*256+16 {
		return fmt.Errorf("impossible size %d of %d", n, size)
	}
	start := len(d.out)
	if err := d.append(packed, int(size)); err != nil {
		return err
	}
	plain := d.out[start:]
	if d.flags&lzopAdlerPlain != 0 && adler32.Checksum(plain) != sums[0] || d.flags&lzopCRCPlain != 0 && crc32.ChecksumIEEE(plain) != sums[1] {
		d.out = d.out[:start]
		return unpack.ErrChecksum
	}
	d.at = at + n
	return nil
}

// append decodes a block behind d.out.
func (d *unlzop) append(packed []byte, size int) error {
	for cap(d.out)-len(d.out) < size {
		grown, err := d.budget.Grow(d.out)
		if err != nil {
			return err
		}
		d.out = grown
	}
	if err := checkRatio(d.budget, int64(len(d.out)), d.data.Size()); err != nil {
		return err
	}
	to := d.out[len(d.out) : len(d.out)+size]
	n := copy(to, packed)
	if len(packed) < size {
		var err error
		if n, _, err = lzo.Decode(to, packed); err != nil {
			return err
		}
		if n != size {
			return fmt.Errorf("%d bytes instead of %d", n, size)
		}
	}
	d.out = d.out[:len(d.out)+n]
	return nil
}
