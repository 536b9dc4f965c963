package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/lzh"
)

// LHA opens LHA archives. Layout: the header description of LHa for UNIX
// (header.doc) and of lhasa.
var LHA = &unpack.Reader{
	Name:    "lha",
	Doc:     "LHA and LArc archives with headers of levels 0 to 3: stored, lh1, lh4 to lh7, lhx, lzs, lz4, lz5; CRC-16 of content and headers.",
	Limits:  "The methods lh2, lh3 and those of PMarc (pm1, pm2) are reported as unsupported.",
	Checked: "jlha 0.1 (stored, lh5 to lh7); 138 files of many old packers (lhasa's collection) against lhasa 0.3",
	Magics:  []unpack.Magic{{At: 2, Bytes: "-lh"}, {At: 2, Bytes: "-lz"}, {At: 2, Bytes: "-pm"}},
	Carve:   true,
	Open:    openLHA,
}

const (
	lhaMin       = 21 // bytes up to the header's level
	lhaMaxHeader = 64 << 10
)

type lha struct {
	in    *unpack.Input
	files []*lhaFile
	solid *unpack.Solid
}

type lhaFile struct {
	entry  unpack.Entry
	method string
	at     int64 // of the content
	packed int64
	size   int64
	crc    uint16
	dir    string
}

var errLHA = errors.New("lha: a damaged header, or the end is missing")

func openLHA(in *unpack.Input) (*unpack.Object, error) {
	l := &lha{in: in}
	l.solid = unpack.NewSolid(in, l.decode)
	g := unpack.NewGatherer(in)
	o := &unpack.Object{Format: "lha"}
	for !g.Stop() {
		if end, err := unpack.ReadFull(in.Data, o.Size, 1); err != nil || end[0] == 0 {
			if err == nil {
				o.Size++
			} // without an end mark the file's end is the archive's
			break
		}
		f, next := l.header(o.Size)
		if f == nil || next <= o.Size {
			if len(l.files) == 0 {
				return nil, unpack.ErrNotThis
			}
			if in.Whole { // something else may follow the last file
				g.Damage(errLHA)
			}
			break
		}
		if next > in.Data.Size() {
			g.Damage(&unpack.CutOff{Format: "lha", Missing: next - in.Data.Size(), Of: next})
			next = in.Data.Size()
		}
		l.files, o.Size = append(l.files, f), next
		l.place(f)
		g.Add(f.entry)
	}
	g.Finish(o)
	return o, nil
}

// header reads the header at an offset; nil if it is none.
func (l *lha) header(at int64) (f *lhaFile, next int64) {
	h, err := unpack.ReadFull(l.in.Data, at, lhaMin)
	if err != nil || h[2] != '-' || h[6] != '-' || h[20] > 3 || !strings.Contains(" lh lz pm ", " "+string(h[3:5])+" ") {
		return nil, 0
	}
	le := binary.LittleEndian
	f = &lhaFile{method: string(h[3:6]), packed: int64(le.Uint32(h[7:])), size: int64(le.Uint32(h[11:]))}
	level := h[20]
	size := int64(h[0]) + 2
	switch level {
	case 2:
		size = int64(le.Uint16(h))
		if os, err := unpack.ReadFull(l.in.Data, at+23, 1); err == nil && os[0] == 'K' {
			size += 2 // OS/K's packer does not count this number
		}
	case 3:
		if long, err := unpack.ReadFull(l.in.Data, at+24, 4); err == nil && le.Uint16(h) == 4 {
			size = int64(le.Uint32(long))
		}
	}
	if size < lhaMin+3 || size > lhaMaxHeader {
		return nil, 0
	}
	if h, err = unpack.ReadFull(l.in.Data, at, size); err != nil {
		return nil, 0
	}
	ok := false
	if level < 2 {
		sum := byte(0)
		for _, c := range h[2:] {
			sum += c
		}
		h, ok = f.short(l.in.Data, at, h, level)
		ok = ok && sum == h[1]
	} else {
		f.entry.ModTime = unpack.UnixTime(le.Uint32(h[15:]))
		f.crc = le.Uint16(h[21:])
		fields, width := h[24:], 2
		if level == 3 {
			fields, width = h[min(28, len(h)):], 4
		}
		ok = f.extensions(h, fields, width)
	}
	if f.at = at + int64(len(h)); !ok || f.packed < 0 || f.size < 0 {
		return nil, 0
	}
	f.name()
	f.entry.Order = f.at
	return f, f.at + f.packed
}

// short reads headers of levels 0 and 1, whose first part has up to 257 bytes;
// those of level 1 have extensions behind it. It returns the whole header.
func (f *lhaFile) short(data unpack.Bytes, at int64, h []byte, level byte) ([]byte, bool) {
	le := binary.LittleEndian
	n := int(h[21])
	if 22+n+2 > len(h) {
		return h, false
	}
	e := &f.entry
	e.Path, e.Mode = string(h[22:22+n]), 0o644
	e.ModTime = dosTime(le.Uint16(h[17:]), le.Uint16(h[15:]))
	f.crc = le.Uint16(h[22+n:])
	rest := h[24+n:]
	if level == 0 {
		if len(rest) >= 12 && rest[0] == 'U' {
			e.ModTime = unpack.UnixTime(le.Uint32(rest[2:]))
			e.Mode = unpack.UnixMode(uint32(le.Uint16(rest[6:])))
			e.UID, e.GID = int(le.Uint16(rest[8:])), int(le.Uint16(rest[10:]))
		}
		return h, true
	}
	if len(rest) < 3 {
		return h, false
	}
	// The extensions count as packed content.
	first := len(h) - 2
	for next := int64(le.Uint16(h[first:])); next > 0; {
		x, err := unpack.ReadFull(data, at+int64(len(h)), next)
		if err != nil || next < 3 || len(h) > lhaMaxHeader {
			return h, false
		}
		h = append(h[:len(h):len(h)], x...)
		f.packed -= next
		next = int64(le.Uint16(h[len(h)-2:]))
	}
	return h, f.extensions(h, h[first:], 2)
}

// extensions reads the fields of a header h, each with the size of the next,
// and checks its CRC-16 if it has one.
func (f *lhaFile) extensions(h, b []byte, width int) bool {
	le := binary.LittleEndian
	e := &f.entry
	if e.Mode == 0 {
		e.Mode = 0o644
	}
	for {
		if len(b) < width {
			return false
		}
		n := int(le.Uint16(b))
		if width == 4 {
			n = int(le.Uint32(b))
		}
		if n == 0 {
			return true
		}
		if b = b[width:]; n < 1+width || n > len(b) {
			return false
		}
		kind, v := b[0], b[1:n-width]
		if kind == 0 && len(v) >= 2 {
			at := len(h) - len(b) + 1
			clean := bytes.Clone(h)
			clean[at], clean[at+1] = 0, 0
			if crc16(clean) != le.Uint16(v) {
				return false
			}
		}
		f.extension(kind, v)
		b = b[n-width:]
	}
}

func (f *lhaFile) extension(kind byte, v []byte) {
	le := binary.LittleEndian
	e := &f.entry
	switch {
	case kind == 0x01:
		e.Path = string(v)
	case kind == 0x02:
		f.dir = string(v)
	case kind == 0x41 && len(v) >= 16:
		e.ModTime = windowsTime(le.Uint64(v[8:]))
	case kind == 0x42 && len(v) >= 16:
		f.packed, f.size = int64(le.Uint64(v)), int64(le.Uint64(v[8:]))
	case kind == 0x50 && len(v) >= 2:
		e.Mode = unpack.UnixMode(uint32(le.Uint16(v)))
	case kind == 0x51 && len(v) >= 4:
		e.GID, e.UID = int(le.Uint16(v)), int(le.Uint16(v[2:]))
	case kind == 0x54 && len(v) >= 4:
		e.ModTime = time.Unix(int64(le.Uint32(v)), 0).UTC()
	}
}

// name makes the path: separators are 0xff in fields, backslashes in DOS.
func (f *lhaFile) name() {
	e := &f.entry
	slashes := strings.NewReplacer("\xff", "/", "\\", "/").Replace
	if utf8.ValidString(e.Path) == false && strings.Contains(e.Path, "\\") && !strings.Contains(e.Path, "\xff") {
		slashes = func(s string) string { return s } // a backslash may be half of a Japanese letter
	}
	if e.Path, f.dir = slashes(e.Path), slashes(f.dir); f.dir != "" {
		e.Path = strings.TrimSuffix(f.dir, "/") + "/" + e.Path
	}
	if f.method == "lhd" || strings.HasSuffix(e.Path, "/") {
		if name, target, link := strings.Cut(e.Path, "|"); link {
			e.Path, e.Link, e.Mode = name, target, fs.ModeSymlink|0o777
			return
		}
		e.Mode = e.Mode&^fs.ModeType | fs.ModeDir
		if e.Mode.Perm() == 0o644 {
			e.Mode |= 0o755
		}
		return
	}
	e.Mode &^= fs.ModeType
}

// place gives a file its content: a stream of its own.
func (l *lha) place(f *lhaFile) {
	e := &f.entry
	if e.Mode&(fs.ModeDir|fs.ModeSymlink) != 0 {
		return
	}
	raw := unpack.Window(l.in.Data, f.at, f.packed)
	stored := f.method == "lh0" || f.method == "lz4" || f.method == "pm0"
	switch {
	case !stored && !lzh.Known(f.method):
		e.Data, e.Err = raw, fmt.Errorf("lha: %q: %w method %s", e.Path, unpack.ErrUnsupported, f.method)
	case stored && f.packed != f.size:
		e.Data, e.Err = raw, fmt.Errorf("lha: %q: %w", e.Path, errDamaged)
	case f.size > 0:
		e.Data = l.solid.File(len(l.files)-1, 0, f.size, func(b []byte) error {
			if crc16(b) != f.crc {
				return unpack.ErrChecksum
			}
			return nil
		})
	}
}

func (l *lha) decode(i int) ([]byte, error) {
	f := l.files[i]
	if err := unpack.Affordable(l.in, f.size, f.packed); err != nil {
		return nil, err
	}
	src := unpack.ReadSome(l.in.Data, f.at, f.packed)
	if f.method == "lh0" || f.method == "lz4" || f.method == "pm0" {
		return src, nil
	}
	dst := make([]byte, f.size)
	n, err := lzh.Decode(f.method, dst, src)
	return dst[:n], err
}

// crc16 is CRC-16/ARC.
func crc16(b []byte) (sum uint16) {
	for _, c := range b {
		sum = sum>>8 ^ crc16Table[byte(sum)^c]
	}
	return sum
}

var crc16Table = func() (t [256]uint16) {
	for i := range t {
		c := uint16(i)
		for range 8 {
			c = c>>1 ^ c&1*0xa001
		}
		t[i] = c
	}
	return t
}()
