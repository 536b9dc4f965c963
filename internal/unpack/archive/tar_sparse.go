package archive

import (
	"errors"
	"strconv"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

var errSparse = errors.New("damaged map of a sparse file")

// sparseFile makes a file of size bytes (-1: up to the last piece) of the pieces
// that lie one behind the other in content.
func sparseFile(content unpack.Bytes, pieces []unpack.Extent, size int64) (unpack.Bytes, error) {
	at, end := int64(0), int64(0)
	for i := range pieces {
		p := &pieces[i]
		if p.Offset < end || p.Size < 0 || p.Size > content.Size()-at || p.Offset > 1<<50 {
			return nil, errSparse
		}
		p.From = at
		at += p.Size
		end = p.Offset + p.Size
	}
	if size < 0 {
		size = end
	}
	if size < end {
		return nil, errSparse
	}
	return unpack.Extents(content, pieces, size)
}

// gnuSparse reads the map of GNU tar's old format: in the header itself and in
// blocks behind it.
func (t *tarReader) gnuSparse(h *tarHead, block []byte) error {
	h.sparse = []unpack.Extent{}
	h.real, _ = tarNumber(block[483:495])
	take := func(b []byte) {
		for ; len(b) >= 24; b = b[24:] {
			offset, ok1 := tarNumber(b[:12])
			size, ok2 := tarNumber(b[12:24])
			if b[0] == 0 || !ok1 || !ok2 {
				return
			}
			h.sparse = append(h.sparse, unpack.Extent{Offset: offset, Size: size})
		}
	}
	take(block[386:482])
	for more := block[482] != 0; more; {
		next, err := unpack.ReadFull(t.data, t.at, tarBlock)
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
func sparseMap01(s string) []unpack.Extent {
	pieces := []unpack.Extent{}
	fields := strings.Split(s, ",")
	for i := 0; i+1 < len(fields); i += 2 {
		offset, err1 := strconv.ParseInt(fields[i], 10, 64)
		size, err2 := strconv.ParseInt(fields[i+1], 10, 64)
		if err1 != nil || err2 != nil {
			return append(pieces, unpack.Extent{Offset: -1}) // refused by sparseFile
		}
		pieces = append(pieces, unpack.Extent{Offset: offset, Size: size})
	}
	return pieces
}

// sparseMap1 reads the map of pax sparse format 1.0: decimal lines before the
// content, padded to whole blocks.
func sparseMap1(content unpack.Bytes) (pieces []unpack.Extent, skip int64, err error) {
	text := unpack.ReadSome(content, 0, tarMetaMax)
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
	pieces = []unpack.Extent{}
	for n := number(); n > 0 && err == nil; n-- {
		pieces = append(pieces, unpack.Extent{Offset: number(), Size: number()})
	}
	return pieces, (skip + tarBlock - 1) / tarBlock * tarBlock, err
}
