package boot

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Partition is a part of a flash chip, in bytes from its start.
type Partition struct {
	Name     string
	Offset   int64
	Size     int64 // -1: the rest of the chip
	ReadOnly bool
}

// PartitionTable is how a flash chip is divided.
type PartitionTable struct {
	Device     string
	Partitions []Partition
}

const maxPartitions = 256

// ParseMTDParts reads what Linux and U-Boot call mtdparts, behind "mtdparts="
// and up to the first byte that can't belong to it (drivers/mtd/parsers/
// cmdlinepart.c): DEVICE:SIZE[@OFFSET][(NAME)][ro][lk][slc],...;DEVICE:... with
// sizes in K, M or G, and - for the rest.
func ParseMTDParts(text string) []PartitionTable {
	if at := strings.IndexFunc(text, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\'' || c == '\\' }); at >= 0 {
		text = text[:at]
	}
	var list []PartitionTable
	for def := range strings.SplitSeq(text, ";") {
		// A device's name may have colons: the last before the first name ends it.
		head := def
		if at := strings.IndexByte(def, '('); at >= 0 {
			head = def[:at]
		}
		colon := strings.LastIndexByte(head, ':')
		if colon <= 0 {
			continue
		}
		t := PartitionTable{Device: def[:colon]}
		if t.Partitions = partitionList(def[colon+1:]); len(t.Partitions) > 0 {
			list = append(list, t)
		}
	}
	return list
}

// partitionList reads the partitions of a device; nil if anything is wrong.
func partitionList(text string) (list []Partition) {
	next := int64(0)
	for len(list) < maxPartitions {
		p := Partition{Size: -1, Offset: next}
		rest, ok := strings.CutPrefix(text, "-")
		if !ok {
			if p.Size, rest, ok = flashSize(text); !ok || p.Size == 0 {
				return nil
			}
		}
		if after, ok := strings.CutPrefix(rest, "@"); ok {
			if p.Offset, rest, ok = flashSize(after); !ok {
				return nil
			}
		}
		if after, ok := strings.CutPrefix(rest, "("); ok {
			if p.Name, rest, ok = strings.Cut(after, ")"); !ok {
				return nil
			}
		}
		for _, flag := range []string{"ro", "lk", "slc"} {
			if after, ok := strings.CutPrefix(rest, flag); ok {
				p.ReadOnly = p.ReadOnly || flag == "ro"
				rest = after
			}
		}
		if p.Name == "" {
			p.Name = fmt.Sprintf("partition %d", len(list))
		}
		list = append(list, p)
		if rest == "" {
			return list
		}
		if text, ok = strings.CutPrefix(rest, ","); !ok || p.Size > math.MaxInt64-p.Offset {
			return nil
		}
		next = p.Offset + p.Size
	}
	return nil
}

// flashSize reads a number of any base with a unit.
func flashSize(text string) (n int64, rest string, ok bool) {
	end := 0
	for end < len(text) && strings.IndexByte("0123456789abcdefABCDEFxX", text[end]) >= 0 {
		end++
	}
	v, err := strconv.ParseInt(text[:end], 0, 64)
	if err != nil || v < 0 {
		return 0, text, false
	}
	rest = text[end:]
	shift := 0
	if rest != "" {
		shift = map[byte]int{'k': 10, 'K': 10, 'm': 20, 'M': 20, 'g': 30, 'G': 30}[rest[0]]
	}
	if shift > 0 {
		rest = rest[1:]
	}
	if v > math.MaxInt64>>(shift+1) {
		return 0, text, false
	}
	return v << shift, rest, true
}

// MTDParts writes a table as ParseMTDParts reads it.
func (t PartitionTable) MTDParts() string {
	var list []string
	for _, p := range t.Partitions {
		s := fmt.Sprintf("0x%x@0x%x(%s)", p.Size, p.Offset, flashName(p.Name))
		if p.ReadOnly {
			s += "ro"
		}
		list = append(list, s)
	}
	return flashName(t.Device) + ":" + strings.Join(list, ",")
}

// flashName is a name that stands in mtdparts without ending it.
func flashName(s string) string {
	return strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' || strings.ContainsRune("(),;\"'\\", c) {
			return '_'
		}
		return c
	}, s)
}

// partitions are those that a device tree gives flash chips: the children of a
// node fixed-partitions, or of the chip itself in older trees
// (Documentation/devicetree/bindings/mtd/partitions/fixed-partitions.yaml).
func (n *FDTNode) partitions(list []PartitionTable) []PartitionTable {
	t := PartitionTable{Device: n.name}
	cells := [2]int{1, 1}
	for i, name := range []string{"#address-cells", "#size-cells"} {
		if v, ok := n.num(name); ok && (v == 1 || v == 2) {
			cells[i] = int(v)
		}
	}
	fixed := strings.Contains(n.str("compatible"), "fixed-partitions")
	for _, k := range n.kids {
		base, _, _ := strings.Cut(k.name, "@")
		if !fixed && base != "partition" && k.prop("label") == nil {
			continue
		}
		if p, ok := k.partition(cells); ok {
			t.Partitions = append(t.Partitions, p)
		}
	}
	if len(t.Partitions) > 0 && (fixed || len(t.Partitions) > 1) && len(t.Partitions) <= maxPartitions {
		list = append(list, t)
	}
	for _, k := range n.kids {
		inner := len(list)
		if list = k.partitions(list); len(list) > inner && strings.HasPrefix(list[inner].Device, "partitions") {
			list[inner].Device = n.name // the chip's own name says more
		}
	}
	return list
}

func (n *FDTNode) partition(cells [2]int) (p Partition, ok bool) {
	reg := n.prop("reg").bytes()
	if len(reg) != 4*(cells[0]+cells[1]) {
		return p, false
	}
	number := func(b []byte) int64 {
		if len(b) == 4 {
			return int64(binary.BigEndian.Uint32(b))
		}
		return int64(binary.BigEndian.Uint64(b))
	}
	p = Partition{Name: n.str("label"), Offset: number(reg[:4*cells[0]]), Size: number(reg[4*cells[0]:]), ReadOnly: n.prop("read-only") != nil}
	if p.Name == "" {
		p.Name, _, _ = strings.Cut(n.name, "@")
	}
	return p, p.Offset >= 0 && p.Size > 0 && p.Size <= math.MaxInt64-p.Offset
}
