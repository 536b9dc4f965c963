package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"time"
	"unicode/utf16"

	"github.com/doorward/doorward/internal/unpack"
)

// ExFAT opens exFAT file systems (Microsoft's exFAT file system specification).
var ExFAT = &unpack.Reader{
	Name:    "exfat",
	Doc:     "exFAT file systems, with the checksums of boot sectors and folder entries, and the second boot region",
	Limits:  "Of deleted files only those whose entries are whole and whose clusters lie side by side are shown.",
	Checked: "mkfs.exfat and fsck.exfat 1.2.0: images of a writer made for the test, which fsck.exfat finds clean",
	Magics:  []unpack.Magic{{At: 3, Bytes: exfatMagic}},
	Carve:   true,
	Open:    openExFAT,
}

const (
	exfatMagic     = "EXFAT   "
	exfatFolder    = 0x10
	exfatMaxFolder = 256 << 20 // by the specification
	exfatInUse     = 0x80
	exfatFileEntry = 0x85
	exfatStream    = 0xc0
	exfatName      = 0xc1
	exfatLabel     = 0x83
)

type exfat struct {
	chains
	in      *unpack.Input
	g       *unpack.Gatherer
	ss      int64
	total   int64
	root    uint32
	label   string
	serial  uint32
	version uint16
	dirty   bool
	paths   map[string]int
	todo    []exfatTask
	gone    []exfatTask // deleted files
}

type exfatTask struct {
	dir string
	f   exfatFile
}

// exfatFile is a set of folder entries.
type exfatFile struct {
	name        string
	attr        uint16
	start       uint32
	size, valid int64
	side        bool // its clusters lie side by side, and the table knows nothing of them
	time        time.Time
}

var errExfatBoot = errors.New("the checksum of the boot region is wrong")

// readBoot reads the boot region in a sector; false if it is none, an error if
// its checksum is wrong.
func (x *exfat) readBoot(at int64) (bool, error) {
	b, err := unpack.ReadFull(x.data, at, sector)
	if err != nil || string(b[3:11]) != exfatMagic || !unpack.IsPadding(b[11:64]) || b[510] != 0x55 || b[511] != 0xaa {
		return false, nil
	}
	u32 := func(i int) int64 { return int64(binary.LittleEndian.Uint32(b[i:])) }
	if b[108] < 9 || b[108] > 12 || b[109] > 25-b[108] || b[110] == 0 || b[110] > 2 {
		return false, nil
	}
	x.ss = 1 << b[108]
	x.cluster = x.ss << b[109]
	total := binary.LittleEndian.Uint64(b[72:])
	x.total = int64(min(total, 1<<52/uint64(x.ss))) * x.ss
	table, length := u32(80)*x.ss, u32(84)*x.ss
	x.bits, x.mask, x.size = 32, 0xffffffff, length
	x.first, x.clusters, x.root = u32(88)*x.ss, u32(92), uint32(u32(96))
	x.serial, x.version = uint32(u32(100)), binary.LittleEndian.Uint16(b[104:])
	x.copies = []int64{table}
	flags := binary.LittleEndian.Uint16(b[106:])
	if x.dirty = flags&2 != 0; b[110] == 2 && flags&1 != 0 {
		x.copies[0] = table + length
	}
	if x.total == 0 || table < 24*sector || x.first < table+length || x.first > x.data.Size() || x.clusters < 1 || x.clusters > 1<<32-11 ||
		x.clusters > (x.total-x.first)/x.cluster || length < (x.clusters+2)*4 || !x.valid(x.root) {
		return false, nil
	}
	if !x.summed(at) {
		return true, errExfatBoot
	}
	return true, nil
}

// summed checks the checksum over eleven sectors, repeated in the twelfth.
func (x *exfat) summed(at int64) bool {
	b, err := unpack.ReadFull(x.data, at, 12*x.ss)
	if err != nil {
		return false
	}
	sum := uint32(0)
	for i, c := range b[:11*x.ss] {
		if i != 106 && i != 107 && i != 112 {
			sum = sum>>1 | sum<<31
			sum += uint32(c)
		}
	}
	return binary.LittleEndian.Uint32(b[11*x.ss:]) == sum
}

// chooseBoot takes the first boot region that is whole.
func (x *exfat) chooseBoot() bool {
	ok, err := x.readBoot(0)
	if ok && err == nil {
		// The copy has a copy's place behind it, the first region the copy.
		return x.in.Whole || string(unpack.ReadSome(x.data, 12*x.ss+3, 8)) == exfatMagic
	}
	for _, ss := range []int64{512, 1024, 2048, 4096} {
		if again, bad := x.readBoot(12 * ss); again && bad == nil && x.ss == ss {
			x.g.Damage(errors.New("exfat: the boot region is damaged: its copy was read"))
			return true
		}
	}
	if ok, err = x.readBoot(0); ok && x.in.Whole {
		x.g.Damage(fmt.Errorf("exfat: %w", err))
		return true
	}
	return false
}

func openExFAT(in *unpack.Input) (*unpack.Object, error) {
	x := &exfat{in: in, g: unpack.NewGatherer(in), paths: map[string]int{}}
	x.data = in.Data
	if !x.chooseBoot() {
		return nil, unpack.ErrNotThis
	}
	x.begin()
	o := &unpack.Object{Format: "exfat", Size: min(x.total, in.Data.Size()), System: true}
	if x.total > in.Data.Size() {
		x.g.Damage(&unpack.CutOff{Format: "exfat", Missing: x.total - in.Data.Size(), Of: x.total})
	}
	x.g.Add(unpack.Entry{Path: ".", Mode: fs.ModeDir | 0o755})
	x.folder("", exfatFile{start: x.root}, false)
	for len(x.todo) > 0 && !x.g.Stop() {
		t := x.todo[len(x.todo)-1]
		x.todo = x.todo[:len(x.todo)-1]
		x.folder(t.dir, t.f, false)
	}
	x.addGone()
	x.g.Finish(o)
	o.Info = map[string]string{"cluster size": fmt.Sprint(x.cluster), "serial number": fmt.Sprintf("%04X-%04X", x.serial>>16, x.serial&0xffff), "version": fmt.Sprintf("%d.%02d", x.version>>8, x.version&0xff)}
	if x.label != "" {
		o.Info["label"] = x.label
	}
	if x.dirty {
		o.Info["state"] = "was not unmounted"
	}
	return o, nil
}

// folder lists a folder.
func (x *exfat) folder(path string, f exfatFile, gone bool) {
	data, err := x.folderData(f)
	if err == nil {
		err = x.list(path, data, gone)
	}
	if err != nil && !gone {
		x.g.Damage(fmt.Errorf("exfat: folder %q: %w", "/"+path, err))
	}
}

func (x *exfat) folderData(f exfatFile) (unpack.Bytes, error) {
	if f.size > exfatMaxFolder {
		return nil, errors.New("it is larger than any folder may be")
	}
	runs, err := x.runs(f)
	if len(runs) == 0 {
		return nil, err
	}
	data, bad := x.content(runs, min(length(runs)*x.cluster, exfatMaxFolder), err)
	if bad != nil {
		return nil, bad
	}
	if err != nil {
		return &partial{data, data.Size() + 1, err}, nil // listed as far as it goes
	}
	return data, nil
}

// runs are a file's clusters; a size of 0 means that only the chain tells.
func (x *exfat) runs(f exfatFile) ([]run, error) {
	if f.side {
		return x.side(f.start, x.need(f.size))
	}
	return x.follow(f.start, x.need(f.size), exfatMaxFolder/x.cluster)
}

// list reads the sets of entries of a folder.
func (x *exfat) list(path string, data unpack.Bytes, gone bool) error {
	s := unpack.NewSlider(data)
	for at := int64(0); at < data.Size(); {
		e := s.At(at, 32)
		if len(e) < 32 {
			_, err := data.ReadAt(make([]byte, 1), at)
			return err
		}
		if e[0] == 0 {
			return nil
		}
		switch e[0] {
		case exfatLabel:
			if n := int(e[1]); n > 0 && n <= 11 && path == "" {
				x.label = unpack.UTF16(e[2 : 2+2*n])
			}
		case exfatFileEntry, exfatFileEntry &^ exfatInUse:
			n := int64(e[1]) + 1
			f, err := exfatSet(s.At(at, 32*n), n)
			if err == nil {
				if !x.add(path, f, gone || e0(s.At(at, 1))&exfatInUse == 0) {
					return nil
				}
				at += 32 * n
				continue
			}
			if e0(s.At(at, 1))&exfatInUse != 0 && !gone {
				x.g.Damage(fmt.Errorf("exfat: folder %q: %w", "/"+path, err))
			}
		}
		at += 32
	}
	return nil
}

func e0(b []byte) byte {
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

var errExfatSet = errors.New("a damaged set of entries")

// exfatSet reads the entries of one file: the file, its stream, its name. The
// checksum is taken as if they were in use.
func exfatSet(set []byte, n int64) (f exfatFile, err error) {
	if n < 3 || n > 19 || int64(len(set)) < 32*n {
		return f, errExfatSet
	}
	inUse := set[0] & exfatInUse
	sum := uint16(0)
	for i, c := range set {
		if i%32 == 0 {
			if c&exfatInUse != inUse {
				return f, errExfatSet
			}
			c |= exfatInUse
		}
		if i != 2 && i != 3 {
			sum = sum>>1 | sum<<15
			sum += uint16(c)
		}
	}
	stream := set[32:]
	if sum != binary.LittleEndian.Uint16(set[2:]) || stream[0]|exfatInUse != exfatStream {
		return f, errExfatSet
	}
	f.attr = binary.LittleEndian.Uint16(set[4:])
	f.time = exfatTime(binary.LittleEndian.Uint32(set[12:]), set[21], set[23])
	f.side = stream[1]&2 != 0
	f.valid, f.size = int64(binary.LittleEndian.Uint64(stream[8:])), int64(binary.LittleEndian.Uint64(stream[24:]))
	f.start = binary.LittleEndian.Uint32(stream[20:])
	units := []uint16{}
	for e := set[64:]; len(e) >= 32 && e[0]|exfatInUse == exfatName; e = e[32:] {
		for i := 2; i < 32; i += 2 {
			units = append(units, binary.LittleEndian.Uint16(e[i:]))
		}
	}
	if int(stream[3]) > len(units) || stream[3] == 0 || f.size < 0 || f.valid < 0 || f.valid > f.size {
		return f, errExfatSet
	}
	f.name = string(utf16.Decode(units[:stream[3]]))
	return f, nil
}

// exfatTime is a time in a zone of quarters of an hour, if that is known.
func exfatTime(stamp uint32, tenMs, zone byte) time.Time {
	t := fatTime(uint16(stamp>>16), uint16(stamp)).Add(time.Duration(tenMs) * 10 * time.Millisecond)
	if zone&0x80 != 0 {
		t = t.Add(-time.Duration(int8(zone<<1)>>1) * 15 * time.Minute)
	}
	return t
}

// add adds a file or folder of a folder.
func (x *exfat) add(dir string, f exfatFile, gone bool) bool {
	if gone {
		x.gone = append(x.gone, exfatTask{dir, f})
		return !x.g.Stop()
	}
	path, err := unpack.JoinName(dir, f.name)
	if err != nil {
		x.g.Damage(fmt.Errorf("exfat: %w", err))
	}
	x.paths[path] = 1
	e := x.entry(path, f)
	if f.attr&exfatFolder != 0 {
		x.todo = append(x.todo, exfatTask{path, f})
	} else if f.size > 0 {
		runs, err := x.runs(f)
		if e.Data, e.Err = x.fileData(runs, f, err); e.Err != nil {
			err = e.Err
		} else if p, ok := e.Data.(*partial); ok {
			err = p.err
		}
		if err != nil {
			x.g.Damage(fmt.Errorf("exfat: %q: %w", path, err))
		}
	}
	return x.g.Add(e)
}

func (x *exfat) entry(path string, f exfatFile) unpack.Entry {
	d := fatDirent{attr: byte(f.attr)}
	return unpack.Entry{Path: path, Mode: d.mode(), ModTime: f.time, Order: int64(f.start)}
}

// fileData is the content: what was written, then zeros that were not.
func (x *exfat) fileData(runs []run, f exfatFile, why error) (unpack.Bytes, error) {
	if f.valid == f.size {
		return x.content(runs, f.size, why)
	}
	if why == nil && f.valid == 0 {
		return unpack.Extents(unpack.Slice(nil), nil, f.size)
	}
	data, err := x.content(runs, f.valid, why)
	if err != nil {
		return nil, err
	}
	if _, ok := data.(*partial); ok {
		return &partial{data, f.size, why}, nil
	}
	return unpack.Extents(data, []unpack.Extent{{Offset: 0, Size: f.valid, From: 0}}, f.size)
}

// addGone adds deleted files whose clusters nothing else uses.
func (x *exfat) addGone() {
	for len(x.gone) > 0 && !x.g.Stop() {
		t := x.gone[len(x.gone)-1]
		x.gone = x.gone[:len(x.gone)-1]
		path, err := unpack.JoinName(t.dir, t.f.name)
		if err != nil || t.f.size > 0 && !t.f.side {
			continue
		}
		runs, err := x.runs(t.f)
		if t.f.size > 0 && err != nil {
			continue
		}
		n, taken := x.paths[path]
		if x.paths[path] = n + 1; taken {
			path = fmt.Sprintf("%s~deleted%d", path, n)
		}
		e := x.entry(path, t.f)
		e.Deleted = true
		if t.f.attr&exfatFolder != 0 {
			if data, err := x.content(runs, t.f.size, nil); err == nil && t.f.size > 0 && t.f.size <= exfatMaxFolder {
				x.list(path, data, true)
			}
		} else if t.f.size > 0 {
			if e.Data, err = x.fileData(runs, t.f, nil); err != nil {
				continue
			}
		}
		x.g.Add(e)
	}
}
