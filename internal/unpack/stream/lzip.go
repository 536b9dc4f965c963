package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/lzma"
)

// Lzip opens lzip files: members of LZMA with an end mark, behind a header of
// six bytes and before a trailer of CRC-32 and sizes (lzip's manual, "File
// format").
var Lzip = &unpack.Reader{
	Name:    "lzip",
	Doc:     "lzip files of version 1, of one or several members.",
	Checked: "lzip 1.23 with its levels and several members",
	Magics:  []unpack.Magic{{At: 0, Bytes: "LZIP\x01"}},
	Carve:   true,
	Open:    openLzip,
}

const (
	lzipHeader  = 6
	lzipTrailer = 20
	lzipProps   = 0x5d // lc 3, lp 0, pb 2: always
)

var errLzip = errors.New("lzip: the trailer does not match the content")

func openLzip(in *unpack.Input) (*unpack.Object, error) {
	packed, err := unpack.ReadAll(in.Data, in.Budget.Limits.Memory)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	var out unpack.Slice
	at := 0
	for len(packed)-at >= lzipHeader+lzipTrailer && string(packed[at:at+5]) == "LZIP\x01" && err == nil {
		bits := packed[at+5] & 31
		if bits < 12 || bits > 29 {
			break
		}
		var used int
		out, used, err = lzipMember(in, out, packed[at:])
		at += used
	}
	if at == 0 {
		return nil, unpack.ErrNotThis
	}
	return unpack.StreamObject(in, "lzip", out, int64(min(at, len(packed))), false, err, nil)
}

// lzipMember appends a member's content and checks its trailer.
func lzipMember(in *unpack.Input, out unpack.Slice, member []byte) (unpack.Slice, int, error) {
	var s lzma.Stream
	if err := s.Reset(lzipProps, member[lzipHeader:]); err != nil {
		return out, lzipHeader, err
	}
	start := len(out)
	var room []byte
	for at := 0; ; {
		grown, err := in.Budget.Grow(room)
		if err != nil {
			return append(out, room[:at]...), len(member), err
		}
		room = grown[:cap(grown)]
		n, marker, err := s.Decode(room, at, len(room))
		at = n
		if err == nil {
			err = checkRatio(in.Budget, int64(at), int64(len(member)))
		}
		if err == nil {
			err = in.Context.Err()
		}
		if err != nil || marker {
			used := lzipHeader + s.Used()
			if start == 0 {
				out = room[:at]
			} else {
				out = append(out, room[:at]...)
				in.Budget.Release(room)
			}
			if err != nil {
				return out, min(used, len(member)), fmt.Errorf("lzip: %w", err)
			}
			if len(member)-used < lzipTrailer {
				return out, len(member), errLzip
			}
			t := member[used:]
			le := binary.LittleEndian
			used += lzipTrailer
			if le.Uint32(t) != crc32.ChecksumIEEE(out[start:]) || le.Uint64(t[4:]) != uint64(len(out)-start) || le.Uint64(t[12:]) != uint64(used) {
				return out, used, errLzip
			}
			return out, used, in.Budget.AddBytes(int64(len(out) - start))
		}
	}
}
