package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/klauspost/compress/zlib"
)

// Inno opens what an installer of Inno Setup says about itself. Layout: the
// readers of innoextract; Inno Setup, Projects/Src/Compression.Base.pas.
var Inno = &unpack.Reader{
	Name:    "inno",
	Doc:     "the description that an installer of Inno Setup carries (versions 4.1.6 on): the paths of its files, registry entries and commands, as the two blocks that hold them, with their CRC-32.",
	Limits:  "The files themselves are not unpacked, which a gap says; descriptions that are encrypted (6.5) are reported.",
	Checked: "hand-made descriptions, packed by xz's LZMA encoder and by zlib",
	Magics:  []unpack.Magic{{At: 0, Bytes: innoMagic}},
	Carve:   true,
	Open:    openInno,
}

const (
	innoMagic  = "Inno Setup Setup Data ("
	innoID     = 64
	innoChunk  = 4096
	innoMax    = 64 << 20 // of a block, packed
	innoMaxOut = 256 << 20
)

var errInno = errors.New("inno: damaged")

func openInno(in *unpack.Input) (*unpack.Object, error) {
	id, err := unpack.ReadFull(in.Data, 0, innoID)
	if err != nil || string(id[:len(innoMagic)]) != innoMagic {
		return nil, unpack.ErrNotThis
	}
	version, _, ok := strings.Cut(unpack.CString(id[len(innoMagic):]), ")")
	if !ok || version == "" || version[0] < '1' || version[0] > '9' {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "inno " + version, Size: innoID, Info: map[string]string{"version": version}}
	for i, name := range []string{"description", "places"} {
		part, next, err := innoBlock(in, o.Size)
		if err != nil && i == 0 && next == 0 {
			if !in.Whole {
				return nil, unpack.ErrNotThis // the setup program has this text too
			}
			o.Err = err
			return o, nil
		}
		if err != nil {
			o.Err = fmt.Errorf("inno: the block of %s: %w", name, err)
			break
		}
		o.Parts = append(o.Parts, unpack.Part{Name: name, Data: part, Offset: -1})
		o.Size = next
	}
	o.Gaps = append(o.Gaps, unpack.Gap{Reason: "unsupported", Note: "inno: the files of the installer are not unpacked: innoextract does it"})
	return o, nil
}

// innoBlock reads a block at an offset: CRC-32 of size and flag, both, and the
// data in chunks of 4 KiB with a CRC-32 each. next is 0 if it is none.
func innoBlock(in *unpack.Input, at int64) (data unpack.Slice, next int64, err error) {
	le := binary.LittleEndian
	h, err := unpack.ReadFull(in.Data, at, 9)
	if err != nil {
		return nil, 0, err
	}
	size := int64(le.Uint32(h[4:]))
	if crc32.ChecksumIEEE(h[4:]) != le.Uint32(h) || h[8] > 1 || size > innoMax {
		return nil, 0, fmt.Errorf("%w, or an unknown layout", errInno)
	}
	b, err := unpack.ReadFull(in.Data, at+9, size)
	if err != nil {
		return nil, at, err
	}
	next = at + 9 + size
	var packed []byte
	for len(b) > 4 {
		chunk := b[4:min(len(b), 4+innoChunk)]
		if crc32.ChecksumIEEE(chunk) != le.Uint32(b) {
			return nil, next, unpack.ErrChecksum
		}
		packed, b = append(packed, chunk...), b[4+len(chunk):]
	}
	switch {
	case len(b) > 0:
		return nil, next, errInno
	case h[8] == 0:
		return packed, next, nil
	case len(packed) > 0 && packed[0]&0x0f == 8: // zlib; LZMA's first byte is 0x5d
		r, err := zlib.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, next, err
		}
		data, err = in.Budget.Decode(r, int64(len(packed)))
		return data, next, err
	}
	data, err = innoLZMA(in, packed)
	return data, next, err
}

// innoLZMA decodes LZMA of unknown size: parameters, dictionary, data.
func innoLZMA(in *unpack.Input, packed []byte) (unpack.Slice, error) {
	if len(packed) < 10 {
		return nil, io.ErrUnexpectedEOF
	}
	for room := int64(1 << 20); room <= innoMaxOut; room *= 4 {
		dst, err := in.Budget.Room(room, int64(len(packed)))
		if err != nil {
			return nil, err
		}
		n, err := unpack.DecompressLZMA(packed[0], packed[5:], dst)
		if errors.Is(err, unpack.ErrTooMuch) {
			in.Budget.Release(dst)
			continue
		}
		return dst[:n], err
	}
	return nil, fmt.Errorf("%w: more than %d bytes", unpack.ErrLimit, innoMaxOut)
}
