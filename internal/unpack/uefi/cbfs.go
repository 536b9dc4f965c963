package uefi

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"regexp"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/stream"
)

// CBFS opens coreboot's file system (coreboot's commonlib/cbfs_serialized.h).
var CBFS = &unpack.Reader{
	Name:    "cbfs",
	Doc:     "coreboot's file system, with and without a master header: stages, payloads with their segments, option ROMs, configuration; LZMA and LZ4, files checked against their digests",
	Limits:  "A linux payload's segments stay apart; digests over the whole file system (vboot, metadata hash) are not checked.",
	Checked: "cbfstool's extract with all types and compressions, damage in every form",
	Magics:  []unpack.Magic{{At: 0, Bytes: cbfsMagic}},
	Carve:   true,
	Open:    openCBFS,
}

const (
	cbfsMagic    = "LARCHIVE"
	cbfsHead     = 24
	cbfsAlign    = 64
	cbfsNameMax  = 4096 // bytes of a header with name and attributes
	cbfsMaxFiles = 10_000
	cbfsEmpty    = 0xffffffff
	cbfsStageOld = 0x10
	cbfsPayload  = 0x20
	cbfsMaster   = 0x02
	segmentSize  = 28
)

var be32 = binary.BigEndian.Uint32

var cbfsTypes = map[uint32]string{0: "deleted", cbfsEmpty: "empty", 1: "bootblock", cbfsMaster: "cbfs header", cbfsStageOld: "stage", 0x11: "stage", cbfsPayload: "payload", 0x21: "fit", 0x30: "option rom", 0x40: "bootsplash",
	0x50: "raw", 0x51: "vsa", 0x52: "mbi", 0x53: "microcode", 0x60: "fsp", 0x61: "mrc", 0x62: "mma", 0x63: "efi", 0x70: "struct", 0x80: "intel fit", 0xaa: "cmos default", 0xab: "spd", 0xac: "mrc cache", 0x1aa: "cmos layout"}

// cbfsFile is the header of a file.
type cbfsFile struct {
	at, head, size int64
	kind           uint32
	name           string
	method         uint32
	unpacked       int64
	digest         func() hash.Hash
	sum            []byte
}

func cbfsAt(data unpack.Bytes, at int64) (*cbfsFile, bool) {
	h, err := unpack.ReadFull(data, at, cbfsHead)
	if err != nil || string(h[:8]) != cbfsMagic {
		return nil, false
	}
	f := &cbfsFile{at: at, size: int64(be32(h[8:])), kind: be32(h[12:]), head: int64(be32(h[20:]))}
	attrs, known := int64(be32(h[16:])), cbfsTypes[f.kind] != ""
	if !known || f.head <= cbfsHead || f.head > cbfsNameMax || attrs != 0 && (attrs <= cbfsHead || attrs > f.head) {
		return nil, false
	}
	b, err := unpack.ReadFull(data, at, f.head)
	if err != nil {
		return nil, false
	}
	end := f.head
	if attrs != 0 {
		f.attributes(b[attrs:])
		end = attrs
	}
	f.name = unpack.CString(b[cbfsHead:end])
	return f, f.name == "" || printable([]byte(f.name))
}

// attributes reads what stands between name and content.
func (f *cbfsFile) attributes(b []byte) {
	for len(b) >= 8 {
		tag, size := string(b[:4]), int64(be32(b[4:]))
		if size < 8 || size > int64(len(b)) {
			return
		}
		switch a := b[8:size]; {
		case tag == "BCZL" && len(a) >= 8:
			f.method, f.unpacked = be32(a), int64(be32(a[4:]))
		case tag == "hsaH" && len(a) > 4:
			news := map[uint32]func() hash.Hash{1: sha1.New, 2: sha256.New, 3: sha512.New, 4: sha256.New224, 5: sha512.New384}
			if n := news[be32(a)]; n != nil && len(a)-4 >= n().Size() {
				f.digest, f.sum = n, a[4:4+n().Size()]
			}
		}
		b = b[size:]
	}
}

// cbfsWalk collects the files.
type cbfsWalk struct {
	*unpack.Gatherer
	in    *unpack.Input
	info  map[string]string
	names map[string]int
}

func openCBFS(in *unpack.Input) (*unpack.Object, error) {
	if _, ok := cbfsAt(in.Data, 0); !ok {
		return nil, unpack.ErrNotThis
	}
	w := &cbfsWalk{unpack.NewGatherer(in), in, map[string]string{}, map[string]int{}}
	at, count := int64(0), 0
	for !w.Stop() && count < cbfsMaxFiles {
		f, ok := cbfsAt(in.Data, at)
		if !ok {
			next := w.skip(at)
			if next < 0 {
				break
			}
			at = next
			continue
		}
		end := f.at + f.head + f.size
		if end > in.Data.Size() {
			if count == 0 && !in.Whole {
				return nil, unpack.ErrNotThis
			}
			w.Damage(&unpack.CutOff{Format: "cbfs", Missing: end - in.Data.Size(), Of: end})
			end = in.Data.Size()
		}
		w.file(f)
		count++
		at = end
		if next := align(at, cbfsAlign); next <= in.Data.Size() {
			at = next
		}
	}
	o := &unpack.Object{Format: "cbfs", Size: min(at, in.Data.Size()), Info: w.info}
	w.Finish(o)
	return o, nil
}

// skip finds the next file behind padding, or behind a header that is damaged:
// files stand at multiples of 64.
func (w *cbfsWalk) skip(at int64) int64 {
	const far = 1 << 20
	b := unpack.ReadSome(w.in.Data, at, far)
	for i := 0; i+cbfsHead <= len(b); i += cbfsAlign {
		if string(b[i:i+len(cbfsMagic)]) == cbfsMagic {
			if _, ok := cbfsAt(w.in.Data, at+int64(i)); ok {
				if !unpack.OnlyByte(b[:i], 0xff) && !unpack.OnlyByte(b[:i], 0) {
					w.Damage(fmt.Errorf("cbfs: no file at 0x%x", at))
					w.Add(unpack.Entry{Path: fmt.Sprintf("damaged-0x%x", at), Mode: 0o644, Data: unpack.Window(w.in.Data, at, int64(i)), Order: at})
				}
				return at + int64(i)
			}
		}
	}
	return -1
}

// unique gives each file a path of its own.
func (w *cbfsWalk) unique(name string) string {
	if name == "" {
		name = "unnamed"
	}
	w.names[name]++
	if n := w.names[name]; n > 1 {
		return fmt.Sprintf("%s~%d", name, n)
	}
	return name
}

// file adds a file.
func (w *cbfsWalk) file(f *cbfsFile) {
	stored := unpack.Window(w.in.Data, f.at+f.head, f.size)
	if f.kind == 0 || f.kind == cbfsEmpty {
		if !unpack.OnlyPadding(stored, 0) {
			w.Add(unpack.Entry{Path: w.unique("deleted/" + fmt.Sprintf("0x%x", f.at)), Mode: 0o644, Data: stored, Deleted: true, Order: f.at})
		}
		return
	}
	e := unpack.Entry{Path: w.unique(f.name), Mode: 0o644, Data: stored, Order: f.at, Xattrs: map[string]string{"cbfs.type": cbfsTypes[f.kind]}}
	if f.digest != nil {
		h := f.digest()
		if err := unpack.Chunks(stored, 0, stored.Size(), func(p []byte) { h.Write(p) }); err != nil || string(h.Sum(nil)) != string(f.sum) {
			w.Damage(fmt.Errorf("cbfs: %s has a wrong digest", f.name))
		}
	}
	var err error
	if e.Data, err = w.unpack(f.method, stored, f.unpacked); err != nil {
		e.Data, e.Err = stored, fmt.Errorf("cbfs: %s: %w", f.name, err)
		w.Damage(e.Err)
		w.Add(e)
		return
	}
	switch f.kind {
	case cbfsStageOld:
		w.oldStage(&e)
	case cbfsPayload:
		if w.segments(e) {
			return
		}
	case cbfsMaster:
		w.master(e.Data)
	}
	w.version(f.name, e.Data)
	w.Add(e)
}

// unpack undoes a compression.
func (w *cbfsWalk) unpack(method uint32, stored unpack.Bytes, size int64) (unpack.Bytes, error) {
	var out unpack.Bytes
	switch method {
	case 0:
		return stored, nil
	case 1:
		b, err := unpackLZMA(w.in, stored, false)
		if err != nil {
			return nil, err
		}
		out = b
	case 2:
		in := *w.in
		in.Data, in.Whole = stored, true
		o, err := stream.LZ4.Open(&in)
		if err == nil && o.Err != nil {
			err = o.Err
		}
		if err != nil || len(o.Parts) != 1 {
			return nil, errors.Join(errors.New("lz4"), err)
		}
		out = o.Parts[0].Data
	default:
		return nil, fmt.Errorf("%w: compression %d", unpack.ErrUnsupported, method)
	}
	if size > 0 && out.Size() != size {
		return nil, errSize
	}
	return out, nil
}

// oldStage takes the header off a stage: compression, entry point, load address
// and two sizes, little-endian.
func (w *cbfsWalk) oldStage(e *unpack.Entry) {
	h := unpack.ReadSome(e.Data, 0, segmentSize)
	if len(h) < segmentSize {
		return
	}
	e.Xattrs["cbfs.load"] = fmt.Sprintf("0x%x", le64(h[12:]))
	body := unpack.Window(e.Data, segmentSize, int64(le32(h[20:])))
	data, err := w.unpack(le32(h), body, 0)
	if err != nil {
		e.Err = fmt.Errorf("cbfs: %s: %w", e.Path, err)
		w.Damage(e.Err)
		return
	}
	e.Data = data
}

var segmentNames = map[string]string{"CODE": "code", "DATA": "data", "PARA": "parameters"}

// segments adds the segments of a payload; false if there are none.
func (w *cbfsWalk) segments(e unpack.Entry) bool {
	added := 0
	for at := int64(0); added < 64; at += segmentSize {
		h := unpack.ReadSome(e.Data, at, segmentSize)
		if len(h) < segmentSize || string(h[:4]) == "ENTR" {
			break
		}
		name := segmentNames[string(h[:4])]
		if name == "" {
			if string(h[:4]) == "BSS " {
				continue
			}
			break
		}
		from, size := int64(be32(h[8:])), int64(be32(h[20:]))
		s := unpack.Entry{Path: w.unique(fmt.Sprintf("%s/%d-%s", e.Path, added, name)), Mode: 0o644, Order: e.Order, Xattrs: map[string]string{"cbfs.type": "payload", "cbfs.load": fmt.Sprintf("0x%x", binary.BigEndian.Uint64(h[12:]))}}
		body := unpack.Window(e.Data, from, size)
		if body.Size() < size {
			w.Damage(fmt.Errorf("cbfs: %s: a segment is cut off", e.Path))
		}
		if s.Data, s.Err = w.unpack(be32(h[4:]), body, 0); s.Err != nil {
			s.Data = body
			w.Damage(fmt.Errorf("cbfs: %s: %w", s.Path, s.Err))
		}
		w.Add(s)
		added++
	}
	return added > 0
}

// master reads the master header.
func (w *cbfsWalk) master(data unpack.Bytes) {
	h := unpack.ReadSome(data, 0, 32)
	if len(h) == 32 && string(h[:4]) == "ORBC" {
		arch := map[uint32]string{1: "x86", 0x10: "arm", 0xaa64: "arm64", 0xc001d0de: "riscv", 0x407570ff: "ppc64", 0x100: "mips"}[be32(h[24:])]
		if arch != "" {
			w.info["architecture"] = arch
		}
	}
}

var (
	corebootVersion = regexp.MustCompile(`COREBOOT_VERSION[": ]+([^"\s]+)`)
	corebootBoard   = regexp.MustCompile(`CONFIG_MAINBOARD_PART_NUMBER="([^"]+)"`)
)

// version reads what coreboot says of itself in its files revision, build_info
// and config.
func (w *cbfsWalk) version(name string, data unpack.Bytes) {
	switch name {
	case "revision", "build_info":
		if m := corebootVersion.FindSubmatch(unpack.ReadSome(data, 0, 1<<16)); m != nil {
			w.info["product"], w.info["version"] = "coreboot", string(m[1])
		}
	case "config":
		if m := corebootBoard.FindSubmatch(unpack.ReadSome(data, 0, 1<<20)); m != nil {
			w.info["board"] = string(m[1])
		}
	}
}
