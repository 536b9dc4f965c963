package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// rockInfo is what Rock Ridge says of a file (IEEE P1282 section 4).
type rockInfo struct {
	attributes      bool
	mode, links     uint32
	uid, gid, inode uint32
	major, minor    uint32
	name, link      string
	time            time.Time
	child           int64 // logical block of a relocated folder
	relocated       bool
	zisofs          *zisofsHead
	err             error
	linkJoined      bool // another piece of the last name of the link follows
}

// maxContinued bounds the continuation areas of one record: a chain may be a
// loop.
const maxContinued = 64

// rockOf reads the SUSP entries of a system use area and of its continuations
// (IEEE P1281 section 5).
func (d *iso) rockOf(v *isoVD, area []byte, skip int) (r rockInfo) {
	if skip > len(area) {
		return r
	}
	area = area[skip:]
	for range maxContinued {
		next := d.rockArea(&r, area)
		if next == nil {
			return r
		}
		var err error
		if area, err = unpack.ReadFull(d.data, next[0]*v.block+next[1], next[2]); err != nil {
			r.err = fmt.Errorf("the continuation of its attributes: %w", err)
			return r
		}
	}
	r.err = errors.New("its attributes continue for ever")
	return r
}

// rockArea reads the entries of one area, and returns the block, the offset and
// the length of the one that continues it.
func (d *iso) rockArea(r *rockInfo, area []byte) (next []int64) {
	for len(area) >= 4 && area[0] != 0 {
		n := int(area[2])
		if n < 4 || n > len(area) {
			if len(area) >= 4 && area[0] >= 'A' && area[0] <= 'Z' {
				r.err = errors.New("damaged attributes")
			}
			return next
		}
		sign, p := string(area[:2]), area[4:n]
		area = area[n:]
		switch {
		case sign == "ST":
			return next
		case sign == "CE" && len(p) >= 24:
			le := binary.LittleEndian
			// A continuation is within one block; allow a few, for sloppy writers.
			next = []int64{int64(le.Uint32(p)), int64(le.Uint32(p[8:])), min(int64(le.Uint32(p[16:])), 64<<10)}
		case sign == "ER" && len(p) >= 4:
			if id := int(p[0]); len(p) >= 4+id {
				d.rockVer = string(p[4 : 4+id])
			}
		default:
			r.entry(sign, p)
		}
	}
	return next
}

// entry reads one entry of Rock Ridge, without its header.
func (r *rockInfo) entry(sign string, p []byte) {
	le := binary.LittleEndian
	switch {
	case sign == "PX" && len(p) >= 32:
		r.attributes = true
		r.mode, r.links, r.uid, r.gid = le.Uint32(p), le.Uint32(p[8:]), le.Uint32(p[16:]), le.Uint32(p[24:])
		if len(p) >= 40 {
			r.inode = le.Uint32(p[32:])
		}
	case sign == "PN" && len(p) >= 16:
		r.device(le.Uint32(p), le.Uint32(p[8:]))
	case sign == "NM" && len(p) >= 1:
		switch {
		case p[0]&2 != 0:
			r.name = "."
		case p[0]&4 != 0:
			r.name = ".."
		default:
			r.name += string(p[1:])
		}
	case sign == "SL" && len(p) >= 1:
		r.target(p[1:])
	case sign == "TF" && len(p) >= 1:
		r.times(p[0], p[1:])
	case sign == "CL" && len(p) >= 8:
		r.child = int64(le.Uint32(p))
	case sign == "RE":
		r.relocated = true
	case sign == "SF":
		r.err = fmt.Errorf("a sparse file of Rock Ridge: %w", unpack.ErrUnsupported)
	case sign == "ZF" && len(p) >= 12, sign == "Z2" && len(p) >= 12:
		r.compressed(p)
	}
}

// device splits the numbers of PN: writers put the whole number into the low
// half if it fits, as dev_t had it.
func (r *rockInfo) device(high, low uint32) {
	r.major, r.minor = high, low
	if high == 0 && low > 0xff {
		r.major, r.minor = low>>8, low&0xff
	} else if low&^0xff != 0 && low>>8 == high {
		r.minor = low & 0xff
	}
}

// compressed notes what a file of zisofs unpacks to.
func (r *rockInfo) compressed(p []byte) {
	switch {
	case p[0] == 'p' && p[1] == 'z':
		r.zisofs = &zisofsHead{1, int64(binary.LittleEndian.Uint32(p[4:])), int64(p[2]) * 4, uint(p[3])}
	case p[0] == 'P' && p[1] == 'Z':
		r.zisofs = &zisofsHead{2, int64(binary.LittleEndian.Uint64(p[4:])), int64(p[2]) * 4, uint(p[3])}
	default:
		r.err = fmt.Errorf("compressed with %q: %w", p[:2], unpack.ErrUnsupported)
		return
	}
	if err := r.zisofs.check(); err != nil {
		r.zisofs, r.err = nil, err
	}
}

// target adds the components of an entry SL to the link's target.
func (r *rockInfo) target(p []byte) {
	for len(p) >= 2 {
		flags, n := p[0], int(p[1])
		if 2+n > len(p) {
			r.err = errors.New("a damaged symbolic link")
			return
		}
		part := string(p[2 : 2+n])
		p = p[2+n:]
		switch {
		case flags&2 != 0:
			part = "."
		case flags&4 != 0:
			part = ".."
		case flags&8 != 0:
			part = "/"
		}
		if r.link != "" && !r.linkJoined && !strings.HasSuffix(r.link, "/") {
			r.link += "/"
		}
		r.link += part
		r.linkJoined = flags&1 != 0
		if len(r.link) > 64<<10 {
			r.err = errors.New("a symbolic link without end")
			return
		}
	}
}

// times takes the time of modification of an entry TF.
func (r *rockInfo) times(flags byte, p []byte) {
	n := 7
	if flags&0x80 != 0 {
		n = 17
	}
	if flags&1 != 0 { // that of creation is before it
		p = p[min(n, len(p)):]
	}
	if flags&2 == 0 || len(p) < n {
		return
	}
	if n == 7 {
		r.time = isoShortTime(p)
	} else {
		r.time = isoLongTime(p)
	}
}

// typed says that Rock Ridge gives at least the root its attributes.
func (r rockInfo) typed() bool {
	return r.attributes && unpack.UnixMode(r.mode)&fs.ModeDir != 0
}
