package inventory

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
)

// System is what an operating system says of itself.
type System struct {
	Name, Version, Maker string
	ID                   string // debian, openwrt, alpine: the namespace of its packages
	Codename             string
	Model                string // the device, if it says so
	file                 *product.File
}

// systemFiles are where systems write their identity, the most telling first.
// Firmware that fills /etc at boot keeps it in a folder beside.
var systemFiles = []struct {
	pattern string
	read    func(text string) System
}{
	{"usr/lib/os-release", osRelease},
	{"etc*/os-release", osRelease},
	{"etc*/openwrt_release", openwrtRelease},
	{"system/build.prop", buildProp},
	{"build.prop", buildProp},
	{"default.prop", buildProp},
	{"etc*/openwrt_version", firstLine("OpenWrt", "openwrt")},
	{"etc*/alpine-release", firstLine("Alpine Linux", "alpine")},
	{"etc*/debian_version", firstLine("Debian", "debian")},
	{"etc*/lsb-release", lsbRelease},
	{"etc*/redhat-release", redhatRelease},
	{"etc*/version", versionFile},
	{"etc*/fw_version", versionFile},
	{"etc*/firmware_version", versionFile},
	{"etc*/sw_version", versionFile},
	{"etc*/*_version", versionFile},
	{"version", versionFile},
}

// systems finds the operating system of every volume.
func (in *inventory) systems() {
	for _, v := range in.product.Volumes {
		s := systemOf(v)
		if s.file == nil {
			continue
		}
		c := doorward.Component{
			Type: "operating-system", Name: s.Name, Version: s.Version, Maker: s.Maker, SHA256: s.file.SHA256, Where: s.file.Where(), Found: "release",
			PURL: purl("generic", "", strings.ToLower(strings.ReplaceAll(s.Name, " ", "-")), s.Version),
		}
		if s.ID == "firmware" {
			c.Type = "firmware"
		}
		if s.Model != "" {
			c.Detail = map[string]string{"model": s.Model}
		}
		in.os[v] = in.add(v, c)
	}
}

// systemOf reads the first file that says something; a file that is kept for
// deleted is only a trace.
func systemOf(v *product.Volume) System {
	for _, k := range systemFiles {
		for _, f := range v.Glob(k.pattern) {
			if f.Deleted() || f.Size > 1<<16 {
				continue
			}
			if s := k.read(f.Text()); s.Name != "" {
				s.file = f
				return s
			}
		}
	}
	return System{}
}

// Identity is what the artifact says that it is, of its most important system:
// product (model or system), version and maker.
func Identity(p *product.Product) (name, version, maker string) {
	in := of(p)
	for _, v := range p.Volumes {
		c := in.os[v]
		if c == nil || !v.IsRoot() {
			continue
		}
		name = c.Name
		if m := c.Detail["model"]; m != "" {
			name = m
		}
		return name, c.Version, c.Maker
	}
	return "", "", ""
}

// keyValues reads KEY=value lines, with or without quotes.
func keyValues(text string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(text) {
		k, v, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(k, "#") {
			continue
		}
		v = strings.TrimSpace(v)
		if len(v) >= 2 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
			v = v[1 : len(v)-1]
		}
		m[strings.TrimSpace(k)] = v
	}
	return m
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func osRelease(text string) System {
	m := keyValues(text)
	return System{
		Name: first(m["NAME"], m["ID"], m["PRETTY_NAME"]), Version: first(m["VERSION_ID"], m["BUILD_ID"], m["VERSION"]), ID: m["ID"], Codename: m["VERSION_CODENAME"],
		Maker: first(m["VENDOR_NAME"], m["OPENWRT_DEVICE_MANUFACTURER"]), Model: first(m["HARDWARE_MODEL"], real(m["OPENWRT_DEVICE_PRODUCT"])),
	}
}

// real drops the placeholder that OpenWrt writes for any board.
func real(s string) string {
	if s == "Generic" || s == "generic" {
		return ""
	}
	return s
}

func openwrtRelease(text string) System {
	m := keyValues(text)
	return System{Name: m["DISTRIB_ID"], Version: m["DISTRIB_RELEASE"], ID: strings.ToLower(m["DISTRIB_ID"]), Codename: m["DISTRIB_CODENAME"]}
}

func lsbRelease(text string) System { return openwrtRelease(text) }

func buildProp(text string) System {
	m := keyValues(text)
	if m["ro.build.version.release"] == "" && m["ro.build.display.id"] == "" && m["ro.build.id"] == "" {
		return System{}
	}
	return System{
		Name: "Android", ID: "android", Version: first(m["ro.build.version.release"], m["ro.build.id"]),
		Maker: first(m["ro.product.manufacturer"], m["ro.product.brand"], m["ro.product.system.manufacturer"]), Model: first(m["ro.product.model"], m["ro.product.system.model"]),
	}
}

func firstLine(name, id string) func(string) System {
	return func(text string) System {
		line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
		if line == "" || len(line) > 64 {
			return System{}
		}
		return System{Name: name, ID: id, Version: strings.TrimSpace(line)}
	}
}

var redhatLine = regexp.MustCompile(`^(.{2,40}?) (?:Linux )?release (\d[\w.]*)`)

func redhatRelease(text string) System {
	m := redhatLine.FindStringSubmatch(text)
	if m == nil {
		return System{}
	}
	return System{Name: m[1], Version: m[2], ID: strings.ToLower(strings.Fields(m[1])[0])}
}

var versionLine = regexp.MustCompile(`(?i)^(?:(?:firmware|software|fw|sw)?[ _-]?ver(?:sion)?[ :=]+"?)?v?(\d+(?:\.\d+){1,4}[\w.-]{0,24})"?(?:\s|$)`)

// versionFile reads a file that holds little but a version.
func versionFile(text string) System {
	text = strings.TrimSpace(text)
	if len(text) > 512 {
		return System{}
	}
	for line := range strings.Lines(text) {
		if m := versionLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			return System{Name: "firmware", ID: "firmware", Version: m[1]}
		}
	}
	return System{}
}

// systemAround is the system of the volume at whose root a database lies, and
// of a database in a sub-folder the system of that folder.
func (in *inventory) systemAround(v *product.Volume, root string) System {
	if root == "." {
		return systemOf(v)
	}
	for _, name := range []string{"usr/lib/os-release", "etc/os-release"} {
		if f := v.File(path.Join(root, name)); f != nil {
			return osRelease(f.Text())
		}
	}
	return System{}
}

// isSystemID says that an id may stand as the namespace of packages.
func isSystemID(id string) bool {
	return id != "" && id != "firmware" && !slices.ContainsFunc([]byte(id), func(c byte) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.'
	})
}
