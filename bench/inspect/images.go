package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// routerPackages make a root file system of about 16 MB when packed: the
// programs of a router and enough libraries.
var routerPackages = []string{
	"busybox", "dropbear-bin", "dnsmasq-base", "lighttpd", "libc6", "openssl", "libssl3", "curl", "libcurl4",
	"hostapd", "wpasupplicant", "iptables", "libxtables12", "ppp", "snmpd", "libsnmp40", "tcpdump",
	"libpcap0.8", "perl-base", "openvpn", "libstdc++6", "libsqlite3-0", "bash", "coreutils",
}

// routerImage is a boot loader's worth of code, padding, and an xz squashfs of
// those packages' files.
func routerImage(dir string) (string, error) {
	file := filepath.Join(dir, "router.bin")
	if exists(file) {
		return file, nil
	}
	f, err := flashImage(dir, "xz")
	if err != nil {
		return "", err
	}
	return file, joinAligned(file, 0, filepath.Join(dir, "boot"), f.squash[0])
}

// nasImage is the D-Link DNS-320 image that Debian's installer ships.
func nasImage(dir string) (string, error) {
	file := filepath.Join(dir, "nas.img")
	if exists(file) {
		return file, nil
	}
	tree := filepath.Join(dir, "installer")
	if err := unpackDeb(dir, "debian-installer-12-netboot-armel", tree); err != nil {
		return "", err
	}
	defer os.RemoveAll(tree)
	return file, os.Rename(filepath.Join(tree, "usr/lib/debian-installer/images/12/armel/kirkwood/network-console/d-link/dns-320/netboot.img"), file)
}

// unpackDeb fetches a package, once, and unpacks it without running anything.
func unpackDeb(dir, name, to string) error {
	debs, _ := filepath.Glob(filepath.Join(dir, name+"_*.deb"))
	if len(debs) == 0 {
		cmd := exec.Command("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get download %s: %w\n%s", name, err, out)
		}
		debs, _ = filepath.Glob(filepath.Join(dir, name+"_*.deb"))
	}
	if len(debs) == 0 {
		return fmt.Errorf("%s: apt-get left no package", name)
	}
	return command(dir, "dpkg-deb", "-x", debs[0], to)
}
