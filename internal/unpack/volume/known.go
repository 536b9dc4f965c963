package volume

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"

	"github.com/doorward/doorward/internal/unpack"
)

// LUKS recognises encrypted volumes (LUKS On-Disk Format Specification 1.2.3,
// LUKS2 On-Disk Format Specification 1.0.0).
var LUKS = &unpack.Reader{
	Name:    "luks",
	Doc:     "LUKS volumes of versions 1 and 2: recognised, and reported as encrypted, with cipher and label",
	Limits:  "nothing of the content is read, since the key is not in the volume",
	Checked: "cryptsetup 2.6 (both versions); damaged headers",
	Magics:  []unpack.Magic{{At: 0, Bytes: "LUKS\xba\xbe\x00\x01"}, {At: 0, Bytes: "LUKS\xba\xbe\x00\x02"}},
	Open:    openLUKS,
}

// unread is an object of which nothing is read, with the reason.
func unread(in *unpack.Input, format, reason, note string, info map[string]string) *unpack.Object {
	size := in.Data.Size()
	return &unpack.Object{Format: format, Size: size, Info: info, Gaps: []unpack.Gap{{Size: size, Reason: reason, Note: note}}}
}

func openLUKS(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 592)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	info := map[string]string{"UUID": unpack.CString(h[168:208])}
	if h[7] == 1 {
		info["cipher"] = unpack.CString(h[8:40]) + "-" + unpack.CString(h[40:72])
		bits := binary.BigEndian.Uint32(h[108:]) * 8
		if bits == 0 || bits > 4096 {
			return nil, unpack.ErrNotThis
		}
		return unread(in, "luks 1", "encrypted", fmt.Sprintf("LUKS, %s with keys of %d bits", info["cipher"], bits), info), nil
	}
	size := binary.BigEndian.Uint64(h[8:])
	if size < 16<<10 || size > 4<<20 || binary.BigEndian.Uint64(h[256:]) != 0 {
		return nil, unpack.ErrNotThis
	}
	if label := unpack.CString(h[24:72]); label != "" {
		info["label"] = label
	}
	o := unread(in, "luks 2", "encrypted", "LUKS 2", info)
	b, err := unpack.ReadFull(in.Data, 0, int64(size))
	if err != nil {
		o.Err = fmt.Errorf("luks: its header: %w", err)
		return o, nil
	}
	if !luksSum(b) {
		o.Err = fmt.Errorf("luks: its header: %w", unpack.ErrChecksum)
	}
	return o, nil
}

// luksSum checks a header with its area of JSON; other methods than the usual
// are believed.
func luksSum(b []byte) bool {
	var h hash.Hash
	switch unpack.CString(b[72:104]) {
	case "sha256":
		h = sha256.New()
	case "sha512":
		h = sha512.New()
	default:
		return true
	}
	h.Write(b[:448])
	h.Write(make([]byte, 64))
	h.Write(b[512:])
	return bytes.HasPrefix(b[448:512], h.Sum(nil))
}

// known is a reader for a file system that is only recognised.
func known(name, words string, magics []unpack.Magic, checked string, is func(data unpack.Bytes) (info map[string]string, ok bool)) *unpack.Reader {
	return &unpack.Reader{
		Name: name, Doc: words + ": recognised, and reported as unread", Limits: "nothing of the content is read", Checked: checked, Magics: magics,
		Open: func(in *unpack.Input) (*unpack.Object, error) {
			info, ok := is(in.Data)
			if !ok {
				return nil, unpack.ErrNotThis
			}
			return unread(in, name, "unsupported", words+", which are not read", info), nil
		},
	}
}

// NILFS2 recognises file systems by their superblock (include/uapi/linux/nilfs2_ondisk.h).
var NILFS2 = known("nilfs2", "NILFS2 file systems", []unpack.Magic{{At: 1024 + 6, Bytes: "\x34\x34"}}, "mkfs.nilfs2 2.2.9",
	func(data unpack.Bytes) (map[string]string, bool) {
		le := binary.LittleEndian
		b, err := unpack.ReadFull(data, 1024, 1024)
		if err != nil {
			return nil, false
		}
		n := int(le.Uint16(b[8:]))
		if le.Uint32(b) != 2 || n < 200 || n > 1024 {
			return nil, false
		}
		sum := bytes.Clone(b[:n])
		clear(sum[16:20])
		return map[string]string{"label": unpack.CString(b[168:248])}, ^crc32.Update(^le.Uint32(b[12:]), crc32.IEEETable, sum) == le.Uint32(b[16:])
	})

// Bcachefs recognises file systems by the two identifiers that they have had.
var Bcachefs = known("bcachefs", "bcachefs file systems", []unpack.Magic{
	{At: 4096 + 24, Bytes: "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"},
	{At: 4096 + 24, Bytes: "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"},
}, "superblocks made by hand", func(data unpack.Bytes) (map[string]string, bool) { return nil, data.Size() > 8192 })

// ZFS recognises members of a pool by their first label: a list of names and
// values in XDR (include/sys/nvpair.h of OpenZFS).
var ZFS = known("zfs", "members of ZFS pools", []unpack.Magic{{At: 16 << 10, Bytes: "\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"}}, "labels made by hand",
	func(data unpack.Bytes) (map[string]string, bool) {
		b := unpack.ReadSome(data, 16<<10, 4096)
		if len(b) < 4096 || !bytes.Contains(b[:64], []byte("version\x00")) {
			return nil, false
		}
		info := map[string]string{}
		be := binary.BigEndian
		if i := bytes.Index(b, []byte("\x00\x00\x00\x04name")); i > 0 && i+20 < len(b) && be.Uint32(b[i+8:]) == 9 { // a text
			if n := be.Uint32(b[i+16:]); n < 256 && i+20+int(n) <= len(b) {
				info["pool"] = string(b[i+20 : i+20+int(n)])
			}
		}
		return info, true
	})

// ReFS recognises Windows' Resilient File System by its boot sector.
var ReFS = known("refs", "ReFS volumes", []unpack.Magic{{At: 3, Bytes: "ReFS\x00\x00\x00\x00"}}, "boot sectors made by hand",
	func(data unpack.Bytes) (map[string]string, bool) {
		b := unpack.ReadSome(data, 0, 512)
		return nil, len(b) == 512 && string(b[16:20]) == "FSRS"
	})
