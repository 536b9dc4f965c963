package bundle

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// ELF gives what an ELF program carries: the data behind its end, where
// AppImages, self-extracting programs and bundled interpreters have theirs, and
// sections that are known to hold a payload.
var ELF = &unpack.Reader{
	Name:    "elf",
	Doc:     "what ELF programs carry: data behind their end (AppImage 1 and 2, self-extracting programs), sections with a payload (PyInstaller, Node single executable applications); programs packed by UPX are reported.",
	Limits:  "The program that UPX packed is not unpacked: it is reported as compressed.",
	Checked: "programs of gcc with every kind of payload appended, hand-made headers of both classes and byte orders",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\x7fELF"}},
	Program: true,
	Open:    openELF,
}

// elfSections are sections that hold a payload.
var elfSections = map[string]bool{
	"pydata":         true, // PyInstaller
	".note.node.sea": true, // Node single executable application, postject's note
	"NODE_SEA_BLOB":  true,
}

const (
	elfMaxSections = 1 << 16
	elfMaxSegments = 1 << 16
	// overlayMin is the least that is taken for a payload: a linker's
	// alignment or a stray mark is none.
	overlayMin = 16
)

// elfFile is where the pieces of an ELF file lie.
type elfFile struct {
	data     unpack.Bytes
	order    binary.ByteOrder
	wide     bool
	end      int64 // of all that the headers describe
	sections []elfSection
	cut      bool // some of that is missing: nothing can lie behind
}

type elfSection struct {
	name        string
	nameAt      uint32
	kind        uint32
	offset, len int64
}

func openELF(in *unpack.Input) (*unpack.Object, error) {
	f := readELF(in.Data)
	if f == nil {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "elf", Size: in.Data.Size()}
	for _, s := range f.sections {
		if elfSections[s.name] && s.len > 0 {
			o.Parts = append(o.Parts, f.section(s))
		}
	}
	if isUPX(in.Data, f) {
		o.Gaps = append(o.Gaps, unpack.Gap{Offset: 0, Size: in.Data.Size(), Reason: "compressed", Note: "packed with UPX: upx -d gives the program itself"})
	} else if p, ok := overlay(in.Data, f.end, in.Data.Size()); ok && !f.cut {
		o.Parts = append(o.Parts, p)
	}
	if len(o.Parts) == 0 && len(o.Gaps) == 0 {
		return nil, unpack.ErrNotThis
	}
	return o, nil
}

// section is the content of a payload section. A note's descriptor is it, if
// there is one.
func (f *elfFile) section(s elfSection) unpack.Part {
	const note = 7
	off, n := s.offset, s.len
	if s.kind == note && n >= 12 {
		h, err := unpack.ReadFull(f.data, off, 12)
		if err == nil {
			name, desc := int64(f.order.Uint32(h)), int64(f.order.Uint32(h[4:]))
			if start := 12 + (name+3)&^3; start <= n && desc <= n-start {
				off, n = off+start, desc
			}
		}
	}
	return unpack.Part{Name: s.name, Data: unpack.Window(f.data, off, n), Offset: off}
}

// overlay is the data from the end of a program to a place, unless they are
// padding or a signature.
func overlay(data unpack.Bytes, from, to int64) (unpack.Part, bool) {
	if to-from < overlayMin || unpack.OnlyPadding(unpack.Window(data, 0, to), from) {
		return unpack.Part{}, false
	}
	const signed = "~Module signature appended~\n"
	if string(unpack.ReadSome(data, to-int64(len(signed)), int64(len(signed)))) == signed {
		return unpack.Part{}, false
	}
	return unpack.Part{Name: "overlay", Data: unpack.Window(data, from, to-from), Offset: from}, true
}

// readELF reads the headers; nil if they make no sense.
func readELF(b unpack.Bytes) *elfFile {
	h := unpack.ReadSome(b, 0, 64)
	if len(h) < 52 || string(h[:4]) != "\x7fELF" || h[4] < 1 || h[4] > 2 || h[5] < 1 || h[5] > 2 {
		return nil
	}
	f := &elfFile{data: b, order: binary.LittleEndian, wide: h[4] == 2}
	if h[5] == 2 {
		f.order = binary.BigEndian
	}
	if f.wide && len(h) < 64 {
		return nil
	}
	var phoff, shoff int64
	var counts []byte
	if f.wide {
		phoff, shoff, counts = f.word64(h[32:]), f.word64(h[40:]), h[52:]
	} else {
		phoff, shoff, counts = int64(f.order.Uint32(h[28:])), int64(f.order.Uint32(h[32:])), h[40:]
	}
	half := func(i int) int64 { return int64(f.order.Uint16(counts[2*i:])) }
	f.end = half(0)
	f.segments(phoff, half(1), half(2))
	f.readSections(shoff, half(3), half(4), half(5))
	if f.end <= half(0) {
		return nil // nothing is described
	}
	return f
}

func (f *elfFile) word64(b []byte) int64 { return int64(f.order.Uint64(b) & (1<<62 - 1)) }

// reach notes that the file goes on up to somewhere.
func (f *elfFile) reach(off, n int64) {
	switch {
	case n <= 0:
	case off >= 0 && off+n <= f.data.Size():
		f.end = max(f.end, off+n)
	default:
		f.cut = true
	}
}

func (f *elfFile) segments(off, size, count int64) {
	if want := map[bool]int64{false: 32, true: 56}[f.wide]; size != want || count > elfMaxSegments {
		return
	}
	table, err := unpack.ReadFull(f.data, off, size*count)
	if err != nil {
		return
	}
	f.reach(off, size*count)
	for ; len(table) > 0; table = table[size:] {
		if f.wide {
			f.reach(f.word64(table[8:]), f.word64(table[32:]))
		} else {
			f.reach(int64(f.order.Uint32(table[4:])), int64(f.order.Uint32(table[16:])))
		}
	}
}

func (f *elfFile) readSections(off, size, count, names int64) {
	if want := map[bool]int64{false: 40, true: 64}[f.wide]; size != want || off == 0 || count == 0 || count > elfMaxSections {
		return
	}
	table, err := unpack.ReadFull(f.data, off, size*count)
	if err != nil {
		return
	}
	f.reach(off, size*count)
	for ; len(table) > 0; table = table[size:] {
		s := elfSection{nameAt: f.order.Uint32(table), kind: f.order.Uint32(table[4:])}
		if f.wide {
			s.offset, s.len = f.word64(table[24:]), f.word64(table[32:])
		} else {
			s.offset, s.len = int64(f.order.Uint32(table[16:])), int64(f.order.Uint32(table[20:]))
		}
		const noBits = 8
		if s.kind == noBits || s.kind == 0 {
			s.len = 0
		}
		f.reach(s.offset, s.len)
		f.sections = append(f.sections, s)
	}
	if names < int64(len(f.sections)) {
		n := f.sections[names]
		text := unpack.ReadSome(f.data, n.offset, min(n.len, 1<<20))
		for i := range f.sections {
			if at := int(f.sections[i].nameAt); at < len(text) {
				name, _, _ := bytes.Cut(text[at:], []byte{0})
				f.sections[i].name = string(name)
			}
		}
	}
}

// isUPX knows the loader that UPX puts before a packed program: no sections, and
// its mark in the first page and in the last bytes.
func isUPX(b unpack.Bytes, f *elfFile) bool {
	if len(f.sections) > 1 {
		return false
	}
	head, tail := unpack.ReadSome(b, 0, 512), unpack.ReadSome(b, max(0, b.Size()-64), 64)
	return strings.Contains(string(head), "UPX!") && strings.Contains(string(tail), "UPX!")
}
