package archive

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/lzma"
)

// Pbzx opens the stream that Apple's packages keep their files in.
var Pbzx = &unpack.Reader{
	Name:    "pbzx",
	Doc:     "Apple's stream of chunks, each an xz stream or stored, as the Payload of installer packages has it.",
	Checked: "hand-made streams of xz 5.4's output",
	Magics:  []unpack.Magic{{At: 0, Bytes: pbzxMagic}},
	Carve:   true,
	Open:    openPbzx,
}

const (
	pbzxMagic    = "pbzx"
	pbzxMaxChunk = 64 << 20
)

func openPbzx(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 28)
	if err != nil || string(h[:4]) != pbzxMagic {
		return nil, unpack.ErrNotThis
	}
	chunk := binary.BigEndian.Uint64(h[4:])
	if first := binary.BigEndian.Uint64(h[12:]); chunk == 0 || chunk > pbzxMaxChunk || first == 0 || first > chunk {
		return nil, unpack.ErrNotThis
	}
	r := &pbzx{in: in, chunk: int64(chunk), at: 12}
	out, err := in.Budget.Decode(r, in.Data.Size())
	return unpack.StreamObject(in, "pbzx", out, min(r.at, in.Data.Size()), false, err, nil)
}

// pbzx reads chunk after chunk: the plain size, the packed size, and the data.
type pbzx struct {
	in    *unpack.Input
	chunk int64
	at    int64
	plain []byte
	last  bool
}

func (r *pbzx) Read(p []byte) (int, error) {
	for len(r.plain) == 0 {
		if r.last {
			return 0, io.EOF
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

func (r *pbzx) next() error {
	if err := r.in.Context.Err(); err != nil {
		return err
	}
	h, err := unpack.ReadFull(r.in.Data, r.at, 16)
	if err != nil {
		return err
	}
	plain, packed := int64(binary.BigEndian.Uint64(h)), int64(binary.BigEndian.Uint64(h[8:]))
	if plain <= 0 || plain > r.chunk || packed <= 0 || packed > r.chunk+1<<16 {
		return errDamaged
	}
	src, err := unpack.ReadFull(r.in.Data, r.at+16, packed)
	if err != nil {
		return err
	}
	r.at += 16 + packed
	// The last chunk is the one that is not full: full ones may be the last
	// too, then the file ends.
	r.last = plain < r.chunk || r.at == r.in.Data.Size()
	if !bytes.HasPrefix(src, []byte("\xfd7zXZ\x00")) {
		if packed != plain {
			return errDamaged
		}
		r.plain = src
		return nil
	}
	dst := make([]byte, plain)
	n, err := lzma.DecodeXZ(dst, src)
	if err == nil && int64(n) < plain {
		err = errShort
	}
	r.plain = dst[:n]
	return err
}
