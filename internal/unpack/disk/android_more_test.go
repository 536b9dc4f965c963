package disk

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"github.com/klauspost/compress/zstd"
)

type lpExtent struct{ sectors, kind, from, device int }

type lpPartition struct {
	name    string
	extents []lpExtent
}

// lpMetadata is one slot's metadata by liblp's layout.
func lpMetadata(minor int, device int, parts []lpPartition) []byte {
	var partitions, extents, groups, devices []byte
	le := binary.LittleEndian
	n := 0
	for _, p := range parts {
		row := make([]byte, 52)
		copy(row, p.name)
		le.PutUint32(row[36:], 1)
		le.PutUint32(row[40:], uint32(n))
		le.PutUint32(row[44:], uint32(len(p.extents)))
		le.PutUint32(row[48:], 1)
		partitions = append(partitions, row...)
		for _, e := range p.extents {
			row := make([]byte, 24)
			le.PutUint64(row, uint64(e.sectors))
			le.PutUint32(row[8:], uint32(e.kind))
			le.PutUint64(row[12:], uint64(e.from))
			le.PutUint32(row[20:], uint32(e.device))
			extents = append(extents, row...)
			n++
		}
	}
	groups = append(groups, make([]byte, 96)...)
	copy(groups, "default")
	copy(groups[48:], "main_a")
	devices = make([]byte, 64)
	le.PutUint64(devices, 2048)
	le.PutUint64(devices[16:], uint64(device))
	copy(devices[24:], "super")
	tables := append(append(append(append([]byte{}, partitions...), extents...), groups...), devices...)
	size := []int{128, 128, 256}[minor]
	h := make([]byte, size)
	copy(h, "0PLA")
	le.PutUint16(h[4:], 10)
	le.PutUint16(h[6:], uint16(minor))
	le.PutUint32(h[8:], uint32(size))
	le.PutUint32(h[44:], uint32(len(tables)))
	sum := sha256.Sum256(tables)
	copy(h[48:], sum[:])
	at := 0
	for i, t := range []struct{ b, row int }{{len(partitions), 52}, {len(extents), 24}, {len(groups), 48}, {len(devices), 64}} {
		le.PutUint32(h[80+12*i:], uint32(at))
		le.PutUint32(h[84+12*i:], uint32(t.b/t.row))
		le.PutUint32(h[88+12*i:], uint32(t.row))
		at += t.b
	}
	sum = sha256.Sum256(h)
	copy(h[12:], sum[:])
	return append(h, tables...)
}

// superByHand is an image with metadata in two slots.
func superByHand(size int, slots ...[]lpPartition) []byte {
	const max = 4096
	img := make([]byte, size)
	g := make([]byte, 52)
	copy(g, "gDla")
	binary.LittleEndian.PutUint32(g[4:], 52)
	binary.LittleEndian.PutUint32(g[40:], max)
	binary.LittleEndian.PutUint32(g[44:], uint32(len(slots)))
	binary.LittleEndian.PutUint32(g[48:], 4096)
	sum := sha256.Sum256(g)
	copy(g[8:], sum[:])
	copy(img[4096:], g)
	copy(img[8192:], g)
	for i, parts := range slots {
		m := lpMetadata(2-i%2*2, size, parts)
		copy(img[12288+i*max:], m)
		copy(img[12288+(len(slots)+i)*max:], m)
	}
	return img
}

func superSample() []byte {
	img := superByHand(2<<20, []lpPartition{
		{"system_a", []lpExtent{{100, 0, 2048, 0}, {8, 1, 0, 0}, {50, 0, 3000, 0}}}, {"vendor_a", []lpExtent{{20, 0, 2200, 0}}}, {"system_b", nil},
	}, []lpPartition{
		{"system_b", []lpExtent{{30, 0, 2300, 0}}}, {"vendor_a", []lpExtent{{20, 0, 2200, 0}}},
	})
	copy(img[2048*512:], noise(1, 100*512))
	copy(img[3000*512:], noise(2, 50*512))
	copy(img[2200*512:], noise(3, 20*512))
	copy(img[2300*512:], noise(4, 30*512))
	return img
}

func TestAndroidSuper(t *testing.T) {
	img := superSample()
	copy(img[3500*512:], "in no partition")
	want := map[string]string{
		"system_a": sumOfBytes(append(append(noise(1, 100*512), make([]byte, 8*512)...), noise(2, 50*512)...)),
		"vendor_a": sumOfBytes(noise(3, 20*512)), "system_b": sumOfBytes(noise(4, 30*512)),
	}
	check := func(name string, o *unpack.Object) {
		t.Helper()
		for p, sum := range want {
			if sumOf(t, part(t, o, p).Data) != sum {
				t.Errorf("%s: %s is wrong", name, p)
			}
		}
	}
	o := unpacktest.OpenBytes(t, AndroidSuper, append(bytes.Clone(img), "something behind it"...))
	check("whole", o)
	if len(o.Parts) != 4 || o.Size != int64(len(img)) {
		t.Errorf("%v, %d bytes", partNames(o), o.Size)
	}
	for _, at := range []int{4100, 4140, 12288 + 20, 12288 + 300, 16384 + 200} {
		b := bytes.Clone(img)
		b[at] ^= 1
		o, err := AndroidSuper.Open(unpacktest.Input(b))
		if err != nil || o.Err == nil {
			t.Fatalf("byte %d: %v", at, err)
		}
		check(fmt.Sprint("byte ", at), o)
	}
	other := superByHand(2<<20, []lpPartition{{"system", []lpExtent{{10, 0, 0, 1}}}})
	if o, err := AndroidSuper.Open(unpacktest.Input(other)); err != nil || !errors.Is(o.Err, unpack.ErrUnsupported) {
		t.Errorf("another device: %v", err)
	}
	unpacktest.Damage(t, AndroidSuper, superSample(), unpacktest.Damaged{Rounds: 300, From: 4096, To: 12288 + 4*4096})
}

func FuzzAndroidSuper(f *testing.F) {
	unpacktest.Fuzz(f, AndroidSuper, superByHand(40<<10, []lpPartition{{"system", []lpExtent{{8, 0, 60, 0}, {8, 1, 0, 0}}}}))
}

func dtboByHand(magic uint32, trees ...[]byte) []byte {
	b := make([]byte, 32+32*len(trees))
	for i, v := range []uint32{magic, 0, 32, 32, uint32(len(trees)), 32, 2048, 0} {
		binary.BigEndian.PutUint32(b[4*i:], v)
	}
	for i, tree := range trees {
		e := b[32+32*i:]
		binary.BigEndian.PutUint32(e, uint32(len(tree)))
		binary.BigEndian.PutUint32(e[4:], uint32(len(b)))
		binary.BigEndian.PutUint32(e[8:], uint32(i)+7)
		b = append(b, tree...)
	}
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)))
	return b
}

func TestAndroidDTBO(t *testing.T) {
	img := dtboByHand(0xd7b7ab1e, noise(1, 1000), noise(2, 33), noise(3, 100))
	o := unpacktest.OpenBytes(t, AndroidDTBO, append(bytes.Clone(img), "something"...))
	if p := part(t, o, "1"); sumOf(t, p.Data) != sumOfBytes(noise(2, 33)) || p.Info["id"] != "0x8" || len(o.Parts) != 3 || o.Size != int64(len(img)) {
		t.Errorf("%v %v", partNames(o), p.Info)
	}
	if o, err := AndroidDTBO.Open(unpacktest.Input(img[:len(img)-10])); err != nil || o.Err == nil {
		t.Errorf("cut off: %v", err)
	}
	for _, b := range [][]byte{append(img[:4:4], noise(1, 100)...), append([]byte("ACPI"), make([]byte, 100)...)} {
		if _, err := AndroidDTBO.Open(unpacktest.Input(b)); !errors.Is(err, unpack.ErrNotThis) {
			t.Error(err)
		}
	}
}

func FuzzAndroidDTBO(f *testing.F) {
	unpacktest.Fuzz(f, AndroidDTBO, dtboByHand(0xd7b7ab1e, noise(1, 10), noise(2, 33)))
}

// vbmetaByHand has a property, a command line, and two covered partitions.
func vbmetaByHand(flags uint32) []byte {
	var aux []byte
	u64 := func(b []byte, v int) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }
	descriptor := func(tag int, d []byte) {
		d = append(d, make([]byte, -len(d)&7)...)
		aux = append(u64(u64(aux, tag), len(d)), d...)
	}
	descriptor(0, append(u64(u64(nil, 3), 5), "key\x00value\x00"...))
	descriptor(3, append([]byte{0, 0, 0, 0, 0, 0, 0, 6}, "a=b c="...))
	hashed := make([]byte, 116)
	hashed[43] = 4
	descriptor(2, append(hashed, "boot"...))
	tree := make([]byte, 164)
	tree[91] = 6
	descriptor(1, append(tree, "system"...))
	list := len(aux)
	aux = append(aux, "a public key"...)
	aux = append(aux, make([]byte, -len(aux)&63)...)
	h := make([]byte, 256)
	copy(h, "AVB0\x00\x00\x00\x01")
	for at, v := range map[int]int{12: 64, 20: len(aux), 40: 32, 64: list, 72: 12, 104: list, 112: 5} {
		binary.BigEndian.PutUint64(h[at:], uint64(v))
	}
	binary.BigEndian.PutUint32(h[28:], 1)
	binary.BigEndian.PutUint32(h[120:], flags)
	copy(h[128:], "avbtool 1.2.0")
	sum := sha256.Sum256(append(bytes.Clone(h), aux...))
	return append(append(h, append(sum[:], make([]byte, 32)...)...), aux...)
}

func TestAndroidVBMeta(t *testing.T) {
	img := vbmetaByHand(2)
	o := unpacktest.OpenBytes(t, AndroidVBMeta, append(bytes.Clone(img), "something"...))
	for k, v := range map[string]string{"flags": "verification is off", "key": "value", "command line": "a=b c=", "covers": "boot (hash), system (hash tree)", "made by": "avbtool 1.2.0", "rollback index": "5"} {
		if o.Info[k] != v {
			t.Errorf("%s: %q", k, o.Info[k])
		}
	}
	if o.Size != int64(len(img)) || !strings.HasPrefix(o.Info["public key"], "SHA-1 ") {
		t.Errorf("%d bytes of %d", o.Size, len(img))
	}
	for at := range img {
		b := bytes.Clone(img)
		b[at] ^= 4
		if o, err := AndroidVBMeta.Open(unpacktest.Input(b)); err == nil && o.Err == nil && at > 4 && (at < 256+32 || at >= 256+64) {
			t.Fatalf("byte %d is changed, and nothing says so", at)
		}
	}
	footer := make([]byte, 64)
	copy(footer, "AVBf\x00\x00\x00\x01")
	footer[19] = 99
	if o := unpacktest.OpenBytes(t, AndroidAVBFooter, footer); o.Info["content"] != "99 bytes" || o.Size != 64 {
		t.Errorf("%v", o.Info)
	}
}

func FuzzAndroidVBMeta(f *testing.F) { unpacktest.Fuzz(f, AndroidVBMeta, vbmetaByHand(0)) }

// proto writes fields of a message: a number, then a value.
func proto(fields ...any) (b []byte) {
	for ; len(fields) > 0; fields = fields[2:] {
		n := uint64(fields[0].(int)) << 3
		switch v := fields[1].(type) {
		case int:
			b = binary.AppendUvarint(binary.AppendUvarint(b, n), uint64(v))
		case []byte:
			b = append(binary.AppendUvarint(binary.AppendUvarint(b, n|2), uint64(len(v))), v...)
		case string:
			b = append(binary.AppendUvarint(binary.AppendUvarint(b, n|2), uint64(len(v))), v...)
		}
	}
	return b
}

// payloadByHand packs two partitions with every operation, and one that is a
// difference.
func payloadByHand(pack func(tool string, b []byte) []byte, content []byte, difference bool) []byte {
	const block = 4096
	var blob []byte
	op := func(kind int, packed []byte, extents ...[2]int) []byte {
		sum := sha256.Sum256(packed)
		f := []any{1, kind}
		if len(packed) > 0 {
			f = append(f, 2, len(blob), 3, len(packed), 8, sum[:])
		}
		for _, e := range extents {
			f = append(f, 6, proto(1, e[0], 2, e[1]))
		}
		blob = append(blob, packed...)
		return proto(f...)
	}
	at := func(from, n int) []byte { return content[from*block : (from+n)*block] }
	split := append(bytes.Clone(at(2, 1)), at(6, 2)...)
	sum := sha256.Sum256(content)
	system := proto(1, "system", 7, proto(1, len(content), 2, sum[:]),
		8, op(0, at(0, 2), [2]int{0, 2}), 8, op(8, pack("xz", split), [2]int{2, 1}, [2]int{6, 2}), 8, op(6, nil, [2]int{3, 1}),
		8, op(1, pack("bzip2", at(4, 2)), [2]int{4, 2}), 8, op(14, pack("zstd", at(8, 2)), [2]int{8, 2}), 8, op(7, nil, [2]int{10, 1}))
	boot := proto(1, "boot", 7, proto(1, block), 8, op(0, at(4, 1), [2]int{0, 1}))
	delta := proto(1, "vendor", 7, proto(1, block), 8, op(5, []byte("BSDIFF40"), [2]int{0, 1}))
	manifest := proto(3, block, 4, len(blob), 5, 10, 12, 0, 13, system, 13, boot, 18, "2024-01-05")
	if difference {
		manifest = append(manifest, proto(13, delta)...)
	}
	b := append([]byte("CrAU"), binary.BigEndian.AppendUint64(nil, 2)...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(manifest)))
	b = binary.BigEndian.AppendUint32(b, 7)
	return append(append(append(append(b, manifest...), "signed!"...), blob...), "signatures"...)
}

func payloadContent() []byte {
	content := noise(1, 11*4096)
	clear(content[3*4096 : 4*4096])
	clear(content[10*4096:])
	copy(content[4*4096:], bytes.Repeat([]byte("text "), 1500))
	return content
}

func packed(t testing.TB) func(tool string, b []byte) []byte {
	return func(tool string, b []byte) []byte {
		if tool == "zstd" {
			w, _ := zstd.NewWriter(nil)
			return w.EncodeAll(b, nil)
		}
		return testtool.Run(t, "", tool, "-c", "-k", tempFile(t, b))
	}
}

func TestAndroidPayload(t *testing.T) {
	content := payloadContent()
	img := payloadByHand(packed(t), content, true)
	o := unpacktest.OpenBytes(t, AndroidPayload, append(bytes.Clone(img), "something"...))
	if o.Size != int64(len(img)) || len(o.Parts) != 2 || len(o.Gaps) != 1 || o.Gaps[0].Reason != "unsupported" || o.Info["patch level"] != "2024-01-05" {
		t.Errorf("%d bytes of %d, %v, %v", o.Size, len(img), partNames(o), o.Gaps)
	}
	system := part(t, o, "system")
	if sumOf(t, system.Data) != sumOfBytes(content) || system.Info["SHA-256 stated"] != sumOfBytes(content) || sumOf(t, part(t, o, "boot").Data) != sumOfBytes(content[4*4096:5*4096]) {
		t.Error("wrong content")
	}
	for at := 0; at < len(content); at += 777 {
		if got := unpack.ReadSome(system.Data, int64(at), 5000); !bytes.Equal(got, content[at:min(len(content), at+5000)]) {
			t.Fatalf("at %d", at)
		}
	}
	img = payloadByHand(packed(t), content, false)
	blob := bytes.Index(img, []byte("signed!")) + 7
	unpacktest.Damage(t, AndroidPayload, img, unpacktest.Damaged{Rounds: 300, From: blob})
}

func FuzzAndroidPayload(f *testing.F) {
	unpacktest.Fuzz(f, AndroidPayload, payloadByHand(func(_ string, b []byte) []byte { return b[:10] }, payloadContent(), true))
}
