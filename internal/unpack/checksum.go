package unpack

import (
	"errors"
	"hash/crc32"
	"io"
)

// ErrChecksum says that content does not match its checksum.
var ErrChecksum = errors.New("wrong checksum")

// SumCRC32 continues a CRC-32 (IEEE, the one of zlib) over n bytes of b from
// off on.
func SumCRC32(sum uint32, b Bytes, off, n int64) (uint32, error) {
	err := Chunks(b, off, n, func(p []byte) { sum = crc32.Update(sum, crc32.IEEETable, p) })
	return sum, err
}

// Chunks calls f for n bytes of b from off on, piece by piece.
func Chunks(b Bytes, off, n int64, f func(p []byte)) error {
	if off < 0 || n < 0 || off > b.Size() || n > b.Size()-off {
		return io.ErrUnexpectedEOF
	}
	if s, ok := b.(Slice); ok {
		f(s[off : off+n])
		return nil
	}
	buf := make([]byte, min(n, 64<<10))
	for n > 0 {
		p := buf[:min(n, int64(len(buf)))]
		got, err := b.ReadAt(p, off)
		if got < len(p) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		f(p)
		off, n = off+int64(got), n-int64(got)
	}
	return nil
}
