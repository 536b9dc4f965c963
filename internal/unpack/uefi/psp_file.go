package uefi

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/doorward/doorward/internal/unpack"
)

const (
	pspFuses    = 0x0b
	pspFileHead = 0x100
	pspFileTag  = "$PS1"
)

//go:embed data/psp.txt
var pspTable string

var pspTypes = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(pspTable) {
		if f := strings.Fields(line); len(f) == 3 && f[0] != "#" {
			m[f[0]+f[1]] = f[2]
		}
	}
	return m
})

// file adds what an entry points to.
func (f *amdFlash) file(kind string, e []byte, at, size int64) {
	name := pspTypes()[fmt.Sprintf("%s%02x", kind, e[0])]
	if name == "" {
		name = fmt.Sprintf("type-%02x", e[0])
	}
	sub, instance := e[1], e[2]>>3&15
	if kind == "bios" {
		sub, instance = e[3]&7, e[2]>>4&15
	}
	if sub > 0 {
		name += fmt.Sprintf("-sub%d", sub)
	}
	if instance > 0 {
		name += fmt.Sprintf("-%d", instance)
	}
	if f.files[at] {
		return // several directories share it
	}
	f.files[at] = true
	path := kind + "/" + name
	for n := 2; f.names[path]; n++ {
		path = fmt.Sprintf("%s/%s~%d", kind, name, n)
	}
	f.names[path] = true
	out := unpack.Entry{Path: path, Mode: 0o644, Order: at, Xattrs: map[string]string{"amd.type": fmt.Sprintf("%02x", e[0])}}
	packed := kind == "bios" && e[2]>>3&1 != 0
	if at < 0 || at >= f.data.Size() || size > f.data.Size()-at && !packed {
		out.Err = fmt.Errorf("amd psp: %s %w", path, errOutside)
		f.Damage(out.Err)
		f.Add(out)
		return
	}
	out.Data = unpack.Window(f.data, at, size)
	switch {
	case packed:
		size = f.packedBIOS(&out, at, size)
	default:
		size = max(size, f.headed(&out, at))
	}
	f.spans = append(f.spans, span{at, min(at+size, f.data.Size())})
	f.microcode(kind, e[0], &out)
	f.Add(out)
}

// packedBIOS unpacks an entry of the BIOS directory that is packed by zlib; the
// directory tells its unpacked size.
func (f *amdFlash) packedBIOS(out *unpack.Entry, at, unpacked int64) int64 {
	h := unpack.ReadSome(f.data, at, pspFileHead)
	if len(h) < pspFileHead {
		out.Err = errOutside
		return 0
	}
	size := pspFileHead + int64(le32(h[0x14:]))
	body := unpack.Window(f.data, at, size)
	data, err := unpackZlibAMD(f.in, body)
	if err == nil && data.Size() != unpacked {
		f.Damage(fmt.Errorf("amd psp: %s: %w", out.Path, errSize))
	}
	if out.Data, out.Err = data, err; err != nil {
		out.Data = body
	}
	return size
}

// headed reads the header that most entries have, and returns the entry's size
// by it; 0 if there is none.
func (f *amdFlash) headed(out *unpack.Entry, at int64) int64 {
	h := unpack.ReadSome(f.data, at, pspFileHead)
	if len(h) < pspFileHead || string(h[0x10:0x14]) != pspFileTag {
		return 0
	}
	total := int64(le32(h[0x6c:]))
	if total < pspFileHead || total > f.data.Size()-at {
		total = out.Data.Size()
	}
	v := h[0x60:0x64]
	version := fmt.Sprintf("%X.%X.%X.%X", v[3], v[2], v[1], v[0])
	out.Xattrs["amd.version"], out.Xattrs["amd.signed"] = version, map[bool]string{true: "yes", false: "no"}[le32(h[0x30:]) != 0]
	for prefix, name := range map[string]string{"psp/boot-loader": "amd-psp", "psp/smu": "amd-smu"} {
		if strings.HasPrefix(out.Path, prefix) && version != "0.0.0.0" && !strings.Contains(out.Path, "~") {
			out.Xattrs["component.name"], out.Xattrs["component.version"], out.Xattrs["component.maker"] = name, version, "AMD"
		}
	}
	switch {
	case le32(h[0x18:]) == 1:
		out.Err = fmt.Errorf("%w: firmware of AMD's security processor", unpack.ErrEncrypted)
	case le32(h[0x48:]) == 1:
		f.packed(out, at, total, h)
	}
	return total
}

// packed unpacks the body of an entry. Its packed size may be left out, then
// the signed size counts.
func (f *amdFlash) packed(out *unpack.Entry, at, total int64, h []byte) {
	size, unpacked := int64(le32(h[0x54:])), int64(le32(h[0x50:]))
	if size == 0 {
		size = int64(le32(h[0x14:]))
	}
	src, err := unpack.ReadFull(unpack.Window(f.data, at, total), pspFileHead, size)
	if err != nil || size > 64<<20 {
		out.Err = errors.New("amd psp: the packed content is cut off")
		return
	}
	data, err := inflate(f.in, src)
	if err == nil && data.Size() != unpacked && unpacked != 0 {
		err = errSize
	}
	if err != nil {
		out.Err = fmt.Errorf("amd psp: %w", err)
		return
	}
	out.Data = data
}

// microcode tells the processor of an update, as in Linux' containers.
func (f *amdFlash) microcode(kind string, t byte, out *unpack.Entry) {
	p := unpack.ReadSome(out.Data, 0, amdHead)
	if kind != "bios" || t != 0x66 || len(p) < amdHead {
		return
	}
	if date, ok := bcdDate(le32(p)); ok {
		x := out.Xattrs
		x["cpu.maker"], x["cpu.signature"], x["microcode.revision"], x["microcode.date"] = "AMD", fmt.Sprintf("%04x", le16(p[24:])), fmt.Sprintf("0x%x", le32(p[4:])), date
		out.Err = fmt.Errorf("%w: microcode of an AMD processor", unpack.ErrUnsupported)
	}
}
