// Package executable reads what ELF, PE and Mach-O files say of themselves:
// architecture, libraries, symbols, hardening, build ids, notes. It is a leaf:
// bytes in, facts out. Every field of a file may be hostile; a program whose
// section headers were stripped or forged is read by its program headers and
// its dynamic section, as the loader of the operating system reads it.
package executable

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/doorward/doorward/internal/signature"
)

// Info is what a program says of itself. An unknown fact is the zero value.
type Info struct {
	Format    string // elf, pe, macho
	Arch      string // as GOARCH where Go has one: amd64, 386, arm64, arm, mips, mips64, ppc, riscv64 ...
	Bits      int    // 32 or 64
	BigEndian bool
	Kind      Kind

	Interpreter string   // the loader that the program asks for: /lib/ld-musl-mips-sf.so.1
	SoName      string   // a library's own name
	RunPath     string   // DT_RUNPATH or DT_RPATH
	Needed      []string // libraries, in the file's order
	Libc        Libc
	Static      bool // has no dynamic section: it brings its own libraries
	Stripped    bool // has no symbols besides those of dynamic linking
	Truncated   bool // a table points outside the file, or sections do

	BuildID   string   // lower-case hex; a Mach-O UUID
	Compilers []string // of .comment: "GCC: (Buildroot 2015.05) 4.9.2"
	Notes     []Note
	Hardening Hardening
	Go        *buildinfo.BuildInfo // nil if not made by Go
	ModInfo   map[string]string    // of a kernel module: vermagic, license, description ...
	Company   string               // CompanyName of a PE file's version information
	SignedBy  []signature.By       // of a PE file

	Imported []string  // names of undefined dynamic symbols, sorted; of a kernel module, of all undefined ones
	Exported []string  // names of defined global dynamic symbols, sorted
	Defined  []string  // names of functions and objects of the full symbol table, sorted, if it is there
	Segments []Segment // what is loaded where
	Sections []Section // as the section headers say, if they are sane
	Entry    uint64    // address
}

// Kind says what sort of program a file is.
type Kind string

// The kinds.
const (
	Program      Kind = "program"
	Library      Kind = "library"
	Object       Kind = "object"
	KernelModule Kind = "kernel-module"
	Core         Kind = "core"
)

// Libc is the C library that a program was built for.
type Libc string

// The C libraries that are told apart.
const (
	Glibc  Libc = "glibc"
	Musl   Libc = "musl"
	UClibc Libc = "uclibc"
	Bionic Libc = "bionic"
)

// Hardening is what was switched on when the program was built.
type Hardening struct {
	NX      bool   // the stack is not executable
	PIE     bool   // can be loaded at any address, as any library can
	RELRO   string // "", partial, full
	Canary  bool   // checks the stack for overruns
	Fortify bool   // uses the checked variants of C functions
}

// String is the hardening in one line, as reports show it.
func (h Hardening) String() string {
	yes := func(b bool, name string) string {
		if b {
			return name
		}
		return "no " + name
	}
	relro := "no RELRO"
	if h.RELRO != "" {
		relro = h.RELRO + " RELRO"
	}
	return fmt.Sprintf("%s, %s, %s, %s, %s", yes(h.NX, "NX"), yes(h.PIE, "PIE"), relro, yes(h.Canary, "canary"), yes(h.Fortify, "fortify"))
}

// Note is one ELF note.
type Note struct {
	Owner string // GNU, Go, Android, FDO, Linux ...
	Type  uint32
	Data  []byte // a copy of the first 4 KiB, which does not keep the file in memory
}

// Segment is a part of the file that is loaded into memory.
type Segment struct {
	Offset, Size     int64  // in the file, within its bounds
	Address, MemSize uint64 // in memory
	Write, Exec      bool
}

// Section is a section header whose bounds lie in the file.
type Section struct {
	Name         string
	Offset, Size int64
	Address      uint64
	Exec, Write  bool
	Alloc        bool
}

// ErrFormat is returned for bytes that are no program.
var ErrFormat = errors.New("not an ELF, PE or Mach-O file")

// Parse reads a program. It returns ErrFormat for anything else, and for a
// damaged program another error together with what could be read, nil if that
// is nothing.
func Parse(b []byte) (info *Info, err error) {
	defer func() {
		if p := recover(); p != nil { // the standard library's readers of PE, Mach-O and Go build information
			err = fmt.Errorf("damaged program: %v", p)
		}
	}()
	switch {
	case len(b) >= 20 && string(b[:4]) == "\x7fELF":
		info, err = parseELF(b)
	case len(b) >= 64 && string(b[:2]) == "MZ":
		info, err = parsePE(b)
	case len(b) >= 28 && isMachO(b):
		info, err = parseMachO(b)
	default:
		return nil, ErrFormat
	}
	if info != nil {
		info.readGo(b)
		info.sortSymbols()
	}
	return info, err
}

func (i *Info) sortSymbols() {
	for _, list := range []*[]string{&i.Imported, &i.Exported, &i.Defined} {
		sort.Strings(*list)
		*list = slices.Clip(slices.Compact(*list))
	}
}

// Imports says that the program takes one of the named functions from a
// library. A static program imports nothing: see Uses.
func (i *Info) Imports(names ...string) bool { return hasAny(i.Imported, names) }

// Exports says that the program or library offers one of the names.
func (i *Info) Exports(names ...string) bool { return hasAny(i.Exported, names) }

// Uses says that the program imports one of the named functions or, with a full
// symbol table, has one built in (a static program). A stripped static program
// does not tell: Opaque.
func (i *Info) Uses(names ...string) bool {
	return hasAny(i.Imported, names) || hasAny(i.Defined, names)
}

// Opaque says that the program's symbols tell nothing of what it calls: it is
// static and stripped.
func (i *Info) Opaque() bool { return len(i.Imported) == 0 && len(i.Defined) == 0 }

func hasAny(sorted, names []string) bool {
	for _, n := range names {
		if _, ok := slices.BinarySearch(sorted, n); ok {
			return true
		}
	}
	return false
}

// NeedsLibrary says that the program is linked to a library whose file name
// starts with one of the given words: "libcurl" for libcurl.so.4.
func (i *Info) NeedsLibrary(prefixes ...string) bool {
	for _, n := range i.Needed {
		for _, p := range prefixes {
			if len(n) >= len(p) && n[:len(p)] == p && (len(n) == len(p) || !isLetter(n[len(p)])) {
				return true
			}
		}
	}
	return false
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// Offset gives the place in the file of an address in memory.
func (i *Info) Offset(address uint64) (int64, bool) {
	for _, s := range i.Segments {
		if address >= s.Address && address-s.Address < uint64(s.Size) {
			return s.Offset + int64(address-s.Address), true
		}
	}
	return 0, false
}

// Address gives the address in memory of a place in the file.
func (i *Info) Address(offset int64) (uint64, bool) {
	for _, s := range i.Segments {
		if offset >= s.Offset && offset-s.Offset < s.Size {
			return s.Address + uint64(offset-s.Offset), true
		}
	}
	return 0, false
}

// Section returns the section of a name, nil if there is none.
func (i *Info) Section(name string) *Section {
	for k := range i.Sections {
		if i.Sections[k].Name == name {
			return &i.Sections[k]
		}
	}
	return nil
}
