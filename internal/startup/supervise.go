package startup

import (
	"path"
	"strings"

	"github.com/doorward/doorward/internal/product"
)

// supervised runs what runit, s6, daemontools and OpenRC keep: a folder per
// service with a run script.
func (e *engine) supervised() {
	for manager, patterns := range map[string][]string{
		"runit": {"/etc/service/*/run", "/service/*/run", "/var/service/*/run", "/etc/runit/runsvdir/default/*/run", "/etc/runit/runsvdir/current/*/run"},
		"s6":    {"/etc/services.d/*/run", "/run/service/*/run", "/etc/s6/*/run", "/etc/s6-overlay/s6-rc.d/*/run", "/etc/s6-rc/source/*/run"},
	} {
		for _, pattern := range patterns {
			for _, p := range e.fs.glob(pattern) {
				f := e.file(p)
				if f == nil || e.ran[f] || e.exists(path.Dir(p)+"/down") == True || !e.inBundle(p) {
					continue
				}
				e.runFile(f, p, context{manager: manager, trigger: "boot"})
			}
		}
	}
	for _, p := range append(e.fs.glob("/etc/cont-init.d/*"), "/etc/runit/1", "/etc/runit/2") {
		if f := e.file(p); f != nil && isScript(f) && !e.ran[f] {
			e.runFile(f, p, context{manager: "s6", trigger: "boot"})
		}
	}
	for _, level := range []string{"sysinit", "boot", "default"} {
		for _, p := range e.fs.glob("/etc/runlevels/" + level + "/*") {
			if f := e.file(p); f != nil && !e.ran[f] {
				e.initScript(f, p, "start", context{manager: "openrc", trigger: "boot"})
			}
		}
	}
}

// keepers are programs that keep the services of a folder running, each with a
// run script of its own.
var keepers = map[string]string{"runsvdir": "runit", "runsv": "runit", "svscan": "runit", "supervise": "runit", "svscanboot": "runit", "s6-svscan": "s6", "s6-supervise": "s6"}

// keeps runs the services of the folders that a keeper is given.
func (s *shell) keeps(ev Event) {
	manager := keepers[ev.Applet]
	if manager == "" || !s.alive() {
		return
	}
	for _, a := range ev.Args {
		if strings.ContainsAny(a, "$*") || strings.HasPrefix(a, "-") || a == "" {
			continue
		}
		pattern := s.abs(a) + "/*/run"
		if ev.Applet == "runsv" || strings.HasSuffix(ev.Applet, "supervise") { // one service
			pattern = s.abs(a) + "/run"
		}
		c := s.context
		c.manager, c.respawn = manager, "respawn"
		c.chain = append(s.chain[:len(s.chain):len(s.chain)], ev.By)
		c.depth++
		for _, p := range s.fs.glob(pattern) {
			f := s.file(p)
			if f == nil || s.ran[f] || c.depth >= maxDepth || s.exists(path.Dir(p)+"/down") == True || !s.step() {
				continue
			}
			s.runFile(f, p, c)
		}
		if manager == "runit" && !strings.HasPrefix(a, ".") {
			return // what follows is the text of its log
		}
	}
}

// inBundle says that an s6-rc service is part of the bundle that starts.
func (e *engine) inBundle(p string) bool {
	dir := path.Dir(p)
	if !strings.Contains(dir, "s6-rc") {
		return true
	}
	for _, n := range e.fs.names(path.Dir(dir) + "/user/contents.d") {
		if n == path.Base(dir) {
			return true
		}
	}
	return false
}

// runFile starts a script or program that a folder of a manager holds.
func (e *engine) runFile(f *product.File, p string, c context) {
	by := Site{File: f, Line: 1, Text: p}
	c.chain = append(c.chain[:len(c.chain):len(c.chain)], by)
	e.ran[f] = true
	sc := &script{}
	if isScript(f) {
		sc = e.parse(f)
	}
	if !isScript(f) || !sc.shell {
		e.emit(Event{Kind: Start, Program: p, File: f, Applet: path.Base(p), By: by, Manager: c.manager, Trigger: c.trigger, User: c.user, Condition: c.conds})
		if isScript(f) {
			e.execline(f, c)
			return
		}
		e.programRuns(f, c)
		return
	}
	e.runScript(f, p, nil, c, nil)
}

// execline reads the last command of an execline script line by line; s6's
// scripts are chains of programs that run the rest.
func (e *engine) execline(f *product.File, c context) {
	for i, line := range strings.Split(f.Text(), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || strings.ContainsAny(line, "{}") {
			continue
		}
		e.line(line, Site{File: f, Line: i + 1, Text: line}, c)
	}
}

// upstart reads the jobs in /etc/init.
func (e *engine) upstart() {
	for _, f := range e.v.Glob("etc/init/*.conf") {
		text := f.Text()
		if !strings.Contains("\n"+text, "\nstart on") || e.v.File("etc/init/"+strings.TrimSuffix(f.Base(), ".conf")+".override") != nil {
			continue
		}
		e.upstartJob(f, strings.Split(text, "\n"))
	}
}

func (e *engine) upstartJob(f *product.File, lines []string) {
	c := context{manager: "upstart", trigger: "boot", chain: []Site{{File: f, Line: 1, Text: "/" + f.Path}}}
	var body []string
	inside, from := false, 0
	for i, line := range lines {
		t := strings.TrimSpace(line)
		switch {
		case inside && t == "end script":
			inside = false
			e.textScript(strings.Join(body, "\n"), f, from, c)
			body = nil
		case inside:
			body = append(body, line)
		case t == "script" || t == "pre-start script" || t == "post-start script":
			inside, from = true, i+1
		case strings.HasPrefix(t, "exec ") || strings.HasPrefix(t, "pre-start exec ") || strings.HasPrefix(t, "post-start exec "):
			_, cmd, _ := strings.Cut(t, "exec ")
			e.line(cmd, Site{File: f, Line: i + 1, Text: t}, c)
		}
	}
}

// textScript runs a script that is part of another file, from a line on.
func (e *engine) textScript(t string, f *product.File, from int, c context) {
	sc := parseText(t)
	s := e.newShell(c)
	s.base = from
	s.body(f, sc)
}

// android reads init.rc files: services by class, and the commands of actions.
func (e *engine) android() {
	a := &androidInit{e: e, services: map[string]*androidService{}, seen: map[*product.File]bool{}}
	for _, p := range []string{"/init.rc", "/system/etc/init/hw/init.rc"} {
		a.read(e.file(p))
	}
	if len(a.seen) == 0 && !e.v.Exists("etc/init") {
		return
	}
	for _, pattern := range []string{"/init.*.rc", "/system/etc/init/*.rc", "/vendor/etc/init/*.rc", "/odm/etc/init/*.rc", "/product/etc/init/*.rc", "/etc/init/*.rc"} {
		for _, p := range e.fs.glob(pattern) {
			a.read(e.file(p))
		}
	}
	a.run()
}

type androidInit struct {
	e        *engine
	services map[string]*androidService
	order    []string
	actions  []androidAction
	seen     map[*product.File]bool
}

type androidService struct {
	cmd      string
	site     Site
	user     string
	disabled bool
	console  bool
	oneshot  bool
	started  []Condition
	starts   bool
}

type androidAction struct {
	trigger string
	lines   []Site
}

func (a *androidInit) read(f *product.File) {
	if f == nil || a.seen[f] || len(a.seen) > 500 {
		return
	}
	a.seen[f] = true
	a.e.ran[f] = true
	var service *androidService
	action := -1
	for i, line := range strings.Split(f.Text(), "\n") {
		t := strings.TrimSpace(line)
		fields := strings.Fields(t)
		if len(fields) == 0 || t[0] == '#' {
			continue
		}
		site := Site{File: f, Line: i + 1, Text: t}
		switch fields[0] {
		case "import":
			service, action = nil, -1
			if len(fields) > 1 {
				a.read(a.e.file(fields[1]))
			}
		case "service":
			action = -1
			if len(fields) > 2 && len(a.services) < 2000 {
				service = &androidService{cmd: strings.Join(fields[2:], " "), site: site}
				if a.services[fields[1]] == nil {
					a.order = append(a.order, fields[1])
				}
				a.services[fields[1]] = service
			}
		case "on":
			service = nil
			a.actions = append(a.actions, androidAction{trigger: strings.Join(fields[1:], " ")})
			action = len(a.actions) - 1
		default:
			if service != nil {
				service.option(fields)
			} else if action >= 0 && len(a.actions[action].lines) < 2000 {
				a.actions[action].lines = append(a.actions[action].lines, site)
			}
		}
	}
}

func (s *androidService) option(fields []string) {
	switch fields[0] {
	case "disabled":
		s.disabled = true
	case "console":
		s.console = true
	case "oneshot":
		s.oneshot = true
	case "user":
		if len(fields) > 1 {
			s.user = noRoot(fields[1])
		}
	}
}

func (a *androidInit) run() {
	for _, act := range a.actions {
		conds := a.conditions(act.trigger)
		for _, site := range act.lines {
			a.command(site, conds)
		}
	}
	for _, name := range a.order {
		s := a.services[name]
		if s.disabled && !s.starts {
			continue
		}
		c := context{manager: "init.rc", trigger: "boot", user: s.user, conds: s.started}
		if s.console {
			c.terminal = "console"
		}
		if !s.disabled {
			c.conds = nil
		}
		a.e.line(s.cmd, s.site, c)
	}
}

// conditions are the guards of a property trigger.
func (a *androidInit) conditions(trigger string) []Condition {
	var list []Condition
	for part := range strings.SplitSeq(trigger, "&&") {
		prop, ok := strings.CutPrefix(strings.TrimSpace(part), "property:")
		if !ok {
			continue
		}
		name, want, _ := strings.Cut(prop, "=")
		c := Condition{Text: "on " + strings.TrimSpace(part), Name: name, Want: want}
		if have, ok := a.e.log.Settings[name]; ok {
			c.Default = have
			c.Holds = truthOf(have == want || want == "*", false)
		}
		list = append(list, c)
	}
	return list
}

func (a *androidInit) command(site Site, conds []Condition) {
	fields := strings.Fields(site.Text)
	c := context{manager: "init.rc", trigger: "boot", conds: conds}
	s := a.e.newShell(c)
	s.site, s.src = &site, site.File
	switch fields[0] {
	case "start", "restart", "enable":
		if len(fields) > 1 {
			if svc := a.services[fields[1]]; svc != nil && (!svc.starts || len(conds) < len(svc.started)) {
				svc.starts, svc.started = true, conds
			}
		}
	case "exec", "exec_background":
		rest := fields[1:]
		for i, f := range fields {
			if f == "--" {
				rest = fields[i+1:]
			}
		}
		a.e.line(strings.Join(rest, " "), site, c)
	case "write":
		if len(fields) > 2 {
			s.record(Event{Kind: Write, Target: fields[1], Text: strings.Trim(strings.Join(fields[2:], " "), `"`), By: site})
		}
	case "setprop":
		if len(fields) > 2 {
			s.record(Event{Kind: Set, Target: fields[1], Text: fields[2], By: site})
		}
	case "symlink", "copy":
		if len(fields) > 2 {
			kind := Link
			if fields[0] == "copy" {
				kind = Copy
			}
			s.record(Event{Kind: kind, From: fields[1], Target: fields[2], By: site})
			s.fill(fields[1], fields[2], false)
		}
	case "mount":
		if len(fields) > 3 {
			s.record(Event{Kind: Mount, From: fields[2], Target: fields[3], Text: fields[1], By: site})
		}
	}
}
