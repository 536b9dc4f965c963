package stream

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

func TestOpenSSL(t *testing.T) {
	dir := t.TempDir()
	var packed bytes.Buffer
	plain := unpacktest.MixedBytes(100_001)
	text := []byte(strings.Repeat("a line of text\n", 40))
	unpacktest.WriteFile(t, dir, "plain", plain)
	testtool.Run(t, dir, "gzip", "-k", "-n", "plain")
	gz, err := os.ReadFile(filepath.Join(dir, "plain.gz"))
	if err != nil {
		t.Fatal(err)
	}
	packed.Write(gz)
	for _, options := range []string{
		"-aes-256-cbc -md md5", "-aes-256-cbc -md sha256", "-aes-128-cbc -md md5", "-aes-192-cbc -md sha1", "-aes-128-cbc -md sha512",
		"-aes-256-cbc -pbkdf2", "-aes-128-cbc -pbkdf2 -md sha512", "-aes-192-cbc -pbkdf2 -md sha1", "-des-ede3-cbc -md md5", "-des3 -pbkdf2",
		"-aes256 -md sha512", "-aes-128-cbc -md sha256", "-des3 -md sha256", "-aes-256-cbc -md sha1",
	} {
		for name, content := range map[string][]byte{"plain": plain, "gzip": packed.Bytes(), "text": text} {
			t.Run(options+" "+name, func(t *testing.T) {
				unpacktest.WriteFile(t, dir, "in", content)
				testtool.Run(t, dir, "openssl", append(append([]string{"enc"}, strings.Fields(options)...), "-salt", "-pass", "pass:pass word", "-in", "in", "-out", "out")...)
				b, err := os.ReadFile(filepath.Join(dir, "out"))
				if err != nil {
					t.Fatal(err)
				}
				o := unpacktest.OpenWithKeys(t, OpenSSL, b, "wrong", "pass word\n")
				if len(o.Parts) != 1 || !bytes.Equal(unpacktest.PartBytes(t, o.Parts[0]), content) {
					t.Fatalf("%+v", o)
				}
				for _, keys := range [][]string{nil, {"wrong", "pass  word", "0011"}} {
					o := unpacktest.OpenWithKeys(t, OpenSSL, b, keys...)
					if len(o.Parts) != 0 || len(o.Gaps) != 1 || o.Gaps[0].Reason != "encrypted" || strings.Contains(o.Gaps[0].Note, "pass") {
						t.Errorf("%+v", o)
					}
				}
				in := unpacktest.Input(b)
				in.Whole = false
				if _, err := OpenSSL.Open(in); !errors.Is(err, unpack.ErrNotThis) {
					t.Error(err)
				}
			})
		}
	}
}

// However many wrong keys are tried, none gives content.
func TestOpenSSLWrongKeys(t *testing.T) {
	b := append([]byte("Salted__12345678"), unpacktest.Noise(5, 4096)...)
	for i := range 40 {
		o := unpacktest.OpenWithKeys(t, OpenSSL, b, strings.Repeat("k", i+1))
		if len(o.Parts) != 0 {
			t.Errorf("key %d opens noise", i)
		}
	}
}

func FuzzOpenSSL(f *testing.F) {
	unpacktest.Fuzz(f, OpenSSL, append([]byte("Salted__12345678"), make([]byte, 64)...))
}
