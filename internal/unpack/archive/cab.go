package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/lzx"
	"github.com/klauspost/compress/flate"
)

// Cab opens cabinets. Layout: Microsoft's [MS-CAB].
var Cab = &unpack.Reader{
	Name:    "cab",
	Doc:     "Microsoft cabinets: stored, MSZIP and LZX, with the checksums of their blocks.",
	Limits:  "Quantum is not read, nor are files that begin or end in another cabinet of a set; both are reported.",
	Checked: "gcab 1.5 (stored and MSZIP), LZX of an independent encoder that cabextract reads",
	Magics:  []unpack.Magic{{At: 0, Bytes: "MSCF\x00\x00\x00\x00"}},
	Carve:   true,
	Open:    openCab,
}

const (
	cabHeader     = 36
	cabMaxFolders = 1 << 12
	cabBlock      = 32 << 10

	cabPrevious = 1 // flags
	cabNext     = 2
	cabReserve  = 4

	cabStored  = 0
	cabMSZIP   = 1
	cabQuantum = 2
	cabLZX     = 3

	cabFromPrevious = 0xfffd // numbers of folders
	cabToNext       = 0xfffe
	cabThrough      = 0xffff
)

type cab struct {
	in       *unpack.Input
	size     int64
	folders  []cabFolder
	reserve  int64 // bytes that each block has for others
	info     map[string]string
	next     string
	previous string
	solid    *unpack.Solid
}

type cabFolder struct {
	offset int64
	blocks int
	method uint16
}

func openCab(in *unpack.Input) (*unpack.Object, error) {
	c := &cab{in: in, info: map[string]string{}}
	files, count, ok := c.header()
	if !ok {
		return nil, unpack.ErrNotThis
	}
	c.solid = unpack.NewSolid(in, c.decode)
	g := unpack.NewGatherer(in)
	if c.size > in.Data.Size() {
		g.Damage(&unpack.CutOff{Format: "cab", Missing: c.size - in.Data.Size(), Of: c.size})
	}
	if err := c.files(g, files, count); err != nil {
		g.Damage(err)
	}
	o := &unpack.Object{Format: "cab", Size: min(c.size, in.Data.Size()), Info: c.info}
	g.Finish(o)
	if len(o.Entries) == 0 {
		return nil, unpack.ErrNotThis
	}
	return o, nil
}

// header reads the header and the folders.
func (c *cab) header() (files int64, count int, ok bool) {
	h, err := unpack.ReadFull(c.in.Data, 0, cabHeader)
	le := binary.LittleEndian
	if err != nil || h[25] != 1 || le.Uint32(h[4:]) != 0 || le.Uint32(h[12:]) != 0 {
		return 0, 0, false
	}
	c.size = int64(le.Uint32(h[8:]))
	files, folders, flags := int64(le.Uint32(h[16:])), int(le.Uint16(h[26:])), le.Uint16(h[30:])
	count = int(le.Uint16(h[28:]))
	if c.size < cabHeader || files < cabHeader || files >= c.size || folders > cabMaxFolders || count == 0 {
		return 0, 0, false
	}
	at, folderReserve := int64(cabHeader), int64(0)
	if flags&cabReserve != 0 {
		r, err := unpack.ReadFull(c.in.Data, at, 4)
		if err != nil {
			return 0, 0, false
		}
		at += 4 + int64(le.Uint16(r))
		folderReserve, c.reserve = int64(r[2]), int64(r[3])
	}
	if flags&cabPrevious != 0 {
		c.previous, at = c.text(at)
		_, at = c.text(at)
		c.info["previous cabinet"] = c.previous
	}
	if flags&cabNext != 0 {
		c.next, at = c.text(at)
		_, at = c.text(at)
		c.info["next cabinet"] = c.next
	}
	for range folders {
		f, err := unpack.ReadFull(c.in.Data, at, 8)
		if err != nil {
			return 0, 0, false
		}
		at += 8 + folderReserve
		c.folders = append(c.folders, cabFolder{int64(le.Uint32(f)), int(le.Uint16(f[4:])), le.Uint16(f[6:])})
	}
	return files, count, at <= files
}

// text reads a string that ends with NUL.
func (c *cab) text(at int64) (string, int64) {
	b := unpack.ReadSome(c.in.Data, at, 257)
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s), at + int64(len(s)) + 1
}

func (c *cab) files(g *unpack.Gatherer, at int64, count int) error {
	le := binary.LittleEndian
	for range count {
		h, err := unpack.ReadFull(c.in.Data, at, 16)
		if err != nil {
			return errors.New("cab: damaged list of files")
		}
		name, next := c.text(at + 16)
		at = next
		size, off, folder := int64(le.Uint32(h)), int64(le.Uint32(h[4:])), int(le.Uint16(h[8:]))
		attributes := le.Uint16(h[14:])
		e := unpack.Entry{Path: strings.ReplaceAll(name, "\\", "/"), Mode: 0o644, ModTime: dosTime(le.Uint16(h[10:]), le.Uint16(h[12:])), Order: int64(folder)<<32 | off}
		if attributes&0x80 == 0 {
			e.Path = strings.ToValidUTF8(e.Path, "?")
		}
		if attributes&0x40 != 0 {
			e.Mode = 0o755 // to be run after extraction
		}
		e.Err = c.place(&folder)
		if e.Err == nil && size > 0 {
			e.Data = c.solid.File(folder, off, size, nil)
		}
		if e.Err != nil {
			e.Err = fmt.Errorf("cab: %q: %w", e.Path, e.Err)
		}
		if !g.Add(e) {
			return nil
		}
	}
	return nil
}

// place says why a file of a folder can't be read, if so.
func (c *cab) place(folder *int) error {
	switch *folder {
	case cabFromPrevious, cabThrough:
		return fmt.Errorf("%w: it begins in another cabinet, %s", unpack.ErrUnsupported, c.previous)
	case cabToNext:
		return fmt.Errorf("%w: it goes on in another cabinet, %s", unpack.ErrUnsupported, c.next)
	}
	if *folder >= len(c.folders) {
		return errDamaged
	}
	if m := c.folders[*folder].method & 15; m == cabQuantum || m > cabLZX {
		return fmt.Errorf("%w compression %d (2 is Quantum)", unpack.ErrUnsupported, m)
	}
	return nil
}

var errCabSum = errors.New("cab: the checksum of a block is wrong")

// decode decodes a folder: its blocks, each checked, one stream over all.
func (c *cab) decode(i int) ([]byte, error) {
	f := c.folders[i]
	packed, plain, err := c.blocks(f)
	total, size := 0, 0
	for j := range packed {
		total, size = total+len(packed[j]), size+plain[j]
	}
	if bad := unpack.Affordable(c.in, int64(size), int64(total)); bad != nil {
		return nil, bad
	}
	var out []byte
	var bad error
	switch f.method & 15 {
	case cabStored:
		for j, b := range packed {
			out = append(out, b...)
			if len(b) != plain[j] {
				return out, errDamaged
			}
		}
	case cabMSZIP:
		out, bad = mszip(packed, plain, size)
	case cabLZX:
		out = make([]byte, size)
		var n int
		n, bad = lzx.Decode(out, bytes.Join(packed, nil), int(f.method>>8&31))
		out = out[:n]
	}
	if bad != nil {
		return out, bad
	}
	return out, err
}

// blocks are the packed blocks of a folder and their unpacked sizes, up to the
// first damaged one.
func (c *cab) blocks(f cabFolder) (packed [][]byte, plain []int, err error) {
	le := binary.LittleEndian
	at := f.offset
	for range f.blocks {
		h, err := unpack.ReadFull(c.in.Data, at, 8+c.reserve)
		if err != nil {
			return packed, plain, errShort
		}
		sum, n, size := le.Uint32(h), int64(le.Uint16(h[4:])), int(le.Uint16(h[6:]))
		b, err := unpack.ReadFull(c.in.Data, at+8+c.reserve, n)
		if err != nil {
			return packed, plain, errShort
		}
		if sum != 0 && cabSum(h[4:], cabSum(b, 0)) != sum {
			return packed, plain, errCabSum
		}
		if size > cabBlock {
			return packed, plain, errDamaged
		}
		at += 8 + c.reserve + n
		packed, plain = append(packed, b), append(plain, size)
	}
	return packed, plain, nil
}

// cabSum is the exclusive or of words; the last bytes count from the highest.
func cabSum(b []byte, sum uint32) uint32 {
	for ; len(b) >= 4; b = b[4:] {
		sum ^= binary.LittleEndian.Uint32(b)
	}
	last := uint32(0)
	for _, c := range b {
		last = last<<8 | uint32(c)
	}
	return sum ^ last
}

// mszip decodes blocks of deflate, each with what came before as dictionary.
func mszip(packed [][]byte, plain []int, size int) ([]byte, error) {
	out := make([]byte, size)
	at := 0
	for i, b := range packed {
		if len(b) < 2 || string(b[:2]) != "CK" {
			return out[:at], errDamaged
		}
		r := flate.NewReaderDict(bytes.NewReader(b[2:]), out[max(0, at-cabBlock):at])
		n, err := fill(out[at:at+plain[i]], r)
		at += n
		if err != nil {
			return out[:at], err
		}
	}
	return out, nil
}
