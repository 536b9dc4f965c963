package archive

import (
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/deflate64"
	"github.com/doorward/doorward/internal/unpack/lzma"
	"github.com/doorward/doorward/internal/unpack/ppmd"
	"github.com/klauspost/compress/flate"
)

// Methods (DOC/Methods.txt).
const (
	sevenCopy      = 0x00
	sevenDelta     = 0x03
	sevenLZMA2     = 0x21
	sevenSwap2     = 0x020302
	sevenSwap4     = 0x020304
	sevenLZMA      = 0x030101
	sevenBCJ       = 0x03030103
	sevenBCJ2      = 0x0303011b
	sevenDeflate   = 0x040108
	sevenDeflate64 = 0x040109
	sevenBzip2     = 0x040202
	sevenPPMd      = 0x030401
	sevenAES       = 0x06f10701
)

// sevenFilters are the branch filters by method, as ids of the xz format.
var sevenFilters = map[uint64]uint64{
	sevenDelta: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 9, 10: 10, 11: 11,
	sevenBCJ: 4, 0x03030205: 5, 0x03030401: 6, 0x03030501: 7, 0x03030701: 8, 0x03030805: 9,
}

// supported says why a folder can't be decoded, if so.
func (f *sevenFolderInfo) supported() error {
	for _, c := range f.coders {
		switch c.method {
		case sevenAES:
			return unpack.ErrEncrypted
		case sevenCopy, sevenLZMA, sevenLZMA2, sevenBCJ2, sevenDeflate, sevenDeflate64, sevenBzip2, sevenPPMd, sevenSwap2, sevenSwap4:
		default:
			if sevenFilters[c.method] == 0 {
				return fmt.Errorf("%w method %x", unpack.ErrUnsupported, c.method)
			}
		}
	}
	return nil
}

// decode decodes a folder. What came before damage comes with the error, if the
// damage is in the last coder.
func (f *sevenFolderInfo) decode(in *unpack.Input, packed []sevenStretch) ([]byte, error) {
	if err := f.supported(); err != nil {
		return nil, err
	}
	m := f.main()
	if m < 0 || len(f.sizes) != len(f.coders) {
		return nil, errSeven
	}
	total, sum := int64(0), int64(0)
	for i := range f.inputs {
		if f.first+i >= len(packed) {
			return nil, errSeven
		}
		total += packed[f.first+i].size
	}
	for _, size := range f.sizes {
		if sum += size; sum < 0 {
			return nil, errSeven
		}
	}
	if err := unpack.Affordable(in, f.sizes[m], total); err != nil {
		return nil, err
	}
	if err := unpack.Affordable(in, sum/3, total); err != nil { // filters keep the size, BCJ2 shares it
		return nil, err
	}
	d := &sevenDecoder{in: in, f: f, packed: packed, busy: make([]bool, len(f.coders))}
	return d.output(m)
}

type sevenDecoder struct {
	in     *unpack.Input
	f      *sevenFolderInfo
	packed []sevenStretch
	busy   []bool // coders that wait for their input: one that waits for itself is damage
}

// input is what feeds an input: a packed stream or another coder.
func (d *sevenDecoder) input(in int) ([]byte, error) {
	if out := d.f.bound(in); out >= 0 {
		return d.output(out)
	}
	for i, n := range d.f.inputs {
		if n == in {
			p := d.packed[d.f.first+i]
			if p.size > d.in.Data.Size() {
				return nil, errSeven
			}
			return unpack.ReadFull(d.in.Data, p.off, p.size)
		}
	}
	return nil, errSeven
}

func (d *sevenDecoder) output(i int) ([]byte, error) {
	if i < 0 || i >= len(d.f.coders) || d.busy[i] {
		return nil, errSeven
	}
	d.busy[i] = true // for good: an output feeds one input
	c := &d.f.coders[i]
	size := d.f.sizes[i]
	if c.method == sevenBCJ2 {
		return d.bcj2(c, size)
	}
	if c.inputs != 1 {
		return nil, errSeven
	}
	src, err := d.input(c.firstIn)
	if id := sevenFilters[c.method]; id != 0 || c.method == sevenSwap2 || c.method == sevenSwap4 {
		if int64(len(src)) > size {
			src = src[:size]
		}
		src = bytes.Clone(src) // it may be the archive itself
		if bad := unfilter(c, id, src); bad != nil {
			return nil, bad
		}
		return src, err
	}
	if err != nil {
		return nil, err
	}
	if c.method == sevenCopy {
		if int64(len(src)) < size {
			return src, errShort
		}
		return src[:size], nil
	}
	if c.method == sevenPPMd {
		return sevenDecodePPMd(d.in, c, src, size)
	}
	return sevenDecode(c, src, size)
}

// sevenDecodePPMd decodes PPMd, whose model may take more memory than the content.
func sevenDecodePPMd(in *unpack.Input, c *sevenCoder, src []byte, size int64) ([]byte, error) {
	if len(c.props) < 5 {
		return nil, errSeven
	}
	memory := binary.LittleEndian.Uint32(c.props[1:])
	if int64(memory) > in.Budget.Limits.Memory {
		return nil, fmt.Errorf("%w: the model takes %d bytes of memory", unpack.ErrLimit, memory)
	}
	dst := make([]byte, size)
	n, err := ppmd.Decode7z(dst, src, int(c.props[0]), memory)
	return dst[:n], err
}

func unfilter(c *sevenCoder, id uint64, b []byte) error {
	switch c.method {
	case sevenSwap2:
		for i := 0; i+2 <= len(b); i += 2 {
			b[i], b[i+1] = b[i+1], b[i]
		}
		return nil
	case sevenSwap4:
		for i := 0; i+4 <= len(b); i += 4 {
			binary.BigEndian.PutUint32(b[i:], binary.LittleEndian.Uint32(b[i:]))
		}
		return nil
	}
	return lzma.Unfilter(id, c.props, b)
}

// sevenDecode decodes a packed stream of known size.
func sevenDecode(c *sevenCoder, src []byte, size int64) ([]byte, error) {
	dst := make([]byte, size)
	n, err := 0, error(nil)
	switch c.method {
	case sevenLZMA:
		if len(c.props) < 5 {
			return nil, errSeven
		}
		var s lzma.Stream
		if err = s.Reset(c.props[0], src); err == nil {
			n, _, err = s.Decode(dst, 0, len(dst))
		}
	case sevenLZMA2:
		var s lzma.Decoder2
		n, _, err = s.Decode(dst, src)
	case sevenDeflate:
		n, err = fill(dst, flate.NewReader(bytes.NewReader(src)))
	case sevenDeflate64:
		n, _, err = deflate64.Decode(dst, src)
	case sevenBzip2:
		n, err = fill(dst, bzip2.NewReader(bytes.NewReader(src)))
	}
	if err == nil && n < len(dst) {
		err = errShort
	}
	return dst[:n], err
}

// fill reads as much as dst holds.
func fill(dst []byte, r io.Reader) (int, error) {
	n, err := io.ReadFull(r, dst)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = errShort
	}
	return n, err
}

// bcj2 joins the four streams of BCJ2: the code without the targets of calls
// and jumps, those of calls, those of jumps, and the range coder's choices.
func (d *sevenDecoder) bcj2(c *sevenCoder, size int64) ([]byte, error) {
	if c.inputs != 4 {
		return nil, errSeven
	}
	var streams [4][]byte
	for i := range streams {
		b, err := d.input(c.firstIn + i)
		if err != nil {
			return nil, err
		}
		streams[i] = b
	}
	return decodeBCJ2(streams, size)
}

func decodeBCJ2(streams [4][]byte, size int64) ([]byte, error) {
	code, calls, jumps, choices := streams[0], streams[1], streams[2], streams[3]
	if len(choices) < 5 {
		return nil, errShort
	}
	value, rng := binary.BigEndian.Uint32(choices[1:]), uint32(0xffffffff)
	choices = choices[5:]
	var probs [258]uint16
	for i := range probs {
		probs[i] = 1 << 10
	}
	out := make([]byte, 0, size)
	prev := byte(0)
	for int64(len(out)) < size {
		if len(code) == 0 {
			return out, errShort
		}
		b := code[0]
		code = code[1:]
		out = append(out, b)
		if b&0xfe != 0xe8 && !(prev == 0x0f && b&0xf0 == 0x80) {
			prev = b
			continue
		}
		p := &probs[257]
		switch b {
		case 0xe8:
			p = &probs[prev]
		case 0xe9:
			p = &probs[256]
		}
		if int64(len(out)) == size {
			break
		}
		if rng < 1<<24 {
			if len(choices) == 0 {
				return out, errShort
			}
			rng, value = rng<<8, value<<8|uint32(choices[0])
			choices = choices[1:]
		}
		split := rng >> 11 * uint32(*p)
		if value < split {
			rng = split
			*p += (1<<11 - *p) >> 5
			prev = b
			continue
		}
		rng, value = rng-split, value-split
		*p -= *p >> 5
		from := &jumps
		if b == 0xe8 {
			from = &calls
		}
		if len(*from) < 4 {
			return out, errShort
		}
		target := binary.BigEndian.Uint32(*from) - uint32(len(out)+4)
		*from = (*from)[4:]
		out = binary.LittleEndian.AppendUint32(out, target)
		prev = byte(target >> 24)
	}
	if int64(len(out)) > size {
		out = out[:size]
	}
	return out, nil
}
