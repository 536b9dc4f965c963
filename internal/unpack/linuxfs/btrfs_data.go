package linuxfs

import (
	"errors"
	"fmt"
	"io"

	"github.com/doorward/doorward/internal/unpack"
)

// maxBtrfsExtent bounds a compressed extent; the kernel makes them of at most
// 128 KiB.
const maxBtrfsExtent = 1 << 20

// open returns the content of a file.
func (i *btrfsInode) open() (unpack.Bytes, error) {
	stored := int64(min(le.Uint64(i.item[24:]), 1<<60))
	if err := unpack.TooSparse(i.size, max(stored, 1)); err != nil {
		return nil, err
	}
	// The item lies in a block of the tree, which is not to be kept.
	file := &btrfsInode{tree: i.tree, number: i.number, size: i.size}
	checked := le.Uint64(i.item[64:])&1 == 0
	return &mapped{fmt.Sprintf("btrfs: inode %d", i.number), i.size, func(off int64) (piece, error) { return file.find(off, checked) }}, nil
}

// target reads where a link leads.
func (i *btrfsInode) target() (string, error) {
	if i.size > 4096 {
		return "", fmt.Errorf("a target of %d bytes", i.size)
	}
	content, err := i.open()
	if err != nil {
		return "", err
	}
	p, err := unpack.ReadFull(content, 0, i.size)
	return unpack.CString(p), err
}

// place is where the content starts, in logical addresses.
func (i *btrfsInode) place() int64 {
	k, p, _, err := i.tree.b.floor(i.tree.root, btrfsKey{i.number, btrfsExtentData, 0})
	if err == nil && k.object == i.number && k.kind == btrfsExtentData && len(p) >= 53 && p[20] != 0 {
		return int64(le.Uint64(p[21:]) & (1<<62 - 1))
	}
	return 0
}

// find maps an offset of the content.
func (i *btrfsInode) find(off int64, checked bool) (piece, error) {
	k, p, next, err := i.tree.b.floor(i.tree.root, btrfsKey{i.number, btrfsExtentData, uint64(off)})
	if err != nil {
		return piece{}, err
	}
	hole := i.size - off
	if next != nil && next.object == i.number && next.kind == btrfsExtentData && next.offset < uint64(i.size) {
		hole = int64(next.offset) - off
	}
	if k.object != i.number || k.kind != btrfsExtentData {
		return piece{size: hole}, nil
	}
	if len(p) < 21 || p[20] != 0 && len(p) < 53 {
		return piece{}, errors.New("a damaged extent")
	}
	x := btrfsExtent{b: i.tree.b, ram: int64(le.Uint64(p[8:])), method: p[16], checked: checked}
	if p[17] != 0 || le.Uint16(p[18:]) != 0 {
		return piece{}, fmt.Errorf("%w: encoding %d, %d", unpack.ErrEncrypted, p[17], le.Uint16(p[18:]))
	}
	in := off - int64(k.offset)
	var found piece
	if p[20] == 0 {
		found, err = x.inline(p[21:], in)
	} else {
		found, err = x.regular(p, in)
	}
	if err != nil {
		return piece{}, err
	}
	if found.size <= 0 {
		return piece{size: hole}, nil
	}
	found.size = min(found.size, hole)
	return found, nil
}

// btrfsExtent is an extent's unpacked size and how it is packed.
type btrfsExtent struct {
	b       *btrfs
	ram     int64
	method  byte
	checked bool
}

// inline is content in the tree itself.
func (x btrfsExtent) inline(body []byte, in int64) (piece, error) {
	if x.method == 0 {
		return piece{unpack.Slice(body), in, int64(len(body)) - in}, nil
	}
	out, err := x.unpack(body)
	return piece{unpack.Slice(out), in, int64(len(out)) - in}, err
}

// regular is content in an extent of its own, of which a file may use a part.
func (x btrfsExtent) regular(p []byte, in int64) (piece, error) {
	at, packed := le.Uint64(p[21:]), int64(le.Uint64(p[29:]))
	offset, n := int64(le.Uint64(p[37:])), int64(le.Uint64(p[45:]))
	size := n - in
	if at == 0 || p[20] == 2 { // a hole, or never written
		return piece{size: size}, nil
	}
	if at > 1<<62 || packed <= 0 || packed > 1<<50 || offset < 0 || n < 0 || n > 1<<50 || offset > 1<<50 {
		return piece{}, errors.New("a damaged extent")
	}
	disk := &btrfsDisk{x.b, int64(at), packed, x.checked}
	if x.method == 0 {
		if offset+n > packed {
			return piece{}, errors.New("a damaged extent")
		}
		return piece{disk, offset + in, size}, nil
	}
	if packed > maxBtrfsExtent || offset+n > x.ram {
		return piece{}, errors.New("a damaged extent")
	}
	block, err := x.b.extents.Get(int64(at)<<2|int64(x.method&3), func(int64) ([]byte, int64, error) {
		src, err := unpack.ReadFull(disk, 0, packed)
		if err != nil {
			return nil, 0, err
		}
		out, err := x.unpack(src)
		return out, 0, err
	}, nil)
	if err != nil {
		return piece{}, err
	}
	if offset+n > int64(len(block.Data)) {
		return piece{}, errors.New("a damaged extent")
	}
	return piece{unpack.Slice(block.Data), offset + in, size}, nil
}

// unpack decodes an extent; what it does not fill is zeros, as in the kernel.
func (x btrfsExtent) unpack(src []byte) ([]byte, error) {
	if x.ram <= 0 || x.ram > maxBtrfsExtent {
		return nil, fmt.Errorf("an extent of %d unpacked bytes", x.ram)
	}
	out := make([]byte, x.ram)
	var err error
	switch x.method {
	case 1:
		_, err = unpack.Decompress("zlib", src, out)
	case 2:
		err = x.lzo(src, out)
	case 3:
		if src, err = unpack.ZstdFrame(src); err == nil {
			_, err = unpack.Decompress("zstd", src, out)
		}
	default:
		err = fmt.Errorf("%w: compression %d", unpack.ErrUnsupported, x.method)
	}
	return out, err
}

// lzo unpacks the kernel's form of it: the whole length, then pieces of a
// sector with theirs in front, which never crosses a sector's end.
func (x btrfsExtent) lzo(src, out []byte) error {
	errLZO := errors.New("a damaged lzo extent")
	if len(src) < 4 || int64(le.Uint32(src)) > int64(len(src)) {
		return errLZO
	}
	total, sector := int(le.Uint32(src)), int(x.b.sector)
	for at := 4; at < total && len(out) > 0; {
		if left := sector - at%sector; left < 4 {
			at += left
			continue
		}
		if at+4 > total {
			return errLZO
		}
		n := int(le.Uint32(src[at:]))
		if at += 4; n > total-at {
			return errLZO
		}
		got, err := unpack.Decompress("lzo", src[at:at+n], out[:min(sector, len(out))])
		if err != nil {
			return err
		}
		if got < min(sector, len(out)) && at+n < total {
			return errLZO
		}
		out = out[got:]
		at += n
	}
	return nil
}

// btrfsDisk is an extent as it lies in the logical addresses, with its
// checksums.
type btrfsDisk struct {
	b       *btrfs
	at      int64
	size    int64
	checked bool
}

// Size implements unpack.Bytes.
func (d *btrfsDisk) Size() int64 { return d.size }

// ReadAt implements unpack.Bytes.
func (d *btrfsDisk) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= d.size {
		return 0, io.EOF
	}
	if int64(len(p)) > d.size-off {
		p, err = p[:d.size-off], io.EOF
	}
	for n < len(p) {
		at := d.at + off + int64(n)
		start := at &^ (d.b.sector - 1)
		b, bad := d.sectors(start, min(at+int64(len(p)-n)-start, 256<<10))
		if bad != nil {
			return n, bad
		}
		n += copy(p[n:], b[at-start:])
	}
	return n, err
}

// sectors reads whole sectors from a logical address on, at least one.
func (d *btrfsDisk) sectors(logical, want int64) ([]byte, error) {
	places, n, err := d.b.locate(logical)
	if err != nil {
		return nil, err
	}
	sector := d.b.sector
	want = min((want+sector-1)&^(sector-1), n&^(sector-1))
	if want <= 0 {
		return nil, errors.New("a sector that reaches out of its chunk")
	}
	if !d.checked {
		return unpack.ReadFull(d.b.data, places[0], want)
	}
	sums, err := d.b.sumsOf(logical)
	if err != nil {
		return nil, err
	}
	size := btrfsSums[d.b.sumType].size
	want = min(want, int64(len(sums)/size)*sector)
	out, _ := unpack.ReadFull(d.b.data, places[0], want)
	out = append([]byte(nil), out...)
	out = append(out, make([]byte, want-int64(len(out)))...)
	for at := int64(0); at < want; at += sector {
		if err := d.b.mend(out[at:at+sector], sums[:size], places, at); err != nil {
			return nil, fmt.Errorf("logical address 0x%x: %w", logical+at, err)
		}
		sums = sums[size:]
	}
	return out, nil
}

// mend checks a sector, and takes another copy if it is damaged.
func (b *btrfs) mend(sector, sum []byte, places []int64, at int64) error {
	for k := 0; !b.checked(sum, sector); {
		if k++; k >= len(places) {
			return errors.New("wrong checksum")
		}
		if p, err := unpack.ReadFull(b.data, places[k]+at, b.sector); err == nil {
			copy(sector, p)
		}
	}
	return nil
}

// sumsOf returns the checksums of the sectors from a logical address on.
func (b *btrfs) sumsOf(logical int64) ([]byte, error) {
	if b.sumsErr != nil {
		return nil, fmt.Errorf("checksums: %w", b.sumsErr)
	}
	k, p, _, err := b.floor(b.sums, btrfsKey{btrfsCsumObject, btrfsExtentCsum, uint64(logical)})
	if err != nil {
		return nil, fmt.Errorf("checksums: %w", err)
	}
	size := int64(btrfsSums[b.sumType].size)
	in := (logical - int64(k.offset)) / b.sector * size
	if k.object != btrfsCsumObject || k.kind != btrfsExtentCsum || in < 0 || in+size > int64(len(p)) {
		return nil, fmt.Errorf("logical address 0x%x has no checksum", logical)
	}
	return p[in:], nil
}
