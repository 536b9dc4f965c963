package vendor

import (
	"cmp"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// head is the start of an image with the byte order of its numbers. Offsets
// must have been checked to lie in it.
type head struct {
	b     []byte
	order binary.ByteOrder
}

func (h head) u16(at int) int64 { return int64(h.order.Uint16(h.b[at:])) }
func (h head) u32(at int) int64 { return int64(h.order.Uint32(h.b[at:])) }

// text is a field of n bytes that holds text, up to the first NUL.
func (h head) text(at, n int) string { return clean(h.b[at : at+n]) }

// hex is a number as headers' addresses and identifiers are shown.
func (h head) hex(at int) string { return fmt.Sprintf("0x%08x", h.u32(at)) }

// readHead reads n bytes; what has fewer is no header.
func readHead(in *unpack.Input, n int64, order binary.ByteOrder) (head, error) {
	b, err := unpack.ReadFull(in.Data, 0, n)
	if err != nil {
		return head{}, unpack.ErrNotThis
	}
	return head{b, order}, nil
}

// clean is a text field up to its NUL, without padding and line ends; "" if it
// isn't text.
func clean(b []byte) string {
	if i := slices.Index(b, 0); i >= 0 {
		b = b[:i]
	}
	s := strings.TrimSpace(strings.TrimRight(string(b), "\xff"))
	for _, c := range []byte(s) {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c >= 0x7f {
			return ""
		}
	}
	return s
}

// isText says that a field of fixed size is text padded with NUL or 0xff.
func isText(b []byte) bool { return clean(b) != "" || b[0] == 0 }

// image is an object under construction. Whatever of it no part covers is kept
// as a part of its own by finish, so that nothing goes unseen between parts.
type image struct {
	in      *unpack.Input
	o       *unpack.Object
	covered [][2]int64
}

func newImage(in *unpack.Input, format string, size, header int64) *image {
	g := &image{in: in, o: &unpack.Object{Format: format, Size: min(size, in.Data.Size()), Info: map[string]string{}}}
	g.cover(0, header)
	if size > in.Data.Size() {
		g.o.Err = &unpack.CutOff{Format: g.o.Format, Missing: int64(size) - in.Data.Size(), Of: int64(size)}
	}
	return g
}

// info notes what a header says, if it says it.
func (g *image) info(key, value string) {
	if value != "" && value != "0x00000000" {
		g.o.Info[key] = value
	}
}

// cover marks bytes that the format itself explains.
func (g *image) cover(off, size int64) { g.covered = append(g.covered, [2]int64{off, off + size}) }

// part adds the part at an offset; one that reaches beyond the end is cut, and
// said to be.
func (g *image) part(name, format string, off, size int64, info map[string]string) {
	if size <= 0 {
		return
	}
	if off < 0 || off > g.o.Size || size > g.o.Size-off {
		if g.o.Err == nil {
			g.o.Err = fmt.Errorf("the part %s (%d bytes at 0x%x) reaches beyond the end", name, size, off)
		}
		if off < 0 || off >= g.o.Size {
			return
		}
		size = g.o.Size - off
	}
	g.cover(off, size)
	g.o.Parts = append(g.o.Parts, unpack.Part{Name: name, Format: format, Data: unpack.Window(g.in.Data, off, size), Offset: off, Info: info})
}

// decoded adds a part that was decrypted or unpacked.
func (g *image) decoded(name, format string, data unpack.Bytes) {
	g.o.Parts = append(g.o.Parts, unpack.Part{Name: name, Format: format, Data: data, Offset: -1})
}

// damaged notes a checksum that is wrong in an image whose header is proved.
func (g *image) damaged(off, size int64, format string, args ...any) {
	g.o.Gaps = append(g.o.Gaps, unpack.Gap{Offset: off, Size: size, Reason: "damaged", Note: fmt.Sprintf(format, args...)})
}

// finish adds what lies between the parts and is no padding.
func (g *image) finish() *unpack.Object {
	slices.SortFunc(g.covered, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	at := int64(0)
	for _, c := range append(g.covered, [2]int64{g.o.Size, g.o.Size}) {
		if c[0] > at && !unpack.OnlyPadding(unpack.Window(g.in.Data, at, c[0]-at), 0) {
			name := fmt.Sprintf("rest-0x%x", at)
			g.o.Parts = append(g.o.Parts, unpack.Part{Name: name, Data: unpack.Window(g.in.Data, at, c[0]-at), Offset: at})
		}
		at = max(at, c[1])
	}
	seen := map[string]int{}
	for i := range g.o.Parts {
		p := &g.o.Parts[i]
		if seen[p.Name]++; seen[p.Name] > 1 {
			p.Name += fmt.Sprint(seen[p.Name])
		}
	}
	return g.o
}

// sum feeds n bytes from an offset on to a hash.
func sum(h hash.Hash, data unpack.Bytes, off, n int64) ([]byte, error) {
	err := unpack.Chunks(data, off, n, func(p []byte) { h.Write(p) })
	return h.Sum(nil), err
}

// md5Is says that the MD5 of a salt and n bytes is the one given.
func md5Is(want, salt []byte, data unpack.Bytes, off, n int64) bool {
	h := md5.New()
	h.Write(salt)
	got, err := sum(h, data, off, n)
	return err == nil && string(got) == string(want)
}

// rawCRC is the CRC-32 of zlib without its last inversion, as Broadcom and those
// who follow it use it.
func rawCRC(data unpack.Bytes, off, n int64) (uint32, error) {
	c, err := unpack.SumCRC32(0, data, off, n)
	return ^c, err
}

// bytesCRC is the same over memory.
func bytesCRC(b []byte) uint32 { return ^crc32.ChecksumIEEE(b) }

// byteSum adds all bytes.
func byteSum(data unpack.Bytes, off, n int64) (s uint32, err error) {
	err = unpack.Chunks(data, off, n, func(p []byte) {
		for _, c := range p {
			s += uint32(c)
		}
	})
	return s, err
}

// joined is two pieces, one behind the other.
type joined struct{ a, b unpack.Bytes }

func (j joined) Size() int64 { return j.a.Size() + j.b.Size() }

func (j joined) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if off >= 0 && off < j.a.Size() {
		var err error
		part := p[:min(int64(len(p)), j.a.Size()-off)]
		if n, err = j.a.ReadAt(part, off); n < len(part) {
			return n, err
		}
		if n == len(p) {
			return n, nil
		}
	}
	m, err := j.b.ReadAt(p[n:], max(off+int64(n)-j.a.Size(), min(off, 0)))
	return n + m, err
}

// xored is bytes under a repeated key; their first is under the key's byte at.
type xored struct {
	unpack.Bytes
	key []byte
}

func (x xored) ReadAt(p []byte, off int64) (int, error) {
	n, err := x.Bytes.ReadAt(p, off)
	for i := range p[:n] {
		p[i] ^= x.key[(off+int64(i))%int64(len(x.key))]
	}
	return n, err
}
