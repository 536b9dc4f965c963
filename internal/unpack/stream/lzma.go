package stream

import (
	"encoding/binary"
	"math/bits"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/lzma"
)

// LZMA opens .lzma files ("lzma-alone"), the usual packing of router kernels.
var LZMA = &unpack.Reader{
	Name:    "lzma",
	Checked: "xz --format=lzma",
	Doc:     "LZMA streams with the 13-byte header of lzma-alone, with or without an end mark.",
	Magics:  lzmaMagics(),
	Carve:   true,
	Open:    openLZMA,
}

// lzmaMagics are the parameters that packers use (lc, lp and pb in one byte)
// with a dictionary of a multiple of 64 KiB.
func lzmaMagics() []unpack.Magic {
	var list []unpack.Magic
	for _, props := range []byte{0x5d, 0x6d, 0x5e, 0x66, 0x51, 0x64, 0x65} {
		list = append(list, unpack.Magic{At: 0, Bytes: string([]byte{props, 0, 0})})
	}
	return list
}

const (
	lzmaCarvedMin = 512 // packed bytes of a carved stream, less may be chance
)

type lzmaHead struct {
	props byte
	dict  uint32
	size  int64 // -1 if there is an end mark instead
}

func parseLZMAHeader(b unpack.Bytes) (h lzmaHead, ok bool) {
	p, err := unpack.ReadFull(b, 0, unpack.LZMAHeaderSize+5)
	if err != nil {
		return h, false
	}
	h = lzmaHead{p[0], binary.LittleEndian.Uint32(p[1:]), int64(binary.LittleEndian.Uint64(p[5:]))}
	// Packers only write 2^n and 2^n + 2^(n-1) (the xz tools refuse others).
	top := h.dict
	if n := bits.OnesCount32(top); n == 2 {
		top &= top << 1
	}
	if h.props >= 225 || bits.OnesCount32(top) != 1 || h.dict < 4096 || p[unpack.LZMAHeaderSize] != 0 {
		return h, false
	}
	return h, h.size >= -1 && h.size < 1<<38
}

func openLZMA(in *unpack.Input) (*unpack.Object, error) {
	h, ok := parseLZMAHeader(in.Data)
	if !ok {
		return nil, unpack.ErrNotThis
	}
	if !in.Whole && (h.size == 0 || unpack.OnlyByte(unpack.ReadSome(in.Data, unpack.LZMAHeaderSize, 64), 0)) {
		return nil, unpack.ErrNotThis
	}
	packed, err := unpack.ReadAll(unpack.Window(in.Data, unpack.LZMAHeaderSize, in.Data.Size()), in.Budget.Limits.Memory)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	var s lzma.Stream
	if s.Reset(h.props, packed) != nil {
		return nil, unpack.ErrNotThis
	}
	out, err := decodeLZMA(in, &s, h, int64(len(packed)))
	used := int64(s.Used())
	if !in.Whole && (used < lzmaCarvedMin || err != nil && unpack.OnlyByte(out, 0)) {
		in.Budget.Release(out)
		return nil, unpack.ErrNotThis
	}
	return unpack.StreamObject(in, "lzma", out, min(unpack.LZMAHeaderSize+used, in.Data.Size()), false, err, nil)
}

// decodeLZMA decodes into room that grows with what really comes.
func decodeLZMA(in *unpack.Input, s *lzma.Stream, h lzmaHead, packed int64) (unpack.Slice, error) {
	var out []byte
	for {
		grown, err := in.Budget.Grow(out)
		if err != nil {
			return out, err
		}
		room := grown[:cap(grown)]
		end := len(room)
		if h.size >= 0 {
			end = int(min(int64(end), h.size))
		}
		at, marker, err := s.Decode(room, len(out), end)
		out = room[:at]
		if err == nil {
			err = checkRatio(in.Budget, int64(at), packed)
		}
		switch {
		case err != nil:
			return out, err
		case marker && h.size >= 0 && int64(at) != h.size:
			return out, unpack.ErrLZMAEnd
		case marker:
			return out, in.Budget.AddBytes(int64(at))
		case int64(at) == h.size:
			if !s.Finish(at) {
				return out, unpack.ErrLZMAEnd
			}
			return out, in.Budget.AddBytes(int64(at))
		}
		if err := in.Context.Err(); err != nil {
			return out, err
		}
	}
}
