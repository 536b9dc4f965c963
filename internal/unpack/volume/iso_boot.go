package volume

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// elTorito names the platforms of El Torito 1.0 and UEFI 2.10 section 13.3.2.1.
var elTorito = map[byte]string{0: "x86", 1: "ppc", 2: "mac", 0xef: "efi"}

// boot makes parts of the images of the boot catalogs.
func (d *iso) boot(catalogs []int64) {
	for _, sector := range catalogs {
		p := unpack.ReadSome(d.data, sector*isoSector, 8*isoSector)
		if len(p) < 64 || p[0] != 1 || p[30] != 0x55 || p[31] != 0xaa || sum16(p[:32]) != 0 {
			d.g.Damage(fmt.Errorf("iso9660: the boot catalog in sector %d is damaged", sector))
			continue
		}
		d.end = max(d.end, (sector+1)*isoSector)
		d.catalog(p)
	}
}

// catalog reads the default entry and the sections behind it.
func (d *iso) catalog(p []byte) {
	d.bootImage(p[1], p[32:64])
	for p = p[64:]; len(p) >= 32 && (p[0] == 0x90 || p[0] == 0x91); {
		platform, last := p[1], p[0] == 0x91
		count := int(binary.LittleEndian.Uint16(p[2:]))
		p = p[32:]
		for ; count > 0 && len(p) >= 32; count-- {
			d.bootImage(platform, p[:32])
			more := p[1]&0x20 != 0
			for p = p[32:]; more && len(p) >= 32 && p[0] == 0x44; p = p[32:] {
				more = p[1]&0x20 != 0
			}
		}
		if last {
			return
		}
	}
}

func sum16(p []byte) (sum uint16) {
	for ; len(p) >= 2; p = p[2:] {
		sum += binary.LittleEndian.Uint16(p)
	}
	return sum
}

// bootImage makes a part of one entry.
func (d *iso) bootImage(platform byte, p []byte) {
	at := int64(binary.LittleEndian.Uint32(p[8:])) * isoSector
	if p[0] != 0x88 && at == 0 {
		return
	}
	name, ok := elTorito[platform]
	if !ok {
		name = fmt.Sprintf("platform-0x%02x", platform)
	}
	info := map[string]string{"platform": name, "bootable": fmt.Sprint(p[0] == 0x88), "media": elToritoMedia(p[1])}
	if seg := binary.LittleEndian.Uint16(p[2:]); seg != 0 {
		info["load segment"] = fmt.Sprintf("0x%x", seg)
	}
	d.part("boot-"+name, at, d.bootSize(platform, p, at), info)
}

func elToritoMedia(b byte) string {
	switch b & 15 {
	case 0:
		return "no emulation"
	case 1, 2, 3:
		return "floppy"
	case 4:
		return "hard disk"
	}
	return "unknown"
}

// bootSize is how long a boot image is. The catalog says only how much the
// firmware loads at first.
func (d *iso) bootSize(platform byte, p []byte, at int64) int64 {
	if size := d.byExtent[at]; size > 0 {
		return size // it is a file of the tree
	}
	stated := int64(binary.LittleEndian.Uint16(p[6:])) * 512
	switch p[1] & 15 {
	case 1:
		return 1200 << 10
	case 2:
		return 1440 << 10
	case 3:
		return 2880 << 10
	case 4:
		for _, q := range mbrEntries(unpack.ReadSome(d.data, at, 512)) {
			stated = max(stated, q.to)
		}
		return stated
	}
	if size := fatSize(unpack.ReadSome(d.data, at, 512)); size > 0 {
		return size
	}
	if platform == 0xef && stated <= 512 {
		return max(d.end-at, stated) // UEFI: to the end of the disc
	}
	return max(stated, 512)
}

// fatSize is the size of a FAT file system by its boot sector, or 0.
func fatSize(p []byte) int64 {
	if len(p) < 512 || p[510] != 0x55 || p[511] != 0xaa || p[0] != 0xeb && p[0] != 0xe9 {
		return 0
	}
	le := binary.LittleEndian
	sector := int64(le.Uint16(p[11:]))
	if sector != 512 && sector != 1024 && sector != 2048 && sector != 4096 {
		return 0
	}
	if n := int64(le.Uint16(p[19:])); n > 0 {
		return n * sector
	}
	return int64(le.Uint32(p[32:])) * sector
}

// part adds a part of the disc unless it is there already.
func (d *iso) part(name string, at, size int64, info map[string]string) {
	if at >= d.data.Size() || size > d.data.Size()-at {
		d.o.Gaps = append(d.o.Gaps, unpack.Gap{Offset: min(at, d.data.Size()), Reason: "damaged", Note: fmt.Sprintf("iso9660: %s ends at %d, behind the end of the image", name, at+size)})
		size = min(size, max(0, d.data.Size()-at))
	}
	if size <= 0 || len(d.o.Parts) >= 256 {
		return
	}
	same := 0
	for _, p := range d.o.Parts {
		if p.Offset == at && p.Data.Size() == size {
			return
		}
		if p.Name == name || strings.HasPrefix(p.Name, name+"-") {
			same++
		}
	}
	if same > 0 {
		name = fmt.Sprintf("%s-%d", name, same+1)
	}
	d.end = max(d.end, at+size)
	p := unpack.Part{Name: name, Data: unpack.Window(d.data, at, size), Offset: at, Info: info}
	if d.raw {
		p.Offset = -1
	}
	d.o.Parts = append(d.o.Parts, p)
}

// hybrid shows the partitions of an image that is a disk too, besides the one
// that is the disc itself, and the boot code before the disc.
func (d *iso) hybrid() {
	p := unpack.ReadSome(d.data, 0, isoFirst*isoSector)
	if len(p) < isoFirst*isoSector {
		return
	}
	used := int64(0)
	for i, q := range mbrEntries(p) {
		used = 512
		if q.kind != 0xee {
			d.partition(fmt.Sprintf("partition-%d", i+1), q, map[string]string{"type": fmt.Sprintf("0x%02x", q.kind)})
		}
	}
	used = max(used, d.gpt(p))
	d.apple(p)
	if used > 0 {
		d.code("boot-code", p[:440], 0)
	}
	d.code("system-area", p[used:], used)
}

// code shows boot code, if there is some.
func (d *iso) code(name string, p []byte, at int64) {
	if s := strings.TrimRight(string(p), "\x00"); s != "" {
		d.part(name, at, int64(len(s)), nil)
	}
}

func (d *iso) partition(name string, q mbrEntry, info map[string]string) {
	if q.from >= q.to || d.itself(q) {
		return
	}
	d.part(name, q.from, q.to-q.from, info)
}

// itself says that a partition is the disc, or only files of it: one that
// starts where the descriptors do not count as a disc of its own, unless there is
// a second set of them for this purpose.
func (d *iso) itself(q mbrEntry) bool {
	if q.from == 0 {
		return true
	}
	if q.from > isoFirst*isoSector || q.to < d.volume/2 {
		return false
	}
	return string(unpack.ReadSome(d.data, q.from+isoFirst*isoSector+1, 5)) != isoID
}

type mbrEntry struct {
	kind     byte
	from, to int64
}

// mbrEntries are the entries of a PC's partition table; empty ones too, so that
// the numbers are right, or none at all.
func mbrEntries(p []byte) []mbrEntry {
	if len(p) < 512 || p[510] != 0x55 || p[511] != 0xaa {
		return nil
	}
	var list []mbrEntry
	used := false
	for e := p[446:510]; len(e) > 0; e = e[16:] {
		if e[0]&0x7f != 0 {
			return nil // no table, but code
		}
		from, n := int64(binary.LittleEndian.Uint32(e[8:]))*512, int64(binary.LittleEndian.Uint32(e[12:]))*512
		if e[4] == 0 {
			from, n = 0, 0
		}
		used = used || n > 0
		list = append(list, mbrEntry{e[4], from, from + n})
	}
	if !used {
		return nil
	}
	return list
}

// gpt shows the partitions of a GUID partition table (UEFI 2.10 section 5.3),
// and returns where the table ends.
func (d *iso) gpt(p []byte) int64 {
	h, le := p[512:1024], binary.LittleEndian
	if string(h[:8]) != "EFI PART" {
		return 0
	}
	size, entries := int64(le.Uint32(h[12:])), int64(le.Uint64(h[72:]))*512
	count, each := int64(le.Uint32(h[80:])), int64(le.Uint32(h[84:]))
	if size < 92 || size > 512 || count > 1024 || each < 128 || each > 4096 || entries < 1024 {
		d.g.Damage(fmt.Errorf("iso9660: the GUID partition table is damaged"))
		return 1024
	}
	sum := append([]byte(nil), h[:size]...)
	clear(sum[16:20])
	table, err := unpack.ReadFull(d.data, entries, count*each)
	if err != nil || crc32.ChecksumIEEE(sum) != le.Uint32(h[16:]) || crc32.ChecksumIEEE(table) != le.Uint32(h[88:]) {
		d.g.Damage(fmt.Errorf("iso9660: the GUID partition table has a wrong checksum"))
	}
	for i := 0; len(table) >= int(each); i, table = i+1, table[each:] {
		if len(strings.Trim(string(table[:16]), "\x00")) == 0 {
			continue
		}
		from, to := int64(le.Uint64(table[32:])), int64(le.Uint64(table[40:]))+1
		if from < 0 || to < from || to > 1<<50 {
			d.g.Damage(fmt.Errorf("iso9660: partition %d has no possible place", i+1))
			continue
		}
		info := map[string]string{"type": unpack.GUID(table[:16])}
		if name := unpack.UTF16(table[56:128]); name != "" {
			info["label"] = name
			if strings.HasPrefix(name, "Gap") && (to*512 <= d.volume || unpack.OnlyPadding(unpack.Window(d.data, from*512, (to-from)*512), 0)) {
				continue // xorriso's name for what lies between partitions: files of the disc
			}
		}
		d.partition(fmt.Sprintf("gpt-%d", i+1), mbrEntry{0, from * 512, to * 512}, info)
	}
	if backup := int64(le.Uint64(h[32:])); backup > 0 && backup < d.data.Size()/512 {
		d.end = max(d.end, (backup+1)*512)
	}
	if end := entries + count*each; entries < isoFirst*isoSector {
		return min(end, isoFirst*isoSector)
	}
	return 1024
}

// apple shows the partitions of an Apple partition map (Inside Macintosh:
// Devices, chapter 3).
func (d *iso) apple(p []byte) {
	block := int64(binary.BigEndian.Uint16(p[2:]))
	if string(p[:2]) != "ER" && string(p[512:514]) != "PM" && string(p[2048:2050]) != "PM" {
		return
	}
	if string(p[512:514]) == "PM" {
		block = 512
	} else if block != 1024 && block != 2048 {
		return
	}
	for i := int64(1); (i+1)*block <= int64(len(p)) && string(p[i*block:i*block+2]) == "PM"; i++ {
		e := p[i*block:]
		from, n := int64(binary.BigEndian.Uint32(e[8:]))*block, int64(binary.BigEndian.Uint32(e[12:]))*block
		kind, label := fixed(e[48:80]), fixed(e[16:48])
		switch kind {
		case "Apple_partition_map", "Apple_Void", "Apple_Free", "":
			continue
		}
		d.partition(fmt.Sprintf("apple-%d", i), mbrEntry{0, from, from + n}, map[string]string{"type": kind, "label": label})
	}
}

// fixed is the text of a field that zeros fill up.
func fixed(p []byte) string {
	s, _, _ := strings.Cut(string(p), "\x00")
	return s
}
