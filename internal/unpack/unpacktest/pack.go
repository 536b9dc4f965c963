package unpacktest

import (
	"archive/tar"
	"bytes"
	"compress/flate"
	"compress/zlib"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// MixedBytes has text, runs, repeats at a distance and noise.
func MixedBytes(n int) []byte {
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

// PackBlock packs one block as file systems store it, by another library or an
// official tool.
func PackBlock(t testing.TB, method string, plain []byte) []byte {
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

// PackWith packs bytes, as a file named plain, by a tool that leaves the file out.
func PackWith(t testing.TB, plain []byte, out string, tool string, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plain"), plain, 0o600); err != nil {
		t.Fatal(err)
	}
	testtool.Run(t, dir, tool, args...)
	b, err := os.ReadFile(filepath.Join(dir, out))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Noise is n random bytes, the same for the same seed.
func Noise(seed int64, n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(seed)).Read(b)
	return b
}

// WriteFile writes a file into a folder and returns its path.
func WriteFile(t testing.TB, dir, name string, b []byte) string {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.WriteFile(p, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// PartBytes is the whole content of a part.
func PartBytes(t testing.TB, p unpack.Part) []byte {
	t.Helper()
	b, err := unpack.ReadAll(p.Data, 1<<30)
	if err != nil {
		t.Fatalf("%s: %v", p.Name, err)
	}
	return b
}

// XattrTar is a tar archive of files with the given extended attributes.
func XattrTar(t testing.TB, files map[string]map[string]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	var names []string
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(name)), Typeflag: tar.TypeReg, PAXRecords: map[string]string{}, Format: tar.FormatPAX}
		for k, v := range files[name] {
			h.PAXRecords["SCHILY.xattr."+k] = v
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(name))
	}
	w.Close()
	return buf.Bytes()
}
