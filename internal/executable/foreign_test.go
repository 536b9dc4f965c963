package executable

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// sample reads a file of the Go distribution's own tests, or skips.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(runtime.GOROOT(), "src", "debug", filepath.FromSlash(name)))
	if err != nil {
		t.Skip("the Go distribution has no sources here")
	}
	if strings.HasSuffix(name, ".base64") {
		if b, err = base64.StdEncoding.DecodeString(string(b)); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func TestForeignPrograms(t *testing.T) {
	for _, c := range []struct {
		file, format, arch string
		bits               int
		kind               Kind
		needed, imports    string
	}{
		{"pe/testdata/gcc-amd64-mingw-exec", "pe", "amd64", 64, Program, "KERNEL32.dll", "VirtualProtect"},
		{"pe/testdata/gcc-386-mingw-exec", "pe", "386", 32, Program, "msvcrt.dll", "vfprintf"},
		{"pe/testdata/gcc-386-mingw-obj", "pe", "386", 32, Object, "", ""},
		{"macho/testdata/gcc-amd64-darwin-exec.base64", "macho", "amd64", 64, Program, "/usr/lib/libSystem.B.dylib", "puts"},
		{"macho/testdata/fat-gcc-386-amd64-darwin-exec.base64", "macho", "386", 32, Program, "/usr/lib/libSystem.B.dylib", "puts"},
		{"elf/testdata/gcc-386-freebsd-exec", "elf", "386", 32, Program, "libc.so.6", "printf"},
		{"elf/testdata/go-relocation-test-gcc540-mips.obj", "elf", "mips", 32, Object, "", ""},
	} {
		b := sample(t, c.file)
		i, err := Parse(b)
		if i == nil && strings.HasSuffix(c.file, "mingw-obj") {
			continue // COFF objects have no magic of their own
		}
		if err != nil || i.Format != c.format || i.Arch != c.arch || i.Bits != c.bits || i.Kind != c.kind {
			t.Errorf("%s: %v %+v", c.file, err, i)
			continue
		}
		if c.needed != "" && !slices.Contains(i.Needed, c.needed) || c.imports != "" && !i.Imports(c.imports) {
			t.Errorf("%s: needed %v, imports %v", c.file, i.Needed, i.Imported)
		}
		if i.Kind == Program && len(i.Segments) == 0 {
			t.Errorf("%s: nothing is loaded", c.file)
		}
	}
}
