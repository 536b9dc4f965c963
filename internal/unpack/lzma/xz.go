package lzma

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"io"
	"sync"
)

// ErrNotXZ says that the bytes do not start with an xz stream header.
var ErrNotXZ = errors.New("xz: not an xz stream")

// ErrCheck says that unpacked data differ from their checksum.
var ErrCheck = errors.New("xz: wrong checksum")

// Source is what packed bytes are read from.
type Source interface {
	io.ReaderAt
	Size() int64
}

// Stream header and footer of the .xz file format 1.2, section 2.1.
const (
	xzMagic       = "\xfd7zXZ\x00"
	xzFooterMagic = "YZ"
	xzHeaderSize  = 12
	// xzBlocksMax bounds the blocks of one file; xz makes one for 3 MiB and more.
	xzBlocksMax = 1 << 20
)

// Layout is where the blocks of an xz file lie: all its streams and the
// padding between them.
type Layout struct {
	Blocks   []Block
	Size     int64 // of the file in the source
	Unpacked int64 // of all blocks
	Streams  int
}

// Block is one block of an xz stream; blocks are packed independently.
type Block struct {
	Offset   int64 // of the LZMA2 data in the source
	Packed   int64 // bytes of LZMA2 data, without padding and check
	Unpacked int64
	check    byte
	checkAt  int64
	filters  []filter
}

// Scan walks the structure of an xz file without decoding it: headers, chunk
// headers, index and footer, with their checksums. On an error the layout
// holds what was found before it; blocks in it can be decoded.
func Scan(src Source) (*Layout, error) {
	l := &Layout{}
	at := int64(0)
	for {
		end, err := l.stream(src, at)
		if err != nil {
			if l.Streams > 0 && errors.Is(err, ErrNotXZ) {
				return l, nil // what follows the last stream is not part of it
			}
			return l, err
		}
		l.Streams++
		l.Size = end
		// Padding counts only if another stream follows it.
		var word [4]byte
		for at = end; readAt(src, at, word[:]) == nil && word == [4]byte{}; at += 4 {
		}
	}
}

func readAt(src Source, at int64, p []byte) error {
	if at < 0 || at > src.Size()-int64(len(p)) {
		return ErrInput
	}
	_, err := src.ReadAt(p, at)
	if err == io.EOF {
		err = nil
	}
	return err
}

// stream walks one stream and returns where it ends.
func (l *Layout) stream(src Source, at int64) (int64, error) {
	var h [xzHeaderSize]byte
	if readAt(src, at, h[:]) != nil || string(h[:6]) != xzMagic || h[6] != 0 || h[7] > 15 ||
		crc32.ChecksumIEEE(h[6:8]) != binary.LittleEndian.Uint32(h[8:]) {
		return 0, ErrNotXZ
	}
	first := len(l.Blocks)
	begin := at
	at += xzHeaderSize
	for {
		var size [1]byte
		if err := readAt(src, at, size[:]); err != nil {
			return 0, err
		}
		if size[0] == 0 {
			break
		}
		if len(l.Blocks) >= xzBlocksMax {
			return 0, fmt.Errorf("xz: more than %d blocks", xzBlocksMax)
		}
		end, err := l.block(src, at, int64(size[0])*4+4, h[7])
		l.Size = max(l.Size, min(end, src.Size()))
		if err != nil {
			return 0, err
		}
		at = end
	}
	end, err := l.index(src, at, l.Blocks[first:], begin)
	if err != nil {
		return 0, err
	}
	var f [xzHeaderSize]byte
	if err := readAt(src, end, f[:]); err != nil {
		return 0, err
	}
	if string(f[10:]) != xzFooterMagic || f[8] != h[6] || f[9] != h[7] || crc32.ChecksumIEEE(f[4:10]) != binary.LittleEndian.Uint32(f[:]) ||
		int64(binary.LittleEndian.Uint32(f[4:]))*4+4 != end-at {
		return 0, errors.New("xz: damaged stream footer")
	}
	return end + xzHeaderSize, nil
}

// block walks one block; at is where its header of size bytes starts.
func (l *Layout) block(src Source, at, size int64, check byte) (int64, error) {
	header := make([]byte, size)
	if err := readAt(src, at, header); err != nil {
		return at, err
	}
	b, packed, unpacked, err := parseBlockHeader(header)
	if err != nil {
		return at, err
	}
	b.Offset, b.check = at+size, check
	damage := b.walk(src)
	end := b.Offset + b.Packed
	if damage == nil && (packed >= 0 && packed != b.Packed || unpacked >= 0 && unpacked != b.Unpacked) {
		damage = errors.New("xz: wrong size in block header")
	}
	if b.Unpacked > 0 || damage == nil {
		b.checkAt = end + (-b.Packed)&3
		if damage != nil {
			b.checkAt = 0
		}
		l.Blocks = append(l.Blocks, b)
		l.Unpacked += b.Unpacked
	}
	if damage != nil {
		return end, damage
	}
	var pad [3]byte
	if n := (-b.Packed) & 3; readAt(src, end, pad[:n]) != nil || pad != [3]byte{} {
		return end, errors.New("xz: damaged block padding")
	}
	return b.checkAt + checkSize(check), nil
}

// walk adds up the chunks of a block.
func (b *Block) walk(src Source) error {
	for {
		var h [ChunkHeaderMax]byte
		at := b.Offset + b.Packed
		n := min(int64(len(h)), src.Size()-at)
		if n <= 0 {
			return ErrInput
		}
		if err := readAt(src, at, h[:n]); err != nil {
			return err
		}
		c, err := ParseChunk(h[:n])
		if err != nil {
			return err
		}
		if c.End {
			b.Packed++
			return nil
		}
		if int64(c.Header+c.Packed) > src.Size()-at {
			// The rest of a chunk that is cut off may still give something.
			b.Packed = src.Size() - b.Offset
			b.Unpacked += int64(c.Unpacked)
			return ErrInput
		}
		b.Packed += int64(c.Header + c.Packed)
		b.Unpacked += int64(c.Unpacked)
	}
}

// parseBlockHeader reads a whole block header; sizes it does not state are -1.
func parseBlockHeader(h []byte) (b Block, packed, unpacked int64, err error) {
	bad := errors.New("xz: damaged block header")
	packed, unpacked = -1, -1
	body := h[:len(h)-4]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(h[len(body):]) || h[1]&0x3c != 0 {
		return b, packed, unpacked, bad
	}
	r := bytes.NewReader(body[2:])
	if h[1]&0x40 != 0 {
		if packed, err = number(r); err != nil || packed == 0 {
			return b, packed, unpacked, bad
		}
	}
	if h[1]&0x80 != 0 {
		if unpacked, err = number(r); err != nil {
			return b, packed, unpacked, bad
		}
	}
	for left := int(h[1] & 3); left >= 0; left-- {
		id, err1 := number(r)
		n, err2 := number(r)
		if err1 != nil || err2 != nil || n > int64(r.Len()) {
			return b, packed, unpacked, bad
		}
		props := make([]byte, n)
		r.Read(props)
		if left == 0 {
			if id != filterLZMA2 || n != 1 || props[0] > 40 {
				return b, packed, unpacked, fmt.Errorf("%w 0x%x at the end", ErrFilter, id)
			}
			break
		}
		f, err := parseFilter(uint64(id), props)
		if err != nil {
			return b, packed, unpacked, err
		}
		b.filters = append(b.filters, f)
	}
	for r.Len() > 0 {
		if c, _ := r.ReadByte(); c != 0 {
			return b, packed, unpacked, bad
		}
	}
	return b, packed, unpacked, nil
}

// number reads an integer of the xz format: 7 bits a byte, at most 9 bytes.
func number(r io.ByteReader) (int64, error) {
	v := int64(0)
	for i := range 9 {
		c, err := r.ReadByte()
		if err != nil {
			return 0, ErrInput
		}
		if c == 0 && i > 0 {
			break
		}
		v |= int64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, nil
		}
	}
	return 0, errors.New("xz: damaged number")
}

// index compares a stream's index with its blocks and returns where it ends.
func (l *Layout) index(src Source, at int64, blocks []Block, begin int64) (int64, error) {
	// What the index must be follows from the blocks: build it and compare.
	want := []byte{0}
	want = appendNumber(want, int64(len(blocks)))
	start := begin + xzHeaderSize
	for _, b := range blocks {
		size := checkSize(b.check)
		want = appendNumber(want, b.Offset+b.Packed+size-start)
		want = appendNumber(want, b.Unpacked)
		start = b.checkAt + size
	}
	for len(want)%4 != 0 {
		want = append(want, 0)
	}
	want = binary.LittleEndian.AppendUint32(want, crc32.ChecksumIEEE(want))
	if at+int64(len(want)) > src.Size() {
		return 0, ErrInput
	}
	got := make([]byte, len(want))
	if err := readAt(src, at, got); err != nil {
		return 0, err
	}
	if !bytes.Equal(got, want) {
		return 0, errors.New("xz: index differs from the blocks")
	}
	return at + int64(len(want)), nil
}

func appendNumber(b []byte, v int64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func checkSize(check byte) int64 {
	return [...]int64{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}[check&15]
}

var decoders = sync.Pool{New: func() any { return new(Decoder2) }}

// Decode unpacks a block into dst, which must have room for b.Unpacked bytes,
// and verifies its check. packed are its b.Packed bytes. What was decoded
// before an error comes with it.
func (b *Block) Decode(dst, packed []byte, src Source) (int, error) {
	d := decoders.Get().(*Decoder2)
	n, _, err := d.Decode(dst, packed)
	decoders.Put(d)
	for i := len(b.filters) - 1; i >= 0; i-- {
		b.filters[i].undo(dst[:n])
	}
	if err != nil {
		if len(b.filters) > 0 {
			n = max(0, n-16) // an instruction may be cut there
		}
		return n, err
	}
	sum := make([]byte, checkSize(b.check))
	if err := readAt(src, b.checkAt, sum); err != nil {
		return n, err
	}
	if !checkOf(b.check, dst[:n], sum) {
		return n, ErrCheck
	}
	return n, nil
}

var crc64Table = crc64.MakeTable(crc64.ECMA)

// checkOf compares; kinds of checks that the format leaves for the future pass.
func checkOf(check byte, b, sum []byte) bool {
	switch check {
	case 1:
		return crc32.ChecksumIEEE(b) == binary.LittleEndian.Uint32(sum)
	case 4:
		return crc64.Checksum(b, crc64Table) == binary.LittleEndian.Uint64(sum)
	case 10:
		got := sha256.Sum256(b)
		return bytes.Equal(got[:], sum)
	}
	return true
}

// DecodeXZ unpacks an xz file in memory into dst and returns how many bytes it
// has.
func DecodeXZ(dst, src []byte) (n int, err error) {
	in := bytes.NewReader(src)
	l, err := Scan(in)
	if err != nil {
		return 0, err
	}
	if l.Unpacked > int64(len(dst)) {
		return 0, ErrOutput
	}
	for i := range l.Blocks {
		b := &l.Blocks[i]
		m, err := b.Decode(dst[n:n+int(b.Unpacked)], src[b.Offset:b.Offset+b.Packed], in)
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
