package archive

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf16"

	"github.com/doorward/doorward/internal/unpack"
)

const (
	wimDentry  = 102 // bytes before the name
	wimStream  = 38
	wimReparse = 0x400 // attributes
	wimFolder  = 0x10
	wimEFS     = 0x4000

	wimUnixData    = 0x337dd873 // tags of wimlib's
	wimSymlink     = 0xa000000c // reparse points
	wimMountPoint  = 0xa0000003
	wimMaxReparse  = 16 << 10
	wimMaxChildren = 1 << 20
)

type wimDir struct {
	at   uint64
	path string
}

// tree reads the folders of an image.
func (w *wim) tree(g *unpack.Gatherer, meta []byte) {
	if len(meta) < 8 {
		g.Damage(errWIM)
		return
	}
	// Security descriptors come first; the root's entry is behind them.
	start := (uint64(binary.LittleEndian.Uint32(meta)) + 7) &^ 7
	if start == 0 {
		start = 8
	}
	t := &wimTree{w: w, g: g, meta: meta, seen: map[uint64]bool{}}
	t.list(wimDir{start, ""}, true)
	for len(t.todo) > 0 && !g.Stop() {
		d := t.todo[len(t.todo)-1]
		t.todo = t.todo[:len(t.todo)-1]
		t.list(d, false)
	}
}

type wimTree struct {
	w    *wim
	g    *unpack.Gatherer
	meta []byte
	todo []wimDir
	seen map[uint64]bool // lists of a folder: each belongs to one
}

// list reads the entries of a folder, or the root's own one.
func (t *wimTree) list(d wimDir, root bool) {
	if t.seen[d.at] {
		t.g.Damage(fmt.Errorf("wim: the folder /%s is another one's too", d.path))
		return
	}
	t.seen[d.at] = true
	for at := d.at; !t.g.Stop(); {
		e, next := t.dentry(at)
		if e == nil {
			if next == 0 {
				t.g.Damage(fmt.Errorf("%w entry in /%s", errWIM, d.path))
			}
			return
		}
		p := d.path
		if !root {
			var err error
			if p, err = unpack.JoinName(d.path, e.name); err != nil {
				t.g.Damage(fmt.Errorf("wim: %w", err))
			}
		}
		t.add(e, p, root)
		if root {
			return
		}
		at = next
	}
}

type wimEntry struct {
	attributes uint32
	children   uint64
	name       string
	tag        uint32
	group      uint64
	streams    []wimStreamEntry
	e          unpack.Entry
}

type wimStreamEntry struct {
	name string
	hash [20]byte
}

// dentry reads an entry and its further streams. Without one, next is not 0 if
// that is the list's proper end.
func (t *wimTree) dentry(at uint64) (e *wimEntry, next uint64) {
	le := binary.LittleEndian
	if at > uint64(len(t.meta)) || uint64(len(t.meta))-at < 8 {
		return nil, 0
	}
	b := t.meta[at:]
	size := le.Uint64(b)
	if size <= 8 {
		return nil, 1
	}
	if size < wimDentry || size > uint64(len(b)) {
		return nil, 0
	}
	e = &wimEntry{attributes: le.Uint32(b[8:]), children: le.Uint64(b[16:])}
	e.e.ModTime = windowsTime(le.Uint64(b[56:]))
	main := wimStreamEntry{}
	copy(main.hash[:], b[64:])
	e.streams = []wimStreamEntry{main}
	if e.attributes&wimReparse != 0 {
		e.tag = le.Uint32(b[88:])
	} else {
		e.group = le.Uint64(b[88:])
	}
	more, short, long := int(le.Uint16(b[96:])), uint64(le.Uint16(b[98:])), uint64(le.Uint16(b[100:]))
	used := wimDentry + long
	if used > size {
		return nil, 0
	}
	e.name = wimName(b[wimDentry:used])
	if long > 0 {
		used += 2
	}
	if short > 0 {
		used += short + 2
	}
	if used = (used + 7) &^ 7; used < size {
		e.tags(b[used:size])
	}
	next = at + (size+7)&^7
	for range more {
		if next > uint64(len(t.meta)) || uint64(len(t.meta))-next < wimStream {
			return nil, 0
		}
		s := t.meta[next:]
		n, name := le.Uint64(s), uint64(le.Uint16(s[36:]))
		if n < wimStream || n > uint64(len(s)) || wimStream+name > n {
			return nil, 0
		}
		extra := wimStreamEntry{name: wimName(s[wimStream : wimStream+name])}
		copy(extra.hash[:], s[16:])
		e.streams = append(e.streams, extra)
		next += (n + 7) &^ 7
	}
	return e, next
}

func wimName(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

// tags reads what stands behind the names: wimlib keeps owner and mode there.
func (e *wimEntry) tags(b []byte) {
	le := binary.LittleEndian
	for len(b) >= 8 {
		tag, n := le.Uint32(b), uint64(le.Uint32(b[4:]))
		if n > uint64(len(b)-8) {
			return
		}
		if tag == wimUnixData && n >= 16 {
			v := b[8:]
			e.e.UID, e.e.GID = int(le.Uint32(v)), int(le.Uint32(v[4:]))
			e.e.Mode = unpack.UnixMode(le.Uint32(v[8:]))
			e.e.Major, e.e.Minor = unpack.UnixDevice(le.Uint32(v[12:]))
		}
		b = b[min(8+(n+7)&^7, uint64(len(b))):]
	}
}

func (t *wimTree) add(e *wimEntry, path string, root bool) {
	entry := e.e
	entry.Path = path
	if root {
		entry.Path = "."
	}
	unix := entry.Mode != 0
	if e.attributes&wimFolder != 0 && e.attributes&wimReparse == 0 {
		if !unix {
			entry.Mode = fs.ModeDir | 0o755
		}
		entry.Mode |= fs.ModeDir
		if e.children != 0 {
			t.todo = append(t.todo, wimDir{e.children, path})
		}
	} else if !unix {
		entry.Mode = 0o644
	}
	entry.Inode = e.group
	var blob *wimBlob
	zero := [20]byte{}
	for i, s := range e.streams {
		if s.hash == zero {
			continue
		}
		b := t.w.blobs[s.hash]
		if i > 0 && s.name != "" {
			t.stream(path+":"+s.name, b, s.hash)
			continue
		}
		if b == nil {
			entry.Err = fmt.Errorf("wim: %q: its content, %x, is not in the archive", path, s.hash)
			continue
		}
		blob = b
	}
	if blob != nil {
		entry.Order = blob.at
		t.fill(&entry, blob)
	}
	t.special(e, &entry)
	t.g.Add(entry)
}

func (t *wimTree) fill(e *unpack.Entry, blob *wimBlob) {
	if blob.plain == 0 && blob.hash != sha1.Sum(nil) {
		e.Err = fmt.Errorf("%w: %q has no size", errWIM, e.Path)
		return
	}
	if blob.plain == 0 {
		return
	}
	data, err := t.w.content(blob)
	if err != nil {
		e.Err = fmt.Errorf("wim: %q: %w", e.Path, err)
		if blob.flags&wimSolid == 0 {
			e.Data = unpack.Window(t.w.in.Data, blob.at, blob.packed)
		}
		return
	}
	e.Data = data
}

func (t *wimTree) stream(path string, blob *wimBlob, hash [20]byte) {
	e := unpack.Entry{Path: path, Mode: 0o644}
	if blob == nil {
		e.Err = fmt.Errorf("wim: %q: its content, %x, is not in the archive", path, hash)
	} else {
		t.fill(&e, blob)
	}
	t.g.Add(e)
}

// special makes links of reparse points, and reports what is encrypted.
func (t *wimTree) special(e *wimEntry, entry *unpack.Entry) {
	if e.attributes&wimEFS != 0 && entry.Err == nil && entry.Data != nil && e.attributes&wimFolder == 0 {
		entry.Err = fmt.Errorf("wim: %q: %w", entry.Path, unpack.ErrEncrypted)
		return
	}
	if e.attributes&wimReparse == 0 || entry.Err != nil || entry.Data == nil || e.tag != wimSymlink && e.tag != wimMountPoint {
		return
	}
	b, err := unpack.ReadAll(entry.Data, wimMaxReparse)
	if err != nil {
		entry.Err, entry.Data = err, nil
		return
	}
	names := 8
	if e.tag == wimSymlink {
		names = 12
	}
	if len(b) < names {
		entry.Err = errWIM
		return
	}
	le := binary.LittleEndian
	off, n := int(le.Uint16(b)), int(le.Uint16(b[2:]))
	if names+off+n > len(b) {
		entry.Err = errWIM
		return
	}
	target := strings.ReplaceAll(strings.TrimPrefix(wimName(b[names+off:names+off+n]), `\??\`), "\\", "/")
	if entry.Mode != 0 && strings.HasPrefix(target, "C:/") { // wimlib puts it before absolute ones
		target = target[2:]
	}
	entry.Mode, entry.Link, entry.Data, entry.Inode = entry.Mode&^fs.ModeType|fs.ModeSymlink, target, nil, 0
}
