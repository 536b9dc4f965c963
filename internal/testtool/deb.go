package testtool

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Deb returns the path of a Debian package's file, fetched once and kept in the
// user's cache folder. It is for reading: nothing of it is ever run. Without
// apt-get or a mirror the test is skipped, or fails if DOORWARD_NEED_TOOLS is
// set, as with Need. NAME:ARCHITECTURE is a package for another machine, which
// this one's package lists need not know.
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
	name, arch, foreign := strings.Cut(name, ":")
	if !foreign {
		arch = ""
	}
	found, _ := filepath.Glob(filepath.Join(dir, name+"_*"+arch+".deb"))
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
		args := []string{"-q", "-o", "APT::Sandbox::User=root"}
		if base, arch, foreign := strings.Cut(name, ":"); foreign {
			more, err := foreignLists(filepath.Join(dir, "..", "..", "lists-"+arch), arch)
			if err != nil {
				return err.Error(), err
			}
			args, name = append(args, more...), base
		}
		cmd := exec.Command("apt-get", append(args, "download", name)...)
		cmd.Dir = dir
		if out, err = cmd.CombinedOutput(); err == nil {
			return "", nil
		}
	}
	return string(bytes.TrimSpace(out)), err
}

// foreignLists are apt's options for another architecture's package lists, which
// are kept in a folder of the cache and fetched once.
func foreignLists(dir, arch string) ([]string, error) {
	options := []string{"-o", "APT::Architecture=" + arch, "-o", "APT::Architectures=" + arch, "-o", "Dir::State=" + dir, "-o", "Dir::State::status=" + filepath.Join(dir, "status"), "-o", "Dir::Cache=" + filepath.Join(dir, "cache")}
	if lists, _ := filepath.Glob(filepath.Join(dir, "lists", "*_Packages*")); len(lists) > 0 {
		return options, nil
	}
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "status"), nil, 0o644); err != nil {
		return nil, err
	}
	out, err := exec.Command("apt-get", append([]string{"-q", "-o", "APT::Sandbox::User=root", "update"}, options...)...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return options, nil
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
