package boot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// UImage opens the legacy image format of U-Boot (include/image.h there): a
// header of 64 bytes with a checksum of itself and one of the data. Makers
// change the magic and leave the rest; those known stand here, any other is
// told by the header's checksum (UImageOther).
var UImage = &unpack.Reader{
	Name:    "uimage",
	Checked: "mkimage; images of Debian",
	Doc:     "U-Boot legacy images: kernels, ramdisks, scripts, multi-file images, with header and data checksums",
	Magics: []unpack.Magic{
		{At: 0, Bytes: uimageMagic}, {At: 0, Bytes: "OKLI"},
		{At: 0, Bytes: "3700"}, {At: 0, Bytes: "3701"}, {At: 0, Bytes: "2061"}, {At: 0, Bytes: "2033"}, {At: 0, Bytes: "2000"}, {At: 0, Bytes: "6000"}, // Netgear, by model
	},
	Carve: true,
	Open:  openUImage,
}

// UImageOther opens whole files that are a uImage under another magic.
var UImageOther = &unpack.Reader{
	Name:    "uimage",
	Checked: "mkimage; images of Debian",
	Doc:     "U-Boot legacy images under a magic of the maker's own, told by the header's checksum",
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		if !in.Whole {
			return nil, unpack.ErrNotThis
		}
		return openUImage(in)
	},
}

const (
	uimageMagic  = "\x27\x05\x19\x56"
	uimageHeader = 64
	uimageScript = 6
	uimageMulti  = 4
)

var (
	uimageOS     = []string{"", "OpenBSD", "NetBSD", "FreeBSD", "4.4BSD", "Linux", "SVR4", "Esix", "Solaris", "Irix", "SCO", "Dell", "NCR", "LynxOS", "VxWorks", "pSOS", "QNX", "U-Boot", "RTEMS", "ARTOS", "Unity OS", "INTEGRITY", "OSE", "Plan 9", "OpenRTOS", "Trusted Firmware", "TEE", "OpenSBI", "EFI", "ELF"}
	uimageArch   = []string{"", "alpha", "arm", "x86", "ia64", "mips", "mips64", "powerpc", "s390", "sh", "sparc", "sparc64", "m68k", "nios", "microblaze", "nios2", "blackfin", "avr32", "st200", "sandbox", "nds32", "openrisc", "arm64", "arc", "x86_64", "xtensa", "riscv"}
	uimageType   = []string{"", "standalone", "kernel", "ramdisk", "multi", "firmware", "script", "filesystem", "flat_dt", "kwbimage", "imximage", "ublimage", "omapimage", "aisimage", "kernel_noload", "pblimage", "mxsimage", "gpimage", "atmelimage", "socfpgaimage", "x86_setup", "lpc32xximage", "loadable", "rkimage", "rksd", "rkspi", "zynqimage", "zynqmpimage", "zynqmpbif", "fpga", "vybridimage", "tee", "firmware_ivt", "pmmc", "stm32image"}
	uimagePacked = []string{"none", "gzip", "bzip2", "lzma", "lzo", "lz4", "zstd"}
)

// uimageHead is the header; all numbers are big endian.
type uimageHead struct {
	Magic, HeaderCRC, Time, Size, Load, Entry, DataCRC uint32
	OS, Arch, Type, Packed                             byte
	Name                                               [32]byte
}

func openUImage(in *unpack.Input) (*unpack.Object, error) {
	raw, err := unpack.ReadFull(in.Data, 0, uimageHeader)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	var h uimageHead
	if _, err := binary.Decode(raw, binary.BigEndian, &h); err != nil || !h.plausible() {
		return nil, unpack.ErrNotThis
	}
	sumFits := headerSumFits(raw, h.HeaderCRC)
	if !sumFits && string(raw[:4]) != uimageMagic {
		return nil, unpack.ErrNotThis
	}
	size := min(int64(h.Size), in.Data.Size()-uimageHeader)
	o := &unpack.Object{Format: "uimage " + unpack.NameOf(uimageType, h.Type), Size: uimageHeader + size, Info: h.info()}
	wrong := h.checkData(in.Data, size)
	switch {
	case sumFits && wrong != nil:
		// The header is proved, so its size holds; what the payload hides is
		// looked for in there. That is no reason to doubt the object.
		o.Gaps = []unpack.Gap{{Offset: uimageHeader, Reason: unpack.ReasonOf(wrong), Note: wrong.Error()}}
	case sumFits:
	case wrong != nil || h.Size < 4:
		return nil, unpack.ErrNotThis
	default: // the data's checksum is as good a proof that it is a header
		o.Err = errors.New("the header's checksum is wrong")
	}
	o.Parts = h.parts(unpack.Window(in.Data, uimageHeader, size))
	return o, nil
}

// checkData compares the size and the checksum of the data with the header's.
func (h *uimageHead) checkData(data unpack.Bytes, size int64) error {
	if size < int64(h.Size) {
		return &unpack.CutOff{Format: "uimage", Missing: int64(h.Size) - size, Of: int64(h.Size)}
	}
	sum, err := unpack.SumCRC32(0, data, uimageHeader, size)
	if err == nil && sum != h.DataCRC {
		err = fmt.Errorf("the checksum of the data is 0x%08x, the header states 0x%08x", sum, h.DataCRC)
	}
	return err
}

// plausible is what tells chance from a header before anything is summed.
func (h *uimageHead) plausible() bool {
	return h.Size > 0 && h.Packed < 16 && int(h.OS) < 64 && h.Arch < 64 && h.Type > 0 && h.Type < 64
}

func headerSumFits(raw []byte, want uint32) bool {
	clear := bytes.Clone(raw)
	copy(clear[4:8], "\x00\x00\x00\x00")
	return crc32.ChecksumIEEE(clear) == want
}

func (h *uimageHead) info() map[string]string {
	name, _, _ := strings.Cut(string(h.Name[:]), "\x00")
	info := map[string]string{
		"name": strings.ToValidUTF8(name, "?"), "os": unpack.NameOf(uimageOS, h.OS), "architecture": unpack.NameOf(uimageArch, h.Arch),
		"type": unpack.NameOf(uimageType, h.Type), "compression": unpack.NameOf(uimagePacked, h.Packed),
		"load address": fmt.Sprintf("0x%08x", h.Load), "entry point": fmt.Sprintf("0x%08x", h.Entry),
		"created": time.Unix(int64(h.Time), 0).UTC().Format(time.RFC3339),
	}
	var magic [4]byte
	if binary.BigEndian.PutUint32(magic[:], h.Magic); string(magic[:]) != uimageMagic {
		info["magic"] = fmt.Sprintf("0x%08x", h.Magic)
	}
	return info
}

// parts are the payload, or the files of a multi-file image or script: those
// begin with a list of sizes that ends with 0; the files of a multi-file image
// are aligned to 4 bytes.
func (h *uimageHead) parts(data unpack.Bytes) []unpack.Part {
	kind := unpack.NameOf(uimageType, h.Type)
	if h.Type == uimageMulti || h.Type == uimageScript {
		if list := multiParts(data, kind); list != nil {
			return list
		}
	}
	return []unpack.Part{{Name: kind, Data: data, Offset: uimageHeader, Format: kind}}
}

// multiNames is what U-Boot takes the files of a multi-file image for.
var multiNames = []string{"kernel", "ramdisk", "flat_dt"}

func multiParts(data unpack.Bytes, kind string) []unpack.Part {
	table := unpack.ReadSome(data, 0, 4*64)
	var sizes []int64
	for at := 0; ; at += 4 {
		if at+4 > len(table) {
			return nil
		}
		n := int64(binary.BigEndian.Uint32(table[at:]))
		if n == 0 {
			break
		}
		sizes = append(sizes, n)
	}
	off := 4 * int64(len(sizes)+1)
	var list []unpack.Part
	for i, n := range sizes {
		if n > data.Size()-off {
			return nil
		}
		p := unpack.Part{Name: kind, Data: unpack.Window(data, off, n), Offset: uimageHeader + off, Format: kind}
		if kind == "multi" {
			p.Name, p.Format = fmt.Sprintf("file%d", i), ""
			if i < len(multiNames) {
				p.Format = multiNames[i]
			}
		} else if len(sizes) > 1 {
			p.Name = fmt.Sprintf("%s%d", kind, i)
		}
		list = append(list, p)
		off = min((off+n+3)&^3, data.Size())
	}
	return list
}
