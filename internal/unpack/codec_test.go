package unpack

import (
	"bytes"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// mixedBytes has text, runs, repeats at a distance and noise.
func mixedBytes(n int) []byte {
	rnd := rand.New(rand.NewSource(3))
	var b []byte
	for len(b) < n {
		switch rnd.Intn(4) {
		case 0:
			b = append(b, bytes.Repeat([]byte{byte(rnd.Intn(3))}, rnd.Intn(5000))...)
		case 1:
			noise := make([]byte, rnd.Intn(3000))
			rnd.Read(noise)
			b = append(b, noise...)
		case 2:
			if len(b) > 0 {
				at := rnd.Intn(len(b))
				b = append(b, b[at:min(len(b), at+rnd.Intn(4000))]...)
			}
		default:
			b = append(b, bytes.Repeat([]byte("the quick brown fox "), rnd.Intn(60))...)
		}
	}
	return b[:n]
}

func packBlock(t testing.TB, method string, plain []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	write := func(w io.WriteCloser, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		w.Write(plain)
		w.Close()
		return buf.Bytes()
	}
	switch method {
	case "zlib":
		return write(zlib.NewWriter(&buf), nil)
	case "deflate":
		w, err := flate.NewWriter(&buf, 9)
		return write(w, err)
	case "zstd":
		w, err := zstd.NewWriter(&buf)
		return write(w, err)
	case "lz4":
		out := make([]byte, lz4.CompressBlockBound(len(plain)))
		n, err := lz4.CompressBlock(plain, out, nil)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		return out[:n]
	}
	name := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(name, plain, 0o600); err != nil {
		t.Fatal(err)
	}
	switch method {
	case "xz":
		testtool.Run(t, ".", "xz", "-k", "--check=crc32", name)
	case "lzma":
		testtool.Run(t, ".", "xz", "-k", "--format=lzma", name)
	}
	b, err := os.ReadFile(name + "." + method)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecompressBlock(t *testing.T) {
	plain := mixedBytes(200_000)
	for _, method := range []string{"zlib", "deflate", "lzma", "xz", "lz4", "zstd"} {
		t.Run(method, func(t *testing.T) {
			packed := packBlock(t, method, plain)
			var wait sync.WaitGroup
			for range 4 {
				wait.Go(func() {
					for _, room := range []int{len(plain), len(plain) + 100} {
						dst := make([]byte, room)
						if n, err := Decompress(method, packed, dst); err != nil || !bytes.Equal(dst[:n], plain) {
							t.Errorf("room %d: %d bytes, %v", room, n, err)
						}
					}
					if n, err := Decompress(method, packed, make([]byte, len(plain)-1)); err == nil {
						t.Errorf("took %d bytes into too little room without an error", n)
					}
					for _, cut := range []int{0, 1, len(packed) / 2, len(packed) - 1} {
						if n, err := Decompress(method, packed[:cut], make([]byte, len(plain))); err == nil && (n == len(plain) || n != 0) {
							t.Errorf("cut at %d: %d bytes without an error", cut, n)
						}
					}
				})
			}
			wait.Wait()
		})
	}
}

func FuzzDecompressBlock(f *testing.F) {
	methods := []string{"zlib", "deflate", "lzma", "xz", "lzo", "lz4", "zstd"}
	plain := mixedBytes(3000)
	for i, m := range methods {
		if m != "xz" && m != "lzma" && m != "lzo" {
			f.Add(i, packBlock(f, m, plain))
		}
	}
	f.Fuzz(func(t *testing.T, method int, src []byte) {
		dst := make([]byte, 4096)
		if method < 0 || method >= len(methods) {
			return
		}
		if n, err := Decompress(methods[method], src, dst); n < 0 || n > len(dst) {
			t.Fatal(n, err)
		}
	})
}
