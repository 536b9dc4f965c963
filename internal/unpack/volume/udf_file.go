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

// udfInode is an open file entry.
type udfInode struct {
	kind     byte
	mode     fs.FileMode
	uid, gid uint32
	links    uint16
	size     int64
	time     time.Time
	data     unpack.Bytes
	list     []unpack.Extent // where the content is on the disc
	at       int64           // of the entry on the disc
	streams  udfAddr         // folder of named streams, if its size is not 0
	major    uint32
	minor    uint32
}

// maxUDFChain bounds chains of entries and of extents: they may be loops.
const maxUDFChain = 1 << 14

// inode reads the file entry at an address. A chain of entries (strategy 4096)
// ends with the newest.
func (u *udf) inode(a udfAddr) (*udfInode, error) {
	var found *udfInode
	for range 1024 {
		p, err := u.read(a, u.block)
		if err == nil {
			err = checkTag(p, int64(a.block))
		}
		if err != nil {
			if found != nil {
				return found, nil // the chain's end need not be written
			}
			return nil, err
		}
		switch tagOf(p) {
		case udfFileEntry, udfExtendedEntry:
			if found, err = u.entry(p, a); err != nil {
				return nil, err
			}
			if binary.LittleEndian.Uint16(p[20:]) != 4096 {
				return found, nil
			}
			a.block++
		case udfIndirect:
			a = longAddr(p[36:])
		case udfTerminal:
			if found != nil {
				return found, nil
			}
			return nil, errUDFTag
		default:
			if found != nil {
				return found, nil
			}
			return nil, errUDFTag
		}
	}
	return nil, errors.New("a chain of file entries without end")
}

// entry reads a file entry or an extended one (ECMA-167 4/14.9, 4/14.17).
func (u *udf) entry(p []byte, a udfAddr) (*udfInode, error) {
	le := binary.LittleEndian
	flags := le.Uint16(p[34:])
	f := &udfInode{kind: p[27], uid: le.Uint32(p[36:]), gid: le.Uint32(p[40:]), links: le.Uint16(p[48:])}
	f.mode = udfMode(le.Uint32(p[44:]), flags)
	f.size = int64(le.Uint64(p[56:]))
	f.at, _, _ = u.place(a.part, int64(a.block), 1)
	base := int64(176)
	f.time = udfTime(p[84:])
	if tagOf(p) == udfExtendedEntry {
		base = 216
		f.time = udfTime(p[92:])
		f.streams = longAddr(p[152:])
	}
	ea, ad := int64(le.Uint32(p[base-8:])), int64(le.Uint32(p[base-4:]))
	if f.size < 0 || ea > int64(len(p))-base || ad > int64(len(p))-base-ea {
		return nil, errors.New("a file entry's lengths are wrong")
	}
	f.device(p[base : base+ea])
	p = p[base+ea : base+ea+ad]
	if flags&7 == 3 {
		if f.size > ad {
			return nil, errors.New("embedded content is longer than its entry")
		}
		f.data = unpack.Slice(append([]byte(nil), p[:f.size]...))
		f.list = []unpack.Extent{{Offset: 0, Size: f.size, From: f.at + base + ea}}
		return f, nil
	}
	if err := u.extents(f, p, flags&7, a.part); err != nil {
		return nil, err
	}
	if f.size == 0 {
		return f, nil
	}
	var err error
	f.data, err = unpack.Extents(u.data, append([]unpack.Extent(nil), f.list...), f.size)
	return f, err
}

// extents reads the allocation descriptors of a file, and those that they point
// on to (ECMA-167 4/12, 4/14.14).
func (u *udf) extents(f *udfInode, p []byte, sort uint16, part uint16) error {
	le := binary.LittleEndian
	width := map[uint16]int{0: 8, 1: 16, 2: 20}[sort]
	if width == 0 {
		return fmt.Errorf("allocation descriptors of the type %d: %w", sort, unpack.ErrUnsupported)
	}
	off := int64(0)
	for jumps := 0; len(p) >= width; {
		size, kind := int64(le.Uint32(p)&0x3fffffff), le.Uint32(p)>>30
		a := udfAddr{block: le.Uint32(p[4:]), part: part}
		switch sort {
		case 1:
			a = longAddr(p)
		case 2:
			a = udfAddr{block: le.Uint32(p[12:]), part: le.Uint16(p[16:])}
		}
		p = p[width:]
		switch {
		case size == 0:
			p = nil
		case kind == 3:
			if jumps++; jumps > maxUDFChain {
				return errors.New("a chain of extents without end")
			}
			b, err := u.read(a, u.block)
			if err == nil {
				err = checkTag(b, int64(a.block))
			}
			if err != nil || tagOf(b) != udfMoreExtents || int64(le.Uint32(b[20:])) > int64(len(b))-24 {
				return errors.New("the continuation of a list of extents is damaged")
			}
			p = b[24 : 24+le.Uint32(b[20:])]
		case kind != 0: // not recorded: zeros
			off += size
		default:
			if err := u.extent(f, a, off, size); err != nil {
				return err
			}
			off += size
		}
	}
	if f.size > off && f.size > 0 {
		return fmt.Errorf("extents for only %d of %d bytes", off, f.size)
	}
	return nil
}

// extent adds what of size bytes at an address belongs to the file.
func (u *udf) extent(f *udfInode, a udfAddr, off, size int64) error {
	size = min(size, f.size-off) // more may be allocated
	for block := int64(a.block); size > 0; {
		at, n, err := u.place(a.part, block, (size+u.block-1)/u.block)
		if err != nil {
			return err
		}
		e := unpack.Extent{Offset: off, Size: min(n*u.block, size), From: at}
		if last := len(f.list) - 1; last >= 0 && f.list[last].From+f.list[last].Size == at && f.list[last].Offset+f.list[last].Size == off {
			f.list[last].Size += e.Size
		} else {
			f.list = append(f.list, e)
		}
		off, size, block = off+e.Size, size-e.Size, block+n
	}
	return nil
}

// device finds the device numbers in the extended attributes (ECMA-167
// 4/14.10.7).
func (f *udfInode) device(p []byte) {
	le := binary.LittleEndian
	if len(p) < 24 {
		return
	}
	for p = p[24:]; len(p) >= 12; {
		n := int64(le.Uint32(p[8:]))
		if n < 12 || n > int64(len(p)) {
			return
		}
		if le.Uint32(p) == 12 && n >= 24 {
			f.major, f.minor = le.Uint32(p[16:]), le.Uint32(p[20:])
		}
		p = p[n:]
	}
}

// udfTypes are the types of files (ECMA-167 4/14.6.6) but regular ones.
var udfTypes = map[byte]fs.FileMode{
	4: fs.ModeDir, 6: fs.ModeDevice, 7: fs.ModeDevice | fs.ModeCharDevice,
	9: fs.ModeNamedPipe, 10: fs.ModeSocket, 12: fs.ModeSymlink, 13: fs.ModeDir,
}

// file makes an entry.
func (u *udf) file(path string, f *udfInode) (unpack.Entry, isoPlace) {
	e := unpack.Entry{Path: path, Mode: f.mode | udfTypes[f.kind], UID: owner(f.uid), GID: owner(f.gid), ModTime: f.time, Order: f.at, Major: f.major, Minor: f.minor}
	place := isoPlace{f.at, f.size}
	if len(f.list) > 0 {
		place.at = f.list[0].From
		e.Order = place.at
	}
	switch {
	case e.Mode.IsRegular():
		if e.Data = f.data; f.links > 1 {
			e.Inode = uint64(f.at)
		}
	case f.kind == 12 && f.data != nil:
		b, err := unpack.ReadAll(f.data, 1<<16)
		if e.Link, e.Err = udfLink(b), err; err != nil {
			u.damage(fmt.Errorf("%q: %w", path, err))
		}
	}
	return e, place
}

// owner is an id; all ones stand for nobody.
func owner(id uint32) int {
	if id == 0xffffffff {
		return 0
	}
	return int(id)
}

// udfLink reads the components of a symbolic link (ECMA-167 4/14.16).
func udfLink(p []byte) string {
	var parts []string
	for len(p) >= 4 {
		n := 4 + int(p[1])
		if n > len(p) {
			break
		}
		switch p[0] {
		case 1, 2:
			parts = []string{""}
			if n == len(p) {
				return "/"
			}
		case 3:
			parts = append(parts, "..")
		case 4:
			parts = append(parts, ".")
		case 5:
			parts = append(parts, cs0(p[4:n]))
		}
		p = p[n:]
	}
	return strings.Join(parts, "/")
}
