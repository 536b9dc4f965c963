package lzma

import (
	"bytes"
	"math/rand"
	"os"
	"testing"
)

// branches is full of what the branch filters look for, and of what nearly is.
func branches(n int) []byte {
	rnd := rand.New(rand.NewSource(9))
	b := make([]byte, n)
	rnd.Read(b)
	marks := []byte{0xe8, 0xe9, 0xeb, 0xf0, 0xf8, 0x48, 0x4b, 0x01, 0x40, 0x7f, 0xff, 0x00, 0x10, 0x12, 0x16, 0x17, 0x94, 0x97, 0x90, 0xb0, 0xf0, 0x0f, 0x50}
	for i := range b {
		if rnd.Intn(2) == 0 {
			b[i] = marks[rnd.Intn(len(marks))]
		}
	}
	// Bundles of IA-64 with calls in all slots.
	for i := 0; i+16 <= n/4; i += 16 {
		b[i] = 0x16
		b[i+5] |= 0x50 >> 4
	}
	return b
}

func decodeAll(t *testing.T, packed []byte) ([]byte, error) {
	t.Helper()
	l, err := Scan(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	dst := make([]byte, l.Unpacked)
	n, err := DecodeXZ(dst, packed)
	return dst[:n], err
}

func TestXZ(t *testing.T) {
	all := samples()
	all["branches"] = branches(200_001)
	if program, err := os.ReadFile("/bin/bash"); err == nil {
		all["program"] = program[:min(len(program), 300_000)]
	}
	for name, plain := range all {
		for _, options := range [][]string{
			{"--check=none"}, {"--check=crc32"}, {"--check=crc64"}, {"--check=sha256"},
			{"--block-size=65536"}, {"--block-list=1000,70000,0", "-T2"},
			{"--x86", "--lzma2"}, {"--arm", "--lzma2"}, {"--armthumb", "--lzma2"}, {"--arm64", "--lzma2"},
			{"--powerpc", "--lzma2"}, {"--sparc", "--lzma2"}, {"--ia64", "--lzma2"},
			{"--delta=dist=4", "--lzma2"}, {"--delta=dist=256", "--lzma2"}, {"--x86=start=4096", "--delta=dist=1", "--lzma2=lc=0"},
			{"--arm64=start=65536", "--lzma2"}, {"--ia64=start=16", "--lzma2"}, {"--x86=start=4294967295", "--lzma2"},
			{"--arm", "--x86", "--powerpc", "--lzma2", "--block-size=9999"},
		} {
			if len(plain) > 500_000 && len(options) > 1 {
				continue // filters are for programs; this takes long
			}
			packed := pack(t, plain, options...)
			got, err := decodeAll(t, packed)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s %v: %d of %d bytes, same %v: %v", name, options, len(got), len(plain), bytes.Equal(got, plain), err)
			}
		}
	}
}

func TestXZStreamsAndRest(t *testing.T) {
	a, b := pack(t, []byte("first")), pack(t, []byte("second"), "--check=sha256")
	pad := make([]byte, 8)
	file := bytes.Join([][]byte{a, pad, b, pad, []byte("rest")}, nil)
	l, err := Scan(bytes.NewReader(file))
	if err != nil || l.Streams != 2 || l.Size != int64(len(a)+8+len(b)) {
		t.Fatal(l, err)
	}
	if got, err := decodeAll(t, file); string(got) != "firstsecond" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

// TestXZDamage flips every byte of a small file in turn: nothing passes.
func TestXZDamage(t *testing.T) {
	plain := []byte("some text, some text, some more text")
	for _, check := range []string{"crc32", "crc64", "sha256"} {
		packed := pack(t, plain, "--check="+check)
		for i := range packed {
			bad := bytes.Clone(packed)
			bad[i] ^= 0x04
			if got, err := decodeAll(t, bad); err == nil {
				t.Errorf("%s: byte %d of %d changed, got %q without an error", check, i, len(packed), got)
			}
		}
		for i := range packed {
			if _, err := decodeAll(t, packed[:i]); err == nil {
				t.Errorf("%s: cut at %d of %d without an error", check, i, len(packed))
			}
		}
	}
}

func FuzzXZ(f *testing.F) {
	// "some text, some text, some more" as xz packs it with several options.
	f.Add([]byte("\xfd7zXZ\x00\x00\x01i\x22\xde6\x02\x00!\x01\x16\x00\x00\x00t/\xe5\xa3\xe0\x00\x1e\x00\x16]\x009\x9b\xc9\xf2\xe7P\xb8\xc5\xe2\x5c\xc2\xe0a+\xbcm\xa2\x9b\xeb\xcd/+\x00\x00\x00\xea\xf45p\x00\x01.\x1f\xf2\xb1\x89\xa6\x90B\x99\x0d\x01\x00\x00\x00\x00\x01YZ"))
	f.Add([]byte("\xfd7zXZ\x00\x00\x0a\xe1\xfb\x0c\xa1\x02\x01\x04\x00!\x01\x16\x00\x0d\x865\x1f\xe0\x00\x1e\x00\x16]\x009\x9b\xc9\xf2\xe7P\xb8\xc5\xe2\x5c\xc2\xe0a+\xbcm\xa2\x9b\xeb\xcd/+\x00\x00\x00\xea;\x8e\x5cn6\x08\xbc\xfdz\xf80\x9b\x9e\x1c\xfa\x0a\xc6\xe7'\xc4\x8a\xccF[\x17\xf5AtB\xe9\xf7\x00\x01J\x1fQ\x1f\x18\xa7\x18\x9bK\x9a\x01\x00\x00\x00\x00\x0aYZ"))
	f.Add([]byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F\x02\x01\x03\x01\x00!\x01\x16y \xc4\xee\x01\x00\x13s\xfc\xfe\xf8\xbbT\xf1\x13\xfc\xb8\xf4S\xfc\xfe\xf8\xbbT\xf1\x13\xfc\x00\xe6O\xd9X\xe4\xc0uW\x02\x01\x03\x01\x00!\x01\x16y \xc4\xee\x01\x00\x0a,\xf4S\xfc\xfe\xf8\xbbM\x02\x03\xf3\x00\x00~`$\xc6(\xd0P@\x00\x02,\x14#\x0b\x00\x00~\xd5a\xa9\xb1\xc4g\xfb\x02\x00\x00\x00\x00\x04YZ"))
	f.Fuzz(func(t *testing.T, src []byte) {
		l, err := Scan(bytes.NewReader(src))
		if l.Size > int64(len(src)) {
			t.Fatal(l.Size)
		}
		for _, b := range l.Blocks {
			if b.Offset+b.Packed > int64(len(src)) {
				t.Fatal(b)
			}
			b.Decode(make([]byte, min(b.Unpacked, 1<<20)), src[b.Offset:b.Offset+b.Packed], bytes.NewReader(src))
		}
		if err == nil && l.Unpacked < 1<<20 {
			DecodeXZ(make([]byte, l.Unpacked), src)
		}
	})
}
