package testtool

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Deb returns the path of a Debian package's file, fetched once and kept in the
// user's cache folder. It is for reading: nothing of it is ever run. Without
// apt-get or a mirror the test is skipped, or fails if DOORWARD_NEED_TOOLS is
// set, as with Need.
func Deb(t testing.TB, name string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "doorward-tests", "debs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if file := cachedDeb(dir, name); file != "" {
		return file
	}
	fetch, err := os.MkdirTemp(dir, ".fetch-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(fetch)
	if out, err := download(fetch, name); err != nil {
		if os.Getenv("DOORWARD_NEED_TOOLS") != "" {
			t.Fatalf("the Debian package %s could not be fetched: %v\n%s", name, err, out)
		}
		t.Skipf("the Debian package %s could not be fetched (apt-get update may be needed)", name)
	}
	got := cachedDeb(fetch, name)
	file := filepath.Join(dir, filepath.Base(got))
	if err := os.Rename(got, file); err != nil {
		t.Fatal(err)
	}
	return file
}

func cachedDeb(dir, name string) string {
	name, _, _ = strings.Cut(name, ":")
	found, _ := filepath.Glob(filepath.Join(dir, name+"_*.deb"))
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

// download fetches a package, and once more if the mirror had a bad moment.
// apt's own sandbox user may not write to dir, so root stays root.
func download(dir, name string) (string, error) {
	var out []byte
	var err error
	for range 2 {
		cmd := exec.Command("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name)
		cmd.Dir = dir
		if out, err = cmd.CombinedOutput(); err == nil {
			return "", nil
		}
	}
	return string(bytes.TrimSpace(out)), err
}

// DebFile returns the bytes of one file of a Debian package, which is unpacked
// beside it once.
func DebFile(t testing.TB, name, path string) []byte {
	t.Helper()
	deb := Deb(t, name)
	dir := filepath.Join(filepath.Dir(deb), "..", "files", filepath.Base(deb))
	if _, err := os.Stat(dir); err != nil {
		unpackDeb(t, deb, dir)
	}
	b, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// unpackDeb unpacks into a folder of its own first: several tests may do so at
// once.
func unpackDeb(t testing.TB, deb, dir string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".unpack-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	Run(t, tmp, "dpkg-deb", "-x", deb, "tree")
	if err := os.Rename(filepath.Join(tmp, "tree"), dir); err != nil {
		if _, there := os.Stat(dir); there != nil {
			t.Fatal(err)
		}
	}
}
