package stream

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

func mixed(n int) []byte {
	rnd := rand.New(rand.NewSource(int64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefgh\n"[rnd.Intn(9)]
		if i > n/2 && i < n/2+n/8 {
			b[i] = byte(rnd.Intn(256))
		}
	}
	return b
}

func tool(t testing.TB, content []byte, ext, name string, args ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "f")
	os.WriteFile(file, content, 0o644)
	testtool.Run(t, "", name, append(args, file)...)
	b, err := os.ReadFile(file + ext)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func content(t testing.TB, o *unpack.Object) []byte {
	t.Helper()
	b, err := unpack.ReadAll(o.Parts[0].Data, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCompress(t *testing.T) {
	testtool.Need(t, "compress")
	for bits := 10; bits <= 16; bits++ { // compress itself can not read what it writes with 9
		for _, n := range []int{1, 700, 5000, 400_000} {
			want := mixed(n)
			o := unpacktest.OpenBytes(t, Compress, tool(t, want, ".Z", "compress", "-f", fmt.Sprint("-b", bits)))
			if !bytes.Equal(content(t, o), want) {
				t.Errorf("%d bits, %d bytes differ", bits, n)
			}
		}
	}
}

func TestLzip(t *testing.T) {
	testtool.Need(t, "lzip")
	want := mixed(300_000)
	for _, args := range [][]string{{"-0"}, {"-9"}, {"-b", "100000"}} {
		b := tool(t, want, ".lz", "lzip", args...)
		o := unpacktest.OpenBytes(t, Lzip, append(bytes.Clone(b), "behind"...))
		if !bytes.Equal(content(t, o), want) || o.Size != int64(len(b)) {
			t.Errorf("%v: %d of %d bytes", args, o.Size, len(b))
		}
	}
	unpacktest.Damage(t, Lzip, tool(t, mixed(5000), ".lz", "lzip"), unpacktest.Damaged{Rounds: 300})
}

func FuzzLzip(f *testing.F) { unpacktest.Fuzz(f, Lzip, tool(f, mixed(500), ".lz", "lzip")) }
func FuzzCompress(f *testing.F) {
	unpacktest.Fuzz(f, Compress, tool(f, mixed(5000), ".Z", "compress", "-f", "-b12"))
}
