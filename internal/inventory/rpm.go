package inventory

import (
	"encoding/binary"
	"path"
	"strconv"
	"strings"

	"github.com/doorward/doorward/internal/product"
)

// rpmRoot says that a path is that of an rpm database, and gives the root
// before it.
func rpmRoot(p string) (string, bool) {
	switch path.Base(p) {
	case "Packages", "Packages.db", "rpmdb.sqlite":
	default:
		return "", false
	}
	for _, dir := range []string{"var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"} {
		if root, ok := cutRoot(p, dir+"/"+path.Base(p)); ok {
			return root, true
		}
	}
	return "", false
}

// rpmPackages reads an rpm database in any of its three forms. Each holds one
// header per package.
func rpmPackages(f *product.File) []pack {
	b := f.Bytes()
	var blobs [][]byte
	switch {
	case strings.HasPrefix(string(b[:min(len(b), 16)]), "SQLite format 3"):
		blobs = sqliteBlobs(b, "Packages")
	case strings.HasPrefix(string(b[:min(len(b), 4)]), "RpmP"):
		blobs = ndbBlobs(b)
	default:
		blobs = bdbBlobs(b)
	}
	var list []pack
	for _, blob := range blobs[:min(len(blobs), maxPackages)] {
		if p := rpmHeader(blob); p.name != "" && p.name != "gpg-pubkey" {
			p.from = f
			list = append(list, p)
		}
	}
	return list
}

// Tags of an rpm header (rpm's rpmtag.h) and its types of values.
const (
	rpmName, rpmVersion, rpmRelease, rpmEpoch           = 1000, 1001, 1002, 1003
	rpmVendor, rpmLicence, rpmURL, rpmArch              = 1011, 1014, 1020, 1022
	rpmBuildHost, rpmPackager                           = 1007, 1015
	rpmSource, rpmDirIndexes, rpmBaseNames, rpmDirNames = 1044, 1116, 1117, 1118

	rpmInt32, rpmString, rpmStrings, rpmI18N = 4, 6, 8, 9
	maxRPMFiles                              = 1 << 18
)

type rpmEntry struct{ kind, offset, count uint32 }

// rpmHeader reads a header: number of entries, size of the data, the entries
// (tag, type, offset, count), the data; all big endian.
func rpmHeader(b []byte) pack {
	be := binary.BigEndian
	if len(b) < 8 {
		return pack{}
	}
	count, size := uint64(be.Uint32(b)), uint64(be.Uint32(b[4:]))
	if count > 1<<16 || 8+16*count+size > uint64(len(b)) {
		return pack{}
	}
	data := b[8+16*count : 8+16*count+size]
	h := rpmValues{data: data, entries: map[uint32]rpmEntry{}}
	for i := range count {
		e := b[8+16*i:]
		h.entries[be.Uint32(e)] = rpmEntry{be.Uint32(e[4:]), be.Uint32(e[8:]), be.Uint32(e[12:])}
	}
	p := pack{format: "rpm", name: h.text(rpmName), version: h.text(rpmVersion), arch: h.text(rpmArch), maker: h.text(rpmVendor), licence: h.text(rpmLicence), homepage: h.text(rpmURL),
		vendor: h.text(rpmVendor), packager: h.text(rpmPackager), buildHost: h.text(rpmBuildHost)}
	if r := h.text(rpmRelease); r != "" {
		p.version += "-" + r
	}
	if n := h.numbers(rpmEpoch); len(n) > 0 && n[0] > 0 {
		p.epoch = strconv.FormatUint(uint64(n[0]), 10)
	}
	p.source = sourceName(h.text(rpmSource))
	dirs := h.texts(rpmDirNames)
	index := h.numbers(rpmDirIndexes)
	for i, base := range h.texts(rpmBaseNames) {
		if i < len(index) && uint64(index[i]) < uint64(len(dirs)) {
			p.files = append(p.files, dirs[index[i]]+base)
		} else {
			p.files = append(p.files, "")
		}
	}
	p.sums = h.sums(p.files)
	return p
}

// sourceName is bash of bash-5.1-2.fc33.src.rpm.
func sourceName(s string) string {
	for range 2 {
		at := strings.LastIndexByte(s, '-')
		if at <= 0 {
			return ""
		}
		s = s[:at]
	}
	return s
}

type rpmValues struct {
	data    []byte
	entries map[uint32]rpmEntry
}

func (h *rpmValues) text(tag uint32) string {
	if list := h.texts(tag); len(list) > 0 {
		return list[0]
	}
	return ""
}

func (h *rpmValues) texts(tag uint32) []string {
	e, ok := h.entries[tag]
	if !ok || e.kind != rpmString && e.kind != rpmStrings && e.kind != rpmI18N || uint64(e.offset) >= uint64(len(h.data)) {
		return nil
	}
	rest := string(h.data[e.offset:])
	var list []string
	for range min(e.count, maxRPMFiles) {
		s, after, ok := strings.Cut(rest, "\x00")
		if !ok {
			break
		}
		list = append(list, s)
		rest = after
	}
	return list
}

func (h *rpmValues) numbers(tag uint32) []uint32 {
	e, ok := h.entries[tag]
	if !ok || e.kind != rpmInt32 {
		return nil
	}
	var list []uint32
	for i := range uint64(min(e.count, maxRPMFiles)) {
		at := uint64(e.offset) + 4*i
		if at+4 > uint64(len(h.data)) {
			break
		}
		list = append(list, binary.BigEndian.Uint32(h.data[at:]))
	}
	return list
}

const (
	maxBlob  = 64 << 20  // of one header
	maxBlobs = 256 << 20 // of all of a database
)

// ndbBlobs reads rpm's own database: a table of slots behind a header of 32
// bytes, each naming a run of blocks of 16 bytes.
func ndbBlobs(b []byte) [][]byte {
	le := binary.LittleEndian
	if len(b) < 32 {
		return nil
	}
	slots := uint64(le.Uint32(b[12:])) * 4096
	var list [][]byte
	for at := uint64(32); at+16 <= min(slots, uint64(len(b))); at += 16 {
		if string(b[at:at+4]) != "Slot" {
			break
		}
		off := uint64(le.Uint32(b[at+8:])) * 16
		if off == 0 || off+16 > uint64(len(b)) || string(b[off:off+4]) != "BlbS" {
			continue
		}
		if size := uint64(le.Uint32(b[off+12:])); off+16+size <= uint64(len(b)) {
			list = append(list, b[off+16:off+16+size])
		}
	}
	return list
}

// bdb is a Berkeley DB hash file, of either byte order (db_page.h).
type bdb struct {
	b    []byte
	bo   binary.ByteOrder
	page uint64 // size
	left int    // bytes that may still be gathered
}

const (
	bdbMagic                          = 0x061561
	bdbPageHeader                     = 26
	bdbHashUnsorted, bdbHash          = 2, 13
	bdbKeyData, bdbOffPage, bdbOverfl = 1, 3, 7
)

func bdbBlobs(b []byte) [][]byte {
	d := &bdb{b: b, bo: binary.LittleEndian, left: maxBlobs}
	if len(b) < 512 {
		return nil
	}
	if d.bo.Uint32(b[12:]) != bdbMagic {
		d.bo = binary.BigEndian
	}
	if d.page = uint64(d.bo.Uint32(b[20:])); d.bo.Uint32(b[12:]) != bdbMagic || d.page < 512 || d.page > 65536 {
		return nil
	}
	var list [][]byte
	for n := uint64(1); (n+1)*d.page <= uint64(len(b)); n++ {
		if page := b[n*d.page : (n+1)*d.page]; page[25] == bdbHash || page[25] == bdbHashUnsorted {
			list = append(list, d.values(page)...)
		}
	}
	return list
}

// values returns the values of a page's pairs: the odd entries.
func (d *bdb) values(page []byte) [][]byte {
	var list [][]byte
	count := int(d.bo.Uint16(page[20:]))
	end := len(page)
	for i := 0; i < count && bdbPageHeader+2*i+2 <= len(page); i++ {
		at := int(d.bo.Uint16(page[bdbPageHeader+2*i:]))
		if at < bdbPageHeader || at >= end {
			break
		}
		item := page[at:end]
		end = at
		switch {
		case i%2 == 0:
		case item[0] == bdbKeyData:
			list = append(list, item[1:])
		case item[0] == bdbOffPage && len(item) >= 12:
			if v := d.overflow(d.bo.Uint32(item[4:]), d.bo.Uint32(item[8:])); v != nil {
				list = append(list, v)
			}
		}
	}
	return list
}

// overflow gathers a value from the chain of pages that holds it.
func (d *bdb) overflow(page, size uint32) []byte {
	if size > maxBlob || int(size) > d.left || int(size) > len(d.b) {
		return nil
	}
	d.left -= int(size)
	var v []byte
	for steps := uint64(0); page != 0 && uint64(len(v)) < uint64(size) && steps <= uint64(len(d.b))/d.page; steps++ {
		at := uint64(page) * d.page
		if at+d.page > uint64(len(d.b)) || d.b[at+25] != bdbOverfl {
			return nil
		}
		n := uint64(d.bo.Uint16(d.b[at+22:]))
		if bdbPageHeader+n > d.page {
			return nil
		}
		v = append(v, d.b[at+bdbPageHeader:at+bdbPageHeader+n]...)
		page = d.bo.Uint32(d.b[at+16:])
	}
	if uint64(len(v)) < uint64(size) {
		return nil
	}
	return v[:size]
}
