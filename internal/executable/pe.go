package executable

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"github.com/doorward/doorward/internal/signature"
)

var peArch = map[uint16]string{
	pe.IMAGE_FILE_MACHINE_I386: "386", pe.IMAGE_FILE_MACHINE_AMD64: "amd64", pe.IMAGE_FILE_MACHINE_ARM64: "arm64",
	pe.IMAGE_FILE_MACHINE_ARMNT: "arm", pe.IMAGE_FILE_MACHINE_ARM: "arm", pe.IMAGE_FILE_MACHINE_THUMB: "arm", pe.IMAGE_FILE_MACHINE_IA64: "ia64",
	pe.IMAGE_FILE_MACHINE_RISCV64: "riscv64", pe.IMAGE_FILE_MACHINE_RISCV32: "riscv32", pe.IMAGE_FILE_MACHINE_EBC: "efi-bytecode",
}

func parsePE(b []byte) (*Info, error) {
	f, err := pe.NewFile(bytes.NewReader(b))
	if err != nil {
		return nil, ErrFormat // most files that start with MZ are DOS programs, or no programs
	}
	i := &Info{Format: "pe", Arch: peArch[f.Machine], Bits: 32, Kind: Program, Stripped: len(f.Symbols) == 0}
	if f.Characteristics&pe.IMAGE_FILE_DLL != 0 {
		i.Kind = Library
	}
	var base uint64
	var flags uint16
	var exports pe.DataDirectory
	switch h := f.OptionalHeader.(type) {
	case *pe.OptionalHeader32:
		base, flags, i.Entry, exports = uint64(h.ImageBase), h.DllCharacteristics, uint64(h.AddressOfEntryPoint), h.DataDirectory[0]
	case *pe.OptionalHeader64:
		base, flags, i.Entry, exports = h.ImageBase, h.DllCharacteristics, uint64(h.AddressOfEntryPoint), h.DataDirectory[0]
		i.Bits = 64
	default:
		i.Kind = Object
	}
	i.Entry += base
	i.Hardening = Hardening{
		NX:  flags&pe.IMAGE_DLLCHARACTERISTICS_NX_COMPAT != 0,
		PIE: flags&pe.IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE != 0,
	}
	i.peSections(f, b, base)
	i.peExports(b, base+uint64(exports.VirtualAddress), base)
	i.peImports(f)
	i.Company = i.peVersion(b, "CompanyName")
	i.SignedBy = signature.Authenticode(b)
	return i, nil
}

// peVersion reads a text of the version information: in the resources, the key
// in UTF-16, padded to four bytes, then the text (VS_VERSIONINFO, "String").
func (i *Info) peVersion(b []byte, key string) string {
	s := i.Section(".rsrc")
	if s == nil {
		return ""
	}
	resources := b[s.Offset : s.Offset+s.Size]
	var wide []byte
	for _, c := range key + "\x00" {
		wide = append(wide, byte(c), 0)
	}
	at := bytes.Index(resources, wide)
	if at < 0 {
		return ""
	}
	at = (at + len(wide) + 3) &^ 3
	var text []uint16
	for at+2 <= len(resources) && len(text) < maxName {
		c := binary.LittleEndian.Uint16(resources[at:])
		if c == 0 {
			break
		}
		text = append(text, c)
		at += 2
	}
	return strings.TrimSpace(string(utf16.Decode(text)))
}

func (i *Info) peSections(f *pe.File, b []byte, base uint64) {
	for _, s := range f.Sections {
		off, size := int64(s.Offset), int64(s.Size)
		if off > int64(len(b)) {
			i.Truncated = true
			continue
		}
		if size > int64(len(b))-off {
			i.Truncated, size = true, int64(len(b))-off
		}
		exec, write := s.Characteristics&pe.IMAGE_SCN_MEM_EXECUTE != 0, s.Characteristics&pe.IMAGE_SCN_MEM_WRITE != 0
		addr := base + uint64(s.VirtualAddress)
		i.Segments = append(i.Segments, Segment{off, size, addr, uint64(s.VirtualSize), write, exec})
		i.Sections = append(i.Sections, Section{Name: s.Name, Offset: off, Size: size, Address: addr, Exec: exec, Write: write, Alloc: true})
	}
}

// peImports lists functions as "name" and libraries in Needed.
func (i *Info) peImports(f *pe.File) {
	list, err := f.ImportedSymbols()
	if err != nil {
		i.Truncated = true
	}
	seen := map[string]bool{}
	for _, s := range list {
		name, lib, _ := strings.Cut(s, ":")
		if len(i.Imported) < maxSymbols && len(name) <= maxName {
			i.Imported = append(i.Imported, name)
		}
		if !seen[lib] && len(i.Needed) < maxNeeded && lib != "" && len(lib) <= maxName {
			seen[lib] = true
			i.Needed = append(i.Needed, lib)
		}
	}
}

// peExports reads the names of the export directory (PE format, "The .edata
// Section"): number of names at 24, address of their table at 32.
func (i *Info) peExports(b []byte, at, base uint64) {
	off, ok := i.Offset(at)
	if at == base || !ok || off+40 > int64(len(b)) {
		return
	}
	le := binary.LittleEndian
	count, table := le.Uint32(b[off+24:]), uint64(le.Uint32(b[off+32:]))
	for n := range uint64(min(count, maxSymbols)) {
		entry, ok := i.Offset(base + table + 4*n)
		if !ok || entry+4 > int64(len(b)) {
			return
		}
		if name, ok := i.Offset(base + uint64(le.Uint32(b[entry:]))); ok {
			i.Exported = append(i.Exported, cString(b[name:min(name+maxName, int64(len(b)))]))
		}
	}
}
