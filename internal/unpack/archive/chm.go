package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/lzx"
)

// CHM opens Windows help files. Layout: M. Russotto's "Microsoft's HTML Help
// (.chm) format" and that of chmlib.
var CHM = &unpack.Reader{
	Name:    "chm",
	Doc:     "Windows HTML help (.chm): stored and LZX.",
	Limits:  "The format has no checksums.",
	Checked: "help files written by the tests that chmlib 0.40 reads too; libmspack's collection of hostile ones",
	Magics:  []unpack.Magic{{At: 0, Bytes: chmMagic}},
	Carve:   true,
	Open:    openCHM,
}

const (
	chmMagic     = "ITSF"
	chmHeader    = 0x60
	chmDirectory = 0x54
	chmFrame     = 32 << 10
	chmMaxTable  = 64 << 20
	chmCache     = 16 << 20

	chmStorage = "::DataSpace/Storage/MSCompressed/"
	chmResets  = chmStorage + "Transform/{7FC28940-9D31-11D0-9B27-00A0C91E9C7C}/InstanceData/ResetTable"
)

type chm struct {
	in      *unpack.Input
	content int64 // where section 0 starts
	end     int64
	files   []chmFile
	system  map[string]chmFile // what describes the packed section

	packed  unpack.Bytes // section 1 unpacked; nil if it can't be
	trouble error        // why
}

type chmFile struct {
	name         string
	section      uint64
	offset, size int64
}

var errCHM = errors.New("chm: damaged")

func openCHM(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, chmHeader)
	le := binary.LittleEndian
	if err != nil || string(h[:4]) != chmMagic {
		return nil, unpack.ErrNotThis
	}
	version := le.Uint32(h[4:])
	dir, dirSize := int64(le.Uint64(h[0x48:])), int64(le.Uint64(h[0x50:]))
	if version != 2 && version != 3 || dir < 0x58 || dir > in.Data.Size() || dirSize < chmDirectory || dirSize > chmMaxTable {
		return nil, unpack.ErrNotThis
	}
	c := &chm{in: in, content: int64(le.Uint64(h[0x58:])), system: map[string]chmFile{}}
	if version == 2 {
		c.content = dir + dirSize
	}
	b, err := unpack.ReadFull(in.Data, dir, chmDirectory)
	if err != nil || string(b[:4]) != "ITSP" || c.content < dir || c.content > 1<<56 {
		return nil, unpack.ErrNotThis
	}
	c.end = max(c.content, dir+dirSize)
	g := unpack.NewGatherer(in)
	if err := c.list(dir, b); err != nil {
		g.Damage(err)
	}
	c.packed, c.trouble = c.unpack()
	for i := range c.files {
		if !g.Add(c.entry(&c.files[i], i)) {
			break
		}
	}
	o := &unpack.Object{Format: "chm", Size: min(c.end, in.Data.Size())}
	if c.end > in.Data.Size() {
		g.Damage(&unpack.CutOff{Format: "chm", Missing: c.end - in.Data.Size(), Of: c.end})
	}
	g.Finish(o)
	return o, nil
}

// list reads the directory's chunks of entries, each of which names the next.
func (c *chm) list(dir int64, h []byte) error {
	le := binary.LittleEndian
	header, chunk, count := int64(le.Uint32(h[8:])), int64(le.Uint32(h[16:])), int64(le.Uint32(h[0x2c:]))
	at := int64(int32(le.Uint32(h[0x20:])))
	if header < chmDirectory || chunk < 32 || chunk > 1<<20 || count > (c.in.Data.Size()-dir-header)/chunk {
		return errCHM
	}
	for left := count; at >= 0; left-- {
		if at >= count || left <= 0 { // a ring of chunks
			return errCHM
		}
		b, err := unpack.ReadFull(c.in.Data, dir+header+at*chunk, chunk)
		if err != nil {
			return err
		}
		free := int64(le.Uint32(b[4:]))
		if string(b[:4]) != "PMGL" || free > chunk-20 {
			return errCHM
		}
		if err := c.entries(b[20 : chunk-free]); err != nil {
			return err
		}
		at = int64(int32(le.Uint32(b[16:])))
	}
	return nil
}

func (c *chm) entries(b []byte) error {
	number := func() uint64 {
		v := uint64(0)
		for i := range b {
			v = v<<7 | uint64(b[i]&0x7f)
			if b[i] < 0x80 {
				b = b[i+1:]
				return v
			}
			if i == 9 {
				break
			}
		}
		b = nil
		return 1 << 63
	}
	for len(b) > 0 {
		n := number()
		if n > uint64(len(b)) {
			return errCHM
		}
		f := chmFile{name: string(b[:n])}
		b = b[n:]
		section, offset, size := number(), number(), number()
		if section > 1 || offset > 1<<55 || size > 1<<55 {
			return fmt.Errorf("%w: where %q lies", errCHM, f.name)
		}
		f.section, f.offset, f.size = section, int64(offset), int64(size)
		if section == 0 {
			c.end = max(c.end, c.content+f.offset+f.size)
		}
		if strings.HasPrefix(f.name, "::") {
			c.system[f.name] = f
			continue
		}
		if int64(len(c.files)) > c.in.Budget.Limits.Files {
			return nil
		}
		if f.name != "" && !strings.HasSuffix(f.name, "/") {
			c.files = append(c.files, f)
		}
	}
	return nil
}

func (c *chm) entry(f *chmFile, order int) unpack.Entry {
	e := unpack.Entry{Path: f.name, Mode: 0o644, Order: int64(f.section)<<56 | f.offset}
	base, from := c.in.Data, c.content+f.offset
	if f.section == 1 {
		base, from = c.packed, f.offset
	}
	switch {
	case f.size == 0:
	case base == nil:
		e.Err = fmt.Errorf("chm: %q: %w", f.name, c.trouble)
	case from > base.Size() || f.size > base.Size()-from:
		e.Err = fmt.Errorf("chm: %q: %w", f.name, io.ErrUnexpectedEOF)
	default:
		e.Data = unpack.Window(base, from, f.size)
	}
	return e
}

// small is the content of one of the files that describe the packed section.
func (c *chm) small(name string, atLeast int64) ([]byte, error) {
	f, ok := c.system[name]
	if !ok || f.section != 0 || f.size < atLeast || f.size > chmMaxTable {
		return nil, fmt.Errorf("%w: no %s", errCHM, name)
	}
	return unpack.ReadFull(c.in.Data, c.content+f.offset, f.size)
}

// unpack gives random access to the packed section: LZX that starts anew at
// every so many frames, whose places a table has.
func (c *chm) unpack() (unpack.Bytes, error) {
	le := binary.LittleEndian
	data, ok := c.system[chmStorage+"Content"]
	if !ok || data.section != 0 {
		return nil, fmt.Errorf("%w: nothing is packed", errCHM)
	}
	control, err := c.small(chmStorage+"ControlData", 24)
	if err != nil {
		return nil, err
	}
	table, err := c.small(chmResets, 0x28)
	if err != nil {
		return nil, err
	}
	interval, window := int64(le.Uint32(control[12:])), int64(le.Uint32(control[16:]))
	if le.Uint32(control[8:]) == 2 {
		interval, window = interval*chmFrame, window*chmFrame
	}
	l := &chmLZX{c: c, at: c.content + data.offset, interval: interval, window: bits.Len64(uint64(window)) - 1, plain: int64(le.Uint64(table[16:])), packed: int64(le.Uint64(table[24:])), cache: unpack.NewBlockCache(chmCache)}
	entries, header := int64(le.Uint32(table[4:])), int64(le.Uint32(table[12:]))
	switch {
	case string(control[4:8]) != "LZXC" || window&(window-1) != 0 || l.window < 15 || l.window > 21 || interval <= 0 || interval%chmFrame != 0 || interval > chmMaxTable:
		return nil, errCHM
	case le.Uint64(table[32:]) != chmFrame || le.Uint32(table[8:]) != 8 || header < 0x28 || entries > (int64(len(table))-header)/8:
		return nil, errCHM
	case l.plain < 0 || l.packed < 0 || l.packed > data.size || l.plain > entries*chmFrame:
		return nil, errCHM
	case l.plain > max(unpack.RatioFree, l.packed*c.in.Budget.Limits.Ratio):
		return nil, fmt.Errorf("%w: expands from %d to %d bytes", unpack.ErrLimit, l.packed, l.plain)
	}
	for i := int64(0); i < entries; i += interval / chmFrame {
		l.starts = append(l.starts, int64(le.Uint64(table[header+8*i:])))
	}
	l.starts = append(l.starts, l.packed)
	for i := range l.starts[1:] {
		if l.starts[i] < 0 || l.starts[i] > l.starts[i+1] {
			return nil, errCHM
		}
	}
	return unpack.Mapped([]unpack.Extent{{Size: l.plain}}, l.plain, l.read), nil
}

// chmLZX is the packed section.
type chmLZX struct {
	c             *chm
	at            int64
	interval      int64
	window        int
	plain, packed int64
	starts        []int64
	cache         *unpack.BlockCache
}

func (l *chmLZX) read(_ unpack.Extent, p []byte, at int64) (n int, err error) {
	for n < len(p) {
		i, off := (at+int64(n))/l.interval, (at+int64(n))%l.interval
		b, err := l.cache.Get(i, func(int64) ([]byte, int64, error) {
			data, err := l.decode(i)
			return data, 0, err
		}, nil)
		if off < int64(len(b.Data)) {
			n += copy(p[n:], b.Data[off:])
			continue
		}
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return n, err
	}
	return n, nil
}

func (l *chmLZX) decode(i int64) ([]byte, error) {
	if err := l.c.in.Context.Err(); err != nil {
		return nil, err
	}
	if i+1 >= int64(len(l.starts)) {
		return nil, errCHM
	}
	src, err := unpack.ReadFull(l.c.in.Data, l.at+l.starts[i], l.starts[i+1]-l.starts[i])
	if err != nil {
		return nil, err
	}
	// The last frame is packed whole, whatever is used of it.
	plain := min(l.interval, l.plain-i*l.interval)
	dst := make([]byte, (plain+chmFrame-1)/chmFrame*chmFrame)
	n, err := lzx.Decode(dst, src, l.window)
	if int64(n) >= plain {
		return dst[:plain], nil
	}
	return dst[:n], err
}
