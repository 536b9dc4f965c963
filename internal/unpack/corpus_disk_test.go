package unpack

import "testing"

// TestSquashfsCorpus opens images of other makers' tools.
func TestSquashfsCorpus(t *testing.T) {
	for _, name := range []string{"gzip", "lz4", "lzma", "lzo", "xz", "zstd"} {
		o := openWith(t, Squashfs, corpusFile(t, "formats/squashfs/"+name+".sqfs"))
		files := 0
		for _, e := range o.Entries {
			if e.Data != nil {
				files++
				if _, err := ReadAll(e.Data, 1<<20); err != nil {
					t.Errorf("%s: %s: %v", name, e.Path, err)
				}
			}
		}
		if files == 0 || o.Size != 4096 {
			t.Errorf("%s: %d files, %d bytes", name, files, o.Size)
		}
	}
}
