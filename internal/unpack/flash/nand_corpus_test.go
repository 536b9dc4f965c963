package flash

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// No image of the corpus is a dump with spare areas but for those of YAFFS.
func TestNANDCorpus(t *testing.T) {
	dir := unpacktest.Corpus(t, "formats")
	n := 0
	filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		if info, err := e.Info(); err != nil || info.Size() > 64<<20 {
			return nil
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return nil
		}
		n++
		if o, err := NAND.Open(unpacktest.Input(b)); err == nil {
			t.Errorf("%s: %v", file, o.Info)
		}
		return nil
	})
	t.Logf("%d files", n)
}
