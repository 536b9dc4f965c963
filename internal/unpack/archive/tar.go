package archive

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// Tar opens tar archives. The content of files are windows on the archive.
var Tar = &unpack.Reader{
	Name:    "tar",
	Checked: "tar and bsdtar",
	Doc:     "tar archives: ustar, GNU (long names, sparse files), pax with extended attributes, star.",
	Magics:  []unpack.Magic{{At: 257, Bytes: "ustar"}},
	Carve:   true,
	Open:    openTar,
}

func openTar(in *unpack.Input) (*unpack.Object, error) {
	entries, size, err := readTar(in.Data)
	if len(entries) == 0 {
		return nil, unpack.ErrNotThis
	}
	return &unpack.Object{Format: "tar", Size: size, Entries: entries, System: true, Err: err}, nil
}

const (
	tarBlock  = 512
	tarRecord = 20 * tarBlock
	// tarMetaMax bounds pax headers and long names, which are read at once.
	tarMetaMax = 1 << 20
)

var errTarHeader = errors.New("tar: damaged header")

// tarHead is one header, with what extended headers before it say.
type tarHead struct {
	unpack.Entry
	kind   byte
	size   int64 // of the content in the archive
	real   int64 // of a sparse file; -1 for others
	sparse []unpack.Extent
	holes  string // format of a pax sparse file: "1.0" has its map in the content
}

// tarReader walks an archive.
type tarReader struct {
	data    unpack.Bytes
	at      int64
	global  map[string]string
	entries []unpack.Entry
	byName  map[string]int // entries that hard links may name
}

// readTar reads all entries of the archive at the start of b and returns how
// far it reaches, with the error that ended it before its end.
func readTar(b unpack.Bytes) ([]unpack.Entry, int64, error) {
	t := &tarReader{data: b, global: map[string]string{}, byName: map[string]int{}}
	err := t.walk()
	return t.entries, min(t.at, b.Size()), err
}

func (t *tarReader) walk() error {
	meta := &tarMeta{pax: map[string]string{}}
	for {
		block := unpack.ReadSome(t.data, t.at, tarBlock)
		switch {
		case len(block) == 0 && len(t.entries) > 0:
			return nil // without the end mark that the format asks for
		case len(block) < tarBlock:
			return fmt.Errorf("tar: cut off at 0x%x", t.at)
		case unpack.OnlyByte(block, 0):
			t.end()
			return nil
		}
		h, err := parseTarHeader(block)
		if err != nil {
			return fmt.Errorf("%w at 0x%x", err, t.at)
		}
		t.at += tarBlock
		if done, err := t.meta(h, meta); err != nil {
			return err
		} else if done {
			continue
		}
		if err := t.file(h, meta, block); err != nil {
			return err
		}
		meta = &tarMeta{pax: map[string]string{}}
	}
}

// end passes the zeros behind the last entry: at least one block, and more up
// to the end of the record.
func (t *tarReader) end() {
	for record := (t.at/tarRecord + 1) * tarRecord; t.at < record || t.at%tarBlock != 0; t.at += tarBlock {
		if b := unpack.ReadSome(t.data, t.at, tarBlock); len(b) < tarBlock || !unpack.OnlyByte(b, 0) {
			return
		}
	}
}

// tarMeta is what headers before a file's own say about it.
type tarMeta struct {
	pax        map[string]string
	sparse     []unpack.Extent // of pax sparse format 0.0
	name, link string          // GNU long names
}

// meta takes in a header that describes the next file. done says that it was
// one.
func (t *tarReader) meta(h *tarHead, m *tarMeta) (done bool, err error) {
	switch h.kind {
	case 'x', 'g', 'X', 'L', 'K':
	case 'V', 'M', 'N': // a label, or the rest of a file from another volume
		return true, t.skip(h.size)
	default:
		return false, nil
	}
	if h.size > tarMetaMax {
		return true, fmt.Errorf("tar: extended header of %d bytes at 0x%x", h.size, t.at)
	}
	body, err := unpack.ReadFull(t.data, t.at, h.size)
	if err != nil {
		return true, fmt.Errorf("tar: extended header: %w", err)
	}
	switch h.kind {
	case 'L':
		m.name = unpack.CString(body)
	case 'K':
		m.link = unpack.CString(body)
	case 'g':
		err = parsePax(body, func(k, v string) { t.global[k] = v })
	default:
		err = parsePax(body, m.take)
	}
	if err != nil {
		return true, err
	}
	return true, t.skip(h.size)
}

func (m *tarMeta) take(key, value string) {
	n, _ := strconv.ParseInt(value, 10, 64)
	switch key {
	case "GNU.sparse.offset":
		m.sparse = append(m.sparse, unpack.Extent{Offset: n})
	case "GNU.sparse.numbytes":
		if len(m.sparse) > 0 {
			m.sparse[len(m.sparse)-1].Size = n
		}
	default:
		m.pax[key] = value
	}
}

// skip passes content of n bytes, padded to whole blocks.
func (t *tarReader) skip(n int64) error {
	if end := t.at + n; n > t.data.Size()-t.at {
		t.at = t.data.Size()
		return &unpack.CutOff{Format: "tar", Missing: end - t.at, Of: end}
	}
	t.at = min(t.at+(n+tarBlock-1)/tarBlock*tarBlock, t.data.Size())
	return nil
}

// file adds the entry of a header, whose content starts at t.at.
func (t *tarReader) file(h *tarHead, m *tarMeta, block []byte) error {
	if m.name != "" {
		h.Path = m.name
	}
	if m.link != "" {
		h.Link = m.link
	}
	for k, v := range t.global {
		h.apply(k, v)
	}
	for k, v := range m.pax {
		h.apply(k, v)
	}
	if len(m.sparse) > 0 {
		h.sparse = m.sparse
	}
	h.Order = t.at
	if h.kind == 'S' {
		if err := t.gnuSparse(h, block); err != nil {
			return err
		}
	}
	content := unpack.Window(t.data, t.at, h.size)
	h.setKind(content)
	end := t.skip(h.size)
	if end != nil && h.Mode.IsRegular() {
		h.Err = end
	}
	t.add(&h.Entry)
	return end
}

// setKind fills in the mode's type and the content by the header's type flag.
func (h *tarHead) setKind(content unpack.Bytes) {
	switch h.kind {
	case '1':
	case '2':
		h.Mode |= fs.ModeSymlink
	case '3':
		h.Mode |= fs.ModeDevice | fs.ModeCharDevice
	case '4':
		h.Mode |= fs.ModeDevice
	case '5', 'D':
		h.Mode |= fs.ModeDir
	case '6':
		h.Mode |= fs.ModeNamedPipe
	default:
		if strings.HasSuffix(h.Path, "/") && h.kind != 'S' {
			h.Mode |= fs.ModeDir // as tar did before ustar
			return
		}
		h.Link = ""
		h.setData(content)
	}
	if h.kind != '1' && h.kind != '2' {
		h.Link = ""
	}
}

func (h *tarHead) setData(content unpack.Bytes) {
	if h.holes == "1.0" {
		pieces, skip, err := sparseMap1(content)
		if err != nil {
			h.Err = err
			return
		}
		h.sparse, content = pieces, unpack.Window(content, skip, content.Size())
	}
	if h.sparse == nil && h.real < 0 {
		if content.Size() > 0 {
			h.Data = content
		}
		return
	}
	data, err := sparseFile(content, h.sparse, h.real)
	if err != nil {
		h.Err = err
		return
	}
	h.Data = data
}

// add appends an entry and resolves a hard link to the file that it names.
func (t *tarReader) add(e *unpack.Entry) {
	name := unpack.CleanPath(e.Path)
	if e.Mode.IsRegular() && e.Link != "" {
		i, ok := t.byName[unpack.CleanPath(e.Link)]
		if !ok {
			e.Err = fmt.Errorf("hard link to %q, which is not in the archive", e.Link)
			t.entries = append(t.entries, *e)
			return
		}
		first := &t.entries[i]
		if first.Inode == 0 {
			first.Inode = uint64(i) + 1
		}
		link := *first
		link.Path = e.Path
		e = &link
	}
	t.byName[name] = len(t.entries)
	t.entries = append(t.entries, *e)
}

// parseTarHeader reads a header's own fields and checks its sum.
func parseTarHeader(b []byte) (*tarHead, error) {
	sum, ok := tarNumber(b[148:156])
	unsigned, signed := int64(8*' '), int64(8*' ')
	for i, c := range b {
		if i < 148 || i >= 156 {
			unsigned += int64(c)
			signed += int64(int8(c))
		}
	}
	if !ok || sum != unsigned && sum != signed {
		return nil, errTarHeader
	}
	h := &tarHead{kind: b[156], real: -1}
	h.Path, h.Link = unpack.CString(b[:100]), unpack.CString(b[157:257])
	var bad bool
	number := func(from, to int) int64 {
		v, ok := tarNumber(b[from:to])
		bad = bad || !ok
		return v
	}
	h.Mode = unpack.UnixMode(uint32(number(100, 108)) & 0o7777)
	h.UID, h.GID = int(number(108, 116)), int(number(116, 124))
	h.size = number(124, 136)
	h.ModTime = time.Unix(number(136, 148), 0).UTC()
	if string(b[257:262]) == "ustar" {
		h.Major, h.Minor = uint32(number(329, 337)), uint32(number(337, 345))
	}
	if bad || h.size < 0 {
		return nil, errTarHeader
	}
	if h.kind >= '1' && h.kind <= '6' && h.kind != '5' {
		h.size = 0 // links and devices have no content, whatever they say
	}
	prefix := ""
	switch {
	case string(b[508:512]) == "tar\x00": // star
		prefix = unpack.CString(b[345:476])
	case string(b[257:263]) == "ustar\x00":
		prefix = unpack.CString(b[345:500])
	}
	if prefix != "" {
		h.Path = prefix + "/" + h.Path
	}
	return h, nil
}

// apply takes a pax record over the header's own field.
func (h *tarHead) apply(key, value string) {
	n, numErr := strconv.ParseInt(value, 10, 64)
	switch key {
	case "path":
		h.Path = value
	case "linkpath":
		h.Link = value
	case "size":
		if numErr == nil && n >= 0 && h.kind != '1' && h.kind != '2' {
			h.size = n
		}
	case "uid":
		h.UID = int(n)
	case "gid":
		h.GID = int(n)
	case "mtime":
		if sec, err := strconv.ParseFloat(value, 64); err == nil && sec > -1e11 && sec < 1e12 {
			h.ModTime = time.Unix(int64(sec), 0).UTC()
		}
	case "GNU.sparse.name":
		h.Path = value
	case "GNU.sparse.realsize", "GNU.sparse.size":
		if numErr == nil {
			h.real = n
		}
	case "GNU.sparse.map":
		h.sparse = sparseMap01(value)
	case "GNU.sparse.major":
		if value == "1" {
			h.holes = "1.0"
		}
	default:
		h.xattr(key, value)
	}
}

// xattr takes an extended attribute as GNU tar, star or libarchive write it.
func (h *tarHead) xattr(key, value string) {
	name, ok := strings.CutPrefix(key, "SCHILY.xattr.")
	if coded, lib := strings.CutPrefix(key, "LIBARCHIVE.xattr."); lib {
		plain, err1 := url.PathUnescape(coded)
		raw, err2 := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
		if err1 != nil || err2 != nil {
			return
		}
		name, value, ok = plain, string(raw), true
	}
	if !ok || name == "" {
		return
	}
	if h.Xattrs == nil {
		h.Xattrs = map[string]string{}
	}
	h.Xattrs[name] = value
}

// parsePax reads records of the form "length key=value\n".
func parsePax(b []byte, each func(key, value string)) error {
	for len(b) > 0 && b[0] != 0 {
		digits, _, ok := bytes.Cut(b, []byte(" "))
		n, err := strconv.Atoi(string(digits))
		if !ok || err != nil || n > len(b) || n < len(digits)+3 || b[n-1] != '\n' {
			return fmt.Errorf("%w: extended attributes", errTarHeader)
		}
		key, value, ok := strings.Cut(string(b[len(digits)+1:n-1]), "=")
		if !ok {
			return fmt.Errorf("%w: extended attributes", errTarHeader)
		}
		each(key, value)
		b = b[n:]
	}
	return nil
}

// tarNumber reads an octal number, or a binary one whose first bit is set.
func tarNumber(b []byte) (int64, bool) {
	if b[0]&0x80 != 0 {
		v := int64(b[0] & 0x7f)
		if b[0]&0x40 != 0 {
			v = int64(int8(b[0])) // negative: two's complement
		}
		for i, c := range b[1:] {
			if len(b)-1-i > 8 && v != 0 && v != -1 {
				return 0, false
			}
			v = v<<8 | int64(c)
		}
		return v, true
	}
	s := strings.Trim(string(b), " \x00")
	if i := strings.IndexAny(s, " \x00"); i >= 0 {
		s = s[:i]
	}
	if s == "" {
		return 0, true
	}
	v, err := strconv.ParseInt(s, 8, 64)
	return v, err == nil && v >= 0
}
