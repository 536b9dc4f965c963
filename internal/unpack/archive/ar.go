package archive

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// Ar opens ar archives, such as static libraries.
var Ar = &unpack.Reader{
	Name:    "ar",
	Checked: "ar of binutils",
	Doc:     "ar archives with the long names of GNU and BSD: static libraries.",
	Magics:  []unpack.Magic{{At: 0, Bytes: arMagic}},
	Carve:   true,
	Open:    openAr,
}

// Deb opens Debian packages, and the older opkg packages that are ar archives
// too.
var Deb = &unpack.Reader{
	Name:    "deb",
	Checked: "dpkg-deb",
	Doc:     "Debian packages, and opkg packages of the older form (the newer are tar archives).",
	Magics:  []unpack.Magic{{At: 0, Bytes: arMagic + "debian-binary"}},
	Carve:   true,
	Open:    openDeb,
}

const (
	arMagic  = "!<arch>\n"
	arHeader = 60
)

func openAr(in *unpack.Input) (*unpack.Object, error) {
	members, size, err := readAr(in.Data)
	if size <= int64(len(arMagic)) || err != nil && len(members) == 0 {
		return nil, unpack.ErrNotThis
	}
	return &unpack.Object{Format: "ar", Size: size, Entries: members, Err: err}, nil
}

// openDeb makes parts of the members: each is opened in turn.
func openDeb(in *unpack.Input) (*unpack.Object, error) {
	members, size, err := readAr(in.Data)
	if len(members) == 0 || members[0].Path != "debian-binary" {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "deb", Size: size, Err: err}
	for _, m := range members {
		if m.Data != nil {
			o.Parts = append(o.Parts, unpack.Part{Name: m.Path, Data: m.Data, Offset: m.Order})
		}
	}
	return o, nil
}

// readAr reads the members of the archive at the start of b, and returns where
// it ends.
func readAr(b unpack.Bytes) (members []unpack.Entry, at int64, err error) {
	var names string
	at = int64(len(arMagic))
	for b.Size()-at >= arHeader {
		h := unpack.ReadSome(b, at, arHeader)
		if len(h) < arHeader || string(h[58:60]) != "`\n" {
			return members, at, nil // something else follows
		}
		e, size, err := arEntry(h)
		if err != nil {
			return members, at, fmt.Errorf("ar: header at 0x%x: %w", at, err)
		}
		start := at + arHeader
		end := start + size
		if end > b.Size() {
			e.Err = &unpack.CutOff{Format: "ar", Missing: end - b.Size(), Of: end}
			start += arName(&e, names, b, start, size)
			e.Data, e.Order = unpack.Window(b, start, b.Size()), start
			return append(members, e), b.Size(), e.Err
		}
		switch {
		case e.Path == "//":
			names = string(unpack.ReadSome(b, start, min(size, tarMetaMax)))
		case e.Path == "/" || e.Path == "/SYM64/" || strings.HasPrefix(e.Path, "__.SYMDEF"):
		default:
			start += arName(&e, names, b, start, size)
			e.Order = start
			if end > start {
				e.Data = unpack.Window(b, start, end-start)
			}
			members = append(members, e)
		}
		at = end
		if at%2 == 1 && at < b.Size() {
			at++
		}
	}
	if rest := b.Size() - at; rest > 0 && string(unpack.ReadSome(b, at, 1)) >= " " && len(members) == 0 {
		err = fmt.Errorf("ar: cut off at 0x%x", at)
	}
	return members, at, err
}

// arName gives a member its long name, and returns how many bytes of the
// content that takes.
func arName(e *unpack.Entry, names string, b unpack.Bytes, start, size int64) int64 {
	if digits, ok := strings.CutPrefix(e.Path, "#1/"); ok {
		if n, err := strconv.ParseInt(digits, 10, 32); err == nil && n >= 0 && n <= min(size, 4096) {
			e.Path = unpack.CString(unpack.ReadSome(b, start, n))
			return n
		}
		return 0
	}
	if digits, ok := strings.CutPrefix(e.Path, "/"); ok {
		if n, err := strconv.Atoi(digits); err == nil && n >= 0 && n < len(names) {
			name, _, _ := strings.Cut(names[n:], "\n")
			e.Path = strings.TrimSuffix(name, "/")
		}
		return 0
	}
	e.Path = strings.TrimSuffix(e.Path, "/")
	return 0
}

func arEntry(h []byte) (e unpack.Entry, size int64, err error) {
	number := func(from, to, base int) int64 {
		s := strings.TrimSpace(string(h[from:to]))
		if s == "" {
			return 0
		}
		v, bad := strconv.ParseInt(s, base, 64)
		if bad != nil || v < 0 {
			err = fmt.Errorf("%q is no number", s)
		}
		return v
	}
	e = unpack.Entry{Path: strings.TrimRight(string(h[:16]), " "), ModTime: time.Unix(number(16, 28, 10), 0).UTC(),
		UID: int(number(28, 34, 10)), GID: int(number(34, 40, 10)), Mode: unpack.UnixMode(uint32(number(40, 48, 8)))}
	size = number(48, 58, 10)
	return e, size, err
}
