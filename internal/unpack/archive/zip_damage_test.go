package archive

import (
	"archive/zip"
	"bytes"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// TestZipChecksum: content that is whole but has the wrong checksum is an error
// for whoever reads all of it.
func TestZipChecksum(t *testing.T) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	f, _ := w.CreateHeader(&zip.FileHeader{Name: "stored"})
	f.Write(bytes.Repeat([]byte("content "), 1000))
	w.Close()
	b := buf.Bytes()
	b[bytes.Index(b, []byte("content "))] = 'C'
	o := unpacktest.OpenBytes(t, Zip, b)
	if _, err := unpack.ReadAll(o.Entries[0].Data, 1<<20); err == nil {
		t.Error("no error")
	}
}
