package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// QCOW2 opens disks of QEMU (docs/interop/qcow2.rst of QEMU).
var QCOW2 = &unpack.Reader{
	Name:    "qcow2",
	Doc:     "disks of QEMU and OpenStack, versions 2 and 3: clusters packed by deflate and zstd, zero clusters, extended L2 entries; internal snapshots are listed",
	Limits:  "Disks that change another file (a backing file), keep their data in another file, or are encrypted are reported with its name; the content of internal snapshots is not opened; reference counts are not checked.",
	Checked: "qemu-img 7.2 with 14 option sets (random disks, cluster sizes, both compressions, snapshots, extended L2)",
	Magics:  []unpack.Magic{{At: 0, Bytes: "QFI\xfb\x00\x00\x00\x02"}, {At: 0, Bytes: "QFI\xfb\x00\x00\x00\x03"}},
	Open:    openQCOW2,
}

// Incompatible features of version 3.
const (
	qcowDirty       = 1 << 0
	qcowCorrupt     = 1 << 1
	qcowExternal    = 1 << 2
	qcowCompression = 1 << 3
	qcowExtendedL2  = 1 << 4
)

// Bits of L1 and L2 entries.
const (
	qcowOffset = 0x00fffffffffffe00
	qcowPacked = 1 << 62
	qcowZero   = 1 << 0
)

const (
	qcowMaxL1       = 32 << 20 // bytes of the first table, as QEMU has it
	qcowSubclusters = 32
)

// qcow2 is an opened image.
type qcow2 struct {
	data     unpack.Bytes
	version  uint32
	bits     uint  // of a cluster
	cluster  int64 // bytes
	sub      int64 // bytes of what an L2 entry tells of: a cluster, or a subcluster
	entry    int64 // bytes of an L2 entry
	perL2    int64
	extended bool
	method   string
	l1       []byte
	shared   map[int64]bool // L1 indexes whose table another one has already
	tables   *unpack.BlockCache
	clusters *unpack.BlockCache
}

func openQCOW2(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 72)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	u32 := func(i int) int64 { return int64(binary.BigEndian.Uint32(h[i:])) }
	u64 := func(i int) uint64 { return binary.BigEndian.Uint64(h[i:]) }
	q := &qcow2{data: in.Data, version: binary.BigEndian.Uint32(h[4:]), bits: uint(u32(20)), method: "deflate"}
	size, l1Size, l1At := u64(24), u32(36), u64(40)
	if q.bits < 9 || q.bits > 21 || size > mostVirtual || l1At%512 != 0 || l1At > uint64(in.Data.Size()) || u32(32) > 2 {
		return nil, unpack.ErrNotThis
	}
	q.cluster = 1 << q.bits
	features, extensions := uint64(0), int64(72)
	if q.version == 3 {
		if h, err = unpack.ReadFull(in.Data, 0, 104); err != nil || u32(100) < 104 || u32(100) > q.cluster {
			return nil, unpack.ErrNotThis
		}
		features, extensions = u64(72), u32(100)
	}
	o := &unpack.Object{Format: fmt.Sprintf("qcow2 version %d", q.version), Size: in.Data.Size(), Info: map[string]string{
		"virtual size": fmt.Sprint(size), "cluster size": fmt.Sprint(q.cluster)}}
	q.snapshots(o, u64(64), u32(60))
	names := q.extensions(extensions)
	switch {
	case u32(32) != 0:
		return elsewhere(o, "encrypted", fmt.Sprintf("encrypted by method %d (1 AES, 2 LUKS)", u32(32))), nil
	case u64(8) != 0:
		name := unpack.ReadSome(in.Data, int64(u64(8)&(1<<62-1)), min(u32(16), 1023))
		o.Info["backing file"] = string(name)
		return elsewhere(o, "unsupported", fmt.Sprintf("it holds only what differs from the disk %q, which is not in it", name)), nil
	case features&qcowExternal != 0:
		o.Info["data file"] = names[0x44415441]
		return elsewhere(o, "unsupported", fmt.Sprintf("its content lies in the file %q, which is not in it", names[0x44415441])), nil
	case features&^(qcowDirty|qcowCorrupt|qcowExternal|qcowCompression|qcowExtendedL2) != 0:
		return elsewhere(o, "unsupported", fmt.Sprintf("features 0x%x", features)), nil
	}
	if features&qcowCorrupt != 0 {
		o.Err = errors.New("it is marked as corrupt")
	}
	if features&qcowCompression != 0 {
		switch b := unpack.ReadSome(in.Data, 104, 1); {
		case len(b) == 1 && b[0] == 1:
			q.method = "zstd"
		case len(b) == 0 || b[0] != 0:
			return elsewhere(o, "unsupported", "an unknown compression"), nil
		}
	}
	return q.open(in, o, int64(size), int64(l1At), l1Size, features&qcowExtendedL2 != 0)
}

// open reads the first table and looks at all that it leads to.
func (q *qcow2) open(in *unpack.Input, o *unpack.Object, size, l1At, l1Size int64, extended bool) (*unpack.Object, error) {
	q.sub, q.entry, q.extended = q.cluster, 8, extended
	if extended {
		if q.bits < 14 {
			return nil, unpack.ErrNotThis
		}
		q.sub, q.entry = q.cluster/qcowSubclusters, 16
	}
	q.perL2 = q.cluster / q.entry
	need := (size + q.cluster*q.perL2 - 1) / (q.cluster * q.perL2)
	if l1Size < need || need*8 > qcowMaxL1 {
		return nil, unpack.ErrNotThis
	}
	l1, err := unpack.ReadFull(in.Data, l1At, need*8)
	if err != nil {
		o.Err = fmt.Errorf("its first table: %w", err)
		return o, nil
	}
	q.l1, q.shared = l1, map[int64]bool{}
	q.tables, q.clusters = unpack.NewBlockCache(16<<20), unpack.NewBlockCache(16<<20)
	used := newTaken(in.Data.Size())
	used.take(0, min(q.cluster, in.Data.Size()))
	used.take(l1At, l1At+need*8)
	for i := range need {
		if at := q.l2(i); at > 0 && at+q.cluster <= in.Data.Size() && !used.take(at, at+q.cluster) {
			q.shared[i] = true // looked at once, so that a loop costs nothing
		}
	}
	v := &virtual{name: "qcow2", size: size, unit: q.sub, look: q.look}
	v.survey(in, o, used)
	return o, nil
}

// l2 is where a second table lies; 0 if there is none.
func (q *qcow2) l2(i int64) int64 { return int64(binary.BigEndian.Uint64(q.l1[i*8:]) & qcowOffset) }

var errQcowTable = errors.New("its table lies outside, or on something else")

// look finds a block: a cluster, or a subcluster.
func (q *qcow2) look(i int64) (place, error) {
	per := q.cluster / q.sub
	cluster, part := i/per, i%per
	l1, index := cluster/q.perL2, cluster%q.perL2
	rest := (q.perL2-index)*per - part // blocks up to the end of the table
	at := q.l2(l1)
	if at == 0 {
		return place{run: rest}, nil
	}
	if q.shared[l1] || at%q.cluster != 0 || at > q.data.Size()-q.cluster {
		return place{run: rest}, errQcowTable
	}
	table, err := q.tables.Get(at, func(at int64) ([]byte, int64, error) {
		b, err := unpack.ReadFull(q.data, at, q.cluster)
		return b, 0, err
	}, nil)
	if err != nil {
		return place{run: rest}, err
	}
	e := table.Data[index*q.entry:]
	word := binary.BigEndian.Uint64(e)
	if word&qcowPacked != 0 {
		return place{data: &qcowCluster{q, word}, at: part * q.sub, free: true}, nil
	}
	host := int64(word & qcowOffset)
	zero := word&qcowZero != 0
	if q.extended {
		mask := binary.BigEndian.Uint64(e[8:])
		stored, zeros := mask>>part&1 != 0, mask>>(qcowSubclusters+part)&1 != 0
		if zero || stored && (zeros || host == 0) {
			return place{}, errors.New("a damaged entry")
		}
		zero = !stored
	} else if zero && q.version < 3 {
		return place{}, errors.New("a zero cluster in version 2")
	}
	switch {
	case zero || host == 0:
		return place{}, nil
	case host%q.cluster != 0 || host > q.data.Size() && host > mostVirtual/4:
		return place{}, fmt.Errorf("it lies at 0x%x", host)
	}
	return place{data: q.data, at: host + part*q.sub}, nil
}

// qcowCluster is a packed cluster.
type qcowCluster struct {
	q    *qcow2
	word uint64 // its entry
}

// Size implements unpack.Bytes.
func (c *qcowCluster) Size() int64 { return c.q.cluster }

// ReadAt implements unpack.Bytes.
func (c *qcowCluster) ReadAt(p []byte, off int64) (int, error) {
	b, err := c.q.clusters.Get(int64(c.word&(1<<62-1)), c.unpack, nil)
	if err != nil {
		return 0, err
	}
	return unpack.Slice(b.Data).ReadAt(p, off)
}

// unpack decodes the cluster. Its entry has the offset, and the sectors that it
// touches besides the first.
func (c *qcowCluster) unpack(word int64) ([]byte, int64, error) {
	q := c.q
	x := 62 - (q.bits - 8)
	at := word & (1<<x - 1)
	n := (word>>x+1)*sector - at%sector
	if at >= q.data.Size() {
		return nil, 0, fmt.Errorf("it lies at 0x%x, outside of the image", at)
	}
	src := unpack.ReadSome(q.data, at, n)
	if q.method == "zstd" {
		var err error
		if src, err = unpack.ZstdFrame(src); err != nil {
			return nil, 0, err
		}
	}
	out := make([]byte, q.cluster)
	got, err := unpack.Decompress(q.method, src, out)
	if err == nil && got < len(out) {
		err = errors.New("a packed cluster is too short")
	}
	return out[:got], 0, err
}

// extensions are the texts of the header's extensions by their type.
func (q *qcow2) extensions(at int64) map[uint32]string {
	texts := map[uint32]string{}
	for range 32 {
		h := unpack.ReadSome(q.data, at, 8)
		if len(h) < 8 || at > q.cluster {
			break
		}
		kind, n := binary.BigEndian.Uint32(h), int64(binary.BigEndian.Uint32(h[4:]))
		if kind == 0 || n > q.cluster {
			break
		}
		texts[kind] = string(unpack.ReadSome(q.data, at+8, min(n, 1024)))
		at += 8 + (n+7)&^7
	}
	return texts
}

// snapshots lists the internal snapshots.
func (q *qcow2) snapshots(o *unpack.Object, at uint64, n int64) {
	if n == 0 || at > uint64(q.data.Size()) {
		return
	}
	var list []string
	off := int64(at)
	for range min(n, 100) {
		h := unpack.ReadSome(q.data, off, 40)
		if len(h) < 40 {
			break
		}
		be := binary.BigEndian
		id, name, extra := int64(be.Uint16(h[12:])), int64(be.Uint16(h[14:])), int64(be.Uint32(h[36:]))
		text := unpack.ReadSome(q.data, off+40+extra+id, name)
		when := time.Unix(int64(be.Uint32(h[16:])), 0).UTC().Format(time.DateTime)
		list = append(list, fmt.Sprintf("%s (%s)", text, when))
		off += (40 + extra + id + name + 7) &^ 7
	}
	o.Info["snapshots"] = strings.Join(list, ", ")
	o.Gaps = append(o.Gaps, unpack.Gap{Reason: "unsupported", Note: fmt.Sprintf("the content of %d internal snapshots is not opened: %s", n, o.Info["snapshots"])})
}
