package boot

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/lzma"
)

// IPXE opens iPXE's programs for a PC's BIOS: a head of code, and behind it what it
// unpacks (iPXE's src/util/zbin.c).
var IPXE = &unpack.Reader{
	Name:    "ipxe",
	Doc:     "iPXE for a BIOS (ROM, undionly, kernel image) from 2015 on: the code and data that it packs by LZMA, with its own filter for jumps undone",
	Limits:  "The streams have no checksum: they are known by their end mark. Older images, packed by NRV2B, are not opened.",
	Checked: "the ROMs, PXE programs and the kernel image of Debian's ipxe and ipxe-qemu, with liblzma",
	Open:    openIPXE,
}

const (
	ipxeProps   = 2 // lc 2, lp 0, pb 0
	ipxeMax     = 4 << 20
	ipxeLeast   = 512 // bytes of a stream, packed and unpacked
	ipxeSite    = "http://ipxe.org"
	ipxeHead    = 64 << 10
	ipxeFirst   = 8 << 10 // where the first stream starts, at most
	ipxeTries   = 1 << 14
	ipxeStreams = 4
)

func openIPXE(in *unpack.Input) (*unpack.Object, error) {
	size := in.Data.Size()
	if !in.Whole || size < 4096 || size > ipxeMax || unpack.ClassifyHead(unpack.ReadSome(in.Data, 0, 512)) != unpack.TypeData {
		return nil, unpack.ErrNotThis
	}
	named := unpack.FindBytes(unpack.Window(in.Data, 0, ipxeHead), 0, ipxeSite) >= 0
	if !named && !unpack.IsDense(unpack.ReadSome(in.Data, size/2, 4096)) {
		return nil, unpack.ErrNotThis
	}
	b, err := unpack.ReadAll(in.Data, ipxeMax)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	return ipxeParts(in, b, named)
}

// ipxeParts finds the packed streams, and makes parts of them and of what is
// between them.
func ipxeParts(in *unpack.Input, b []byte, named bool) (*unpack.Object, error) {
	scratch, err := in.Budget.Room(ipxeMax, int64(len(b)))
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	defer in.Budget.Release(scratch)
	o := &unpack.Object{Format: "ipxe", Size: int64(len(b)), Info: map[string]string{}}
	code := func(from, to int) {
		if to > from {
			o.Parts = append(o.Parts, unpack.Part{Name: fmt.Sprintf("code-0x%x", from), Data: unpack.Slice(b[from:to]), Offset: int64(from), Format: unpack.CodePart})
		}
	}
	last, found := 0, false
	stream := new(lzma.Stream)
	for at, tries, n := 0, 0, 0; at+ipxeLeast <= len(b) && tries < ipxeTries && n < ipxeStreams && in.Context.Err() == nil; at++ {
		if b[at] != 0 || b[at+1] == 0 && b[at+2] == 0 { // a stream begins with a zero, and hardly with three
			continue
		}
		if tries++; !named && n == 0 && at > ipxeFirst {
			break // nothing says that it is iPXE
		}
		out, used := ipxeStream(stream, b[at:], scratch)
		if out == nil {
			continue
		}
		plain, err := in.Budget.Room(int64(len(out)), int64(used))
		if err != nil {
			return nil, unpack.ErrNotThis
		}
		copy(plain, out)
		undoJumps(plain)
		code(last, at)
		o.Parts = append(o.Parts, unpack.Part{Name: fmt.Sprintf("packed-0x%x", at), Data: plain, Offset: int64(at), Format: unpack.CodePart, Info: map[string]string{"packed size": fmt.Sprint(used)}})
		found = found || bytes.Contains(plain, []byte("iPXE"))
		at += used - 1
		last = at + 1
		n++
	}
	if !found {
		for _, p := range o.Parts {
			if p.Info != nil {
				in.Budget.Release(p.Data.(unpack.Slice))
			}
		}
		return nil, unpack.ErrNotThis
	}
	code(last, len(b))
	return o, nil
}

// ipxeStream unpacks a raw stream up to its end mark; nil if there is none.
func ipxeStream(s *lzma.Stream, src []byte, scratch []byte) ([]byte, int) {
	if s.Reset(ipxeProps, src) != nil {
		return nil, 0
	}
	n, marker, err := s.Decode(scratch, 0, len(scratch))
	if err != nil || !marker || n < ipxeLeast || s.Used() < ipxeLeast || s.Used() > len(src) {
		return nil, 0
	}
	return scratch[:n], s.Used()
}

// undoJumps turns the targets of calls and jumps, which were made absolute to pack
// better, into distances again. What would not have been in range was moved out
// of the way.
func undoJumps(b []byte) {
	limit := int32(len(b) - 5)
	for at := int32(0); at <= limit; at++ {
		if b[at] != 0xe8 && b[at] != 0xe9 {
			continue
		}
		p := b[at+1 : at+5]
		switch v := int32(binary.LittleEndian.Uint32(p)); {
		case v >= 0 && v < limit:
			binary.LittleEndian.PutUint32(p, uint32(v-at))
		case v >= -at && v < 0:
			binary.LittleEndian.PutUint32(p, uint32(v+limit))
		}
		at += 4
	}
}
