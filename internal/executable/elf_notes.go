package executable

import (
	"bytes"
	"debug/buildinfo"
	"encoding/hex"
	"strings"
)

func (e *elfReader) readNotes() {
	for _, h := range e.headers {
		if h.kind == shtNote && len(e.info.Notes) == 0 {
			e.notesAt(h.off, h.sz, 4)
		}
	}
	for _, n := range e.info.Notes {
		if n.Owner == "GNU" && n.Type == 3 && e.info.BuildID == "" {
			e.info.BuildID = hex.EncodeToString(n.Data[:min(len(n.Data), 64)])
		}
	}
}

// notesAt reads notes: sizes of name and content, type, then both, each padded.
func (e *elfReader) notesAt(off, size, align uint64) {
	b := e.at(off, size)
	pad := uint64(4)
	if align == 8 {
		pad = 8
	}
	for len(b) >= 12 && len(e.info.Notes) < maxNotes {
		name, data, kind := uint64(e.bo.Uint32(b)), uint64(e.bo.Uint32(b[4:])), e.bo.Uint32(b[8:])
		from := up(12+name, pad)
		if from+data > uint64(len(b)) {
			return
		}
		n := Note{Type: kind, Data: bytes.Clone(b[from : from+min(data, maxNote)]), Owner: cString(b[12 : 12+min(name, maxName)])}
		e.info.Notes = append(e.info.Notes, n)
		b = b[min(up(from+data, pad), uint64(len(b))):]
	}
}

func up(n, to uint64) uint64 { return (n + to - 1) / to * to }

// readSectionTexts reads what stands in sections alone: the compilers' marks
// and a kernel module's description of itself.
func (e *elfReader) readSectionTexts() {
	for _, s := range e.info.Sections {
		switch s.Name {
		case ".comment":
			e.info.Compilers = texts(e.b[s.Offset:s.Offset+s.Size], 16)
		case ".modinfo":
			e.info.ModInfo = modInfo(e.b[s.Offset : s.Offset+s.Size])
		}
	}
}

// texts splits NUL-separated strings and drops repeated ones.
func texts(b []byte, most int) []string {
	var list []string
	seen := map[string]bool{}
	for part := range bytes.SplitSeq(b[:min(len(b), 1<<16)], []byte{0}) {
		if s := string(part[:min(len(part), maxName)]); s != "" && !seen[s] && len(list) < most {
			seen[s] = true
			list = append(list, s)
		}
	}
	return list
}

func modInfo(b []byte) map[string]string {
	m := map[string]string{}
	for _, s := range texts(b, 512) {
		if k, v, ok := strings.Cut(s, "="); ok && m[k] == "" {
			m[k] = v
		}
	}
	return m
}

var goMark = []byte("\xff Go buildinf:")

// readGo reads what the Go linker wrote of the modules that a program is made of.
func (i *Info) readGo(b []byte) {
	if i.Kind == Object || i.Kind == KernelModule || !bytes.Contains(b, goMark) {
		return
	}
	if bi, err := buildinfo.Read(bytes.NewReader(b)); err == nil {
		i.Go = bi
	}
}
