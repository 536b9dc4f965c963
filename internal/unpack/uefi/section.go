package uefi

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/doorward/doorward/internal/unpack"
)

// Types of sections (PI 1.7, volume 3, table 3-4).
const (
	secCompressed = 0x01
	secGUIDed     = 0x02
	secDisposable = 0x03
	secPE32       = 0x10
	secPIC        = 0x11
	secTE         = 0x12
	secDXEDepex   = 0x13
	secVersion    = 0x14
	secUI         = 0x15
	secCompat16   = 0x16
	secVolume     = 0x17
	secFreeform   = 0x18
	secRaw        = 0x19
	secPEIDepex   = 0x1b
	secMMDepex    = 0x1c
)

var sectionNames = map[byte]string{
	secPIC: "pic", secDXEDepex: "dxe-depex", secCompat16: "compat16", secVolume: "volume", secRaw: "raw",
	secPEIDepex: "pei-depex", secMMDepex: "mm-depex", 0x20: "postcode", 0xf0: "postcode",
}

// sections collects the leaves of one file's sections, whatever they are
// packed in: its name stands in one of them.
type sections struct {
	*walker
	file    *ffsFile
	volume  bool // the file is an image of a volume
	ui      string
	version string
	leaves  []sectionLeaf
	count   int
}

type sectionLeaf struct {
	kind byte
	name string // in place of that of the kind
	data unpack.Bytes
	err  error
}

// Bounds on what one file may hold.
const (
	maxSectionDepth = 12
	maxSections     = 20_000
)

var errSection = errors.New("a section's size is impossible")

// section is one section of a stream.
type section struct {
	kind byte
	data unpack.Bytes // with its header
	head int64
}

func (s *section) body() unpack.Bytes {
	return unpack.Window(s.data, s.head, s.data.Size()-s.head)
}

// sectionAt reads the header of a section.
func sectionAt(b unpack.Bytes, at int64) (*section, error) {
	h := unpack.ReadSome(b, at, 8)
	if len(h) < 4 {
		return nil, errSection
	}
	size, head := u24(h), int64(4)
	if size == 0xffffff {
		if len(h) < 8 {
			return nil, errSection
		}
		size, head = int64(le32(h[4:])), 8
	}
	if size < head || size > b.Size()-at {
		return nil, fmt.Errorf("%w: type 0x%02x of %d bytes at 0x%x", errSection, h[3], size, at)
	}
	return &section{h[3], unpack.Window(b, at, size), head}, nil
}

// list parses a stream of sections.
func listSections(b unpack.Bytes) ([]*section, error) {
	var list []*section
	for at := int64(0); at < b.Size(); {
		if rest := b.Size() - at; rest < 4 || rest < 64 && unpack.OnlyPadding(b, at) {
			break
		}
		s, err := sectionAt(b, at)
		if err != nil {
			if unpack.OnlyPadding(b, at) {
				break
			}
			return list, err
		}
		if list = append(list, s); len(list) > maxSections {
			return list, errors.New("too many sections")
		}
		at = align(at+s.data.Size(), 4)
	}
	return list, nil
}

// walk takes all sections of a stream.
func (s *sections) walk(b unpack.Bytes, depth int) error {
	if depth > maxSectionDepth {
		return fmt.Errorf("%w: more than %d sections within sections", unpack.ErrLimit, maxSectionDepth)
	}
	list, bad := listSections(b)
	for _, sec := range list {
		if s.count++; s.count > maxSections || s.Stop() {
			return fmt.Errorf("%w: more than %d sections", unpack.ErrLimit, maxSections)
		}
		if err := s.take(sec, depth); err != nil && bad == nil {
			bad = err
		}
	}
	return bad
}

// take adds a section, or what is packed in it.
func (s *sections) take(sec *section, depth int) error {
	switch sec.kind {
	case secCompressed:
		return s.compressed(sec, depth)
	case secGUIDed:
		return s.guided(sec, depth)
	case secDisposable:
		return s.walk(sec.body(), depth+1)
	case secUI:
		s.ui = unpack.UTF16(unpack.ReadSome(sec.body(), 0, 512))
	case secVersion:
		s.version = versionOf(sec.body())
	case secFreeform:
		if b := unpack.ReadSome(sec.body(), 0, 16); len(b) == 16 {
			s.leaves = append(s.leaves, sectionLeaf{sec.kind, "freeform-" + guidAt(b).title(), unpack.Window(sec.body(), 16, sec.data.Size()), nil})
			return nil
		}
		return errSection
	case secTE:
		data, err := peOfTE(sec.body())
		if err != nil {
			s.leaves = append(s.leaves, sectionLeaf{sec.kind, "te", sec.body(), nil})
			return err
		}
		s.leaves = append(s.leaves, sectionLeaf{secPE32, "", data, nil})
	default:
		if sec.kind == secRaw && unpack.OnlyPadding(sec.body(), 0) {
			return nil // it aligns what follows
		}
		s.leaves = append(s.leaves, sectionLeaf{sec.kind, "", sec.body(), nil})
	}
	return nil
}

// versionOf is the text of a version section, with its build number.
func versionOf(b unpack.Bytes) string {
	p := unpack.ReadSome(b, 0, 512)
	if len(p) < 2 {
		return ""
	}
	text := unpack.UTF16(p[2:])
	if build := le16(p); build != 0 && text != "" {
		text += " build " + strconv.Itoa(int(build))
	}
	return text
}

// packed adds what could not be unpacked.
func (s *sections) packed(name string, data unpack.Bytes, err error) {
	s.leaves = append(s.leaves, sectionLeaf{0, name, data, err})
}

// compressed unpacks a section of type 1.
func (s *sections) compressed(sec *section, depth int) error {
	h := unpack.ReadSome(sec.body(), 0, 5)
	if len(h) < 5 {
		return errSection
	}
	size, method := int64(le32(h)), h[4]
	body := unpack.Window(sec.body(), 5, sec.data.Size())
	switch method {
	case 0:
		return s.walk(body, depth+1)
	case 1:
		return s.unpacked("tiano", body, depth, func() (unpack.Slice, error) { return s.standard(body, size) })
	case 2:
		return s.unpacked("lzma", body, depth, func() (unpack.Slice, error) { return unpackLZMA(s.in, body, false) })
	}
	s.packed("compressed", body, fmt.Errorf("%w: compression type %d", unpack.ErrUnsupported, method))
	return nil
}

// unpacked walks the sections that a decoder gives.
func (s *sections) unpacked(name string, body unpack.Bytes, depth int, decode func() (unpack.Slice, error)) error {
	out, err := decode()
	if err != nil {
		s.in.Budget.Release(out)
		s.packed(name, body, err)
		return fmt.Errorf("section %s: %w", name, err)
	}
	return s.walk(out, depth+1)
}

// GUIDs of sections that say how they are packed or protected.
const (
	guidLZMA    = "EE4E5898-3914-4259-9D6E-DC7BD79403CF"
	guidLZMAHP  = "0ED85E23-F253-413F-A03C-901987B04397"
	guidLZMAX86 = "D42AE6BD-1352-4BFB-909A-CA72A6EAE889"
	guidTiano   = "A31280AD-481E-41B6-95E8-127F4C984779"
	guidBrotli  = "3D532050-5CDA-4FD0-879E-0F7F630D5AFB"
	guidGzip    = "1D301FE9-BE79-4353-91C2-D23BC959AE0C"
	guidZlibAMD = "CE3233F5-2CD6-4D87-9152-4A238BB6D1C4"
	guidCRC32   = "FC1BCDB0-7D31-49AA-936A-A4600D9DD083"
)

// guided unpacks a section of type 2, whose GUID says how.
func (s *sections) guided(sec *section, depth int) error {
	h := unpack.ReadSome(sec.body(), 0, 20)
	if len(h) < 20 {
		return errSection
	}
	g, offset, attr := guidAt(h), int64(le16(h[16:])), le16(h[18:])
	if offset < sec.head+20 || offset > sec.data.Size() {
		return errSection
	}
	body := unpack.Window(sec.data, offset, sec.data.Size()-offset)
	switch g.String() {
	case guidLZMA, guidLZMAHP:
		return s.unpacked("lzma", body, depth, func() (unpack.Slice, error) { return unpackLZMA(s.in, body, false) })
	case guidLZMAX86:
		return s.unpacked("lzma", body, depth, func() (unpack.Slice, error) { return unpackLZMA(s.in, body, true) })
	case guidTiano:
		return s.unpacked("tiano", body, depth, func() (unpack.Slice, error) { return unpackTiano(s.in, body, tianoBits, -1) })
	case guidBrotli:
		return s.unpacked("brotli", body, depth, func() (unpack.Slice, error) { return unpackBrotli(s.in, body) })
	case guidGzip:
		return s.unpacked("gzip", body, depth, func() (unpack.Slice, error) { return unpackGzip(s.in, body) })
	case guidZlibAMD:
		return s.unpacked("zlib", body, depth, func() (unpack.Slice, error) { return unpackZlibAMD(s.in, body) })
	case guidCRC32:
		if err := checkCRC32(sec.data, sec.head+20, offset); err != nil {
			s.Damage(fmt.Errorf("firmware volume: file %s: %w", s.file.name, err))
		}
		return s.walk(body, depth+1)
	}
	if attr&1 == 0 || looksLikeSections(body) {
		return s.walk(body, depth+1)
	}
	s.packed("guided-"+g.title(), body, fmt.Errorf("%w: a section of the GUID %s", unpack.ErrUnsupported, g))
	return nil
}

func checkCRC32(data unpack.Bytes, at, body int64) error {
	b, err := unpack.ReadFull(data, at, 4)
	if err != nil || at+4 > body {
		return errSection
	}
	sum, err := unpack.SumCRC32(0, data, body, data.Size()-body)
	if err == nil && sum != le32(b) {
		err = errors.New("a section has a wrong checksum")
	}
	return err
}

// looksLikeSections says that bytes are sections and nothing else: what stands
// behind a signature's header, for example.
func looksLikeSections(b unpack.Bytes) bool {
	list, err := listSections(b)
	if err != nil || len(list) == 0 {
		return false
	}
	for _, s := range list {
		if known := s.kind <= secDisposable && s.kind > 0 || s.kind >= secPE32 && s.kind <= secMMDepex; !known {
			return false
		}
	}
	return true
}

// emit adds the entries of the file, now that its name is known.
func (s *sections) emit() {
	program := s.ui
	if program == "" {
		program = s.file.name.title()
	}
	name := s.unique(program)
	count := map[string]int{}
	for _, l := range s.leaves {
		stem, ext := l.name, ""
		switch {
		case l.kind == secPE32:
			stem, ext = program, ".efi"
		case stem == "" && sectionNames[l.kind] != "":
			stem = sectionNames[l.kind]
		case stem == "":
			stem = fmt.Sprintf("section-0x%02x", l.kind)
		}
		if count[stem]++; count[stem] > 1 {
			stem = fmt.Sprintf("%s-%d", stem, count[stem])
		}
		base, _ := unpack.JoinName(name, stem+ext)
		s.entry(base, l)
	}
}

func (s *sections) entry(path string, l sectionLeaf) {
	f := s.file
	attrs := map[string]string{"uefi.guid": f.name.String(), "uefi.type": fileTypes[f.kind]}
	if s.version != "" {
		attrs["uefi.version"] = s.version
	}
	s.Add(unpack.Entry{Path: path, Mode: 0o644, Data: l.data, Order: f.at, Deleted: f.deleted(), Xattrs: attrs, Err: l.err})
}
