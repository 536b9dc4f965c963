package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// FAT opens FAT file systems (Microsoft's FAT32 File System Specification 1.03;
// ECMA-107), by the rules of the Linux kernel where the two differ.
var FAT = &unpack.Reader{
	Name:    "fat",
	Doc:     "FAT12, FAT16 and FAT32 file systems: long names, both copies of the allocation table, the second boot sector; deleted files as long as their clusters are free",
	Limits:  "Short names are read in code page 437; the content of deleted files is taken to lie in one piece.",
	Checked: "mkfs.fat 4.2 with 12 option sets and mcopy 4.0.32; random trees; an image of another maker",
	Magics: []unpack.Magic{
		{At: 0x36, Bytes: "FAT"}, {At: 0x52, Bytes: "FAT32   "}, {At: 510, Bytes: "\x55\xaa"}, {At: fatSecond + 0x52, Bytes: "FAT32   "},
	},
	Carve: true,
	Open:  openFAT,
}

const (
	fatSecond     = 6 * sector // where the copy of FAT32's boot sector is
	fatEntry      = 32
	fatMaxFolder  = 16 << 20
	fatDeleted    = 0xe5
	fatLabel      = 0x08
	fatFolder     = 0x10
	fatLong       = 0x0f
	fatReadOnly   = 0x01
	fat12Clusters = 4085
	fat16Clusters = 65525
)

// fatFS is an opened file system.
type fatFS struct {
	chains
	in        *unpack.Input
	g         *unpack.Gatherer
	boot      []byte
	rootAt    int64 // the root folder of FAT12 and FAT16
	rootSize  int64
	root      uint32 // the root folder's cluster of FAT32
	total     int64  // bytes of all
	media     byte
	label     string
	paths     map[string]int // taken paths, and how often
	deleted   []fatGone
	goneFiles int   // deleted files whose content is gone
	asked     int64 // clusters of deleted files looked at so far
}

// readBoot reads and checks a boot sector at an offset.
func (f *fatFS) readBoot(at int64) bool {
	b, err := unpack.ReadFull(f.data, at, sector)
	if err != nil {
		return false
	}
	u16 := func(i int) int64 { return int64(binary.LittleEndian.Uint16(b[i:])) }
	u32 := func(i int) int64 { return int64(binary.LittleEndian.Uint32(b[i:])) }
	ss, perCluster, reserved, copies := u16(11), int64(b[13]), u16(14), int64(b[16])
	if ss < 512 || ss > 4096 || bits.OnesCount64(uint64(ss)) != 1 || bits.OnesCount8(b[13]) != 1 || reserved == 0 || copies == 0 || copies > 4 {
		return false
	}
	if f.media = b[21]; f.media < 0xf8 && f.media != 0xf0 {
		return false
	}
	rootEntries, total, tableSize := u16(17), u16(19), u16(22)
	if total == 0 {
		total = u32(32)
	}
	wide := tableSize == 0
	if wide {
		tableSize = u32(36)
	}
	if total == 0 || tableSize == 0 || wide != (rootEntries == 0) || rootEntries*fatEntry%ss != 0 && rootEntries%16 != 0 {
		return false
	}
	f.boot, f.total, f.cluster, f.size = b, total*ss, perCluster*ss, tableSize*ss
	f.rootAt, f.rootSize = (reserved+copies*tableSize)*ss, (rootEntries*fatEntry+ss-1)/ss*ss
	f.first = f.rootAt + f.rootSize
	f.clusters = (f.total - f.first) / f.cluster
	if f.clusters < 1 || f.first > f.in.Data.Size() {
		return false
	}
	f.copies = nil
	for i := range copies {
		f.copies = append(f.copies, reserved*ss+i*f.size)
	}
	f.kind(wide, u32(44), u16(40))
	return f.size*8/int64(f.bits) >= 3
}

// kind sets the width of the table's entries.
func (f *fatFS) kind(wide bool, root, flags int64) {
	switch {
	case wide:
		f.bits, f.mask, f.root = 32, 0x0fffffff, uint32(root)
		if on := int(flags & 15); flags&0x80 != 0 && on < len(f.copies) {
			f.copies = f.copies[on : on+1] // the others are not kept up to date
		}
	case f.clusters < fat12Clusters:
		f.bits, f.mask = 12, 0xfff
	default:
		f.bits, f.mask = 16, 0xffff
	}
}

// begins says that a copy of the table begins as it must: with the media byte,
// the rest ones.
func (f *fatFS) begins(copy int) bool {
	return f.next(copy, 0) == f.mask&^0xff|uint32(f.media)
}

// orderCopies puts a copy first whose beginning is right; false if there is
// none.
func (f *fatFS) orderCopies() (ok bool, err error) {
	if f.begins(0) {
		return true, nil
	}
	for i := 1; i < len(f.copies); i++ {
		if f.begins(i) {
			f.copies[0], f.copies[i] = f.copies[i], f.copies[0]
			return true, errors.New("the first allocation table is damaged: its copy was read")
		}
	}
	return false, errors.New("the beginning of the allocation tables is damaged")
}

func openFAT(in *unpack.Input) (*unpack.Object, error) {
	f := &fatFS{in: in, g: unpack.NewGatherer(in), paths: map[string]int{}}
	f.data = in.Data
	if !f.readBoot(0) {
		if !in.Whole || string(unpack.ReadSome(in.Data, fatSecond+0x52, 8)) != "FAT32   " || !f.readBoot(fatSecond) {
			return nil, unpack.ErrNotThis
		}
		f.g.Damage(errors.New("fat: the boot sector is damaged: its copy was read"))
	}
	f.begin()
	named := strings.HasPrefix(string(f.boot[0x36:]), "FAT1") || strings.HasPrefix(string(f.boot[0x52:]), "FAT32   ")
	ok, err := f.orderCopies()
	if !ok && (!named || !in.Whole) || !in.Whole && f.boot[0] != 0xeb && f.boot[0] != 0xe9 {
		return nil, unpack.ErrNotThis
	}
	if err != nil {
		f.g.Damage(fmt.Errorf("fat: %w", err))
	} else if err := f.differ(in); err != nil {
		f.g.Damage(fmt.Errorf("fat: %w", err))
	}
	o := &unpack.Object{Format: fmt.Sprintf("fat%d", f.bits), Size: min(f.total, in.Data.Size()), System: true}
	if f.total > in.Data.Size() {
		f.g.Damage(&unpack.CutOff{Format: "fat", Missing: f.total - in.Data.Size(), Of: f.total})
	}
	f.walkAll()
	f.addDeleted()
	f.g.Finish(o)
	o.Info = f.info()
	return o, nil
}

func (f *fatFS) info() map[string]string {
	at, serial := 0x2b, f.boot[0x27:0x2b]
	if f.bits == 32 {
		at, serial = 0x47, f.boot[0x43:0x47]
	}
	info := map[string]string{"cluster size": fmt.Sprint(f.cluster)}
	if f.boot[at-5] == 0x28 || f.boot[at-5] == 0x29 {
		info["serial number"] = fmt.Sprintf("%04X-%04X", binary.LittleEndian.Uint16(serial[2:]), binary.LittleEndian.Uint16(serial))
		if f.label == "" && f.boot[at-5] == 0x29 {
			f.label = strings.TrimRight(codePage437(f.boot[at:at+11]), " \x00")
		}
	}
	if f.label != "" && f.label != "NO NAME" {
		info["label"] = f.label
	}
	if oem := strings.TrimRight(codePage437(f.boot[3:11]), " \x00"); oem != "" {
		info["made by"] = oem
	}
	if f.goneFiles > 0 {
		info["deleted files whose content is gone"] = fmt.Sprint(f.goneFiles)
	}
	return info
}
