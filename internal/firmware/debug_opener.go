package firmware

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
)

// remoteShell are commands, in the place of a command, that let others log in
// from the network.
var remoteShell = regexp.MustCompile(`(?:^|[;&|({]\s*|\b(?:then|do|else|exec|nohup|busybox)\s+|\(["'])\s*["']?((?:/[\w./-]*/)?(?:u?telnetd|in\.telnetd|utelnetd|dropbear|sshd|adbd)(?:\s+-[^;&|]*)?|(?:/[\w./-]*/)?(?:nc|ncat|netcat)\s+(?:-\w+\s+)*-\w*l[^;&|]*|/etc/(?:rc\.d/|init\.d/)\w*(?:telnet|dropbear|sshd?|adb)\w*\s+(?:re)?start|(?:/bin/)?systemctl\s+start\s+(?:telnet|ssh|dropbear)\S*|setprop\s+service\.adb\.tcp\.port\s+\d+)\s*["']?(?:[;&|)]|$)`)

// webFolders are where web servers keep programs.
var webFolders = regexp.MustCompile(`(?:^|/)(?:cgi-bin|cgi|www|wwwroot|htdocs|webroot|web|goform|html|httpd)/`)

// isWebProgram says that a web server runs the file: it reads what CGI hands it,
// or is a script among the pages.
func isWebProgram(f *product.File) bool {
	return f.Has("QUERY_STRING") || f.Has("REQUEST_METHOD") || f.Type == "script" && webFolders.MatchString(f.Path)
}

// shellOpeners finds web programs that start a remote shell for whoever asks,
// without the session check that their siblings make.
func shellOpeners(p *product.Product, out *detect.Sink) {
	for _, f := range p.Files {
		if f.Volume == nil || f.Deleted() || f.Size > 4<<20 || isDocumentation(f.Inner()) || !isWebProgram(f) {
			continue
		}
		ev, ok := opensShell(f)
		if !ok || checksSession(f) {
			continue
		}
		d := debugDoor("helper", fmt.Sprintf("%s opens a remote shell for whoever asks the web server", f.Base()), doorward.Remote, doorward.Open)
		d.Stages = []doorward.Stage{doorward.Signal, doorward.Access}
		d.Detail["path"] = f.Path
		d.Where, d.Evidence = f.Where(), []doorward.Evidence{ev}
		d.Certainty = doorward.Likely
		if f.Type.IsText() {
			d.Evidence[0].Note = "started by a request; that no log-in guards the web folder is assumed, since the script asks for none"
		}
		if len(linkedFrom(f)) == 0 {
			d.Evidence = append(d.Evidence, doorward.Evidence{What: f.Base(), Note: "no page of the product links to it"})
		}
		if s := sibling(f); s != nil {
			d.Evidence = append(d.Evidence, doorward.Evidence{What: s.Path, Note: "its sibling checks the session first", Path: s.Path})
		}
		d.References = append(d.References, "CWE-912")
		d.Check = fmt.Sprintf("Read %s; on the device, ask the web server for it and see whether a port opens.", f.Path)
		out.Door(d)
	}
}

// opensShell finds the command, in a script or as a string of a program that
// runs commands. What only tests whether a server runs (ps | grep) is none.
func opensShell(f *product.File) (doorward.Evidence, bool) {
	if f.Type.IsText() {
		n := 0
		for line := range strings.Lines(f.Text()) {
			n++
			line = strings.TrimSpace(line)
			if m := remoteShell.FindStringSubmatch(line); m != nil && !isComment(line) && len(line) < 4096 && !asksOnly(line) {
				return doorward.Evidence{What: cut(line, 200), Note: "started by a request", Path: f.Path, Line: n}, true
			}
		}
		return doorward.Evidence{}, false
	}
	info := f.Program()
	if info == nil || !info.Uses("system", "popen", "execl", "execlp", "execvp", "execve", "doSystem", "do_system") {
		return doorward.Evidence{}, false
	}
	var ev doorward.Evidence
	forStrings(f.Bytes(), 7, func(off int, s string) bool {
		if remoteShell.MatchString(s) && !asksOnly(s) && strings.ContainsAny(s, " /") {
			at := int64(off)
			ev = doorward.Evidence{What: cut(s, 200), Note: "a command in a web program that runs commands; that a request runs it is assumed", Path: f.Path, Offset: &at}
		}
		return ev.What == ""
	})
	return ev, ev.What != ""
}

// asksOnly says that a line looks at processes or ends one.
func asksOnly(line string) bool {
	for _, word := range []string{"grep", "pidof", "pgrep", "killall", "pkill", "echo ", "printf ", "which ", "test -x", "[ -x", "command -v"} {
		if strings.Contains(line, word) {
			return true
		}
	}
	return false
}
