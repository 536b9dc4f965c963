package uefi

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/doorward/doorward/internal/unpack"
)

// NVAR opens the variable stores of AMI's Aptio. Their layout is not published;
// it is known from the tools that read it.
var NVAR = &unpack.Reader{
	Name:    "nvar",
	Doc:     "variable stores of AMI Aptio (NVAR), each variable as a file with its newest content",
	Limits:  "Extended headers (time, digest) of variables are left out.",
	Checked: "stores written by hand",
	Magics:  []unpack.Magic{{At: 0, Bytes: "NVAR"}},
	Carve:   true,
	Open:    openNVAR,
}

const (
	nvarHeader   = 10
	nvarRuntime  = 0x01
	nvarASCII    = 0x02
	nvarGUID     = 0x04
	nvarDataOnly = 0x08
	nvarExtended = 0x10
	nvarAuth     = 0x40
	nvarValid    = 0x80
	nvarLast     = 0xffffff
)

// nvarEntry is one record: a variable, or newer content of one.
type nvarEntry struct {
	at, size int64
	next     int64
	attr     byte
}

func nvarAt(data unpack.Bytes, at int64) (nvarEntry, bool) {
	b, err := unpack.ReadFull(data, at, nvarHeader)
	if err != nil || string(b[:4]) != "NVAR" {
		return nvarEntry{}, false
	}
	e := nvarEntry{at, int64(le16(b[4:])), u24(b[6:]), b[9]}
	return e, e.size > nvarHeader && e.size <= data.Size()-at
}

type nvarStore struct {
	*varStore
	entries map[int64]nvarEntry
	order   []nvarEntry
}

// openNVAR lists the records one after the other. The table of GUIDs grows down
// from the end of the store, which is that of the file.
func openNVAR(in *unpack.Input) (*unpack.Object, error) {
	s := &nvarStore{varStore: &varStore{Gatherer: unpack.NewGatherer(in), data: in.Data, names: map[string]int{}}, entries: map[int64]nvarEntry{}}
	at := int64(0)
	for !s.Stop() && len(s.order) < 1<<16 {
		e, ok := nvarAt(in.Data, at)
		if !ok {
			break
		}
		s.entries[at] = e
		s.order = append(s.order, e)
		at += e.size
	}
	if len(s.order) < 2 {
		return nil, unpack.ErrNotThis
	}
	named := 0
	for _, e := range s.order {
		if s.variable(e) {
			named++
		}
	}
	if named == 0 {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "variable store NVAR", Size: in.Data.Size(), Info: map[string]string{"variables": strconv.Itoa(s.count)}}
	if !in.Whole {
		o.Size = at
	}
	s.Finish(o)
	return o, nil
}

// variable adds the variable of a record that has a name.
func (s *nvarStore) variable(e nvarEntry) bool {
	if e.attr&nvarDataOnly != 0 {
		return false
	}
	b, err := unpack.ReadFull(s.data, e.at, e.size)
	if err != nil {
		s.Damage(err)
		return false
	}
	p := b[nvarHeader:]
	var vendor guid
	switch {
	case e.attr&nvarGUID != 0 && len(p) >= 16:
		vendor, p = guidAt(p), p[16:]
	case e.attr&nvarGUID == 0:
		if g := unpack.ReadSome(s.data, s.data.Size()-16*(int64(p[0])+1), 16); len(g) == 16 {
			vendor = guidAt(g)
		}
		p = p[1:]
	default:
		return false
	}
	name, body, ok := nvarName(p, e.attr&nvarASCII != 0)
	if !ok {
		if e.attr&nvarValid != 0 {
			s.Damage(fmt.Errorf("variable store: a name without an end at 0x%x", e.at))
		}
		return false
	}
	data := s.newest(e, body)
	attributes := uint32(3)
	if e.attr&nvarRuntime != 0 {
		attributes |= 4
	}
	if e.attr&nvarAuth != 0 {
		attributes |= 0x10
	}
	if e.attr&nvarValid == 0 {
		s.put("deleted/"+variablePath(name, vendor), unpack.Slice(data), attributes, vendor, true)
		return true
	}
	s.count++
	s.put(variablePath(name, vendor), unpack.Slice(data), attributes, vendor, false)
	for _, x := range signatureEntries(name, unpack.Slice(data)) {
		s.Add(x)
	}
	return true
}

// nvarName parts the name, up to its NUL, from the content.
func nvarName(p []byte, ascii bool) (string, []byte, bool) {
	if ascii {
		i := bytes.IndexByte(p, 0)
		if i < 1 || i > maxVariableName {
			return "", nil, false
		}
		return string(p[:i]), p[i+1:], true
	}
	for i := 0; i+1 < len(p); i += 2 {
		if p[i] == 0 && p[i+1] == 0 {
			return unpack.UTF16(p[:i]), p[i+2:], i > 0
		}
	}
	return "", nil, false
}

// newest follows the links to newer content.
func (s *nvarStore) newest(e nvarEntry, body []byte) []byte {
	for range 1 << 10 {
		if e.next == nvarLast || e.next == 0 {
			break
		}
		newer, ok := s.entries[e.at+e.next]
		if !ok || newer.attr&nvarDataOnly == 0 {
			if e.attr&nvarValid != 0 {
				s.Damage(fmt.Errorf("variable store: a link at 0x%x leads nowhere", e.at))
			}
			break
		}
		b, err := unpack.ReadFull(s.data, newer.at+nvarHeader, newer.size-nvarHeader)
		if err != nil {
			break
		}
		e, body = newer, b
	}
	if n := len(body); e.attr&nvarExtended != 0 && n >= 2 {
		if size := int(le16(body[n-2:])); size >= 3 && size <= n {
			body = body[:n-size]
		}
	}
	return body
}
