package archive

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// Types of blocks and of records in a block's extra area, and flags, of RAR 5.
const (
	rar5Main       = 1
	rar5File       = 2
	rar5Service    = 3
	rar5Encryption = 4
	rar5End        = 5

	rar5RecordEncrypted = 1
	rar5RecordHash      = 2
	rar5RecordTime      = 3
	rar5RecordVersion   = 4
	rar5RecordLink      = 5
	rar5RecordOwner     = 6
	rar5RecordService   = 7

	rar5MaxHeader = 2 << 20
)

// rar5Fields reads numbers of seven bits a byte; bad is set for good once they
// end too early.
type rar5Fields struct {
	b   []byte
	bad bool
}

func (r *rar5Fields) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *rar5Fields) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad = true
		return make([]byte, min(n, 8))
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// length is a number that is the size of something.
func (r *rar5Fields) length() int64 {
	v := r.number()
	if v > 1<<56 {
		r.bad = true
		return 0
	}
	return int64(v)
}

// rar5Head is what every block has.
type rar5Head struct {
	kind, flags uint64
	data        int64  // size of what follows the block
	extra       []byte // records
	rar5Fields         // what only its type has
}

// block5 reads the block at an offset: checksum, size, type, flags, sizes of
// the extra area and of what follows.
func (r *rar) block5(at int64, first bool) (next int64, last bool, err error) {
	sum, err := unpack.ReadFull(r.in.Data, at, 4)
	if err != nil {
		return 0, false, errRarBlock
	}
	size, n := binary.Uvarint(unpack.ReadSome(r.in.Data, at+4, 4))
	if n <= 0 || n > 3 || size == 0 || size > rar5MaxHeader {
		return 0, false, errRarBlock
	}
	b, err := unpack.ReadFull(r.in.Data, at+4, int64(n)+int64(size))
	if err != nil || crc32.ChecksumIEEE(b) != binary.LittleEndian.Uint32(sum) {
		return 0, false, errRarBlock
	}
	next = at + 4 + int64(len(b))
	h := &rar5Head{rar5Fields: rar5Fields{b: b[n:]}}
	h.kind, h.flags = h.number(), h.number()
	extra := uint64(0)
	if h.flags&1 != 0 {
		extra = h.number()
	}
	if h.flags&2 != 0 {
		h.data = h.length()
	}
	if h.bad || extra > uint64(len(h.b)) || first && h.kind != rar5Main && h.kind != rar5Encryption {
		return 0, false, errRarBlock
	}
	h.extra, h.b = h.b[uint64(len(h.b))-extra:], h.b[:uint64(len(h.b))-extra]
	switch h.kind {
	case rar5Main:
		r.main5(h)
	case rar5File, rar5Service:
		f := r.file5(h, next)
		if h.bad {
			return 0, false, errRarBlock
		}
		r.files = append(r.files, f)
	case rar5Encryption:
		r.encryptedFrom(next)
		return r.in.Data.Size(), true, nil
	case rar5End:
		return next + h.data, true, nil
	default:
		if h.data > 0 {
			r.o.Gaps = append(r.o.Gaps, unpack.Gap{Offset: next, Size: min(h.data, r.in.Data.Size()-next), Reason: "unknown", Note: fmt.Sprintf("rar: a block of type %d", h.kind)})
		}
	}
	return next + h.data, false, nil
}

func (r *rar) main5(h *rar5Head) {
	flags := h.number()
	if flags&1 != 0 {
		number := uint64(0)
		if flags&2 != 0 {
			number = h.number()
		}
		r.o.Info["volumes"] = fmt.Sprintf("number %d of several", number+1)
	}
}

// file5 reads the header of a file or of a service's data.
func (r *rar) file5(h *rar5Head, at int64) *rarFile {
	le := binary.LittleEndian
	f := &rarFile{at: at, packed: h.data, before: h.flags&8 != 0, after: h.flags&16 != 0}
	e := &f.entry
	e.Order = at
	flags := h.number()
	f.size, f.unknown = h.length(), flags&8 != 0
	attributes := h.number()
	if flags&2 != 0 {
		e.ModTime = rarUnixTime(uint64(le.Uint32(h.bytes(4))))
	}
	if flags&4 != 0 {
		f.sum = bigEndian32(le.Uint32(h.bytes(4)))
	}
	pack, host := h.number(), h.number()
	f.stored, f.solid = pack>>7&7 == 0, pack&0x40 != 0
	switch version := pack & 0x3f; {
	case version == 0, version == 1 && pack&(1<<20) != 0: // a larger dictionary alone
		f.version = 50
	case version == 1:
		f.version = 70
	default:
		f.version = 100 + int(version)
	}
	name := string(h.bytes(h.number()))
	e.Path, e.Mode = strings.ReplaceAll(name, "\x00", ""), rarMode(host == 1, flags&1 != 0, attributes)
	records := &rar5Fields{b: h.extra}
	for len(records.b) > 0 && !records.bad {
		rec := &rar5Fields{b: records.bytes(records.number())}
		if records.bad {
			break
		}
		f.record5(rec, rec.number())
		h.bad = h.bad || rec.bad
	}
	h.bad = h.bad || records.bad || name == ""
	if h.kind == rar5Service {
		f.service, e.Path = name, r.lastFile()
	}
	return f
}

// record5 reads one record of a file's extra area.
func (f *rarFile) record5(rec *rar5Fields, kind uint64) {
	e := &f.entry
	le := binary.LittleEndian
	switch kind {
	case rar5RecordEncrypted:
		f.encrypted = true
	case rar5RecordHash:
		if rec.number() == 0 && len(rec.b) >= 32 {
			f.sum, f.blake = rec.b[:32], true
		}
	case rar5RecordTime:
		switch flags := rec.number(); {
		case flags&3 == 3:
			e.ModTime = rarUnixTime(uint64(le.Uint32(rec.bytes(4))))
		case flags&3 == 2:
			e.ModTime = windowsTime(le.Uint64(rec.bytes(8)))
		}
	case rar5RecordVersion:
		rec.number()
		if n := rec.number(); n != 0 {
			e.Path, e.Deleted = fmt.Sprintf("%s;%d", e.Path, n), true
		}
	case rar5RecordLink:
		kind, _ := rec.number(), rec.number()
		target := string(rec.bytes(rec.number()))
		switch kind {
		case 1, 2, 3:
			e.Mode, e.Link = e.Mode&^fs.ModeType|fs.ModeSymlink, target
			if kind != 1 {
				e.Link = strings.ReplaceAll(strings.TrimPrefix(target, `\??\`), "\\", "/")
			}
		case 4, 5:
			f.hardLink, f.copied = target, kind == 5
		}
	case rar5RecordOwner:
		flags := rec.number()
		for bit := uint64(1); bit <= 2; bit <<= 1 {
			if flags&bit != 0 {
				rec.bytes(rec.number())
			}
		}
		if flags&4 != 0 {
			e.UID = int(rec.number() & 0x7fffffff)
		}
		if flags&8 != 0 {
			e.GID = int(rec.number() & 0x7fffffff)
		}
	case rar5RecordService:
		f.stream = strings.TrimSuffix(string(rec.b), ":$DATA")
	}
}
