package stream

import (
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/doorward/doorward/internal/unpack"
)

// Bzip2 opens bzip2 streams, of one or several members.
var Bzip2 = &unpack.Reader{
	Name:    "bzip2",
	Checked: "bzip2",
	Doc:     "bzip2 streams, of one or several members.",
	Magics:  bzip2Magics(),
	Carve:   true,
	Open:    openBzip2,
}

// bzip2Magics are the headers of all levels with the first block's mark, or
// with the end mark of empty content.
func bzip2Magics() []unpack.Magic {
	var list []unpack.Magic
	for level := '1'; level <= '9'; level++ {
		head := "BZh" + string(level)
		list = append(list, unpack.Magic{At: 0, Bytes: head + "1AY&SY"}, unpack.Magic{At: 0, Bytes: head + "\x17rE8P\x90"})
	}
	return list
}

func openBzip2(in *unpack.Input) (*unpack.Object, error) {
	r, used := unpack.SourceOf(in.Data)
	src := &endless{ByteReader: r.(io.ByteReader), used: used}
	out, err := in.Budget.Decode(&bunzip{src: src, r: bzip2.NewReader(src)}, in.Data.Size())
	return unpack.StreamObject(in, "bzip2", out, min(src.end(), in.Data.Size()), false, err, nil)
}

// endless gives zeros behind its input. The decoder looks for another member
// behind each; with zeros there it always ends by failing to find one, and how
// far it got before that tells where the last member ends.
type endless struct {
	io.ByteReader
	used  func() int64
	extra int64 // zeros given
	back  int64 // bytes that were read of what is not a member
}

// Read is there for bzip2.NewReader's signature; it calls ReadByte alone.
func (e *endless) Read([]byte) (int, error) { return 0, io.ErrNoProgress }

func (e *endless) ReadByte() (byte, error) {
	c, err := e.ByteReader.ReadByte()
	if err == io.EOF && e.extra < 1<<16 {
		e.extra++
		return 0, nil
	}
	return c, err
}

func (e *endless) end() int64 { return e.used() + e.extra - e.back }

type bunzip struct {
	src *endless
	r   io.Reader
}

// notMember are the decoder's errors for what follows a whole member, with the
// number of bytes that it has read by then.
var notMember = map[bzip2.StructuralError]int64{
	"bad magic value in continuation file": 2,
	"non-Huffman entropy encoding":         3,
	"invalid compression level":            4,
}

func (b *bunzip) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err == nil {
		return n, nil
	}
	var s bzip2.StructuralError
	if errors.As(err, &s) && notMember[s] > 0 {
		b.src.back = notMember[s]
		return n, io.EOF
	}
	if b.src.extra > 0 {
		return n, fmt.Errorf("bzip2: %w", io.ErrUnexpectedEOF)
	}
	return n, err
}
