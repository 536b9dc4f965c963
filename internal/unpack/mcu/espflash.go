package mcu

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/doorward/doorward/internal/unpack"
)

// espPartition is an entry of the table.
type espPartition struct {
	kind, sub byte
	off, size int64
	label     string
	flags     uint32
}

type espTable struct {
	list   []espPartition
	size   int64
	proved bool // by its MD5
}

// readESPTable reads the table at an offset; nil if there is none.
func readESPTable(data unpack.Bytes, at int64) *espTable {
	b := unpack.ReadSome(data, at, 0xc00)
	t := &espTable{}
	for i := 0; i+32 <= len(b); i += 32 {
		e := b[i : i+32]
		switch {
		case e[0] == 0xaa && e[1] == 0x50:
			p := espPartition{e[2], e[3], int64(binary.LittleEndian.Uint32(e[4:])), int64(binary.LittleEndian.Uint32(e[8:])), cString(e[12:28]), binary.LittleEndian.Uint32(e[28:])}
			if p.label == "" || p.off%0x1000 != 0 || p.size == 0 || p.size > 1<<28 || p.off > 1<<28 {
				return nil
			}
			t.list = append(t.list, p)
			continue
		case e[0] == 0xeb && e[1] == 0xeb && len(t.list) > 0:
			s := md5.Sum(b[:i])
			if t.size = int64(i + 32); !bytes.Equal(s[:], e[16:]) {
				return nil
			}
			t.proved = true
		case t.size == 0:
			if t.size = int64(i); !unpack.OnlyByte(e, 0xff) {
				return nil
			}
		}
		break
	}
	if len(t.list) == 0 {
		return nil
	}
	return t
}

var espKinds = map[[2]byte]string{{0, 0}: "factory", {0, 0x20}: "test", {1, 0}: "ota data", {1, 1}: "phy", {1, 2}: "nvs", {1, 3}: "core dump", {1, 4}: "nvs keys", {1, 5}: "efuse", {1, 0x81}: "fat", {1, 0x82}: "spiffs", {1, 0x83}: "littlefs"}

func (p espPartition) what() string {
	if s := espKinds[[2]byte{p.kind, p.sub}]; s != "" {
		return s
	}
	if p.kind == 0 && p.sub&0xf0 == 0x10 {
		return fmt.Sprintf("ota %d", p.sub&15)
	}
	return fmt.Sprintf("type 0x%02x subtype 0x%02x", p.kind, p.sub)
}

// text is the table as a person reads it.
func (t *espTable) text() unpack.Slice {
	var b bytes.Buffer
	for _, p := range t.list {
		fmt.Fprintf(&b, "%-16s %-12s offset 0x%06x size 0x%06x", p.label, p.what(), p.off, p.size)
		if p.flags&1 != 0 {
			b.WriteString(" encrypted")
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// ESPFlash opens whole flash memories of Espressif's chips by their partition
// table.
var ESPFlash = &unpack.Reader{
	Name:    "esp-flash",
	Doc:     "flash memories of Espressif chips: boot loader, partition table (MD5 verified), partitions by label",
	Limits:  "with flash encryption the table itself is encrypted: then nothing but encrypted bytes is seen",
	Checked: "an independent writer",
	Open:    openESPFlash,
}

func openESPFlash(in *unpack.Input) (*unpack.Object, error) {
	if !in.Whole || in.Data.Size() < 0x9000 {
		return nil, unpack.ErrNotThis
	}
	for _, at := range []int64{0x8000, 0x9000, 0xa000, 0xc000, 0xd000, 0x10000} {
		t := readESPTable(in.Data, at)
		if t == nil {
			continue
		}
		for _, boot := range []int64{0x1000, 0, 0x2000} {
			// A table without its MD5 needs a boot loader before it.
			if b := unpack.ReadSome(in.Data, boot, 2); boot < at && len(b) == 2 && (b[0] == 0xe9 && b[1] > 0 && b[1] <= 16) {
				return t.flash(in, at, boot), nil
			}
		}
		if t.proved {
			return t.flash(in, at, -1), nil
		}
	}
	return nil, unpack.ErrNotThis
}

func (t *espTable) flash(in *unpack.Input, at, boot int64) *unpack.Object {
	size := in.Data.Size()
	o := &unpack.Object{Format: "esp flash", Size: size, Info: map[string]string{"partitions": fmt.Sprint(len(t.list)), "table": fmt.Sprintf("0x%x", at)}}
	if t.proved {
		o.Info["table md5"] = "verified"
	}
	used := []espPartition{{off: at, size: 0xc00}}
	if boot >= 0 {
		used = append(used, espPartition{off: boot, size: at - boot, label: "bootloader"})
	}
	used = append(used, t.list...)
	for _, p := range used[1:] {
		if p.off >= size {
			if o.Err == nil {
				o.Err = fmt.Errorf("truncated: the partition %s lies at 0x%x, the flash ends at 0x%x", p.label, p.off, size)
			}
			continue
		}
		part := unpack.Part{Name: p.label, Data: unpack.Window(in.Data, p.off, p.size), Offset: p.off, Info: map[string]string{"type": p.what()}}
		if p.label == "bootloader" {
			part.Info = nil
		}
		if p.flags&1 != 0 {
			part.Info["encrypted"] = "by its flag"
		}
		if p.kind == 1 && (p.sub == 1 || p.sub == 5) { // calibration: known, and of no interest
			part.Format = unpack.CodePart
		}
		o.Parts = append(o.Parts, part)
	}
	o.Parts = append(o.Parts, unpack.Part{Name: "partition-table", Data: t.text(), Offset: at})
	// What no partition covers.
	for from := int64(0); from < size; {
		to, inside := size, false
		for _, p := range used {
			switch {
			case p.off <= from && from < p.off+p.size:
				from, inside = p.off+p.size, true
			case p.off > from:
				to = min(to, p.off)
			}
		}
		if !inside {
			if w := unpack.Window(in.Data, from, to-from); !unpack.OnlyPadding(w, 0) {
				o.Parts = append(o.Parts, unpack.Part{Name: fmt.Sprintf("rest-0x%x", from), Data: w, Offset: from})
			}
			from = to
		}
	}
	return o
}

// ESPOTA opens the choice between the programs of a chip: two sectors, each
// with a number and its CRC.
var ESPOTA = &unpack.Reader{
	Name:    "esp-ota",
	Doc:     "ESP-IDF OTA data: which program starts, CRC verified",
	Checked: "an independent writer",
	Block:   func(b []byte) bool { return otaSequence(b) > 0 },
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		b := unpack.ReadSome(in.Data, 0, 0x1020)
		n := otaSequence(b)
		second := uint32(0)
		if len(b) == 0x1020 {
			second = otaSequence(b[0x1000:])
		}
		size := int64(32)
		if second > 0 {
			size = 0x1020
		} else if n == 0 {
			return nil, unpack.ErrNotThis
		}
		if n == 0 && !unpack.IsPadding(b[:32]) {
			return nil, unpack.ErrNotThis
		}
		return &unpack.Object{Format: "esp ota data", Size: size, Info: map[string]string{"sequence": fmt.Sprint(max(n, second))}}, nil
	},
}

// otaSequence is the number of an entry whose CRC is right; 0 if there is none.
func otaSequence(b []byte) uint32 {
	if len(b) < 32 || b[3] != 0 || !unpack.OnlyByte(b[4:24], 0xff) && !unpack.OnlyByte(b[4:24], 0) {
		return 0
	}
	if crc32.Update(0xffffffff, crc32.IEEETable, b[:4]) != binary.LittleEndian.Uint32(b[28:]) {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}
