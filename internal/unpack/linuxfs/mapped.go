package linuxfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/doorward/doorward/internal/unpack"
)

var (
	le = binary.LittleEndian
	be = binary.BigEndian
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// piece is a stretch of a file: size bytes from an offset on, which lie in
// data at from. A hole has no data.
type piece struct {
	data unpack.Bytes
	from int64
	size int64
}

// mapped is the content of a file whose pieces are looked up when it is read.
type mapped struct {
	name string // for errors
	size int64
	find func(off int64) (piece, error)
}

// Size implements unpack.Bytes.
func (m *mapped) Size() int64 { return m.size }

// ReadAt implements unpack.Bytes.
func (m *mapped) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= m.size {
		return 0, io.EOF
	}
	if int64(len(p)) > m.size-off {
		p, err = p[:m.size-off], io.EOF
	}
	for n < len(p) {
		got, bad := m.readPiece(p[n:], off+int64(n))
		if n += got; bad != nil {
			return n, fmt.Errorf("%s: %w", m.name, bad)
		}
	}
	return n, err
}

func (m *mapped) readPiece(p []byte, off int64) (int, error) {
	piece, err := m.find(off)
	if err != nil {
		return 0, err
	}
	if piece.size <= 0 {
		return 0, errors.New("a piece without content")
	}
	p = p[:min(int64(len(p)), piece.size)]
	if piece.data == nil {
		clear(p)
		return len(p), nil
	}
	n, err := piece.data.ReadAt(p, piece.from)
	switch {
	case n == len(p):
		err = nil
	case err == nil || errors.Is(err, io.EOF):
		err = fmt.Errorf("%d bytes at 0x%x: %w", len(p), piece.from, io.ErrUnexpectedEOF)
	}
	return n, err
}

func uuidString(b []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
