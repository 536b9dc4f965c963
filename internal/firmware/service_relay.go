package firmware

import (
	"path"
	"strings"

	"github.com/doorward/doorward"
)

// netcat is a service only if it listens; with -e it hands out a program.
func (s *services) netcat(x service, ports []port) []service {
	args := x.event.Args
	if !flag(args, 'l') && !contains(args, "--listen") {
		return nil
	}
	proto := "tcp"
	if flag(args, 'u') {
		proto = "udp"
	}
	if len(ports) == 0 {
		for _, a := range plain(args) {
			if p, ok := addressPort(a); ok {
				ports = []port{p}
			}
		}
	}
	for i := range ports {
		ports[i].proto = proto
	}
	prog, ok := option(args, "-e", "--exec", "--sh-exec", "-c")
	if !ok {
		for i, a := range args { // busybox nc -ll -p 1 -e prog args; -le prog
			if strings.HasPrefix(a, "-") && strings.HasSuffix(a, "e") && i+1 < len(args) {
				prog, ok = args[i+1], true
			}
		}
	}
	if words := strings.Fields(prog); ok && len(words) > 0 && isShell(words[0]) {
		x.openShell(words[0])
	} else if t := x.event.By.Text; strings.Contains(t, "| /bin/sh") || strings.Contains(t, "|/bin/sh") || strings.Contains(t, "| sh") || strings.Contains(t, "sh -i") {
		x.openShell("/bin/sh")
	} else if ok && prog != "" {
		x.gain = doorward.UserData
		x.notes = append(x.notes, "it runs "+prog+" for whoever connects")
	}
	return x.each(ports)
}

// socat reads its addresses: one that listens, one that executes.
func (s *services) socat(x service) []service {
	var ports []port
	shell := ""
	for _, a := range plain(x.event.Args) {
		kind, rest, _ := strings.Cut(a, ":")
		kind = strings.ToUpper(kind)
		value, opts, _ := strings.Cut(rest, ",")
		switch {
		case strings.HasSuffix(kind, "-LISTEN") || strings.HasSuffix(kind, "-L") && !strings.HasPrefix(kind, "UNIX"):
			if strings.HasPrefix(kind, "UNIX") || strings.HasPrefix(kind, "ABSTRACT") || strings.HasPrefix(kind, "VSOCK") {
				continue
			}
			p, ok := addressPort(value)
			if !ok {
				p = port{}
			}
			p.proto = "tcp"
			if strings.HasPrefix(kind, "UDP") {
				p.proto = "udp"
			}
			if i := strings.Index(opts, "bind="); i >= 0 {
				host, _, _ := strings.Cut(opts[i+5:], ",")
				p.local = loopback(strings.Trim(host, "[]"))
			}
			ports = append(ports, p)
		case kind == "EXEC" || kind == "SYSTEM" || kind == "SHELL":
			if words := strings.Fields(strings.Trim(value, `'"`)); len(words) > 0 && isShell(words[0]) {
				shell = words[0]
			} else {
				x.gain = doorward.UserData
				x.notes = append(x.notes, "it runs "+value+" for whoever connects")
			}
		}
	}
	if len(ports) == 0 {
		return nil
	}
	if shell != "" {
		x.openShell(shell)
	}
	return x.each(ports)
}

// tcpsvd starts a program for each connection: that program is the service.
func (s *services) tcpsvd(x service) []service {
	args := x.event.Args
	i := 0
	for i < len(args) && strings.HasPrefix(args[i], "-") {
		if strings.IndexByte("cCbul", args[i][len(args[i])-1]) >= 0 && len(args[i]) == 2 {
			i++
		}
		i++
	}
	if len(args)-i < 3 { // another program of that name
		if x.event.File != nil && !boxed(x.event.File) {
			s.unknown(x.event, x.program, x.state)
		}
		return nil
	}
	p, ok := addressPort(args[i+1])
	if !ok {
		p = port{}
	}
	p.local = loopback(args[i])
	p.proto = "tcp"
	if x.program == "udpsvd" {
		p.proto = "udp"
	}
	name := path.Base(args[i+2])
	rest := args[i+3:]
	if name == "busybox" && len(rest) > 0 {
		name, rest = rest[0], rest[1:]
	}
	x.program = name
	if isShell(name) {
		x.openShell(args[i+2])
		return x.each([]port{p})
	}
	if d := daemons().daemons[name]; d != nil && !d.skip {
		x.daemon, x.gain, x.words = d, d.gain, d.words
		x.hidden = doorward.Open
		x.setLogin(false)
		if d.login == "login" || d.login == "admin" {
			x.hidden = doorward.PerUnit
			x.setLogin(true)
		}
		if d.name == "ftpd" {
			busyboxFTP(&x, rest)
		}
	}
	return x.each([]port{p})
}

// busyboxFTP reads ftpd's options: -A asks for no login, -w lets write.
func busyboxFTP(x *service, args []string) {
	switch {
	case flag(args, 'A'):
		x.hidden = doorward.Open
		x.setLogin(false)
	case flag(args, 'a'):
		x.notes = append(x.notes, "-a lets anonymous users in as the named user")
	}
	if flag(args, 'w') {
		x.notes = append(x.notes, "-w lets them write")
	}
}
