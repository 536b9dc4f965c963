package uefi

import (
	"errors"
	"fmt"
	"slices"

	"github.com/doorward/doorward/internal/unpack"
)

// AMDFlash opens flash images of AMD platforms by their embedded firmware
// structure, which leads to the directories of the security processor (PSP). The
// layout is that of AMD's AGESA documents and of coreboot's amdfwtool.
var AMDFlash = &unpack.Reader{
	Name: "amd-flash",
	Doc:  "flash images of AMD platforms: the directories of the security processor ($PSP, $PL2, $BHD, $BL2, combined ones), each entry with version, zlib unpacked, and what lies between them",
	Limits: "Encrypted entries are reported as unread, signatures are not checked. The firmware of the older platforms' controllers (IMC, GEC, xHCI) has no size of its own and " +
		"is shown with what lies around it.",
	Checked: "an independent writer; coreboot's amdfwtool as the source of layout and checksum",
	Magics: []unpack.Magic{{At: 0x20000, Bytes: efsMagic}, {At: 0xfa0000, Bytes: efsMagic}, {At: 0xf20000, Bytes: efsMagic}, {At: 0xe20000, Bytes: efsMagic}, {At: 0xc20000, Bytes: efsMagic},
		{At: 0x820000, Bytes: efsMagic}, {At: 0x1020000, Bytes: efsMagic}, {At: 0x1fa0000, Bytes: efsMagic}, {At: 0x1c20000, Bytes: efsMagic}, {At: 0x1820000, Bytes: efsMagic}, {At: 0, Bytes: efsMagic}},
	Open: openAMDFlash,
}

const (
	efsMagic  = "\xaa\x55\xaa\x55"
	efsSize   = 0x50
	pspHead   = 16
	pspMax    = 255 // entries
	pspDirs   = 64  // directories
	pspWindow = 16 << 20
)

// Places of the structure within 16 MiB, and of its pointers to directories.
var (
	efsPlaces   = []int64{0x20000, 0x820000, 0xc20000, 0xe20000, 0xf20000, 0xfa0000}
	efsPointers = []int64{0x10, 0x14, 0x18, 0x1c, 0x20, 0x28, 0x2c}
)

// amdFlash is an image that is being read.
type amdFlash struct {
	*unpack.Gatherer
	in    *unpack.Input
	data  unpack.Bytes
	base  int64 // of the 16 MiB that the addresses count in
	shift int64 // of the data in the flash
	spans []span
	seen  map[int64]bool // directories
	names map[string]bool
	files map[int64]bool
	fuses []string
}

func openAMDFlash(in *unpack.Input) (*unpack.Object, error) {
	if !in.Whole {
		return nil, unpack.ErrNotThis
	}
	f := &amdFlash{Gatherer: unpack.NewGatherer(in), in: in, data: in.Data, seen: map[int64]bool{}, names: map[string]bool{}, files: map[int64]bool{}}
	found := 0
	for f.base = 0; f.base < in.Data.Size() && f.base <= pspWindow; f.base += pspWindow {
		for _, at := range efsPlaces {
			f.shift = 0
			found += f.structure(f.base + at)
		}
	}
	if f.base = 0; found == 0 {
		// What coreboot stores as a file of its own begins with the structure.
		for _, at := range efsPlaces {
			if f.shift = at; found == 0 {
				found += f.structure(0)
			}
		}
	}
	if found == 0 {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "amd flash image", Size: in.Data.Size(), Info: map[string]string{}}
	if len(f.fuses) > 0 {
		o.Info["soft fuses"] = f.fuses[0]
		f.Add(unpack.Entry{Path: "soft-fuses.txt", Mode: 0o644, Data: unpack.Slice(f.fuseText())})
	}
	f.Finish(o)
	o.Parts = leftovers(in.Data, f.spans, in.Data.Size())
	return o, nil
}

// structure follows the pointers of an embedded firmware structure and returns
// how many directories it leads to.
func (f *amdFlash) structure(at int64) int {
	b, err := unpack.ReadFull(f.data, at, efsSize)
	if err != nil || string(b[:4]) != efsMagic {
		return 0
	}
	n := 0
	for _, p := range efsPointers {
		if v := le32(b[p:]); v != 0 && v < 0xfffffffe {
			if f.directory(f.place(uint64(v)), 0) {
				n++
			}
		}
	}
	if n > 0 {
		f.spans = append(f.spans, span{at, at + efsSize})
	}
	return n
}

// place is where an address of the processor, or of the flash, lies in the data.
func (f *amdFlash) place(addr uint64) int64 {
	at := int64(addr & (pspWindow - 1))
	if addr < uint64(f.data.Size()) && addr >= pspWindow {
		return int64(addr) - f.shift // an offset in an image of more than 16 MiB
	}
	if size := f.data.Size(); f.shift == 0 && size < pspWindow && at >= size && size&(size-1) == 0 {
		at &= size - 1 // a smaller flash ends where the addresses end
	}
	return f.base + at - f.shift
}

// dirKinds are the magics of directories and the kind of their entries.
var dirKinds = map[string]string{"$PSP": "psp", "$PL2": "psp", "$BHD": "bios", "$BL2": "bios", "2PSP": "combo", "2BHD": "combo"}

// directory reads a directory and what it leads to.
func (f *amdFlash) directory(at int64, depth int) bool {
	h := unpack.ReadSome(f.data, at, pspHead)
	if len(h) < pspHead || depth > 4 {
		return false
	}
	kind := dirKinds[string(h[:4])]
	if kind == "" || f.seen[at] {
		return kind != ""
	}
	if len(f.seen) >= pspDirs {
		return false
	}
	f.seen[at] = true
	head, each := int64(pspHead), int64(16)
	switch kind {
	case "bios":
		each = 24
	case "combo":
		head = 32
	}
	n := int64(le32(h[8:]))
	b, err := unpack.ReadFull(f.data, at, head+n*each)
	if n > pspMax || err != nil {
		f.Damage(fmt.Errorf("amd psp: the directory at 0x%x is cut off or damaged", at))
		return true
	}
	if fletcher32(b[8:]) != le32(b[4:]) {
		f.Damage(fmt.Errorf("amd psp: the directory %s at 0x%x has a wrong checksum", h[:4], at))
	}
	f.spans = append(f.spans, span{at, at + int64(len(b))})
	mode := le32(h[12:]) >> 29 & 3
	for e := b[head:]; len(e) > 0 && !f.Stop(); e = e[each:] {
		if kind == "combo" {
			f.directory(f.place(le64(e[8:])), depth+1)
			continue
		}
		f.entry(kind, at, mode, e, depth)
	}
	return true
}

// fletcher32 is the checksum of the directories: over words, and folded as
// amdfwtool does it.
func fletcher32(b []byte) uint32 {
	c0, c1 := uint32(0xffff), uint32(0xffff)
	for i := 0; len(b) >= 2; b = b[2:] {
		c0 += uint32(le16(b))
		c1 += c0
		if i++; i == 359 {
			c0, c1, i = c0&0xffff+c0>>16, c1&0xffff+c1>>16, 0
		}
	}
	c0, c1 = c0&0xffff+c0>>16, c1&0xffff+c1>>16
	c0, c1 = c0&0xffff+c0>>16, c1&0xffff+c1>>16
	return c1<<16 | c0
}

var errOutside = errors.New("lies outside of the image")

// entry takes one entry of a directory.
func (f *amdFlash) entry(kind string, dir int64, mode uint32, e []byte, depth int) {
	size, addr := int64(le32(e[4:])), le64(e[8:])
	if kind == "psp" && e[0] == pspFuses {
		f.fuses = append(f.fuses, fmt.Sprintf("0x%x", addr&(1<<62-1)))
		return
	}
	at := f.place(addr &^ (3 << 62))
	if mode >= 2 && addr>>62 == 2 {
		at = dir + int64(addr&0xffffffff)
	}
	if f.directory(at, depth+1) || f.slot(kind, e[0], at, depth) {
		return
	}
	if size == 0 || size == 0xffffffff || addr == 0 && mode < 2 {
		return // nothing is stored: the place in memory for what is made while booting
	}
	f.file(kind, e, at, size)
}

// slot follows the header of a slot of recovery images (types 48 and 4a), which
// names the place of its directory.
func (f *amdFlash) slot(kind string, t byte, at int64, depth int) bool {
	if kind != "psp" || t != 0x48 && t != 0x4a {
		return false
	}
	h, err := unpack.ReadFull(f.data, at, 0x20)
	if err != nil || !f.directory(f.place(uint64(le32(h[0x10:]))), depth+1) {
		return false
	}
	f.spans = append(f.spans, span{at, at + 0x20})
	return true
}

// fuseText tells the soft fuses that matter, as coreboot's
// soc/amd/common/block/psp/Kconfig names their bits.
func (f *amdFlash) fuseText() string {
	text := "# AMD soft fuses\n"
	slices.Sort(f.fuses)
	for _, v := range slices.Compact(f.fuses) {
		var n uint64
		fmt.Sscanf(v, "0x%x", &n)
		text += "fuses " + v + "\n"
		for bit, means := range map[int]string{0: "secure debug unlocked"} {
			if n>>bit&1 != 0 {
				text += means + "\n"
			}
		}
	}
	return text
}
