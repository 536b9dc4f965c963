package volume

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// hfsCompressed is the attribute of files that macOS compresses. Layout: Apple's
// bsd/sys/decmpfs.h; the numbers of the methods are those that ditto writes.
const hfsCompressed = "com.apple.decmpfs"

const decmpfsBlock = 64 << 10

var errDecmpfs = errors.New("a compressed file is damaged")

// decmpfs is the content of a compressed file. Small ones stand in the attribute,
// others in the resource fork, in blocks of 64 KiB.
func decmpfs(head []byte, rsrc unpack.Bytes) (unpack.Bytes, error) {
	if len(head) < 16 || string(head[:4]) != "fpmc" {
		return nil, errDecmpfs
	}
	kind, size := binary.LittleEndian.Uint32(head[4:]), int64(binary.LittleEndian.Uint64(head[8:]))
	if size < 0 || size > 1<<40 {
		return nil, errDecmpfs
	}
	methods := map[uint32]struct {
		method string
		inFork bool
	}{1: {"stored", false}, 3: {"zlib", false}, 4: {"zlib", true}, 7: {"lzvn", false}, 8: {"lzvn", true}, 9: {"stored", false}, 10: {"stored", true}, 11: {"lzfse", false}, 12: {"lzfse", true}}
	m, ok := methods[kind]
	if !ok {
		return nil, fmt.Errorf("compressed by method %d: %w", kind, unpack.ErrUnsupported)
	}
	if !m.inFork {
		if size > 1<<20 {
			return nil, errDecmpfs
		}
		out, err := decmpfsUnpack(m.method, head[16:], size, kind != 1)
		return unpack.Slice(out), err
	}
	if rsrc == nil || rsrc.Size() == 0 {
		return nil, errDecmpfs
	}
	f := &decmpfsFile{rsrc: rsrc, method: m.method, size: size, cache: unpack.NewBlockCache(1 << 20)}
	return f, f.readTable()
}

// decmpfsUnpack unpacks a block. A first byte that the method never begins with
// marks what is stored as it is.
func decmpfsUnpack(method string, p []byte, size int64, marked bool) ([]byte, error) {
	stored := method == "stored"
	if len(p) > 0 && marked {
		switch {
		case method == "zlib" && p[0]&15 == 15, method == "lzvn" && p[0] == 6, method == "lzfse" && p[0] == 0xff, stored:
			p, stored = p[1:], true
		}
	}
	out := make([]byte, size)
	n, err := 0, error(nil)
	switch {
	case stored:
		if int64(len(p)) < size {
			return nil, errDecmpfs
		}
		n = copy(out, p)
	case method == "lzvn":
		n, err = lzvn(out, p)
	case method == "lzfse":
		n, err = lzfse(out, p)
	default:
		n, err = unpack.Decompress(method, p, out)
	}
	if err == nil && int64(n) != size {
		err = errDecmpfs
	}
	return out, err
}

// decmpfsFile is a file whose blocks are in the resource fork.
type decmpfsFile struct {
	rsrc   unpack.Bytes
	method string
	size   int64
	places []int64 // of the blocks, and the end of the last
	ends   []int64
	cache  *unpack.BlockCache
}

// readTable finds the blocks: zlib's in a resource as the Mac's always were,
// those of the others behind a list of offsets.
func (f *decmpfsFile) readTable() error {
	count := (f.size + decmpfsBlock - 1) / decmpfsBlock
	if count > f.rsrc.Size() {
		return errDecmpfs
	}
	base, width := int64(0), int64(4)
	if f.method == "zlib" {
		head, err := unpack.ReadFull(f.rsrc, 0, 16)
		if err != nil {
			return errDecmpfs
		}
		base, width = int64(binary.BigEndian.Uint32(head))+4, 8
		n, err := unpack.ReadFull(f.rsrc, base, 4)
		if err != nil || int64(binary.LittleEndian.Uint32(n)) != count {
			return errDecmpfs
		}
		if count*8 > f.rsrc.Size() {
			return errDecmpfs
		}
		p, err := unpack.ReadFull(f.rsrc, base+4, count*width)
		if err != nil {
			return errDecmpfs
		}
		for ; len(p) > 0; p = p[8:] {
			at := base + int64(binary.LittleEndian.Uint32(p))
			f.places, f.ends = append(f.places, at), append(f.ends, at+int64(binary.LittleEndian.Uint32(p[4:])))
		}
		return nil
	}
	p, err := unpack.ReadFull(f.rsrc, 0, (count+1)*width)
	if err != nil {
		return errDecmpfs
	}
	for ; len(p) >= 8; p = p[4:] {
		f.places = append(f.places, int64(binary.LittleEndian.Uint32(p)))
		f.ends = append(f.ends, int64(binary.LittleEndian.Uint32(p[4:])))
	}
	return nil
}

// Size implements unpack.Bytes.
func (f *decmpfsFile) Size() int64 { return f.size }

// ReadAt implements unpack.Bytes.
func (f *decmpfsFile) ReadAt(p []byte, off int64) (int, error) {
	return readBlocks(p, off, f.size, decmpfsBlock, func(p []byte, i, skip int64) error {
		b, err := f.cache.Get(i, f.block, nil)
		if err == nil {
			copy(p, b.Data[skip:])
		}
		return err
	})
}

func (f *decmpfsFile) block(i int64) ([]byte, int64, error) {
	if n := f.ends[i] - f.places[i]; n < 0 || n > 2*decmpfsBlock {
		return nil, 0, errDecmpfs
	}
	p, err := unpack.ReadFull(f.rsrc, f.places[i], f.ends[i]-f.places[i])
	if err != nil {
		return nil, 0, err
	}
	out, err := decmpfsUnpack(f.method, p, min(decmpfsBlock, f.size-i*decmpfsBlock), true)
	return out, 0, err
}
