package archive

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/lzms"
	"github.com/doorward/doorward/internal/unpack/lzx"
	"github.com/doorward/doorward/internal/unpack/xpress"
)

const (
	wimCache     = 64 << 20
	wimMaxChunk  = 64 << 20
	wimMaxUnused = 1000
	wimMaxChunks = 1 << 22
	wimMaxMeta   = 256 << 20

	wimMetadata = 0x2 // flags of a resource
	wimPacked   = 0x4
	wimSpanned  = 0x8
	wimSolid    = 0x10

	wimSolidMark = 1 << 32 // the size of a solid resource itself
)

// wimResource is where something lies, packed or not.
type wimResource struct {
	flags             byte
	at, packed, plain int64
}

func wimResourceOf(b []byte) wimResource {
	le := binary.LittleEndian
	v := le.Uint64(b)
	r := wimResource{flags: b[7], packed: int64(v & (1<<56 - 1)), at: int64(le.Uint64(b[8:])), plain: int64(le.Uint64(b[16:]))}
	if r.at < 0 || r.at > 1<<56 || r.plain < 0 || r.plain > 1<<56 {
		return wimResource{flags: r.flags} // nothing lies there
	}
	return r
}

// wimBlob is the content of a file, or what files lie in.
type wimBlob struct {
	wimResource
	hash   [20]byte
	part   uint16
	used   bool
	filled bool     // of a solid resource: files lie in it
	solid  *wimBlob // the resource that it lies in, at from
	from   int64
}

// place finds the solid resource of a file: its entry has its size where others
// have the packed one, and an offset that counts through all of a run.
func (b *wimBlob) place(run []*wimBlob) {
	b.plain = b.packed
	if len(run) == 0 {
		return
	}
	for _, s := range run {
		s.filled = true
	}
	b.solid, b.from = run[0], b.at
	if len(run) > 1 {
		b.solid = nil // runs of several are rare; they are reported
	}
}

// all is the whole content of a resource.
func (w *wim) all(r wimResource, limit int64) ([]byte, error) {
	if r.packed == 0 || r.plain > limit {
		return nil, errWIM
	}
	data, err := w.resource(r)
	if err != nil {
		return nil, err
	}
	return unpack.ReadAll(data, limit)
}

// metadata is the checked content of an image's metadata.
func (w *wim) metadata(b *wimBlob) ([]byte, error) {
	if b.plain > min(wimMaxMeta, w.in.Budget.Limits.Memory/2) {
		return nil, fmt.Errorf("%w: %d bytes", unpack.ErrLimit, b.plain)
	}
	data, err := w.content(b)
	if err != nil {
		return nil, err
	}
	return unpack.ReadAll(data, wimMaxMeta)
}

// content is what a file holds, checked by its SHA-1 when all of it is read.
func (w *wim) content(b *wimBlob) (unpack.Bytes, error) {
	b.used = true
	if b.part != 0 && b.part != w.part {
		return nil, fmt.Errorf("%w: it lies in part %d of the archive", unpack.ErrUnsupported, b.part)
	}
	r := b.wimResource
	if b.flags&wimSolid != 0 {
		if b.solid == nil {
			return nil, fmt.Errorf("%w: a solid resource of several pieces", unpack.ErrUnsupported)
		}
		r = b.solid.wimResource
	}
	data, err := w.resource(r)
	if err != nil {
		return nil, err
	}
	if b.flags&wimSolid != 0 {
		if b.from > data.Size() || b.plain > data.Size()-b.from {
			return nil, errWIM
		}
		data = unpack.Window(data, b.from, b.plain)
	}
	if data.Size() != b.plain {
		return nil, errWIM
	}
	return &packedFile{size: b.plain, hash: sha1.New, want: b.hash[:], open: func() (io.Reader, error) { return io.NewSectionReader(data, 0, data.Size()), nil }}, nil
}

// resource gives random access to a resource, whose chunks are packed each for
// itself: their table comes first.
func (w *wim) resource(r wimResource) (unpack.Bytes, error) {
	if r.at > w.in.Data.Size() || r.packed > w.in.Data.Size()-r.at {
		return nil, io.ErrUnexpectedEOF
	}
	switch {
	case r.flags&wimSpanned != 0:
		return nil, fmt.Errorf("%w: a resource over several parts", unpack.ErrUnsupported)
	case r.flags&(wimPacked|wimSolid) == 0:
		if r.packed != r.plain {
			return nil, errWIM
		}
		return unpack.Window(w.in.Data, r.at, r.packed), nil
	}
	c := &wimChunks{w: w, r: r, method: w.method, size: w.chunk, plain: r.plain, entry: 4}
	if c.plain > 1<<32-1 {
		c.entry = 8
	}
	if r.flags&wimSolid != 0 {
		h, err := unpack.ReadFull(w.in.Data, r.at, 16)
		if err != nil || r.packed < 16 {
			return nil, errWIM
		}
		le := binary.LittleEndian
		c.plain, c.size, c.entry, c.sized = int64(le.Uint64(h)), int64(le.Uint32(h[8:])), 4, true
		if c.plain > 1<<32-1 {
			c.entry = 8
		}
		c.method = unpack.NameOf([]string{"stored", "XPRESS", "LZX", "LZMS"}, byte(min(le.Uint32(h[12:]), 255)))
	}
	return c.open()
}

// wimChunks are the chunks of a resource.
type wimChunks struct {
	w      *wim
	r      wimResource
	method string
	size   int64 // of a chunk
	plain  int64 // of all
	entry  int64 // bytes of an entry of the table
	sized  bool  // the table has sizes instead of offsets
	ends   []int64
}

func (c *wimChunks) open() (unpack.Bytes, error) {
	switch {
	case c.method != "XPRESS" && c.method != "LZX" && c.method != "LZMS":
		return nil, fmt.Errorf("%w method %s", unpack.ErrUnsupported, c.method)
	case c.size < 1<<12 || c.size > wimMaxChunk || c.size&(c.size-1) != 0 || c.plain <= 0 || c.plain > 1<<56:
		return nil, errWIM
	case c.plain > max(unpack.RatioFree, c.r.packed*c.w.in.Budget.Limits.Ratio):
		return nil, fmt.Errorf("%w: expands from %d to %d bytes", unpack.ErrLimit, c.r.packed, c.plain)
	}
	n := (c.plain + c.size - 1) / c.size
	entries, at := n, c.r.at
	if c.sized {
		at += 16
	} else {
		entries--
	}
	if n > wimMaxChunks || entries*c.entry > c.r.packed-(at-c.r.at) {
		return nil, errWIM
	}
	table, err := unpack.ReadFull(c.w.in.Data, at, entries*c.entry)
	if err != nil {
		return nil, err
	}
	start, end := at+entries*c.entry, c.r.at+c.r.packed
	c.ends = append(make([]int64, 0, n+1), start)
	for i := range entries {
		v := int64(0)
		if c.entry == 4 {
			v = int64(binary.LittleEndian.Uint32(table[4*i:]))
		} else {
			v = int64(binary.LittleEndian.Uint64(table[8*i:]) & (1<<56 - 1))
		}
		from := start
		if c.sized {
			from = c.ends[i]
		}
		if v < 0 || from+v > end || from+v < c.ends[i] {
			return nil, errWIM
		}
		c.ends = append(c.ends, from+v)
	}
	if !c.sized {
		c.ends = append(c.ends, end)
	}
	return unpack.Mapped([]unpack.Extent{{Offset: 0, Size: c.plain}}, c.plain, c.read), nil
}

func (c *wimChunks) read(_ unpack.Extent, p []byte, at int64) (n int, err error) {
	for n < len(p) {
		i, off := (at+int64(n))/c.size, (at+int64(n))%c.size
		b, err := c.w.cache.Get(c.ends[i], func(int64) ([]byte, int64, error) {
			data, err := c.decode(i)
			return data, 0, err
		}, nil)
		if err != nil {
			return n, err
		}
		if off >= int64(len(b.Data)) {
			return n, io.ErrUnexpectedEOF
		}
		n += copy(p[n:], b.Data[off:])
	}
	return n, nil
}

// decode decodes a chunk; one that does not get smaller is stored.
func (c *wimChunks) decode(i int64) ([]byte, error) {
	if err := c.w.in.Context.Err(); err != nil {
		return nil, err
	}
	plain := min(c.size, c.plain-i*c.size)
	src, err := unpack.ReadFull(c.w.in.Data, c.ends[i], c.ends[i+1]-c.ends[i])
	switch {
	case err != nil:
		return nil, err
	case int64(len(src)) == plain:
		return src, nil
	case int64(len(src)) > plain:
		return nil, errWIM
	}
	dst := make([]byte, plain)
	switch c.method {
	case "XPRESS":
		_, err = xpress.Decode(dst, src)
	case "LZMS":
		_, err = lzms.Decode(dst, src)
	default:
		_, err = lzx.DecodeWIM(dst, src, bits.Len64(uint64(c.size))-1)
	}
	return dst, err
}
