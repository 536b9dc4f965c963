package startup

import (
	"path"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// tool is what a usual program does, as far as a reader needs it. quiet says
// that the program itself is no event: it only computes.
type tool func(s *shell, args []value, n syntax.Node) (r result, quiet bool)

// computes makes a tool of a function from arguments to output.
func computes(f func(s *shell, args []value) (value, bool)) tool {
	return func(s *shell, args []value, _ syntax.Node) (result, bool) {
		v, ok := f(s, args)
		if !ok {
			if s.out != nil {
				s.out.unknown = true
			}
			return result{}, true
		}
		s.print(v)
		return succeeded, true
	}
}

func toolTable() map[string]tool {
	nothing := func(s *shell, _ []value, _ syntax.Node) (result, bool) { return succeeded, true }
	return map[string]tool{
		"cat": computes(cat), "basename": computes(base), "dirname": computes(dir), "seq": computes(seq), "expr": computes(expr),
		"cut": computes(cut), "head": computes(head), "tail": computes(tail), "awk": computes(awk), "tr": computes(tr), "sort": computes(same), "uniq": computes(same),
		"sed": sed, "grep": grep, "egrep": grep, "fgrep": grep, "id": computes(identity), "whoami": computes(func(*shell, []value) (value, bool) { return known("root\n"), true }),
		"uname": computes(uname), "which": func(s *shell, a []value, n syntax.Node) (result, bool) { return s.which(a, n), true },
		"sleep": nothing, "usleep": nothing, "sync": nothing, "logger": nothing, "true": nothing, "clear": nothing, "stty": nothing,
		"readlink": computes(readlink), "realpath": computes(readlink),
		"nvram": nvram, "nvram_get": nvramGet, "nvram_set": nvramSet, "ralink_init": nvram, "xmldbc": xmldbc, "cfg": nvram, "cfg_manager": nvram, "tcapi": tcapi, "flash": nvram, "config": nvram,
		"fw_printenv": fwPrint, "fw_setenv": fwSet, "getprop": getprop, "setprop": setprop, "sysctl": sysctl, "uci": uci,
		"cp": copyFiles, "mv": copyFiles, "install": copyFiles, "ln": link, "tar": untar, "mount": mount, "tee": tee, "touch": touch, "mkdir": mkdir, "rm": remove, "dd": dd,
		"sh": shellTool, "ash": shellTool, "bash": shellTool, "dash": shellTool, "run-parts": runParts, "service": service, "rc-service": service, "invoke-rc.d": service, "systemctl": systemctl, "initctl": systemctl,
		"xargs": xargs, "crontab": crontab, "find": findExec, "deb-systemd-invoke": systemctl, "update-inetd": updateInetd,
	}
}

// input is the text that a filter reads: its file arguments or what is piped in.
func (s *shell) input(files []value) (value, bool) {
	if len(files) == 0 {
		if s.stdin == nil {
			return value{}, false
		}
		return *s.stdin, true
	}
	var all value
	for i, f := range files {
		if i >= 64 || f.unknown {
			return value{}, false
		}
		if f.text == "-" && s.stdin != nil {
			all = join(all, *s.stdin)
			continue
		}
		v, file := s.content(s.abs(f.text))
		if v.unknown {
			return value{}, false
		}
		if file != nil && v.setting == "" && len(v.text) < 64 && !strings.Contains(strings.TrimSpace(v.text), "\n") {
			v.setting = "/" + file.Path // a file that holds one value
		}
		all = join(all, v)
	}
	return all, true
}

func operands(args []value, takes string) (opts map[byte]string, rest []value) {
	opts = map[byte]string{}
	for i := 0; i < len(args); i++ {
		a := args[i].text
		if len(a) < 2 || a[0] != '-' || a == "--" {
			if a != "--" {
				rest = append(rest, args[i])
			}
			continue
		}
		for j := 1; j < len(a); j++ {
			if strings.IndexByte(takes, a[j]) >= 0 {
				if j+1 < len(a) {
					opts[a[j]] = a[j+1:]
				} else if i+1 < len(args) {
					i++
					opts[a[j]] = args[i].text
				}
				break
			}
			opts[a[j]] = ""
		}
	}
	return opts, rest
}

func cat(s *shell, args []value) (value, bool) {
	_, files := operands(args, "")
	return s.input(files)
}

func base(s *shell, args []value) (value, bool) {
	_, args = operands(args, "s")
	if len(args) == 0 || args[0].unknown {
		return value{}, false
	}
	v := args[0]
	v.text = path.Base(v.text)
	if len(args) > 1 && v.text != args[1].text {
		v.text = strings.TrimSuffix(v.text, args[1].text)
	}
	v.text += "\n"
	return v, true
}

func dir(s *shell, args []value) (value, bool) {
	if len(args) == 0 || args[0].unknown {
		return value{}, false
	}
	v := args[0]
	v.text = path.Dir(v.text) + "\n"
	return v, true
}

func seq(s *shell, args []value) (value, bool) {
	var n []int
	for _, a := range args {
		x, err := strconv.Atoi(a.text)
		if err != nil || a.unknown {
			return value{}, false
		}
		n = append(n, x)
	}
	from, by, to := 1, 1, 0
	switch len(n) {
	case 1:
		to = n[0]
	case 2:
		from, to = n[0], n[1]
	case 3:
		from, by, to = n[0], n[1], n[2]
	default:
		return value{}, false
	}
	var b strings.Builder
	for i, x := 0, from; i < maxLoop && by > 0 && x <= to; i, x = i+1, x+by {
		b.WriteString(strconv.Itoa(x) + "\n")
	}
	return value{text: b.String(), given: true}, true
}

func expr(s *shell, args []value) (value, bool) {
	if len(args) != 3 || args[0].unknown || args[2].unknown {
		return value{}, false
	}
	x, err1 := strconv.ParseInt(args[0].text, 10, 64)
	y, err2 := strconv.ParseInt(args[2].text, 10, 64)
	ops := map[string]syntax.BinAritOperator{"+": syntax.Add, "-": syntax.Sub, "*": syntax.Mul, "/": syntax.Quo, "%": syntax.Rem, "=": syntax.Eql, ">": syntax.Gtr, "<": syntax.Lss}
	op, ok := ops[args[1].text]
	if err1 != nil || err2 != nil || !ok {
		return value{}, false
	}
	n, ok := compute(op, x, y)
	v := join(args[0], args[2])
	v.text = strconv.FormatInt(n, 10) + "\n"
	return v, ok
}

// mapLines applies f to every line of the input; f drops a line by false.
func (s *shell) mapLines(files []value, f func(string) (string, bool)) (value, bool) {
	v, ok := s.input(files)
	if !ok || v.unknown {
		return value{}, false
	}
	var b strings.Builder
	for _, line := range strings.Split(strings.TrimSuffix(v.text, "\n"), "\n") {
		if t, keep := f(line); keep {
			b.WriteString(t + "\n")
		}
	}
	v.text = b.String()
	return v, true
}

func cut(s *shell, args []value) (value, bool) {
	opts, files := operands(args, "dfcb")
	sep, field := opts['d'], opts['f']
	n, err := strconv.Atoi(strings.TrimSuffix(field, "-"))
	if err != nil || n < 1 {
		return value{}, false
	}
	if sep == "" {
		sep = "\t"
	}
	rest := strings.HasSuffix(field, "-")
	return s.mapLines(files, func(line string) (string, bool) {
		parts := strings.Split(line, sep)
		switch {
		case len(parts) == 1:
			return line, true
		case n > len(parts):
			return "", true
		case rest:
			return strings.Join(parts[n-1:], sep), true
		}
		return parts[n-1], true
	})
}

func head(s *shell, args []value) (value, bool) {
	n := 10
	opts, files := operands(args, "nc")
	if x, err := strconv.Atoi(opts['n']); err == nil {
		n = x
	} else if len(args) > 0 && isNumber(strings.TrimPrefix(args[0].text, "-")) {
		n, _ = strconv.Atoi(strings.TrimPrefix(args[0].text, "-"))
	}
	i := 0
	return s.mapLines(files, func(line string) (string, bool) { i++; return line, i <= n })
}

func tail(s *shell, args []value) (value, bool) {
	opts, files := operands(args, "nc")
	if _, follows := opts['f']; follows {
		return value{}, false
	}
	v, ok := s.input(files)
	n, err := strconv.Atoi(opts['n'])
	if !ok || v.unknown || err != nil && opts['n'] != "" || strings.HasPrefix(opts['n'], "+") {
		return value{}, false
	}
	if err != nil {
		n = 1
	}
	lines := strings.Split(strings.TrimSuffix(v.text, "\n"), "\n")
	v.text = strings.Join(lines[max(len(lines)-max(n, 0), 0):], "\n") + "\n"
	return v, true
}

// awk knows only '{print $N}', with -F.
func awk(s *shell, args []value) (value, bool) {
	opts, rest := operands(args, "Fvf")
	if len(rest) == 0 {
		return value{}, false
	}
	prog := strings.Trim(strings.ReplaceAll(rest[0].text, " ", ""), "{};")
	field, ok := strings.CutPrefix(prog, "print$")
	n, err := strconv.Atoi(field)
	if !ok || err != nil || n < 0 {
		return value{}, false
	}
	sep := opts['F']
	return s.mapLines(rest[1:], func(line string) (string, bool) {
		parts := strings.Fields(line)
		if sep != "" && sep != " " {
			parts = strings.Split(line, strings.Trim(sep, "[]\\"))
		}
		switch {
		case n == 0:
			return line, true
		case n > len(parts):
			return "", true
		}
		return parts[n-1], true
	})
}

func tr(s *shell, args []value) (value, bool) {
	if len(args) == 2 && args[0].text == "-d" {
		set := escapes(args[1].text)
		v, ok := s.input(nil)
		if !ok || v.unknown || strings.HasPrefix(set, "[:") {
			return value{}, false
		}
		v.text = strings.Map(func(c rune) rune {
			if strings.ContainsRune(set, c) {
				return -1
			}
			return c
		}, v.text)
		return v, true
	}
	v, ok := s.input(nil)
	if !ok || v.unknown || len(args) != 2 {
		return value{}, false
	}
	from, to := escapes(args[0].text), escapes(args[1].text)
	if len(from) != len(to) || strings.ContainsAny(from, "-[") {
		return value{}, false
	}
	v.text = strings.Map(func(c rune) rune {
		if i := strings.IndexRune(from, c); i >= 0 {
			return rune(to[i])
		}
		return c
	}, v.text)
	return v, true
}

func same(s *shell, args []value) (value, bool) {
	_, files := operands(args, "kt")
	return s.input(files)
}

func identity(s *shell, args []value) (value, bool) { return known("0\n"), true }

func uname(s *shell, args []value) (value, bool) {
	if len(args) == 0 || args[0].text == "-s" {
		return known("Linux\n"), true
	}
	return value{}, false
}

func readlink(s *shell, args []value) (value, bool) {
	_, rest := operands(args, "")
	if len(rest) == 0 || rest[0].unknown {
		return value{}, false
	}
	v := rest[0]
	v.text = s.fs.absolute(s.abs(v.text)) + "\n"
	return v, true
}
