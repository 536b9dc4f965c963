package startup

import (
	"path"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// shellTool is sh -c TEXT, sh SCRIPT ARGS, or a shell on its own.
func shellTool(s *shell, args []value, n syntax.Node) (result, bool) {
	for i, a := range args {
		switch {
		case strings.HasPrefix(a.text, "-") && strings.HasSuffix(a.text, "c") && !strings.HasPrefix(a.text, "--") && i+1 < len(args):
			if args[i+1].unknown && strings.HasPrefix(args[i+1].text, "$") || s.calls >= maxCalls {
				return result{}, false
			}
			sub := s.fork()
			sub.args = nil
			if len(args) > i+3 {
				sub.args = args[i+3:]
			}
			return sub.runText(args[i+1].text, n), true
		case strings.HasPrefix(a.text, "-"):
			continue
		case a.unknown:
			return result{}, false
		}
		f := s.file(s.abs(a.text))
		if w := s.written[s.abs(a.text)]; w != nil && !w.foreign() && s.calls < maxCalls {
			sub := s.fork()
			sub.args = args[i+1:]
			return sub.runText(w.s, n), true
		}
		if f == nil || !isScript(f) {
			return result{}, false
		}
		ev := Event{Kind: Start, Program: a.text, File: f, Args: texts(args[i+1:]), Applet: path.Base(a.text), By: s.at(n)}
		s.record(ev)
		s.follow(f, s.abs(a.text), args[i+1:], ev.By)
		return result{}, true
	}
	if s.stdin != nil && s.stdin.text != "" && !s.stdin.unknown && s.calls < maxCalls {
		return s.fork().runText(s.stdin.text, n), true
	}
	return result{}, false
}

// runParts runs every file of a folder.
func runParts(s *shell, args []value, n syntax.Node) (result, bool) {
	var extra []value
	folder := ""
	for i, a := range args {
		switch {
		case strings.HasPrefix(a.text, "--arg="):
			extra = append(extra, known(a.text[6:]))
		case a.text == "-a" && i+1 < len(args):
			extra = append(extra, args[i+1])
		case !strings.HasPrefix(a.text, "-") && !a.unknown && (i == 0 || args[i-1].text != "-a"):
			folder = s.abs(a.text)
		}
	}
	if folder == "" {
		return result{}, true
	}
	for _, p := range s.fs.glob(folder + "/*") {
		if strings.Contains(path.Base(p), ".dpkg-") || !s.step() {
			continue
		}
		s.fork().external(append([]value{known(p)}, extra...), nil, n)
	}
	return succeeded, true
}

// service runs an init script by its name.
func service(s *shell, args []value, n syntax.Node) (result, bool) {
	_, rest := operands(args, "")
	if len(rest) < 2 || rest[0].unknown {
		return result{}, true
	}
	switch rest[1].text {
	case "start", "restart", "reload", "enable", "boot":
	default:
		return result{}, true
	}
	s.startNamed(rest[0].text, rest[1:], n)
	return result{}, true
}

func (s *shell) startNamed(name string, args []value, n syntax.Node) {
	for _, dir := range []string{"/etc/init.d/", "/etc/rc.d/init.d/", "/etc/rc.d/"} {
		if f := s.file(dir + name); f != nil {
			s.fork().external(append([]value{known(dir + name)}, args...), nil, n)
			return
		}
	}
	s.startUnit(name, n)
}

// systemctl start, enable --now and restart start units.
func systemctl(s *shell, args []value, n syntax.Node) (result, bool) {
	verb, now := "", false
	var names []string
	for _, a := range args {
		switch {
		case a.text == "--now":
			now = true
		case strings.HasPrefix(a.text, "-"):
		case verb == "":
			verb = a.text
		default:
			names = append(names, a.text)
		}
	}
	if verb == "start" || verb == "restart" || verb == "enable" && now {
		for _, name := range names {
			if s.startUnit(name, n); !strings.Contains(name, ".") && s.file("/etc/init.d/"+name) != nil && (s.units == nil || s.units.find(name+".service") == nil) {
				s.fork().external([]value{known("/etc/init.d/" + name), known("start")}, nil, n)
			}
		}
	}
	return result{}, true
}

func (s *shell) startUnit(name string, n syntax.Node) {
	c := s.context
	c.chain = append(s.chain[:len(s.chain):len(s.chain)], s.at(n))
	c.depth++
	if c.depth < maxDepth && s.alive() {
		s.engine.startUnit(name, c)
	}
}

// xargs runs a command with what is piped in.
func xargs(s *shell, args []value, n syntax.Node) (result, bool) {
	rest, _ := skipOptions("InLPds")(s, args)
	if len(rest) == 0 {
		return result{}, true
	}
	words := append([]value{}, rest...)
	if s.stdin != nil && !s.stdin.unknown {
		for _, f := range strings.Fields(s.stdin.text) {
			if len(words) < 256 {
				words = append(words, known(f))
			}
		}
	} else {
		words = append(words, unknownValue("_"))
	}
	return s.run(words, nil, n), true
}

// findExec runs what find -exec runs, once, with an unknown file.
func findExec(s *shell, args []value, n syntax.Node) (result, bool) {
	if s.out != nil {
		s.out.unknown = true
	}
	for i, a := range args {
		if a.text != "-exec" && a.text != "-ok" {
			continue
		}
		var words []value
		for _, w := range args[i+1:] {
			if w.text == ";" || w.text == "+" {
				break
			}
			if w.text == "{}" {
				w = unknownValue("_")
			}
			words = append(words, w)
		}
		if len(words) > 0 {
			s.run(words, nil, n)
		}
	}
	return result{}, true
}

// crontab installs a table from a file or from what is piped in.
func crontab(s *shell, args []value, n syntax.Node) (result, bool) {
	opts, rest := operands(args, "u")
	if len(rest) == 0 && s.stdin == nil {
		return result{}, true
	}
	if _, lists := opts['l']; lists {
		return result{}, true
	}
	v, ok := s.input(rest)
	if ok && v.text != "" {
		s.write(Event{Kind: Write, Target: "/var/spool/cron/crontabs/root"}, v, n)
	}
	return result{}, true
}
