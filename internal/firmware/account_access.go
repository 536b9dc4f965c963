package firmware

import (
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
)

// access reports ways in without a credential: PAM stacks that permit, hosts
// that are trusted by name, servers that take empty passwords, password files of
// web servers that a boot script empties.
func (a *accounts) access() {
	for _, v := range a.product.Volumes {
		a.pam(v)
		a.trustedHosts(v)
		a.emptyPasswords(v)
	}
	a.blanked()
	a.lenientLogins()
}

var (
	readsField  = regexp.MustCompile(`cut\s+-d\s*['"]?:['"]?\s+-f\s*2|awk\s+-F\s*['"]?:|IFS=['"]?:`)
	passesX     = regexp.MustCompile(`=\s*["']?x["']?\s*\]|^\s*["']?x["']?\)`)
	givesAShell = regexp.MustCompile(`exec\s+\S*sh\b|login\s+-f|^\s*/bin/\w*sh\b`)
)

// lenientLogins reports login scripts that let in whoever has x for a password:
// users without shadow.
func (a *accounts) lenientLogins() {
	for _, f := range a.product.Files {
		if !isScript(f) || quietFile(f) || !f.Has("passwd") {
			continue
		}
		text := f.Text()
		if !readsField.MatchString(text) || !strings.Contains(text, "/passwd") {
			continue
		}
		lines := strings.Split(text, "\n")
		for i, line := range lines {
			if !passesX.MatchString(line) || isCommentLine(strings.TrimSpace(line)+" ") || !givesAShell.MatchString(strings.Join(lines[i:min(i+4, len(lines))], "\n")) {
				continue
			}
			d := login{gain: doorward.Control, certainty: doorward.Likely}
			var note string
			d.reach, d.lighter, note = a.placeOf(f.Volume, true)
			a.nobody(f, i+1, line, "whoever has x for a password, which stands for shadow, gets a shell without one; "+note, "a login script lets users in whose password is x", d)
			break
		}
	}
}

// nobody is a way in for everybody.
func (a *accounts) nobody(f *product.File, line int, text, note, title string, d login) {
	d.user, d.uid, d.credential = "*", -1, "none"
	if d.certainty == "" {
		d.certainty = doorward.Shown
	}
	d.evidence = []doorward.Evidence{lineEvidence(f, line, text, note)}
	d.where, d.check, d.title = f.Where(), checkLine(f, line), clip(title, 90)
	if f.Deleted() {
		d.certainty, d.limit = doorward.Hint, doorward.Low
	}
	a.report(d)
}

// pamLine is a line of a PAM stack.
type pamLine struct {
	service, control, module string
	arguments                []string
	line                     int
	text                     string
}

func pamLines(f *product.File) (list []pamLine) {
	for _, l := range ruleLines(f.Text()) {
		w := strings.Fields(l.text)
		service := f.Base()
		if service == "pam.conf" && len(w) > 1 {
			service, w = w[0], w[1:]
		}
		if w[0] == "@include" && len(w) > 1 {
			list = append(list, pamLine{service, "include", w[1], nil, l.line, l.text})
			continue
		}
		if strings.TrimPrefix(w[0], "-") != "auth" || len(w) < 3 {
			continue
		}
		control, rest := w[1], w[2:]
		if strings.HasPrefix(control, "[") {
			for !strings.HasSuffix(control, "]") && len(rest) > 0 {
				control += " " + rest[0]
				rest = rest[1:]
			}
			if len(rest) == 0 {
				continue
			}
		}
		list = append(list, pamLine{service, control, rest[0][strings.LastIndexByte(rest[0], '/')+1:], rest[1:], l.line, l.text})
	}
	return list
}

// pam reports stacks in which pam_permit decides before anything asks for a
// credential.
func (a *accounts) pam(v *product.Volume) {
	for _, f := range append(v.Glob("etc/pam.d/*"), v.Glob("etc/pam.conf")...) {
		if quietFile(f) || strings.Contains(f.Base(), ".dpkg-") {
			continue
		}
		a.out.Looked(doorward.KindAccount, 1, "PAM stack")
		asked := map[string]bool{}
		for _, l := range pamLines(f) {
			switch {
			case asked[l.service]:
			case l.module == "pam_permit.so" && decides(l.control):
				asked[l.service] = true
				a.permitted(v, f, l)
			case !preparesOnly(l.module):
				asked[l.service] = true
			}
		}
	}
}

// decides says that success of a module can let somebody in.
func decides(control string) bool {
	return control == "sufficient" || control == "required" || control == "requisite" || strings.Contains(control, "success=done") || strings.Contains(control, "success=ok") || strings.Contains(control, "default=ok")
}

// preparesOnly knows modules that ask for nothing.
func preparesOnly(module string) bool {
	switch module {
	case "pam_env.so", "pam_nologin.so", "pam_securetty.so", "pam_faildelay.so", "pam_group.so", "pam_selinux.so", "pam_keyinit.so", "pam_loginuid.so", "pam_issue.so", "pam_warn.so", "pam_limits.so", "pam_debug.so", "pam_echo.so":
		return true
	}
	return false
}

func (a *accounts) permitted(v *product.Volume, f *product.File, l pamLine) {
	for _, own := range []string{"autologin", "greeter", "launch-environment", "systemd-user", "runuser", "cron", "atd", "background", "screensaver", "kscreen", "polkit", "ppp", "cups"} {
		if strings.Contains(l.service, own) {
			return // what starts a session without a person
		}
	}
	d := login{gain: doorward.Control, reach: doorward.Local}
	note := "everybody passes: pam_permit decides before anything asks for a credential"
	switch l.service {
	case "login", "remote", "sshd", "ssh", "telnet", "telnetd", "rlogin", "rsh", "dropbear", "other", "common-auth", "system-auth", "password-auth", "base-auth", "system-login", "system-remote-login":
		reach, lighter, more := a.placeOf(v, true)
		if l.service == "sshd" || l.service == "ssh" || l.service == "dropbear" {
			reach, lighter, more = a.placeOf(v, false)
		}
		d.reach, d.lighter = reach, lighter
		note += "; " + more
	case "vsftpd", "ftp", "proftpd", "samba", "httpd", "nginx", "webmin", "cockpit":
		d.gain, d.reach = doorward.UserData, doorward.Remote
	}
	a.nobody(f, l.line, l.text, note, "PAM lets everybody in through "+l.service, d)
}

// trustedHosts reports .rhosts and hosts.equiv.
func (a *accounts) trustedHosts(v *product.Volume) {
	files := v.Glob("etc/hosts.equiv")
	for _, pattern := range []string{".rhosts", "root/.rhosts", "home/*/.rhosts", "etc/shosts.equiv", "root/.shosts", "home/*/.shosts", "etc/ssh/shosts.equiv", "*/.rhosts"} {
		files = append(files, v.Glob(pattern)...)
	}
	seen := map[*product.File]bool{}
	for _, f := range files {
		if seen[f] {
			continue
		}
		seen[f] = true
		a.out.Looked(doorward.KindAccount, 1, "list of trusted hosts")
		for _, l := range ruleLines(f.Text()) {
			w := strings.Fields(l.text)
			if strings.HasPrefix(w[0], "-") || w[0] == "localhost" || w[0] == "127.0.0.1" {
				continue
			}
			d := login{gain: doorward.UserData, reach: doorward.Remote}
			if strings.Contains(f.Path, "root/") || f.Path == ".rhosts" {
				d.gain = doorward.Control
			}
			note := "who comes from " + w[0] + " logs in without a password"
			if w[0] == "+" {
				note = "everybody logs in without a password"
			}
			if server := a.anyInstalled(v, "rlogind", "in.rlogind", "rshd", "in.rshd", "rsh-server"); server != "" {
				note += ", through " + server
			} else {
				d.lighter, d.certainty = 2, doorward.Likely
				note += "; no server of rlogin or rsh was found: assumes that one is added"
			}
			a.nobody(f, l.line, l.text, note, "hosts are trusted by name in "+f.Path, d)
			break
		}
	}
}

func (a *accounts) anyInstalled(v *product.Volume, names ...string) string {
	for _, n := range names {
		for _, dir := range []string{"usr/sbin/", "sbin/", "usr/bin/", "bin/", "usr/libexec/"} {
			if v.Exists(dir + n) {
				return n
			}
		}
	}
	return ""
}

// emptyPasswords reports an SSH server that takes empty passwords. Without an
// account that has one it opens nothing yet.
func (a *accounts) emptyPasswords(v *product.Volume) {
	for _, f := range append(v.Glob("etc/ssh/sshd_config"), v.Glob("etc/ssh/sshd_config.d/*.conf")...) {
		for _, l := range ruleLines(f.Text()) {
			w := strings.Fields(strings.ToLower(l.text))
			if len(w) != 2 || w[0] != "permitemptypasswords" || w[1] != "yes" {
				continue
			}
			// The account with an empty password is the door: this one only
			// lets more of them in.
			d := login{gain: doorward.UserData, reach: doorward.Remote, limit: doorward.Low}
			note := "who has an empty password logs in"
			if !a.hasEmpty(v) {
				note += "; no account of the product has one"
			}
			a.nobody(f, l.line, l.text, note, "the SSH server takes empty passwords", d)
		}
	}
}

func (a *accounts) hasEmpty(v *product.Volume) bool {
	for _, u := range a.dbs[v] {
		for _, l := range u.lines {
			if l.field == "" {
				return true
			}
		}
	}
	return false
}

// blanked reports boot scripts that empty a web server's password file.
func (a *accounts) blanked() {
	for i := range a.log.Events {
		e := &a.log.Events[i]
		if e.Kind != startup.Write || e.Append || strings.TrimSpace(e.Text) != "" || !isWebPasswords(e.Target) || e.By.File == nil || e.Holds() == startup.False {
			continue
		}
		if e.Volume != nil && a.log.Source(e.Volume, e.Target) == nil {
			continue // made empty where there was none: it is filled later
		}
		d := login{gain: doorward.UserData, reach: doorward.Remote, certainty: doorward.Likely}
		a.nobody(e.By.File, e.By.Line, e.By.Text, "the password file "+e.Target+" is emptied at "+e.Trigger+" (assumes that the web server asks nobody then)", "a boot script empties the web server's passwords", d)
	}
}
