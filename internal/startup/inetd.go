package startup

import (
	"path"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/doorward/doorward/internal/product"
)

// usualPorts are what inetd's service names mean where the volume has no
// /etc/services (IANA's registry).
var usualPorts = map[string]string{
	"telnet": "23", "ftp": "21", "ssh": "22", "tftp": "69", "shell": "514", "login": "513", "exec": "512", "finger": "79", "time": "37", "daytime": "13", "echo": "7", "discard": "9", "chargen": "19",
	"http": "80", "www": "80", "https": "443", "rsync": "873", "swat": "901", "netbios-ssn": "139", "netbios-ns": "137", "smtp": "25", "pop3": "110", "imap": "143", "imap2": "143", "ntalk": "518", "talk": "517",
	"bootps": "67", "auth": "113", "ident": "113", "printer": "515", "telnets": "992", "snmp": "161", "git": "9418", "cvspserver": "2401", "nrpe": "5666",
}

// port is the number of a service name or of a number.
func (e *engine) port(name string) string {
	if isNumber(name) {
		return name
	}
	if f := e.file("/etc/services"); f != nil {
		for _, line := range strings.Split(f.Text(), "\n") {
			fields := strings.Fields(strings.SplitN(line, "#", 2)[0])
			if len(fields) > 1 && fields[0] == name {
				n, _, _ := strings.Cut(fields[1], "/")
				return n
			}
		}
	}
	return usualPorts[name]
}

// internetServers reads inetd's and xinetd's tables. They count if the server
// is started; a package's table counts if it is installed.
func (e *engine) internetServers() {
	started := map[string][]Condition{}
	found := map[string]bool{}
	for i := range e.log.Events {
		ev := &e.log.Events[i]
		if ev.Volume != e.v || ev.Kind != Start || ev.Manager == "inetd" || ev.Manager == "xinetd" {
			continue
		}
		for _, name := range []string{"xinetd", "inetd", "openbsd-inetd", "inetutils-inetd"} {
			if ev.Applet == name && ev.Holds() != False {
				if !found[name] || len(ev.Condition) < len(started[name]) {
					started[name], found[name] = ev.Condition, true
				}
			}
		}
	}
	for _, name := range []string{"inetd", "openbsd-inetd", "inetutils-inetd"} {
		if found[name] || !e.isWhole() {
			for _, p := range []string{"/etc/inetd.conf", "/etc/inetutils/inetd.conf"} {
				e.inetd(e.content(p))(p, started[name])
			}
			break
		}
	}
	if found["xinetd"] || !e.isWhole() {
		e.xinetd(started["xinetd"])
	}
}

// inetd reads the lines "service type proto wait user program args".
func (e *engine) inetd(v value, f *product.File) func(p string, conds []Condition) {
	return func(p string, conds []Condition) {
		for i, line := range strings.Split(v.text, "\n") {
			fields := strings.Fields(line)
			if len(fields) < 6 || strings.HasPrefix(fields[0], "#") || strings.HasPrefix(fields[0], "$") {
				continue
			}
			proto := strings.TrimRight(fields[2], "46")
			service := fields[0][strings.LastIndexByte(fields[0], ':')+1:]
			prog, args := fields[5], fields[min(6, len(fields)):]
			if prog == "internal" {
				continue
			}
			user, _, _ := strings.Cut(strings.ReplaceAll(fields[4], ":", "."), ".")
			c := context{manager: "inetd", trigger: "connection", socket: proto + "/" + e.port(service), conds: conds, user: noRoot(user)}
			by := Site{File: f, Line: i + 1, Text: strings.TrimSpace(line)}
			if f == nil {
				by.Text = p + ": " + by.Text
				by.File = e.anyFile()
			}
			e.serve(prog, args, by, c)
		}
	}
}

func noRoot(user string) string {
	if user == "root" {
		return ""
	}
	return user
}

// anyFile stands for a file that only exists when the system runs.
func (e *engine) anyFile() *product.File {
	for i := len(e.log.Events) - 1; i >= 0; i-- {
		if ev := &e.log.Events[i]; ev.Volume == e.v && ev.Kind == Write {
			return ev.By.File
		}
	}
	return nil
}

// serve emits a program that a connection starts. inetd passes the program's
// own name as the first argument.
func (e *engine) serve(prog string, args []string, by Site, c context) {
	if path.Base(prog) == "tcpd" && len(args) > 0 {
		prog = args[0]
		f, where := e.program(path.Base(prog), "", "/")
		if f != nil {
			prog = where
		}
	}
	if len(args) > 0 {
		args = args[1:]
	}
	s := e.newShell(c)
	s.site, s.src = &by, by.File
	words := []value{known(prog)}
	for _, a := range args {
		words = append(words, known(a))
	}
	f, _ := e.program(prog, "", "/")
	if f != nil && isMultiCall(path.Base(prog), f) {
		words = append([]value{known(prog)}, words[1:]...)
	}
	ev := Event{Kind: Start, Program: prog, File: f, Args: args, Applet: path.Base(prog), By: by}
	if len(args) > 0 && f != nil && isMultiCall(path.Base(prog), f) {
		ev.Applet = args[0]
	}
	s.record(ev)
	s.follow(f, prog, words[1:], by)
}

// xinetd reads /etc/xinetd.conf and its folder.
func (e *engine) xinetd(conds []Condition) {
	seen := map[*product.File]bool{}
	for _, p := range append([]string{"/etc/xinetd.conf"}, e.fs.glob("/etc/xinetd.d/*")...) {
		e.xinetdTable(p, conds, seen)
	}
}

// xinetdTable reads a file and those that it includes (xinetd.conf(5): of a
// folder those without a dot or a tilde at the end).
func (e *engine) xinetdTable(p string, conds []Condition, seen map[*product.File]bool) {
	f := e.file(p)
	if f == nil || seen[f] || len(seen) > 500 || !f.Type.IsText() || !e.step() {
		return
	}
	seen[f] = true
	for line := range strings.SplitSeq(f.Text(), "\n") {
		fields := strings.Fields(line)
		switch {
		case len(fields) != 2:
		case fields[0] == "include":
			e.xinetdTable(fields[1], conds, seen)
		case fields[0] == "includedir":
			for _, q := range e.fs.glob(strings.TrimSuffix(fields[1], "/") + "/*") {
				if base := path.Base(q); !strings.Contains(base, ".") && !strings.HasSuffix(base, "~") {
					e.xinetdTable(q, conds, seen)
				}
			}
		}
	}
	e.xinetdFile(f, conds)
}

func (e *engine) xinetdFile(f *product.File, conds []Condition) {
	service, values, at := "", map[string]string{}, 0
	for i, line := range strings.Split(f.Text(), "\n") {
		line = strings.TrimSpace(line)
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || line[0] == '#':
		case fields[0] == "service" && len(fields) > 1:
			service, values, at = fields[1], map[string]string{}, i+1
		case line == "}":
			e.xinetdService(f, service, values, at, conds)
			service = ""
		default:
			if k, v, ok := strings.Cut(line, "="); ok {
				values[strings.TrimRight(strings.TrimSpace(k), "+-")] = strings.TrimSpace(v)
			}
		}
	}
}

func (e *engine) xinetdService(f *product.File, service string, v map[string]string, at int, conds []Condition) {
	if service == "" || v["server"] == "" {
		return
	}
	if strings.EqualFold(v["disable"], "yes") {
		conds = append(conds[:len(conds):len(conds)], Condition{Text: "disable = yes", Holds: False}) // as good as a line that is commented out
	}
	proto := v["protocol"]
	if proto == "" {
		proto = "tcp"
		if v["socket_type"] == "dgram" {
			proto = "udp"
		}
	}
	port := v["port"]
	if port == "" {
		port = e.port(service)
	}
	by := Site{File: f, Line: at, Text: "server = " + strings.TrimSpace(v["server"]+" "+v["server_args"])}
	c := context{manager: "xinetd", trigger: "connection", socket: proto + "/" + port, conds: conds, user: noRoot(v["user"])}
	e.serve(v["server"], append([]string{path.Base(v["server"])}, strings.Fields(v["server_args"])...), by, c)
}

// updateInetd is Debian's way to add a line to inetd's table.
func updateInetd(s *shell, args []value, n syntax.Node) (result, bool) {
	for i, a := range args {
		line := ""
		if a.text == "--add" && i+1 < len(args) {
			line = args[i+1].text
		} else if rest, ok := strings.CutPrefix(a.text, "--add="); ok {
			line = rest
		}
		if line == "" || strings.HasPrefix(line, "#") || // "#<off>#" adds it switched off
			!s.alive() {
			continue
		}
		line = strings.ReplaceAll(line, `\t`, " ")
		s.engine.inetd(known(line), s.src)("update-inetd", s.conds)
	}
	return succeeded, true
}
