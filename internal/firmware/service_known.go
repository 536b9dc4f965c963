package firmware

import (
	"path"
	"strconv"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/startup"
)

// special applies what is known of a daemon's arguments and configuration; it
// returns one service for each port, none if nothing listens.
func (s *services) special(x service) []service {
	e := x.event
	c := &config{}
	if x.daemon.skip {
		return s.sometimes(x)
	}
	if onlyTests(x.daemon.name, e.Args) {
		return nil
	}
	ports := argumentPorts(e.Args, x.daemon.options)
	switch x.daemon.name {
	case "telnetd":
		s.telnet(&x)
		if v, ok := option(e.Args, "-b"); ok {
			if p, ok := addressPort(v); ok {
				ports = []port{p}
			}
		}
	case "sshd":
		c = s.sshd(&x)
		ports = append(ports, pick(ports, c.ports("Port", "ListenAddress"))...)
	case "dropbear":
		s.dropbear(&x)
	case "adbd":
		ports = s.adb(e)
		if len(ports) == 0 {
			return nil // over USB: a debug interface
		}
	case "gdbserver":
		if len(e.Args) == 0 {
			return nil
		}
		for _, a := range plain(e.Args) {
			if p, ok := addressPort(a); ok && strings.Contains(a, ":") {
				ports = append(ports, p)
			}
		}
	case "nc":
		return s.netcat(x, ports)
	case "socat":
		return s.socat(x)
	case "tcpsvd":
		return s.tcpsvd(x)
	case "vsftpd", "ftpd", "proftpd", "pure-ftpd":
		ports = append(ports, s.ftp(&x)...)
	case "tftpd":
		if flag(e.Args, 'c') || contains(e.Args, "--create") {
			x.gain = doorward.Control
			x.notes = append(x.notes, "it takes files too")
		}
	case "rsync":
		if !contains(e.Args, "--daemon") {
			return nil
		}
		ports = append(ports, s.rsync(&x)...)
	case "snmpd":
		ports = append(ports, s.snmp(&x)...)
	case "smbd":
		s.samba(&x)
	case "nfsd":
		s.nfs(&x)
	case "mosquitto", "redis-server", "mysqld", "postgres", "mongod":
		ports = append(ports, s.database(&x)...)
	case "dnsmasq":
		return s.dnsmasq(x, ports)
	case "x11vnc", "ttyd":
		s.screen(&x)
	case "motion":
		ports = append(ports, s.motion(&x)...)
	case "iperf":
		if !flag(e.Args, 's') && !contains(e.Args, "--server") {
			return nil
		}
	case "openvpn":
		c = s.config(e, fileOption(e.Args))
		if contains(e.Args, "--client") || len(c.values("client")) > 0 || contains(e.Args, "--remote") {
			return nil
		}
		ports = append(ports, c.ports("port", "lport")...)
	case "stunnel":
		c = s.config(e, fileOption(e.Args), "/etc/stunnel/stunnel.conf", "/etc/stunnel.conf")
		if c.is("client", "yes") {
			return nil
		}
		ports = append(ports, c.ports("accept", "bind")...)
	default:
		if x.gain == doorward.Contact && isWeb(x.daemon.words) {
			ports = append(ports, s.web(&x)...)
		} else if len(ports) == 0 {
			ports = append(ports, s.portsOfConfig(e)...)
		}
		if len(ports) == 0 && len(x.daemon.options) == 0 {
			ports = argumentPorts(e.Args, []string{"-p", "--port"})
		}
	}
	return x.each(ports)
}

// onlyTests says that a start merely checks the configuration.
func onlyTests(name string, args []string) bool {
	switch name {
	case "sshd", "nginx", "lighttpd", "apache2":
		return contains(args, "-t") || contains(args, "-tt") || contains(args, "-T") || contains(args, "-?") || contains(args, "configtest")
	case "proftpd":
		return contains(args, "-t") || contains(args, "--configtest")
	case "smbd", "snmpd", "dnsmasq":
		return contains(args, "--test") || contains(args, "-V")
	}
	return false
}

// pick returns more only if there are none yet.
func pick(have, more []port) []port {
	if len(have) > 0 {
		return nil
	}
	return more
}

func isWeb(words string) bool { return strings.Contains(words, "web server") }

// each makes a service of each port; the usual ones if none are given.
func (x service) each(ports []port) []service {
	if x.event.Socket != "" {
		ports = []port{socketPort(x.event.Socket)}
	}
	proto := "tcp"
	if len(x.daemon.ports) > 0 {
		proto = x.daemon.ports[0].proto
	}
	if len(ports) == 0 {
		ports = x.daemon.ports
	}
	if len(ports) == 0 {
		ports = []port{{proto: proto}}
	}
	var list []service
	seen := map[port]bool{}
	for _, p := range ports {
		if p.proto == "" {
			p.proto = proto
		}
		if seen[p] || len(list) >= 16 {
			continue
		}
		seen[p] = true
		y := x
		y.port = p
		if p.local {
			y.reach = doorward.Local
		}
		list = append(list, y)
	}
	return list
}

// sometimes handles programs that listen only if their arguments say so.
func (s *services) sometimes(x service) []service {
	args := x.event.Args
	switch x.daemon.name {
	case "cwmpd":
		return s.connectionRequests(x)
	case "dockerd":
		for i, a := range args {
			if v, ok := strings.CutPrefix(a, "tcp://"); ok || i > 0 && args[i-1] == "-H" && strings.HasPrefix(a, "tcp://") {
				if p, ok := addressPort(v); ok {
					x.gain, x.hidden = doorward.Control, doorward.Open
					x.setLogin(contains(args, "--tlsverify"))
					if contains(args, "--tlsverify") {
						x.hidden = doorward.Normal
					}
					return x.each([]port{p})
				}
			}
		}
	}
	return nil
}

// connectionRequests is where a TR-069 client lets its server knock (TR-069,
// 3.2.2): the one that waits for it asks for a name and a password.
func (s *services) connectionRequests(x service) []service {
	e := x.event
	if e.File == nil || boxed(e.File) || !waits(e.File) || protoOf(e.File) == "udp" {
		return nil
	}
	ports := argumentPorts(e.Args, []string{"-p", "--port"})
	if len(ports) == 0 {
		ports = s.portsOfConfig(e)
	}
	x.hidden, x.login, x.words = doorward.Normal, nil, "TR-069 connection requests"
	return x.each(ports)
}

// telnet reads which program a connection gets.
func (s *services) telnet(x *service) {
	e := x.event
	login, ok := option(e.Args, "-l", "-L")
	if strings.Contains(x.program, "in.telnetd") && !ok {
		login, ok = option(e.Args, "-E")
	}
	if !ok {
		if e.Volume != nil && inBox(e) && s.log.Source(e.Volume, "/bin/login") == nil {
			x.notes = append(x.notes, "the product has no /bin/login, which it would ask")
		}
		return
	}
	if strings.Contains(login, " ") {
		login = strings.Fields(login)[0]
	}
	rest := strings.Join(e.Args, " ")
	switch {
	case isShell(login):
		x.openShell(login)
	case strings.Contains(rest, "login -f ") || strings.Contains(rest, "login -f"):
		x.openShell(login)
		x.notes = append(x.notes, "login -f asks for no password")
	case path.Base(login) == "login":
	default:
		s.shellScript(x, login)
	}
}

// shellScript looks into a script that stands in for login.
func (s *services) shellScript(x *service, login string) {
	if x.event.Volume == nil {
		return
	}
	f := s.log.Source(x.event.Volume, login)
	if f == nil || !f.Type.IsText() {
		if f != nil && boxed(f) && isShell(login) {
			x.openShell(login)
		}
		return
	}
	asks := false
	for i, line := range strings.Split(f.Text(), "\n") {
		t := strings.TrimSpace(line)
		if t == "" || t[0] == '#' {
			continue
		}
		words := strings.Fields(t)
		if strings.Contains(t, "/bin/login") || words[0] == "login" || words[0] == "exec" && len(words) > 1 && path.Base(words[1]) == "login" {
			asks = true
		}
		last := words[0]
		if words[0] == "exec" && len(words) > 1 {
			last = words[1]
		}
		if isShell(last) && !asks {
			x.openShell(login)
			x.extra = append(x.extra, doorward.Evidence{What: t, Note: "the shell that a connection gets", Path: f.Path, Line: i + 1})
			return
		}
	}
}

// sshd reads sshd_config: root with a password, or users without one.
func (s *services) sshd(x *service) *config {
	e := x.event
	file, _ := option(e.Args, "-f")
	c := s.config(e, file, "/etc/ssh/sshd_config", "/etc/sshd_config", "/etc/openssh/sshd_config", "/usr/etc/sshd_config", "/usr/local/etc/sshd_config")
	passwords := !c.is("PasswordAuthentication", "no")
	for _, key := range []string{"PermitRootLogin", "PermitEmptyPasswords", "PasswordAuthentication"} {
		v := c.values(key)
		if len(v) == 0 || strings.ToLower(v[0].value) != "yes" {
			continue
		}
		note := map[string]string{"PermitRootLogin": "root can log in", "PermitEmptyPasswords": "an empty password is let in", "PasswordAuthentication": "passwords are let in"}[key]
		if key == "PermitRootLogin" && passwords {
			note = "root can log in with a password"
			x.hidden = doorward.PerUnit
			x.words = "SSH server, root may log in with a password"
		}
		if key == "PermitEmptyPasswords" && passwords {
			x.hidden = doorward.Open
		}
		ev := doorward.Evidence{What: v[0].text, Note: note, Line: v[0].line}
		if c.site.File != nil {
			ev.Path = c.site.File.Path
			if c.site.Line > 0 {
				ev.Line = c.site.Line
			}
		}
		x.extra = append(x.extra, ev)
	}
	return c
}

func (s *services) dropbear(x *service) {
	if flag(x.event.Args, 'B') {
		x.hidden = doorward.Open
		x.notes = append(x.notes, "-B lets an empty password in")
	}
	if flag(x.event.Args, 's') {
		x.notes = append(x.notes, "-s lets only keys in")
	}
}

// adb reads the properties that make adbd listen.
func (s *services) adb(e *startup.Event) []port {
	var list []port
	add := func(v string) {
		if p, ok := addressPort(v); ok && !contains(portNumbers(list), v) {
			list = append(list, p)
		}
	}
	for _, name := range []string{"service.adb.tcp.port", "persist.adb.tcp.port", "persist.service.adb.tcp.port"} {
		add(s.log.Settings[name])
		for i := range s.log.Events {
			if w := &s.log.Events[i]; w.Kind == startup.Set && w.Target == name && stateOf(w) != never {
				add(w.Text)
			}
		}
	}
	for _, a := range e.Args {
		if strings.Contains(a, "tcp:") || strings.Contains(a, "port=") {
			add(a[strings.LastIndexAny(a, ":=")+1:])
		}
	}
	return list
}

func portNumbers(list []port) []string {
	var t []string
	for _, p := range list {
		t = append(t, strconv.Itoa(p.number))
	}
	return t
}
