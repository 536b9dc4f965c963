package scan

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
)

// zeros packs n zero bytes.
func zeros(t *testing.T, n int64) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.CopyN(w, zeroReader{}, n); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.Bytes()
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func gz(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// zipped packs the same bytes n times over.
func zipped(t *testing.T, n int, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := range n {
		f, err := w.Create(fmt.Sprintf("file-%d", i))
		if err != nil {
			t.Fatal(err)
		}
		f.Write(content)
	}
	w.Close()
	return b.Bytes()
}

func oddTar() []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Name: "../../../../etc/cron.d/x", Size: 4, Mode: 0o644},
		{Name: "/absolute", Size: 4, Mode: 0o644},
		{Name: "link", Linkname: "/etc", Typeflag: tar.TypeSymlink},
		{Name: "link/passwd", Size: 4, Mode: 0o644},
		{Name: "loop", Linkname: "loop", Typeflag: tar.TypeSymlink},
		{Name: "a\x1b[31mred\n", Size: 4, Mode: 0o4777},
		{Name: strings.Repeat("d/", 2000) + "deep", Size: 4, Mode: 0o644},
	} {
		w.WriteHeader(&h)
		if h.Size > 0 {
			w.Write([]byte("evil"))
		}
	}
	w.Close()
	return b.Bytes()
}

func inspectLimited(t *testing.T, image []byte, limits unpack.Limits) *doorward.Report {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image.bin")
	if err := os.WriteFile(file, image, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Minute)
	defer stop()
	opt := Options{NoTimes: true, Limits: limits}
	p, closer, err := Open(ctx, file, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer closer()
	r, err := Inspect(ctx, p, opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestHostileInputsEndInAReport feeds what is made to hurt. Each ends in a
// report that says what was not read.
func TestHostileInputsEndInAReport(t *testing.T) {
	nested := []byte("core")
	for range 200 {
		nested = gz(nested)
	}
	bomb := zipped(t, 40, bytes.Repeat([]byte{0}, 1<<20))
	for range 3 {
		bomb = zipped(t, 40, bomb)
	}
	for _, c := range []struct {
		name   string
		image  []byte
		limits unpack.Limits
		unread string // a reason that must stand among the unread parts
	}{
		{"gzip of zeros, over the memory", zeros(t, 200<<20), unpack.Limits{Memory: 32 << 20}, "limit"},
		{"gzip of zeros, over the ratio", zeros(t, 200<<20), unpack.Limits{Ratio: 100}, "limit"},
		{"200 gzips within each other", nested, unpack.Limits{}, "limit"},
		{"zips of zips of one file", bomb, unpack.Limits{Bytes: 1 << 30}, ""},
		{"more bytes than allowed", zipped(t, 50, bytes.Repeat([]byte("0123456789"), 100_000)), unpack.Limits{Bytes: 10 << 20}, "limit"},
		{"more files than allowed", zipped(t, 2000, []byte("x")), unpack.Limits{Files: 1000}, "limit"},
		{"no time", zipped(t, 50, bytes.Repeat([]byte("0123456789"), 100_000)), unpack.Limits{Time: time.Nanosecond}, "limit"},
		{"odd names in a tar", oddTar(), unpack.Limits{}, ""},
		{"cut zip", zipped(t, 5, bytes.Repeat([]byte("text "), 5000))[:200], unpack.Limits{}, "*"},
		{"nothing", nil, unpack.Limits{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := inspectLimited(t, c.image, c.limits)
			found := c.unread == "" || slices.ContainsFunc(r.Unread, func(u doorward.Unread) bool { return c.unread == "*" || u.Reason == c.unread })
			if !found {
				t.Errorf("%q does not stand among what was unread: %+v", c.unread, r.Unread)
			}
			for _, d := range r.Tool.Detectors {
				if d.Status != "ran" {
					t.Errorf("%s: %s %s", d.Name, d.Status, d.Error)
				}
			}
		})
	}
}

// TestCutImage cuts a squashfs image everywhere: there is always a report.
func TestCutImage(t *testing.T) {
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	if err := os.MkdirAll(filepath.Join(tree, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 20_000)
	rand.New(rand.NewSource(3)).Read(noise)
	if err := os.WriteFile(filepath.Join(tree, "etc/noise"), noise, 0o600); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(dir, "image")
	testtool.Run(t, dir, "mksquashfs", tree, image, "-noappend", "-no-progress", "-comp", "xz")
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut < len(b)-4096; cut += 1 + len(b)/15 {
		r := inspectLimited(t, b[:cut], unpack.Limits{})
		if cut > 200 && len(r.Unread) == 0 {
			t.Errorf("cut at %d: nothing is said to be unread", cut)
		}
	}
}
