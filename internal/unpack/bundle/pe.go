package bundle

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/doorward/doorward/internal/unpack"
)

// PE gives what a Windows program carries: the data behind its last section, and
// resources that are archives or programs. Layout: Microsoft's "PE Format".
var PE = &unpack.Reader{
	Name:    "pe",
	Doc:     "what Windows programs carry: data behind their last section (installers, self-extracting archives), resources that are archives or programs; those packed by UPX are reported.",
	Limits:  "The program that UPX packed is not unpacked: it is reported as compressed. Of the resources only those are taken that begin as an archive or a program does.",
	Checked: "installers of makensis, hand-made programs with resources, certificates and appended archives",
	Magics:  []unpack.Magic{{At: 0, Bytes: "MZ"}},
	Program: true,
	Open:    openPE,
}

const (
	peMaxSections  = 96
	peMaxResources = 4096
)

type peFile struct {
	data     unpack.Bytes
	end      int64 // of headers, sections and symbols
	cert     int64 // of the certificates; the file's end if there are none
	certEnd  int64
	sections []peSection
	resource int64 // RVA of the resources
}

type peSection struct {
	name        string
	rva, offset int64
	size        int64 // in the file
}

func openPE(in *unpack.Input) (*unpack.Object, error) {
	f := readPE(in.Data)
	if f == nil {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "pe", Size: in.Data.Size()}
	for _, p := range f.resources() {
		o.Parts = append(o.Parts, p)
	}
	for _, s := range f.sections {
		if elfSections[s.name] {
			o.Parts = append(o.Parts, unpack.Part{Name: s.name, Data: unpack.Window(f.data, s.offset, s.size), Offset: s.offset})
		}
	}
	if len(f.sections) > 1 && f.sections[0].name == "UPX0" && f.sections[1].name == "UPX1" {
		o.Gaps = append(o.Gaps, unpack.Gap{Offset: f.sections[1].offset, Size: f.sections[1].size, Reason: "compressed", Note: "packed with UPX: upx -d gives the program itself"})
	}
	if p, ok := overlay(in.Data, f.end, f.cert); ok {
		o.Parts = append(o.Parts, p)
	}
	if p, ok := overlay(in.Data, max(f.end, f.certEnd), in.Data.Size()); ok && f.cert < in.Data.Size() {
		p.Name = "behind-certificates"
		o.Parts = append(o.Parts, p)
	}
	if len(o.Parts) == 0 && len(o.Gaps) == 0 {
		return nil, unpack.ErrNotThis
	}
	return o, nil
}

// readPE reads the headers; nil if they make no sense.
func readPE(b unpack.Bytes) *peFile {
	le := binary.LittleEndian
	dos, err := unpack.ReadFull(b, 0, 64)
	if err != nil || string(dos[:2]) != "MZ" {
		return nil
	}
	at := int64(le.Uint32(dos[60:]))
	h, err := unpack.ReadFull(b, at, 24)
	if err != nil || string(h[:4]) != "PE\x00\x00" {
		return nil
	}
	count, symbols, symbolCount, optional := int64(le.Uint16(h[6:])), int64(le.Uint32(h[12:])), int64(le.Uint32(h[16:])), int64(le.Uint16(h[20:]))
	opt, err := unpack.ReadFull(b, at+24, optional)
	if err != nil || count > peMaxSections || optional < 96 {
		return nil
	}
	f := &peFile{data: b, cert: b.Size(), certEnd: b.Size()}
	f.reach(0, int64(le.Uint32(opt[60:])))
	f.reach(at+24+optional, 40*count)
	dirs := opt[96:]
	if le.Uint16(opt) == 0x20b && len(opt) >= 112 {
		dirs = opt[112:]
	}
	if len(dirs) >= 3*8 {
		f.resource = int64(le.Uint32(dirs[16:]))
	}
	for i := range count {
		s, err := unpack.ReadFull(b, at+24+optional+40*i, 40)
		if err != nil {
			return nil
		}
		sec := peSection{strings.TrimRight(string(s[:8]), "\x00"), int64(le.Uint32(s[12:])), int64(le.Uint32(s[20:])), int64(le.Uint32(s[16:]))}
		f.reach(sec.offset, sec.size)
		f.sections = append(f.sections, sec)
	}
	if symbols > 0 {
		f.reach(symbols, 18*symbolCount)
		if n, err := unpack.ReadFull(b, symbols+18*symbolCount, 4); err == nil {
			f.reach(symbols+18*symbolCount, int64(le.Uint32(n)))
		}
	}
	// The certificates lie in the file only; their directory has an offset.
	if len(dirs) >= 5*8 {
		off, n := int64(le.Uint32(dirs[32:])), int64(le.Uint32(dirs[36:]))
		if n > 0 && off >= f.end && off+n <= b.Size() {
			f.cert, f.certEnd = off, off+n
		}
	}
	return f
}

func (f *peFile) reach(off, n int64) {
	if n > 0 && off >= 0 && off+n <= f.data.Size() {
		f.end = max(f.end, off+n)
	}
}

// fileOffset is where an address of the loaded program lies in the file, or -1.
func (f *peFile) fileOffset(rva int64) int64 {
	for _, s := range f.sections {
		if rva >= s.rva && rva-s.rva < s.size {
			return s.offset + rva - s.rva
		}
	}
	return -1
}

// payloadMagics are the beginnings of what is worth opening in a resource.
var payloadMagics = []string{
	"MZ", "PK\x03\x04", "MSCF", "7z\xbc\xaf\x27\x1c", "Rar!\x1a\x07", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "\x7fELF", "\x1f\x8b\x08", "\xfd7zXZ\x00", "BZh",
}

// resources are the leaves of the tree of types, names and languages that begin
// like an archive or a program.
func (f *peFile) resources() []unpack.Part {
	base := f.fileOffset(f.resource)
	if f.resource == 0 || base < 0 {
		return nil
	}
	w := &resourceWalk{f: f, base: base, seen: map[int64]bool{}}
	w.folder(0, "", 0)
	return w.parts
}

type resourceWalk struct {
	f     *peFile
	base  int64
	seen  map[int64]bool
	parts []unpack.Part
	count int
}

var resourceTypes = map[uint32]string{1: "CURSOR", 2: "BITMAP", 3: "ICON", 10: "RCDATA", 16: "VERSION", 24: "MANIFEST"}

func (w *resourceWalk) folder(off int64, path string, depth int) {
	if depth > 3 || w.seen[off] {
		return
	}
	w.seen[off] = true
	le := binary.LittleEndian
	h, err := unpack.ReadFull(w.f.data, w.base+off, 16)
	if err != nil {
		return
	}
	n := int64(le.Uint16(h[12:])) + int64(le.Uint16(h[14:]))
	table, err := unpack.ReadFull(w.f.data, w.base+off+16, 8*n)
	if err != nil {
		return
	}
	for ; len(table) > 0; table = table[8:] {
		if w.count++; w.count > peMaxResources {
			return
		}
		id, at := le.Uint32(table), le.Uint32(table[4:])
		name := w.name(id, depth)
		if path != "" {
			name = path + "/" + name
		}
		if at&0x80000000 != 0 {
			w.folder(int64(at&0x7fffffff), name, depth+1)
			continue
		}
		w.leaf(int64(at), name)
	}
}

func (w *resourceWalk) name(id uint32, depth int) string {
	if id&0x80000000 == 0 {
		if depth == 0 && resourceTypes[id] != "" {
			return resourceTypes[id]
		}
		return fmt.Sprint(id)
	}
	off := w.base + int64(id&0x7fffffff)
	h, err := unpack.ReadFull(w.f.data, off, 2)
	if err != nil {
		return "?"
	}
	b := unpack.ReadSome(w.f.data, off+2, 2*int64(min(binary.LittleEndian.Uint16(h), 256)))
	var text []uint16
	for i := 0; i+2 <= len(b); i += 2 {
		text = append(text, binary.LittleEndian.Uint16(b[i:]))
	}
	return string(utf16.Decode(text))
}

func (w *resourceWalk) leaf(at int64, name string) {
	e, err := unpack.ReadFull(w.f.data, w.base+at, 16)
	if err != nil {
		return
	}
	off, n := w.f.fileOffset(int64(binary.LittleEndian.Uint32(e))), int64(binary.LittleEndian.Uint32(e[4:]))
	if off < 0 || n < 64 || off+n > w.f.data.Size() || w.seen[-1-off] {
		return
	}
	w.seen[-1-off] = true
	head := string(unpack.ReadSome(w.f.data, off, 16))
	for _, m := range payloadMagics {
		if strings.HasPrefix(head, m) {
			w.parts = append(w.parts, unpack.Part{Name: name, Data: unpack.Window(w.f.data, off, n), Offset: off})
			return
		}
	}
}
