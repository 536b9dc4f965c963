package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// Parallels opens disks of Parallels (docs/interop/parallels.txt of QEMU).
var Parallels = &unpack.Reader{
	Name:    "parallels",
	Doc:     "disks of Parallels (.hdd): growing ones, with both headers",
	Limits:  "The changes of snapshots, which lie in other files, are not joined. The format has no checksums.",
	Checked: "qemu-img 7.2 (random disks, cluster sizes)",
	Magics:  []unpack.Magic{{At: 0, Bytes: "WithoutFreeSpace\x02\x00\x00\x00"}, {At: 0, Bytes: "WithouFreSpacExt\x02\x00\x00\x00"}},
	Open:    openParallels,
}

func openParallels(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 64)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	le := binary.LittleEndian
	unit, blocks, size := int64(le.Uint32(h[28:]))*sector, int64(le.Uint32(h[32:])), clampSectors(le.Uint64(h[36:]))
	factor := int64(sector) // of places in the table
	if string(h[:16]) == "WithouFreSpacExt" {
		factor = unit
	} else {
		size &= 1<<32*sector - 1 // only half of the field is in use
	}
	if unit < sector || unit > 1<<30 || size > mostVirtual || blocks < (size+unit-1)/unit {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "parallels", Size: in.Data.Size(), Info: map[string]string{"virtual size": fmt.Sprint(size), "block size": fmt.Sprint(unit)}}
	table, err := unpack.ReadFull(in.Data, 64, blocks*4)
	if err != nil {
		o.Err = fmt.Errorf("its table: %w", err)
		return o, nil
	}
	used := newTaken(in.Data.Size())
	used.take(0, 64+blocks*4)
	v := &virtual{name: "parallels", size: size, unit: unit, look: func(i int64) (place, error) {
		n := int64(le.Uint32(table[4*i:]))
		if n == 0 {
			return place{}, nil
		}
		return place{data: in.Data, at: n * factor}, nil
	}}
	v.survey(in, o, used)
	return o, nil
}

// QED opens disks of QEMU's enhanced format (docs/interop/qed_spec.txt).
var QED = &unpack.Reader{
	Name:    "qed",
	Doc:     "disks of QEMU in its enhanced format",
	Limits:  "Disks that change another file are reported with its name. The format has no checksums.",
	Checked: "qemu-img 7.2 (random disks, cluster and table sizes)",
	Magics:  []unpack.Magic{{At: 0, Bytes: "QED\x00"}},
	Open:    openQED,
}

func openQED(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 64)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	le := binary.LittleEndian
	unit, tables, features, l1At, size := int64(le.Uint32(h[4:])), int64(le.Uint32(h[8:])), le.Uint64(h[16:]), int64(min(le.Uint64(h[40:]), 1<<62)), int64(min(le.Uint64(h[48:]), 1<<62))
	if unit < 4096 || unit > 64<<20 || unit&(unit-1) != 0 || tables < 1 || tables > 16 || l1At%unit != 0 || l1At == 0 || size > mostVirtual || size%sector != 0 {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "qed", Size: in.Data.Size(), Info: map[string]string{"virtual size": fmt.Sprint(size), "cluster size": fmt.Sprint(unit)}}
	if features&1 != 0 {
		name := unpack.ReadSome(in.Data, int64(le.Uint32(h[56:])), min(int64(le.Uint32(h[60:])), 1023))
		return elsewhere(o, "unsupported", fmt.Sprintf("it holds only what differs from the disk %q, which is not in it", name)), nil
	}
	per := unit * tables / 8
	l1, err := unpack.ReadFull(in.Data, l1At, min((size+unit*per-1)/(unit*per), per)*8)
	if err != nil {
		o.Err = fmt.Errorf("its first table: %w", err)
		return o, nil
	}
	l1 = bytes.Clone(l1) // it is mended below
	q := &qed{in.Data, unit, per, l1, unpack.NewBlockCache(64 << 20)}
	used := newTaken(in.Data.Size())
	used.take(0, unit)
	used.take(l1At, l1At+per*8)
	for i := 0; i < len(l1); i += 8 {
		at := int64(le.Uint64(l1[i:]))
		if at > 0 && at <= in.Data.Size()-per*8 && !used.take(at, at+per*8) {
			le.PutUint64(l1[i:], 1) // no place at all
		}
	}
	v := &virtual{name: "qed", size: size, unit: unit, look: q.look}
	v.survey(in, o, used)
	return o, nil
}

type qed struct {
	data   unpack.Bytes
	unit   int64
	per    int64 // entries of a table
	l1     []byte
	tables *unpack.BlockCache
}

// look finds a cluster.
func (q *qed) look(i int64) (place, error) {
	l1, index := i/q.per, i%q.per
	rest := q.per - index
	if l1*8 >= int64(len(q.l1)) {
		return place{run: rest}, errors.New("no table leads there")
	}
	at := int64(binary.LittleEndian.Uint64(q.l1[l1*8:]))
	if at == 0 {
		return place{run: rest}, nil
	}
	if at < 0 || at%q.unit != 0 {
		return place{run: rest}, errQcowTable
	}
	t, err := q.tables.Get(at, func(at int64) ([]byte, int64, error) {
		b, err := unpack.ReadFull(q.data, at, q.per*8)
		return b, 0, err
	}, nil)
	if err != nil {
		return place{run: rest}, err
	}
	switch n := int64(binary.LittleEndian.Uint64(t.Data[8*index:])); {
	case n == 0 || n == 1: // never written, zeros
		return place{}, nil
	case n < 0 || n%q.unit != 0 || n > mostVirtual:
		return place{}, fmt.Errorf("it lies at 0x%x", n)
	default:
		return place{data: q.data, at: n}, nil
	}
}
