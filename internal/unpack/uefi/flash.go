package uefi

import (
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// FlashDescriptor opens flash images of Intel platforms, whose first block says
// which regions there are and who may write them. The layout is that of the
// chipsets' SPI programming guides, as coreboot's ifdtool states it.
var FlashDescriptor = &unpack.Reader{
	Name:    "intel-flash",
	Doc:     "flash images with an Intel flash descriptor: its regions, and as text who may read and write them",
	Limits:  "Of the soft straps only those that switch the management engine off are told.",
	Checked: "coreboot's ifdtool on descriptors written by hand",
	Magics:  []unpack.Magic{{At: 16, Bytes: descriptorMagic}, {At: 0, Bytes: descriptorMagic}},
	Carve:   true,
	Open:    openFlash,
}

const (
	descriptorMagic = "\x5a\xa5\xf0\x0f"
	descriptorSize  = 4096
)

var regionNames = [16]string{"descriptor", "bios", "me", "gbe", "platform-data", "device-expansion", "bios2", "region7", "ec", "device-expansion2", "ie", "10gbe-0", "10gbe-1", "region13", "region14", "ptt"}

var masterNames = map[int]string{0: "host", 1: "me", 2: "gbe", 4: "ec"}

// descriptor is the block of a flash descriptor.
type descriptor struct {
	block   []byte
	wide    bool // the newer layout, with 12 regions
	regions [16]struct{ from, to int64 }
	count   int
	masters int64
	straps  int64
	above   int // number of masters
}

func parseDescriptor(b []byte) (*descriptor, bool) {
	at := 16
	if string(b[:4]) == descriptorMagic {
		at = 0
	} else if string(b[16:20]) != descriptorMagic {
		return nil, false
	}
	map0, map1 := le32(b[at+4:]), le32(b[at+8:])
	component, region := int64(map0&0xff)<<4, int64(map0>>16&0xff)<<4
	d := &descriptor{block: b, masters: int64(map1&0xff) << 4, above: int(map1 >> 8 & 7), straps: int64(map1>>16&0xff) << 4}
	if component < 0x10 || region < 0x10 || d.masters < 0x10 || component > 0xf00 || region > 0xf00 || d.masters > 0xf00 {
		return nil, false
	}
	// The frequency of reading tells the generations apart.
	switch le32(b[component:]) >> 17 & 7 {
	case 6, 4:
		d.wide = true
	}
	d.count = 5
	if d.wide {
		d.count = 16
	}
	used := 0
	for i := range d.count {
		v := le32(b[region+int64(i)*4:])
		from, to := int64(v&0x7fff)<<12, int64(v>>16&0x7fff)<<12|0xfff
		if v == 0xffffffff || from > to || i > 0 && v == 0 {
			continue
		}
		d.regions[i].from, d.regions[i].to = from, to+1
		used++
	}
	return d, used >= 2 && d.regions[0].from == 0 && d.regions[0].to == descriptorSize
}

func openFlash(in *unpack.Input) (*unpack.Object, error) {
	b, err := unpack.ReadFull(in.Data, 0, descriptorSize)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	d, ok := parseDescriptor(b)
	if !ok {
		return nil, unpack.ErrNotThis
	}
	text := d.text()
	o := &unpack.Object{Format: "intel flash image", Size: descriptorSize, Info: map[string]string{"host may write": strings.Join(d.may(0, true), " ")}}
	if s := d.disabled(); s != "" {
		o.Info["me"] = s
	}
	o.Parts = append(o.Parts, unpack.Part{Name: "descriptor", Data: unpack.Slice(text), Offset: -1, Format: "text"})
	for i := 1; i < d.count; i++ {
		r := d.regions[i]
		if r.to == 0 {
			continue
		}
		if r.from < descriptorSize || r.from >= in.Data.Size() || r.to > in.Data.Size() {
			o.Err = fmt.Errorf("flash image: cut off, the region %s lies at 0x%x to 0x%x", regionNames[i], r.from, r.to)
		}
		if r.from >= in.Data.Size() {
			continue
		}
		o.Size = max(o.Size, min(r.to, in.Data.Size()))
		o.Parts = append(o.Parts, unpack.Part{Name: regionNames[i], Data: unpack.Window(in.Data, r.from, r.to-r.from), Offset: r.from})
	}
	d.rest(o, in.Data)
	return o, nil
}

// rest adds what lies in no region.
func (d *descriptor) rest(o *unpack.Object, data unpack.Bytes) {
	for at := int64(descriptorSize); at < o.Size; {
		next, inside := o.Size, false
		for _, r := range d.regions {
			if r.from <= at && at < r.to {
				at, inside = r.to, true
				break
			}
			if r.from > at {
				next = min(next, r.from)
			}
		}
		if inside {
			continue
		}
		if gap := unpack.Window(data, at, next-at); !unpack.OnlyPadding(gap, 0) {
			o.Parts = append(o.Parts, unpack.Part{Name: fmt.Sprintf("unassigned-0x%x", at), Data: gap, Offset: at})
		}
		at = next
	}
}

// may lists the regions that a master may write or read.
func (d *descriptor) may(master int, write bool) []string {
	at := d.masters + int64(master)*4
	if at+4 > descriptorSize {
		return nil
	}
	v := le32(d.block[at:])
	bits, n := v>>16&0xff, 8
	if write {
		bits = v >> 24
	}
	if d.wide {
		bits, n = v>>8&0xfff, 12
		if write {
			bits = v >> 20
		}
	}
	var list []string
	for i := range n {
		if bits>>i&1 != 0 && (i == 0 || d.regions[i].to > 0) {
			list = append(list, regionNames[i])
		}
	}
	return list
}

// disabled says that a strap switches the management engine off: the bit HAP of
// the newer, AltMeDisable of the older platforms.
func (d *descriptor) disabled() string {
	at, bit, name := d.straps+0x28, 7, "AltMeDisable"
	if d.wide {
		at, bit, name = d.straps, 16, "HAP"
	}
	if d.straps == 0 || at+4 > descriptorSize || le32(d.block[at:])>>bit&1 == 0 {
		return ""
	}
	return "switched off by the strap " + name
}

// text says in words what the descriptor says.
func (d *descriptor) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Intel flash descriptor\n")
	for i := range d.count {
		if r := d.regions[i]; r.to > 0 {
			fmt.Fprintf(&b, "region %s 0x%x-0x%x\n", regionNames[i], r.from, r.to-1)
		}
	}
	for i := range 5 {
		if name := masterNames[i]; name != "" && (i < 3 || d.wide) {
			fmt.Fprintf(&b, "%s reads %s\n%s writes %s\n", name, orNone(d.may(i, false)), name, orNone(d.may(i, true)))
		}
	}
	if s := d.disabled(); s != "" {
		fmt.Fprintf(&b, "me %s\n", s)
	}
	return b.String()
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, " ")
}
