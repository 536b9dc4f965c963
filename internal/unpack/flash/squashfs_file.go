package flash

import (
	"fmt"
	"io"

	"github.com/doorward/doorward/internal/unpack"
)

// squashFragment is a block that holds the ends of several files.
type squashFragment struct {
	start int64
	size  uint32 // with squashStored
}

// squashStored in the size of a block says that it is not compressed.
const squashStored = 1 << 24

// squashFile is the content of a regular file.
type squashFile struct {
	s          *squashfs
	size       int64
	start      int64    // of the first block
	blocks     []uint32 // packed size of each, with squashStored; 0 is a hole
	marks      []int64  // place of every squashMark-th block
	frag       uint32   // number of the fragment with the end; squashNone
	fragOffset uint32
}

const squashMark = 256

// readBlocks reads the list of n block sizes.
func (f *squashFile) readBlocks(m *metaReader, n int64) {
	at := f.start
	for n > 0 {
		switch {
		case f.s.super.Major == 1: // two bytes each
			size := uint32(m.u16())
			stored := size >> 15 * squashStored
			if size &= 0x7fff; size == 0 && stored != 0 {
				size = 0x8000
			}
			f.addBlock(size|stored, &at)
			n--
		case len(m.data) < 4:
			f.addBlock(m.u32(), &at)
			n--
		default:
			k := min(n, int64(len(m.data)/4))
			if f.blocks == nil {
				f.blocks = make([]uint32, 0, k) // mostly all of them
			}
			p := m.take(int(k * 4))
			for ; len(p) >= 4; p = p[4:] {
				f.addBlock(f.s.order.Uint32(p), &at)
			}
			n -= k
		}
		if m.err != nil {
			return
		}
	}
}

func (f *squashFile) addBlock(size uint32, at *int64) {
	if len(f.blocks)%squashMark == 0 {
		f.marks = append(f.marks, *at)
	}
	f.blocks = append(f.blocks, size)
	*at += int64(size &^ squashStored)
}

// order is the place of what the file shares with others: its fragment, if it
// has one.
func (f *squashFile) order() int64 {
	if int64(f.frag) < int64(len(f.s.frags)) {
		return f.s.frags[f.frag].start
	}
	return f.start
}

// Size implements Bytes.
func (f *squashFile) Size() int64 { return f.size }

// ReadAt implements Bytes. Whole blocks are decoded straight into p.
func (f *squashFile) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= f.size {
		return 0, io.EOF
	}
	var eof error
	if int64(len(p)) > f.size-off {
		p, eof = p[:f.size-off], io.EOF
	}
	blockSize := int64(f.s.super.BlockSize)
	index := off / blockSize
	at := f.place(index)
	n := 0
	for n < len(p) {
		in := (off + int64(n)) % blockSize
		length := min(blockSize, f.size-index*blockSize)
		k := int(min(length-in, int64(len(p)-n)))
		if err := f.readBlock(p[n:n+k:n+k], index, at, in, length); err != nil {
			return n, fmt.Errorf("squashfs: block %d: %w", index, err)
		}
		if index < int64(len(f.blocks)) {
			at += int64(f.blocks[index] &^ squashStored)
		}
		n += k
		index++
	}
	return n, eof
}

// place returns where a block stands.
func (f *squashFile) place(index int64) int64 {
	if index >= int64(len(f.blocks)) {
		return 0 // in the fragment
	}
	at := f.marks[index/squashMark]
	for _, size := range f.blocks[index/squashMark*squashMark : index] {
		at += int64(size &^ squashStored)
	}
	return at
}

// readBlock fills p with what stands at offset in of a block of the given
// decoded length.
func (f *squashFile) readBlock(p []byte, index, at, in, length int64) error {
	if index >= int64(len(f.blocks)) {
		return f.readFragment(p, in, length)
	}
	size := f.blocks[index]
	switch {
	case size == 0:
		clear(p)
		return nil
	case size&squashStored != 0:
		if int64(size&^squashStored) != length {
			return fmt.Errorf("%d stored bytes instead of %d", size&^squashStored, length)
		}
		return f.s.readRaw(p, at+in)
	case int64(len(p)) == length:
		return f.s.unpackBlock(p, at, size)
	}
	b, err := f.s.blocks.Get(^at, func(int64) ([]byte, int64, error) {
		data := make([]byte, length)
		err := f.s.unpackBlock(data, at, size)
		return data, 0, err
	}, nil)
	if err != nil {
		return err
	}
	if int64(len(b.Data)) != length {
		return fmt.Errorf("%d bytes instead of %d", len(b.Data), length)
	}
	copy(p, b.Data[in:])
	return nil
}

// readRaw reads stored bytes of the image.
func (s *squashfs) readRaw(p []byte, at int64) error {
	if at < s.size || at > s.end-int64(len(p)) {
		return fmt.Errorf("%d bytes at 0x%x are outside of the file system", len(p), at)
	}
	n, err := s.data.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	return err
}

// unpackBlock decodes the packed block at a place, which must fill dst.
func (s *squashfs) unpackBlock(dst []byte, at int64, size uint32) error {
	n, err := s.unpack(dst, at, size)
	if err == nil && n != len(dst) {
		err = fmt.Errorf("%d unpacked bytes instead of %d", n, len(dst))
	}
	return err
}

func (s *squashfs) unpack(dst []byte, at int64, size uint32) (int, error) {
	if at < s.size || size > s.super.BlockSize || at > s.end-int64(size) {
		return 0, fmt.Errorf("%d packed bytes at 0x%x are outside of the file system", size, at)
	}
	n := 0
	err := unpack.With(s.data, at, int64(size), func(src []byte) (err error) {
		n, err = s.decode(src, dst)
		return err
	})
	return n, err
}

// readFragment fills p from offset in of the file's end, which is length bytes
// of a fragment.
func (f *squashFile) readFragment(p []byte, in, length int64) error {
	if int64(f.frag) >= int64(len(f.s.frags)) {
		return fmt.Errorf("fragment %d of %d", f.frag, len(f.s.frags))
	}
	frag := f.s.frags[f.frag]
	from := int64(f.fragOffset) + in
	if int64(f.fragOffset)+length > int64(f.s.super.BlockSize) {
		return fmt.Errorf("%d bytes at %d of a fragment", length, f.fragOffset)
	}
	if frag.size&squashStored != 0 {
		if from+int64(len(p)) > int64(frag.size&^squashStored) {
			return fmt.Errorf("%d bytes at %d of a stored fragment of %d", length, f.fragOffset, frag.size&^squashStored)
		}
		return f.s.readRaw(p, frag.start+from)
	}
	b, err := f.s.blocks.Get(int64(f.frag), f.s.unpackFragment, func() { f.s.lookAhead(int64(f.frag)) })
	if err != nil {
		return fmt.Errorf("fragment %d: %w", f.frag, err)
	}
	if from+int64(len(p)) > int64(len(b.Data)) {
		return fmt.Errorf("%d bytes at %d of a fragment of %d", length, f.fragOffset, len(b.Data))
	}
	copy(p, b.Data[from:])
	return nil
}

func (s *squashfs) unpackFragment(i int64) ([]byte, int64, error) {
	dst := make([]byte, s.super.BlockSize)
	n, err := s.unpack(dst, s.frags[i].start, s.frags[i].size)
	return dst[:n], 0, err
}

// lookAhead decodes the next fragment that nobody works on. Readers that visit
// files in order meet in the same fragment: instead of waiting for each other
// they prepare what comes next.
func (s *squashfs) lookAhead(i int64) {
	for next := i + 1; next < min(i+8, int64(len(s.frags))); next++ {
		f := s.frags[next]
		if f.size&squashStored == 0 && s.blocks.Ahead(next, s.unpackFragment) {
			return
		}
	}
}
