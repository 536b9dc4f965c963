package bundle

import (
	"encoding/binary"
	"fmt"
	"path"
	"strings"
	"unicode/utf16"

	"github.com/doorward/doorward/internal/unpack"
)

// Instructions of an installer's script (enum of fileform.h).
const (
	nsisCreateDir = 11
	nsisExtract   = 20
	nsisEntrySize = 28
)

// Numbers of the header's blocks.
const (
	nsisEntries = 2
	nsisStrings = 3
	nsisLang    = 4
)

// nsisHeader is the unpacked header: blocks of pages, sections, instructions,
// strings and so on.
type nsisHeader struct {
	b       []byte
	entries []byte
	strings []byte
	unicode bool
}

// readNSISHeader finds the blocks; their offsets take 8 bytes in installers for
// 64-bit Windows.
func readNSISHeader(b []byte) *nsisHeader {
	le := binary.LittleEndian
	for _, step := range []int{8, 12} {
		block := func(i int) (off, n int) {
			p := b[4+i*step:]
			return int(le.Uint32(p)), int(le.Uint32(p[step-4:]))
		}
		if len(b) < 4+8*step {
			return nil
		}
		entries, count := block(nsisEntries)
		text, _ := block(nsisStrings)
		lang, _ := block(nsisLang)
		if entries < 4+8*step || count < 1 || count > (len(b)-min(entries, len(b)))/nsisEntrySize || text < entries+count*nsisEntrySize || lang < text || lang > len(b) {
			continue
		}
		h := &nsisHeader{b: b, entries: b[entries : entries+count*nsisEntrySize], strings: b[text:lang]}
		h.unicode = len(h.strings) >= 2 && h.strings[0] == 0 && h.strings[1] == 0
		return h
	}
	return nil
}

// list walks the instructions and adds the files that they extract; those that
// none of them names follow by their place.
func (n *nsis) list(g *unpack.Gatherer) {
	n.members = map[int64]bool{}
	h := readNSISHeader(n.header)
	if h == nil {
		g.Damage(fmt.Errorf("%w: its header", errNSIS))
		h = &nsisHeader{}
	}
	dir := "$INSTDIR"
	seen := map[string]int64{}
	le := binary.LittleEndian
	for e := h.entries; len(e) >= nsisEntrySize && !g.Stop(); e = e[nsisEntrySize:] {
		switch le.Uint32(e) {
		case nsisCreateDir:
			if le.Uint32(e[8:]) != 0 {
				if to := h.text(le.Uint32(e[4:])); to != "" {
					dir = strings.ReplaceAll(to, "$OUTDIR", dir)
				}
			}
		case nsisExtract:
			pos := int64(le.Uint32(e[12:]))
			f := unpack.Entry{Path: n.path(dir, h.text(le.Uint32(e[8:])), pos), Mode: 0o644, ModTime: windowsTime(le.Uint32(e[16:]), le.Uint32(e[20:]))}
			if at, twice := seen[f.Path]; twice && at == pos {
				continue
			}
			seen[f.Path] = pos
			if n.content(&f, pos) {
				g.Add(f)
			} else {
				g.Damage(fmt.Errorf("%w: %q lies outside of the data", errNSIS, f.Path))
			}
		}
	}
	n.unnamed(g)
}

func (n *nsis) path(dir, name string, pos int64) string {
	name = strings.ReplaceAll(name, "\\", "/")
	dir = strings.ReplaceAll(dir, "\\", "/")
	if name == "" {
		name = fmt.Sprintf("unnamed-0x%x", pos)
	}
	if strings.HasPrefix(name, "$") || len(name) > 1 && name[1] == ':' {
		return name
	}
	return path.Join(dir, name)
}

// unnamed adds members that no instruction extracts: plug-ins' data, or what an
// unknown version of the script calls otherwise.
func (n *nsis) unnamed(g *unpack.Gatherer) {
	const trailer = 4 // the CRC
	end := n.end - trailer
	if n.solid {
		end = int64(len(n.plain))
	}
	for at := n.data; at >= 0 && at+4 <= end && !g.Stop(); {
		next := n.next(at)
		if next <= at || next > end {
			return
		}
		if !n.members[at] && next > at+4 {
			f := unpack.Entry{Path: fmt.Sprintf("unnamed-0x%x", at-n.data), Mode: 0o644}
			if n.content(&f, at-n.data) {
				g.Add(f)
			}
		}
		at = next
	}
}

var nsisVariables = strings.Fields(`0 1 2 3 4 5 6 7 8 9 R0 R1 R2 R3 R4 R5 R6 R7 R8 R9
	CMDLINE INSTDIR OUTDIR EXEDIR LANGUAGE TEMP PLUGINSDIR EXEPATH EXEFILE HWNDPARENT _CLICK OUTDIR`)

const nsisMaxText = 4096

// text is a string of the script: variables, folders of the shell and texts of
// the language are coded by a character of their own and a number behind it.
func (h *nsisHeader) text(index uint32) string {
	var b strings.Builder
	if h.unicode {
		at := uint64(index) * 2
		var text []uint16
		for ; at+2 <= uint64(len(h.strings)) && len(text) < nsisMaxText; at += 2 {
			c := binary.LittleEndian.Uint16(h.strings[at:])
			if c == 0 {
				break
			}
			if c <= 4 && at+4 <= uint64(len(h.strings)) {
				at += 2
				v := binary.LittleEndian.Uint16(h.strings[at:])
				text = append(text, utf16.Encode([]rune(nsisCode(byte(c), byte(v), byte(v>>8))))...)
				continue
			}
			text = append(text, c)
		}
		return string(utf16.Decode(text))
	}
	for at := uint64(index); at < uint64(len(h.strings)) && b.Len() < nsisMaxText; at++ {
		c := h.strings[at]
		if c == 0 {
			break
		}
		if (c <= 4 || c >= 252) && at+2 < uint64(len(h.strings)) && h.strings[at+1]&h.strings[at+2]&0x80 != 0 {
			if c >= 252 { // NSIS 2 has the same codes, from the other end
				c = -c
			}
			b.WriteString(nsisCode(c, h.strings[at+1], h.strings[at+2]))
			at += 2
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// nsisCode is the text of a code: 1 a text of the language, 2 a folder of the
// shell, 3 a variable, 4 the next character as it is.
func nsisCode(code, low, high byte) string {
	v := int(low&0x7f) | int(high&0x7f)<<7
	switch code {
	case 1:
		return fmt.Sprintf("$(LANG_%d)", v)
	case 2:
		return fmt.Sprintf("$SHELL_%d", low)
	case 3:
		if v < len(nsisVariables) {
			return "$" + nsisVariables[v]
		}
		return fmt.Sprintf("$VAR_%d", v)
	}
	return ""
}
