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

// ntfsNode is what becomes of a file record in the tree.
type ntfsNode struct {
	seq     uint16
	inUse   bool
	dir     bool
	names   []ntfsName
	entry   unpack.Entry   // without a path
	streams []unpack.Entry // with the name of the stream in place of the path
	path    string         // of a folder, once it is known
	state   int            // 1 while its path is looked for, 2 when it is known
}

// ntfsName is a name in a folder.
type ntfsName struct {
	parent uint64
	name   string
}

// scan reads all file records.
func (v *ntfs) scan() {
	count := v.table.Size() / v.record
	s := unpack.NewSlider(v.table)
	files := int64(0)
	for number := int64(0); number < count && !v.g.Stop(); number++ {
		p := s.At(number*v.record, v.record)
		inUse := v.isUsed(v.records, number, 1)
		if len(p) < int(v.record) {
			v.g.Damage(fmt.Errorf("ntfs: file records from %d on can't be read", number))
			return
		}
		if string(p[:4]) != "FILE" && !inUse {
			continue
		}
		f, err := v.parseRecord(append([]byte(nil), p...), number)
		if err != nil {
			if inUse && number >= ntfsFirst {
				v.g.Damage(fmt.Errorf("ntfs: file record %d: %w", number, err))
			}
			continue
		}
		if f.base != 0 || number < ntfsFirst && number != ntfsRoot && number != ntfsBoot && number != ntfsExtend {
			continue // an extension, or metadata
		}
		if f.find(ntfsList, "") != nil {
			if err = v.extend(f); err != nil && !f.inUse() {
				continue
			}
		}
		if n := v.node(f, err); n != nil {
			v.nodes[number] = n
			if files += int64(len(n.names)); files > v.in.Budget.Limits.Files {
				return // the gatherer says so
			}
		}
	}
}

// isUsed looks into a bitmap; without one, the answer is no.
func (v *ntfs) isUsed(bitmap unpack.Bytes, first, n int64) bool {
	if bitmap == nil {
		return false
	}
	for i := first; i < first+n; i++ {
		if b := unpack.ReadSome(bitmap, i/8, 1); len(b) == 1 && b[0]>>(i%8)&1 != 0 {
			return true
		}
	}
	return false
}

// node makes what the tree needs of a record.
func (v *ntfs) node(f *ntfsFile, bad error) *ntfsNode {
	n := &ntfsNode{seq: f.seq, inUse: f.inUse(), dir: f.dir(), names: v.names(f)}
	if len(n.names) == 0 && f.number != ntfsRoot {
		if n.inUse && bad != nil {
			v.g.Damage(fmt.Errorf("ntfs: file record %d: %w", f.number, bad))
		}
		return nil
	}
	e := &n.entry
	e.Mode, e.Deleted, e.Order, e.Err = 0o755, !n.inUse, f.number, bad
	if n.dir {
		e.Mode |= fs.ModeDir
	}
	if a := f.find(ntfsStandard, ""); a != nil && len(a.value) >= 16 {
		e.ModTime = fileTime(binary.LittleEndian.Uint64(a.value[8:]))
	}
	if len(n.names) > 1 {
		e.Inode = uint64(f.number)
	}
	v.special(f, e)
	for _, a := range f.attrs {
		if a.kind != ntfsData || a.name == "" && n.dir {
			continue
		}
		s := e
		if a.name != "" {
			n.streams = append(n.streams, unpack.Entry{Path: a.name, Mode: 0o644, ModTime: e.ModTime, Deleted: e.Deleted})
			s = &n.streams[len(n.streams)-1]
		}
		if s.Err == nil && s.Mode.IsRegular() {
			v.fill(f, a, s)
		}
	}
	if bad != nil && n.inUse {
		v.g.Damage(fmt.Errorf("ntfs: %q: %w", n.names[0].name, bad))
	}
	return n
}

// fill gives an entry its content. That of a deleted file is only there as long
// as nobody else uses its clusters.
func (v *ntfs) fill(f *ntfsFile, a ntfsAttr, e *unpack.Entry) {
	data, err := v.content(f, a)
	if err == nil && e.Deleted && a.remote {
		err = v.overwritten(a)
	}
	if err != nil {
		e.Err = fmt.Errorf("ntfs: %w", err)
		if !errors.Is(err, unpack.ErrEncrypted) && !errors.Is(err, unpack.ErrUnsupported) && !e.Deleted {
			v.g.Damage(fmt.Errorf("ntfs: file record %d: %w", f.number, err))
		}
		return
	}
	if data.Size() > 0 {
		e.Data = data
	}
	if a.remote && a.name == "" {
		if runs, err := v.runs(a); err == nil && len(runs) > 0 {
			e.Order = runs[0].From
		}
	}
	if e.Mode.IsRegular() && a.name == "" && e.Mode&fs.ModeType == 0 {
		v.interix(f, e)
	}
}

var errOverwritten = errors.New("deleted, and its clusters are used again")

// overwritten says if clusters of a deleted file are in use.
func (v *ntfs) overwritten(a ntfsAttr) error {
	runs, err := v.runs(a)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.From == unpack.Hole {
			continue
		}
		// The ends tell enough of long runs: clusters are taken from one of them.
		first, n := r.From/v.cluster, r.Size/v.cluster
		if v.isUsed(v.used, first, min(n, 4096)) || v.isUsed(v.used, first+max(0, n-4096), min(n, 4096)) {
			return errOverwritten
		}
	}
	return nil
}

// names lists a file's names without the short ones of DOS.
func (v *ntfs) names(f *ntfsFile) []ntfsName {
	var list, short []ntfsName
	seen := map[ntfsName]bool{}
	for _, a := range f.attrs {
		if a.kind != ntfsFileName || len(a.value) < 66 {
			continue
		}
		n := int(a.value[64]) * 2
		if 66+n > len(a.value) {
			continue
		}
		name := ntfsName{binary.LittleEndian.Uint64(a.value), utf16Name(a.value[66 : 66+n])}
		if seen[name] {
			continue
		}
		seen[name] = true
		if a.value[65] == 2 {
			short = append(short, name)
		} else {
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		return short
	}
	return list
}

// utf16Name is a whole field of UTF-16, zeros included.
func utf16Name(p []byte) string {
	u := make([]uint16, len(p)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(p[2*i:])
	}
	return string(utf16.Decode(u))
}

// fileTime counts 100 ns from the year 1601.
func fileTime(t uint64) time.Time {
	const epoch = 116444736000000000
	if t == 0 || t > 1<<62 {
		return time.Time{}
	}
	d := int64(t) - epoch
	return time.Unix(d/10_000_000, d%10_000_000*100).UTC()
}

// tree gives all nodes their paths.
func (v *ntfs) tree() {
	if root := v.nodes[ntfsRoot]; root == nil || !root.dir {
		v.g.Damage(errors.New("ntfs: the root folder's record is damaged"))
		v.nodes[ntfsRoot] = &ntfsNode{seq: ntfsRoot, inUse: true, dir: true, entry: unpack.Entry{Mode: fs.ModeDir | 0o755}}
	}
	v.nodes[ntfsRoot].state = 2
	root := v.nodes[ntfsRoot].entry
	root.Path = "."
	v.g.Add(root)
	for number := int64(0); number < v.table.Size()/v.record && !v.g.Stop(); number++ {
		n := v.nodes[number]
		if n == nil || number == ntfsExtend {
			continue
		}
		if number == ntfsRoot {
			v.streams(n, "")
			continue
		}
		for _, name := range n.names {
			path, ok := v.path(name, n)
			if !ok {
				continue
			}
			e := n.entry
			e.Path = path
			if !v.g.Add(e) {
				return
			}
			v.streams(n, path)
		}
	}
}

// streams adds a file's alternate data streams.
func (v *ntfs) streams(n *ntfsNode, path string) {
	for _, s := range n.streams {
		s.Path = path + ":" + strings.NewReplacer("/", "%2F", "\x00", "%00").Replace(s.Path)
		v.g.Add(s)
	}
}

// path is where a name is; false for what belongs to the volume itself.
func (v *ntfs) path(name ntfsName, n *ntfsNode) (string, bool) {
	number := refNumber(name.parent)
	if number == ntfsExtend {
		return "", false
	}
	dir, ok := v.folder(number, refSeq(name.parent), !n.inUse)
	if !ok && v.hidden(number) {
		return "", false
	}
	switch {
	case !ok && !n.inUse:
		dir = "[deleted]"
	case !ok:
		v.g.Damage(fmt.Errorf("ntfs: the folder of %q is gone", name.name))
		dir = "[lost]"
	}
	path, err := unpack.JoinName(dir, name.name)
	if err != nil && n.inUse {
		v.g.Damage(fmt.Errorf("ntfs: %w", err))
	}
	return path, true
}

// hidden says that a folder is one of the volume's own, or in one.
func (v *ntfs) hidden(number int64) bool {
	for range 64 {
		if number == ntfsExtend {
			return true
		}
		n := v.nodes[number]
		if n == nil || len(n.names) == 0 || number == ntfsRoot {
			return false
		}
		number = refNumber(n.names[0].parent)
	}
	return false
}

// folder is the path of the folder that a reference means. Its sequence number
// grows when it is deleted.
func (v *ntfs) folder(number int64, seq uint16, deleted bool) (string, bool) {
	n := v.nodes[number]
	if n == nil || !n.dir || n.state == 1 {
		return "", false
	}
	if n.seq != seq && number != ntfsRoot && !(deleted && !n.inUse && n.seq == seq+1) {
		return "", false
	}
	if n.state == 2 {
		return n.path, true
	}
	n.state = 1 // until it is known: folders in a ring have no path
	dir, ok := v.folderOf(n)
	if !ok {
		n.state = 0
		if !n.inUse && !v.hidden(number) {
			dir, ok = "[deleted]", true
		}
	}
	if !ok {
		return "", false
	}
	path, _ := unpack.JoinName(dir, n.names[0].name)
	if len(path) > 1<<15 {
		return "", false
	}
	n.path, n.state = path, 2
	return path, true
}

func (v *ntfs) folderOf(n *ntfsNode) (string, bool) {
	if refNumber(n.names[0].parent) == ntfsExtend {
		return "", false
	}
	return v.folder(refNumber(n.names[0].parent), refSeq(n.names[0].parent), !n.inUse)
}
