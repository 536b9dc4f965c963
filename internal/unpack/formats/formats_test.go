package formats

import (
	"bytes"
	"os"
	"testing"
)

// TestTable fails if docs/formats.md is not what the readers say of themselves.
func TestTable(t *testing.T) {
	var want bytes.Buffer
	WriteTable(&want)
	got, err := os.ReadFile("../../../docs/formats.md")
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Error("docs/formats.md is not up to date: go generate ./internal/unpack/formats")
	}
}

func TestEveryReaderSaysWhatItIs(t *testing.T) {
	for _, r := range All {
		if r.Name == "" || r.Doc == "" || r.Open == nil {
			t.Errorf("%q has no name, no doc or no Open", r.Name)
		}
		if r.Checked == "" {
			t.Errorf("%s does not say what it was checked against", r.Name)
		}
	}
}
