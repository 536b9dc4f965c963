package stream

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// Zstd opens Zstandard frames (RFC 8878).
var Zstd = &unpack.Reader{
	Name:    "zstd",
	Checked: "zstd",
	Doc:     "Zstandard frames (RFC 8878), one or several, skippable frames between them.",
	Magics:  []unpack.Magic{{At: 0, Bytes: zstdMagic}},
	Carve:   true,
	Open:    openZstd,
}

const (
	zstdMagic    = "\x28\xb5\x2f\xfd"
	zstdBlockMax = 128 << 10
)

func openZstd(in *unpack.Input) (*unpack.Object, error) {
	size, room, scanErr := scanZstd(in.Data)
	if size == 0 {
		return nil, unpack.ErrNotThis
	}
	packed, err := unpack.ReadAll(unpack.Window(in.Data, 0, size), in.Budget.Limits.Memory)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	dst, err := in.Budget.Room(room, size)
	if err == nil {
		var n int
		n, err = unpack.ZstdBlock(packed, dst)
		dst = dst[:n]
	}
	return unpack.StreamObject(in, "zstd", dst, size, scanErr == nil || in.Whole, errors.Join(scanErr, err), nil)
}

// scanZstd walks the frames that follow each other from the start of b. It
// returns where they end and how many bytes they can hold at most. With an
// error, the last frame is cut off.
func scanZstd(b unpack.Bytes) (size, room int64, err error) {
	frames := 0
	for at := int64(0); ; at = size {
		head := unpack.ReadSome(b, at, 8)
		if len(head) < 8 {
			return size, room, nil
		}
		magic := binary.LittleEndian.Uint32(head)
		switch {
		case magic&^15 == 0x184d2a50 && frames > 0:
			end := at + 8 + int64(binary.LittleEndian.Uint32(head[4:]))
			if end > b.Size() || string(unpack.ReadSome(b, end, 4)) != zstdMagic {
				return size, room, nil
			}
			size = end
		case string(head[:4]) == zstdMagic:
			end, most, err := scanZstdFrame(b, at)
			if end == 0 || err != nil && frames > 0 {
				return size, room, nil
			}
			frames++
			size, room = end, room+most
			if err != nil {
				return size, room, err
			}
		default:
			return size, room, nil
		}
	}
}

// scanZstdFrame walks the blocks of one frame. Its end is 0 if the header is
// not one.
func scanZstdFrame(b unpack.Bytes, at int64) (end, room int64, err error) {
	head := unpack.ReadSome(b, at, 18)
	if len(head) < 6 || head[4]&8 != 0 {
		return 0, 0, unpack.ErrNotThis
	}
	flags := head[4]
	single := flags>>5&1 == 1
	p := at + 5
	if !single {
		p++
	}
	p += [4]int64{0, 1, 2, 4}[flags&3]
	sizeAt := p - at
	sizeLen := [4]int64{0, 2, 4, 8}[flags>>6]
	if sizeLen == 0 && single {
		sizeLen = 1
	}
	p += sizeLen
	stated := int64(-1)
	if sizeLen > 0 && int(sizeAt+sizeLen) <= len(head) {
		var v [8]byte
		copy(v[:], head[sizeAt:sizeAt+sizeLen])
		stated = int64(binary.LittleEndian.Uint64(v[:]))
		if sizeLen == 2 {
			stated += 256
		}
		if stated < 0 {
			return 0, 0, unpack.ErrNotThis
		}
	}
	cut := func() (int64, int64, error) {
		if stated <= unpack.RatioFree {
			room = max(room, stated) // the decoder wants room for all
		}
		return b.Size(), room, fmt.Errorf("zstd: a frame is cut off at 0x%x", min(p, b.Size()))
	}
	for last := false; !last; {
		h := unpack.ReadSome(b, p, 3)
		if len(h) < 3 {
			return cut()
		}
		v := int64(h[0]) | int64(h[1])<<8 | int64(h[2])<<16
		last = v&1 == 1
		n := v >> 3
		if n > zstdBlockMax || v>>1&3 == 3 {
			return 0, 0, unpack.ErrNotThis
		}
		p += 3
		switch v >> 1 & 3 {
		case 0:
			p, room = p+n, room+n
		case 1:
			p, room = p+1, room+n
		default:
			p, room = p+n, room+zstdBlockMax
		}
		if p > b.Size() {
			return cut()
		}
	}
	if flags&4 != 0 {
		p += 4
	}
	if stated >= 0 {
		if stated > room {
			return 0, 0, unpack.ErrNotThis
		}
		room = stated
	}
	if p > b.Size() {
		return cut()
	}
	return p, room, nil
}
