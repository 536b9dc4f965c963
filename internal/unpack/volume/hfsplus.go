package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/doorward/doorward/internal/unpack"
)

// HFSPlus opens the file systems that macOS used before APFS. Layout: Apple's
// Technical Note TN1150; the kernel's fs/hfsplus/hfsplus_raw.h for later
// additions.
var HFSPlus = &unpack.Reader{
	Name: "hfsplus",
	Doc:  "HFS+ and HFSX volumes: hard links, symbolic links, devices, resource forks, extended attributes, files compressed with zlib, LZVN and LZFSE",
	Limits: "the journal is not replayed; hard links of folders are shown as they are stored; the extents of attributes and the permissions of access control lists " +
		"are not read",
	Checked: "xorriso -hfsplus with 2 block sizes; random trees; compressed files, hard links and scattered files by hand; LZFSE and LZVN packed by the reference implementation",
	Magics:  []unpack.Magic{{At: hfsHeader, Bytes: "H+\x00\x04"}, {At: hfsHeader, Bytes: "HX\x00\x05"}},
	Carve:   true,
	Open:    openHFSPlus,
}

const hfsHeader = 1024 // offset of the volume header

// hfsplus is an open volume.
type hfsplus struct {
	hfsSpace
	hfsCatalog
	in     *unpack.Input
	attrs  map[uint32]map[string]string // by file and name
	inodes map[uint32]*hfsFile          // targets of hard links
	hidden uint32                       // the folder that holds them
	links  map[uint32]bool              // of which one was seen
}

func openHFSPlus(in *unpack.Input) (*unpack.Object, error) {
	p, err := unpack.ReadFull(in.Data, hfsHeader, 512)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	v, ok := newHFSPlus(in, p)
	if !ok {
		return nil, unpack.ErrNotThis
	}
	size := v.block * v.blocks
	catalog, err := v.tree(p[272:352], 4, "catalog")
	if err != nil && !in.Whole {
		return nil, unpack.ErrNotThis
	}
	if err != nil && size-1024 < in.Data.Size() {
		// The copy of the header, in the sector before the last.
		if q, bad := unpack.ReadFull(in.Data, size-1024, 512); bad == nil && string(q[:2]) == string(p[:2]) {
			if w, ok := newHFSPlus(in, q); ok {
				if catalog, bad = w.tree(q[272:352], 4, "catalog"); bad == nil {
					v, p, err = w, q, nil
					v.g.Damage(errors.New("hfsplus: the volume header is damaged; its copy is read"))
				}
			}
		}
	}
	be := binary.BigEndian
	o := &unpack.Object{Format: "hfsplus", Size: min(size, in.Data.Size()), System: true, Info: map[string]string{"block size": fmt.Sprint(v.block)}}
	if string(p[:2]) == "HX" {
		o.Format = "hfsx"
	}
	if be.Uint32(p[4:])&0x100 == 0 {
		o.Info["state"] = "was not unmounted cleanly"
	}
	if size > in.Data.Size() {
		v.g.Damage(&unpack.CutOff{Format: "hfsplus", Missing: size - in.Data.Size(), Of: size})
	}
	if err != nil {
		v.g.Damage(err)
	} else {
		v.attributes(p)
		v.read(catalog, o)
	}
	v.finish()
	v.g.Finish(o)
	return o, nil
}

// newHFSPlus reads a volume header.
func newHFSPlus(in *unpack.Input, p []byte) (*hfsplus, bool) {
	be := binary.BigEndian
	v := &hfsplus{in: in, attrs: map[uint32]map[string]string{}, inodes: map[uint32]*hfsFile{}, links: map[uint32]bool{}}
	v.hfsSpace = hfsSpace{data: in.Data, block: int64(be.Uint32(p[40:])), blocks: int64(be.Uint32(p[44:])), overflow: map[hfsFork]map[int64][]hfsRun{}}
	v.hfsCatalog = hfsCatalog{g: unpack.NewGatherer(in), name: "hfsplus", folders: map[uint32]*hfsFolder{}, room: in.Budget.Limits.Files}
	if v.block < 512 || v.block > 1<<24 || v.block&(v.block-1) != 0 || v.blocks < 4 || int64(be.Uint32(p[48:])) > v.blocks {
		return nil, false
	}
	// The tree of extents itself has no overflow.
	t, err := v.tree(p[192:272], 3, "extents")
	if err == nil {
		err = t.records(func(r []byte) bool {
			if len(r) >= 12+64 && be.Uint16(r) == 10 {
				v.more(hfsFork{be.Uint32(r[4:]), r[2] == 0xff}, int64(be.Uint32(r[8:])), hfsRuns(r[12:76]))
			}
			return true
		})
	}
	if err != nil {
		v.g.Damage(err)
	}
	return v, true
}

// hfsRuns reads the eight extents of a record.
func hfsRuns(p []byte) (runs []hfsRun) {
	for ; len(p) >= 8; p = p[8:] {
		runs = append(runs, hfsRun{int64(binary.BigEndian.Uint32(p)), int64(binary.BigEndian.Uint32(p[4:]))})
	}
	return runs
}

// open makes the content of a fork as its 80 bytes of data describe it.
func (v *hfsplus) open(p []byte, id hfsFork) (unpack.Bytes, error) {
	size := int64(binary.BigEndian.Uint64(p))
	if size < 0 || size > v.block*v.blocks {
		return nil, errors.New("it is larger than the volume")
	}
	return v.fork(id, size, hfsRuns(p[16:80]))
}

func (v *hfsplus) tree(p []byte, file uint32, name string) (*hfsTree, error) {
	data, err := v.open(p, hfsFork{file, false})
	if err == nil {
		var t *hfsTree
		if t, err = openHFSTree(data); err == nil {
			return t, nil
		}
	}
	return nil, fmt.Errorf("hfsplus: the %s file: %w", name, err)
}

// maxHFSAttributes bounds the memory that extended attributes take.
const maxHFSAttributes = 64 << 20

// attributes reads the extended attributes, as far as they stand in the tree
// itself.
func (v *hfsplus) attributes(p []byte) {
	be := binary.BigEndian
	if be.Uint64(p[352:]) == 0 {
		return
	}
	t, err := v.tree(p[352:432], 8, "attributes")
	if err != nil {
		v.g.Damage(err)
		return
	}
	room := maxHFSAttributes
	err = t.records(func(r []byte) bool {
		if len(r) < 14 {
			return true
		}
		key, n := int(be.Uint16(r))+2, int(be.Uint16(r[12:]))
		if 14+2*n > key || key+16 > len(r) || be.Uint32(r[key:]) != 0x10 {
			return true
		}
		size := int(be.Uint32(r[key+12:]))
		if size < 0 || size > len(r)-key-16 || room < size {
			return room >= size
		}
		room -= size + 64
		id := be.Uint32(r[4:])
		if v.attrs[id] == nil {
			v.attrs[id] = map[string]string{}
		}
		v.attrs[id][ucs2(r[14:14+2*n])] = string(r[key+16 : key+16+size])
		return true
	})
	if err != nil {
		v.g.Damage(fmt.Errorf("hfsplus: the attributes file: %w", err))
	}
}

const hfsPrivate = "\x00\x00\x00\x00HFS+ Private Data"

// read lists the catalog.
func (v *hfsplus) read(t *hfsTree, o *unpack.Object) {
	be := binary.BigEndian
	err := t.records(func(r []byte) bool {
		if len(r) < 10 {
			return true
		}
		key, n := int(be.Uint16(r))+2, int(be.Uint16(r[6:]))
		if key += key & 1; 8+2*n > key || key+2 > len(r) {
			v.g.Damage(errors.New("hfsplus: a damaged record of the catalog"))
			return !v.g.Stop()
		}
		parent, name, rec := be.Uint32(r[2:]), hfsName(r[8:8+2*n]), r[key:]
		switch kind := be.Uint16(rec); {
		case kind == 1 && len(rec) >= 88:
			v.folder(parent, name, rec, o)
		case kind == 2 && len(rec) >= 248:
			v.file(parent, name, rec)
		}
		v.room--
		return v.room > 0 && !v.g.Stop()
	})
	if err != nil {
		v.g.Damage(fmt.Errorf("hfsplus: the catalog: %w", err))
	}
	v.hardLinks()
}

// hfsName is a name with the Mac's separator for Unix': each may stand in the
// other's names.
func hfsName(p []byte) string {
	u := make([]uint16, len(p)/2)
	for i := range u {
		u[i] = binary.BigEndian.Uint16(p[2*i:])
	}
	return strings.ReplaceAll(string(utf16.Decode(u)), "/", ":")
}

// hfsTime counts seconds from 1904.
func hfsTime(s uint32) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s)-2082844800, 0).UTC()
}

// common fills in what files and folders share.
func (v *hfsplus) common(name string, id uint32, p []byte, kind fs.FileMode) unpack.Entry {
	be := binary.BigEndian
	e := unpack.Entry{Path: name, ModTime: hfsTime(be.Uint32(p[16:])), UID: int(be.Uint32(p[32:])), GID: int(be.Uint32(p[36:])), Mode: 0o755 | kind}
	if m := uint32(be.Uint16(p[42:])); m != 0 {
		e.Mode = unpack.UnixMode(m)
		if kind.IsDir() != e.Mode.IsDir() {
			e.Mode = e.Mode.Perm() | kind
		}
	}
	if e.Mode&fs.ModeDevice != 0 {
		dev := be.Uint32(p[44:])
		e.Major, e.Minor = dev>>24, dev&0xffffff
	}
	for name, val := range v.attrs[id] {
		if name != hfsCompressed {
			if e.Xattrs == nil {
				e.Xattrs = map[string]string{}
			}
			e.Xattrs[name] = val
		}
	}
	return e
}

func (v *hfsplus) folder(parent uint32, name string, p []byte, o *unpack.Object) {
	id := binary.BigEndian.Uint32(p[8:])
	if v.folders[id] != nil {
		v.g.Damage(fmt.Errorf("hfsplus: two folders have the number %d", id))
		return
	}
	if id == hfsRoot {
		o.Info["label"] = name
	}
	if parent == hfsRoot && name == hfsPrivate {
		v.hidden = id
	}
	v.folders[id] = &hfsFolder{parent: parent, entry: v.common(name, id, p, fs.ModeDir)}
}

func (v *hfsplus) file(parent uint32, name string, p []byte) {
	be := binary.BigEndian
	f := hfsFile{parent: parent, id: be.Uint32(p[8:])}
	f.entry = v.common(name, f.id, p, 0)
	f.entry.Order = int64(be.Uint32(p[88+16:])) * v.block
	if string(p[48:56]) == "hlnkhfs+" {
		f.link = be.Uint32(p[44:])
		v.files = append(v.files, f)
		return
	}
	data, err := v.open(p[88:168], hfsFork{f.id, false})
	rsrc, bad := v.open(p[168:248], hfsFork{f.id, true})
	if bad != nil {
		f.bad = fmt.Errorf("hfsplus: the resource fork: %w", bad)
		v.g.Damage(fmt.Errorf("%q: %w", name, f.bad))
	} else if rsrc.Size() > 0 {
		f.rsrc = rsrc
	}
	if head, packed := v.attrs[f.id][hfsCompressed]; packed && err == nil && data.Size() == 0 {
		data, err = decmpfs([]byte(head), rsrc)
		f.rsrc = nil
	}
	v.content(&f, data, err)
	v.files = append(v.files, f)
}

func (v *hfsplus) content(f *hfsFile, data unpack.Bytes, err error) {
	e := &f.entry
	switch {
	case err != nil:
		e.Err = fmt.Errorf("hfsplus: %w", err)
	case e.Mode&fs.ModeSymlink != 0:
		b, err := unpack.ReadAll(data, 1<<16)
		if e.Link = strings.TrimRight(string(b), "\x00"); err != nil {
			e.Err = fmt.Errorf("hfsplus: %w", err)
		}
	case data.Size() > 0 && e.Mode.IsRegular():
		e.Data = data
	}
}

// hardLinks puts the files that hard links mean in their places. Files that no
// link means any more were deleted while somebody had them open.
func (v *hfsplus) hardLinks() {
	if v.hidden == 0 {
		return
	}
	var kept []hfsFile
	for i := range v.files {
		f := &v.files[i]
		var n uint32
		if _, err := fmt.Sscanf(f.entry.Path, "iNode%d", &n); f.parent == v.hidden && err == nil && f.link == 0 {
			v.inodes[n] = f
		}
	}
	for i := range v.files {
		f := v.files[i]
		if t := v.inodes[f.link]; f.link != 0 && t != nil {
			v.links[f.link] = true
			name, parent := f.entry.Path, f.parent
			f = *t
			f.entry.Path, f.parent, f.entry.Inode = name, parent, uint64(t.id)
		} else if f.link != 0 {
			f.entry.Err = errors.New("hfsplus: a hard link to a file that is missing")
		} else if f.parent == v.hidden {
			if strings.HasPrefix(f.entry.Path, "iNode") {
				continue
			}
			f.entry.Deleted = true
		}
		kept = append(kept, f)
	}
	for n, f := range v.inodes {
		if !v.links[n] {
			f.entry.Deleted = true
			kept = append(kept, *f)
		}
	}
	v.files = kept
	if f := v.folders[v.hidden]; f != nil {
		f.entry.Path = "[HFS+ private data]"
	}
}
