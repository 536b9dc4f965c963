package unpack

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
)

// sparsePiece is a stretch of a sparse file that has content; from is where
// that lies in the packed content.
type sparsePiece struct{ offset, size, from int64 }

// sparse is a file whose holes are not stored.
type sparse struct {
	content Bytes
	pieces  []sparsePiece
	size    int64
}

var errSparse = errors.New("damaged map of a sparse file")

// A sparse file may claim much more than it stores: its holes cost no bytes in
// an archive, but time when they are read.
const (
	sparseFree  = 256 << 20
	sparseRatio = 1000
)

// newSparse makes a file of size bytes (-1: up to the last piece) of the pieces
// that lie one behind the other in content.
func newSparse(content Bytes, pieces []sparsePiece, size int64) (*sparse, error) {
	at, end := int64(0), int64(0)
	for i := range pieces {
		p := &pieces[i]
		if p.offset < end || p.size < 0 || p.size > content.Size()-at || p.offset > 1<<50 {
			return nil, errSparse
		}
		p.from = at
		at += p.size
		end = p.offset + p.size
	}
	if size < 0 {
		size = end
	}
	if size < end {
		return nil, errSparse
	}
	if size > max(sparseFree, content.Size()*sparseRatio) {
		return nil, fmt.Errorf("%w: a sparse file of %d bytes stores only %d", ErrLimit, size, content.Size())
	}
	return &sparse{content, pieces, size}, nil
}

// Size implements Bytes.
func (s *sparse) Size() int64 { return s.size }

// ReadAt implements Bytes.
func (s *sparse) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= s.size {
		return 0, io.EOF
	}
	if int64(len(p)) > s.size-off {
		p, err = p[:s.size-off], io.EOF
	}
	i := sort.Search(len(s.pieces), func(i int) bool { return s.pieces[i].offset+s.pieces[i].size > off })
	for n < len(p) {
		at := off + int64(n)
		if i >= len(s.pieces) || s.pieces[i].offset >= off+int64(len(p)) {
			clear(p[n:])
			return len(p), err
		}
		c := s.pieces[i]
		if hole := c.offset - at; hole > 0 {
			clear(p[n : n+int(hole)])
			n += int(hole)
			at = c.offset
		}
		part := p[n:min(len(p), n+int(c.offset+c.size-at))]
		got, e := s.content.ReadAt(part, c.from+at-c.offset)
		n += got
		if got < len(part) {
			return n, e
		}
		i++
	}
	return n, err
}

// gnuSparse reads the map of GNU tar's old format: in the header itself and in
// blocks behind it.
func (t *tarReader) gnuSparse(h *tarHead, block []byte) error {
	h.sparse = []sparsePiece{}
	h.real, _ = tarNumber(block[483:495])
	take := func(b []byte) {
		for ; len(b) >= 24; b = b[24:] {
			offset, ok1 := tarNumber(b[:12])
			size, ok2 := tarNumber(b[12:24])
			if b[0] == 0 || !ok1 || !ok2 {
				return
			}
			h.sparse = append(h.sparse, sparsePiece{offset: offset, size: size})
		}
	}
	take(block[386:482])
	for more := block[482] != 0; more; {
		next, err := ReadFull(t.data, t.at, tarBlock)
		if err != nil {
			return err
		}
		t.at += tarBlock
		take(next[:504])
		more = next[504] != 0
	}
	return nil
}

// sparseMap01 reads the map of pax sparse format 0.1: "offset,size,...".
func sparseMap01(s string) []sparsePiece {
	pieces := []sparsePiece{}
	fields := strings.Split(s, ",")
	for i := 0; i+1 < len(fields); i += 2 {
		offset, err1 := strconv.ParseInt(fields[i], 10, 64)
		size, err2 := strconv.ParseInt(fields[i+1], 10, 64)
		if err1 != nil || err2 != nil {
			return append(pieces, sparsePiece{offset: -1}) // refused by newSparse
		}
		pieces = append(pieces, sparsePiece{offset: offset, size: size})
	}
	return pieces
}

// sparseMap1 reads the map of pax sparse format 1.0: decimal lines before the
// content, padded to whole blocks.
func sparseMap1(content Bytes) (pieces []sparsePiece, skip int64, err error) {
	text := ReadSome(content, 0, tarMetaMax)
	number := func() int64 {
		i := 0
		for i < len(text) && text[i] != '\n' {
			i++
		}
		n, bad := strconv.ParseInt(string(text[:i]), 10, 64)
		if bad != nil || i == len(text) {
			err = errSparse
			return 0
		}
		text = text[i+1:]
		skip += int64(i) + 1
		return n
	}
	pieces = []sparsePiece{}
	for n := number(); n > 0 && err == nil; n-- {
		pieces = append(pieces, sparsePiece{offset: number(), size: number()})
	}
	return pieces, (skip + tarBlock - 1) / tarBlock * tarBlock, err
}
