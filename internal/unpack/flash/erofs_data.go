package flash

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/lzma"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// readPiece fills p from an offset of a piece that is length bytes.
func (f *erofsFile) readPiece(p []byte, x *erofsExtent, in, length int64) error {
	if length > erofsMaxOut {
		return fmt.Errorf("it unpacks to %d bytes", length)
	}
	if x.method == erofsStored {
		return f.readStored(p, x, in, length)
	}
	unpackPiece := func(int64) ([]byte, int64, error) {
		dst := make([]byte, length)
		return dst, 0, f.unpack(dst, x)
	}
	// One place may be unpacked to different lengths: pieces that share it.
	if x.at >= 1<<40 {
		data, _, err := unpackPiece(0)
		if err == nil {
			copy(p, data[in:])
		}
		return err
	}
	key := x.at<<22 ^ length
	b, err := f.e.blocks.Get(key, unpackPiece, nil)
	if err != nil {
		return err
	}
	if int64(len(b.Data)) != length {
		return errors.New("another piece is in its place")
	}
	copy(p, b.Data[in:])
	return nil
}

// readStored reads what is not packed. In the interlaced form each byte stands
// at its offset in the block, as far as the block goes, and then at its start.
func (f *erofsFile) readStored(p []byte, x *erofsExtent, in, length int64) error {
	if length > int64(x.packed) {
		return fmt.Errorf("%d bytes in a stored cluster of %d", length, x.packed)
	}
	src, err := f.e.read(x.at, int64(x.packed))
	if err != nil {
		return err
	}
	if f.advise&erofsInterlaced == 0 || x.exact {
		copy(p, src[in:])
		return nil
	}
	block := int64(1) << f.e.super.BlockBits
	if int64(len(src)) != block {
		return fmt.Errorf("an interlaced cluster of %d bytes: %w", len(src), unpack.ErrUnsupported)
	}
	n := copy(p, src[(x.start+in)%block:])
	copy(p[n:], src)
	return nil
}

// unpack decodes a piece, which must fill dst.
func (f *erofsFile) unpack(dst []byte, x *erofsExtent) error {
	src, err := f.e.read(x.at, int64(x.packed))
	if err != nil {
		return err
	}
	padded := f.e.super.Incompat&erofsZeroPadding != 0
	if padded || x.method != 0 {
		// Packed data end where their blocks end; zeros stand before them.
		src = bytes.TrimLeft(src, "\x00")
	}
	if len(src) == 0 {
		return io.ErrUnexpectedEOF
	}
	part := x.part
	switch x.method {
	case 0:
		used, err := lz4Fill(dst, src)
		if err == nil && padded && !part && used != len(src) {
			err = errors.New("lz4: packed data are left over")
		}
		return err
	case 1:
		// MicroLZMA: the first byte, which is always zero, is the inverse of the
		// parameters.
		raw := append([]byte{0}, src[1:]...)
		if part {
			return lzmaFill(^src[0], dst, raw)
		}
		n, err := unpack.DecompressLZMA(^src[0], raw, dst)
		return filled(n, dst, err)
	case 2:
		if part {
			_, err := io.ReadFull(flate.NewReader(bytes.NewReader(src)), dst)
			return noEOFOrNil(err)
		}
		n, err := unpack.Decompress("deflate", src, dst)
		return filled(n, dst, err)
	}
	if part {
		d, err := zstd.NewReader(bytes.NewReader(src), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			return err
		}
		defer d.Close()
		_, err = io.ReadFull(d, dst)
		return noEOFOrNil(err)
	}
	n, err := unpack.Decompress("zstd", src, dst)
	return filled(n, dst, err)
}

func filled(n int, dst []byte, err error) error {
	if err == nil && n != len(dst) {
		err = fmt.Errorf("%d unpacked bytes instead of %d", n, len(dst))
	}
	return err
}

func noEOFOrNil(err error) error {
	if err == nil {
		return nil
	}
	return noEOF(err)
}

// lzmaFill decodes the start of raw LZMA, which fills dst.
func lzmaFill(props byte, dst, src []byte) error {
	var s lzma.Stream
	if err := s.Reset(props, src); err != nil {
		return err
	}
	n, _, err := s.Decode(dst, 0, len(dst))
	return filled(n, dst, err)
}

var errLZ4 = errors.New("lz4: damaged packed data")

// lz4Fill decodes a block of LZ4 until dst is full, and says how many bytes of
// src that took. Blocks may hold more than is wanted, and padding behind it,
// which other decoders refuse.
func lz4Fill(dst, src []byte) (used int, err error) {
	at, pos := 0, 0
	length := func(n int) int {
		if n == 15 {
			for pos < len(src) {
				c := src[pos]
				pos++
				if n += int(c); c != 255 {
					break
				}
			}
		}
		return n
	}
	for pos < len(src) {
		token := src[pos]
		pos++
		literals := length(int(token >> 4))
		if literals > len(src)-pos {
			return pos, errLZ4
		}
		n := copy(dst[at:], src[pos:pos+literals])
		at, pos = at+n, pos+n
		if at == len(dst) {
			return pos, nil
		}
		if pos+2 > len(src) {
			return pos, errLZ4
		}
		distance := int(src[pos]) | int(src[pos+1])<<8
		pos += 2
		match := length(int(token&15)) + 4
		if distance == 0 || distance > at {
			return pos, errLZ4
		}
		for range min(match, len(dst)-at) {
			dst[at] = dst[at-distance]
			at++
		}
		if at == len(dst) && match > 0 {
			return pos, nil
		}
	}
	return pos, errLZ4
}
