package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/stream"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

func packTree(t testing.TB, dir, tool string, args ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "packed")
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "OUT", out)
	}
	testtool.Run(t, dir, tool, args...)
	return out
}

// inodes are the paths that share an inode, by the first of them.
func inodes(o *unpack.Object) map[uint64][]string {
	m := map[uint64][]string{}
	for _, e := range o.Entries {
		if e.Inode != 0 && e.Mode.IsRegular() {
			m[e.Inode] = append(m[e.Inode], unpack.CleanPath(e.Path))
		}
	}
	for k, v := range m {
		if len(v) < 2 {
			delete(m, k)
		}
	}
	return m
}

func checkTree(t *testing.T, r *unpack.Reader, file string, want unpacktest.Summary, hardLinks bool) {
	t.Helper()
	o := unpacktest.Open(t, r, file)
	unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
	if links := inodes(o); hardLinks && len(links) != 1 {
		t.Errorf("hard links %v", links)
	}
	if info, err := os.Stat(file); err != nil || o.Size != info.Size() {
		t.Errorf("size %d of %d", o.Size, info.Size())
	}
}

func TestTar(t *testing.T) {
	dir := unpacktest.SampleTree(t)
	want := unpacktest.SummaryOfFolder(t, dir)
	for _, args := range [][]string{
		{"tar", "--format=gnu", "-cf", "OUT", "."},
		{"tar", "--format=gnu", "--sparse", "-cf", "OUT", "."},
		{"tar", "--format=pax", "-cf", "OUT", "."},
		{"tar", "--format=pax", "--sparse", "--sparse-version=0.0", "-cf", "OUT", "."},
		{"tar", "--format=pax", "--sparse", "--sparse-version=0.1", "-cf", "OUT", "."},
		{"tar", "--format=pax", "--sparse", "--sparse-version=1.0", "-cf", "OUT", "."},
		{"tar", "--format=gnu", "--blocking-factor=1", "-cf", "OUT", "."},
		{"bsdtar", "--format=pax", "-cf", "OUT", "."},
		{"bsdtar", "--format=gnutar", "-cf", "OUT", "."},
	} {
		t.Run(strings.Join(args[:len(args)-1], " "), func(t *testing.T) {
			checkTree(t, Tar, packTree(t, dir, args[0], args[1:]...), want, true)
		})
	}
}

// TestTarUstar packs what plain ustar can hold: long names go into the prefix.
func TestTarUstar(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, strings.Repeat("some-folder/", 12))
	os.MkdirAll(deep, 0o755)
	os.WriteFile(filepath.Join(deep, strings.Repeat("n", 90)), []byte("deep"), 0o644)
	os.WriteFile(filepath.Join(dir, "setuid"), []byte("x"), 0o755)
	os.Chmod(filepath.Join(dir, "setuid"), 0o755|os.ModeSetuid|os.ModeSticky)
	checkTree(t, Tar, packTree(t, dir, "tar", "--format=ustar", "-cf", "OUT", "."), unpacktest.SummaryOfFolder(t, dir), false)
}

// TestTarNumbersAndAttributes has owners and sizes beyond octal fields, and
// extended attributes as the kernel stores them.
func TestTarNumbersAndAttributes(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o644)
	for _, format := range []string{"gnu", "pax"} {
		o := unpacktest.Open(t, Tar, packTree(t, dir, "tar", "--format="+format, "--owner=x:5000000", "--group=y:4000000", "--mtime=@-100", "-cf", "OUT", "file"))
		if e := o.Entries[0]; e.UID != 5000000 || e.GID != 4000000 || e.ModTime.Unix() != -100 {
			t.Errorf("%s: %d:%d %v", format, e.UID, e.GID, e.ModTime)
		}
	}
	capability := "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	w.WriteHeader(&tar.Header{Name: "ping", Mode: 0o755, Typeflag: tar.TypeReg, PAXRecords: map[string]string{
		"SCHILY.xattr.security.capability":         capability,
		"LIBARCHIVE.xattr.user.with%20space%3D%21": "aGVsbG8",
	}})
	w.Close()
	o := unpacktest.OpenBytes(t, Tar, buf.Bytes())
	if x := o.Entries[0].Xattrs; x["security.capability"] != capability || x["user.with space=!"] != "hello" {
		t.Errorf("attributes %q", x)
	}
}

// TestTarDamaged keeps what comes before the damage.
func TestTarDamaged(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte(name), 1000), 0o644)
	}
	b, err := os.ReadFile(packTree(t, dir, "tar", "-cf", "OUT", "a", "b", "c"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what    string
		data    []byte
		entries int
		last    bool // the last entry's content is whole
	}{
		{"cut in content", b[:3*512+512+700], 2, false},
		{"cut in header", b[:3*512+100], 1, true},
	} {
		o, err := Tar.Open(unpacktest.Input(c.data))
		if err != nil || o.Err == nil || len(o.Entries) != c.entries || (o.Entries[len(o.Entries)-1].Err == nil) != c.last {
			t.Errorf("%s: %v, %d entries, %v", c.what, err, len(o.Entries), o.Err)
		}
	}
	bad := bytes.Clone(b)
	bad[3*512+5]++
	if o, err := Tar.Open(unpacktest.Input(bad)); err != nil || o.Err == nil || len(o.Entries) != 1 {
		t.Errorf("changed header: %v", err)
	}
	// Without the end mark, and with rest behind it.
	if o := unpacktest.OpenBytes(t, Tar, b[:9*512]); len(o.Entries) != 3 || o.Size != 9*512 {
		t.Errorf("without an end mark: %d entries, size %d", len(o.Entries), o.Size)
	}
	if o := unpacktest.OpenBytes(t, Tar, append(bytes.Clone(b), "rest"...)); o.Size != int64(len(b)) {
		t.Errorf("with rest: size %d of %d", o.Size, len(b))
	}
}

// TestTarBomb has a sparse file that claims a terabyte of holes.
func TestTarBomb(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "hole"))
	if err != nil {
		t.Fatal(err)
	}
	f.Truncate(1 << 40)
	f.Close()
	o := unpacktest.Open(t, Tar, packTree(t, dir, "tar", "--sparse", "-cf", "OUT", "hole"))
	if !errors.Is(o.Entries[0].Err, unpack.ErrLimit) {
		t.Errorf("%v", o.Entries[0].Err)
	}
}

func FuzzTar(f *testing.F) {
	dir := f.TempDir()
	os.WriteFile(filepath.Join(dir, strings.Repeat("n", 120)), []byte("x"), 0o644)
	os.Symlink("target", filepath.Join(dir, "link"))
	if file, err := os.Create(filepath.Join(dir, "hole")); err == nil {
		file.WriteAt([]byte("x"), 100_000)
		file.Close()
	}
	var seeds [][]byte
	for _, format := range []string{"--format=gnu", "--format=pax"} {
		b, err := os.ReadFile(packTree(f, dir, "tar", format, "--sparse", "--blocking-factor=1", "-cf", "OUT", "--ignore-failed-read", "--exclude=n*", "."))
		if err == nil {
			seeds = append(seeds, b)
		}
	}
	unpacktest.Fuzz(f, Tar, seeds...)
}

// cpioOf packs a folder with cpio; newc gives hard links their content once.
func cpioOf(t testing.TB, dir, format string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "packed")
	testtool.Need(t, "cpio")
	testtool.Run(t, dir, "sh", "-c", "find . -mindepth 1 -print0 | LC_ALL=C sort -z | cpio --quiet -0 -o -H "+format+" > "+out)
	return out
}

func TestCpio(t *testing.T) {
	dir := unpacktest.SampleTree(t)
	want := unpacktest.SummaryOfFolder(t, dir)
	for _, format := range []string{"newc", "crc", "odc", "bin"} {
		t.Run(format, func(t *testing.T) { checkTree(t, Cpio, cpioOf(t, dir, format), want, true) })
	}
	t.Run("bsdtar", func(t *testing.T) {
		checkTree(t, Cpio, packTree(t, dir, "bsdtar", "--format=newc", "-cf", "OUT", "."), want, true)
	})
}

// TestCpioInitramfs concatenates archives as boot loaders do.
func TestCpioInitramfs(t *testing.T) {
	read := func(files map[string]string) []byte {
		dir := t.TempDir()
		for name, content := range files {
			os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644)
		}
		b, err := os.ReadFile(cpioOf(t, dir, "newc"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	one, two := read(map[string]string{"init": "first", "one": "1"}), read(map[string]string{"init": "second", "two": "2"})
	for _, pad := range []int{0, 4, 5000 &^ 3} {
		file := append(append(append(bytes.Clone(one), make([]byte, pad)...), two...), "rest"...)
		o := unpacktest.OpenBytes(t, Cpio, file)
		tree := unpack.NewTree(o.Entries)
		b, _ := unpack.ReadAll(tree.Entry("init").Data, 100)
		if string(b) != "second" || tree.Entry("one") == nil || tree.Entry("two") == nil || o.Size != int64(len(file)-4) {
			t.Errorf("pad %d: init is %q, %v, size %d of %d", pad, b, tree.Paths(), o.Size, len(file)-4)
		}
	}
	// Something else behind it, and a changed byte of content in crc.
	if o := unpacktest.OpenBytes(t, Cpio, append(bytes.Clone(one), "\x1f\x8b\x08..."...)); o.Size != int64(len(one)) {
		t.Errorf("size %d of %d", o.Size, len(one))
	}
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644)
	b, _ := os.ReadFile(cpioOf(t, dir, "crc"))
	b[bytes.Index(b, []byte("content"))]++
	if o, err := Cpio.Open(unpacktest.Input(b)); err != nil || o.Entries[0].Err == nil {
		t.Errorf("a wrong checksum passed: %v", err)
	}
	for _, cut := range []int{130, 300} {
		if o, err := Cpio.Open(unpacktest.Input(one[:cut])); err != nil || o.Err == nil {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
}

func FuzzCpio(f *testing.F) {
	dir := f.TempDir()
	os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644)
	os.Link(filepath.Join(dir, "file"), filepath.Join(dir, "hard"))
	os.Symlink("file", filepath.Join(dir, "link"))
	var seeds [][]byte
	for _, format := range []string{"newc", "crc", "odc", "bin"} {
		b, err := os.ReadFile(cpioOf(f, dir, format))
		if err == nil {
			seeds = append(seeds, b)
		}
	}
	unpacktest.Fuzz(f, Cpio, seeds...)
}

func TestAr(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("long-name-", 8) + ".o"
	for _, name := range []string{"a.o", "odd", long, "with space.o"} {
		os.WriteFile(filepath.Join(dir, name), []byte("content of "+name), 0o644)
	}
	want := unpacktest.SummaryOfFolder(t, dir)
	for name, args := range map[string][]string{
		"gnu": {"ar", "rcU", "OUT", "a.o", "odd", long, "with space.o"},
		"bsd": {"bsdtar", "--format=arbsd", "-cf", "OUT", "a.o", "odd", long, "with space.o"},
	} {
		t.Run(name, func(t *testing.T) {
			o := unpacktest.Open(t, Ar, packTree(t, dir, args[0], args[1:]...))
			unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
		})
	}
	b, _ := os.ReadFile(packTree(t, dir, "ar", "rcU", "OUT", "a.o", "odd"))
	if o := unpacktest.OpenBytes(t, Ar, append(bytes.Clone(b), "rest behind it, long enough for a header, which it is not at all"...)); o.Size != int64(len(b)) {
		t.Errorf("size %d of %d", o.Size, len(b))
	}
	if o, err := Ar.Open(unpacktest.Input(b[:len(b)-5])); err != nil || o.Err == nil || len(o.Entries) != 2 {
		t.Errorf("cut: %v", err)
	}
}

// filesOf are all files below a node, by their steps.
func filesOf(n *unpack.Node, prefix string, to map[string]string) {
	if n.Content == nil {
		return
	}
	for _, c := range n.Content.Children {
		p := prefix + "/" + c.Step
		if len(c.Content.Children) == 0 && c.Content.Object == nil {
			b, _ := unpack.ReadAll(c.Content.Data, 1<<20)
			to[p] = string(b)
		}
		filesOf(c, p, to)
	}
}

// TestPackages opens the packages of three distributions down to their files.
func TestPackages(t *testing.T) {
	dir := t.TempDir()
	os.MkdirAll(filepath.Join(dir, "DEBIAN"), 0o755)
	os.MkdirAll(filepath.Join(dir, "etc"), 0o755)
	control := "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: M <m@example.org>\nDescription: d\n"
	os.WriteFile(filepath.Join(dir, "DEBIAN/control"), []byte(control), 0o644)
	os.WriteFile(filepath.Join(dir, "etc/x.conf"), []byte("setting"), 0o644)
	work := t.TempDir()
	for _, packing := range []string{"gzip", "xz", "zstd", "none"} {
		testtool.Run(t, work, "dpkg-deb", "--root-owner-group", "-Z"+packing, "-b", dir, packing+".deb")
	}
	sh := func(script string) { testtool.Run(t, work, "sh", "-ec", script) }
	sh("ar x gzip.deb; tar czf new.ipk ./debian-binary ./control.tar.gz ./data.tar.gz")
	// An Alpine package: three gzip members, whose tars but the last have no end.
	sh("printf sig > .SIGN.RSA.x; printf 'pkgname = x\n' > .PKGINFO")
	sh("tar -b1 -cf sig.tar .SIGN.RSA.x; tar -b1 -cf control.tar .PKGINFO; tar -C '" + dir + "' -b1 -cf data.tar etc")
	sh("for i in sig control; do head -c 1024 $i.tar | gzip -n; done > x.apk; gzip -n < data.tar >> x.apk")
	for file, want := range map[string]map[string]string{
		"gzip.deb": {"etc/x.conf": "setting", "control": control, "deb:debian-binary": "2.0\n"},
		"xz.deb":   {"etc/x.conf": "setting", "control": control},
		"zstd.deb": {"etc/x.conf": "setting", "control": control},
		"none.deb": {"etc/x.conf": "setting", "control": control},
		"new.ipk":  {"etc/x.conf": "setting", "control": control, "debian-binary": "2.0\n"},
		"x.apk":    {"etc/x.conf": "setting", ".PKGINFO": "pkgname = x\n", ".SIGN.RSA.x": "sig"},
	} {
		b, err := os.ReadFile(filepath.Join(work, file))
		if err != nil {
			t.Fatal(err)
		}
		r, err := unpack.Explore(t.Context(), file, unpack.Slice(b), unpack.Options{Readers: readers})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		filesOf(r.Root, "", got)
		for suffix, content := range want {
			found := false
			for p, c := range got {
				found = found || strings.HasSuffix(p, "/"+suffix) && c == content
			}
			if !found {
				t.Errorf("%s: no %s in %v", file, suffix, got)
			}
		}
	}
}

func FuzzAr(f *testing.F) {
	dir := f.TempDir()
	os.WriteFile(filepath.Join(dir, strings.Repeat("n", 40)), []byte("content"), 0o644)
	var seeds [][]byte
	for _, args := range [][]string{{"ar", "rcU", "OUT", strings.Repeat("n", 40)}, {"bsdtar", "--format=arbsd", "-cf", "OUT", strings.Repeat("n", 40)}} {
		if b, err := os.ReadFile(packTree(f, dir, args[0], args[1:]...)); err == nil {
			seeds = append(seeds, b)
		}
	}
	unpacktest.Fuzz(f, Ar, seeds...)
}

func FuzzDeb(f *testing.F) {
	head := "!<arch>\ndebian-binary   0           0     0     100644  4         `\n2.0\n"
	unpacktest.Fuzz(f, Deb, []byte(head), []byte(head+"data.tar        0           0     0     100644  3         `\nabc\n"))
}

// readers open archives and what they are packed in.
var readers = slices.Concat(List, stream.List, Last)

// TestManyFalseStarts has local headers of zip without end: work must grow with
// the bytes, not with their square. It counts openings, not seconds.
func TestManyFalseStarts(t *testing.T) {
	header := "PK\x03\x04\x14\x00\x00\x00\x00\x00" + strings.Repeat("\x00", 16) + "\x01\x00\x00\x00a"
	b := append(unpacktest.Noise(5, 64), strings.Repeat(header, 20_000)...)
	var opened atomic.Int64
	counting := *Zip
	counting.Open = func(in *unpack.Input) (*unpack.Object, error) { opened.Add(1); return openZip(in) }
	if _, err := unpack.Explore(t.Context(), "x", unpack.Slice(b), unpack.Options{Readers: []*unpack.Reader{&counting}}); err != nil {
		t.Fatal(err)
	}
	if opened.Load() > 4*64 {
		t.Errorf("%d of 20000 headers within one damaged archive were opened", opened.Load())
	}
}
