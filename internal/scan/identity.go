package scan

import (
	"bufio"
	"path"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/inventory"
	"github.com/doorward/doorward/internal/product"
)

// identify fills in what the artifact itself says that it is: its package's
// control file, or the release file of its largest root file system. It returns
// every version that the artifact tells of itself.
func identify(p *product.Product, s *doorward.Subject) []string {
	var best *product.Volume
	for _, v := range p.Volumes {
		if len(v.Places[0]) <= 3 && control(v, s) {
			return []string{s.Version}
		}
		if v.IsRoot() && (best == nil || len(v.Tree.Paths()) > len(best.Tree.Paths())) {
			best = v
		}
	}
	if best == nil {
		return nil
	}
	var versions []string
	for _, name := range releaseFiles {
		if f := best.File(name); f != nil {
			kv := keyValues(f.Text())
			takeRelease(kv, s)
			for _, k := range versionKeys {
				if kv[k] != "" {
					versions = append(versions, kv[k])
				}
			}
		}
	}
	name, version, maker := inventory.Identity(p)
	for _, fill := range []struct {
		to   *string
		from string
	}{{&s.Product, name}, {&s.Version, version}, {&s.Maker, maker}} {
		if *fill.to == "" {
			*fill.to = fill.from
		}
	}
	for _, v := range versionFiles(best) {
		versions = append(versions, v)
		if s.Version == "" {
			s.Version = v
		}
	}
	return versions
}

// releaseFiles name the product by KEY=value, the best first (os-release(5),
// OpenWrt's device_info and openwrt_release).
var releaseFiles = []string{"etc/os-release", "usr/lib/os-release", "etc/device_info", "etc/openwrt_release", "etc_ro/os-release"}

var versionKeys = []string{"VERSION_ID", "DEVICE_REVISION", "VERSION", "DISTRIB_RELEASE"}

func takeRelease(kv map[string]string, s *doorward.Subject) {
	set := func(to *string, keys ...string) {
		for _, k := range keys {
			if *to == "" && kv[k] != "" {
				*to = kv[k]
			}
		}
	}
	set(&s.Product, "DEVICE_PRODUCT", "NAME", "DISTRIB_ID")
	set(&s.Version, versionKeys...)
	set(&s.Maker, "DEVICE_MANUFACTURER", "VENDOR_NAME")
}

// versionFiles reads files that hold nothing but a version.
func versionFiles(v *product.Volume) []string {
	var versions []string
	for _, name := range []string{"etc/version", "etc_ro/version", "etc/fw_version", "usr/share/version", "version"} {
		f := v.File(name)
		if f == nil || f.Size > 200 {
			continue
		}
		if text := strings.TrimSpace(f.Text()); text != "" && strings.ContainsAny(text, "0123456789") && !strings.ContainsAny(text, "\n=") {
			versions = append(versions, text)
		}
	}
	return versions
}

// control reads a Debian or opkg package's control file.
func control(v *product.Volume, s *doorward.Subject) bool {
	f := v.File("control")
	if f == nil {
		return false
	}
	fields := map[string]string{}
	scanner := bufio.NewScanner(strings.NewReader(f.Text()))
	for scanner.Scan() {
		if key, value, ok := strings.Cut(scanner.Text(), ": "); ok && !strings.HasPrefix(key, " ") {
			fields[key] = strings.TrimSpace(value)
		}
	}
	if fields["Package"] == "" || fields["Version"] == "" {
		return false
	}
	s.Product, s.Version, s.Maker = fields["Package"], fields["Version"], fields["Maintainer"]
	return true
}

// keyValues reads lines of KEY=value, the value in quotes or not.
func keyValues(text string) map[string]string {
	kv := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(key, "#") {
			kv[path.Base(key)] = strings.Trim(value, `"'`)
		}
	}
	return kv
}
