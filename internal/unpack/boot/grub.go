package boot

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// GRUB opens what GRUB's images carry besides the program (include/grub/kernel.h):
// modules, a file system in memory, a configuration and where the rest lies.
var GRUB = &unpack.Reader{
	Name:    "grub",
	Doc:     "what is built into GRUB's EFI programs and raw images: the list of modules, memdisk, configuration, prefix, keys",
	Limits:  "Images for a PC's boot sector are packed and not opened.",
	Checked: "grub-mkimage for x86_64-efi; Debian's signed images",
	Program: true,
	Open:    openGRUB,
}

// GRUBImage is the same in raw bytes.
var GRUBImage = &unpack.Reader{
	Name:    "grub-modules",
	Doc:     "the modules of GRUB in raw images, as in its programs",
	Checked: "a list by hand; the image of Debian's grub-firmware-qemu",
	Magics:  []unpack.Magic{{At: 0, Bytes: grubMagic}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		if o := grubModules(in.Data); o != nil {
			return o, nil
		}
		return nil, unpack.ErrNotThis
	},
}

const (
	grubMagic = "mimg"
	grubMax   = 2048 // modules
)

func openGRUB(in *unpack.Input) (*unpack.Object, error) {
	for at := unpack.FindBytes(in.Data, 0, grubMagic); at >= 0; at = unpack.FindBytes(in.Data, at+4, grubMagic) {
		if o := grubModules(unpack.Window(in.Data, at, in.Data.Size()-at)); o != nil {
			for i := range o.Parts {
				if o.Parts[i].Offset >= 0 {
					o.Parts[i].Offset += at
				}
			}
			o.Size = in.Data.Size()
			return o, nil
		}
	}
	return nil, unpack.ErrNotThis
}

var grubKinds = map[uint32]string{1: "memdisk", 2: "config", 3: "prefix", 4: "public-key", 5: "device-tree", 6: "no-shim-lock"}

// grubModules reads the list that begins with a magic, for 32 or 64 bits; nil if
// it does not add up.
func grubModules(data unpack.Bytes) *unpack.Object {
	h := unpack.ReadSome(data, 0, 24)
	if len(h) < 24 {
		return nil
	}
	le := binary.LittleEndian
	at, size := int64(le.Uint32(h[4:])), int64(le.Uint32(h[8:]))
	if at != 12 {
		at, size = int64(min(le.Uint64(h[8:]), 1<<40)), int64(min(le.Uint64(h[16:]), 1<<40))
		if at != 24 {
			return nil
		}
	}
	if size <= at || size > data.Size() {
		return nil
	}
	o := &unpack.Object{Format: "grub modules", Size: size}
	var modules []string
	for n := 0; at < size; n++ {
		h := unpack.ReadSome(data, at, 8)
		if len(h) < 8 || n > grubMax {
			return nil
		}
		kind, each := le.Uint32(h), int64(le.Uint32(h[4:]))
		if kind > 16 || each < 8 || each > size-at {
			return nil
		}
		body := unpack.Window(data, at+8, each-8)
		switch name := grubKinds[kind]; {
		case kind == 0:
			modules = append(modules, grubModuleName(body))
		case name == "config" || name == "prefix":
			text := unpack.CString(unpack.ReadSome(body, 0, 1<<20))
			if text != "" {
				o.Parts = append(o.Parts, unpack.Part{Name: name, Data: unpack.Slice(text), Offset: at + 8, Format: "text"})
			}
		case body.Size() > 0:
			if name == "" {
				name = fmt.Sprintf("type%d", kind)
			}
			o.Parts = append(o.Parts, unpack.Part{Name: name, Data: body, Offset: at + 8})
		}
		at += each
	}
	if len(modules) == 0 && len(o.Parts) == 0 {
		return nil
	}
	if len(modules) > 0 {
		o.Parts = append(o.Parts, unpack.Part{Name: "modules", Data: unpack.Slice("# modules of GRUB\n" + strings.Join(modules, "\n") + "\n"), Offset: -1, Format: "text"})
	}
	unpack.NumberParts(o.Parts)
	return o
}

// grubModuleName is the text in a module's section .modname.
func grubModuleName(body unpack.Bytes) string {
	f, err := elf.NewFile(io.NewSectionReader(body, 0, body.Size()))
	if err != nil {
		return "(unnamed)"
	}
	s := f.Section(".modname")
	if s == nil || s.Size > 64 {
		return "(unnamed)"
	}
	b, err := s.Data()
	if err != nil {
		return "(unnamed)"
	}
	return unpack.CString(b)
}
