package mcu

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// le makes little-endian bytes of what is given; an int is as many zeros.
func le(fields ...any) []byte {
	var b []byte
	for _, f := range fields {
		switch v := f.(type) {
		case int:
			b = append(b, make([]byte, v)...)
		case string:
			b = append(b, v...)
		case []byte:
			b = append(b, v...)
		default:
			b, _ = binary.Append(b, binary.LittleEndian, v)
		}
	}
	return b
}

func text(s string, n int) []byte { return append([]byte(s), make([]byte, n-len(s))...) }

var code = unpacktest.Noise(5, 5000)

type sample struct {
	name      string
	r         *unpack.Reader
	image     []byte
	parts     map[string][]byte
	info      map[string]string
	gap       string
	unchecked bool
}

func samples(t testing.TB) []sample {
	return []sample{uf2(), dfu(t), dfuse(t), mcuboot(false), mcuboot(true), gbl(), zigbee(), esp32(true), esp32(false), esp8266(), esp8266v2(), table(), nvs(), ota()}
}

func uf2() sample {
	var b []byte
	n := uint32((len(code) + 255) / 256)
	for i := range n {
		p := text(string(code[256*i:min(int(256*i+256), len(code))]), 256)
		b = append(b, le("UF2\n", uint32(0x9e5d5157), uint32(0x2000), 0x10000000+256*i, uint32(256), i, n, uint32(0xe48bff56), p, 220, uint32(0x0ab16f30))...)
	}
	return sample{name: "uf2", r: UF2, image: b, parts: map[string][]byte{"memory-0x10000000": text(string(code), int(256*n))}, info: map[string]string{"family": "RP2040"}, unchecked: true}
}

func suffixed(t testing.TB, b []byte) []byte {
	dir := t.TempDir()
	unpacktest.WriteFile(t, dir, "f", b)
	testtool.Run(t, dir, "dfu-suffix", "-v", "0483", "-p", "df11", "-a", "f")
	b, err := os.ReadFile(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func dfu(t testing.TB) sample {
	return sample{name: "dfu", r: DFU, image: suffixed(t, code), parts: map[string][]byte{"firmware": code}, info: map[string]string{"vendor id": "0x0483", "product id": "0xdf11"}}
}

func dfuse(t testing.TB) sample {
	elements := le(uint32(0x08000000), uint32(3000), code[:3000], uint32(0x08010000), uint32(2000), code[3000:])
	target := le("Target", byte(0), uint32(1), text("ST...", 255), uint32(len(elements)), uint32(2), elements)
	b := le("DfuSe", byte(1), uint32(11+len(target)), byte(1), target)
	return sample{name: "dfuse", r: DfuSe, image: suffixed(t, b), parts: map[string][]byte{"target0-0x08000000": code[:3000], "target0-0x08010000": code[3000:]}, info: map[string]string{"vendor id": "0x0483"}}
}

func mcuboot(encrypted bool) sample {
	flags, gap, parts := uint32(0), "", map[string][]byte{"program": code}
	if encrypted {
		flags, gap, parts = 4, "encrypted", map[string][]byte{}
	}
	prot := le(uint16(0x6908), uint16(12), uint16(0x50), uint16(4), uint32(7))
	b := le(uint32(0x96f3b83d), uint32(0), uint16(512), uint16(len(prot)), uint32(len(code)), flags, byte(2), byte(3), uint16(4), uint32(5), uint32(0), 480, code, prot)
	s := sha256.Sum256(b)
	tags := le(uint16(0x10), uint16(32), s[:], uint16(1), uint16(32), unpacktest.Noise(3, 32), uint16(0x22), uint16(70), unpacktest.Noise(4, 70))
	b = append(b, le(uint16(0x6907), uint16(4+len(tags)), tags)...)
	info := map[string]string{"version": "2.3.4+5", "signature": "ECDSA P-256, not verified", "security counter": "7"}
	if !encrypted {
		info["hash"] = "SHA-256 verified"
	}
	return sample{name: fmt.Sprint("mcuboot ", encrypted), r: MCUboot, image: b, parts: parts, gap: gap, info: info}
}

func gbl() sample {
	b := le(uint32(0x03a617eb), uint32(8), uint32(0x03000000), uint32(0), uint32(0xf40a0af4), uint32(28), uint32(32), uint32(0x01020304), 20, uint32(0xfe0101fe), uint32(4+len(code)), uint32(0x4000), code, uint32(0xfc0404fc), uint32(4))
	return sample{name: "gbl", r: GBL, image: le(b, crc32.ChecksumIEEE(b)), parts: map[string][]byte{"program-0x00004000": code}, info: map[string]string{"application version": "0x01020304"}}
}

func zigbee() sample {
	b := le(uint32(0x0beef11e), uint16(0x100), uint16(56), uint16(0), uint16(0x117c), uint16(0x2101), uint32(0x23087631), uint16(2), text("EBL tradfri_light", 32), uint32(56+6+len(code)), uint16(0), uint32(len(code)), code)
	return sample{name: "zigbee", r: ZigbeeOTA, image: b, parts: map[string][]byte{"image": code}, info: map[string]string{"manufacturer": "0x117c", "name": "EBL tradfri_light"}, unchecked: true}
}

func xorSum(parts ...[]byte) byte {
	x := byte(0xef)
	for _, p := range parts {
		for _, c := range p {
			x ^= c
		}
	}
	return x
}

func espFinish(b []byte, hashed bool, parts ...[]byte) []byte {
	b = append(b, make([]byte, 15-len(b)%16)...)
	b = append(b, xorSum(parts...))
	if hashed {
		s := sha256.Sum256(b)
		b = append(b, s[:]...)
	}
	return b
}

func esp32(hashed bool) sample {
	rom := le(uint32(0xabcd5432), uint32(0), 8, text("v1.2.3", 32), text("camera", 32), text("12:34:56", 16), text("Jan  1 2024", 16), text("v5.1.2", 32), 32, code[:1000])
	iram := code[1000:3000]
	b := le([]byte{0xe9, 2, 2, 0x20}, uint32(0x40081234), byte(0xee), 3, uint16(5), byte(0), uint16(0), uint16(99), 4, hashed, uint32(0x3c020020), uint32(len(rom)), rom, uint32(0x40380000), uint32(len(iram)), iram)
	return sample{name: fmt.Sprint("esp32 ", hashed), r: ESPImage, image: espFinish(b, hashed, rom, iram), unchecked: !hashed, parts: map[string][]byte{"segment0-0x3c020020": rom, "segment1-0x40380000": iram},
		info: map[string]string{"chip": "ESP32-C3", "project": "camera", "version": "v1.2.3", "idf": "v5.1.2", "built": "Jan  1 2024 12:34:56"}}
}

func esp8266() sample {
	b := le([]byte{0xe9, 1, 0, 0x40}, uint32(0x40100004), uint32(0x40100000), uint32(2000), code[:2000])
	return sample{name: "esp8266", r: ESPImage, image: espFinish(b, false, code[:2000]), unchecked: true, parts: map[string][]byte{"segment0-0x40100000": code[:2000]}, info: map[string]string{"chip": "ESP8266"}}
}

func esp8266v2() sample {
	irom := code[:1600]
	first := esp8266()
	b := le([]byte{0xea, 4, 0, 0}, uint32(0x40100004), uint32(0), uint32(len(irom)), irom, first.image)
	return sample{name: "esp8266 v2", r: ESPImage, image: b, unchecked: true, parts: map[string][]byte{"irom": irom, "segment0-0x40100000": code[:2000]}, info: map[string]string{"chip": "ESP8266"}}
}

var espEntries = []struct {
	kind, sub byte
	off, size uint32
	label     string
}{{1, 2, 0x9000, 0x4000, "nvs"}, {1, 0, 0xd000, 0x2000, "otadata"}, {1, 1, 0xf000, 0x1000, "phy_init"}, {0, 0x10, 0x10000, 0x10000, "app0"}, {0, 0x11, 0x20000, 0x10000, "app1"}}

func tableBytes() []byte {
	var b []byte
	for _, e := range espEntries {
		b = append(b, le(uint16(0x50aa), e.kind, e.sub, e.off, e.size, text(e.label, 16), uint32(0))...)
	}
	s := md5.Sum(b)
	return le(b, []byte{0xeb, 0xeb}, bytes.Repeat([]byte{0xff}, 14), s[:])
}

func table() sample {
	want := "nvs              nvs          offset 0x009000 size 0x004000\notadata          ota data     offset 0x00d000 size 0x002000\nphy_init         phy          offset 0x00f000 size 0x001000\n" +
		"app0             ota 0        offset 0x010000 size 0x010000\napp1             ota 1        offset 0x020000 size 0x010000\n"
	return sample{name: "table", r: ESPTable, image: tableBytes(), parts: map[string][]byte{"table": []byte(want)}}
}

// nvsEntry makes an entry with its CRC, and the data that follow it.
func nvsEntry(space, kind byte, key string, value []byte) []byte {
	span, tail := byte(1), []byte(nil)
	if kind == 0x21 || kind == 0x42 {
		tail = append(bytes.Clone(value), bytes.Repeat([]byte{0xff}, (32-len(value)%32)%32)...)
		span += byte(len(tail) / 32)
		value = le(uint16(len(value)), uint16(0xffff), crc32.Update(0xffffffff, crc32.IEEETable, value))
	}
	value = append(value, bytes.Repeat([]byte{0xff}, 8-len(value))...)
	e := le([]byte{space, kind, span, 0xff}, 4, text(key, 16), value)
	binary.LittleEndian.PutUint32(e[4:], crc32.Update(crc32.Update(0xffffffff, crc32.IEEETable, e[:4]), crc32.IEEETable, e[8:]))
	return append(e, tail...)
}

func nvsBytes() []byte {
	head := le(uint32(0), byte(0xfe), bytes.Repeat([]byte{0xff}, 19))
	head = le(uint32(0xfffffffe), head, crc32.Update(0xffffffff, crc32.IEEETable, head))
	body := slices.Concat(nvsEntry(0, 1, "wifi", []byte{1}), nvsEntry(1, 0x21, "ssid", []byte("home network\x00")), nvsEntry(1, 0x21, "password", []byte("a longer password of more than one entry\x00")),
		nvsEntry(1, 0x12, "channel", le(int16(-6))), nvsEntry(1, 0x08, "mac", le(uint64(1<<63))), nvsEntry(1, 0x42, "blob", []byte{1, 2, 3}))
	old := len(body) / 32
	body = append(body, nvsEntry(1, 0x21, "ssid", []byte("before\x00"))...)
	marks := bytes.Repeat([]byte{0xff}, 32)
	for i := range len(body) / 32 {
		marks[i/4] &^= 1 << (2 * (i % 4)) // written
		if i >= old {
			marks[i/4] &^= 2 << (2 * (i % 4)) // erased
		}
	}
	b := slices.Concat(head, marks, body)
	return append(b, bytes.Repeat([]byte{0xff}, 4096-len(b))...)
}

func nvs() sample {
	want := "wifi.ssid string = \"home network\"\nwifi.password string = \"a longer password of more than one entry\"\nwifi.channel i16 = -6\nwifi.mac u64 = 9223372036854775808\nwifi.blob blob = 010203\nwifi.ssid string = \"before\" (erased)\n"
	return sample{name: "nvs", r: NVS, image: nvsBytes(), parts: map[string][]byte{"settings": []byte(want)}, info: map[string]string{"values": "6"}, unchecked: true}
}

func ota() sample {
	e := le(uint32(3), bytes.Repeat([]byte{0xff}, 24))
	sum := crc32.Update(0xffffffff, crc32.IEEETable, e[:4])
	return sample{name: "ota", r: ESPOTA, image: le(e, sum), info: map[string]string{"sequence": "3"}}
}

func TestSamples(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			o := unpacktest.OpenBytes(t, s.r, s.image)
			got := map[string][]byte{}
			for _, p := range o.Parts {
				got[p.Name] = unpacktest.PartBytes(t, p)
			}
			if o.Size != int64(len(s.image)) || !maps.EqualFunc(got, s.parts, bytes.Equal) {
				t.Errorf("%d of %d bytes, parts %q, expected %q", o.Size, len(s.image), slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(s.parts)))
				if len(got) == 1 && s.r == NVS {
					t.Logf("%s", got["settings"])
				}
			}
			for k, v := range s.info {
				if o.Info[k] != v {
					t.Errorf("%s is %q, expected %q", k, o.Info[k], v)
				}
			}
			if reason := append(o.Gaps, unpack.Gap{})[0].Reason; reason != s.gap {
				t.Errorf("gaps %v", o.Gaps)
			}
		})
	}
}

func TestDamaged(t *testing.T) {
	for _, s := range samples(t) {
		if s.gap == "" && len(s.parts) > 0 {
			t.Run(s.name, func(t *testing.T) {
				unpacktest.Damage(t, s.r, s.image, unpacktest.Damaged{Rounds: 200, Unchecked: s.unchecked})
			})
		}
	}
}

// TestESPFlash opens a whole flash memory: two programs, settings, the choice
// between them, and bytes that no partition covers.
func TestESPFlash(t *testing.T) {
	for _, boot := range []int{0, 0x1000} {
		flash := bytes.Repeat([]byte{0xff}, 0x40000)
		copy(flash[boot:], esp32(true).image)
		copy(flash[0x8000:], tableBytes())
		copy(flash[0x9000:], nvsBytes())
		copy(flash[0xd000:], ota().image)
		copy(flash[0xf000:], "PHYINIT\x00")
		copy(flash[0x10000:], esp32(true).image)
		copy(flash[0x38000:], "left over")
		o := unpacktest.OpenBytes(t, ESPFlash, flash)
		var names []string
		for _, p := range o.Parts {
			names = append(names, p.Name)
		}
		if want := []string{"bootloader", "nvs", "otadata", "phy_init", "app0", "app1", "partition-table", "rest-0x30000"}; !slices.Equal(names, want) || o.Info["table md5"] != "verified" {
			t.Errorf("%q %v", names, o.Info)
		}
		res, err := unpack.Explore(context.Background(), "flash", unpack.Slice(flash), unpack.Options{Readers: slices.Concat(List, Last)})
		if err != nil {
			t.Fatal(err)
		}
		for i, reader := range []string{"esp-image", "nvs", "esp-ota", "", "esp-image"} {
			if n := res.Root.Content.Children[i]; n.Content.Reader != reader || len(n.Content.Gaps) > 0 {
				t.Errorf("%s is opened by %q, gaps %v", n.Step, n.Content.Reader, n.Content.Gaps)
			}
		}
	}
}

// thumbCode is what a cross compiler makes of some functions.
func thumbCode(t testing.TB) []byte {
	dir := t.TempDir()
	var src strings.Builder
	src.WriteString("extern int g(int, int); int a[100];\n")
	for i := range 80 {
		fmt.Fprintf(&src, "int f%d(int x, int *p) { int s = 0; for (int i = 0; i < x; i++) { s += g(p[i], %d); p[i] ^= s; } a[%d] = g(s, x); return g(a[%d], s) + g(x, %d); }\n", i, i*3, i, 99-i, i)
	}
	src.WriteString("int g(int x, int y) { return x * y + a[x & 63]; }\n")
	unpacktest.WriteFile(t, dir, "a.c", []byte(src.String()))
	testtool.Run(t, dir, "arm-linux-gnueabi-gcc", "-mthumb", "-march=armv7-m", "-mfloat-abi=soft", "-Os", "-ffreestanding", "-nostdlib", "-fno-pic", "-c", "a.c", "-o", "a.o")
	testtool.Run(t, dir, "arm-linux-gnueabi-objcopy", "-O", "binary", "-j", ".text", "a.o", "a.bin")
	b, err := os.ReadFile(filepath.Join(dir, "a.bin"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func vectorTable(base uint32) []byte {
	b := le(uint32(0x20005000))
	for i := uint32(1); i < 16; i++ {
		if i >= 7 && i <= 10 || i == 13 {
			b = le(b, uint32(0))
			continue
		}
		b = le(b, base+0x200+i*8+1)
	}
	return append(b, make([]byte, 0x140-len(b))...)
}

func TestCortexM(t *testing.T) {
	thumb := thumbCode(t)
	for _, base := range []uint32{0, 0x08000000, 0x00027000} {
		b := append(vectorTable(base), thumb...)
		o := unpacktest.OpenBytes(t, CortexM, b)
		if o.Info["entry point"] != fmt.Sprintf("0x%08x", base+0x209) || o.Info["stack"] != "0x20005000" || o.Size != int64(len(b)) {
			t.Error(o.Info)
		}
		// The same in a hex file is found there.
		res, err := unpack.Explore(context.Background(), "f.hex", unpack.Slice(convert(t, "srec_cat", fmt.Sprintf("in.bin -binary -offset 0x%x -o out -intel", base), b)), unpack.Options{Readers: slices.Concat(List, Last)})
		if err != nil {
			t.Fatal(err)
		}
		if c := res.Root.Content.Children[0].Content; c.Reader != "cortex-m" || len(c.Gaps)+len(c.Children[0].Content.Gaps) > 0 {
			t.Errorf("%+v", c)
		}
	}
	even := vectorTable(0)
	even[8] &^= 1
	stack := vectorTable(0)
	stack[3] = 0x60
	for name, b := range map[string][]byte{
		"no code": append(vectorTable(0), unpacktest.Noise(3, 8000)...), "no vectors": thumb, "an even handler": append(even, thumb...), "a stack in no RAM": append(stack, thumb...),
		"a handler outside": append(vectorTable(0), thumb...)[:0x200], "zeros": make([]byte, 9000),
	} {
		if o, err := CortexM.Open(unpacktest.Input(b)); err == nil {
			t.Errorf("%s: %v", name, o.Info)
		}
	}
}

func TestNoFalseAlarms(t *testing.T) {
	for _, r := range slices.Concat(List, Last) {
		for seed := range int64(200) {
			b := unpacktest.Noise(seed, 70_000)
			if seed%2 == 1 {
				for i := range b {
					if i%4 > 1 {
						b[i] = 0
					}
				}
			}
			for _, m := range append(r.Magics, unpack.Magic{}) {
				copy(b[m.At:], m.Bytes)
				if o, err := r.Open(unpacktest.Input(b)); err == nil && o.Err == nil && len(o.Gaps) == 0 {
					t.Errorf("%s opens noise: %+v", r.Name, o.Info)
				}
			}
		}
	}
}

func FuzzMCU(f *testing.F) {
	var seeds [][]byte
	for _, s := range samples(f) {
		seeds = append(seeds, s.image)
	}
	unpacktest.Fuzz(f, &unpack.Reader{Name: "any", Open: func(in *unpack.Input) (*unpack.Object, error) {
		for _, r := range slices.Concat(List, Last) {
			if o, err := r.Open(in); err == nil {
				return o, nil
			}
		}
		return nil, unpack.ErrNotThis
	}}, seeds...)
}
