package unpack_test

import (
	"bytes"
	"sync"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

func TestDecompressBlock(t *testing.T) {
	plain := unpacktest.MixedBytes(200_000)
	for _, method := range []string{"zlib", "deflate", "lzma", "xz", "lz4", "zstd"} {
		t.Run(method, func(t *testing.T) {
			packed := unpacktest.PackBlock(t, method, plain)
			var wait sync.WaitGroup
			for range 4 {
				wait.Go(func() {
					for _, room := range []int{len(plain), len(plain) + 100} {
						dst := make([]byte, room)
						if n, err := unpack.Decompress(method, packed, dst); err != nil || !bytes.Equal(dst[:n], plain) {
							t.Errorf("room %d: %d bytes, %v", room, n, err)
						}
					}
					if n, err := unpack.Decompress(method, packed, make([]byte, len(plain)-1)); err == nil {
						t.Errorf("took %d bytes into too little room without an error", n)
					}
					for _, cut := range []int{0, 1, len(packed) / 2, len(packed) - 1} {
						if n, err := unpack.Decompress(method, packed[:cut], make([]byte, len(plain))); err == nil && (n == len(plain) || n != 0) {
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
	plain := unpacktest.MixedBytes(3000)
	for i, m := range methods {
		if m != "xz" && m != "lzma" && m != "lzo" {
			f.Add(i, unpacktest.PackBlock(f, m, plain))
		}
	}
	f.Fuzz(func(t *testing.T, method int, src []byte) {
		dst := make([]byte, 4096)
		if method < 0 || method >= len(methods) {
			return
		}
		if n, err := unpack.Decompress(methods[method], src, dst); n < 0 || n > len(dst) {
			t.Fatal(n, err)
		}
	})
}
