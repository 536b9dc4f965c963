package inventory

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/formats"
)

// folder makes a product of a folder of this machine.
func folder(t testing.TB, dir string) *product.Product {
	t.Helper()
	o, closer, err := unpack.Folder(context.Background(), dir, unpack.NewBudget(unpack.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closer.Close() })
	p, err := product.OpenTree(context.Background(), "product", o, Patterns(), unpack.Options{Readers: formats.All})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func writeFile(t testing.TB, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	os.Remove(file)
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// lines are the role, the last step and the package of what was found.
func lines(list []doorward.Alteration) []string {
	out := []string{}
	for _, a := range list {
		p := a.Where[0].Path
		name, _, _ := strings.Cut(a.Package, " ")
		out = append(out, strings.TrimSpace(a.Role+" "+p[len(p)-1]+" "+name))
	}
	return out
}

func expect(t testing.TB, a *doorward.Alterations, altered, foreign, configuration []string) {
	t.Helper()
	if a == nil {
		t.Fatal("no database was found")
	}
	for _, c := range []struct {
		what      string
		got, want []string
	}{{"altered", lines(a.Altered), altered}, {"foreign", lines(a.Foreign), foreign}, {"configuration", lines(a.Configuration), configuration}} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.what, c.got, c.want)
		}
	}
}

// debianTree is a tree with merged /usr into which dpkg has put packages.
func debianTree(t testing.TB, packages ...string) string {
	t.Helper()
	testtool.Need(t, "dpkg")
	tree := t.TempDir()
	for _, dir := range []string{"usr/bin", "usr/sbin", "usr/lib", "var/lib/dpkg/info", "var/lib/dpkg/updates"} {
		os.MkdirAll(filepath.Join(tree, dir), 0o755)
	}
	for _, dir := range []string{"bin", "sbin", "lib"} {
		os.Symlink("usr/"+dir, filepath.Join(tree, dir))
	}
	for _, file := range []string{"status", "available"} {
		writeFile(t, filepath.Join(tree, "var/lib/dpkg", file), "")
	}
	args := []string{"--root=" + tree, "--log=/dev/null", "--force-depends", "--force-not-root", "--force-bad-path", "--force-unsafe-io", "--install"}
	for _, p := range packages {
		args = append(args, testtool.Deb(t, p))
	}
	testtool.Run(t, tree, "dpkg", args...)
	return tree
}

func TestAlterationsDpkg(t *testing.T) {
	tree := debianTree(t, "hostname", "ncurses-base", "dropbear-bin", "busybox")
	at := func(p string) string { return filepath.Join(tree, p) }
	a := Alterations(folder(t, tree))
	expect(t, a, []string{}, []string{}, []string{})
	if d := a.Databases[0]; d.Format != "dpkg" || d.Packages != 4 || d.Checked < 50 || d.Missing != 0 || d.Unchecked != 0 || d.Unread != 0 {
		t.Errorf("%+v", d)
	}

	// What dpkg and its relatives do themselves is no alarm: a diversion with
	// another program in its place, an alternative's link.
	testtool.Run(t, tree, "dpkg-divert", "--admindir="+at("var/lib/dpkg"), "--instdir="+tree, "--local", "--rename", "--divert", "/bin/hostname.distrib", "--add", "/bin/hostname")
	os.Symlink("busybox", at("usr/bin/vi"))
	expect(t, Alterations(folder(t, tree)), []string{}, []string{}, []string{})

	dropbear, err := os.ReadFile(at("usr/sbin/dropbear"))
	if err != nil {
		t.Fatal(err)
	}
	dropbear[len(dropbear)/2] ^= 1
	writeFile(t, at("usr/sbin/dropbear"), string(dropbear))
	writeFile(t, at("bin/hostname"), "#!/bin/sh\nexec hostname.distrib\n") // in the diverted place: of no package
	writeFile(t, at("usr/sbin/helperd"), program(t)+"helper")
	writeFile(t, at("usr/local/bin/mine"), program(t))
	writeFile(t, at("etc/terminfo/README"), "read me not\n")
	writeFile(t, at("usr/share/doc/hostname/copyright"), "mine\n")
	os.Remove(at("usr/bin/dbclient"))
	os.Symlink("../local/bin/mine", at("usr/bin/dbclient"))
	os.Remove(at("usr/share/doc/busybox/copyright"))
	a = Alterations(folder(t, tree))
	expect(t, a,
		[]string{"login usr/sbin/dropbear dropbear-bin", "program usr/local/bin/mine dropbear-bin", "data usr/share/doc/hostname/copyright hostname"},
		[]string{"program usr/sbin/helperd", "script usr/bin/hostname"}, []string{"data etc/terminfo/README ncurses-base"})
	if d := a.Databases[0]; d.Missing != 1 || d.Altered != 3 || d.Changed != 1 || d.Foreign != 2 {
		t.Errorf("%+v", d)
	}
	was, err := os.ReadFile(at("var/lib/dpkg/info/dropbear-bin.md5sums"))
	if x := a.Altered[0]; err != nil || x.Found != fmt.Sprintf("md5:%x", md5.Sum(dropbear)) || !strings.Contains(string(was), strings.TrimPrefix(x.Expected, "md5:")+"  usr/sbin/dropbear") {
		t.Errorf("%+v", x)
	}
	if x := a.Altered[1]; !strings.HasSuffix(x.Found, ", behind a link at usr/bin/dbclient") {
		t.Errorf("%+v", x)
	}
}

// A package that took a file over from an older one leaves the old checksum in
// the database; a package without checksums can't be checked, and is said to be.
func TestAlterationsOfSharedFiles(t *testing.T) {
	sum := func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
	p := made(t,
		"var/lib/dpkg/status", "Package: old\nStatus: install ok installed\nVersion: 1\n\nPackage: new\nStatus: install ok installed\nVersion: 2\n\nPackage: bare\nStatus: install ok installed\nVersion: 3\n",
		"var/lib/dpkg/info/old.md5sums", sum("was")+"  usr/share/a\n"+sum("b")+"  usr/share/b\n",
		"var/lib/dpkg/info/new.md5sums", sum("is")+"  usr/share/a\n\\"+sum("c")+"  usr/share/c\\\\d\nzz  usr/share/e\n",
		"var/lib/dpkg/info/bare.list", "/.\n/usr\n/usr/share\n/usr/share/f\n",
		"usr/share/a", "is", "usr/share/b", "b", `usr/share/c\d`, "c", "usr/share/f", "f",
	)
	a := Alterations(p)
	expect(t, a, []string{}, []string{}, []string{})
	if d := a.Databases[0]; d.Checked != 3 || d.Unchecked != 1 || d.Missing != 0 {
		t.Errorf("%+v", d)
	}
}

// A database that lists less than half of the programs says nothing of the rest.
func TestAlterationsOfForeignSystem(t *testing.T) {
	elf := program(t)
	p := made(t, "usr/lib/opkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\n", "usr/lib/opkg/info/a.list", "/bin/a\n", "bin/a", elf, "bin/b", elf+"b", "bin/c", elf+"c")
	a := Alterations(p)
	expect(t, a, []string{}, []string{}, []string{})
	if d := a.Databases[0]; !strings.Contains(d.Note, "1 of 3 programs") {
		t.Errorf("%+v", d)
	}
}

func apkLine(s string) string {
	sum := sha1.Sum([]byte(s))
	return "Z:Q1" + base64.StdEncoding.EncodeToString(sum[:]) + "\n"
}

func TestAlterationsApk(t *testing.T) {
	elf := program(t)
	long := sha256.Sum256([]byte("short"))
	installed := "C:Q1abc=\nP:busybox\nV:1.36.1-r5\nA:x86_64\nF:bin\nM:0:0:1777\nR:busybox\na:0:0:755\n" + apkLine(elf) + "R:sh\na:0:0:777\n" + apkLine("/bin/busybox") +
		"F:etc\nR:securetty\n" + apkLine("tty1\n") + "F:usr/share\nR:short\nZ:Q2" + base64.StdEncoding.EncodeToString(long[:20]) + "\nR:odd\nZ:Q9xx\n\n" +
		"P:baselayout\nV:3\nF:sbin\nR:init\n" + apkLine("#!/bin/sh\n") + "\n"
	files := []string{"lib/apk/db/installed", installed, "bin/busybox", elf, "etc/securetty", "tty1\n", "usr/share/short", "short", "usr/share/odd", "odd", "sbin/init", "#!/bin/sh\n"}
	o := func(files ...string) *product.Product {
		o := &unpack.Object{Format: "directory", System: true, Entries: []unpack.Entry{{Path: "bin/sh", Mode: os.ModeSymlink | 0o777, Link: "/bin/busybox"}}}
		for i := 0; i < len(files); i += 2 {
			o.Entries = append(o.Entries, unpack.Entry{Path: files[i], Mode: 0o755, Data: unpack.Slice(files[i+1])})
		}
		p, err := product.OpenTree(context.Background(), "product", o, Patterns(), unpack.Options{Readers: formats.All})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	a := Alterations(o(files...))
	expect(t, a, []string{}, []string{}, []string{})
	if d := a.Databases[0]; d.Format != "apk" || d.Checked != 5 || d.Unchecked != 1 {
		t.Errorf("%+v", d)
	}
	files[3], files[5], files[7], files[11] = elf+"x", "tty1\npts/0\n", "shor7", "#!/bin/sh\ntelnetd -l /bin/sh\n"
	expect(t, Alterations(o(append(files, "bin/more", elf+"y")...)), []string{"login bin/busybox busybox", "startup sbin/init baselayout", "data usr/share/short busybox"},
		[]string{"program bin/more"}, []string{"login etc/securetty busybox"})
}

func TestAlterationsOpkg(t *testing.T) {
	sum := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	elf := program(t)
	files := []string{
		"usr/lib/opkg/status", "Package: dropbear\nVersion: 2022.82-2\nStatus: install user installed\nArchitecture: mipsel_24kc\nConffiles:\n /etc/config/dropbear " + sum("conf") + "\n /etc/dropbear/x " + sum("x") + "\n",
		"usr/lib/opkg/info/dropbear.list", "/usr/sbin/dropbear\n/etc/init.d/dropbear\n/lib/plain\n",
		"usr/lib/opkg/info/dropbear.files-sha256sum", sum(elf) + " ./usr/sbin/dropbear\n" + sum("#!/bin/sh /etc/rc.common\n") + " *etc/init.d/dropbear\n",
		"usr/sbin/dropbear", elf, "etc/init.d/dropbear", "#!/bin/sh /etc/rc.common\n", "etc/config/dropbear", "conf", "lib/plain", "p",
	}
	a := Alterations(made(t, files...))
	expect(t, a, []string{}, []string{}, []string{})
	if d := a.Databases[0]; d.Format != "opkg" || d.Checked != 3 || d.Missing != 1 || d.Unchecked != 1 {
		t.Errorf("%+v", d)
	}
	files[7], files[9], files[11] = elf+"!", "#!/bin/sh /etc/rc.common\nnc -l\n", "changed"
	expect(t, Alterations(made(t, files...)), []string{"login usr/sbin/dropbear dropbear", "startup etc/init.d/dropbear dropbear"}, []string{}, []string{"login etc/config/dropbear dropbear"})
}

const spec = `Name: tools
Version: 1.2
Release: 3
Summary: tools
License: MIT
%global __os_install_post %{nil}
%global _build_id_links none
%description
tools
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc %{buildroot}/usr/share/tools %{buildroot}/var/log
cp /bin/true %{buildroot}/usr/bin/tool
cp /bin/true %{buildroot}/usr/bin/other
printf '#!/bin/sh\n' > %{buildroot}/usr/bin/script
echo conf > %{buildroot}/etc/tools.conf
echo text > %{buildroot}/usr/share/tools/text
echo log > %{buildroot}/var/log/tools
ln -s tool %{buildroot}/usr/bin/link
%files
%attr(0755,root,root) /usr/bin/*
%config /etc/tools.conf
/usr/share/tools
%ghost /var/log/tools
`

// rpm itself says what was changed, for each of its digests.
func TestAlterationsRPM(t *testing.T) {
	testtool.Need(t, "rpmbuild")
	for _, digest := range []string{"8", "1", "10"} {
		t.Run(digest, func(t *testing.T) {
			top, tree := t.TempDir(), t.TempDir()
			writeFile(t, filepath.Join(top, "t.spec"), spec)
			testtool.Run(t, top, "rpmbuild", "-bb", "--quiet", "--define", "_topdir "+top, "--define", "_rpmdir "+top, "--define", "_rpmfilename p.rpm", "--define", "_binary_filedigest_algorithm "+digest, "t.spec")
			testtool.Run(t, top, "rpm", "--root", tree, "--define", "_dbpath /usr/lib/sysimage/rpm", "-i", "--nodeps", "--noscripts", "--nosignature", "--nodigest", "p.rpm")
			a := Alterations(folder(t, tree))
			expect(t, a, []string{}, []string{}, []string{})
			if d := a.Databases[0]; d.Format != "rpm" || d.Checked != 5 || d.Unread != 0 {
				t.Errorf("%+v", d)
			}
			writeFile(t, filepath.Join(tree, "usr/bin/tool"), program(t)+"!")
			writeFile(t, filepath.Join(tree, "etc/tools.conf"), "other\n")
			writeFile(t, filepath.Join(tree, "usr/bin/planted"), "#!/bin/sh\nnc -l -p 99 -e /bin/sh\n")
			expect(t, Alterations(folder(t, tree)), []string{"program usr/bin/tool tools"}, []string{"script usr/bin/planted"}, []string{"data etc/tools.conf tools"})
		})
	}
}

// A package given by itself whose files are not those of its list.
func TestAlterationsOfGivenPackage(t *testing.T) {
	deb, err := os.ReadFile(testtool.Deb(t, "hostname"))
	if err != nil {
		t.Fatal(err)
	}
	open := func(b []byte) *doorward.Alterations {
		p, err := product.Open(context.Background(), "p.deb", unpack.Slice(b), Patterns(), unpack.Options{Readers: formats.All})
		if err != nil {
			t.Fatal(err)
		}
		return Alterations(p)
	}
	a := open(deb)
	expect(t, a, []string{}, []string{}, []string{})
	if d := a.Databases[0]; d.Checked < 3 || d.Format != "deb" {
		t.Errorf("%+v", d)
	}
	dir := t.TempDir()
	testtool.Run(t, dir, "dpkg-deb", "-R", testtool.Deb(t, "hostname"), "tree")
	writeFile(t, filepath.Join(dir, "tree/bin/hostname"), program(t))
	testtool.Run(t, dir, "dpkg-deb", "-b", "tree", "new.deb")
	changed, err := os.ReadFile(filepath.Join(dir, "new.deb"))
	if err != nil || bytes.Equal(changed, deb) {
		t.Fatal(err)
	}
	expect(t, open(changed), []string{"program bin/hostname hostname"}, []string{}, []string{})
}

// What could not be read is neither right nor wrong.
func TestAlterationsUnread(t *testing.T) {
	o := &unpack.Object{Format: "directory", System: true, Entries: []unpack.Entry{
		{Path: "var/lib/dpkg/status", Mode: 0o644, Data: unpack.Slice("Package: a\nStatus: install ok installed\nVersion: 1\n")},
		{Path: "var/lib/dpkg/info/a.md5sums", Mode: 0o644, Data: unpack.Slice(fmt.Sprintf("%x  usr/bin/a\n", md5.Sum([]byte("a"))))},
		{Path: "usr/bin/a", Mode: 0o755, Err: unpack.ErrEncrypted},
	}}
	p, err := product.OpenTree(context.Background(), "product", o, Patterns(), unpack.Options{Readers: formats.All})
	if err != nil {
		t.Fatal(err)
	}
	if d := Alterations(p).Databases[0]; d.Unread != 1 || d.Altered != 0 || d.Checked != 0 {
		t.Errorf("%+v", d)
	}
	if Alterations(made(t, "etc/x", "y")) != nil {
		t.Error("a product without a database")
	}
}
