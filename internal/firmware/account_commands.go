package firmware

import (
	"path"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/crypt"
	"github.com/doorward/doorward/internal/startup"
)

func (a *accounts) make(m madeUser) {
	if m.user == "" || !isUserName(m.user) || len(a.made) > 2000 {
		return
	}
	for _, old := range a.made {
		if old.user == m.user && old.field == m.field && old.password == m.password && old.at == m.at {
			return
		}
	}
	a.made = append(a.made, m)
}

// called acts on a command that makes a user or sets a password.
func (a *accounts) called(at made, name string, args []string, stdin string) {
	if at.line > 0 {
		a.clientLogin(at, name, args)
	}
	switch name {
	case "chpasswd":
		a.chpasswd(at, args, stdin)
	case "passwd":
		a.passwd(at, args, stdin)
	case "useradd", "adduser", "usermod":
		a.useradd(at, name, args, stdin)
	case "smbpasswd", "pdbedit":
		if user := lastArgument(args, "cDrU"); user != "" && contains(args, "-a") && stdin != "" {
			a.make(madeUser{user: user, password: firstLine(stdin), clear: true, uid: -1, at: at, command: "the file server (SMB)"})
		}
	case "htpasswd", "mosquitto_passwd", "htpasswd2":
		a.htpasswd(at, name, args)
	case "sed":
		a.sed(at, args)
	case "mysql", "psql", "mysqladmin", "mariadb":
		a.sql(at, name, strings.Join(args, " ")+" "+stdin)
	}
}

func (a *accounts) chpasswd(at made, args []string, stdin string) {
	hashed := contains(args, "-e") || contains(args, "--encrypted")
	for line := range strings.Lines(stdin) {
		user, secret, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || secret == "" {
			continue
		}
		m := madeUser{user: user, uid: -1, system: true, at: at, command: "chpasswd"}
		if hashed && !isUnknown(secret) || hashed && strings.HasPrefix(secret, "$") && strings.Count(secret, "$") > 2 {
			m.field = secret
		} else {
			m.password, m.clear = secret, true
		}
		a.make(m)
	}
}

func (a *accounts) passwd(at made, args []string, stdin string) {
	user := lastArgument(args, "anwxiRSr")
	if user == "" && stdin != "" && len(args) == 0 {
		user = "root" // it is the one who runs scripts
	}
	switch {
	case contains(args, "-d") || contains(args, "--delete"):
		a.make(madeUser{user: user, uid: -1, system: true, at: at, command: "passwd"})
	case stdin != "" && !contains(args, "-l") && firstLine(stdin) != "":
		a.make(madeUser{user: user, password: firstLine(stdin), clear: true, uid: -1, system: true, at: at, command: "passwd"})
	}
}

// useradd's -p is a hash; a password in clear there lets nobody in.
func (a *accounts) useradd(at made, name string, args []string, stdin string) {
	m := madeUser{user: lastArgument(args, "cdeEfgGkKpsuUhrRZ"), uid: -1, system: true, at: at, command: name}
	if name == "adduser" && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		m.user = args[0]
	}
	given := false
	for i, arg := range args {
		value := ""
		if i+1 < len(args) {
			value = args[i+1]
		}
		key, inline, ok := strings.Cut(arg, "=")
		if ok {
			value = inline
		}
		switch key {
		case "-u", "--uid":
			m.uid = number(value)
		case "-s", "--shell":
			m.shell = value
		case "-p", "--password":
			m.field, given = value, true
		}
	}
	if m.system = !contains(args, "-S") || given; given && strings.HasPrefix(m.field, "$(") {
		m.password, m.clear = hashedPassword(m.field), true
	}
	switch {
	case given:
		a.make(m)
	case stdin != "" && firstLine(stdin) != "" && name != "usermod" && !contains(args, "-D"):
		m.password, m.clear = firstLine(stdin), true
		a.make(m)
	case m.uid == 0:
		m.field = "*" // to be joined with what sets its password
		a.make(m)
	}
}

func (a *accounts) htpasswd(at made, name string, args []string) {
	var words []string
	batch := false
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			batch = batch || strings.Contains(arg, "b")
			if strings.Contains(arg, "n") {
				words = append(words, "")
			}
			continue
		}
		words = append(words, arg)
	}
	if batch && len(words) == 3 {
		server := "the web server"
		if name == "mosquitto_passwd" {
			server = "the MQTT broker"
		}
		a.make(madeUser{user: words[1], password: words[2], clear: true, uid: -1, at: at, command: server})
	}
}

var sedReplacement = regexp.MustCompile(`^s([|/#,@!~%])(.*)$`)

// sed sees a user's password field replaced in passwd or shadow.
func (a *accounts) sed(at made, args []string) {
	target := ""
	for i, arg := range args {
		if isUserDatabase(arg) {
			target = arg
		}
		if i > 0 && isWebPasswords(arg) && strings.Contains(arg, "/") {
			a.emptied(at, arg, args)
		}
	}
	if target == "" {
		return
	}
	for _, arg := range args {
		m := sedReplacement.FindStringSubmatch(arg)
		if m == nil {
			continue
		}
		p := strings.Split(m[2], m[1])
		if len(p) < 2 {
			continue
		}
		from, to := strings.Split(strings.TrimPrefix(p[0], "^"), ":"), strings.Split(p[1], ":")
		if len(to) >= 2 && len(from) >= 2 && from[0] == to[0] && from[1] != to[1] {
			if _, ok := crypt.Parse(to[1]); ok || to[1] == "" && len(to) > 2 || to[1] == "" && from[1] != "" && len(from) == 2 {
				a.make(madeUser{user: to[0], field: to[1], uid: -1, system: true, at: at, command: "sed"})
			}
		}
	}
}

var emptiesField = regexp.MustCompile(`^s([|/#,@!~%]):\.\*\$?[|/#,@!~%]:?[|/#,@!~%]g?$`)

// emptied sees the passwords of a web server's file taken away.
func (a *accounts) emptied(at made, target string, args []string) {
	for _, arg := range args {
		if emptiesField.MatchString(arg) || arg == "/:/d" || arg == "d" {
			d := login{gain: doorward.Control, reach: doorward.Remote, certainty: doorward.Likely}
			note := "the passwords in " + target + " are taken away (assumes that the web server asks nobody then)"
			if e := a.sites()[at.file][at.line]; e != nil && e.Holds() == startup.False {
				d.lighter = 1
				note += "; as shipped its condition is false"
			} else if e != nil && e.Holds() == startup.Unknown {
				note += "; if " + conditionText(e)
			}
			a.nobody(at.file, at.line, at.text, note, "a script empties the web server's passwords", d)
			return
		}
	}
}

var identifiedBy = regexp.MustCompile(`(?i)['"]?([a-z0-9_.-]+)['"]?@['"]?[^ '"]+['"]? +identified +by +['"]([^'"]+)['"]`)

func (a *accounts) sql(at made, name, text string) {
	for _, m := range identifiedBy.FindAllStringSubmatch(text, 10) {
		a.make(madeUser{user: m[1], password: m[2], clear: true, uid: -1, at: at, command: "the database"})
	}
}

// written acts on text that goes into a file: lines of passwd and shadow
// wherever they go, and of a web server's password file.
func (a *accounts) written(at made, target, text string, _ bool) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.Count(line, ":") >= 6 {
			a.writtenUser(at, target, line)
			continue
		}
		user, secret, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || !isWebPasswords(target) || !isUserName(user) {
			continue
		}
		if _, isHash := crypt.ParseWeb(secret); isHash {
			a.make(madeUser{user: user, field: secret, uid: -1, at: at, command: "the web server"})
		} else if plainPassword(secret) {
			a.make(madeUser{user: user, password: secret, clear: true, uid: -1, at: at, command: "the web server"})
		}
	}
}

func isWebPasswords(target string) bool {
	base := strings.ToLower(path.Base(target))
	return strings.Contains(base, "htpasswd") || strings.HasSuffix(base, ".passwd") || strings.HasSuffix(base, ".htp") || strings.Contains(base, "digest") ||
		strings.HasSuffix(base, "passwords") || strings.HasSuffix(base, ".pwd") || strings.Contains(base, "lighttpd.user")
}

func plainPassword(s string) bool {
	return s != "" && len(s) < 64 && !strings.ContainsAny(s, " :/*!<>()[]{}")
}

var substitution = regexp.MustCompile(`\$\([^()]*\)`)

// writtenUser reads a line of passwd or shadow whose password may be the result
// of a command.
func (a *accounts) writtenUser(at made, target, line string) {
	command := substitution.FindString(line)
	l, ok := parsePasswd(substitution.ReplaceAllString(line, "$$CMD"))
	if !ok {
		if l, ok = parseShadow(substitution.ReplaceAllString(line, "$$CMD")); !ok {
			return
		}
	}
	m := madeUser{user: l.user, field: l.field, uid: l.uid, shell: l.shell, system: true, at: at, command: path.Base(target)}
	switch {
	case l.field == "$CMD":
		m.password, m.clear = hashedPassword(command), true
	case strings.HasPrefix(l.field, "$") && strings.Count(l.field, "$") == 1:
		m.password, m.clear = l.field, true
	case l.field == "x":
		m.field = "*"
	}
	a.make(m)
}

// hashedPassword is what a command such as $(openssl passwd -1 secret) hashes;
// the command itself if that is not known.
func hashedPassword(command string) string {
	words := strings.Fields(strings.Trim(command, "$()"))
	if len(words) < 2 {
		return command
	}
	last := words[len(words)-1]
	if strings.HasPrefix(last, "-") || strings.Contains(last, "$") {
		return command
	}
	return last
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return strings.TrimRight(s, "\r")
}

// lastArgument is the last word that is no option and no option's value.
// valued lists the short options that take one.
func lastArgument(args []string, valued string) string {
	last := ""
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case strings.HasPrefix(arg, "--"):
			if !strings.Contains(arg, "=") && i+2 < len(args) && longTakesValue(arg) {
				i++
			}
		case strings.HasPrefix(arg, "-") && len(arg) > 1:
			if strings.IndexByte(valued, arg[len(arg)-1]) >= 0 && i+1 < len(args) {
				i++
			}
		default:
			last = arg
		}
	}
	return last
}

func longTakesValue(arg string) bool {
	switch arg {
	case "--uid", "--gid", "--home", "--shell", "--password", "--comment", "--gecos", "--ingroup", "--groups", "--home-dir", "--base-dir":
		return true
	}
	return false
}
