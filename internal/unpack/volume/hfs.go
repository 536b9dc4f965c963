package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// HFS opens the Macintosh's file system before HFS+. Layout: "Inside Macintosh:
// Files", chapter 2; the kernel's fs/hfs/hfs.h.
var HFS = &unpack.Reader{
	Name:    "hfs",
	Doc:     "HFS volumes: both forks of files, scattered files, the wrapper of an HFS+ volume",
	Limits:  "Types, creators and the Finder's comments are not shown. The format has no checksums.",
	Checked: "hformat and hcopy; random trees; scattered files and resource forks by hcopy",
	Magics:  []unpack.Magic{{At: hfsHeader, Bytes: "BD"}},
	Open:    openHFS,
}

func openHFS(in *unpack.Input) (*unpack.Object, error) {
	p, err := unpack.ReadFull(in.Data, hfsHeader, 162)
	if err != nil || string(p[:2]) != "BD" || !in.Whole {
		return nil, unpack.ErrNotThis
	}
	be := binary.BigEndian
	block, blocks, base := int64(be.Uint32(p[20:])), int64(be.Uint16(p[18:])), int64(be.Uint16(p[28:]))*512
	if block < 512 || block%512 != 0 || blocks == 0 || int64(be.Uint16(p[14:]))*512 < hfsHeader+512 || base < int64(be.Uint16(p[14:]))*512+(blocks+7)/8 || p[36] == 0 || p[36] > 27 {
		return nil, unpack.ErrNotThis
	}
	size := base + block*blocks + 1024 // the copy of the header, and a free sector
	o := &unpack.Object{Format: "hfs", Size: min(size, in.Data.Size()), System: true, Info: map[string]string{"block size": fmt.Sprint(block), "label": macRoman(p[37 : 37+p[36]])}}
	v := &hfs{}
	v.hfsSpace = hfsSpace{data: in.Data, base: base, block: block, blocks: blocks, overflow: map[hfsFork]map[int64][]hfsRun{}}
	v.hfsCatalog = hfsCatalog{g: unpack.NewGatherer(in), name: "hfs", folders: map[uint32]*hfsFolder{}, room: in.Budget.Limits.Files}
	if size > in.Data.Size()+1024 {
		v.g.Damage(&unpack.CutOff{Format: "hfs", Missing: size - in.Data.Size(), Of: size})
	}
	if be.Uint16(p[10:])&0x100 == 0 {
		o.Info["state"] = "was not unmounted cleanly"
	}
	if string(p[124:126]) == "H+" || string(p[124:126]) == "HX" {
		o.Format, o.System = "hfs wrapper", false
		at, n := base+int64(be.Uint16(p[126:]))*block, int64(be.Uint16(p[128:]))*block
		o.Parts = append(o.Parts, unpack.Part{Name: "hfsplus", Data: unpack.Window(in.Data, at, n), Offset: at})
	}
	v.extentsTree(p)
	v.read(p)
	v.finish()
	v.g.Finish(o)
	return o, nil
}

// hfs is an open volume.
type hfs struct {
	hfsSpace
	hfsCatalog
}

// hfsShortRuns reads the three extents of a record.
func hfsShortRuns(p []byte) (runs []hfsRun) {
	for i := range 3 {
		runs = append(runs, hfsRun{int64(binary.BigEndian.Uint16(p[4*i:])), int64(binary.BigEndian.Uint16(p[4*i+2:]))})
	}
	return runs
}

func (v *hfs) tree(p []byte, file uint32, name string) *hfsTree {
	data, err := v.fork(hfsFork{file, false}, int64(binary.BigEndian.Uint32(p)), hfsShortRuns(p[4:]))
	if err == nil {
		var t *hfsTree
		if t, err = openHFSTree(data); err == nil {
			return t
		}
	}
	v.g.Damage(fmt.Errorf("hfs: the %s file: %w", name, err))
	return nil
}

// extentsTree notes the extents of files with more than three.
func (v *hfs) extentsTree(p []byte) {
	be := binary.BigEndian
	t := v.tree(p[130:], 3, "extents")
	if t == nil {
		return
	}
	err := t.records(func(r []byte) bool {
		if len(r) >= 8+12 && r[0] == 7 {
			v.more(hfsFork{be.Uint32(r[2:]), r[1] == 0xff}, int64(be.Uint16(r[6:])), hfsShortRuns(r[8:]))
		}
		return true
	})
	if err != nil {
		v.g.Damage(fmt.Errorf("hfs: the extents file: %w", err))
	}
}

// read lists the catalog.
func (v *hfs) read(p []byte) {
	t := v.tree(p[146:], 4, "catalog")
	if t == nil {
		return
	}
	err := t.records(func(r []byte) bool {
		if v.room--; v.room <= 0 || v.g.Stop() {
			return false
		}
		if len(r) < 8 || int(r[0]) < 6 || 7+int(r[6]) > int(r[0])+1 || int(r[0])+1 > len(r) {
			v.g.Damage(errors.New("hfs: a damaged record of the catalog"))
			return true
		}
		parent, name := binary.BigEndian.Uint32(r[2:]), strings.ReplaceAll(macRoman(r[7:7+r[6]]), "/", ":")
		rec := r[min((int(r[0])+2)&^1, len(r)):]
		switch {
		case len(rec) >= 70 && rec[0] == 1:
			v.folder(parent, name, rec)
		case len(rec) >= 102 && rec[0] == 2:
			v.file(parent, name, rec)
		case len(rec) < 2 || rec[0] < 3 || rec[0] > 4:
			v.g.Damage(fmt.Errorf("hfs: a damaged record of the catalog: %q", name))
		}
		return true
	})
	if err != nil {
		v.g.Damage(fmt.Errorf("hfs: the catalog: %w", err))
	}
}

func (v *hfs) folder(parent uint32, name string, p []byte) {
	id := binary.BigEndian.Uint32(p[6:])
	if v.folders[id] != nil {
		v.g.Damage(fmt.Errorf("hfs: two folders have the number %d", id))
		return
	}
	e := unpack.Entry{Path: name, Mode: fs.ModeDir | 0o755, ModTime: hfsTime(binary.BigEndian.Uint32(p[14:]))}
	v.folders[id] = &hfsFolder{parent: parent, entry: e}
}

func (v *hfs) file(parent uint32, name string, p []byte) {
	be := binary.BigEndian
	f := hfsFile{parent: parent, id: be.Uint32(p[20:])}
	f.entry = unpack.Entry{Path: name, Mode: 0o644, ModTime: hfsTime(be.Uint32(p[48:])), Order: int64(be.Uint16(p[74:])) * v.block}
	if p[2]&1 != 0 {
		f.entry.Mode = 0o444 // locked
	}
	data, err := v.open(p[26:], hfsFork{f.id, false}, p[74:])
	rsrc, bad := v.open(p[36:], hfsFork{f.id, true}, p[86:])
	switch {
	case err != nil:
		f.entry.Err = fmt.Errorf("hfs: %w", err)
	case data.Size() > 0:
		f.entry.Data = data
	}
	if bad != nil {
		f.bad = fmt.Errorf("hfs: the resource fork: %w", bad)
		v.g.Damage(fmt.Errorf("%q: %w", name, f.bad))
	} else if rsrc.Size() > 0 {
		f.rsrc = rsrc
	}
	v.files = append(v.files, f)
}

func (v *hfs) open(size []byte, id hfsFork, runs []byte) (unpack.Bytes, error) {
	n := int64(binary.BigEndian.Uint32(size))
	if n > v.block*v.blocks {
		return nil, errors.New("it is larger than the volume")
	}
	return v.fork(id, n, hfsShortRuns(runs))
}

// macHigh are the characters of Mac OS Roman from 0x80 on (Apple's ROMAN.TXT).
var macHigh = []rune("ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø¿¡¬√ƒ≈∆«»…\u00a0ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\uf8ffÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ")

func macRoman(p []byte) string {
	var b strings.Builder
	for _, c := range p {
		switch {
		case c < 0x80:
			b.WriteByte(c)
		case int(c-0x80) < len(macHigh):
			b.WriteRune(macHigh[c-0x80])
		}
	}
	return b.String()
}
