package boot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// symbolTable writes symbols as scripts/kallsyms.c does: every byte is a token of
// its own, and two more stand for words.
type symbolTable struct {
	order  byteOrder
	word   int
	kind   string // absolute, relative, mixed
	behind bool   // the addresses come after the tokens, as since Linux 6.4
	long   bool   // marks of a long
}

type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

func (s symbolTable) put(b []byte, v uint64, size int) []byte {
	if size == 4 {
		return s.order.AppendUint32(b, uint32(v))
	}
	return s.order.AppendUint64(b, v)
}

func align(b []byte, n int) []byte {
	for len(b)%n != 0 {
		b = append(b, 0)
	}
	return b
}

func (s symbolTable) addresses(b []byte, base uint64, list []uint64) []byte {
	b = align(b, 8)
	if s.kind == "absolute" {
		for _, v := range list {
			b = s.put(b, v, s.word)
		}
		return b
	}
	for _, v := range list {
		switch {
		case s.kind == "mixed" && v < base:
			b = s.put(b, v, 4)
		case s.kind == "mixed":
			b = s.put(b, base-1-v, 4)
		default:
			b = s.put(b, v-base, 4)
		}
	}
	return s.put(align(b, s.word), base, s.word)
}

func (s symbolTable) write(base uint64, list []uint64, names []string) []byte {
	b := append(unpacktest.MixedBytes(4096), "Linux version 5.10.1 (a@b) (gcc) #1 SMP\x00Kernel panic - not syncing\x00"...)
	if !s.behind {
		b = s.addresses(b, base, list)
	}
	b = align(s.put(align(b, s.word), uint64(len(names)), 4), s.word)
	start := len(b)
	var marks []uint64
	for i, n := range names {
		if i%256 == 0 {
			marks = append(marks, uint64(len(b)-start))
		}
		packed := strings.NewReplacer("sys_", "\x01", "init", "\x02").Replace(n)
		if len(packed) >= 128 {
			b = append(b, byte(len(packed)&0x7f|0x80), byte(len(packed)>>7))
		} else {
			b = append(b, byte(len(packed)))
		}
		b = append(b, packed...)
	}
	size := 4
	if s.long {
		size = s.word
	}
	b = align(b, s.word)
	for _, m := range marks {
		b = s.put(b, m, size)
	}
	b = align(b, s.word)
	table := len(b)
	var index []byte
	for i := range 256 {
		index = s.order.AppendUint16(index, uint16(len(b)-table))
		switch {
		case i == 1:
			b = append(b, "sys_"...)
		case i == 2:
			b = append(b, "init"...)
		case i > ' ' && i < 127:
			b = append(b, byte(i))
		}
		b = append(b, 0)
	}
	b = append(align(b, s.word), index...)
	if s.behind {
		b = s.addresses(b, base, list)
	}
	return append(b, unpacktest.MixedBytes(5000)...)
}

func TestKallsyms(t *testing.T) {
	for _, order := range []byteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, word := range []int{4, 8} {
			base := map[int]uint64{4: 0xc0008000, 8: 0xffffffff81000000}[word]
			for _, s := range []symbolTable{{kind: "absolute"}, {kind: "absolute", long: true}, {kind: "relative"}, {kind: "mixed"}, {kind: "relative", behind: true}, {kind: "mixed", behind: true}} {
				s.order, s.word = order, word
				t.Run(fmt.Sprintf("%v %d %+v", order, word, s), func(t *testing.T) {
					var list []uint64
					var names []string
					want := ""
					for i := range 1500 {
						v := base + uint64(i)*48
						if s.kind == "mixed" && i < 40 {
							v = uint64(i) * 64
						}
						name := fmt.Sprintf("Tsys_call_%d_init", i)
						if i == 700 {
							name = "t" + strings.Repeat("very_long_", 20)
						}
						list, names = append(list, v), append(names, name)
						want += fmt.Sprintf("%0*x %c %s\n", 2*word, v, name[0], name[1:])
					}
					k := kernelSymbols(s.write(base, list, names))
					if k == nil {
						t.Fatal("not found")
					}
					if got := string(k.text()); got != want {
						t.Errorf("%s, %d symbols: %.200s", k.kind, k.count, got)
					}
				})
			}
		}
	}
}

func TestKallsymsIsNot(t *testing.T) {
	s := symbolTable{order: binary.LittleEndian, word: 8, kind: "relative"}
	var list []uint64
	var names []string
	for i := range 1000 {
		list, names = append(list, 0xffffffff81000000+uint64(i)*16), append(names, fmt.Sprintf("Tname%d", i))
	}
	b := s.write(0xffffffff81000000, list, names)
	if kernelSymbols(b) == nil {
		t.Fatal("not found")
	}
	at := bytes.Index(b, []byte("\x07Tname10"))
	for _, change := range []func(b []byte) []byte{
		func(b []byte) []byte { return b[:len(b)-6000] },
		func(b []byte) []byte { b[at] ^= 3; return b },
		func([]byte) []byte {
			return bytes.Repeat([]byte("0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00"), 100)
		},
		func([]byte) []byte { return nil },
	} {
		if k := kernelSymbols(change(bytes.Clone(b))); k != nil {
			t.Errorf("found %d symbols", k.count)
		}
	}
}

func FuzzKallsyms(f *testing.F) {
	s := symbolTable{order: binary.BigEndian, word: 4, kind: "absolute"}
	var list []uint64
	var names []string
	for i := range 600 {
		list, names = append(list, 0x80000000+uint64(i)*16), append(names, fmt.Sprintf("Tname%d", i))
	}
	f.Add(s.write(0x80000000, list, names)[4000:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if k := kernelSymbols(b); k != nil {
			k.text()
		}
	})
}

// The kernel's own texts lie where its symbols say.
func TestKallsymsOfDebian(t *testing.T) {
	image := debianKernel(t)
	o := unpacktest.OpenBytes(t, BzImage, image)
	for _, p := range o.Parts {
		data := unpacktest.PartBytes(t, p)
		k := kernelSymbols(data)
		if k == nil {
			continue
		}
		if k.count < 50_000 || k.word != 8 {
			t.Errorf("%d symbols of %d bytes", k.count, k.word)
		}
		found := 0
		for line := range strings.Lines(string(k.text())) {
			var at uint64
			var kind, name string
			fmt.Sscanf(line, "%x %s %s", &at, &kind, &name)
			if want := map[string]string{"linux_banner": "Linux version ", "linux_proc_banner": "%s version %s", "hex_asc": "0123456789abcdef"}[name]; want != "" {
				if got := atAddress(data, at, len(want)); got != want {
					t.Errorf("%s at %x holds %q", name, at, got)
				}
				found++
			}
		}
		if found < 3 {
			t.Errorf("%d of 3 symbols", found)
		}
		return
	}
	t.Error("no symbols")
}

// atAddress reads a 64-bit ELF image's memory.
func atAddress(b []byte, at uint64, n int) string {
	le := binary.LittleEndian
	off, size, count := le.Uint64(b[32:]), uint64(le.Uint16(b[54:])), uint64(le.Uint16(b[56:]))
	for i := range count {
		p := b[off+i*size:]
		if from, length := le.Uint64(p[16:]), le.Uint64(p[32:]); le.Uint32(p) == 1 && at >= from && at < from+length {
			return string(b[le.Uint64(p[8:])+at-from:][:n])
		}
	}
	return ""
}

func debianKernel(t *testing.T) []byte {
	t.Helper()
	out := testtool.Run(t, t.TempDir(), "apt-cache", "depends", "linux-image-cloud-amd64")
	_, name, _ := strings.Cut(string(out), "Depends: linux-image")
	name, _, _ = strings.Cut(name, "\n")
	name = "linux-image" + strings.TrimSpace(name)
	if name == "linux-image" {
		t.Skip("no kernel package")
	}
	return testtool.DebFile(t, name, "boot/vmlinuz"+strings.TrimPrefix(name, "linux-image"))
}
