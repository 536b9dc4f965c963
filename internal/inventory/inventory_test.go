package inventory

import (
	"bytes"
	"context"
	"encoding/binary"
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

// made makes a product of files, given as path and text in turn.
func made(t testing.TB, files ...string) *product.Product {
	t.Helper()
	o := &unpack.Object{Format: "directory", System: true}
	for i := 0; i < len(files); i += 2 {
		o.Entries = append(o.Entries, unpack.Entry{Path: files[i], Mode: 0o755, Data: unpack.Slice(files[i+1])})
	}
	p, err := product.OpenTree(context.Background(), "product", o, Patterns(), unpack.Options{Readers: formats.All})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// refs is the components in a line each.
func refs(list []doorward.Component) []string {
	var lines []string
	for _, c := range list {
		lines = append(lines, c.BOMRef)
	}
	return lines
}

func find(t testing.TB, list []doorward.Component, name string) doorward.Component {
	t.Helper()
	for _, c := range list {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no component %s in %v", name, refs(list))
	return doorward.Component{}
}

const debian12 = "NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n"

// program returns the bytes of some ELF program of this machine.
func program(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("/bin/true")
	if err != nil || !bytes.HasPrefix(b, []byte("\x7fELF")) {
		t.Skip("no ELF program here")
	}
	return string(b)
}

func TestDpkg(t *testing.T) {
	true_ := program(t)
	p := made(t,
		"etc/os-release", debian12,
		"var/lib/dpkg/status", "Package: busybox\nStatus: install ok installed\nMaintainer: Some Body <s@example.com>\nArchitecture: armel\nVersion: 1:1.35.0-4+b1\nDescription: x\n continued: no field\n\n"+
			"Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: libssl3\nStatus: install ok installed\nSource: openssl (3.0.2)\nArchitecture: armel\nMulti-Arch: same\nVersion: 3.0.11-1~deb12u2\n",
		"var/lib/dpkg/info/busybox.list", "/.\n/bin\n/bin/busybox\n",
		"var/lib/dpkg/info/libssl3:armel.list", "/usr/lib/libssl.so.3\n",
		"bin/busybox", true_+"BusyBox v1.35.0 (2022)",
		"usr/lib/libssl.so.3", true_+"OpenSSL 3.0.11 19 Sep 2023",
		"usr/sbin/vendord", true_,
		"etc/motd", "welcome",
	)
	list := Components(p)
	want := []string{
		"pkg:generic/debian-gnu%2Flinux@12",
		"pkg:deb/debian/busybox@1:1.35.0-4%2Bb1?arch=armel&distro=debian-12",
		"pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=armel&distro=debian-12",
		"file:usr/sbin/vendord",
	}
	if got := refs(list); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if c := list[1]; c.CPE != "cpe:2.3:a:busybox:busybox:1.35.0:*:*:*:*:*:*:*" || c.Maker != "Some Body" || c.Found != "dpkg" || c.Parent != want[0] {
		t.Errorf("%+v", c)
	}
	if c := list[2]; c.CPE != "cpe:2.3:a:openssl:openssl:3.0.11:*:*:*:*:*:*:*" || c.Detail["source"] != "openssl" {
		t.Errorf("%+v", c)
	}
	for path, ref := range map[string]string{"bin/busybox": want[1], "usr/lib/libssl.so.3": want[2], "usr/sbin/vendord": want[3], "etc/motd": want[0]} {
		if got := Owner(p, p.Volumes[0].File(path)); got != ref {
			t.Errorf("%s belongs to %q, want %q", path, got, ref)
		}
		if got := OwnerAt(p, doorward.Where{Path: []string{"product", path}}); got != ref {
			t.Errorf("%s by place belongs to %q, want %q", path, got, ref)
		}
	}
}

func TestOtherDatabases(t *testing.T) {
	for name, c := range map[string]struct {
		files   []string
		ref     string
		cpe     string
		foundBy string
		owned   string
	}{
		"status.d": {[]string{"etc/os-release", debian12, "var/lib/dpkg/status.d/tzdata", "Package: tzdata\nVersion: 2024a-0+deb12u1\nArchitecture: all\n", "var/lib/dpkg/status.d/tzdata.md5sums", "0123  usr/share/zone\n", "usr/share/zone", "z"},
			"pkg:deb/debian/tzdata@2024a-0%2Bdeb12u1?arch=all&distro=debian-12", "", "dpkg", "usr/share/zone"},
		"opkg": {[]string{"etc/openwrt_release", "DISTRIB_ID='OpenWrt'\nDISTRIB_RELEASE='19.07.3'\n", "usr/lib/opkg/status", "Package: dropbear\nVersion: 2019.78-2\nStatus: install user installed\nArchitecture: mips_24kc\n\n",
			"usr/lib/opkg/info/dropbear.control", "Package: dropbear\nVersion: 2019.78-2\n", "usr/lib/opkg/info/dropbear.list", "/usr/sbin/dropbear\n/etc/config/dropbear\n", "usr/sbin/dropbear", "x"},
			"pkg:opkg/openwrt/dropbear@2019.78-2?arch=mips_24kc&distro=openwrt-19.07.3", "cpe:2.3:a:dropbear_ssh_project:dropbear_ssh:2019.78:*:*:*:*:*:*:*", "opkg", "usr/sbin/dropbear"},
		"cpe of opkg": {[]string{"usr/lib/opkg/status", "Package: foo\nVersion: 1.2-3\nStatus: install ok installed\nArchitecture: all\nCPE-ID: cpe:/a:maker:foo\n"},
			"pkg:opkg/foo@1.2-3?arch=all", "cpe:2.3:a:maker:foo:1.2:*:*:*:*:*:*:*", "opkg", ""},
		"apk": {[]string{"etc/alpine-release", "3.18.4\n", "lib/apk/db/installed", "C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\nm:A B <a@example.com>\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\n\n", "lib/ld-musl-x86_64.so.1", "x"},
			"pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.18.4", "cpe:2.3:a:musl-libc:musl:1.2.4:*:*:*:*:*:*:*", "apk", "lib/ld-musl-x86_64.so.1"},
		"nested root": {[]string{"rootfs/etc/os-release", debian12, "rootfs/var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n", "rootfs/var/lib/dpkg/info/a.list", "/etc/a\n", "rootfs/etc/a", "x"},
			"pkg:deb/debian/a@1?arch=all&distro=debian-12", "", "dpkg", "rootfs/etc/a"},
		"apk by itself": {[]string{".PKGINFO", "# made\npkgname = curl\npkgver = 8.4.0-r0\narch = x86_64\n", "usr/bin/curl", "x"},
			"pkg:apk/alpine/curl@8.4.0-r0?arch=x86_64", "cpe:2.3:a:haxx:libcurl:8.4.0:*:*:*:*:*:*:*", "apk", "usr/bin/curl"},
	} {
		p := made(t, c.files...)
		list := Components(p)
		at := slices.IndexFunc(list, func(x doorward.Component) bool { return x.BOMRef == c.ref })
		if at < 0 {
			t.Errorf("%s: %q has no %q", name, refs(list), c.ref)
			continue
		}
		if got := list[at]; got.CPE != c.cpe || got.Found != c.foundBy || len(got.Where) == 0 {
			t.Errorf("%s: %+v", name, got)
		}
		if c.owned != "" && Owner(p, p.Volumes[0].File(c.owned)) != c.ref {
			t.Errorf("%s: %s belongs to %q", name, c.owned, Owner(p, p.Volumes[0].File(c.owned)))
		}
	}
}

// rpmBlob makes a header as it stands in rpm's databases.
func rpmBlob(name string, long bool) []byte {
	be := binary.BigEndian
	var index, data []byte
	add := func(tag, kind, count int, value string) {
		for kind == rpmInt32 && len(data)%4 != 0 {
			data = append(data, 0)
		}
		for _, n := range []int{tag, kind, len(data), count} {
			index = be.AppendUint32(index, uint32(n))
		}
		data = append(data, value...)
	}
	add(rpmName, rpmString, 1, name+"\x00")
	add(rpmVersion, rpmString, 1, "5.1.8\x00")
	add(rpmRelease, rpmString, 1, "6.el9\x00")
	add(rpmEpoch, rpmInt32, 1, "\x00\x00\x00\x02")
	add(rpmVendor, rpmString, 1, "Example Vendor\x00")
	add(rpmArch, rpmString, 1, "x86_64\x00")
	add(rpmSource, rpmString, 1, "bash-5.1.8-6.el9.src.rpm\x00")
	add(rpmBaseNames, rpmStrings, 2, "sh\x00bashrc\x00")
	add(rpmDirNames, rpmStrings, 2, "/bin/\x00/etc/\x00")
	add(rpmDirIndexes, rpmInt32, 2, "\x00\x00\x00\x00\x00\x00\x00\x01")
	if long {
		add(1005, rpmString, 1, strings.Repeat("long text ", 3000)+"\x00")
	}
	b := be.AppendUint32(nil, uint32(len(index)/16))
	return append(append(be.AppendUint32(b, uint32(len(data))), index...), data...)
}

// bdbFile lays headers out as Berkeley DB does: a page of pairs, and a chain of
// overflow pages for each value.
func bdbFile(bo binary.ByteOrder, blobs ...[]byte) []byte {
	const size = 4096
	meta := make([]byte, size)
	bo.PutUint32(meta[12:], bdbMagic)
	bo.PutUint32(meta[20:], size)
	hash := make([]byte, size)
	hash[25] = bdbHash
	pages := [][]byte{meta, hash}
	end := size
	for i, blob := range blobs {
		end -= 5
		hash[end] = bdbKeyData
		bo.PutUint16(hash[bdbPageHeader+4*i:], uint16(end))
		end -= 12
		hash[end] = bdbOffPage
		bo.PutUint32(hash[end+4:], uint32(len(pages)))
		bo.PutUint32(hash[end+8:], uint32(len(blob)))
		bo.PutUint16(hash[bdbPageHeader+4*i+2:], uint16(end))
		for len(blob) > 0 {
			n := min(len(blob), size-bdbPageHeader)
			page := make([]byte, size)
			page[25] = bdbOverfl
			bo.PutUint16(page[22:], uint16(n))
			copy(page[bdbPageHeader:], blob[:n])
			if blob = blob[n:]; len(blob) > 0 {
				bo.PutUint32(page[16:], uint32(len(pages)+1))
			}
			pages = append(pages, page)
		}
	}
	bo.PutUint16(hash[20:], uint16(2*len(blobs)))
	return bytes.Join(pages, nil)
}

func ndbFile(blobs ...[]byte) []byte {
	le := binary.LittleEndian
	b := make([]byte, 4096)
	copy(b, "RpmP")
	le.PutUint32(b[12:], 1)
	for i, blob := range blobs {
		slot := b[32+16*i:]
		copy(slot, "Slot")
		le.PutUint32(slot[8:], uint32(len(b)/16))
		head := make([]byte, 16)
		copy(head, "BlbS")
		le.PutUint32(head[12:], uint32(len(blob)))
		b = append(append(b, head...), blob...)
		for len(b)%16 != 0 {
			b = append(b, 0)
		}
	}
	return b
}

// sqliteFile has the official tool write the database.
func sqliteFile(t *testing.T, blobs ...[]byte) []byte {
	t.Helper()
	dir := t.TempDir()
	script := "CREATE TABLE Other (a); CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);"
	for i, b := range blobs {
		write(t, filepath.Join(dir, string(rune('a'+i))), string(b))
		script += "INSERT INTO Packages (blob) VALUES (readfile('" + string(rune('a'+i)) + "'));"
	}
	testtool.Run(t, dir, "sqlite3", "db", script)
	b, err := os.ReadFile(filepath.Join(dir, "db"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRPM(t *testing.T) {
	blobs := [][]byte{rpmBlob("bash", false), rpmBlob("gpg-pubkey", false), rpmBlob("kernel", true)}
	for place, db := range map[string][]byte{
		"var/lib/rpm/Packages":              bdbFile(binary.LittleEndian, blobs...),
		"usr/share/rpm/Packages":            bdbFile(binary.BigEndian, blobs...),
		"usr/lib/sysimage/rpm/Packages.db":  ndbFile(blobs...),
		"usr/lib/sysimage/rpm/rpmdb.sqlite": sqliteFile(t, blobs...),
		"rootfs/var/lib/rpm/rpmdb.sqlite":   sqliteFile(t, blobs...),
	} {
		root, _ := rpmRoot(place)
		release := filepath.Join(root, "etc/os-release")
		etc := filepath.Join(root, "etc/bashrc")
		p := made(t, place, string(db), release, "ID=rocky\nVERSION_ID=9\n", etc, "x")
		list := Components(p)
		c := find(t, list, "bash")
		if c.PURL != "pkg:rpm/rocky/bash@5.1.8-6.el9?arch=x86_64&distro=rocky-9&epoch=2" || c.Maker != "Example Vendor" || c.CPE != "cpe:2.3:a:gnu:bash:5.1.8:*:*:*:*:*:*:*" {
			t.Errorf("%s: %+v", place, c)
		}
		find(t, list, "kernel")
		if slices.ContainsFunc(list, func(c doorward.Component) bool { return c.Name == "gpg-pubkey" }) {
			t.Errorf("%s: a key is listed as a package", place)
		}
		if Owner(p, p.Volumes[0].File(etc)) == "" {
			t.Errorf("%s: files are owned by nobody", place)
		}
	}
}

// TestKnownPrograms holds the versions that are read from content against those
// of Debian's packages, whose databases are left out.
func TestKnownPrograms(t *testing.T) {
	dir := t.TempDir()
	for _, deb := range []string{"busybox", "dropbear-bin", "dnsmasq-base", "zlib1g", "libssl3", "lighttpd", "libexpat1", "hostapd"} {
		testtool.Run(t, dir, "dpkg-deb", "-x", testtool.Deb(t, deb), dir)
	}
	o, closer, err := unpack.Folder(context.Background(), dir, unpack.NewBudget(unpack.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	p, err := product.OpenTree(context.Background(), "product", o, Patterns(), unpack.Options{Readers: formats.All})
	if err != nil {
		t.Fatal(err)
	}
	list := Components(p)
	for _, name := range []string{"busybox", "dropbear", "dnsmasq", "zlib", "openssl", "lighttpd", "expat", "hostapd"} {
		c := find(t, list, name)
		deb := map[string]string{"dropbear": "dropbear-bin", "dnsmasq": "dnsmasq-base", "zlib": "zlib1g", "openssl": "libssl3", "expat": "libexpat1"}[name]
		if deb == "" {
			deb = name
		}
		want := upstream(strings.TrimSpace(string(testtool.Run(t, dir, "dpkg-deb", "-f", testtool.Deb(t, deb), "Version"))))
		if c.Version != want || c.PURL != "pkg:generic/"+name+"@"+want || !strings.Contains(c.CPE, ":"+want+":") || c.SHA256 == "" || len(c.Where) == 0 {
			t.Errorf("%s: want version %s: %+v", name, want, c)
		}
	}
	if c := find(t, list, "busybox"); c.Detail["arch"] == "" || c.Detail["libc"] != "glibc" || c.Detail["build-id"] == "" || !strings.Contains(c.Detail["hardening"], "PIE") {
		t.Errorf("busybox is not identified: %v", c.Detail)
	}
	seen := map[string]bool{}
	for _, c := range list {
		if c.BOMRef == "" || seen[c.BOMRef] {
			t.Errorf("bom_ref %q is empty or not unique", c.BOMRef)
		}
		seen[c.BOMRef] = true
		if c.Parent != "" && !slices.ContainsFunc(list, func(d doorward.Component) bool { return d.BOMRef == c.Parent }) {
			t.Errorf("%s lies in %q, which is not listed", c.BOMRef, c.Parent)
		}
	}
}

// TestNoFalseVersions has text that only speaks of programs.
func TestNoFalseVersions(t *testing.T) {
	true_ := program(t)
	p := made(t,
		"usr/share/doc/changes", "upgraded to BusyBox v1.19.4 and OpenSSL 1.0.1e 11 Feb 2013\n",
		"usr/bin/scanner", true_+"\x00OpenSSL %s\x00OpenSSH_6.6.1*\x00Linux version %s (\x00dropbear_%s\x00",
		"var/log/dmesg", "Linux version 3.10.14 (root@build) (gcc version 4.6.3)\n",
	)
	if got := refs(Components(p)); !slices.Equal(got, []string{"file:usr/bin/scanner"}) {
		t.Errorf("%q", got)
	}
}

func TestSystems(t *testing.T) {
	for file, c := range map[string]struct{ path, text, want string }{
		"firmware version": {"etc/version", "V1.0.3.22\nbuilt 2014\n", "firmware 1.0.3.22"},
		"etc_ro":           {"etc_ro/version", "VERSION=2.4.1\n", "firmware 2.4.1"},
		"a page":           {"etc/version", strings.Repeat("much text ", 100), ""},
		"no version":       {"etc/version", "hello world\n", ""},
		"android":          {"system/build.prop", "ro.build.version.release=4.4.2\nro.product.model=DPF-1\nro.product.manufacturer=Some Maker\n", "Android 4.4.2"},
		"redhat":           {"etc/redhat-release", "CentOS Linux release 7.9.2009 (Core)\n", "CentOS 7.9.2009"},
	} {
		p := made(t, c.path, c.text)
		got := ""
		if list := Components(p); len(list) > 0 {
			got = list[0].Name + " " + list[0].Version
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", file, got, c.want)
		}
	}
	p := made(t, "system/build.prop", "ro.build.version.release=4.4.2\nro.product.model=DPF-1\nro.product.manufacturer=Some Maker\n")
	if name, version, maker := Identity(p); name != "DPF-1" || version != "4.4.2" || maker != "Some Maker" {
		t.Error(name, version, maker)
	}
}

func FuzzRPM(f *testing.F) {
	f.Add(bdbFile(binary.LittleEndian, rpmBlob("bash", false)))
	f.Add(ndbFile(rpmBlob("bash", false)))
	f.Fuzz(func(_ *testing.T, b []byte) {
		for _, blobs := range [][][]byte{bdbBlobs(b), ndbBlobs(b), sqliteBlobs(b, "Packages")} {
			for _, blob := range blobs {
				rpmHeader(blob)
			}
		}
		rpmHeader(b)
	})
}
