package unpacktest

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"syscall"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
)

// Summary is a line a file: type, permissions, owner, and the SHA-256 of the
// content or the link's target. What a format can't hold is cut by drop.
type Summary map[string]string

// SummaryOfFolder describes a folder of this machine.
func SummaryOfFolder(t testing.TB, dir string) Summary {
	t.Helper()
	s := Summary{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		if rel == "." {
			return nil
		}
		fi, err := os.Lstat(p)
		if err != nil {
			return err
		}
		st := fi.Sys().(*syscall.Stat_t)
		content := ""
		switch {
		case fi.Mode().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			content = fmt.Sprintf("%d %x", len(b), sha256.Sum256(b))
		case fi.Mode()&fs.ModeSymlink != 0:
			content, _ = os.Readlink(p)
		case fi.Mode()&fs.ModeDevice != 0:
			content = fmt.Sprintf("%d,%d", st.Rdev>>8&0xfff, st.Rdev&0xff)
		}
		s[rel] = fmt.Sprintf("%v %d:%d %s", shownMode(fi.Mode()), st.Uid, st.Gid, content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shownMode leaves out the permissions of links, which no format agrees on.
func shownMode(m fs.FileMode) fs.FileMode {
	if m&fs.ModeSymlink != 0 {
		return fs.ModeSymlink
	}
	return m
}

// SummaryOfObject describes the entries of an opened object.
func SummaryOfObject(t testing.TB, o *unpack.Object) Summary {
	t.Helper()
	tree := unpack.NewTree(o.Entries)
	s := Summary{}
	for _, p := range tree.Paths() {
		e := tree.Entry(p)
		if p == "." {
			continue
		}
		content := ""
		switch {
		case e.Err != nil:
			content = "error: " + e.Err.Error()
		case e.Mode.IsRegular():
			var b []byte
			if e.Data != nil {
				var err error
				if b, err = unpack.ReadAll(e.Data, 1<<30); err != nil {
					t.Errorf("%s: %v", p, err)
				}
			}
			content = fmt.Sprintf("%d %x", len(b), sha256.Sum256(b))
		case e.Mode&fs.ModeSymlink != 0:
			content = e.Link
		case e.Mode&fs.ModeDevice != 0:
			content = fmt.Sprintf("%d,%d", e.Major, e.Minor)
		}
		s[p] = fmt.Sprintf("%v %d:%d %s", shownMode(e.Mode), e.UID, e.GID, content)
	}
	return s
}

// SameSummary fails the test with the differing lines, of both sides.
func SameSummary(t testing.TB, want, got Summary) {
	t.Helper()
	var names []string
	for p := range want {
		names = append(names, p)
	}
	for p := range got {
		if _, ok := want[p]; !ok {
			names = append(names, p)
		}
	}
	sort.Strings(names)
	bad := 0
	for _, p := range names {
		if want[p] != got[p] && bad < 20 {
			bad++
			t.Errorf("%q\nwant %s\ngot  %s", p, want[p], got[p])
		}
	}
}
