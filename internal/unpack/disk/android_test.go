package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// mkbootimg makes an image of files with the given content.
func mkbootimg(t testing.TB, files map[string][]byte, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	out := filepath.Join(dir, "out.img")
	for flag, b := range files {
		f := filepath.Join(dir, flag)
		if err := os.WriteFile(f, b, 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--"+flag, f)
	}
	flag := "-o"
	if files["vendor_ramdisk"] != nil {
		flag = "--vendor_boot"
	}
	testtool.Run(t, "", "mkbootimg", append(args, flag, out)...)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAndroidBoot(t *testing.T) {
	kernel, ramdisk, second, dtbo, dtb := noise(1, 100_000), noise(2, 5000), noise(3, 2048), noise(4, 100), noise(5, 3000)
	long := string(bytes.Repeat([]byte("console=ttyS0 "), 60)) + "end"
	for _, v := range []struct {
		version, page string
		files         map[string][]byte
	}{
		{"0", "2048", map[string][]byte{"kernel": kernel, "ramdisk": ramdisk, "second": second}},
		{"1", "16384", map[string][]byte{"kernel": kernel, "ramdisk": ramdisk}},
		{"2", "4096", map[string][]byte{"kernel": kernel, "ramdisk": ramdisk, "dtb": dtb}},
		{"3", "4096", map[string][]byte{"kernel": kernel, "ramdisk": ramdisk}},
	} {
		t.Run(v.version+"_"+v.page, func(t *testing.T) {
			img := mkbootimg(t, v.files, "--header_version", v.version, "--pagesize", v.page, "--cmdline", long, "--os_version", "12.1.3", "--os_patch_level", "2022-05-05", "--id")
			o := unpacktest.OpenBytes(t, AndroidBoot, append(bytes.Clone(img), "something behind it"...))
			if o.Size != int64(len(img)) || len(o.Parts) != len(v.files) {
				t.Errorf("%d bytes of %d, %v", o.Size, len(img), partNames(o))
			}
			for name, b := range v.files {
				if sumOf(t, part(t, o, name).Data) != sumOfBytes(b) {
					t.Errorf("%s is wrong", name)
				}
			}
			if o.Info["command line"] != long || o.Info["system version"] != "12.1.3" || o.Info["patch level"] != "2022-05" {
				t.Errorf("%v", o.Info)
			}
			if v.version != "3" && o.Info["id"] != "matches the content" {
				t.Errorf("%v", o.Info)
			}
			if o, err := AndroidBoot.Open(unpacktest.Input(img[:len(img)/2])); err != nil || o.Err == nil {
				t.Errorf("half of it: %v", err)
			}
		})
	}
	// The tool can't make version 1 and 2 with a recovery_dtbo: with the second
	// stage as one, and the fields changed, they have one.
	img := mkbootimg(t, map[string][]byte{"kernel": kernel, "ramdisk": ramdisk, "second": dtbo}, "--header_version", "1", "--pagesize", "2048")
	copy(img[1632:], img[24:28])
	clear(img[24:28])
	o := unpacktest.OpenBytes(t, AndroidBoot, img)
	if sumOf(t, part(t, o, "recovery_dtbo").Data) != sumOfBytes(dtbo) || len(o.Parts) != 3 {
		t.Error(partNames(o))
	}
	// Version 4 has a signature behind the ramdisk.
	img = mkbootimg(t, map[string][]byte{"kernel": kernel, "ramdisk": ramdisk}, "--header_version", "3")
	binary.LittleEndian.PutUint32(img[40:], 4)
	binary.LittleEndian.PutUint32(img[20:], 1584)
	binary.LittleEndian.PutUint32(img[1580:], 4096)
	img = append(img, noise(9, 4096)...)
	o = unpacktest.OpenBytes(t, AndroidBoot, img)
	if sumOf(t, part(t, o, "signature").Data) != sumOfBytes(noise(9, 4096)) || o.Size != int64(len(img)) {
		t.Error(partNames(o))
	}
	for name, b := range map[string][]byte{"a name in a program": append([]byte("ANDROID!\x00out of memory\x00"), noise(1, 4000)...), "zeros": append([]byte("ANDROID!"), make([]byte, 4000)...)} {
		if _, err := AndroidBoot.Open(unpacktest.Input(b)); !errors.Is(err, unpack.ErrNotThis) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAndroidVendorBoot(t *testing.T) {
	ramdisk, dtb := noise(2, 50_000), noise(5, 3000)
	img := mkbootimg(t, map[string][]byte{"vendor_ramdisk": ramdisk, "dtb": dtb}, "--header_version", "3", "--pagesize", "4096", "--vendor_cmdline", "a=b c", "--board", "boardname")
	o := unpacktest.OpenBytes(t, AndroidVendorBoot, img)
	if o.Info["command line"] != "a=b c" || o.Info["name"] != "boardname" || sumOf(t, part(t, o, "ramdisk").Data) != sumOfBytes(ramdisk) || sumOf(t, part(t, o, "dtb").Data) != sumOfBytes(dtb) || o.Size != int64(len(img)) {
		t.Errorf("%v %v", o.Info, partNames(o))
	}
	// Version 4: the table parts the ramdisk in two.
	binary.LittleEndian.PutUint32(img[8:], 4)
	table := make([]byte, 2*108)
	for i, e := range []struct {
		size, off, kind uint32
		name            string
	}{{20_000, 0, 1, ""}, {30_000, 20_000, 3, "dlkm"}} {
		p := table[i*108:]
		binary.LittleEndian.PutUint32(p, e.size)
		binary.LittleEndian.PutUint32(p[4:], e.off)
		binary.LittleEndian.PutUint32(p[8:], e.kind)
		copy(p[12:], e.name)
	}
	for at, v := range map[int]uint32{2096: 2128, 2112: uint32(len(table)), 2116: 2, 2120: 108, 2124: 18} {
		binary.LittleEndian.PutUint32(img[at:], v)
	}
	img = append(append(img, table...), make([]byte, 4096-len(table))...)
	img = append(append(img, "androidboot.x=\"y\"\n"...), make([]byte, 4096-18)...)
	o = unpacktest.OpenBytes(t, AndroidVendorBoot, img)
	if sumOf(t, part(t, o, "ramdisk").Data) != sumOfBytes(ramdisk[:20_000]) || sumOf(t, part(t, o, "dlkm").Data) != sumOfBytes(ramdisk[20_000:]) || part(t, o, "bootconfig").Data.Size() != 18 {
		t.Error(partNames(o))
	}
}

func FuzzAndroidBoot(f *testing.F) {
	img := make([]byte, 8192+40)
	copy(img, "ANDROID!")
	for at, v := range map[int]uint32{8: 40, 16: 50, 36: 2048, 40: 2, 1644: 1660, 1648: 40} {
		binary.LittleEndian.PutUint32(img[at:], v)
	}
	unpacktest.OpenBytes(f, AndroidBoot, img)
	unpacktest.Fuzz(f, AndroidBoot, img)
}

func FuzzAndroidVendorBoot(f *testing.F) {
	img := make([]byte, 4096+2048+4096)
	copy(img, "VNDRBOOT")
	for at, v := range map[int]uint32{8: 4, 12: 2048, 24: 200, 2096: 2128, 2112: 108, 2116: 1, 2120: 108, 2124: 20, 6144: 200} {
		binary.LittleEndian.PutUint32(img[at:], v)
	}
	unpacktest.OpenBytes(f, AndroidVendorBoot, img)
	unpacktest.Fuzz(f, AndroidVendorBoot, img)
}

// TestAndroidSparse packs random images, with img2simg, and reads them.
func TestAndroidSparse(t *testing.T) {
	rnd := rand.New(rand.NewSource(5))
	for _, block := range []int{1024, 4096, 8192, 65536} {
		for range 5 {
			raw := make([]byte, block*(1+rnd.Intn(60)))
			for at := 0; at < len(raw); {
				n := min(len(raw)-at, block*(1+rnd.Intn(8)))
				switch rnd.Intn(3) {
				case 0:
					rnd.Read(raw[at : at+n])
				case 1:
					copy(raw[at:at+n], bytes.Repeat([]byte{1, 2, 3, 4}, n/4))
				}
				at += n
			}
			dir := t.TempDir()
			in, out, back := filepath.Join(dir, "raw"), filepath.Join(dir, "simg"), filepath.Join(dir, "back")
			os.WriteFile(in, raw, 0o644)
			testtool.Run(t, "", "img2simg", in, out, fmt.Sprint(block))
			testtool.Run(t, "", "simg2img", out, back)
			packed, _ := os.ReadFile(out)
			want, err := os.ReadFile(back)
			if err != nil || !bytes.Equal(want, raw) {
				t.Fatalf("the tools disagree: %v", err)
			}
			o := unpacktest.OpenBytes(t, AndroidSparse, append(packed, "something behind it"...))
			if o.Size != int64(len(packed)) || sumOf(t, o.Parts[0].Data) != sumOfBytes(raw) {
				t.Errorf("blocks of %d: %d bytes", block, o.Parts[0].Data.Size())
			}
			for range 20 {
				at, n := rnd.Intn(len(raw)), rnd.Intn(3*block)
				got := unpack.ReadSome(o.Parts[0].Data, int64(at), int64(n))
				if !bytes.Equal(got, raw[at:min(len(raw), at+n)]) {
					t.Fatalf("%d bytes at %d", n, at)
				}
			}
		}
	}
}

// sparseByHand makes an image of chunks: type, blocks, content.
func sparseByHand(block, blocks int, chunks ...any) []byte {
	b := []byte("\x3a\xff\x26\xed\x01\x00\x00\x00\x1c\x00\x0c\x00")
	for _, v := range []int{block, blocks, len(chunks) / 3, 0} {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	for ; len(chunks) > 0; chunks = chunks[3:] {
		content := chunks[2].(string)
		b = binary.LittleEndian.AppendUint32(b, uint32(chunks[0].(int)))
		b = binary.LittleEndian.AppendUint32(b, uint32(chunks[1].(int)))
		b = binary.LittleEndian.AppendUint32(b, uint32(12+len(content)))
		b = append(b, content...)
	}
	return b
}

func TestAndroidSparseByHand(t *testing.T) {
	want := []byte("abcdefgh" + "12341234" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "ijklmnop")
	word := func(v uint32) string { return string(binary.LittleEndian.AppendUint32(nil, v)) }
	img := sparseByHand(8, 4, sparseRaw, 1, "abcdefgh", sparseFill, 1, "1234", sparseCRC, 0, word(crc32.ChecksumIEEE(want[:16])), sparseSkip, 1, "", sparseRaw, 1, "ijklmnop", sparseCRC, 0, word(crc32.ChecksumIEEE(want)))
	o := unpacktest.OpenBytes(t, AndroidSparse, img)
	if b, err := unpack.ReadAll(o.Parts[0].Data, 100); err != nil || !bytes.Equal(b, want) {
		t.Errorf("%q %v", b, err)
	}
	for name, b := range map[string][]byte{
		"a wrong checksum": append(bytes.Clone(img[:len(img)-1]), img[len(img)-1]^1),
		"too few":          sparseByHand(8, 4, sparseRaw, 1, "abcdefgh"),
		"too many":         sparseByHand(8, 1, sparseRaw, 1, "abcdefgh", sparseSkip, 1, ""),
		"a size":           sparseByHand(8, 4, sparseRaw, 1, "abcdefgh", sparseRaw, 2, "abcdefgh"),
		"an unknown type":  sparseByHand(8, 4, sparseRaw, 1, "abcdefgh", 0xcac9, 1, "abcdefgh"),
		"a cut end":        img[:len(img)-20],
		"a huge one":       sparseByHand(1<<20, 1<<20, sparseSkip, 1<<20, ""),
	} {
		if o, err := AndroidSparse.Open(unpacktest.Input(b)); err != nil || o.Err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	unpacktest.Damage(t, AndroidSparse, img, unpacktest.Damaged{Rounds: 500, From: 28})
}

// TestAndroidSparseLarge: four gigabytes of nearly nothing cost nearly nothing.
func TestAndroidSparseLarge(t *testing.T) {
	img := sparseByHand(4096, 1<<20, sparseSkip, 1<<19, "", sparseRaw, 1, string(noise(1, 4096)), sparseFill, 1<<19-1, "abcd")
	o := unpacktest.OpenBytes(t, AndroidSparse, img)
	if d := o.Parts[0].Data; d.Size() != 4<<30 || !bytes.Equal(unpack.ReadSome(d, 2<<30, 4096), noise(1, 4096)) || string(unpack.ReadSome(d, 4<<30-5, 5)) != "dabcd" {
		t.Errorf("%d bytes", d.Size())
	}
}

func TestAndroidSparseCorpus(t *testing.T) {
	o := unpacktest.Open(t, AndroidSparse, unpacktest.Corpus(t, "formats/simg.img"))
	if d := o.Parts[0].Data; d.Size() != 10485760 || string(unpack.ReadSome(d, 0x438, 2)) != "\x53\xef" {
		t.Errorf("%d bytes", d.Size())
	}
}

func FuzzAndroidSparse(f *testing.F) {
	unpacktest.Fuzz(f, AndroidSparse, sparseByHand(8, 4, sparseRaw, 1, "abcdefgh", sparseFill, 1, "1234", sparseCRC, 0, "abcd", sparseSkip, 1, "", sparseRaw, 1, "ijklmnop"))
}
