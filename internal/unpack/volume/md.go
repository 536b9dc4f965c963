package volume

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/doorward/doorward/internal/unpack"
)

// MD opens members of Linux' software RAID (include/uapi/linux/raid/md_p.h).
var MD = &unpack.Reader{
	Name:    "md-raid",
	Doc:     "members of Linux' software RAID with superblocks of versions 1.1 and 1.2: the content of mirrors and of arrays of one disk; other levels are reported",
	Limits:  mdLimits,
	Checked: mdChecked,
	Magics:  []unpack.Magic{{At: 4096, Bytes: mdMagic + "\x01\x00\x00\x00"}, {At: 0, Bytes: mdMagic + "\x01\x00\x00\x00"}},
	Open:    openMD,
}

// MDEnd opens those with the superblock at the end.
var MDEnd = &unpack.Reader{
	Name:    "md-raid-end",
	Doc:     "members of Linux' software RAID with superblocks of versions 0.90 and 1.0, which lie at the end",
	Limits:  mdLimits,
	Checked: mdChecked,
	Open:    openMDEnd,
}

const (
	mdMagic   = "\xfc\x4e\x2b\xa9"
	mdLimits  = "Several members are not joined: RAID 0, 4, 5, 6 and 10 are reported with the number of the member."
	mdChecked = "superblocks made by hand, which mdadm 4.2 --examine confirms"
)

// mdMember is what a superblock says.
type mdMember struct {
	version  string
	level    int32
	disks    uint32
	number   int64 // of the member; -1 for a spare
	at, size int64 // of its data; size 0 if unknown
	info     map[string]string
}

func openMD(in *unpack.Input) (*unpack.Object, error) {
	for _, at := range []int64{4096, 0} {
		if m := readMD1(in.Data, at); m != nil {
			return m.object(in)
		}
	}
	return nil, unpack.ErrNotThis
}

func openMDEnd(in *unpack.Input) (*unpack.Object, error) {
	size := in.Data.Size()
	if !in.Whole || size < 128<<10 {
		return nil, unpack.ErrNotThis
	}
	if m := readMD1(in.Data, (size/512-16)&^7*512); m != nil {
		return m.object(in)
	}
	at := size&^(64<<10-1) - 64<<10
	if m := readMD0(in.Data, at); m != nil {
		return m.object(in)
	}
	return nil, unpack.ErrNotThis
}

// object opens the content of a mirror.
func (m *mdMember) object(in *unpack.Input) (*unpack.Object, error) {
	o := &unpack.Object{Format: "md raid " + m.version, Size: in.Data.Size(), Info: m.info}
	m.info["level"], m.info["disks"] = strconv.Itoa(int(m.level)), strconv.FormatUint(uint64(m.disks), 10)
	if m.number >= 0 {
		m.info["member"] = strconv.FormatInt(m.number, 10)
	}
	whole := m.level == 1 || m.disks == 1 && (m.level == 0 || m.level == -1)
	switch {
	case m.number < 0:
		o.Gaps = []unpack.Gap{{Size: o.Size, Reason: "unsupported", Note: "a spare or failed disk of a RAID"}}
		return o, nil
	case !whole:
		o.Gaps = []unpack.Gap{{Size: o.Size, Reason: "unsupported", Note: fmt.Sprintf("disk %d of %d of a RAID of level %d, whose other disks are not in it", m.number, m.disks, m.level)}}
		return o, nil
	case m.at > in.Data.Size():
		return nil, unpack.ErrNotThis
	}
	if missing := m.at + m.size - in.Data.Size(); missing > 0 {
		o.Err = &unpack.CutOff{Format: o.Format, Missing: missing, Of: m.at + m.size}
	}
	o.Parts = []unpack.Part{{Data: unpack.Window(in.Data, m.at, m.size), Offset: m.at}}
	return o, nil
}

// readMD1 reads a superblock of version 1.
func readMD1(data unpack.Bytes, at int64) *mdMember {
	le := binary.LittleEndian
	b, err := unpack.ReadFull(data, at, 256)
	if err != nil || string(b[:4]) != mdMagic || le.Uint32(b[4:]) != 1 {
		return nil
	}
	disks := int64(le.Uint32(b[220:]))
	if disks > 1920 || le.Uint64(b[144:]) != uint64(at/512) {
		return nil
	}
	if b, err = unpack.ReadFull(data, at, 256+2*disks); err != nil || !md1Sum(b) {
		return nil
	}
	version := "1.0"
	switch at {
	case 0:
		version = "1.1"
	case 4096:
		version = "1.2"
	}
	m := &mdMember{version: version, level: int32(le.Uint32(b[72:])), disks: le.Uint32(b[92:]), number: -1}
	m.at = int64(min(le.Uint64(b[128:]), 1<<50)) * 512
	m.size = int64(min(le.Uint64(b[80:]), 1<<50)) * 512 // that of the array's content
	if stated := int64(min(le.Uint64(b[136:]), 1<<50)) * 512; m.size == 0 || m.size > stated {
		m.size = stated
	}
	m.info = map[string]string{"UUID": fmt.Sprintf("%x", b[16:32]), "name": unpack.CString(b[32:64])}
	if n := int64(le.Uint32(b[160:])); n < disks {
		if role := le.Uint16(b[256+2*n:]); role < 0xfff0 {
			m.number = int64(role)
		}
	}
	return m
}

// md1Sum is the sum of the words, its own left out, folded.
func md1Sum(b []byte) bool {
	le := binary.LittleEndian
	sum := uint64(0)
	i := 0
	for ; i+4 <= len(b); i += 4 {
		if i != 216 {
			sum += uint64(le.Uint32(b[i:]))
		}
	}
	if i < len(b) {
		sum += uint64(le.Uint16(b[i:]))
	}
	return uint32(sum)+uint32(sum>>32) == le.Uint32(b[216:])
}

// readMD0 reads a superblock of version 0.90, in either byte order.
func readMD0(data unpack.Bytes, at int64) *mdMember {
	b, err := unpack.ReadFull(data, at, 4096)
	if err != nil {
		return nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if string(b[:4]) == "\xa9\x2b\x4e\xfc" {
		order = binary.BigEndian
	} else if string(b[:4]) != mdMagic {
		return nil
	}
	word := func(i int) uint32 { return order.Uint32(b[4*i:]) }
	sum := uint64(0)
	for i := range 1024 {
		if i != 38 {
			sum += uint64(word(i))
		}
	}
	if word(1) != 0 || word(2) != 90 || uint32(sum)+uint32(sum>>32) != word(38) {
		return nil
	}
	m := &mdMember{version: "0.90", level: int32(word(7)), disks: word(10), number: -1, size: int64(word(8)) * 1024}
	m.info = map[string]string{"UUID": fmt.Sprintf("%08x:%08x:%08x:%08x", word(5), word(13), word(14), word(15))}
	if role, state := word(992+3), word(992+4); state&(1<<1) != 0 && role < m.disks { // active
		m.number = int64(role)
	}
	// The superblock of a disk's last partition can look like the whole disk's.
	if m.size == 0 || m.size > at || at-m.size >= 1<<20 {
		return nil
	}
	return m
}
