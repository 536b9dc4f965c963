package stream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/klauspost/compress/flate"
)

// Gzip opens gzip streams (RFC 1952).
var Gzip = &unpack.Reader{
	Name:    "gzip",
	Checked: "gzip",
	Doc:     "gzip streams (RFC 1952), of one or several members.",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\x1f\x8b\x08"}},
	Carve:   true,
	Open:    openGzip,
}

func openGzip(in *unpack.Input) (*unpack.Object, error) {
	h, err := gzipHeader(in.Data, 0)
	if err != nil || !in.Whole && h.os > 13 && h.os != 255 {
		return nil, unpack.ErrNotThis
	}
	g := &gunzip{data: in.Data, at: h.size}
	g.begin()
	out, err := in.Budget.Decode(g, in.Data.Size())
	return unpack.StreamObject(in, "gzip", out, g.end(), false, err, h.info())
}

type gzipHead struct {
	size          int64
	name, comment string
	time          time.Time
	os            byte
}

func (h *gzipHead) info() map[string]string {
	info := map[string]string{}
	if h.name != "" {
		info["name"] = h.name
	}
	if h.comment != "" {
		info["comment"] = h.comment
	}
	if !h.time.IsZero() {
		info["time"] = h.time.Format(time.RFC3339)
	}
	return info
}

// gzipHeader reads a member's header at an offset.
func gzipHeader(b unpack.Bytes, at int64) (*gzipHead, error) {
	p, err := unpack.ReadFull(b, at, 10)
	if err != nil || p[0] != 0x1f || p[1] != 0x8b || p[2] != 8 || p[3]&0xe0 != 0 {
		return nil, unpack.ErrNotThis
	}
	flags := p[3]
	h := &gzipHead{size: 10, os: p[9]}
	if sec := binary.LittleEndian.Uint32(p[4:]); sec != 0 {
		h.time = time.Unix(int64(sec), 0).UTC()
	}
	if flags&4 != 0 {
		n, err := unpack.ReadFull(b, at+h.size, 2)
		if err != nil {
			return nil, unpack.ErrNotThis
		}
		h.size += 2 + int64(binary.LittleEndian.Uint16(n))
	}
	for _, field := range []struct {
		flag byte
		to   *string
	}{{8, &h.name}, {16, &h.comment}} {
		if flags&field.flag == 0 {
			continue
		}
		text := unpack.ReadSome(b, at+h.size, 4096)
		n := bytes.IndexByte(text, 0)
		if n < 0 {
			return nil, unpack.ErrNotThis
		}
		*field.to = strings.ToValidUTF8(string(text[:n]), "?")
		h.size += int64(n) + 1
	}
	if flags&2 != 0 {
		head, err := unpack.ReadFull(b, at, h.size+2)
		if err != nil || uint16(crc32.ChecksumIEEE(head[:h.size])) != binary.LittleEndian.Uint16(head[h.size:]) {
			return nil, unpack.ErrNotThis
		}
		h.size += 2
	}
	if at+h.size > b.Size() {
		return nil, unpack.ErrNotThis
	}
	return h, nil
}

// gunzip reads the content of all members that follow each other directly, and
// checks the sum of each.
type gunzip struct {
	data    unpack.Bytes
	at      int64 // where the deflate data of the member begin
	used    func() int64
	inflate io.ReadCloser
	sum     uint32
	size    uint32
	done    int64 // the end of the last whole member
	err     error
}

func (g *gunzip) begin() {
	r, used := unpack.SourceOf(unpack.Window(g.data, g.at, g.data.Size()))
	g.used, g.sum, g.size = used, 0, 0
	if g.inflate == nil {
		g.inflate = flate.NewReader(r)
		return
	}
	g.err = g.inflate.(flate.Resetter).Reset(r, nil)
}

// end is how many bytes of the data belong to the stream.
func (g *gunzip) end() int64 {
	if g.err == io.EOF {
		return g.done
	}
	return g.at + g.used()
}

func (g *gunzip) Read(p []byte) (int, error) {
	for g.err == nil {
		n, err := g.inflate.Read(p)
		g.sum = crc32.Update(g.sum, crc32.IEEETable, p[:n])
		g.size += uint32(n)
		if err == io.EOF {
			err = g.next()
		}
		if err != nil {
			g.err = err
			if err != io.EOF {
				g.err = fmt.Errorf("gzip at 0x%x: %w", g.at+g.used(), err)
			}
		}
		if n > 0 || g.err != nil {
			return n, g.err
		}
	}
	return 0, g.err
}

// next checks the member that ended and begins the one behind it, if any.
func (g *gunzip) next() error {
	end := g.at + g.used()
	tail, err := unpack.ReadFull(g.data, end, 8)
	if err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(tail) != g.sum || binary.LittleEndian.Uint32(tail[4:]) != g.size {
		return unpack.ErrChecksum
	}
	g.done = end + 8
	h, err := gzipHeader(g.data, g.done)
	if err != nil {
		return io.EOF
	}
	g.at = g.done + h.size
	g.begin()
	return g.err
}
