package uefi

import (
	"fmt"
	"strconv"

	"github.com/doorward/doorward/internal/unpack"
)

// IntelMicrocode opens updates of Intel's processors (Intel 64 and IA-32
// Architectures Software Developer's Manual, volume 3, section 9.11).
var IntelMicrocode = &unpack.Reader{
	Name:    "intel-microcode",
	Doc:     "microcode updates of Intel processors, one or many, with processor signature, revision and date",
	Limits:  "The microcode itself is encrypted. Within other bytes only updates at multiples of 512 are found.",
	Checked: "iucode-tool on updates written by hand",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\x01\x00\x00\x00"}},
	Block:   func(b []byte) bool { _, ok := parseIntelUpdate(b); return ok },
	Open:    openIntelMicrocode,
}

const intelHeader = 48

// intelUpdate is the header of an update.
type intelUpdate struct {
	revision, signature, flags uint32
	date                       string
	data, total                int64
}

func bcdDate(v uint32) (string, bool) {
	for i := range 8 {
		if v>>(4*i)&15 > 9 {
			return "", false
		}
	}
	month, day, year := v>>24, v>>16&255, v&0xffff
	ok := month >= 1 && month <= 0x12 && day >= 1 && day <= 0x31 && year >= 0x1990 && year <= 0x2099
	return fmt.Sprintf("%04x-%02x-%02x", year, month, day), ok
}

func parseIntelUpdate(b []byte) (u intelUpdate, ok bool) {
	if len(b) < intelHeader || le32(b) != 1 || le32(b[20:]) != 1 || !unpack.OnlyByte(b[40:48], 0) {
		return u, false
	}
	u = intelUpdate{revision: le32(b[4:]), signature: le32(b[12:]), flags: le32(b[24:]), data: int64(le32(b[28:])), total: int64(le32(b[32:]))}
	if u.data == 0 {
		u.data, u.total = 2000, 2048
	}
	u.date, ok = bcdDate(le32(b[8:]))
	ok = ok && u.data%4 == 0 && u.total >= u.data+intelHeader && u.total <= 16<<20 && u.total%1024 == 0 && u.flags < 0x100 && u.signature != 0
	return u, ok
}

// sum32 is the sum of little-endian words.
func sum32(b []byte) (s uint32) {
	for ; len(b) >= 4; b = b[4:] {
		s += le32(b)
	}
	return s
}

func openIntelMicrocode(in *unpack.Input) (*unpack.Object, error) {
	g := unpack.NewGatherer(in)
	o := &unpack.Object{Format: "intel microcode", Info: map[string]string{}}
	at, n := int64(0), 0
	for !g.Stop() {
		u, ok := parseIntelUpdate(unpack.ReadSome(in.Data, at, intelHeader))
		if !ok {
			break
		}
		b, err := unpack.ReadFull(in.Data, at, u.total)
		switch {
		case err != nil && n == 0 || err == nil && n == 0 && sum32(b) != 0:
			return nil, unpack.ErrNotThis // the header alone proves nothing
		case err != nil:
			g.Damage(fmt.Errorf("microcode: cut off at 0x%x", at))
			u.total = in.Data.Size() - at
		case sum32(b) != 0:
			g.Damage(fmt.Errorf("microcode: the update at 0x%x has a wrong checksum", at))
		}
		intelEntry(g, u, unpack.Window(in.Data, at, u.total), at, n)
		n++
		at += u.total
	}
	if n == 0 {
		return nil, unpack.ErrNotThis
	}
	o.Size, o.Info["updates"] = at, strconv.Itoa(n)
	g.Finish(o)
	return o, nil
}

// intelEntry adds an update for each processor that it is for.
func intelEntry(g *unpack.Gatherer, u intelUpdate, data unpack.Bytes, at int64, n int) {
	attrs := map[string]string{"cpu.maker": "Intel", "cpu.signature": fmt.Sprintf("%x", u.signature), "cpu.flags": fmt.Sprintf("%x", u.flags), "microcode.revision": fmt.Sprintf("0x%x", u.revision), "microcode.date": u.date}
	more, err := extendedSignatures(data, u)
	if err != nil {
		g.Damage(err)
	}
	if more != "" {
		attrs["cpu.more"] = more
	}
	g.Add(unpack.Entry{Path: fmt.Sprintf("%d-cpu-%05x-%02x-rev-%x.bin", n, u.signature, u.flags, u.revision), Mode: 0o644, Data: data, Order: at, Xattrs: attrs,
		Err: fmt.Errorf("%w: microcode of an Intel processor", unpack.ErrEncrypted)})
}

// extendedSignatures lists the further processors that an update is for.
func extendedSignatures(data unpack.Bytes, u intelUpdate) (string, error) {
	from := u.data + intelHeader
	if u.total < from+20 || data.Size() < u.total {
		return "", nil
	}
	b, err := unpack.ReadFull(data, from, u.total-from)
	if err != nil {
		return "", err
	}
	n := int64(le32(b))
	if n == 0 {
		return "", nil
	}
	if n > (int64(len(b))-20)/12 || sum32(b[:20+n*12]) != 0 {
		return "", fmt.Errorf("microcode: the extended table of %x is damaged", u.signature)
	}
	list := ""
	for i := range n {
		list += fmt.Sprintf(" %x", le32(b[20+i*12:]))
	}
	return list[1:], nil
}

// AMDMicrocode opens containers of updates of AMD's processors, as Linux loads
// them (arch/x86/kernel/cpu/microcode/amd.c).
var AMDMicrocode = &unpack.Reader{
	Name:    "amd-microcode",
	Doc:     "containers of microcode updates of AMD processors, with processor and revision",
	Limits:  "The microcode itself is not decoded.",
	Checked: "containers written by hand",
	Magics:  []unpack.Magic{{At: 0, Bytes: "DMA\x00\x00\x00\x00\x00"}},
	Carve:   true,
	Open:    openAMDMicrocode,
}

const (
	amdMagic = "DMA\x00"
	amdPatch = 1
	amdHead  = 64 // bytes of a patch's header
)

func openAMDMicrocode(in *unpack.Input) (*unpack.Object, error) {
	g := unpack.NewGatherer(in)
	at, n := int64(0), 0
	for !g.Stop() {
		h, err := unpack.ReadFull(in.Data, at, 12)
		if err != nil || string(h[:4]) != amdMagic || le32(h[4:]) != 0 {
			break
		}
		table := int64(le32(h[8:]))
		if table < 16 || table%16 != 0 || table > in.Data.Size()-at-12 {
			break
		}
		if !unpack.OnlyByte(unpack.ReadSome(in.Data, at+12+table-16, 16), 0) {
			break // the table's end
		}
		at += 12 + table
		for ; ; n++ {
			size, err := amdPatchAt(in, g, at, n)
			if err != nil {
				g.Damage(err)
				size = in.Data.Size() - at
			}
			if size == 0 {
				break
			}
			at += size
		}
	}
	if n == 0 {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "amd microcode", Size: min(at, in.Data.Size()), Info: map[string]string{"updates": strconv.Itoa(n)}}
	g.Finish(o)
	return o, nil
}

// amdPatchAt adds the patch at an offset and returns its size with the section's
// header; 0 if there is none.
func amdPatchAt(in *unpack.Input, g *unpack.Gatherer, at int64, n int) (int64, error) {
	h, err := unpack.ReadFull(in.Data, at, 8+amdHead)
	if err != nil || le32(h) != amdPatch {
		return 0, nil
	}
	size := int64(le32(h[4:]))
	p := h[8:]
	date, ok := bcdDate(le32(p))
	if size < amdHead || size > 1<<20 || !ok {
		return 0, nil
	}
	attrs := map[string]string{"cpu.maker": "AMD", "cpu.signature": fmt.Sprintf("%04x", le16(p[24:])), "microcode.revision": fmt.Sprintf("0x%x", le32(p[4:])), "microcode.date": date}
	e := unpack.Entry{Path: fmt.Sprintf("%d-cpu-%04x-rev-%08x.bin", n, le16(p[24:]), le32(p[4:])), Mode: 0o644, Data: unpack.Window(in.Data, at+8, size), Order: at, Xattrs: attrs,
		Err: fmt.Errorf("%w: microcode of an AMD processor", unpack.ErrUnsupported)}
	g.Add(e)
	if size > in.Data.Size()-at-8 {
		return 0, fmt.Errorf("microcode: cut off at 0x%x", at)
	}
	return 8 + size, nil
}
