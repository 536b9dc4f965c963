package archive

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unrar"
)

// Rar opens RAR archives. Layout: the RAR 5.0 archive format's description, and
// technote.txt of RAR 4.
var Rar = &unpack.Reader{
	Name:    "rar",
	Doc:     "RAR archives of versions 3, 4, 5 and 7, solid or not: stored, LZ77 and PPMd, with the packer's filters; CRC-32 and BLAKE2sp, links, owners, alternate streams of NTFS, comments.",
	Limits:  "Packed content of RAR 2 and before is reported, as are encrypted files and headers, and of a set of volumes the files that begin or end in another one. A solid stream over half the memory limit is unread.",
	Checked: "52 files of libarchive's collection of RAR 3 to 5 archives, against libarchive 3.6; an encoder of the tests for both methods",
	Magics:  []unpack.Magic{{At: 0, Bytes: rar4Magic}, {At: 0, Bytes: rar5Magic}},
	Carve:   true,
	Open:    openRar,
}

const (
	rar4Magic     = "Rar!\x1a\x07\x00"
	rar5Magic     = "Rar!\x1a\x07\x01\x00"
	rarMaxComment = 64 << 10
)

// rar is an open archive. Its streams are files, or runs of files of which each
// depends on those before.
type rar struct {
	in      *unpack.Input
	g       *unpack.Gatherer
	o       *unpack.Object
	files   []*rarFile
	streams []rarStream
	current int // the stream that solid files go on with; -1 before the first
	solid   *unpack.Solid
	decoder unrar.Decoder
}

// rarFile is what the headers say of a file, or of a service's data.
type rarFile struct {
	entry     unpack.Entry
	service   string // not a file: CMT, STM, RR ...
	stream    string // of NTFS
	at        int64  // of the content
	packed    int64
	size      int64
	version   int // 29, 50, 70: how it is packed
	stored    bool
	solid     bool
	encrypted bool
	before    bool // begins in another volume
	after     bool // goes on in one
	unknown   bool // the size is not stated
	sum       []byte
	blake     bool   // what sum is; CRC-32 otherwise
	hardLink  string // another file's name: a hard link to it, or a copy
	copied    bool
}

// rarStream is a run of files. broken says why nothing can follow any more.
type rarStream struct {
	files        []*rarFile
	packed, size int64
	broken       error
}

func openRar(in *unpack.Input) (*unpack.Object, error) {
	r := &rar{in: in, g: unpack.NewGatherer(in), o: &unpack.Object{Info: map[string]string{}}, current: -1}
	r.decoder.Memory = in.Budget.Limits.Memory / 4
	r.solid = unpack.NewSolid(in, r.decode)
	magic := string(unpack.ReadSome(in.Data, 0, int64(len(rar5Magic))))
	var ok bool
	switch {
	case magic == rar5Magic:
		r.o.Format = "rar 5"
		ok = r.walk(int64(len(rar5Magic)), r.block5)
	case strings.HasPrefix(magic, rar4Magic):
		r.o.Format = "rar 4"
		ok = r.walk(int64(len(rar4Magic)), r.block4)
	}
	if !ok {
		return nil, unpack.ErrNotThis
	}
	for _, f := range r.files {
		r.place(f)
	}
	r.links()
	for _, f := range r.files {
		if !r.take(f) {
			break
		}
	}
	r.g.Finish(r.o)
	return r.o, nil
}

// walk reads block after block; false if not even the first is one.
func (r *rar) walk(at int64, block func(at int64, first bool) (next int64, last bool, err error)) bool {
	r.o.Size = at
	for first := true; ; first = false {
		next, last, err := block(at, first)
		if err != nil && first {
			return false
		}
		if err == nil && next > r.in.Data.Size() {
			err = &unpack.CutOff{Format: "rar", Missing: next - r.in.Data.Size(), Of: next}
			next = r.in.Data.Size()
		} else if err != nil {
			next = at
		}
		r.o.Size = next
		if err != nil {
			// RAR 2 knew no end block.
			if !(at == r.in.Data.Size() && r.o.Format == "rar 4") {
				r.g.Damage(err)
			}
			return true
		}
		if at = next; last || r.g.Stop() || int64(len(r.files)) > r.in.Budget.Limits.Files {
			return true
		}
	}
}

var errRarBlock = errors.New("rar: a damaged block, or the end is missing")

// place finds out how a file's content is to be read.
func (r *rar) place(f *rarFile) {
	if f.hardLink != "" || f.entry.Mode&(fs.ModeDir|fs.ModeSymlink) != 0 && f.packed == 0 || f.service != "" && f.service != "CMT" && f.service != "STM" {
		return
	}
	name := f.entry.Path
	raw := unpack.Window(r.in.Data, f.at, f.packed)
	fail := func(err error) {
		f.entry.Err = fmt.Errorf("rar: %q: %w", name, err)
		if raw.Size() > 0 {
			f.entry.Data = raw
		}
		// Later files of the stream can't be read either.
		if !f.stored && f.packed > 0 && f.service == "" {
			if !f.solid || r.current < 0 {
				r.current, r.streams = len(r.streams), append(r.streams, rarStream{})
			}
			if s := &r.streams[r.current]; s.broken == nil {
				s.broken = fmt.Errorf("it can be read only behind %q: %w", name, err)
			}
		}
	}
	switch {
	case f.encrypted:
		fail(unpack.ErrEncrypted)
	case f.before || f.after:
		fail(fmt.Errorf("%w: a part of it lies in another volume", unpack.ErrUnsupported))
	case f.unknown:
		fail(fmt.Errorf("%w: its size is not stated", unpack.ErrUnsupported))
	case raw.Size() < f.packed:
		fail(io.ErrUnexpectedEOF)
	case f.stored && f.size != f.packed:
		fail(errDamaged)
	case f.stored:
		if f.size > 0 {
			f.entry.Data = &packedFile{size: f.size, hash: f.newHash(), want: f.sum, open: func() (io.Reader, error) { return io.NewSectionReader(raw, 0, raw.Size()), nil }}
		}
	case f.version != 29 && f.version != 50 && f.version != 70:
		fail(fmt.Errorf("%w: packed by method %d", unpack.ErrUnsupported, f.version))
	case f.size > 0 || f.packed > 0:
		r.pack(f, fail)
	}
}

// pack gives a packed file its place in a stream.
func (r *rar) pack(f *rarFile, fail func(error)) {
	at := r.current
	switch {
	case f.service != "":
		at, r.streams = len(r.streams), append(r.streams, rarStream{})
	case !f.solid:
		at, r.streams = len(r.streams), append(r.streams, rarStream{})
		r.current = at
	case at < 0:
		fail(fmt.Errorf("%w: it can be read only behind a file of another volume", unpack.ErrUnsupported))
		return
	}
	s := &r.streams[at]
	if s.broken != nil {
		fail(s.broken)
		return
	}
	if f.size > 1<<56-s.size {
		fail(errDamaged)
		return
	}
	s.files = append(s.files, f)
	if f.size > 0 {
		f.entry.Data = r.solid.File(at, s.size, f.size, f.check)
	}
	s.packed, s.size = s.packed+f.packed, s.size+f.size
}

func (f *rarFile) newHash() func() hash.Hash {
	switch {
	case f.sum == nil:
		return nil
	case f.blake:
		return unrar.NewBLAKE2sp
	}
	return newCRC32
}

func (f *rarFile) check(b []byte) error {
	h := f.newHash()
	if h == nil {
		return nil
	}
	sum := h()
	sum.Write(b)
	if !bytes.Equal(sum.Sum(nil), f.sum) {
		return unpack.ErrChecksum
	}
	return nil
}

// decode decodes the files of a stream one behind the other.
func (r *rar) decode(i int) ([]byte, error) {
	s := r.streams[i]
	if err := unpack.Affordable(r.in, s.size, s.packed); err != nil {
		return nil, err
	}
	d := &r.decoder // one stream is decoded at a time
	d.Reset()
	defer d.Reset()
	d.Reserve(int(s.size))
	for _, f := range s.files {
		if err := r.in.Context.Err(); err != nil {
			return d.Output(), err
		}
		src, err := unpack.ReadFull(r.in.Data, f.at, f.packed)
		if err == nil {
			if f.version == 29 {
				err = d.Add3(src, int(f.size))
			} else {
				err = d.Add5(src, int(f.size), f.version == 70)
			}
		}
		if err != nil {
			if errors.Is(err, unrar.ErrUnsupported) {
				err = fmt.Errorf("%w: %w", unpack.ErrUnsupported, err)
			} else if errors.Is(err, unrar.ErrMemory) {
				err = fmt.Errorf("%w: %w", unpack.ErrLimit, err)
			}
			return d.Output(), err
		}
	}
	return d.Output(), nil
}

// links gives hard links and copies the content of their targets.
func (r *rar) links() {
	byName := map[string]*rarFile{}
	for i, f := range r.files {
		if f.service != "" {
			continue
		}
		if f.hardLink != "" {
			to := byName[f.hardLink]
			if to == nil {
				f.entry.Err = fmt.Errorf("rar: %q is a link to %q, which is not there", f.entry.Path, f.hardLink)
				continue
			}
			f.entry.Data, f.entry.Err = to.entry.Data, to.entry.Err
			if !f.copied {
				if to.entry.Inode == 0 {
					to.entry.Inode = uint64(i) + 1
				}
				f.entry.Inode = to.entry.Inode
			}
		}
		byName[f.entry.Path] = f
	}
}

// take adds a file to the tree, or what it says of another.
func (r *rar) take(f *rarFile) bool {
	e := &f.entry
	switch f.service {
	case "":
	case "STM":
		e.Path, e.Mode = e.Path+f.stream, 0o644
	case "CMT":
		if e.Err == nil && e.Data != nil && e.Size() <= rarMaxComment {
			if b, err := unpack.ReadAll(e.Data, rarMaxComment); err == nil {
				r.o.Info["comment"] = strings.TrimRight(strings.ToValidUTF8(string(b), "?"), "\x00\r\n")
				return true
			}
		}
		e.Path, e.Mode = "(archive comment)", 0o644
	default:
		return true
	}
	if e.Mode&fs.ModeSymlink != 0 && e.Link == "" && e.Err == nil && e.Data != nil {
		target, err := unpack.ReadFull(e.Data, 0, min(f.size, 64<<10))
		e.Link, e.Err, e.Data = string(target), err, nil
	}
	return r.g.Add(*e)
}

// rarMode is the mode by the attributes of a host.
func rarMode(unix, dir bool, attributes uint64) fs.FileMode {
	var mode fs.FileMode
	switch {
	case unix:
		mode = unpack.UnixMode(uint32(attributes))
	case dir:
		mode = 0o755
	case attributes&1 != 0:
		mode = 0o444
	default:
		mode = 0o644
	}
	if dir {
		mode = mode&^fs.ModeType | fs.ModeDir
	}
	return mode
}

func rarUnixTime(v uint64) time.Time { return time.Unix(int64(v), 0).UTC() }
