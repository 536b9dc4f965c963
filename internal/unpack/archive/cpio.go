package archive

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// Cpio opens cpio archives. Several archives with zeros between them are one,
// as the Linux kernel reads an initramfs.
var Cpio = &unpack.Reader{
	Name:    "cpio",
	Checked: "cpio and bsdtar",
	Doc:     "cpio archives: newc, newc with checksums, odc, old binary; several in a row, as in an initramfs.",
	Magics: []unpack.Magic{
		{At: 0, Bytes: "070701"}, {At: 0, Bytes: "070702"}, {At: 0, Bytes: "070707"},
		{At: 0, Bytes: "\xc7\x71"}, {At: 0, Bytes: "\x71\xc7"},
	},
	Carve: true,
	Open:  openCpio,
}

const (
	cpioTrailer = "TRAILER!!!"
	cpioNameMax = 64 << 10
	cpioRecord  = 512
)

func openCpio(in *unpack.Input) (*unpack.Object, error) {
	c := &cpioReader{data: in.Data, links: map[cpioLink][]int{}}
	err := c.walk()
	if len(c.entries) == 0 || err != nil && !in.Whole && len(c.entries) < 2 {
		return nil, unpack.ErrNotThis
	}
	return &unpack.Object{Format: "cpio " + c.format, Size: min(c.at, in.Data.Size()), Entries: c.entries, System: true, Err: err}, nil
}

// cpioHead is one header of any of the formats.
type cpioHead struct {
	format           string
	ino, mode        uint64
	uid, gid, nlink  uint64
	mtime, size      uint64
	dev, major       uint64
	minor, name, sum uint64
	header           int64 // its bytes, without the name
	align            int64 // of content and headers
}

type cpioLink struct{ archive, dev, ino uint64 }

type cpioReader struct {
	data     unpack.Bytes
	at       int64
	start    int64 // of the archive that is read; alignment counts from it
	archives uint64
	format   string
	entries  []unpack.Entry
	links    map[cpioLink][]int // entries that are hard links of one file
}

func (c *cpioReader) walk() error {
	for {
		h, err := c.header()
		if err != nil {
			return err
		}
		if c.format == "" {
			c.format = h.format
		}
		name, err := unpack.ReadFull(c.data, c.at+h.header, int64(h.name))
		if err != nil || name[len(name)-1] != 0 {
			return fmt.Errorf("cpio: damaged name at 0x%x", c.at)
		}
		start := c.align(c.at+h.header+int64(h.name), h.align)
		if unpack.CString(name) == cpioTrailer && h.size == 0 {
			c.at = start
			if c.end(); !c.another() {
				return nil
			}
			continue
		}
		if int64(h.size) > c.data.Size()-start {
			e := c.entry(h, unpack.CString(name), nil)
			e.Err = &unpack.CutOff{Format: "cpio", Missing: start + int64(h.size) - c.data.Size(), Of: start + int64(h.size)}
			c.entries = append(c.entries, *e)
			c.at = c.data.Size()
			return e.Err
		}
		if err := c.add(h, unpack.CString(name), start); err != nil {
			return err
		}
		c.at = min(c.align(start+int64(h.size), h.align), c.data.Size())
	}
}

func (c *cpioReader) align(at, to int64) int64 { return c.start + (at-c.start+to-1)/to*to }

// end is called behind a trailer: hard links get their content, and zeros up to
// a whole record belong to the archive.
func (c *cpioReader) end() {
	c.settleLinks()
	c.archives++
	if pad := unpack.ReadSome(c.data, c.at, c.align(c.at, cpioRecord)-c.at); unpack.OnlyByte(pad, 0) {
		c.at += int64(len(pad))
	}
}

// another passes zeros if another archive follows them.
func (c *cpioReader) another() bool {
	at := c.at
	for {
		b := unpack.ReadSome(c.data, at, 4096)
		n := 0
		for n < len(b) && b[n] == 0 {
			n++
		}
		at += int64(n)
		if n == len(b) && n > 0 {
			continue
		}
		break
	}
	if at%4 != 0 && at != c.at {
		return false
	}
	was := c.at
	c.at = at
	if _, err := c.header(); err != nil {
		c.at = was
		return false
	}
	c.start = at
	return true
}

// settleLinks gives hard links, of which only the last has the content in
// newc, the same content.
func (c *cpioReader) settleLinks() {
	for _, list := range c.links {
		full := list[0]
		for _, i := range list {
			if c.entries[i].Data != nil || c.entries[i].Err != nil {
				full = i
			}
		}
		for _, i := range list {
			c.entries[i].Data, c.entries[i].Err, c.entries[i].Order = c.entries[full].Data, c.entries[full].Err, c.entries[full].Order
			if len(list) > 1 {
				c.entries[i].Inode = uint64(list[0]) + 1
			}
		}
	}
	clear(c.links)
}

func (c *cpioReader) entry(h *cpioHead, name string, content unpack.Bytes) *unpack.Entry {
	e := &unpack.Entry{Path: name, Mode: unpack.UnixMode(uint32(h.mode)), UID: int(h.uid), GID: int(h.gid), ModTime: time.Unix(int64(h.mtime), 0).UTC(), Order: c.at}
	if e.Mode&fs.ModeDevice != 0 {
		e.Major, e.Minor = uint32(h.major), uint32(h.minor)
	}
	if e.Mode.IsRegular() && content != nil && content.Size() > 0 {
		e.Data = content
	}
	return e
}

func (c *cpioReader) add(h *cpioHead, name string, start int64) error {
	content := unpack.Window(c.data, start, int64(h.size))
	e := c.entry(h, name, content)
	if e.Mode&fs.ModeSymlink != 0 {
		target, err := unpack.ReadFull(content, 0, min(content.Size(), cpioNameMax))
		if err != nil {
			return err
		}
		e.Link = unpack.CString(target)
	}
	if h.format == "crc" && e.Mode.IsRegular() && h.size > 0 {
		sum := uint32(0)
		err := unpack.Chunks(content, 0, content.Size(), func(p []byte) {
			for _, b := range p {
				sum += uint32(b)
			}
		})
		if err == nil && sum != uint32(h.sum) {
			err = unpack.ErrChecksum
		}
		e.Err = err
	}
	if e.Mode.IsRegular() && h.nlink > 1 {
		key := cpioLink{c.archives, h.dev, h.ino}
		c.links[key] = append(c.links[key], len(c.entries))
	}
	c.entries = append(c.entries, *e)
	return nil
}

// header reads the header at c.at.
func (c *cpioReader) header() (*cpioHead, error) {
	b := unpack.ReadSome(c.data, c.at, 110)
	var h *cpioHead
	switch {
	case len(b) >= 110 && (string(b[:6]) == "070701" || string(b[:6]) == "070702"):
		h = cpioNewc(b)
	case len(b) >= 76 && string(b[:6]) == "070707":
		h = cpioODC(b)
	case len(b) >= 26 && binary.LittleEndian.Uint16(b) == 0o070707:
		h = cpioBinary(b, binary.LittleEndian)
	case len(b) >= 26 && binary.BigEndian.Uint16(b) == 0o070707:
		h = cpioBinary(b, binary.BigEndian)
	}
	if h == nil || h.name < 1 || h.name > cpioNameMax || h.size > 1<<40 || !knownType(uint32(h.mode)) {
		if len(b) < 26 {
			return nil, fmt.Errorf("cpio: cut off at 0x%x", c.at)
		}
		return nil, fmt.Errorf("cpio: no header at 0x%x", c.at)
	}
	return h, nil
}

// knownType says that the type bits of a mode word are those of a file; the
// trailer has none.
func knownType(mode uint32) bool {
	switch mode & 0o170000 {
	case 0, 0o010000, 0o020000, 0o040000, 0o060000, 0o100000, 0o120000, 0o140000:
		return true
	}
	return false
}

// digits reads fields of digits of the given widths.
func digits(b []byte, base int, widths []int, to []*uint64) bool {
	for i, w := range widths {
		v, err := strconv.ParseUint(string(b[:w]), base, 64)
		if err != nil {
			return false
		}
		*to[i], b = v, b[w:]
	}
	return true
}

func cpioNewc(b []byte) *cpioHead {
	h := &cpioHead{format: "newc", header: 110, align: 4}
	if b[5] == '2' {
		h.format = "crc"
	}
	var devMinor uint64
	to := []*uint64{&h.ino, &h.mode, &h.uid, &h.gid, &h.nlink, &h.mtime, &h.size, &h.dev, &devMinor, &h.major, &h.minor, &h.name, &h.sum}
	if !digits(b[6:], 16, []int{8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8}, to) {
		return nil
	}
	h.dev = h.dev<<32 | devMinor
	return h
}

func cpioODC(b []byte) *cpioHead {
	h := &cpioHead{format: "odc", header: 76, align: 1}
	var rdev uint64
	to := []*uint64{&h.dev, &h.ino, &h.mode, &h.uid, &h.gid, &h.nlink, &rdev, &h.mtime, &h.name, &h.size}
	if !digits(b[6:], 8, []int{6, 6, 6, 6, 6, 6, 6, 11, 6, 11}, to) {
		return nil
	}
	h.major, h.minor = rdev>>8, rdev&0xff
	return h
}

func cpioBinary(b []byte, order binary.ByteOrder) *cpioHead {
	at := func(i int) uint64 { return uint64(order.Uint16(b[2*i:])) }
	h := &cpioHead{format: "bin", header: 26, align: 2, dev: at(1), ino: at(2), mode: at(3), uid: at(4), gid: at(5), nlink: at(6),
		major: at(7) >> 8, minor: at(7) & 0xff, mtime: at(8)<<16 | at(9), name: at(10), size: at(11)<<16 | at(12)}
	return h
}
