// Package unpacktest holds what the tests of all readers share: a tree with
// what readers get wrong, summaries to compare trees by, the body of a fuzz
// target, and damage in every form. It is imported by tests only.
package unpacktest

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
)

// Open opens a file of the machine with one reader.
func Open(t testing.TB, r *unpack.Reader, file string) *unpack.Object {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return OpenBytes(t, r, b)
}

// OpenBytes opens bytes with one reader; an error of the object fails the test.
func OpenBytes(t testing.TB, r *unpack.Reader, b []byte) *unpack.Object {
	t.Helper()
	o, err := r.Open(Input(b))
	if err != nil {
		t.Fatalf("%s: %v", r.Name, err)
	}
	if o.Err != nil {
		t.Errorf("%s: %v", r.Name, o.Err)
	}
	return o
}

// Input is a reader's input with the default limits.
func Input(b []byte) *unpack.Input {
	return &unpack.Input{Context: context.Background(), Data: unpack.Slice(b), Whole: true, Budget: unpack.NewBudget(unpack.Limits{})}
}

// Fuzz is the body of every reader's fuzz target: any bytes give an
// object or an error, and what an object offers can be read or fails, without
// panic, within small limits. FuzzPatched is for images too large for it.
func Fuzz(f *testing.F, r *unpack.Reader, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) { tryAll(t, r, unpack.Slice(b), 8<<20, 1<<20) })
}

// tryAll opens an input and reads what it offers, up to so many bytes in all and
// of each file.
func tryAll(t *testing.T, r *unpack.Reader, data unpack.Bytes, all, each int64) {
	in := Input(nil)
	in.Data = data
	in.Budget = unpack.NewBudget(unpack.Limits{Bytes: 32 << 20, Memory: 32 << 20, Files: 5000})
	o, err := r.Open(in)
	if err != nil {
		return
	}
	if o.Size < 0 || o.Size > data.Size() {
		t.Fatalf("claims %d of %d bytes", o.Size, data.Size())
	}
	tree := unpack.NewTree(o.Entries)
	read := int64(0)
	for _, p := range tree.Paths() {
		tree.Resolve(p)
		if e := tree.Entry(p); e.Data != nil && read < all {
			read += int64(len(unpack.ReadSome(e.Data, 0, each)))
			unpack.ReadSome(e.Data, max(0, e.Data.Size()-512), 512)
		}
	}
	for _, p := range o.Parts {
		if p.Data != nil {
			unpack.ReadSome(p.Data, 0, each)
		}
	}
}

// Corpus is a file of the development data that lies beside the checkout, or in
// the folder that DOORWARD_CORPUS names; without it the test is skipped.
func Corpus(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("DOORWARD_CORPUS")
	if dir == "" {
		dir = filepath.Join(module(t), "..", "shared", "corpus")
	}
	file := filepath.Join(dir, name)
	if _, err := os.Stat(file); err != nil {
		t.Skipf("no corpus: %v", err)
	}
	return file
}

// module is the folder of go.mod.
func module(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("the tests run outside of a module")
	return ""
}

// OpenWithKeys opens bytes with one reader and with keys, each the content of a
// key file.
func OpenWithKeys(t testing.TB, r *unpack.Reader, b []byte, files ...string) *unpack.Object {
	t.Helper()
	in := Input(b)
	for _, f := range files {
		k, err := unpack.NewKey([]byte(f))
		if err != nil {
			t.Fatal(err)
		}
		in.Budget.Keys = append(in.Budget.Keys, k)
	}
	o, err := r.Open(in)
	if err != nil {
		t.Fatalf("%s: %v", r.Name, err)
	}
	return o
}
