package archive

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

func TestZipWithKey(t *testing.T) {
	dir := sealedTree(t)
	for name, args := range map[string][]string{
		"zip": {"zip", "-q", "-r", "-y", "-P", "pass word", "OUT", "."}, "zip stored": {"zip", "-q", "-0", "-r", "-y", "-P", "pass word", "OUT", "."},
		"7z old":  {"7z", "a", "-tzip", "-mem=ZipCrypto", "-ppass word", "OUT", "."},
		"aes 128": {"7z", "a", "-tzip", "-mem=AES128", "-ppass word", "OUT", "."}, "aes 192": {"7z", "a", "-tzip", "-mem=AES192", "-ppass word", "OUT", "."},
		"aes 256": {"7z", "a", "-tzip", "-mem=AES256", "-mm=bzip2", "-ppass word", "OUT", "."}, "aes stored": {"7z", "a", "-tzip", "-mem=AES256", "-mx0", "-ppass word", "OUT", "."},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "a.zip")
			for i := range args {
				if args[i] == "OUT" {
					args[i] = out
				}
			}
			testtool.Run(t, dir, args[0], args[1:]...)
			b, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			tree := unpack.NewTree(unpacktest.OpenWithKeys(t, Zip, b, "wrong\n", "pass word\n").Entries)
			checked := 0
			for _, p := range tree.Paths() {
				e := tree.Entry(p)
				if e.Data == nil || !e.Mode.IsRegular() {
					continue
				}
				file, err := os.ReadFile(filepath.Join(dir, p))
				content, bad := unpack.ReadAll(e.Data, 1<<30)
				if err != nil || bad != nil || e.Err != nil || !bytes.Equal(file, content) {
					t.Errorf("%s: %v %v %v, %d bytes of %d", p, err, bad, e.Err, len(content), len(file))
				}
				if n := e.Data.Size(); n > 40 { // any place reads the same
					if got := unpack.ReadSome(e.Data, n/2+1, 33); !bytes.HasPrefix(content[n/2+1:], got) {
						t.Errorf("%s differs inside", p)
					}
				}
				checked++
			}
			if checked < 5 {
				t.Errorf("%d files", checked)
			}
			for _, keys := range [][]string{nil, {"pass  word"}, {"wrong", "0123"}} {
				sealed := 0
				for _, e := range unpacktest.OpenWithKeys(t, Zip, b, keys...).Entries {
					if errors.Is(e.Err, unpack.ErrEncrypted) {
						sealed++
					}
				}
				if sealed < checked {
					t.Errorf("keys %q: %d of %d files are encrypted", keys, sealed, checked)
				}
			}
		})
	}
}

// sealedTree is a folder of regular files: 7z waits for ever on others.
func sealedTree(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range map[string][]byte{
		"a.txt": []byte("a short text\n"), "mixed": unpacktest.MixedBytes(300 << 10), "noise": unpacktest.Noise(1, 70001), "zeros": make([]byte, 100000),
		"one": []byte("1"), "sixteen": []byte("0123456789abcdef"),
	} {
		unpacktest.WriteFile(t, dir, name, b)
	}
	return dir
}
