package startup

import (
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/doorward/doorward/internal/product"
)

// volume evaluates everything that starts on a volume, in the order of a boot.
func (e *engine) volume() {
	if config := e.v.Info["config"]; strings.HasPrefix(config, "{") {
		e.container(config)
		e.internetServers()
		e.timers()
		return
	}
	c := context{manager: "rc", trigger: "boot"}
	e.firstProgram(c)
	e.inittab(e.file("/etc/inittab"))
	e.systemd()
	e.upstart()
	e.android()
	e.supervised()
	e.rcLinks(c)
	e.rcLocal(c)
	e.internetServers()
	e.loginShells()
	e.plugged()
	e.packageScripts()
	e.timers()
}

// firstProgram runs what the kernel starts, if it is a script: /init of an
// initramfs, or an init of the maker's own.
func (e *engine) firstProgram(c context) {
	for _, p := range []string{"/init", "/etc/preinit", "/linuxrc", "/sbin/init", "/sbin/preinit", "/etc/init", "/bin/init"} {
		f := e.file(p)
		if f == nil || e.ran[f] {
			continue
		}
		by := Site{File: f, Text: p}
		e.ran[f] = true
		switch {
		case isScript(f):
			e.emit(Event{Kind: Start, Program: p, File: f, Applet: path.Base(p), By: by, Manager: "init", Trigger: "boot"})
			first := c
			first.chain = []Site{by}
			e.runScript(f, p, nil, first, nil)
		case knownInit(f):
		default:
			e.emit(Event{Kind: Start, Program: p, File: f, Applet: path.Base(p), By: by, Manager: "init", Trigger: "boot"})
			first := c
			first.chain = []Site{by}
			e.programRuns(f, first)
		}
	}
}

// knownInit says that a program is an init whose configuration is read
// instead.
func knownInit(f *product.File) bool {
	switch f.Base() {
	case "busybox", "toybox", "systemd", "procd", "openrc-init", "runit-init", "s6-svscan", "upstart", "finit":
		return true
	}
	for _, word := range []string{"etc/inittab", "systemd", "rc-default", "/init.rc"} {
		if strings.Contains(string(f.Bytes()), word) {
			return true
		}
	}
	return false
}

// inittab reads the lines of an inittab, of busybox (tty::action:command) or
// System V (id:levels:action:command).
func (e *engine) inittab(f *product.File) {
	if f == nil {
		e.defaultInittab()
		return
	}
	e.ran[f] = true
	for i, line := range strings.Split(f.Text(), "\n") {
		e.inittabLine(strings.TrimSpace(line), Site{File: f, Line: i + 1, Text: strings.TrimSpace(line)}, nil, nil)
	}
}

// inittabLine runs one line. chain and conds are those of a script that wrote
// it.
func (e *engine) inittabLine(line string, by Site, chain []Site, conds []Condition) {
	if line == "" || line[0] == '#' {
		return
	}
	parts := strings.SplitN(line, ":", 4)
	if len(parts) < 4 {
		return
	}
	levels, action, cmd := parts[1], parts[2], strings.TrimSpace(parts[3])
	switch action {
	case "sysinit", "boot", "bootwait", "respawn", "respawnlate", "askfirst", "askconsole", "askconsolelate", "wait", "once", "console":
	default:
		return
	}
	if levels != "" && (strings.Trim(levels, "0123456Ss") == "") && !strings.ContainsAny(levels, "12345Ss") {
		return // levels 0 and 6: halt and reboot
	}
	c := context{manager: "inittab", trigger: "boot", terminal: parts[0], respawn: action, chain: chain, conds: conds}
	if levels == "" || strings.Trim(parts[0], "0123456789") != parts[0] && strings.HasPrefix(parts[0], "tty") {
		c.terminal = parts[0]
	} else {
		c.terminal = ""
	}
	e.line(cmd, by, c)
	e.login(cmd, by, c)
}

// line runs a command line that is no part of a script.
func (e *engine) line(cmd string, by Site, c context) {
	if len(cmd) > 4096 {
		return
	}
	cmd = strings.TrimPrefix(cmd, "@")
	if strings.HasPrefix(cmd, "-/") || strings.HasPrefix(cmd, "+/") {
		cmd = cmd[1:]
	}
	s := e.newShell(c)
	s.site = &by
	s.src = by.File
	stmts, ok := parseShell(cmd, 1)
	if !ok {
		if fields := strings.Fields(cmd); len(fields) > 0 {
			s.record(Event{Kind: Start, Program: fields[0], Args: fields[1:], Applet: path.Base(fields[0]), By: by})
		}
		return
	}
	s.text = cmd
	s.list(stmts)
}

// defaultInittab is what busybox does without an inittab.
func (e *engine) defaultInittab() {
	init := e.file("/sbin/init")
	if init == nil {
		init = e.file("/bin/init")
	}
	if init != nil && init.Base() != "busybox" {
		return
	}
	if f := e.file("/etc/init.d/rcS"); f != nil && !e.ran[f] {
		e.line("/etc/init.d/rcS", Site{File: f, Line: 1, Text: "/etc/init.d/rcS"}, context{manager: "rc", trigger: "boot"})
	}
}

// login follows a login shell's profile.
func (e *engine) login(cmd string, by Site, c context) {
	fields := strings.Fields(cmd)
	if len(fields) == 0 {
		return
	}
	prog := path.Base(strings.TrimPrefix(fields[0], "-"))
	shell := strings.HasPrefix(fields[0], "-")
	switch prog {
	case "getty", "agetty", "login", "ash", "bash", "sulogin", "mgetty", "mingetty":
		shell = true
	}
	if shell {
		c.manager, c.trigger = "profile", "login"
		c.chain = append(c.chain[:len(c.chain):len(c.chain)], by)
		e.profile(c)
	}
}

// loginShells runs the profile for logins that have nothing to do with
// inittab: over the network.
func (e *engine) loginShells() {
	e.profile(context{manager: "profile", trigger: "login"})
}

func (e *engine) profile(c context) {
	for _, p := range []string{"/etc/profile"} {
		f := e.file(p)
		if f == nil || e.ran[f] || !isScript(f) {
			continue
		}
		if len(c.chain) == 0 {
			c.chain = []Site{{File: f, Line: 1, Text: p}}
		}
		e.runScript(f, p, nil, c, nil)
	}
	for _, p := range []string{"/root/.profile", "/.profile", "/root/.bashrc", "/root/.bash_profile", "/etc/.profile", "/root/.ashrc"} {
		if f := e.file(p); f != nil && !e.ran[f] && isScript(f) {
			own := c
			if len(own.chain) == 0 {
				own.chain = []Site{{File: f, Line: 1, Text: p}}
			}
			e.runScript(f, p, nil, own, nil)
		}
	}
}

// rcLinks runs the S links of run levels that an init reads by convention,
// where no script was seen to do so.
func (e *engine) rcLinks(c context) {
	openwrt := (e.file("/etc/rc.common") != nil)
	for _, folder := range e.rcFolders() {
		names := e.fs.names(folder)
		sort.Strings(names)
		for _, name := range names {
			if len(name) < 2 || name[0] != 'S' || !isDigit(name[1]) {
				continue
			}
			p := folder + "/" + name
			f := e.file(p)
			if f == nil || e.ran[f] || !e.step() {
				continue
			}
			action := "start"
			if openwrt {
				action = "boot"
			}
			e.initScript(f, p, action, c)
		}
	}
	if !e.isWhole() {
		e.looseScripts(c)
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// initScript starts one init script.
func (e *engine) initScript(f *product.File, p, action string, c context) {
	by := Site{File: f, Line: 1, Text: p + " " + action}
	e.emit(Event{Kind: Start, Program: p, File: f, Args: []string{action}, Applet: path.Base(p), By: by, Manager: c.manager, Trigger: c.trigger, Condition: c.conds})
	c.chain = append(slices.Clone(c.chain), by)
	if isScript(f) {
		e.runScript(f, p, []value{{text: action, given: true}}, c, nil)
	} else {
		e.ran[f] = true
		e.programRuns(f, c)
	}
}

// rcFolders are the folders of S links that the volume's init reads.
func (e *engine) rcFolders() []string {
	var list []string
	add := func(folders ...string) {
		for _, f := range folders {
			if len(e.fs.names(f)) > 0 {
				list = append(list, f)
			}
		}
	}
	level := e.runLevel()
	switch {
	case (e.file("/etc/rc.common") != nil):
		add("/etc/rc.d")
	case level != "":
		add("/etc/rcS.d", "/etc/rc.d/rcS.d", "/etc/rc"+level+".d", "/etc/rc.d/rc"+level+".d")
	case e.file("/etc/inittab") == nil && e.file("/etc/init.d/rcS") == nil && !e.hasSystemd():
		add("/etc/rcS.d", "/etc/rc2.d", "/etc/rc3.d", "/etc/rc5.d", "/etc/rc.d/rcS.d", "/etc/rc.d/rc3.d", "/etc/rc.d/rc5.d", "/etc/rc.d")
	}
	return list
}

// runLevel is the level of System V's inittab; "" if there is none.
func (e *engine) runLevel() string {
	f := e.file("/etc/inittab")
	if f == nil {
		return ""
	}
	for _, line := range strings.Split(f.Text(), "\n") {
		parts := strings.Split(strings.TrimSpace(line), ":")
		if len(parts) >= 3 && parts[2] == "initdefault" && !strings.HasPrefix(parts[0], "#") {
			return parts[1]
		}
	}
	return ""
}

func (e *engine) hasSystemd() bool {
	for _, p := range []string{"lib/systemd/systemd", "usr/lib/systemd/systemd", "bin/systemd"} {
		if e.v.File(p) != nil {
			return true
		}
	}
	return false
}

// isWhole says that the volume is a system and not the content of a package.
func (e *engine) isWhole() bool {
	for _, p := range []string{"etc/inittab", "etc/init.d/rcS", "sbin/init", "bin/init", "init", "linuxrc", "etc/rcS.d", "etc/rc.common", "bin/busybox", "etc/passwd", "bin/sh", "usr/bin/sh", "init.rc"} {
		if e.v.Exists(p) {
			return true
		}
	}
	return e.hasSystemd()
}

// looseScripts runs the init scripts of a package: its installation enables
// them.
func (e *engine) looseScripts(c context) {
	for _, f := range e.v.Glob("etc/init.d/*") {
		if e.ran[f] || !isScript(f) || e.v.File("lib/systemd/system/"+f.Base()+".service") != nil || e.v.File("usr/lib/systemd/system/"+f.Base()+".service") != nil {
			continue
		}
		e.initScript(f, "/"+f.Path, "start", c)
	}
}

// rcLocal runs /etc/rc.local where the init is one that does.
func (e *engine) rcLocal(c context) {
	for _, p := range []string{"/etc/rc.local", "/etc/rc.d/rc.local", "/etc/init.d/boot.local"} {
		f := e.file(p)
		if f == nil || e.ran[f] || !isScript(f) {
			continue
		}
		if e.hasSystemd() && f.Mode().Perm()&0o111 == 0 {
			continue
		}
		if !e.hasSystemd() && e.runLevel() == "" && e.file("/etc/inittab") != nil && !(e.file("/etc/rc.common") != nil) {
			continue // busybox runs it only if a script does
		}
		e.initScript(f, p, "start", c)
	}
}
