package firmware

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
	"github.com/doorward/doorward/internal/unpack"
)

// Service finds what the product starts and the network reaches.
var Service = &Detector{
	Name: "service",
	Doc: "Network listeners that the product starts. It follows the boot sequence to programs that listen, by a table of daemons and by what a program imports, " +
		"and reads arguments and configurations for ports, shells without a login, and who is let in.",
	Kinds:    []doorward.Kind{doorward.KindService},
	Requires: []string{"startup", "executable"},
	Patterns: append(markPatterns(), "BusyBox v", "net.(*TCPListener).Accept"),
	Scope:    detect.ProductAll,
	Run:      runService,
}

// services is one run of the detector.
type services struct {
	product *product.Product
	log     *startup.Log
	found   map[string]*service
	order   []string
}

// service is a listener, before it is a door.
type service struct {
	event   *startup.Event
	daemon  *daemon // nil if it is no known one
	program string
	port    port
	state   state
	gain    doorward.Gain
	hidden  doorward.Hidden
	clear   bool
	reach   doorward.Reach
	login   *bool // whether it asks who somebody is; nil if unknown
	shell   string
	notes   []string // what configurations say
	extra   []doorward.Evidence
	words   string
}

// state says whether a service runs as the product is shipped.
type state int

const (
	runs  state = iota
	open        // depends on what is not known
	off         // a setting switches it off
	never       // what it needs is not there
)

func runService(ctx context.Context, p *product.Product, out *detect.Sink) error {
	s := &services{product: p, log: startup.Of(p), found: map[string]*service{}}
	starts := 0
	for i := range s.log.Events {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		e := &s.log.Events[i]
		if e.Kind != startup.Start {
			continue
		}
		starts++
		if e.By.File == nil || e.File != nil && e.File.Deleted() {
			continue
		}
		s.event(e)
	}
	out.Looked(doorward.KindService, starts, "command at start-up")
	startupLimits(p, s.log, out)
	s.dropDoubles()
	for _, key := range s.order {
		if x := s.found[key]; x != nil {
			out.Door(x.door())
		}
	}
	return nil
}

// event looks at one start for a listener.
func (s *services) event(e *startup.Event) {
	st := stateOf(e)
	if st == never || e.File == nil && e.Socket == "" || e.File != nil && e.File.Type.IsText() && e.Socket == "" {
		return // what a script starts is an event of its own
	}
	name := e.Applet
	if name == "" {
		name = path.Base(e.Program)
	}
	d := daemonOf(name, e.File)
	if d == nil || d.skip && e.Socket != "" { // whatever a connection starts talks to it
		s.unknown(e, name, st)
		return
	}
	base := service{event: e, daemon: d, program: name, state: st, gain: d.gain, clear: d.clear, reach: d.reach, words: d.words, hidden: doorward.Normal}
	switch d.login {
	case "none":
		base.setLogin(false)
		base.hidden = doorward.Open
	case "admin":
		base.setLogin(true)
	case "login":
		base.setLogin(true)
		base.hidden = doorward.PerUnit
	default:
		if d.gain != doorward.Contact {
			base.hidden = doorward.PerUnit
		}
	}
	for _, x := range s.special(base) {
		s.add(x)
	}
}

// unknown takes a program that is in no table: one that can listen, or whatever
// a socket starts.
func (s *services) unknown(e *startup.Event, name string, st state) {
	x := service{event: e, program: name, state: st, gain: doorward.Contact, hidden: doorward.Normal, reach: doorward.Remote, words: "program that listens"}
	switch {
	case e.Socket != "":
		x.port = socketPort(e.Socket)
		if isShell(name) {
			x.openShell(e.Program)
		}
		x.words = "program that a connection starts"
		s.add(x)
		return
	case len(e.Args) > 0 && e.Args[0] == "init": // the first program, under another name
		return
	case e.File == nil || e.File.Type != unpack.TypeELF || boxed(e.File) || linksTo(e.File) >= boxLinks:
		return
	}
	ports := argumentPorts(e.Args, []string{"-p", "--port", "-P", "--listen", "-l"})
	if !listens(e.File) && !waits(e.File) {
		return
	}
	if len(ports) == 0 {
		ports = s.portsOfConfig(e)
	}
	if len(ports) == 0 && !listens(e.File) {
		return
	}
	if len(ports) == 0 {
		ports = []port{{}}
	}
	for _, p := range ports {
		y := x
		y.port = p
		y.port.proto = protoOf(e.File)
		if p.number != 0 { // it waits for anybody, and what it then does nobody said
			y.hidden, y.clear = doorward.Open, true
		}
		s.add(y)
	}
}

func (x *service) setLogin(b bool) { x.login = &b }

// openShell says that whoever connects gets a shell.
func (x *service) openShell(shell string) {
	x.shell = shell
	x.gain, x.hidden = doorward.Control, doorward.Open
	x.setLogin(false)
}

func (x *service) key() string {
	where := ""
	if len(x.event.Volume.Places) > 0 {
		where = strings.Join(x.event.Volume.Places[0], "\x00")
	}
	return fmt.Sprintf("%s\x00%s\x00%s\x00%d", where, x.program, x.port.proto, x.port.number)
}

// add keeps the surest start of a service.
func (s *services) add(x service) {
	key := x.key()
	old := s.found[key]
	if old == nil {
		s.order = append(s.order, key)
		s.found[key] = &x
		return
	}
	if x.better(old) {
		s.found[key] = &x
	}
}

func (x *service) better(old *service) bool {
	switch {
	case x.state != old.state:
		return x.state < old.state
	case x.weight() != old.weight():
		return x.weight().Rank() > old.weight().Rank()
	}
	return hurdles(x.event) < hurdles(old.event)
}

// hurdles is how much must come together for a start: the fewer, the surer.
func hurdles(e *startup.Event) int {
	n := len(conditionsOf(e))
	if e.Trigger == "hotplug" || e.Trigger == "install" {
		n++
	}
	return n
}

// dropDoubles removes a service of unknown port where the same program has one
// that is known.
func (s *services) dropDoubles() {
	numbered := map[string]bool{}
	for _, x := range s.found {
		if x.port.number != 0 {
			numbered[x.program] = true
		}
	}
	for key, x := range s.found {
		if x.port.number == 0 && numbered[x.program] {
			delete(s.found, key)
		}
	}
}

// stateOf says whether the event happens as shipped, and if not, whether a
// setting could make it.
func stateOf(e *startup.Event) state {
	st := runs
	for _, c := range e.Condition {
		switch c.Holds {
		case startup.False:
			if c.Name == "" || neverThere(c.Name) {
				return never
			}
			st = off
		case startup.Unknown:
			st = max(st, open)
		}
	}
	return st
}

// neverThere says that a guard asks for a program that the product lacks.
func neverThere(name string) bool {
	if !strings.HasPrefix(name, "/") {
		return false
	}
	for _, dir := range []string{"/bin/", "/sbin/", "/usr/", "/lib/", "/proc/", "/sys/"} {
		if strings.HasPrefix(name, dir) {
			return true
		}
	}
	return strings.Contains(name, "/init.d/") || strings.Contains(name, "/rc.d/")
}

// conditionsOf are the guards that a person would call conditions.
func conditionsOf(e *startup.Event) []startup.Condition {
	var list []startup.Condition
	for _, c := range e.Condition {
		if strings.HasSuffix(c.Text, "runs this command") || c.Holds == startup.True && (c.Name == "" || strings.HasPrefix(c.Name, "/")) {
			continue
		}
		list = append(list, c)
	}
	return list
}

// conditionWords are an event's conditions, with the defaults found.
func conditionWords(e *startup.Event) string {
	var parts []string
	for _, c := range conditionsOf(e) {
		t := c.Text
		switch {
		case c.Name != "" && c.Want != "":
			t = c.Name + "=" + c.Want
		case c.Name != "" && c.Default == "absent":
			t = c.Name + " exists"
		}
		if c.Default != "" && c.Default != "absent" {
			t += fmt.Sprintf(" (default %s)", c.Default)
		} else if c.Name != "" && c.Default == "" && c.Holds == startup.Unknown && c.Want != "" {
			t += " (no default found)"
		} else if c.Default == "absent" {
			t += " (it does not, as shipped)"
		}
		if len(parts) < 4 && !contains(parts, t) {
			parts = append(parts, t)
		}
	}
	switch e.Trigger {
	case "hotplug":
		parts = append(parts, "something is plugged in")
	case "install":
		parts = append(parts, "the package is installed")
	}
	return strings.Join(parts, " and ")
}

func (x *service) weight() doorward.Weight {
	var w doorward.Weight
	switch {
	case x.gain == doorward.Contact && x.reach == doorward.Local:
		w = doorward.Info
	case x.gain == doorward.Contact:
		w = doorward.Weigh(x.gain, x.reach, x.hidden, x.clear && x.reach == doorward.Remote)
	default:
		w = doorward.Weigh(x.gain, x.reach, x.hidden, x.clear)
	}
	open := x.state == open && x.shell == "" && len(conditionsOf(x.event)) > 0
	if x.state == off || open {
		w = w.Down(1)
	}
	if w == doorward.Info && x.reach != doorward.Local {
		w = doorward.Low // whoever is near reaches it
	}
	return w
}

// door makes the door of a service.
func (x *service) door() doorward.Door {
	e := x.event
	if x.port.local && x.reach != doorward.Local {
		x.reach = doorward.Local
	}
	d := doorward.Door{
		Kind: doorward.KindService, Title: x.title(), Weight: x.weight(), Reach: x.reach, Certainty: doorward.Shown,
		Stages: []doorward.Stage{doorward.Access}, References: []string{"CWE-1125"}, Detail: x.detail(),
	}
	if x.shell != "" && x.login != nil && !*x.login {
		d.References = append(d.References, "CWE-306")
	}
	note := "this line starts it"
	if e.By.Image {
		note = "the image's configuration starts it"
	}
	if notes := strings.Join(x.notes, "; "); notes != "" {
		note += "; " + notes
	}
	switch {
	case e.Manager == "program":
		d.Certainty, note = doorward.Likely, note+"; assumed: the program that holds this string runs it"
	case x.daemon == nil && e.Socket == "":
		d.Certainty, note = doorward.Likely, note+"; assumed from what the program imports: it can listen on a network socket"
	case x.state == open:
		d.Certainty, note = doorward.Likely, note+"; assumed: the condition can hold"
	}
	d.Where, d.Evidence = placeOf(e.By, note)
	if f := e.File; f != nil && (f != e.By.File || e.By.Image) {
		d.Where = append(d.Where, f.Where()...)
	}
	d.Evidence = append(d.Evidence, x.extra...)
	d.Evidence = append(d.Evidence, chainOf(e)...)
	d.Check = x.check()
	return d
}

// placeOf is the place of a line, and the evidence that it is.
func placeOf(site startup.Site, note string) ([]doorward.Where, []doorward.Evidence) {
	ev := doorward.Evidence{What: site.Text, Note: note, Line: site.Line}
	if v := site.File.Volume; site.Image && v != nil && len(v.Places) > 0 { // the configuration is no file of the image's system
		ev.Line = 0
		var where []doorward.Where
		for _, place := range v.Places {
			where = append(where, doorward.Where{Path: place})
		}
		return where, []doorward.Evidence{ev}
	}
	if ev.What == "" {
		ev.What = "/" + site.File.Path
	}
	if site.File.Type.Executable() {
		off := site.Offset
		ev.Offset, ev.Line = &off, 0
		return site.File.WhereAt(off), []doorward.Evidence{ev}
	}
	return site.File.Where(), []doorward.Evidence{ev}
}

// chainOf names what led to the line, from the first program on.
func chainOf(e *startup.Event) []doorward.Evidence {
	var list []doorward.Evidence
	for i, c := range e.Chain {
		if c.File == nil || c.Text == "" || i > 0 && len(e.Chain)-i > 4 {
			continue
		}
		ev := doorward.Evidence{What: c.Text, Note: "leads to it", Path: c.File.Path, Line: c.Line}
		if c.Image {
			ev.Path, ev.Line = "", 0
			ev.Note = "the image's configuration, which leads to it"
		}
		list = append(list, ev)
	}
	return list
}

func (x *service) title() string {
	what := x.words
	if x.shell != "" && x.login != nil && !*x.login {
		what = "shell without a login"
	}
	t := fmt.Sprintf("%s: %s", x.program, what)
	switch {
	case x.port.number != 0:
		t = fmt.Sprintf("%s on %s", t, strings.TrimSpace(fmt.Sprintf("%s port %d", x.port.proto, x.port.number)))
	case x.port.proto != "":
		t += " on " + x.port.proto
	}
	if x.port.local {
		t += ", for the device itself only"
	}
	switch x.state {
	case off:
		t += ", off as shipped"
	case open:
		if conditionWords(x.event) != "" {
			t += ", on a condition"
		}
	}
	return t
}

func (x *service) detail() doorward.Detail {
	e := x.event
	d := doorward.Detail{"program": x.program, "started_by": e.Manager}
	if e.By.File != nil && !e.By.Image {
		d["started_by"] = e.Manager + " /" + e.By.File.Path
	}
	if x.port.proto != "" {
		d["proto"] = x.port.proto
	}
	if x.port.number != 0 {
		d["port"] = x.port.number
	}
	if e.File != nil {
		d["program_path"] = "/" + e.File.Path
	}
	if len(e.Args) > 0 {
		d["arguments"] = strings.Join(e.Args, " ")
	}
	if t := conditionWords(e); t != "" {
		d["condition"] = t
	}
	if x.shell != "" {
		d["shell"] = x.shell
	}
	if x.login != nil {
		d["authenticated"] = *x.login
	}
	return d
}

func (x *service) check() string {
	t := fmt.Sprintf("Read line %d of /%s in the unpacked file system", x.event.By.Line, x.event.By.File.Path)
	switch {
	case x.event.By.Image:
		t = "Run docker inspect -f '{{json .Config.Entrypoint}} {{json .Config.Cmd}}' on the image"
	case x.event.By.File.Type.Executable():
		t = fmt.Sprintf("Run strings -t x on /%s in the unpacked file system and look for the command", x.event.By.File.Path)
	}
	if x.port.number != 0 {
		flag := ""
		if x.port.proto == "udp" {
			flag = "-sU "
		}
		t += fmt.Sprintf("; on a running unit: nmap %s-p %d DEVICE", flag, x.port.number)
	}
	return t + "."
}

func isShell(name string) bool {
	switch path.Base(strings.TrimPrefix(name, "-")) {
	case "sh", "ash", "bash", "dash", "ksh", "mksh", "zsh", "csh", "hush", "msh":
		return true
	}
	return false
}
