package startup

import (
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/doorward/doorward/internal/product"
)

// unitFolders are where systemd looks for units, the administrator's first
// (systemd.unit(5)).
var unitFolders = []string{"etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"}

// units is what a volume has for systemd.
type units struct {
	e       *engine
	loaded  map[string]*unit
	started map[string]bool
}

// unit is a parsed unit with its drop-ins.
type unit struct {
	name     string // as called; of an instance with its instance
	instance string
	file     *product.File
	values   map[string][]unitValue // by "Section.Key"
}

type unitValue struct {
	text string
	site Site
}

// maxUnits is how many units of one volume are started.
const maxUnits = 1000

// systemd starts what the default target wants, and in a package what its
// installation enables.
func (e *engine) systemd() {
	e.units = &units{e: e, loaded: map[string]*unit{}, started: map[string]bool{}}
	c := context{manager: "systemd", trigger: "boot"}
	if e.hasSystemd() {
		e.units.start("default.target", c)
		for _, target := range []string{"sysinit.target", "basic.target", "multi-user.target", "getty.target", "sockets.target", "timers.target", "network-online.target"} {
			e.units.start(target, c)
		}
		return
	}
	if e.isWhole() {
		// Another init runs, and the units are what a package brought along;
		// unless there is none, and somebody enabled units by hand.
		if !e.otherInit() {
			e.startEnabled(c)
		}
		return
	}
	for _, dir := range unitFolders {
		for _, f := range e.v.Glob(dir + "/*") {
			u := e.units.find(f.Base())
			if u == nil || strings.Contains(f.Base(), "@.") || e.presetOff(f.Base()) {
				continue
			}
			if len(u.values["Install.WantedBy"]) > 0 || len(u.values["Install.RequiredBy"]) > 0 {
				e.units.start(f.Base(), c)
			}
		}
	}
}

// otherInit says that the volume has an init or its configuration.
func (e *engine) otherInit() bool {
	for _, p := range []string{"etc/inittab", "sbin/init", "bin/init", "init", "linuxrc", "etc/rc.common", "init.rc", "etc/init.d/rcS", "etc/runit/runsvdir"} {
		if e.v.Exists(p) {
			return true
		}
	}
	return false
}

// startEnabled starts the units that are wanted at boot in a tree whose systemd
// is not part of the artifact.
func (e *engine) startEnabled(c context) {
	for _, pattern := range []string{"etc/systemd/system/*.wants/*", "etc/systemd/system/*.requires/*"} {
		for _, f := range e.v.Glob(pattern) {
			e.units.start(f.Base(), c)
		}
	}
}

// presetOff says that a preset disables a unit.
func (e *engine) presetOff(name string) bool {
	for _, pattern := range []string{"etc/systemd/system-preset/*.preset", "usr/lib/systemd/system-preset/*.preset", "lib/systemd/system-preset/*.preset"} {
		for _, f := range e.v.Glob(pattern) {
			for _, line := range strings.Split(f.Text(), "\n") {
				fields := strings.Fields(line)
				if len(fields) < 2 || fields[0] != "enable" && fields[0] != "disable" {
					continue
				}
				if matchPattern(fields[1], name) {
					return fields[0] == "disable"
				}
			}
		}
	}
	return false
}

// find loads a unit by its name, alias or instance; nil if there is none or it
// is masked.
func (u *units) find(name string) *unit {
	if x, ok := u.loaded[name]; ok {
		return x
	}
	if strings.Contains(name, "/") || name == "" {
		return nil
	}
	if len(u.loaded) > 4*maxUnits {
		u.e.limit("more than %d units are named: the rest was not read", 4*maxUnits)
		return nil
	}
	u.loaded[name] = nil
	x := u.load(name, name)
	if x == nil {
		if template, instance, ok := templateOf(name); ok {
			if x = u.load(template, name); x != nil {
				x.instance = instance
			}
		}
	}
	u.loaded[name] = x
	return x
}

// templateOf splits getty@tty1.service.
func templateOf(name string) (template, instance string, ok bool) {
	prefix, rest, ok := strings.Cut(name, "@")
	if !ok {
		return "", "", false
	}
	dot := strings.LastIndexByte(rest, '.')
	if dot <= 0 {
		return "", "", false
	}
	return prefix + "@" + rest[dot:], rest[:dot], true
}

func (u *units) load(stored, name string) *unit {
	for _, dir := range unitFolders {
		p := dir + "/" + stored
		if en := u.e.v.Tree.Entry(p); en != nil && en.Mode&fs.ModeSymlink != 0 && en.Link == "/dev/null" {
			return nil // masked
		}
		f := u.e.v.File(p)
		if f == nil {
			continue
		}
		if f.Size == 0 {
			return nil
		}
		x := &unit{name: name, file: f, values: map[string][]unitValue{}}
		x.read(f)
		names := []string{stored}
		if name != stored { // what is dropped in for one instance comes after what is for all
			names = append(names, name)
		}
		for _, n := range names {
			for _, d := range unitFolders {
				for _, drop := range u.e.v.Glob(d + "/" + n + ".d/*.conf") {
					x.read(drop)
				}
			}
		}
		return x
	}
	return nil
}

// read adds a file's assignments; an empty one clears what was there.
func (x *unit) read(f *product.File) {
	section := ""
	lines := strings.Split(f.Text(), "\n")
	for i := 0; i < len(lines); i++ {
		line, at := strings.TrimSpace(lines[i]), i
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		for strings.HasSuffix(line, "\\") && i+1 < len(lines) && len(line) < 1<<14 {
			i++
			line = strings.TrimSuffix(line, "\\") + " " + strings.TrimSpace(lines[i])
		}
		if line[0] == '[' {
			section = strings.Trim(line, "[]")
			continue
		}
		k, v, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		key := section + "." + strings.TrimSpace(k)
		if v = strings.TrimSpace(v); v == "" {
			delete(x.values, key)
			continue
		}
		if len(x.values[key]) < 256 {
			x.values[key] = append(x.values[key], unitValue{v, Site{File: f, Line: at + 1, Text: line}})
		}
	}
}

func (x *unit) text(key string) string {
	if v := x.values[key]; len(v) > 0 {
		return v[len(v)-1].text
	}
	return ""
}

// start starts a unit and what it wants.
func (u *units) start(name string, c context) {
	if u.started[name] || c.depth > maxDepth || !u.e.step() {
		return
	}
	if len(u.started) > maxUnits {
		u.e.limit("more than %d units start: the rest was not looked at", maxUnits)
		return
	}
	u.started[name] = true
	x := u.find(name)
	if x != nil && x.file.Base() != name && !strings.Contains(name, "@") {
		if u.started[x.file.Base()] {
			return // an alias
		}
		u.started[x.file.Base()] = true
	}
	wants := u.wanted(name)
	if x != nil {
		for _, key := range []string{"Unit.Requires", "Unit.Wants", "Unit.Requisite", "Unit.BindsTo", "Unit.Upholds"} {
			for _, v := range x.values[key] {
				wants = append(wants, strings.Fields(v.text)...)
			}
		}
		if x.file.Base() != name && !strings.Contains(name, "@") {
			wants = append(wants, u.wanted(x.file.Base())...)
		}
	}
	for _, w := range wants {
		next := c
		next.depth++
		u.start(x.specifiers(w), next)
	}
	if x != nil {
		u.run(x, c)
	}
}

// wanted lists the links in NAME.wants and NAME.requires.
func (u *units) wanted(name string) []string {
	var list []string
	for _, dir := range unitFolders {
		for _, kind := range []string{".wants", ".requires", ".upholds"} {
			at, ok := u.e.v.Tree.Resolve(dir + "/" + name + kind)
			if !ok {
				continue
			}
			for _, n := range u.e.v.Tree.Names(at) {
				if !slices.Contains(list, n) {
					list = append(list, n)
				}
			}
		}
	}
	sort.Strings(list)
	return list
}

// specifiers replaces %i and the like (systemd.unit(5)).
func (x *unit) specifiers(t string) string {
	if x == nil || !strings.Contains(t, "%") {
		return t
	}
	name := strings.TrimSuffix(x.name, path.Ext(x.name))
	prefix, _, _ := strings.Cut(name, "@")
	return strings.NewReplacer("%i", x.instance, "%I", strings.ReplaceAll(x.instance, "-", "/"), "%n", x.name, "%N", name, "%p", prefix, "%t", "/run", "%S", "/var/lib", "%E", "/etc", "%%", "%").Replace(t)
}

// run emits what a service, socket, timer or path unit does.
func (u *units) run(x *unit, c context) {
	c.conds = append(c.conds[:len(c.conds):len(c.conds)], u.conditions(x)...)
	switch path.Ext(x.name) {
	case ".service":
		u.service(x, c)
	case ".socket":
		u.socket(x, c)
	case ".timer", ".path":
		target := x.text("Timer.Unit")
		if path.Ext(x.name) == ".path" {
			target = x.text("Path.Unit")
		}
		if target == "" {
			target = strings.TrimSuffix(x.name, path.Ext(x.name)) + ".service"
		}
		c.trigger = "timer"
		if path.Ext(x.name) == ".path" {
			c.trigger = "hotplug"
		}
		c.chain = append(c.chain, Site{File: x.file, Line: 1, Text: x.name})
		target = x.specifiers(target)
		u.start(target, c)
		delete(u.started, target) // something else may start it at boot
	}
}

// conditions are the guards of a unit.
func (u *units) conditions(x *unit) []Condition {
	var list []Condition
	for key, values := range x.values {
		if !strings.HasPrefix(key, "Unit.Condition") && !strings.HasPrefix(key, "Unit.Assert") {
			continue
		}
		for _, v := range values {
			if c, ok := u.condition(strings.TrimPrefix(key, "Unit."), v.text); ok {
				list = append(list, c)
			}
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Text < list[j].Text })
	return list
}

func (u *units) condition(key, text string) (Condition, bool) {
	c := Condition{Text: key + "=" + text}
	kind := strings.TrimPrefix(strings.TrimPrefix(key, "Condition"), "Assert")
	arg, not := strings.CutPrefix(strings.TrimPrefix(text, "|"), "!")
	switch kind {
	case "PathExists", "FileIsExecutable", "PathIsDirectory", "FileNotEmpty", "PathExistsGlob", "DirectoryNotEmpty":
		if isGlob(arg) {
			c.Holds = truthOf((len(u.e.fs.glob(arg)) > 0) != not, madeAtRunTime(arg))
			break
		}
		there := u.e.exists(arg)
		c.Name = arg
		if there == False {
			c.Default = "absent"
		}
		c.Holds = there
		if not && there != Unknown {
			c.Holds = truthOf(there == False, false)
		}
	case "KernelCommandLine", "Security", "Virtualization", "ACPower", "FirstBoot", "NeedsUpdate", "User", "Host", "Firmware", "Environment":
		if not || kind == "ACPower" || kind == "User" {
			return c, false // does not hold it back on a product as shipped
		}
	default:
		return c, false
	}
	return c, c.Holds != True
}

func (u *units) service(x *unit, c context) {
	env := u.environment(x)
	c.user = x.text("Service.User")
	if c.user == "root" {
		c.user = ""
	}
	c.respawn = x.text("Service.Type")
	if tty := x.text("Service.TTYPath"); tty != "" {
		c.terminal = strings.TrimPrefix(x.specifiers(tty), "/dev/")
	}
	for _, key := range []string{"ExecStartPre", "ExecStart", "ExecStartPost"} {
		own := c
		if key != "ExecStart" {
			own.socket = "" // helpers do not get the connection
		}
		for _, v := range x.values["Service."+key] {
			u.exec(x, v, env, own)
		}
	}
	for _, v := range x.values["Service.Sockets"] {
		for _, name := range strings.Fields(v.text) {
			u.start(name, c)
		}
	}
}

// exec runs one ExecStart line: it is split like a shell's, but only variables
// are expanded.
func (u *units) exec(x *unit, v unitValue, env map[string]value, c context) {
	cmd := strings.TrimLeft(x.specifiers(v.text), "-@:+!|")
	s := u.e.newShell(c)
	s.site, s.src = &v.site, v.site.File
	for k, val := range env {
		s.vars[k] = val
	}
	for part := range strings.SplitSeq(cmd, " ; ") {
		if len(part) > 4096 {
			continue
		}
		if stmts, ok := parseShell(quoteOperators(part), 1); ok && len(stmts) == 1 {
			s.text = part
			s.list(stmts)
			continue
		}
		if fields := strings.Fields(part); len(fields) > 0 {
			s.record(Event{Kind: Start, Program: fields[0], Args: fields[1:], Applet: path.Base(fields[0]), By: v.site, File: u.e.runnable(fields[0])})
		}
	}
}

// quoteOperators keeps what is an operator only to a shell from being one.
func quoteOperators(t string) string {
	if !strings.ContainsAny(t, "&|;<>()`") || strings.ContainsAny(t, `"'`) {
		return t
	}
	return strings.NewReplacer("&", `\&`, "|", `\|`, ";", `\;`, "<", `\<`, ">", `\>`, "(", `\(`, ")", `\)`, "`", "\\`").Replace(t)
}

// environment collects Environment= and EnvironmentFile=.
func (u *units) environment(x *unit) map[string]value {
	env := map[string]value{}
	for _, v := range x.values["Service.Environment"] {
		for _, w := range uciWords(v.text) {
			if k, t, ok := strings.Cut(w, "="); ok {
				env[k] = known(unquote(t))
			}
		}
	}
	for _, v := range x.values["Service.EnvironmentFile"] {
		f := u.e.file(strings.TrimPrefix(x.specifiers(v.text), "-"))
		if f == nil {
			continue
		}
		for _, line := range strings.Split(f.Text(), "\n") {
			if k, t, ok := strings.Cut(strings.TrimSpace(line), "="); ok && settingName(k) && len(env) < 1000 {
				env[k] = value{text: unquote(strings.TrimSpace(t)), setting: k}
			}
		}
	}
	return env
}

// socket starts the service behind a socket when somebody connects.
func (u *units) socket(x *unit, c context) {
	name := x.text("Socket.Service")
	stem := strings.TrimSuffix(x.name, ".socket")
	if name == "" {
		name = stem + ".service"
		if accept := strings.ToLower(x.text("Socket.Accept")); accept == "yes" || accept == "true" || accept == "1" {
			name = stem + "@connection.service"
		}
	}
	svc := u.find(name)
	for proto, key := range map[string]string{"tcp": "Socket.ListenStream", "udp": "Socket.ListenDatagram"} {
		for _, v := range x.values[key] {
			port := v.text[strings.LastIndexByte(v.text, ':')+1:]
			if !isNumber(port) {
				continue // a path, a name
			}
			own := c
			own.trigger, own.socket = "connection", proto+"/"+port
			own.chain = append(c.chain[:len(c.chain):len(c.chain)], v.site)
			if svc != nil {
				u.service(svc, own)
			}
		}
	}
	if svc != nil && len(x.values["Socket.ListenStream"])+len(x.values["Socket.ListenDatagram"]) > 0 && !u.started[name] {
		// A socket in the file system starts its service as well.
		for _, v := range x.values["Socket.ListenStream"] {
			if strings.HasPrefix(v.text, "/") {
				u.start(name, c)
				return
			}
		}
	}
}

// startUnit starts a unit that a script names.
func (e *engine) startUnit(name string, c context) {
	if e.units == nil {
		e.units = &units{e: e, loaded: map[string]*unit{}, started: map[string]bool{}}
	}
	if !strings.Contains(name, ".") {
		name += ".service"
	}
	c.manager = "systemd"
	e.units.start(name, c)
}
