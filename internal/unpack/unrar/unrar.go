// Package unrar decodes what RAR packs: the method of RAR 2.9 to 4 (LZ77 or
// PPMd, and the filters that its packer knows) and that of RAR 5 and 7. Facts:
// the readers of unrar, libarchive and The Unarchiver, and archives.
package unrar

import (
	"encoding/binary"
	"errors"

	"github.com/doorward/doorward/internal/unpack/huffman"
)

// Errors of decoding.
var (
	ErrInput       = errors.New("rar: the packed data end too early")
	ErrCorrupt     = errors.New("rar: damaged data")
	ErrUnsupported = errors.New("rar: a filter that is none of the packer's own")
	ErrMemory      = errors.New("rar: the model takes too much memory")
)

// Decoder decodes the files of one solid stream: the later ones refer to what
// the earlier ones gave. Its zero value is at the start of a stream.
type Decoder struct {
	// Memory bounds that of the models of RAR 4, in bytes.
	Memory int64

	bitReader
	out     []byte
	start   int // of the file in out
	end     int // where it must end
	filters []filter
	work    int // bytes that filters go over
	started bool

	recent     [4]int
	lastLength int
	main       huffman.Code
	dist       huffman.Code
	low        huffman.Code
	repeat     huffman.Code

	three three
}

// Reset starts a new stream; memory is used again.
func (d *Decoder) Reset() {
	model := d.three.model
	model.Stop()
	*d = Decoder{Memory: d.Memory}
	d.three.model = model
}

// Output is the content of all files so far, with the filters undone; nothing
// can be added any more.
func (d *Decoder) Output() []byte {
	for i := range d.filters {
		f := &d.filters[i]
		if f.start+f.size <= len(d.out) {
			f.undo(d.out[f.start:f.start+f.size], f.start-f.file)
		}
	}
	d.filters = nil
	return d.out
}

// begin starts a file of size bytes.
func (d *Decoder) begin(src []byte, size int) {
	d.bitReader = bitReader{src: src}
	d.start, d.end = len(d.out), len(d.out)+size
	if cap(d.out) < d.end {
		grown := make([]byte, len(d.out), d.end)
		copy(grown, d.out)
		d.out = grown
	}
	if d.recent == [4]int{} {
		d.recent = [4]int{-1, -1, -1, -1}
	}
}

// Reserve makes room for all files at once.
func (d *Decoder) Reserve(size int) {
	if d.out == nil {
		d.out = make([]byte, 0, size)
	}
}

// finish says how a file ended that stopped for a reason.
func (d *Decoder) finish(err error) error {
	if len(d.out) == d.end {
		return nil
	}
	if err == nil || d.over() {
		err = ErrInput
	}
	return err
}

// put copies a match; false if it is none or the file is full.
func (d *Decoder) put(length, distance int) error {
	n := len(d.out)
	if distance <= 0 || distance > n {
		return ErrCorrupt
	}
	if n+length > d.end {
		length = d.end - n
	}
	d.out = d.out[:n+length]
	for length > 0 {
		c := copy(d.out[n:n+length], d.out[n-distance:n])
		n, length, distance = n+c, length-c, distance+c
	}
	return nil
}

// repeated moves the n-th last distance to the front.
func (d *Decoder) repeated(n int) int {
	distance := d.recent[n]
	copy(d.recent[1:n+1], d.recent[:n])
	d.recent[0] = distance
	return distance
}

func (d *Decoder) remember(distance int) {
	copy(d.recent[1:], d.recent[:3])
	d.recent[0] = distance
}

// codeLengths reads the lengths of the code that packs those of the others.
func (b *bitReader) codeLengths() (lens [20]byte) {
	for i := 0; i < len(lens); i++ {
		n := b.take(4)
		if n != 15 {
			lens[i] = byte(n)
			continue
		}
		if n = b.take(4); n == 0 {
			lens[i] = 15
			continue
		}
		i += int(n) + 1
	}
	return lens
}

// lengths reads lengths of codes; RAR 4 stores them as differences to those of
// before.
func (b *bitReader) lengths(lens []byte, differ bool) bool {
	var code huffman.Code
	pre := b.codeLengths()
	if !code.Set(pre[:], false) {
		return false
	}
	for i := 0; i < len(lens); {
		s := b.symbol(&code)
		if s < 0 || b.over() {
			return false
		}
		if s < 16 {
			if differ {
				s = s + int(lens[i])&15
			}
			lens[i] = byte(s & 15)
			i++
			continue
		}
		n, value := 0, byte(0)
		if s&1 == 0 {
			n = 3 + int(b.take(3))
		} else {
			n = 11 + int(b.take(7))
		}
		if s < 18 {
			if i == 0 {
				return false
			}
			value = lens[i-1]
		}
		for ; n > 0 && i < len(lens); n-- {
			lens[i] = value
			i++
		}
	}
	return !b.over()
}

// bitReader reads bits from the highest of each byte on; zeros behind the end.
type bitReader struct {
	src []byte
	at  int // in bits
}

// peek is at least the next 56 bits, from the top.
func (b *bitReader) peek() uint64 {
	i := b.at >> 3
	if i+8 <= len(b.src) {
		return binary.BigEndian.Uint64(b.src[i:]) << (b.at & 7)
	}
	var p [8]byte
	if i < len(b.src) {
		copy(p[:], b.src[i:])
	}
	return binary.BigEndian.Uint64(p[:]) << (b.at & 7)
}

// take reads up to 56 bits.
func (b *bitReader) take(n int) uint64 {
	if n == 0 {
		return 0
	}
	v := b.peek() >> (64 - n)
	b.at += n
	return v
}

// symbol reads a symbol; -1 if the bits are none.
func (b *bitReader) symbol(c *huffman.Code) int {
	s, n := c.High(b.peek())
	if n == 0 {
		return -1
	}
	b.at += int(n)
	return s
}

func (b *bitReader) align() { b.at = (b.at + 7) &^ 7 }

// over says that more was read than there is.
func (b *bitReader) over() bool { return b.at > 8*len(b.src) }

// next reads a byte, from a byte's start on.
func (b *bitReader) next() (c byte) {
	if i := b.at >> 3; i < len(b.src) {
		c = b.src[i]
	}
	b.at += 8
	return c
}
