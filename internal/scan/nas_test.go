package scan

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/testtool"
)

// The D-Link DNS-320 image that Debian's installer ships: a vendor header of
// 128 bytes, two uImages, the second with a gzip cpio. Read by hand, it has four
// ways in: the account "installer" with uid 0 (etc/passwd), whose password is
// set at run time by network-console.postinst (and is "install" on every unit:
// usr/bin/oldsys-preseed), sshd with root login by password, and shells without
// login on tty2 and tty3.
const nasImage = "usr/lib/debian-installer/images/12/armel/kirkwood/network-console/d-link/dns-320/netboot.img"

// nasParts cuts the image into vendor header, kernel uImage and ramdisk.
func nasParts(t *testing.T) (header, kernel, ramdisk []byte) {
	t.Helper()
	dir := t.TempDir()
	testtool.Run(t, dir, "dpkg-deb", "-x", testtool.Deb(t, "debian-installer-12-netboot-armel"), dir)
	b, err := os.ReadFile(filepath.Join(dir, nasImage))
	if err != nil {
		t.Fatal(err)
	}
	uimage := func(off int) int { return off + 64 + int(binary.BigEndian.Uint32(b[off+12:])) }
	end := uimage(128)
	second := end + bytes.Index(b[end:], []byte("\x27\x05\x19\x56"))
	return b[:128], b[128:end], b[second+64 : uimage(second)]
}

// uImage packs bytes with Debian's mkimage.
func uImage(t *testing.T, kind, comp string, payload []byte) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(in, payload, 0o644); err != nil {
		t.Fatal(err)
	}
	testtool.Run(t, dir, "mkimage", "-A", "arm", "-O", "linux", "-T", kind, "-C", comp, "-n", "fw", "-d", in, out)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// unpackRamdisk unpacks a gzip cpio into a folder, for changing it.
func unpackRamdisk(t *testing.T, ramdisk []byte) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", "gzip -dc | cpio -idm --quiet --no-absolute-filenames")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(ramdisk)
	if out, err := cmd.CombinedOutput(); err != nil && !bytes.Contains(out, []byte("Operation not permitted")) {
		t.Fatalf("cpio: %v\n%s", err, out)
	}
	return dir
}

func packRamdisk(t *testing.T, dir, compressor string) []byte {
	t.Helper()
	cmd := exec.Command("sh", "-c", "find . | LC_ALL=C sort | cpio -o -H newc --quiet | "+compressor)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// replaceEverywhere changes a word in the text files, names and links of a tree.
func replaceEverywhere(t *testing.T, dir, from, to string) {
	t.Helper()
	var renames []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.Contains(filepath.Base(p), from) {
			renames = append(renames, p)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil || bytes.IndexByte(b, 0) >= 0 || !bytes.Contains(b, []byte(from)) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(p, bytes.ReplaceAll(b, []byte(from), []byte(to)), info.Mode())
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(renames) // children first
	for _, p := range renames {
		if err := os.Rename(p, filepath.Join(filepath.Dir(p), strings.ReplaceAll(filepath.Base(p), from, to))); err != nil {
			t.Fatal(err)
		}
	}
}

// wants are the four ways in, with what differs between mutants.
type wants struct{ user, setter, console string }

func checkNAS(t *testing.T, r *doorward.Report, w wants) {
	t.Helper()
	find := func(what string, ok func(d doorward.Door) bool) {
		t.Helper()
		if !slices.ContainsFunc(r.Doors, ok) {
			t.Errorf("no door is %s", what)
		}
	}
	heavy := func(d doorward.Door) bool { return d.Weight == doorward.Critical || d.Weight == doorward.High }
	find("the account "+w.user+" with uid 0", func(d doorward.Door) bool {
		return d.Kind == doorward.KindAccount && d.Detail.Text("user") == w.user && d.Detail.Text("uid") == "0" && heavy(d)
	})
	find("the password that a script sets", func(d doorward.Door) bool {
		return d.Kind == doorward.KindAccount && d.Detail.Text("user") == w.user && strings.HasSuffix(d.Detail.Text("made_by"), w.setter)
	})
	find("sshd on port 22", func(d doorward.Door) bool {
		return d.Kind == doorward.KindService && d.Detail.Text("port") == "22" && d.Detail.Text("program") == "sshd"
	})
	find("a shell on "+w.console, func(d doorward.Door) bool {
		return d.Kind == doorward.KindDebug && d.Detail.Text("device") == w.console && d.Weight == doorward.Medium
	})
}

func inspectBytes(t *testing.T, image []byte) *doorward.Report {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image.bin")
	if err := os.WriteFile(file, image, 0o644); err != nil {
		t.Fatal(err)
	}
	return inspectFile(t, file)
}

func TestNASImage(t *testing.T) {
	header, kernel, ramdisk := nasParts(t)
	image := slices.Concat(header, kernel, uImage(t, "ramdisk", "gzip", ramdisk))
	asShipped := wants{"installer", "network-console.postinst", "tty2"}
	t.Run("as shipped", func(t *testing.T) {
		r := inspectBytes(t, image)
		checkNAS(t, r, asShipped)
		if r.Summary.UnreadBytes*100 > r.Summary.ReadBytes {
			t.Errorf("%d bytes unread: %+v", r.Summary.UnreadBytes, r.Unread)
		}
	})
	t.Run("another vendor header", func(t *testing.T) {
		vendor := append([]byte("HDR0\x00\x01\xaa\x55"), bytes.Repeat([]byte{0x5a}, 504)...)
		checkNAS(t, inspectBytes(t, append(vendor, image[128:]...)), asShipped)
	})
	t.Run("another compression", func(t *testing.T) {
		dir := unpackRamdisk(t, ramdisk)
		for _, compressor := range []string{"xz --check=crc32", "lzma", "lz4 -l -c", "zstd -c"} {
			payload := packRamdisk(t, dir, compressor)
			checkNAS(t, inspectBytes(t, slices.Concat(header, kernel, uImage(t, "ramdisk", "none", payload))), asShipped)
		}
	})
	t.Run("renamed", func(t *testing.T) {
		dir := unpackRamdisk(t, ramdisk)
		replaceEverywhere(t, dir, "network-console", "fieldlink")
		replaceEverywhere(t, dir, "installer", "upkeep")
		replaceEverywhere(t, dir, "tty2", "ttyS7")
		r := inspectBytes(t, slices.Concat(header, kernel, uImage(t, "ramdisk", "gzip", packRamdisk(t, dir, "gzip"))))
		checkNAS(t, r, wants{"upkeep", "fieldlink.postinst", "ttyS7"})
	})
	t.Run("another init", func(t *testing.T) {
		dir := unpackRamdisk(t, ramdisk)
		toSystemd(t, dir)
		checkNAS(t, inspectBytes(t, slices.Concat(header, kernel, uImage(t, "ramdisk", "gzip", packRamdisk(t, dir, "gzip")))), asShipped)
	})
}

// toSystemd replaces busybox's init by systemd units that do the same.
func toSystemd(t *testing.T, dir string) {
	t.Helper()
	put := func(name, text string) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "etc/inittab")); err != nil {
		t.Fatal(err)
	}
	put("lib/systemd/systemd", "#!/bin/sh\n")
	put("lib/systemd/system/setup.service", "[Unit]\nDescription=Set-up\n[Service]\nExecStart=/sbin/debian-installer-startup\n[Install]\nWantedBy=multi-user.target\n")
	put("lib/systemd/system/console.service", "[Unit]\nDescription=Console\n[Service]\nExecStart=-/bin/sh\nStandardInput=tty\nTTYPath=/dev/tty2\nRestart=always\n[Install]\nWantedBy=multi-user.target\n")
	wants := filepath.Join(dir, "etc/systemd/system/multi-user.target.wants")
	if err := os.MkdirAll(wants, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, unit := range []string{"setup.service", "console.service"} {
		if err := os.Symlink("/lib/systemd/system/"+unit, filepath.Join(wants, unit)); err != nil {
			t.Fatal(err)
		}
	}
}
