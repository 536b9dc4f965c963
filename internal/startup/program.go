package startup

import (
	"bytes"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// Limits on the command lines of one program.
const (
	maxProgram  = 24 << 20
	maxCommands = 400
)

// programRuns takes the command lines in a program for what it may run: its
// strings that are one, if it imports a function that runs commands. Which of
// them it runs, and when, only its code tells: their condition is open.
func (e *engine) programRuns(f *product.File, c context) {
	if f.Type != unpack.TypeELF || f.Size > maxProgram || e.programs[f] || c.depth >= maxDepth {
		return
	}
	e.programs[f] = true
	n := 0
	for _, x := range commandStrings(f.Bytes()) {
		if cmd, ok := e.commandLine(x.text); ok && n < maxCommands {
			n++
			e.programCommand(cmd, f, x.off, x.text, c)
		}
	}
}

type programString struct {
	text string
	off  int64
}

// commandStrings returns the strings of a program that could be command lines;
// none if it names no function that runs commands, or is a box of standard
// tools, whose strings are their help.
func commandStrings(b []byte) []programString {
	var list []programString
	runs, shell, dashC := false, false, false
	for off := 0; off < len(b); {
		end := bytes.IndexByte(b[off:], 0)
		if end < 0 {
			end = len(b) - off
		}
		t := b[off : off+end]
		shell = shell || string(t) == "/bin/sh"
		dashC = dashC || string(t) == "-c"
		switch {
		case len(t) < 4:
		case len(t) < 14 && runsCommands[string(t)]:
			runs = true
		case len(t) >= 6 && len(t) < 1024 && (t[0] == '/' || bytes.IndexByte(t, ' ') > 0) && printable(t):
			if isBox(t) {
				return nil
			}
			if len(list) < 1<<16 {
				list = append(list, programString{string(t), int64(off)})
			}
		}
		off += end + 1
	}
	if !runs && !(shell && dashC) { // system() built in
		return nil
	}
	return list
}

// runsCommands are functions that run commands, as symbols name them: those of
// the C library, and wrappers that makers of routers export from a library.
var runsCommands = map[string]bool{
	"system": true, "popen": true, "execl": true, "execlp": true, "execle": true, "execv": true, "execvp": true, "execve": true, "posix_spawn": true, "posix_spawnp": true,
	"doSystem": true, "doSystemCmd": true, "CsteSystem": true, "_eval": true, "eval": true, "bcmSystem": true, "twsystem": true, "COMMAND": true, "msystem": true, "xsystem": true,
	"do_system": true, "do_cmd": true, "exec_cmd": true, "run_cmd": true, "wait_system": true, "vsystem": true, "util_system": true, "rtl_system": true, "va_system": true,
	"safe_system": true, "my_system": true, "__libc_system": true,
}

func isBox(t []byte) bool {
	for _, mark := range []string{"BusyBox v", "toybox ", "GNU coreutils"} {
		if bytes.HasPrefix(t, []byte(mark)) {
			return true
		}
	}
	return false
}

func printable(t []byte) bool {
	for _, c := range t {
		if c != '\t' && c != '\n' && (c < 0x20 || c > 0x7e) {
			return false
		}
	}
	return true
}

var verb = regexp.MustCompile(`%-?[0-9.]*l*[sdiuxXcp]`)

// commandLine says whether a string is a command line: it starts with a program
// that the volume has and goes on as commands do. Sentences and usage texts
// start with words too, so that a bare name needs more than that.
func (e *engine) commandLine(t string) (string, bool) {
	t = strings.TrimSpace(t)
	if t == "" || len(t) < 5 {
		return "", false
	}
	first := strings.FieldsFunc(t, func(r rune) bool { return strings.ContainsRune(" \t\n;&|<>", r) })
	if len(first) == 0 || strings.Contains(first[0], "%") {
		return "", false
	}
	name := first[0]
	slash := strings.HasPrefix(name, "/")
	if !slash && (strings.ContainsAny(name, "/:=()\"',") || len(first) == 1 && !strings.HasSuffix(t, "&")) {
		return "", false
	}
	if !slash && e.wrappers[name] == nil && !e.known(name) || slash && e.runnable(name) == nil {
		return "", false
	}
	if len(first) == 1 && slash && !strings.HasSuffix(t, "&") {
		f := e.runnable(name)
		if f == nil || plainTool(path.Base(name)) || isShellName(path.Base(name)) {
			return "", false
		}
	}
	if strings.ContainsAny(t[len(t)-1:], ":?!,") || strings.Contains(t, "...") || strings.Contains(t, ": ") || strings.Contains(t, "[-") || strings.Contains(t, "Usage") {
		return "", false
	}
	if !slash && (!looksRun(first) || isProse(t)) {
		return "", false
	}
	return verb.ReplaceAllString(t, "$$arg"), true
}

// namesItself says that a string of a program starts with the program's own
// name: its messages do, and no program starts itself for the first time. Only a
// box of tools starts others under their names.
func (e *engine) namesItself(ev Event) bool {
	f := ev.By.File
	if ev.Kind != Start || ev.Manager != "program" || f == nil || ev.File != f || f.Type != unpack.TypeELF {
		return false
	}
	return ev.Applet == f.Base() || path.Base(ev.Program) == f.Base() || linksTo(f) < boxLinks
}

// boxLinks is how many names a program bears if it is a box of tools.
const boxLinks = 4

type linksKey struct{}

// linksTo counts the symbolic links that lead to a file.
func linksTo(f *product.File) int {
	counts := product.Fact(f.Product(), linksKey{}, func() map[*product.File]int {
		m := map[*product.File]int{}
		for _, v := range f.Product().Volumes {
			for _, p := range v.Tree.Paths() {
				if v.Tree.Entry(p).Mode&fs.ModeSymlink == 0 {
					continue
				}
				if to := v.File(p); to != nil {
					m[to]++
				}
			}
		}
		return m
	})
	return counts[f]
}

var (
	proseWord = regexp.MustCompile(`(?i)\s(?:is|isn't|are|was|were|has|have|not|cannot|can't|could|couldn't|failed|failure|version|invalid|unable|unknown|already|must|will|should|unexpected|exited|received|because)(?:\s|$)`)
	quoting   = regexp.MustCompile(`"[^"]*"|'[^']*'`)
)

// isProse says that a text is a message that begins with a program's name.
func isProse(t string) bool {
	first, _, _ := strings.Cut(t, " ")
	if first == "echo" || first == "logger" || strings.ContainsAny(t, "|;&") {
		return false
	}
	t = quoting.ReplaceAllString(t, "")
	return strings.Contains(t, ", ") || proseWord.MatchString(t)
}

// looksRun says that the words after a bare program name are arguments and not
// a sentence.
func looksRun(words []string) bool {
	if len(words) == 1 {
		return true
	}
	for _, w := range words[1:] {
		if strings.HasPrefix(w, "-") && len(w) > 1 || strings.ContainsAny(w, "/%$=>") || isNumber(w) {
			return true
		}
	}
	switch words[1] {
	case "start", "restart", "stop", "up", "set", "get", "add", "del", "show", "flush":
		return true
	}
	return len(words) == 2 && (words[0] == "killall" || words[0] == "insmod" || words[0] == "modprobe" || words[0] == "rc")
}

// known says that a name is a program of the volume.
func (e *engine) known(name string) bool {
	if v, ok := e.names[name]; ok {
		return v
	}
	f, _ := e.program(name, "", "/")
	if len(e.names) < 1<<15 {
		e.names[name] = f != nil
	}
	return f != nil
}

func isShellName(name string) bool {
	switch name {
	case "sh", "ash", "bash", "dash", "ksh", "zsh", "csh", "busybox":
		return true
	}
	return false
}

// plainTool are programs whose mere path in a program says nothing.
func plainTool(name string) bool {
	if handlesFiles[name] || strings.HasPrefix(name, "ld-") || strings.HasPrefix(name, "ld.so") || strings.Contains(name, ".so.") {
		return true
	}
	switch name {
	case "login", "passwd", "env", "cat", "rm", "cp", "mv", "mount", "umount", "reboot", "halt", "poweroff", "ps", "ip", "ifconfig", "route", "iptables", "ping", "hostname", "date", "sleep", "mail", "sendmail", "ssh", "perl", "python", "xauth", "tar":
		return true
	}
	return false
}

// switches is the setting of the product that bears the name of a command's
// program (telnet_enable of telnetd), if the program that runs the command
// names it too: it is what such programs ask before.
func (e *engine) switches(cmd string, f *product.File) []Condition {
	first := strings.Fields(cmd)
	if len(first) == 0 {
		return nil
	}
	name := path.Base(first[0])
	for _, stem := range []string{name, strings.TrimSuffix(name, "d")} {
		for _, setting := range []string{stem + "_enable", stem + "_enabled", stem + "_en", "enable_" + stem} {
			have, ok := e.log.Settings[setting]
			if !ok || len(stem) < 3 || !bytes.Contains(f.Bytes(), []byte("\x00"+setting+"\x00")) {
				continue
			}
			on := have != "0" && have != "" && have != "no" && have != "off" && have != "false" && have != "disable" && have != "disabled"
			return []Condition{{Text: setting + " is set", Name: setting, Want: "1", Default: have, Holds: truthOf(on, false)}}
		}
	}
	return nil
}

// programCommand evaluates one command line of a program.
func (e *engine) programCommand(cmd string, f *product.File, off int64, t string, c context) {
	site := Site{File: f, Offset: off, Text: t}
	c.manager = "program"
	s := e.newShell(c)
	s.site, s.src = &site, f
	s.depth++
	s.vars["arg"] = unknownValue("arg")
	s.conds = s.conditioned(append(e.switches(cmd, f), Condition{Text: f.Base() + " runs this command"})...)
	if stmts, ok := parseShell(cmd, 1); ok {
		s.text = cmd
		s.list(stmts)
	}
}
