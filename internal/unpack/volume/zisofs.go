package volume

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/doorward/doorward/internal/unpack"
)

// Zisofs opens files in the compressed format of ISO 9660 discs where no disc
// says that they are: on a disc without Rock Ridge, or packed for one. Layout:
// libisofs, doc/zisofs_format.txt and doc/zisofs2_format.txt.
var Zisofs = &unpack.Reader{
	Name:    "zisofs",
	Doc:     "files compressed for ISO 9660 discs: zisofs 1 and 2, with zlib",
	Limits:  "the other compressors that zisofs 2 foresees, which no tool writes",
	Checked: "mkzftree and xorriso, with all block sizes",
	Magics:  []unpack.Magic{{At: 0, Bytes: zisofsMagic}, {At: 0, Bytes: zisofs2Magic}},
	Carve:   true,
	Open:    openZisofs,
}

const (
	zisofsMagic  = "\x37\xe4\x53\x96\xc9\xdb\xd6\x07"
	zisofs2Magic = "\xef\x22\x55\xa1\xbc\x1b\x95\xa0"
)

// zisofsHead is what a file's header says, or the entry ZF of Rock Ridge.
type zisofsHead struct {
	version int
	size    int64 // unpacked
	table   int64 // offset of the block pointers
	shift   uint  // log2 of the block size
}

func parseZisofs(p []byte) (h zisofsHead, err error) {
	le := binary.LittleEndian
	switch {
	case len(p) >= 16 && string(p[:8]) == zisofsMagic:
		h = zisofsHead{1, int64(le.Uint32(p[8:])), int64(p[12]) * 4, uint(p[13])}
	case len(p) >= 24 && string(p[:8]) == zisofs2Magic:
		h = zisofsHead{2, int64(le.Uint64(p[12:])), int64(p[9]) * 4, uint(p[11])}
		if p[8] != 0 || p[10] != 1 {
			return h, fmt.Errorf("zisofs: version %d, compressor %d: %w", p[8], p[10], unpack.ErrUnsupported)
		}
	default:
		return h, unpack.ErrNotThis
	}
	return h, h.check()
}

func (h zisofsHead) check() error {
	if h.shift < 15 || h.shift > 20 || h.version == 1 && (h.shift > 17 || h.table < 16) || h.version == 2 && h.table < 24 || h.size < 0 || h.size > 1<<48 {
		return errZisofsHead
	}
	return nil
}

var errZisofsHead = errors.New("zisofs: a damaged header")

func (h zisofsHead) blocks() int64  { return (h.size + 1<<h.shift - 1) >> h.shift }
func (h zisofsHead) pointer() int64 { return int64(h.version) * 4 }

// dataStart is where the first block may lie.
func (h zisofsHead) dataStart() int64 { return h.table + (h.blocks()+1)*h.pointer() }

func openZisofs(in *unpack.Input) (*unpack.Object, error) {
	h, err := parseZisofs(unpack.ReadSome(in.Data, 0, 24))
	if errors.Is(err, unpack.ErrUnsupported) && in.Whole {
		return &unpack.Object{Format: "zisofs 2", Size: in.Data.Size(), Err: err}, nil
	}
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	f, err := newZisofs(in.Data, h, zisofsCache())
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	end, err := f.checkTable()
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: fmt.Sprintf("zisofs %d", h.version), Size: min(end, in.Data.Size()), Parts: []unpack.Part{{Data: f, Offset: -1}}}
	if end > in.Data.Size() {
		o.Err = &unpack.CutOff{Format: "zisofs", Missing: end - in.Data.Size(), Of: end}
	}
	if first := f.data.Size() - h.dataStart(); h.size > 0 && first > 0 {
		if _, err := f.ReadAt(make([]byte, 1), 0); err != nil && !in.Whole {
			return nil, unpack.ErrNotThis
		}
	}
	return o, nil
}

// zisofsFile is the unpacked content of a file.
type zisofsFile struct {
	zisofsHead
	data  unpack.Bytes // packed
	id    int64        // tells the blocks of this file from those of others
	cache *unpack.BlockCache
}

func zisofsCache() *unpack.BlockCache { return unpack.NewBlockCache(8 << 20) }

// newZisofs makes the content of a file. The table of pointers must fit, which
// bounds what a file can claim to hold.
func newZisofs(data unpack.Bytes, h zisofsHead, cache *unpack.BlockCache) (*zisofsFile, error) {
	if h.dataStart() > data.Size() {
		return nil, fmt.Errorf("zisofs: the table of %d blocks does not fit in %d bytes", h.blocks(), data.Size())
	}
	return &zisofsFile{h, data, 0, cache}, nil
}

// checkTable looks at all pointers, and returns the end of the last block.
func (f *zisofsFile) checkTable() (int64, error) {
	last := f.dataStart()
	s := unpack.NewSlider(f.data)
	for i := int64(0); i <= f.blocks(); i++ {
		p, err := f.number(s.At(f.table+i*f.pointer(), f.pointer()))
		if err != nil {
			return 0, err
		}
		if p < last || i == 0 && p != last {
			return 0, errors.New("zisofs: the block pointers are out of order")
		}
		last = p
	}
	return last, nil
}

func (f *zisofsFile) number(p []byte) (int64, error) {
	switch {
	case int64(len(p)) < f.pointer():
		return 0, io.ErrUnexpectedEOF
	case f.version == 1:
		return int64(binary.LittleEndian.Uint32(p)), nil
	}
	n := int64(binary.LittleEndian.Uint64(p))
	if n < 0 {
		return 0, errZisofsHead
	}
	return n, nil
}

// Size implements unpack.Bytes.
func (f *zisofsFile) Size() int64 { return f.size }

// ReadAt implements unpack.Bytes.
func (f *zisofsFile) ReadAt(p []byte, off int64) (int, error) {
	return readBlocks(p, off, f.size, int64(1)<<f.shift, f.block)
}

// block copies block i from skip on, or zeros for one that is not stored.
func (f *zisofsFile) block(p []byte, i, skip int64) error {
	ptr, err := unpack.ReadFull(f.data, f.table+i*f.pointer(), 2*f.pointer())
	if err != nil {
		return err
	}
	from, _ := f.number(ptr)
	to, err := f.number(ptr[f.pointer():])
	room := int64(1) << f.shift
	switch {
	case err != nil || from < f.dataStart() || to < from || to > f.data.Size() || to-from > 2*room:
		return fmt.Errorf("zisofs: block %d has no possible place", i)
	case from == to:
		clear(p)
		return nil
	}
	b, err := f.cache.Get(f.id+from, func(int64) ([]byte, int64, error) {
		data, err := f.decode(from, to, min(room, f.size-i<<f.shift))
		return data, 0, err
	}, nil)
	if err != nil {
		return fmt.Errorf("zisofs: block %d: %w", i, err)
	}
	if skip+int64(len(p)) > int64(len(b.Data)) {
		return fmt.Errorf("zisofs: block %d is too short", i)
	}
	copy(p, b.Data[skip:])
	return nil
}

func (f *zisofsFile) decode(from, to, size int64) ([]byte, error) {
	packed, err := unpack.ReadFull(f.data, from, to-from)
	if err != nil {
		return nil, err
	}
	out := make([]byte, size)
	n, err := unpack.Decompress("zlib", packed, out)
	if err == nil && int64(n) != size {
		err = io.ErrUnexpectedEOF
	}
	return out[:n], err
}

// lateZisofs is the content of a file of which a disc says what it unpacks to,
// compared with the file's own header when it is read.
type lateZisofs struct{ *zisofsFile }

// ReadAt implements unpack.Bytes.
func (f lateZisofs) ReadAt(p []byte, off int64) (int, error) {
	magic := zisofsMagic
	if f.version == 2 {
		magic = zisofs2Magic
	}
	if !bytes.HasPrefix(unpack.ReadSome(f.data, 0, 8), []byte(magic)) {
		return 0, errors.New("zisofs: the file is not compressed as its directory says")
	}
	h, err := parseZisofs(unpack.ReadSome(f.data, 0, 24))
	if err == nil && h != f.zisofsHead {
		err = errors.New("zisofs: the file's header and its directory disagree")
	}
	if err != nil {
		return 0, err
	}
	return f.zisofsFile.ReadAt(p, off)
}
