package flash

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/doorward/doorward/internal/unpack"
)

// Flags of extended block pointers.
const (
	cramfsStored = 1 << 31
	cramfsDirect = 1 << 30
)

// cramfsFile is the content of a file or the target of a link: a table of
// pointers, then the blocks.
type cramfsFile struct {
	c      *cramfs
	offset int64
	size   int64
}

// Size implements Bytes.
func (f *cramfsFile) Size() int64 { return f.size }

// ReadAt implements Bytes. Whole blocks are decoded straight into p.
func (f *cramfsFile) ReadAt(p []byte, off int64) (int, error) {
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
	blockSize := f.c.blockSize
	for n := 0; n < len(p); {
		index, in := (off+int64(n))/blockSize, (off+int64(n))%blockSize
		length := min(blockSize, f.size-index*blockSize)
		k := int(min(length-in, int64(len(p)-n)))
		dst := p[n : n+k : n+k]
		if int64(k) < length {
			dst = make([]byte, length)
		}
		if err := f.block(dst, index); err != nil {
			return n, fmt.Errorf("cramfs: block %d: %w", index, err)
		}
		if int64(k) < length {
			copy(p[n:n+k], dst[in:])
		}
		n += k
	}
	return len(p), eof
}

// block decodes a block, which must fill dst.
func (f *cramfsFile) block(dst []byte, index int64) error {
	start, size, stored, err := f.place(index, int64(len(dst)))
	if err != nil {
		return err
	}
	if size == 0 {
		clear(dst) // a hole
		return nil
	}
	if size < 0 || size > 2*f.c.blockSize || start < cramfsSuperSize || start > f.c.size-size {
		return fmt.Errorf("%d packed bytes at 0x%x are outside of the file system", size, start)
	}
	src, err := unpack.ReadFull(f.c.data, start, size)
	if err != nil {
		return err
	}
	if stored {
		if len(src) > len(dst) {
			return fmt.Errorf("%d stored bytes instead of %d", len(src), len(dst))
		}
		clear(dst[copy(dst, src):])
		return nil
	}
	return cramfsUnpack(src, dst)
}

// cramfsUnpack decodes a block: zlib, or the LZMA of some makers, whose blocks
// begin with the coder's five bytes of properties and the unpacked size in four
// (OpenRG) or eight bytes.
func cramfsUnpack(src, dst []byte) error {
	if cramfsLZMA(src, dst) {
		return nil
	}
	n, err := unpack.Decompress("zlib", src, dst)
	if err == nil && n != len(dst) {
		err = fmt.Errorf("%d unpacked bytes instead of %d", n, len(dst))
	}
	return err
}

// cramfsLZMA decodes a block that has such a head; false if it is none.
func cramfsLZMA(src, dst []byte) bool {
	for _, head := range []int{9, unpack.LZMAHeaderSize} {
		if len(src) <= head || src[0] >= 225 || binary.LittleEndian.Uint32(src[5:]) != uint32(len(dst)) || (head > 9 && binary.LittleEndian.Uint32(src[9:]) != 0) {
			continue
		}
		if n, err := unpack.DecompressLZMA(src[0], src[head:], dst); err == nil && n == len(dst) {
			return true
		}
	}
	return false
}

// pointer reads a pointer of the table.
func (f *cramfsFile) pointer(index int64) (uint32, error) {
	at := f.offset + 4*index
	if f.offset < cramfsSuperSize || at > f.c.size-4 {
		return 0, errors.New("the table of blocks is outside of the file system")
	}
	p, err := unpack.ReadFull(f.c.data, at, 4)
	if err != nil {
		return 0, err
	}
	return f.c.order.Uint32(p), nil
}

// place finds a block of the given decoded length. A pointer tells where the
// block ends; it starts where the one before ends. An extended one may tell
// where it starts instead, and that it is stored as it is.
func (f *cramfsFile) place(index, length int64) (start, size int64, stored bool, err error) {
	p, err := f.pointer(index)
	if err != nil {
		return 0, 0, false, err
	}
	if f.c.flags&cramfsExtended != 0 {
		stored = p&cramfsStored != 0
		if p&cramfsDirect != 0 {
			start, size, err = f.direct(p, length)
			return start, size, stored, err
		}
		p &^= cramfsStored
	}
	if index == 0 {
		start = f.offset + 4*((f.size+f.c.blockSize-1)/f.c.blockSize)
		return start, int64(p) - start, stored, nil
	}
	before, err := f.pointer(index - 1)
	if err != nil {
		return 0, 0, false, err
	}
	start = int64(before)
	if f.c.flags&cramfsExtended != 0 {
		start = int64(before &^ (cramfsStored | cramfsDirect))
		if before&cramfsDirect != 0 {
			begin, size, err := f.direct(before, f.c.blockSize)
			if err != nil {
				return 0, 0, false, err
			}
			start = begin + size
		}
	}
	return start, int64(p) - start, stored, nil
}

// direct follows a pointer to a block's start. A packed block has its length
// before it.
func (f *cramfsFile) direct(p uint32, length int64) (start, size int64, err error) {
	start = int64(p&^(cramfsStored|cramfsDirect)) << 2
	if p&cramfsStored != 0 {
		return start, length, nil
	}
	b, err := unpack.ReadFull(f.c.data, start, 2)
	if err != nil {
		return 0, 0, err
	}
	return start + 2, int64(f.c.order.Uint16(b)), nil
}

// end is where the last block ends; 0 if that can't be told.
func (f *cramfsFile) end() int64 {
	if f.c.blockSize == 0 || f.size == 0 {
		return 0
	}
	p, err := f.pointer((f.size - 1) / f.c.blockSize)
	if err != nil {
		return 0
	}
	return int64(p)
}

// chooseBlockSize finds the size of blocks, which is the page size of the
// machine that the image was made for and stands nowhere: with the right one
// the first block of a file has that many bytes.
func (c *cramfs) chooseBlockSize(root cramfsInode) {
	c.blockSize = 4096
	sizes := []int64{4096, 8192, 16384, 65536, 32768, 2048, 1024}
	tries := 0
	todo := []cramfsInode{root}
	seen := map[int64]bool{}
	for len(todo) > 0 && tries < 50 {
		dir := todo[0]
		todo = todo[1:]
		if seen[dir.offset] || len(seen) > 1000 {
			continue
		}
		seen[dir.offset] = true
		_ = c.list(dir, func(_ string, i cramfsInode) bool {
			mode := unpack.UnixMode(i.mode)
			switch {
			case mode.IsDir():
				todo = append(todo, i)
			case mode.IsRegular() && i.size > 1024:
				tries++
				if c.blockSizeOf(i, sizes) {
					tries = 50
				}
			}
			return tries < 50
		})
	}
	c.names = 0
}

// blockSizeOf tries a file. It tells nothing if it is shorter than a block of
// the size that fits, since longer ones would fit too.
func (c *cramfs) blockSizeOf(i cramfsInode, sizes []int64) bool {
	for _, size := range sizes {
		f := &cramfsFile{&cramfs{data: c.data, order: c.order, flags: c.flags, size: c.size, blockSize: size}, i.offset, i.size}
		_, packed, _, err := f.place(0, min(size, i.size))
		if err == nil && packed > 0 && f.block(make([]byte, min(size, i.size)), 0) == nil {
			if i.size > size {
				c.blockSize = size
				return true
			}
			return false
		}
	}
	return false
}
