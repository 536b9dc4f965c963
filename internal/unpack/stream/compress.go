package stream

import (
	"errors"
	"io"

	"github.com/doorward/doorward/internal/unpack"
)

// Compress opens files of Unix compress: LZW with codes of 9 to 16 bits, in
// groups of eight of one width (compress(1), ncompress's source for facts).
var Compress = &unpack.Reader{
	Name:    "compress",
	Doc:     "files of Unix compress (.Z), of all widths of codes.",
	Limits:  "The format has neither length nor checksum: what is cut off is not noticed.",
	Checked: "ncompress 4.2.4.6 with codes of 10 to 16 bits",
	Magics:  compressMagics(),
	Open:    openCompress,
}

func compressMagics() []unpack.Magic {
	var list []unpack.Magic
	for bits := byte(9); bits <= 16; bits++ {
		list = append(list, unpack.Magic{At: 0, Bytes: string([]byte{0x1f, 0x9d, bits | 0x80})}, unpack.Magic{At: 0, Bytes: string([]byte{0x1f, 0x9d, bits})})
	}
	return list
}

func openCompress(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 3)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	src, _ := unpack.SourceOf(unpack.Window(in.Data, 3, in.Data.Size()))
	z := &lzw{src: src.(io.ByteReader), most: uint(h[2] & 31), block: h[2]&0x80 != 0}
	z.reset()
	out, err := in.Budget.Decode(z, in.Data.Size())
	return unpack.StreamObject(in, "compress", out, in.Data.Size(), false, err, nil)
}

const lzwClear = 256

var errLZW = errors.New("compress: a code that is not in the table")

// lzw decodes. Entries of the table are a prefix and a last byte.
type lzw struct {
	src    io.ByteReader
	most   uint
	block  bool // code 256 clears the table
	width  uint
	hold   uint32
	have   uint
	group  int // codes of this width so far
	free   int
	old    int
	first  byte // of the last string
	prefix [1 << 16]uint16
	suffix [1 << 16]byte
	out    []byte // decoded, not yet read; from the end on
	stack  [1 << 16]byte
}

func (z *lzw) reset() {
	z.width, z.free, z.old = 9, 256, -1
	if z.block {
		z.free = 257
	}
}

// Read implements io.Reader.
func (z *lzw) Read(p []byte) (int, error) {
	if len(z.out) == 0 {
		if err := z.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, z.out)
	z.out = z.out[n:]
	for n < len(p) {
		if err := z.next(); err != nil {
			if n > 0 {
				z.out = nil
				if err != io.EOF {
					return n, err
				}
				return n, nil
			}
			return n, err
		}
		k := copy(p[n:], z.out)
		z.out = z.out[k:]
		n += k
	}
	return n, nil
}

// code reads a code; codes come in groups of eight of one width.
func (z *lzw) code() (int, error) {
	for z.have < z.width {
		b, err := z.src.ReadByte()
		if err != nil {
			return 0, err
		}
		z.hold |= uint32(b) << z.have
		z.have += 8
	}
	c := z.hold & (1<<z.width - 1)
	z.hold >>= z.width
	z.have -= z.width
	z.group++
	return int(c), nil
}

// endGroup passes what is left of a group.
func (z *lzw) endGroup() error {
	for z.group%8 != 0 {
		if _, err := z.code(); err != nil {
			return err
		}
	}
	z.hold, z.have, z.group = 0, 0, 0
	return nil
}

// next decodes one code into z.out.
func (z *lzw) next() error {
	for {
		if z.free >= 1<<z.width && z.width < z.most {
			if err := z.endGroup(); err != nil {
				return err
			}
			z.width++
		}
		c, err := z.code()
		if err != nil {
			return err
		}
		if c == lzwClear && z.block {
			if err := z.endGroup(); err != nil {
				return err
			}
			z.reset()
			continue
		}
		return z.expand(c)
	}
}

func (z *lzw) expand(c int) error {
	at := len(z.stack)
	entry := c
	switch {
	case z.old < 0 && c > 255, c > z.free, c == z.free && z.free == 1<<z.most:
		return errLZW
	case c == z.free: // the string that this code itself makes
		at--
		z.stack[at] = z.first
		entry = z.old
	}
	for entry > 255 {
		at--
		z.stack[at] = z.suffix[entry]
		entry = int(z.prefix[entry])
	}
	at--
	z.first = byte(entry)
	z.stack[at] = z.first
	z.out = z.stack[at:]
	if z.old >= 0 && z.free < 1<<z.most {
		z.prefix[z.free], z.suffix[z.free] = uint16(z.old), z.first
		z.free++
	}
	z.old = c
	return nil
}
