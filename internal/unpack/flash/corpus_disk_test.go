package flash

import (
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// TestSquashfsCorpus opens images of other makers' tools.
func TestSquashfsCorpus(t *testing.T) {
	for _, name := range []string{"gzip.sqfs", "lz4.sqfs", "lzma.sqfs", "lzo.sqfs", "xz.sqfs", "zstd.sqfs", "avm_be.sqfs4", "avm_le.sqfs4",
		"lzma1_be.sqfs3", "lzma1_le.sqfs3", "lzma_be.sqfs2", "lzma_le.sqfs2", "zlib_be.sqfs3", "zlib_le.sqfs3"} {
		o := unpacktest.Open(t, Squashfs, unpacktest.Corpus(t, "formats/squashfs/"+name))
		files := 0
		for _, e := range o.Entries {
			if e.Data != nil {
				files++
				b, err := unpack.ReadAll(e.Data, 1<<20)
				if err != nil {
					t.Errorf("%s: %s: %v", name, e.Path, err)
				}
				if e.Path == "testfile2" && string(b) != "This is the second test file" {
					t.Errorf("%s: %q", name, b)
				}
			}
		}
		if files != 3 || o.Size != 4096 {
			t.Errorf("%s: %d files, %d bytes", name, files, o.Size)
		}
	}
}
