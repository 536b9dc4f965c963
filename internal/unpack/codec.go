package unpack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/doorward/doorward/internal/unpack/lzma"
	"github.com/doorward/doorward/internal/unpack/lzo"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// ErrLZMAEnd says that LZMA data end elsewhere than their header says.
var ErrLZMAEnd = errors.New("lzma: the packed data do not end where the header says")

// LZMAHeaderSize is the size of the header of lzma-alone.
const LZMAHeaderSize = 13

// ErrTooMuch says that a block holds more than its place in a file system allows.
var ErrTooMuch = errors.New("more unpacked bytes than expected")

// Decompress unpacks one block, as file systems store them, into dst and
// returns how many bytes it has. Fewer than len(dst) are no error; more are.
// Bytes of src behind the block (alignment) are ignored, but not by lz4 and
// zstd, whose blocks must be cut exactly. It is safe for concurrent use.
//
// Methods: zlib, deflate (without a header), lzma (with the 13-byte header of
// lzma-alone; LZMAHeader makes one), xz, lzo, lz4 (a block, not a frame), zstd.
func Decompress(method string, src, dst []byte) (n int, err error) {
	switch method {
	case "zlib":
		n, err = inflateBlock(&zlibPool, src, dst)
	case "deflate":
		n, err = inflateBlock(&flatePool, src, dst)
	case "lzma":
		n, err = lzmaBlock(src, dst)
	case "xz":
		n, err = lzma.DecodeXZ(dst, src)
	case "lzo":
		n, _, err = lzo.Decode(dst, src)
	case "lz4":
		n, err = lz4.UncompressBlock(src, dst)
	case "zstd":
		n, err = ZstdBlock(src, dst)
	default:
		return 0, fmt.Errorf("compression method %q: %w", method, ErrUnsupported)
	}
	if err != nil {
		return max(n, 0), fmt.Errorf("%s block: %w", method, err)
	}
	return n, nil
}

// LZMAHeader is the header of lzma-alone for raw LZMA data: its parameters
// (lc, lp, pb packed in one byte), the dictionary's size, and the unpacked size
// (-1 if the data have an end mark).
func LZMAHeader(props byte, dict uint32, size int64) []byte {
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
		return n, ErrTooMuch
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

var lzmaPool = sync.Pool{New: func() any { return new(lzma.Stream) }}

func lzmaBlock(src, dst []byte) (int, error) {
	if len(src) < LZMAHeaderSize {
		return 0, io.ErrUnexpectedEOF
	}
	size := int64(binary.LittleEndian.Uint64(src[5:]))
	if size > int64(len(dst)) {
		return 0, ErrTooMuch
	}
	s := lzmaPool.Get().(*lzma.Stream)
	defer lzmaPool.Put(s)
	if err := s.Reset(src[0], src[LZMAHeaderSize:]); err != nil {
		return 0, err
	}
	end := len(dst)
	if size >= 0 {
		end = int(size)
	}
	n, marker, err := s.Decode(dst, 0, end)
	switch {
	case err == nil && marker && n < int(size):
		err = ErrLZMAEnd
	case err == nil && !marker && size < 0 && !s.Finish(n):
		err = ErrTooMuch // the room is full, and the mark does not follow
	}
	return n, err
}

// DecompressLZMA unpacks raw LZMA without a header into dst: up to the end
// mark, to the end of src, or to that of dst. It fails if the data don't end as
// an encoder leaves them, which is nearly a checksum.
func DecompressLZMA(props byte, src, dst []byte) (n int, err error) {
	s := lzmaPool.Get().(*lzma.Stream)
	defer lzmaPool.Put(s)
	if err := s.Reset(props, src); err != nil {
		return 0, err
	}
	n, marker, err := s.Decode(dst, 0, len(dst))
	switch {
	case err == nil && !marker && !s.Finish(n):
		return n, ErrTooMuch
	case errors.Is(err, lzma.ErrInput) && n > 0:
		// The size is not known, and no mark tells it: once more, up to here.
		if s.Reset(props, src) == nil {
			if _, _, again := s.Decode(dst, 0, n); again == nil && s.Spent() {
				return n, nil
			}
		}
	}
	return n, err
}

// zstdDecoder serves all goroutines: DecodeAll has no state of its own. It
// writes no further than the room that it is given.
var zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(2<<30))
	if err != nil {
		panic(err) // the options are constant
	}
	return d
})

func ZstdBlock(src, dst []byte) (int, error) {
	out, err := zstdDecoder().DecodeAll(src, dst[:0:len(dst)])
	return min(len(out), len(dst)), err
}

// ZstdFrame cuts what follows a frame of zstd: the rest of the sector.
func ZstdFrame(src []byte) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		return nil, err
	}
	for at := h.HeaderSize; at+3 <= len(src); {
		v := int(src[at]) | int(src[at+1])<<8 | int(src[at+2])<<16
		n := v >> 3
		if v>>1&3 == 1 {
			n = 1 // one byte, repeated
		}
		if at += 3 + n; v&1 != 0 {
			if h.HasCheckSum {
				at += 4
			}
			if at <= len(src) {
				return src[:at], nil
			}
		}
	}
	return nil, io.ErrUnexpectedEOF
}
