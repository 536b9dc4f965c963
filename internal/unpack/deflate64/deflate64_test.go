package deflate64

import (
	"archive/zip"
	"bytes"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
)

// packed is what 7z makes of content: raw Deflate64, out of a zip archive.
func packed(t testing.TB, content []byte, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), content, 0o644); err != nil {
		t.Fatal(err)
	}
	testtool.Run(t, dir, "7z", append(args, "a", "-tzip", "-mm=Deflate64", "a.zip", "f")...)
	r, err := zip.OpenReader(filepath.Join(dir, "a.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := r.File[0].OpenRaw()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(raw)
	if err != nil {
		t.Fatal(err)
	}
	if r.File[0].Method != 9 {
		return nil // stored: it did not get smaller
	}
	return b
}

func contents() [][]byte {
	rnd := rand.New(rand.NewSource(3))
	noise := make([]byte, 300_000)
	rnd.Read(noise)
	text := make([]byte, 400_000)
	for i := range text {
		text[i] = "abcdefgh\n"[rnd.Intn(9)]
	}
	far := append(append(bytes.Clone(noise[:60_000]), text[:2000]...), noise[:60_000]...)
	return [][]byte{[]byte("short, short, short, short, short, short"), bytes.Repeat([]byte("x"), 1_000_000), noise, text, far}
}

func TestDecode(t *testing.T) {
	testtool.Need(t, "7z")
	for i, want := range contents() {
		for _, level := range []string{"-mx=1", "-mx=9"} {
			src := packed(t, want, level)
			if src == nil && i == 2 {
				continue
			}
			got := make([]byte, len(want))
			n, used, err := Decode(got, append(bytes.Clone(src), "more"...))
			if err != nil || n != len(want) || used != len(src) || !bytes.Equal(got, want) {
				t.Errorf("%d %s: %d of %d bytes, %d of %d read: %v", i, level, n, len(want), used, len(src), err)
			}
			for _, cut := range []int{1, len(src) / 2, len(src) - 1} {
				if _, _, err := Decode(got, src[:cut]); err == nil {
					t.Errorf("%d: no error when cut at %d", i, cut)
				}
			}
			if _, _, err := Decode(got[:len(got)-1], src); err == nil {
				t.Error("no error without room")
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(packed(f, []byte("some text, some text, some text")))
	f.Add([]byte{0x4b, 0x04, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		n, used, err := Decode(make([]byte, 1<<16), b)
		if n > 1<<16 || used > len(b) || err == nil && used == 0 {
			t.Fatal(n, used, err)
		}
	})
}
