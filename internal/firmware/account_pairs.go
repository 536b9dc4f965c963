package firmware

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/crypt"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

var accountConfigPatterns = []string{"assword", "asswd", "ASSWORD", "ASSWD", "pwd", "Pwd", "PWD", "pass", "Pass", "PASS", "_pw", "asswort", "psw"}

var (
	passwordKey = regexp.MustCompile(`(?i)^(.*?)[_.\-:]?(password|passwd|passwrd|passwort|passwd_|pass|pwd|pswd|psw|_pw)([0-9]{0,2})(?:[_.-]?(?:default|md5|hash|crypt|enc))?$`)
	noPassword  = regexp.MustCompile(`(?i)(bypass|compass|lowpass|highpass|bandpass|pass_?through|passive|onepass|twopass|ssl_?pass|keypass|file_?pass|old_?pass|new_?pass|confirm|retype|repeat|re_?enter|verify|forgot|reset|lost|invalid|wrong|max_?pass|prompt|ask_?pass|proxy_pass|fastcgi|numpass|vertex|render|wpa|wep|wifi|wlan|ssid|psk)`)
	userKey     = regexp.MustCompile(`(?i)^(.*?)[_.\-:]?(username|user_?name|usrname|user_?id|user|usr|login_?name|login|loginid|account|uname|name|id|uid)([0-9]{0,2})$`)
	adminWord   = regexp.MustCompile(`(?i)(admin|root|super|mgmt|manage|factory|engineer|installer|service|support|tech|maint|debug|telnet|ssh|console|cli|http|web|httpd|www|sys|login|acs_?conn|connection_?request|gui|router|device)`)
	clientWord  = regexp.MustCompile(`(?i)(ppp|wan|pptp|l2tp|ddns|dyndns|smtp|mail|sip|voip|proxy|acs|tr_?069|cwmp|radius|vpn|cloud|upload|server|remote_?log|ntp|3g|4g|lte|apn|modem|isp|dial|client|notify|alarm|ldap|imap|pop3|xmpp|stun|turn|nas_?mount|cifs)`)
	brokerWord  = regexp.MustCompile(`(?i)(mqtt|mosquitto|broker|amqp|rabbit)`)
	databaseKey = regexp.MustCompile(`(?i)(mysql|maria|postgres|pgsql|sqlite|mongo|redis|influx|oracle|database|(^|[_.-])db([_.-]|$)|jdbc|dsn|requirepass)`)
)

// configs reports user and password pairs in configurations and default
// settings of any format.
func (a *accounts) configs() {
	for _, f := range a.product.Files {
		if f.Size > maxConfig || quietFile(f) || isSource(f.Path) || !hasAny(f, accountConfigPatterns) || isUserDatabase(f.Path) || skipConfig(f) {
			continue
		}
		text := settingsText(f)
		if text == "" {
			continue
		}
		a.out.Looked(doorward.KindAccount, 1, "configuration")
		list := readSettings(text, hitsOf(f, accountConfigPatterns))
		if isTranslation(list) {
			continue
		}
		cutHits(a.out, f, accountConfigPatterns...)
		if len(list) > maxSettings {
			leftOut(a.out, f, int64(list[maxSettings].offset), f.Size-int64(list[maxSettings].offset), fmt.Sprintf("more than %d settings: the rest was not read", maxSettings))
		}
		a.pairs(f, text, list)
	}
}

// hitsOf are the places of any of some patterns.
func hitsOf(f *product.File, patterns []string) (list []int64) {
	for _, p := range patterns {
		list = append(list, f.Hits(p)...)
	}
	return list
}

// skipConfig leaves out scripts but for what they set, and files that only
// describe software.
func skipConfig(f *product.File) bool {
	p := "/" + f.Path
	for _, part := range []string{"/pam.d/", "/dpkg/info/", "/lib/udev/", "/usr/share/perl", "/usr/lib/python", "/usr/share/bash", "/usr/share/zoneinfo", "/lib/systemd/", "/usr/share/polkit", "/usr/share/dbus", "/proc/", "/usr/share/debconf", "/apparmor.d/", "/selinux/", "/lib/modules/", "/usr/share/snmp/mibs"} {
		if strings.Contains(p, part) {
			return true
		}
	}
	for _, end := range []string{".templates", ".list", ".mib", ".service", ".rules", ".pem", ".crt", ".lang", ".lng", ".properties", ".pot", ".mo", ".desktop", ".proto", ".policy"} {
		if strings.HasSuffix(p, end) {
			return true
		}
	}
	switch f.Base() {
	case "login.defs", "nsswitch.conf", "services", "openssl.cnf", "adduser.conf", "deluser.conf", "sshd_config", "ssh_config", "sudoers", "busybox.links", "status", "debconf.conf", "cdebconf.conf", "securetty", "shells", "mime.types", "vsftpd.conf", "proftpd.conf":
		return true
	}
	return false
}

// isTranslation says that the values are sentences: a table of texts.
func isTranslation(list []credSetting) bool {
	sentences, all := 0, 0
	for _, s := range list {
		if s.value == "" {
			continue
		}
		all++
		if strings.Count(s.value, " ") > 1 || strings.IndexFunc(s.value, func(r rune) bool { return r > 0x7f }) >= 0 {
			sentences++
		}
	}
	return all > 8 && sentences*3 > all
}

// pairs finds the passwords among settings, and for each its user.
func (a *accounts) pairs(f *product.File, text string, list []credSetting) {
	reported := 0
	records := map[string]bool{} // keys that held a password: of the same key an empty one means none
	for i, s := range list {
		m := passwordKey.FindStringSubmatch(lastPart(s.key))
		if m == nil || noPassword.MatchString(s.key) || reported > 200 {
			continue
		}
		if s.value == "" && records[s.key] && f.Type.IsText() {
			a.emptyRecord(f, text, list, i, m[1])
			continue
		}
		if !isLoginSecret(s) {
			continue
		}
		if f.Type == unpack.TypeScript && !isSetting(lineOf(text, s.offset)) && !isUpperKey(s.key) {
			continue
		}
		user, distance := userOf(list, i, m[1])
		if a.pair(f, text, s, m[1], user, distance) {
			reported++
			records[s.key] = user != ""
		}
	}
}

// emptyRecord reports a user of a list whose password is empty where others have
// one.
func (a *accounts) emptyRecord(f *product.File, text string, list []credSetting, i int, prefix string) {
	user, distance := userOf(list, i, prefix)
	if user == "" || distance > 2 || lineOf(text, list[i].offset) == "" {
		return
	}
	line := 1 + strings.Count(text[:list[i].offset], "\n")
	d := login{user: user, uid: -1, credential: "empty", gain: doorward.UserData, reach: doorward.Remote, certainty: doorward.Likely}
	if adminWord.MatchString(user) {
		d.gain = doorward.Control
	}
	d.evidence = []doorward.Evidence{lineEvidence(f, line, configLine(text, list[i]), "the password is empty, where others of the list have one")}
	d.where, d.check = f.Where(), checkLine(f, line)
	a.placeConfig(&d, f)
	d.title = clip("user "+user+" of the product has an empty password in "+f.Base(), 90)
	a.report(d)
}

// lastPart is the last element of a dotted path: InternetGateway.User.1.Password.
func lastPart(key string) string {
	if i := strings.LastIndexAny(key, ".:/@["); i >= 0 && i+1 < len(key) {
		return key[i+1:]
	}
	return key
}

func isUpperKey(key string) bool { return key == strings.ToUpper(key) && len(key) > 4 }

func isSetting(line string) bool {
	t := strings.TrimSpace(line)
	return strings.HasPrefix(t, "nvram") || strings.HasPrefix(t, "uci ") || strings.HasPrefix(t, "setprop") || strings.HasPrefix(t, "fw_setenv")
}

// isLoginSecret says that a value is a password or a hash, not a label or a
// place for one.
func isLoginSecret(s credSetting) bool {
	v := s.value
	if len(v) == 0 || len(v) > 128 || strings.ContainsAny(v, " \t<>(){}\\`|") || isPlaceholder(v) || strings.EqualFold(v, s.key) && v != strings.ToLower(v) {
		return false
	}
	if strings.HasPrefix(v, "/") || strings.HasPrefix(v, "0x") || strings.Contains(v, "://") || strings.HasSuffix(v, ":") || strings.HasPrefix(v, "&") || strings.HasPrefix(v, "-") || strings.HasPrefix(v, "=") {
		return false
	}
	if namesSetting(s.key, v) {
		return false
	}
	return v != "0" && !strings.EqualFold(v, "password:") && !strings.EqualFold(v, "char") && !strings.Contains(strings.ToLower(v), "getenv")
}

var settingPath = regexp.MustCompile(`^[a-z0-9]+(?:_[a-z0-9]+)*(?:\.[a-z0-9]+(?:_[a-z0-9]+)*)*\.(?:[a-z]+_)*pass(?:word|wd|code|phrase)?$`)

// namesSetting says that a value is the name of a setting, as schemas of
// settings hold: broker.default_pass, web_password_hashing for web_password.
func namesSetting(key, value string) bool {
	return settingPath.MatchString(value) && strings.Contains(value, "_") ||
		strings.Contains(key, "_") && len(key) > 9 && strings.HasPrefix(value, key+"_")
}

// userOf looks for the user of a password: the same prefix counts more than
// nearness.
func userOf(list []credSetting, i int, prefix string) (string, int) {
	best, bestScore, bestDistance := "", -1, 0
	for j := max(0, i-8); j < min(len(list), i+9); j++ {
		s := list[j]
		m := userKey.FindStringSubmatch(lastPart(s.key))
		if j == i || m == nil || !isLoginName(s.value) {
			continue
		}
		distance := max(j-i, i-j)
		same := strings.EqualFold(m[1], prefix) && parent(s.key) == parent(list[i].key)
		weak := strings.EqualFold(m[2], "name") || strings.EqualFold(m[2], "id") || strings.EqualFold(m[2], "uid")
		switch {
		case same && !(weak && distance > 2):
		case weak && m[1] == "" && distance == 1 && s.element == list[i].element:
		case strings.HasSuffix(strings.ToLower(prefix), "user") && strings.EqualFold(m[1], prefix[:len(prefix)-4]):
		default:
			continue
		}
		score := 20 - distance
		if s.element == list[i].element {
			score += 10
		}
		if weak {
			score -= 5
		}
		if j < i {
			score++
		}
		if score > bestScore {
			best, bestScore, bestDistance = s.value, score, distance
		}
	}
	return best, bestDistance
}

func parent(key string) string {
	if i := strings.LastIndexAny(key, ".:/@["); i >= 0 {
		return key[:i]
	}
	return ""
}

func isLoginName(v string) bool {
	if len(v) == 0 || len(v) > 64 || strings.ContainsAny(v, " \t<>(){}$%/\\\"'`|,;=") || isPlaceholder(v) {
		return false
	}
	switch strings.ToLower(v) {
	case "username", "user_name", "login", "password", "0", "1":
		return false
	}
	return true
}

// pair reports one pair, if its kind is known. It says whether it did.
func (a *accounts) pair(f *product.File, text string, s credSetting, prefix, user string, distance int) bool {
	context := s.key + " " + f.Base()
	own := adminWord.MatchString(prefix) || adminWord.MatchString(user) && user != ""
	client := clientWord.MatchString(s.key)
	if user == "" {
		if prefix == "" || !own && !brokerWord.MatchString(context) && !databaseKey.MatchString(context) {
			return false
		}
		user = strings.Trim(strings.ToLower(prefix), "_.-:")
	}
	d := login{user: user, uid: -1, gain: doorward.UserData, reach: doorward.Remote, certainty: doorward.Likely}
	note := a.setConfigSecret(&d, s.value)
	what := "the product"
	switch {
	case brokerWord.MatchString(context):
		what = "the MQTT broker"
	case databaseKey.MatchString(context):
		what, d.lighter = "the database", 1
	case client && !adminWord.MatchString(user):
		what, d.lighter = "a service that the product uses", 1
	case own || strings.Contains(strings.ToLower(user), "admin"):
		d.gain = doorward.Control
	}
	line := 0
	if f.Type.IsText() {
		line = 1 + strings.Count(text[:s.offset], "\n")
	}
	d.evidence = []doorward.Evidence{lineEvidence(f, line, configLine(text, s), note)}
	d.where = f.Where()
	if line == 0 {
		d.where = f.WhereAt(int64(s.offset))
		off := int64(s.offset)
		d.evidence[0].Offset = &off
	}
	d.check = checkLine(f, line)
	a.placeConfig(&d, f)
	d.title = clip("user "+user+" of "+what+" has a "+credentialWord(d.credential)+" in "+f.Base(), 90)
	a.report(d)
	return true
}

// configLine is the credSetting's line, or the setting of a long one.
func configLine(text string, s credSetting) string {
	if line := lineOf(text, s.offset); len(line) < 300 {
		return line
	}
	return s.key + "=" + s.value
}

func credentialWord(credential string) string {
	switch credential {
	case "default":
		return "published default password"
	case "empty":
		return "empty password"
	}
	return "fixed password"
}

// setConfigSecret takes a value that is a password in clear or some hash of one.
func (a *accounts) setConfigSecret(d *login, value string) string {
	if h, ok := crypt.ParseWeb(value); ok {
		return a.setHash(d, h)
	}
	if h, ok := crypt.ParsePlain(value); ok {
		return a.setHash(d, h)
	}
	d.setPassword(value)
	if d.credential == "default" {
		return "a published default password"
	}
	return "the same on every unit, as long as nobody changes it"
}

// placeConfig says how sure it is that something reads a configuration.
func (a *accounts) placeConfig(d *login, f *product.File) {
	switch {
	case f.Deleted():
		d.certainty, d.limit = doorward.Hint, doorward.Low
		d.note("only in a deleted layer or file: still in the artifact")
	case a.isRead(f):
		d.certainty = doorward.Shown
	default:
		d.certainty = doorward.Likely
		d.lighter++
		d.note("assumes that a program reads this file; nothing that names it was found")
	}
}

// isRead says that something in the product names a file, or reads the folder
// that it is in.
func (a *accounts) isRead(f *product.File) bool {
	if f.Volume == nil {
		return true // a part of the image by itself: settings of the boot loader or flash
	}
	if len(f.Base()) < 3 {
		return false
	}
	for _, m := range a.product.Mentions(f.Base()) {
		if m != f && !quietFile(m) && (m.Type.IsText() || m.Type.Executable()) && !isPackageList(m.Path) {
			return true
		}
	}
	return !f.Volume.IsRoot() || strings.HasPrefix(f.Path, "etc/config/") || strings.HasPrefix(f.Path, "etc/ppp/") || strings.HasPrefix(f.Path, "etc/snmp/") || strings.HasPrefix(f.Path, "etc/samba/") || strings.Contains(f.Path, "nvram")
}
