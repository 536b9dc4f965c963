package boot_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/boot"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// fipImages are those that fiptool can name.
var fipImages = strings.Fields("scp-fwu-cfg ap-fwu-cfg fwu fwu-cert tb-fw scp-fw soc-fw tos-fw tos-fw-extra1 tos-fw-extra2 nt-fw rmm-fw fw-config hw-config tb-fw-config soc-fw-config tos-fw-config nt-fw-config rot-cert " +
	"trusted-key-cert scp-fw-key-cert soc-fw-key-cert tos-fw-key-cert nt-fw-key-cert tb-fw-cert scp-fw-cert soc-fw-cert tos-fw-cert nt-fw-cert sip-sp-cert plat-sp-cert cca-cert core-swd-cert plat-key-cert")

func makeFIP(t testing.TB, align string) []byte {
	dir := t.TempDir()
	args := []string{"create", "--align", align}
	for i, name := range fipImages {
		unpacktest.WriteFile(t, dir, name, unpacktest.Noise(int64(i), 100+i*37))
		args = append(args, "--"+name, name)
	}
	testtool.Run(t, dir, "fiptool", append(args, "out.fip")...)
	b, err := os.ReadFile(filepath.Join(dir, "out.fip"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFIP(t *testing.T) {
	testtool.Need(t, "fiptool")
	for _, align := range []string{"1", "4096"} {
		b := makeFIP(t, align)
		o := unpacktest.OpenBytes(t, boot.FIP, append(bytes.Clone(b), 1, 2, 3))
		if o.Size != int64(len(b)) || len(o.Parts) != len(fipImages) {
			t.Fatalf("%d of %d bytes, %d parts", o.Size, len(b), len(o.Parts))
		}
		for _, p := range o.Parts {
			i := 0
			for i < len(fipImages) && fipImages[i] != p.Name {
				i++
			}
			if i == len(fipImages) || !bytes.Equal(unpacktest.PartBytes(t, p), unpacktest.Noise(int64(i), 100+i*37)) {
				t.Errorf("%s differs", p.Name)
			}
		}
		unpacktest.Damage(t, boot.FIP, b, unpacktest.Damaged{Rounds: 200, Unchecked: true})
	}
	if _, err := boot.FIP.Open(unpacktest.Input(append([]byte("\x01\x00\x64\xaa\x01\x00\x00\x00"), make([]byte, 100)...))); !errors.Is(err, unpack.ErrNotThis) {
		t.Error(err)
	}
}

// TestGRUB: what grub-mkimage was told to build in.
func TestGRUB(t *testing.T) {
	testtool.Need(t, "grub-mkimage")
	for _, c := range []struct{ format, deb, dir string }{
		{"x86_64-efi", "grub-efi-amd64-bin", "usr/lib/grub/x86_64-efi"},
	} {
		dir := t.TempDir()
		testtool.Run(t, dir, "dpkg-deb", "-x", testtool.Deb(t, c.deb), "tree")
		unpacktest.WriteFile(t, dir, "early.cfg", []byte("search --file /x\nset timeout=0\n"))
		disk := unpacktest.Noise(3, 5000)
		unpacktest.WriteFile(t, dir, "disk", disk)
		testtool.Run(t, dir, "grub-mkimage", "-d", filepath.Join(dir, "tree", c.dir), "-O", c.format, "-o", "out", "-p", "/EFI/x", "-c", "early.cfg", "-m", "disk", "tar", "memdisk", "fat")
		o := unpacktest.Open(t, boot.GRUB, filepath.Join(dir, "out"))
		got := map[string]string{}
		for _, p := range o.Parts {
			got[p.Name] = string(unpacktest.PartBytes(t, p))
		}
		if got["config"] != "search --file /x\nset timeout=0\n" || !strings.HasPrefix(got["prefix"], "(memdisk)") && got["prefix"] != "/EFI/x" || !strings.HasPrefix(got["memdisk"], string(disk)) {
			t.Errorf("%s: %q %q, a memdisk of %d bytes", c.format, got["config"], got["prefix"], len(got["memdisk"]))
		}
		for _, m := range []string{"\ntar\n", "\nmemdisk\n", "\nfat\n", "\narchelp\n"} {
			if !strings.Contains(got["modules"], m) {
				t.Errorf("%s: no module %q in %q", c.format, m, got["modules"])
			}
		}
	}
	o := unpacktest.OpenBytes(t, boot.GRUBImage, []byte("mimg\x0c\x00\x00\x00\x1c\x00\x00\x00\x02\x00\x00\x00\x10\x00\x00\x00set x=y\x00 and more"))
	if len(o.Parts) != 1 || o.Size != 28 || string(unpacktest.PartBytes(t, o.Parts[0])) != "set x=y" {
		t.Errorf("32 bits: %d, %v", o.Size, o.Parts)
	}
	if _, err := boot.GRUB.Open(unpacktest.Input([]byte("MZ and mimg, which is no list of modules at all"))); !errors.Is(err, unpack.ErrNotThis) {
		t.Error(err)
	}
}

func FuzzFIP(f *testing.F) {
	b := make([]byte, 200)
	copy(b, "\x01\x00\x64\xaa\x01\x00\x00\x00")
	b[16], b[32], b[40] = 7, 100, 50
	b[72] = 150
	unpacktest.Fuzz(f, boot.FIP, b)
}

func FuzzGRUB(f *testing.F) {
	b := []byte("mimg\x0c\x00\x00\x00\x30\x00\x00\x00\x02\x00\x00\x00\x10\x00\x00\x00set x=y\x00\x01\x00\x00\x00\x14\x00\x00\x00a memdisk...")
	unpacktest.Fuzz(f, boot.GRUBImage, append(b, make([]byte, 64)...))
}
