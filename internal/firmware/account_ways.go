package firmware

import (
	"path"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
)

// loginWays says how somebody gets to the login prompt of a volume's system.
type loginWays struct {
	passwords way // something asks for a user's password over the network
	blank     way // and lets an empty one in
	ftp       way // a file server that knows the users
}

// way is one such way: none, or the program and how sure it is.
type way struct {
	program string
	started startup.Truth // False: as shipped it is off
	known   bool
}

// Programs that log users of the system in, by base name or applet.
var (
	shellServers = []string{"telnetd", "utelnetd", "in.telnetd", "sshd", "dropbear", "rlogind", "in.rlogind", "rshd", "in.rshd", "rexecd", "tinysshd"}
	fileServers  = []string{"ftpd", "vsftpd", "proftpd", "pure-ftpd", "bftpd", "in.ftpd", "stupid-ftpd", "uftpd", "wu-ftpd", "muddleftpd", "betaftpd"}
)

// waysOf finds the ways to log in to a volume's system.
func (a *accounts) waysOf(v *product.Volume) *loginWays {
	if w := a.ways[v]; w != nil {
		return w
	}
	w := &loginWays{}
	a.ways[v] = w
	open := map[string]bool{} // started, and known to ask for nothing
	for i := range a.log.Events {
		e := &a.log.Events[i]
		if e.Kind == startup.Start && e.Volume == v {
			a.addStarted(w, e)
			open[startedName(e)] = open[startedName(e)] || a.givesShell(e)
		}
	}
	for _, name := range shellServers {
		if !w.passwords.known && !open[name] && a.installed(v, name) {
			w.passwords = way{name, startup.Unknown, true}
			if strings.Contains(name, "telnetd") {
				w.blank = w.passwords
			}
		}
	}
	for _, name := range fileServers {
		if !w.ftp.known && a.installed(v, name) {
			w.ftp = way{name, startup.Unknown, true}
		}
	}
	return w
}

// startedName is what a started program acts as.
func startedName(e *startup.Event) string {
	if e.Applet != "" {
		return e.Applet
	}
	return path.Base(e.Program)
}

// givesShell says that a telnet server hands whoever connects a shell: it asks
// for no password.
func (a *accounts) givesShell(e *startup.Event) bool {
	if !strings.Contains(startedName(e), "telnetd") {
		return false
	}
	x := service{event: e, program: startedName(e)}
	(&services{product: a.product, log: a.log}).telnet(&x)
	return shells[path.Base(x.shell)] // a script of the maker's own may ask
}

func (a *accounts) addStarted(w *loginWays, e *startup.Event) {
	name := startedName(e)
	found := way{name, e.Holds(), true}
	switch {
	case contains(fileServers, name):
		w.ftp.better(found)
	case !contains(shellServers, name) || refusesPasswords(name, e) || a.givesShell(e):
	case strings.Contains(name, "telnetd"), name == "dropbear" && contains(e.Args, "-B"), name == "sshd" && sshdSays(e.Volume, "permitemptypasswords", "yes"):
		w.passwords.better(found)
		w.blank.better(found)
	default:
		w.passwords.better(found)
	}
}

// better keeps the way that is surer to be open.
func (w *way) better(n way) {
	rank := map[startup.Truth]int{startup.True: 2, startup.Unknown: 1, startup.False: 0}
	if !w.known || rank[n.started] > rank[w.started] {
		*w = n
	}
}

func refusesPasswords(name string, e *startup.Event) bool {
	switch name {
	case "dropbear":
		return contains(e.Args, "-s")
	case "sshd":
		return sshdSays(e.Volume, "passwordauthentication", "no")
	}
	return false
}

// sshdSays looks a setting up in sshd's configuration; the first wins.
func sshdSays(v *product.Volume, key, value string) bool {
	for _, p := range []string{"etc/ssh/sshd_config", "etc/sshd_config", "etc/openssh/sshd_config"} {
		f := v.File(p)
		if f == nil {
			continue
		}
		for line := range strings.Lines(f.Text()) {
			words := strings.Fields(strings.ToLower(line))
			if len(words) == 2 && words[0] == key {
				return words[1] == value
			}
		}
	}
	return false
}

// installed says that a program is there, and that something else names it: an
// applet that nothing calls opens nothing.
func (a *accounts) installed(v *product.Volume, name string) bool {
	dir := ""
	for _, d := range []string{"usr/sbin", "sbin", "usr/bin", "bin", "usr/local/sbin", "usr/local/bin", "system/bin"} {
		if v.Tree.Entry(d+"/"+name) != nil || v.Exists(d+"/"+name) {
			dir = d
			break
		}
	}
	if dir == "" {
		return false
	}
	self := v.File(dir + "/" + name)
	for _, f := range a.product.Mentions(name) {
		if f.Volume == v && f != self && !quietFile(f) && !isNameList(f) && (isScript(f) || a.runs(f) || f.Type.Executable()) {
			return true
		}
	}
	return false
}

// isNameList tells files that list names without starting anything.
func isNameList(f *product.File) bool {
	switch f.Base() {
	case "services", "busybox.links", "protocols", "group", "passwd", "shells", "securetty", "hosts.allow", "hosts.deny", "busybox", "toybox":
		return true
	}
	return strings.Contains(f.Path, "/pam.d/") || strings.Contains(f.Path, "bash-completion")
}

// placeOf says how far a login of a system goes, and why.
func (a *accounts) placeOf(v *product.Volume, blank bool) (reach doorward.Reach, lighter int, note string) {
	if v == nil || !v.IsRoot() {
		return doorward.Remote, 1, "whether a network login asks for it could not be seen"
	}
	w := a.waysOf(v).passwords
	if blank {
		if w.known && !a.waysOf(v).blank.known {
			return doorward.Remote, 1, w.program + " asks for passwords, but takes empty ones only if it is told to; pages for administration may take them"
		}
		w = a.waysOf(v).blank
	}
	switch {
	case !w.known:
		return doorward.Physical, 0, "no network login was found; it works on a console"
	case w.started == startup.True:
		return doorward.Remote, 0, w.program + ", which is started, asks for it"
	case w.started == startup.False:
		return doorward.Remote, 1, w.program + " asks for it, once it is switched on (as shipped it is off)"
	}
	return doorward.Remote, 0, w.program + " asks for it, if it is started"
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// quietFile says that a file lies at a quiet place, be it within an archive or a
// compressed file that does.
func quietFile(f *product.File) bool {
	if f.Volume != nil && len(f.Volume.Places) > 0 && len(f.Volume.Places[0]) <= 1 {
		return quietPlace(f.Path)
	}
	return quietPlace(strings.ReplaceAll(innerPath(f), "!", "/"))
}

// quietPlace says that a path is documentation, an example or a test: nothing
// there opens a door.
func quietPlace(p string) bool {
	lower := strings.ToLower(p)
	for seg := range strings.SplitSeq(lower, "/") {
		switch seg {
		case "doc", "docs", "man", "example", "examples", "sample", "samples", "test", "tests", "testdata", "testing", "i18n", "locale", "locales",
			"lang", "language", "languages", "readme", "bash-completion", "zsh", "vim", "include", "site-packages", "dist-packages", "node_modules", "licenses":
			return true
		}
	}
	for _, end := range []string{".sample", ".example", ".examples", ".md", ".rst", ".html", ".htm", ".css", ".po", ".pod", ".dpkg-dist", ".dist", ".tmpl", ".template", ".in", ".orig"} {
		if strings.HasSuffix(lower, end) {
			return true
		}
	}
	base := path.Base(lower)
	return strings.HasPrefix(base, "readme") || strings.HasPrefix(base, "changelog") || strings.Contains(base, "example")
}
