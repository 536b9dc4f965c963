package mcu

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/doorward/doorward/internal/unpack"
)

// NVS opens the non-volatile storage of ESP-IDF (its documentation, "Internals"):
// pages of 126 entries, each with a CRC, of keys in namespaces. The settings of a
// device, passwords of networks among them, are given as text.
var NVS = &unpack.Reader{
	Name:    "nvs",
	Doc:     "ESP-IDF non-volatile storage: settings by namespace and key as text, erased ones that are still there told, CRCs verified",
	Limits:  "encrypted storage (nvs_keys) is seen as entries with wrong CRCs",
	Checked: "an independent writer; all ways of damage",
	Block:   func(b []byte) bool { return nvsPage(b) },
	Magics:  []unpack.Magic{{At: 0, Bytes: "\xfe\xff\xff\xff"}, {At: 0, Bytes: "\xfc\xff\xff\xff"}, {At: 0, Bytes: "\xf8\xff\xff\xff"}},
	Open:    openNVS,
}

const nvsSize = 4096

// nvsCRC is the CRC of the chip's ROM, with all bits set at the start.
func nvsCRC(b ...[]byte) uint32 {
	c := uint32(0xffffffff)
	for _, p := range b {
		c = crc32.Update(c, crc32.IEEETable, p)
	}
	return c
}

// nvsPage says that a page starts here, by the CRC of its header.
func nvsPage(b []byte) bool {
	if len(b) < 32 || !unpack.OnlyByte(b[1:4], 0xff) || b[0] != 0xfe && b[0] != 0xfc && b[0] != 0xf8 || b[8] < 0xfd {
		return false
	}
	return nvsCRC(b[4:28]) == binary.LittleEndian.Uint32(b[28:])
}

type nvsReader struct {
	text   bytes.Buffer
	names  map[byte]string
	bad    int
	values int
}

func openNVS(in *unpack.Input) (*unpack.Object, error) {
	if !nvsPage(unpack.ReadSome(in.Data, 0, 32)) {
		return nil, unpack.ErrNotThis
	}
	var pages [][]byte
	o := &unpack.Object{Format: "nvs", Info: map[string]string{}}
	n := &nvsReader{names: map[byte]string{}}
	for at := int64(0); at+nvsSize <= in.Data.Size() && at < 16<<20; at += nvsSize {
		b := unpack.ReadSome(in.Data, at, nvsSize)
		if !nvsPage(b) {
			if !unpack.OnlyByte(b, 0xff) {
				break
			}
			continue
		}
		pages = append(pages, b)
		o.Size = at + nvsSize
	}
	if len(pages) == 0 {
		return nil, unpack.ErrNotThis
	}
	for _, names := range []bool{true, false} {
		for _, b := range pages {
			n.page(b, names)
		}
	}
	if n.bad > 0 {
		o.Err = fmt.Errorf("%d entries have wrong checksums", n.bad)
	}
	o.Info["values"] = fmt.Sprint(n.values)
	o.Parts = []unpack.Part{{Name: "settings", Data: unpack.Slice(n.text.Bytes()), Offset: -1}}
	return o, nil
}

// page reads the entries of a page: first those that name namespaces, then the
// values.
func (n *nvsReader) page(b []byte, names bool) {
	for i := 0; i < 126; {
		state := b[32+i/4] >> (2 * (i % 4)) & 3
		e := b[64+32*i : 96+32*i]
		span := 1
		if state == 3 || state != 2 && state != 0 {
			i++
			continue
		}
		if nvsCRC(e[:4], e[8:]) != binary.LittleEndian.Uint32(e[4:]) {
			if state == 2 && !names {
				n.bad++
			}
			i++
			continue
		}
		if s := int(e[2]); s > 1 && i+s <= 126 {
			span = s
		}
		key := cString(e[8:24])
		switch {
		case names && e[0] == 0 && e[1] == 1:
			n.names[e[24]] = key
		case !names && e[0] != 0:
			n.value(e, b[96+32*i:64+32*(i+span)], key, state == 0)
		}
		i += span
	}
}

// value writes one line. data are the entries that follow, of texts and blobs.
func (n *nvsReader) value(e, data []byte, key string, erased bool) {
	kind, v := "", ""
	switch t := e[1]; t {
	case 0x01, 0x02, 0x04, 0x08:
		kind, v = fmt.Sprintf("u%d", 8*int(t)), strconv.FormatUint(binary.LittleEndian.Uint64(e[24:])&(1<<(8*t)-1), 10)
	case 0x11, 0x12, 0x14, 0x18:
		bits := 8 * int(t&15)
		kind, v = fmt.Sprintf("i%d", bits), strconv.FormatInt(int64(binary.LittleEndian.Uint64(e[24:])<<(64-bits))>>(64-bits), 10)
	case 0x21, 0x41, 0x42:
		size := int(binary.LittleEndian.Uint16(e[24:]))
		if size > len(data) || nvsCRC(data[:size]) != binary.LittleEndian.Uint32(e[28:]) {
			if !erased {
				n.bad++
			}
			return
		}
		if kind, v = "blob", fmt.Sprintf("%x", data[:size]); t == 0x21 {
			kind, v = "string", strconv.Quote(cString(data[:size]))
		} else if s := cString(data[:size]); len(s) > 3 {
			v += " " + strconv.Quote(s)
		}
	default: // an index of blobs says nothing more
		return
	}
	space := n.names[e[0]]
	if space == "" {
		space = fmt.Sprint(e[0])
	}
	n.values++
	fmt.Fprintf(&n.text, "%s.%s %s = %s", space, key, kind, v)
	if erased {
		n.text.WriteString(" (erased)")
	}
	n.text.WriteByte('\n')
}
