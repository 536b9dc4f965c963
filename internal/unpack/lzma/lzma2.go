package lzma

import "fmt"

// Chunk is the header of one LZMA2 chunk.
type Chunk struct {
	End       bool // no chunk: the end of the data
	Header    int  // bytes of the header itself, 1 for the end
	Packed    int  // bytes behind the header
	Unpacked  int
	stored    bool
	resets    byte // 0 nothing, 1 state, 2 and parameters, 3 and dictionary
	props     byte
	resetDict bool
}

// ChunkHeaderMax is the length of the longest chunk header.
const ChunkHeaderMax = 6

// ParseChunk reads the chunk header at the start of b.
func ParseChunk(b []byte) (Chunk, error) {
	if len(b) == 0 {
		return Chunk{}, ErrInput
	}
	c := b[0]
	switch {
	case c == 0:
		return Chunk{End: true, Header: 1}, nil
	case c < 3:
		if len(b) < 3 {
			return Chunk{}, ErrInput
		}
		n := int(b[1])<<8 + int(b[2]) + 1
		return Chunk{Header: 3, Packed: n, Unpacked: n, stored: true, resetDict: c == 1}, nil
	case c < 0x80:
		return Chunk{}, fmt.Errorf("%w: LZMA2 control byte 0x%02x", ErrRange, c)
	}
	h := Chunk{Header: 5, resets: c >> 5 & 3, resetDict: c >= 0xe0}
	if h.resets >= 2 {
		h.Header = 6
	}
	if len(b) < h.Header {
		return Chunk{}, ErrInput
	}
	h.Unpacked = int(c&0x1f)<<16 + int(b[1])<<8 + int(b[2]) + 1
	h.Packed = int(b[3])<<8 + int(b[4]) + 1
	if h.resets >= 2 {
		h.props = b[5]
		if p := int(h.props); p >= 9*5*5 || p%9+p/9%5 > 4 {
			return Chunk{}, ErrProps
		}
	}
	return h, nil
}

// Decoder2 decodes LZMA2. The zero value is ready; it may be used again.
type Decoder2 struct {
	core
	needDict, needProps, needState bool
}

// Decode decodes all chunks of src up to the end mark into dst. It returns how
// much it wrote and how many bytes of src it took, with the error that ended
// it before.
func (d *Decoder2) Decode(dst, src []byte) (at, used int, err error) {
	d.needDict, d.needProps, d.needState = true, true, true
	for {
		c, err := ParseChunk(src[used:])
		if err != nil {
			return at, used, err
		}
		used += c.Header
		if c.End {
			return at, used, nil
		}
		if c.Unpacked > len(dst)-at {
			return at, used, ErrOutput
		}
		body := src[used:]
		short := c.Packed > len(body)
		if !short {
			body = body[:c.Packed]
		}
		at, err = d.chunk(c, dst, at, body)
		if err == nil && short {
			err = ErrInput
		}
		if err != nil {
			return at, used, err
		}
		used += c.Packed
	}
}

func (d *Decoder2) chunk(c Chunk, dst []byte, at int, body []byte) (int, error) {
	if c.resetDict {
		d.start, d.needDict, d.needProps = at, false, true
	}
	if d.needDict {
		return at, fmt.Errorf("%w: no dictionary reset", ErrRange)
	}
	if c.stored {
		return at + copy(dst[at:at+c.Unpacked], body), nil
	}
	if c.resets >= 2 {
		if err := d.setProps(c.props); err != nil {
			return at, err
		}
		d.needProps = false
	}
	if c.resets >= 1 {
		d.resetState()
		d.needState = false
	}
	if d.needProps || d.needState {
		return at, fmt.Errorf("%w: no parameters", ErrRange)
	}
	if err := d.startRange(body); err != nil {
		return at, err
	}
	end := at + c.Unpacked
	at, marker, err := d.run(dst, at, end)
	switch {
	case err != nil:
		return at, err
	case marker || at != end || d.pending > 0:
		return at, fmt.Errorf("%w: wrong chunk size", ErrRange)
	}
	if err := d.normalize(); err != nil {
		return at, err
	}
	if d.code != 0 || d.used() != c.Packed {
		return at, fmt.Errorf("%w: wrong chunk end", ErrRange)
	}
	return at, nil
}
