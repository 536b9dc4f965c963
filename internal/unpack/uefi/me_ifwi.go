package uefi

import (
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/doorward/doorward/internal/unpack"
)

// MELayout opens the region of Intel's engine 12 and later, which begins with a
// table of its data and boot partitions but has no magic: it is known by what
// the table points to.
var MELayout = &unpack.Reader{
	Name:    "intel-ifwi",
	Doc:     "regions of Intel's engine 12 and later: the layout table (1.6 and 1.7) with data and boot partitions",
	Checked: "an independent writer; UEFIExtract's list of partitions",
	Open:    openMELayout,
}

// BootPartition opens boot partition descriptor tables (BPDT).
var BootPartition = &unpack.Reader{
	Name:    "intel-bpdt",
	Doc:     "boot partitions of Intel platforms (BPDT 1 and 2) with their sub-partitions",
	Checked: "an independent writer; UEFIExtract's list of partitions",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\xaa\x55\x00\x00"}, {At: 0, Bytes: "\xaa\x55\xaa\x00"}},
	Carve:   true,
	Open:    openBPDT,
}

const (
	bpdtNormal   = 0x000055aa
	bpdtRecovery = 0x00aa55aa
	bpdtHead     = 24
	bpdtEntry    = 12
	bpdtMax      = 64
)

var errLayout = errors.New("intel ifwi: the layout table has a wrong checksum")

// openMELayout tries the newer table, whose size stands before it, then the
// older one.
func openMELayout(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 0x58)
	if err != nil || !in.Whole {
		return nil, unpack.ErrNotThis
	}
	at, names := int64(0x10), []string{"data", "boot1", "boot2", "boot3", "boot4", "boot5"}
	var wrong error
	if size := int64(le16(h[0x10:])); h[0x12] < 2 && h[0x13] == 0 && size >= 0x40 && size <= 0x48 {
		at, names = 0x18, append(names, "temporary", "log")
		table := append([]byte(nil), h[0x10:0x10+size]...)
		clear(table[4:8])
		if crc32.ChecksumIEEE(table) != le32(h[0x14:]) {
			wrong = errLayout
		}
	}
	o := &unpack.Object{Format: "intel ifwi", Size: 0x58, Err: wrong}
	spans := []span{{0, at + int64(len(names))*8}}
	proven := false
	for i, name := range names {
		from, size := int64(le32(h[at+int64(i)*8:])), int64(le32(h[at+int64(i)*8+4:]))
		if size == 0 || from == 0 || size == 0xffffffff {
			continue
		}
		if from < 0x40 || from >= in.Data.Size() {
			return nil, unpack.ErrNotThis
		}
		data := unpack.Window(in.Data, from, size)
		proven = proven || meLayoutProof(data)
		if data.Size() < size {
			o.Err = &unpack.CutOff{Format: "intel ifwi", Missing: size - data.Size(), Of: size}
		}
		o.Parts = append(o.Parts, unpack.Part{Name: name, Data: data, Offset: from})
		spans = append(spans, span{from, from + data.Size()})
		o.Size = max(o.Size, from+data.Size())
	}
	if !proven {
		return nil, unpack.ErrNotThis
	}
	o.Parts = append(o.Parts, leftovers(in.Data, spans, o.Size)...)
	return o, nil
}

// meLayoutProof says that a partition of the layout table is one.
func meLayoutProof(data unpack.Bytes) bool {
	if t, ok := parseFPT(data, 0); ok {
		return t.count > 0
	}
	_, err := parseBPDT(data)
	return err == nil
}

// bpdtTypes are the sub-partitions, as coreboot's ifwitool and Slim Bootloader
// name them.
var bpdtTypes = []string{"SMIP", "RBEP", "FTPR", "UCOD", "IBBP", "S_BPDT", "OBBP", "NFTP", "ISHC", "DLMP", "UEBP", "UTOK", "UFS PHY", "UFS GPP LUN", "PMCP", "iUNP", "NVM config", "UEP", "WCOD", "LOCL", "OEMP", "FITC",
	"PCHC", "IOMP", "MGPP", "TBTP", "PLTS", "", "", "", "", "DPHY", "PCOD", "SAMF", "PPHY", "GBST", "TCCP", "PSEP", "", "", "", "", "", "", "", "", "", "ESE", "ACE"}

// bpdtPart is an entry of a table.
type bpdtPart struct {
	kind     uint16
	at, size int64
}

type bpdt struct {
	version byte
	sound   bool
	end     int64 // of the table
	list    []bpdtPart
	fit     string
}

func parseBPDT(data unpack.Bytes) (*bpdt, error) {
	h, err := unpack.ReadFull(data, 0, bpdtHead)
	if err != nil || le32(h) != bpdtNormal && le32(h) != bpdtRecovery {
		return nil, unpack.ErrNotThis
	}
	n, t := int64(le16(h[4:])), &bpdt{version: h[6], sound: true, fit: version4(h[16:])}
	if n < 1 || n > bpdtMax || t.version != 1 && t.version != 2 || h[7] > 1 {
		return nil, unpack.ErrNotThis
	}
	b, err := unpack.ReadFull(data, 0, bpdtHead+n*bpdtEntry)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	if t.version == 2 {
		c := append([]byte(nil), b...)
		clear(c[8:12])
		t.sound = crc32.ChecksumIEEE(c) == le32(b[8:])
	}
	t.end = int64(len(b))
	used := 0
	for e := b[bpdtHead:]; len(e) > 0; e = e[bpdtEntry:] {
		p := bpdtPart{le16(e), int64(le32(e[4:])), int64(le32(e[8:]))}
		if p.kind > 200 || p.size > 0 && p.at > 0 && (p.at < t.end || p.at > 64<<20 || p.size > 64<<20) {
			return nil, unpack.ErrNotThis
		}
		if p.size > 0 && p.at > 0 {
			used++
			t.list = append(t.list, p)
		}
	}
	if used == 0 {
		return nil, unpack.ErrNotThis
	}
	return t, nil
}

func openBPDT(in *unpack.Input) (*unpack.Object, error) {
	t, err := parseBPDT(in.Data)
	if err != nil {
		return nil, err
	}
	if !t.sound && !in.Whole || t.version == 1 && !in.Whole && !t.directories(in.Data) {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: fmt.Sprintf("intel boot partition %d", t.version), Size: t.end, Info: map[string]string{"made by": "Intel Flash Image Tool " + t.fit}}
	if !t.sound {
		o.Err = errors.New("intel boot partition: the table has a wrong checksum")
	}
	spans := []span{{0, t.end}}
	for _, p := range t.list {
		name := fmt.Sprintf("type%d", p.kind)
		if int(p.kind) < len(bpdtTypes) && bpdtTypes[p.kind] != "" {
			name = bpdtTypes[p.kind]
		}
		data := unpack.Window(in.Data, p.at, p.size)
		if data.Size() < p.size {
			o.Err = errors.Join(o.Err, fmt.Errorf("intel boot partition: cut off, %s lies at 0x%x to 0x%x", name, p.at, p.at+p.size))
		}
		if data.Size() == 0 {
			continue
		}
		o.Parts = append(o.Parts, unpack.Part{Name: name, Data: data, Offset: p.at})
		spans = append(spans, span{p.at, p.at + data.Size()})
		o.Size = max(o.Size, p.at+data.Size())
	}
	o.Parts = unpack.NumberParts(append(o.Parts, leftovers(in.Data, spans, o.Size)...))
	return o, nil
}

// directories says that a sub-partition is a code partition directory: the
// older table has no checksum.
func (t *bpdt) directories(data unpack.Bytes) bool {
	for _, p := range t.list {
		if d, ok := parseCPD(unpack.Window(data, p.at, p.size)); ok && d.sound {
			return true
		}
	}
	return false
}
