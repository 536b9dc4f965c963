package ppmd

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// packed is a stream of 7z, what lies between the archive's two headers, and its
// parameters, which the second one has.
func packed(t testing.TB, plain []byte, method string) (src []byte, order int, memory uint32) {
	t.Helper()
	b := unpacktest.PackWith(t, plain, "a.7z", "7z", "a", "-bd", "-y", "-mhc=off", "-m0="+method, "a.7z", "plain")
	src = b[32 : 32+binary.LittleEndian.Uint64(b[12:])]
	_, props, found := bytes.Cut(b[32+len(src):], []byte("\x23\x03\x04\x01\x05"))
	if !found {
		t.Fatal("no parameters")
	}
	return src, int(props[0]), binary.LittleEndian.Uint32(props[1:])
}

// TestAgainst7z decodes noise, text and programs with little memory, so that
// the model runs out of it and starts anew, and with much.
func TestAgainst7z(t *testing.T) {
	testtool.Need(t, "7z")
	tool, err := os.ReadFile(filepath.Join("/bin", "ls"))
	if err != nil {
		t.Fatal(err)
	}
	for name, plain := range map[string][]byte{"mixed": unpacktest.MixedBytes(700_000), "program": tool, "noise": unpacktest.Noise(4, 200_000)} {
		for _, method := range []string{"PPMd:o=2:mem=64k", "PPMd:o=6:mem=64k", "PPMd:o=32:mem=192k", "PPMd:o=32:mem=16m"} {
			src, order, memory := packed(t, plain, method)
			dst := make([]byte, len(plain))
			if n, err := Decode7z(dst, src, order, memory); err != nil || string(dst) != string(plain) {
				t.Errorf("%s, %s: %d of %d bytes: %v", name, method, n, len(plain), err)
			}
		}
	}
}

// FuzzDecode7z decodes any bytes, with little memory: no panic.
func FuzzDecode7z(f *testing.F) {
	f.Add(append([]byte{0}, unpacktest.Noise(1, 4000)...), byte(6))
	f.Fuzz(func(t *testing.T, src []byte, order byte) {
		Decode7z(make([]byte, 200_000), src, int(order), MinMemory+uint32(order)*64)
	})
}
