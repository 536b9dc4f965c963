package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
)

// appPackages fill the second file system of the flash image: what a NAS or a
// gateway serves besides routing.
var appPackages = []string{
	"python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "samba", "samba-libs", "samba-common-bin",
	"nginx", "php8.2-cli", "libavcodec59", "mosquitto", "openssh-server", "openssh-client", "transmission-daemon",
}

const kernelPackage = "linux-image-6.1.0-50-cloud-amd64"

// flash is a flash image and, apart, the pieces that peers unpack.
type flash struct {
	image   string
	squash  []string
	payload string // the kernel's own lz4 stream
}

// flashImage is a boot loader's worth of code, a FIT with a kernel and a RAM
// disk, a kernel in a uImage and two squashfs of one compressor; 64 MiB of flash if they fit.
func flashImage(dir, comp string) (f flash, err error) {
	f = flash{image: filepath.Join(dir, "flash-"+comp+".bin"), payload: filepath.Join(dir, "vmlinux.lz4")}
	for _, set := range []string{"root", "apps"} {
		f.squash = append(f.squash, filepath.Join(dir, set+"-"+comp+".squashfs"))
	}
	if exists(f.image) {
		return f, nil
	}
	if err := bootFiles(dir); err != nil {
		return f, err
	}
	for i, set := range []string{"root", "apps"} {
		tree, err := tree(dir, set)
		if err != nil {
			return f, err
		}
		os.Remove(f.squash[i])
		if err := command(dir, "mksquashfs", tree, f.squash[i], "-comp", comp, "-b", "131072", "-noappend", "-quiet", "-no-progress", "-all-root"); err != nil {
			return f, err
		}
	}
	return f, joinAligned(f.image, 64<<20, filepath.Join(dir, "boot"), filepath.Join(dir, "fit"), filepath.Join(dir, "uimage"), f.squash[0], f.squash[1])
}

// changedImage is flashImage with a byte more in every twentieth file.
func changedImage(dir, comp string) (f flash, err error) {
	f = flash{image: filepath.Join(dir, "flash-"+comp+"-changed.bin")}
	if exists(f.image) {
		return f, nil
	}
	for _, set := range []string{"root", "apps"} {
		from, err := tree(dir, set)
		if err != nil {
			return f, err
		}
		packed := filepath.Join(dir, "changed-"+set+"-"+comp+".squashfs")
		f.squash = append(f.squash, packed)
		os.Remove(packed)
		if err := command(dir, "sh", "-ec", changeAndPack, "sh", from, "changed", packed, comp); err != nil {
			return f, err
		}
	}
	return f, joinAligned(f.image, 64<<20, filepath.Join(dir, "boot"), filepath.Join(dir, "fit"), filepath.Join(dir, "uimage"), f.squash[0], f.squash[1])
}

const changeAndPack = `rm -rf "$2"; cp -a "$1" "$2"
find "$2" -type f | LC_ALL=C sort | awk 'NR % 20 == 0' | while IFS= read -r f; do chmod u+w "$f"; printf x >>"$f"; done
mksquashfs "$2" "$3" -comp "$4" -b 131072 -noappend -quiet -no-progress -all-root
rm -rf "$2"`

// tree unpacks a set of packages, once.
func tree(dir, set string) (string, error) {
	to := filepath.Join(dir, "tree-"+set)
	if exists(to) {
		return to, nil
	}
	packages := map[string][]string{"root": routerPackages, "apps": appPackages, "modules": {"linux-image-6.1.0-50-amd64"}}[set]
	for _, p := range packages {
		if err := unpackDeb(dir, p, to+".new"); err != nil {
			return "", err
		}
	}
	for _, drop := range []string{"doc", "man", "locale", "lintian", "info"} {
		os.RemoveAll(filepath.Join(to+".new", "usr/share", drop))
	}
	return to, os.Rename(to+".new", to)
}

const fitSource = `/dts-v1/;
/ {
	description = "bench"; #address-cells = <1>;
	images {
		kernel { data = /incbin/("zimage"); type = "kernel"; arch = "arm"; os = "linux"; compression = "none"; load = <0x8000>; entry = <0x8000>; hash { algo = "sha256"; }; };
		ramdisk { data = /incbin/("ramdisk"); type = "ramdisk"; arch = "arm"; os = "linux"; compression = "none"; hash { algo = "sha256"; }; };
	};
	configurations { default = "a"; a { kernel = "kernel"; ramdisk = "ramdisk"; }; };
};
`

// bootFiles makes the boot loader, the FIT and the uImage.
func bootFiles(dir string) error {
	boot := bytes.Repeat([]byte{0xff}, 0x40000)
	copy(boot, "\x27\xbd\xff\xe0\xaf\xbf\x00\x1c")
	for name, b := range map[string][]byte{"boot": boot, "fit.its": []byte(fitSource)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	kernel := filepath.Join(dir, "kernel")
	if err := unpackDeb(dir, kernelPackage, kernel); err != nil {
		return err
	}
	defer os.RemoveAll(kernel)
	found, _ := filepath.Glob(filepath.Join(kernel, "boot/vmlinuz-*"))
	if len(found) != 1 {
		return fmt.Errorf("%s holds %d kernels", kernelPackage, len(found))
	}
	if err := os.Rename(found[0], filepath.Join(dir, "vmlinuz")); err != nil {
		return err
	}
	if err := payload(filepath.Join(dir, "vmlinuz"), filepath.Join(dir, "vmlinux.lz4")); err != nil {
		return err
	}
	if err := zImage(dir); err != nil {
		return err
	}
	initrd := filepath.Join(dir, "initrd")
	os.RemoveAll(initrd)
	if err := unpackDeb(dir, "busybox", initrd); err != nil {
		return err
	}
	for _, script := range []string{
		"(cd initrd && find . | cpio -o -H newc --quiet) | gzip -9n >ramdisk && rm -r initrd",
		"mkimage -f fit.its fit",
		"mkimage -A x86 -O linux -T kernel -C none -n bench -d vmlinuz uimage",
	} {
		if err := command(dir, "sh", "-c", script); err != nil {
			return err
		}
	}
	return nil
}

// payload cuts the packed kernel out of a bzImage, by the fields that the boot
// protocol of Linux has for it (Documentation/arch/x86/boot.rst), and without the
// size that follows the lz4 stream.
func payload(kernel, to string) error {
	b, err := os.ReadFile(kernel)
	if err != nil {
		return err
	}
	start := (int(b[0x1f1])+1)*512 + int(binary.LittleEndian.Uint32(b[0x248:]))
	end := start + int(binary.LittleEndian.Uint32(b[0x24c:])) - 4
	if end > len(b) || !bytes.HasPrefix(b[start:], []byte("\x02\x21\x4c\x18")) {
		return fmt.Errorf("%s has no lz4 stream", kernel)
	}
	return os.WriteFile(to, b[start:end], 0o644)
}

// zImage cuts the kernel out of the first uImage of the NAS image.
func zImage(dir string) error {
	nas, err := nasImage(dir)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(nas)
	if err != nil {
		return err
	}
	b = b[max(0, bytes.Index(b, []byte("\x27\x05\x19\x56"))):]
	return os.WriteFile(filepath.Join(dir, "zimage"), b[64:64+binary.BigEndian.Uint32(b[12:])], 0o644)
}

// joinAligned puts files behind each other at 64 KiB, and fills with 0xff up to a size.
func joinAligned(to string, size int, files ...string) error {
	var all []byte
	pad := func(n int) { all = append(all, bytes.Repeat([]byte{0xff}, max(0, n-len(all)))...) }
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		pad((len(all) + 0xffff) &^ 0xffff)
		all = append(all, b...)
	}
	pad(size)
	return os.WriteFile(to, all, 0o644)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
