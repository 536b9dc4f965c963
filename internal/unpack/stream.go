package unpack

import (
	"bufio"
	"bytes"
	"io"
)

// SourceOf reads b from its start for a decoder that must not read ahead: the
// reader is an io.ByteReader, and used says how many bytes were taken.
func SourceOf(b Bytes) (r io.Reader, used func() int64) {
	if s, ok := b.(Slice); ok {
		r := bytes.NewReader(s)
		return r, func() int64 { return r.Size() - int64(r.Len()) }
	}
	sec := io.NewSectionReader(b, 0, b.Size())
	buf := bufio.NewReaderSize(sec, 64<<10)
	return buf, func() int64 {
		at, _ := sec.Seek(0, io.SeekCurrent)
		return at - int64(buf.Buffered())
	}
}

// carvedMin is how much a damaged stream without a checked header must have
// given before it is believed at a place where only its magic was found: noise
// that gets that far is rare.
const CarvedMin = 32 << 10

// StreamObject is the object of a compressed stream: one part without a name.
// A damaged one is refused if nearly nothing came out of it; sure says that the
// header alone proves the format.
func StreamObject(in *Input, format string, out Slice, size int64, sure bool, err error, info map[string]string) (*Object, error) {
	if err != nil && !sure && (len(out) == 0 || !in.Whole && len(out) < CarvedMin) {
		in.Budget.Release(out)
		return nil, ErrNotThis
	}
	part := Part{Data: out, Offset: -1, Info: info}
	return &Object{Format: format, Size: size, Info: info, Parts: []Part{part}, Err: err}, nil
}
