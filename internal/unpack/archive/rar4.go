package archive

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/doorward/doorward/internal/unpack"
)

// Types of blocks of RAR 4.
const (
	rar4Main    = 0x73
	rar4File    = 0x74
	rar4Service = 0x7a
	rar4End     = 0x7b

	rar4FileSize = 32 // of a file's header without its name
)

// block4 reads the block at an offset: checksum, type, flags, size.
func (r *rar) block4(at int64, first bool) (next int64, last bool, err error) {
	le := binary.LittleEndian
	h, err := unpack.ReadFull(r.in.Data, at, 7)
	if err != nil {
		return 0, false, errRarBlock
	}
	kind, flags, size := h[2], le.Uint16(h[3:]), int64(le.Uint16(h[5:]))
	if size < 7 || kind < rar4Main || kind > rar4End || first != (kind == rar4Main) {
		return 0, false, errRarBlock
	}
	if h, err = unpack.ReadFull(r.in.Data, at, size); err != nil {
		return 0, false, errRarBlock
	}
	signed := h
	if kind == rar4Main && flags&2 != 0 && size > 13 {
		signed = h[:13] // a comment of RAR 2 follows in the block
	}
	if uint16(crc32.ChecksumIEEE(signed[2:])) != le.Uint16(h) {
		return 0, false, errRarBlock
	}
	next = at + size
	switch kind {
	case rar4Main:
		if size < 13 {
			return 0, false, errRarBlock
		}
		if flags&1 != 0 {
			r.o.Info["volumes"] = "one of several"
		}
		if flags&0x80 != 0 {
			r.encryptedFrom(next)
			return r.in.Data.Size(), true, nil
		}
	case rar4File, rar4Service:
		if size < rar4FileSize {
			return 0, false, errRarBlock
		}
		f, err := rar4Header(h, kind, flags)
		if err != nil {
			return 0, false, err
		}
		f.at, f.entry.Order = next, next
		if kind == rar4Service && len(r.files) > 0 {
			f.entry.Path = r.lastFile()
		}
		r.files = append(r.files, f)
		next += f.packed
	case rar4End:
		return next, true, nil
	default:
		if flags&0x8000 != 0 {
			if size < 11 {
				return 0, false, errRarBlock
			}
			next += int64(le.Uint32(h[7:]))
		}
	}
	return next, false, nil
}

// encryptedFrom notes that everything from an offset on is encrypted.
func (r *rar) encryptedFrom(at int64) {
	r.o.Gaps = append(r.o.Gaps, unpack.Gap{Offset: at, Size: r.in.Data.Size() - at, Reason: "encrypted", Note: "the list of files is encrypted too"})
}

// lastFile is the name that a service's data belong to.
func (r *rar) lastFile() string {
	for i := len(r.files) - 1; i >= 0; i-- {
		if r.files[i].service == "" {
			return r.files[i].entry.Path
		}
	}
	return ""
}

func rar4Header(h []byte, kind byte, flags uint16) (*rarFile, error) {
	le := binary.LittleEndian
	f := &rarFile{packed: int64(le.Uint32(h[7:])), size: int64(le.Uint32(h[11:])), version: int(h[24]), stored: h[25] == 0x30, sum: bigEndian32(le.Uint32(h[16:])),
		before: flags&1 != 0, after: flags&2 != 0, encrypted: flags&4 != 0, solid: flags&0x10 != 0}
	host, nameLen, attributes, rest := h[15], int(le.Uint16(h[26:])), uint64(le.Uint32(h[28:])), h[rar4FileSize:]
	if f.version == 36 {
		f.version = 29 // the same method, in files over 2 GB
	}
	if flags&0x100 != 0 {
		if len(rest) < 8 {
			return nil, errRarBlock
		}
		f.packed |= int64(le.Uint32(rest)) << 32
		f.size |= int64(le.Uint32(rest[4:])) << 32
		rest = rest[8:]
	}
	if f.unknown = f.size == 0xffffffff || f.size < 0 || f.size > 1<<56; f.packed < 0 || f.packed > 1<<56 || nameLen > len(rest) {
		return nil, errRarBlock
	}
	name := rar4Name(rest[:nameLen], flags&0x200 != 0)
	rest = rest[nameLen:]
	if kind == rar4Service {
		if f.service = name; f.service == "STM" {
			f.stream = ":" + strings.TrimPrefix(strings.TrimSuffix(unpack.UTF16(rest), ":$DATA"), ":")
		}
		return f, nil
	}
	unix := host == 3 || host == 4 || host == 5
	e := &f.entry
	e.Path, e.Mode = strings.ReplaceAll(name, "\\", "/"), rarMode(unix, flags&0xe0 == 0xe0, attributes)
	e.ModTime = dosTime(le.Uint16(h[22:]), le.Uint16(h[20:]))
	if flags&0x800 != 0 { // an old version, its number behind the name
		e.Deleted = true
	}
	if e.Mode&fs.ModeType != 0 && e.Mode&(fs.ModeDir|fs.ModeSymlink) == 0 {
		e.Mode = e.Mode.Perm()
	}
	if name == "" {
		return nil, fmt.Errorf("rar: a file without a name: %w", errRarBlock)
	}
	return f, nil
}

// rar4Name reads a name: in the host's code page and, if it does not fit there,
// UTF-16 behind it that refers to it.
func rar4Name(b []byte, wide bool) string {
	narrow, packed, both := bytes.Cut(b, []byte{0})
	if !wide || !both {
		if utf8.Valid(b) {
			return string(b)
		}
		return string(narrow)
	}
	d := &rar4NameReader{b: packed}
	high := uint16(d.next()) << 8
	var out []uint16
	for len(d.b) > 0 && len(out) < 1<<14 {
		flags := d.next()
		for shift := 6; shift >= 0 && len(d.b) > 0; shift -= 2 {
			switch flags >> shift & 3 {
			case 0:
				out = append(out, uint16(d.next()))
			case 1:
				out = append(out, high|uint16(d.next()))
			case 2:
				out = append(out, uint16(d.next())|uint16(d.next())<<8)
			case 3:
				n, add, top := int(d.next()), byte(0), uint16(0)
				if n&0x80 != 0 {
					add, top = d.next(), high
				}
				for n = n&0x7f + 2; n > 0 && len(out) < len(narrow); n-- {
					out = append(out, top|uint16(narrow[len(out)]+add))
				}
			}
		}
	}
	return string(utf16.Decode(out))
}

type rar4NameReader struct{ b []byte }

func (d *rar4NameReader) next() (c byte) {
	if len(d.b) > 0 {
		c, d.b = d.b[0], d.b[1:]
	}
	return c
}
