package boot

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/flash"
	"github.com/doorward/doorward/internal/unpack/stream"
)

// VMLinux opens unpacked Linux kernels in ELF form.
var VMLinux = &unpack.Reader{
	Name:    "vmlinux",
	Checked: "hand-made images",
	Doc:     "Linux kernels in ELF form, also wrapped (vmlinuz of MIPS, zImage of PowerPC): configuration, initramfs, command line, symbols (kallsyms, 32 and 64 bits, both byte orders)",
	Limits:  "symbols of Linux 6.2 and 6.3 are not found",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\x7fELF"}},
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		switch bare, high := kernelELF(in.Data); {
		case !in.Whole || !bare:
			return nil, unpack.ErrNotThis
		case high:
			if o, err := openKernel(in, "linux kernel, ELF"); err == nil {
				return o, nil
			}
		}
		return openWrapper(in)
	},
}

// openWrapper opens an ELF program that holds nothing but a packed kernel and
// what unpacks it.
func openWrapper(in *unpack.Input) (*unpack.Object, error) {
	if in.Data.Size() > maxKernel || !onlyLoader(in.Data) {
		return nil, unpack.ErrNotThis
	}
	r, content, at, size := largestStream(in, in.Data)
	if r == nil {
		return nil, unpack.ErrNotThis
	}
	if size < in.Data.Size()/2 || !linuxBanner.Match(fromText(content, "Linux version ")) {
		in.Budget.Release(content)
		return nil, unpack.ErrNotThis
	}
	p := unpack.Part{Name: "kernel", Data: content, Offset: at, Format: "kernel"}
	return &unpack.Object{Format: "linux kernel, packed in ELF", Size: in.Data.Size(), Info: map[string]string{"compression": r.Name}, Parts: []unpack.Part{p}}, nil
}

// onlyLoader says, by a sample, that the bytes are mostly packed ones, which
// spares programs the search for a kernel in them.
func onlyLoader(data unpack.Bytes) bool {
	other := 0
	for i := range int64(8) {
		if b := unpack.ReadSome(data, data.Size()/8*i, 4096); len(b) < 4096 || !unpack.IsDense(b) {
			if other++; other > 3 {
				return false
			}
		}
	}
	return true
}

// RawKernel opens unpacked Linux kernels without a header, as boot loaders get
// them: bytes that start with code and hold the kernel's own texts, but no boot
// loader and no file system, which would make them a whole flash image.
var RawKernel = &unpack.Reader{
	Name:    "kernel",
	Checked: "kernels of Debian; hand-made images",
	Doc:     "raw Linux kernel images (arm64 Image, unpacked zImage or vmlinux.bin): configuration, initramfs, command line, symbols",
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		size := in.Data.Size()
		if _, mem := in.Data.(unpack.Slice); !mem && size > unpack.InMemory {
			return nil, unpack.ErrNotThis // a disk, not a kernel
		}
		if !in.Whole || size < 1024 || size > maxKernel || unpack.ClassifyHead(unpack.ReadSome(in.Data, 0, 512)) != unpack.TypeData {
			return nil, unpack.ErrNotThis
		}
		b, err := unpack.ReadAll(in.Data, maxKernel)
		if err != nil || !linuxBanner.Match(fromText(b, "Linux version ")) || !bytes.Contains(b, []byte("Kernel panic - not syncing")) || holdsMore(in, b) {
			return nil, unpack.ErrNotThis
		}
		return openKernel(in, "linux kernel, raw")
	},
}

const maxKernel = 256 << 20

// linuxBanner is the text that /proc/version shows.
var linuxBanner = regexp.MustCompile(`^Linux version [0-9]+\.[0-9]+[!-~]* \([!-~ ]{1,600}`)

// fromText is b from the first place on where a banner starts.
func fromText(b []byte, text string) []byte {
	for {
		i := bytes.Index(b, []byte(text))
		if i < 0 {
			return nil
		}
		b = b[i:]
		if d := len(text); len(b) > d && b[d] >= '0' && b[d] <= '9' {
			return b[:min(len(b), 1024)]
		}
		b = b[len(text):]
	}
}

// kernelNeighbours are what a flash image holds beside a kernel.
var kernelNeighbours = sync.OnceValue(func() *unpack.Carver {
	return unpack.NewCarver([]*unpack.Reader{flash.Squashfs, flash.JFFS2, UImage, TRX})
})

// holdsMore says that the bytes hold a boot loader or a file system too.
func holdsMore(in *unpack.Input, b []byte) bool {
	if fromText(b, "U-Boot ") != nil {
		return true
	}
	for _, c := range kernelNeighbours().Candidates(unpack.Slice(b)) {
		sub := *in
		sub.Data, sub.Whole = unpack.Slice(b[c.Offset:]), false
		if o, err := c.Reader.Open(&sub); err == nil && o.Err == nil && o.Size >= 4096 {
			return true
		}
	}
	return false
}

// openKernel takes an unpacked kernel apart.
func openKernel(in *unpack.Input, format string) (*unpack.Object, error) {
	b, err := unpack.ReadAll(in.Data, maxKernel)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	banner := linuxBanner.Find(fromText(b, "Linux version "))
	if banner == nil {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: format, Size: in.Data.Size(), Info: map[string]string{"banner": string(banner)}}
	if fields := strings.Fields(string(banner)); len(fields) > 2 {
		o.Info["version"] = fields[2]
	}
	config := kernelConfig(in, b)
	if config != nil {
		o.Parts = append(o.Parts, *config)
	}
	if line := kernelCommandLine(config, b); line != "" {
		o.Info["command line"] = line
	}
	o.Parts = append(o.Parts, kernelStreams(in, b, config)...)
	if k := kernelSymbols(b); k != nil {
		text := k.text()
		if err := in.Budget.AddBytes(text.Size()); err == nil {
			o.Info["symbols"] = fmt.Sprintf("%d, %s", k.count, k.kind)
			o.Parts = append(o.Parts, unpack.Part{Name: "System.map", Data: text, Offset: int64(k.names), Format: "symbols"})
		}
	}
	return o, nil
}

// kernelConfig is the configuration that CONFIG_IKCONFIG leaves in the kernel:
// gzip between two marks.
func kernelConfig(in *unpack.Input, b []byte) *unpack.Part {
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte("IKCFG_ST\x1f\x8b"))
		if i < 0 {
			return nil
		}
		at += i + 8
		r, o := openStream(in, unpack.Slice(b[at:]))
		if r != stream.Gzip || !bytes.HasPrefix(b[min(int64(at)+o.Size, int64(len(b))):], []byte("IKCFG_ED")) {
			continue
		}
		return &unpack.Part{Name: "config", Data: o.Parts[0].Data, Offset: int64(at), Format: "kernel configuration"}
	}
}

// kernelCommandLine is what the kernel was built to be started with: from its
// configuration or, without one, the first text that reads as one.
func kernelCommandLine(config *unpack.Part, b []byte) string {
	if config != nil {
		text, _ := config.Data.(unpack.Slice)
		for line := range strings.Lines(string(text)) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "CONFIG_CMDLINE="); ok {
				v, err := strconv.Unquote(v)
				if err == nil {
					return v
				}
			}
		}
		return ""
	}
	for _, mark := range []string{"console=tty", "root=/dev/", "rootfstype=", "mtdparts="} {
		for rest := b; ; {
			i := bytes.Index(rest, []byte(mark))
			if i < 0 {
				break
			}
			if line := textAround(rest, i); strings.Count(line, "=") >= 2 && !strings.Contains(line, "%") && len(line) < 2048 {
				return line
			}
			rest = rest[i+len(mark):]
		}
	}
	return ""
}

// textAround is the NUL-ended text that b[i] lies in.
func textAround(b []byte, i int) string {
	start, end := i, i
	for start > 0 && b[start-1] >= ' ' && b[start-1] <= '~' && i-start < 2048 {
		start--
	}
	for end < len(b) && b[end] >= ' ' && b[end] <= '~' && end-i < 2048 {
		end++
	}
	if end == len(b) || b[end] != 0 {
		return ""
	}
	return strings.TrimSpace(string(b[start:end]))
}

// streamReaders are the compressions that kernels and what is in them come in.
var streamReaders = sync.OnceValue(func() []*unpack.Reader {
	return []*unpack.Reader{stream.Gzip, stream.XZ, stream.Zstd, stream.LZ4, stream.LZO, stream.Bzip2, stream.LZMA}
})

var streamCarver = sync.OnceValue(func() *unpack.Carver { return unpack.NewCarver(append([]*unpack.Reader{cpioMark}, streamReaders()...)) })

// cpioMark lets the search for streams find archives that are not compressed.
var cpioMark = &unpack.Reader{Name: "cpio", Checked: "cpio and bsdtar", Magics: []unpack.Magic{{At: 0, Bytes: "070701"}, {At: 0, Bytes: "070702"}}, Carve: true}

// openStream opens the compressed stream at the start of data; nil if there is
// none, or a damaged one.
func openStream(in *unpack.Input, data unpack.Bytes) (*unpack.Reader, *unpack.Object) {
	head := unpack.ReadSome(data, 0, 64)
	for _, r := range streamReaders() {
		if !r.Fits(data, head) {
			continue
		}
		o, err := r.Open(&unpack.Input{Context: in.Context, Data: data, Budget: in.Budget})
		if err != nil || len(o.Parts) != 1 {
			continue
		}
		if s, ok := o.Parts[0].Data.(unpack.Slice); o.Err != nil || o.Size > data.Size() || !ok {
			in.Budget.Release(s)
			continue
		}
		return r, o
	}
	return nil, nil
}

// keptStream is how long an unpacked stream in a kernel must be to be shown if
// it is no initramfs.
const keptStream = 4 << 10

// kernelStreams finds the initramfs, packed or not, and other packed data.
func kernelStreams(in *unpack.Input, b []byte, config *unpack.Part) []unpack.Part {
	var list []unpack.Part
	end := int64(0)
	for _, c := range streamCarver().Candidates(unpack.Slice(b)) {
		if c.Offset < end || config != nil && c.Offset == config.Offset {
			continue
		}
		data := unpack.Slice(b[c.Offset:])
		if c.Reader == cpioMark {
			if n := cpioLength(data); n > 0 {
				list = append(list, unpack.Part{Name: "initramfs", Data: data[:n], Offset: c.Offset, Format: "ramdisk"})
				end = c.Offset + n
			}
			continue
		}
		r, o := openStream(in, data)
		if r == nil {
			continue
		}
		out := o.Parts[0].Data.(unpack.Slice)
		p := unpack.Part{Name: fmt.Sprintf("%s-0x%x", r.Name, c.Offset), Data: out, Offset: c.Offset, Info: map[string]string{"compression": r.Name}}
		switch {
		case bytes.HasPrefix(out, []byte("070701")) || bytes.HasPrefix(out, []byte("070702")):
			p.Name, p.Format = "initramfs", "ramdisk"
		case len(out) < keptStream:
			in.Budget.Release(out)
			continue
		}
		list = append(list, p)
		end = c.Offset + o.Size
	}
	return unpack.NumberParts(list)
}

// cpioLength is how many bytes an archive of the new ASCII form takes, up to
// the end of its last member; 0 if there is none.
func cpioLength(b []byte) int64 {
	for at := 0; at+110 <= len(b); {
		h := b[at:]
		if string(h[:5]) != "07070" || h[5] != '1' && h[5] != '2' {
			return 0
		}
		size, err1 := strconv.ParseUint(string(h[54:62]), 16, 32)
		name, err2 := strconv.ParseUint(string(h[94:102]), 16, 32)
		if err1 != nil || err2 != nil || name == 0 || int64(name) > int64(len(h)-110) {
			return 0
		}
		next := int64(at) + (110+int64(name)+3)&^3 + (int64(size)+3)&^3
		if string(h[110:110+name-1]) == "TRAILER!!!" {
			return min(next, int64(len(b)))
		}
		if next > int64(len(b)) {
			return 0
		}
		at = int(next)
	}
	return 0
}

// largestStream opens the streams that start in data and returns the one that
// unpacks to most: a boot wrapper holds the kernel and little else.
func largestStream(in *unpack.Input, data unpack.Bytes) (r *unpack.Reader, content unpack.Slice, at, size int64) {
	b, err := unpack.ReadAll(data, maxKernel)
	if err != nil {
		return nil, nil, 0, 0
	}
	list := streamCarver().Candidates(unpack.Slice(b))
	slices.SortStableFunc(list, func(x, y unpack.Candidate) int { return cmp.Compare(x.Offset, y.Offset) })
	end := int64(0)
	for _, c := range list {
		if c.Offset < end || c.Reader == cpioMark {
			continue
		}
		s, o := openStream(in, unpack.Slice(b[c.Offset:]))
		if s == nil {
			continue
		}
		end = c.Offset + o.Size
		out := o.Parts[0].Data.(unpack.Slice)
		if len(out) <= len(content) {
			in.Budget.Release(out)
			continue
		}
		in.Budget.Release(content)
		r, content, at, size = s, out, c.Offset, o.Size
	}
	return r, content, at, size
}
