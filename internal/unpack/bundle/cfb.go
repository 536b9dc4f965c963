package bundle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf16"

	"github.com/doorward/doorward/internal/unpack"
)

// CFB opens compound files, among them the packages of Windows Installer.
// Layout: Microsoft's [MS-CFB].
var CFB = &unpack.Reader{
	Name:    "cfb",
	Doc:     "compound files (OLE 2): the streams and cabinets of Windows Installer packages (.msi) under their decoded names, documents of Office 97 and their like.",
	Limits:  "Files in the cabinets of an installer package have the names of its File table's keys.",
	Checked: "packages of wixl and msibuild, compared with gsf; hand-made damage",
	Magics:  []unpack.Magic{{At: 0, Bytes: cfbMagic}},
	Carve:   true,
	Open:    openCFB,
}

const (
	cfbMagic    = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
	cfbEntry    = 128
	cfbEnd      = 0xfffffffe
	cfbFree     = 0xffffffff
	cfbMaxChain = 0xfffffffa
	cfbNone     = 0xffffffff
	cfbInHeader = 109 // sectors of the FAT that the header lists

	cfbStorage = 1
	cfbStream  = 2
	cfbRoot    = 5
)

// msiClass is the class of an installer package's root.
const msiClass = "\x84\x10\x0c\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46"

var errCFB = errors.New("cfb: damaged")

type cfb struct {
	in      *unpack.Input
	shift   uint
	mini    uint
	cutoff  int64
	fat     []uint32
	miniFAT []uint32
	used    []bool // sectors that a stream has: two streams never share one
	miniUse []bool
	dir     []byte
	stream  unpack.Bytes // the root's: small streams lie in it
	msi     bool
}

func openCFB(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 512)
	le := binary.LittleEndian
	if err != nil || string(h[:8]) != cfbMagic || le.Uint16(h[28:]) != 0xfffe {
		return nil, unpack.ErrNotThis
	}
	c := &cfb{in: in, shift: uint(le.Uint16(h[30:])), mini: uint(le.Uint16(h[32:])), cutoff: int64(le.Uint32(h[56:]))}
	if c.shift != 9 && c.shift != 12 || c.mini != 6 || c.cutoff != 4096 {
		return nil, unpack.ErrNotThis
	}
	if !c.readFAT(h) {
		return nil, unpack.ErrNotThis
	}
	g := unpack.NewGatherer(in)
	o := &unpack.Object{Format: "cfb", Size: c.size()}
	if err := c.open(h, g); err != nil {
		g.Damage(err)
	}
	if c.msi {
		o.Format = "cfb msi"
	}
	g.Finish(o)
	if len(o.Entries) == 0 && o.Err != nil && !in.Whole {
		return nil, unpack.ErrNotThis
	}
	if c.msi {
		o.Info = msiProperties(o.Entries)
	}
	return o, nil
}

// sector is where a sector lies.
func (c *cfb) sector(n uint32) int64 { return (int64(n) + 1) << c.shift }

// readFAT gathers the table of sectors, whose own sectors the header and its
// continuation list. Sectors outside of the file are missing at its end.
func (c *cfb) readFAT(h []byte) bool {
	le := binary.LittleEndian
	count := int64(le.Uint32(h[44:]))
	per := int64(1) << (c.shift - 2)
	if count == 0 || count > c.in.Data.Size()>>c.shift+1 {
		return false
	}
	list := h[76:512]
	next, steps := le.Uint32(h[68:]), int64(0)
	for int64(len(c.fat)) < count*per {
		if len(list) < 4 {
			if steps++; next > cfbMaxChain || steps > count {
				return false
			}
			b, err := unpack.ReadFull(c.in.Data, c.sector(next), 1<<c.shift)
			if err != nil {
				return false
			}
			list, next = b[:len(b)-4], le.Uint32(b[len(b)-4:])
			continue
		}
		b, err := unpack.ReadFull(c.in.Data, c.sector(le.Uint32(list)), 1<<c.shift)
		if err != nil {
			return false
		}
		list = list[4:]
		for ; len(b) > 0; b = b[4:] {
			c.fat = append(c.fat, le.Uint32(b))
		}
	}
	c.used = make([]bool, len(c.fat))
	return true
}

// size is where the last sector in use ends.
func (c *cfb) size() int64 {
	for i := len(c.fat) - 1; i >= 0; i-- {
		if c.fat[i] != cfbFree {
			return min(c.sector(uint32(i))+1<<c.shift, c.in.Data.Size())
		}
	}
	return 512
}

// chain follows a chain of sectors and returns a file of that size (-1: of all
// its sectors).
func chain(table []uint32, used []bool, base unpack.Bytes, place func(uint32) int64, shift uint, first uint32, size int64) (unpack.Bytes, error) {
	var list []unpack.Extent
	at := int64(0)
	for n := first; n != cfbEnd && (size < 0 || at < size); n = table[n] {
		if n >= uint32(len(table)) || used[n] {
			return nil, fmt.Errorf("%w: a chain of sectors", errCFB)
		}
		used[n] = true
		piece := int64(1) << shift
		if size >= 0 {
			piece = min(piece, size-at)
		}
		if last := len(list) - 1; last >= 0 && list[last].From+list[last].Size == place(n) {
			list[last].Size += piece
		} else {
			list = append(list, unpack.Extent{Offset: at, Size: piece, From: place(n)})
		}
		at += piece
	}
	if size >= 0 && at < size {
		return nil, fmt.Errorf("%w: a stream ends too early", errCFB)
	}
	return unpack.Extents(base, list, at)
}

func (c *cfb) file(first uint32, size int64) (unpack.Bytes, error) {
	return chain(c.fat, c.used, c.in.Data, c.sector, c.shift, first, size)
}

func (c *cfb) open(h []byte, g *unpack.Gatherer) error {
	le := binary.LittleEndian
	dir, err := c.file(le.Uint32(h[48:]), -1)
	if err != nil {
		return err
	}
	if c.dir, err = unpack.ReadAll(dir, 256<<20); err != nil || len(c.dir) < cfbEntry || c.dir[66] != cfbRoot {
		return fmt.Errorf("%w: no root", errCFB)
	}
	if first := le.Uint32(h[60:]); first != cfbEnd && first != cfbFree {
		t, err := c.file(first, -1)
		if err != nil {
			return err
		}
		b, err := unpack.ReadAll(t, 256<<20)
		if err != nil {
			return err
		}
		for ; len(b) >= 4; b = b[4:] {
			c.miniFAT = append(c.miniFAT, le.Uint32(b))
		}
		c.miniUse = make([]bool, len(c.miniFAT))
	}
	if size := c.entrySize(c.dir); size > 0 {
		if c.stream, err = c.file(le.Uint32(c.dir[116:]), size); err != nil {
			return err
		}
	} else {
		c.stream = unpack.Slice(nil)
	}
	c.msi = string(c.dir[80:96]) == msiClass
	c.walk(g)
	return nil
}

func (c *cfb) entrySize(e []byte) int64 {
	if c.shift == 9 {
		return int64(binary.LittleEndian.Uint32(e[120:]))
	}
	return int64(binary.LittleEndian.Uint64(e[120:]) & (1<<62 - 1))
}

type cfbNode struct {
	id   uint32
	path string
}

// walk visits the trees of siblings from the root's child on, each entry once.
func (c *cfb) walk(g *unpack.Gatherer) {
	le := binary.LittleEndian
	seen := make([]bool, len(c.dir)/cfbEntry)
	seen[0] = true
	todo := []cfbNode{{le.Uint32(c.dir[76:]), ""}}
	for len(todo) > 0 && !g.Stop() {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if n.id == cfbNone {
			continue
		}
		if n.id >= uint32(len(seen)) || seen[n.id] {
			g.Damage(fmt.Errorf("%w: the tree of names", errCFB))
			continue
		}
		seen[n.id] = true
		e := c.dir[int(n.id)*cfbEntry:][:cfbEntry]
		todo = append(todo, cfbNode{le.Uint32(e[68:]), n.path}, cfbNode{le.Uint32(e[72:]), n.path})
		p, err := unpack.JoinName(n.path, c.name(e))
		if err != nil {
			g.Damage(fmt.Errorf("cfb: %w", err))
		}
		switch e[66] {
		case cfbStorage:
			g.Add(unpack.Entry{Path: p, Mode: fs.ModeDir | 0o755})
			todo = append(todo, cfbNode{le.Uint32(e[76:]), p})
		case cfbStream:
			g.Add(c.entry(e, p, g))
		default:
			g.Damage(fmt.Errorf("%w: an entry of type %d", errCFB, e[66]))
		}
	}
}

func (c *cfb) entry(e []byte, path string, g *unpack.Gatherer) unpack.Entry {
	first, size := binary.LittleEndian.Uint32(e[116:]), c.entrySize(e)
	f := unpack.Entry{Path: path, Mode: 0o644, Order: int64(first)}
	switch {
	case size == 0:
	case size < c.cutoff:
		f.Data, f.Err = chain(c.miniFAT, c.miniUse, c.stream, func(n uint32) int64 { return int64(n) << c.mini }, c.mini, first, size)
		f.Order = c.in.Data.Size() + int64(first)
	default:
		f.Data, f.Err = c.file(first, size)
	}
	if f.Err != nil {
		f.Err = fmt.Errorf("%q: %w", path, f.Err)
		g.Damage(f.Err)
	}
	return f
}

// name is an entry's name. Installer packages pack two characters into one;
// names of the system begin with a control character.
func (c *cfb) name(e []byte) string {
	n := min(int(binary.LittleEndian.Uint16(e[64:])), 64)
	var text []uint16
	for i := 0; i+2 < n; i += 2 {
		text = append(text, binary.LittleEndian.Uint16(e[i:]))
	}
	if c.msi {
		text = msiName(text)
	}
	var b strings.Builder
	for _, r := range utf16.Decode(text) {
		if r < ' ' {
			fmt.Fprintf(&b, "[%d]", r)
		} else {
			b.WriteRune(r)
		}
	}
	return strings.ReplaceAll(b.String(), "/", "%2F")
}

const msiAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._"

// msiName decodes the names of streams in an installer package: code points
// from 0x3800 on hold two characters of 64, from 0x4800 on one; 0x4840 marks a
// table.
func msiName(name []uint16) []uint16 {
	var out []uint16
	for _, r := range name {
		switch {
		case r >= 0x3800 && r < 0x4800:
			out = append(out, uint16(msiAlphabet[(r-0x3800)&63]), uint16(msiAlphabet[(r-0x3800)>>6]))
		case r >= 0x4800 && r < 0x4840:
			out = append(out, uint16(msiAlphabet[r-0x4800]))
		case r == 0x4840:
			out = append(out, '!')
		default:
			out = append(out, r)
		}
	}
	return out
}
