package startup

import "strings"

// wrapper gives the words of the command that a program really runs. ok is
// false if the program itself is meant.
type wrapper func(s *shell, args []value) (rest []value, ok bool)

// wrapperTable has the programs that run another one.
func wrapperTable() map[string]wrapper {
	plain := skipOptions("")
	return map[string]wrapper{
		"nohup": plain, "setsid": plain, "command": plain, "time": skipOptions("fo"), "nice": skipOptions("n"), "ionice": skipOptions("cnp"),
		"stdbuf": skipOptions("ioe"), "chrt": skipNumber(skipOptions("")), "taskset": skipNumber(skipOptions("")), "timeout": skipNumber(skipOptions("skt")),
		"env": skipEnv, "sudo": skipOptions("ugpC"), "chpst": skipOptions("ueUbmdoptcr/"), "softlimit": skipOptions("amdolpsfcrt"),
		"setuidgid": skipNumber(plain), "s6-setuidgid": skipNumber(plain), "su-exec": skipNumber(plain), "gosu": skipNumber(plain), "dumb-init": plain, "tini": plain,
		"cgexec": skipOptions("g"), "unshare": skipOptions(""), "setpriv": plain, "ltrace": plain, "linux32": plain, "setarch": skipNumber(plain),
		"start-stop-daemon": startStopDaemon, "daemon": daemonWrapper, "start_daemon": daemonWrapper, "startproc": daemonWrapper, "daemonize": skipOptions("acepolu"),
		"service_start": plain, "eval_command": plain, "chroot": skipNumber(plain), "runuser": runUser, "su": runUser, "cttyhack": plain, "openvt": skipOptions("c"), "watchdog_run": plain,
		"logwrapper": plain, "exec": plain, "noglob": plain, "doas": skipOptions("uC"), "respawn": plain, "ssd": startStopDaemon, "run-init": skipNumber(plain), "switch_root": skipNumber(plain),
	}
}

// skipOptions passes over options; those in takes have an argument.
func skipOptions(takes string) wrapper {
	return func(_ *shell, args []value) ([]value, bool) {
		for len(args) > 0 && strings.HasPrefix(args[0].text, "-") && len(args[0].text) > 1 {
			opt := args[0].text
			args = args[1:]
			if opt == "--" {
				break
			}
			if len(opt) == 2 && strings.Contains(takes, opt[1:]) && len(args) > 0 {
				args = args[1:]
			}
		}
		return args, true
	}
}

// skipNumber passes over one plain argument after the options: a duration, a
// mask, a user, a folder.
func skipNumber(inner wrapper) wrapper {
	return func(s *shell, args []value) ([]value, bool) {
		rest, ok := inner(s, args)
		if len(rest) > 0 {
			rest = rest[1:]
		}
		return rest, ok
	}
}

func skipEnv(s *shell, args []value) ([]value, bool) {
	rest, _ := skipOptions("u")(s, args)
	for len(rest) > 0 && strings.Contains(rest[0].text, "=") {
		rest = rest[1:]
	}
	return rest, true
}

func daemonWrapper(s *shell, args []value) ([]value, bool) {
	rest, ok := skipOptions("pu")(s, args)
	for len(rest) > 0 && (strings.HasPrefix(rest[0].text, "+") || isNumber(rest[0].text)) {
		rest = rest[1:]
	}
	if len(rest) == 1 && strings.Contains(rest[0].text, " ") { // daemon "prog -x"
		var list []value
		for _, f := range strings.Fields(rest[0].text) {
			x := rest[0]
			x.text = f
			list = append(list, x)
		}
		return list, ok
	}
	return rest, ok
}

func isNumber(t string) bool {
	for i := range len(t) {
		if t[i] < '0' || t[i] > '9' {
			return false
		}
	}
	return t != ""
}

// startStopDaemon reads the options of start-stop-daemon: what is started is
// --exec or --startas with what follows "--".
func startStopDaemon(s *shell, args []value) ([]value, bool) {
	var prog value
	start := false
	var rest []value
	for i := 0; i < len(args); i++ {
		a := args[i].text
		name, val, has := strings.Cut(a, "=")
		take := func() value {
			if has {
				return known(val)
			}
			if i+1 < len(args) {
				i++
				return args[i]
			}
			return value{}
		}
		switch {
		case a == "--":
			rest, i = args[i+1:], len(args)
		case name == "--start":
			start = true
		case name == "--stop", name == "--status":
			return nil, true
		case name == "--exec":
			if v := take(); prog.text == "" {
				prog = v
			}
		case name == "--startas":
			prog = take()
		case strings.HasPrefix(a, "--"):
			switch name {
			case "--pidfile", "--chuid", "--user", "--group", "--nicelevel", "--name", "--chdir", "--umask", "--signal", "--retry", "--make-pidfile-at", "--env", "--chroot", "--stdout", "--stderr", "--output", "--wait", "--iosched", "--procsched":
				take()
			}
		case strings.HasPrefix(a, "-") && len(a) > 1:
			done := false
			for j := 1; j < len(a) && !done; j++ {
				switch a[j] {
				case 'S':
					start = true
				case 'K':
					return nil, true
				case 'x', 'a':
					v := value{text: a[j+1:]}
					if v.text == "" {
						v = take()
					}
					if prog.text == "" || a[j] == 'a' {
						prog = v
					}
					done = true
				case 'p', 'c', 'u', 'g', 'N', 'n', 'd', 'k', 's', 'R', 'r', 'e', '1', '2', 'w', 'I', 'P':
					if j == len(a)-1 {
						take()
					}
					done = true
				}
			}
		case prog.text != "":
			rest, i = args[i:], len(args)
		default:
			prog = args[i]
		}
	}
	if !start || prog.text == "" {
		return nil, true
	}
	return append([]value{prog}, rest...), true
}

// runUser handles su USER -c "command".
func runUser(s *shell, args []value) ([]value, bool) {
	for i, a := range args {
		if a.text == "-c" && i+1 < len(args) {
			return []value{known("sh"), known("-c"), args[i+1]}, true
		}
		if a.text == "--" && i+1 < len(args) {
			return args[i+1:], true
		}
	}
	return nil, false
}
