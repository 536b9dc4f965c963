package unpack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf16"
)

// CString is the text of a field up to its first zero.
func CString(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}

// UTF16 is little-endian UTF-16 up to its first zero, or the field's end.
func UTF16(b []byte) string {
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

// GUID writes 16 bytes in the registry's form: the first three fields are
// little-endian (UEFI 2.10, appendix A), upper case.
func GUID(b []byte) string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08X-%04X-%04X-%X-%X", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])
}
