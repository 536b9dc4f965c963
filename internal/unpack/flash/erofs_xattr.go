package flash

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// erofsNames are the prefixes that an index stands for.
var erofsNames = []string{1: "user.", "system.posix_acl_access", "system.posix_acl_default", "trusted.", "lustre.", "security."}

// erofsPrefix is a long prefix: one of the short ones and more of the name.
type erofsPrefix struct {
	base byte
	rest string
}

// name puts a name together.
func (e *erofs) name(index byte, rest string) (string, bool) {
	if index&0x80 != 0 {
		n := int(index & 0x7f)
		if n >= len(e.prefixes) {
			return "", false
		}
		index, rest = e.prefixes[n].base, e.prefixes[n].rest+rest
	}
	if int(index) >= len(erofsNames) {
		return "", false
	}
	return erofsNames[index] + rest, true
}

// readPrefixes reads the table of long prefixes: length, then index and text,
// at multiples of four bytes.
func (e *erofs) readPrefixes() error {
	from := e.data
	if e.packed != nil && e.super.Compat&erofsPlainPrefixes == 0 {
		from = e.packed
	}
	at := int64(e.super.PrefixStart) * 4
	for range e.super.PrefixCount {
		head, err := unpack.ReadFull(from, at, 2)
		if err != nil {
			return err
		}
		n := int64(binary.LittleEndian.Uint16(head))
		b, err := unpack.ReadFull(from, at+2, n)
		if err != nil {
			return err
		}
		if n < 1 || n > 256 {
			return fmt.Errorf("a prefix of %d bytes", n)
		}
		e.prefixes = append(e.prefixes, erofsPrefix{b[0], string(b[1:])})
		at = (at + 2 + n + 3) &^ 3
	}
	return nil
}

var errEROFSXattrs = errors.New("the extended attributes make no sense")

// xattrs reads an inode's attributes: its own, and the numbers of those that it
// shares with others.
func (e *erofs) xattrs(i *erofsInode) (map[string]string, error) {
	if i.xattrs == 0 {
		return nil, nil
	}
	b, err := e.read(i.at+i.head, i.xattrs)
	if err != nil {
		return nil, err
	}
	shared := int(b[4])
	if 12+4*shared > len(b) {
		return nil, errEROFSXattrs
	}
	list := map[string]string{}
	for n := range shared {
		id := int64(binary.LittleEndian.Uint32(b[12+4*n:]))
		at := int64(e.super.XattrBlock)<<e.super.BlockBits + id*4
		rec := unpack.ReadSome(e.data, at, 4)
		if len(rec) < 4 {
			return list, errEROFSXattrs
		}
		rec = unpack.ReadSome(e.data, at, 4+int64(rec[0])+int64(binary.LittleEndian.Uint16(rec[2:])))
		if _, err := e.xattr(rec, list); err != nil {
			return list, err
		}
	}
	for b = b[12+4*shared:]; len(b) >= 4; {
		if uniform(b) && b[0] == 0 {
			break
		}
		n, err := e.xattr(b, list)
		if err != nil {
			return list, err
		}
		b = b[min(len(b), (n+3)&^3):]
	}
	return list, nil
}

// xattr adds the record that b begins with and returns its size.
func (e *erofs) xattr(b []byte, list map[string]string) (int, error) {
	if len(b) < 4 {
		return 0, errEROFSXattrs
	}
	nameLen, size := int(b[0]), int(binary.LittleEndian.Uint16(b[2:]))
	if 4+nameLen+size > len(b) {
		return 0, errEROFSXattrs
	}
	name, ok := e.name(b[1], string(b[4:4+nameLen]))
	if !ok {
		return 0, errEROFSXattrs
	}
	if e.values += size; e.values > 64<<20 {
		return 0, fmt.Errorf("%w: extended attributes take too much room", unpack.ErrLimit)
	}
	list[name] = string(b[4+nameLen : 4+nameLen+size])
	return 4 + nameLen + size, nil
}
