package bundle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/klauspost/compress/zlib"
)

// PyInstaller opens the archive that PyInstaller puts behind its loader: pieces,
// a table of them, and a cookie at the end (PyInstaller/archive/writers.py).
var PyInstaller = &unpack.Reader{
	Name:    "pyinstaller",
	Doc:     "archives of PyInstaller (CArchive): libraries, data, scripts in byte code, and the module archive.",
	Limits:  "Byte code is not decompiled; modules that older versions encrypted are reported as damaged.",
	Checked: "archives made by hand after PyInstaller 6's writer",
	Open:    openPyInstaller,
}

// PYZ opens the archive of modules within.
var PYZ = &unpack.Reader{
	Name:    "pyz",
	Doc:     "module archives of PyInstaller (PYZ): byte code, unpacked.",
	Checked: "archives made by hand after PyInstaller 6's writer, with tables marshalled by Python",
	Magics:  []unpack.Magic{{At: 0, Bytes: "PYZ\x00"}},
	Open:    openPYZ,
}

const (
	pyCookie     = "MEI\x0c\x0b\x0a\x0b\x0e"
	pyCookieSize = 88
	pyCookieOld  = 24
	pyEntrySize  = 18
	pyMaxTable   = 64 << 20
)

func openPyInstaller(in *unpack.Input) (*unpack.Object, error) {
	if !in.Whole {
		return nil, unpack.ErrNotThis
	}
	from := max(0, in.Data.Size()-4096)
	tail := unpack.ReadSome(in.Data, from, 4096)
	i := unpack.LastIndex(tail, pyCookie)
	if i < 0 || len(tail)-i < pyCookieOld {
		return nil, unpack.ErrNotThis
	}
	be := binary.BigEndian
	cookie, at := tail[i:], from+int64(i)
	size, table, tableSize := int64(be.Uint32(cookie[8:])), int64(be.Uint32(cookie[12:])), int64(be.Uint32(cookie[16:]))
	info := map[string]string{"python": fmt.Sprintf("%d.%d", be.Uint32(cookie[20:])/100, be.Uint32(cookie[20:])%100)}
	var end int64
	switch {
	case at+pyCookieSize == size && len(cookie) >= pyCookieSize:
		end = at + pyCookieSize
		info["library"] = strings.TrimRight(string(cookie[24:pyCookieSize]), "\x00")
	case at+pyCookieOld == size:
		end = at + pyCookieOld
	default:
		return nil, unpack.ErrNotThis // the archive does not start here
	}
	if table > at || tableSize > at-table || tableSize > pyMaxTable {
		return nil, unpack.ErrNotThis
	}
	b, err := unpack.ReadFull(in.Data, table, tableSize)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	p := &pyArchive{in: in, g: unpack.NewGatherer(in), end: table}
	p.solid = unpack.NewSolid(in, p.inflate)
	if !p.table(b) {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "pyinstaller", Size: end, Info: info}
	p.g.Finish(o)
	return o, nil
}

type pyArchive struct {
	in    *unpack.Input
	g     *unpack.Gatherer
	end   int64
	solid *unpack.Solid
	items []pyItem
}

type pyItem struct{ off, packed, size int64 }

// table reads the entries; false if they are none.
func (p *pyArchive) table(b []byte) bool {
	be := binary.BigEndian
	for len(b) > 0 {
		if len(b) < pyEntrySize {
			return false
		}
		n := int(be.Uint32(b))
		if n < pyEntrySize || n > len(b) {
			return false
		}
		it := pyItem{int64(be.Uint32(b[4:])), int64(be.Uint32(b[8:])), int64(be.Uint32(b[12:]))}
		name, _, _ := bytes.Cut(b[pyEntrySize:n], []byte{0})
		p.entry(it, b[16] != 0, b[17], strings.ReplaceAll(string(name), "\\", "/"))
		b = b[n:]
	}
	return true
}

func (p *pyArchive) entry(it pyItem, compressed bool, kind byte, name string) {
	e := unpack.Entry{Path: name, Mode: 0o644, Order: it.off}
	switch kind {
	case 'o', 'd': // an option of the loader, a file of another program
		return
	case 's', 'm', 'M':
		e.Path += ".pyc"
	case 'b':
		e.Mode = 0o755
	}
	switch {
	case it.off > p.end || it.packed > p.end-it.off:
		e.Err = fmt.Errorf("pyinstaller: %q lies outside of the archive", name)
		p.g.Damage(e.Err)
	case compressed:
		e.Data = p.solid.File(len(p.items), 0, it.size, nil)
		if it.size == 0 {
			e.Data = nil
		}
		p.items = append(p.items, it)
	case it.packed > 0:
		e.Data = unpack.Window(p.in.Data, it.off, it.packed)
	}
	if kind == 'n' && e.Data != nil {
		target := unpack.ReadSome(e.Data, 0, 4096)
		e.Mode, e.Link, e.Data = fs.ModeSymlink|0o777, strings.TrimRight(string(target), "\x00"), nil
	}
	p.g.Add(e)
}

func (p *pyArchive) inflate(i int) ([]byte, error) {
	it := p.items[i]
	if err := unpack.Affordable(p.in, it.size, it.packed); err != nil {
		return nil, err
	}
	src, err := unpack.ReadFull(p.in.Data, it.off, it.packed)
	if err != nil {
		return nil, err
	}
	dst := make([]byte, it.size)
	n, err := unpack.Decompress("zlib", src, dst)
	return dst[:n], err
}

func openPYZ(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 12)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	at := int64(binary.BigEndian.Uint32(h[8:]))
	if at < 12 || at >= in.Data.Size() || in.Data.Size()-at > pyMaxTable {
		return nil, unpack.ErrNotThis
	}
	b, err := unpack.ReadFull(in.Data, at, in.Data.Size()-at)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	m := &marshal{b: b}
	modules := m.modules()
	if m.bad || len(modules) == 0 {
		return nil, unpack.ErrNotThis
	}
	g := unpack.NewGatherer(in)
	for _, mod := range modules {
		e := unpack.Entry{Path: strings.ReplaceAll(mod.name, ".", "/") + ".pyc", Mode: 0o644, Order: mod.off}
		if mod.kind == 1 {
			e.Path = strings.ReplaceAll(mod.name, ".", "/") + "/__init__.pyc"
		}
		if mod.kind == 3 { // a namespace package has no code
			continue
		}
		if mod.off < 12 || mod.off > at || mod.size > at-mod.off || mod.size < 0 {
			e.Err = fmt.Errorf("pyz: %q lies outside of the archive", mod.name)
			g.Damage(e.Err)
		} else if e.Data, err = inflateAll(in, mod.off, mod.size); err != nil {
			e.Err = fmt.Errorf("pyz: %q: %w", mod.name, err)
			g.Damage(e.Err)
		}
		if !g.Add(e) {
			break
		}
	}
	o := &unpack.Object{Format: "pyz", Size: at + int64(len(b)-len(m.b))}
	g.Finish(o)
	return o, nil
}

// inflateAll unpacks a zlib stream of unknown size.
func inflateAll(in *unpack.Input, off, size int64) (unpack.Bytes, error) {
	src, err := unpack.ReadFull(in.Data, off, size)
	if err != nil {
		return nil, err
	}
	r, err := zlib.NewReader(bytes.NewReader(src))
	if err != nil {
		return nil, err
	}
	out, err := in.Budget.Decode(io.Reader(r), size)
	if err != nil {
		return nil, err
	}
	return out, nil
}
