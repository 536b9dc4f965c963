package disk

import (
	"crypto/sha256"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
)

// noise is random bytes that are the same every time.
func noise(seed int64, n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(seed)).Read(b)
	return b
}

// tempFile writes bytes to a file of their own.
func tempFile(t testing.TB, b []byte) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "img")
	if err := os.WriteFile(f, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return f
}

// edit runs a tool that changes an image in place; IMG among the arguments is
// the image.
func edit(t testing.TB, b []byte, tool string, args ...string) []byte {
	t.Helper()
	f := tempFile(t, b)
	all := make([]string, len(args))
	for i, a := range args {
		if all[i] = a; a == "IMG" {
			all[i] = f
		}
	}
	testtool.Run(t, "", tool, all...)
	b, err := os.ReadFile(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// part is the named part of an object.
func part(t testing.TB, o *unpack.Object, name string) unpack.Part {
	t.Helper()
	for _, p := range o.Parts {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no part %q in %v", name, partNames(o))
	return unpack.Part{}
}

func partNames(o *unpack.Object) (names []string) {
	for _, p := range o.Parts {
		names = append(names, p.Name)
	}
	return names
}

func sumOf(t testing.TB, b unpack.Bytes) string {
	t.Helper()
	h := sha256.New()
	if err := unpack.Chunks(b, 0, b.Size(), func(p []byte) { h.Write(p) }); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func sumOfBytes(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }
