package uefi

import (
	"errors"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// Capsule opens update capsules (UEFI 2.10, sections 8.5.3 and 23.3).
var Capsule = &unpack.Reader{
	Name:    "efi-capsule",
	Doc:     "update capsules: plain ones with a firmware image, and those of the firmware management protocol with drivers and signed payloads",
	Limits:  "Signatures are shown, not checked.",
	Checked: "capsules written by hand",
	Magics:  capsuleMagics(),
	Carve:   true,
	Open:    openCapsule,
}

// CapsuleOther opens capsules whose GUID is that of the product's firmware,
// which no list can know, in files of their own.
var CapsuleOther = &unpack.Reader{
	Name:    "efi-capsule",
	Checked: "an independent writer",
	Doc:     Capsule.Doc,
	Open:    openCapsule,
}

// capsuleFMP is 6DCBD5ED-E82D-4C44-BDA1-7194199AD92A.
var capsuleFMP = guid{0xed, 0xd5, 0xcb, 0x6d, 0x2d, 0xe8, 0x44, 0x4c, 0xbd, 0xa1, 0x71, 0x94, 0x19, 0x9a, 0xd9, 0x2a}

// capsuleMagics are GUIDs of capsules that do not depend on the product: those
// of FMP, of the first specification (3B6686BD-0D76-4030-B70E-B5519E2FC5A0), of
// Intel and of AMI with and without signature.
func capsuleMagics() []unpack.Magic {
	var list []unpack.Magic
	for _, g := range []string{
		string(capsuleFMP[:]),
		"\xbd\x86\x66\x3b\x76\x0d\x30\x40\xb7\x0e\xb5\x51\x9e\x2f\xc5\xa0",
		"\xb9\x82\x91\x53\xb5\xab\x91\x43\xb6\x9a\xe3\xa9\x43\xf7\x2f\xcc",
		"\x8b\xa6\x3c\x4a\x23\x77\xfb\x48\x80\x3d\x57\x8c\xc1\xfe\xc4\x4d",
		"\x90\xbb\xee\x14\x0a\x89\xdb\x43\xae\xd1\x5d\x3c\x45\x88\xa4\x18",
	} {
		list = append(list, unpack.Magic{At: 0, Bytes: g})
	}
	return list
}

const capsuleHeader = 28

func openCapsule(in *unpack.Input) (*unpack.Object, error) {
	b, err := unpack.ReadFull(in.Data, 0, capsuleHeader)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	g, head, flags, size := guidAt(b), int64(le32(b[16:])), le32(b[20:]), int64(le32(b[24:]))
	known := knownCapsule(g)
	if head < capsuleHeader || head > 0x2000 || size < head || flags&^0x7ffff != 0 || unpack.OnlyByte(b[:16], 0) || unpack.OnlyByte(b[:16], 0xff) {
		return nil, unpack.ErrNotThis
	}
	if !known && (!in.Whole || size != in.Data.Size() || flags&0x70000 == 0 || b[8]&0xc0 != 0x80) {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "capsule", Size: min(size, in.Data.Size()), Info: map[string]string{"guid": g.String(), "flags": fmt.Sprintf("0x%x", flags)}}
	if size > in.Data.Size() {
		o.Err = &unpack.CutOff{Format: "capsule", Missing: size - in.Data.Size(), Of: size}
	}
	body := unpack.Window(in.Data, head, o.Size-head)
	if g == capsuleFMP {
		if err := managed(o, body, head); err != nil {
			if !in.Whole {
				return nil, unpack.ErrNotThis
			}
			o.Err = errors.Join(o.Err, err)
		}
		return o, nil
	}
	o.Parts = []unpack.Part{{Name: "image", Data: body, Offset: head}}
	return o, nil
}

func knownCapsule(g guid) bool {
	for _, m := range capsuleMagics() {
		if m.Bytes == string(g[:]) {
			return true
		}
	}
	return false
}

var errFMP = errors.New("capsule: a damaged list of payloads")

// managed reads the drivers and payloads of a capsule of the firmware
// management protocol.
func managed(o *unpack.Object, b unpack.Bytes, base int64) error {
	h, err := unpack.ReadFull(b, 0, 8)
	if err != nil || le32(h) != 1 {
		return errFMP
	}
	drivers, n := int(le16(h[4:])), int(le16(h[4:]))+int(le16(h[6:]))
	if n == 0 || n > 256 {
		return errFMP
	}
	list, err := unpack.ReadFull(b, 8, int64(n)*8)
	if err != nil {
		return errFMP
	}
	for i := range n {
		from, to := le64(list[i*8:]), uint64(b.Size())
		if i+1 < n {
			to = le64(list[i*8+8:])
		}
		if from < uint64(8+n*8) || to < from || to > uint64(b.Size()) {
			return errFMP
		}
		item := unpack.Window(b, int64(from), int64(to-from))
		if i < drivers {
			o.Parts = append(o.Parts, unpack.Part{Name: fmt.Sprintf("driver-%d", i), Data: item, Offset: base + int64(from)})
			continue
		}
		if err := payload(o, item, base+int64(from), i-drivers); err != nil {
			return err
		}
	}
	return nil
}

// payload adds one firmware image, its vendor code and its signature.
func payload(o *unpack.Object, b unpack.Bytes, base int64, n int) error {
	h, err := unpack.ReadFull(b, 0, 32)
	if err != nil {
		return errFMP
	}
	head := int64(32)
	if v := le32(h); v == 2 {
		head = 40
	} else if v >= 3 {
		head = 48
	}
	size, code := int64(le32(h[24:])), int64(le32(h[28:]))
	if head+size+code > b.Size() {
		return errFMP
	}
	info := map[string]string{"guid": guidAt(h[4:]).String(), "index": fmt.Sprint(h[20]), "signed": "no"}
	at := head
	body := unpack.Window(b, at, size)
	if cert, skip := authentication(body); skip > 0 {
		info["signed"] = "yes, not checked"
		o.Parts = append(o.Parts, unpack.Part{Name: fmt.Sprintf("signature-%d", n), Data: cert, Offset: base + at + 32})
		at += skip
		body = unpack.Window(b, at, size-skip)
	}
	if p := unpack.ReadSome(body, 0, 16); len(p) == 16 && string(p[:4]) == "MSS1" && int64(le32(p[4:])) <= body.Size() {
		info["version"], info["lowest version"] = fmt.Sprintf("0x%x", le32(p[8:])), fmt.Sprintf("0x%x", le32(p[12:]))
		skip := max(int64(le32(p[4:])), 16)
		at += skip
		body = unpack.Window(body, skip, body.Size()-skip)
	}
	o.Parts = append(o.Parts, unpack.Part{Name: fmt.Sprintf("payload-%d", n), Data: body, Offset: base + at, Info: info})
	if code > 0 {
		o.Parts = append(o.Parts, unpack.Part{Name: fmt.Sprintf("vendor-code-%d", n), Data: unpack.Window(b, head+size, code), Offset: base + head + size})
	}
	return nil
}

// authentication reads EFI_FIRMWARE_IMAGE_AUTHENTICATION: a counter and a
// certificate with its header. It returns how many bytes these take; 0 if the
// image is not signed.
func authentication(b unpack.Bytes) (unpack.Bytes, int64) {
	h := unpack.ReadSome(b, 0, 32)
	if len(h) < 32 || le16(h[12:]) != 0x0200 || le16(h[14:]) != 0x0ef1 {
		return nil, 0
	}
	size := int64(le32(h[8:]))
	if size < 24 || size > b.Size()-8 {
		return nil, 0
	}
	return unpack.Window(b, 32, size-24), 8 + size
}
