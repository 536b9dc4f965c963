package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// NTFS opens NTFS volumes. Layout: the documentation of the Linux-NTFS project
// and Microsoft's [MS-FSCC]; constants from the kernel's fs/ntfs3/ntfs.h.
var NTFS = &unpack.Reader{
	Name: "ntfs",
	Doc:  "NTFS 1.2 to 3.1 volumes: compressed and sparse files, alternate data streams, hard links, attribute lists, reparse points and the special files of WSL and Interix, deleted files",
	Limits: "access control lists, the journal and the volume's own metadata files are not read; files of Windows' overlay compression (WOF) are reported as unsupported, " +
		"encrypted ones as encrypted",
	Checked: "mkntfs with 5 option sets filled by ntfscp and by a mounted ntfs-3g, with and without compression",
	Magics:  []unpack.Magic{{At: 3, Bytes: "NTFS    "}},
	Carve:   true,
	Open:    openNTFS,
}

// Records of the master file table with a fixed meaning.
const (
	ntfsMFT    = 0
	ntfsRoot   = 5
	ntfsBitmap = 6
	ntfsBoot   = 7
	ntfsExtend = 11
	ntfsFirst  = 16 // the first that is no metadata file
)

// ntfs is an open volume.
type ntfs struct {
	in      *unpack.Input
	g       *unpack.Gatherer
	data    unpack.Bytes // the volume
	cluster int64
	record  int64 // bytes of a file record
	size    int64 // of the volume
	table   unpack.Bytes
	records unpack.Bytes // bitmap: records in use
	used    unpack.Bytes // bitmap: clusters in use
	cache   *unpack.BlockCache
	nodes   map[int64]*ntfsNode
}

func openNTFS(in *unpack.Input) (*unpack.Object, error) {
	v := &ntfs{in: in, data: in.Data, cache: unpack.NewBlockCache(16 << 20), nodes: map[int64]*ntfsNode{}}
	boot := unpack.ReadSome(in.Data, 0, 512)
	table, mirror, err := v.boot(boot)
	if err != nil {
		// The copy in the last sector, if the first was damaged.
		if !in.Whole {
			return nil, unpack.ErrNotThis
		}
		if table, mirror, err = v.boot(unpack.ReadSome(in.Data, in.Data.Size()/512*512-512, 512)); err != nil {
			return nil, unpack.ErrNotThis
		}
	}
	v.g = unpack.NewGatherer(in)
	o := &unpack.Object{Format: "ntfs", Size: min(v.size, in.Data.Size()), System: true, Info: map[string]string{"cluster size": fmt.Sprint(v.cluster)}}
	if err := v.openTable(table, mirror); err != nil {
		if !in.Whole {
			return nil, unpack.ErrNotThis
		}
		o.Err = fmt.Errorf("ntfs: the master file table: %w", err)
		return o, nil
	}
	if v.size > in.Data.Size() {
		v.g.Damage(&unpack.CutOff{Format: "ntfs", Missing: v.size - in.Data.Size(), Of: v.size})
	}
	v.volumeInfo(o)
	v.scan()
	v.tree()
	v.g.Finish(o)
	return o, nil
}

// boot reads a boot sector: where the table and its mirror are.
func (v *ntfs) boot(p []byte) (table, mirror int64, err error) {
	if len(p) < 512 || string(p[3:11]) != "NTFS    " || p[510] != 0x55 || p[511] != 0xaa {
		return 0, 0, unpack.ErrNotThis
	}
	le := binary.LittleEndian
	sector, per := int64(le.Uint16(p[11:])), int64(p[13])
	if per > 0x80 {
		per = 1 << min(256-per, 32)
	}
	v.cluster = sector * per
	if sector < 256 || sector > 4096 || sector&(sector-1) != 0 || per&(per-1) != 0 || v.cluster < 256 || v.cluster > 2<<20 {
		return 0, 0, unpack.ErrNotThis
	}
	if v.record = int64(int8(p[64])); v.record < 0 {
		v.record = 1 << min(-v.record, 20)
	} else {
		v.record *= v.cluster
	}
	sectors := int64(le.Uint64(p[40:]))
	table, mirror = int64(le.Uint64(p[48:])), int64(le.Uint64(p[56:]))
	clusters := sectors * sector / v.cluster
	if v.record < 512 || v.record > 64<<10 || v.record%512 != 0 || sectors <= 0 || sectors > 1<<52/sector || table <= 0 || table > clusters || mirror < 0 {
		return 0, 0, unpack.ErrNotThis
	}
	v.size = sectors * sector
	if string(unpack.ReadSome(v.data, v.size+3, 8)) == "NTFS    " {
		v.size += sector // the copy of the boot sector
	}
	return table * v.cluster, mirror * v.cluster, nil
}

// openTable makes the master file table readable. It is a file of its own, and
// where it continues may be said in a part of it that is readable already.
func (v *ntfs) openTable(at, mirror int64) error {
	var self *ntfsFile
	var err error
	for _, from := range []int64{at, mirror} {
		var p []byte
		if p, err = unpack.ReadFull(v.data, from, v.record); err != nil {
			continue
		}
		if self, err = v.parseRecord(append([]byte(nil), p...), ntfsMFT); err == nil && self.inUse() {
			if from == mirror {
				v.g.Damage(errors.New("ntfs: the first record is damaged; its mirror is read"))
			}
			break
		}
	}
	if err != nil {
		return err
	}
	part := self.find(ntfsData, "")
	if part == nil || !part.remote {
		return errors.New("it has no content")
	}
	v.table, err = v.content(self, *part)
	if err != nil && self.find(ntfsList, "") == nil {
		return err
	}
	if self.find(ntfsList, "") != nil {
		// What the first piece of the runs covers is enough to read the list.
		if err := v.firstPiece(*part); err != nil {
			return err
		}
		if err := v.extend(self); err != nil {
			return err
		}
		if part = self.find(ntfsData, ""); part == nil {
			return errors.New("it has no content")
		}
		if v.table, err = v.content(self, *part); err != nil {
			return err
		}
	}
	if b := self.find(ntfsBitmapAttr, ""); b != nil {
		v.records, _ = v.content(self, *b)
	}
	if f, err := v.file(ntfsBitmap); err == nil {
		if b := f.find(ntfsData, ""); b != nil {
			v.used, _ = v.content(f, *b)
		}
	}
	return nil
}

// firstPiece maps the table as far as its first record says.
func (v *ntfs) firstPiece(a ntfsAttr) error {
	runs, err := v.runs(a)
	if err != nil {
		return err
	}
	size := int64(0)
	for _, r := range runs {
		size = max(size, r.Offset+r.Size)
	}
	v.table, err = unpack.Extents(v.data, runs, size)
	return err
}

// volumeInfo reads the label and the version.
func (v *ntfs) volumeInfo(o *unpack.Object) {
	f, err := v.file(3)
	if err != nil {
		return
	}
	if a := f.find(ntfsVolumeName, ""); a != nil && !a.remote && len(a.value) > 0 {
		o.Info["label"] = unpack.UTF16(a.value)
	}
	if a := f.find(ntfsVolumeInfo, ""); a != nil && len(a.value) >= 12 {
		o.Format = fmt.Sprintf("ntfs %d.%d", a.value[8], a.value[9])
		if binary.LittleEndian.Uint16(a.value[10:])&1 != 0 {
			o.Info["state"] = "was not unmounted cleanly"
		}
	}
}

// BitLocker recognises encrypted Windows volumes, which can't be opened.
var BitLocker = &unpack.Reader{
	Name:    "bitlocker",
	Doc:     "BitLocker volumes: recognised, and reported as encrypted",
	Limits:  "nothing of the content is read, since the key is not in the volume",
	Checked: "boot sectors made by hand from the documentation of libbde",
	Magics:  []unpack.Magic{{At: 3, Bytes: "-FVE-FS-"}},
	Carve:   true,
	Open:    openBitLocker,
}

// openBitLocker checks the boot sector and a metadata block.
func openBitLocker(in *unpack.Input) (*unpack.Object, error) {
	p := unpack.ReadSome(in.Data, 0, 512)
	if len(p) < 512 || p[510] != 0x55 || p[511] != 0xaa {
		return nil, unpack.ErrNotThis
	}
	le := binary.LittleEndian
	size, found := int64(0), false
	for _, table := range []int{176, 440} { // the second of BitLocker To Go
		for i := range 3 {
			at := int64(le.Uint64(p[table+8*i:]))
			m := unpack.ReadSome(in.Data, at, 112)
			if len(m) == 112 && strings.HasPrefix(string(m), "-FVE-FS-") {
				found = true
				size = max(size, int64(le.Uint64(m[16:])), at+64<<10)
			}
		}
	}
	if !found && !in.Whole {
		return nil, unpack.ErrNotThis
	}
	if sectors := int64(le.Uint64(p[40:])); sectors > 0 && sectors < 1<<44 {
		size = max(size, sectors*512)
	}
	if size <= 0 || size > in.Data.Size() || in.Whole {
		size = in.Data.Size()
	}
	return &unpack.Object{Format: "bitlocker", Size: size, Err: fmt.Errorf("bitlocker: the volume is %w", unpack.ErrEncrypted),
		Gaps: []unpack.Gap{{Offset: 0, Size: size, Reason: "encrypted", Note: "a BitLocker volume"}}}, nil
}
