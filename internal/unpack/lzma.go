package unpack

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/doorward/doorward/internal/unpack/lzma"
)

// LZMA opens .lzma files ("lzma-alone"), the usual packing of router kernels.
var LZMA = &Reader{
	Name:   "lzma",
	Doc:    "LZMA streams with the 13-byte header of lzma-alone, with or without an end mark.",
	Magics: lzmaMagics(),
	Carve:  true,
	Open:   openLZMA,
}

// lzmaMagics are the parameters that packers use (lc, lp and pb in one byte)
// with a dictionary of a multiple of 64 KiB.
func lzmaMagics() []Magic {
	var list []Magic
	for _, props := range []byte{0x5d, 0x6d, 0x5e, 0x66, 0x51, 0x64, 0x65} {
		list = append(list, Magic{0, string([]byte{props, 0, 0})})
	}
	return list
}

const (
	lzmaHeaderSize = 13
	lzmaCarvedMin  = 512 // packed bytes of a carved stream, less may be chance
)

type lzmaHead struct {
	props byte
	dict  uint32
	size  int64 // -1 if there is an end mark instead
}

func parseLZMAHeader(b Bytes) (h lzmaHead, ok bool) {
	p, err := ReadFull(b, 0, lzmaHeaderSize+5)
	if err != nil {
		return h, false
	}
	h = lzmaHead{p[0], binary.LittleEndian.Uint32(p[1:]), int64(binary.LittleEndian.Uint64(p[5:]))}
	// Packers only write 2^n and 2^n + 2^(n-1) (the xz tools refuse others).
	top := h.dict
	if n := bits.OnesCount32(top); n == 2 {
		top &= top << 1
	}
	if h.props >= 225 || bits.OnesCount32(top) != 1 || h.dict < 4096 || p[lzmaHeaderSize] != 0 {
		return h, false
	}
	return h, h.size >= -1 && h.size < 1<<38
}

func openLZMA(in *Input) (*Object, error) {
	h, ok := parseLZMAHeader(in.Data)
	if !ok {
		return nil, ErrNotThis
	}
	if !in.Whole && (h.size == 0 || onlyByte(ReadSome(in.Data, lzmaHeaderSize, 64), 0)) {
		return nil, ErrNotThis
	}
	packed, err := ReadAll(Window(in.Data, lzmaHeaderSize, in.Data.Size()), in.Budget.Limits.Memory)
	if err != nil {
		return nil, ErrNotThis
	}
	var s lzma.Stream
	if s.Reset(h.props, packed) != nil {
		return nil, ErrNotThis
	}
	out, err := decodeLZMA(in, &s, h, int64(len(packed)))
	used := int64(s.Used())
	if !in.Whole && (used < lzmaCarvedMin || err != nil && onlyByte(out, 0)) {
		in.Budget.Release(out)
		return nil, ErrNotThis
	}
	return StreamObject(in, "lzma", out, min(lzmaHeaderSize+used, in.Data.Size()), false, err, nil)
}

var errLZMAEnd = errors.New("lzma: the packed data do not end where the header says")

// decodeLZMA decodes into room that grows with what really comes.
func decodeLZMA(in *Input, s *lzma.Stream, h lzmaHead, packed int64) (Slice, error) {
	var out []byte
	for {
		grown, err := in.Budget.grow(out)
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
			return out, errLZMAEnd
		case marker:
			return out, in.Budget.AddBytes(int64(at))
		case int64(at) == h.size:
			if !s.Finish(at) {
				return out, errLZMAEnd
			}
			return out, in.Budget.AddBytes(int64(at))
		}
		if err := in.Context.Err(); err != nil {
			return out, err
		}
	}
}

func onlyByte(b []byte, v byte) bool {
	for _, c := range b {
		if c != v {
			return false
		}
	}
	return true
}
