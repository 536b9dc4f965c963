package uefi

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"unicode/utf16"
)

// guid is a GUID as UEFI stores it: the first three fields little-endian
// (UEFI 2.10, appendix A).
type guid [16]byte

func guidAt(b []byte) guid { return guid(b[:16]) }

// String writes a GUID in the registry form, upper-case.
func (g guid) String() string {
	return fmt.Sprintf("%08X-%04X-%04X-%X-%X", binary.LittleEndian.Uint32(g[:]), binary.LittleEndian.Uint16(g[4:]), binary.LittleEndian.Uint16(g[6:]), g[8:10], g[10:])
}

// name is the GUID's name in the table, or "".
func (g guid) name() string { return guidNames()[g.String()] }

// title is the name, or else the GUID itself.
func (g guid) title() string {
	if n := g.name(); n != "" {
		return n
	}
	return g.String()
}

//go:embed data/guids.txt
var guidTable string

var guidNames = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(guidTable) {
		if f := strings.Fields(line); len(f) == 2 && !strings.HasPrefix(line, "#") {
			m[f[0]] = f[1]
		}
	}
	return m
})

// ucs2 reads UTF-16 up to its NUL or the end.
func ucs2(b []byte) string {
	var u []uint16
	for ; len(b) >= 2; b = b[2:] {
		c := binary.LittleEndian.Uint16(b)
		if c == 0 {
			break
		}
		u = append(u, c)
	}
	return string(utf16.Decode(u))
}

func isFilled(b []byte, v byte) bool {
	for _, c := range b {
		if c != v {
			return false
		}
	}
	return true
}

// sum8 is the sum of bytes.
func sum8(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}

// sum16 is the sum of little-endian words; an odd last byte counts as a word.
func sum16(b []byte) (s uint16) {
	for ; len(b) >= 2; b = b[2:] {
		s += binary.LittleEndian.Uint16(b)
	}
	if len(b) == 1 {
		s += uint16(b[0])
	}
	return s
}

func u24(b []byte) int64 { return int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16 }

func align(n, to int64) int64 { return (n + to - 1) / to * to }

var (
	le16 = binary.LittleEndian.Uint16
	le32 = binary.LittleEndian.Uint32
	le64 = binary.LittleEndian.Uint64
)
