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
	if b, err := os.ReadFile("testdata/small.xz"); err == nil {
		f.Add(b)
	}
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
