package lzma

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/therootcompany/xz"
	ulzma "github.com/ulikunitz/xz/lzma"
)

// samples are plain bytes of several sorts.
func samples() map[string][]byte {
	rnd := rand.New(rand.NewSource(5))
	noise := make([]byte, 150_000)
	rnd.Read(noise)
	mixed := []byte("start")
	for len(mixed) < 700_000 {
		switch rnd.Intn(3) {
		case 0:
			mixed = append(mixed, noise[rnd.Intn(1000):][:rnd.Intn(2000)]...)
		case 1:
			mixed = append(mixed, bytes.Repeat([]byte{byte(rnd.Intn(4))}, rnd.Intn(3000))...)
		default:
			at := rnd.Intn(len(mixed))
			mixed = append(mixed, mixed[at:min(len(mixed), at+rnd.Intn(900))]...)
		}
	}
	text := bytes.Repeat([]byte("the quick brown fox jumps over the lazy dog\n"), 3000)
	for i := range text {
		if rnd.Intn(9) == 0 {
			text[i] = byte('a' + rnd.Intn(26))
		}
	}
	return map[string][]byte{"empty": nil, "one": {7}, "zeros": make([]byte, 2_500_000), "noise": noise, "mixed": mixed, "text": text}
}

func pack(t testing.TB, plain []byte, args ...string) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(name, plain, 0o600); err != nil {
		t.Fatal(err)
	}
	testtool.Run(t, ".", "xz", append(args, name)...)
	for _, ext := range []string{".xz", ".lzma"} {
		if b, err := os.ReadFile(name + ext); err == nil {
			return b
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestStream(t *testing.T) {
	for name, plain := range samples() {
		for _, options := range []string{"preset=6", "preset=0", "preset=9e,lc=0,lp=0,pb=0", "preset=6,lc=1,lp=3,pb=4", "lc=4,lp=0,pb=1,dict=4KiB", "lc=0,lp=4,pb=2"} {
			packed := pack(t, plain, "--format=lzma", "--lzma1="+options)
			var s Stream
			if err := s.Reset(packed[0], packed[13:]); err != nil {
				t.Fatal(name, options, err)
			}
			// In rooms of odd sizes: matches are cut and taken up again.
			dst := make([]byte, len(plain)+1)
			at, marker, err := 0, false, error(nil)
			for end := 0; !marker && err == nil && end < len(dst); {
				end = min(len(dst), end+65_537)
				at, marker, err = s.Decode(dst, at, end)
			}
			if err != nil || !marker || !bytes.Equal(dst[:at], plain) || s.Used() != len(packed)-13 {
				t.Errorf("%s %s: %d of %d bytes, mark %v, used %d of %d: %v", name, options, at, len(plain), marker, s.Used(), len(packed)-13, err)
			}
			// With the size known: the mark is found by Finish.
			s.Reset(packed[0], packed[13:])
			at, _, err = s.Decode(dst, 0, len(plain))
			if err != nil || !s.Finish(at) || s.Used() != len(packed)-13 {
				t.Errorf("%s %s: not finished at %d, used %d: %v", name, options, at, s.Used(), err)
			}
		}
	}
}

// TestNoMark decodes LZMA without an end mark, of known size.
func TestNoMark(t *testing.T) {
	for name, plain := range samples() {
		var buf bytes.Buffer
		w, err := ulzma.WriterConfig{Size: int64(len(plain)), SizeInHeader: true}.NewWriter(&buf)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(plain)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		packed := append(buf.Bytes(), "behind"...)
		var s Stream
		s.Reset(packed[0], packed[13:])
		dst := make([]byte, len(plain)+1)
		at, marker, err := s.Decode(dst, 0, len(plain))
		if err != nil || marker || !s.Finish(at) || !bytes.Equal(dst[:at], plain) || s.Used() != len(packed)-13-6 {
			t.Errorf("%s: %d of %d bytes, used %d of %d, %v", name, at, len(plain), s.Used(), len(packed)-13-6, err)
		}
	}
}

func TestLZMA2(t *testing.T) {
	for name, plain := range samples() {
		for _, options := range []string{"preset=6", "preset=0", "lc=3,lp=1,pb=0", "dict=4KiB", "preset=9e"} {
			packed := append(pack(t, plain, "--format=raw", "--suffix=.xz", "--lzma2="+options), "behind"...)
			dst := make([]byte, len(plain))
			var d Decoder2
			n, used, err := d.Decode(dst, packed)
			if err != nil || used != len(packed)-6 || !bytes.Equal(dst[:n], plain) {
				t.Errorf("%s %s: %d of %d bytes, used %d of %d: %v", name, options, n, len(plain), used, len(packed)-6, err)
			}
			for _, cut := range []int{0, used / 3, used / 2, used - 1} {
				if cut == used {
					continue
				}
				if n, _, err := d.Decode(dst, packed[:cut]); err == nil || !bytes.Equal(dst[:n], plain[:n]) {
					t.Errorf("%s %s cut at %d: %d bytes, %v", name, options, cut, n, err)
				}
			}
		}
	}
}

func FuzzStream(f *testing.F) {
	f.Add(byte(0x5d), []byte("\x00\x30\x98\x88\x98\x46\x7e\x1e\xb2\xff\xfa\x1c\x80\x00"))
	f.Fuzz(func(t *testing.T, props byte, src []byte) {
		var s Stream
		if s.Reset(props, src) != nil {
			return
		}
		dst := make([]byte, 5000)
		at, marker, err := s.Decode(dst, 0, 999)
		if !marker && err == nil {
			at, marker, err = s.Decode(dst, at, 4999)
		}
		if s.Used() > len(src) && err == nil {
			t.Fatal("read too far")
		}
		// What we accept, a decoder by others accepts with the same result.
		if marker && err == nil {
			head := binary.LittleEndian.AppendUint64([]byte{props, 0, 0, 1, 0}, 1<<64-1)
			r, err := ulzma.NewReader(io.MultiReader(bytes.NewReader(head), bytes.NewReader(src)))
			if err != nil {
				return
			}
			want, err := io.ReadAll(r)
			if err == nil && !bytes.Equal(want, dst[:at]) {
				t.Fatalf("%x differs from %x", dst[:at], want)
			}
		}
	})
}

func FuzzDecoder2(f *testing.F) {
	f.Add([]byte("\x01\x00\x02abc\x00"))
	f.Add([]byte("\xe0\x00\x02\x00\x06\x5d\x00\x30\x98\x88\x98\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, src []byte) {
		dst := make([]byte, 5000)
		var d Decoder2
		if n, used, _ := d.Decode(dst, src); n > len(dst) || used > len(src) {
			t.Fatal(n, used)
		}
	})
}

// BenchmarkXZ compares decoders of the same xz stream.
func BenchmarkXZ(b *testing.B) {
	var plain []byte
	for _, name := range []string{"/bin/bash", "/usr/bin/perl", "/usr/bin/openssl"} {
		part, _ := os.ReadFile(name)
		plain = append(plain, part...)
	}
	raw := pack(b, plain, "--format=raw", "--suffix=.xz", "--lzma2=preset=6")
	whole := pack(b, plain)
	b.Run("own", func(b *testing.B) {
		b.SetBytes(int64(len(plain)))
		dst := make([]byte, len(plain))
		var d Decoder2
		for b.Loop() {
			if _, _, err := d.Decode(dst, raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("therootcompany", func(b *testing.B) {
		b.SetBytes(int64(len(plain)))
		for b.Loop() {
			r, err := xz.NewReader(bytes.NewReader(whole), 0)
			if err != nil {
				b.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, r); err != nil || n != int64(len(plain)) {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("ulikunitz", func(b *testing.B) {
		b.SetBytes(int64(len(plain)))
		for b.Loop() {
			r, err := ulzma.Reader2Config{DictCap: 8 << 20}.NewReader2(bytes.NewReader(raw))
			if err != nil {
				b.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, r); err != nil || n != int64(len(plain)) {
				b.Fatal(n, err)
			}
		}
	})
}
