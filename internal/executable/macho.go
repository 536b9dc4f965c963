package executable

import (
	"bytes"
	"debug/macho"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

func isMachO(b []byte) bool {
	switch binary.BigEndian.Uint32(b) {
	case macho.Magic32, macho.Magic64, 0xcefaedfe, 0xcffaedfe:
		return true
	case macho.MagicFat:
		// Java classes start with the same bytes; a fat file has few parts.
		return binary.BigEndian.Uint32(b[4:]) < 20
	}
	return false
}

var machoArch = map[macho.Cpu]string{
	macho.Cpu386: "386", macho.CpuAmd64: "amd64", macho.CpuArm: "arm", macho.CpuArm64: "arm64", macho.CpuPpc: "ppc", macho.CpuPpc64: "ppc64",
}

// parseMachO reads a Mach-O file, of a fat one the first architecture.
func parseMachO(b []byte) (*Info, error) {
	base := uint64(0)
	if binary.BigEndian.Uint32(b) == macho.MagicFat {
		fat, err := macho.NewFatFile(bytes.NewReader(b))
		if err != nil || len(fat.Arches) == 0 {
			return nil, ErrFormat
		}
		base = uint64(fat.Arches[0].Offset)
		if base >= uint64(len(b)) {
			return nil, ErrFormat
		}
	}
	f, err := macho.NewFile(bytes.NewReader(b[base:]))
	if err != nil {
		return nil, ErrFormat
	}
	i := &Info{Format: "macho", Arch: machoArch[f.Cpu], Bits: 32, BigEndian: f.ByteOrder == binary.BigEndian, Kind: machoKind(f.Type), Stripped: true}
	if f.Magic == macho.Magic64 {
		i.Bits = 64
	}
	i.Hardening = Hardening{NX: f.Flags&macho.FlagAllowStackExecution == 0, PIE: f.Flags&macho.FlagPIE != 0}
	i.Needed, _ = f.ImportedLibraries()
	i.machoLoads(f, int64(base), int64(len(b)))
	i.machoSymbols(f)
	i.Hardening.Canary = i.uses(func(s string) bool { return s == "__stack_chk_fail" })
	return i, nil
}

func machoKind(t macho.Type) Kind {
	switch t {
	case macho.TypeExec:
		return Program
	case macho.TypeObj:
		return Object
	case 4:
		return Core
	}
	return Library
}

func (i *Info) machoLoads(f *macho.File, base, size int64) {
	for _, l := range f.Loads {
		if raw := l.Raw(); len(raw) >= 24 && f.ByteOrder.Uint32(raw) == 0x1b { // LC_UUID
			i.BuildID = hex.EncodeToString(raw[8:24])
		}
		s, ok := l.(*macho.Segment)
		if !ok || s.Offset > uint64(size-base) || s.Filesz == 0 {
			continue
		}
		n := min(s.Filesz, uint64(size-base)-s.Offset)
		i.Segments = append(i.Segments, Segment{base + int64(s.Offset), int64(n), s.Addr, s.Memsz, s.Prot&2 != 0, s.Prot&4 != 0})
	}
	for _, s := range f.Sections {
		if s.Offset == 0 || int64(s.Offset) > size-base || s.Size > uint64(size-base-int64(s.Offset)) {
			continue
		}
		exec := s.Flags&0x80000400 != 0 // has instructions
		i.Sections = append(i.Sections, Section{Name: s.Name, Offset: base + int64(s.Offset), Size: int64(s.Size), Address: s.Addr, Exec: exec, Alloc: true})
	}
}

// machoSymbols drops the underscore that C names get.
func (i *Info) machoSymbols(f *macho.File) {
	if f.Symtab == nil {
		return
	}
	const external, undefined, typeMask, stab = 1, 0, 0x0e, 0xe0
	for n, s := range f.Symtab.Syms {
		name := strings.TrimPrefix(s.Name, "_")
		if n >= maxSymbols || s.Type&stab != 0 || name == "" || len(name) > maxName {
			continue
		}
		switch {
		case s.Type&external == 0:
			i.Defined = append(i.Defined, name)
			i.Stripped = false
		case s.Type&typeMask == undefined:
			i.Imported = append(i.Imported, name)
		default:
			i.Exported = append(i.Exported, name)
		}
	}
}
