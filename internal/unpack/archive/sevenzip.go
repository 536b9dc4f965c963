package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"time"
	"unicode/utf16"

	"github.com/doorward/doorward/internal/unpack"
)

// SevenZip opens 7z archives. Layout and method numbers: DOC/7zFormat.txt and
// DOC/Methods.txt of the LZMA SDK.
var SevenZip = &unpack.Reader{
	Name:    "7z",
	Doc:     "7z archives, solid or not, with packed headers: LZMA, LZMA2, PPMd, bzip2, deflate, deflate64, stored; the filters BCJ, BCJ2, delta, swap, and those for ARM, Thumb, ARM64, PowerPC, SPARC, IA-64 and RISC-V.",
	Limits:  "AES is reported as encrypted; archives in several volumes are read as far as the first reaches.",
	Checked: "7z 26.02 with option sets for every method and filter that it packs; random trees",
	Magics:  []unpack.Magic{{At: 0, Bytes: sevenMagic}},
	Carve:   true,
	Open:    openSevenZip,
}

const (
	sevenMagic     = "7z\xbc\xaf\x27\x1c"
	sevenStart     = 32
	sevenMaxHeader = 64 << 20
	sevenMaxLevels = 4 // packed headers within each other
)

// Numbers of properties.
const (
	sevenEnd = iota
	sevenHeader
	sevenArchiveProperties
	sevenAdditional
	sevenMainStreams
	sevenFiles
	sevenPackInfo
	sevenUnpackInfo
	sevenSubStreams
	sevenSize
	sevenCRC
	sevenFolder
	sevenUnpackSizes
	sevenNumStreams
	sevenEmptyStream
	sevenEmptyFile
	sevenAnti
	sevenNames
	sevenCTime
	sevenATime
	sevenMTime
	sevenAttributes
	sevenComment
	sevenEncoded
)

var errSeven = errors.New("7z: damaged header")

func openSevenZip(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, sevenStart)
	if err != nil || string(h[:6]) != sevenMagic || h[6] != 0 {
		return nil, unpack.ErrNotThis
	}
	le := binary.LittleEndian
	if crc32.ChecksumIEEE(h[12:32]) != le.Uint32(h[8:]) {
		return nil, unpack.ErrNotThis
	}
	off, size, sum := le.Uint64(h[12:]), le.Uint64(h[20:]), le.Uint32(h[28:])
	if off > 1<<60 || size > 1<<60 {
		return nil, unpack.ErrNotThis
	}
	end := sevenStart + int64(off) + int64(size)
	o := &unpack.Object{Format: "7z", Size: min(end, in.Data.Size())}
	if size == 0 {
		o.Size = sevenStart
		return o, nil
	}
	z := &seven{in: in}
	if end > in.Data.Size() {
		o.Err = &unpack.CutOff{Format: "7z", Missing: end - in.Data.Size(), Of: end}
		o.Gaps = []unpack.Gap{{Offset: sevenStart, Size: in.Data.Size() - sevenStart, Reason: "damaged", Note: "7z: the list of files, at the archive's end, is missing"}}
		return o, nil
	}
	if err := z.open(int64(off), int64(size), sum); err != nil {
		if o.Err = err; errors.Is(err, unpack.ErrEncrypted) {
			o.Err = nil
			o.Gaps = []unpack.Gap{{Offset: sevenStart, Size: int64(off), Reason: "encrypted", Note: "the list of files is encrypted too"}}
		}
		return o, nil
	}
	g := unpack.NewGatherer(in)
	z.gather(g)
	g.Finish(o)
	return o, nil
}

// seven is an open archive.
type seven struct {
	in      *unpack.Input
	streams sevenStreams
	files   []sevenFile
	solid   *unpack.Solid
}

// sevenStreams is what StreamsInfo says.
type sevenStreams struct {
	packed  []sevenStretch
	folders []sevenFolderInfo
}

type sevenStretch struct{ off, size int64 }

type sevenFile struct {
	name       string
	empty, dir bool
	anti       bool
	attributes uint32
	time       time.Time
}

// open reads the header at off, through as many packings as it has.
func (z *seven) open(off, size int64, sum uint32) error {
	if size > sevenMaxHeader {
		return errSeven
	}
	b, err := unpack.ReadFull(z.in.Data, sevenStart+off, size)
	if err != nil {
		return err
	}
	if crc32.ChecksumIEEE(b) != sum {
		return errors.New("7z: the checksum of the header is wrong")
	}
	for range sevenMaxLevels {
		r := &sevenReader{b: b}
		switch r.number() {
		case sevenHeader:
			return z.header(r)
		case sevenEncoded:
			s := r.streams()
			if r.bad || len(s.folders) == 0 {
				return errSeven
			}
			f := &s.folders[0]
			if f.size() > sevenMaxHeader {
				return errSeven
			}
			if b, err = f.decode(z.in, s.packed); err != nil {
				return fmt.Errorf("7z: the packed header: %w", err)
			}
			if f.checked && crc32.ChecksumIEEE(b) != f.sum {
				return errors.New("7z: the checksum of the packed header is wrong")
			}
		default:
			return errSeven
		}
	}
	return errSeven
}

func (z *seven) header(r *sevenReader) error {
	for !r.bad {
		switch id := r.number(); id {
		case sevenEnd:
			return nil
		case sevenArchiveProperties:
			for !r.bad && r.number() != sevenEnd {
				r.bytes(r.number())
			}
		case sevenAdditional:
			r.streams()
		case sevenMainStreams:
			z.streams = r.streams()
		case sevenFiles:
			z.files = r.files()
		default:
			r.bad = true
		}
	}
	return errSeven
}

// gather gives files their content, in the order of the streams.
func (z *seven) gather(g *unpack.Gatherer) {
	z.solid = unpack.NewSolid(z.in, func(i int) ([]byte, error) { return z.streams.folders[i].decode(z.in, z.streams.packed) })
	folder, in, at := 0, 0, int64(0)
	for i := range z.files {
		f := &z.files[i]
		e := f.entry(i)
		if !f.empty {
			for folder < len(z.streams.folders) && in == len(z.streams.folders[folder].parts) {
				folder, in, at = folder+1, 0, 0
			}
			if folder == len(z.streams.folders) {
				g.Damage(fmt.Errorf("7z: no content for %q", f.name))
				e.Err = errSeven
				g.Add(e)
				continue
			}
			z.content(&e, folder, in, at)
			at += z.streams.folders[folder].parts[in].size
			in++
		}
		if f.anti {
			continue
		}
		if !g.Add(e) {
			return
		}
	}
}

func (z *seven) content(e *unpack.Entry, folder, part int, at int64) {
	info := &z.streams.folders[folder]
	p := info.parts[part]
	var check func([]byte) error
	if p.checked {
		check = unpack.CRC32Is(p.sum)
	}
	file := z.solid.File(folder, at, p.size, check)
	if err := info.supported(); err != nil {
		e.Err = fmt.Errorf("7z: %q: %w", e.Path, err)
		return
	}
	if p.size == 0 {
		return
	}
	e.Data = file
	if e.Mode&fs.ModeSymlink != 0 {
		target, err := unpack.ReadFull(file, 0, min(p.size, 64<<10))
		e.Link, e.Err, e.Data = string(target), err, nil
	}
}

func (f *sevenFile) entry(i int) unpack.Entry {
	e := unpack.Entry{Path: f.name, Mode: 0o644, ModTime: f.time, Order: int64(i)}
	switch {
	case f.attributes&0x8000 != 0: // the upper half is a Unix mode
		e.Mode = unpack.UnixMode(f.attributes >> 16)
	case f.attributes&0x400 != 0 && !f.empty:
		e.Mode = fs.ModeSymlink | 0o777
	}
	if f.dir || f.attributes&0x10 != 0 && f.empty {
		e.Mode = fs.ModeDir | e.Mode.Perm() | 0o700
		if f.attributes&0x8000 != 0 {
			e.Mode = unpack.UnixMode(f.attributes >> 16)
		} else {
			e.Mode |= 0o755
		}
		e.Mode = e.Mode&^fs.ModeType | fs.ModeDir
	}
	return e
}

// sevenReader reads the header's encoding. bad is set for good once anything is
// wrong; counts are bounded by the bytes that are left.
type sevenReader struct {
	b   []byte
	bad bool
}

func (r *sevenReader) bytes(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *sevenReader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *sevenReader) uint32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// number reads a number: the first byte's leading ones count further bytes.
func (r *sevenReader) number() uint64 {
	first := r.byte()
	mask, v := byte(0x80), uint64(0)
	for i := range 8 {
		if first&mask == 0 {
			return v | uint64(first&(mask-1))<<(8*i)
		}
		v |= uint64(r.byte()) << (8 * i)
		mask >>= 1
	}
	return v
}

// size is a number that is a length.
func (r *sevenReader) size() int64 {
	n := r.number()
	if n > 1<<56 {
		r.bad = true
		return 0
	}
	return int64(n)
}

// count is a number of things, of which a byte can tell at most per.
func (r *sevenReader) count(per int) int {
	n := r.number()
	if n > uint64(per)*uint64(len(r.b)+1) || n > 1<<24 {
		r.bad = true
		return 0
	}
	return int(n)
}

// bits reads a bit per thing; with all it may be abbreviated.
func (r *sevenReader) bits(n int, all bool) []bool {
	list := make([]bool, n)
	if all && r.byte() != 0 {
		for i := range list {
			list[i] = true
		}
		return list
	}
	b := r.bytes(uint64(n+7) / 8)
	for i := range list {
		list[i] = b != nil && b[i/8]&(0x80>>(i%8)) != 0
	}
	return list
}

type sevenSum struct {
	sum     uint32
	checked bool
}

func (r *sevenReader) sums(n int) []sevenSum {
	list := make([]sevenSum, n)
	for i, there := range r.bits(n, true) {
		if there {
			list[i] = sevenSum{r.uint32(), true}
		}
	}
	return list
}

func (r *sevenReader) files() []sevenFile {
	n := r.number()
	if n > uint64(len(r.b)) { // a name takes two bytes at least
		r.bad = true
		return nil
	}
	files := make([]sevenFile, n)
	var emptyStream []bool
	for !r.bad {
		id := r.number()
		if id == sevenEnd {
			return files
		}
		p := &sevenReader{b: r.bytes(r.number())}
		switch id {
		case sevenEmptyStream:
			emptyStream = p.bits(len(files), false)
			for i := range files {
				files[i].empty, files[i].dir = emptyStream[i], emptyStream[i]
			}
		case sevenEmptyFile, sevenAnti:
			count := 0
			for _, e := range emptyStream {
				if e {
					count++
				}
			}
			set := p.bits(count, false)
			for i, at := 0, 0; i < len(files); i++ {
				if files[i].empty {
					if id == sevenAnti {
						files[i].anti = set[at]
					} else {
						files[i].dir = !set[at]
					}
					at++
				}
			}
		case sevenNames:
			p.names(files)
		case sevenMTime:
			p.each(len(files), func(i int) {
				if b := p.bytes(8); b != nil {
					files[i].time = windowsTime(binary.LittleEndian.Uint64(b))
				}
			})
		case sevenAttributes:
			p.each(len(files), func(i int) { files[i].attributes = p.uint32() })
		}
		r.bad = r.bad || p.bad
	}
	return nil
}

// each calls f for the things that have a value here.
func (r *sevenReader) each(n int, f func(i int)) {
	set := r.bits(n, true)
	if r.byte() != 0 { // elsewhere: nobody writes it
		r.bad = true
		return
	}
	for i, there := range set {
		if there {
			f(i)
		}
	}
}

func (r *sevenReader) names(files []sevenFile) {
	if r.byte() != 0 {
		r.bad = true
		return
	}
	for i := range files {
		var name []uint16
		for {
			b := r.bytes(2)
			if b == nil {
				return
			}
			c := binary.LittleEndian.Uint16(b)
			if c == 0 {
				break
			}
			name = append(name, c)
		}
		files[i].name = string(utf16.Decode(name))
	}
}

// windowsTime is a time in 100 ns since 1601.
func windowsTime(v uint64) time.Time {
	if v == 0 || v > 1<<62 {
		return time.Time{}
	}
	const between = 11644473600
	return time.Unix(int64(v/1e7)-between, int64(v%1e7)*100).UTC()
}
