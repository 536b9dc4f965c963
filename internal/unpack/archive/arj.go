package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/lzh"
)

// ARJ opens ARJ archives. Layout: TECHNOTE.TXT of ARJ.
var ARJ = &unpack.Reader{
	Name:    "arj",
	Doc:     "ARJ archives: stored and the methods 1 to 4; CRC-32 of content and headers.",
	Limits:  "Garbled (encrypted) files and those that begin or end in another volume are reported; special files and hard links of Unix are not read.",
	Checked: "arj 3.10 with each of its methods; random trees",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\x60\xea"}},
	Open:    openARJ,
}

const (
	arjMaxHeader = 2600
	arjFixed     = 30

	arjGarbled  = 1 // flags
	arjNext     = 4
	arjPrevious = 8

	arjDirectory = 3 // types of files
	arjLabel     = 4
	arjChapter   = 5
	arjSpecial   = 6
)

type arj struct {
	in    *unpack.Input
	files []arjFile
	solid *unpack.Solid
}

type arjFile struct {
	method       byte
	at           int64
	packed, size int64
}

var errARJ = errors.New("arj: a damaged header, or the end is missing")

func openARJ(in *unpack.Input) (*unpack.Object, error) {
	a := &arj{in: in}
	a.solid = unpack.NewSolid(in, a.decode)
	main, at, err := a.header(0)
	if err != nil || main == nil || main[6] != 2 {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "arj", Size: at, Info: map[string]string{}}
	if _, comment := arjTexts(main); comment != "" {
		o.Info["comment"] = strings.ToValidUTF8(comment, "?")
	}
	g := unpack.NewGatherer(in)
	for !g.Stop() {
		h, next, err := a.header(o.Size)
		if err != nil {
			g.Damage(err)
			break
		}
		if o.Size = next; h == nil {
			break
		}
		e, f := a.file(h, next)
		if e == nil {
			g.Damage(errARJ)
			break
		}
		a.files = append(a.files, f)
		a.place(e, f, h)
		if o.Size = next + f.packed; o.Size > in.Data.Size() {
			g.Damage(&unpack.CutOff{Format: "arj", Missing: o.Size - in.Data.Size(), Of: o.Size})
			o.Size = in.Data.Size()
		}
		if e.Path != "" {
			g.Add(*e)
		}
	}
	g.Finish(o)
	return o, nil
}

// header reads the header at an offset, and where what follows it starts; nil
// for the mark at the archive's end.
func (a *arj) header(at int64) (h []byte, next int64, err error) {
	le := binary.LittleEndian
	p, err := unpack.ReadFull(a.in.Data, at, 4)
	if err != nil || p[0] != 0x60 || p[1] != 0xea {
		return nil, 0, errARJ
	}
	size := int64(le.Uint16(p[2:]))
	if size == 0 {
		return nil, at + 4, nil
	}
	if size < arjFixed || size > arjMaxHeader {
		return nil, 0, errARJ
	}
	h, err = unpack.ReadFull(a.in.Data, at+4, size+6)
	if err != nil || crc32.ChecksumIEEE(h[:size]) != le.Uint32(h[size:]) || h[0] < arjFixed || int64(h[0]) > size {
		return nil, 0, errARJ
	}
	next = at + 4 + size + 6
	for extra := int64(le.Uint16(h[size+4:])); extra > 0; {
		x, err := unpack.ReadFull(a.in.Data, next, extra+6)
		if err != nil || crc32.ChecksumIEEE(x[:extra]) != le.Uint32(x[extra:]) {
			return nil, 0, errARJ
		}
		next += extra + 6
		extra = int64(le.Uint16(x[extra+4:]))
	}
	return h[:size], next, nil
}

// arjTexts are name and comment, behind the fixed part.
func arjTexts(h []byte) (name, comment string) {
	n, rest, _ := bytes.Cut(h[h[0]:], []byte{0})
	c, _, _ := bytes.Cut(rest, []byte{0})
	return string(n), string(c)
}

func (a *arj) file(h []byte, at int64) (*unpack.Entry, arjFile) {
	le := binary.LittleEndian
	f := arjFile{method: h[5], at: at, packed: int64(le.Uint32(h[12:])), size: int64(le.Uint32(h[16:]))}
	name, _ := arjTexts(h)
	host, flags, kind, mode := h[3], h[4], h[6], le.Uint16(h[26:])
	if name == "" {
		return nil, f
	}
	if flags&0x10 == 0 && host != 2 && host != 8 { // not translated, and not of Unix
		name = strings.ReplaceAll(name, "\\", "/")
	}
	e := &unpack.Entry{Path: name, Mode: 0o644, Order: at}
	stamp := le.Uint32(h[8:])
	if e.ModTime = dosTime(uint16(stamp>>16), uint16(stamp)); host == 2 || host == 8 {
		e.ModTime, e.Mode = unpack.UnixTime(stamp), unpack.UnixMode(uint32(mode))
		e.Mode &^= fs.ModeType
	}
	switch kind {
	case arjDirectory:
		e.Mode = fs.ModeDir | e.Mode.Perm() | 0o500
	case arjLabel, arjChapter:
		e.Path = "" // a mark, not a file
	}
	return e, f
}

// place gives a file its content: a stream of its own.
func (a *arj) place(e *unpack.Entry, f arjFile, h []byte) {
	if e.Mode.IsDir() || e.Path == "" {
		return
	}
	raw := unpack.Window(a.in.Data, f.at, f.packed)
	flags, kind, sum := h[4], h[6], binary.LittleEndian.Uint32(h[20:])
	fail := func(err error) { e.Data, e.Err = raw, fmt.Errorf("arj: %q: %w", e.Path, err) }
	switch {
	case flags&arjGarbled != 0:
		fail(unpack.ErrEncrypted)
	case flags&(arjNext|arjPrevious) != 0:
		fail(fmt.Errorf("%w: a part of it lies in another volume", unpack.ErrUnsupported))
	case kind >= arjSpecial:
		fail(fmt.Errorf("%w: a special file or a link", unpack.ErrUnsupported))
	case f.method > 4:
		fail(fmt.Errorf("%w method %d", unpack.ErrUnsupported, f.method))
	case f.method == 0 && f.size != f.packed:
		fail(errDamaged)
	case f.size > 0:
		e.Data = a.solid.File(len(a.files)-1, 0, f.size, unpack.CRC32Is(sum))
	}
}

func (a *arj) decode(i int) ([]byte, error) {
	f := a.files[i]
	if err := unpack.Affordable(a.in, f.size, f.packed); err != nil {
		return nil, err
	}
	src := unpack.ReadSome(a.in.Data, f.at, f.packed)
	method := "arj"
	switch f.method {
	case 0:
		return src, nil
	case 4:
		method = "ar4"
	}
	dst := make([]byte, f.size)
	n, err := lzh.Decode(method, dst, src)
	return dst[:n], err
}
