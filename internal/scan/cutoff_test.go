package scan

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestCutOff breaks a package off in the middle of its content: what is there
// is opened, what is missing is unread, and the product counts as read in part.
func TestCutOff(t *testing.T) {
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	for i := range 10 {
		body := append([]byte("root::0:0:root:/root:/bin/sh\n"), bytes.Repeat(fmt.Appendf(nil, "line of file %d\n", i), 3000)...)
		if i == 0 {
			body = body[:29]
		}
		name := fmt.Sprintf("usr/lib/file%d", i)
		if i == 0 {
			name = "etc/passwd"
		}
		w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(body)), Typeflag: tar.TypeReg})
		w.Write(body)
	}
	w.Close()
	deb := []byte("!<arch>\n")
	for _, m := range []struct {
		name string
		data []byte
	}{{"debian-binary", []byte("2.0\n")}, {"data.tar", content.Bytes()}} {
		deb = append(deb, fmt.Sprintf("%-16s%-12d%-6d%-6d%-8s%-10d`\n", m.name, 0, 0, 0, "100644", len(m.data))...)
		deb = append(deb, m.data...)
	}
	file := filepath.Join(t.TempDir(), "cut.deb")
	if err := os.WriteFile(file, deb[:len(deb)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Report(t.Context(), file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Summary.Doors == 0 {
		t.Error("what is there was not opened: the login without a password is not found")
	}
	if missing := int64(len(deb) - len(deb)/2); r.Summary.UnreadBytes < missing {
		t.Errorf("%d bytes are missing, %d are unread", missing, r.Summary.UnreadBytes)
	}
	if !Partly(r, false) || r.Summary.ReadBytes < 100_000 {
		t.Errorf("read in part: %v, %d bytes read", Partly(r, false), r.Summary.ReadBytes)
	}
}
