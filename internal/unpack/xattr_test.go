package unpack

import (
	"archive/tar"
	"bytes"
	"sort"
	"testing"
)

// xattrTar makes a tar archive of files with extended attributes.
func xattrTar(t testing.TB, files map[string]map[string]string) []byte {
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
