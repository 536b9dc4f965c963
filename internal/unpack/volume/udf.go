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

// UDF opens the file systems of DVDs, Blu-ray discs and some sticks. Layout:
// ECMA-167 (3rd edition) and the OSTA UDF specification 2.60. Where a disc is
// ISO 9660 too, that reader opens both.
var UDF = &unpack.Reader{
	Name:    "udf",
	Doc:     "UDF 1.02 to 2.60 volumes with any sector size: physical, sparable, virtual and metadata partitions, strategies 4 and 4096, streams, deleted names",
	Limits:  "volumes that span several discs and extended attributes other than device numbers are not read",
	Checked: "genisoimage -udf; images of mkudffs with 23 option sets, filled by hand; metadata partitions by hand",
	Magics:  []unpack.Magic{{At: isoFirst*isoSector + 1, Bytes: "BEA01"}},
	Carve:   true,
	Open:    openUDF,
}

// Tag identifiers (ECMA-167 3/7.2.1 and 4/7.2.1).
const (
	udfAnchor        = 2
	udfPointer       = 3
	udfPartitionDesc = 5
	udfLogicalVolume = 6
	udfTerminating   = 8
	udfFileSet       = 256
	udfFileID        = 257
	udfMoreExtents   = 258
	udfIndirect      = 259
	udfTerminal      = 260
	udfFileEntry     = 261
	udfExtendedEntry = 266
)

// udf is an open volume.
type udf struct {
	in      *unpack.Input
	data    unpack.Bytes
	sector  int64
	block   int64 // size of a logical block
	parts   []udfPartition
	end     int64 // of what is in use
	fileSet udfAddr
	info    map[string]string
	damage  func(error)
	add     func(e unpack.Entry, place isoPlace) bool
	stop    func() bool
	listed  int64
	broken  bool // there is no root folder to be found
}

func openUDF(in *unpack.Input) (*unpack.Object, error) {
	g := unpack.NewGatherer(in)
	u, err := newUDF(in, in.Data, g)
	if err != nil {
		return nil, err
	}
	o := &unpack.Object{Format: "udf " + u.info["revision"], System: true, Info: u.info}
	u.add = func(e unpack.Entry, _ isoPlace) bool { return g.Add(e) }
	u.walk()
	g.Finish(o)
	o.Size = min(u.end, in.Data.Size())
	if u.end > o.Size {
		o.Gaps = append(o.Gaps, unpack.Gap{Offset: o.Size, Reason: "damaged", Note: fmt.Sprintf("udf: cut off, %d of %d bytes are missing", u.end-o.Size, u.end)})
	}
	return o, nil
}

// newUDF finds the volume and its root folder.
func newUDF(in *unpack.Input, data unpack.Bytes, g *unpack.Gatherer) (*udf, error) {
	u := &udf{in: in, data: data, info: map[string]string{}, stop: g.Stop}
	u.damage = func(err error) { g.Damage(fmt.Errorf("udf: %w", err)) }
	anchor, at := u.anchor()
	if anchor == nil {
		return nil, unpack.ErrNotThis
	}
	le := binary.LittleEndian
	main := u.sequence(int64(le.Uint32(anchor[20:])), int64(le.Uint32(anchor[16:])))
	if !main.complete() {
		reserve := u.sequence(int64(le.Uint32(anchor[28:])), int64(le.Uint32(anchor[24:])))
		if !reserve.complete() {
			return nil, unpack.ErrNotThis
		}
		u.damage(errors.New("the main volume descriptors are damaged; the reserve is read"))
		main = reserve
	}
	u.end = max(u.end, at+u.sector)
	if err := u.volume(main); err != nil {
		if in.Whole {
			u.damage(err)
			u.broken = true
			return u, nil
		}
		return nil, unpack.ErrNotThis
	}
	u.lastAnchor()
	return u, nil
}

var udfSectors = []int64{2048, 512, 4096, 1024, 8192, 16384, 32768}

// anchor finds the descriptor from which all others are found, and with it the
// size of a sector.
func (u *udf) anchor() ([]byte, int64) {
	for _, s := range udfSectors {
		u.sector = s
		last := u.data.Size()/s - 1
		for _, at := range []int64{256, last, last - 256, 512} {
			if p, err := u.descriptor(at, at); err == nil && tagOf(p) == udfAnchor {
				return p, at * s
			}
		}
	}
	return nil, 0
}

// lastAnchor extends the volume to the anchor behind its partitions.
func (u *udf) lastAnchor() {
	first := u.end / u.sector
	for at := first + 600; at >= first; at-- {
		p := unpack.ReadSome(u.data, at*u.sector, 16)
		if len(p) == 16 && tagOf(p) == udfAnchor && int64(binary.LittleEndian.Uint32(p[12:])) == at {
			u.end = (at + 1) * u.sector
			return
		}
	}
}

func tagOf(p []byte) uint16 { return binary.LittleEndian.Uint16(p) }

// descriptor reads the sector at and checks its tag (ECMA-167 3/7.2).
func (u *udf) descriptor(at, location int64) ([]byte, error) {
	if at < 0 {
		return nil, errUDFTag
	}
	p, err := unpack.ReadFull(u.data, at*u.sector, u.sector)
	if err != nil {
		return nil, err
	}
	return p, checkTag(p, location)
}

var errUDFTag = errors.New("a descriptor's tag is wrong")

// checkTag verifies a tag's checksum, the CRC of what follows it, and, unless it is negative, the
// place.
func checkTag(p []byte, location int64) error {
	if len(p) < 16 {
		return errUDFTag
	}
	sum := byte(0)
	for i, c := range p[:16] {
		if i != 4 {
			sum += c
		}
	}
	le := binary.LittleEndian
	n := int(le.Uint16(p[10:]))
	switch {
	case sum != p[4] || tagOf(p) == 0 && sum == 0:
		return errUDFTag
	case location >= 0 && int64(le.Uint32(p[12:])) != location:
		return errors.New("a descriptor is not where its tag says")
	case 16+n > len(p) || crcITU(p[16:16+n]) != le.Uint16(p[8:]):
		return errors.New("a descriptor's CRC is wrong")
	}
	return nil
}

// crcITU is the CRC of ECMA-167 3/7.2.6: x^16+x^12+x^5+1, from zero.
func crcITU(p []byte) (crc uint16) {
	for _, c := range p {
		crc = crc<<8 ^ ituTable[byte(crc>>8)^c]
	}
	return crc
}

var ituTable = func() (t [256]uint16) {
	for i := range t {
		c := uint16(i) << 8
		for range 8 {
			if c&0x8000 != 0 {
				c = c<<1 ^ 0x1021
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}()

// udfSet is what prevails of a sequence of volume descriptors.
type udfSet struct {
	logical    []byte
	partitions map[uint16][]byte
}

func (s udfSet) complete() bool { return s.logical != nil && len(s.partitions) > 0 }

// sequence reads the volume descriptors of an extent, and of those that it
// points on to. Of two for one thing, the one with the higher number prevails.
func (u *udf) sequence(at, size int64) udfSet {
	s := udfSet{partitions: map[uint16][]byte{}}
	newer := func(old, p []byte) bool {
		return old == nil || binary.LittleEndian.Uint32(p[16:]) >= binary.LittleEndian.Uint32(old[16:])
	}
	for jumps, i := 0, int64(0); i < size/u.sector && i < 4096; i++ {
		p, err := u.descriptor(at+i, at+i)
		if err != nil {
			continue
		}
		switch tagOf(p) {
		case udfTerminating:
			return s
		case udfPointer:
			if jumps++; jumps > 16 {
				return s
			}
			size, at, i = int64(binary.LittleEndian.Uint32(p[20:])), int64(binary.LittleEndian.Uint32(p[24:])), -1
		case udfLogicalVolume:
			if newer(s.logical, p) {
				s.logical = p
			}
		case udfPartitionDesc:
			if n := binary.LittleEndian.Uint16(p[22:]); newer(s.partitions[n], p) {
				s.partitions[n] = p
			}
		}
		u.end = max(u.end, (at+i+1)*u.sector)
	}
	return s
}

// volume reads the logical volume: its partitions and the root's place.
func (u *udf) volume(s udfSet) error {
	p, le := s.logical, binary.LittleEndian
	if !strings.HasPrefix(string(p[217:240]), "*OSTA UDF Compliant") {
		return fmt.Errorf("the volume is not of UDF: %w", unpack.ErrUnsupported)
	}
	u.info["revision"] = fmt.Sprintf("%x.%02x", p[241], p[240])
	if label := dstring(p[84:212]); label != "" {
		u.info["label"] = label
	}
	if u.block = int64(le.Uint32(p[212:])); u.block != u.sector {
		return fmt.Errorf("blocks of %d bytes in sectors of %d: %w", u.block, u.sector, unpack.ErrUnsupported)
	}
	u.info["block size"] = fmt.Sprint(u.block)
	if err := u.partitions(s); err != nil {
		return err
	}
	set, err := u.read(longAddr(p[248:]), u.block)
	if err == nil {
		err = checkTag(set, int64(longAddr(p[248:]).block))
	}
	if err == nil && tagOf(set) != udfFileSet {
		err = errUDFTag
	}
	if err != nil {
		return fmt.Errorf("the file set: %w", err)
	}
	u.fileSet = longAddr(set[400:])
	return nil
}

// dstring is text of a fixed field, whose last byte says how much is used.
func dstring(p []byte) string {
	n := int(p[len(p)-1])
	if n == 0 || n >= len(p) {
		return ""
	}
	return cs0(p[:n])
}

// cs0 is OSTA compressed Unicode (UDF 2.1.1).
func cs0(p []byte) string {
	if len(p) == 0 {
		return ""
	}
	var u []uint16
	switch p[0] {
	case 8, 254:
		for _, c := range p[1:] {
			u = append(u, uint16(c))
		}
	case 16, 255:
		for p = p[1:]; len(p) >= 2; p = p[2:] {
			u = append(u, binary.BigEndian.Uint16(p))
		}
	default:
		return string(p)
	}
	return strings.TrimRight(string(utf16.Decode(u)), "\x00")
}

// udfTime reads a timestamp (ECMA-167 1/7.3).
func udfTime(p []byte) time.Time {
	le := binary.LittleEndian
	year, month := int(int16(le.Uint16(p[2:]))), p[4]
	if year == 0 || month == 0 || month > 12 {
		return time.Time{}
	}
	zone := time.UTC
	if z := int(le.Uint16(p) << 4); le.Uint16(p)>>12 == 1 {
		if minutes := int(int16(z)) >> 4; minutes > -1440 && minutes < 1440 && minutes != 0 {
			zone = time.FixedZone("", minutes*60)
		}
	}
	nano := int(p[9])*10_000_000 + int(p[10])*100_000 + int(p[11])*1000
	return time.Date(year, time.Month(month), int(p[5]), int(p[6]), int(p[7]), int(p[8]), nano, zone)
}

// udfMode has five permission bits for each of other, group and owner.
func udfMode(perms uint32, flags uint16) fs.FileMode {
	m := fs.FileMode(perms&7 | perms>>5&7<<3 | perms>>10&7<<6)
	for bit, mode := range map[uint16]fs.FileMode{1 << 6: fs.ModeSetuid, 1 << 7: fs.ModeSetgid, 1 << 8: fs.ModeSticky} {
		if flags&bit != 0 {
			m |= mode
		}
	}
	return m
}
