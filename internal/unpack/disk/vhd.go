package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"

	"github.com/doorward/doorward/internal/unpack"
)

// VHD opens disks of Virtual PC, Hyper-V and Azure (Virtual Hard Disk Image
// Format Specification 1.0).
var VHD = &unpack.Reader{
	Name:    "vhd",
	Doc:     "disks of Virtual PC, Hyper-V and Azure: growing ones; the checksums of footers and header are compared",
	Limits:  "Disks that change another disk are reported with its name. The format has no checksums over content.",
	Checked: "qemu-img 7.2 (random disks, growing and fixed); damaged tables made by hand",
	Magics:  []unpack.Magic{{At: 0, Bytes: vhdCookie}},
	Open:    openVHD,
}

// VHDFixed opens fixed ones, which are raw disks before their footer.
var VHDFixed = &unpack.Reader{
	Name:    "vhd-fixed",
	Doc:     "fixed disks of Virtual PC, Hyper-V and Azure: a raw disk with a footer",
	Checked: VHD.Checked,
	Open:    openVHDFixed,
}

const (
	vhdCookie       = "conectix"
	vhdFixed        = 2
	vhdGrowing      = 3
	vhdDifferencing = 4
)

// vhdFooter is 512 bytes with a checksum, at the end and, of growing disks, at
// the start, too.
type vhdFooter struct {
	raw  []byte
	next uint64 // where the header of a growing disk lies
	size int64
	kind uint32
	good bool // the checksum fits
}

func readVHDFooter(data unpack.Bytes, at int64) (f vhdFooter, ok bool) {
	b, err := unpack.ReadFull(data, at, sector)
	if err != nil || string(b[:8]) != vhdCookie {
		return f, false
	}
	be := binary.BigEndian
	f = vhdFooter{b, be.Uint64(b[16:]), int64(min(be.Uint64(b[48:]), 1<<62)), be.Uint32(b[60:]), vhdSum(b, 64)}
	return f, be.Uint32(b[12:])>>16 == 1 && f.size <= mostVirtual && f.size%sector == 0
}

// vhdSum checks a one's complement of the sum of all bytes but its own.
func vhdSum(b []byte, at int) bool {
	sum := uint32(0)
	for i, c := range b {
		if i < at || i >= at+4 {
			sum += uint32(c)
		}
	}
	return ^sum == binary.BigEndian.Uint32(b[at:])
}

func (f vhdFooter) object(in *unpack.Input, kind string) *unpack.Object {
	return &unpack.Object{Format: "vhd " + kind, Size: in.Data.Size(), Info: map[string]string{
		"virtual size": fmt.Sprint(f.size), "made by": unpack.CString(f.raw[28:32]), "UUID": fmt.Sprintf("%x", f.raw[68:84])}}
}

func openVHDFixed(in *unpack.Input) (*unpack.Object, error) {
	size := in.Data.Size() - sector
	if !in.Whole || size < sector {
		return nil, unpack.ErrNotThis
	}
	f, ok := readVHDFooter(in.Data, size)
	if !ok || f.kind != vhdFixed || f.size != size || !f.good {
		return nil, unpack.ErrNotThis
	}
	o := f.object(in, "fixed")
	o.Parts = []unpack.Part{{Data: unpack.Window(in.Data, 0, size)}}
	return o, nil
}

func openVHD(in *unpack.Input) (*unpack.Object, error) {
	f, ok := readVHDFooter(in.Data, 0)
	if !ok || f.kind != vhdGrowing && f.kind != vhdDifferencing {
		return nil, unpack.ErrNotThis
	}
	o := f.object(in, "growing")
	end, ok := readVHDFooter(in.Data, in.Data.Size()-sector)
	switch {
	case !f.good && (!ok || !end.good):
		return nil, unpack.ErrNotThis
	case !f.good:
		o, f = end.object(in, "growing"), end
		o.Err = errors.New("the checksum of the first footer is wrong: that at the end was read")
	case !ok || !end.good:
		o.Err = errors.New("cut off or damaged: there is no good footer at the end")
	}
	if f.next > uint64(in.Data.Size()) {
		return nil, unpack.ErrNotThis
	}
	h, err := unpack.ReadFull(in.Data, int64(f.next), 1024)
	if err != nil || string(h[:8]) != "cxsparse" {
		return nil, unpack.ErrNotThis
	}
	if !vhdSum(h, 36) {
		addErr(o, errors.New("the checksum of the header is wrong"))
	}
	if f.kind == vhdDifferencing {
		o.Format = "vhd differencing"
		return elsewhere(o, "unsupported", fmt.Sprintf("it holds only what differs from the disk %q, which is not in it", utf16BE(h[64:576]))), nil
	}
	return o, f.growing(in, o, h)
}

// growing looks the blocks up in the table: each begins with a bitmap of the
// sectors that were written.
func (f vhdFooter) growing(in *unpack.Input, o *unpack.Object, h []byte) error {
	be := binary.BigEndian
	at, blocks, unit := be.Uint64(h[16:]), int64(be.Uint32(h[28:])), int64(be.Uint32(h[32:]))
	if unit < sector || unit > 1<<28 || unit&(unit-1) != 0 || blocks < (f.size+unit-1)/unit || at > uint64(in.Data.Size()) {
		return unpack.ErrNotThis
	}
	table, err := unpack.ReadFull(in.Data, int64(at), blocks*4)
	if err != nil {
		addErr(o, fmt.Errorf("its table: %w", err))
		return nil
	}
	bitmap := (unit/sector/8 + sector - 1) / sector * sector
	used := newTaken(in.Data.Size())
	used.take(0, sector)
	used.take(int64(f.next), int64(f.next)+1024)
	used.take(int64(at), int64(at)+blocks*4)
	bitmaps := unpack.NewBlockCache(4 << 20)
	v := &virtual{name: "vhd", size: f.size, unit: unit, look: func(i int64) (place, error) {
		n := be.Uint32(table[i*4:])
		if n == 0xffffffff {
			return place{}, nil
		}
		at := int64(n) * sector
		written, err := bitmaps.Get(at, func(at int64) ([]byte, int64, error) {
			b, err := unpack.ReadFull(in.Data, at, unit/sector/8)
			return b, 0, err
		}, nil)
		switch {
		case err != nil:
			return place{}, err
		case unpack.OnlyByte(written.Data, 0xff):
			return place{data: in.Data, at: at + bitmap}, nil
		}
		return place{data: &vhdBlock{unpack.Window(in.Data, at+bitmap, unit), written.Data}, free: true}, nil
	}}
	v.survey(in, o, used)
	return nil
}

// vhdBlock is a block of which some sectors were never written: they are zeros.
type vhdBlock struct {
	unpack.Bytes
	written []byte // a bit for each sector, the highest first
}

// ReadAt implements unpack.Bytes.
func (b *vhdBlock) ReadAt(p []byte, off int64) (int, error) {
	n, err := b.Bytes.ReadAt(p, off)
	for at := int64(0); at < int64(n); {
		s := (off + at) / sector
		end := min(int64(n), (s+1)*sector-off)
		if b.written[s/8]&(0x80>>(s%8)) == 0 {
			clear(p[at:end])
		}
		at = end
	}
	return n, err
}

// utf16BE is big-endian UTF-16 up to its first zero.
func utf16BE(b []byte) string {
	var u []uint16
	for ; len(b) >= 2 && (b[0] != 0 || b[1] != 0); b = b[2:] {
		u = append(u, binary.BigEndian.Uint16(b))
	}
	return string(utf16.Decode(u))
}
