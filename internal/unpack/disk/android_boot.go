package disk

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// AndroidBoot opens the boot images of Android (boot_img_hdr in mkbootimg's
// bootimg.h), versions 0 to 4.
var AndroidBoot = &unpack.Reader{
	Name:    "bootimg",
	Doc:     "Android boot, recovery and init_boot images, versions 0 to 4: kernel, ramdisk, second stage, device trees; command line, version and patch level of the system",
	Limits:  "Signatures are not checked; a checksum (id) that does not match is stated, not an error, since makers compute it in ways of their own.",
	Checked: "mkbootimg 29 (versions 0 to 3), version 4 made by hand",
	Magics:  []unpack.Magic{{At: 0, Bytes: "ANDROID!"}},
	Carve:   true,
	Open:    openAndroidBoot,
}

// AndroidVendorBoot opens the vendor's half of boot images of version 3 and 4.
var AndroidVendorBoot = &unpack.Reader{
	Name:    "vendorboot",
	Doc:     "Android vendor_boot images, versions 3 and 4: ramdisks by the table, device trees, bootconfig, command line",
	Checked: "mkbootimg 29 (version 3), version 4 made by hand",
	Magics:  []unpack.Magic{{At: 0, Bytes: "VNDRBOOT"}},
	Carve:   true,
	Open:    openAndroidVendorBoot,
}

// section is a piece of a boot image: they follow each other, each padded to
// whole pages.
type section struct {
	name, format string
	size         int64
}

func openAndroidBoot(in *unpack.Input) (*unpack.Object, error) {
	h := unpack.ReadSome(in.Data, 0, 1660)
	if len(h) < 1632 {
		return nil, unpack.ErrNotThis
	}
	h = append(bytes.Clone(h), make([]byte, 1660-len(h))...)
	u32 := func(i int) int64 { return int64(binary.LittleEndian.Uint32(h[i:])) }
	version, page, used := u32(40), u32(36), int64(1632)
	o := &unpack.Object{Info: map[string]string{}}
	list := []section{{"kernel", "kernel", u32(8)}, {"ramdisk", "ramdisk", u32(16)}, {"second", "", u32(24)}}
	switch {
	case version >= 3 && version <= 4:
		page, used = 4096, u32(20)
		list = []section{{"kernel", "kernel", u32(8)}, {"ramdisk", "ramdisk", u32(12)}}
		if version == 4 {
			list = append(list, section{"signature", "", u32(1580)})
		}
		setText(o.Info, "command line", h[44:1580])
		setAndroidVersion(o.Info, uint32(u32(16)))
		if used < 1580 || used > page { // some tools state 1596
			return nil, unpack.ErrNotThis
		}
	case version == 1 || version == 2:
		list = append(list, section{"recovery_dtbo", "", u32(1632)})
		used = 1648
		if version == 2 {
			list, used = append(list, section{"dtb", "", u32(1648)}), 1660
		}
		if u32(1644) != used {
			return nil, unpack.ErrNotThis
		}
	case version > 4: // a device tree's size stood there before there were versions
		list, version = append(list, section{"dt", "", version}), 0
	}
	if version < 3 {
		setText(o.Info, "name", h[48:64])
		setText(o.Info, "command line", append(bytes.Clone(cut0(h[64:576])), cut0(h[608:1632])...))
		setAndroidVersion(o.Info, uint32(u32(44)))
		o.Info["kernel address"] = fmt.Sprintf("0x%x", u32(12))
	}
	o.Format = fmt.Sprintf("android boot %d", version)
	if page < 2048 || page > 128<<10 || page&(page-1) != 0 || list[0].size+list[1].size == 0 {
		return nil, unpack.ErrNotThis
	}
	if !sections(in, o, (used+page-1)/page*page, page, list) {
		return nil, unpack.ErrNotThis
	}
	if version < 3 {
		androidID(in, o, h[576:608], list)
	}
	return o, nil
}

// sections adds the pieces that follow a header of some bytes; false if they
// can't lie in the input.
func sections(in *unpack.Input, o *unpack.Object, at, page int64, list []section) bool {
	end := at
	for _, s := range list {
		end += (s.size + page - 1) / page * page
	}
	if last := lastPage(list, page); end-last > in.Data.Size() && (!in.Whole || end > in.Data.Size()*16+1<<20) {
		return false
	}
	o.Size = min(end, in.Data.Size())
	for _, s := range list {
		if s.size > 0 {
			data := unpack.Window(in.Data, at, s.size)
			if data.Size() < s.size {
				addErr(o, fmt.Errorf("cut off: the %s has %d bytes, %d are there", s.name, s.size, data.Size()))
			}
			o.Parts = append(o.Parts, unwrapMTK(unpack.Part{Name: s.name, Data: data, Offset: at, Format: s.format}))
		}
		at += (s.size + page - 1) / page * page
	}
	return true
}

// lastPage is how many bytes of padding may be missing at the end.
func lastPage(list []section, page int64) int64 {
	for i := len(list) - 1; i >= 0; i-- {
		if n := list[i].size; n > 0 {
			return (page - n%page) % page
		}
	}
	return 0
}

// unwrapMTK takes MediaTek's header of 512 bytes off a kernel or ramdisk.
func unwrapMTK(p unpack.Part) unpack.Part {
	h := unpack.ReadSome(p.Data, 0, 40)
	if len(h) == 40 && string(h[:4]) == "\x88\x16\x88\x58" && int64(binary.LittleEndian.Uint32(h[4:])) == p.Data.Size()-512 {
		p.Info = map[string]string{"MediaTek name": string(cut0(h[8:]))}
		p.Data, p.Offset = unpack.Window(p.Data, 512, p.Data.Size()-512), p.Offset+512
	}
	return p
}

// androidID compares the SHA-1 over all pieces and their sizes.
func androidID(in *unpack.Input, o *unpack.Object, id []byte, list []section) {
	if o.Err != nil || unpack.IsPadding(id) {
		return
	}
	sum := sha1.New()
	at := o.Parts[0].Offset
	for _, p := range o.Parts {
		at = min(at, p.Offset)
	}
	page := int64(binary.LittleEndian.Uint32(unpack.ReadSome(in.Data, 36, 4)))
	at = at / page * page
	for _, s := range list {
		if unpack.Chunks(in.Data, at, s.size, func(p []byte) { sum.Write(p) }) != nil {
			return
		}
		sum.Write(binary.LittleEndian.AppendUint32(nil, uint32(s.size)))
		at += (s.size + page - 1) / page * page
	}
	o.Info["id"] = "matches the content"
	if !bytes.Equal(sum.Sum(nil), id[:sha1.Size]) {
		o.Info["id"] = "does not match the content"
	}
}

// setAndroidVersion parts the version of the system and the month of its
// patches, packed into one word.
func setAndroidVersion(info map[string]string, v uint32) {
	if v>>11 != 0 {
		info["system version"] = fmt.Sprintf("%d.%d.%d", v>>25, v>>18&0x7f, v>>11&0x7f)
	}
	if month := v & 15; month >= 1 && month <= 12 {
		info["patch level"] = fmt.Sprintf("%d-%02d", 2000+v>>4&0x7f, month)
	}
}

// cut0 is text up to its first NUL.
func cut0(b []byte) []byte {
	text, _, _ := bytes.Cut(b, []byte{0})
	return text
}

// setText notes a text field that is not empty.
func setText(info map[string]string, key string, b []byte) {
	if text := strings.TrimSpace(string(cut0(b))); text != "" {
		info[key] = text
	}
}

func openAndroidVendorBoot(in *unpack.Input) (*unpack.Object, error) {
	h := unpack.ReadSome(in.Data, 0, 2128)
	if len(h) < 2128 {
		return nil, unpack.ErrNotThis
	}
	u32 := func(i int) int64 { return int64(binary.LittleEndian.Uint32(h[i:])) }
	version, page, used := u32(8), u32(12), u32(2096)
	if version != 3 && version != 4 || page < 2048 || page > 128<<10 || page&(page-1) != 0 || used < 2108 || used > 4096 { // some tools state 2108 instead of 2112
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: fmt.Sprintf("android vendor boot %d", version), Info: map[string]string{"kernel address": fmt.Sprintf("0x%x", u32(16))}}
	setText(o.Info, "command line", h[28:2076])
	setText(o.Info, "name", h[2080:2096])
	list := []section{{"ramdisk", "ramdisk", u32(24)}, {"dtb", "", u32(2100)}}
	if version == 4 {
		list = append(list, section{"table", "", u32(2112)}, section{"bootconfig", "", u32(2124)})
	}
	start := (used + page - 1) / page * page
	if !sections(in, o, start, page, list) {
		return nil, unpack.ErrNotThis
	}
	if version == 4 && u32(2112) > 0 {
		vendorRamdisks(in, o, start, u32(24), u32(2116), u32(2120))
	}
	return o, nil
}

// vendorRamdisks replaces the ramdisk by those that the table lists.
func vendorRamdisks(in *unpack.Input, o *unpack.Object, start, size, count, entry int64) {
	var table unpack.Bytes
	var rest []unpack.Part
	for _, p := range o.Parts {
		switch p.Name {
		case "table":
			table = p.Data
		case "ramdisk":
		default:
			rest = append(rest, p)
		}
	}
	if table == nil || entry < 108 || entry > 4096 || count < 1 || count > table.Size()/entry {
		addErr(o, fmt.Errorf("the table of ramdisks can't be read"))
		return
	}
	var list []region
	kinds := map[uint32]string{0: "none", 1: "platform", 2: "recovery", 3: "dlkm"}
	for i := range count {
		e := unpack.ReadSome(table, i*entry, 108)
		if len(e) < 108 {
			addErr(o, fmt.Errorf("the table of ramdisks is cut off"))
			return
		}
		n, off, kind := int64(binary.LittleEndian.Uint32(e)), int64(binary.LittleEndian.Uint32(e[4:])), binary.LittleEndian.Uint32(e[8:])
		if off > size || n > size-off {
			addErr(o, fmt.Errorf("ramdisk %d lies outside", i))
			return
		}
		name := string(cut0(e[12:44]))
		if name == "" {
			name = "ramdisk"
		}
		list = append(list, region{name: name, off: start + off, size: n, format: "ramdisk", info: map[string]string{"kind": kinds[kind]}})
	}
	o.Parts = nil
	for _, r := range nameApart(list) {
		o.Parts = append(o.Parts, unpack.Part{Name: r.name, Data: unpack.Window(in.Data, r.off, r.size), Offset: r.off, Format: r.format, Info: r.info})
	}
	o.Parts = append(o.Parts, rest...)
}
