package firmware

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// bootArgs are boot arguments that give whoever starts them a shell or a
// debugger.
var bootArgs = regexp.MustCompile(`(?:^|[\s"'=])((?:rd)?init=/bin/(?:ba|a|da|z)?sh|(?:rd)?init=/(?:usr/)?s?bin/(?:sh|bash|busybox)|systemd\.debug[-_]shell(?:=\S+)?|rd\.break\S*|kgdboc=\S+|kgdbwait)(?:[\s"';]|$)`)

// bootSettings looks at boot loaders' environments, device trees' and boot
// menus' arguments.
func bootSettings(p *product.Product, out *detect.Sink) {
	noAutoboot(p, out)
	spl := firstStages(p)
	for _, f := range p.Files {
		if f.Content.Object != nil && !f.Deleted() {
			argumentLines(f, f.Content.Object.Info["command line"], out) // of a kernel: built in
		}
		switch {
		case f.Deleted() || isDocumentation(f.Inner()) || !f.Type.IsText():
		case f.Node.Format == "environment":
			out.Looked(doorward.KindDebug, 1, "boot environment")
			if !spl[f.Content] {
				environment(f, out)
			}
		case f.Node.Format == "device tree source" || isBootMenu(f.Path):
			out.Looked(doorward.KindDebug, 1, "boot menu or device tree")
			argumentLines(f, f.Text(), out)
		}
	}
}

// noAutoboot reports loaders that were built without starting anything by
// themselves: they end at their prompt. U-Boot has a line editor then, but neither
// the delay nor what it shows while it waits.
func noAutoboot(p *product.Product, out *detect.Sink) {
	within := map[*unpack.Content]*unpack.Content{}
	var walk func(c, loader *unpack.Content)
	walk = func(c, loader *unpack.Content) {
		if c == nil || within[c] != nil {
			return
		}
		if c.Object != nil && c.Object.Info["loader"] == "U-Boot" {
			loader = c
		}
		if loader != nil {
			within[c] = loader
		}
		for _, k := range c.Children {
			walk(k.Content, loader)
		}
	}
	walk(p.Root.Content, nil)
	done := map[*unpack.Content]bool{}
	for _, f := range p.Files {
		loader := within[f.Content]
		if loader == nil || f.Deleted() || done[loader] {
			continue
		}
		done[loader] = true
		b, err := unpack.ReadAll(loader.Data, 4<<20)
		if err != nil || !bytes.Contains(b, []byte("<INTERRUPT>\n")) || bytes.Contains(b, []byte("bootdelay")) || bytes.Contains(bytes.ToLower(b), []byte("autoboot")) {
			continue
		}
		d := debugDoor("boot-shell", "the boot loader starts nothing by itself: it stays in its shell on the console", doorward.Physical, doorward.Open)
		setPath(&d, f)
		d.Certainty = doorward.Likely
		d.Where = f.Where()
		d.Evidence = []doorward.Evidence{{What: loader.Object.Info["banner"], Note: "it has a command line, but neither a boot delay nor the text that a loader shows while it waits; assumes that nothing else starts the system"}}
		d.Check = "On the device, watch the serial console while it starts."
		out.Door(d)
	}
}

// firstStages are the contents that lie within U-Boot's first stages alone. Those
// carry an environment for the stage behind them, but have no shell.
func firstStages(p *product.Product) map[*unpack.Content]bool {
	type visit struct {
		c   *unpack.Content
		spl bool
	}
	seen, inside, outside := map[visit]bool{}, map[*unpack.Content]bool{}, map[*unpack.Content]bool{}
	var walk func(c *unpack.Content, spl bool)
	walk = func(c *unpack.Content, spl bool) {
		if c == nil || seen[visit{c, spl}] {
			return
		}
		seen[visit{c, spl}] = true
		if c.Object != nil && c.Object.Info["loader"] != "" {
			spl = strings.HasPrefix(c.Object.Info["loader"], "U-Boot SPL") || c.Object.Info["loader"] == "U-Boot TPL"
		}
		if spl {
			inside[c] = true
		} else {
			outside[c] = true
		}
		for _, n := range c.Children {
			walk(n.Content, spl)
		}
	}
	walk(p.Root.Content, false)
	for c := range outside {
		delete(inside, c)
	}
	return inside
}

func isBootMenu(p string) bool {
	switch path.Base(p) {
	case "grub.cfg", "menu.lst", "extlinux.conf", "syslinux.cfg", "isolinux.cfg", "cmdline.txt", "uEnv.txt", "boot.scr", "boot.cmd", "armbianEnv.txt", "loader.conf":
		return true
	}
	return strings.Contains("/"+p, "/loader/entries/")
}

func environment(f *product.File, out *detect.Sink) {
	n := 0
	for line := range strings.Lines(f.Text()) {
		n++
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if name == "bootdelay" {
			bootDelay(f, n, value, out)
		}
	}
	argumentLines(f, f.Text(), out)
}

// bootDelay reports a boot that can be stopped from the console: with a delay
// of 0 only where the loader is built to look all the same, below 0 it either
// never boots by itself (-1: the shell is there at once) or can't be stopped.
func bootDelay(f *product.File, line int, value string, out *detect.Sink) {
	delay, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil || delay == 0 || delay < -1 {
		return
	}
	title := fmt.Sprintf("the boot loader waits %d s: a key on the console opens its shell", delay)
	if delay == -1 {
		title = "the boot loader stays in its shell on the console"
	}
	d := debugDoor("boot-shell", title, doorward.Physical, doorward.Open)
	setPath(&d, f)
	d.Where = f.Where()
	d.Evidence = []doorward.Evidence{{What: "bootdelay=" + value, Note: "a variable of the boot loader's environment; its shell can boot anything and write the flash", Line: line}}
	d.Check = "fw_printenv bootdelay, or strings on that part; on the device, press a key on the serial console while it starts."
	out.Door(d)
}

// setPath names the file that a door lies in. A part of a raw image has no path:
// a boot loader's default and saved environments are one door.
func setPath(d *doorward.Door, f *product.File) {
	if inner := f.Inner(); inner != "" {
		d.Detail["path"] = inner
	}
}

func argumentLines(f *product.File, text string, out *detect.Sink) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "//") {
			continue
		}
		m := bootArgs.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		d := debugDoor("boot-args", fmt.Sprintf("boot arguments with %s", m[1]), doorward.Physical, doorward.Open)
		setPath(&d, f)
		d.Where = f.Where()
		note := "whoever chooses this at the console has a root shell or a debugger"
		d.Evidence = []doorward.Evidence{{What: cut(line, 200), Note: note, Line: n}}
		d.Check = "Read that line; see which boot command uses it."
		out.Door(d)
		return
	}
}

// kernelOption is a line of a kernel's configuration that helps to debug.
type kernelOption struct {
	name, note string
	unless     string // another option that makes it harmless
	weight     doorward.Hidden
	reach      doorward.Reach
}

var kernelDebug = []kernelOption{
	{"CONFIG_KGDB_SERIAL_CONSOLE", "the kernel's debugger on the serial console", "", doorward.Open, doorward.Physical},
	{"CONFIG_KGDB_KDB", "the kernel's debugger with a shell", "", doorward.Open, doorward.Physical},
	{"CONFIG_DEVKMEM", "/dev/kmem: root reads and writes the kernel's memory", "", doorward.PerUnit, doorward.Local},
	{"CONFIG_DEVMEM", "/dev/mem without CONFIG_STRICT_DEVMEM: root reads and writes all memory", "CONFIG_STRICT_DEVMEM", doorward.PerUnit, doorward.Local},
	{"CONFIG_MAGIC_SYSRQ_SERIAL", "commands to the kernel by a break on the serial console", "", doorward.Normal, doorward.Physical},
}

// kernelOptions reports, one door a kernel, what its configuration leaves open.
func kernelOptions(p *product.Product, out *detect.Sink) {
	for _, f := range p.Files {
		if !f.Type.IsText() || f.Deleted() || isDocumentation(f.Inner()) || f.Volume != nil && !strings.Contains(f.Base(), "config") {
			continue
		}
		set := kernelSettings(f.Text())
		if len(set) < 5 && f.Node.Format != "kernel configuration" {
			continue
		}
		out.Looked(doorward.KindDebug, 1, "kernel configuration")
		if d, ok := kernelDoor(f, set); ok {
			out.Door(d)
		}
	}
}

// kernelSettings are the options that are built in, with their lines.
func kernelSettings(text string) map[string]int {
	set := map[string]int{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		if name, ok := strings.CutSuffix(strings.TrimSpace(line), "=y"); ok && strings.HasPrefix(name, "CONFIG_") {
			set[name] = n
		}
	}
	return set
}

func kernelDoor(f *product.File, set map[string]int) (doorward.Door, bool) {
	d := debugDoor("kernel", "", doorward.Local, doorward.Normal)
	var names []string
	for _, o := range kernelDebug {
		if set[o.name] == 0 || o.unless != "" && set[o.unless] > 0 {
			continue
		}
		names = append(names, strings.TrimPrefix(o.name, "CONFIG_"))
		d.Evidence = append(d.Evidence, doorward.Evidence{What: o.name + "=y", Note: o.note, Line: set[o.name]})
		if w := doorward.Weigh(doorward.Control, o.reach, o.weight, false); w.Rank() > d.Weight.Rank() || len(names) == 1 {
			d.Weight, d.Reach = w, o.reach
		}
	}
	if len(names) == 0 {
		return d, false
	}
	d.Title = "the kernel is built for debugging: " + strings.Join(names, ", ")
	setPath(&d, f)
	d.Where = f.Where()
	d.Check = "Read the kernel's configuration (scripts/extract-ikconfig, /proc/config.gz) for these options."
	return d, true
}

// androidBuilds reports debug builds: anybody at the USB port is root by adb.
func androidBuilds(p *product.Product, out *detect.Sink) {
	for _, f := range p.Files {
		base := f.Base()
		if f.Deleted() || !f.Type.IsText() || !strings.HasSuffix(base, ".prop") && base != "prop.default" {
			continue
		}
		out.Looked(doorward.KindDebug, 1, "property file")
		n := 0
		var found []doorward.Evidence
		hidden, title := doorward.PerUnit, "debugging by USB is on: adb gives a shell to whom the owner has let in"
		for line := range strings.Lines(f.Text()) {
			n++
			line = strings.ReplaceAll(strings.TrimSpace(line), " ", "")
			if name, value, _ := strings.Cut(line, "="); strings.HasSuffix(name, ".usb.config") && slices.Contains(strings.Split(value, ","), "adb") {
				found = append(found, doorward.Evidence{What: line, Note: "adb listens on the USB port", Line: n})
				continue
			}
			switch line {
			case "ro.debuggable=1":
				found = append(found, doorward.Evidence{What: line, Note: "a debug build: adb gives a root shell", Line: n})
			case "ro.secure=0":
				found = append(found, doorward.Evidence{What: line, Note: "adb runs as root from the start", Line: n})
			case "ro.adb.secure=0":
				found = append(found, doorward.Evidence{What: line, Note: "adb asks for no key", Line: n})
			default:
				continue
			}
			hidden, title = doorward.Open, "debug build of Android: adb gives a root shell"
		}
		if len(found) == 0 {
			continue
		}
		d := debugDoor("adb", title, doorward.Physical, hidden)
		d.Detail["path"] = f.Inner()
		d.Where, d.Evidence = f.Where(), found
		d.Check = "adb shell getprop ro.debuggable; adb root."
		out.Door(d)
	}
}

var jtagNode = regexp.MustCompile(`(?i)^\s*(?:[\w-]+:\s*)?(jtag|swd|debug-uart)[\w@,.-]*\s*\{`)

// deviceTrees reports debug ports that a device tree leaves switched on.
func deviceTrees(p *product.Product, out *detect.Sink) {
	for _, f := range p.Files {
		if f.Node.Format != "device tree source" {
			continue
		}
		lines := strings.Split(f.Text(), "\n")
		for i, line := range lines {
			if !jtagNode.MatchString(line) || !switchedOn(lines[i+1:]) {
				continue
			}
			d := debugDoor("jtag", "the device tree leaves a debug port on: "+strings.TrimSpace(strings.TrimRight(line, " {")), doorward.Physical, doorward.Open)
			d.Certainty = doorward.Likely
			d.Detail["device"] = strings.TrimSpace(strings.TrimRight(line, " {"))
			d.Where = f.Where()
			d.Evidence = []doorward.Evidence{{What: strings.TrimSpace(line), Note: "a node that is not disabled; that the port is led out is assumed", Line: i + 1}}
			d.Check = "fdtdump the device tree and look for the port on the board."
			out.Door(d)
		}
	}
}

// switchedOn says that the node whose body the lines begin with is a device that
// is not disabled, and no group of pins.
func switchedOn(lines []string) bool {
	depth := 1
	device := false
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if depth == 1 {
			if strings.HasPrefix(line, "status") && !strings.Contains(line, "ok") || strings.Contains(line, "pins") || strings.Contains(line, "function =") {
				return false
			}
			device = device || strings.HasPrefix(line, "compatible") || strings.HasPrefix(line, "reg") || strings.HasPrefix(line, "status")
		}
		depth += strings.Count(line, "{") - strings.Count(line, "}")
		if depth <= 0 {
			return device
		}
	}
	return false
}
