package volume

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

var errDMGTable = errors.New("its table of partitions is damaged")

// plistTables finds the partitions in the property list: resource-fork, blkx, a
// list with Name and Data of each.
func plistTables(b []byte) ([]dmgTable, error) {
	dec := xml.NewDecoder(bytes.NewReader(b))
	dec.Strict = false
	var list []dmgTable
	var t dmgTable
	key, text := "", ""
	depth, inside := 0, 0 // of arrays; where blkx's is
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, errDMGTable
		}
		switch e := tok.(type) {
		case xml.StartElement:
			text = ""
			if e.Name.Local == "array" {
				if depth++; key == "blkx" && inside == 0 {
					inside = depth
				}
			}
		case xml.CharData:
			text += string(e)
		case xml.EndElement:
			switch e.Name.Local {
			case "array":
				if depth == inside {
					inside = 0
				}
				depth--
			case "key":
				key = text
			case "string":
				if inside > 0 && key == "Name" {
					t.name = text
				}
			case "data":
				if inside > 0 && key == "Data" {
					if t.data, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err != nil {
						return nil, errDMGTable
					}
				}
			case "dict":
				if inside > 0 && t.data != nil {
					list, t = append(list, t), dmgTable{}
				}
			}
			text = ""
		}
	}
	if len(list) == 0 {
		return nil, errDMGTable
	}
	return list, nil
}

// forkTables finds them in a resource fork (Inside Macintosh: More Macintosh
// Toolbox, chapter 1).
func forkTables(b []byte) ([]dmgTable, error) {
	be := binary.BigEndian
	at := func(off, n int) []byte {
		if off < 0 || n < 0 || off > len(b) || n > len(b)-off {
			return nil
		}
		return b[off : off+n]
	}
	head := at(0, 16)
	if head == nil {
		return nil, errDMGTable
	}
	data, maps := int(be.Uint32(head)), int(be.Uint32(head[4:]))
	m := at(maps, 30)
	if m == nil {
		return nil, errDMGTable
	}
	types, names := maps+int(be.Uint16(m[24:])), maps+int(be.Uint16(m[26:]))
	count := at(types, 2)
	if count == nil {
		return nil, errDMGTable
	}
	var list []dmgTable
	for i := range int(be.Uint16(count)+1) & 0xffff {
		e := at(types+2+8*i, 8)
		if e == nil || string(e[:4]) != "blkx" {
			continue
		}
		for j := range int(be.Uint16(e[4:])) + 1 {
			r := at(types+int(be.Uint16(e[6:]))+12*j, 12)
			if r == nil {
				return nil, errDMGTable
			}
			off := data + int(be.Uint32(r[4:])&0xffffff)
			size := at(off, 4)
			if size == nil {
				return nil, errDMGTable
			}
			t := dmgTable{data: at(off+4, int(be.Uint32(size)))}
			if n := at(names+int(be.Uint16(r[2:])), 1); n != nil && be.Uint16(r[2:]) != 0xffff {
				t.name = string(at(names+int(be.Uint16(r[2:]))+1, int(n[0])))
			}
			list = append(list, t)
		}
	}
	if len(list) == 0 {
		return nil, errDMGTable
	}
	return list, nil
}
