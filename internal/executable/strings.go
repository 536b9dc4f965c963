package executable

import "iter"

// Data returns the ranges of the file that hold data and not code, by offset:
// sections that are loaded and not executable if the headers name some, else
// the loaded segments whole, since many programs for small devices keep their
// strings beside the code.
func (i *Info) Data() []Section {
	var list []Section
	for _, s := range i.Sections {
		if s.Alloc && !s.Exec && s.Size > 0 && !isLinkTable(s.Name) {
			list = append(list, s)
		}
	}
	if hasStrings(list) {
		return list
	}
	list = nil
	for _, s := range i.Segments {
		list = append(list, Section{Offset: s.Offset, Size: s.Size, Address: s.Address, Exec: s.Exec, Write: s.Write, Alloc: true})
	}
	return list
}

// hasStrings says that the sections are those of a compiler and not a forged
// or partial table.
func hasStrings(list []Section) bool {
	for _, s := range list {
		switch {
		case len(s.Name) >= 7 && s.Name[:7] == ".rodata", s.Name == ".data", s.Name == ".rdata", s.Name == "__cstring", s.Name == "__const":
			return true
		}
	}
	return false
}

// isLinkTable names sections of the dynamic linker, whose strings are names of
// symbols.
func isLinkTable(name string) bool {
	switch name {
	case ".dynstr", ".dynsym", ".hash", ".gnu.hash", ".gnu.version", ".gnu.version_r", ".gnu.version_d", ".interp",
		".rel.dyn", ".rela.dyn", ".rel.plt", ".rela.plt", ".eh_frame", ".eh_frame_hdr", ".dynamic", ".got", ".MIPS.stubs",
		".note.gnu.build-id", ".note.ABI-tag", ".strtab", ".symtab", "__ksymtab_strings", ".gopclntab":
		return true
	}
	return false
}

// Strings yields the runs of at least least printable ASCII bytes, tabs and
// line feeds in the program's data, with their offsets in the file. b must be
// the bytes that were parsed.
func (i *Info) Strings(b []byte, least int) iter.Seq2[int64, string] {
	return func(yield func(int64, string) bool) {
		done := int64(0) // sections may overlap: nothing is read twice
		for _, s := range i.Data() {
			from, to := max(s.Offset, done), min(s.Offset+s.Size, int64(len(b)))
			if from >= to {
				continue
			}
			done = to
			if !stringsIn(b[from:to], from, least, yield) {
				return
			}
		}
	}
}

func stringsIn(b []byte, base int64, least int, yield func(int64, string) bool) bool {
	start := 0
	for at := 0; at <= len(b); at++ {
		if at < len(b) && isPrintable(b[at]) {
			continue
		}
		if at-start >= least && !yield(base+int64(start), string(b[start:at])) {
			return false
		}
		start = at + 1
	}
	return true
}

func isPrintable(c byte) bool { return c >= 0x20 && c < 0x7f || c == '\t' || c == '\n' }
