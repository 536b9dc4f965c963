package volume

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/doorward/doorward/internal/unpack"
)

// Types of attributes.
const (
	ntfsStandard   = 0x10
	ntfsList       = 0x20
	ntfsFileName   = 0x30
	ntfsVolumeName = 0x60
	ntfsVolumeInfo = 0x70
	ntfsData       = 0x80
	ntfsBitmapAttr = 0xb0
	ntfsReparse    = 0xc0
	ntfsEA         = 0xe0
)

// Flags of attributes.
const (
	ntfsCompressed = 0x00ff
	ntfsEncrypted  = 0x4000
)

// ntfsAttr is an attribute, or one piece of it.
type ntfsAttr struct {
	kind       uint32
	name       string
	flags      uint16
	remote     bool   // the content is in clusters
	value      []byte // or it is here
	runs       []byte
	start      int64 // first cluster that the runs are about
	next       int64 // first that they are not
	size, init int64 // bytes of content, and how many of them were written
	unit       uint  // log2 of the clusters of a compression unit
	more       []ntfsAttr
	home       int64 // the record that it stands in
}

// ntfsFile is a file record with its extensions.
type ntfsFile struct {
	number int64
	seq    uint16
	links  uint16
	flags  uint16
	base   uint64
	attrs  []ntfsAttr
}

func (f *ntfsFile) inUse() bool { return f.flags&1 != 0 }
func (f *ntfsFile) dir() bool   { return f.flags&2 != 0 }

func (f *ntfsFile) find(kind uint32, name string) *ntfsAttr {
	for i := range f.attrs {
		if a := &f.attrs[i]; a.kind == kind && a.name == name {
			return a
		}
	}
	return nil
}

// A reference to a record has its number and, in the upper 16 bits, its
// sequence number, which changes when the record is used anew.
func refNumber(ref uint64) int64 { return int64(ref & (1<<48 - 1)) }
func refSeq(ref uint64) uint16   { return uint16(ref >> 48) }

var errNTFSRecord = errors.New("a damaged file record")

// file reads a record with its extensions.
func (v *ntfs) file(number int64) (*ntfsFile, error) {
	p, err := unpack.ReadFull(v.table, number*v.record, v.record)
	if err != nil {
		return nil, err
	}
	f, err := v.parseRecord(append([]byte(nil), p...), number)
	if err != nil {
		return nil, err
	}
	if f.find(ntfsList, "") != nil && f.base == 0 {
		return f, v.extend(f)
	}
	return f, nil
}

// parseRecord checks a record, whose bytes it changes, and lists its
// attributes.
func (v *ntfs) parseRecord(p []byte, number int64) (*ntfsFile, error) {
	if len(p) < 48 || string(p[:4]) != "FILE" {
		return nil, errNTFSRecord
	}
	if err := ntfsFixup(p); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	f := &ntfsFile{number: number, seq: le.Uint16(p[16:]), links: le.Uint16(p[18:]), flags: le.Uint16(p[22:]), base: le.Uint64(p[32:])}
	at, end := int(le.Uint16(p[20:])), int(le.Uint32(p[24:]))
	if at < 42 || end > len(p) || at > end {
		return nil, errNTFSRecord
	}
	for p = p[at:end]; ; {
		if len(p) < 4 {
			return f, errNTFSRecord
		}
		if le.Uint32(p) == 0xffffffff {
			return f, nil
		}
		if len(p) < 24 {
			return f, errNTFSRecord
		}
		n := int(le.Uint32(p[4:]))
		if n < 24 || n > len(p) {
			return f, errNTFSRecord
		}
		a, err := parseAttr(p[:n])
		if err != nil {
			return f, err
		}
		a.home = number
		f.attrs = append(f.attrs, a)
		p = p[n:]
	}
}

// ntfsFixup puts back the last two bytes of every 512, in whose place there is
// a number that shows if all of a record was written.
func ntfsFixup(p []byte) error {
	le := binary.LittleEndian
	at, n := int(le.Uint16(p[4:])), int(le.Uint16(p[6:]))
	if n != len(p)/512+1 || at < 40 || at+2*n > len(p) {
		return errNTFSRecord
	}
	mark := le.Uint16(p[at:])
	for i := 1; i < n; i++ {
		end := p[i*512-2 : i*512]
		if le.Uint16(end) != mark {
			return errors.New("a record that was written in part only")
		}
		copy(end, p[at+2*i:at+2*i+2])
	}
	return nil
}

// parseAttr reads an attribute's header.
func parseAttr(p []byte) (a ntfsAttr, err error) {
	le := binary.LittleEndian
	a = ntfsAttr{kind: le.Uint32(p), flags: le.Uint16(p[12:]), remote: p[8] != 0}
	name, at := int(p[9]), int(le.Uint16(p[10:]))
	if name > 0 {
		if at+2*name > len(p) {
			return a, errNTFSRecord
		}
		a.name = unpack.UTF16(p[at : at+2*name])
	}
	if !a.remote {
		size, at := int64(le.Uint32(p[16:])), int64(le.Uint16(p[20:]))
		if at+size > int64(len(p)) {
			return a, errNTFSRecord
		}
		a.value, a.size, a.init = p[at:at+size], size, size
		return a, nil
	}
	if len(p) < 64 {
		return a, errNTFSRecord
	}
	a.start, a.next = int64(le.Uint64(p[16:])), int64(le.Uint64(p[24:]))+1
	at = int(le.Uint16(p[32:]))
	a.unit = uint(le.Uint16(p[34:]))
	a.size, a.init = int64(le.Uint64(p[48:])), int64(le.Uint64(p[56:]))
	if at > len(p) || a.start < 0 || a.next < a.start || a.start == 0 && (a.size < 0 || a.init < 0) {
		return a, errNTFSRecord
	}
	a.runs = p[at:]
	return a, nil
}

// maxExtensions bounds how many records one file takes.
const maxExtensions = 4096

// extend adds the attributes of the extension records that a file's list names,
// and joins the pieces of attributes.
func (v *ntfs) extend(f *ntfsFile) error {
	a := f.find(ntfsList, "")
	list, err := v.content(f, *a)
	if err != nil {
		return fmt.Errorf("its list of attributes: %w", err)
	}
	b, err := unpack.ReadAll(list, 1<<20)
	if err != nil {
		return fmt.Errorf("its list of attributes: %w", err)
	}
	le := binary.LittleEndian
	seen := map[int64]bool{f.number: true}
	for len(b) >= 26 {
		n := int(le.Uint16(b[4:]))
		if n < 26 || n > len(b) {
			return errors.New("its list of attributes is damaged")
		}
		ref := le.Uint64(b[16:])
		b = b[n:]
		if number := refNumber(ref); !seen[number] {
			seen[number] = true
			if len(seen) > maxExtensions {
				return errors.New("its list of attributes is too long")
			}
			if err := v.extension(f, number, refSeq(ref)); err != nil {
				return err
			}
		}
	}
	return f.join()
}

func (v *ntfs) extension(f *ntfsFile, number int64, seq uint16) error {
	p, err := unpack.ReadFull(v.table, number*v.record, v.record)
	if err != nil {
		return fmt.Errorf("extension record %d: %w", number, err)
	}
	x, err := v.parseRecord(append([]byte(nil), p...), number)
	if err != nil {
		return fmt.Errorf("extension record %d: %w", number, err)
	}
	if x.seq != seq || refNumber(x.base) != f.number || refSeq(x.base) != f.seq && f.inUse() {
		return fmt.Errorf("extension record %d belongs to another file", number)
	}
	f.attrs = append(f.attrs, x.attrs...)
	return nil
}

// join makes one attribute of pieces.
func (f *ntfsFile) join() error {
	var out []ntfsAttr
	slices.SortStableFunc(f.attrs, func(a, b ntfsAttr) int { return cmp.Compare(a.start, b.start) })
	for _, a := range f.attrs {
		if a.start == 0 {
			out = append(out, a)
			continue
		}
		i := slices.IndexFunc(out, func(o ntfsAttr) bool { return o.kind == a.kind && o.name == a.name && o.remote })
		if i < 0 || out[i].next != a.start {
			return errors.New("a piece of its attributes is missing")
		}
		out[i].more = append(out[i].more, a)
		out[i].next = a.next
	}
	f.attrs = out
	return nil
}
