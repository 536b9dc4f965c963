package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// APFS opens containers of Apple's file system (Apple File System Reference,
// 2020-06-22; offsets are those of its structures).
var APFS = &unpack.Reader{
	Name:    "apfs",
	Doc:     "APFS containers: the newest whole checkpoint, all volumes; extents, sparse and compressed files, extended attributes, hard links; every object of the metadata with its checksum",
	Limits:  "Encrypted and sealed volumes (macOS 11's system) are reported by name, Fusion containers as such; the content of snapshots is not opened. Content has no checksums.",
	Checked: "containers of mkapfs, filled by hand with trees of several levels, which libfsapfs 20201107 reads alike; no image of macOS was at hand",
	Magics:  []unpack.Magic{{At: 32, Bytes: "NXSB"}},
	Carve:   true,
	Open:    openAPFS,
}

// Types of objects, the lower half of the field.
const (
	apfsSuper   = 1
	apfsBtree   = 2
	apfsNode    = 3
	apfsOmap    = 11
	apfsVolume  = 13
	apfsMaxFS   = 100
	apfsFusion  = 0x100
	apfsSealed  = 0x20 // a feature of volumes
	apfsPlain   = 1    // a flag of volumes: not encrypted
	apfsFolding = 1 | 8
)

var errAPFS = errors.New("damaged metadata")

type apfs struct {
	in     *unpack.Input
	data   unpack.Bytes
	block  int64
	blocks int64
	xid    uint64 // of the checkpoint
	nodes  int64  // that may still be read
}

// apfsSum is Fletcher's sum of 64 bits over what follows it.
func apfsSum(b []byte) bool {
	const m = 0xffffffff
	a, c := uint64(0), uint64(0)
	for i := 8; i+4 <= len(b); i += 4 {
		a += uint64(binary.LittleEndian.Uint32(b[i:]))
		c += a
		if i%4096 == 0 {
			a, c = a%m, c%m
		}
	}
	a, c = a%m, c%m
	low := m - (a+c)%m
	high := m - (a+low)%m
	return binary.LittleEndian.Uint64(b) == high<<32|low
}

func openAPFS(in *unpack.Input) (*unpack.Object, error) {
	le := binary.LittleEndian
	h, err := unpack.ReadFull(in.Data, 0, 4096)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	a := &apfs{in: in, data: in.Data, block: int64(le.Uint32(h[36:])), blocks: int64(min(le.Uint64(h[40:]), 1<<50))}
	if a.block < 4096 || a.block > 64<<10 || a.block&(a.block-1) != 0 || a.blocks < 8 || a.blocks > 1<<60/a.block || le.Uint16(h[24:]) != apfsSuper {
		return nil, unpack.ErrNotThis
	}
	a.nodes = min(a.blocks, in.Data.Size()/a.block)
	whole := a.blocks * a.block
	o := &unpack.Object{Format: "apfs", Size: min(whole, in.Data.Size()), Info: map[string]string{"UUID": fmt.Sprintf("%x", h[72:88])}}
	super, err := a.newest(h)
	if super == nil {
		return nil, unpack.ErrNotThis
	}
	if whole > in.Data.Size() {
		err = errors.Join(&unpack.CutOff{Format: "apfs", Missing: whole - in.Data.Size(), Of: whole}, err)
	}
	if le.Uint64(super[64:])&apfsFusion != 0 {
		o.Gaps = []unpack.Gap{{Size: o.Size, Reason: "unsupported", Note: "a part of a Fusion drive"}}
		return o, nil
	}
	if bad := a.volumes(o, super); bad != nil {
		err = errors.Join(err, bad)
	}
	if err != nil {
		o.Err = fmt.Errorf("apfs: %w", err)
	}
	return o, nil
}

// newest is the superblock of the newest whole checkpoint; that in the first
// block may be older.
func (a *apfs) newest(first []byte) (best []byte, err error) {
	le := binary.LittleEndian
	count, base := le.Uint32(first[104:])&0x7fffffff, le.Uint64(first[112:])
	if b, bad := unpack.ReadFull(a.data, 0, a.block); bad == nil && apfsSum(b) {
		best = b
	}
	if le.Uint32(first[104:])>>31 != 0 || base > uint64(a.blocks) || count > 1<<16 {
		return best, fmt.Errorf("%w: a scattered list of checkpoints", unpack.ErrUnsupported)
	}
	for i := range int64(count) {
		b, bad := unpack.ReadFull(a.data, (int64(base)+i)*a.block, a.block)
		if bad != nil {
			break
		}
		if string(b[32:36]) != "NXSB" || le.Uint16(b[24:]) != apfsSuper {
			continue
		}
		switch {
		case !apfsSum(b):
			err = fmt.Errorf("a checkpoint: %w", unpack.ErrChecksum)
		case best == nil || le.Uint64(b[16:]) > le.Uint64(best[16:]):
			best = b
		}
	}
	if best != nil {
		a.xid = le.Uint64(best[16:])
	}
	return best, err
}

// object reads a block of the metadata and checks it.
func (a *apfs) object(at uint64, kinds ...uint16) ([]byte, error) {
	if a.nodes--; a.nodes < 0 || a.in.Context.Err() != nil {
		return nil, fmt.Errorf("%w: more metadata than there is room, or time ran out", unpack.ErrLimit)
	}
	if at == 0 || at >= uint64(a.blocks) {
		return nil, fmt.Errorf("%w: an object at block %d", errAPFS, at)
	}
	b, err := unpack.ReadFull(a.data, int64(at)*a.block, a.block)
	if err != nil {
		return nil, err
	}
	if !apfsSum(b) {
		return nil, fmt.Errorf("the object at block %d: %w", at, unpack.ErrChecksum)
	}
	kind := binary.LittleEndian.Uint16(b[24:])
	for _, k := range kinds {
		if k == kind {
			return b, nil
		}
	}
	return nil, fmt.Errorf("%w: an object of type %d at block %d", errAPFS, kind, at)
}

// volumes opens each volume: the only one as the object's entries, several as
// parts.
func (a *apfs) volumes(o *unpack.Object, super []byte) error {
	le := binary.LittleEndian
	places, err := a.omap(le.Uint64(super[160:]), a.xid)
	if err != nil {
		return fmt.Errorf("the container's object map: %w", err)
	}
	var list []unpack.Part
	for i := range min(int(le.Uint32(super[180:])), apfsMaxFS) {
		oid := le.Uint64(super[184+8*i:])
		if oid == 0 {
			continue
		}
		at, ok := places[oid]
		if !ok {
			err = errors.Join(err, fmt.Errorf("%w: volume %d is missing", errAPFS, i))
			continue
		}
		b, bad := a.object(at, apfsVolume)
		if bad != nil || string(b[32:36]) != "APSB" {
			err = errors.Join(err, fmt.Errorf("volume %d: %w", i, errors.Join(bad, errAPFS)))
			continue
		}
		v := a.volume(b)
		list = append(list, unpack.Part{Name: v.Info["label"], Data: unpack.Slice(b), Offset: -1, Object: v, Info: v.Info})
	}
	if len(list) == 1 {
		v := list[0].Object
		o.Entries, o.System, o.Gaps = v.Entries, true, append(o.Gaps, v.Gaps...)
		for k, text := range v.Info {
			o.Info[k] = text
		}
		return errors.Join(err, v.Err)
	}
	o.Parts = unpack.NumberParts(list)
	return err
}

// volume opens a volume by its superblock.
func (a *apfs) volume(b []byte) *unpack.Object {
	le := binary.LittleEndian
	name := strings.Map(func(r rune) rune {
		if r < ' ' || r == '/' {
			return '_'
		}
		return r
	}, unpack.CString(b[704:960]))
	if name == "" {
		name = "volume"
	}
	o := &unpack.Object{Format: "apfs volume", Size: a.block, System: true, Info: map[string]string{"label": name, "volume UUID": fmt.Sprintf("%x", b[240:256])}}
	features := le.Uint64(b[56:])
	switch {
	case le.Uint64(b[264:])&apfsPlain == 0:
		o.Gaps = append(o.Gaps, unpack.Gap{Reason: "encrypted", Note: fmt.Sprintf("volume %q", name)})
		return o
	case features&apfsSealed != 0:
		o.Gaps = append(o.Gaps, unpack.Gap{Reason: "unsupported", Note: fmt.Sprintf("volume %q is sealed", name)})
		return o
	}
	if n := le.Uint64(b[216:]); n > 0 {
		o.Gaps = append(o.Gaps, unpack.Gap{Reason: "unsupported", Note: fmt.Sprintf("%d snapshots of volume %q are not opened", n, name)})
	}
	places, err := a.omap(le.Uint64(b[128:]), a.xid)
	if err == nil {
		v := newAPFSVolume(a, places, features&apfsFolding != 0)
		if err = v.read(le.Uint64(b[136:])); err == nil || len(v.names) > 0 {
			v.finish(o)
		}
	}
	if err != nil {
		o.Err = errors.Join(o.Err, fmt.Errorf("volume %q: %w", name, err))
	}
	return o
}

// omap reads an object map: where the newest version of each object lies that
// is not newer than xid.
func (a *apfs) omap(at, xid uint64) (map[uint64]uint64, error) {
	le := binary.LittleEndian
	b, err := a.object(at, apfsOmap)
	if err != nil {
		return nil, err
	}
	places, newest := map[uint64]uint64{}, map[uint64]uint64{}
	tree := apfsTree{a: a, place: func(oid uint64) (uint64, error) { return oid, nil }}
	err = tree.walk(le.Uint64(b[48:]), func(key, val []byte) error {
		if len(key) < 16 || len(val) < 16 {
			return errAPFS
		}
		oid, x := le.Uint64(key), le.Uint64(key[8:])
		if old, ok := newest[oid]; x > xid || ok && old > x {
			return nil
		}
		newest[oid], places[oid] = x, le.Uint64(val[8:])
		if le.Uint32(val)&1 != 0 { // deleted
			delete(places, oid)
		}
		return nil
	})
	return places, err
}
