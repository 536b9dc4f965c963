package firmware

import (
	"context"
	"fmt"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
)

// Debug finds debug, test and diagnostic interfaces.
var Debug = &Detector{
	Name: "debug",
	Doc: "Finds shells and log-in prompts on consoles, boot loaders that can be stopped, boot arguments that give a shell, kernel options for debugging, " +
		"debug builds of Android, JTAG in device trees, and web programs that run what they are asked or open a remote shell, without a session.",
	Kinds:    []doorward.Kind{doorward.KindDebug},
	Requires: []string{"startup", "executable"},
	Patterns: []string{"QUERY_STRING", "REQUEST_METHOD", "init=/bin/", "rdinit=/", "kgdboc=", "systemd.debug-shell"},
	Scope:    detect.ProductAll,
	Run:      runDebug,
}

func runDebug(_ context.Context, p *product.Product, out *detect.Sink) error {
	for _, find := range []func(*product.Product, *detect.Sink){consoles, bootSettings, kernelOptions, androidBuilds, deviceTrees, openHelpers, shellOpeners} {
		find(p, out)
	}
	return nil
}

// debugDoor is a door without place and evidence.
func debugDoor(what, title string, reach doorward.Reach, hidden doorward.Hidden) doorward.Door {
	return doorward.Door{
		Kind: doorward.KindDebug, Title: title, Reach: reach, Stages: []doorward.Stage{doorward.Access}, Certainty: doorward.Shown,
		Weight: doorward.Weigh(doorward.Control, reach, hidden, false), References: []string{"CWE-489", "CWE-1191"},
		Detail: doorward.Detail{"what": what},
	}
}

// site fills in the place and the evidence of a line of start-up.
func site(d *doorward.Door, s startup.Site, note string) {
	ev := doorward.Evidence{What: cut(s.Text, 200), Note: note, Path: s.File.Path, Line: s.Line}
	d.Where = s.File.Where()
	if s.Line == 0 {
		d.Where = s.File.WhereAt(s.Offset)
		ev.Offset = &s.Offset
	}
	d.Evidence = append(d.Evidence, ev)
}

var shells = map[string]bool{"sh": true, "ash": true, "bash": true, "dash": true, "hush": true, "lash": true, "msh": true, "mksh": true, "ksh": true, "zsh": true, "rbash": true, "csh": true, "tcsh": true}

var gettys = map[string]bool{"getty": true, "agetty": true, "mingetty": true, "mgetty": true, "fgetty": true, "uugetty": true, "ngetty": true, "qingy": true}

// consoles finds what start-up puts on consoles.
func consoles(p *product.Product, out *detect.Sink) {
	for _, ev := range startup.Of(p).Events {
		if ev.Kind != startup.Start || ev.By.File == nil || ev.Holds() == startup.False {
			continue
		}
		switch {
		case gettys[ev.Applet]:
			out.Looked(doorward.KindDebug, 1, "console")
			getty(ev, out)
		case shells[ev.Applet] && onConsole(ev) && interactive(ev.Args):
			out.Looked(doorward.KindDebug, 1, "console")
			consoleDoor(ev, deviceOf(ev), out)
		}
	}
}

// onConsole says that the event's program talks to a person at a console.
func onConsole(ev startup.Event) bool {
	if strings.ContainsAny(ev.By.Text, "|") && strings.Contains(ev.By.Text, "| sh") || ev.Socket != "" {
		return false
	}
	switch ev.Manager {
	case "inittab":
		return ev.Respawn == "respawn" || strings.HasPrefix(ev.Respawn, "ask") || ev.Terminal != "" && ev.Respawn != "sysinit" && ev.Respawn != "shutdown" && ev.Respawn != "ctrlaltdel"
	case "profile", "package", "cron", "hotplug":
		return false
	}
	return ev.Terminal != "" || redirected(ev.By.Text) != ""
}

// interactive says that a shell is started without a script.
func interactive(args []string) bool {
	for _, a := range args {
		if a != "-" && a != "-i" && a != "-l" && a != "--login" && a != "-il" && a != "-li" {
			return false
		}
	}
	return true
}

// deviceOf names the console of an event.
func deviceOf(ev startup.Event) string {
	device := strings.TrimPrefix(ev.Terminal, "/dev/")
	if device == "console" {
		return "" // whichever the kernel was told to use
	}
	if device == "" {
		device = redirected(ev.By.Text)
	}
	return device
}

// redirected is the terminal that a command line redirects to, without /dev/.
func redirected(line string) string {
	i := strings.Index(line, "/dev/tty")
	if i < 0 || !strings.ContainsAny(line[:i], "<>") {
		return ""
	}
	name := line[i+len("/dev/"):]
	if end := strings.IndexFunc(name, func(c rune) bool { return !isAlnum(c) }); end >= 0 {
		name = name[:end]
	}
	return name
}

func isAlnum(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func consoleDoor(ev startup.Event, device string, out *detect.Sink) {
	name := "the console"
	if device != "" {
		name = device
	}
	title := "shell without log-in on " + name
	if ev.User == "" || ev.User == "root" {
		title = "root shell without log-in on " + name
	}
	d := debugDoor("serial-shell", title, doorward.Physical, doorward.Open)
	if device != "" {
		d.Detail["device"] = device
	}
	site(&d, ev.By, "started on the console, and asks nobody for a password")
	conditions(&d, ev)
	d.Check = fmt.Sprintf("Read %s; on the device, connect to %s and press Enter.", ev.By.File.Path, name)
	out.Door(d)
}

// conditions adds the guards of an event to a door's evidence.
func conditions(d *doorward.Door, ev startup.Event) {
	for _, c := range ev.Condition {
		note := "only if this holds; the default was not found"
		if c.Default != "" {
			note = fmt.Sprintf("only if this holds; %s is shipped as %q", c.Name, c.Default)
		}
		if c.Holds != startup.True {
			d.Certainty = doorward.Likely
		}
		d.Evidence = append(d.Evidence, doorward.Evidence{What: cut(c.Text, 200), Note: note})
	}
}

// getty reports a getty that logs in by itself, and a log-in prompt on a serial
// line; one on a screen is what every computer has.
func getty(ev startup.Event, out *detect.Sink) {
	device := gettyDevice(ev)
	if who := autologin(ev.Args); who != "" {
		ev.User = who
		if who == "root" {
			ev.User = ""
		}
		consoleDoor(ev, device, out)
		return
	}
	if virtualTerminal(device) {
		return
	}
	name := device
	if name == "" {
		name = "the console"
	}
	d := debugDoor("serial-shell", "log-in prompt on "+name, doorward.Physical, doorward.PerUnit)
	if device != "" {
		d.Detail["device"] = device
	}
	site(&d, ev.By, "started on the console; it asks for a user and a password")
	conditions(&d, ev)
	d.Check = fmt.Sprintf("Read %s; on the device, connect to %s and press Enter.", ev.By.File.Path, name)
	out.Door(d)
}

// autologin is the user that a getty's arguments log in without asking; "" if
// it asks.
func autologin(args []string) string {
	noAsk, program := false, ""
	for i, a := range args {
		next := ""
		if i+1 < len(args) {
			next = args[i+1]
		}
		switch {
		case a == "-a" || a == "--autologin":
			return next
		case strings.HasPrefix(a, "--autologin="):
			return strings.TrimPrefix(a, "--autologin=")
		case a == "-n" || a == "--skip-login":
			noAsk = true
		case a == "-l" || a == "--login-program":
			program = next[strings.LastIndexByte(next, '/')+1:]
		}
	}
	if shells[program] || noAsk && program != "" && program != "login" && strings.Contains(program, "sh") {
		return "root"
	}
	return ""
}

func gettyDevice(ev startup.Event) string {
	for _, a := range ev.Args {
		a = strings.TrimPrefix(a, "/dev/")
		if strings.HasPrefix(a, "tty") || a == "console" || strings.HasPrefix(a, "hvc") || strings.HasPrefix(a, "ttyS") {
			return a
		}
	}
	return strings.TrimPrefix(ev.Terminal, "/dev/")
}

// virtualTerminal says that a device is a screen and keyboard: tty1, tty2 ...
func virtualTerminal(device string) bool {
	rest, ok := strings.CutPrefix(device, "tty")
	return ok && rest != "" && strings.Trim(rest, "0123456789") == ""
}
