package uefi

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// MEPartitions opens the region of Intel's management engine by its flash
// partition table. Intel has not published the layout; it is as coreboot's
// cse_fpt and cse_serger and several analysers agree on it.
var MEPartitions = &unpack.Reader{
	Name:    "intel-me",
	Doc:     "flash partition tables ($FPT 1.0, 2.0 and 2.1) of Intel's management engine: each partition, and what lies between them",
	Limits:  "The engine's own file system (MFS, EFFS) is shown as it is stored.",
	Checked: "an independent writer; UEFIExtract's list of partitions",
	Magics:  []unpack.Magic{{At: 16, Bytes: fptMagic}, {At: 0, Bytes: fptMagic}},
	Carve:   true,
	Open:    openFPT,
}

const (
	fptMagic     = "$FPT"
	fptHead      = 32
	fptEntry     = 32
	fptMax       = 64 // partitions
	fptVersion21 = 0x21
)

// fpt is the header of a table.
type fpt struct {
	at      int64 // of the table in the input: partitions count from the input's start
	count   int64
	version byte
	head    int64
	table   []byte // header and entries
	sound   bool
}

// parseFPT reads the table at an offset: 16 bytes that the processor's ROM runs
// stand before it, if the partitions count from there.
func parseFPT(data unpack.Bytes, at int64) (*fpt, bool) {
	h, err := unpack.ReadFull(data, at, fptHead)
	if err != nil || string(h[:4]) != fptMagic {
		return nil, false
	}
	t := &fpt{at: at, count: int64(le32(h[4:])), version: h[8], head: int64(h[10])}
	known := t.version == 0x10 || t.version == 0x20 || t.version == fptVersion21
	if !known || h[9] != 0x10 || t.head != 0x20 && t.head != 0x30 || t.count < 1 || t.count > fptMax {
		return nil, false
	}
	if t.head == 0x30 {
		t.head = 0x20 // counted with the 16 bytes before it
	}
	if t.table, err = unpack.ReadFull(data, at, t.head+t.count*fptEntry); err != nil {
		return nil, false
	}
	for e := t.table[t.head:]; len(e) > 0; e = e[fptEntry:] {
		if !printable(e[:4]) {
			return nil, false
		}
	}
	t.sound = t.checksum(data)
	return t, at == 0 || t.sound && t.version != fptVersion21 || !unpack.OnlyByte(unpack.ReadSome(data, 0, at), 0xff)
}

// checksum compares the sum over the header with the 16 bytes before it, or the
// CRC-32 of the newer version over header and entries.
func (t *fpt) checksum(data unpack.Bytes) bool {
	if t.version == fptVersion21 {
		b := append([]byte(nil), t.table...)
		clear(b[20:24])
		return crc32.ChecksumIEEE(b) == le32(t.table[20:])
	}
	return sum8(unpack.ReadSome(data, 0, t.at+fptHead)) == 0
}

func openFPT(in *unpack.Input) (*unpack.Object, error) {
	t, ok := parseFPT(in.Data, 16)
	if !ok {
		if t, ok = parseFPT(in.Data, 0); !ok {
			return nil, unpack.ErrNotThis
		}
	}
	o := &unpack.Object{Format: fmt.Sprintf("intel me partition table %d.%d", t.version>>4, t.version&15), Info: map[string]string{}}
	if !t.sound {
		o.Err = errors.New("intel me: the partition table has a wrong checksum")
	}
	if le16(t.table[24:]) != 0 && le16(t.table[24:]) != 0xffff {
		o.Info["made by"] = "Intel Flash Image Tool " + version4(t.table[24:])
	}
	t.partitions(o, in.Data)
	return o, nil
}

// version4 writes four words as a version.
func version4(b []byte) string {
	return fmt.Sprintf("%d.%d.%d.%d", le16(b), le16(b[2:]), le16(b[4:]), le16(b[6:]))
}

var fptTypes = []string{"code", "data", "nvram", "generic", "effs", "rom"}

// partitions adds the partitions that have bytes of their own. Some are names
// for a stretch of several others.
func (t *fpt) partitions(o *unpack.Object, data unpack.Bytes) {
	o.Size = t.at + int64(len(t.table))
	spans := []span{{0, o.Size}}
	var empty []string
	var list []unpack.Part
	for e := t.table[t.head:]; len(e) > 0; e = e[fptEntry:] {
		name := strings.TrimRight(unpack.CString(e[:4]), " ")
		from, size, flags := int64(le32(e[8:])), int64(le32(e[12:])), le32(e[28:])
		if size == 0 || size == 0xffffffff || from == 0 || from == 0xffffffff || flags>>24 == 0xff {
			empty = append(empty, name)
			continue
		}
		if from < t.at+int64(len(t.table)) || from >= data.Size() || size > data.Size()-from {
			o.Err = errors.Join(o.Err, fmt.Errorf("intel me: cut off, the partition %s lies at 0x%x to 0x%x", name, from, from+size))
		}
		if from < t.at+int64(len(t.table)) || from >= data.Size() {
			continue
		}
		p := unpack.Part{Name: name, Data: unpack.Window(data, from, size), Offset: from, Info: map[string]string{"type": unpack.NameOf(fptTypes, byte(flags&0x7f))}}
		list = append(list, p)
		o.Size = max(o.Size, from+p.Data.Size())
	}
	for i, p := range list {
		if inside := covers(list, i); inside != "" {
			o.Info[p.Name+" covers"] = inside
			continue
		}
		o.Parts = append(o.Parts, p)
		spans = append(spans, span{p.Offset, p.Offset + p.Data.Size()})
	}
	if len(empty) > 0 {
		o.Info["empty"] = strings.Join(empty, " ")
	}
	o.Parts = unpack.NumberParts(append(o.Parts, leftovers(data, spans, o.Size)...))
}

// covers lists the partitions that lie within a larger one.
func covers(list []unpack.Part, i int) string {
	var inside []string
	p := list[i]
	for j, q := range list {
		larger := p.Data.Size() > q.Data.Size() || p.Data.Size() == q.Data.Size() && i > j
		if i != j && larger && p.Offset <= q.Offset && q.Offset+q.Data.Size() <= p.Offset+p.Data.Size() {
			inside = append(inside, q.Name)
		}
	}
	return strings.Join(inside, " ")
}
