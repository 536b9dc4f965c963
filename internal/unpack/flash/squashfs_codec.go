package flash

import (
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// squashLZMA is how a vendor's packer stores an LZMA block: where the packed
// data start, and the parameters (lc, lp, pb in one byte) or that the block's
// first byte has them.
type squashLZMA struct {
	skip   int
	props  byte
	stored bool // props are the block's first byte
}

func (l *squashLZMA) unpack(src, dst []byte) (int, error) {
	if len(src) < l.skip+5 {
		return 0, fmt.Errorf("an LZMA block of %d bytes", len(src))
	}
	props := l.props
	if l.stored {
		props = src[0]
	}
	return unpack.DecompressLZMA(props, src[l.skip:], dst)
}

// decode unpacks one block.
func (s *squashfs) decode(src, dst []byte) (n int, err error) {
	switch {
	case s.lzma != nil:
		n, err = s.lzma.unpack(src, dst)
	case s.method == "gzip":
		n, err = unpack.Decompress("zlib", src, dst)
	default:
		return unpack.Decompress(s.method, src, dst)
	}
	if err != nil && s.mixed {
		if s.lzma != nil {
			return unpack.Decompress("zlib", src, dst)
		}
		return (&squashLZMA{13, 0, true}).unpack(src, dst)
	}
	return n, err
}

// chooseMethod takes the compressor that the superblock names, unless the root
// folder shows that it is another: vendors reuse the numbers, and old versions
// have none.
func (s *squashfs) chooseMethod() {
	named := "gzip"
	if s.super.Major == 4 {
		named = squashMethods[s.super.Compressor]
		if s.try(named, nil) {
			return
		}
		for _, method := range squashMethods[1:] {
			if s.try(method, nil) && s.listsRoot() {
				return
			}
		}
	} else if s.try(named, nil) {
		return
	}
	packed := s.rootPacked()
	for _, l := range squashLZMAs() {
		if len(packed) > l.skip && packed[l.skip] == 0 && s.try("lzma", &l) && s.listsRoot() {
			return
		}
	}
	s.try(named, nil)
}

// rootPacked is the start of the packed block that has the root's inode;
// nothing if it is not packed, for then no method makes a difference.
func (s *squashfs) rootPacked() []byte {
	at := int64(s.super.InodeTable) + int64(s.super.Root>>16)
	head := unpack.ReadSome(s.data, at, 16)
	if len(head) < 16 || s.lengths.Uint16(head)&0x8000 != 0 {
		return nil
	}
	if s.marked() {
		return head[3:]
	}
	return head[2:]
}

// try takes a method and says if the root folder's inode can be read by it.
func (s *squashfs) try(method string, l *squashLZMA) bool {
	s.method, s.lzma, s.meta = method, l, unpack.NewBlockCache(squashMetaCache)
	root, err := s.inode(s.super.Root)
	return err == nil && root.mode.IsDir()
}

// listsRoot says that the names of the root folder can be read. LZMA without a
// checksum gives something for nearly everything.
func (s *squashfs) listsRoot() bool {
	root, err := s.inode(s.super.Root)
	if err != nil {
		return false
	}
	names, sane := 0, true
	err = s.list(root, func(name string, _ uint64) bool {
		names++
		sane = sane && !strings.ContainsAny(name, "/\x00")
		return sane
	})
	return err == nil && sane && (names > 0 || s.super.Inodes == 1)
}

// squashLZMAs are the ways in which LZMA blocks were met, the usual ones first:
// no header and the usual parameters (OpenWrt), the headers of LZMA files
// (D-Link), then all parameters behind nothing or a few bytes (DD-WRT). Packed
// data start with a zero byte, so that most of it is refused at once.
func squashLZMAs() []squashLZMA {
	list := []squashLZMA{{0, 0x5d, false}, {13, 0, true}, {5, 0, true}, {9, 0, true}, {1, 0, true}, {4, 0x5d, false}}
	for _, skip := range []int{0, 4, 1, 2, 3, 5, 8} {
		for props := range byte(9 * 5 * 5) {
			if props%9+props/9%5 <= 4 { // more than that costs packers too much memory
				list = append(list, squashLZMA{skip, props, false})
			}
		}
	}
	return list
}
