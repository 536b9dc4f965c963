package firmware

import (
	"strings"

	"github.com/doorward/doorward"
)

// say adds the line of a configuration that decides.
func (x *service) say(c *config, v setting, note string) {
	ev := doorward.Evidence{What: v.text, Note: note, Line: v.line}
	if c.site.File != nil {
		ev.Path = c.site.File.Path
		if c.site.Line > 0 {
			ev.Line = c.site.Line
		}
	}
	x.extra = append(x.extra, ev)
}

// anyone opens a service to whoever connects, because a line says so.
func (x *service) anyone(c *config, v setting, note string) {
	x.hidden = doorward.Open
	x.setLogin(false)
	x.say(c, v, note)
}

// ftp reads whether anonymous users are let in.
func (s *services) ftp(x *service) []port {
	e := x.event
	if inBox(e) {
		busyboxFTP(x, e.Args)
		return nil
	}
	switch x.daemon.name {
	case "vsftpd":
		file := fileOption(e.Args)
		if p := plain(e.Args); file == "" && len(p) > 0 {
			file = p[0]
		}
		c := s.config(e, file, "/etc/vsftpd.conf", "/etc/vsftpd/vsftpd.conf", "/usr/etc/vsftpd.conf")
		v := c.values("anonymous_enable")
		switch {
		case len(v) > 0 && contains([]string{"yes", "true", "1"}, strings.ToLower(v[len(v)-1].value)):
			x.anyone(c, v[len(v)-1], "anonymous users are let in")
		case len(v) == 0 && c.found():
			x.anyone(c, setting{text: "anonymous_enable is not set", line: 1}, "vsftpd then lets anonymous users in")
		}
		return c.ports("listen_port")
	case "proftpd":
		c := s.config(e, fileOption(e.Args), "/etc/proftpd/proftpd.conf", "/etc/proftpd.conf")
		if v := c.values("<Anonymous"); len(v) > 0 {
			x.anyone(c, v[0], "anonymous users are let in")
		}
		return c.ports("Port")
	case "pure-ftpd":
		if flag(e.Args, 'e') {
			x.hidden = doorward.Open
			x.setLogin(false)
			x.notes = append(x.notes, "-e lets only anonymous users in")
		}
		c := s.config(e, "/etc/pure-ftpd/conf/NoAnonymous")
		if c.found() && strings.HasPrefix(strings.ToLower(strings.TrimSpace(c.lines[0])), "no") {
			x.anyone(c, setting{text: c.lines[0], line: 1}, "anonymous users are let in")
		}
		return nil
	}
	c := s.config(e, fileOption(e.Args), "/etc/ftpd.conf", "/etc/bftpd.conf", "/etc/uftpd.conf", "/etc/stupid-ftpd/stupid-ftpd.conf")
	if v := c.values("ANONYMOUS_USER"); len(v) > 0 && strings.EqualFold(v[0].value, "yes") {
		x.anyone(c, v[0], "anonymous users are let in")
	}
	return c.ports("port", "serverport", "PORT")
}

// rsync reads whether each module asks for a user.
func (s *services) rsync(x *service) []port {
	file, _ := option(x.event.Args, "--config")
	c := s.config(x.event, file, "/etc/rsyncd.conf")
	module, auth, line := "", false, 0
	global := false
	open := func() {
		if module != "" && !auth && !global {
			x.anyone(c, setting{text: "[" + module + "]", line: line}, "the module names no auth users")
		}
	}
	for i, l := range c.lines {
		t := strings.TrimSpace(l)
		switch {
		case t == "" || t[0] == '#' || t[0] == ';':
		case t[0] == '[':
			open()
			module, auth, line = strings.Trim(t, "[]"), false, i+1
		case strings.HasPrefix(strings.ToLower(t), "auth users"):
			auth = true
			global = global || module == ""
		}
	}
	open()
	return c.ports("port")
}

// snmp reads who may write, and on which address the agent listens.
func (s *services) snmp(x *service) []port {
	e := x.event
	c := s.config(e, fileOption(e.Args), "/etc/snmp/snmpd.conf", "/etc/snmpd.conf", "/usr/share/snmp/snmpd.conf")
	x.hidden = doorward.Normal
	for _, key := range []string{"rwcommunity", "rwcommunity6", "rwuser"} {
		for _, v := range c.values(key) {
			source := strings.Fields(v.value)
			if len(source) > 1 && (loopback(source[1]) || source[1] == "127.0.0.1/32") {
				continue
			}
			if key != "rwuser" {
				x.gain, x.hidden = doorward.UserData, doorward.PerUnit
				x.setLogin(false)
			}
			x.words = "SNMP agent that takes changes"
			x.say(c, v, "whoever knows this can change settings")
			break
		}
	}
	var list []port
	addresses := c.values("agentaddress")
	for _, a := range plain(e.Args) {
		addresses = append(addresses, setting{value: a})
	}
	for _, v := range addresses {
		for a := range strings.SplitSeq(v.value, ",") {
			a = strings.TrimSpace(a)
			p := port{proto: "udp", number: 161}
			if rest, ok := strings.CutPrefix(a, "tcp:"); ok {
				p.proto, a = "tcp", rest
			}
			a = strings.TrimPrefix(strings.TrimPrefix(a, "udp:"), "udp6:")
			if q, ok := addressPort(a); ok {
				p.number, p.local = q.number, q.local
			} else if host := strings.Trim(a, "[]"); loopback(host) {
				p.local = true
			} else if !strings.ContainsAny(a, ".:") || strings.HasPrefix(a, "/") {
				continue // a file, a number is handled above
			}
			list = append(list, p)
		}
	}
	return list
}

func (s *services) samba(x *service) {
	file, _ := option(x.event.Args, "-s", "--configfile")
	c := s.config(x.event, file, "/etc/samba/smb.conf", "/etc/smb.conf", "/var/smb.conf", "/tmp/smb.conf", "/var/samba/smb.conf")
	for _, key := range []string{"guest ok", "public", "guest only"} {
		for _, v := range c.values(key) {
			if contains([]string{"yes", "true", "1"}, strings.ToLower(v.value)) && !inPrinters(c, v.line) {
				x.anyone(c, v, "guests are let in")
				return
			}
		}
	}
}

// inPrinters says that a line of smb.conf is in the section of the printers.
func inPrinters(c *config, line int) bool {
	for i := line - 1; i >= 0 && i < len(c.lines); i-- {
		if t := strings.TrimSpace(c.lines[i]); strings.HasPrefix(t, "[") {
			return strings.HasPrefix(strings.ToLower(t), "[print")
		}
	}
	return false
}

func (s *services) nfs(x *service) {
	c := s.config(x.event, "/etc/exports")
	for i, l := range c.lines {
		t := strings.TrimSpace(l)
		if t == "" || t[0] == '#' {
			continue
		}
		v := setting{text: t, line: i + 1}
		if strings.Contains(t, "rw") && strings.Contains(t, "no_root_squash") {
			x.gain = doorward.Control
			x.anyone(c, v, "whoever mounts it writes as root")
			return
		}
		x.anyone(c, v, "whoever is on these addresses reads it")
	}
}

// database reads on which address it listens and whether it asks for a login.
func (s *services) database(x *service) []port {
	e := x.event
	stem := x.daemon.name
	files := map[string][]string{
		"mosquitto":    {"/etc/mosquitto/mosquitto.conf", "/etc/mosquitto.conf"},
		"redis-server": {"/etc/redis/redis.conf", "/etc/redis.conf"},
		"mysqld":       {"/etc/mysql/mariadb.conf.d/50-server.cnf", "/etc/mysql/my.cnf", "/etc/my.cnf"},
		"postgres":     {"/etc/postgresql/postgresql.conf"},
		"mongod":       {"/etc/mongod.conf", "/etc/mongodb.conf"},
	}[stem]
	first := fileOption(e.Args)
	c := s.config(e, append([]string{first}, files...)...)
	ports := c.ports("port", "listener")
	switch stem {
	case "mosquitto":
		if v := c.values("allow_anonymous"); len(v) > 0 {
			if strings.EqualFold(v[0].value, "true") {
				x.anyone(c, v[0], "no login is asked")
			} else {
				x.hidden = doorward.Normal
				x.setLogin(true)
			}
		} else if len(c.values("password_file")) > 0 {
			x.hidden = doorward.Normal
			x.setLogin(true)
		} else if len(c.values("listener")) == 0 && len(argumentPorts(e.Args, x.daemon.options)) == 0 {
			// Version 2 listens for the device itself then; version 1 for all.
			x.hidden = doorward.Normal
		}
	case "redis-server":
		if len(c.values("requirepass")) > 0 {
			x.hidden = doorward.Normal
		} else if c.is("protected-mode", "no") {
			x.anyone(c, c.values("protected-mode")[0], "no login is asked")
		}
	}
	local := func(v string) bool {
		for _, f := range strings.FieldsFunc(v, func(r rune) bool { return r == ' ' || r == ',' }) {
			if !loopback(strings.Trim(strings.TrimPrefix(f, "-"), "[]'\"")) {
				return false
			}
		}
		return v != ""
	}
	if local(c.first("bind")) || local(c.first("bind-address")) || local(c.first("bind_address")) || local(c.first("bindIp")) || stem == "postgres" && !contains([]string{"*", "0.0.0.0"}, c.first("listen_addresses")) {
		if len(ports) == 0 {
			ports = append(ports, x.daemon.ports...)
		}
		for i := range ports {
			ports[i].local = true
		}
	}
	return ports
}

// motion shows pictures on one port and its settings on another, each for the
// device itself unless the configuration says otherwise.
func (s *services) motion(x *service) []port {
	file, _ := option(x.event.Args, "-c")
	c := s.config(x.event, file, "/etc/motion/motion.conf", "/etc/motion.conf")
	var list []port
	for _, names := range [][2]string{{"stream_port", "stream_localhost"}, {"webcontrol_port", "webcontrol_localhost"}, {"webcam_port", "webcam_localhost"}, {"control_port", "control_localhost"}} {
		for _, p := range c.ports(names[0]) {
			if p.number != 0 {
				p.local = !c.is(names[1], "off")
				list = append(list, p)
			}
		}
	}
	return list
}

// dnsmasq is a DNS server, and with an option one for files.
func (s *services) dnsmasq(x service, ports []port) []service {
	e := x.event
	file, _ := option(e.Args, "-C", "--conf-file")
	c := s.config(e, file, "/etc/dnsmasq.conf")
	if len(c.values("port")) > 0 {
		ports = c.ports("port")
	}
	list := x.each(ports)
	if p, _ := option(e.Args, "-p", "--port"); p == "0" || c.first("port") == "0" {
		list = nil
	}
	if contains(e.Args, "--enable-tftp") || len(c.values("enable-tftp")) > 0 {
		y := x
		y.gain, y.words = doorward.UserData, "TFTP server"
		list = append(list, y.each([]port{{proto: "udp", number: 69}})...)
	}
	return list
}

// screen reads whether the shared screen or terminal asks for a password.
func (s *services) screen(x *service) {
	args := x.event.Args
	x.clear = true
	switch {
	case x.daemon.name == "ttyd" && x.program == "shellinaboxd":
		x.setLogin(true)
	case x.daemon.name == "ttyd":
		if _, ok := option(args, "-c", "--credential"); ok {
			x.setLogin(true)
			return
		}
		for _, a := range plain(args) {
			if strings.HasSuffix(a, "login") {
				x.setLogin(true)
				return
			}
			if isShell(a) {
				x.openShell(a)
			}
		}
	default:
		for _, a := range args {
			switch a {
			case "-rfbauth", "-passwd", "-passwdfile", "-usepw", "-PasswordFile", "-unixpw":
				x.hidden = doorward.Normal
				x.setLogin(true)
				return
			case "-localhost":
				x.reach = doorward.Local
			}
		}
		x.hidden = doorward.Open
		x.setLogin(false)
	}
}

// web reads the ports of a web server's configuration, and whether it has
// users.
func (s *services) web(x *service) []port {
	e := x.event
	if _, ok := option(e.Args, "-S", "--ssl"); ok || x.program == "mini_httpds" {
		x.clear = false
	}
	switch x.daemon.name {
	case "lighttpd":
		return s.lighttpd(x)
	case "nginx":
		return s.nginx(x)
	case "apache2":
		c := s.config(e, fileOption(e.Args), "/etc/apache2/ports.conf", "/etc/apache2/httpd.conf", "/etc/httpd/conf/httpd.conf")
		return c.ports("Listen")
	case "uhttpd":
		ports := argumentPorts(e.Args, []string{"-p", "-s"})
		if len(ports) == 0 {
			c := s.config(e, "/etc/config/uhttpd")
			for _, l := range c.lines {
				f := strings.Fields(l)
				if len(f) == 3 && f[0] == "list" && strings.HasPrefix(f[1], "listen_http") {
					if p, ok := addressPort(f[2]); ok {
						ports = append(ports, p)
					}
				}
			}
		}
		return ports
	case "boa":
		dir, _ := option(e.Args, "-c")
		c := s.config(e, dir+"/boa.conf", "/etc/boa/boa.conf", "/etc/boa.conf")
		return c.ports("Port")
	case "goahead":
		var ports []port
		for _, a := range plain(e.Args) {
			if strings.Contains(a, ":") {
				if p, ok := addressPort(strings.TrimPrefix(strings.TrimPrefix(a, "http://"), "https://")); ok {
					ports = append(ports, p)
				}
			}
		}
		return ports
	}
	file := fileOption(e.Args)
	c := s.config(e, file, "/etc/"+x.program+".conf", "/etc/"+x.daemon.name+".conf")
	for i, l := range c.lines {
		t := strings.TrimSpace(l)
		if strings.HasPrefix(t, "/") && strings.Count(t, ":") == 2 && x.daemon.name == "httpd" { // busybox: /cgi-bin:user:password
			x.setLogin(true)
			x.say(c, setting{text: t[:strings.LastIndexByte(t, ':')+1] + "...", line: i + 1}, "asks for this login")
			break
		}
	}
	if len(argumentPorts(e.Args, x.daemon.options)) > 0 {
		return nil
	}
	return c.ports("port", "Port", "Listen")
}

func (s *services) lighttpd(x *service) []port {
	e := x.event
	file, _ := option(e.Args, "-f")
	c := s.config(e, file, "/etc/lighttpd/lighttpd.conf", "/etc/lighttpd.conf")
	ports := c.ports("server.port")
	if len(ports) == 0 {
		ports = []port{{number: 80}}
	}
	if host := c.first("server.bind"); loopback(host) {
		ports[0].local = true
	}
	for _, l := range c.lines {
		t := strings.TrimSpace(l)
		if rest, ok := strings.CutPrefix(t, "$SERVER[\"socket\"]"); ok {
			if _, val, ok := strings.Cut(rest, "\""); ok {
				val, _, _ = strings.Cut(val, "\"")
				if p, ok := addressPort(val); ok {
					ports = append(ports, p)
				}
			}
		}
		if strings.HasPrefix(t, "auth.require") {
			x.setLogin(true)
		}
	}
	return ports
}

func (s *services) nginx(x *service) []port {
	e := x.event
	file, _ := option(e.Args, "-c")
	var ports []port
	paths := []string{file, "/etc/nginx/nginx.conf", "/usr/local/nginx/conf/nginx.conf"}
	c := s.config(e, paths...)
	ports = append(ports, c.statements().ports("listen")...)
	if e.Volume != nil {
		for _, pattern := range []string{"etc/nginx/sites-enabled/*", "etc/nginx/conf.d/*.conf"} {
			for _, f := range e.Volume.Glob(pattern) {
				ports = append(ports, s.config(e, "/"+f.Path).statements().ports("listen")...)
			}
		}
	}
	return ports
}

// statements is a configuration by its statements, which end at ; and braces
// and not at a line's end (nginx).
func (c *config) statements() *config {
	out := &config{site: c.site}
	var b strings.Builder
	end := func() {
		if t := strings.TrimSpace(b.String()); t != "" {
			out.lines = append(out.lines, t)
		}
		b.Reset()
	}
	var quote byte
	for _, line := range c.lines {
		for i := 0; i < len(line); i++ {
			ch := line[i]
			switch {
			case quote != 0:
				if ch == quote {
					quote = 0
				}
			case ch == '"' || ch == '\'':
				quote = ch
			case ch == '#' && (i == 0 || strings.IndexByte(" \t;{}", line[i-1]) >= 0):
				i = len(line)
				continue
			case ch == ';' || ch == '}' || ch == '{' && (i == 0 || line[i-1] != '$'):
				end()
				continue
			}
			b.WriteByte(ch)
		}
		b.WriteByte(' ')
	}
	end()
	return out
}
