package uefi

import (
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// meManifest is the signed header of the engine's code ($MAN, $MN2).
type meManifest struct {
	tag     string
	head    int64 // bytes of the header, signature included
	size    int64 // of what it stands for, in bytes
	modules int64
	version string
	date    string
	debug   bool // signed with a key for tests
	signed  bool // there is a signature
}

const (
	manifestTag = 0x1c
	manifestMin = 0x284
)

// parseManifest reads a header. Its fields must fit each other, since the tag
// alone proves nothing.
func parseManifest(data unpack.Bytes, at int64) (*meManifest, bool) {
	b, err := unpack.ReadFull(data, at, manifestMin)
	if err != nil {
		return nil, false
	}
	m := &meManifest{tag: string(b[manifestTag : manifestTag+4]), head: int64(le32(b[4:])) * 4, size: int64(le32(b[0x18:])) * 4, modules: int64(le32(b[0x20:])), version: version4(b[0x24:])}
	if m.tag != "$MN2" && m.tag != "$MAN" || m.head < manifestMin || m.head > 0x800 || m.size < m.head || le32(b[0x10:]) != 0x8086 {
		return nil, false
	}
	if key := int64(le32(b[0x78:])) * 4; 0x80+2*key+4 > m.head || key < 128 {
		return nil, false
	}
	var ok bool
	if m.date, ok = bcdDate(uint32(b[0x15])<<24 | uint32(b[0x14])<<16 | uint32(le16(b[0x16:]))); !ok {
		return nil, false
	}
	m.debug = le32(b[0xc:])>>31 != 0
	h, err := unpack.ReadFull(data, at, m.head)
	if err != nil {
		return nil, false
	}
	key := int64(le32(b[0x78:])) * 4
	sig := h[0x80+key+4 : 0x80+2*key+4]
	m.signed = !unpack.OnlyByte(sig, 0) && !unpack.OnlyByte(sig, 0xff)
	return m, true
}

// info adds what the manifest says.
func (m *meManifest) info(to map[string]string) {
	to["version"], to["date"] = m.version, m.date
	switch {
	case !m.signed:
		to["signature"] = "none"
	case m.debug:
		to["signature"] = "with a key for tests"
	default:
		to["signature"] = fmt.Sprintf("present (RSA %d), not checked", (m.head-0x84)/2/128*1024)
	}
}

// MEManifest opens manifests that stand alone: those of the newer engine's
// directories, which hold no code, and the older engine's code partitions.
var MEManifest = &unpack.Reader{
	Name:    "intel-me-code",
	Doc:     "code partitions of Intel's management engine 2 to 10 ($MAN, $MN2): version, signature present or not, modules with names, those packed by LZMA unpacked; manifests of the newer ones",
	Limits:  "Modules packed by Huffman need dictionaries that Intel has not published; signatures are not checked.",
	Checked: "an independent writer; UEFIExtract's version",
	Magics:  []unpack.Magic{{At: manifestTag, Bytes: "$MN2"}, {At: manifestTag, Bytes: "$MAN"}},
	Carve:   true,
	Open:    openManifest,
}

func openManifest(in *unpack.Input) (*unpack.Object, error) {
	m, ok := parseManifest(in.Data, 0)
	if !ok {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "intel me manifest", Size: min(m.size, in.Data.Size()), Info: map[string]string{}}
	m.info(o.Info)
	if list := meModules(in.Data, m); len(list) > 0 {
		meCode(in, o, m, list)
	} else if m.size > in.Data.Size() {
		o.Err = &unpack.CutOff{Format: "intel me manifest", Missing: m.size - in.Data.Size(), Of: m.size}
	}
	return o, nil
}
