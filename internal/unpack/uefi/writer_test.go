package uefi

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode/utf16"
)

// This is an independent writer of volumes, from the PI specification.

func parseGUID(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != 16 {
		panic(s)
	}
	for _, r := range [][2]int{{0, 4}, {4, 6}, {6, 8}} {
		for i, j := r[0], r[1]-1; i < j; i, j = i+1, j-1 {
			b[i], b[j] = b[j], b[i]
		}
	}
	return b
}

func wide(s string) []byte {
	var b []byte
	for _, c := range append(utf16.Encode([]rune(s)), 0) {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b
}

func padTo(b []byte, n int, with byte) []byte {
	for len(b)%n != 0 {
		b = append(b, with)
	}
	return b
}

func put24(b []byte, n int) { b[0], b[1], b[2] = byte(n), byte(n>>8), byte(n>>16) }

// mkSection is one section; large ones get the extended size.
func mkSection(kind byte, body []byte, large bool) []byte {
	h := make([]byte, 4, 8+len(body))
	h[3] = kind
	if large {
		put24(h, 0xffffff)
		h = binary.LittleEndian.AppendUint32(h, uint32(8+len(body)))
	} else {
		put24(h, 4+len(body))
	}
	return append(h, body...)
}

func mkSections(list ...[]byte) []byte {
	var b []byte
	for _, s := range list {
		b = append(padTo(b, 4, 0), s...)
	}
	return b
}

func mkGUIDed(guid string, attr uint16, head, body []byte) []byte {
	b := parseGUID(guid)
	b = binary.LittleEndian.AppendUint16(b, uint16(4+20+len(head)))
	b = binary.LittleEndian.AppendUint16(b, attr)
	return mkSection(secGUIDed, append(append(b, head...), body...), false)
}

func mkCompressed(method byte, size int, body []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(size))
	return mkSection(secCompressed, append(append(b, method), body...), false)
}

type mkFile struct {
	guid  string
	kind  byte
	body  []byte
	sum   bool // the content has a checksum
	state byte // 0 means valid
	large bool // the header of FFS 3
	tail  bool // FFS 1
}

func (f mkFile) bytes(revision byte, erased byte) []byte {
	h := make([]byte, 24)
	copy(h, parseGUID(f.guid))
	h[18] = f.kind
	body := f.body
	if f.sum {
		h[19] |= 0x40
	}
	if f.tail {
		h[19] |= 1
	}
	size := 24 + len(body)
	if f.tail {
		size += 2
	}
	if f.large {
		h[19] |= 1
		h = binary.LittleEndian.AppendUint64(h, uint64(32+len(body)))
	} else {
		put24(h[20:], size)
	}
	state := f.state
	if state == 0 {
		state = 7
	}
	var sum byte
	for _, c := range h {
		sum += c
	}
	h[16] = -sum
	h[17] = 0xaa
	if revision == 1 {
		h[17] = 0x5a
	}
	if f.sum {
		h[17] = 0
		for _, c := range body {
			h[17] -= c
		}
	}
	h[23] = state ^ erased
	b := append(h, body...)
	if f.tail {
		b = append(b, ^h[16], ^h[17])
	}
	return b
}

type mkVolume struct {
	fs       string
	revision byte
	erased   byte
	ext      string // GUID of the extended header
	files    []mkFile
	body     []byte // in place of files
	room     int    // free bytes at the end
}

func (v mkVolume) bytes() []byte {
	b := make([]byte, 0x48)
	if v.ext != "" {
		b = append(b, parseGUID(v.ext)...)
		b = binary.LittleEndian.AppendUint32(b, 20)
	}
	if v.body != nil {
		b = append(b, v.body...)
	}
	for _, f := range v.files {
		b = append(padTo(b, 8, v.erased), f.bytes(v.revision, v.erased)...)
	}
	for range v.room {
		b = append(b, v.erased)
	}
	b = padTo(b, 4096, v.erased)
	copy(b[16:], parseGUID(v.fs))
	binary.LittleEndian.PutUint64(b[32:], uint64(len(b)))
	copy(b[40:], "_FVH")
	if v.erased != 0 {
		binary.LittleEndian.PutUint32(b[44:], 0x800)
	}
	binary.LittleEndian.PutUint16(b[48:], 0x48)
	if v.ext != "" {
		binary.LittleEndian.PutUint16(b[52:], 0x48)
	}
	b[55] = v.revision
	binary.LittleEndian.PutUint32(b[56:], uint32(len(b)/4096))
	binary.LittleEndian.PutUint32(b[60:], 4096)
	var sum uint16
	for i := 0; i < 0x48; i += 2 {
		sum += binary.LittleEndian.Uint16(b[i:])
	}
	binary.LittleEndian.PutUint16(b[50:], -sum)
	return b
}

// mkTE cuts the headers of a PE file down to a terse executable's.
func mkTE(pe []byte) []byte {
	at := binary.LittleEndian.Uint32(pe[0x3c:])
	coff := pe[at+4:]
	n, optSize := int(binary.LittleEndian.Uint16(coff[2:])), int(binary.LittleEndian.Uint16(coff[16:]))
	opt := coff[20:]
	table := int(at) + 24 + optSize
	h := []byte{'V', 'Z', coff[0], coff[1], byte(n), opt[68], 0, 0}
	binary.LittleEndian.PutUint16(h[6:], uint16(table))
	h = append(h, opt[16:24]...)
	dirs := 96
	if binary.LittleEndian.Uint16(opt) == 0x20b {
		h = append(h, opt[24:32]...)
		dirs = 112
	} else {
		h = append(append(h, opt[28:32]...), 0, 0, 0, 0)
	}
	h = append(h, opt[dirs+40:dirs+48]...)
	h = append(h, opt[dirs+48:dirs+56]...)
	return append(h, pe[table:]...)
}
