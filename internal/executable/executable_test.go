package executable

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
)

// build compiles a small C program with a cross compiler of Debian's. No libc
// is needed: it is linked against a stub library made on the spot.
func build(t *testing.T, prefix string, extra ...string) []byte {
	t.Helper()
	cc := prefix + "gcc"
	testtool.Need(t, cc)
	dir := t.TempDir()
	write(t, dir, "c.c", `int listen(int a,int b){return a+b;} int socket(int a,int b,int c){return a;} void __stack_chk_fail(void){} void __printf_chk(int a){}`)
	write(t, dir, "hide.map", "{ local: *; };")
	write(t, dir, "p.c", `int listen(int,int); int socket(int,int,int); void __printf_chk(int);
		const char banner[] = "Hidden banner 1.2.3"; int offered(void){return 7;} static int own(int a){return a*3;}
		int go(int a){__printf_chk(a); return listen(socket(a,1,0), own(a));}
		void _start(void){ go((int)(long)banner); for(;;); } void __start(void){ _start(); }`)
	testtool.Run(t, dir, cc, "-shared", "-nostdlib", "-fPIC", "-fno-stack-protector", "-Wl,-soname,libc.so.0", "-o", "libc.so.0", "c.c")
	args := append([]string{"-O1", "-nostdlib", "-fno-stack-protector", "-Wl,--build-id=0x0123456789abcdef0123", "-o", "p", "p.c"}, extra...)
	testtool.Run(t, dir, cc, args...)
	b, err := os.ReadFile(filepath.Join(dir, "p"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

var dynamicArgs = []string{"-fPIE", "-pie", "-Wl,-z,now", "-Wl,-z,relro", "-Wl,-z,noexecstack", "-Wl,--dynamic-linker=/lib/ld-uClibc.so.0", "-Wl,--export-dynamic", "libc.so.0"}

// TestDynamicProgram reads the same program for several architectures, whole,
// and with the section headers gone, which loses nothing that the loader needs.
func TestDynamicProgram(t *testing.T) {
	for _, a := range []struct {
		prefix, arch string
		bits         int
		big          bool
	}{
		{"", "amd64", 64, false},
		{"mips-linux-gnu-", "mips", 32, true},
		{"mipsel-linux-gnu-", "mipsle", 32, false},
		{"arm-linux-gnueabi-", "arm", 32, false},
		{"aarch64-linux-gnu-", "arm64", 64, false},
	} {
		t.Run(a.arch, func(t *testing.T) {
			b := build(t, a.prefix, dynamicArgs...)
			for name, bytes := range map[string][]byte{"whole": b, "without section headers": withoutSections(b)} {
				i, err := Parse(bytes)
				if err != nil {
					t.Fatal(name, err)
				}
				if i.Arch != a.arch || i.Bits != a.bits || i.BigEndian != a.big || i.Kind != Program || i.Static {
					t.Errorf("%s: %s %d big=%v %s static=%v", name, i.Arch, i.Bits, i.BigEndian, i.Kind, i.Static)
				}
				if i.Libc != UClibc || !slices.Equal(i.Needed, []string{"libc.so.0"}) || i.Interpreter != "/lib/ld-uClibc.so.0" {
					t.Errorf("%s: libc %s, needed %v, interpreter %s", name, i.Libc, i.Needed, i.Interpreter)
				}
				if !i.Imports("listen") || !i.Imports("nothing", "socket") || i.Imports("offered") || !i.Exports("offered") || i.Exports("own") {
					t.Errorf("%s: imports %v, exports %v", name, i.Imported, i.Exported)
				}
				if i.BuildID != "0123456789abcdef0123" {
					t.Errorf("%s: build id %s", name, i.BuildID)
				}
				want := Hardening{NX: true, PIE: true, RELRO: "full", Fortify: true}
				if strings.HasPrefix(a.arch, "mips") {
					want.RELRO = i.Hardening.RELRO // Debian's binutils ignore relro for MIPS
				}
				if i.Hardening != want {
					t.Errorf("%s: %v", name, i.Hardening)
				}
				if !hasString(i, bytes, "Hidden banner 1.2.3") {
					t.Errorf("%s: the banner is not among the strings", name)
				}
			}
			i, _ := Parse(b)
			if i.Stripped || !i.Uses("go") || i.Uses("gone") || len(i.Compilers) == 0 || !strings.Contains(i.Compilers[0], "GCC") {
				t.Errorf("stripped=%v defined=%v compilers=%v", i.Stripped, i.Defined, i.Compilers)
			}
			if i, _ := Parse(withoutSections(b)); !i.Stripped || i.Truncated {
				t.Errorf("without section headers: stripped=%v truncated=%v", i.Stripped, i.Truncated)
			}
		})
	}
}

func hasString(i *Info, b []byte, want string) bool {
	for off, s := range i.Strings(b, 6) {
		if at := strings.Index(s, want); at >= 0 {
			return string(b[off+int64(at):][:len(want)]) == want
		}
	}
	return false
}

// withoutSections blanks the section headers and the header's fields for them.
func withoutSections(b []byte) []byte {
	b = bytes.Clone(b)
	f, _ := elf.NewFile(bytes.NewReader(b))
	off, size, fields := uint64(0), uint64(0), []int{}
	if f.Class == elf.ELFCLASS64 {
		off, size, fields = f.ByteOrder.Uint64(b[40:]), 64*uint64(len(f.Sections)), []int{40, 48, 58, 64}
	} else {
		off, size, fields = uint64(f.ByteOrder.Uint32(b[32:])), 40*uint64(len(f.Sections)), []int{32, 36, 46, 52}
	}
	clear(b[off : off+size])
	clear(b[fields[0]:fields[1]])
	clear(b[fields[2]:fields[3]])
	return b
}

// TestNothingExported has a program whose hash table is empty, so that it does
// not tell how many symbols there are.
func TestNothingExported(t *testing.T) {
	for _, prefix := range []string{"", "mipsel-linux-gnu-", "arm-linux-gnueabi-"} {
		b := build(t, prefix, "-fPIE", "-pie", "-Wl,--hash-style=gnu", "-Wl,--version-script=hide.map", "libc.so.0")
		for _, bytes := range [][]byte{b, withoutSections(b)} {
			if i, err := Parse(bytes); err != nil || !i.Imports("listen") || !i.Imports("socket") {
				t.Errorf("%s: %v, imports %v", prefix, err, i.Imported)
			}
		}
	}
}

func TestStaticProgram(t *testing.T) {
	b := build(t, "", "-static", "c.c")
	i, err := Parse(b)
	if err != nil || !i.Static || i.Opaque() || !i.Uses("listen") || i.Imports("listen") || i.Hardening.PIE {
		t.Errorf("%v static=%v opaque=%v defined=%v", err, i.Static, i.Opaque(), i.Defined)
	}
	if i, _ := Parse(withoutSections(b)); !i.Opaque() {
		t.Error("a stripped static program tells what it calls")
	}
}

// TestAgainstStandardLibrary holds what is read of this machine's programs
// against debug/elf, which reads them by their section headers.
func TestAgainstStandardLibrary(t *testing.T) {
	var files []string
	for _, p := range []string{"/usr/bin/*", "/usr/sbin/*", "/usr/lib/*-linux-gnu/*.so.*", "/usr/*-linux-gnu*/lib/*.so.*"} {
		found, _ := filepath.Glob(p)
		files = append(files, found...)
	}
	checked := 0
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil || len(b) > 8<<20 || checked == 150 || !bytes.HasPrefix(b, []byte("\x7fELF")) {
			continue
		}
		f, err := elf.NewFile(bytes.NewReader(b))
		if err != nil {
			continue
		}
		checked++
		i, err := Parse(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		libs, _ := f.ImportedLibraries()
		var imports []string
		symbols, _ := f.DynamicSymbols()
		for _, s := range symbols {
			if s.Section == elf.SHN_UNDEF && elf.ST_BIND(s.Info) != elf.STB_LOCAL && s.Name != "" {
				imports = append(imports, s.Name)
			}
		}
		sort.Strings(imports)
		if imports = slices.Compact(imports); !slices.Equal(i.Imported, imports) || !slices.Equal(i.Needed, libs) {
			t.Errorf("%s: %d imports, want %d; needed %v, want %v", name, len(i.Imported), len(imports), i.Needed, libs)
		}
		if bare, _ := Parse(withoutSections(b)); !slices.Equal(bare.Imported, imports) {
			t.Errorf("%s without section headers: %d imports, want %d", name, len(bare.Imported), len(imports))
		}
	}
	if checked == 0 {
		t.Skip("no ELF files on this machine")
	}
}

func TestGoProgram(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	b, err := os.ReadFile(exe)
	if err != nil {
		t.Skip(err)
	}
	i, err := Parse(b)
	if err != nil || i.Go == nil || i.Go.GoVersion == "" {
		t.Fatalf("%v: no Go build information in a Go program", err)
	}
}

func TestNoProgram(t *testing.T) {
	for _, s := range []string{"", "\x7fELF", "MZ", strings.Repeat("\x00", 100), "#!/bin/sh\n" + strings.Repeat("x", 100), "\xca\xfe\xba\xbe\x00\x00\x00\x34" + strings.Repeat("\x00", 100)} {
		if i, err := Parse([]byte(s)); i != nil || err == nil {
			t.Errorf("%.20q is taken for a program: %+v, %v", s, i, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"/bin/true", "/usr/lib/x86_64-linux-gnu/libdl.so.2"} {
		if b, err := os.ReadFile(name); err == nil && len(b) < 1<<16 {
			f.Add(b)
			f.Add(withoutSections(b))
		}
	}
	for _, name := range []string{"pe/testdata/gcc-386-mingw-exec", "macho/testdata/gcc-386-darwin-exec.base64", "elf/testdata/gcc-386-freebsd-exec", "elf/testdata/go-relocation-test-gcc540-mips.obj"} {
		f.Add(sample(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := Parse(b)
		if i == nil {
			if err == nil {
				t.Fatal("neither facts nor an error")
			}
			return
		}
		for _, s := range i.Segments {
			if s.Offset < 0 || s.Size < 0 || s.Offset+s.Size > int64(len(b)) {
				t.Fatalf("segment outside the file: %+v", s)
			}
		}
		for off, s := range i.Strings(b, 4) {
			if string(b[off:off+int64(len(s))]) != s {
				t.Fatal("a string is not at its offset")
			}
		}
	})
}
