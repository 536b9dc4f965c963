package startup

import (
	"regexp"
	"strings"

	"github.com/doorward/doorward/internal/product"
)

var udevRun = regexp.MustCompile(`\b(?:RUN(?:\{program\})?|PROGRAM|IMPORT\{program\})\s*(?:\+=|==|=|:=)\s*"([^"]+)"`)

// plugged runs what a plugged device, a new link or an interface starts.
func (e *engine) plugged() {
	c := context{manager: "hotplug", trigger: "hotplug"}
	for _, pattern := range []string{"/etc/udev/rules.d/*.rules", "/lib/udev/rules.d/*.rules", "/usr/lib/udev/rules.d/*.rules"} {
		for _, p := range e.fs.glob(pattern) {
			e.eachLine(e.file(p), func(line string, by Site) {
				for _, m := range udevRun.FindAllStringSubmatch(line, 8) {
					cmd := strings.NewReplacer("%k", "$kernel", "%n", "$number", "%p", "$devpath", "%E{", "${", "$env{", "${").Replace(m[1])
					if !strings.HasPrefix(cmd, "/") {
						if f := e.file("/lib/udev/" + strings.Fields(cmd + " x")[0]); f != nil {
							cmd = "/lib/udev/" + cmd
						}
					}
					e.line(cmd, by, c)
				}
			})
		}
	}
	for _, p := range []string{"/etc/mdev.conf", "/etc/mdev/mdev.conf"} {
		e.eachLine(e.file(p), func(line string, by Site) {
			if i := strings.IndexAny(line, "@*$"); i > 0 && line[i-1] == ' ' {
				e.line(strings.TrimLeft(line[i:], "@*$"), by, c)
			}
		})
	}
	for _, pattern := range []string{"/etc/hotplug.d/*/*", "/etc/hotplug/*", "/etc/hotplug/*/*", "/etc/network/if-up.d/*", "/etc/network/if-pre-up.d/*", "/etc/ppp/ip-up", "/etc/ppp/ip-up.d/*", "/etc/NetworkManager/dispatcher.d/*", "/usr/share/udhcpc/default.script", "/etc/udhcpc/default.script", "/etc/udhcpc.script", "/etc/hotplug2.rules", "/etc/acpi/*.sh", "/etc/rc.button/*"} {
		for _, p := range e.fs.glob(pattern) {
			if f := e.file(p); f != nil && isScript(f) && !e.ran[f] && !strings.HasSuffix(p, ".rules") && !strings.HasSuffix(p, ".conf") && e.step() {
				e.runFile(f, p, c)
			}
		}
	}
	e.interfaces(c)
}

func (e *engine) eachLine(f *product.File, do func(line string, by Site)) {
	if f == nil {
		return
	}
	for i, line := range strings.Split(f.Text(), "\n") {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' && e.step() {
			do(line, Site{File: f, Line: i + 1, Text: line[:min(len(line), 400)]})
		}
	}
}

// interfaces runs the up commands of /etc/network/interfaces.
func (e *engine) interfaces(c context) {
	c.trigger = "boot"
	for _, p := range append(e.fs.glob("/etc/network/interfaces.d/*"), "/etc/network/interfaces") {
		e.eachLine(e.file(p), func(line string, by Site) {
			for _, word := range []string{"up ", "pre-up ", "post-up "} {
				if cmd, ok := strings.CutPrefix(line, word); ok {
					e.line(strings.TrimSpace(cmd), by, c)
				}
			}
		})
	}
}

// packageScripts runs what the installation of a package runs: scripts beside
// its control file, and those that a package manager keeps.
func (e *engine) packageScripts() {
	c := context{manager: "package", trigger: "install"}
	var patterns []string
	if e.v.File("control") != nil || e.v.File("CONTROL/control") != nil {
		patterns = append(patterns, "/preinst", "/postinst", "/CONTROL/postinst", "/CONTROL/preinst")
	}
	argument := "configure"
	if e.v.File("rpm-header") != nil {
		// rpm says how many versions of the package there will be.
		patterns, argument = append(patterns, "/pretrans", "/preinst", "/postinst", "/posttrans"), "1"
	}
	patterns = append(patterns, "/var/lib/dpkg/info/*.postinst", "/usr/lib/opkg/info/*.postinst", "/var/lib/opkg/info/*.postinst")
	for _, pattern := range patterns {
		for _, p := range e.fs.glob(pattern) {
			f := e.file(p)
			if f == nil || !isScript(f) || e.ran[f] || !e.parse(f).shell || !e.step() {
				continue
			}
			if name := strings.TrimSuffix(f.Base(), ".postinst"); name != f.Base() && e.isInstalled(name) {
				continue
			}
			own := c
			own.chain = []Site{{File: f, Line: 1, Text: p}}
			e.runScript(f, p, []value{{text: argument, given: true}}, own, nil)
		}
	}
	for _, p := range e.fs.glob("/etc/uci-defaults/*") {
		if f := e.file(p); f != nil && isScript(f) && !e.ran[f] {
			own := context{manager: "rc", trigger: "boot", chain: []Site{{File: f, Line: 1, Text: p}}}
			e.runScript(f, p, nil, own, nil)
		}
	}
}

// isInstalled says that a package manager's list has a package as installed: its
// scripts ran when the product was made, and not on it.
func (e *engine) isInstalled(name string) bool {
	if e.installed == nil {
		e.installed = map[string]bool{}
		for _, p := range []string{"/var/lib/dpkg/status", "/usr/lib/opkg/status", "/var/lib/opkg/status"} {
			if f := e.file(p); f != nil {
				readInstalled(string(f.Bytes()), e.installed)
			}
		}
	}
	base, _, _ := strings.Cut(name, ":")
	return e.installed[base]
}

// readInstalled reads the packages of a status file that are configured.
func readInstalled(text string, into map[string]bool) {
	name := ""
	for line := range strings.SplitSeq(text, "\n") {
		if rest, ok := strings.CutPrefix(line, "Package: "); ok {
			name = strings.TrimSpace(rest)
		} else if rest, ok := strings.CutPrefix(line, "Status: "); ok && strings.HasSuffix(strings.TrimSpace(rest), " installed") && len(into) < 1<<16 {
			into[name] = true
		}
	}
}
