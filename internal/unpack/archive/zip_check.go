package archive

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// zipNotes bounds how many oddities of one archive are told.
const zipNotes = 20

// zipDescriptorMax is the most that stands between a member's content and the
// next one: a data descriptor of zip64.
const zipDescriptorMax = 24

// check looks for what hides content from those who read only one of an
// archive's two lists: headers that disagree with the directory, names that
// occur twice, and bytes that no member has.
func (z *zipReader) check(members []*zipMember) {
	seen := map[string]bool{}
	for _, m := range members {
		if seen[m.name] {
			z.note("two members are named %q", m.name)
		}
		seen[m.name] = true
		if local, _ := parseZipLocal(z.data, m.at); local != nil {
			if what := local.differs(m); what != "" {
				z.note("member %q: its header says another thing than the directory: %s", m.name, what)
			}
		}
	}
	z.between(members)
}

func (z *zipReader) note(format string, args ...any) {
	if len(z.gaps) < zipNotes {
		z.gaps = append(z.gaps, unpack.Gap{Offset: z.first, Reason: "damaged", Note: "zip: " + fmt.Sprintf(format, args...)})
	}
}

// differs says in what a local header contradicts the directory. Sizes and
// checksum may stand behind the content instead of in the header.
func (m *zipMember) differs(central *zipMember) string {
	switch late := m.flags&zipDescriptor != 0; {
	case m.name != central.name:
		return fmt.Sprintf("the name %q", m.name)
	case m.method != central.method:
		return fmt.Sprintf("method %d, not %d", m.method, central.method)
	case (m.flags^central.flags)&zipEncrypted != 0:
		return "if it is encrypted"
	case !late && m.crc != central.crc && m.crc != 0:
		return "the checksum"
	case !late && (m.packed != central.packed && m.packed != 0 || m.unpacked != central.unpacked && m.unpacked != 0):
		return "the sizes"
	}
	return ""
}

// between makes parts of what lies between members, or between the last of them
// and the directory, but for padding.
func (z *zipReader) between(members []*zipMember) {
	type stretch struct{ from, to int64 }
	list := make([]stretch, 0, len(members))
	for _, m := range members {
		if _, start := parseZipLocal(z.data, m.at); start > 0 {
			list = append(list, stretch{m.at, start + m.packed})
		}
	}
	slices.SortFunc(list, func(a, b stretch) int { return cmp.Compare(a.from, b.from) })
	list = append(list, stretch{z.dir, z.dir})
	at := z.first
	for _, s := range list {
		if s.from > at && len(z.parts) < zipNotes {
			z.hole(at, s.from)
		}
		at = max(at, s.to)
	}
}

func (z *zipReader) hole(from, to int64) {
	// A descriptor may come first: a mark, which may be missing, and numbers.
	head := unpack.ReadSome(z.data, from, min(zipDescriptorMax, to-from))
	switch {
	case bytes.HasPrefix(head, []byte("PK\x07\x08")):
		n := int64(16)
		if len(head) >= 24 && (to-from == 24 || string(unpack.ReadSome(z.data, from+24, 2)) == "PK") {
			n = 24
		}
		from = min(from+n, to)
	case to-from == 12 || to-from == 20:
		return
	}
	if to == z.dir {
		to = z.signingBlock(from, to)
	}
	if to == from {
		return
	}
	padding := true
	if err := unpack.Chunks(z.data, from, to-from, func(p []byte) { padding = padding && unpack.OnlyByte(p, 0) }); err != nil || padding {
		return
	}
	z.parts = append(z.parts, unpack.Part{Name: fmt.Sprintf("unlisted at 0x%x", from), Data: unpack.Window(z.data, from, to-from), Offset: from})
}

// info is what the archive says besides its members.
func (z *zipReader) info() map[string]string {
	info := map[string]string{}
	if z.comment != "" {
		info["comment"] = z.comment
	}
	if len(z.schemes) > 0 {
		info["signature schemes"] = strings.Join(z.schemes, " ")
		info["signer"] = strings.Join(z.signers, "; ")
	}
	if len(info) == 0 {
		return nil
	}
	return info
}
