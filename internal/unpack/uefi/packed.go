package uefi

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/lzma"
)

var errSize = errors.New("the unpacked size differs from what is stated")

const lzmaHeader = 13

// unpackLZMA decodes a section with the header of lzma-alone; some makers put
// four bytes before it. x86 undoes the branch filter.
func unpackLZMA(in *unpack.Input, b unpack.Bytes, x86 bool) (unpack.Slice, error) {
	src, err := unpack.ReadAll(b, in.Budget.Limits.Memory)
	if err != nil {
		return nil, err
	}
	out, err := lzmaAt(in, src)
	if err != nil && !errors.Is(err, unpack.ErrLimit) && len(src) > 4+lzmaHeader && plausibleLZMA(src[4:]) {
		out, err = lzmaAt(in, src[4:])
	}
	if err == nil && x86 {
		lzma.UndoX86(out)
	}
	return out, err
}

func plausibleLZMA(b []byte) bool {
	return len(b) > lzmaHeader && b[0] < 225 && le64(b[5:]) < 1<<32
}

func lzmaAt(in *unpack.Input, src []byte) (unpack.Slice, error) {
	if !plausibleLZMA(src) {
		return nil, errors.New("lzma: no header")
	}
	size := int64(le64(src[5:]))
	out, err := in.Budget.Room(size, int64(len(src)))
	if err != nil {
		return nil, err
	}
	n, err := unpack.Decompress("lzma", src, out)
	if err == nil && int64(n) != size {
		err = errSize
	}
	if err != nil {
		in.Budget.Release(out)
		return nil, err
	}
	return out, nil
}

// unpackBrotli decodes a section of EDK II's brotli: the unpacked size and that
// of a scratch buffer, eight bytes each, stand before the stream.
func unpackBrotli(in *unpack.Input, b unpack.Bytes) (unpack.Slice, error) {
	h, err := unpack.ReadFull(b, 0, 16)
	if err != nil {
		return nil, err
	}
	return decodeAll(in, brotli.NewReader(section16(b)), b.Size()-16, int64(min(le64(h), 1<<62)))
}

func section16(b unpack.Bytes) io.Reader { return io.NewSectionReader(b, 16, b.Size()-16) }

// decodeAll reads a stream, which must have the size that is stated (-1: any).
func decodeAll(in *unpack.Input, r io.Reader, packed, size int64) (unpack.Slice, error) {
	if size >= 0 {
		r = io.LimitReader(r, size+1)
	}
	out, err := in.Budget.Decode(r, packed)
	if err == nil && size >= 0 && out.Size() != size {
		err = errSize
	}
	if err != nil {
		in.Budget.Release(out)
		return nil, err
	}
	return out, nil
}

func unpackGzip(in *unpack.Input, b unpack.Bytes) (unpack.Slice, error) {
	r, err := gzip.NewReader(io.NewSectionReader(b, 0, b.Size()))
	if err != nil {
		return nil, err
	}
	r.Multistream(false)
	return decodeAll(in, r, b.Size(), -1)
}

// unpackZlibAMD decodes a zlib stream behind a header of 256 bytes, whose word
// at 0x14 is the packed size.
func unpackZlibAMD(in *unpack.Input, b unpack.Bytes) (unpack.Slice, error) {
	const head = 0x100
	h, err := unpack.ReadFull(b, 0, head)
	if err != nil {
		return nil, err
	}
	packed := int64(le32(h[0x14:]))
	if packed > b.Size()-head {
		return nil, fmt.Errorf("zlib: %w", io.ErrUnexpectedEOF)
	}
	src, err := unpack.ReadFull(b, head, packed)
	if err != nil {
		return nil, err
	}
	return inflate(in, src)
}

// inflate decodes a zlib stream of unknown size.
func inflate(in *unpack.Input, src []byte) (unpack.Slice, error) {
	r, err := newZlib(bytes.NewReader(src))
	if err != nil {
		return nil, err
	}
	return decodeAll(in, r, int64(len(src)), -1)
}

func newZlib(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }
