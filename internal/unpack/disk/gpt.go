package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"

	"github.com/doorward/doorward/internal/unpack"
)

// GPT opens disks with a GUID partition table (UEFI specification, section
// 5.3), by its first header or, if that is damaged, by the one at the end.
var GPT = &unpack.Reader{
	Name:    "gpt",
	Doc:     "disks with a GUID partition table: both headers with their checksums, names and types of partitions, sectors of 512 and 4096 bytes; what lies in no partition is opened too",
	Limits:  "Partitions that only a hybrid MBR lists are not opened by themselves.",
	Checked: "sgdisk 1.0.9 (random layouts); tables of sectors of 4096 bytes made by hand",
	Magics:  []unpack.Magic{{At: 512, Bytes: gptMagic}, {At: 4096, Bytes: gptMagic}, {At: 510, Bytes: "\x55\xaa"}},
	Carve:   true,
	Open:    func(in *unpack.Input) (*unpack.Object, error) { return openGPT(in, false) },
}

// GPTBackup opens disks whose beginning is gone, by the header in the last
// sector.
var GPTBackup = &unpack.Reader{
	Name:    "gpt-backup",
	Doc:     "disks of which only the GUID partition table at the end is left",
	Limits:  "The copy is found in the last sector only.",
	Checked: "sgdisk 1.0.9 with the first sectors overwritten",
	Open:    func(in *unpack.Input) (*unpack.Object, error) { return openGPT(in, true) },
}

const (
	gptMagic      = "EFI PART"
	gptHeaderSize = 92
	gptMaxTable   = 4 << 20
)

// gptHeader is one of the two headers.
type gptHeader struct {
	ss, at, other int64 // sector size, this header, the other one
	first, last   int64 // usable sectors
	disk          string
	table         int64 // sector of the entries
	count, entry  int64 // of entries
	tableSum      uint32
	entries       []byte
}

var (
	errGPTHeader = errors.New("the checksum of its header is wrong")
	errGPTTable  = errors.New("the checksum of its entries is wrong")
)

// readGPT reads and checks the header in a sector. On a wrong checksum it comes
// with the error.
func readGPT(data unpack.Bytes, ss, at int64) (*gptHeader, error) {
	b, err := unpack.ReadFull(data, at*ss, ss)
	if err != nil || string(b[:8]) != gptMagic {
		return nil, unpack.ErrNotThis
	}
	u32 := func(i int) int64 { return int64(binary.LittleEndian.Uint32(b[i:])) }
	u64 := func(i int) int64 { return int64(min(binary.LittleEndian.Uint64(b[i:]), 1<<50)) }
	size := u32(12)
	h := &gptHeader{ss, u64(24), u64(32), u64(40), u64(48), unpack.GUID(b[56:]), u64(72), u32(80), u32(84), uint32(u32(88)), nil}
	if size < gptHeaderSize || size > ss || h.at != at || h.entry < 128 || h.entry > 4096 || h.entry%8 != 0 || h.count == 0 || h.count*h.entry > gptMaxTable || h.first > h.last+1 {
		return nil, unpack.ErrNotThis
	}
	own := append([]byte{}, b[:size]...)
	clear(own[16:20])
	if crc32.ChecksumIEEE(own) != uint32(u32(16)) {
		return h, errGPTHeader
	}
	h.entries, err = unpack.ReadFull(data, h.table*ss, h.count*h.entry)
	if err != nil {
		return h, fmt.Errorf("its entries are cut off: %w", err)
	}
	if crc32.ChecksumIEEE(h.entries) != h.tableSum {
		return h, errGPTTable
	}
	return h, nil
}

// openGPT chooses the header to believe: the first, or the one at the end. If
// neither is whole, the first header's entries are taken as they are, and said
// to be damaged.
func openGPT(in *unpack.Input, lost bool) (*unpack.Object, error) {
	if isISO(in.Data) {
		return nil, unpack.ErrNotThis // a disc that can be started from a stick too
	}
	var damaged *gptHeader
	var why error
	for _, ss := range []int64{512, 4096} {
		if lost {
			break
		}
		h, err := readGPT(in.Data, ss, 1)
		if err == nil {
			return h.object(in, nil), nil
		}
		if h != nil && damaged == nil {
			damaged, why = h, err
		}
	}
	if !in.Whole && damaged == nil {
		return nil, unpack.ErrNotThis
	}
	first := errors.New("the first table is missing")
	if damaged != nil {
		first = fmt.Errorf("the first table is damaged (%w)", why)
	}
	if h := backupGPT(in, damaged, lost); h != nil {
		return h.object(in, fmt.Errorf("%w: the copy at the end was read", first)), nil
	}
	if damaged == nil || damaged.entries == nil || !in.Whole || !protective(in.Data) {
		return nil, unpack.ErrNotThis
	}
	return damaged.object(in, fmt.Errorf("%w, and there is no good copy at the end", first)), nil
}

// backupGPT is the header at the end, if it is whole. Without a first header
// there must be an MBR that says that this is a GPT disk, or nothing that could
// be anything else.
func backupGPT(in *unpack.Input, damaged *gptHeader, lost bool) *gptHeader {
	if damaged == nil && !lost && !protective(in.Data) {
		return nil
	}
	for _, ss := range []int64{512, 4096} {
		tries := []int64{in.Data.Size()/ss - 1}
		if damaged != nil && damaged.ss == ss {
			tries = append(tries, damaged.other)
		}
		for _, at := range tries {
			if at < 2 {
				continue
			}
			if h, err := readGPT(in.Data, ss, at); err == nil && h.other == 1 {
				return h
			}
		}
	}
	return nil
}

// protective says that the first sector is the MBR of a GPT disk.
func protective(data unpack.Bytes) bool {
	list, ok := mbrEntries(unpack.ReadSome(data, 0, sector))
	return ok && slices.ContainsFunc(list[:], func(e mbrEntry) bool { return e.kind == mbrProtective })
}

// object lists the partitions.
func (h *gptHeader) object(in *unpack.Input, err error) *unpack.Object {
	o := &unpack.Object{Format: "gpt", Err: err, Info: map[string]string{"disk GUID": h.disk, "sector size": strconv.FormatInt(h.ss, 10)}}
	var parts []region
	for i := int64(0); i < h.count; i++ {
		e := h.entries[i*h.entry : (i+1)*h.entry]
		if unpack.IsPadding(e[:16]) {
			continue
		}
		r, ok := h.region(e, int(i)+1)
		if !ok {
			addErr(o, fmt.Errorf("partition %d lies at no possible place", i+1))
			continue
		}
		parts = append(parts, r)
	}
	own := []region{{off: 440, size: sector - 440}, {off: h.ss, size: gptHeaderSize}}
	own = append(own, h.tables(h.at, h.table)...)
	end := (max(h.at, h.other) + 1) * h.ss
	if h.at == 1 {
		own = append(own, h.checkCopy(in, o)...)
	}
	for _, r := range parts {
		end = max(end, r.end())
	}
	o.Size = min(end, in.Data.Size())
	if h.other == 0 {
		o.Size = in.Data.Size()
	}
	layOut(in, o, own, parts)
	return o
}

func (h *gptHeader) tables(at, table int64) []region {
	return []region{{off: at * h.ss, size: gptHeaderSize}, {off: table * h.ss, size: h.count * h.entry}}
}

// checkCopy looks at the copy at the end, which is good to know of but does not
// decide anything.
func (h *gptHeader) checkCopy(in *unpack.Input, o *unpack.Object) []region {
	c, err := readGPT(in.Data, h.ss, h.other)
	switch {
	case c == nil:
		o.Info["copy"] = "not where the first header says"
		return nil
	case err != nil:
		o.Info["copy"] = "damaged"
	case c.tableSum != h.tableSum:
		o.Info["copy"] = "differs from the first table"
	}
	return c.tables(c.at, c.table)
}

// region is the partition of an entry.
func (h *gptHeader) region(e []byte, number int) (region, bool) {
	first, last := binary.LittleEndian.Uint64(e[32:]), binary.LittleEndian.Uint64(e[40:])
	if first == 0 || last < first || last > 1<<50 {
		return region{}, false
	}
	kind := unpack.GUID(e)
	info := map[string]string{"type": typeWords(gptTypes(), kind), "number": strconv.Itoa(number), "GUID": unpack.GUID(e[16:])}
	if attr := binary.LittleEndian.Uint64(e[48:]); attr != 0 {
		info["attributes"] = fmt.Sprintf("0x%x", attr)
	}
	name := unpack.UTF16(e[56:128])
	if name == "" {
		name = strconv.Itoa(number)
	} else {
		info["label"] = name
	}
	return region{name: name, off: int64(first) * h.ss, size: int64(last-first+1) * h.ss, info: info}, true
}
