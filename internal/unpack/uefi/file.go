package uefi

import (
	"errors"
	"fmt"
	"slices"

	"github.com/doorward/doorward/internal/unpack"
)

// walker collects what a volume holds.
type walker struct {
	*unpack.Gatherer
	in     *unpack.Input
	volume *volume
	data   unpack.Bytes // the volume
	parts  []unpack.Part
	names  map[string]int // names given so far
}

func newWalker(in *unpack.Input, v *volume, data unpack.Bytes) *walker {
	return &walker{Gatherer: unpack.NewGatherer(in), in: in, volume: v, data: data, names: map[string]int{}}
}

// Types of files (PI 1.7, volume 3, table 3-3).
var fileTypes = map[byte]string{
	0x01: "raw", 0x02: "freeform", 0x03: "sec core", 0x04: "pei core", 0x05: "dxe core", 0x06: "pei module", 0x07: "dxe driver",
	0x08: "combined pei module and dxe driver", 0x09: "application", 0x0a: "mm module", 0x0b: "volume image", 0x0c: "combined mm module and dxe driver",
	0x0d: "mm core", 0x0e: "standalone mm module", 0x0f: "standalone mm core", 0xf0: "padding",
}

const (
	fileHeader    = 24
	fileRaw       = 0x01
	filePad       = 0xf0
	attrLarge     = 0x01 // a tail, in the first revision
	attrChecksum  = 0x40
	stateHeaderOK = 0x02
	stateDeleted  = 0x10
	stateInvalid  = 0x20
)

// ffsFile is the header of a file.
type ffsFile struct {
	name   guid
	at     int64
	kind   byte
	attr   byte
	head   int64 // bytes of the header
	size   int64 // with the header
	tail   int64
	state  byte
	check  byte // of the data
	sound  bool // the header's checksum is right
	offset int64
}

func (f *ffsFile) deleted() bool { return f.state&(stateDeleted|stateInvalid) != 0 }

var errFile = errors.New("firmware volume: a file's header is damaged")

// fileAt reads the header of a file; nil where there is none any more.
func (w *walker) fileAt(at int64) (*ffsFile, error) {
	b, err := unpack.ReadFull(w.data, at, fileHeader)
	if err != nil || unpack.OnlyByte(b, w.volume.erased) {
		return nil, nil
	}
	f := &ffsFile{name: guidAt(b), at: at, kind: b[18], attr: b[19], head: fileHeader, size: u24(b[20:]), state: b[23], check: b[17]}
	if w.volume.erased != 0 {
		f.state = ^f.state
	}
	if f.attr&attrLarge != 0 && w.volume.revision >= 2 && (f.size == 0 || f.size == 0xffffff || w.volume.fs.String() == ffs3) {
		if b, err = unpack.ReadFull(w.data, at, fileHeader+8); err != nil {
			return nil, errFile
		}
		f.head, f.size = fileHeader+8, int64(min(le64(b[24:]), 1<<62))
	} else if f.attr&attrLarge != 0 && w.volume.revision == 1 {
		f.tail = 2
	}
	// The state and the data's checksum do not count.
	f.sound = sum8(b)-b[17]-b[23] == 0
	if f.size < f.head+f.tail || f.size > w.volume.size-at || f.state&stateHeaderOK == 0 && !f.sound {
		return nil, errFile
	}
	return f, nil
}

// files walks the files from an offset on.
func (w *walker) files(at int64) {
	for !w.Stop() {
		f, err := w.fileAt(at)
		switch {
		case err != nil || f != nil && !f.sound:
			next := w.resync(at + 8)
			w.Damage(fmt.Errorf("%w at 0x%x", errFile, at))
			w.raw("damaged", at, next)
			at = next
			continue
		case f == nil:
			at = w.skipErased(at)
			if at >= w.volume.size {
				return
			}
			continue
		}
		w.file(f)
		at = align(at+f.size, 8)
	}
}

// skipErased passes over free room. What else is in it is no file any more, but
// must not be lost.
func (w *walker) skipErased(at int64) int64 {
	start := at
	for at < w.volume.size {
		b := unpack.ReadSome(w.data, at, 1<<16)
		if len(b) == 0 {
			return w.volume.size
		}
		if unpack.OnlyByte(b, w.volume.erased) {
			at += int64(len(b))
			continue
		}
		at += int64(slices.IndexFunc(b, func(c byte) bool { return c != w.volume.erased }))
		at = max(at/8*8, start)
		if f, err := w.fileAt(at); err == nil && f != nil && f.sound {
			return at
		}
		next := w.resync(at + 8)
		w.raw("free", at, next)
		return next
	}
	return w.volume.size
}

// resync finds the next place where a sound header is.
func (w *walker) resync(at int64) int64 {
	s := unpack.NewSlider(w.data)
	for ; at+fileHeader <= w.volume.size; at += 8 {
		b := s.At(at, fileHeader)
		if len(b) < fileHeader || sum8(b[:fileHeader])-b[17]-b[23] != 0 || unpack.OnlyByte(b, 0) || unpack.OnlyByte(b, 0xff) || fileTypes[b[18]] == "" {
			continue
		}
		if f, err := w.fileAt(at); err == nil && f != nil && f.sound && !f.deleted() {
			return at
		}
	}
	return w.volume.size
}

// raw keeps a stretch that is not filled with one value as a part of its own,
// which is searched like any raw bytes.
func (w *walker) raw(name string, from, to int64) {
	data := unpack.Window(w.data, from, to-from)
	if to <= from || unpack.OnlyPadding(data, 0) || len(w.parts) >= maxParts {
		return
	}
	w.parts = append(w.parts, unpack.Part{Name: fmt.Sprintf("%s-0x%x", name, from), Data: data, Offset: from})
}

// maxParts bounds the stretches between files.
const maxParts = 4096

// file adds one file.
func (w *walker) file(f *ffsFile) {
	body := unpack.Window(w.data, f.at+f.head, f.size-f.head-f.tail)
	w.checkData(f, body)
	switch {
	case f.kind == filePad:
		w.raw("padding", f.at+f.head, f.at+f.size)
		return
	case f.kind == fileRaw || fileTypes[f.kind] == "":
		w.leaf(w.unique(f.name.title()), f, body, nil)
		return
	}
	s := &sections{walker: w, file: f, volume: f.kind == 0x0b}
	if err := s.walk(body, 0); err != nil {
		w.Damage(fmt.Errorf("firmware volume: file %s: %w", f.name, err))
	}
	s.emit()
}

// checkData compares the content of a file with its checksum, if it has one.
func (w *walker) checkData(f *ffsFile, body unpack.Bytes) {
	fixed := byte(0xaa)
	if w.volume.revision == 1 {
		fixed = 0x5a
	}
	want := fixed
	if f.attr&attrChecksum != 0 {
		s := unpack.NewSlider(body)
		sum := byte(0)
		for at := int64(0); at < body.Size(); {
			b := s.At(at, 1<<16)
			if len(b) == 0 {
				break
			}
			sum += sum8(b)
			at += int64(len(b))
		}
		want = -sum
	}
	if f.check != want && !f.deleted() && f.kind != filePad {
		w.Damage(fmt.Errorf("firmware volume: file %s has a wrong checksum", f.name))
	}
}

// unique makes a name that was given already another one.
func (w *walker) unique(name string) string {
	name, _ = unpack.JoinName("", name)
	w.names[name]++
	if n := w.names[name]; n > 1 {
		return w.unique(fmt.Sprintf("%s~%d", name, n))
	}
	return name
}

// leaf adds an entry of a file.
func (w *walker) leaf(path string, f *ffsFile, data unpack.Bytes, err error) {
	attrs := map[string]string{"uefi.guid": f.name.String(), "uefi.type": fileTypes[f.kind]}
	w.Add(unpack.Entry{Path: path, Mode: 0o644, Data: data, Order: f.at, Deleted: f.deleted(), Xattrs: attrs, Err: err})
}
