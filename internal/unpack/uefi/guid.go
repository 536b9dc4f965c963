package uefi

import (
	_ "embed"
	"encoding/binary"
	"strings"
	"sync"

	"github.com/doorward/doorward/internal/unpack"
)

// guid is a GUID as UEFI stores it: the first three fields little-endian
// (UEFI 2.10, appendix A).
type guid [16]byte

func guidAt(b []byte) guid { return guid(b[:16]) }

// String writes a GUID in the registry form, upper-case.
func (g guid) String() string { return unpack.GUID(g[:]) }

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
