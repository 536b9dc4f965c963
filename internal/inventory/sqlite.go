package inventory

import "encoding/binary"

// sqlite reads the tables of an SQLite database, as far as rpm's needs it: no
// write-ahead log, no indexes (https://www.sqlite.org/fileformat2.html).
type sqlite struct {
	b     []byte
	page  uint64          // size
	use   uint64          // usable bytes of a page
	seen  map[uint32]bool // pages of trees: each is visited once
	left  int             // bytes that may still be gathered
	found func(payload []byte)
}

// sqliteBlobs returns the last blob of every row of a table.
func sqliteBlobs(b []byte, table string) [][]byte {
	if len(b) < 512 {
		return nil
	}
	s := &sqlite{b: b, page: uint64(binary.BigEndian.Uint16(b[16:])), seen: map[uint32]bool{}, left: maxBlobs}
	if s.page == 1 {
		s.page = 65536
	}
	if s.page < 512 || uint64(b[20]) > s.page-480 {
		return nil
	}
	s.use = s.page - uint64(b[20])
	root := uint32(0)
	s.found = func(payload []byte) {
		if r := record(payload); len(r) >= 4 && string(r[0]) == "table" && string(r[1]) == table {
			root = uint32(bigEndian(r[3]))
		}
	}
	s.walk(1, 0)
	var list [][]byte
	s.found = func(payload []byte) {
		if r := record(payload); len(r) > 0 {
			list = append(list, r[len(r)-1])
		}
	}
	if root > 1 {
		s.walk(root, 0)
	}
	return list
}

func bigEndian(b []byte) (n uint64) {
	for _, c := range b[:min(len(b), 8)] {
		n = n<<8 | uint64(c)
	}
	return n
}

const (
	sqliteInterior, sqliteLeaf = 5, 13
	sqliteDepth                = 20
)

// walk visits a table's tree in the order of its rows.
func (s *sqlite) walk(n uint32, depth int) {
	at := (uint64(n) - 1) * s.page
	if n == 0 || at+s.page > uint64(len(s.b)) || s.seen[n] || depth > sqliteDepth {
		return
	}
	s.seen[n] = true
	page := s.b[at : at+s.page]
	head := page
	if n == 1 {
		head = page[100:]
	}
	cells := int(binary.BigEndian.Uint16(head[3:]))
	switch head[0] {
	case sqliteInterior:
		for i := 0; i < cells && 12+2*i+2 <= len(head); i++ {
			if cell := int(binary.BigEndian.Uint16(head[12+2*i:])); cell+4 <= len(page) {
				s.walk(binary.BigEndian.Uint32(page[cell:]), depth+1)
			}
		}
		s.walk(binary.BigEndian.Uint32(head[8:]), depth+1)
	case sqliteLeaf:
		for i := 0; i < cells && 8+2*i+2 <= len(head); i++ {
			if cell := int(binary.BigEndian.Uint16(head[8+2*i:])); cell < len(page) {
				s.cell(page[cell:])
			}
		}
	}
}

// cell hands out the payload of a leaf's cell, gathered from overflow pages.
func (s *sqlite) cell(b []byte) {
	size, n := varint(b)
	if n == 0 {
		return
	}
	_, m := varint(b[n:])
	b = b[n+m:]
	local := s.local(size)
	if m == 0 || size > maxBlob || int(size) > s.left || size > uint64(len(s.b)) || local > uint64(len(b)) {
		return
	}
	s.left -= int(size)
	payload := append([]byte{}, b[:local]...)
	if size > local && uint64(len(b)) >= local+4 {
		payload = s.overflow(payload, binary.BigEndian.Uint32(b[local:]), size)
	}
	if uint64(len(payload)) == size {
		s.found(payload)
	}
}

// local is how much of a payload stands in the cell itself.
func (s *sqlite) local(size uint64) uint64 {
	most := s.use - 35
	if size <= most {
		return size
	}
	least := (s.use-12)*32/255 - 23
	if k := least + (size-least)%(s.use-4); k <= most {
		return k
	}
	return least
}

func (s *sqlite) overflow(payload []byte, n uint32, size uint64) []byte {
	for n != 0 && uint64(len(payload)) < size {
		at := (uint64(n) - 1) * s.page
		if at+s.page > uint64(len(s.b)) {
			return nil
		}
		take := min(size-uint64(len(payload)), s.use-4)
		payload = append(payload, s.b[at+4:at+4+take]...)
		n = binary.BigEndian.Uint32(s.b[at:])
	}
	return payload
}

// varint reads a number of up to nine bytes, seven bits each but for the last.
func varint(b []byte) (v uint64, n int) {
	for n < len(b) && n < 9 {
		c := b[n]
		n++
		if n == 9 {
			return v<<8 | uint64(c), n
		}
		v = v<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return v, n
		}
	}
	return 0, 0
}

// record splits a payload into its columns.
func record(b []byte) [][]byte {
	head, n := varint(b)
	if n == 0 || head > uint64(len(b)) {
		return nil
	}
	types, body := b[n:max(head, uint64(n))], b[head:]
	var list [][]byte
	for len(types) > 0 && len(list) < 64 {
		t, n := varint(types)
		if n == 0 {
			break
		}
		types = types[n:]
		size := columnSize(t)
		if size > uint64(len(body)) {
			break
		}
		list = append(list, body[:size])
		body = body[size:]
	}
	return list
}

func columnSize(t uint64) uint64 {
	switch {
	case t >= 12:
		return (t - 12) / 2
	case t == 5:
		return 6
	case t == 6 || t == 7:
		return 8
	case t >= 1 && t <= 4:
		return t
	}
	return 0
}
