package volume

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// Tags of reparse points ([MS-FSCC] 2.1.2.1).
const (
	tagJunction = 0xa0000003
	tagSymlink  = 0xa000000c
	tagWOF      = 0x80000017
	tagLink     = 0xa000001d // of WSL, as the next ones
	tagSocket   = 0x80000023
	tagFIFO     = 0x80000024
	tagChar     = 0x80000025
	tagBlock    = 0x80000026
)

// special gives an entry what extended attributes and reparse points say of
// it.
func (v *ntfs) special(f *ntfsFile, e *unpack.Entry) {
	if a := f.find(ntfsEA, ""); a != nil {
		if data, err := v.content(f, *a); err == nil {
			b, _ := unpack.ReadAll(data, 64<<10)
			wslAttributes(b, e)
		}
	}
	a := f.find(ntfsReparse, "")
	if a == nil {
		return
	}
	data, err := v.content(f, *a)
	if err != nil {
		return
	}
	p, err := unpack.ReadAll(data, 64<<10)
	if err != nil || len(p) < 8 {
		e.Err = fmt.Errorf("ntfs: a damaged reparse point")
		return
	}
	switch tag := binary.LittleEndian.Uint32(p); tag {
	case tagSymlink, tagJunction:
		if e.Link, err = windowsLink(p, tag); err != nil {
			e.Err = err
		}
		e.Mode = fs.ModeSymlink | 0o777
	case tagLink:
		e.Link, e.Mode = string(p[min(12, len(p)):]), fs.ModeSymlink|0o777
	case tagSocket:
		e.Mode = fs.ModeSocket | e.Mode.Perm()
	case tagFIFO:
		e.Mode = fs.ModeNamedPipe | e.Mode.Perm()
	case tagChar:
		e.Mode = fs.ModeDevice | fs.ModeCharDevice | e.Mode.Perm()
	case tagBlock:
		e.Mode = fs.ModeDevice | e.Mode.Perm()
	case tagWOF:
		e.Err = fmt.Errorf("ntfs: compressed by Windows' overlay filter (%s): %w", wofMethod(p), unpack.ErrUnsupported)
	default:
		// Others (deduplication, cloud files) have content that is not in the file.
		if e.Mode.IsRegular() && tag&0x80000000 != 0 {
			e.Err = fmt.Errorf("ntfs: a reparse point with the tag 0x%08x: %w", tag, unpack.ErrUnsupported)
		}
	}
}

func wofMethod(p []byte) string {
	if len(p) >= 24 && binary.LittleEndian.Uint32(p[12:]) == 2 {
		if n := binary.LittleEndian.Uint32(p[20:]); n < 4 {
			return []string{"XPRESS4K", "LZX", "XPRESS8K", "XPRESS16K"}[n]
		}
	}
	return "WIM"
}

// windowsLink is the target of a symbolic link or a junction, with slashes.
func windowsLink(p []byte, tag uint32) (string, error) {
	le := binary.LittleEndian
	names := 20
	if tag == tagJunction {
		names = 16
	}
	if len(p) < names {
		return "", fmt.Errorf("ntfs: a damaged link")
	}
	// The name for people to read has no \??\ before it, but may be missing.
	for _, at := range []int{12, 8} {
		from, n := names+int(le.Uint16(p[at:])), int(le.Uint16(p[at+2:]))
		if from+n > len(p) {
			return "", fmt.Errorf("ntfs: a damaged link")
		}
		if s := strings.TrimPrefix(utf16Name(p[from:from+n]), `\??\`); s != "" {
			return strings.ReplaceAll(s, `\`, "/"), nil
		}
	}
	return "", nil
}

// wslAttributes reads the extended attributes in which WSL keeps modes.
func wslAttributes(p []byte, e *unpack.Entry) {
	le := binary.LittleEndian
	for len(p) >= 8 {
		next, name, n := int(le.Uint32(p)), int(p[5]), int(le.Uint16(p[6:]))
		if 9+name+n > len(p) {
			return
		}
		switch val := p[9+name : 9+name+n]; {
		case string(p[8:8+name]) == "$LXMOD" && n >= 4:
			m := unpack.UnixMode(le.Uint32(val))
			if m.IsDir() == e.Mode.IsDir() {
				e.Mode = m
			}
		case string(p[8:8+name]) == "$LXUID" && n >= 4:
			e.UID = int(le.Uint32(val))
		case string(p[8:8+name]) == "$LXGID" && n >= 4:
			e.GID = int(le.Uint32(val))
		case string(p[8:8+name]) == "$LXDEV" && n >= 8:
			e.Major, e.Minor = le.Uint32(val), le.Uint32(val[4:])
		}
		if next < 8 || next > len(p) {
			return
		}
		p = p[next:]
	}
}

// interix recognises the links and devices that Interix, and ntfs-3g with it,
// keeps in the content of system files.
func (v *ntfs) interix(f *ntfsFile, e *unpack.Entry) {
	a := f.find(ntfsStandard, "")
	if a == nil || len(a.value) < 36 || binary.LittleEndian.Uint32(a.value[32:])&4 == 0 {
		return // no system file
	}
	if e.Data == nil {
		e.Mode = fs.ModeNamedPipe | e.Mode.Perm()
		return
	}
	if e.Data.Size() > 8<<10 {
		return
	}
	b, err := unpack.ReadAll(e.Data, 8<<10)
	if err != nil || len(b) < 8 {
		return
	}
	le := binary.LittleEndian
	switch {
	case string(b[:8]) == "IntxLNK\x01":
		e.Link, e.Mode, e.Data = utf16Name(b[8:]), fs.ModeSymlink|0o777, nil
	case len(b) >= 24 && (string(b[:8]) == "IntxCHR\x00" || string(b[:8]) == "IntxBLK\x00"):
		e.Major, e.Minor = uint32(le.Uint64(b[8:])), uint32(le.Uint64(b[16:]))
		if e.Mode |= fs.ModeDevice; b[4] == 'C' {
			e.Mode |= fs.ModeCharDevice
		}
		e.Data = nil
	}
}
