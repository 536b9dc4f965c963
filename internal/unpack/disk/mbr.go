package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/doorward/doorward/internal/unpack"
)

// MBR opens disks with a partition table of four entries in the first sector
// (UEFI specification, section 5.2) and a chain of logical partitions.
var MBR = &unpack.Reader{
	Name:    "mbr",
	Doc:     "disks with an MBR partition table: primary, extended and logical partitions, sectors of 512 and 4096 bytes; what lies in no partition is opened too",
	Limits:  "Tables of boot managers in other places than the first sector (hidden ones) are not looked for.",
	Checked: "sfdisk 2.38 (random layouts) and an image of another maker",
	Magics:  []unpack.Magic{{At: 510, Bytes: "\x55\xaa"}},
	Open:    openMBR,
}

const (
	mbrTable      = 446
	mbrEntrySize  = 16
	mbrProtective = 0xee
	maxLogical    = 256
)

type mbrEntry struct {
	active     bool
	kind       byte
	start, num int64 // in sectors
}

func (e mbrEntry) extended() bool { return e.kind == 0x05 || e.kind == 0x0f || e.kind == 0x85 }

// mbrEntries reads the table of a sector; false if it can't be one: boot
// sectors of file systems and boot loaders end with the same mark, and have
// code or text in the table's place.
func mbrEntries(s []byte) (list [4]mbrEntry, ok bool) {
	if len(s) < sector || s[510] != 0x55 || s[511] != 0xaa {
		return list, false
	}
	active := 0
	for i := range list {
		p := s[mbrTable+i*mbrEntrySize:]
		e := mbrEntry{p[0] == 0x80, p[4], int64(binary.LittleEndian.Uint32(p[8:])), int64(binary.LittleEndian.Uint32(p[12:]))}
		if p[0]&0x7f != 0 {
			return list, false
		}
		if e.active {
			active++
		}
		if e.kind == 0 {
			// Old tools leave the rest of a deleted entry behind, but not a start
			// without a size.
			if e.start != 0 && e.num == 0 {
				return list, false
			}
			e = mbrEntry{}
		} else if e.start == 0 || e.num == 0 {
			return list, false // begins with the table: a file system with an imitation of one
		}
		list[i] = e
	}
	return list, active <= 1
}

func openMBR(in *unpack.Input) (*unpack.Object, error) {
	head, err := unpack.ReadFull(in.Data, 0, sector)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	list, ok := mbrEntries(head)
	if !ok || string(unpack.ReadSome(in.Data, 0x202, 4)) == "HdrS" || isISO(in.Data) {
		return nil, unpack.ErrNotThis
	}
	ss, ok := mbrSectorSize(in.Data, list)
	if !ok || mbrOverlap(list) {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "mbr", Size: in.Data.Size(), Info: map[string]string{"sector size": strconv.FormatInt(ss, 10)}}
	if id := binary.LittleEndian.Uint32(head[440:]); id != 0 {
		o.Info["disk id"] = fmt.Sprintf("%08x", id)
	}
	var parts []region
	own := []region{{off: 440, size: sector - 440}}
	for i, e := range list {
		switch {
		case e.kind == 0:
		case e.extended():
			logical, tables, err := mbrLogical(in, e, ss)
			if err != nil {
				addErr(o, err)
			}
			parts, own = append(parts, logical...), append(own, tables...)
		default:
			parts = append(parts, e.region(i+1, 0, ss))
		}
	}
	layOut(in, o, own, parts)
	return o, nil
}

// isISO says that an ISO 9660 file system begins here, whose disc can be
// started from a stick too: its partition is the disc itself.
func isISO(data unpack.Bytes) bool {
	return string(unpack.ReadSome(data, 0x8001, 5)) == "CD001"
}

func (e mbrEntry) region(number int, base, ss int64) region {
	code := fmt.Sprintf("%02x", e.kind)
	info := map[string]string{"type": typeWords(mbrTypes(), code)}
	if e.active {
		info["active"] = "yes"
	}
	return region{name: strconv.Itoa(number), off: (base + e.start) * ss, size: e.num * ss, info: info}
}

// mbrOverlap says that partitions lie within each other, which no tool makes.
func mbrOverlap(list [4]mbrEntry) bool {
	for i, a := range list {
		for _, b := range list[:i] {
			if a.kind != 0 && b.kind != 0 && a.start < b.start+b.num && b.start < a.start+a.num {
				return true
			}
		}
	}
	return false
}

// mbrSectorSize finds out how large the sectors are that the table counts in,
// by what begins where; false if no partition begins within the data.
func mbrSectorSize(data unpack.Bytes, list [4]mbrEntry) (int64, bool) {
	best, score, any := int64(sector), 0, false
	for _, ss := range []int64{512, 4096} {
		n := 0
		for _, e := range list {
			if e.kind == 0 || e.start*ss >= data.Size() {
				continue
			}
			any = any || ss == sector
			if knownStart(data, e.start*ss) {
				n++
			}
		}
		if n > score {
			best, score, any = ss, n, true
		}
	}
	return best, any
}

// knownStart says that a known file system or table begins at an offset.
func knownStart(data unpack.Bytes, off int64) bool {
	b := unpack.ReadSome(data, off, 2048)
	at := func(i int, magic string) bool { return len(b) >= i+len(magic) && string(b[i:i+len(magic)]) == magic }
	return at(510, "\x55\xaa") || at(0x438, "\x53\xef") || at(0, "hsqs") || at(0, "XFSB") || at(0, "LUKS") ||
		at(0x400, "H+") || at(0x400, "\x10\x20\xf5\xf2") || at(0x218, "LVM2") || at(0x400, "\xe2\xe1\xf5\xe0") ||
		string(unpack.ReadSome(data, off+0x10040, 8)) == "_BHRfS_M"
}

var errLogical = errors.New("the chain of logical partitions is broken")

// mbrLogical follows the chain of tables in an extended partition: each has its
// logical partition, placed from itself on, and the next table, placed from the
// extended partition's start on.
func mbrLogical(in *unpack.Input, ext mbrEntry, ss int64) (parts, tables []region, err error) {
	at, seen := ext.start, map[int64]bool{}
	for number := 5; ; {
		if seen[at] || len(seen) >= maxLogical {
			return parts, tables, fmt.Errorf("%w: it comes back to sector %d", errLogical, at)
		}
		seen[at] = true
		list, ok := mbrEntries(unpack.ReadSome(in.Data, at*ss, sector))
		if !ok {
			return parts, tables, fmt.Errorf("%w: no table at sector %d", errLogical, at)
		}
		tables = append(tables, region{off: at*ss + 440, size: sector - 440})
		next := int64(0)
		for _, e := range list {
			switch {
			case e.kind == 0:
			case e.extended():
				next = ext.start + e.start
			default:
				parts = append(parts, e.region(number, at, ss))
				number++
			}
		}
		if next == 0 {
			return parts, tables, nil
		}
		at = next
	}
}
