package flash

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/doorward/doorward/internal/unpack"
)

var errSquashMeta = errors.New("metadata block outside of the file system")

// metaBlock decodes the metadata block at a place: two bytes of length, whose
// highest bit says that it is stored as it is, then the data. Old versions may
// have a marker byte between them.
func (s *squashfs) metaBlock(at int64) ([]byte, int64, error) {
	if at < s.size || at > s.end-2 {
		return nil, 0, errSquashMeta
	}
	head := unpack.ReadSome(s.data, at, 2)
	if len(head) < 2 {
		return nil, 0, io.ErrUnexpectedEOF
	}
	size := int64(s.lengths.Uint16(head))
	stored := size&0x8000 != 0
	size &= 0x7fff
	from := at + 2
	if s.marked() {
		from++
	}
	if size == 0 || size > squashMetaSize || from+size > s.end {
		return nil, 0, fmt.Errorf("metadata block at 0x%x: impossible length %d", at, size)
	}
	src, err := unpack.ReadFull(s.data, from, size)
	if err != nil || stored {
		return src, from + size, err
	}
	dst := make([]byte, squashMetaSize)
	n, err := s.decode(src, dst)
	if err == nil && n == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, 0, fmt.Errorf("metadata block at 0x%x: %w", at, err)
	}
	return dst[:n], from + size, nil
}

// chooseLengths finds the byte order of the blocks' lengths: AVM's packer has
// them little-endian in file systems that are big-endian otherwise. From the
// first inode they lead to the folders.
func (s *squashfs) chooseLengths() {
	s.lengths = s.order
	if s.order == binary.BigEndian && s.super.Major == 4 && !s.leads() {
		if s.lengths = binary.LittleEndian; !s.leads() {
			s.lengths = s.order
		}
	}
}

func (s *squashfs) leads() bool {
	at := int64(s.super.InodeTable)
	for range 64 {
		head := unpack.ReadSome(s.data, at, 2)
		if len(head) < 2 || at >= int64(s.super.DirTable) {
			break
		}
		size := int64(s.lengths.Uint16(head)) & 0x7fff
		if size == 0 || size > squashMetaSize {
			return false
		}
		at += 2 + size
	}
	return at <= int64(s.super.DirTable)
}

// metaReader reads metadata across blocks.
type metaReader struct {
	s    *squashfs
	data []byte // of the block under way, from the position on
	next int64
	err  error
}

// metaAt starts to read at an offset of the metadata block at a place.
func (s *squashfs) metaAt(place int64, offset int) *metaReader {
	m := &metaReader{s: s, next: place}
	m.load()
	if m.err == nil && offset > len(m.data) {
		m.err = fmt.Errorf("offset %d in a metadata block of %d bytes", offset, len(m.data))
	}
	if m.err == nil {
		m.data = m.data[offset:]
	}
	return m
}

func (m *metaReader) load() {
	b, err := m.s.meta.Get(m.next, m.s.metaBlock, nil)
	if err != nil {
		m.data, m.err = nil, err
		return
	}
	m.data, m.next = b.Data, b.After
}

// take returns the next n bytes; they must not be changed. On an error, which
// stays in err, it returns zeros, so that fixed fields need one check at the
// end.
func (m *metaReader) take(n int) []byte {
	if m.err == nil && len(m.data) >= n {
		p := m.data[:n]
		m.data = m.data[n:]
		return p
	}
	p := make([]byte, 0, min(n, squashMetaSize))
	for len(p) < n && m.err == nil {
		if len(m.data) == 0 {
			m.load()
			continue
		}
		k := min(n-len(p), len(m.data))
		p = append(p, m.data[:k]...)
		m.data = m.data[k:]
	}
	if m.err != nil {
		return make([]byte, min(n, 64))
	}
	return p
}

func (m *metaReader) u16() uint16 { return m.s.order.Uint16(m.take(2)) }
func (m *metaReader) u32() uint32 { return m.s.order.Uint32(m.take(4)) }
func (m *metaReader) u64() uint64 { return m.s.order.Uint64(m.take(8)) }

// tables reads the tables of owners, fragments and extended attributes. A
// table that can't be read leaves the others alone.
func (s *squashfs) tables() error {
	if s.super.Major < 4 {
		return s.oldTables()
	}
	ids, err := s.table(int64(s.super.IDTable), int64(s.super.IDs), 4)
	for ; len(ids) >= 4; ids = ids[4:] {
		s.ids = append(s.ids, s.order.Uint32(ids))
	}
	var fragErr error
	if n := int64(s.super.Fragments); n > 0 {
		var raw []byte
		raw, fragErr = s.table(int64(s.super.FragTable), n, 16)
		s.frags = make([]squashFragment, 0, len(raw)/16)
		for ; len(raw) >= 16; raw = raw[16:] {
			s.frags = append(s.frags, squashFragment{int64(s.order.Uint64(raw) & (1<<63 - 1)), s.order.Uint32(raw[8:])})
		}
	}
	var xattrErr error
	if s.super.XattrTable != ^uint64(0) && s.super.Flags&squashNoXattrs == 0 {
		xattrErr = s.openXattrs(int64(s.super.XattrTable))
	}
	return errors.Join(err, fragErr, xattrErr)
}

// table reads count records of the given size, which divides the size of a
// metadata block, through the list of block places at a place.
func (s *squashfs) table(at, count, size int64) ([]byte, error) {
	perBlock := squashMetaSize / size
	blocks := (count + perBlock - 1) / perBlock
	width := int64(8) // of a place
	if s.super.Major < 3 {
		width = 4
	}
	if at < 0 || at > s.end || blocks > (s.end-at)/width {
		return nil, fmt.Errorf("squashfs: table of %d records at 0x%x is outside of the file system", count, at)
	}
	index, err := unpack.ReadFull(s.data, at, blocks*width)
	if err != nil {
		return nil, fmt.Errorf("squashfs: table: %w", err)
	}
	var out []byte
	for ; len(index) >= int(width); index = index[width:] {
		place := int64(s.order.Uint32(index))
		if width == 8 {
			place = int64(s.order.Uint64(index))
		}
		b, err := s.meta.Get(place, s.metaBlock, nil)
		if err != nil {
			return out, fmt.Errorf("squashfs: table at 0x%x: %w", at, err)
		}
		want := min(count*size-int64(len(out)), squashMetaSize)
		if int64(len(b.Data)) < want {
			return out, fmt.Errorf("squashfs: table at 0x%x: short block", at)
		}
		out = append(out, b.Data[:want]...)
	}
	return out, nil
}

func (s *squashfs) id(i uint16) (int, error) {
	if int(i) >= len(s.ids) {
		return 0, fmt.Errorf("owner number %d of %d", i, len(s.ids))
	}
	return int(s.ids[i]), nil
}

// squashXattrs is the table of extended attributes.
type squashXattrs struct {
	start int64
	ids   []byte // 16 bytes each: reference, count, size
	known map[uint32]map[string]string
	bytes int // of all values decoded so far
}

func (s *squashfs) openXattrs(at int64) error {
	head, err := unpack.ReadFull(s.data, at, 16)
	if err != nil || at+16 > s.end {
		return fmt.Errorf("squashfs: table of extended attributes: %w", io.ErrUnexpectedEOF)
	}
	s.xattrs.start = int64(s.order.Uint64(head))
	s.xattrs.known = map[uint32]map[string]string{}
	s.xattrs.ids, err = s.table(at+16, int64(s.order.Uint32(head[8:])), 16)
	return err
}

var squashXattrPrefix = []string{"user.", "trusted.", "security."}

// xattrsOf reads the attributes of one record. Files with equal attributes
// share it.
func (s *squashfs) xattrsOf(i uint32) (map[string]string, error) {
	if known, ok := s.xattrs.known[i]; ok {
		return known, nil
	}
	if int64(i) >= int64(len(s.xattrs.ids)/16) {
		return nil, fmt.Errorf("extended attributes number %d of %d", i, len(s.xattrs.ids)/16)
	}
	rec := s.xattrs.ids[i*16:]
	ref, count := s.order.Uint64(rec), s.order.Uint32(rec[8:])
	m := s.metaRef(s.xattrs.start, ref)
	list := map[string]string{}
	for range count {
		kind := m.u16()
		name := string(m.take(int(m.u16())))
		value, err := s.xattrValue(m, kind&0x100 != 0)
		if err != nil {
			return list, err
		}
		if s.xattrs.bytes += len(name) + len(value); len(list) > 1000 || s.xattrs.bytes > unpack.MaxXattrs {
			return list, fmt.Errorf("%w: extended attributes take too much room", unpack.ErrLimit)
		}
		if int(kind&0xff) < len(squashXattrPrefix) {
			name = squashXattrPrefix[kind&0xff] + name
		}
		list[name] = value
	}
	s.xattrs.known[i] = list
	return list, nil
}

// xattrValue reads a value, or the reference to it where several files share
// one.
func (s *squashfs) xattrValue(m *metaReader, elsewhere bool) (string, error) {
	size := m.u32()
	if elsewhere {
		ref := m.u64()
		if m.err != nil {
			return "", m.err
		}
		m = s.metaRef(s.xattrs.start, ref)
		size = m.u32()
	}
	if m.err == nil && size > unpack.MaxXattr {
		return "", fmt.Errorf("an extended attribute of %d bytes", size)
	}
	value := m.take(int(min(size, unpack.MaxXattr)))
	return string(value), m.err
}

// metaRef starts to read at a reference, relative to the start of a table.
func (s *squashfs) metaRef(start int64, ref uint64) *metaReader {
	place := int64(ref >> 16)
	if start < 0 || start > s.end || place > s.end {
		return &metaReader{s: s, err: errSquashMeta}
	}
	return s.metaAt(start+place, int(ref&0xffff))
}
