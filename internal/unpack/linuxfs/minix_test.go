package linuxfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// mkminix makes an empty image.
func mkminix(t testing.TB, args string, kibi int64) string {
	img := filepath.Join(t.TempDir(), "img")
	os.WriteFile(img, nil, 0o644)
	os.Truncate(img, kibi<<10)
	testtool.Run(t, "", "mkfs.minix", append(strings.Fields(args), img)...)
	return img
}

// swapMinix turns a little-endian image into a big-endian one, by the layout of
// minix_fs.h alone.
func swapMinix(b []byte) {
	le, be := binary.LittleEndian, binary.BigEndian
	sb := b[1024:]
	swap2 := func(p []byte) uint16 { v := le.Uint16(p); be.PutUint16(p, v); return v }
	swap4 := func(p []byte) uint32 { v := le.Uint32(p); be.PutUint32(p, v); return v }
	version, block, entry := 1, 1024, 32
	var inodes, table int
	if le.Uint16(sb[24:]) == 0x4d5a {
		version, entry = 3, 64
		inodes = int(swap4(sb))
		table = 2 + int(swap2(sb[6:])) + int(swap2(sb[8:]))
		swap2(sb[10:])
		swap2(sb[12:])
		swap4(sb[16:])
		swap4(sb[20:])
		swap2(sb[24:])
		block = int(swap2(sb[28:]))
	} else {
		inodes = int(swap2(sb))
		swap2(sb[2:])
		table = 2 + int(swap2(sb[4:])) + int(swap2(sb[6:]))
		swap2(sb[8:])
		swap2(sb[10:])
		swap4(sb[12:])
		magic := swap2(sb[16:])
		if magic == 0x2468 || magic == 0x2478 {
			version = 2
		}
		if magic == 0x137f || magic == 0x2468 {
			entry = 16
		}
		swap2(sb[18:])
		swap4(sb[20:])
	}
	done := map[int]bool{}
	// level 0 is a content, more are blocks of pointers.
	var zone func(z, level int, folder bool)
	zone = func(z, level int, folder bool) {
		if z == 0 || done[z] {
			return
		}
		p := b[z*block:][:block]
		if level == 0 {
			for ; folder && len(p) >= entry; p = p[entry:] {
				if version == 3 {
					swap4(p)
				} else {
					swap2(p)
				}
			}
			return
		}
		done[z] = true
		for len(p) > 0 {
			if version == 1 {
				zone(int(swap2(p)), level-1, folder)
				p = p[2:]
			} else {
				zone(int(swap4(p)), level-1, folder)
				p = p[4:]
			}
		}
	}
	for n := range inodes {
		if version == 1 {
			p := b[table*block+32*n:]
			mode := swap2(p)
			swap2(p[2:])
			swap4(p[4:])
			swap4(p[8:])
			for i := range 9 {
				if z := int(swap2(p[14+2*i:])); mode>>12 == 4 || mode>>12 == 8 {
					zone(z, max(0, i-6), mode>>12 == 4)
				}
			}
			continue
		}
		p := b[table*block+64*n:]
		mode := swap2(p)
		for _, at := range []int{2, 4, 6} {
			swap2(p[at:])
		}
		for _, at := range []int{8, 12, 16, 20} {
			swap4(p[at:])
		}
		for i := range 10 {
			if z := int(swap4(p[24+4*i:])); mode>>12 == 4 || mode>>12 == 8 {
				zone(z, max(0, i-6), mode>>12 == 4)
			}
		}
	}
}

// minixByHand is a small image of version 2 with a folder, a file of two zones
// and a link.
func minixByHand() []byte {
	const block = 1024
	b := make([]byte, 12*block)
	sb := b[1024:]
	for at, v := range map[int]uint16{0: 16, 4: 1, 6: 1, 8: 5, 16: 0x2478, 18: 1} {
		le.PutUint16(sb[at:], v)
	}
	le.PutUint32(sb[20:], 12)
	inode := func(n int, mode uint16, size uint32, zones ...uint32) {
		p := b[4*block+64*(n-1):]
		le.PutUint16(p, mode)
		le.PutUint16(p[2:], 1)
		le.PutUint32(p[8:], size)
		for i, z := range zones {
			le.PutUint32(p[24+4*i:], z)
		}
	}
	name := func(zone, slot, number int, name string) {
		p := b[zone*block+32*slot:]
		le.PutUint16(p, uint16(number))
		copy(p[2:32], name)
	}
	inode(1, 0o040755, 4*32, 5)
	name(5, 0, 1, ".")
	name(5, 1, 1, "..")
	name(5, 2, 2, "folder")
	name(5, 3, 4, "link")
	inode(2, 0o040700, 3*32, 6)
	name(6, 0, 2, ".")
	name(6, 1, 1, "..")
	name(6, 2, 3, "file")
	inode(3, 0o100644, 1500, 7, 8)
	copy(b[7*block:], bytes.Repeat([]byte("words "), 250))
	inode(4, 0o120777, 6, 9)
	copy(b[9*block:], "folder")
	return b
}

func TestMinixDamage(t *testing.T) {
	damage(t, Minix, minixByHand(), unpacktest.Damaged{Rounds: 1000, Unchecked: true})
}

func TestMinixHostile(t *testing.T) {
	b := minixByHand()
	loop := bytes.Clone(b)
	le.PutUint16(loop[6*1024+64:], 1) // the file is the root
	if o, err := Minix.Open(unpacktest.Input(loop)); err != nil || o.Err == nil || !strings.Contains(o.Err.Error(), "loop") {
		t.Errorf("a loop: %v", err)
	}
	for _, n := range []int{6500, 8000, 11000} {
		if o, err := Minix.Open(unpacktest.Input(b[:n])); err != nil || o.Err == nil || o.Size != int64(n) {
			t.Errorf("cut to %d: %v", n, err)
		}
	}
	for at, v := range map[int]byte{1024: 0xff, 1028: 0, 1024 + 8: 9, 1024 + 16: 0, 1024 + 10: 9, 5 * 1024: 9} {
		x := bytes.Clone(b)
		x[at] = v
		in := unpacktest.Input(x)
		in.Whole = false
		if _, err := Minix.Open(in); !errors.Is(err, unpack.ErrNotThis) {
			t.Errorf("byte 0x%x: accepted: %v", at, err)
		}
	}
}

func FuzzMinix(f *testing.F) {
	unpacktest.Fuzz(f, Minix, minixByHand())
}
