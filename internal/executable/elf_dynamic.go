package executable

import "strings"

// Tags of the dynamic section (d_tag).
const (
	dtNeeded      = 1
	dtHash        = 4
	dtStrTab      = 5
	dtSymTab      = 6
	dtStrSz       = 10
	dtSoName      = 14
	dtRPath       = 15
	dtBindNow     = 24
	dtRunPath     = 29
	dtFlags       = 30
	dtGNUHash     = 0x6ffffef5
	dtFlags1      = 0x6ffffffb
	dtMIPSSymTab  = 0x70000011 // DT_MIPS_SYMTABNO: number of dynamic symbols
	flagBindNow   = 8
	flag1Now      = 1
	flag1PIE      = 0x08000000
	shtDynSym     = 11
	shtDynamic    = 6
	shtSymTab     = 2
	shtNote       = 7
	symbolUndef   = 0
	bindLocal     = 0
	typeObject    = 1
	typeFunc      = 2
	typeSection   = 3
	typeFile      = 4
	typeTLS       = 6
	typeGNUIndirf = 10
)

// readDynamic reads PT_DYNAMIC, else the section of that type: a relocated copy
// in memory is not at hand, so the addresses in it are turned into offsets.
func (e *elfReader) readDynamic() {
	at := e.dynAt
	if at.fsz == 0 {
		for _, h := range e.headers {
			if h.kind == shtDynamic {
				at = segment{off: h.off, fsz: h.sz}
			}
		}
	}
	e.info.Static = at.fsz == 0
	e.dynamic = map[uint64]uint64{}
	size := uint64(e.pick(8, 16))
	var needed []uint64
	for i := range min(at.fsz/size, maxDynamic) {
		b := e.at(at.off+i*size, size)
		if b == nil || at.off+i*size < at.off {
			e.info.Truncated = true
			break
		}
		tag, value := e.word(b), e.word(b[size/2:])
		if tag == 0 {
			break
		}
		if tag == dtNeeded && len(needed) < maxNeeded {
			needed = append(needed, value)
		}
		if _, ok := e.dynamic[tag]; !ok {
			e.dynamic[tag] = value
		}
	}
	e.names(needed)
}

func (e *elfReader) names(needed []uint64) {
	table := e.stringTable()
	for _, n := range needed {
		if s := nameIn(table, n); s != "" {
			e.info.Needed = append(e.info.Needed, s)
		}
	}
	if n, ok := e.dynamic[dtSoName]; ok {
		e.info.SoName = nameIn(table, n)
	}
	for _, tag := range []uint64{dtRPath, dtRunPath} {
		if n, ok := e.dynamic[tag]; ok {
			e.info.RunPath = nameIn(table, n)
		}
	}
}

// nameIn is a part of the table and no copy: symbols of a hostile file may all
// have the same long name.
func nameIn(table string, n uint64) string {
	if n >= uint64(len(table)) {
		return ""
	}
	name := table[n:min(n+maxName, uint64(len(table)))]
	if end := strings.IndexByte(name, 0); end >= 0 {
		name = name[:end]
	}
	return name
}

// fromAddress returns what is in the file from an address on, to the end of its
// segment.
func (e *elfReader) fromAddress(addr uint64) []byte {
	for _, s := range e.info.Segments {
		if addr >= s.Address && addr-s.Address < uint64(s.Size) {
			from := uint64(s.Offset) + addr - s.Address
			return e.b[from : s.Offset+s.Size]
		}
	}
	return nil
}

func (e *elfReader) stringTable() string {
	table := e.fromAddress(e.dynamic[dtStrTab])
	if size, ok := e.dynamic[dtStrSz]; ok && size < uint64(len(table)) {
		table = table[:size]
	}
	return string(table[:min(len(table), maxStrings)])
}

// readSymbols reads the dynamic symbols by the dynamic section and, if the
// section headers lead to it, the full symbol table.
func (e *elfReader) readSymbols() {
	e.info.Stripped = true
	if table := e.fromAddress(e.dynamic[dtSymTab]); table != nil && e.dynamic[dtSymTab] != 0 {
		names := e.stringTable()
		e.eachSymbol(table, e.symbolCount(table), func(s symbol) { e.addDynamic(s, nameIn(names, uint64(s.name))) })
	}
	for _, h := range e.headers {
		if h.kind != shtSymTab || uint64(h.link) >= uint64(len(e.headers)) {
			continue
		}
		link := e.headers[h.link]
		table, raw := e.at(h.off, h.sz), e.at(link.off, link.sz)
		if table == nil || raw == nil {
			e.info.Truncated = true
			continue
		}
		names := string(raw[:min(len(raw), maxStrings)])
		e.eachSymbol(table, uint64(len(table)), func(s symbol) { e.addFull(s, nameIn(names, uint64(s.name))) })
	}
}

type symbol struct {
	name        uint32
	bind, typ   byte
	index       uint16
	value, size uint64
}

func (e *elfReader) eachSymbol(table []byte, count uint64, f func(symbol)) {
	size := e.pick(16, 24)
	for i := 0; i+size <= len(table) && uint64(i/size) < min(count, maxSymbols); i += size {
		b := table[i:]
		s := symbol{name: e.bo.Uint32(b)}
		info := b[e.pick(12, 4)]
		s.bind, s.typ = info>>4, info&15
		s.index = e.bo.Uint16(b[e.pick(14, 6):])
		s.value, s.size = e.word(b[e.pick(4, 8):]), e.word(b[e.pick(8, 16):])
		f(s)
	}
}

func (e *elfReader) addDynamic(s symbol, name string) {
	if name == "" || s.bind == bindLocal || s.typ == typeSection || s.typ == typeFile {
		return
	}
	if s.index == symbolUndef {
		e.info.Imported = append(e.info.Imported, name)
		return
	}
	e.info.Exported = append(e.info.Exported, name)
}

func (e *elfReader) addFull(s symbol, name string) {
	e.info.Stripped = false
	switch {
	case name == "" || s.typ == typeSection || s.typ == typeFile:
	case s.index == symbolUndef:
		if e.etype == etRel {
			e.info.Imported = append(e.info.Imported, name)
		}
	case s.typ == typeFunc || s.typ == typeObject || s.typ == typeGNUIndirf:
		e.info.Defined = append(e.info.Defined, name)
	}
}

// symbolCount finds how many dynamic symbols there are, which the dynamic
// section does not say: from the hash tables, MIPS's own tag, the section
// header, or the string table that follows.
func (e *elfReader) symbolCount(table []byte) uint64 {
	if b := e.fromAddress(e.dynamic[dtHash]); len(b) >= 8 && e.dynamic[dtHash] != 0 {
		// nchain; Alpha and s390x have 64-bit words here, none of which we meet.
		if n := uint64(e.bo.Uint32(b[4:])); n > 0 && n <= uint64(len(table)) {
			return n
		}
	}
	if n, ok := e.dynamic[dtMIPSSymTab]; ok && n > 0 {
		return n
	}
	if n := e.gnuHashCount(); n > 0 {
		return n
	}
	size := uint64(e.pick(16, 24))
	for _, h := range e.headers {
		if h.kind == shtDynSym {
			return h.sz / size
		}
	}
	if str, sym := e.dynamic[dtStrTab], e.dynamic[dtSymTab]; str > sym {
		return (str - sym) / size
	}
	return e.plausible(table)
}

// plausible counts the entries up to the first that can't be a symbol.
func (e *elfReader) plausible(table []byte) (n uint64) {
	names := uint32(len(e.stringTable()))
	e.eachSymbol(table, maxSymbols, func(s symbol) {
		if n != maxSymbols && s.name < names && s.bind <= 2 && s.typ <= typeGNUIndirf {
			n++
			return
		}
		names = 0 // no further one counts
	})
	return n
}

// gnuHashCount follows the chain of the bucket with the highest symbol to its
// end. The table: buckets, first symbol, bloom words, shift, the bloom filter,
// buckets, chains.
func (e *elfReader) gnuHashCount() uint64 {
	b := e.fromAddress(e.dynamic[dtGNUHash])
	if e.dynamic[dtGNUHash] == 0 || len(b) < 16 {
		return 0
	}
	buckets, first, bloom := uint64(e.bo.Uint32(b)), uint64(e.bo.Uint32(b[4:])), uint64(e.bo.Uint32(b[8:]))
	at := 16 + bloom*uint64(e.pick(4, 8))
	if at > uint64(len(b)) || buckets > (uint64(len(b))-at)/4 {
		return 0
	}
	last := uint64(0)
	for i := range buckets {
		last = max(last, uint64(e.bo.Uint32(b[at+4*i:])))
	}
	if last < first {
		return 0 // nothing is hashed: then linkers write any first symbol
	}
	chains := b[at+4*buckets:]
	for i := last - first; i < uint64(len(chains))/4; i++ {
		if e.bo.Uint32(chains[4*i:])&1 != 0 {
			return first + i + 1
		}
	}
	return 0
}

// Types of files (e_type).
const (
	etRel  = 1
	etExec = 2
	etDyn  = 3
	etCore = 4
)

// conclude derives what no single field says.
func (e *elfReader) conclude() {
	i := e.info
	switch e.etype {
	case etRel:
		i.Kind, i.Static = Object, false
		if i.ModInfo != nil || i.Section(".gnu.linkonce.this_module") != nil {
			i.Kind = KernelModule
		}
	case etCore:
		i.Kind = Core
	case etDyn:
		i.Kind = Library
		if i.Interpreter != "" && (i.SoName == "" || i.Entry != 0 && e.dynamic[dtFlags1]&flag1PIE != 0) || e.dynamic[dtFlags1]&flag1PIE != 0 {
			i.Kind = Program
		}
	default:
		i.Kind = Program
	}
	h := &i.Hardening
	h.PIE = e.etype == etDyn
	_, now := e.dynamic[dtBindNow]
	if h.RELRO != "" && (now || e.dynamic[dtFlags]&flagBindNow != 0 || e.dynamic[dtFlags1]&flag1Now != 0) {
		h.RELRO = "full"
	}
	h.Canary = i.uses(func(s string) bool {
		return s == "__stack_chk_fail" || s == "__stack_chk_guard" || s == "__stack_smash_handler"
	})
	h.Fortify = i.uses(func(s string) bool {
		return strings.HasPrefix(s, "__") && strings.HasSuffix(s, "_chk") && len(s) > 6
	})
	i.Libc = e.libc()
}

func (i *Info) uses(is func(string) bool) bool {
	for _, list := range [][]string{i.Imported, i.Defined} {
		for _, s := range list {
			if is(s) {
				return true
			}
		}
	}
	return false
}

// libc is told by the loader, else by the libraries' names, else by notes.
func (e *elfReader) libc() Libc {
	if l := libcOfLoader(e.info.Interpreter); l != "" {
		return l
	}
	for _, n := range e.info.Needed {
		switch {
		case n == "libc.so.6" || n == "libc.so.6.1":
			return Glibc
		case n == "libc.so.0" || n == "libc.so.1":
			return UClibc
		case strings.HasPrefix(n, "libc.musl-"):
			return Musl
		case strings.HasPrefix(n, "ld-linux") || n == "ld.so.1":
			return Glibc
		}
	}
	for _, n := range e.info.Notes {
		if n.Owner == "Android" {
			return Bionic
		}
	}
	if e.needs("libc.so") {
		if e.needs("liblog.so") || e.needs("libdl.so") || e.needs("libm.so") {
			return Bionic
		}
		return Musl
	}
	return ""
}

func (e *elfReader) needs(name string) bool {
	for _, n := range e.info.Needed {
		if n == name {
			return true
		}
	}
	return false
}

func libcOfLoader(interp string) Libc {
	base := interp[strings.LastIndexByte(interp, '/')+1:]
	switch {
	case strings.HasPrefix(base, "ld-musl"):
		return Musl
	case strings.HasPrefix(base, "ld-uClibc"), strings.HasPrefix(base, "ld64-uClibc"):
		return UClibc
	case base == "linker" || base == "linker64":
		return Bionic
	case strings.HasPrefix(base, "ld-linux"), strings.HasPrefix(base, "ld64"), base == "ld.so.1", strings.HasPrefix(base, "ld-2."):
		return Glibc
	}
	return ""
}
