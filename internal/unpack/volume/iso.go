package volume

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/doorward/doorward/internal/unpack"
)

// ISO9660 opens the file systems of CDs and DVDs. Layout: ECMA-119 (4th
// edition), the Joliet specification, IEEE P1281 and P1282 (SUSP, Rock Ridge),
// El Torito 1.0; libisofs's doc for zisofs and boot sectors.
var ISO9660 = &unpack.Reader{
	Name: "iso9660",
	Doc:  "ISO 9660 discs: Rock Ridge with relocated folders and zisofs, Joliet, enhanced and plain names, files of several extents, El Torito boot images, partitions of hybrid images, earlier sessions; raw 2352-byte sectors too",
	Limits: "High Sierra discs, interleaved files, the permissions of extended attribute records and the sparse files of Rock Ridge (SF) are not read; " +
		"only the richest tree of a disc is shown in full, of the others what it lacks",
	Checked: "genisoimage, mkzftree and xorriso with 24 option sets; random trees",
	Magics: []unpack.Magic{
		{At: isoFirst*isoSector + 1, Bytes: isoID},
		{At: isoFirst*rawSector + 16 + 1, Bytes: isoID}, // raw, mode 1
		{At: isoFirst*rawSector + 24 + 1, Bytes: isoID}, // raw, mode 2
	},
	Carve: true,
	Open:  openISO,
}

const (
	isoID     = "CD001"
	isoSector = 2048
	isoFirst  = 16 // sector of the first volume descriptor
	isoMaxVD  = 64
)

// Types of volume descriptors.
const (
	isoBoot       = 0
	isoPrimary    = 1
	isoSupplement = 2
	isoEnd        = 255
)

// iso is an open disc.
type iso struct {
	in       *unpack.Input
	data     unpack.Bytes // sectors of 2048 bytes
	g        *unpack.Gatherer
	o        *unpack.Object
	raw      bool
	zisofs   *unpack.BlockCache
	known    map[isoPlace]bool // the content that is in the tree
	end      int64             // of what is in use
	volume   int64             // its stated size
	listed   int64             // bytes of folders listed so far
	trees    []string
	rockVer  string
	byExtent map[int64]int64 // size of the file that starts at an offset
}

// isoPlace is where a file's content is: equal for one file in two trees.
type isoPlace struct{ at, size int64 }

// isoVD is a volume descriptor of a tree.
type isoVD struct {
	name    string // rock ridge, joliet, enhanced, plain
	sector  int64
	block   int64 // size of a logical block
	size    int64 // of the volume, in bytes
	root    isoRecord
	wide    bool // names in UCS-2
	susp    bool
	skip    int // bytes before the SUSP entries of each record
	own     int // the same for the root's entry for itself
	raw     []byte
	session bool // of an earlier session
}

func openISO(in *unpack.Input) (*unpack.Object, error) {
	d := &iso{in: in, data: in.Data, zisofs: zisofsCache(), known: map[isoPlace]bool{}, byExtent: map[int64]int64{}}
	if string(unpack.ReadSome(in.Data, isoFirst*isoSector+1, 5)) != isoID {
		s := newSectors(in.Data, 0)
		if s == nil || string(unpack.ReadSome(s, isoFirst*isoSector+1, 5)) != isoID {
			return nil, unpack.ErrNotThis
		}
		d.data, d.raw = s, true
	}
	vds, boot, err := d.descriptors(isoFirst)
	if err != nil {
		return nil, err
	}
	d.g = unpack.NewGatherer(in)
	d.o = &unpack.Object{System: true, Info: isoInfo(vds[0].raw)}
	d.end, d.volume = vds[0].size, vds[0].size
	d.newest(&vds, &boot)
	if err := d.checkRoot(&vds[0]); err != nil {
		if !in.Whole {
			return nil, unpack.ErrNotThis
		}
		d.g.Damage(fmt.Errorf("iso9660: the root folder: %w", err))
	}
	d.allTrees(vds)
	d.boot(boot)
	if !d.raw {
		d.hybrid()
	}
	d.finish(vds)
	return d.o, nil
}

// finish fills in what is known once everything was walked.
func (d *iso) finish(vds []isoVD) {
	d.o.Format = "iso9660 " + d.trees[0]
	d.o.Info["trees"] = strings.Join(d.trees, ", ")
	if d.rockVer != "" {
		d.o.Info["rock ridge"] = d.rockVer
	}
	d.g.Finish(d.o)
	have := d.data.Size()
	d.o.Size = min(d.end, have)
	if d.end > have {
		d.o.Gaps = append(d.o.Gaps, unpack.Gap{Offset: have, Size: 0, Reason: "damaged", Note: fmt.Sprintf("iso9660: cut off, %d of %d bytes are missing", d.end-have, d.end)})
	}
	if d.raw {
		d.o.Format += " raw"
		d.o.Size = min((d.o.Size+isoSector-1)/isoSector*rawSector, d.in.Data.Size())
	}
}

// descriptors reads the set of volume descriptors from a sector on: the
// primary one first, and the sectors of the boot catalogs.
func (d *iso) descriptors(first int64) (vds []isoVD, boot []int64, err error) {
	for i := first; i < first+isoMaxVD; i++ {
		p, err := unpack.ReadFull(d.data, i*isoSector, isoSector)
		if err != nil || string(p[1:6]) != isoID {
			break
		}
		if p[0] == isoEnd {
			break
		}
		switch p[0] {
		case isoBoot:
			if bytes.HasPrefix(p[7:], []byte("EL TORITO SPECIFICATION")) {
				boot = append(boot, int64(binary.LittleEndian.Uint32(p[0x47:])))
			}
		case isoPrimary, isoSupplement:
			if v, ok := parseVD(p, i); ok && (p[0] == isoSupplement || len(vds) == 0) {
				vds = append(vds, v)
			}
		}
		if len(vds) == 0 && p[0] != isoBoot {
			break
		}
	}
	if len(vds) == 0 || vds[0].raw[0] != isoPrimary {
		return nil, nil, unpack.ErrNotThis
	}
	return vds, boot, nil
}

// parseVD reads a primary or supplementary volume descriptor (ECMA-119 8.4,
// 8.5). The numbers are there in both byte orders, which makes noise improbable.
func parseVD(p []byte, sector int64) (isoVD, bool) {
	v := isoVD{sector: sector, raw: bytes.Clone(p), name: "plain"}
	le, be := binary.LittleEndian, binary.BigEndian
	v.block = int64(le.Uint16(p[128:]))
	if v.block != int64(be.Uint16(p[130:])) || v.block != 512 && v.block != 1024 && v.block != 2048 {
		return v, false
	}
	if p[6] != 1 && p[6] != 2 {
		return v, false
	}
	v.size = int64(le.Uint32(p[80:])) * v.block
	root, n, err := parseRecord(p[156 : 156+34])
	if err != nil || n != 34 || !root.dir() || root.blocks == 0 {
		return v, false
	}
	v.root = root
	if p[0] == isoSupplement {
		switch esc := string(p[88:91]); {
		case esc == "%/@" || esc == "%/C" || esc == "%/E":
			v.wide, v.name = true, "joliet"
		case p[6] == 2:
			v.name = "enhanced"
		default:
			v.name = "supplementary"
		}
	}
	return v, true
}

// newest looks for volume descriptors behind the first ones: those of other
// sessions. The last one is the disc's state unless the first one was kept up to
// date, as programs do that grow an image in a file.
func (d *iso) newest(vds *[]isoVD, boot *[]int64) {
	limit := d.end
	if d.in.Whole {
		limit = d.data.Size()
	}
	var others []isoVD
	from := (*vds)[0].sector*isoSector + isoSector
	for at := d.find(from); at >= 0 && at < limit && len(others) < 100; at = d.find(at + 1) {
		if at%isoSector != 1 {
			continue
		}
		p, err := unpack.ReadFull(d.data, at-1, isoSector)
		if err != nil || p[0] != isoPrimary {
			continue
		}
		v, ok := parseVD(p, at/isoSector)
		if !ok || d.checkRoot(&v) != nil || v.root.blocks*v.block == (*vds)[0].root.blocks*(*vds)[0].block {
			continue
		}
		v.session = true
		others = append(others, v)
	}
	if len(others) == 0 {
		return
	}
	d.o.Info["sessions"] = strconv.Itoa(len(others) + 1)
	last := others[len(others)-1]
	if last.sector*isoSector >= (*vds)[0].size {
		// A later session, which the first does not know of.
		if v, b, err := d.descriptors(last.sector); err == nil {
			old := (*vds)[0]
			old.session = true
			others[len(others)-1] = old
			*vds, *boot = v, b
			d.end = max(d.end, v[0].size)
			for k, s := range isoInfo(v[0].raw) {
				d.o.Info[k] = s
			}
		}
	}
	*vds = append(*vds, others...)
}

func (d *iso) find(from int64) int64 {
	if d.raw {
		return unpack.FindBytes(d.data, from, isoID)
	}
	return d.in.Next(isoID, from)
}

// checkRoot compares a root folder with its own entry for itself, and looks for
// the signs of SUSP there.
func (d *iso) checkRoot(v *isoVD) error {
	at := (v.root.blocks + int64(v.root.xattr)) * v.block
	p := unpack.ReadSome(d.data, at, min(max(v.root.size, 34), isoSector))
	self, _, err := parseRecord(p)
	if err != nil {
		return err
	}
	if !self.dir() || self.name != "\x00" || self.blocks != v.root.blocks {
		return errRecord
	}
	su := self.system
	// Discs of the CD-XA format have 14 bytes of their own before.
	for _, skip := range []int{0, 14} {
		if len(su) >= skip+7 && string(su[skip:skip+2]) == "SP" && su[skip+4] == 0xbe && su[skip+5] == 0xef {
			v.susp, v.skip, v.own = true, int(su[skip+6]), skip
		}
	}
	if len(su) > 2 && (string(su[:2]) == "RR" || string(su[:2]) == "PX") {
		v.susp = true // a writer that left out the mark
	}
	if v.susp && d.rockOf(v, su, v.own).typed() {
		v.name = "rock ridge"
	}
	return nil
}

func isoInfo(p []byte) map[string]string {
	info := map[string]string{}
	text := func(key string, b []byte) {
		s := strings.TrimRight(string(b), " \x00")
		if p[0] == isoSupplement && len(b) > 1 {
			s = strings.TrimRight(ucs2(b), " \x00")
		}
		if s != "" && s != "_" {
			info[key] = s
		}
	}
	text("system", p[8:40])
	text("label", p[40:72])
	text("volume set", p[190:318])
	text("publisher", p[318:446])
	text("preparer", p[446:574])
	text("application", p[574:702])
	if t := isoLongTime(p[813:830]); !t.IsZero() {
		info["created"] = t.UTC().Format(time.RFC3339)
	}
	return info
}

// ucs2 is text in big-endian UTF-16.
func ucs2(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

// isoLongTime reads the 17 bytes of ECMA-119 8.4.26.1: digits, and the zone in
// quarters of an hour.
func isoLongTime(p []byte) time.Time {
	if strings.Trim(string(p[:16]), "0123456789") != "" {
		return time.Time{}
	}
	num := func(from, to int) int { n, _ := strconv.Atoi(string(p[from:to])); return n }
	if num(0, 4) == 0 {
		return time.Time{}
	}
	return time.Date(num(0, 4), time.Month(num(4, 6)), num(6, 8), num(8, 10), num(10, 12), num(12, 14), num(14, 16)*10_000_000, isoZone(p[16]))
}

// isoShortTime reads the 7 bytes of ECMA-119 9.1.5.
func isoShortTime(p []byte) time.Time {
	if p[1] == 0 || p[1] > 12 || p[2] == 0 {
		return time.Time{}
	}
	return time.Date(1900+int(p[0]), time.Month(p[1]), int(p[2]), int(p[3]), int(p[4]), int(p[5]), 0, isoZone(p[6]))
}

func isoZone(b byte) *time.Location {
	if b == 0 {
		return time.UTC
	}
	return time.FixedZone("", int(int8(b))*15*60)
}
