package unpack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/doorward/doorward/internal/unpack/lzo"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/therootcompany/xz"
	"github.com/ulikunitz/xz/lzma"
)

var errTooMuch = errors.New("more unpacked bytes than expected")

// decompressBlock unpacks one block, as file systems store them, into dst and
// returns how many bytes it has. Fewer than len(dst) are no error; more are.
// Bytes of src behind the block (alignment) are ignored, but not by lz4 and
// zstd, whose blocks must be cut exactly. It is safe for concurrent use.
//
// Methods: zlib, deflate (without a header), lzma (with the 13-byte header of
// lzma-alone; lzmaHeader makes one), xz, lzo, lz4 (a block, not a frame), zstd.
func decompressBlock(method string, src, dst []byte) (n int, err error) {
	switch method {
	case "zlib":
		n, err = inflateBlock(&zlibPool, src, dst)
	case "deflate":
		n, err = inflateBlock(&flatePool, src, dst)
	case "lzma":
		n, err = lzmaBlock(src, dst)
	case "xz":
		n, err = xzBlock(src, dst)
	case "lzo":
		n, _, err = lzo.Decode(dst, src)
	case "lz4":
		n, err = lz4.UncompressBlock(src, dst)
	case "zstd":
		n, err = zstdBlock(src, dst)
	default:
		return 0, fmt.Errorf("compression method %q: %w", method, ErrUnsupported)
	}
	if err != nil {
		return max(n, 0), fmt.Errorf("%s block: %w", method, err)
	}
	return n, nil
}

// lzmaHeader is the header of lzma-alone for raw LZMA data: its parameters
// (lc, lp, pb packed in one byte), the dictionary's size, and the unpacked size
// (-1 if the data have an end mark).
func lzmaHeader(props byte, dict uint32, size int64) []byte {
	h := binary.LittleEndian.AppendUint32([]byte{props}, dict)
	return binary.LittleEndian.AppendUint64(h, uint64(size))
}

// readBlock fills dst from r and checks that nothing follows, which makes r
// check its own checksums too.
func readBlock(r io.Reader, dst []byte) (int, error) {
	n := 0
	for n < len(dst) {
		m, err := r.Read(dst[n:])
		n += m
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	var one [1]byte
	switch more, err := io.ReadFull(r, one[:]); {
	case more > 0:
		return n, errTooMuch
	case err != io.EOF:
		return n, err
	}
	return n, nil
}

// inflater is a reusable zlib or deflate reader over memory.
type inflater struct {
	in bytes.Reader
	r  io.ReadCloser
}

type inflaterPool struct {
	pool sync.Pool
	make func(io.Reader) (io.ReadCloser, error)
}

var (
	zlibPool  = inflaterPool{make: zlib.NewReader}
	flatePool = inflaterPool{make: func(r io.Reader) (io.ReadCloser, error) { return flate.NewReader(r), nil }}
)

func inflateBlock(p *inflaterPool, src, dst []byte) (n int, err error) {
	f, _ := p.pool.Get().(*inflater)
	if f == nil {
		f = &inflater{}
		f.in.Reset(src)
		if f.r, err = p.make(&f.in); err != nil {
			return 0, err
		}
	} else {
		f.in.Reset(src)
		if err := f.r.(flate.Resetter).Reset(&f.in, nil); err != nil {
			p.pool.Put(f)
			return 0, err
		}
	}
	n, err = readBlock(f.r, dst)
	p.pool.Put(f)
	return n, err
}

func lzmaBlock(src, dst []byte) (int, error) {
	if len(src) < 13 {
		return 0, io.ErrUnexpectedEOF
	}
	// No match reaches further back than the block: a smaller dictionary does.
	head := bytes.Clone(src[:13])
	dict := min(uint32(len(dst)), binary.LittleEndian.Uint32(head[1:]))
	binary.LittleEndian.PutUint32(head[1:], max(dict, lzma.MinDictCap))
	in := io.MultiReader(bytes.NewReader(head), bytes.NewReader(src[13:]))
	r, err := lzma.ReaderConfig{DictCap: max(len(dst), lzma.MinDictCap)}.NewReader(in)
	if err != nil {
		return 0, err
	}
	return readBlock(r, dst)
}

type xzDecoder struct {
	in bytes.Reader
	r  *xz.Reader
}

var xzPool sync.Pool

func xzBlock(src, dst []byte) (n int, err error) {
	d, _ := xzPool.Get().(*xzDecoder)
	if d == nil {
		d = &xzDecoder{}
		d.in.Reset(src)
		if d.r, err = xz.NewReader(&d.in, 0); err != nil {
			return 0, err
		}
	} else {
		d.in.Reset(src)
		if err := d.r.Reset(&d.in); err != nil {
			return 0, err
		}
	}
	d.r.Multistream(false)
	n, err = readBlock(d.r, dst)
	xzPool.Put(d)
	return n, err
}

// zstdDecoder serves all goroutines: DecodeAll has no state of its own. It
// writes no further than the room that it is given.
var zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err) // the options are constant
	}
	return d
})

func zstdBlock(src, dst []byte) (int, error) {
	out, err := zstdDecoder().DecodeAll(src, dst[:0:len(dst)])
	return len(out), err
}
