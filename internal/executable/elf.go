package executable

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Limits on tables of an ELF file; real programs stay far below.
const (
	maxSegments = 512
	maxSections = 65536
	maxDynamic  = 4096
	maxNeeded   = 512
	maxSymbols  = 1 << 19
	maxStrings  = 32 << 20
	maxName     = 1024
	maxNotes    = 64
	maxNote     = 4096
)

// elfReader is the reader's state. Offsets and sizes follow the System V ABI, chapter
// 4 and 5 (https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html).
type elfReader struct {
	b       []byte
	bo      binary.ByteOrder
	wide    bool // ELFCLASS64
	etype   uint16
	machine uint16
	info    *Info
	dynamic map[uint64]uint64
	dynAt   segment // PT_DYNAMIC
	headers []sectionHeader
}

type segment struct {
	kind, flags         uint32
	off, addr, fsz, msz uint64
	align               uint64
}

type sectionHeader struct {
	name, kind           uint32
	flags, addr, off, sz uint64
	link                 uint32
}

func parseELF(b []byte) (*Info, error) {
	e := &elfReader{b: b, bo: binary.LittleEndian, info: &Info{Format: "elf", Bits: 32}}
	switch b[4] {
	case 1:
	case 2:
		e.wide, e.info.Bits = true, 64
	default:
		return nil, fmt.Errorf("ELF class %d is neither 32 nor 64 bits", b[4])
	}
	switch b[5] {
	case 1:
	case 2:
		e.bo, e.info.BigEndian = binary.BigEndian, true
	default:
		return nil, fmt.Errorf("ELF byte order %d is unknown", b[5])
	}
	if len(b) < 52 || e.wide && len(b) < 64 {
		return nil, errors.New("ELF header is cut off")
	}
	e.etype, e.machine = e.bo.Uint16(b[16:]), e.bo.Uint16(b[18:])
	e.info.Arch = elfArch(e.machine, e.wide, e.info.BigEndian)
	e.readSegments()
	e.readSections()
	e.readDynamic()
	e.readSymbols()
	e.readNotes()
	e.readSectionTexts()
	e.conclude()
	return e.info, nil
}

// at returns n bytes at an offset, or nil if they are not all in the file.
func (e *elfReader) at(off, n uint64) []byte {
	size := uint64(len(e.b))
	if off > size || n > size-off {
		return nil
	}
	return e.b[off : off+n : off+n]
}

// word reads an address-sized field.
func (e *elfReader) word(b []byte) uint64 {
	if e.wide {
		return e.bo.Uint64(b)
	}
	return uint64(e.bo.Uint32(b))
}

// pick chooses a field's place in the 32-bit or the 64-bit form.
func (e *elfReader) pick(narrow, wide int) int {
	if e.wide {
		return wide
	}
	return narrow
}

func (e *elfReader) readSegments() {
	h := e.b
	e.info.Entry = e.word(h[24:])
	off := e.word(h[e.pick(28, 32):])
	size, count := uint64(e.bo.Uint16(h[e.pick(42, 54):])), uint64(e.bo.Uint16(h[e.pick(44, 56):]))
	if size < uint64(e.pick(32, 56)) {
		return
	}
	for i := range min(count, maxSegments) {
		b := e.at(off+i*size, size)
		if b == nil || off+i*size < off {
			e.info.Truncated = true
			return
		}
		e.segment(e.parseSegment(b))
	}
}

func (e *elfReader) parseSegment(b []byte) segment {
	if e.wide {
		return segment{e.bo.Uint32(b), e.bo.Uint32(b[4:]), e.bo.Uint64(b[8:]), e.bo.Uint64(b[16:]), e.bo.Uint64(b[32:]), e.bo.Uint64(b[40:]), e.bo.Uint64(b[48:])}
	}
	u := func(at int) uint64 { return uint64(e.bo.Uint32(b[at:])) }
	return segment{e.bo.Uint32(b), e.bo.Uint32(b[24:]), u(4), u(8), u(16), u(20), u(28)}
}

// Types of segments (p_type).
const (
	ptLoad     = 1
	ptDynamic  = 2
	ptInterp   = 3
	ptNote     = 4
	ptGNUStack = 0x6474e551
	ptGNURelro = 0x6474e552
)

func (e *elfReader) segment(s segment) {
	switch s.kind {
	case ptLoad:
		size := s.fsz
		if s.off >= uint64(len(e.b)) {
			e.info.Truncated = e.info.Truncated || size > 0
			return
		}
		if size > uint64(len(e.b))-s.off {
			e.info.Truncated, size = true, uint64(len(e.b))-s.off
		}
		e.info.Segments = append(e.info.Segments, Segment{int64(s.off), int64(size), s.addr, s.msz, s.flags&2 != 0, s.flags&1 != 0})
	case ptDynamic:
		e.dynAt = s
	case ptInterp:
		if b := e.at(s.off, min(s.fsz, maxName)); b != nil {
			e.info.Interpreter = cString(b)
		}
	case ptNote:
		e.notesAt(s.off, s.fsz, s.align)
	case ptGNUStack:
		e.info.Hardening.NX = s.flags&1 == 0
	case ptGNURelro:
		e.info.Hardening.RELRO = "partial"
	}
}

func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// readSections reads the section headers as far as they are sane. Nothing that
// matters depends on them alone.
func (e *elfReader) readSections() {
	h := e.b
	off := e.word(h[e.pick(32, 40):])
	size, count, names := uint64(e.bo.Uint16(h[e.pick(46, 58):])), uint64(e.bo.Uint16(h[e.pick(48, 60):])), uint64(e.bo.Uint16(h[e.pick(50, 62):]))
	if off == 0 || size < uint64(e.pick(40, 64)) {
		return
	}
	if e.at(off, size*min(count, 1)) == nil {
		e.info.Truncated = true
		return
	}
	if count == 0 { // over 0xff00 sections: the count stands in the first one
		if b := e.at(off, size); b != nil {
			first := e.parseSection(b)
			count = first.sz
			if names == 0xffff {
				names = uint64(first.link)
			}
		}
	}
	for i := range min(count, maxSections) {
		b := e.at(off+i*size, size)
		if b == nil || off+i*size < off {
			e.info.Truncated = true
			break
		}
		e.headers = append(e.headers, e.parseSection(b))
	}
	if names < uint64(len(e.headers)) {
		e.nameSections(e.headers[names])
	}
}

func (e *elfReader) parseSection(b []byte) sectionHeader {
	u := func(narrow, wide int) uint64 { return e.word(b[e.pick(narrow, wide):]) }
	return sectionHeader{e.bo.Uint32(b), e.bo.Uint32(b[4:]), u(8, 8), u(12, 16), u(16, 24), u(20, 32), e.bo.Uint32(b[e.pick(24, 40):])}
}

const shtNoBits = 8

func (e *elfReader) nameSections(names sectionHeader) {
	table := e.at(names.off, names.sz)
	for _, h := range e.headers {
		if h.kind == 0 || h.kind == shtNoBits || e.at(h.off, h.sz) == nil {
			continue
		}
		s := Section{Offset: int64(h.off), Size: int64(h.sz), Address: h.addr, Write: h.flags&1 != 0, Alloc: h.flags&2 != 0, Exec: h.flags&4 != 0}
		if uint64(h.name) < uint64(len(table)) {
			s.Name = cString(table[h.name:min(int(h.name)+maxName, len(table))])
		}
		e.info.Sections = append(e.info.Sections, s)
	}
}

// elfArch names e_machine as Go names architectures, with the registry's name
// in lower case for others.
func elfArch(m uint16, wide, big bool) string {
	switch m {
	case 8, 10:
		return endian(map[bool]string{false: "mips", true: "mips64"}[wide], big, "", "le")
	case 21:
		return endian("ppc64", big, "", "le")
	case 183:
		return endian("arm64", big, "be", "")
	case 40:
		return endian("arm", big, "be", "")
	case 243:
		return map[bool]string{false: "riscv32", true: "riscv64"}[wide]
	case 258:
		return map[bool]string{false: "loong32", true: "loong64"}[wide]
	}
	if name := elfMachines[m]; name != "" {
		return name
	}
	return fmt.Sprintf("machine-%d", m)
}

func endian(name string, big bool, ifBig, ifLittle string) string {
	if big {
		return name + ifBig
	}
	return name + ifLittle
}

var elfMachines = map[uint16]string{
	2: "sparc", 3: "386", 4: "m68k", 6: "486", 15: "hppa", 18: "sparc32plus", 20: "ppc", 22: "s390x", 36: "v800", 42: "sh", 43: "sparc64", 45: "arc", 50: "ia64",
	62: "amd64", 76: "cris", 83: "avr", 84: "fr30", 87: "v850", 88: "m32r", 89: "mn10300", 92: "openrisc", 93: "arcompact", 94: "xtensa", 105: "msp430", 106: "blackfin",
	113: "nios2", 120: "c6000", 164: "hexagon", 188: "tilepro", 189: "microblaze", 191: "tilegx", 195: "arcv2", 220: "z80", 224: "amdgpu", 244: "lanai", 247: "bpf", 252: "csky",
}
