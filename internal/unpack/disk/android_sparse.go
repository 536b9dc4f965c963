package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/doorward/doorward/internal/unpack"
)

// AndroidSparse opens Android's sparse images (sparse_format.h of libsparse).
var AndroidSparse = &unpack.Reader{
	Name:    "sparse",
	Doc:     "Android sparse images: raw, fill, don't care and CRC chunks; the image is read without being written out",
	Checked: "img2simg and simg2img 29 (random images, four block sizes), an image of another maker, chunks made by hand",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\x3a\xff\x26\xed"}},
	Carve:   true,
	Open:    openAndroidSparse,
}

// Types of chunks.
const (
	sparseRaw  = 0xcac1
	sparseFill = 0xcac2
	sparseSkip = 0xcac3
	sparseCRC  = 0xcac4
)

type sparseImage struct {
	data  unpack.Bytes
	block int64
	at    int64 // in the packed image
	out   int64 // in the unpacked one
	spans []unpack.Extent
	size  int64 // of the disk
	sums  []sparseSum
}

// sparseSum is a CRC-32 of all bytes up to an offset.
type sparseSum struct {
	end int64
	sum uint32
}

func openAndroidSparse(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 28)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	u16 := func(i int) int64 { return int64(binary.LittleEndian.Uint16(h[i:])) }
	u32 := func(i int) int64 { return int64(binary.LittleEndian.Uint32(h[i:])) }
	header, chunkHeader, block, blocks, chunks := u16(8), u16(10), u32(12), u32(16), u32(20)
	if u16(4) != 1 || header < 28 || header > 4096 || chunkHeader < 12 || chunkHeader > 4096 || block < 4 || block%4 != 0 || block > 1<<28 || blocks == 0 || chunks == 0 {
		return nil, unpack.ErrNotThis
	}
	s := &sparseImage{data: in.Data, block: block, at: header}
	s.size = blocks * block
	for i := int64(0); i < chunks && err == nil; i++ {
		if err = s.chunk(chunkHeader); err != nil {
			err = fmt.Errorf("chunk %d at 0x%x: %w", i, s.at, err)
		}
		if in.Context.Err() != nil {
			err = fmt.Errorf("%w: time ran out (raise it with --limit-time)", unpack.ErrLimit)
		}
	}
	if s.out == 0 && err != nil {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "android sparse", Size: s.at, Info: map[string]string{"block size": fmt.Sprint(block)}}
	if err == nil && s.out != s.size {
		err = fmt.Errorf("the chunks have %d bytes, the header states %d", s.out, s.size)
	}
	if o.Err = err; err != nil {
		s.size = s.out
		o.Size = min(o.Size, in.Data.Size())
	}
	if err := diskSize(in, s.size); err != nil {
		o.Err = errors.Join(o.Err, err)
		return o, nil
	}
	if sum := uint32(u32(24)); sum != 0 && err == nil {
		s.sums = append(s.sums, sparseSum{s.size, sum})
	}
	if bad := s.verify(); bad != nil {
		addErr(o, bad)
	}
	o.Parts = []unpack.Part{{Data: s.disk(), Offset: -1}}
	return o, nil
}

// chunk reads a chunk's header and notes where its content is.
func (s *sparseImage) chunk(header int64) error {
	h, err := unpack.ReadFull(s.data, s.at, 12)
	if err != nil {
		return err
	}
	kind, n, total := binary.LittleEndian.Uint16(h), int64(binary.LittleEndian.Uint32(h[4:]))*s.block, int64(binary.LittleEndian.Uint32(h[8:]))
	body, stored := s.at+header, total-header
	if n > s.size-s.out {
		return errors.New("it is larger than the image")
	}
	want := map[uint16]int64{sparseRaw: n, sparseFill: 4, sparseSkip: 0, sparseCRC: 4}
	if size, known := want[kind]; !known || size != stored {
		return fmt.Errorf("type 0x%x with %d bytes", kind, stored)
	}
	if stored > s.data.Size()-body {
		return fmt.Errorf("it is cut off: %d of %d bytes are there", max(0, s.data.Size()-body), stored)
	}
	switch {
	case kind == sparseRaw && n > 0:
		s.spans = append(s.spans, unpack.Extent{Offset: s.out, Size: n, From: body, Kind: 'r'})
	case kind == sparseFill && n > 0:
		word, err := unpack.ReadFull(s.data, body, 4)
		if err != nil {
			return err
		}
		if value := binary.LittleEndian.Uint32(word); value != 0 {
			s.spans = append(s.spans, unpack.Extent{Offset: s.out, Size: n, From: int64(value), Kind: 'f'})
		}
	case kind == sparseCRC:
		word, err := unpack.ReadFull(s.data, body, 4)
		if err != nil {
			return err
		}
		s.sums = append(s.sums, sparseSum{s.out, binary.LittleEndian.Uint32(word)})
		n = 0
	}
	s.at += total
	s.out += n
	return nil
}

// disk is what the chunks describe.
func (s *sparseImage) disk() unpack.Bytes { return unpack.Mapped(s.spans, s.size, s.read) }

// read gives bytes of a chunk.
func (s *sparseImage) read(c unpack.Extent, p []byte, at int64) (int, error) {
	if c.Kind == 'r' {
		return s.data.ReadAt(p, c.From+at)
	}
	for i := range p[:min(4, len(p))] {
		p[i] = byte(c.From >> (8 * ((at + int64(i)) & 3)))
	}
	for n := 4; n < len(p); n *= 2 {
		copy(p[n:], p[:n])
	}
	return len(p), nil
}

// verify computes the checksums that the image states; most state none.
func (s *sparseImage) verify() error {
	at, sum := int64(0), uint32(0)
	for _, want := range s.sums {
		err := unpack.Chunks(s.disk(), at, want.end-at, func(p []byte) { sum = crc32.Update(sum, crc32.IEEETable, p) })
		if err != nil {
			return err
		}
		if at = want.end; sum != want.sum {
			return fmt.Errorf("the checksum of the first %d bytes is 0x%08x, the image states 0x%08x", at, sum, want.sum)
		}
	}
	return nil
}
