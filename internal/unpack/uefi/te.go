package uefi

import (
	"encoding/binary"
	"errors"

	"github.com/doorward/doorward/internal/unpack"
)

// A terse executable is a PE file whose headers were cut to 40 bytes (PI 1.7,
// volume 1, section 15.2). With headers made anew it is a PE file again, in
// which every section lies where its header says.
const (
	teHeader      = 40
	peSignature   = 0x40 // offset of the signature in the headers made
	coffHeader    = 20
	sectionHeader = 40
)

var errTE = errors.New("a terse executable has an impossible header")

// peOfTE makes a PE file of a terse executable.
func peOfTE(b unpack.Bytes) (unpack.Bytes, error) {
	h, err := unpack.ReadFull(b, 0, teHeader)
	if err != nil || string(h[:2]) != "VZ" {
		return nil, errTE
	}
	machine, n, stripped := le16(h[2:]), int64(h[4]), int64(le16(h[6:]))
	if n == 0 || stripped < teHeader || teHeader+n*sectionHeader > b.Size() || b.Size() > 64<<20 {
		return nil, errTE
	}
	body, err := unpack.ReadFull(b, teHeader, b.Size()-teHeader)
	if err != nil {
		return nil, err
	}
	wide := isWide(machine)
	optional := int64(96 + 16*8)
	if wide {
		optional += 16
	}
	// The table of sections stands where it stood, or further behind if the
	// headers that were cut off had no room for a whole one.
	table := max(stripped, peSignature+4+coffHeader+optional)
	delta := table - stripped
	out := make([]byte, table, table+int64(len(body)))
	out = append(out, body...)
	if delta > 0 {
		moveSections(out[table:], int(n), uint32(delta))
	}
	at := table - optional - coffHeader - 4
	copy(out, "MZ")
	binary.LittleEndian.PutUint32(out[0x3c:], uint32(at))
	copy(out[at:], "PE\x00\x00")
	coff := out[at+4:]
	binary.LittleEndian.PutUint16(coff, machine)
	binary.LittleEndian.PutUint16(coff[2:], uint16(n))
	binary.LittleEndian.PutUint16(coff[16:], uint16(optional))
	binary.LittleEndian.PutUint16(coff[18:], 0x0022) // an executable image
	optionalHeader(coff[coffHeader:], h, wide, out[table:], int(n), uint32(table))
	return unpack.Slice(out), nil
}

// isWide says that a machine's programs have the wide optional header.
func isWide(machine uint16) bool {
	switch machine {
	case 0x8664, 0xaa64, 0x0200, 0x5064, 0x6264:
		return true
	}
	return false
}

// moveSections moves the places of the sections' bytes in the file.
func moveSections(table []byte, n int, by uint32) {
	for i := range n {
		p := table[i*sectionHeader+20:]
		if v := le32(p); v != 0 {
			binary.LittleEndian.PutUint32(p, v+by)
		}
	}
}

// optionalHeader fills in what the terse header kept.
func optionalHeader(o, te []byte, wide bool, table []byte, n int, headers uint32) {
	image := uint32(0)
	for i := range n {
		s := table[i*sectionHeader:]
		image = max(image, le32(s[12:])+le32(s[8:]))
	}
	put := binary.LittleEndian.PutUint32
	put(o[16:], le32(te[8:]))  // entry point
	put(o[20:], le32(te[12:])) // base of code
	directories := 96
	if wide {
		directories = 112
		binary.LittleEndian.PutUint16(o, 0x20b)
		binary.LittleEndian.PutUint64(o[24:], le64(te[16:]))
	} else {
		binary.LittleEndian.PutUint16(o, 0x10b)
		put(o[28:], uint32(le64(te[16:])))
	}
	put(o[32:], 32) // alignments
	put(o[36:], 32)
	put(o[56:], (image+31)/32*32)
	put(o[60:], headers)
	binary.LittleEndian.PutUint16(o[68:], uint16(te[5]))
	put(o[directories-4:], 16)
	copy(o[directories+5*8:], te[24:32]) // base relocations
	copy(o[directories+6*8:], te[32:40]) // debug
}
