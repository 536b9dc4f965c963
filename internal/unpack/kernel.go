package unpack

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// VMLinux opens unpacked Linux kernels in ELF form.
var VMLinux = &Reader{
	Name:   "vmlinux",
	Doc:    "Linux kernels in ELF form, also wrapped (vmlinuz of MIPS, zImage of PowerPC): configuration, initramfs, command line",
	Magics: []Magic{{0, "\x7fELF"}},
	Open: func(in *Input) (*Object, error) {
		switch bare, high := kernelELF(in.Data); {
		case !in.Whole || !bare:
			return nil, ErrNotThis
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
func openWrapper(in *Input) (*Object, error) {
	if in.Data.Size() > maxKernel || !onlyLoader(in.Data) {
		return nil, ErrNotThis
	}
	r, content, at, size := largestStream(in, in.Data)
	if r == nil {
		return nil, ErrNotThis
	}
	if size < in.Data.Size()/2 || !linuxBanner.Match(fromText(content, "Linux version ")) {
		in.Budget.Release(content)
		return nil, ErrNotThis
	}
	p := Part{Name: "kernel", Data: content, Offset: at, Format: "kernel"}
	return &Object{Format: "linux kernel, packed in ELF", Size: in.Data.Size(), Info: map[string]string{"compression": r.Name}, Parts: []Part{p}}, nil
}

// onlyLoader says, by a sample, that the bytes are mostly packed ones, which
// spares programs the search for a kernel in them.
func onlyLoader(data Bytes) bool {
	dense := 0
	for i := range int64(8) {
		if b := ReadSome(data, data.Size()/8*i, 4096); len(b) == 4096 && (classify(b).Type == TypeCompressed || classify(b).Type == TypeEncrypted) {
			dense++
		}
	}
	return dense >= 5
}

// RawKernel opens unpacked Linux kernels without a header, as boot loaders get
// them: bytes that start with code and hold the kernel's own texts, but no boot
// loader and no file system, which would make them a whole flash image.
var RawKernel = &Reader{
	Name: "kernel",
	Doc:  "raw Linux kernel images (arm64 Image, unpacked zImage or vmlinux.bin): configuration, initramfs, command line",
	Open: func(in *Input) (*Object, error) {
		size := in.Data.Size()
		if _, mem := in.Data.(Slice); !mem && size > InMemory {
			return nil, ErrNotThis // a disk, not a kernel
		}
		if !in.Whole || size < 1024 || size > maxKernel || classifyHead(ReadSome(in.Data, 0, 512)) != TypeData {
			return nil, ErrNotThis
		}
		b, err := ReadAll(in.Data, maxKernel)
		if err != nil || !linuxBanner.Match(fromText(b, "Linux version ")) || !bytes.Contains(b, []byte("Kernel panic - not syncing")) || holdsMore(in, b) {
			return nil, ErrNotThis
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
var kernelNeighbours = sync.OnceValue(func() *carver { return newCarver([]*Reader{Squashfs, JFFS2, UImage, TRX}) })

// holdsMore says that the bytes hold a boot loader or a file system too.
func holdsMore(in *Input, b []byte) bool {
	if fromText(b, "U-Boot ") != nil {
		return true
	}
	for _, c := range kernelNeighbours().candidates(Slice(b)) {
		sub := *in
		sub.Data, sub.Whole = Slice(b[c.offset:]), false
		if o, err := c.reader.Open(&sub); err == nil && o.Err == nil && o.Size >= 4096 {
			return true
		}
	}
	return false
}

// openKernel takes an unpacked kernel apart.
func openKernel(in *Input, format string) (*Object, error) {
	b, err := ReadAll(in.Data, maxKernel)
	if err != nil {
		return nil, ErrNotThis
	}
	banner := linuxBanner.Find(fromText(b, "Linux version "))
	if banner == nil {
		return nil, ErrNotThis
	}
	o := &Object{Format: format, Size: in.Data.Size(), Info: map[string]string{"banner": string(banner)}}
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
	return o, nil
}

// kernelConfig is the configuration that CONFIG_IKCONFIG leaves in the kernel:
// gzip between two marks.
func kernelConfig(in *Input, b []byte) *Part {
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte("IKCFG_ST\x1f\x8b"))
		if i < 0 {
			return nil
		}
		at += i + 8
		r, o := openStream(in, Slice(b[at:]))
		if r != Gzip || !bytes.HasPrefix(b[min(int64(at)+o.Size, int64(len(b))):], []byte("IKCFG_ED")) {
			continue
		}
		return &Part{Name: "config", Data: o.Parts[0].Data, Offset: int64(at), Format: "kernel configuration"}
	}
}

// kernelCommandLine is what the kernel was built to be started with: from its
// configuration or, without one, the first text that reads as one.
func kernelCommandLine(config *Part, b []byte) string {
	if config != nil {
		text, _ := config.Data.(Slice)
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
	for _, mark := range []string{"console=tty", "root=/dev/", "rootfstype="} {
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
var streamReaders = sync.OnceValue(func() []*Reader { return []*Reader{Gzip, XZ, Zstd, LZ4, LZO, Bzip2, LZMA} })

var streamCarver = sync.OnceValue(func() *carver { return newCarver(append([]*Reader{cpioMark}, streamReaders()...)) })

// cpioMark lets the search for streams find archives that are not compressed.
var cpioMark = &Reader{Name: "cpio", Magics: []Magic{{0, "070701"}, {0, "070702"}}, Carve: true}

// openStream opens the compressed stream at the start of data; nil if there is
// none, or a damaged one.
func openStream(in *Input, data Bytes) (*Reader, *Object) {
	head := ReadSome(data, 0, 64)
	for _, r := range streamReaders() {
		if !r.fits(data, head) {
			continue
		}
		o, err := r.Open(&Input{Context: in.Context, Data: data, Budget: in.Budget})
		if err != nil || len(o.Parts) != 1 {
			continue
		}
		if s, ok := o.Parts[0].Data.(Slice); o.Err != nil || o.Size > data.Size() || !ok {
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
func kernelStreams(in *Input, b []byte, config *Part) []Part {
	var list []Part
	end := int64(0)
	for _, c := range streamCarver().candidates(Slice(b)) {
		if c.offset < end || config != nil && c.offset == config.Offset {
			continue
		}
		data := Slice(b[c.offset:])
		if c.reader == cpioMark {
			if n := cpioLength(data); n > 0 {
				list = append(list, Part{Name: "initramfs", Data: data[:n], Offset: c.offset, Format: "ramdisk"})
				end = c.offset + n
			}
			continue
		}
		r, o := openStream(in, data)
		if r == nil {
			continue
		}
		out := o.Parts[0].Data.(Slice)
		p := Part{Name: fmt.Sprintf("%s-0x%x", r.Name, c.offset), Data: out, Offset: c.offset, Info: map[string]string{"compression": r.Name}}
		switch {
		case bytes.HasPrefix(out, []byte("070701")) || bytes.HasPrefix(out, []byte("070702")):
			p.Name, p.Format = "initramfs", "ramdisk"
		case len(out) < keptStream:
			in.Budget.Release(out)
			continue
		}
		list = append(list, p)
		end = c.offset + o.Size
	}
	return numbered(list)
}

// numbered makes the names of parts differ.
func numbered(list []Part) []Part {
	seen := map[string]int{}
	for i := range list {
		if seen[list[i].Name]++; seen[list[i].Name] > 1 {
			list[i].Name += fmt.Sprint(seen[list[i].Name])
		}
	}
	return list
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
func largestStream(in *Input, data Bytes) (r *Reader, content Slice, at, size int64) {
	b, err := ReadAll(data, maxKernel)
	if err != nil {
		return nil, nil, 0, 0
	}
	list := streamCarver().candidates(Slice(b))
	slices.SortStableFunc(list, func(x, y candidate) int { return cmp.Compare(x.offset, y.offset) })
	end := int64(0)
	for _, c := range list {
		if c.offset < end || c.reader == cpioMark {
			continue
		}
		s, o := openStream(in, Slice(b[c.offset:]))
		if s == nil {
			continue
		}
		end = c.offset + o.Size
		out := o.Parts[0].Data.(Slice)
		if len(out) <= len(content) {
			in.Budget.Release(out)
			continue
		}
		in.Budget.Release(content)
		r, content, at, size = s, out, c.offset, o.Size
	}
	return r, content, at, size
}
