package archive

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// Zip opens zip archives, Android packages and Java archives among them.
var Zip = &unpack.Reader{
	Name:    "zip",
	Checked: "zip, 7z and apksigner",
	Doc:     "zip archives, zip64 and those of unknown sizes (data descriptors) too; stored, deflate, deflate64, bzip2, lzma, zstd, xz; signers of an APK signing block; content that only one of the two lists has; with --key members of PKWARE's first encryption and WinZip's AES.",
	Limits:  "PKWARE's strong encryption is reported; signatures are not verified.",
	Magics:  []unpack.Magic{{At: 0, Bytes: zipLocal}},
	Carve:   true,
	Open:    openZip,
}

// ZipBehind opens files that end with a zip archive and start with something
// else: self-extracting programs.
var ZipBehind = &unpack.Reader{
	Name:    "zip-behind",
	Checked: "zip behind a program",
	Doc:     "files that end with a zip archive behind something else, such as self-extracting programs.",
	Open:    openZipBehind,
}

const (
	zipLocal     = "PK\x03\x04"
	zipCentral   = "PK\x01\x02"
	zipEnd       = "PK\x05\x06"
	zip64End     = "PK\x06\x06"
	zip64Locator = "PK\x06\x07"

	zipLocalSize   = 30
	zipCentralSize = 46
	zipEndSize     = 22
)

// maxZipEnds is how many end records are tried for one start, and so bounds
// what many false starts before many false ends cost.
const maxZipEnds = 64

func openZip(in *unpack.Input) (*unpack.Object, error) {
	if m, _ := parseZipLocal(in.Data, 0); m == nil {
		return nil, unpack.ErrNotThis
	}
	at := int64(0)
	for range maxZipEnds {
		if at = in.Next(zipEnd, at+1); at < 0 || in.Context.Err() != nil {
			break
		}
		// Another archive in this one may have an end of its own: the right
		// one's directory begins with the member that lies at our start.
		if z := readZipEnd(in.Data, at); z != nil && z.entriesFrom(in.Budget, 0) {
			return z.object("zip"), nil
		}
	}
	return openZipLocals(in)
}

func openZipBehind(in *unpack.Input) (*unpack.Object, error) {
	if !in.Whole || in.Data.Size() < zipEndSize+zipLocalSize {
		return nil, unpack.ErrNotThis
	}
	from := max(0, in.Data.Size()-zipEndSize-64<<10)
	tail := unpack.ReadSome(in.Data, from, in.Data.Size())
	i := unpack.LastIndex(tail, zipEnd)
	if i < 0 {
		return nil, unpack.ErrNotThis
	}
	z := readZipEnd(in.Data, from+int64(i))
	if z == nil || z.size != in.Data.Size() || !z.entriesFrom(in.Budget, -1) || z.first <= 0 {
		return nil, unpack.ErrNotThis
	}
	o := z.object("zip behind something else")
	o.Parts = append(o.Parts, unpack.Part{Name: "before", Data: unpack.Window(in.Data, 0, z.first), Offset: 0})
	return o, nil
}

// zipReader reads an archive by its central directory.
type zipReader struct {
	data    unpack.Bytes
	base    int64 // what offsets in the archive count from
	dir     int64 // of the central directory
	dirSize int64
	count   uint64
	size    int64 // where the archive ends
	first   int64 // of the first member
	comment string
	entries []unpack.Entry
	parts   []unpack.Part
	gaps    []unpack.Gap
	schemes []string // of an APK signing block
	signers []string
}

// readZipEnd reads the end record at an offset; nil if it is none.
func readZipEnd(b unpack.Bytes, at int64) *zipReader {
	p, err := unpack.ReadFull(b, at, zipEndSize)
	if err != nil || string(p[:4]) != zipEnd {
		return nil
	}
	comment := int64(binary.LittleEndian.Uint16(p[20:]))
	z := &zipReader{data: b, count: uint64(binary.LittleEndian.Uint16(p[10:])), dirSize: int64(binary.LittleEndian.Uint32(p[12:])), size: at + zipEndSize + comment}
	offset := int64(binary.LittleEndian.Uint32(p[16:]))
	if z.size > b.Size() {
		return nil
	}
	z.comment = strings.ToValidUTF8(string(unpack.ReadSome(b, at+zipEndSize, comment)), "?")
	z.dir = at - z.dirSize
	if l, err := unpack.ReadFull(b, at-20, 20); err == nil && string(l[:4]) == zip64Locator {
		// The record's own offset counts from the base too: it is looked for
		// right before its locator, where every packer puts it.
		if e, err := unpack.ReadFull(b, at-20-56, 56); err == nil && string(e[:4]) == zip64End {
			z.count = binary.LittleEndian.Uint64(e[32:])
			z.dirSize = int64(binary.LittleEndian.Uint64(e[40:]))
			offset = int64(binary.LittleEndian.Uint64(e[48:]))
			z.dir = at - 20 - 56 - z.dirSize
		}
	}
	z.base = z.dir - offset
	if z.dirSize < 0 || offset < 0 || z.dir < 0 || z.dir > at || z.count == 0 || z.count > uint64(z.dirSize)/zipCentralSize {
		return nil
	}
	return z
}

// entriesFrom reads the central directory. It fails unless the first member
// lies at the given offset (-1: anywhere).
func (z *zipReader) entriesFrom(budget *unpack.Budget, first int64) bool {
	dir, err := unpack.ReadFull(z.data, z.dir, z.dirSize)
	if err != nil {
		return false
	}
	z.first = z.dir
	var members []*zipMember
	for range z.count {
		m, n := parseZipCentral(dir)
		if m == nil {
			return false
		}
		dir = dir[n:]
		m.at += z.base
		if m.at < 0 || m.at >= z.dir {
			return false
		}
		z.first = min(z.first, m.at)
		members = append(members, m)
	}
	if first >= 0 && z.first != first || string(unpack.ReadSome(z.data, z.first, 4)) != zipLocal {
		return false
	}
	z.check(members)
	overlap := overlapping(members)
	for _, m := range members {
		e := m.entry(z.data, z.dir, budget)
		if overlap[m] {
			e.Err = fmt.Errorf("zip member %q: its content is part of another's too", m.name)
		}
		z.entries = append(z.entries, e)
	}
	return true
}

// overlapping are the members that start within another: only bombs have them,
// which let many members share the same packed bytes.
func overlapping(members []*zipMember) map[*zipMember]bool {
	sorted := slices.Clone(members)
	slices.SortStableFunc(sorted, func(a, b *zipMember) int { return cmp.Compare(a.at, b.at) })
	found := map[*zipMember]bool{}
	end := int64(0)
	for _, m := range sorted {
		if m.at < end {
			found[m] = true
			continue
		}
		end = m.at + zipLocalSize + int64(len(m.name)) + m.packed
	}
	return found
}

func (z *zipReader) object(format string) *unpack.Object {
	return &unpack.Object{Format: format, Size: z.size, Entries: z.entries, Parts: unpack.NumberParts(z.parts), Gaps: z.gaps, Info: z.info()}
}

// openZipLocals reads members one behind the other, for an archive whose
// directory is missing: cut off, or damaged.
func openZipLocals(in *unpack.Input) (*unpack.Object, error) {
	o := &unpack.Object{Format: "zip", Err: errors.New("zip: no central directory")}
	at := int64(0)
	for {
		m, start := parseZipLocal(in.Data, at)
		if m == nil {
			break
		}
		e := m.entry(in.Data, in.Data.Size(), in.Budget)
		o.Entries = append(o.Entries, e)
		if m.flags&zipDescriptor != 0 && m.packed == 0 {
			at = start // its end is not known
			break
		}
		at = start + m.packed
		if at > in.Data.Size() {
			at = in.Data.Size()
			break
		}
	}
	if len(o.Entries) == 0 || !in.Whole && len(o.Entries) < 2 {
		return nil, unpack.ErrNotThis
	}
	o.Size = at
	return o, nil
}

// Flags of a member.
const (
	zipEncrypted  = 1
	zipDescriptor = 8
)

// zipMember is a member as its headers describe it.
type zipMember struct {
	name             string
	madeBy           uint16
	flags, method    uint16
	crc              uint32
	packed, unpacked int64
	attributes       uint32
	time             time.Time
	uid, gid         int
	aes              byte // WinZip's: the strength, 1 to 3
	aesVersion       byte
	noSum            bool  // the checksum is left out
	at               int64 // of its local header
}

func parseZipCentral(b []byte) (*zipMember, int) {
	if len(b) < zipCentralSize || string(b[:4]) != zipCentral {
		return nil, 0
	}
	le := binary.LittleEndian
	nameLen, extraLen, commentLen := int(le.Uint16(b[28:])), int(le.Uint16(b[30:])), int(le.Uint16(b[32:]))
	end := zipCentralSize + nameLen + extraLen + commentLen
	if end > len(b) || nameLen == 0 {
		return nil, 0
	}
	m := &zipMember{madeBy: le.Uint16(b[4:]), flags: le.Uint16(b[8:]), method: le.Uint16(b[10:]), crc: le.Uint32(b[16:]),
		packed: int64(le.Uint32(b[20:])), unpacked: int64(le.Uint32(b[24:])), attributes: le.Uint32(b[38:]), at: int64(le.Uint32(b[42:])),
		time: dosTime(le.Uint16(b[14:]), le.Uint16(b[12:])), name: string(b[zipCentralSize : zipCentralSize+nameLen])}
	m.extra(b[zipCentralSize+nameLen:][:extraLen])
	if m.packed < 0 || m.unpacked < 0 || m.at < 0 {
		return nil, 0
	}
	return m, end
}

// parseZipLocal reads a local header and returns where the content starts.
func parseZipLocal(b unpack.Bytes, at int64) (*zipMember, int64) {
	p, err := unpack.ReadFull(b, at, zipLocalSize)
	if err != nil || string(p[:4]) != zipLocal {
		return nil, 0
	}
	le := binary.LittleEndian
	nameLen, extraLen := int64(le.Uint16(p[26:])), int64(le.Uint16(p[28:]))
	rest, err := unpack.ReadFull(b, at+zipLocalSize, nameLen+extraLen)
	if err != nil || nameLen == 0 || le.Uint16(p[4:])&0xff > 63 {
		return nil, 0
	}
	m := &zipMember{flags: le.Uint16(p[6:]), method: le.Uint16(p[8:]), crc: le.Uint32(p[14:]), packed: int64(le.Uint32(p[18:])), unpacked: int64(le.Uint32(p[22:])),
		time: dosTime(le.Uint16(p[12:]), le.Uint16(p[10:])), name: string(rest[:nameLen]), at: at}
	m.extra(rest[nameLen:])
	if m.packed < 0 || m.unpacked < 0 {
		return nil, 0
	}
	return m, at + zipLocalSize + nameLen + extraLen
}

// extra reads the extra fields: sizes of zip64, time and owner of Unix.
func (m *zipMember) extra(b []byte) {
	le := binary.LittleEndian
	for len(b) >= 4 {
		id, n := le.Uint16(b), int(le.Uint16(b[2:]))
		if n > len(b)-4 {
			return
		}
		f := b[4 : 4+n]
		b = b[4+n:]
		switch {
		case id == 0x0001:
			for _, v := range []*int64{&m.unpacked, &m.packed, &m.at} {
				if *v == 0xffffffff && len(f) >= 8 {
					*v, f = int64(le.Uint64(f)), f[8:]
				}
			}
		case id == 0x5455 && n >= 5 && f[0]&1 != 0:
			m.time = time.Unix(int64(int32(le.Uint32(f[1:]))), 0).UTC()
		case id == 0x9901 && n >= 7 && m.method == zipAES:
			m.aesVersion, m.aes, m.method = f[0], f[4], le.Uint16(f[5:])
		case id == 0x7875 && n >= 3 && f[0] == 1:
			m.uid, f = zipID(f[1:])
			m.gid, _ = zipID(f)
		}
	}
}

// zipID reads an owner's number, whose length in bytes stands before it.
func zipID(b []byte) (int, []byte) {
	if len(b) == 0 || int(b[0]) > len(b)-1 || b[0] > 8 {
		return 0, nil
	}
	var v [8]byte
	n := int(b[0])
	copy(v[:], b[1:1+n])
	return int(binary.LittleEndian.Uint64(v[:])), b[1+n:]
}

func dosTime(date, clock uint16) time.Time {
	if date == 0 {
		return time.Time{}
	}
	return time.Date(1980+int(date>>9), time.Month(date>>5&15), int(date&31), int(clock>>11), int(clock>>5&63), int(clock&31)*2, 0, time.UTC)
}

// mode is the member's type and permissions: Unix packers store theirs.
func (m *zipMember) mode() fs.FileMode {
	folder := strings.HasSuffix(m.name, "/")
	if host := m.madeBy >> 8; (host == 3 || host == 19) && m.attributes>>16 != 0 {
		mode := unpack.UnixMode(m.attributes >> 16)
		if folder {
			mode |= fs.ModeDir
		}
		return mode
	}
	if folder {
		return fs.ModeDir | 0o755
	}
	return 0o644
}

// entry makes an entry; end is where content must end.
func (m *zipMember) entry(b unpack.Bytes, end int64, budget *unpack.Budget) unpack.Entry {
	e := unpack.Entry{Path: m.name, Mode: m.mode(), UID: m.uid, GID: m.gid, ModTime: m.time, Order: m.at}
	if e.Mode.IsDir() {
		return e
	}
	_, start := parseZipLocal(b, m.at)
	switch {
	case start == 0:
		e.Err = fmt.Errorf("zip: no local header at 0x%x", m.at)
		return e
	case m.packed > end-start:
		e.Err = fmt.Errorf("zip: content at 0x%x is cut off", start)
		return e
	}
	packed := unpack.Window(b, start, m.packed)
	if m.flags&zipEncrypted != 0 {
		plain, err := m.decrypted(packed, budget)
		if err != nil {
			e.Data, e.Err = packed, fmt.Errorf("zip member %q: %w", m.name, err)
			return e
		}
		packed = plain
	}
	switch {
	case m.method != 0 && zipDecoders[m.method] == nil:
		e.Data, e.Err = packed, fmt.Errorf("zip member %q: %w compression method %d", m.name, unpack.ErrUnsupported, m.method)
	case m.unpacked > max(unpack.RatioFree, 2000*m.packed):
		e.Data, e.Err = packed, fmt.Errorf("zip member %q: %w: expands from %d to %d bytes", m.name, unpack.ErrLimit, m.packed, m.unpacked)
	case m.unpacked > 0 || m.packed > 0:
		e.Data = m.content(packed)
	}
	if e.Mode&fs.ModeSymlink != 0 && e.Data != nil && e.Err == nil {
		target, err := unpack.ReadFull(e.Data, 0, min(m.unpacked, 4096))
		e.Link, e.Err, e.Data = string(target), err, nil
	}
	return e
}
