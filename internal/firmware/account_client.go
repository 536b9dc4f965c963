package firmware

import (
	"strings"

	"github.com/doorward/doorward"
)

// clientPatterns are the commands whose arguments log in somewhere.
var clientPatterns = []string{"mosquitto_", "curl ", "wget ", "pppd ", "ftpput ", "ftpget ", "sshpass", "smbclient", "mysql", "mariadb", "snmpset"}

// client is a login that a command's arguments carry.
type client struct {
	user, password string
	what           string // whose login it is
	lighter        int    // as for the same login in a configuration
	community      bool   // user and password in one, which may write
}

// clientLogin reports a login in the arguments of a command that uses it: what
// the product logs in with is the same on every unit, and lets others in too.
func (a *accounts) clientLogin(at made, name string, args []string) {
	c := clientOf(name, args)
	if !knownWord(c.password) || !knownWord(c.user) || c.user == "" || !c.community && !isLoginName(c.user) || isPlaceholder(c.password) {
		return
	}
	d := login{user: c.user, uid: -1, gain: doorward.UserData, reach: doorward.Remote, lighter: c.lighter, certainty: doorward.Likely, madeBy: at.file.Base()}
	d.setPassword(c.password)
	d.title = clip("user "+c.user+" of "+c.what+" has a "+credentialWord(d.credential)+" in "+at.file.Base(), 90)
	if c.community {
		d.gain, d.title = doorward.Control, clip("SNMP community "+c.user+" may write", 90)
		if d.credential = "fixed"; c.user == "public" || c.user == "private" {
			d.credential = "default"
		}
	}
	d.evidence = []doorward.Evidence{lineEvidence(at.file, at.line, at.text, "this command logs in with it, the same on every unit")}
	d.where, d.check = at.file.Where(), checkLine(at.file, at.line)
	a.whenMade(&d, &madeUser{user: c.user, at: at})
	a.report(d)
}

// knownWord says that the script alone tells a word.
func knownWord(s string) bool { return !strings.ContainsAny(s, "$`\n") }

// clientOf reads the login out of a command's arguments; its password is empty
// if there is none.
func clientOf(name string, args []string) client {
	c := client{what: "a server that the product uses", lighter: 1}
	switch name {
	case "mosquitto_pub", "mosquitto_sub", "mosquitto_rr":
		c.what, c.lighter = "the MQTT broker", 0
		c.user, c.password = argumentOf(args, "-u", "--username"), argumentOf(args, "-P", "--pw")
	case "curl":
		c.user, c.password, _ = strings.Cut(argumentOf(ungrouped(args), "-u", "--user"), ":")
	case "wget":
		c.user = argumentOf(args, "--user", "--http-user", "--ftp-user")
		c.password = argumentOf(args, "--password", "--http-password", "--http-passwd", "--ftp-password")
	case "ftpput", "ftpget":
		c.user, c.password = argumentOf(args, "-u", "--username"), argumentOf(args, "-p", "--password")
	case "pppd":
		c.what = "PPP"
		c.user, c.password = argumentOf(args, "user", "name"), argumentOf(args, "password")
	case "sshpass":
		c.password = argumentOf(args, "-p")
		c.user = sshUser(args)
	case "smbclient":
		c.what = "a file server (SMB)"
		c.user, c.password, _ = strings.Cut(argumentOf(args, "-U", "--user"), "%")
		if i := strings.LastIndexAny(c.user, `\/`); i >= 0 { // DOMAIN\user
			c.user = c.user[i+1:]
		}
	case "mysql", "mysqldump", "mysqladmin", "mariadb", "mariadb-dump":
		c.what = "the database"
		c.user = argumentOf(args, "-u", "--user")
		c.password = attached(args, "-p", "--password=")
	case "snmpset":
		c.user = argumentOf(args, "-c")
		c.password, c.community = c.user, true
	}
	return c
}

// argumentOf is the value of the first of some options that is given.
func argumentOf(args []string, names ...string) string {
	for _, name := range names {
		for i, arg := range args {
			rest, ok := strings.CutPrefix(arg, name)
			switch {
			case !ok:
			case rest == "" && i+1 < len(args):
				return strings.Trim(args[i+1], `"'`)
			case strings.HasPrefix(name, "--") && strings.HasPrefix(rest, "="):
				return rest[1:]
			case len(name) == 2 && name[0] == '-' && name[1] != '-' && rest != "":
				return rest
			}
		}
	}
	return ""
}

// attached is an option's value that must stand right behind it: mysql takes
// the next word for a database.
func attached(args []string, names ...string) string {
	for _, arg := range args {
		for _, name := range names {
			if rest, ok := strings.CutPrefix(arg, name); ok && rest != "" && rest[0] != '-' {
				return rest
			}
		}
	}
	return ""
}

// ungrouped parts curl's -su into -s and -u.
func ungrouped(args []string) []string {
	list := make([]string, 0, len(args))
	for _, arg := range args {
		if len(arg) > 2 && arg[0] == '-' && strings.HasSuffix(arg, "u") && strings.Trim(arg[1:len(arg)-1], "sSkLfvigNIjlORn#0146") == "" {
			list = append(list, arg[:len(arg)-1])
			arg = "-u"
		}
		list = append(list, arg)
	}
	return list
}

// sshUser is the user of the ssh or scp that sshpass starts: -l USER, USER@HOST.
func sshUser(args []string) string {
	seen := false
	for i, arg := range args {
		base := arg[strings.LastIndexByte(arg, '/')+1:]
		switch {
		case !seen:
			seen = i > 0 && (base == "ssh" || base == "scp" || base == "sftp" || base == "rsync")
		case arg == "-l" && i+1 < len(args):
			return args[i+1]
		case !strings.HasPrefix(arg, "-") && !strings.Contains(arg, "="):
			if user, _, ok := strings.Cut(arg, "@"); ok {
				return user
			}
		}
	}
	return ""
}
