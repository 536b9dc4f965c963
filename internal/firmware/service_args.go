package firmware

import (
	"bytes"
	"net/netip"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
)

// argumentPorts reads the ports that options give: "-p 2323", "-p2323",
// "--port=80", and with a colon in the table "-p 127.0.0.1:22".
func argumentPorts(args, options []string) []port {
	var list []port
	for i, a := range args {
		for _, opt := range options {
			opt = strings.TrimSuffix(opt, ":")
			val := ""
			switch {
			case a == opt && i+1 < len(args):
				val = args[i+1]
			case strings.HasPrefix(opt, "--") && strings.HasPrefix(a, opt+"="):
				val = a[len(opt)+1:]
			case len(opt) == 2 && strings.HasPrefix(a, opt) && len(a) > 2:
				val = a[2:]
			default:
				continue
			}
			if p, ok := addressPort(val); ok {
				list = append(list, p)
			}
		}
	}
	return list
}

// addressPort reads "23", ":23", "0.0.0.0:23", "[::]:23", "*:23".
func addressPort(t string) (port, bool) {
	t = strings.Trim(strings.TrimSuffix(strings.Trim(t, `"';,`), "/"), " ")
	host, number := "", t
	if i := strings.LastIndexByte(t, ':'); i >= 0 {
		host, number = strings.Trim(t[:i], "[]"), t[i+1:]
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > 65535 {
		return port{}, false
	}
	return port{number: n, local: loopback(host)}, true
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

func socketPort(socket string) port {
	proto, number, _ := strings.Cut(socket, "/")
	n, _ := strconv.Atoi(number)
	if n < 0 || n > 65535 {
		n = 0
	}
	return port{proto: proto, number: n}
}

// option returns what follows an option, "-l x", "-lx" or "--long=x"; ok is
// false if the option is not there.
func option(args []string, names ...string) (val string, ok bool) {
	for i, a := range args {
		for _, name := range names {
			switch {
			case a == name:
				if i+1 < len(args) {
					return args[i+1], true
				}
				return "", true
			case strings.HasPrefix(name, "--") && strings.HasPrefix(a, name+"="):
				return a[len(name)+1:], true
			case len(name) == 2 && name[1] != '-' && strings.HasPrefix(a, name) && len(a) > 2:
				return a[2:], true
			}
		}
	}
	return "", false
}

// flag says that a one-letter flag is among the options, alone or in a group.
func flag(args []string, letter byte) bool {
	for _, a := range args {
		if len(a) > 1 && a[0] == '-' && a[1] != '-' && strings.IndexByte(a, letter) > 0 {
			return true
		}
	}
	return false
}

// plain returns the arguments that are no options.
func plain(args []string) []string {
	var list []string
	for _, a := range args {
		if !strings.HasPrefix(a, "-") {
			list = append(list, a)
		}
	}
	return list
}

// config is a configuration file's text, without comments.
type config struct {
	site  startup.Site
	lines []string
}

// config finds the first of some files that the running system has.
func (s *services) config(e *startup.Event, paths ...string) *config {
	for _, p := range paths {
		if p == "" || strings.ContainsAny(p, "$*") || e.Volume == nil {
			continue
		}
		if f := s.log.Source(e.Volume, p); f != nil && f.Type.IsText() {
			return &config{site: startup.Site{File: f}, lines: strings.Split(f.Text(), "\n")}
		}
		for i := range s.log.Events { // made by a script when the product runs
			w := &s.log.Events[i]
			if w.Kind == startup.Write && w.Volume == e.Volume && w.Target == p && strings.Contains(w.Text, "\n") {
				return &config{site: w.By, lines: strings.Split(w.Text, "\n")}
			}
		}
	}
	return &config{}
}

// found says that there is such a file.
func (c *config) found() bool { return len(c.lines) > 0 }

// values returns what a key is set to, as "key = value", "key value" or
// "key: value", with the line.
func (c *config) values(key string) []setting {
	var list []setting
	for i, line := range c.lines {
		t := strings.TrimSpace(line)
		if t == "" || strings.IndexByte("#;!", t[0]) >= 0 || len(t) < len(key) || !strings.EqualFold(t[:len(key)], key) {
			continue
		}
		rest := t[len(key):]
		if rest != "" && strings.IndexByte(" \t=:", rest[0]) < 0 {
			continue
		}
		v := strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(rest), "=:"))
		if cut := strings.Index(v, " #"); cut >= 0 {
			v = strings.TrimSpace(v[:cut])
		}
		list = append(list, setting{value: strings.Trim(strings.TrimRight(v, ";"), `"'`), line: i + 1, text: t})
	}
	return list
}

type setting struct {
	value, text string
	line        int
}

// first is a key's first value, lower case.
func (c *config) first(key string) string {
	if v := c.values(key); len(v) > 0 {
		return strings.ToLower(v[0].value)
	}
	return ""
}

func (c *config) is(key string, want ...string) bool { return contains(want, c.first(key)) }

// ports are the ports that a key gives.
func (c *config) ports(keys ...string) []port {
	var list []port
	for _, key := range keys {
		for _, v := range c.values(key) {
			fields := strings.FieldsFunc(v.value, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' })
			if len(fields) == 0 {
				continue
			}
			if p, ok := addressPort(fields[0]); ok {
				list = append(list, p)
			}
		}
	}
	return list
}

// fileOption is the file that an argument names as the configuration.
func fileOption(args []string) string {
	for _, name := range []string{"-c", "-f", "-C", "--config", "--conf", "-F", "--config-file"} {
		if v, ok := option(args, name); ok && strings.HasPrefix(v, "/") {
			return v
		}
	}
	for _, a := range args {
		if strings.HasPrefix(a, "/") && (strings.HasSuffix(a, ".conf") || strings.HasSuffix(a, ".cfg") || strings.HasSuffix(a, ".ini") || strings.HasSuffix(a, ".xml")) {
			return a
		}
	}
	return ""
}

var portKey = regexp.MustCompile(`(?i)^\s*(?:[a-z_.-]*(?:listen|server|bind|local|http|rtsp|control|service|tcp|udp)[a-z_.-]*[_.-]?port|port|listen|listen_addr(?:ess)?|bind)\s*[=: ]\s*"?([^\s"#;]+)`)

// portsOfConfig reads the port of an unknown program: a key that names one in
// the configuration that its arguments name, or that bears its name.
func (s *services) portsOfConfig(e *startup.Event) []port {
	stem := strings.TrimSuffix(path.Base(e.Program), path.Ext(e.Program))
	c := s.config(e, fileOption(e.Args), "/etc/"+stem+".conf", "/etc/"+stem+"/"+stem+".conf", "/etc/config/"+stem)
	var list []port
	for _, line := range c.lines {
		m := portKey.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if p, ok := addressPort(m[1]); ok && len(list) < 8 {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		list = xmlPorts(c, e.File)
	}
	if len(list) > 1 {
		return nil // which of them it listens on is not shown
	}
	return list
}

var xmlPort = regexp.MustCompile(`(?i)(?:<([a-z][\w.-]{1,31})>\s*(?:<[a-z][\w.-]*>[^<>]{0,64}</[a-z][\w.-]*>\s*){0,4})?<(?:listen|server|local|connectionrequest)?_?port>\s*(\d{1,5})\s*<`)

// xmlPorts reads the ports of a configuration in XML. Where there are several,
// for several programs, those of a protocol whose name stands in this one.
func xmlPorts(c *config, f *product.File) []port {
	if !c.found() || !strings.HasPrefix(strings.TrimSpace(c.lines[0]), "<") {
		return nil
	}
	all := xmlPort.FindAllStringSubmatch(strings.Join(c.lines, "\n"), 32)
	var list []port
	for _, m := range all {
		protocol := strings.ToUpper(m[1])
		if len(all) > 1 && (len(protocol) < 3 || f == nil || !bytes.Contains(f.Bytes(), []byte(protocol+"/")) && !bytes.Contains(f.Bytes(), []byte(strings.ToLower(protocol)+"://"))) {
			continue
		}
		if p, ok := addressPort(m[2]); ok {
			list = append(list, p)
		}
	}
	return list
}
