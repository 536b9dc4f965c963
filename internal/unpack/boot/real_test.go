package boot_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"sort"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/boot"
	"github.com/doorward/doorward/internal/unpack/formats"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// explored lists the objects of an artifact: the steps to each, and the reader.
func explored(t testing.TB, b []byte) map[string]*unpack.Node {
	t.Helper()
	res, err := unpack.Explore(context.Background(), "image", unpack.Slice(b), unpack.Options{Readers: formats.All})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*unpack.Node{}
	var walk func(n *unpack.Node, path string)
	walk = func(n *unpack.Node, path string) {
		found[path] = n
		if n.Content != nil {
			for _, k := range n.Content.Children {
				walk(k, strings.TrimPrefix(path+" "+k.Step, " "))
			}
		}
	}
	walk(res.Root, "")
	return found
}

// hasFile says that some tree below a place that starts with prefix has a file.
func hasFile(found map[string]*unpack.Node, prefix, file string) bool {
	for path, n := range found {
		if strings.HasPrefix(path, prefix) && n.Content != nil && n.Content.Tree != nil && n.Content.Tree.Entry(file) != nil {
			return true
		}
	}
	return false
}

func paths(found map[string]*unpack.Node) string {
	var list []string
	for p, n := range found {
		if n.Content != nil && n.Entry == nil {
			list = append(list, p+" = "+string(n.Content.Type)+" "+n.Content.Reader)
		}
	}
	sort.Strings(list)
	return strings.Join(list, "\n")
}

const armelImages = "usr/lib/debian-installer/images/12/armel/"

// TestRealBootImages opens what Debian builds for devices of several makers,
// through all layers.
func TestRealBootImages(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches a large package")
	}
	for _, c := range []struct{ file, prefix, inside string }{
		{"kirkwood/network-console/d-link/dns-320/netboot.img", "dlink:section1 uimage:ramdisk", "etc/passwd"},
		{"kirkwood/marvell/dreamplug/uInitrd", "uimage:ramdisk", "etc/passwd"},
		{"orion5x/buffalo/kuroboxpro/initrd.buffalo", "uimage:ramdisk", "etc/passwd"},
		{"orion5x/buffalo/kuroboxpro/uImage.buffalo", "uimage:kernel", "dev/console"},
		{"kirkwood/marvell/sheevaplug/uImage", "uimage:kernel zimage@0x0 zimage:kernel kernel:initramfs", "dev/console"},
	} {
		found := explored(t, testtool.DebFile(t, "debian-installer-12-netboot-armel", armelImages+c.file))
		if !hasFile(found, c.prefix, c.inside) {
			t.Errorf("%s: no %s under %s in\n%s", c.file, c.inside, c.prefix, paths(found))
		}
		for path, n := range found {
			if n.Content != nil && n.Entry == nil {
				for _, g := range n.Content.Gaps {
					t.Errorf("%s: %s: unread: %+v", c.file, path, g)
				}
			}
		}
	}
}

// TestVendorMutants puts the images of a device behind other headers: known,
// unknown, of another byte order; another format around them, another
// compression inside.
func TestVendorMutants(t *testing.T) {
	ramdisk := append(boot.SampleCpio(), make([]byte, 512)...)
	image := func(method string) []byte {
		return boot.MakeUImage(boot.UImageMagic, boot.PackStream(t, method, ramdisk))
	}
	kernel := boot.MakeUImage(boot.UImageMagic, boot.MakeZImage(binary.LittleEndian, boot.PackStream(t, "xz", boot.MakeKernel(t, false, ""))))
	odd := append([]byte("ACME\x00\x01firmware for the model 7\x00"), bytes.Repeat([]byte{0x11, 0x22}, 100)...)
	for name, b := range map[string][]byte{
		"dlink":           unpacktest.MakeDLink(binary.LittleEndian, 128, 4, kernel, image("gzip")),
		"dlink, big":      unpacktest.MakeDLink(binary.BigEndian, 256, 3, kernel, image("xz")),
		"unknown header":  append(append(bytes.Clone(odd), kernel...), image("gzip")...),
		"xz":              append(append(bytes.Clone(odd), kernel...), image("xz")...),
		"zstd":            append(append(bytes.Clone(odd), kernel...), image("zstd")...),
		"trx":             boot.MakeTRX(binary.LittleEndian, 1, kernel, image("bzip2")),
		"trx behind more": append(bytes.Clone(odd), boot.MakeTRX(binary.LittleEndian, 2, kernel, image("lz4"))...),
		"other magic":     boot.MakeUImage("ACME", boot.PackStream(t, "gzip", ramdisk)),
		"fit":             boot.MakeFIT(t, kernel, boot.PackStream(t, "lzop", ramdisk), "-E"),
		"multi":           boot.Mkimage(t, "-A", "arm", "-T", "multi", "-C", "none", "-d", unpacktest.WriteFile(t, t.TempDir(), "k", kernel)+":"+unpacktest.WriteFile(t, t.TempDir(), "r", boot.PackStream(t, "gzip", ramdisk))),
	} {
		found := explored(t, b)
		if !hasFile(found, "", "init") {
			t.Errorf("%s: the ramdisk was not found in\n%s", name, paths(found))
		}
		if name != "other magic" && !strings.Contains(paths(found), "zimage:kernel = object kernel") {
			t.Errorf("%s: the kernel was not found in\n%s", name, paths(found))
		}
	}
}
