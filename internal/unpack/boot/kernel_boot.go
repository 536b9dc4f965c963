package boot

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// BzImage opens the boot image of x86 kernels (Documentation/arch/x86/boot.rst
// of Linux): a set-up part, then the decompressor with its payload.
var BzImage = &unpack.Reader{
	Name:    "bzimage",
	Checked: "kernels of Debian; hand-made images",
	Doc:     "x86 kernels (zImage, bzImage) of boot protocol 2.00 and later, in any compression",
	Magics:  []unpack.Magic{{At: 0x202, Bytes: "HdrS"}},
	Carve:   true,
	Open:    openBzImage,
}

func openBzImage(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 0x268)
	if err != nil || h[0x1fe] != 0x55 || h[0x1ff] != 0xaa {
		return nil, unpack.ErrNotThis
	}
	word := func(at int) int64 { return int64(binary.LittleEndian.Uint32(h[at:])) }
	version := binary.LittleEndian.Uint16(h[0x206:])
	sectors := int64(h[0x1f1])
	if sectors == 0 {
		sectors = 4
	}
	setup, protected := (sectors+1)*512, word(0x1f4)*16
	if version < 0x200 || version > 0x2ff || sectors > 64 || protected < 4096 {
		return nil, unpack.ErrNotThis
	}
	size := setup + protected
	o := &unpack.Object{Format: "bzimage", Size: min(size, in.Data.Size()), Info: map[string]string{"boot protocol": fmt.Sprintf("%d.%02d", version>>8, version&0xff)}}
	if at := int64(binary.LittleEndian.Uint16(h[0x20e:])); at != 0 && at+0x200 < setup {
		text, _, _ := bytes.Cut(unpack.ReadSome(in.Data, at+0x200, min(256, setup-at-0x200)), []byte{0})
		if unpack.IsText(text) {
			o.Info["version"] = string(text)
		}
	}
	if size >= in.Data.Size()+16 { // the size counts in paragraphs, and the last need not be full
		o.Err = &unpack.CutOff{Format: "kernel", Missing: size - in.Data.Size(), Of: size}
	}
	o.Size = max(o.Size, signedEnd(in.Data, h, o.Size))
	at, n := setup, protected
	if version >= 0x208 && word(0x24c) != 0 {
		if at, n = setup+word(0x248), word(0x24c); at+n > size {
			return nil, unpack.ErrNotThis
		}
	}
	addKernel(o, in, at, n)
	return o, nil
}

// addKernel adds the kernel that is packed in n bytes from an offset on.
func addKernel(o *unpack.Object, in *unpack.Input, at, n int64) {
	raw := unpack.Window(in.Data, at, n)
	r, content, off, size := largestStream(in, raw)
	if r == nil {
		// Damaged, or packed in a way that nobody knows: the readers of streams
		// and the classification say which.
		p := unpack.Part{Name: "kernel", Data: raw, Offset: at, Format: "kernel"}
		if head := unpack.ReadSome(raw, 0, 64<<10); !unpack.IsDense(head) && unpack.CodeArch(head) != "" {
			p.Format = unpack.CodePart // memtest86+ and others are started as a kernel is
		}
		o.Parts = append(o.Parts, p)
		return
	}
	o.Info["compression"] = r.Name
	o.Parts = append(o.Parts, unpack.Part{Name: "kernel", Data: content, Offset: at + off, Format: "kernel", Info: map[string]string{"packed size": fmt.Sprint(size)}})
}

// signedEnd is the end of the signatures that follow a kernel which is an EFI
// program too (the security directory of its PE header); 0 if there are none.
func signedEnd(data unpack.Bytes, h []byte, size int64) int64 {
	at := int64(binary.LittleEndian.Uint32(h[0x3c:]))
	pe := unpack.ReadSome(data, at, 24+168)
	if len(pe) < 24+168 || string(pe[:4]) != "PE\x00\x00" {
		return 0
	}
	dir := 24 + 144 // of PE32+
	if binary.LittleEndian.Uint16(pe[24:]) == 0x10b {
		dir = 24 + 128
	}
	off, n := int64(binary.LittleEndian.Uint32(pe[dir:])), int64(binary.LittleEndian.Uint32(pe[dir+4:]))
	if n == 0 || off < size || off > size+4096 || off+n > data.Size() {
		return 0
	}
	return off + n
}

// ZImage opens the compressed kernel of ARM: a header with start and end, then
// the decompressor with the packed kernel.
var ZImage = &unpack.Reader{
	Name:    "zimage",
	Checked: "kernels of Debian; hand-made images",
	Doc:     "ARM zImages of both byte orders, in any compression",
	Magics:  []unpack.Magic{{At: 0x24, Bytes: "\x18\x28\x6f\x01"}, {At: 0x24, Bytes: "\x01\x6f\x28\x18"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := unpack.ReadFull(in.Data, 0, 0x34)
		if err != nil {
			return nil, unpack.ErrNotThis
		}
		var order binary.ByteOrder = binary.LittleEndian
		if h[0x24] == 1 {
			order = binary.BigEndian
		}
		start, end := int64(order.Uint32(h[0x28:])), int64(order.Uint32(h[0x2c:]))
		size := end - start
		// Old compilers left no mark behind the end; the eight words at the
		// start are the same (a branch over the header follows).
		if size < 1024 || size > maxKernel || !bytes.Equal(h[:16], h[4:20]) && order.Uint32(h[0x30:]) != 0x04030201 {
			return nil, unpack.ErrNotThis
		}
		o := &unpack.Object{Format: "zimage", Size: min(size, in.Data.Size()), Info: map[string]string{"architecture": "arm"}}
		if size > in.Data.Size() {
			o.Err = &unpack.CutOff{Format: "kernel", Missing: size - in.Data.Size(), Of: size}
		}
		addKernel(o, in, 0x34, o.Size-0x34)
		return o, nil
	},
}

// ZBoot opens kernels packed as an EFI program (zboot-header.S of Linux).
var ZBoot = &unpack.Reader{
	Name:    "zboot",
	Checked: "hand-made images",
	Doc:     "EFI zboot kernels (vmlinuz.efi of arm64, riscv, loongarch)",
	Magics:  []unpack.Magic{{At: 4, Bytes: "zimg"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := unpack.ReadFull(in.Data, 0, 64)
		if err != nil || h[0] != 'M' || h[1] != 'Z' {
			return nil, unpack.ErrNotThis
		}
		at, n := int64(binary.LittleEndian.Uint32(h[8:])), int64(binary.LittleEndian.Uint32(h[12:]))
		if at < 64 || n < 64 || at > in.Data.Size() {
			return nil, unpack.ErrNotThis
		}
		o := &unpack.Object{Format: "zboot", Size: min(at+n, in.Data.Size()), Info: map[string]string{}}
		if at+n > in.Data.Size() {
			o.Err = &unpack.CutOff{Format: "kernel", Missing: at + n - in.Data.Size(), Of: at + n}
		}
		addKernel(o, in, at, n)
		if in.Whole && o.Err == nil {
			o.Size = in.Data.Size() // sections and signatures behind the payload
		}
		return o, nil
	},
}
