package archive

import (
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"sync"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/deflate64"
	"github.com/doorward/doorward/internal/unpack/lzma"
	"github.com/klauspost/compress/flate"
)

// zipDecoders are the compression methods (APPNOTE 4.4.5), besides 0, stored.
var zipDecoders = map[uint16]func(packed unpack.Bytes, size int64) (io.Reader, error){
	8: func(packed unpack.Bytes, _ int64) (io.Reader, error) {
		r, _ := unpack.SourceOf(packed)
		return flate.NewReader(r), nil
	},
	9: zipWhole(func(src, dst []byte) (int, error) {
		n, _, err := deflate64.Decode(dst, src)
		return n, err
	}),
	12: func(packed unpack.Bytes, _ int64) (io.Reader, error) {
		r, _ := unpack.SourceOf(packed)
		return bzip2.NewReader(r), nil
	},
	14: zipLZMA,
	93: zipWhole(unpack.ZstdBlock),
	95: zipWhole(func(src, dst []byte) (int, error) { return lzma.DecodeXZ(dst, src) }),
}

func zipDecoderStored(packed unpack.Bytes, _ int64) (io.Reader, error) {
	return io.NewSectionReader(packed, 0, packed.Size()), nil
}

// zipWholeMax bounds members whose method is decoded at once.
const zipWholeMax = 256 << 20

// zipWhole decodes at once what only decodes from memory to memory.
func zipWhole(decode func(src, dst []byte) (int, error)) func(unpack.Bytes, int64) (io.Reader, error) {
	return func(packed unpack.Bytes, size int64) (io.Reader, error) {
		if size > zipWholeMax {
			return nil, fmt.Errorf("%w: a member of %d bytes", unpack.ErrLimit, size)
		}
		src, err := unpack.ReadAll(packed, zipWholeMax)
		if err != nil {
			return nil, err
		}
		dst := make([]byte, size)
		n, err := decode(src, dst)
		if err != nil {
			return nil, err
		}
		return bytes.NewReader(dst[:n]), nil
	}
}

// zipLZMA decodes raw LZMA behind a header of its own: version, length of the
// parameters, parameters.
func zipLZMA(packed unpack.Bytes, size int64) (io.Reader, error) {
	return zipWhole(func(src, dst []byte) (int, error) {
		if len(src) < 9 || binary.LittleEndian.Uint16(src[2:]) != 5 {
			return 0, lzma.ErrProps
		}
		var s lzma.Stream
		if err := s.Reset(src[4], src[9:]); err != nil {
			return 0, err
		}
		n, _, err := s.Decode(dst, 0, len(dst))
		return n, err
	})(packed, size)
}

// content is the member's unpacked content.
func (m *zipMember) content(packed unpack.Bytes) unpack.Bytes {
	decode := zipDecoders[m.method]
	if m.method == 0 {
		decode = zipDecoderStored
	}
	f := &packedFile{size: m.unpacked, hash: newCRC32, want: bigEndian32(m.crc), open: func() (io.Reader, error) { return decode(packed, m.unpacked) }}
	if m.noSum {
		f.hash = nil
	}
	return f
}

// packedFile is a file in a stream that can be decoded from its start only. It
// keeps its place, so that reading from front to back decodes once, and checks
// the content's digest, if there is one, when it has read all of it in a row.
type packedFile struct {
	size int64
	hash func() hash.Hash
	want []byte
	open func() (io.Reader, error)

	mu  sync.Mutex
	r   io.Reader
	at  int64
	sum hash.Hash
}

func newCRC32() hash.Hash { return crc32.NewIEEE() }

func bigEndian32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// Size implements Bytes.
func (f *packedFile) Size() int64 { return f.size }

// ReadAt implements Bytes.
func (f *packedFile) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= f.size {
		return 0, io.EOF
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.r == nil || f.at > off {
		f.at, f.sum = 0, nil
		if f.hash != nil {
			f.sum = f.hash()
		}
		if f.r, err = f.open(); err != nil {
			f.r = nil
			return 0, err
		}
	}
	if err := f.skip(off - f.at); err != nil {
		return 0, f.fail(err)
	}
	want := p[:min(int64(len(p)), f.size-off)]
	n, err = f.read(want)
	if err == nil && f.at == f.size {
		err = f.end()
	}
	if err != nil {
		return n, f.fail(err)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *packedFile) read(p []byte) (int, error) {
	n, err := io.ReadFull(f.r, p)
	if f.sum != nil {
		f.sum.Write(p[:n])
	}
	f.at += int64(n)
	if err == io.EOF && len(p) > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (f *packedFile) skip(n int64) error {
	var buf []byte
	for n > 0 {
		if buf == nil {
			buf = make([]byte, min(n, 32<<10))
		}
		got, err := f.read(buf[:min(n, int64(len(buf)))])
		if err != nil {
			return err
		}
		n -= int64(got)
	}
	return nil
}

// end checks what was read when all of it was.
func (f *packedFile) end() error {
	var one [1]byte
	n, err := io.ReadFull(f.r, one[:])
	f.r = nil
	switch {
	case n > 0:
		return unpack.ErrTooMuch
	case err != io.EOF:
		return err
	case f.sum != nil && !bytes.Equal(f.sum.Sum(nil), f.want):
		return unpack.ErrChecksum
	}
	return nil
}

func (f *packedFile) fail(err error) error {
	f.r = nil
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
